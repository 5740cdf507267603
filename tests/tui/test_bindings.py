"""Every key says what it does, does something, and can be remapped."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from textual.binding import Binding
from textual.command import CommandPalette
from textual.dom import DOMNode
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import OptionList

from tests.tui.dashboards import FakeControls, chosen, mixed, names_in, opened, toasts, until
from upload_tui.monitor import ConnectionState, SortKey
from upload_tui.testing import InMemorySession
from upload_tui.tui import screens, widgets
from upload_tui.tui.keys.bindings import APP_KEYS, DASHBOARD_KEYS, TABLE_KEYS
from upload_tui.tui.keys.registry import bindings_by_place
from upload_tui.tui.screens.columns import ColumnScreen
from upload_tui.tui.screens.failures import FailureScreen
from upload_tui.tui.screens.help import HelpScreen
from upload_tui.tui.screens.latencies import LatencyScreen
from upload_tui.tui.screens.menu import MenuScreen
from upload_tui.tui.screens.shapes import ShapesScreen
from upload_tui.tui.screens.upload import UploadScreen
from upload_tui.tui.widgets.search_bar import SearchBar
from upload_tui.tui.widgets.table.upload_table import UploadTable


class Place(NamedTuple):
    """A dashboard over five uploads, one of each kind, in a story."""

    pilot: Pilot[int]
    session: InMemorySession
    table: UploadTable
    story: FakeControls


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
    return lambda place: place.story.requests == [wish]


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
    "r": ("", lambda place: place.session.refresh_count == 1),
    "t": ("", lambda place: place.table.display_options.absolute_times),
    "d": ("", lambda place: place.table.display_options.is_roomy),
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


def classes_with_keys() -> Iterator[type[DOMNode]]:
    """Of whatever module there is in the two rooms; a new dialog cannot be forgotten."""
    for room in (screens, widgets):
        for found in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
            module = importlib.import_module(found.name)
            for value in vars(module).values():
                if isinstance(value, type) and issubclass(value, DOMNode) and value.__module__ == module.__name__:
                    yield value


def test_every_place_with_keys_is_known() -> None:
    known = {binding for _, binding in bindings_by_place()}
    own = {binding for place in classes_with_keys() for binding in vars(place).get("BINDINGS", ())}
    assert own <= known


@pytest.mark.parametrize(
    ("place", "binding"), bindings_by_place(), ids=lambda value: getattr(value, "id", None) or str(value)
)
def test_a_key_has_words_for_the_help_and_an_id(place: str, binding: Binding) -> None:
    assert binding.tooltip, place
    assert binding.description, place
    assert binding.id, place


@pytest.mark.parametrize("key", EFFECTS)
async def test_a_key_has_its_effect_when_it_is_pressed_on_the_dashboard(key: str) -> None:
    before, has_effect = EFFECTS[key]
    story = FakeControls()
    async with opened(mixed(), controls=story) as (pilot, session, table):
        place = Place(pilot, session, table, story)
        await pilot.press(*before)
        await pilot.pause()
        assert not has_effect(place)
        await pilot.press(key)
        await until(pilot, lambda: has_effect(place))


def test_no_key_of_the_dashboard_is_without_an_effect() -> None:
    keys = {key for binding in (*TABLE_KEYS, *DASHBOARD_KEYS, *APP_KEYS) for key in binding.key.split(",")}
    assert keys - EFFECTS.keys() == {"ctrl+z"}  # no test can be put to sleep


@pytest.mark.parametrize(
    ("place", "binding"), bindings_by_place(), ids=lambda value: getattr(value, "id", None) or str(value)
)
def test_the_words_for_the_help_say_more_than_the_name(place: str, binding: Binding) -> None:
    assert binding.tooltip.casefold() != binding.description.casefold(), place


@pytest.mark.parametrize(
    ("opens", "closes", "key"),
    [
        ("question_mark", "help.close", "h"),
        ("e", "menu.close", "x"),
        ("c", "columns.close", "x"),
        ("F", "failures.close", "x"),
        ("l", "latencies.close", "x"),
        ("w", "shapes.close", "x"),
        ("enter", "upload.back", "x"),
    ],
)
async def test_a_dialog_closes_by_another_key_and_says_which_when_a_person_chose_it(
    opens: str, closes: str, key: str
) -> None:
    async with opened(mixed(), keymap={closes: key}) as (pilot, _, _):
        await pilot.press(opens)
        await pilot.pause()
        dialog = pilot.app.screen
        assert len(pilot.app.screen_stack) == 2
        subtitles = [node.border_subtitle or "" for node in dialog.walk_children(Widget)]
        assert not [subtitle for subtitle in subtitles if "Esc" in subtitle]
        says_nothing = closes in {"upload.back", "columns.close"}
        assert says_nothing or [subtitle for subtitle in subtitles if f"{key} closes" in subtitle]
        await pilot.press("escape" if closes != "upload.back" else "z")
        await pilot.pause()
        assert len(pilot.app.screen_stack) == 2
        await pilot.press(key)
        await pilot.pause()
        assert len(pilot.app.screen_stack) == 1


async def test_the_lines_of_a_dialog_are_gone_through_by_other_keys_when_a_person_chose_them() -> None:
    async with opened(mixed(), keymap={"columns.down": "n", "columns.toggle": "x", "columns.wider": "w"}) as (
        pilot,
        _,
        _,
    ):
        await pilot.press("c", "n", "x")
        await pilot.pause()
        menu = pilot.app.screen.query_one(OptionList)
        assert menu.highlighted == 1
        assert str(menu.get_option_at_index(1).prompt).startswith("[ ]")
        assert "x on/off" in str(menu.border_subtitle)
        assert "w - width" in str(menu.border_subtitle)
