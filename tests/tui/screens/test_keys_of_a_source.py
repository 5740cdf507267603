"""Keys that need the API of a service: not offered for an upload of a source, and explained if they are pressed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from tests.tui.dashboards import toasts, until
from tests.unit.sources.scripted_source import SERVICE, ScriptedSource, lines_of
from upload_tui.monitor import CombinedSession, SourceSession, Store, WatchedSource, source_schedule
from upload_tui.testing import FrozenClock, InMemorySession, an_upload, dashboard, settled
from upload_tui.tui.command_palette import action_commands
from upload_tui.tui.screens.dashboard import DashboardScreen
from upload_tui.tui.screens.help import key_helps
from upload_tui.tui.screens.upload import UploadScreen
from upload_tui.tui.widgets.footer import KeyFooter
from upload_tui.tui.widgets.table.upload_table import UploadTable

KEYS = {"w": ("Formats", "shapes"), "C": ("Copy curl", "copy.curl")}


@asynccontextmanager
async def both() -> AsyncIterator[tuple[Pilot[int], UploadTable]]:
    """The upload of a service and that of a source in one dashboard."""
    source, clock, store = ScriptedSource(), FrozenClock(), Store()
    source.print_next(lines_of({"of-source": {}}))
    listed = SourceSession(WatchedSource(source, SERVICE, "folder"), store, clock, schedule=source_schedule(15.0))
    of_service = InMemorySession([an_upload("of-service.tiff")], clock=clock)
    async with dashboard(CombinedSession([of_service, listed])).run_test(size=(200, 60)) as pilot:
        table = pilot.app.screen.query_one(UploadTable)
        await until(pilot, lambda: table.total == 2)
        yield pilot, table
    of_service.close()
    store.close()


async def select(pilot: Pilot[int], table: UploadTable, name: str) -> None:
    """Move the cursor to an upload, and show its timeline."""
    row = next(n for n in range(table.total) if (one := table.window.row(n)) and one.name == name)
    await pilot.press("g", *["j"] * row)
    screen = pilot.app.screen
    assert isinstance(screen, DashboardScreen)
    await until(pilot, lambda: screen.detail is not None and screen.detail.upload.name == name)
    await settled(pilot)


def offered(pilot: Pilot[int]) -> dict[str, set[str]]:
    """Which of the keys each place offers, by its name."""
    screen = pilot.app.screen
    footer, palette = screen.query_one(KeyFooter).text().plain, [title for title, *_ in action_commands(screen)]
    helps = {one.id for one in key_helps(screen)}
    return {
        "footer": {key for key, (word, _) in KEYS.items() if f"{key} {word}" in footer},
        "palette": {key for key, (word, _) in KEYS.items() if f"{word}  ({key})" in palette},
        "help": {key for key, (_, binding_id) in KEYS.items() if binding_id in helps},
    }


@pytest.mark.parametrize("screen", [DashboardScreen, UploadScreen], ids=["dashboard", "upload"])
async def test_keys_of_a_services_api_are_offered_for_its_uploads_alone(
    screen: type[DashboardScreen | UploadScreen],
) -> None:
    async with both() as (pilot, table):
        for name, expected in (("of-service.tiff", set(KEYS)), ("of-source.tiff", set[str]())):
            await select(pilot, table, name)
            if screen is UploadScreen:
                await pilot.press("enter")
                await settled(pilot)
            assert isinstance(pilot.app.screen, screen)
            places = offered(pilot)
            if screen is DashboardScreen and expected:
                places["footer"].add("C")  # in the footer of an upload's screen only
            assert places == dict.fromkeys(places, expected), name
            if screen is UploadScreen:
                await pilot.press("escape")
                await settled(pilot)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("screen", [DashboardScreen, UploadScreen], ids=["dashboard", "upload"])
async def test_a_key_of_a_services_api_that_is_pressed_for_a_source_says_why_nothing_happens(
    key: str, screen: type[DashboardScreen | UploadScreen]
) -> None:
    async with both() as (pilot, table):
        await select(pilot, table, "of-source.tiff")
        if screen is UploadScreen:
            await pilot.press("enter")
            await settled(pilot)
        await pilot.press(key)
        await until(pilot, lambda: len(toasts(pilot)) == 1)
        assert isinstance(pilot.app.screen, screen)
        assert toasts(pilot)[0].startswith("Uploads of a source have no ")
