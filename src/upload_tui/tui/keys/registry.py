"""Every place with keys of its own, for whoever must know all of them. It brings every dialog along, so it is imported late."""

from collections.abc import Iterator

from textual.binding import Binding
from textual.dom import DOMNode

from upload_tui.tui.keys.bindings import ALL_KEYS
from upload_tui.tui.screens.columns import ColumnScreen
from upload_tui.tui.screens.failures import FailureScreen
from upload_tui.tui.screens.help import HelpScreen
from upload_tui.tui.screens.latencies import LatencyScreen
from upload_tui.tui.screens.menu import MenuScreen
from upload_tui.tui.screens.shapes import ShapesScreen
from upload_tui.tui.screens.upload import UploadScreen
from upload_tui.tui.widgets.search_bar import SearchBar

__all__ = ["action_ids", "bindings_by_place"]

_CLASSES: tuple[type[DOMNode], ...] = (
    UploadScreen,
    SearchBar,
    HelpScreen,
    MenuScreen,
    ColumnScreen,
    FailureScreen,
    LatencyScreen,
    ShapesScreen,
)


def bindings_by_place() -> Iterator[tuple[str, Binding]]:
    """Each binding of ours, and what the place is called where it works."""
    for binding in ALL_KEYS:
        yield "dashboard", binding
    for place in _CLASSES:
        for own in place.BINDINGS:
            assert isinstance(own, Binding)  # noqa: S101  # ours all are, so that they can have ids
            yield place.__name__, own


def action_ids() -> list[str]:
    """By what a person's settings name actions that are to have other keys."""
    return sorted({str(binding.id) for _, binding in bindings_by_place()})
