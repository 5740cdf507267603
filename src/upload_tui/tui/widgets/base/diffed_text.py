"""A text widget that repaints only the lines that changed.

Textual repaints a whole widget when a reactive is set. The dashboard sets the time every second, and most ages read the same.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Self

from textual.content import Content
from textual.geometry import Region, Size
from textual.widget import Widget

__all__ = ["DiffedText"]


class DiffedText(Widget):
    """A widget that shows one text. Declare its reactives with `repaint=False` and watch them with `refresh_changed`."""

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

    def refresh_changed(self) -> None:
        """Repaint the lines that changed; request a layout if the text needs another height or width."""
        before, now = self._painted, self.text()
        self._unpainted = None
        if before is None:
            self.refresh(layout=self.styles.auto_dimensions)
        elif not now.is_same(before):
            if self.styles.auto_dimensions and self._needs_layout(before, now):
                self.refresh(layout=True)
            else:
                self.refresh(*self._changed_lines(before, now))
            self._unpainted = now, self.size  # `refresh` clears it

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Repaint with a new text."""
        self._unpainted = None
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
