"""A scrolling widget of lines that repaints the lines that changed, and asks Textual once for what it makes of a line.

To put a border and the screen's filters around a line costs more than to paint it; rows that stay, or come back, cost neither again.
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
"""Of which Textual's making is kept: a few screens full."""


class CachedLines(ScrollView):
    """A scrolling widget that paints lines."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002  # Textual's own name
        super().__init__(id=id, classes=classes)
        self.line_width = 0
        """Cells that a line may take, beside the scroll bar; set before lines are asked for."""
        self._lines: dict[int, Strip] = {}
        self._rendered: FIFOCache[int, tuple[Strip, Strip]] = FIFOCache(_MAX_RENDERED)
        self._rendered_size = Size()

    @abstractmethod
    def line(self, y: int) -> Strip:
        """The line that stands `y` lines below the top of what is seen."""

    def on_mount(self) -> None:
        self.vertical_scrollbar.renderer = PlainScrollBarRender  # type: ignore[misc]  # Textual allows an instance one of its own

    def render_line(self, y: int) -> Strip:
        strip = self._lines.get(y)
        if strip is None:
            strip = self._lines[y] = self.line(y)
        return strip

    def render_lines(self, crop: Region) -> list[Strip]:
        """As ever, but Textual is asked only for those lines of ours that it has not made before."""
        if self.outer_size != self._rendered_size:
            self._clear_lines()
            self._rendered_size = self.outer_size
        self.line_width = self.scrollable_content_region.width
        top, height = self.gutter.top, self.content_size.height
        known: dict[int, Strip] = {}
        if crop.column_span == (0, self._rendered_size.width):
            for y in crop.line_range:
                if 0 <= y - top < height:
                    line = self.render_line(y - top)
                    kept = self._rendered.get(id(line))
                    if kept is not None and kept[0] is line:
                        known[y] = kept[1]
        for run in _runs(y for y in crop.line_range if y not in known):
            made = super().render_lines(Region(crop.x, run.start, crop.width, len(run)))
            for y, strip in zip(run, made, strict=True):
                known[y] = strip
                if 0 <= y - top < height and crop.width == self._rendered_size.width:
                    line = self.render_line(y - top)
                    self._rendered[id(line)] = (line, strip)
        return [known[y] for y in crop.line_range]

    def set_line_count(self, count: int) -> None:
        """So many lines there are to scroll over. The screen is laid out anew only if the scroll bar comes or goes."""
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
        if self.show_vertical_scrollbar:
            move_scroll_bar(self.vertical_scrollbar, new_value)
        if round(old_value) != round(new_value):
            self.refresh(self.size.region)

    def refresh_changed(self) -> None:
        """Repaint the lines that are others than before."""
        self.line_width = self.scrollable_content_region.width
        now = {y: self.line(y) for y in range(self.size.height)}
        changed = [y for y, strip in now.items() if strip != self._lines.get(y)]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))
            self._lines.update((y, now[y]) for y in changed)

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """As ever; what is repainted is made anew."""
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
    """Ascending numbers as runs without a gap."""
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
