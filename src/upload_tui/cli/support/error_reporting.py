"""How a command ends: errors on standard error, exit codes, signals; tracebacks and the log file only with `--debug`."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from upload_tui.cli.support.streams import OutputLostError, output_error
from upload_tui.errors import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    InternalError,
    QueryError,
    UploadTuiError,
    UsageError,
    signal_exit_code,
)

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "DebugLog",
    "TerminationSignals",
    "current_signals",
    "open_log",
    "run_async",
    "run_reported",
    "run_until_signal",
    "termination_signals",
]

Result = TypeVar("Result")


_MAX_LOG_BYTES = 1_000_000


def open_log(file: "Path") -> None:
    """Write what the program and its libraries log to a file that only its owner can read, and that is rotated.

    Text from outside cannot imitate a line of the log: lines that continue an entry are indented.

    Raises:
        OSError: it cannot be written.
    """
    import logging  # here, as are the classes, because each start imports this module
    from io import TextIOWrapper
    from logging.handlers import RotatingFileHandler

    from upload_tui.files import make_private_folder, private_opener
    from upload_tui.text import sanitize_text

    class PrivateHandler(RotatingFileHandler):
        def _open(self) -> TextIOWrapper:
            return open(self.baseFilename, "a", encoding="utf-8", opener=private_opener)

        def format(self, record: logging.LogRecord) -> str:
            return sanitize_text(super().format(record).rstrip("\n")).replace("\n", "\n    ")

    make_private_folder(file.parent)
    handler = PrivateHandler(file, maxBytes=_MAX_LOG_BYTES, backupCount=1, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.raiseExceptions = False  # a full disk loses lines of the log, and prints no traceback for each
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)


class DebugLog:
    """The log file of `--debug`: requests, retries and tracebacks. If it fails, tracebacks go to standard error.

    Neither tokens nor responses are logged: a request is named by its method, URL and status.
    """

    def __init__(self) -> None:
        self._file = self._open()

    def write_error(self, error: BaseException) -> None:
        """Log an error's traceback, print it, and name the log file."""
        import logging
        import textwrap
        import traceback

        from upload_tui.cli.support.output import echo_message
        from upload_tui.text import sanitize_text

        text = "".join(traceback.format_exception(error))
        logging.getLogger("upload_tui").error("%s", text)
        # Indented, so that a line of an error's text does not look like a message of the program.
        click.echo(textwrap.indent(sanitize_text(text), "  "), err=True, nl=False)
        if self._file is not None:
            echo_message(f"the log is in {self._file}")

    @staticmethod
    def _open() -> "Path | None":
        from upload_tui.cli.support.output import echo_message
        from upload_tui.files import log_folder

        file = log_folder() / "upload-tui.log"
        try:
            open_log(file)
        except OSError as error:
            echo_message(f"no log: {file} cannot be written ({error.strerror}).")
            return None
        return file


def run_reported(command: Callable[[], object], log: DebugLog | None = None) -> int:
    """Run a command, report its error, and return the exit code.

    If the command could not write standard output, that is reported too, and is the error if there is no other.

    Args:
        command: what to run; an integer that it returns is the exit code.
        log: where tracebacks go; None without `--debug`.
    """
    code = _run(command, log)
    lost = output_error()
    lost_code = EXIT_OK if lost is None else _report(lost, log)
    return code or lost_code


def _run(command: Callable[[], object], log: DebugLog | None) -> int:
    try:
        result = command()
        sys.stdout.flush()
    except OutputLostError:
        return EXIT_OK
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        error.show(sys.stderr)
        return EXIT_USAGE
    except UploadTuiError as error:
        return _report(error, log)
    except (KeyboardInterrupt, click.Abort):
        if sys.stderr.isatty():  # end the line on which the terminal printed ^C
            click.echo(err=True)
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001  # a traceback's own exit code, 1, would mean a failed upload
        return _report(_unexpected(error), log)
    return result if isinstance(result, int) else EXIT_OK


def _unexpected(error: Exception) -> UploadTuiError:
    """The error of an unexpected exception: an internal one, unless a group has an error of ours, or a word is not UTF-8 text."""
    from upload_tui.files import is_utf8
    from upload_tui.text import sanitize_line

    internal = InternalError.from_exception(error)
    if isinstance(internal.__cause__, UploadTuiError):  # of a task group
        return internal.__cause__
    if not isinstance(internal.__cause__, UnicodeEncodeError):
        return internal
    numbers = [str(number) for number, word in enumerate(sys.argv) if number and not is_utf8(word)]
    names = [name for name, value in os.environ.items() if not is_utf8(name + value)]
    if not numbers and not names:
        return internal
    where = f"Argument {', '.join(numbers)}" if numbers else f"The variable {sanitize_line(names[0])}"
    return UsageError(f"{where} is not UTF-8 text", "Check the encoding of the terminal.")


def _report(error: UploadTuiError, log: DebugLog | None) -> int:
    if log is not None:
        log.write_error(error)
    click.echo(f"upload-tui: {_with_period(error.title)}", err=True)
    if isinstance(error, QueryError):
        click.echo("\n".join(_marked_query(error)), err=True)
    elif error.hint:
        click.echo(f"  {_with_period(error.hint)}", err=True)
    return error.exit_code


_QUERY_CHARACTERS = 60
"""More of a query than this is cut on both sides of the mistake."""


def _marked_query(error: QueryError) -> Sequence[str]:
    """A query, and below it a caret at the mistake, with the hint."""
    from rich.cells import cell_len

    from upload_tui.text import sanitize

    start = max(0, error.position - _QUERY_CHARACTERS // 2)
    before = ("…" if start else "") + sanitize(error.text[start : error.position])
    after = sanitize(error.text[error.position : start + _QUERY_CHARACTERS])
    end = "…" if len(error.text) > start + _QUERY_CHARACTERS else ""
    hint = f" {_with_period(error.hint)}" if error.hint else ""
    return f"  {before}{after}{end}", f"  {' ' * cell_len(before)}^{hint}"


def _with_period(text: str) -> str:
    from upload_tui.text import sanitize_line

    line = sanitize_line(text)
    return line if line.endswith("?") else f"{line}."


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
        yield
    finally:
        for number, handler in defaults.items():
            signal.signal(number, handler)
        _current.reset(token)


_DEFAULT_HANDLERS = (signal.SIG_DFL, signal.default_int_handler)


def run_async(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end; each signal cancels it.

    Raises:
        KeyboardInterrupt: a signal has cancelled it.
    """
    import asyncio  # here, because `--version` needs this module as well

    try:
        with closing(asyncio.Runner()) as runner:  # its own context would make the event loop at once
            with current_signals().deferring():  # an event loop that is half made prints a traceback
                runner.get_loop()
            return runner.run(_cancelled_by_signals(main))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        main.close()  # no effect unless it was never begun


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
