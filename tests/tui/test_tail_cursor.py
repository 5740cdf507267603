"""The cursor of the tail: where keys lead it, where it stays while changes come, and what is done with its change."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.geometry import Region
from textual.pilot import Pilot

from tests.tui.dashboards import mixed, opened, toasts, until
from upload_tui.testing import InMemorySession, an_upload, settled
from upload_tui.tui.screens.dashboard import DashboardScreen
from upload_tui.tui.screens.shapes import ShapesScreen
from upload_tui.tui.screens.upload import UploadScreen
from upload_tui.tui.widgets.activity import activity_pane
from upload_tui.tui.widgets.activity.activity_pane import ChangeLogView


@asynccontextmanager
async def tailed(count: int) -> AsyncIterator[tuple[Pilot[int], InMemorySession, ChangeLogView]]:
    """A dashboard whose tail has the focus and as many changes."""
    async with opened(mixed()) as (pilot, session, _):
        log = pilot.app.screen.query_one(ChangeLogView)
        say(session, *range(count))
        await until(pilot, lambda: len(log.shown_changes) == count)
        log.focus()
        await pilot.pause()
        yield pilot, session, log


def say(session: InMemorySession, *numbers: int) -> None:
    session.publish(*(an_upload(f"up-{number:03d}", initiated=2000 - number) for number in numbers))


def under(log: ChangeLogView) -> str:
    """The name on the line that stands out; it is always in view."""
    ground = log.get_component_rich_style("tail--cursor").bgcolor
    lines = [log.render_line(y) for y in range(log.size.height)]
    (line,) = [line for line in lines if any(segment.style and segment.style.bgcolor == ground for segment in line)]
    return next(word for word in line.text.split() if word.startswith("up-"))


def title(pilot: Pilot[int]) -> str:
    return str(pilot.app.screen.query_one("#tail").border_title)


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ([], "up-099"),
        (["k"], "up-098"),
        (["up", "up", "j"], "up-098"),
        (["down"], "up-099"),
        (["N", "N", "n"], "up-098"),
        (["g"], "up-000"),
        (["home", "down"], "up-001"),
        (["g", "G"], "up-099"),
        (["home", "end"], "up-099"),
        (["g", "pagedown"], "up-{page:03d}"),
        (["g", "pagedown", "pagedown", "pageup"], "up-{page:03d}"),
        (["g", "ctrl+d"], "up-{half:03d}"),
        (["g", "ctrl+d", "ctrl+d", "ctrl+u"], "up-{half:03d}"),
    ],
    ids=str,
)
async def test_the_tails_cursor_moves_when_a_key_is_pressed(keys: list[str], name: str) -> None:
    async with tailed(100) as (pilot, _, log):
        await pilot.press(*keys)
        page = log.size.height - 1
        assert under(log) == name.format(page=page, half=page // 2)


async def test_it_stays_with_the_newest_on_the_last_line_and_where_it_is_on_any_other() -> None:
    async with tailed(50) as (pilot, session, log):
        say(session, 50)
        await until(pilot, lambda: under(log) == "up-050")
        assert log.scroll_offset.y == log.max_scroll_y
        await pilot.press("k", "k")
        top = log.scroll_offset.y
        say(session, *range(51, 60))
        await until(pilot, lambda: len(log.shown_changes) == 60)
        assert under(log) == "up-048"
        assert log.scroll_offset.y == top
        await until(pilot, lambda: title(pilot) == "Tail · looking back")
        await pilot.press("G")
        await until(pilot, lambda: title(pilot) == "Tail")
        say(session, 60)
        await until(pilot, lambda: under(log) == "up-060")


async def test_the_cursor_comes_along_when_the_wheel_turns_and_the_end_is_the_newest() -> None:
    async with tailed(100) as (pilot, session, log):
        log.scroll_to(y=10, animate=False, immediate=True)
        assert under(log) == f"up-{10 + log.size.height - 1:03d}"
        log.scroll_to(y=log.max_scroll_y, animate=False, immediate=True)
        say(session, 100)
        await until(pilot, lambda: len(log.shown_changes) == 101)
        assert under(log) == "up-100"


async def test_the_view_stays_where_it_is_when_the_pane_gets_smaller_and_has_no_focus() -> None:
    async with tailed(100) as (pilot, _, log):
        log.scroll_to(y=10, animate=False, immediate=True)
        await pilot.press("tab")
        height = log.size.height
        await pilot.resize_terminal(120, 24)
        await settled(pilot)
        assert log.size.height < height
        assert log.scroll_offset.y == 10
        await pilot.press("shift+tab")
        assert log.scroll_offset.y == 10
        assert under(log) == f"up-{10 + log.size.height - 1:03d}"


@pytest.mark.parametrize("keys", [[], ["k", "k"], ["g"]], ids=["newest", "near it", "oldest"])
async def test_the_cursor_keeps_its_change_in_view_whatever_size_the_terminal_gets(keys: list[str]) -> None:
    async with tailed(100) as (pilot, session, log):
        await pilot.press(*keys)
        before = under(log)
        for size in ((120, 60), (120, 37), (90, 24), (120, 90), (120, 40)):
            await pilot.resize_terminal(*size)
            await settled(pilot)
            assert under(log) == before
        say(session, 100)
        await until(pilot, lambda: len(log.shown_changes) == 101)
        assert under(log) == (before if keys else "up-100")


async def test_the_cursor_keeps_its_change_when_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity_pane, "_MAX_CHANGES", 50)
    async with tailed(50) as (pilot, session, log):
        await pilot.press(*["k"] * 20)
        assert under(log) == "up-029"
        say(session, *range(50, 60))
        await until(pilot, lambda: log.shown_changes[-1].upload.name == "up-059")
        assert under(log) == "up-029"
        say(session, *range(60, 95))
        await until(pilot, lambda: log.shown_changes[-1].upload.name == "up-094")
        assert under(log) == "up-045"  # the oldest that is left


async def test_the_upload_of_the_change_is_opened_copied_and_compared() -> None:
    async with tailed(5) as (pilot, _, log):
        screen = pilot.app.screen
        assert isinstance(screen, DashboardScreen)
        await pilot.press("m", "k", "k", "y")
        assert under(log) == "up-002"
        assert pilot.app.clipboard == log.cursor_upload_id != screen.selected_id
        for key, opens in (("enter", UploadScreen), ("w", ShapesScreen), ("J", UploadScreen)):
            await pilot.press(key)
            await pilot.pause()
            assert isinstance(pilot.app.screen, opens)
            assert pilot.app.screen._upload_id == log.cursor_upload_id  # type: ignore[attr-defined]
            await pilot.press("escape")
            await pilot.pause()
        assert log.has_focus


async def test_a_change_is_chosen_when_it_is_clicked_and_opened_when_twice() -> None:
    async with tailed(5) as (pilot, _, log):
        await pilot.click(log, offset=(20, 1))
        assert under(log) == "up-001"
        await pilot.click(log, offset=(20, 1), times=2)
        await until(pilot, lambda: isinstance(pilot.app.screen, UploadScreen))


@pytest.mark.parametrize("key", ["enter", "y", "w"])
async def test_a_sentence_says_so_when_the_tail_has_no_change(key: str) -> None:
    async with tailed(0) as (pilot, _, _):
        await pilot.press(key)
        assert toasts(pilot) == ["No upload is chosen."]


async def test_no_line_stands_out_when_another_pane_has_the_focus() -> None:
    async with tailed(5) as (pilot, _, log):
        await pilot.press("tab")
        with pytest.raises(ValueError, match="not enough values"):
            under(log)


async def test_two_lines_are_painted_when_the_cursor_goes_to_the_next() -> None:
    async with tailed(5) as (pilot, _, log):
        painted: list[Region] = []
        refresh = log.refresh

        def remembering(*regions: Region, **wishes: bool) -> ChangeLogView:
            painted.extend(regions or [log.size.region])
            return refresh(*regions, **wishes)

        log.refresh = remembering  # type: ignore[method-assign,assignment]
        await pilot.press("k")
        assert sorted(region.y for region in painted) == [3, 4]
        assert {region.height for region in painted} == {1}
