"""The rows that a table holds: those it shows and a margin around them, of however many there are."""

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from upload_tui.monitor import Query, Row, Window

__all__ = ["RowSource", "RowWindow"]

_MARGIN_ROWS = 8
"""Rows asked for beyond both edges of what is shown, so that a step of the cursor needs no new window."""
_FRAME_SECONDS = 0.008
"""So long a frame may wait for a search; what is not found by then is looked for afterwards."""
_SEARCH_STEP_SECONDS = 0.004
"""So long a key may wait for those that look on."""
_BEYOND_LAST_ROW = 1 << 40
_MAX_PREFETCHED = 6
"""Windows kept beside the one that is shown: where the next key may lead, and where the last ones came from."""


class RowSource(Protocol):
    """Where rows come from; a session is one."""

    def window(self, query: Query, offset: int, limit: int, patience_seconds: float | None = None) -> Window:
        """At most `limit` rows from row `offset` (from 0); with `patience_seconds`, what is found within them."""
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
        self._prefetched: deque[Window] = deque(maxlen=_MAX_PREFETCHED)
        self._shown_rows = 0

    @property
    def total(self) -> int:
        """How many rows the query has."""
        return self._window.total

    @property
    def is_settled(self) -> bool:
        """False while the source has not found all rows of the query."""
        return self._window.is_settled

    def continue_search(self) -> Window:
        """Let the source look for more rows, for a moment; gives how many there are by now, but none of them."""
        return self._source.window(self._query, _BEYOND_LAST_ROW, 0, _SEARCH_STEP_SECONDS)

    def fetch(self, query: Query, top: int, shown_rows: int) -> None:
        """Ask anew: `shown_rows` rows from row `top`, and the margin."""
        self._query, self._shown_rows = query, shown_rows
        self._prefetched.clear()
        self._window = self._fetch_around(top)

    def ensure_loaded(self, top: int) -> None:
        """Hold all that is shown if `top` is the first row; asks anew only if some of it is not held."""
        if not self._contains(self._window, top):
            prepared = next((window for window in self._prefetched if self._contains(window, top)), None)
            self._prefetched.append(self._window)
            self._window = prepared or self._fetch_around(top)

    def prefetch(self, top: int) -> Sequence[Row]:
        """Ask already for what `cover(top)` will want; gives the rows that would be shown then."""
        kept = (self._window, *self._prefetched)
        window = next((window for window in kept if self._contains(window, top)), None)
        if window is None:
            window = self._fetch_around(top)
            self._prefetched.append(window)
        return window.rows[max(0, top - window.offset) :][: self._shown_rows]

    def _fetch_around(self, top: int) -> Window:
        first, rows = max(0, top - _MARGIN_ROWS), self._shown_rows + 2 * _MARGIN_ROWS
        return self._source.window(self._query, first, rows, _FRAME_SECONDS)

    def _contains(self, window: Window, top: int) -> bool:
        """True if a window is of the picture that is shown, and has all that is seen from row `top`."""
        last = min(top + self._shown_rows, window.total)
        is_of_now = window.revision == self._window.revision
        return is_of_now and window.offset <= top and last <= window.offset + len(window.rows)

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
