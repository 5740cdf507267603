"""A table of any number of uploads that only ever holds the rows it shows.

It asks its source for windows of rows; the cursor belongs to an upload, not to a line: while others come and go the row under
the cursor stays under it. It tells which upload is chosen and decides nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from itertools import repeat
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from upload_tui.monitor import Query, Row, SortKey
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.keys.bindings import TABLE_KEYS
from upload_tui.tui.widgets.table.idle_tasks import IdleTasks
from upload_tui.tui.widgets.table.row_cursor import RowCursor
from upload_tui.tui.widgets.table.row_lines import HEADER_LINES, RowLines
from upload_tui.tui.widgets.table.row_painter import TABLE_CLASSES, Background, RowPainter, StripCache, StyleCache
from upload_tui.tui.widgets.table.row_window import RowSource, RowWindow

__all__ = ["UploadTable"]

_HIGHLIGHT_SECONDS = 1.5
_SEARCH_STEPS = 40
"""How often more rows are looked for, a moment each, before what was found is shown."""


class UploadTable(RowLines, can_focus=True):
    """The table. `rows_query`, `look`, `now` and `follow` are set from outside; `reload` fetches after the source changed.

    Args:
        source: where rows come from; any session or picture is one.
        now: the present that ages are reckoned from; without it no row is painted.
        several_projects: whether rows must say which project they belong to.

    >>> from upload_tui.testing import NOW, FrozenClock, sample_uploads
    >>> from upload_tui.widgets import InMemoryPicture, UploadTable
    >>> picture = InMemoryPicture(sample_uploads(), clock=FrozenClock())
    >>> table = UploadTable(picture, now=NOW)
    >>> picture.close()
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = set(TABLE_CLASSES)
    BINDINGS: ClassVar[list[BindingType]] = list(TABLE_KEYS)

    rows_query: reactive[Query] = reactive(Query, init=False)
    display_options: reactive[DisplayOptions] = reactive(DisplayOptions, init=False)
    now: reactive[datetime | None] = reactive(None, init=False, repaint=False)
    follow: reactive[bool] = reactive(False, init=False)
    empty_text: reactive[str] = reactive("", repaint=False)
    marked: reactive[frozenset[str]] = reactive(frozenset, init=False)
    several_projects: reactive[bool] = reactive(False, init=False)

    class Selected(Message):
        """The cursor is on another upload; None if there is none."""

        def __init__(self, upload_id: str | None) -> None:
            super().__init__()
            self.upload_id = upload_id

    class Opened(Message):
        """A person wants to see this upload alone."""

        def __init__(self, upload_id: str) -> None:
            super().__init__()
            self.upload_id = upload_id

    class TitleChanged(Message):
        """What a title says of the table has changed: how many rows there are, what is marked, whether it follows."""

    class SortRequested(Message):
        """A person clicked a column's title."""

        def __init__(self, sort: SortKey) -> None:
            super().__init__()
            self.sort = sort

    def __init__(
        self,
        source: RowSource,
        *,
        now: datetime | None = None,
        several_projects: bool = False,
        id: str | None = None,  # noqa: A002  # Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.set_reactive(UploadTable.now, now)
        self.set_reactive(UploadTable.several_projects, several_projects)
        self._row_styles = StyleCache(self)
        self._painter = RowPainter(self._row_styles.style)
        self._window = RowWindow(source)
        self._cursor = RowCursor()
        self._highlighted: frozenset[str] = frozenset()
        self._row_strips = StripCache()
        self._prefetch_tasks = IdleTasks(self)
        self._search_tasks = IdleTasks(self)

    # What the outside may ask and say

    @property
    def cursor_id(self) -> str | None:
        """The upload under the cursor; None if the table is empty."""
        return self._cursor.upload_id

    @property
    def cursor_row(self) -> int:
        """The row of the cursor, from 0."""
        return self._cursor.row

    @property
    def total(self) -> int:
        """How many rows the query has."""
        return self._window.total

    @property
    def is_settled(self) -> bool:
        """False while more rows of the query are still looked for."""
        return self._window.is_settled

    def row_at(self, number: int) -> Row | None:
        """The row with a number, from 0; None if there is none."""
        return self._window.row(number)

    def reload(self, now: datetime | None = None) -> None:
        """Fetch the rows again; the cursor stays on its upload and, unless the table stands at its top, on its line.

        `now` is the present from here on; None leaves it.
        """
        if now is not None:
            self.set_reactive(UploadTable.now, now)
        top = self._top_row()
        self._window.fetch(self.rows_query, top, self._visible_rows() + 1)  # the last may be seen in part
        row = 0 if self.follow else self._cursor.target_row(self._window, None if top else self._visible_rows())
        shift = row - self._cursor.row if top and not self.follow else 0
        self._cursor.row = max(0, min(row, self.total - 1))
        self.set_line_count(self.total * self._lines_per_row + HEADER_LINES)
        if shift:
            self._scroll_to_row(top + shift)
        self._update_cursor()
        if not self.is_settled:
            self._search_tasks.schedule(self._search_steps())

    def _search_steps(self) -> Iterator[Callable[[], object]]:
        yield from repeat(self._window.continue_search, _SEARCH_STEPS)
        yield self._show_found

    def _show_found(self) -> None:
        self.reload()
        self.post_message(self.TitleChanged())

    def select(self, upload_id: str) -> bool:
        """Put the cursor on an upload; False if the query leaves it out."""
        row = self._window.position(upload_id)
        if row is not None:
            self._cursor.pin()
            self._go_to(row)
        return row is not None

    def highlight(self, upload_ids: Iterable[str]) -> None:
        """Let the rows of uploads that just changed stand out for a moment."""
        changed = frozenset(upload_ids)
        if not changed or self.app.animation_level == "none":
            return
        self._highlighted |= changed
        self.set_timer(_HIGHLIGHT_SECONDS, lambda: self._end_highlight(changed))

    def _end_highlight(self, changed: frozenset[str]) -> None:
        self._highlighted -= changed
        self.refresh()

    # Changes from outside

    def watch_rows_query(self, before: Query, after: Query) -> None:
        if not self.follow:
            is_reordered = (before.sort, before.descending) != (after.sort, after.descending)
            self._cursor.on_query_changed(is_reordered=is_reordered)
        self.reload()

    def watch_display_options(self, before: DisplayOptions, after: DisplayOptions) -> None:
        if before.is_roomy != after.is_roomy:
            self.reload()
            self._scroll_to_row(self._cursor.row - self._visible_rows() // 2)
        self.refresh()

    def watch_now(self) -> None:
        self.refresh_changed()

    def watch_marked(self) -> None:
        self.refresh()
        self.post_message(self.TitleChanged())

    def watch_follow(self, follow: bool) -> None:
        if follow:
            self._cursor.forget_previous()
            self._go_to(0)
        self.post_message(self.TitleChanged())

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._row_styles.clear()
        self._row_strips.clear()

    def on_resize(self, event: events.Resize) -> None:
        if self.is_mounted:
            self.reload()
            self._bring_into_view(self._cursor.row)

    # Keys and mouse

    def action_move(self, rows: int) -> None:
        self._move_by_user(self._cursor.row + rows)

    def action_match(self, rows: int) -> None:
        # A search leaves only matches, so the next match is the next row.
        self.action_move(rows)

    def action_page(self, pages: float) -> None:
        self._move_by_user(self._cursor.row + int(pages * max(1, self._visible_rows() - 1)))

    def action_first(self) -> None:
        self._move_by_user(0)

    def action_last(self) -> None:
        self._move_by_user(self.total - 1)

    def action_open(self) -> None:
        if self._cursor.upload_id is None:
            self.notify("No upload is chosen.", timeout=2)
        else:
            self.post_message(self.Opened(self._cursor.upload_id))

    def action_mark(self) -> None:
        if self._cursor.upload_id is None:
            self.notify("No upload is chosen.", timeout=2)
        else:
            self.marked = self.marked ^ {self._cursor.upload_id}
            self.action_move(1)

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y < HEADER_LINES:
            column = self._painter.column_at(offset.x)
            if column is not None and column.sort is not None:
                self.post_message(self.SortRequested(column.sort))
            return
        self._move_by_user(self._body_line(offset.y) // self._lines_per_row)
        if event.chain == 2:
            self.action_open()

    def _move_by_user(self, row: int) -> None:
        self.follow = False
        self._cursor.pin()
        self._go_to(row)
        self._schedule_prefetch()

    @property
    def _lines_per_row(self) -> int:
        return 2 if self.display_options.is_roomy else 1

    # The cursor

    def _go_to(self, row: int) -> None:
        self._cursor.row = max(0, min(row, self.total - 1))
        self._update_cursor()

    def _update_cursor(self) -> None:
        """Bring the cursor's row into view and tell if another upload is under it."""
        self._bring_into_view(self._cursor.row)
        self._window.ensure_loaded(self._top_row())
        row = self._window.row(self._cursor.row)
        upload_id = row.id if row else None
        if upload_id != self._cursor.upload_id:
            self._cursor.upload_id = upload_id
            self.post_message(self.Selected(upload_id))
        self.refresh_changed()

    def _schedule_prefetch(self) -> None:
        """Where the next key may lead is fetched and painted before it comes."""
        visible, top = self._visible_rows(), self._top_row()
        last, page = max(0, self.total - visible), max(1, visible - 1)
        self._prefetch_tasks.schedule(
            partial(self._prefetch, to) for to in (min(top + page, last), max(0, top - page), last, 0)
        )

    def _prefetch(self, top: int) -> None:
        if self.now is not None:
            for row in self._window.prefetch(top):
                for part in range(self._lines_per_row):
                    self._row_line(row, part, self._background_of(row, is_cursor=False), self.now)

    # Painting

    def line(self, y: int) -> Strip:
        """The heading, a row, or words in place of rows."""
        width, look = self.line_width, self.display_options
        self._painter.fit(width, look, self.several_projects)
        if y < HEADER_LINES:
            return self._painter.header(self.rows_query, look, width)
        if y == HEADER_LINES + 1 and not self.total and self.empty_text:
            return self._painter.message(self.empty_text, look, width)
        number, part = divmod(self._body_line(y), self._lines_per_row)
        row = self._window.row(number)
        if row is None or self.now is None:
            return Strip.blank(width, self.rich_style)
        return self._row_line(row, part, self._background_of(row, is_cursor=number == self._cursor.row), self.now)

    def _row_line(self, row: Row, part: int, background: Background, now: datetime) -> Strip:
        width, look, is_marked = self.line_width, self.display_options, row.id in self.marked
        self._row_strips.clear_if_changed((now, look, width, self.several_projects))
        paint = self._painter.second_line if part else self._painter.row
        done = partial(paint, row, now, look, width, background, is_marked=is_marked)
        return self._row_strips.get(row, (part, background, is_marked), done)

    def _background_of(self, row: Row, *, is_cursor: bool) -> Background:
        if is_cursor:
            return "uploads--cursor" if self.has_focus else "uploads--cursor-blurred"
        return "uploads--glow" if row.id in self._highlighted else ""
