"""How signals end the program: in order, and with an exit code of their own."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from upload_tui.errors import EXIT_OK, signal_exit_code
from upload_tui.threads import interrupted_when, run_in_thread

__all__ = [
    "TerminationSignals",
    "current_signals",
    "has_received_signal",
    "run_async",
    "run_until_signal",
    "termination_signals",
]

if TYPE_CHECKING:
    import asyncio

Result = TypeVar("Result")

_SIGNAL_BYTES = 256


_NOT_ENDING = frozenset({
    "SIGKILL", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGCONT", "SIGCHLD", "SIGCLD", "SIGURG", "SIGWINCH", "SIGINFO",
    "SIGBUS", "SIGEMT", "SIGFPE", "SIGILL", "SIGSEGV"
})  # fmt: skip
"""Signals that no program can handle, that stop or continue one, or that it ignores unless it handles them; and those of a faulty
instruction, which a handler would return to."""


def _ending_signals() -> Sequence[int]:
    """The signals that end a program which does not handle them; not all systems have the same."""
    others = {getattr(signal, name) for name in _NOT_ENDING if hasattr(signal, name)}
    return sorted(signal.valid_signals() - others)


class _Interrupt(KeyboardInterrupt):
    """Ends what runs.

    `KeyboardInterrupt` itself, raised in a text that `exec` runs (as for named tuples), would make Python kill itself with SIGINT
    at its end, although it was handled.
    """


class TerminationSignals:
    """Ends the program in order at the first of the ending signals.

    What is done at a signal depends on what runs: a coroutine is cancelled, a dashboard exits, and without either
    `KeyboardInterrupt` is raised. The signal decides on the exit code even if that is swallowed.
    """

    def __init__(self) -> None:
        self._received: int | None = None
        self._respond: Callable[[], object] | None = None

    @property
    def received(self) -> int | None:
        """The first signal that has arrived; None if none has."""
        return self._received

    def exit_code(self, code: int) -> int:
        """128 plus the number of the signal that has arrived; the given code if none has."""
        return code if self._received is None else signal_exit_code(self._received)

    def handle(self, number: int, _: FrameType | None) -> None:
        """Handle a signal, in the middle of whatever the main thread does."""
        self._received = self._received or number
        if self._respond is None:
            raise _Interrupt
        self._respond()

    @contextmanager
    def responding(self, respond: Callable[[], object]) -> Iterator[None]:
        """Call this on the running event loop for each signal that arrives inside the context."""
        import asyncio

        previous, loop = self._respond, asyncio.get_running_loop()
        self._respond = partial(loop.call_soon_threadsafe, respond)  # also wakes the loop
        if self._received is not None:  # an exception in a destructor, for example, is swallowed
            self._respond()
        try:
            yield
        finally:
            self._respond = previous

    @contextmanager
    def deferring(self) -> Iterator[None]:
        """Handle a signal only at the end of the context, which must be short."""
        previous, self._respond = self._respond, lambda: None
        try:
            yield
        finally:
            self._respond = previous
        if self._received is not None:
            self.handle(self._received, None)


_current: ContextVar[TerminationSignals] = ContextVar("termination_signals")


def current_signals() -> TerminationSignals:
    """The signals of this run of the program."""
    return _current.get()


def has_received_signal() -> bool:
    """Whether a signal has arrived that ends the program."""
    signals = _current.get(None)
    return signals is not None and signals.received is not None


@contextmanager
def termination_signals(signals: TerminationSignals) -> Iterator[None]:
    """Handle the ending signals that are neither ignored nor handled by another; only the main thread can."""
    is_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in _ending_signals() if is_main}
    defaults = {number: handler for number, handler in before.items() if handler in _DEFAULT_HANDLERS}
    token = _current.set(signals)
    for number in defaults:
        signal.signal(number, signals.handle)
    try:
        with interrupted_when(lambda: signals.received is not None):
            yield
    finally:
        with _held_back(defaults):
            for number, handler in defaults.items():
                signal.signal(number, handler)
        _current.reset(token)


@contextmanager
def _held_back(numbers: Iterable[int]) -> Iterator[None]:
    """Let signals wait until the end of the context. Python complains of one that arrives while its handler is removed."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = _changed_mask(())
    _changed_mask(numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _changed_mask(numbers: Iterable[int]) -> Iterable[int]:
    """Hold signals back; return those that were before. The exceptions of those that have arrived are raised here: they are known."""
    while True:
        with suppress(KeyboardInterrupt):
            return signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


_DEFAULT_HANDLERS = (signal.SIG_DFL, signal.default_int_handler)


def run_async(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end; each signal cancels it.

    Raises:
        KeyboardInterrupt: a signal has cancelled it.
    """
    import asyncio  # here, because `--version` needs this module as well
    import socket

    try:
        with closing(asyncio.Runner()) as runner:  # its own context would make the event loop at once
            with current_signals().deferring():  # an event loop that is half made prints a traceback
                loop = runner.get_loop()
            loop.getaddrinfo = partial(run_in_thread, socket.getaddrinfo)  # type: ignore[method-assign]
            with _woken_by_signals(loop):
                return runner.run(_cancelled_by_signals(main))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        main.close()  # no effect unless it was never begun


@contextmanager
def _woken_by_signals(loop: "asyncio.AbstractEventLoop") -> Iterator[None]:
    """Wake the event loop at each signal.

    Python handles a signal between two steps of the main thread. One that arrives just before the loop waits, or in another
    thread, would be handled only when something else wakes the loop.
    """
    import socket

    woken, waker = socket.socketpair()
    with closing(woken), closing(waker):
        woken.setblocking(False)
        waker.setblocking(False)
        try:
            loop.add_reader(woken, woken.recv, _SIGNAL_BYTES)
        except NotImplementedError:  # on Windows the loop does this itself
            yield
            return
        before = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(woken)


async def _cancelled_by_signals(main: Coroutine[Any, Any, Result]) -> Result:
    import asyncio

    task = asyncio.ensure_future(main)
    with current_signals().responding(task.cancel):
        return await task


def run_until_signal(main: Coroutine[Any, Any, None]) -> int:
    """Run a coroutine that a signal ends, and end the process as soon as the coroutine has ended.

    Threads that still read or hash are not waited for: nothing can record their results any more.
    """
    return run_async(_end_after_signal(main))


async def _end_after_signal(main: Coroutine[Any, Any, None]) -> int:
    import asyncio

    signals = current_signals()
    try:
        await main
    except asyncio.CancelledError:
        if signals.received is None:
            raise
    if signals.received is not None:
        _end(signals.received)
    return EXIT_OK


def _end(number: int) -> None:
    if number == signal.SIGINT and sys.stderr.isatty():
        sys.stderr.write("\n")  # after the terminal's own ^C
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # its reader has ended, or it is closed
            stream.flush()
    os._exit(signal_exit_code(number))
