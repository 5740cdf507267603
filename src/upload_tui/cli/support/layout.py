"""Table layout: the width of each column, and which columns are shortened or dropped on a narrow terminal. Pure."""

from collections.abc import Sequence

from msgspec import Struct

from upload_tui.cli.support.output import Column, Record

__all__ = ["Table", "layout_table"]

_GAP = "  "


class Table(Struct, frozen=True):
    """The lines of a table, its heading first, and the titles of the columns that did not fit."""

    lines: Sequence[str]
    dropped_titles: Sequence[str]


def layout_table(columns: Sequence[Column], records: Sequence[Record], max_width: int | None) -> Table:
    """Lay out a table of at most `max_width` cells, if its columns can be shortened that far; None sets no limit."""
    from rich.cells import cell_len

    from upload_tui.text import sanitize
    from upload_tui.tui import fit_to_width, truncate_at_word, truncate_middle

    cells = {column.title: [sanitize(column.text(record)) for record in records] for column in columns}
    natural_widths = {title: max(map(cell_len, (title, *texts))) for title, texts in cells.items()}
    widths = _widths(columns, natural_widths, max_width)
    shown = [column for column in columns if column.title in widths]
    rows = zip(*([column.title, *cells[column.title]] for column in shown), strict=True)
    lines = [
        _GAP.join(
            fit_to_width(
                (truncate_at_word if column.is_prose else truncate_middle)(text, widths[column.title]),
                widths[column.title],
                align_right=column.is_number,
            )
            for text, column in zip(row, shown, strict=True)
        ).rstrip()
        for row in rows
    ]
    return Table(lines, [column.title for column in columns if column.title not in widths])


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
