"""The terminal's driver."""

import asyncio
from typing import Any, cast

import pytest
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver

from upload_tui.tui import Preferences
from upload_tui.tui.base_app import BaseApp
from upload_tui.tui.terminal_driver import _FRAME_END, _FRAME_START, TerminalDriver


async def test_a_terminal_that_is_read_again_before_the_first_screen_is_no_error() -> None:
    loop = asyncio.get_running_loop()
    errors: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: errors.append(context))
    TerminalDriver(BaseApp(Preferences()))._repaint()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert errors == []


@pytest.mark.parametrize("is_writing", [False, True], ids=["between frames", "in a frame"])
def test_the_screen_is_left_before_a_suspension_also_while_a_frame_is_written(
    is_writing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr(LinuxDriver, "write", lambda _, data: written.append(data))
    monkeypatch.setattr(LinuxDriver, "_sigtstp_application", lambda driver: driver.write("leave"))
    monkeypatch.setattr(TerminalDriver, "can_suspend", True)
    driver = object.__new__(TerminalDriver)
    driver._frame, driver._writer_thread = "", cast("WriterThread", "running")
    for data in (_FRAME_START, "half of ") if is_writing else ():
        driver.write(data)
    assert written == []
    driver._sigtstp_application()
    for data in ("a frame", _FRAME_END):
        driver.write(data)
    frame = [f"{_FRAME_START}half of {_FRAME_END}"] if is_writing else []
    assert written == [*frame, "leave", "a frame", _FRAME_END]


def test_a_frame_is_written_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(LinuxDriver, "write", lambda _, data: written.append(data))
    driver = object.__new__(TerminalDriver)
    driver._frame, driver._writer_thread = "", cast("WriterThread", "running")
    for data in (_FRAME_START, "a", "b", _FRAME_END, "c"):
        driver.write(data)
    assert written == [f"{_FRAME_START}ab{_FRAME_END}", "c"]
