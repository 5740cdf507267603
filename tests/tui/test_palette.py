"""The palette: whatever can be done here with its keys, each once; the themes, ours first, and the choice kept."""

from collections.abc import Callable

import pytest
from textual.command import CommandList, CommandPalette
from textual.pilot import Pilot
from textual.theme import Theme

from tests.tui.dashboards import FakeControls, chosen, mixed, opened, until
from upload_tui.testing import InMemorySession
from upload_tui.tui import DEFAULT_THEME, THEMES, Preferences, UploadApp
from upload_tui.tui.appearance.theme import FEW_COLOURS_THEME
from upload_tui.tui.keys.bindings import APP_KEYS, DASHBOARD_KEYS, TABLE_KEYS
from upload_tui.tui.widgets.activity.activity_pane import ChangeLogView


def lines(pilot: Pilot[int]) -> list[str]:
    found = pilot.app.screen.query(CommandList)
    return [str(option.prompt) for option in found.first().options] if found else []


async def choose(pilot: Pilot[int], words: str, wanted: Callable[[str], bool]) -> None:
    """Type words into the palette that is open, and take the first line when it is the wanted one."""
    await pilot.press(*words)
    await until(pilot, lambda: bool(lines(pilot)) and wanted(lines(pilot)[0]))
    await pilot.press("enter")
    await until(pilot, lambda: not isinstance(pilot.app.screen, CommandPalette))


async def test_everything_that_works_here_is_there_once_and_with_its_keys() -> None:
    async with opened(mixed(), controls=FakeControls()) as (pilot, _, _):
        titles = [command.title for command in pilot.app.get_system_commands(pilot.app.screen)]
    ids = {key.id for key in (*TABLE_KEYS, *DASHBOARD_KEYS, *APP_KEYS)} - {"palette"}
    assert len(set(titles)) == len(titles) == len(ids | {"Theme"})
    assert {"Open  (Enter)", "Down  (j ↓)", "Trouble  (!)", "Slower  ([)", "Theme"} <= set(titles)


async def test_what_the_tail_can_do_is_there_when_it_has_the_focus() -> None:
    async with opened(mixed()) as (pilot, _, _):
        pilot.app.screen.query_one(ChangeLogView).focus()
        await pilot.pause()
        helps = [command.help for command in pilot.app.get_system_commands(pilot.app.screen)]
    assert "Changes to error alone; again: all" in helps
    assert "Open the upload's own screen" not in helps
    assert "Begin one more upload" not in helps, "there is no story"


async def test_an_action_of_the_table_happens_when_it_is_chosen() -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.press("ctrl+p")
        await choose(pilot, "last", lambda line: line.startswith("Last  (G End)"))
        await until(pilot, lambda: chosen(table) == "e-stuck")


async def test_an_action_is_found_by_what_it_does() -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.press("ctrl+p")
        await choose(pilot, "stuck and the failed", lambda line: line.startswith("Trouble"))
        await until(pilot, lambda: table.total == 2)


async def test_own_themes_come_first_and_the_chosen_one_is_kept() -> None:
    kept: list[str] = []
    own = Theme("zebra", primary="#ff00ff")
    async with opened(mixed(), themes=[own], save_theme=kept.append) as (pilot, _, _):
        pilot.app.search_themes()
        await until(pilot, lambda: len(lines(pilot)) > len(THEMES) + 1)
        assert set(lines(pilot)[: len(THEMES) + 1]) == {"zebra", *(theme.name for theme in THEMES)}
        assert "dracula" in lines(pilot)
        await choose(pilot, "zebra", lambda line: line == "zebra")
        await until(pilot, lambda: pilot.app.theme == "zebra")
    assert kept == ["zebra"]


@pytest.mark.parametrize(
    ("wishes", "no_color", "theme"),
    [
        (Preferences(saved_theme="upload-light"), False, "upload-light"),
        (Preferences(saved_theme="upload-light", theme="upload-contrast"), False, "upload-contrast"),
        (Preferences(saved_theme="upload-light"), True, FEW_COLOURS_THEME),
        (Preferences(), False, DEFAULT_THEME),
    ],
    ids=["chosen", "set", "no colours", "neither"],
)
def test_the_theme_is_the_one_that_was_set_or_else_chosen(
    monkeypatch: pytest.MonkeyPatch, wishes: Preferences, no_color: bool, theme: str
) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    session = InMemorySession()
    assert UploadApp(session, preferences=wishes).theme == theme
    session.close()
