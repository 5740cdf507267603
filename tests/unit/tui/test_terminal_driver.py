"""The terminal's driver."""

import asyncio
import os
import select
import time
import tty
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver

from upload_tui.tui import Preferences
from upload_tui.tui.base_app import BaseApp
from upload_tui.tui.terminal_driver import _FRAME_END, _FRAME_START, TerminalDriver, _TerminalFile


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


def test_a_frame_is_written_whole_as_soon_as_the_terminal_is_read_again() -> None:
    """Also if nothing is painted after it. A frame is larger than what a terminal holds until it is read."""
    reader, terminal = os.openpty()
    resumed: list[bool] = []
    with os.fdopen(terminal, "w") as file:
        tty.setraw(file)
        output = _TerminalFile(
            file, is_ending=lambda: False, on_failure=lambda: None, on_resume=lambda: resumed.append(True)
        )
        first, second = "a" * 100_000, "b" * 100_000
        output.write(first)  # stalls
        wanted, read = len(first) + len(second), bytearray()

        def read_all() -> None:
            while len(read) < wanted and select.select([reader], [], [], 10)[0]:
                read.extend(os.read(reader, 65536))

        with ThreadPoolExecutor() as pool:
            reading = pool.submit(read_all)
            while not read:  # until there is room, or the frame would be dropped
                time.sleep(0)
            output.write(second)
            reading.result()
    os.close(reader)
    assert read.decode() == first + second
    assert resumed == [True]
