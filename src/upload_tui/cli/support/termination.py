"""Signals that end the program: each interrupts it as Ctrl+C does, so that stores are closed, and has an exit code of its own."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from upload_tui.errors import EXIT_INTERRUPTED

__all__ = ["EndingSignals", "ending_signals"]

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
