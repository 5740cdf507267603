"""How data is printed: a table for people, JSON, JSON lines or CSV for programs. Data goes to standard output, nothing else does."""

import csv
import io
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click
from msgspec import Struct

__all__ = ["FORMATS", "Column", "Printer", "output_option", "echo_err"]

FORMATS = ("table", "json", "jsonl", "csv")

Record = Mapping[str, Any]


class Column(Struct, frozen=True):
    """A column of a table.

    Attributes:
        title: its heading.
        text: what a record has to say there; made harmless by the printer.
        is_number: written to the right.
        least: the cells to which it is shortened, visibly, where the terminal is too narrow; 0 for never. The last give way first.
        leaves: where even that is too wide it is left out, and this is said; the lowest number first, 0 never.
        is_prose: shortened at its end, between words; others in their middle, so that their ending stays.
    """

    title: str
    text: Callable[[Record], str]
    is_number: bool = False
    min_width: int = 0
    drop_order: int = 0
    is_prose: bool = False


def output_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--output` to a command."""
    return click.option(
        "--output",
        "-o",
        "output",
        type=click.Choice(FORMATS),
        help="How to print; a table on a terminal, JSON lines in a pipe.",
    )(command)


def echo_err(text: str) -> None:
    """Talk: to standard error, so that no program takes it for data."""
    click.echo(text, err=True)


class Printer:
    """Prints records in one of the formats.

    Args:
        output: the format; None takes a table on a terminal and JSON lines elsewhere.
        columns: of the table.
        flatten: a record as one level of values, for CSV.
    """

    def __init__(
        self, output: str | None, columns: Sequence[Column], flatten: Callable[[Record], Record] = dict
    ) -> None:
        self._format = output or ("table" if sys.stdout.isatty() else "jsonl")
        self._columns = columns
        self._flatten = flatten
        self._has_heading = False

    @property
    def is_table(self) -> bool:
        """True if people read it."""
        return self._format == "table"

    def print_records(self, records: Iterable[Record]) -> None:
        """Print everything at once; JSON as one list, a table with columns as wide as they need to be."""
        match self._format:
            case "json":
                click.echo(json.dumps(list(records), indent=2))
            case "table":
                self._print_table(list(records))
            case _:
                for record in records:
                    self.print_record(record)

    def print_record(self, record: Record) -> None:
        """Print one record of a stream, at once."""
        match self._format:
            case "csv":
                self._print_csv(self._flatten(record))
            case "table":
                click.echo("  ".join(_sanitize(column.text(record)) for column in self._columns).rstrip())
            case _:
                click.echo(json.dumps(record))
        sys.stdout.flush()

    def _print_csv(self, flat: Record) -> None:
        line = io.StringIO()
        writer = csv.writer(line, lineterminator="\n")
        if not self._has_heading:
            writer.writerow(flat)
            self._has_heading = True
        writer.writerow(map(_csv_value, flat.values()))
        click.echo(line.getvalue(), nl=False)

    def _print_table(self, records: Sequence[Record]) -> None:
        from upload_tui.cli.support.layout import layout_table

        room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        table = layout_table(self._columns, records, room)
        for line in table.lines:
            click.echo(line)
        if table.dropped_titles:
            echo_err(f"upload-tui: the terminal is too narrow for {', '.join(table.dropped_titles)}.")


def _csv_value(value: Any) -> Any:
    """As JSON has it; a terminal would obey what a file only keeps."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _sanitize(value) if isinstance(value, str) and sys.stdout.isatty() else value


def _sanitize(text: str) -> str:
    from upload_tui.text import sanitize

    return sanitize(text)
