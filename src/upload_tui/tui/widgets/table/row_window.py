"""The rows that a table holds in memory: the visible ones and a margin around them, loaded while the user presses no key."""

from asyncio import TimerHandle, get_running_loop
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from textual.events import Callback
from textual.widget import Widget

from upload_tui.monitor import Query, Row, UploadKey, Window

__all__ = ["IdleTasks", "RowSource", "RowWindow", "next_in_trouble", "next_matching"]

_MARGIN_ROWS = 8
"""Rows fetched beyond both edges of the visible ones, so that moving the cursor by a row needs no fetch."""
_FIRST_ROWS = 256
"""The rows that decide on the widths of columns at once; others do when they are shown."""
_FRAME_SECONDS = 0.008
"""Longest time that a frame waits for a search; the rest is searched afterwards."""
_SEARCH_STEP_SECONDS = 0.004
"""Duration of one step of a continued search: a key pressed meanwhile waits this long."""
_BEYOND_LAST_ROW = 1 << 40
_MAX_PREFETCHED = 6
"""Windows kept beside the current one: those that the next key may need, and those shown last."""


class RowSource(Protocol):
    """A source of rows, such as a picture."""

    def window(self, query: Query, offset: int, limit: int, patience_seconds: float | None = None) -> Window:
        """At most `limit` rows from row `offset` (from 0); with `patience_seconds`, those found within that time."""
        ...

    def position(self, query: Query, upload_id: str, service: str = "") -> int | None:
        """The row (from 0) of an upload; None if it does not match the query."""
        ...


class RowWindow:
    """A window over the rows of a source that moves to any row that is requested; `fetch` after another `source` is set."""

    def __init__(self, source: RowSource) -> None:
        self.source = source
        self._query = Query()
        self._window = Window((), 0, 0, -1)
        self._first_rows: Sequence[Row] = ()
        self._sampled: Window | None = None
        self._prefetched: deque[Window] = deque(maxlen=_MAX_PREFETCHED)
        self._visible_rows = 0

    @property
    def total(self) -> int:
        """Number of rows that match the query."""
        return self._window.total

    @property
    def rows(self) -> Sequence[Row]:
        """The visible rows and those around them."""
        return self._window.rows

    @property
    def in_trouble(self) -> int:
        """Number of rows in trouble that come first in the order `trouble`."""
        return self._window.in_trouble

    @property
    def total_in_trouble(self) -> int:
        """Number of all rows in trouble in the order `trouble`."""
        return self._window.total_in_trouble

    @property
    def is_settled(self) -> bool:
        """False while the source has not found all rows of the query."""
        return self._window.is_settled

    def first_rows(self) -> Sequence[Row]:
        """The first rows of a query; fetched once, and again when there are far more than before."""
        is_more = len(self._first_rows) < _FIRST_ROWS and self.total > 2 * len(self._first_rows)
        if is_more and self._sampled is not self._window:
            self._sampled = self._window
            self._first_rows = self.source.window(self._query, 0, _FIRST_ROWS, _FRAME_SECONDS).rows
        return self._first_rows

    def count(self, query: Query) -> int:
        """The number of rows of another query, as far as they are found within a frame."""
        return self.source.window(query, 0, 0, _FRAME_SECONDS).total

    def continue_search(self) -> Window:
        """Let the source search for a moment; return a window without rows that has the new total."""
        return self.source.window(self._query, _BEYOND_LAST_ROW, 0, _SEARCH_STEP_SECONDS)

    def fetch(self, query: Query, top: int, visible_rows: int) -> None:
        """Fetch `visible_rows` rows from row `top`, and the margin; drop everything fetched before."""
        self._query, self._visible_rows = query, visible_rows
        self._prefetched.clear()
        self._window = self._fetch_around(top)

    def ensure_loaded(self, top: int) -> None:
        """Hold the rows that are visible when `top` is the first row; fetch only what is missing."""
        if not self._contains(self._window, top):
            prefetched = next((window for window in self._prefetched if self._contains(window, top)), None)
            self._prefetched.append(self._window)
            self._window = prefetched or self._fetch_around(top)

    def prefetch(self, top: int) -> tuple[Sequence[Row], Sequence[Row]]:
        """Fetch what `ensure_loaded(top)` will need; return the rows, and those of them that would be visible."""
        windows = (self._window, *self._prefetched)
        window = next((window for window in windows if self._contains(window, top)), None)
        if window is None:
            window = self._fetch_around(top)
            self._prefetched.append(window)
        return window.rows, window.rows[max(0, top - window.offset) :][: self._visible_rows]

    def _fetch_around(self, top: int) -> Window:
        first, rows = max(0, top - _MARGIN_ROWS), self._visible_rows + 2 * _MARGIN_ROWS
        return self.source.window(self._query, first, rows, _FRAME_SECONDS)

    def _contains(self, window: Window, top: int) -> bool:
        """True if a window has the current revision and all rows that are visible from row `top` on."""
        last = min(top + self._visible_rows, window.total)
        is_current = window.revision == self._window.revision
        return is_current and window.offset <= top and last <= window.offset + len(window.rows)

    def row(self, number: int) -> Row | None:
        """The row with this number, from 0; None if there is none."""
        if not 0 <= number < self.total:
            return None
        index = number - self._window.offset
        if not 0 <= index < len(self._window.rows):
            self.fetch(self._query, number, self._visible_rows)
            index = number - self._window.offset
        return self._window.rows[index] if 0 <= index < len(self._window.rows) else None

    def keys_above(self, number: int) -> Sequence[UploadKey]:
        """The uploads above a row as far as they are held, the nearest first."""
        return [row.key for row in reversed(self._window.rows[: max(0, number - self._window.offset)])]

    def position(self, key: UploadKey) -> int | None:
        """The row of an upload; None if it does not match the query."""
        return self.source.position(self._query, *key)


