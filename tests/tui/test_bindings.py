"""Every key says what it does, does something, and can be remapped."""

from collections.abc import Iterator

import pytest
from textual.binding import Binding
from textual.dom import DOMNode

from tests.tui.dashboards import ToldStory, mixed, opened
from upload_tui.tui.bindings import ALL_KEYS
from upload_tui.tui.screens.columns import ColumnScreen
from upload_tui.tui.screens.failures import FailureScreen
from upload_tui.tui.screens.help import HelpScreen
from upload_tui.tui.screens.latencies import LatencyScreen
from upload_tui.tui.screens.menu import MenuScreen
from upload_tui.tui.screens.shapes import ShapesScreen
from upload_tui.tui.screens.upload import UploadScreen
from upload_tui.tui.widgets.search_bar import SearchBar

PLACES: tuple[type[DOMNode], ...] = (
    ColumnScreen,
    FailureScreen,
    HelpScreen,
    LatencyScreen,
    MenuScreen,
    SearchBar,
    ShapesScreen,
    UploadScreen,
)
PROMISED = """
    j k down up g G home end pageup pagedown ctrl+u ctrl+d enter tab f space y e C t question_mark q E W J ctrl+c slash escape
    1 2 3 4 exclamation_mark s S p r w m l d ctrl+p n N c Y u x left_square_bracket right_square_bracket full_stop
"""


def bindings() -> Iterator[tuple[str, Binding]]:
    for binding in ALL_KEYS:
        yield "dashboard", binding
    for place in PLACES:
        for own in place.BINDINGS:
            assert isinstance(own, Binding)
            yield place.__name__, own


@pytest.mark.parametrize(("place", "binding"), bindings(), ids=lambda value: getattr(value, "id", None) or str(value))
def test_a_key_has_words_for_the_help_and_an_id(place: str, binding: Binding) -> None:
    assert binding.tooltip, place
    assert binding.description, place
    assert binding.id, place


@pytest.mark.parametrize("key", PROMISED.split())
async def test_a_promised_key_works_on_the_dashboard(key: str) -> None:
    """Each leads to an action that somebody in the focused chain implements; nothing breaks when it is pressed."""
    async with opened(mixed(), story=ToldStory()) as (pilot, _, _):
        active = pilot.app.screen.active_bindings[key]
        action = active.binding.action.partition("(")[0].rpartition(".")[2]
        assert any(hasattr(node, f"action_{action}") for node in (active.node, pilot.app.screen, pilot.app))
        await pilot.press(key)
        await pilot.pause()
        assert pilot.app.return_code in {None, 0}
