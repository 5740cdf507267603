"""The timeline pane: of fixed size, scrolled by keys and mouse wheel."""

from typing import Any

import pytest
from textual.events import MouseScrollDown, MouseScrollUp

from tests.tui.dashboards import mixed, opened
from upload_tui.monitor import UploadGone
from upload_tui.monitor.changes import UploadRef
from upload_tui.testing import an_upload, settled
from upload_tui.tui.widgets.pending_list import PendingList
from upload_tui.tui.widgets.timeline_view import TimelinePane

LOW = (120, 26)


def lines(pane: TimelinePane) -> list[str]:
    return [line.rstrip() for line in pane.text().plain.split("\n")]


async def test_hidden_lines_are_counted_and_reached_by_keys() -> None:
    async with opened(mixed(), size=LOW) as (pilot, _, _):
        pane = pilot.app.screen.query_one(TimelinePane)
        first_lines = lines(pane)
        assert len(first_lines) == pane.content_size.height
        assert first_lines[-1].endswith("more lines")
        hidden = int(first_lines[-1].split()[1]) - 1
        pane.focus()
        await pilot.press("j", "down")
        assert lines(pane)[:-1] == (first_lines[2:-1] + lines(pane)[-3:-1])
        assert lines(pane)[-1].endswith(f"{hidden - 1} more lines")
        await pilot.press("G")
        assert "more lines" not in lines(pane)[-1]
        assert "fetched" in lines(pane)[-1]
        await pilot.press("pageup", "g", "k")
        assert lines(pane) == first_lines


async def test_the_wheel_scrolls_and_another_upload_starts_at_the_top() -> None:
    async with opened(mixed(), size=LOW) as (pilot, _, table):
        pane = pilot.app.screen.query_one(TimelinePane)
        first = lines(pane)[0]
        where: dict[str, Any] = {
            "x": 1,
            "y": 1,
            "delta_x": 0,
            "delta_y": 0,
            "button": 0,
            "shift": False,
            "meta": False,
            "ctrl": False,
        }
        pane.post_message(MouseScrollDown(pane, **where))
        await pilot.pause()
        assert lines(pane)[0] != first
        pane.post_message(MouseScrollUp(pane, **where))
        await pilot.pause()
        assert lines(pane)[0] == first
        pane.top = 3
        table.focus()
        await pilot.press("j")
        await pilot.pause(0.2)
        assert pane.top == 0


async def test_selecting_another_upload_needs_no_layout() -> None:
    """A layout takes too long for a held key."""
    async with opened(mixed()) as (pilot, _, _):
        await pilot.pause(0.2)
        layouts: list[object] = []
        pilot.app.screen.screen_layout_refresh_signal.subscribe(pilot.app.screen, layouts.append)
        for _ in range(4):
            await pilot.press("j")
            await pilot.pause(0.2)
        assert layouts == []


@pytest.mark.parametrize("size", [(20, 5), (1, 1), (40, 8)], ids=str)
async def test_panes_of_size_zero_are_updated(size: tuple[int, int]) -> None:
    async with opened(mixed()) as (pilot, session, table):
        await pilot.resize_terminal(*size)
        for number in range(4):
            session.publish(an_upload(f"{number}.bin", initiated=14, chunks=(1,)))
            await settled(pilot)
        await pilot.resize_terminal(120, 40)
        await settled(pilot)
        assert table.total == len(mixed()) + 4
        assert pilot.app.screen.query_one(PendingList).size.height > 0
        assert pilot.app.is_running


@pytest.mark.parametrize(
    "facts",
    [{"initiated": 9000}, {"initiated": 300, "completed": 286}, {"initiated": 9, "completed": 6, "verified": 3}],
)
@pytest.mark.parametrize("key", [(), ("enter",)], ids=["pane", "page"])
async def test_a_gone_upload_has_a_least_age_and_no_running_bar(facts: dict[str, Any], key: tuple[str, ...]) -> None:
    async with opened([an_upload("scan.tiff", **facts)]) as (pilot, session, table):
        (row,) = session.picture.window(table.rows_query, 0, 1).rows
        session.picture.mark(row.id, gone=True)
        ref = UploadRef(row.id, row.name, row.project_id, row.project_name, row.service)
        session.changes.publish(UploadGone(at=session.picture.clock.now(), upload=ref))
        await pilot.press(*key)
        pane = pilot.app.screen.query(TimelinePane).last()
        for seconds in (0, 600):
            session.clock.advance(seconds)
            session.publish(an_upload(f"another-{seconds}", initiated=1))
            await settled(pilot)
            text = pane.text().plain
            assert "no longer listed since 09:26:53" in text
            assert not [sign for sign in ("▒", "stuck", "○ completed") if sign in text]
            age = {9000: ">2h 30m", 300: ">4m 46s", 9: ""}[facts["initiated"]]
            assert age in text
            if not key:
                line = next(line for line in map(table.render_line, range(9)) if "scan.tiff" in line.text)
                assert age in line.text
                assert "▲" not in line.text
