"""Prints data: a table for people; JSON, JSON lines, CSV or TSV for programs. Only data goes to standard output.

The progress bar of a command that waits is drawn on standard error.
"""

import io
import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import click
from msgspec import Struct

from upload_tui.errors import (
    UsageError,
    did_you_mean,
)

__all__ = [
    "Column",
    "Printer",
    "ProgressBar",
    "command_text",
    "echo_err",
    "echo_message",
    "output_option",
    "progress_bar",
    "terminal_columns",
]

_FORMATS = ("table", "json", "jsonl", "csv", "tsv")
_FIELDS = "upload_tui.fields"
"""Where the context of the running command keeps the value of `--fields`."""

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
    """Add `--output` and `--fields` to a command; a `Printer` reads the fields itself."""
    command = click.option(
        "--fields",
        expose_value=False,
        callback=_keep_fields,
        metavar="NAME,…",
        help="Only these fields, in this order, such as id,project.name.",
    )(command)
    return click.option(
        "--output",
        "-o",
        "output",
        type=click.Choice(_FORMATS),
        help="Output format; by default a table on a terminal, JSON lines in a pipe. In a pipe a table is not shortened.",
    )(command)


def _keep_fields(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    names = [name.strip() for name in value.split(",")]
    if not all(names):
        raise UsageError("A name in --fields is empty", "Write names with commas between them, such as id,project.name")
    doubles = [name for number, name in enumerate(names) if name in names[:number]]
    if doubles:
        raise UsageError(f"--fields names {doubles[0]} twice", "Give each field once")
    context.meta[_FIELDS] = names


def _chosen_fields() -> Sequence[str]:
    context = click.get_current_context(silent=True)
    chosen: Sequence[str] = () if context is None else context.meta.get(_FIELDS, ())
    return chosen


def _field_value(record: Record, flat: Record, name: str) -> Any:
    """The value of a field: a path such as `project.name` in a record, or a column of its CSV.

    Raises:
        UsageError: there is no such field.
    """
    value: Any = record
    for part in name.split("."):
        if value is None:
            return None  # such as the project of a change of the connection
        if not isinstance(value, Mapping) or part not in value:
            break
        value = value[part]
    else:
        return value
    if name in flat:
        return flat[name]
    nested = [f"{key}.{part}" for key, inner in record.items() if isinstance(inner, Mapping) for part in inner]
    raise _unknown_field(name, (*record, *nested, *flat))


def _unknown_field(name: str, known: Iterable[str]) -> UsageError:
    names = [one for one in dict.fromkeys(known) if "*" not in one]
    inner = [one for one in names if one.rpartition(".")[2] == name]  # `upload.id` for `id`
    hint = did_you_mean(name, inner or names, otherwise=f"Fields: {', '.join(inner or names)}.")
    return UsageError(f"There is no field {name}", f"Did you mean {inner[0]}?" if inner else hint)


def echo_err(text: str) -> None:
    """Print a message to standard error, where no program reads it as data; sanitized, since it may quote a service."""
    from upload_tui.text import sanitize_text

    click.echo(sanitize_text(text.replace("\n", " ")), err=True)


def echo_message(text: str) -> None:
    """Print a message of the program to standard error, after its name."""
    echo_err(f"upload-tui: {text}")


def command_text(words: Sequence[str], arguments: Sequence[str]) -> str:
    """A command line of this program for a shell; no argument is taken for an option."""
    has_dash = any(argument.startswith("-") for argument in arguments)
    return shlex.join(["upload-tui", *words, *(["--"] if has_dash else []), *arguments])


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
        paths: the other names that `--fields` may choose, such as `project.name`; `*` stands for any text.

    Raises:
        UsageError: a name of `--fields` is not among them.
    """

    def __init__(
        self,
        output: str | None,
        columns: Sequence[Column],
        flatten: Callable[[Record], Record] = dict,
        fields: Sequence[str] = (),
        paths: Sequence[str] = (),
    ) -> None:
        self._select: Callable[[Record], Record] = lambda record: record
        self._format = output or ("table" if sys.stdout.isatty() else "jsonl")
        self._columns = columns
        self._flatten = flatten
        self._fields = fields
        self._has_heading = False
        if chosen := _chosen_fields():
            for name in chosen:
                if not any(fnmatchcase(name, known) for known in (*fields, *paths)):
                    raise _unknown_field(name, (*fields, *paths))
            self._choose_fields(chosen)

    def _choose_fields(self, names: Sequence[str]) -> None:
        flatten = self._flatten
        self._select = lambda record: {name: _field_value(record, flatten(record), name) for name in names}
        self._flatten = dict
        self._fields = names
        self._columns = [Column(name.upper(), partial(_named_cell, name)) for name in names]

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Replace the table's columns, unless the user chose fields."""
        if not _chosen_fields():
            self._columns = columns

    @property
    def is_table(self) -> bool:
        """True if the output is a table with all that people want to read: without `--fields`."""
        return self._format == "table" and not _chosen_fields()

    @property
    def is_stream(self) -> bool:
        """True if records may be printed before all are known: in JSON they are one list, and a table fits its columns."""
        return self._format not in {"json", "table"}

    def print_records(self, records: Iterable[Record]) -> None:
        """Print all records at once, or the next ones of a stream: JSON as one list, a table with fitted columns."""
        match self._format:
            case "json":
                click.echo(json.dumps([*map(self._select, records)], indent=2))
            case "table":
                self._print_table([*map(self._select, records)])
            case _:
                self.print_header()
                for record in records:
                    self._print_record(self._select(record))
                sys.stdout.flush()

    def print_record(self, record: Record) -> None:
        """Print one record of a stream and flush."""
        record = self._select(record)
        if self._format == "table":
            click.echo("  ".join(_sanitize(column.text(record)) for column in self._columns).rstrip())
        else:
            self._print_record(record)
        sys.stdout.flush()

    def _print_record(self, record: Record) -> None:
        if self._format in {"csv", "tsv"}:
            self._print_row(self._flatten(record))
        else:
            sys.stdout.write(json.dumps(record) + "\n")

    def print_header(self) -> None:
        """Print the heading of a CSV or TSV whose fields are known before its first record, and flush; else nothing."""
        if self._format in {"csv", "tsv"} and self._fields and not self._has_heading:
            self._has_heading = True
            click.echo(self._delimited(self._fields), nl=False)
            sys.stdout.flush()

    def _print_row(self, flat: Record) -> None:
        if not self._has_heading:
            self._has_heading = True
            sys.stdout.write(self._delimited(flat))
        sys.stdout.write(self._delimited(flat.values()))

    def _delimited(self, cells: Iterable[Any]) -> str:
        """A line of CSV or TSV. In a TSV nothing is quoted: tabs and line breaks are sanitized."""
        from upload_tui.text import csv_cell

        texts = [csv_cell(_cell_text(cell) if isinstance(cell, dict | list) else cell) for cell in cells]
        if self._format == "tsv":
            return "\t".join("" if text is None else str(text) for text in texts) + "\n"
        import csv

        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(texts)
        return line.getvalue()

    def _print_table(self, records: Sequence[Record]) -> None:
        from upload_tui.cli.support.tables import layout_table

        max_width = terminal_columns(sys.stdout.fileno()) if sys.stdout.isatty() else None
        table = layout_table(self._columns, records, max_width)
        for line in table.lines:
            click.echo(line)
        if table.dropped_titles:
            echo_message(f"the terminal is too narrow for {', '.join(table.dropped_titles)}.")


def _named_cell(name: str, record: Record) -> str:
    return _cell_text(record[name])


def _cell_text(value: Any) -> str:
    """A value in one cell."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)


def _sanitize(text: str) -> str:
    from upload_tui.text import sanitize

    return sanitize(text)


_BAR_CELLS = 30


class ProgressBar:
    """A progress bar on standard error; draws nothing if that is no terminal that can redraw a line."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._is_shown = (
            total > 0 and sys.stderr.isatty() and os.environ.get("TERM") not in {None, "", "dumb", "unknown"}
        )

    def advance(self, count: int) -> None:
        """Count uploads that are done, and draw."""
        self._done += count
        self.draw()

    def draw(self) -> None:
        """Draw the bar on the current line."""
        if self._is_shown:
            count = f"{self._done} of {self._total}"
            # The last column stays empty: some terminals wrap there, and a wrapped line cannot be redrawn.
            width = min(_BAR_CELLS, terminal_columns(sys.stderr.fileno()) - len(count) - len("[] ") - 1)
            filled = width * self._done // self._total
            bar = f"[{'#' * filled}{'.' * (width - filled)}] " if width > 0 else ""
            click.echo(f"\r{bar}{count}", nl=False, err=True)

    def clear(self) -> None:
        """Clear the current line."""
        if self._is_shown:
            click.echo("\r\033[K", nl=False, err=True)


@contextmanager
def progress_bar(total: int) -> Iterator[ProgressBar]:
    """Draw a bar for `total` uploads while the block runs, and erase it at the end."""
    bar = ProgressBar(total)
    bar.draw()
    try:
        yield bar
    finally:
        bar.clear()
