"""The command palette: active bindings with their keys, and themes."""

from collections.abc import Callable

import pytest
from textual.command import CommandList, CommandPalette
from textual.pilot import Pilot
from textual.theme import Theme

from tests.tui.dashboards import FakeControls, mixed, opened, selected, until
from upload_tui.testing import InMemorySession
from upload_tui.tui import DEFAULT_THEME, THEMES, Preferences, UploadApp
from upload_tui.tui.appearance.theme import FEW_COLOURS_THEME
from upload_tui.tui.bindings import APP_KEYS, DASHBOARD_KEYS, TABLE_KEYS
from upload_tui.tui.widgets.activity_pane import ChangeLogView


def lines(pilot: Pilot[int]) -> list[str]:
    found = pilot.app.screen.query(CommandList)
    return [str(option.prompt) for option in found.first().options] if found else []


async def choose(pilot: Pilot[int], words: str, is_expected: Callable[[str], bool]) -> None:
    """Type words into the open palette, and run the first line once it is the expected one."""
    await pilot.press(*words)
    await until(pilot, lambda: bool(lines(pilot)) and is_expected(lines(pilot)[0]))
    await pilot.press("enter")
    await until(pilot, lambda: not isinstance(pilot.app.screen, CommandPalette))


async def test_every_active_binding_is_listed_once_with_its_keys() -> None:
    async with opened(mixed(), controls=FakeControls()) as (pilot, _, _):
        titles = [command.title for command in pilot.app.get_system_commands(pilot.app.screen)]
    ids = {key.id for key in (*TABLE_KEYS, *DASHBOARD_KEYS, *APP_KEYS)}
    ids -= {"palette", "replay.back", "replay.seek", "open.page"}  # it is open; the others need a replay and a page
    assert len(set(titles)) == len(titles) == len(ids | {"Theme"})
    assert {"Open  (Enter)", "Down  (j ↓)", "Trouble  (!)", "Slower  ([)", "Theme"} <= set(titles)


async def test_the_commands_are_those_of_the_pane_with_the_focus() -> None:
    async with opened(mixed()) as (pilot, _, _):
        pilot.app.screen.query_one(ChangeLogView).focus()
        await pilot.pause()
        helps = [command.help for command in pilot.app.get_system_commands(pilot.app.screen)]
    assert "Show only changes to error (toggle)" in helps
    assert "Open the upload" not in helps
    assert "Start a new upload" not in helps, "not a demo"


async def test_a_command_of_the_table_runs() -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.press("ctrl+p")
        await choose(pilot, "last", lambda line: line.startswith("Last  (G End)"))
        await until(pilot, lambda: selected(table) == "e-stuck")


async def test_a_command_is_found_by_its_tooltip() -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.press("ctrl+p")
        await choose(pilot, "only uploads in trouble", lambda line: line.startswith("Trouble"))
        await until(pilot, lambda: table.total == 2)


async def test_own_themes_come_first_and_the_chosen_one_is_saved() -> None:
    saved: list[str] = []
    own = Theme("zebra", primary="#ff00ff")
    async with opened(mixed(), themes=[own], save_theme=saved.append) as (pilot, _, _):
        pilot.app.search_themes()
        await until(pilot, lambda: len(lines(pilot)) > len(THEMES) + 1)
        box = pilot.app.screen.query_one("#--container")
        assert (box.border_title, box.border_subtitle) == ("Themes", "Enter choose, Esc close")
        assert set(lines(pilot)[: len(THEMES) + 1]) == {"zebra", *(theme.name for theme in THEMES)}
        assert "dracula" in lines(pilot)
        await choose(pilot, "zebra", lambda line: line == "zebra")
        await until(pilot, lambda: pilot.app.theme == "zebra")
    assert saved == ["zebra"]


@pytest.mark.parametrize(
    ("preferences", "no_color", "theme"),
    [
        (Preferences(saved_theme="upload-light"), False, "upload-light"),
        (Preferences(saved_theme="upload-light", theme="upload-contrast"), False, "upload-contrast"),
        (Preferences(saved_theme="upload-light"), True, FEW_COLOURS_THEME),
        (Preferences(), False, DEFAULT_THEME),
    ],
    ids=["saved", "set", "no colours", "neither"],
)
def test_a_set_theme_has_priority_over_a_saved_one(
    monkeypatch: pytest.MonkeyPatch, preferences: Preferences, no_color: bool, theme: str
) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    session = InMemorySession()
    assert UploadApp(session, preferences=preferences).theme == theme
    session.close()
