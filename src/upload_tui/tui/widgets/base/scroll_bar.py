"""The scroll bar of very long lists: Textual's own, painted faster and repainted only where its thumb moved."""

from math import ceil

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.css.styles import RulesMap
from textual.geometry import Region
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.strip import Strip
from textual.style import Style
from textual.visual import RenderOptions, Visual

__all__ = ["PlainScrollBarRender", "move_scroll_bar"]

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
        return [Strip([segment], width) for segment in Segment.apply_style(bar.segments, style.rich_style)]

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        """The thickness."""
        return self.thickness

    def get_height(self, rules: RulesMap, width: int) -> int:
        """One line."""
        return 1


def move_scroll_bar(bar: ScrollBar, position: float) -> None:
    """Move a vertical bar's thumb and repaint only the lines that changed: in a very long list that is few."""
    before = _thumb(bar)
    bar.set_reactive(ScrollBar.position, bar.validate_position(position))
    after = _thumb(bar)
    if after != before:
        first, last = min(before, after)[0] // _PARTS_PER_CELL, ceil(max(before, after)[1] / _PARTS_PER_CELL)
        bar.refresh(Region(0, first, bar.size.width, last - first))


def _thumb(bar: ScrollBar) -> tuple[int, int]:
    """Start and end of the thumb, in parts of a cell from the top."""
    height, rows, visible = bar.size.height, bar.window_virtual_size, bar.window_size
    thumb = max(1.0, visible * height / max(1, rows))
    start = int((height - thumb) * bar.position / max(1, rows - visible) * _PARTS_PER_CELL)
    return start, start + ceil(thumb * _PARTS_PER_CELL)
