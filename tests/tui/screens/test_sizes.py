"""What is shown at which size: the timeline beside a complete table only, one pane at a time on a small screen."""

import re
from collections.abc import Callable
from random import Random

import pytest
from textual.app import App
from textual.geometry import Region
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget

from tests.tui.dashboards import NEWEST_FIRST, many, mixed, opened, selected, until
from upload_tui.testing import an_upload, settled
from upload_tui.tui.preferences import TableOrder
from upload_tui.tui.widgets.activity_pane import ChangeLogView
from upload_tui.tui.widgets.pending_list import PendingList

pytestmark = pytest.mark.slow

ONE_PANE = pytest.mark.parametrize("size", [(40, 12), (48, 24), (60, 20), (120, 15), (40, 10)], ids=str)


def shown(pilot: Pilot[int], *names: str) -> list[str]:
    """The panes that are visible."""
    return [name for name in names if pilot.app.screen.query_one(f"#{name}", Widget).region.area]


@pytest.mark.parametrize(
    ("key", "size"), [("w", (60, 20)), ("enter", (60, 20)), ("J", (60, 20)), ("l", (120, 40)), ("p", (80, 24))]
)
async def test_a_screen_is_laid_out_before_its_first_frame(
    key: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[list[Region]] = []
    display = App._display

    def recorded(app: App[int], screen: Screen[object], renderable: object) -> None:
        if len(app.screen_stack) > 1 and screen is app.screen:
            frames.append([widget.region for widget in screen.query("#shapes, .shape, #latencies, #menu, #upload > *")])
        display(app, screen, renderable)  # type: ignore[arg-type]

    monkeypatch.setattr(App, "_display", recorded)
    async with opened(mixed(), size) as (pilot, _, _):
        await pilot.press(key)
        await settled(pilot)
        assert frames
        assert all(frame == frames[0] for frame in frames)


async def test_no_scroll_bar_changes_the_width_at_which_a_dialog_wraps() -> None:
    """Where a narrower text is lower, a scroll bar that takes a cell would come and go without end."""
    async with opened(mixed(), (30, 40)) as (pilot, _, _):
        for key in ("h", "w", "F"):
            await pilot.press(key)
            scrolling = [one for one in pilot.app.screen.query(Widget) if one.styles.overflow_y == "auto"]
            assert [one for one in scrolling if one.styles.scrollbar_gutter != "stable"] == []
            await pilot.press("escape")


def on_screen(pilot: Pilot[int]) -> str:
    """The screen as text."""
    lines = pilot.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in line) for line in lines)


PANES = ("uploads", "timeline", "activity")


async def test_every_default_column_is_visible_at_each_size() -> None:
    async with opened(mixed(), (80, 24)) as (pilot, _, _):
        for size, panes in (
            ((80, 24), ["uploads", "activity"]),
            ((99, 40), ["uploads", "activity"]),
            ((100, 40), ["uploads", "activity"]),
            ((113, 40), ["uploads", "activity"]),
            ((115, 40), ["uploads", "activity"]),
            ((116, 40), ["uploads", "timeline", "activity"]),
            ((120, 40), ["uploads", "timeline", "activity"]),
            ((200, 60), ["uploads", "timeline", "activity"]),
        ):
            await pilot.resize_terminal(*size)
            await settled(pilot)
            assert shown(pilot, *PANES) == panes, size
            assert all(title in on_screen(pilot) for title in ("Name", "Size", "Age", "Details")), size
            assert "STUCK" in on_screen(pilot), size


@pytest.mark.parametrize("seed", range(3))
async def test_the_waiting_uploads_are_shown_or_counted_after_any_resizes(seed: int) -> None:
    random, sizes = Random(seed), [(80, 24), (60, 20), (120, 40), (200, 60), (10, 3), (100, 30)]
    async with opened([an_upload(f"waits-{number}.bin", initiated=40 + number) for number in range(5)]) as (
        pilot,
        _,
        _,
    ):
        pending = pilot.app.screen.query_one(PendingList)
        for size in (*random.choices(sizes, k=6), (80, 24)):
            await pilot.resize_terminal(*size)
            await settled(pilot)
        hidden = re.search(r"\d+", str(pending.border_subtitle))
        assert pending.size.height + int(hidden[0] if hidden else 0) == pending.total


async def test_the_timeline_fits_an_id_on_a_wide_screen() -> None:
    async with opened(mixed(), (160, 50)) as (pilot, _, table):
        await settled(pilot)
        row = table.window.row(0)
        assert row is not None
        assert row.id in on_screen(pilot)
        assert pilot.app.screen.query_one("#timeline").region.width <= 64


@ONE_PANE
async def test_a_small_screen_shows_one_pane_and_tab_shows_the_next(size: tuple[int, int]) -> None:
    async with opened(many(60), size) as (pilot, _, _):
        await settled(pilot)
        seen = []
        for key in ("tab", "tab", "tab", "shift+tab"):
            seen.append(shown(pilot, *PANES))
            pane = pilot.app.screen.query_one(f"#{seen[-1][0]}", Widget)
            assert pane.region.width == size[0]
            await pilot.press(key)
            await settled(pilot)
        assert seen == [["uploads"], ["timeline"], ["activity"], ["uploads"]]
        assert shown(pilot, *PANES) == ["activity"]


