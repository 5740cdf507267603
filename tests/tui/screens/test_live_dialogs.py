"""Dialogs are as current as the screen below them."""

import pytest
from textual.widgets import OptionList, Static

from tests.tui.dashboards import opened, until
from upload_tui.monitor import ProjectRef
from upload_tui.testing import an_upload
from upload_tui.tui.bridge import ChangeBatch
from upload_tui.tui.fitting import HangingLines
from upload_tui.tui.screens.history import HistoryScreen
from upload_tui.tui.screens.projects import ProjectScreen
from upload_tui.tui.screens.statistics import FailureScreen, LatencyScreen
from upload_tui.tui.screens.upload import UploadScreen
from upload_tui.tui.widgets.status_bar import StatusBar
from upload_tui.tui.widgets.timeline_view import TimelinePane
from upload_tui.wire import CHUNK_HASH_DIFFERS, SIZE_DIFFERS


async def test_failures_appear_in_the_open_dialog_and_the_highlight_stays_on_its_cause() -> None:
    days_ago = an_upload("first", initiated=200_000, completed=190_000, error=180_000, message=SIZE_DIFFERS)
    async with opened([days_ago]) as (pilot, session, table):
        await pilot.press("F")
        await pilot.pause()
        assert isinstance(pilot.app.screen, FailureScreen)
        menu = pilot.app.screen.query_one(OptionList)
        menu.highlighted = 0
        later = [an_upload(f"hash-{n}", completed=60, error=9, message=CHUNK_HASH_DIFFERS) for n in range(3)]
        session.publish(*later)
        await until(pilot, lambda: menu.option_count == 2)
        assert menu.border_title == "Failures 4 (3 in trouble) by cause"
        assert menu.highlighted == 1  # the new cause has more uploads
        await pilot.press("enter")
        await pilot.pause()
        assert table.total == 1
        assert table.window.row(0).name == "first"  # type: ignore[union-attr]


async def test_an_open_dialog_without_failures_shows_the_first() -> None:
    async with opened([]) as (pilot, session, _):
        await pilot.press("F")
        await pilot.pause()
        menu = pilot.app.screen.query_one(OptionList)
        assert "No upload has failed" in str(menu.get_option_at_index(0).prompt)
        session.publish(an_upload("first", completed=60, error=50, message=SIZE_DIFFERS))
        await until(pilot, lambda: menu.border_title == "Failures 1 by cause")
        prompt = menu.get_option_at_index(0).prompt
        assert isinstance(prompt, HangingLines)
        assert f"1  wrong size: {SIZE_DIFFERS}" in prompt.wrapped(200).plain


async def test_latencies_appear_in_the_open_dialog() -> None:
    async with opened([]) as (pilot, session, _):
        await pilot.press("l")
        assert isinstance(pilot.app.screen, LatencyScreen)
        text = pilot.app.screen.query_one(Static)
        await until(pilot, lambda: "No upload" in str(text.render()))
        session.publish(an_upload("fine", completed=60, verified=50))
        await until(pilot, lambda: "completed to" in str(text.render()))


async def test_the_history_of_an_upload_is_in_order_of_time_and_grows() -> None:
    upload = an_upload("half.bin", initiated=60, chunks=(1, 3), size_bytes=3_000_000)
    async with opened([upload]) as (pilot, session, _):
        await pilot.press("h")
        assert isinstance(pilot.app.screen, HistoryScreen)
        text = pilot.app.screen.query_one(Static)

        def lines() -> list[str]:
            visual = text.visual
            return visual.wrapped(100).plain.splitlines() if isinstance(visual, HangingLines) else []

        await until(pilot, lambda: len(lines()) == 4)
        session.clock.advance(10)
        session.publish(
            an_upload(
                "half.bin", initiated=60, completed=5, error=2, message=CHUNK_HASH_DIFFERS + ": chunk 3", chunks=(1, 3)
            )
        )
        await until(pilot, lambda: any("error" in line for line in lines()))
        words = ["initiated", "completed", "error", "last reading"]
        found = [next(row for row, line in enumerate(lines()) if word in line) for word in words]
        assert found == sorted(found)
        assert [line.split()[:3] for line in lines()[-2:]] == [["chunk", "1", "■"], ["chunk", "3", "✗"]]


async def test_projects_appear_in_the_open_dialog() -> None:
    async with opened([]) as (pilot, session, _):
        await pilot.press("p")
        await pilot.pause()
        assert isinstance(pilot.app.screen, ProjectScreen)
        menu = pilot.app.screen.query_one(OptionList)
        await pilot.press("j")
        session.projects = (ProjectRef("p-0", "Atlas"), *session.projects)
        session.publish(an_upload("atlas.tiff", project=("p-0", "Atlas")))
        await until(pilot, lambda: menu.option_count == 3)
        assert str(menu.get_option_at_index(menu.highlighted or 0).prompt).split()[0] == "Genome"


async def test_an_open_upload_changes_with_its_status() -> None:
    async with opened([an_upload("scan.tiff", initiated=60)]) as (pilot, session, _):
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, UploadScreen)
        timeline = pilot.app.screen.query_one(TimelinePane)
        session.publish(an_upload("scan.tiff", initiated=60, completed=30, verified=20))
        await until(pilot, lambda: timeline.detail is not None and timeline.detail.upload.stage == "verified")
        assert "live" in str(pilot.app.screen.query_one(StatusBar).render())


@pytest.mark.parametrize("action", ["raw", "failures", "latencies", "projects", "shapes"])
async def test_changes_may_arrive_before_a_screen_is_mounted(action: str) -> None:
    async with opened([an_upload("first", completed=60, error=50, message=SIZE_DIFFERS)]) as (pilot, _, _):
        await pilot.app.screen.run_action(action)
        assert not pilot.app.screen.is_mounted
        pilot.app._dispatch(ChangeBatch(()))  # type: ignore[attr-defined]
        await pilot.pause()
        assert pilot.app.screen.is_mounted
