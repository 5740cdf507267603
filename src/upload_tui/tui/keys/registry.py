"""All bindings of the dashboard and its dialogs. Imports every dialog, so import it late."""

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

__all__ = ["action_ids", "bindings_by_owner"]

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


def bindings_by_owner() -> Iterator[tuple[str, Binding]]:
    """Each binding, with the name of the screen or widget that defines it."""
    yield from (("dashboard", key) for key in ALL_KEYS)
    for owner in _CLASSES:
        for binding in owner.BINDINGS:
            assert isinstance(binding, Binding)  # noqa: S101  # a tuple would have no id
            yield owner.__name__, binding


def action_ids() -> list[str]:
    """The ids that the setting `keys` accepts, sorted."""
    return sorted({str(binding.id) for _, binding in bindings_by_owner()})
