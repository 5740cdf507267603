"""A list of any number of uploads that fetches only the rows it shows.

Its cursor belongs to an upload, not to a row number: when rows are added or removed, the cursor stays on the upload.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import repeat

from msgspec.structs import replace
from textual import events
from textual.message import Message
from textual.reactive import reactive

from upload_tui.monitor import Query, Row, SortKey, UploadKey
from upload_tui.tui.widgets.cursor_lines import CursorLines
from upload_tui.tui.widgets.table.row_cursor import CursorPlace, RowCursor
from upload_tui.tui.widgets.table.row_window import IdleTasks, RowSource, RowWindow

__all__ = ["RowList"]


_SEARCH_STEPS = 40
"""Steps of a continued search before the rows found by it are shown."""


class RowList(CursorLines, can_focus=True):
    """The rows of `rows_query` and the cursor; how rows are painted is up to the subclass.

    With `follow` the cursor stays on the first row. The list alone sets it: a key that moves the cursor ends it, and so does a
    query whose first row is not the newest upload.
    """

    rows_query: reactive[Query] = reactive(Query, init=False, repaint=False)
    now: reactive[datetime | None] = reactive(None, init=False, repaint=False)
    follow: reactive[bool] = reactive(False, init=False)

    class Selected(Message):
        """Another upload is under the cursor; None if the list is empty."""

        def __init__(self, key: UploadKey | None) -> None:
            super().__init__()
            self.key = key
            self.upload_id = None if key is None else key.id

    class Followed(Message):
        """The list follows the newest upload from now on."""

    class TitleChanged(Message):
        """The number of rows, the marked uploads or `follow` changed, which a title may show."""

    def __init__(self, source: RowSource, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self.window = RowWindow(source)
        """The rows in view and those near them."""
        self._cursor = RowCursor()
        self._is_cursor_moving = False
        self._prefetch_tasks = IdleTasks(self)
        self._search_tasks = IdleTasks(self)

    @property
    def cursor_key(self) -> UploadKey | None:
        """The upload under the cursor; None if the list is empty."""
        return self._cursor.key

    @property
    def cursor_row(self) -> int:
        """The row of the cursor, from 0."""
        return self._cursor.row

    @property
    def total(self) -> int:
        """Number of rows that match the query."""
        return self.window.total

    @property
    def is_all_in_trouble(self) -> bool:
        """True if the order is `trouble` and each row is in trouble."""
        return self.is_settled and 0 < self.total == self.window.total_in_trouble

    @property
    def is_settled(self) -> bool:
        """False while the source still searches for more rows of the query."""
        return self.window.is_settled

    def reload(self, now: datetime | None = None, source: RowSource | None = None) -> None:
        """Fetch the rows again, after the source changed.

        The cursor stays on its upload and, unless the list is scrolled to its top, on its line. While rows in trouble are in
        view, the view stays, and so does the cursor if its upload is no longer in view.

        Args:
            now: the new time that ages are computed from; None keeps the old one.
            source: the new source of rows; None keeps the old one.
        """
        if source is not None:
            self.window.source = source
        if now is not None:
            self.set_reactive(RowList.now, now)
        top, query, place = self._top_row(), self.rows_query, self._place()
        is_trouble_first = query.sort is SortKey.TROUBLE
        if is_trouble_first:
            query = replace(query, max_in_trouble=self._max_in_trouble())
        self.window.fetch(query, top, self._visible_rows() + 1)  # the last may be visible in part
        if is_trouble_first and query.max_in_trouble != self._max_in_trouble():  # there are more or fewer others
            query = replace(query, max_in_trouble=self._max_in_trouble())
            self.window.fetch(query, top, self._visible_rows() + 1)
        rows_from_top = None if top else self._visible_rows()
        row = self._cursor.target_row(self.window, place, rows_from_top, stays_on_top=is_trouble_first)
        row = 0 if self.follow else min(row, self._last_visible_row()) if place.stays_in_view else row
        shift = row - self._cursor.row if top and not (self.follow or place.stays_in_view) else 0
        self._cursor.row = max(0, min(row, self.total - 1))
        self.set_line_count(self._first_line(self.total) + self.HEADER_LINES)
        if shift:
            self._scroll_to_row(top + shift)
        self._update_cursor()
        self.refresh_changed()
        if not self.is_settled:
            self._search_tasks.schedule(self._search_steps())
        self._handle_reloaded()

    def keep_place(self) -> None:
        """Let the cursor and the view stay at the next reload if the upload gets into trouble or out of it: the user did that."""
        self._cursor.keeps_place = True

    def _place(self) -> CursorPlace:
        return self._cursor.place(self.window, self._top_row())

    def _max_in_trouble(self) -> int | None:
        """How many rows in trouble come first: half of what is visible, and what the other rows leave; one more if it is the last.

        None if all rows are in trouble: then the list has one order.
        """
        if self.is_all_in_trouble:
            return None
        visible, total = self._visible_rows(), self.window.total_in_trouble
        most = max(1, visible // 2, visible - 1 - (self.window.total - total))
        return most + (total == most + 1 and visible > most)

    # Lines: a rule parts the rows in trouble, which come first, from the others

    @property
    def _rule_row(self) -> int | None:
        """The row below the rule; None if there is no rule."""
        in_trouble = self.window.in_trouble
        return in_trouble if 0 < in_trouble < self.total else None

    def _first_line(self, row: int) -> int:
        rule = self._rule_row
        return super()._first_line(row) + (rule is not None and row >= rule)

    def _row_from(self, line: int) -> int:
        rule = self._rule_row
        return super()._row_from(line - (rule is not None and line > super()._first_line(rule)))

    def _place_at(self, line: int) -> tuple[int, int] | None:
        """The row at a line, and which of the row's lines it is; None for the rule."""
        rule = self._rule_row
        below = -1 if rule is None else line - super()._first_line(rule)
        return None if below == 0 else divmod(line - (below > 0), self._lines_per_row)

    def _last_visible_row(self) -> int:
        """The last row that is completely visible, or would be in a list without an end."""
        end = int(self.scroll_offset.y) + max(self._lines_per_row, self._height - self.HEADER_LINES)
        return self._row_from(end - self._lines_per_row + 1) - 1

    def _handle_reloaded(self) -> None:
        """Called after the rows were fetched again."""

    def select(self, upload_id: str, service: str = "") -> bool:
        """Put the cursor on an upload; False if it does not match the query."""
        row = self.window.position(UploadKey(upload_id, service))
        if row is not None:
            self._cursor.pin()
            self._go_to(row)
        return row is not None

    @abstractmethod
    def _paint_ahead(self, rows: Sequence[Row], visible: Sequence[Row], now: datetime) -> None:
        """Paint the visible ones of rows into the cache because the next key may show them."""

    def toggle_follow(self) -> None:
        """Start or end following the newest upload."""
        self.follow = not self.follow
        if self.follow:
            self.post_message(self.Followed())

    def end_follow(self) -> None:
        """Let the cursor stay where it is."""
        self.follow = False

    def watch_rows_query(self, before: Query, after: Query) -> None:
        """Show the rows of the new query."""
        self.follow = self.follow and after.is_newest_first
        if not self.follow:
            is_reordered = (before.sort, before.descending) != (after.sort, after.descending)
            self._cursor.on_query_changed(is_reordered=is_reordered)
        self.reload()

    def watch_now(self, before: datetime | None, after: datetime | None) -> None:
        """Repaint what depends on the time; `reload` has painted its own."""
        if after != before:
            self.refresh_changed()

    def watch_follow(self, follow: bool) -> None:
        """Go to the newest upload when following starts."""
        if follow:
            self._cursor.forget_previous()
            self._go_to(0)
        self.post_message(self.TitleChanged())

    def on_resize(self, event: events.Resize) -> None:
        """Read the rows that are visible now."""
        if self.is_mounted:
            self.reload()
            self._bring_into_view(self._cursor.row)

    def action_match(self, rows: int) -> None:
        """Go to the next match, or to the previous one."""
        self._go_to_match(rows, is_filtered=self.rows_query.is_filtered)

    def _move_cursor(self, row: int) -> None:
        self.end_follow()
        self._cursor.pin()
        self._go_to(row)
        self._schedule_prefetch()

    def _go_to(self, row: int) -> None:
        self._cursor.row = max(0, min(row, self.total - 1))
        self._update_cursor()
        if not self._is_cursor_moving:
            self._is_cursor_moving = self.post_message(events.Callback(self._paint_cursor))

    def _update_cursor(self) -> None:
        """Bring the cursor into view and post `Selected` if another upload is under it."""
        self._bring_into_view(self._cursor.row)
        self.window.ensure_loaded(self._top_row())
        row = self.window.row(self._cursor.row)
        key = row.key if row else None
        if key != self._cursor.key:
            self._cursor.key = key
            self.post_message(self.Selected(key))

    def _paint_cursor(self) -> None:
        """Paint once for all keys that have arrived together."""
        self._is_cursor_moving = False
        self.refresh_changed()

    def _search_steps(self) -> Iterator[Callable[[], object]]:
        yield from repeat(self.window.continue_search, _SEARCH_STEPS)
        yield self._show_found

    def _show_found(self) -> None:
        self.reload()
        self.post_message(self.TitleChanged())

    def _schedule_prefetch(self) -> None:
        """Fetch and paint the pages that the next key may lead to."""
        visible, top = self._visible_rows(), self._top_row()
        last, page = max(0, self.total - visible), max(1, visible - 1)
        targets = (min(top + page, last), max(0, top - page), last, 0)
        self._prefetch_tasks.schedule(partial(self._prefetch, target) for target in targets)

    def _prefetch(self, top: int) -> None:
        if self.now is not None:
            self._paint_ahead(*self.window.prefetch(top), self.now)
