"""A table of any number of uploads that only ever holds the rows it shows.

It asks its source for windows of rows; the cursor belongs to an upload, not to a line: while others come and go the row under
the cursor stays under it. It tells which upload is chosen and decides nothing.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar, Protocol

from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from upload_tui.monitor.picture import Query, Row, SortKey, Window
from upload_tui.tui.bindings import TABLE_KEYS
from upload_tui.tui.look import Look
from upload_tui.tui.widgets.row_painter import TONES, Ground, RowPainter

__all__ = ["RowSource", "UploadTable"]

_HEADER_LINES = 1
_MARGIN_ROWS = 40
"""Rows asked for beyond both edges of what is shown, so that a step of the cursor needs no new window."""

_GLOW_SECONDS = 1.5


class RowSource(Protocol):
    """Where rows come from; a session is one."""

    def window(self, query: Query, offset: int, limit: int) -> Window:
        """At most `limit` rows from row `offset` (from 0)."""
        ...

    def position(self, query: Query, upload_id: str) -> int | None:
        """The row (from 0) of an upload; None if the query leaves it out."""
        ...


class UploadTable(ScrollView, can_focus=True):
    """The table. `rows_query`, `look`, `now` and `follow` are set from outside; `reload` fetches after the source changed.

    Args:
        source: where rows come from; any session or picture is one.
        now: the present that ages are reckoned from; without it no row is painted.
        several_projects: whether rows must say which project they belong to.

    >>> from upload_tui.testing import NOW, FrozenClock, a_morning
    >>> from upload_tui.widgets import GivenPicture, UploadTable
    >>> picture = GivenPicture(a_morning(), clock=FrozenClock())
    >>> table = UploadTable(picture, now=NOW)
    >>> picture.close()
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = set(TONES)
    BINDINGS: ClassVar[list[BindingType]] = list(TABLE_KEYS)

    rows_query: reactive[Query] = reactive(Query, init=False)
    look: reactive[Look] = reactive(Look, init=False)
    now: reactive[datetime | None] = reactive(None, init=False)
    follow: reactive[bool] = reactive(False, init=False)
    empty_text: reactive[str] = reactive("")
    marked: reactive[frozenset[str]] = reactive(frozenset, init=False)

    class Chosen(Message):
        """The cursor is on another upload; None if there is none."""

        def __init__(self, upload_id: str | None) -> None:
            super().__init__()
            self.upload_id = upload_id

    class Opened(Message):
        """A person wants to see this upload alone."""

        def __init__(self, upload_id: str) -> None:
            super().__init__()
            self.upload_id = upload_id

    class MarksChanged(Message):
        """Other uploads are marked than before."""

    class FollowEnded(Message):
        """A person moved the cursor away from the newest."""

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
        self._source = source
        self._painter = RowPainter(self._style, several_projects)
        self._window = Window((), 0, 0, -1)
        self._cursor_row = 0
        self._cursor_id: str | None = None
        self._glowing: frozenset[str] = frozenset()
        self._styles: dict[tuple[str, str], Style] = {}

    # What the outside may ask and say

    @property
    def cursor_id(self) -> str | None:
        """The upload under the cursor; None if the table is empty."""
        return self._cursor_id

    @property
    def cursor_row(self) -> int:
        """The row of the cursor, from 0."""
        return self._cursor_row

    @property
    def total(self) -> int:
        """How many rows the query has."""
        return self._window.total

    def reload(self) -> None:
        """Fetch the rows again; the cursor stays on its upload and, unless the table stands at its top, on its line."""
        top = self._top_row()
        row = self._row_of_cursor()
        shift = row - self._cursor_row if top and not self.follow else 0
        self._fetch(max(0, top + shift))
        self._cursor_row = max(0, min(row, self.total - 1))
        self.virtual_size = Size(self.size.width, self.total + _HEADER_LINES)
        if shift:
            self.scroll_to(y=max(0, top + shift), animate=False, force=True, immediate=True)
        self._settle()

    def choose(self, upload_id: str) -> bool:
        """Put the cursor on an upload; False if the query leaves it out."""
        row = self._source.position(self.rows_query, upload_id)
        if row is not None:
            self._go_to(row)
        return row is not None

    def glow(self, upload_ids: Iterable[str]) -> None:
        """Let the rows of uploads that just changed stand out for a moment."""
        changed = frozenset(upload_ids)
        if not changed or self.app.animation_level == "none":
            return
        self._glowing |= changed
        self.set_timer(_GLOW_SECONDS, lambda: self._stop_glowing(changed))

    def _stop_glowing(self, changed: frozenset[str]) -> None:
        self._glowing -= changed
        self.refresh()

    # Changes from outside

    def watch_rows_query(self) -> None:
        self.reload()

    def watch_look(self) -> None:
        self.refresh()

    def watch_now(self) -> None:
        self.refresh()

    def watch_marked(self) -> None:
        self.refresh()
        self.post_message(self.MarksChanged())

    def watch_follow(self, follow: bool) -> None:
        if follow:
            self._go_to(0)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()

    def on_resize(self, event: events.Resize) -> None:
        if self.is_mounted:
            self.reload()
            self._show_cursor()

    # Keys and mouse

    def action_move(self, rows: int) -> None:
        self._go_by_person(self._cursor_row + rows)

    def action_match(self, rows: int) -> None:
        # A search leaves only matches, so the next match is the next row.
        self.action_move(rows)

    def action_page(self, pages: float) -> None:
        self._go_by_person(self._cursor_row + int(pages * max(1, self._visible_rows() - 1)))

    def action_first(self) -> None:
        self._go_by_person(0)

    def action_last(self) -> None:
        self._go_by_person(self.total - 1)

    def action_open(self) -> None:
        if self._cursor_id is not None:
            self.post_message(self.Opened(self._cursor_id))

    def action_mark(self) -> None:
        if self._cursor_id is not None:
            self.marked = self.marked ^ {self._cursor_id}
            self.action_move(1)

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y < _HEADER_LINES:
            column = self._painter.column_at(offset.x)
            if column is not None and column.sort is not None:
                self.post_message(self.SortRequested(column.sort))
            return
        self._go_by_person(self._top_row() + offset.y - _HEADER_LINES)
        if event.chain == 2:
            self.action_open()

    def _go_by_person(self, row: int) -> None:
        if self.follow:
            self.post_message(self.FollowEnded())
        self._go_to(row)

    # The cursor

    def _row_of_cursor(self) -> int:
        if self.follow or self._cursor_id is None:
            return 0 if self.follow else self._cursor_row
        row = self._source.position(self.rows_query, self._cursor_id)
        return self._cursor_row if row is None else row

    def _go_to(self, row: int) -> None:
        self._cursor_row = max(0, min(row, self.total - 1))
        self._settle()

    def _settle(self) -> None:
        """Bring the cursor's row into view and tell if another upload is under it."""
        self._show_cursor()
        row = self._row_at(self._cursor_row)
        upload_id = row.id if row else None
        if upload_id != self._cursor_id:
            self._cursor_id = upload_id
            self.post_message(self.Chosen(upload_id))
        self.refresh()

    def _show_cursor(self) -> None:
        visible = self._visible_rows()
        top = self._top_row()
        if visible > 0 and not top <= self._cursor_row < top + visible:
            target = self._cursor_row if self._cursor_row < top else self._cursor_row - visible + 1
            self.scroll_to(y=max(0, target), animate=False, force=True, immediate=True)

    def _top_row(self) -> int:
        return int(self.scroll_offset.y)

    def _visible_rows(self) -> int:
        return max(0, self.size.height - _HEADER_LINES)

    # Rows

    def _row_at(self, row: int) -> Row | None:
        if not 0 <= row < self.total:
            return None
        if not self._window.offset <= row < self._window.offset + len(self._window.rows):
            self._fetch(row)
        index = row - self._window.offset
        return self._window.rows[index] if 0 <= index < len(self._window.rows) else None

    def _fetch(self, top: int) -> None:
        offset = max(0, top - _MARGIN_ROWS)
        self._window = self._source.window(self.rows_query, offset, self._visible_rows() + 2 * _MARGIN_ROWS)

    # Painting

    def render_line(self, y: int) -> Strip:
        width, look = self.scrollable_content_region.width, self.look  # a scrollbar makes it narrower
        self._painter.fit(width, look)
        if y < _HEADER_LINES:
            return self._painter.header(self.rows_query, look, width)
        if y == _HEADER_LINES + 1 and not self.total and self.empty_text:
            return self._painter.sentence(self.empty_text, look, width)
        number = self._top_row() + y - _HEADER_LINES
        row = self._row_at(number)
        if row is None or self.now is None:
            return Strip.blank(width, self.rich_style)
        ground = self._ground_of(row, number == self._cursor_row)
        return self._painter.row(row, self.now, look, width, ground, is_marked=row.id in self.marked)

    def _ground_of(self, row: Row, is_cursor: bool) -> Ground:
        if is_cursor:
            return "uploads--cursor" if self.has_focus else "uploads--cursor-blurred"
        return "uploads--glow" if row.id in self._glowing else ""

    def _style(self, tone: str, ground: Ground) -> Style:
        """The style of a tone on a row's ground; looked up in the sheets once."""
        key = (tone, ground)
        style = self._styles.get(key)
        if style is None:
            below = self.get_component_rich_style(ground) if ground else self.rich_style
            ink = self.get_component_rich_style(tone, partial=True) if tone else Style.null()
            style = self._styles[key] = below + ink
        return style
