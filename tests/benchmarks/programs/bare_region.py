"""A bare Textual app that repaints one region, of the size of our table, at each key."""

from rich.segment import Segment
from textual import events
from textual.app import App, ComposeResult
from textual.strip import Strip
from textual.widget import Widget


class Region(Widget, can_focus=True):
    """Lines with the number of keys."""

    DEFAULT_CSS = "Region { width: 70; height: 24; }"

    def __init__(self) -> None:
        super().__init__()
        self.keys = 0

    def on_key(self, event: events.Key) -> None:
        """Repaint."""
        self.keys += 1
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """A line of the region's width."""
        return Strip([Segment(f"BareRegion {self.keys} {y}".ljust(self.size.width))])


class BareRegion(App[None]):
    """An app with the region only."""

    def compose(self) -> ComposeResult:
        """Add the region."""
        yield Region()


if __name__ == "__main__":
    BareRegion().run()
