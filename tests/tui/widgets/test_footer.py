"""The key footer: which keys it shows, and clicks."""

import pytest
from textual.pilot import Pilot

from tests.tui.dashboards import FakeControls, mixed, opened, until
from upload_tui.testing import settled
from upload_tui.tui.bindings import FOOTER_LAST
from upload_tui.tui.screens.help import HelpScreen
from upload_tui.tui.widgets.footer import KeyFooter


@pytest.mark.parametrize("columns", [36, 40, 48, 60, 79, 80, 100, 120, 200])
async def test_keys_are_shown_completely_or_not_at_all_and_quit_always(columns: int) -> None:
    async with opened(mixed(), controls=FakeControls(), size=(columns, 24)) as (pilot, _, _):
        footer = pilot.app.screen.query_one(KeyFooter)
        await until(pilot, lambda: "Quit" in footer.render().plain)
        line = footer.render().plain
        assert len(line) <= columns
        shown = [item.strip() for item in line.split("  ") if item.strip()]
        items = items_by_id(pilot)
        assert shown[-3:] == [items[binding_id] for binding_id in FOOTER_LAST]
        assert set(shown) <= set(items.values())


def items_by_id(pilot: Pilot[int]) -> dict[str | None, str]:
    """The text of each key that works now, by the id of its binding."""
    bindings = [active.binding for active in pilot.app.screen.active_bindings.values()]
    return {binding.id: f"{pilot.app.get_key_display(binding)} {binding.description}" for binding in bindings}


async def test_clicking_a_key_presses_it() -> None:
    async with opened(mixed(), size=(80, 24)) as (pilot, _, _):
        footer = pilot.app.screen.query_one(KeyFooter)
        await until(pilot, lambda: "? Help" in footer.render().plain)
        await pilot.click(KeyFooter, offset=(footer.render().plain.index("? Help") + 3, 0))
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))


@pytest.mark.parametrize("size", [(60, 20), (120, 40)], ids=str)
async def test_enter_is_among_the_first_keys_of_each_pane_from_which_it_opens_an_upload(size: tuple[int, int]) -> None:
    async with opened(mixed(), size=size) as (pilot, _, _):
        footer, opens = pilot.app.screen.query_one(KeyFooter), []
        for _ in ("table", "timeline", "activity"):
            await settled(pilot)
            opens.append("Enter Open" in footer.render().plain.strip().split("  ")[:2])
            await pilot.press("tab")
        assert opens == [True, False, True]
