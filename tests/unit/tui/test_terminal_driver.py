"""The terminal's driver."""

import asyncio
import os
import queue
import random
import select
import threading
import tty
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
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


class _BusyFile:
    """A file that is always being written by the writer's thread."""

    def write_now(self, text: str) -> str:
        return text


@pytest.mark.parametrize("is_writing", [False, True], ids=["between frames", "in a frame"])
def test_the_screen_is_left_before_a_suspension_also_while_a_frame_is_written(
    is_writing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr(LinuxDriver, "write", lambda _, data: written.append(data))
    monkeypatch.setattr(LinuxDriver, "_sigtstp_application", lambda driver: driver.write("leave"))
    monkeypatch.setattr(TerminalDriver, "can_suspend", True)
    driver = object.__new__(TerminalDriver)
    driver._frame, driver._writer_thread, driver._file = "", cast("WriterThread", "running"), _BusyFile()
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
    driver._frame, driver._writer_thread, driver._file = "", cast("WriterThread", "running"), _BusyFile()
    for data in (_FRAME_START, "a", "b", _FRAME_END, "c"):
        driver.write(data)
    assert written == [f"{_FRAME_START}ab{_FRAME_END}", "c"]


def test_a_screen_that_was_dropped_is_repainted_when_the_terminal_is_read_again() -> None:
    """Also if nothing else changes. A frame is larger than what a terminal holds until it is read."""
    reader, terminal = os.openpty()
    first, dropped, repainted = "a" * 100_000, "-" * 100_000, "b" * 100_000
    is_read_again = threading.Event()
    with os.fdopen(terminal, "w") as file, ThreadPoolExecutor() as pool:
        tty.setraw(file)
        output = _TerminalFile(file, is_ending=lambda: False, on_failure=lambda: None, on_resume=is_read_again.set)
        output.write(first)  # stalls
        output.write(dropped)
        assert not is_read_again.is_set()
        reading = pool.submit(_read, reader, len(first) + len(repainted))
        assert is_read_again.wait(10)
        output.write(repainted)
        assert reading.result().decode() == first + repainted
    os.close(reader)


@pytest.mark.parametrize("seed", range(4))
def test_what_two_threads_write_arrives_whole_and_in_order(seed: int) -> None:
    """Frames are written at once if the terminal has room for them, the others by the writer's thread."""
    drawn = random.Random(seed)
    texts = [f"<{number}{'é' * drawn.choice([1, 100, 30_000])}>" for number in range(300)]
    wanted = "".join(texts).encode()
    reader, terminal = os.openpty()
    waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    with os.fdopen(terminal, "w", encoding="utf-8") as file, ThreadPoolExecutor() as pool:
        tty.setraw(file)
        output = _TerminalFile(file, is_ending=lambda: False, on_failure=lambda: None, on_resume=lambda: None)
        reading = pool.submit(_read, reader, len(wanted), lambda: drawn.choice([1, 100, 5_000, 65_536]))
        writing = pool.submit(lambda: deque(map(output.write, iter(waiting.get, None)), maxlen=0))
        written_at_once = 0
        for text in texts:
            if (left := output.write_now(text)) is None:
                written_at_once += 1
            else:
                waiting.put(left)
        waiting.put(None)
        writing.result()
        assert reading.result() == wanted
    os.close(reader)
    assert 0 < written_at_once < len(texts)


def _read(reader: int, count: int, chunk_bytes: Callable[[], int] = lambda: 65_536) -> bytes:
    read = bytearray()
    while len(read) < count and select.select([reader], [], [], 10)[0]:
        read.extend(os.read(reader, chunk_bytes()))
    return bytes(read)


def test_a_frame_is_passed_on_while_another_is_written() -> None:
    """The event loop never waits for a terminal that is not read."""
    reader, terminal = os.openpty()
    with os.fdopen(terminal, "w") as file, ThreadPoolExecutor() as pool:
        tty.setraw(file)
        is_over = threading.Event()
        output = _TerminalFile(file, is_ending=is_over.is_set, on_failure=lambda: None, on_resume=lambda: None)
        assert output.write_now("a" * 1_000_000) == ""
        writing = pool.submit(output.write, "")
        assert output.write_now("b") == "b"
        is_over.set()
        writing.result()
    os.close(reader)


def test_a_frame_is_passed_on_if_writing_it_could_wait(tmp_path: Path) -> None:
    with (tmp_path / "output").open("w") as file:
        output = _TerminalFile(file, is_ending=lambda: False, on_failure=lambda: None, on_resume=lambda: None)
        assert output.write_now("a") == "a"
