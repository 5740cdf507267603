"""Prints data: a table for people; JSON, JSON lines or CSV for programs. Only data goes to standard output."""

import csv
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click
from msgspec import Struct

__all__ = ["FORMATS", "Column", "Printer", "echo_err", "output_option", "terminal_columns"]

FORMATS = ("table", "json", "jsonl", "csv")

Record = Mapping[str, Any]


class Column(Struct, frozen=True):
    """A column of a table.

    Attributes:
        title: its heading.
        text: gets the text of a cell from a record; the printer sanitizes it.
        is_number: aligned to the right.
        min_width: the width in cells to which it may be shortened on a narrow terminal; 0 for never. The last columns go first.
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
    """Print a message to standard error, where no program takes it for data; sanitized, since it may quote a service."""
    click.echo(_sanitize(text), err=True)


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
        from upload_tui.cli.support.layout import layout_table

        max_width = terminal_columns(sys.stdout.fileno()) if sys.stdout.isatty() else None
        table = layout_table(self._columns, records, max_width)
        for line in table.lines:
            click.echo(line)
        if table.dropped_titles:
            echo_err(f"upload-tui: the terminal is too narrow for {', '.join(table.dropped_titles)}.")


def _sanitize(text: str) -> str:
    from upload_tui.text import sanitize

    return sanitize(text)
