"""Every key says what it does, does something, and can be remapped."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from textual.binding import Binding
from textual.command import CommandPalette
from textual.dom import DOMNode
from textual.pilot import Pilot
from textual.screen import Screen

from tests.tui.dashboards import ToldStory, chosen, mixed, names_in, opened, toasts, until
from upload_tui.monitor.picture import ConnectionState, SortKey
from upload_tui.testing import SceneSession
from upload_tui.tui.bindings import ALL_KEYS, APP_KEYS, DASHBOARD_KEYS, TABLE_KEYS
from upload_tui.tui.screens.columns import ColumnScreen
from upload_tui.tui.screens.failures import FailureScreen
from upload_tui.tui.screens.help import HelpScreen
from upload_tui.tui.screens.latencies import LatencyScreen
from upload_tui.tui.screens.menu import MenuScreen
from upload_tui.tui.screens.shapes import ShapesScreen
from upload_tui.tui.screens.upload import UploadScreen
from upload_tui.tui.widgets.search_bar import SearchBar
from upload_tui.tui.widgets.upload_table import UploadTable

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


class Place(NamedTuple):
    """A dashboard over five uploads, one of each kind, in a story."""

    pilot: Pilot[int]
    session: SceneSession
    table: UploadTable
    story: ToldStory


Effect = Callable[[Place], bool]


def on(name: str) -> Effect:
    return lambda place: chosen(place.table) == name


def only(*names: str) -> Effect:
    return lambda place: names_in(place.table) == list(names)


def opens(screen: type[Screen[Any]]) -> Effect:
    return lambda place: isinstance(place.pilot.app.screen, screen)


def focuses(widget_id: str) -> Effect:
    return lambda place: place.pilot.app.focused is not None and place.pilot.app.focused.id == widget_id


def copies(text: str) -> Effect:
    return lambda place: text in place.pilot.app.clipboard


def wishes(wish: str) -> Effect:
    return lambda place: place.story.wishes == [wish]


FIRST, SECOND, LAST = on("a-initiated"), on("b-completed"), on("e-stuck")
ALL = ("a-initiated", "b-completed", "c-verified", "d-error", "e-stuck")
# Each key: those that are pressed before it, and what holds after it but not before.
EFFECTS: dict[str, tuple[str, Effect]] = {
    "j": ("", SECOND),
    "down": ("", SECOND),
    "k": ("j", FIRST),
    "up": ("j", FIRST),
    "n": ("", SECOND),
    "N": ("j", FIRST),
    "g": ("G", FIRST),
    "home": ("G", FIRST),
    "G": ("", LAST),
    "end": ("", LAST),
    "pagedown": ("", LAST),
    "pageup": ("G", FIRST),
    "ctrl+d": ("", LAST),
    "ctrl+u": ("G", FIRST),
    "enter": ("", opens(UploadScreen)),
    "m": ("", lambda place: place.table.marked == {place.table.row_at(0).id}),  # type: ignore[union-attr]
    "slash": ("", lambda place: place.pilot.app.screen.query_one(SearchBar).is_open),
    "exclamation_mark": ("", only("d-error", "e-stuck")),
    "1": ("", only("a-initiated")),
    "2": ("", only("b-completed", "e-stuck")),
    "3": ("", only("c-verified")),
    "4": ("", only("d-error")),
    "E": ("", on("d-error")),
    "W": ("", LAST),
    "s": ("", lambda place: place.table.rows_query.sort is list(SortKey)[1]),
    "S": ("", only(*reversed(ALL))),
    "f": ("", lambda place: place.table.follow),
    "w": ("", opens(ShapesScreen)),
    "J": ("", focuses("upload-raw")),
    "F": ("", opens(FailureScreen)),
    "l": ("", opens(LatencyScreen)),
    "p": ("", opens(MenuScreen)),
    "space": ("", lambda place: place.session.connection().state is ConnectionState.PAUSED),
    "r": ("", lambda place: place.session.refreshes == 1),
    "t": ("", lambda place: place.table.look.absolute_times),
    "d": ("", lambda place: place.table.look.is_roomy),
    "c": ("", opens(ColumnScreen)),
    "y": ("", lambda place: place.pilot.app.clipboard == place.table.cursor_id),
    "Y": ("", copies('"name": "a-initiated"')),
    "C": ("", copies("curl --header")),
    "e": ("", opens(MenuScreen)),
    "tab": ("", focuses("timeline")),
    "escape": ("4", only(*ALL)),
    "question_mark": ("", opens(HelpScreen)),
    "q": ("", lambda place: place.pilot.app.return_value == 0),
    "u": ("", wishes("upload")),
    "x": ("", opens(MenuScreen)),
    "left_square_bracket": ("", wishes("slower")),
    "right_square_bracket": ("", wishes("faster")),
    "full_stop": ("", wishes("step")),
    "ctrl+c": ("", lambda place: toasts(place.pilot) == ["Press q to quit."]),
    "ctrl+p": ("", opens(CommandPalette)),
}


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


@pytest.mark.parametrize("key", EFFECTS)
async def test_a_key_has_its_effect_when_it_is_pressed_on_the_dashboard(key: str) -> None:
    before, has_effect = EFFECTS[key]
    story = ToldStory()
    async with opened(mixed(), story=story) as (pilot, session, table):
        place = Place(pilot, session, table, story)
        await pilot.press(*before)
        await pilot.pause()
        assert not has_effect(place)
        await pilot.press(key)
        await until(pilot, lambda: has_effect(place))


def test_no_key_of_the_dashboard_is_without_an_effect() -> None:
    keys = {key for binding in (*TABLE_KEYS, *DASHBOARD_KEYS, *APP_KEYS) for key in binding.key.split(",")}
    assert keys - EFFECTS.keys() == {"ctrl+z"}  # no test can be put to sleep
