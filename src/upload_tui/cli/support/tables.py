"""The columns of the tables of uploads and changes, and their layout on a terminal of any width."""

from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from functools import partial
from typing import Any

from msgspec import Struct

from upload_tui.cli.support.output import Column, Record

__all__ = ["Table", "change_columns", "layout_table", "local_time", "trouble_text", "upload_columns"]


def local_time(text: str | None, zone: tzinfo | None) -> str:
    """Format a record's time in a time zone (None: the system's); `?` if it is not known."""
    if text is None:
        return "?"
    on = datetime.fromisoformat(text)
    try:
        return on.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError):  # the first and last days of the calendar
        return on.strftime("%Y-%m-%d %H:%M:%SZ")


_CERTAINTY_SIGNS = {"estimated": "~", "observed": "<"}


def _since(record: Record, zone: tzinfo | None) -> str:
    """When the stage began: `~` marks an estimate, `<` the latest possible time."""
    return f"{_CERTAINTY_SIGNS.get(record['stage_since_certainty'], '')}{local_time(record['stage_since'], zone)}"


def _age(now: Callable[[], datetime], record: Record) -> str:
    """How long the upload has been in its stage, as in the dashboard: `~` marks an estimate, `>` the least possible age.

    The age of an upload that may have left its stage since it was last read ends then.
    """
    from upload_tui.text import age_text

    if record["stage_since"] is None:
        return "?"
    since, read_on = map(datetime.fromisoformat, (record["stage_since"], record["as_of"]))
    age = age_text(((read_on if record["stale"] else now()) - since).total_seconds())
    is_estimated = record["stage_since_certainty"] == "estimated"
    return f"{'>' if record['least_age'] and age != '?' else '~' if is_estimated else ''}{age}"


def _size(record: Record) -> str:
    from upload_tui.text import size_text

    return size_text(record["size_bytes"])


def trouble_text(record: Record) -> str:
    """What is wrong with an upload, in words; empty if nothing is, or if its stage already shows it."""
    from upload_tui.monitor import TROUBLE_WORDS, Trouble

    if record["trouble"] in {Trouble.CONTRADICTORY, Trouble.STUCK, Trouble.OVERDUE}:
        return TROUBLE_WORDS[Trouble(record["trouble"])]
    return "stuck" if record["stuck"] else "overdue" if record["overdue"] else ""


def _note(record: Record) -> str:
    """That the upload is gone, what is wrong with it, the error message, its anomalies, each name once, and that it is purged."""
    names = dict.fromkeys(anomaly["name"].replace("_", " ") for anomaly in record["anomalies"])
    gone, purged = (word if record[word] else "" for word in ("gone", "purged"))
    return "; ".join(filter(None, (gone, trouble_text(record), record["error_message"], ", ".join(names), purged)))


def upload_columns(zone: tzinfo | None, now: Callable[[], datetime]) -> Sequence[Column]:
    """The columns of `list` and `wait`; ages count to `now`. On a narrow terminal the note is shortened first, then the name."""
    return (
        Column("STAGE", lambda record: record["stage"]),
        Column("SINCE", lambda record: _since(record, zone), drop_order=1),
        Column("AGE", partial(_age, now), is_number=True, drop_order=5),
        Column("SIZE", _size, is_number=True, drop_order=4),
        Column(
            "PROJECT", lambda record: record["project"]["name"] or record["project"]["id"], min_width=12, drop_order=2
        ),
        Column("ID", lambda record: record["id"]),
        Column("NAME", lambda record: record["name"], min_width=16, drop_order=6),
        Column("NOTE", _note, min_width=24, drop_order=3, is_prose=True),
    )


def _change_text(record: Record) -> str:
    match record["kind"]:
        case "stage":
            return f"{record['from'] or 'new'} → {record['to']}" if record["from"] else str(record["to"])
        case "state" | "connection":
            return str(record["to"])
        case kind:
            return str(kind)


def _change_upload(record: Record) -> str:
    upload: dict[str, Any] | None = record["upload"]
    return "" if upload is None else f"{upload['name']} ({upload['id']})"


def change_columns(zone: tzinfo | None) -> Sequence[Column]:
    """The columns of `tail`, which prints line by line: only what has a known width is aligned."""
    return (
        Column(
            "AT",
            lambda record: local_time(record["on"] or record["latest"] or record["earliest"] or record["at"], zone),
        ),
        Column("CHANGE", lambda record: f"{_change_text(record):<21}"),
        Column("UPLOAD", _change_upload),
        Column("NOTE", lambda record: record["error_message"] or record["detail"] or ""),
    )


_GAP = "  "
_MAX_PADDED_CELLS = 60
"""In a pipe a longer text is whole, and moves only what follows in its own line: it must not fill every other line with blanks."""


class Table(Struct, frozen=True):
    """The lines of a table, its heading first, and the titles of the columns that did not fit."""

    lines: Sequence[str]
    dropped_titles: Sequence[str]


def layout_table(columns: Sequence[Column], records: Sequence[Record], max_width: int | None) -> Table:
    """Lay out a table of at most `max_width` cells, if its columns can be shortened that far; None shortens nothing."""
    from rich.cells import cell_len

    from upload_tui.text import sanitize
    from upload_tui.tui import fit_to_width

    def clean(text: str) -> str:
        return sanitize(text, None) if max_width is None else sanitize(text)

    cells = {column.title: [clean(column.text(record)) for record in records] for column in columns}
    natural_widths = {title: max(map(cell_len, (title, *texts))) for title, texts in cells.items()}
    widths = _widths(columns, natural_widths, max_width)
    shown = [column for column in columns if column.title in widths]
    rows = zip(*([column.title, *cells[column.title]] for column in shown), strict=True)
    if max_width is None:
        widths = {title: min(width, _MAX_PADDED_CELLS) for title, width in widths.items()}

    def cell(text: str, column: Column) -> str:
        width = widths[column.title]
        if cell_len(text) > width:
            return text if max_width is None else _shorten(text, column, width)
        return fit_to_width(text, width, align_right=column.is_number)

    lines = [_GAP.join(map(cell, row, shown)).rstrip() for row in rows]
    return Table(lines, [column.title for column in columns if column.title not in widths])


def _shorten(text: str, column: Column, width: int) -> str:
    from upload_tui.tui import fit_to_width, truncate_at_word, truncate_middle

    return fit_to_width((truncate_at_word if column.is_prose else truncate_middle)(text, width), width)


def _widths(columns: Sequence[Column], natural_widths: dict[str, int], max_width: int | None) -> dict[str, int]:
    """The width of each column that is shown, by its title.

    Columns are shortened first, from the last one on, and dropped in their order if that is not enough.
    """
    droppable = sorted((column for column in columns if column.drop_order), key=lambda column: column.drop_order)
    shown = list(columns)
    while True:
        widths = {column.title: natural_widths[column.title] for column in shown}
        excess = 0 if max_width is None else sum(widths.values()) + len(_GAP) * (len(widths) - 1) - max_width
        for column in reversed(shown):
            if excess > 0 and column.min_width:
                cut = min(excess, max(0, widths[column.title] - max(column.min_width, len(column.title))))
                widths[column.title] -= cut
                excess -= cut
        if excess <= 0 or not droppable:
            return widths
        shown.remove(droppable.pop(0))
