"""Widgets that ask for a repaint only where what they say has changed: a dashboard that is left open all day must cost little.

Textual repaints a widget whenever a reactive is set. Here a second that passes is looked at first: most ages read the same.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Self

from textual.content import Content
from textual.geometry import Region, Size
from textual.widget import Widget

__all__ = ["DiffedText"]


class DiffedText(Widget):
    """A widget of one text. Its reactives ask for no repaint; their watchers are `look_again`."""

    _painted: Content | None = None
    _unpainted: tuple[Content, Size] | None = None
    """What was found to say when it was last looked at, and in what room; until it is painted."""

    @abstractmethod
    def text(self) -> Content:
        """What there is to say, of the facts as they are."""

    def render(self) -> Content:
        found, self._unpainted = self._unpainted, None
        self._painted = found[0] if found is not None and found[1] == self.size else self.text()
        return self._painted

    def refresh_changed(self) -> None:
        """Repaint the lines that are others than before; lay out anew if the text needs other room."""
        before, now = self._painted, self.text()
        self._unpainted = None
        if before is None:
            self.refresh(layout=self.styles.auto_dimensions)
        elif not now.is_same(before):
            if self.styles.auto_dimensions and self._needs_layout(before, now):
                self.refresh(layout=True)
            else:
                self.refresh(*self._changed_lines(before, now))
            self._unpainted = now, self.size  # any other refresh that comes before the painting looks again

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        self._unpainted = None
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def set_reactives(self, **values: object) -> None:
        """Set several reactives and look once: a second that passes brings many facts, most of them as they were."""
        changed = {name: fact for name, fact in values.items() if getattr(self, name) != fact}
        for name, fact in changed.items():
            self.set_reactive(getattr(type(self), name), fact)
        if changed:
            self.refresh_changed()

    def _changed_lines(self, before: Content, now: Content) -> Sequence[Region]:
        """Where the texts differ; none if that cannot be told line by line, since one is wrapped or they are not equally long."""
        width = self.content_size.width
        lines_before, lines = before.split("\n"), now.split("\n")
        if len(lines) != len(lines_before) or any(line.cell_length > width for line in (*lines_before, *lines)):
            return ()
        pairs = enumerate(zip(lines_before, lines, strict=True))
        return [Region(0, y, width, 1) for y, (old, new) in pairs if not new.is_same(old)]

    def _needs_layout(self, before: Content, now: Content) -> bool:
        """True if one text is higher than the other, and not both have room in what a least height gives them."""
        width, room = self.content_size
        if self.styles.is_auto_width or not width:  # nobody knows yet where its lines will be wrapped
            return [*map(len, now.plain.split("\n"))] != [*map(len, before.plain.split("\n"))]
        rules = self.styles.get_rules()
        needed_before, needed = (text.get_height(rules, width) for text in (before, now))
        return needed > room if needed_before < room else needed != needed_before
