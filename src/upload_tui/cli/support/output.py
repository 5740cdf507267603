"""Prints data to the standard streams, and guards them: a failure to write output never changes the result of a command.

If standard error cannot be written, what follows is discarded. If standard output cannot be written, the command ends;
but a command whose exit code is its result (`wait`, for example) continues without output. A broken pipe is no error;
any other failure has an exit code of its own.
"""

import csv
import errno
import io
import json
import os
import select
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, TextIO

import click
from msgspec import Struct

from upload_tui.errors import OutputError

__all__ = [
    "Column",
    "FORMATS",
    "OutputLostError",
    "Printer",
    "echo_err",
    "guarded_streams",
    "continues_without_output",
    "is_output_written",
    "output_error",
    "output_option",
    "terminal_columns",
]

FORMATS = ("table", "json", "jsonl", "csv")

Record = Mapping[str, Any]


class Column(Struct, frozen=True):
    """A column of a table.

    Attributes:
        title: its heading.
        text: gets the text of a cell from a record; the printer sanitizes it.
        is_number: aligned to the right.
        min_width: the width in cells to which it may be shortened on a narrow terminal; 0 for never. The last such
            column is shortened first.
        drop_order: the order in which columns are dropped if the table is still too wide, lowest first; 0 for never.
        is_prose: shortened at the end, between words; other columns in the middle, so that their ending stays.
    """

    title: str
    text: Callable[[Record], str]
    is_number: bool = False
    min_width: int = 0
    drop_order: int = 0
    is_prose: bool = False


def output_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--output` to a command."""
    return click.option(
        "--output",
        "-o",
        "output",
        type=click.Choice(FORMATS),
        help="Output format; by default a table on a terminal, JSON lines in a pipe.",
    )(command)


def echo_err(text: str) -> None:
    """Print a message to standard error, where no program reads it as data; sanitized, since it may quote a service."""
    from upload_tui.text import sanitize_text

    click.echo(sanitize_text(text.replace("\n", " ")), err=True)


def terminal_columns(descriptor: int) -> int:
    """The width of a terminal in cells; a shell's exported COLUMNS counts only where the terminal does not know its size."""
    try:
        columns = os.get_terminal_size(descriptor).columns
    except OSError:
        columns = 0
    return columns or shutil.get_terminal_size().columns


class Printer:
    """Prints records in one of the formats.

    Args:
        output: the format; None selects a table on a terminal, JSON lines elsewhere.
        columns: the table's columns.
        flatten: turns a record into one level of values, for CSV.
        fields: the keys of flat records, so that a CSV without records has its header; empty if a record always exists.
    """

    def __init__(
        self,
        output: str | None,
        columns: Sequence[Column],
        flatten: Callable[[Record], Record] = dict,
        fields: Sequence[str] = (),
    ) -> None:
        self._format = output or ("table" if sys.stdout.isatty() else "jsonl")
        self._columns = columns
        self._flatten = flatten
        self._fields = fields
        self._has_heading = False

    @property
    def is_table(self) -> bool:
        """True if the output is a table, which people read."""
        return self._format == "table"

    def print_records(self, records: Iterable[Record]) -> None:
        """Print all records at once: JSON as one list, a table with fitted columns."""
        match self._format:
            case "json":
                click.echo(json.dumps(list(records), indent=2))
            case "table":
                self._print_table(list(records))
            case _:
                self.print_header()
                for record in records:
                    self.print_record(record)

    def print_record(self, record: Record) -> None:
        """Print one record of a stream and flush."""
        match self._format:
            case "csv":
                self._print_csv(self._flatten(record))
            case "table":
                click.echo("  ".join(_sanitize(column.text(record)) for column in self._columns).rstrip())
            case _:
                click.echo(json.dumps(record))
        sys.stdout.flush()

    def print_header(self) -> None:
        """Print the header of a CSV whose fields are known before its first record, and flush; nothing in other formats."""
        if self._format == "csv" and self._fields and not self._has_heading:
            self._has_heading = True
            click.echo(",".join(self._fields))
            sys.stdout.flush()

    def _print_csv(self, flat: Record) -> None:
        from upload_tui.text import csv_cell

        line = io.StringIO()
        writer = csv.writer(line, lineterminator="\n")
        if not self._has_heading:
            writer.writerow(flat)
            self._has_heading = True
        writer.writerow(map(csv_cell, flat.values()))
        click.echo(line.getvalue(), nl=False)

    def _print_table(self, records: Sequence[Record]) -> None:
        from upload_tui.cli.support.tables import layout_table

        max_width = terminal_columns(sys.stdout.fileno()) if sys.stdout.isatty() else None
        table = layout_table(self._columns, records, max_width)
        for line in table.lines:
            click.echo(line)
        if table.dropped_titles:
            echo_err(f"upload-tui: the terminal is too narrow for {', '.join(table.dropped_titles)}.")


def _sanitize(text: str) -> str:
    from upload_tui.text import sanitize

    return sanitize(text)


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
