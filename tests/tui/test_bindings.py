"""Every binding has a description, an effect and an id for remapping."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import pytest
from textual.command import CommandPalette
from textual.dom import DOMNode
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import OptionList

from tests.tui.dashboards import FakeControls, mixed, names_in, opened, selected, toasts, until
from upload_tui.monitor import ConnectionState, SortKey
from upload_tui.testing import InMemorySession
from upload_tui.tui import screens, widgets
from upload_tui.tui.bindings import APP_KEYS, DASHBOARD_KEYS, TABLE_KEYS
from upload_tui.tui.command_palette import bindings_by_owner
from upload_tui.tui.screens.columns import ColumnScreen
from upload_tui.tui.screens.help import HelpScreen
from upload_tui.tui.screens.history import HistoryScreen
from upload_tui.tui.screens.menu import MenuScreen, ViewMenu
from upload_tui.tui.screens.prompts import PromptScreen
from upload_tui.tui.screens.shapes import ShapesScreen
from upload_tui.tui.screens.statistics import FailureScreen, LatencyScreen
from upload_tui.tui.screens.upload import UploadScreen
from upload_tui.tui.widgets.footer import SearchBar
from upload_tui.tui.widgets.table.upload_table import UploadTable


class Context(NamedTuple):
    """A dashboard over five uploads, one of each kind, with the controls of a demo."""

    pilot: Pilot[int]
    session: InMemorySession
    table: UploadTable
    controls: FakeControls


Effect = Callable[[Context], bool]


def on(name: str) -> Effect:
    return lambda context: selected(context.table) == name


def only(*names: str) -> Effect:
    return lambda context: names_in(context.table) == list(names)


def opens(screen: type[Screen[Any]]) -> Effect:
    return lambda context: isinstance(context.pilot.app.screen, screen)


def focuses(widget_id: str) -> Effect:
    return lambda context: context.pilot.app.focused is not None and context.pilot.app.focused.id == widget_id


def copies(text: str) -> Effect:
    return lambda context: text in context.pilot.app.clipboard


def calls(call: str) -> Effect:
    return lambda context: context.controls.calls == [call]


FIRST, SECOND, LAST = on("a-initiated"), on("b-completed"), on("e-stuck")
ALL = ("a-initiated", "b-completed", "c-verified", "d-error", "e-stuck")
# Each key with the keys that are pressed before it, and what is true after it but not before.
EFFECTS: dict[str, tuple[str, Effect]] = {
    "j": ("", SECOND),
    "down": ("", SECOND),
    "k": ("j", FIRST),
    "up": ("j", FIRST),
    "n": ("5", SECOND),
    "N": ("5j", FIRST),
    "g": ("G", FIRST),
    "home": ("G", FIRST),
    "G": ("", LAST),
    "end": ("", LAST),
    "pagedown": ("", LAST),
    "pageup": ("G", FIRST),
    "ctrl+d": ("", LAST),
    "ctrl+u": ("G", FIRST),
    "enter": ("", opens(UploadScreen)),
    "m": ("", lambda context: context.table.marked == {context.table.window.row(0).key}),  # type: ignore[union-attr]
    "slash": ("", lambda context: context.pilot.app.screen.query_one(SearchBar).is_open),
    "exclamation_mark": ("", only("d-error", "e-stuck")),
    "1": ("", only("a-initiated")),
    "2": ("", only("b-completed", "e-stuck")),
    "3": ("", only("c-verified")),
    "4": ("", only("d-error")),
    "5": ("", only("a-initiated", "b-completed", "c-verified", "d-error")),
    "6": ("", only("a-initiated", "b-completed", "c-verified", "d-error")),
    "7": ("", only("a-initiated", "b-completed", "c-verified", "d-error")),
    "8": ("exclamation_mark", only("d-error")),
    "9": ("", lambda context: context.table.rows_query.recent_seconds == 86400),
    "E": ("", on("d-error")),
    "W": ("", LAST),
    "s": ("", lambda context: context.table.rows_query.sort is SortKey.STAGE),
    "S": ("", only(*reversed(ALL))),
    "f": ("", lambda context: context.table.follow),
    "a": ("W", opens(PromptScreen)),
    "w": ("", opens(ShapesScreen)),
    "h": ("", opens(HistoryScreen)),
    "J": ("", focuses("upload-raw")),
    "F": ("", opens(FailureScreen)),
    "l": ("", opens(LatencyScreen)),
    "p": ("", opens(MenuScreen)),
    "T": ("", opens(PromptScreen)),
    "v": ("", opens(ViewMenu)),
    "space": ("", lambda context: context.session.connection().state is ConnectionState.PAUSED),
    "r": ("", lambda context: context.session.refresh_count == 1),
    "t": ("", lambda context: context.table.display_options.absolute_times),
    "d": ("", lambda context: context.table.display_options.is_roomy),
    "c": ("", opens(ColumnScreen)),
    "y": ("", lambda context: context.pilot.app.clipboard == context.table.cursor_id),
    "Y": ("", copies('"name": "a-initiated"')),
    "C": ("", copies("curl --header")),
    "e": ("", opens(MenuScreen)),
    "tab": ("", focuses("timeline")),
    "escape": ("4", only(*ALL)),
    "question_mark": ("", opens(HelpScreen)),
    "Q": ("", lambda context: context.pilot.app.return_value == 0),
    "q": ("", lambda context: context.pilot.app.return_value == 0),
    "u": ("", calls("upload")),
    "x": ("", opens(MenuScreen)),
    "left_square_bracket": ("", calls("slower")),
    "right_square_bracket": ("", calls("faster")),
    "full_stop": ("", calls("step")),
    "ctrl+c": ("", lambda context: toasts(context.pilot) == ["Press q to quit."]),
    "ctrl+p": ("", opens(CommandPalette)),
}

# Escape and `g` end what these do.
ON_ONE_DASHBOARD = (
    ("j", "down", "k", "up", "n", "N", "g", "home", "G", "end", "pagedown", "pageup", "ctrl+d", "ctrl+u", "E", "W"),
    ("exclamation_mark", *map(str, range(1, 10)), "slash", "m"),
    ("enter", "a", "w", "h", "F", "l", "p", "T", "v", "c", "e", "x", "question_mark", "ctrl+p"),
)


def classes_with_keys() -> Iterator[type[DOMNode]]:
    """Every screen and widget class, so that a new dialog cannot be forgotten."""
    for package in (screens, widgets):
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(found.name)
            for value in vars(module).values():
                if isinstance(value, type) and issubclass(value, DOMNode) and value.__module__ == module.__name__:
                    yield value


def test_the_registry_knows_every_binding() -> None:
    known = {binding for _, binding in bindings_by_owner()}
    own = {binding for owner in classes_with_keys() for binding in vars(owner).get("BINDINGS", ())}
    assert own <= known


def test_a_binding_has_a_description_a_tooltip_and_an_id() -> None:
    for owner, binding in bindings_by_owner():
        assert binding.tooltip, owner
        assert binding.description, owner
        assert binding.id, owner


@pytest.mark.parametrize(
    "keys", [*ON_ONE_DASHBOARD, *([key] for key in EFFECTS if key not in chain(*ON_ONE_DASHBOARD))], ids=" ".join
)
async def test_a_key_has_its_effect_on_the_dashboard(keys: Sequence[str]) -> None:
    controls = FakeControls()
    async with opened(mixed(), controls=controls) as (pilot, session, table):
        context = Context(pilot, session, table, controls)
        for number, key in enumerate(keys):
            if number:  # back to the start
                await pilot.press("escape", "g")
            before, has_effect = EFFECTS[key]
            await pilot.press(*[before] if before in EFFECTS else before)
            await pilot.pause()
            assert not has_effect(context), key
            await pilot.press(key)
            await until(pilot, partial(has_effect, context), f"the effect of {key}")


def test_every_key_of_the_dashboard_has_a_tested_effect() -> None:
    keys = {key for binding in (*TABLE_KEYS, *DASHBOARD_KEYS, *APP_KEYS) for key in binding.key.split(",")}
    assert keys - EFFECTS.keys() == {
        "ctrl+z",
        "comma",
        "o",
    }  # one would suspend the test, the others need a replay and a page


def test_the_tooltip_differs_from_the_description() -> None:
    for owner, binding in bindings_by_owner():
        assert binding.tooltip.casefold() != binding.description.casefold(), owner


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
async def test_a_dialog_closes_by_its_remapped_key_and_shows_it(opens: str, closes: str, key: str) -> None:
    async with opened(mixed(), keymap={closes: key}) as (pilot, _, _):
        await pilot.press(opens)
        await pilot.pause()
        dialog = pilot.app.screen
        assert len(pilot.app.screen_stack) == 2
        subtitles = [node.border_subtitle or "" for node in dialog.walk_children(Widget)]
        assert not [subtitle for subtitle in subtitles if "Esc" in subtitle]
        shows_no_key = closes in {"upload.back", "columns.close"}
        assert shows_no_key or [subtitle for subtitle in subtitles if f"{key} close" in subtitle]
        await pilot.press("escape" if closes != "upload.back" else "z")
        await pilot.pause()
        assert len(pilot.app.screen_stack) == 2
        await pilot.press(key)
        await pilot.pause()
        assert len(pilot.app.screen_stack) == 1


async def test_the_keys_of_the_column_dialog_can_be_remapped() -> None:
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
