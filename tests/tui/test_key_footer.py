"""The bottom line: which keys it tells, and that a click on one presses it."""

import pytest

from tests.tui.dashboards import FakeControls, mixed, opened, until
from upload_tui.tui.screens.help import HelpScreen
from upload_tui.tui.widgets.key_footer import KeyFooter


@pytest.mark.parametrize("columns", [36, 40, 48, 60, 79, 80, 100, 120, 200])
async def test_keys_are_told_whole_or_not_at_all_and_the_way_out_always(columns: int) -> None:
    async with opened(mixed(), controls=FakeControls(), size=(columns, 24)) as (pilot, _, _):
        footer = pilot.app.screen.query_one(KeyFooter)
        await until(pilot, lambda: "Quit" in footer.render().plain)
        line = footer.render().plain
        assert len(line) <= columns
        told = [item.strip() for item in line.split("  ") if item.strip()]
        assert told[-3:] == ["? Help", "q Quit", "^p All"]
        words = {
            "Enter Open",
            "/ Search",
            "! Trouble",
            "u New",
            "x Break",
            "Tab Pane",
            "[ Slower",
            "] Faster",
            "Space Pause",
        }
        assert set(told[:-3]) <= words | {"f Follow", "s Sort", "w Shapes", ". Step"}


async def test_the_key_is_pressed_when_it_is_clicked() -> None:
    async with opened(mixed(), size=(80, 24)) as (pilot, _, _):
        footer = pilot.app.screen.query_one(KeyFooter)
        await until(pilot, lambda: "? Help" in footer.render().plain)
        await pilot.click(KeyFooter, offset=(footer.render().plain.index("? Help") + 3, 0))
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))


async def test_another_pane_has_other_keys_when_it_has_the_focus() -> None:
    async with opened(mixed(), size=(80, 24)) as (pilot, _, _):
        footer = pilot.app.screen.query_one(KeyFooter)
        await until(pilot, lambda: "Enter Open" in footer.render().plain)
        await pilot.press("tab")
        await until(pilot, lambda: "Enter Open" not in footer.render().plain)
