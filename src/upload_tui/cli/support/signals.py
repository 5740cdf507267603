"""Signals that end the program: each has an exit code of its own, and stores are closed before the end."""

import os
import signal
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from upload_tui.errors import EXIT_INTERRUPTED

__all__ = ["EndingSignals", "ending_signals", "run_until_signal"]


def run_until_signal(main: Coroutine[Any, Any, None]) -> int:
    """Run a coroutine until it ends; SIGINT and SIGTERM cancel it, each further one again.

    After a signal the process ends here, with the exit code 128 + n, as soon as the coroutine has ended. Threads that still read
    or hash are not waited for: nothing can record their results any more.
    """
    import asyncio  # here, because `--version` needs this module as well

    return asyncio.run(_run(main))


async def _run(main: Coroutine[Any, Any, None]) -> int:
    import asyncio

    task, received = asyncio.ensure_future(main), list[int]()

    def stop(number: int) -> None:
        received.append(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        await task
    except asyncio.CancelledError:
        if not received:
            raise
    if received:
        _end(received[0])
    return 0


def _end(number: int) -> None:
    if number == signal.SIGINT and sys.stderr.isatty():
        sys.stderr.write("\n")  # after the terminal's own ^C
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # its reader has ended, or it is closed
            stream.flush()
    os._exit(128 + number)


_NAMES = ("SIGHUP", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGXCPU")
"""Signals that would end the program at once. Not all systems have each."""


class EndingSignals:
    """Counts as an interrupt whichever signal arrives.

    Attributes:
        exit_code: 128 plus the number of the signal that has arrived; that of an interrupt if none has.
    """

    def __init__(self) -> None:
        self.exit_code = EXIT_INTERRUPTED

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Do what an interrupt does now: asyncio cancels the main task, for example."""
        self.exit_code = 128 + number
        handler = signal.getsignal(signal.SIGINT)
        if not callable(handler):  # interrupts are ignored
            raise KeyboardInterrupt
        handler(signal.SIGINT, frame)


@contextmanager
def ending_signals() -> Iterator[EndingSignals]:
    """Handle the signals that are neither ignored nor handled by another; handlers can only be set in the main thread."""
    ending = EndingSignals()
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    handled = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in handled:
        signal.signal(number, ending.interrupt)
    try:
        yield ending
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)
