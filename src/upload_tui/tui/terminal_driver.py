"""Textual's driver for terminals, which also ends the app when the terminal is gone or not read."""

import os
import select
import signal
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, TextIO

from textual.drivers.linux_driver import LinuxDriver

from upload_tui.errors import signal_exit_code

if TYPE_CHECKING:
    from upload_tui.tui.base_app import BaseApp

__all__ = ["TerminalDriver"]


_FRAME_START, _FRAME_END = "\x1b[?2026h", "\x1b[?2026l"
"""What Textual writes before and after a frame, each by itself, if the terminal updates synchronously."""


class TerminalDriver(LinuxDriver):
    """Exits the app when the terminal is gone; the exit code is that of a hang-up.

    A terminal can be gone without a signal: SIGHUP is ignored (`nohup`), or the terminal controls no process. Without this class
    the app would never end then: Textual's writer thread dies of the failed write, the event loop blocks on the writer's full
    queue, and the input thread reads one end of file after the other.

    A terminal can also stall (a frozen ssh): then frames are dropped, so that keys and signals still end the app.
    """

    def __init__(self, app: "BaseApp", **options: Any) -> None:
        super().__init__(app, **options)
        self._frame = ""
        self._request_exit = app.request_exit
        self._file: Any = _TerminalFile(
            _terminal_file(), is_ending=lambda: app.is_exiting, on_failure=self._hang_up, on_resume=self._repaint
        )
        Thread(target=self._watch_terminal, name="terminal-watch", daemon=True).start()

    @property
    def can_suspend(self) -> bool:
        """False in the process group of the session's leader: no shell could continue it."""
        return os.getpgrp() != os.getsid(0)

    def _sigtstp_application(self, *_: object) -> None:
        if self.can_suspend:
            self._end_frame()
            super()._sigtstp_application()

    def _end_frame(self) -> None:
        """Write what there is of a frame: the signal may have arrived while it was written."""
        frame, self._frame = self._frame, ""
        if frame:
            self.write(frame + _FRAME_END)

    def write(self, data: str) -> None:
        """Write data, a frame in one piece; drop it if the terminal was gone before the driver started."""
        if data == _FRAME_START or self._frame:
            self._frame += data
            if data != _FRAME_END:
                return
            data, self._frame = self._frame, ""
        # The writer's thread would wait until this one has nothing to do: the first frame until the next is composed.
        if self._writer_thread is not None and (left := self._file.write_now(data)) is not None:
            super().write(left)

    def run_input_thread(self) -> None:
        """Dispatch input until the driver stops or the terminal is gone."""
        try:
            super().run_input_thread()
        except OSError:
            self._hang_up()

    def _watch_terminal(self) -> None:
        """Wait until the other end of the terminal is closed; return at once on systems that cannot poll a terminal."""
        poll = select.poll()
        poll.register(self.fileno, 0)  # hang-ups and errors are reported without being asked for
        if any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll()):
            self._hang_up()

    def _repaint(self) -> None:
        """Repaint the screen, in place of the frames that were dropped; may be called from any thread."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._refresh_screen)

    def _refresh_screen(self) -> None:
        if self._app.screen_stack:  # empty before the first screen and after the last one
            self._app.call_after_refresh(self._app.screen.refresh)

    def _hang_up(self) -> None:
        """Exit as if SIGHUP had arrived; may be called from any thread and more than once."""
        self.exit_event.set()  # ends the input thread
        with suppress(RuntimeError):  # the loop is closed: the app has ended before
            self._loop.call_soon_threadsafe(self._request_exit, signal_exit_code(signal.SIGHUP))


def _terminal_file() -> TextIO:
    """The stream to draw on: standard output, or standard error if only that is a terminal."""
    files = [file for file in (sys.__stdout__, sys.__stderr__, sys.stderr) if file is not None]
    return next((file for file in files if file.isatty()), files[-1])


_POLL_SECONDS = 0.1
_STALL_SECONDS = 1.0
_ENDING_STALL_SECONDS = 0.3
_CANCEL = b"\x18"
"""Ends a control sequence of which a part was discarded."""


class _TerminalFile:
    """A file whose writes neither fail nor block: at the first failure it becomes the null device, and what is not read is dropped.

    Flushing buffered text must not fail either: Python exits with 120 if it cannot flush standard error.

    Args:
        file: the terminal.
        is_ending: whether the app ends.
        on_failure: called at the first failure.
        on_resume: called, in a thread of its own, when the terminal is read again after something was dropped.
    """

    def __init__(
        self,
        file: TextIO,
        *,
        is_ending: Callable[[], bool],
        on_failure: Callable[[], None],
        on_resume: Callable[[], None],
    ) -> None:
        self._file = file
        self._is_ending = is_ending
        self._on_failure = on_failure
        self._on_resume = on_resume
        self._number, self._can_block = _unblocked(file)
        self._left = b""
        self._is_stalled = self._is_awaiting_reader = False
        self._lock = Lock()
        self._passed_on = self._received = 0
        """Texts that `write_now` did not write and `write` has to, and those that `write` has written."""

    def write_now(self, text: str) -> str | None:
        """Write text without waiting; return what `write` has to be called with, in another thread, or None.

        Text that `write` still has to write goes first. A signal's handler may call this while it runs.
        """
        if self._can_block or not self._lock.acquire(blocking=False):
            return self._pass_on(text)
        try:
            if self._left or self._is_stalled or self._passed_on != self._received:
                return self._pass_on(text)
            self._left = text.encode(self._file.encoding, "replace")
            with suppress(BlockingIOError):
                self._left = self._left[os.write(self._number, self._left) :]
            return self._pass_on("") if self._left else None
        except OSError:
            self._fail()
            return None
        finally:
            self._lock.release()

    def _pass_on(self, text: str) -> str:
        self._passed_on += 1
        return text

    def write(self, text: str) -> None:
        """Write text; drop it if the terminal is not read, but never a part of it: the rest of a sequence is written first."""
        with self._lock:
            self._write(text.encode(self._file.encoding, "replace"))
            self._received += 1

    def _write(self, data: bytes) -> None:
        try:
            if self._is_stalled and not (self._is_ending() or self._is_writable(0)):
                return
            self._left += data
            if not self._write_left() and self._is_ending():  # make space for what restores the terminal
                termios.tcflush(self._number, termios.TCOFLUSH)
                self._left = _CANCEL + data
                self._write_left()
        except (OSError, termios.error):
            self._fail()

    def flush(self) -> None:
        """Do nothing: what can be written is written."""

    def _write_left(self) -> bool:
        """Write what is left; False if the terminal is not read."""
        waiting_since, is_read = time.monotonic(), not self._is_stalled
        while self._left:
            if self._is_writable(_POLL_SECONDS if is_read else 0):
                part = self._left[: select.PIPE_BUF] if self._can_block else self._left
                with suppress(BlockingIOError):
                    self._left = self._left[os.write(self._number, part) :]
                    waiting_since, is_read = time.monotonic(), True
                    continue
            limit_seconds = _ENDING_STALL_SECONDS if self._is_ending() else _STALL_SECONDS
            if not is_read or time.monotonic() - waiting_since >= limit_seconds:
                self._stall()
                return False
        self._is_stalled = False
        return True

    def _stall(self) -> None:
        """Drop what is written from now on, until the terminal is read again."""
        self._is_stalled = True
        if not self._is_awaiting_reader:
            self._is_awaiting_reader = True
            Thread(target=self._await_reader, name="terminal-reader", daemon=True).start()

    def _await_reader(self) -> None:
        with suppress(OSError):  # the terminal is gone
            select.select([], [self._number], [])
        self._is_awaiting_reader = False
        self._on_resume()

    def _is_writable(self, timeout_seconds: float) -> bool:
        return bool(select.select([], [self._number], [], timeout_seconds)[1])

    def _fail(self) -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        for number in {self._number, self._file.fileno()}:
            os.dup2(null, number)
        os.close(null)
        self._left = b""
        self._on_failure()


def _unblocked(file: TextIO) -> tuple[int, bool]:
    """A descriptor of a terminal that does not block, without changing the mode of the file's own, which the shell shares.

    If there is none, the file's own. The second value is whether writing may block.
    """
    with suppress(OSError):  # no terminal, or another user's
        return os.open(os.ttyname(file.fileno()), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY), False
    return file.fileno(), True
