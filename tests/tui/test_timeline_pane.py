"""The timeline's pane: of one size, whatever it holds; the rest is reached by keys and wheel."""

import pytest
from textual.events import MouseScrollDown, MouseScrollUp

from tests.tui.dashboards import mixed, opened
from upload_tui.testing import an_upload, settled
from upload_tui.tui.widgets.activity.activity_pane import PendingList
from upload_tui.tui.widgets.timeline.timeline_pane import TimelinePane

LOW = (120, 26)


def lines(pane: TimelinePane) -> list[str]:
    return [line.rstrip() for line in pane.text().plain.split("\n")]


async def test_what_does_not_fit_is_told_and_reached_by_keys() -> None:
    async with opened(mixed(), size=LOW) as (pilot, _, _):
        pane = pilot.app.screen.query_one(TimelinePane)
        room = pane.content_size.height
        whole = lines(pane)
        assert len(whole) == room
        assert whole[-1].endswith("more lines")
        hidden = int(whole[-1].split()[1]) - 1
        pane.focus()
        await pilot.press("j", "down")
        assert lines(pane)[:-1] == (whole[2:-1] + lines(pane)[-3:-1])
        assert lines(pane)[-1].endswith(f"{hidden - 1} more lines")
        await pilot.press("G")
        assert "more lines" not in lines(pane)[-1]
        assert "read" in lines(pane)[-1]
        await pilot.press("pageup", "g", "k")
        assert lines(pane) == whole


async def test_the_wheel_scrolls_it_and_another_upload_begins_at_the_top() -> None:
    async with opened(mixed(), size=LOW) as (pilot, _, table):
        pane = pilot.app.screen.query_one(TimelinePane)
        first = lines(pane)[0]
        where = {"x": 1, "y": 1, "delta_x": 0, "delta_y": 0, "button": 0, "shift": False, "meta": False, "ctrl": False}
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


async def test_another_upload_needs_no_new_layout() -> None:
    """Whatever it has to say: laying out is what a held key cannot afford."""
    async with opened(mixed()) as (pilot, _, _):
        await pilot.pause(0.2)
        laid_out: list[object] = []
        pilot.app.screen.screen_layout_refresh_signal.subscribe(pilot.app.screen, laid_out.append)
        for _ in range(4):
            await pilot.press("j")
            await pilot.pause(0.2)
        assert laid_out == []


@pytest.mark.parametrize("size", [(20, 5), (1, 1), (40, 8)], ids=str)
async def test_panes_without_room_change_their_words_all_the_same(size: tuple[int, int]) -> None:
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
