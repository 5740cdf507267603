"""Widgets that ask for a repaint only where what they say has changed: a dashboard that is left open all day must cost little.

Textual repaints a widget whenever a reactive is set. Here a second that passes is looked at first: most ages read the same.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Self

from textual.content import Content
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

__all__ = ["StillLines", "StillWidget"]


class StillWidget(Widget):
    """A widget of one text. Its reactives ask for no repaint; their watchers are `look_again`."""

    _said: Content | None = None
    _found: tuple[Content, Size] | None = None
    """What was found to say when it was last looked at, and in what room; until it is painted."""

    @abstractmethod
    def text(self) -> Content:
        """What there is to say, of the facts as they are."""

    def render(self) -> Content:
        found, self._found = self._found, None
        self._said = found[0] if found is not None and found[1] == self.size else self.text()
        return self._said

    def look_again(self) -> None:
        """Repaint the lines that are others than before; lay out anew if the text needs other room."""
        before, now = self._said, self.text()
        self._found = None
        if before is None:
            self.refresh(layout=self.styles.auto_dimensions)
        elif not now.is_same(before):
            if self.styles.auto_dimensions and self._needs_other_room(before, now):
                self.refresh(layout=True)
            else:
                self.refresh(*self._changed_lines(before, now))
            self._found = now, self.size  # any other refresh that comes before the painting looks again

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        self._found = None
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def tell(self, **facts: object) -> None:
        """Set several reactives and look once: a second that passes brings many facts, most of them as they were."""
        changed = {name: fact for name, fact in facts.items() if getattr(self, name) != fact}
        for name, fact in changed.items():
            self.set_reactive(getattr(type(self), name), fact)
        if changed:
            self.look_again()

    def _changed_lines(self, before: Content, now: Content) -> Sequence[Region]:
        """Where the texts differ; none if that cannot be told line by line, since one is wrapped or they are not equally long."""
        width = self.content_size.width
        lines_before, lines = before.split("\n"), now.split("\n")
        if len(lines) != len(lines_before) or any(line.cell_length > width for line in (*lines_before, *lines)):
            return ()
        pairs = enumerate(zip(lines_before, lines, strict=True))
        return [Region(0, y, width, 1) for y, (old, new) in pairs if not new.is_same(old)]

    def _needs_other_room(self, before: Content, now: Content) -> bool:
        """True if one text is higher than the other, and not both have room in what a least height gives them."""
        width, room = self.content_size
        if self.styles.is_auto_width or not width:  # nobody knows yet where its lines will be wrapped
            return [*map(len, now.plain.split("\n"))] != [*map(len, before.plain.split("\n"))]
        rules = self.styles.get_rules()
        needed_before, needed = (text.get_height(rules, width) for text in (before, now))
        return needed > room if needed_before < room else needed != needed_before


class StillLines(ScrollView):
    """A scrolling widget that paints lines."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002  # Textual's own name
        super().__init__(id=id, classes=classes)
        self._painted: dict[int, Strip] = {}
        self._fresh: dict[int, Strip] = {}

    @abstractmethod
    def line(self, y: int) -> Strip:
        """The line that stands `y` lines below the top of what is seen."""

    def render_line(self, y: int) -> Strip:
        strip = self._fresh.pop(y, None) or self.line(y)
        self._painted[y] = strip
        return strip

    def make_room(self, lines: int) -> None:
        """So many lines there are to scroll over. The screen is laid out anew only if the scroll bar comes or goes."""
        before, after = self.virtual_size, Size(self.size.width, lines)
        if after == before:
            return
        if (lines > self.container_size.height) is not self.show_vertical_scrollbar:
            self.virtual_size = after
            return
        self.set_reactive(ScrollView.virtual_size, after)
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.window_virtual_size = lines
        self.scroll_y = self.validate_scroll_y(self.scroll_y)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.position = self._position_seen(new_value)
        if round(old_value) != round(new_value):
            self.refresh(self.size.region)

    def _position_seen(self, y: float) -> float:
        """A position of the scroll bar to an eighth of a cell, which is all that it can show: no other needs a new bar."""
        step = self.virtual_size.height / max(1, 8 * self.size.height)
        return y if step <= 1 or y >= self.max_scroll_y else y // step * step

    def look_again(self) -> None:
        """Repaint the lines that are others than before."""
        now = {y: self.line(y) for y in range(self.size.height)}
        self._fresh = {y: strip for y, strip in now.items() if strip != self._painted.get(y)}
        if self._fresh:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in self._fresh))

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """As ever; a repaint of everything makes every line anew."""
        if not regions:
            self._fresh.clear()
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)
