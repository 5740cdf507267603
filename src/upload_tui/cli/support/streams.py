"""Guards the standard streams: a failure to write output never changes the result of a command.

If standard error cannot be written, what follows is discarded. If standard output cannot be written, the command ends;
but a command whose exit code is its result (`wait`, for example) continues without output. A broken pipe is no error;
any other failure has an exit code of its own.

A reader can also stall: the pipe or terminal stays open and full. Standard output waits for it until a signal ends the program
or the time of the command is over; standard error waits a second, and then skips text until it is read again.
"""

import errno
import io
import os
import select
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TextIO

from upload_tui.errors import OutputError

if TYPE_CHECKING:
    import socket

__all__ = [
    "OutputLostError",
    "continues_without_output",
    "ignore_lost_output",
    "set_output_deadline",
    "guarded_streams",
    "is_output_written",
    "output_error",
]


_LAST_STANDARD_DESCRIPTOR = 2
_POLL_SECONDS = 0.1
_WAIT_SECONDS = 1.0
_ENDING_WAIT_SECONDS = 0.5
"""How long a write may wait when a signal has arrived."""


class OutputLostError(Exception):
    """Standard output cannot be written any more; `output_error` has the reason. Raised once, to end the command."""


class _GuardedFile(io.FileIO):
    """A file that discards everything after its first failure, so that no later flush fails; no write blocks.

    Args:
        file: a descriptor, which stays open at the end, or a path.
        is_required: the first failure raises `OutputLostError`, and a write waits for the reader.
        is_ending: whether a signal has arrived that ends the program.
        failure: an error that the first write raises; None if the file can be written.
    """

    def __init__(
        self, file: int | str, *, is_required: bool, is_ending: Callable[[], bool], failure: OSError | None = None
    ) -> None:
        super().__init__(file, "wb", closefd=isinstance(file, str))
        self.is_required = is_required
        self.failure: OSError | None = None
        self.give_up_at: float | None = None
        self._first_failure = failure
        self._waits = is_required
        self._is_ending = is_ending
        self._is_stalled = False
        self._send: Callable[[Any], int | None] | None = None
        self._own: io.FileIO | socket.socket | None = None

    def write(self, data: Any, /) -> int:
        if self.failure is None:
            try:
                return self._write_or_raise(data)
            except OSError as error:
                self.failure = error
                if self.is_required:
                    raise OutputLostError from error
        return memoryview(data).nbytes

    def close(self) -> None:
        if self._own is not None:
            self._own.close()
        super().close()

    def _write_or_raise(self, data: Any) -> int:
        """Write what fits. Text for standard error is skipped if it is not read."""
        if self._first_failure is not None:
            raise self._first_failure
        if self._send is None:  # at the first write, as a dashboard may have replaced the file before
            self._send = self._unblocked()
        began = time.monotonic()
        while True:
            if select.select([], [self], [], 0 if self._is_stalled else _POLL_SECONDS)[1]:
                with suppress(BlockingIOError):
                    if (written := self._send(data)) is not None:
                        self._is_stalled = False
                        return written
            if self._is_given_up(time.monotonic() - began):
                break
        if self._waits:
            raise InterruptedError if self._is_ending() else TimeoutError(errno.ETIMEDOUT, "it is not read")
        self._is_stalled = True
        return memoryview(data).nbytes

    def _is_given_up(self, waited_seconds: float) -> bool:
        if self._is_ending() and waited_seconds >= _ENDING_WAIT_SECONDS:
            return True
        is_over = waited_seconds >= _WAIT_SECONDS
        if self._waits:
            return is_over and self.give_up_at is not None and time.monotonic() >= self.give_up_at
        return is_over or self._is_stalled

    def _unblocked(self) -> Callable[[Any], int | None]:
        """A function that writes without blocking, and leaves the mode of the descriptor, which other programs share."""
        number = self.fileno()
        mode = os.fstat(number).st_mode
        if stat.S_ISSOCK(mode):
            import socket  # here, because each start imports this module

            own_socket = self._own = socket.socket(fileno=os.dup(number))
            return lambda data: own_socket.send(data, socket.MSG_DONTWAIT)
        if not (stat.S_ISFIFO(mode) or self.isatty()):
            return partial(os.write, number)
        with suppress(OSError):  # not on all systems, and not if another user has opened it
            path = os.ttyname(number) if self.isatty() else f"/proc/self/fd/{number}"
            self._own = io.FileIO(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY), "wb")
            return self._own.write
        return lambda data: os.write(number, memoryview(data)[: select.PIPE_BUF])  # a pipe has space for it


@contextmanager
def guarded_streams(is_ending: Callable[[], bool]) -> Iterator[None]:
    """Guard the standard streams inside the context; give a closed one a replacement.

    Args:
        is_ending: whether a signal has arrived that ends the program.
    """
    _fill_closed_descriptors()
    saved = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115  # the null device, for the whole process
    sys.stdout = _guarded(sys.stdout, is_ending, is_required=True)
    sys.stderr = _guarded(sys.stderr, is_ending, is_required=False)
    try:
        yield
    finally:
        ignore_lost_output()
        for stream, original in zip((sys.stdin, sys.stdout, sys.stderr), saved, strict=True):
            if stream is not original:
                stream.close()
        sys.stdin, sys.stdout, sys.stderr = saved


def _fill_closed_descriptors() -> None:
    """Open the null device in place of closed standard streams, or other files would get their descriptor numbers."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= _LAST_STANDARD_DESCRIPTOR:
        pass
    os.close(number)


def _guarded(stream: TextIO | None, is_ending: Callable[[], bool], *, is_required: bool) -> TextIO:
    """Guard a stream; None is a closed one. A character that the encoding lacks is replaced."""
    if stream is None:
        failure = OSError(errno.EBADF, os.strerror(errno.EBADF))
        closed = _GuardedFile(os.devnull, is_required=is_required, is_ending=is_ending, failure=failure)
        return io.TextIOWrapper(io.BufferedWriter(closed), encoding="utf-8", errors="replace")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.reconfigure(errors="replace")
    try:
        number = stream.fileno()
    except io.UnsupportedOperation:  # a stream of a test
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(_GuardedFile(number, is_required=is_required, is_ending=is_ending)),
        encoding=stream.encoding,
        errors="replace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def continues_without_output(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command continue when standard output cannot be written, because its exit code is its result."""

    @wraps(command)
    def go_on(*arguments: Any, **options: Any) -> Any:
        ignore_lost_output()
        return command(*arguments, **options)

    return go_on


def ignore_lost_output() -> None:
    """Let the running command continue when standard output cannot be written."""
    if (file := _standard_output()) is not None:
        file.is_required = False


def set_output_deadline(deadline: float | None) -> None:
    """Stop waiting for a reader of standard output at a time of the monotonic clock; None waits on."""
    if (file := _standard_output()) is not None:
        file.give_up_at = deadline


def is_output_written() -> bool:
    """Flush standard output; True if all of it was written, as far as this process can know."""
    sys.stdout.flush()
    file = _standard_output()
    return file is None or file.failure is None


def output_error() -> OutputError | None:
    """Why standard output could not be written; None if it could, if its reader has exited, or if a signal ends the program."""
    file = _standard_output()
    if file is None or file.failure is None or isinstance(file.failure, BrokenPipeError | InterruptedError):
        return None
    return OutputError(f"Standard output cannot be written: {file.failure.strerror}", "Write it to another place.")


def _standard_output() -> _GuardedFile | None:
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw if isinstance(raw, _GuardedFile) else None
