"""Guards the standard streams: a failure to write output never changes the result of a command.

If standard error cannot be written, what follows is discarded. If standard output cannot be written, the command ends;
but a command whose exit code is its result (`wait`, for example) continues without output. A broken pipe is no error;
any other failure has an exit code of its own.
"""

import errno
import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TextIO

from upload_tui.errors import OutputError

__all__ = ["OutputLostError", "guarded_streams", "continues_without_output", "is_output_written", "output_error"]


_LAST_STANDARD_DESCRIPTOR = 2


class OutputLostError(Exception):
    """Standard output cannot be written any more; `output_error` has the reason. Raised once, to end the command."""


class _GuardedFile(io.FileIO):
    """A file that discards everything after its first failure, so that no later flush fails.

    Args:
        file: a descriptor, which stays open at the end, or a path.
        is_required: the first failure raises `OutputLostError`.
        failure: an error that the first write raises; None if the file can be written.
    """

    def __init__(self, file: int | str, *, is_required: bool, failure: OSError | None = None) -> None:
        super().__init__(file, "wb", closefd=isinstance(file, str))
        self.is_required = is_required
        self.failure: OSError | None = None
        self._first_failure = failure

    def write(self, data: Any, /) -> int:
        while self.failure is None:
            try:
                written = self._write_or_raise(data)
            except OSError as error:
                self.failure = error
                if self.is_required:
                    raise OutputLostError from error
            else:
                if written is not None:
                    return written
                select.select([], [self], [])  # another program made the pipe or terminal non-blocking
        return memoryview(data).nbytes

    def _write_or_raise(self, data: Any) -> int | None:
        if self._first_failure is not None:
            raise self._first_failure
        return super().write(data)


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Guard the standard streams inside the context; give a closed one a replacement."""
    _fill_closed_descriptors()
    saved = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115  # the null device, for the whole process
    sys.stdout = _guarded(sys.stdout, is_required=True)
    sys.stderr = _guarded(sys.stderr, is_required=False)
    try:
        yield
    finally:
        _ignore_lost_output()
        for stream, original in zip((sys.stdin, sys.stdout, sys.stderr), saved, strict=True):
            if stream is not original:
                stream.close()
        sys.stdin, sys.stdout, sys.stderr = saved


def _fill_closed_descriptors() -> None:
    """Open the null device in place of closed standard streams, or other files would get their descriptor numbers."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= _LAST_STANDARD_DESCRIPTOR:
        pass
    os.close(number)


def _guarded(stream: TextIO | None, *, is_required: bool) -> TextIO:
    """Guard a stream; None is a closed one. A character that the encoding lacks is replaced."""
    if stream is None:
        closed = _GuardedFile(
            os.devnull, is_required=is_required, failure=OSError(errno.EBADF, os.strerror(errno.EBADF))
        )
        return io.TextIOWrapper(io.BufferedWriter(closed), encoding="utf-8", errors="replace")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.reconfigure(errors="replace")
    try:
        number = stream.fileno()
    except io.UnsupportedOperation:  # a stream of a test
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(_GuardedFile(number, is_required=is_required)),
        encoding=stream.encoding,
        errors="replace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def continues_without_output(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command continue when standard output cannot be written, because its exit code is its result."""

    @wraps(command)
    def go_on(*arguments: Any, **options: Any) -> Any:
        _ignore_lost_output()
        return command(*arguments, **options)

    return go_on


def _ignore_lost_output() -> None:
    if (file := _standard_output()) is not None:
        file.is_required = False


def is_output_written() -> bool:
    """Flush standard output; True if all of it was written, as far as this process can know."""
    sys.stdout.flush()
    file = _standard_output()
    return file is None or file.failure is None


def output_error() -> OutputError | None:
    """Why standard output could not be written; None if it could, or if its reader has exited."""
    file = _standard_output()
    if file is None or file.failure is None or isinstance(file.failure, BrokenPipeError):
        return None
    return OutputError(f"Standard output cannot be written: {file.failure.strerror}", "Write it to another place.")


def _standard_output() -> _GuardedFile | None:
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw if isinstance(raw, _GuardedFile) else None
