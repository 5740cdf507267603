"""Where rows stand on the lines of a scrolling widget: below a heading that stays, each on one line or more."""

from abc import abstractmethod

from upload_tui.tui.widgets.base.cached_lines import CachedLines

__all__ = ["HEADER_LINES", "RowLines"]

HEADER_LINES = 1


class RowLines(CachedLines):
    """A scrolling widget of rows."""

    @property
    @abstractmethod
    def _lines_per_row(self) -> int:
        """How many lines a row takes."""

    def _body_line(self, y: int) -> int:
        """The line, from the first row's first, that stands at line `y` of what is seen."""
        return int(self.scroll_offset.y) + y - HEADER_LINES

    def _top_row(self) -> int:
        """The first row that is seen whole."""
        return -(-int(self.scroll_offset.y) // self._lines_per_row)

    def _visible_rows(self) -> int:
        return max(0, self.size.height - HEADER_LINES) // self._lines_per_row

    def _bring_into_view(self, row: int) -> None:
        visible = self._visible_rows()
        top = self._top_row()
        if visible > 0 and not top <= row < top + visible:
            self._scroll_to_row(row if row < top else row - visible + 1)

    def _scroll_to_row(self, row: int) -> None:
        self.scroll_to(y=max(0, row) * self._lines_per_row, animate=False, force=True, immediate=True)
