"""The change log: its cursor, scrolling while changes arrive, and the keys that act on a change."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.pilot import Pilot
from textual.widgets import Input, Label

from tests.tui.dashboards import mixed, opened, toasts, until
from tests.unit.sources.scripted_source import SERVICE, ScriptedSource, lines_of
from upload_tui.monitor import (
    AnomalyNoticed,
    SourceSession,
    StageReached,
    Store,
    WatchedSource,
    parse_query_as_typed,
    source_schedule,
)
from upload_tui.monitor.changes import UploadRef
from upload_tui.status import Stage
from upload_tui.testing import NOW, FrozenClock, InMemorySession, an_upload, dashboard, settled
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.screens.dashboard import DashboardScreen
from upload_tui.tui.screens.shapes import ShapesScreen
from upload_tui.tui.screens.upload import UploadScreen
from upload_tui.tui.widgets.activity_pane import ChangeLogView
from upload_tui.tui.widgets.change_text import ChangeFilter, change_pieces
from upload_tui.tui.widgets.table.upload_table import UploadTable
from upload_tui.tui.widgets.timeline_view import TimelinePane
from upload_tui.wire import SIZE_DIFFERS, StatusShape, format_time


@asynccontextmanager
async def opened_log(count: int) -> AsyncIterator[tuple[Pilot[int], InMemorySession, ChangeLogView]]:
    """A dashboard with the focus on a change log of `count` changes."""
    async with opened(mixed()) as (pilot, session, _):
        log = pilot.app.screen.query_one(ChangeLogView)
        publish(session, *range(count))
        await until(pilot, lambda: len(log.shown_changes) == count)
        log.focus()
        await pilot.pause()
        yield pilot, session, log


def publish(session: InMemorySession, *numbers: int) -> None:
    session.publish(*(an_upload(f"up-{number:03d}", initiated=2000 - number) for number in numbers))


def name_under_cursor(log: ChangeLogView) -> str:
    """The name on the highlighted line, which must be visible."""
    background = log.get_component_rich_style("changes--cursor").bgcolor
    lines = [log.render_line(y) for y in range(log.size.height)]
    (line,) = [line for line in lines if any(segment.style and segment.style.bgcolor == background for segment in line)]
    return next(word for word in line.text.split() if word.startswith("up-"))


async def test_keys_move_the_cursor() -> None:
    async with opened_log(100) as (pilot, _, log):
        page = log.size.height - 1
        assert name_under_cursor(log) == "up-099"
        for keys, number in (
            (["k"], 98),
            (["up", "up", "j"], 98),
            (["down"], 99),
            (["8", "N", "N", "n"], 98),
            (["g"], 0),
            (["home", "down"], 1),
            (["g", "G"], 99),
            (["home", "end"], 99),
            (["g", "pagedown"], page),
            (["g", "pagedown", "pagedown", "pageup"], page),
            (["g", "ctrl+d"], page // 2),
            (["g", "ctrl+d", "ctrl+d", "ctrl+u"], page // 2),
        ):
            await pilot.press("G", *keys)
            assert name_under_cursor(log) == f"up-{number:03d}", keys


async def test_the_cursor_follows_the_newest_change_only_from_the_last_line() -> None:
    async with opened_log(50) as (pilot, session, log):
        publish(session, 50)
        await until(pilot, lambda: name_under_cursor(log) == "up-050")
        assert log.scroll_offset.y == log.max_scroll_y
        await pilot.press("k", "k")
        top = log.scroll_offset.y
        publish(session, *range(51, 60))
        await until(pilot, lambda: len(log.shown_changes) == 60)
        assert name_under_cursor(log) == "up-048"
        assert log.scroll_offset.y == top
        assert log.is_scrolled_back
        await settled(pilot)
        assert "scrolled back" in str(log.border_title)
        await pilot.press("G")
        assert not log.is_scrolled_back
        publish(session, 60)
        await until(pilot, lambda: name_under_cursor(log) == "up-060")


async def test_scrolling_moves_the_cursor_and_the_end_follows_the_newest() -> None:
    async with opened_log(100) as (pilot, session, log):
        log.scroll_to(y=10, animate=False, immediate=True)
        assert name_under_cursor(log) == f"up-{10 + log.size.height - 1:03d}"
        log.scroll_to(y=log.max_scroll_y, animate=False, immediate=True)
        publish(session, 100)
        await until(pilot, lambda: len(log.shown_changes) == 101)
        assert name_under_cursor(log) == "up-100"


async def test_a_smaller_pane_without_focus_keeps_its_scroll_position() -> None:
    async with opened_log(100) as (pilot, _, log):
        log.scroll_to(y=10, animate=False, immediate=True)
        await pilot.press("tab")
        height = log.size.height
        await pilot.resize_terminal(120, 24)
        await settled(pilot)
        assert log.size.height < height
        assert log.scroll_offset.y == 10
        await pilot.press("shift+tab")
        assert log.scroll_offset.y == 10
        assert 10 <= log.cursor_row < 10 + log.size.height
        assert name_under_cursor(log) == f"up-{log.cursor_row:03d}"


@pytest.mark.parametrize("keys", [[], ["k", "k"], ["g"]], ids=["newest", "near it", "oldest"])
async def test_the_change_under_the_cursor_stays_visible_at_any_size(keys: list[str]) -> None:
    async with opened_log(100) as (pilot, session, log):
        await pilot.press(*keys)
        before = name_under_cursor(log)
        for size in ((120, 60), (120, 37), (90, 24), (120, 90), (120, 40)):
            await pilot.resize_terminal(*size)
            await settled(pilot)
            assert name_under_cursor(log) == before
        publish(session, 100)
        await until(pilot, lambda: len(log.shown_changes) == 101)
        assert name_under_cursor(log) == (before if keys else "up-100")


class LogApp(App[None]):
    """An app with a change log that keeps 50 changes."""

    def compose(self) -> ComposeResult:
        yield ChangeLogView(max_changes=50)


def changes_numbered(numbers: range) -> list[StageReached]:
    return [
        StageReached(
            at=NOW,
            upload=UploadRef(f"{number}", f"up-{number:03d}", "p-1", "Genome"),
            before=None,
            after=Stage.INITIATED,
            on=NOW,
            certainty="reported",  # type: ignore[arg-type]
        )
        for number in numbers
    ]


async def test_the_cursor_keeps_its_change_when_older_changes_are_dropped() -> None:
    app = LogApp()
    async with app.run_test(size=(120, 20)) as pilot:
        log = app.query_one(ChangeLogView)
        log.focus()
        log.add(changes_numbered(range(50)))
        await pilot.press(*["k"] * 20)
        assert log.cursor_id == "29"
        log.add(changes_numbered(range(50, 60)))
        assert (log.cursor_id, log.cursor_row) == ("29", 19)
        assert log.scroll_offset.y <= log.cursor_row < log.scroll_offset.y + log.size.height
        log.add(changes_numbered(range(60, 95)))
        assert log.total == 50
        assert log.cursor_id == "45"  # the oldest that is left


async def test_keys_open_copy_and_compare_the_upload_of_a_change() -> None:
    async with opened_log(5) as (pilot, _, log):
        screen = pilot.app.screen
        assert isinstance(screen, DashboardScreen)
        await pilot.press("m", "k", "k", "y")
        assert name_under_cursor(log) == "up-002"
        assert pilot.app.clipboard == log.cursor_id
        assert log.cursor_key != screen.selected
        for key, opens in (("enter", UploadScreen), ("w", ShapesScreen), ("J", UploadScreen)):
            await pilot.press(key)
            await pilot.pause()
            assert isinstance(pilot.app.screen, opens)
            assert pilot.app.screen._key == log.cursor_key
            await pilot.press("escape")
            await pilot.pause()
        assert log.has_focus


async def test_a_click_selects_a_change_and_a_double_click_opens_it() -> None:
    async with opened_log(5) as (pilot, _, log):
        await pilot.click(log, offset=(20, 2))
        assert name_under_cursor(log) == "up-001"
        await pilot.click(log, offset=(20, 2), times=2)
        await until(pilot, lambda: isinstance(pilot.app.screen, UploadScreen))


@pytest.mark.parametrize("key", ["enter", "y", "w"])
async def test_keys_on_an_empty_change_log_show_a_notification(key: str) -> None:
    async with opened_log(0) as (pilot, _, _):
        await pilot.press(key)
        assert "No upload" in toasts(pilot)[0]


async def test_no_line_is_highlighted_without_the_focus() -> None:
    async with opened_log(5) as (pilot, _, log):
        await pilot.press("tab")
        with pytest.raises(ValueError, match="not enough values"):
            name_under_cursor(log)


async def test_moving_the_cursor_repaints_two_lines() -> None:
    async with opened_log(5) as (pilot, _, log):
        await pilot.press("k")  # the title becomes another one
        painted: list[Region] = []
        refresh = log.refresh

        def recording_refresh(*regions: Region, **options: bool) -> ChangeLogView:
            painted.extend(regions or [log.size.region])
            return refresh(*regions, **options)

        log.refresh = recording_refresh  # type: ignore[method-assign]
        await pilot.press("k")
        assert sorted(y for region in painted for y in region.line_range) == [2, 3]


async def test_changes_of_the_last_minutes_are_shown_until_they_are_older() -> None:
    async with opened_log(100) as (pilot, _, log):
        await pilot.press("8")  # the changes are 1900 to 2000 seconds old
        assert log.total == 100
        assert "last hour" in str(log.border_title)
        now = log.now
        assert now is not None
        log.now = now + timedelta(seconds=3600 - 1950)
        assert [log.shown_changes[0].upload.name, log.total] == ["up-050", 50]
        await pilot.press("8", "6")
        assert log.total == 0
        await pilot.press("escape")
        assert log.total == 100


@pytest.mark.parametrize(
    ("typed", "name"),
    [("1950s", "up-050"), ("33m", "up-020"), ("9d", "up-000"), ("+1h", "up-099"), ("{clock}", "up-030")],
)
async def test_the_cursor_goes_to_a_time(typed: str, name: str) -> None:
    async with opened_log(100) as (pilot, _, log):
        on = log.shown_changes[30].on  # type: ignore[attr-defined]
        await pilot.press("T")
        await pilot.pause()
        pilot.app.screen.query_one(Input).value = typed.format(clock=f"{on:%H:%M:%S}")
        await pilot.press("enter")
        await pilot.pause()
        assert log.shown_changes[log.cursor_row].upload.name == name


async def test_a_text_that_is_no_time_moves_nothing() -> None:
    async with opened_log(100) as (pilot, _, log):
        await pilot.press("T", *"nonsense", "enter")
        await pilot.pause()
        assert str(pilot.app.screen.query_one(Label).content) == "Not a time: nonsense"
        assert pilot.app.screen.query_one(Input).value == "nonsense"
        await pilot.press("escape")
        assert name_under_cursor(log) == "up-099"


def held_fields(completed: int | None) -> dict[str, Any]:
    """The line of an upload that a source holds in quarantine, perhaps after it was completed."""
    times = {"initiated_on": NOW - timedelta(seconds=90)}
    if completed is not None:
        times["completed_on"] = NOW - timedelta(seconds=completed)
    return {"stage": "quarantined", **{key: format_time(on) for key, on in times.items()}}


@asynccontextmanager
async def quarantined_at_a_source(completed: int | None) -> AsyncIterator[Pilot[int]]:
    source, store = ScriptedSource(), Store()
    source.print_next(lines_of({"held": {"initiated_on": format_time(NOW - timedelta(seconds=90))}}))
    source.print_next(lines_of({"held": held_fields(completed)}))
    watched, schedule = WatchedSource(source, SERVICE, "folder"), source_schedule(15.0)
    session = SourceSession(watched, store, FrozenClock(), schedule=schedule)
    async with dashboard(session).run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: pilot.app.screen.query_one(UploadTable).total == 1)
        session.refresh()
        yield pilot
    store.close()


@asynccontextmanager
async def quarantined_at_a_service(completed: int | None) -> AsyncIterator[Pilot[int]]:
    held = an_upload("held.tiff", status_shape=StatusShape.B, initiated=90, completed=completed)
    held["status"]["current"]["state"] = "quarantined"
    session = InMemorySession([an_upload("held.tiff", initiated=90)])
    async with dashboard(session).run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        session.publish(held)
        yield pilot
    session.close()


@pytest.mark.parametrize(
    ("quarantined", "sign", "other"),
    [(quarantined_at_a_source, "◇", "▲"), (quarantined_at_a_service, "▲", "◇ q")],
    ids=["source", "service"],
)
@pytest.mark.parametrize("completed", [None, 60], ids=["alone", "with a stage"])
async def test_a_state_of_a_sources_own_has_no_sign_of_trouble_anywhere(
    quarantined: Callable[[int | None], AbstractAsyncContextManager[Pilot[int]]],
    sign: str,
    other: str,
    completed: int | None,
) -> None:
    """In the activity, in the timeline and in the history; an unknown state of a service contradicts its design."""
    async with quarantined(completed) as pilot:
        log = pilot.app.screen.query_one(ChangeLogView)
        await until(pilot, lambda: any("quarantined" in log.line(y).text for y in range(log.total)))
        lines = [log.line(y).text for y in range(log.total) if "quarantined" in log.line(y).text]
        await settled(pilot)
        timeline = pilot.app.screen.query_one(TimelinePane).text().plain.partition("chunks")[0].splitlines()
        lines += [line for line in timeline if "quarantined" in line and not line.startswith("◇ ")]
        assert any(line.startswith("◇ quarantined") for line in timeline)
        await pilot.press("h")
        await settled(pilot)
        history = [str(label.render()) for label in pilot.app.screen.query("*") if "quarantined" in str(label.render())]
        lines += [line for text in history for line in text.splitlines() if "quarantined" in line]
        assert lines
        assert all(sign in line and other not in line for line in lines), lines


async def test_anomalies_stand_on_the_line_of_their_stage_and_are_found_and_exported() -> None:
    async with opened([]) as (pilot, session, _):
        log = pilot.app.screen.query_one(ChangeLogView)
        session.publish(
            an_upload("half.bin", initiated=60, completed=30, verified=20, chunks=(1, 3, 4)),
            an_upload("fine.bin", initiated=60, completed=30, verified=20),
        )
        await until(pilot, lambda: log.total == 6)
        assert [type(change) for change in log.shown_changes].count(AnomalyNoticed) == 2
        lines = [log.line(y).text for y in range(log.total)]
        (line,) = [line for line in lines if "▲" in line]
        assert "● half.bin" in line
        assert "chunks missing, chunk sizes differ" in line
        log.change_filter = ChangeFilter(where=parse_query_as_typed("missing"))
        assert log.total == 1


@pytest.mark.parametrize(
    ("width", "end"),
    [
        (48, "survey-wave-2031-140.csv · wrong size"),
        (90, "survey-wave-2031-140.csv · wrong size: reported 35703, stored 26777"),
        (40, "survey-w…140.csv · wrong size"),
    ],
)
def test_details_of_a_cause_do_not_shorten_the_name(width: int, end: str) -> None:
    message = f"{SIZE_DIFFERS}: reported 35703 bytes, stored 26777 bytes"
    session = InMemorySession([an_upload("survey-wave-2031-140.csv", completed=9)])
    session.publish(an_upload("survey-wave-2031-140.csv", completed=9, error=2, message=message))
    change = next(one for one in session.changes.history(9) if isinstance(one, StageReached) and one.error_message)
    session.close()
    pieces = change_pieces(change, NOW, DisplayOptions(), width)
    line = "".join(text for text, _ in pieces)
    assert line.endswith(end)
    assert len(line) <= width
