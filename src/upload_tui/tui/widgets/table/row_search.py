"""Finds the next upload of a kind below the cursor, without reading what lies between."""

from upload_tui.monitor import Query
from upload_tui.tui.widgets.table.row_window import RowSource

__all__ = ["next_matching"]


def next_matching(source: RowSource, query: Query, narrower: Query, row: int) -> str | None:
    """The upload of a narrower query that stands first below a row of the wider one; from the top again if there is none.

    Both queries have the same order, so the places rise together and halving finds the one.

    Args:
        source: where rows come from.
        query: what is shown.
        narrower: the same, restricted further.
        row: the row to begin below, from 0.
    """
    total = source.window(narrower, 0, 0).total
    if total == 0:
        return None
    low, high = 0, total
    while low < high:
        middle = (low + high) // 2
        if _position(source, query, narrower, middle) > row:
            high = middle
        else:
            low = middle + 1
    return source.window(narrower, low if low < total else 0, 1).rows[0].id


def _position(source: RowSource, query: Query, narrower: Query, number: int) -> int:
    rows = source.window(narrower, number, 1).rows
    place = source.position(query, rows[0].id) if rows else None
    return -1 if place is None else place
