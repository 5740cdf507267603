"""Textual's driver for terminals, which also ends the app when the terminal is gone."""

import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import IO, TYPE_CHECKING, Any

from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from upload_tui.tui.base_app import BaseApp

__all__ = ["TerminalDriver"]


class TerminalDriver(LinuxDriver):
    """Exits the app when the terminal is gone; the exit code is that of a hang-up.

    A terminal can be gone without a signal: SIGHUP is ignored (`nohup`), or the terminal controls no process. Without this class
    the app would never end then: Textual's writer thread dies of the failed write, the event loop blocks on the writer's full
    queue, and the input thread reads one end of file after the other.
    """

    def __init__(self, app: "BaseApp", **options: Any) -> None:
        super().__init__(app, **options)
        self._request_exit = app.request_exit
        self._file: Any = _LossyFile(_terminal_file(), self._hang_up)
        Thread(target=self._watch_terminal, name="terminal-watch", daemon=True).start()

    @property
    def can_suspend(self) -> bool:
        """False in the process group of the session's leader: no shell could continue it."""
        return os.getpgrp() != os.getsid(0)

    def _sigtstp_application(self, *_: object) -> None:
        if self.can_suspend:
            super()._sigtstp_application()

    def write(self, data: str) -> None:
        """Write data; drop it if the terminal was gone before the driver started."""
        if self._writer_thread is not None:
            super().write(data)

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

    def _hang_up(self) -> None:
        """Exit as if SIGHUP had arrived; may be called from any thread and more than once."""
        self.exit_event.set()  # ends the input thread
        with suppress(RuntimeError):  # the loop is closed: the app has ended before
            self._loop.call_soon_threadsafe(self._request_exit, 128 + signal.SIGHUP)


def _terminal_file() -> IO[str]:
    """The stream to draw on: standard output, or standard error if only that is a terminal."""
    files = [file for file in (sys.__stdout__, sys.__stderr__, sys.stderr) if file is not None]
    return next((file for file in files if file.isatty()), files[-1])


class _LossyFile:
    """A file whose writes never fail: at the first failure it becomes the null device.

    Flushing buffered text must not fail either: Python exits with 120 if it cannot flush standard error.
    """

    def __init__(self, file: IO[str], on_failure: Callable[[], None]) -> None:
        self._file = file
        self._on_failure = on_failure

    def write(self, text: str) -> None:
        self._try(self._file.write, text)

    def flush(self) -> None:
        self._try(self._file.flush)

    def fileno(self) -> int:
        return self._file.fileno()

    def _try(self, operation: Callable[..., object], *arguments: str) -> None:
        try:
            operation(*arguments)
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._file.fileno())
            os.close(null)
            self._on_failure()
