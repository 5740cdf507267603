"""Widgets that repaint only the lines that changed: a text, and a scrolling list with a bar for very long lists.

Textual repaints a whole widget when a reactive is set. The dashboard sets the time every second, and most ages read the same.

Adding the border and applying the screen's filters costs more than painting a line, so the results are cached as well.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from math import ceil
from typing import Self

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.cache import FIFOCache
from textual.content import Content
from textual.css.styles import RulesMap
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.strip import Strip
from textual.style import Style
from textual.visual import RenderOptions, Visual
from textual.widget import Widget

__all__ = ["CachedLines", "DiffedText", "PlainScrollBarRender", "move_scroll_bar"]


class DiffedText(Widget):
    """A widget that shows one text. Declare its reactives with `repaint=False` and watch them with `watch_changed`."""

    _painted: Content | None = None
    _unpainted: tuple[Content, Size] | None = None
    """The text composed by the last `refresh_changed` and the widget's size then, so that `render` need not compose it again."""

    @abstractmethod
    def text(self) -> Content:
        """Compose the text from the reactives."""

    def render(self) -> Content:
        """The text."""
        composed, self._unpainted = self._unpainted, None
        self._painted = composed[0] if composed is not None and composed[1] == self.size else self.text()
        return self._painted

    def watch_changed(self, before: object, after: object) -> None:
        """Repaint what a new value changes; one that is bound to the screen is also set when it is the same."""
        if after != before:
            self.refresh_changed()

    def refresh_changed(self) -> None:
        """Repaint the lines that changed; request a layout if the text needs another height or width."""
        self._unpainted = None
        if (before := self._painted) is None:  # `render` composes the text once, for the first frame
            self.refresh(layout=self.styles.auto_dimensions)
        elif not (now := self.text()).is_same(before):
            if self.styles.auto_dimensions and self._needs_layout(before, now):
                self.refresh(layout=True)
            else:
                self.refresh(*self._changed_lines(before, now))
            self._unpainted = now, self.size  # `refresh` clears it

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Repaint with a new text."""
        self._unpainted = None
        if layout:
            # Textual counts a second request only after the first was checked; a resize between them would keep the old height.
            self._layout_updates += 1
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def set_reactives(self, **values: object) -> None:
        """Set several reactives by name, then refresh once, and only if a value changed."""
        changed = {name: value for name, value in values.items() if getattr(self, name) != value}
        for name, value in changed.items():
            self.set_reactive(getattr(type(self), name), value)
        if changed:
            self.refresh_changed()

    def _changed_lines(self, before: Content, now: Content) -> Sequence[Region]:
        """The lines that differ; empty, which repaints everything, if a line wraps or the number of lines changed."""
        width = self.content_size.width
        lines_before, lines = before.split("\n"), now.split("\n")
        if len(lines) != len(lines_before) or any(line.cell_length > width for line in (*lines_before, *lines)):
            return ()
        pairs = enumerate(zip(lines_before, lines, strict=True))
        return [Region(0, y, width, 1) for y, (old, new) in pairs if not new.is_same(old)]

    def _needs_layout(self, before: Content, now: Content) -> bool:
        """True if the height of the text changed, unless both texts fit into the widget's minimum height."""
        width, height = self.content_size
        if self.styles.is_auto_width or not width:  # the width at which lines wrap is not known yet
            return [*map(len, now.plain.split("\n"))] != [*map(len, before.plain.split("\n"))]
        rules = self.styles.get_rules()
        height_before, height_now = (text.get_height(rules, width) for text in (before, now))
        return height_now > height if height_before < height else height_now != height_before


_PARTS_PER_CELL = 8
"""Resolution of the thumb's ends."""


class PlainScrollBarRender(ScrollBarRender, Visual):
    """Textual's scroll bar as strips, one per line. Rich would measure, wrap and crop it, although its size is known."""

    def render_strips(self, width: int, height: int | None, style: Style, options: RenderOptions) -> list[Strip]:
        """The lines of the scroll bar."""
        own = RichStyle.parse(self.style) if isinstance(self.style, str) else self.style
        colours = {
            name: colour
            for name, colour in (("back_color", own.bgcolor), ("bar_color", own.color))
            if colour is not None
        }
        bar = self.render_bar(
            height or 0, self.virtual_size, self.window_size, self.position, width, self.vertical, **colours
        )
        segments = list(Segment.apply_style(bar.segments, style.rich_style))
        strips = {segment: Strip([segment], width) for segment in {*segments}}  # most lines are equal
        return [strips[segment] for segment in segments]

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        """The thickness."""
        return self.thickness

    def get_height(self, rules: RulesMap, width: int) -> int:
        """One line."""
        return 1


def move_scroll_bar(bar: ScrollBar, position: float) -> None:
    """Move a vertical bar's thumb and repaint only the lines that changed: in a very long list that is few."""
    width, height = bar.size
    before = _thumb(bar, height)
    bar.set_reactive(ScrollBar.position, bar.validate_position(position))
    after = _thumb(bar, height)
    if after != before:
        lines = [(start // _PARTS_PER_CELL, ceil(end / _PARTS_PER_CELL)) for start, end in (before, after)]
        bar.refresh(*(Region(0, first, width, last - first) for first, last in lines))


def _thumb(bar: ScrollBar, height: int) -> tuple[int, int]:
    """Start and end of the thumb, in parts of a cell from the top."""
    rows, visible = bar.window_virtual_size, bar.window_size
    thumb = max(1.0, visible * height / max(1, rows))
    start = int((height - thumb) * bar.position / max(1, rows - visible) * _PARTS_PER_CELL)
    return start, start + ceil(thumb * _PARTS_PER_CELL)


_MAX_RENDERED = 256
"""Rendered lines in the cache: several screens. Each line takes about 5 KiB, most of it for the caches of its strips."""


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
        self._is_border_new = False

    @abstractmethod
    def line(self, y: int) -> Strip:
        """Paint the visible line `y`, from 0 at the top."""

    def prepare_lines(self) -> None:
        """Called once before some lines are painted."""

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
        self.prepare_lines()
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
            self.refresh(Region(0, 0, self.line_width, self.size.height))

    def refresh_changed(self) -> None:
        """Paint all visible lines and repaint those that differ."""
        self.line_width = self.scrollable_content_region.width
        self.prepare_lines()
        now = {y: self.line(y) for y in range(self.size.height)}
        changed = [y for y, strip in now.items() if strip != self._lines.get(y)]
        if changed:
            self.refresh(*(Region(0, run.start, self.line_width, len(run)) for run in _runs(changed)))
            self._lines.update((y, now[y]) for y in changed)

    def write_border(self, title: Content, subtitle: Content) -> None:
        """Set both titles and repaint the lines with them, where Textual would repaint the whole widget."""
        self._is_border_new = True
        self.border_title, self.border_subtitle = title, subtitle
        self._is_border_new = False

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Like Textual's method; also drop the lines of these regions (of all if there is none) from the cache."""
        if self._is_border_new:
            (left, top), (width, height) = self.gutter.top_left, self.outer_size
            regions = (Region(-left, -top, width, 1), Region(-left, height - 1 - top, width, 1))
        elif regions:
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
    for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        yield range(run[0], run[-1] + 1)
