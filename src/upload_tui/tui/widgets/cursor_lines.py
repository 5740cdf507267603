"""A list with a cursor: the keys that move it, and the scrolling that keeps it in view."""

from abc import abstractmethod
from typing import ClassVar

from rich.style import Style as RichStyle
from textual.message import Message

from upload_tui.monitor import UploadKey
from upload_tui.tui.bindings import no_search_text
from upload_tui.tui.widgets.cached_lines import CachedLines

__all__ = ["CursorLines"]


class CursorLines(CachedLines, can_focus=True):
    """A list whose rows take one line or more, below a header that does not scroll."""

    HEADER_LINES: ClassVar[int] = 0

    class Opened(Message):
        """The user opened this upload (Enter or a double click)."""

        def __init__(self, key: UploadKey) -> None:
            super().__init__()
            self.key = key
            self.upload_id = key.id

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002  # Textual's own name
        super().__init__(id=id, classes=classes)
        self._styles_on: dict[tuple[str, str], RichStyle] = {}
        self._last_height = 0

    @property
    @abstractmethod
    def cursor_row(self) -> int:
        """The row of the cursor, from 0."""

    @property
    @abstractmethod
    def cursor_key(self) -> UploadKey | None:
        """The upload under the cursor; None if the list is empty."""

    @property
    def cursor_id(self) -> str | None:
        """The id of the upload under the cursor; None if the list is empty."""
        return None if self.cursor_key is None else self.cursor_key.id

    @property
    @abstractmethod
    def total(self) -> int:
        """Number of rows."""

    @abstractmethod
    def _move_cursor(self, row: int) -> None:
        """Move the cursor because the user asked for it; `row` may be out of range."""

    @property
    def _lines_per_row(self) -> int:
        return 1

    @property
    def _height(self) -> int:
        """The height; while the list is hidden, the one before, so that its cursor stays on its upload."""
        self._last_height = self.size.height or self._last_height
        return self._last_height

    # Keys

    def action_move(self, rows: int) -> None:
        """Move the cursor by this many rows."""
        self._move_cursor(self.cursor_row + rows)

    def _go_to_match(self, rows: int, *, is_filtered: bool) -> None:
        """Go to a match. A search or a filter hides everything else, so the next match is the next row."""
        if is_filtered:
            self.action_move(rows)
        else:
            self.notify(no_search_text(self.screen), timeout=2)

    def action_page(self, pages: float) -> None:
        """Move the cursor by this many pages."""
        self.action_move(int(pages * max(1, self._visible_rows() - 1)))

    def action_first(self) -> None:
        """Move the cursor to the first row."""
        self._move_cursor(0)

    def action_last(self) -> None:
        """Move the cursor to the last row."""
        self._move_cursor(self.total - 1)

    def action_open(self) -> None:
        """Open the upload at the cursor."""
        key = self.cursor_key
        if key is None:
            self.notify("No upload selected.", timeout=2)
        else:
            self.post_message(self.Opened(key))

    # Scrolling

    def _body_line(self, y: int) -> int:
        """The line, counted from the first line of the first row, at the visible line `y`."""
        return int(self.scroll_offset.y) + y - self.HEADER_LINES

    def _first_line(self, row: int) -> int:
        """The line of a row, counted from the first line of the first row; its other lines follow."""
        return row * self._lines_per_row

    def _row_from(self, line: int) -> int:
        """The first row that begins at a line or below it."""
        return -(-line // self._lines_per_row)

    def _top_row(self) -> int:
        """The first row that is completely visible."""
        return self._row_from(int(self.scroll_offset.y))

    def _visible_rows(self) -> int:
        """How many rows fit into the widget."""
        return max(0, self._height - self.HEADER_LINES) // self._lines_per_row

    def _bring_into_view(self, row: int) -> None:
        height, top = self.size.height - self.HEADER_LINES, int(self.scroll_offset.y)
        end = (first := self._first_line(row)) + self._lines_per_row
        if height >= self._lines_per_row and not top <= first <= end <= top + height:
            self._scroll_to_row(row if first < top else self._row_from(end - height))

    def _scroll_to_row(self, row: int) -> None:
        self.scroll_to(y=self._first_line(max(0, row)), animate=False, force=True, immediate=True)

    # Styles

    def style_on(self, component_class: str, background: str = "") -> RichStyle:
        """The style of a component class on the background of another; an empty name means the widget's own style. Cached."""
        key = (component_class, background)
        style = self._styles_on.get(key)
        if style is None:
            style = self.get_component_rich_style(background) if background else self.rich_style
            if component_class:
                style += self.get_component_rich_style(component_class, partial=True)
            self._styles_on[key] = style
        return style

    def notify_style_update(self) -> None:
        """Drop the cached styles."""
        super().notify_style_update()
        self._styles_on.clear()
