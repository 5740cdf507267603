"""Every key says what it does, does something, and can be remapped."""

import importlib
import pkgutil
from collections.abc import Iterator

import pytest
from textual.binding import Binding
from textual.dom import DOMNode
from textual.widget import Widget
from textual.widgets import OptionList

from tests.tui.dashboards import ToldStory, mixed, opened
from upload_tui.tui import screens, widgets
from upload_tui.tui.places import bindings_by_place

PROMISED = """
    j k down up g G home end pageup pagedown ctrl+u ctrl+d enter tab f space y e C t question_mark q E W J ctrl+c slash escape
    1 2 3 4 exclamation_mark s S p r w m l d ctrl+p n N c Y u x left_square_bracket right_square_bracket full_stop
"""


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


@pytest.mark.parametrize(
    ("place", "binding"), bindings_by_place(), ids=lambda value: getattr(value, "id", None) or str(value)
)
def test_the_words_for_the_help_say_more_than_the_name(place: str, binding: Binding) -> None:
    assert binding.tooltip.casefold() != binding.description.casefold(), place


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
