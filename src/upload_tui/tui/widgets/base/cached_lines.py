"""A scrolling widget that repaints only the lines that changed and caches what Textual makes of each line.

Adding the border and applying the screen's filters costs more than painting a line, so the results are cached as well.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Self

from textual.cache import FIFOCache
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from upload_tui.tui.widgets.base.scroll_bar import PlainScrollBarRender, move_scroll_bar

__all__ = ["CachedLines"]

_MAX_RENDERED = 1024
"""Rendered lines in the cache: several screens."""


class CachedLines(ScrollView):
    """A scrolling widget that is painted line by line."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002  # Textual's own name
        super().__init__(id=id, classes=classes)
        self.line_width = 0
        """Width of a line in cells, without the scroll bar; set before `line` is called."""
        self._lines: dict[int, Strip] = {}
        self._rendered: FIFOCache[int, tuple[Strip, Strip]] = FIFOCache(_MAX_RENDERED)
        """By the id of a painted line: the line, and what Textual rendered from it."""
        self._rendered_size = Size()

    @abstractmethod
    def line(self, y: int) -> Strip:
        """Paint the visible line `y`, from 0 at the top."""

    def on_mount(self) -> None:
        """Draw the scroll bar with plain characters."""
        self.vertical_scrollbar.renderer = PlainScrollBarRender  # type: ignore[misc]  # Textual allows one per instance

    def render_line(self, y: int) -> Strip:
        """A line, from the cache if it is there."""
        strip = self._lines.get(y)
        if strip is None:
            strip = self._lines[y] = self.line(y)
        return strip

    def render_lines(self, crop: Region) -> list[Strip]:
        """Like Textual's method, but call it only for lines that are not in the cache."""
        if self.outer_size != self._rendered_size:
            self._clear_lines()
            self._rendered_size = self.outer_size
        self.line_width = self.scrollable_content_region.width
        top, height = self.gutter.top, self.content_size.height
        strips: dict[int, Strip] = {}
        if crop.column_span == (0, self._rendered_size.width):
            for y in crop.line_range:
                if 0 <= y - top < height:
                    line = self.render_line(y - top)
                    cached = self._rendered.get(id(line))
                    if cached is not None and cached[0] is line:
                        strips[y] = cached[1]
        for run in _runs(y for y in crop.line_range if y not in strips):
            rendered = super().render_lines(Region(crop.x, run.start, crop.width, len(run)))
            for y, strip in zip(run, rendered, strict=True):
                strips[y] = strip
                if 0 <= y - top < height and crop.width == self._rendered_size.width:
                    line = self.render_line(y - top)
                    self._rendered[id(line)] = (line, strip)
        return [strips[y] for y in crop.line_range]

    def set_line_count(self, count: int) -> None:
        """Set the number of lines to scroll over. Request a layout only if the scroll bar appears or disappears."""
        before, after = self.virtual_size, Size(self.size.width, count)
        if after == before:
            return
        if (count > self.container_size.height) is not self.show_vertical_scrollbar:
            self.virtual_size = after
            return
        self.set_reactive(ScrollView.virtual_size, after)
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.window_virtual_size = count
        self.scroll_y = self.validate_scroll_y(self.scroll_y)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Move the scroll bar, and repaint if another line is the first."""
        if self.show_vertical_scrollbar:
            move_scroll_bar(self.vertical_scrollbar, new_value)
        if round(old_value) != round(new_value):
            self.refresh(self.size.region)

    def refresh_changed(self) -> None:
        """Paint all visible lines and repaint those that differ."""
        self.line_width = self.scrollable_content_region.width
        now = {y: self.line(y) for y in range(self.size.height)}
        changed = [y for y, strip in now.items() if strip != self._lines.get(y)]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))
            self._lines.update((y, now[y]) for y in changed)

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Like Textual's method; also drop the lines of these regions (of all if there is none) from the cache."""
        if regions:
            for y in (y for region in regions for y in region.line_range):
                self._lines.pop(y, None)
        else:
            self._clear_lines()
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def _clear_lines(self) -> None:
        self._lines.clear()
        self._rendered.clear()


def _runs(numbers: Iterable[int]) -> Iterator[range]:
    """Group ascending numbers into ranges without gaps."""
    run = range(0)
    for number in numbers:
        if run and number == run.stop:
            run = range(run.start, number + 1)
        else:
            if run:
                yield run
            run = range(number, number + 1)
    if run:
        yield run