def next_in_trouble(source: RowSource, query: Query, key: UploadKey | None) -> UploadKey | None:
    """The upload after another one in a query whose rows are all in trouble, in the order `trouble`.

    Args:
        source: the source of rows.
        query: the query.
        key: the upload to go on from; the first one comes next if the query does not include it.

    Returns:
        The upload's key; None if the query has no rows.
    """
    position = None if key is None else source.position(query, *key)
    number = 0 if position is None else position + 1
    rows = source.window(query, number, 1).rows or source.window(query, 0, 1).rows
    return rows[0].key if rows else None


def next_matching(source: RowSource, query: Query, narrower: Query, row: int) -> UploadKey | None:
    """The first upload below a row that matches a narrower query; from the top again if there is none below.

    Both queries have the same order, not `trouble`, so the positions ascend and bisection finds the upload.

    Args:
        source: the source of rows.
        query: the query that is shown.
        narrower: the same query with more conditions.
        row: the row to start below, from 0.

    Returns:
        The upload's key; None if nothing matches.
    """

    def position(number: int) -> int:
        rows = source.window(narrower, number, 1).rows
        position = source.position(query, *rows[0].key) if rows else None
        return -1 if position is None else position

    total = source.window(narrower, 0, 0).total
    number = bisect_right(range(total), row, key=position)
    rows = source.window(narrower, number if number < total else 0, 1).rows
    return rows[0].key if rows else None


_IDLE_SECONDS = 0.03
"""Time without a schedule before the tasks start; about the repeat interval of a held key."""
_PAUSE_SECONDS = 0.003
"""Pause between two tasks, so that a key pressed meanwhile is handled."""


class IdleTasks:
    """Runs one list of tasks at a time, each as a message of a widget.

    Args:
        widget: runs the tasks; the remaining ones end with it.
    """

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._tasks: Iterator[Callable[[], object]] = iter(())
        self._next: TimerHandle | None = None

    def schedule(self, tasks: Iterator[Callable[[], object]]) -> None:
        """Run these tasks soon; cancel the remaining ones of an earlier call."""
        self._tasks = tasks
        self._run_in(_IDLE_SECONDS)

    def _run_in(self, seconds: float) -> None:
        if self._next is not None:
            self._next.cancel()
        # Each key starts one, and a timer of Textual is a task of its own.
        self._next = get_running_loop().call_later(seconds, self._widget.post_message, Callback(self._run_next))

    def _run_next(self) -> None:
        task = next(self._tasks, None)
        if task is not None:
            task()
            self._run_in(_PAUSE_SECONDS)