@ONE_PANE
async def test_the_cursor_keeps_its_upload_and_the_timeline_shows_it_while_the_table_is_hidden(
    size: tuple[int, int],
) -> None:
    stuck = [an_upload(f"stuck-{number}", initiated=9000, completed=8000 - number) for number in range(9)]
    for order in (NEWEST_FIRST, TableOrder()):
        async with opened([*many(60), *stuck], size, order=order) as (pilot, session, table):
            for moves in ("gjj", "W", "Gkk"):
                await pilot.press(*moves)
                await settled(pilot)
                name = selected(table)
                assert name in on_screen(pilot)
                await pilot.press("tab")
                await settled(pilot)
                assert name in on_screen(pilot)
                session.publish(an_upload(f"new-{len(table.window.rows)}", initiated=100))
                await pilot.press("tab", "tab")
                await settled(pilot)
                assert selected(table) == name
                assert name in on_screen(pilot)


async def test_the_searched_pane_stays_visible_during_the_search() -> None:
    async with opened(mixed(), (48, 24)) as (pilot, _, _):
        await pilot.press("slash", "s")
        await settled(pilot)
        assert shown(pilot, *PANES) == ["uploads"]
        await pilot.press("enter", "tab", "tab", "slash", "x")
        await settled(pilot)
        assert shown(pilot, *PANES) == ["activity"]


async def test_hidden_panes_are_up_to_date_when_they_appear() -> None:
    async with opened(mixed(), (40, 12)) as (pilot, session, table):
        for number in range(4):
            session.publish(an_upload(f"{number}.bin", initiated=14, chunks=(1,)))
            await settled(pilot)
        await pilot.press("tab")
        await settled(pilot)
        assert selected(table) in on_screen(pilot)
        await pilot.press("tab")
        await settled(pilot)
        assert "3.bin" in on_screen(pilot)
        assert len(pilot.app.screen.query_one(PendingList).text().plain.splitlines()) > 1
        await pilot.resize_terminal(120, 40)
        await settled(pilot)
        assert shown(pilot, *PANES) == [*PANES]
        assert pilot.app.screen.query_one(ChangeLogView).has_focus


@pytest.mark.parametrize("size", [(40, 12), (48, 24), (60, 20)], ids=str)
@pytest.mark.parametrize(("key", "first"), [("enter", 0), ("J", 1)], ids=["timeline", "raw"])
async def test_the_upload_screen_shows_one_pane_at_a_time_when_small(
    size: tuple[int, int], key: str, first: int
) -> None:
    panes = ("upload-timeline", "upload-raw")
    async with opened(mixed(), size) as (pilot, _, _):
        await settled(pilot)
        await pilot.press(key)
        await settled(pilot)
        assert shown(pilot, *panes) == [panes[first]]
        await pilot.press("tab")
        await settled(pilot)
        assert shown(pilot, *panes) == [panes[1 - first]]
        await pilot.resize_terminal(80, 24)
        await settled(pilot)
        assert shown(pilot, *panes) == [*panes]


@pytest.mark.parametrize("size", [(40, 12), (48, 24), (60, 20), (80, 24), (120, 40)], ids=str)
async def test_pending_lines_keep_the_word_stuck_and_count_the_rest(size: tuple[int, int]) -> None:
    stuck = [an_upload(f"a-rather-long-name-{n:03d}.fastq.gz", initiated=9000, completed=8000) for n in range(25)]
    async with opened(stuck, size) as (pilot, _, _):
        await settled(pilot)
        await pilot.press("tab", *([] if shown(pilot, "activity") else ["tab"]))
        await settled(pilot)
        pending = pilot.app.screen.query_one(PendingList)
        lines = pending.text().plain.splitlines()
        assert all("stuck" in line and not line.endswith("…") for line in lines)
        assert size[0] == 40 or all("stuck: " in line for line in lines)
        assert len({line.index("stuck") for line in lines}) == 1
        assert f"+{25 - len(lines)} more waiting" in on_screen(pilot)
        assert pending.size.height == len(lines)


async def test_pending_lines_show_how_much_is_received() -> None:
    uploads = [an_upload("half.bin", initiated=60, chunks=(1, 2)), an_upload("whole.bin", initiated=60)]
    async with opened(uploads, (200, 60)) as (pilot, _, _):
        await settled(pilot)
        half, whole = sorted(pilot.app.screen.query_one(PendingList).text().plain.splitlines())
        assert half.endswith("  50% received, 59s left")
        assert whole.endswith("  100% received, waiting for client")


async def test_pending_lines_count_the_rest_after_a_resize_and_give_way_to_changes() -> None:
    async with opened(many(15), (120, 40)) as (pilot, session, _):
        pending = pilot.app.screen.query_one(PendingList)

        def is_shown(more: int) -> Callable[[], bool]:
            return lambda: f"+{more} more waiting" in on_screen(pilot)

        await until(pilot, lambda: f"+{15 - pending.size.height} more waiting" in on_screen(pilot))
        await pilot.resize_terminal(80, 24)
        await until(pilot, is_shown(12))
        assert pending.size.height == 3
        session.publish(an_upload("new.tiff", initiated=1), an_upload("other.tiff", initiated=1))
        await until(pilot, is_shown(15))
        assert pending.size.height == 2


@pytest.mark.parametrize("width", [40, 48, 60, 80])
async def test_the_hint_of_the_column_dialog_fits_every_width(width: int) -> None:
    async with opened(mixed(), (width, 24)) as (pilot, _, _):
        await pilot.press("c")
        await settled(pilot)
        hint = str(pilot.app.screen.query_one("#columns").border_subtitle)
        assert "Enter" in hint
        assert hint in on_screen(pilot)
