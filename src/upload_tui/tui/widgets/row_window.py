"""The rows that a table holds: those it shows and a margin around them, of however many there are."""

from collections.abc import Sequence
from typing import Protocol

from upload_tui.monitor.picture import Query, Row, Window

__all__ = ["RowSource", "RowWindow"]

_MARGIN_ROWS = 8
"""Rows asked for beyond both edges of what is shown, so that a step of the cursor needs no new window."""


class RowSource(Protocol):
    """Where rows come from; a session is one."""

    def window(self, query: Query, offset: int, limit: int) -> Window:
        """At most `limit` rows from row `offset` (from 0)."""
        ...

    def position(self, query: Query, upload_id: str) -> int | None:
        """The row (from 0) of an upload; None if the query leaves it out."""
        ...


class RowWindow:
    """A window that moves to wherever a row is asked for.

    Args:
        source: whom to ask.
    """

    def __init__(self, source: RowSource) -> None:
        self._source = source
        self._query = Query()
        self._window = Window((), 0, 0, -1)
        self._shown_rows = 0

    @property
    def total(self) -> int:
        """How many rows the query has."""
        return self._window.total

    @property
    def rows(self) -> Sequence[Row]:
        """What is held; another object whenever it was asked for anew."""
        return self._window.rows

    def fetch(self, query: Query, top: int, shown_rows: int) -> None:
        """Ask anew: `shown_rows` rows from row `top`, and the margin."""
        self._query, self._shown_rows = query, shown_rows
        self._window = self._source.window(query, max(0, top - _MARGIN_ROWS), shown_rows + 2 * _MARGIN_ROWS)

    def cover(self, top: int) -> None:
        """Hold all that is shown if `top` is the first row; asks anew only if some of it is not held."""
        held = self._window
        last = min(top + self._shown_rows, held.total)
        if top < held.offset or last > held.offset + len(held.rows):
            self.fetch(self._query, top, self._shown_rows)

    def row(self, number: int) -> Row | None:
        """A row by its number from 0; None if there is none."""
        if not 0 <= number < self.total:
            return None
        index = number - self._window.offset
        if not 0 <= index < len(self._window.rows):
            self.fetch(self._query, number, self._shown_rows)
            index = number - self._window.offset
        return self._window.rows[index] if 0 <= index < len(self._window.rows) else None

    def position(self, upload_id: str) -> int | None:
        """The row of an upload; None if the query leaves it out."""
        return self._source.position(self._query, upload_id)
