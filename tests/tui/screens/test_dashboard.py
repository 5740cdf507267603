"""What keys and the mouse do on the dashboard, without pictures."""

import re
from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
from textual import events
from textual.content import Content
from textual.geometry import Region
from textual.scrollbar import ScrollBar
from textual.widgets import Input

from tests.tui.dashboards import FakeControls, many, mixed, names_in, opened, selected, toasts, until
from upload_tui.errors import StorageError
from upload_tui.monitor import Connection, ConnectionState, Query, SortKey, Window
from upload_tui.testing import InMemorySession, an_upload, dashboard, settled
from upload_tui.tui import ColumnSpec, TableOrder, UploadApp, ViewKind
from upload_tui.tui.screens.dashboard import DashboardScreen
from upload_tui.tui.screens.help import HelpScreen
from upload_tui.tui.screens.menu import MenuScreen
from upload_tui.tui.screens.shapes import ShapesScreen
from upload_tui.tui.screens.upload import UploadScreen
from upload_tui.tui.widgets.activity_pane import ChangeLogView
from upload_tui.tui.widgets.footer import SearchBar
from upload_tui.tui.widgets.funnel import StageCell
from upload_tui.tui.widgets.table.upload_table import UploadTable


async def test_keys_move_the_cursor() -> None:
    async with opened(many(200)) as (pilot, _, table):
        for keys, number in (
            (["j"], 1),
            (["down", "down", "k"], 1),
            (["up"], 0),
            (["G"], 199),
            (["end", "g"], 0),
            (["end", "home"], 0),
            (["pagedown"], 19),
            (["pagedown", "pagedown", "pageup"], 19),
            (["ctrl+d"], 9),
            (["ctrl+d", "ctrl+d", "ctrl+u"], 9),
        ):
            await pilot.press("g", *keys)
            assert selected(table) == f"scan-{number:03d}.tiff", keys
            top = int(table.scroll_offset.y)
            assert top <= table.cursor_row < top + table.size.height - 1


async def test_the_cursor_stays_on_its_upload_when_new_ones_appear() -> None:
    async with opened(many(200)) as (pilot, session, table):
        await pilot.press("G", "k", "k")
        line = table.cursor_row - int(table.scroll_offset.y)
        session.publish(*(an_upload(f"new-{number}", initiated=number) for number in range(7)))
        pilot.app.screen.apply_changes(())  # type: ignore[attr-defined]
        await pilot.pause()
        assert selected(table) == "scan-197.tiff"
        assert table.cursor_row - int(table.scroll_offset.y) == line


async def test_follow_keeps_the_cursor_on_the_newest_upload() -> None:
    async with opened(many(50)) as (pilot, session, table):
        await pilot.press("j", "j", "f")
        session.publish(an_upload("newest", initiated=1))
        pilot.app.screen.apply_changes(())  # type: ignore[attr-defined]
        await pilot.pause()
        assert selected(table) == "newest"
        await pilot.press("j")
        assert not table.follow
        assert "following" not in str(table.border_title)


@pytest.mark.parametrize("sorts", range(3))
async def test_follow_ends_with_the_order_before(sorts: int) -> None:
    async with opened(many(50), order=TableOrder()) as (pilot, _, table):
        await pilot.press(*"s" * sorts)
        before = table.rows_query
        for between, key in product([(), ("j",), ("j", "m", "G")], ["f", "escape"]):
            await pilot.press("f", *between)
            assert table.rows_query.is_newest_first
            await pilot.press(key)
            assert not table.follow or before.is_newest_first
            assert table.rows_query == before, (between, key)
            assert isinstance(pilot.app.screen, DashboardScreen)
            assert pilot.app.screen.state.order == TableOrder(before.sort, before.descending)


@pytest.mark.parametrize("between", [(), ("j",)], ids=["at once", "a moved cursor"])
async def test_the_order_before_follow_is_saved(between: tuple[str, ...]) -> None:
    async with opened(many(50), order=TableOrder()) as (pilot, _, _):
        await pilot.press("f", *between)
        assert isinstance(pilot.app.screen, DashboardScreen)
        assert pilot.app.screen.state.order == TableOrder()


async def test_another_sort_order_ends_follow() -> None:
    async with opened(many(50)) as (pilot, _, table):
        await pilot.press("f")
        assert "following" in str(table.border_title)
        await pilot.press("s")
        assert not table.follow
        assert "following" not in str(table.border_title)


@pytest.mark.parametrize(
    "keys", [["exclamation_mark"], ["slash", *"failed", "enter"], ["4"]], ids=["trouble", "search", "stage"]
)
async def test_a_filter_that_hides_the_selected_upload_selects_the_first_row(keys: list[str]) -> None:
    failed = [an_upload(f"failed-{n}", initiated=900 + n, completed=800, error=700) for n in range(70, 80)]
    async with opened([*many(100), *failed]) as (pilot, _, table):
        screen = pilot.app.screen
        assert isinstance(screen, DashboardScreen)
        await pilot.press("pagedown", "pagedown", "pagedown")
        before = table.cursor_key
        await pilot.press(*keys)
        assert selected(table) == "failed-70"
        assert table.cursor_row == table.scroll_offset.y == 0
        await until(pilot, lambda: screen.selected == table.cursor_key)
        await pilot.press("escape")
        await until(pilot, lambda: screen.selected == before)
        assert table.cursor_key == before
        top = int(table.scroll_offset.y)
        assert top <= table.cursor_row < top + table.size.height - 1


async def test_the_cursor_stays_on_the_selected_upload_when_a_filter_ends() -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.press("exclamation_mark", "j", "escape")
        assert selected(table) == "e-stuck"


async def test_follow_within_a_filter_replaces_the_earlier_selection() -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.press("j", "j", "4", "f", "f", "escape")
        assert selected(table) == "d-error"


@pytest.mark.parametrize("keys", [(), ("j", "k")], ids=["untouched", "moved"])
async def test_the_table_stays_at_the_newest_until_the_user_moves_the_cursor(keys: tuple[str, ...]) -> None:
    async with opened(many(50)) as (pilot, session, table):
        await pilot.press(*keys)
        for number in range(20):
            session.publish(an_upload(f"new-{number}", initiated=20 - number))
            pilot.app.screen.apply_changes(())  # type: ignore[attr-defined]
        await pilot.pause()
        assert table.total == 70
        if not keys:
            assert int(table.scroll_offset.y) == 0
            assert table.window.row(0).name == "new-19"  # type: ignore[union-attr]
            assert selected(table).startswith("new-")
        else:
            assert table.cursor_row == 20
            assert selected(table) == "scan-000.tiff"


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("1", {"a-initiated"}),
        ("2", {"b-completed", "e-stuck"}),
        ("3", {"c-verified"}),
        ("4", {"d-error"}),
        ("exclamation_mark", {"d-error", "e-stuck"}),
    ],
)
async def test_a_filter_key_toggles_its_filter(key: str, names: set[str]) -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.press(key)
        assert set(names_in(table)) == names
        assert table.total == len(names)
        await pilot.press(key)
        assert table.total == 5
        await pilot.press(key, "escape")
        assert table.total == 5


async def test_a_click_on_a_stage_filters_by_it() -> None:
    async with opened(mixed()) as (pilot, _, table):
        cell = next(cell for cell in pilot.app.screen.query(StageCell) if cell.stage == "error")
        await pilot.click(cell)
        assert names_in(table) == ["d-error"]


async def test_a_search_filters_while_it_is_typed_until_it_is_cleared() -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.press("slash", "V", "e", "r", "i")
        assert names_in(table) == ["c-verified"]
        await pilot.press("enter")
        assert pilot.app.focused is table
        assert table.total == 1
        await pilot.press("escape")
        assert table.total == 5


async def test_escape_clears_the_search_then_the_filters_then_the_marks() -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.press("m", "exclamation_mark", "slash", *"stuck", "enter")
        titles = []
        for _ in range(4):
            await pilot.pause()
            titles.append(Content.from_markup(table.border_title or "").plain)
            await pilot.press("escape")
        assert titles == [
            'Uploads 1 · in trouble · matching "stuck" · newest first · 1 marked',
            "Uploads 2 · in trouble · newest first · 1 marked",
            "Uploads 5 · newest first · 1 marked",
            "Uploads 5 · newest first",
        ]


async def test_escape_in_the_search_bar_keeps_the_filter() -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.press("4", "slash", *"zzz")
        await pilot.pause()
        assert table.empty_text == "No matches. Esc clears the search."
        await pilot.press("escape")
        assert pilot.app.focused is table
        assert not pilot.app.screen.query_one(SearchBar).is_open
        assert names_in(table) == ["d-error"]
        await pilot.press("slash")
        assert pilot.app.screen.query_one(Input).value == ""


async def test_escape_clears_the_search_from_another_pane() -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.press("4", "slash", *"zzz", "tab", "escape")
        await pilot.pause()
        assert not pilot.app.screen.query_one(SearchBar).is_open
        assert names_in(table) == ["d-error"]


async def test_a_search_covers_error_messages() -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.press("slash", *"size does")
        assert names_in(table) == ["d-error"]


async def test_sort_keys_change_the_order() -> None:
    async with opened(mixed()) as (pilot, _, table):
        screen = pilot.app.screen
        assert isinstance(screen, DashboardScreen)
        seen = []
        for _ in SortKey:
            await pilot.press("s")
            seen.append(screen.rows_query.sort)
        assert set(seen) == {SortKey.TROUBLE, SortKey.INITIATED, *(column.sort for column in table.columns)}
        await pilot.press("S")
        names = names_in(table)
        await pilot.press("S")
        assert names_in(table) == names[::-1]


async def test_a_click_on_a_column_title_sorts_by_it() -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.click(table, offset=(20, 1))
        assert names_in(table) == sorted(names_in(table))


async def test_a_click_selects_a_row_and_a_double_click_opens_it() -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.click(table, offset=(20, 4))
        assert selected(table) == "c-verified"
        await pilot.click(table, offset=(20, 4), times=2)
        await pilot.pause()
        assert isinstance(pilot.app.screen, UploadScreen)


@pytest.mark.parametrize(
    ("key", "screen", "closes"),
    [
        ("enter", UploadScreen, "escape"),
        ("enter", UploadScreen, "q"),
        ("w", ShapesScreen, "escape"),
        ("w", ShapesScreen, "q"),
        ("question_mark", HelpScreen, "escape"),
        ("question_mark", HelpScreen, "q"),
    ],
)
async def test_a_screen_opens_and_closes_again(key: str, screen: type, closes: str) -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.press(key)
        await pilot.pause()
        assert isinstance(pilot.app.screen, screen)
        await pilot.press(closes)
        await pilot.pause()
        assert isinstance(pilot.app.screen, DashboardScreen)
        assert pilot.app.focused is table


async def test_q_ends_the_dashboard() -> None:
    async with opened(mixed()) as (pilot, _, _):
        await pilot.press("q")
        await pilot.pause()
        assert pilot.app.return_value == 0


async def test_the_id_and_the_raw_response_are_copied() -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.press("y")
        assert pilot.app.clipboard == table.cursor_id
        await pilot.press("enter")
        await pilot.pause()
        await pilot.press("Y")
        assert '"name": "a-initiated"' in pilot.app.clipboard


async def test_copying_applies_to_all_marked_uploads() -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.press("m", "m", "j", "y")
        assert len(pilot.app.clipboard.splitlines()) == 2
        await pilot.pause()
        assert "2 marked" in str(table.border_title)
        await pilot.press("escape", "y")
        assert pilot.app.clipboard == table.cursor_id


async def test_each_press_marks_the_next_row_after_a_filter_hid_the_selection() -> None:
    failed = [an_upload(f"failed-{number}", initiated=900 + number, completed=800, error=700) for number in range(4)]
    async with opened([*many(20), *failed]) as (pilot, _, table):
        await pilot.press("exclamation_mark", "m", "m", "m")
        assert table.marked == {table.window.row(number).key for number in range(3)}  # type: ignore[union-attr]
        assert selected(table) == "failed-3"


async def test_the_title_counts_a_mark_on_the_last_row() -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.press("G", "m")
        await until(pilot, lambda: "1 marked" in str(table.border_title))
        await pilot.press("m")
        await until(pilot, lambda: "marked" not in str(table.border_title))


async def test_the_request_is_copied_without_the_token() -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.press("C")
        assert pilot.app.clipboard == (
            f'curl --header "Authorization: $UPLOAD_TUI_TOKEN" https://example.org/api/v1/uploads/{table.cursor_id}'
        )


async def test_keys_go_to_the_next_failed_and_the_next_stuck_upload() -> None:
    failed = [an_upload(f"failed-{n}", initiated=900 + n, completed=800, error=700) for n in (10, 20)]
    async with opened([*many(300), *failed, *mixed()]) as (pilot, _, table):
        names = []
        for _ in range(4):
            await pilot.press("E")
            names.append(selected(table))
        assert names == ["d-error", "failed-10", "failed-20", "d-error"]
        await pilot.press("W")
        assert selected(table) == "e-stuck"


async def test_a_notification_appears_when_no_upload_failed_or_is_stuck() -> None:
    async with opened(many(3)) as (pilot, _, table):
        await pilot.press("j", "E", "W")
        assert table.cursor_row == 1


async def test_the_project_menu_filters_by_project() -> None:
    uploads = [an_upload(name, project=(name, name.upper())) for name in ("one", "two")]
    session = InMemorySession(uploads, projects=[("one", "ONE"), ("two", "TWO")])
    app = dashboard(session)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        table = app.screen.query_one(UploadTable)
        await pilot.press("p")
        await pilot.pause()
        await pilot.press("j", "j", "enter")
        await pilot.pause()
        assert names_in(table) == ["two"]
        await pilot.press("p")
        await pilot.pause()
        await pilot.press("enter")  # the menu opens on the project that is shown
        await pilot.pause()
        assert names_in(table) == ["two"]
        await pilot.press("p")
        await pilot.pause()
        await pilot.press("home", "enter")
        await pilot.pause()
        assert table.total == 2
    session.close()


async def test_the_raw_key_opens_the_upload_with_the_raw_response_focused() -> None:
    async with opened(mixed()) as (pilot, _, _):
        await pilot.press("J")
        await pilot.pause()
        assert pilot.app.focused is not None
        assert pilot.app.focused.id == "upload-raw"


async def test_the_times_key_shows_absolute_times() -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.press("t")
        assert table.display_options.absolute_times
        assert any("09:26:43" in table.render_line(line).text for line in range(5))


async def test_keys_pause_resume_and_refresh_the_session() -> None:
    async with opened(mixed()) as (pilot, session, _):
        await pilot.press("space")
        assert session.connection().state is ConnectionState.PAUSED
        await pilot.press("space", "r")
        assert session.connection().is_live
        assert session.refresh_count == 1


async def test_tab_moves_the_focus_through_the_panes() -> None:
    async with opened(mixed()) as (pilot, _, _table):
        seen = []
        for _ in range(3):
            await pilot.press("tab")
            seen.append(pilot.app.focused)
        assert [widget.id or type(widget).__name__ for widget in seen if widget] == [
            "timeline",
            "ChangeLogView",
            "uploads",
        ]


async def test_the_change_log_has_every_stage_and_keeps_its_scroll_position() -> None:
    async with opened(many(3)) as (pilot, session, _):
        log = pilot.app.screen.query_one(ChangeLogView)
        for number in range(40):
            session.publish(an_upload(f"up-{number}", initiated=9, completed=8, verified=7))
        await settled(pilot)
        assert log.virtual_size.height == 120
        assert log.scroll_offset.y == log.max_scroll_y
        log.scroll_to(y=10, animate=False, immediate=True)
        session.publish(an_upload("last", initiated=9))
        await settled(pilot)
        assert log.virtual_size.height == 121
        assert log.scroll_offset.y == 10


async def test_the_keys_of_a_demo_call_its_controls() -> None:
    controls = FakeControls()
    async with opened(mixed(), controls=controls) as (pilot, _, _):
        await pilot.press("u", "left_square_bracket", "right_square_bracket", "full_stop", "x")
        await pilot.pause()
        assert isinstance(pilot.app.screen, MenuScreen)
        await pilot.press("j", "enter")
        await pilot.pause()
        assert controls.calls == ["upload", "slower", "faster", "step", "dead-worker"]


async def test_the_keys_of_a_demo_are_inactive_without_controls() -> None:
    async with opened(mixed()) as (pilot, _, _):
        actions = {active.binding.action for active in pilot.app.screen.active_bindings.values()}
        assert "start_upload" not in actions
        await pilot.press("x", "u")
        assert isinstance(pilot.app.screen, DashboardScreen)


async def test_a_remapped_key_replaces_the_default() -> None:
    session = InMemorySession(many(5))
    app = dashboard(session, keymap={"table.down": "n"})
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.press("n", "j")
        assert app.screen.query_one(UploadTable).cursor_row == 1
    session.close()


@pytest.mark.parametrize("key", ["enter", "w", "J", "m", "y", "Y", "C"])
async def test_a_notification_appears_when_no_upload_is_selected(key: str) -> None:
    async with opened([]) as (pilot, _, _):
        await pilot.press(key)
        assert toasts(pilot) == ["No upload selected."]


@pytest.mark.parametrize(("last", "first"), [("G", "g"), ("end", "home")])
async def test_the_help_scrolls_to_its_end_and_back(last: str, first: str) -> None:
    async with opened(mixed(), size=(80, 24)) as (pilot, _, _):
        await pilot.press("question_mark")
        box = pilot.app.screen.query_one("#help")
        await until(pilot, lambda: box.max_scroll_y > 0)
        await pilot.press(last)
        assert box.scroll_y == box.max_scroll_y
        await pilot.press(first)
        assert box.scroll_y == 0


@pytest.mark.parametrize("key", ["e", "p", "c", "F", "l", "w"])
async def test_the_help_lists_a_dialogs_keys_and_returns_to_it(key: str) -> None:
    async with opened(mixed()) as (pilot, _, _):
        await pilot.press(key)
        await pilot.pause()
        dialog = pilot.app.screen
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(pilot.app.screen, HelpScreen)
        text = pilot.app.screen.query_one("#help-text").render()
        assert isinstance(text, Content)
        assert "Esc" in text.plain
        await pilot.press("question_mark")
        await pilot.pause()
        assert pilot.app.screen is dialog


async def test_every_active_key_has_a_tooltip() -> None:
    async with opened(mixed()) as (pilot, _, _):
        own = [active.binding for active in pilot.app.screen.active_bindings.values() if active.binding.id]
        assert len(own) > 30
        assert [binding.key for binding in own if not binding.tooltip] == []


@pytest.mark.parametrize("size", [(20, 5), (40, 10), (60, 20), (80, 24), (200, 60), (500, 200), (1, 1)], ids=str)
async def test_nothing_breaks_at_any_size(size: tuple[int, int]) -> None:
    async with opened(mixed(), size=size) as (pilot, session, _):
        await pilot.press("j", "enter")
        await pilot.pause()
        await pilot.press("escape", "w")
        await settled(pilot)
        session.publish(an_upload("more", initiated=1))
        await pilot.pause()
        await pilot.resize_terminal(80, 24)
        await pilot.press("escape", "question_mark", "escape")
        assert isinstance(pilot.app.screen, DashboardScreen)


async def test_an_error_of_the_session_ends_the_dashboard() -> None:
    class BrokenSession(InMemorySession):
        async def run(self) -> None:
            raise ZeroDivisionError

    session = BrokenSession(mixed())
    app = UploadApp(session)
    async with app.run_test() as pilot:
        await pilot.pause(0.3)
    assert app.failure is not None
    assert app.failure.exit_code == 70
    assert isinstance(app.failure.__cause__, ZeroDivisionError)
    session.close()


async def test_the_density_key_gives_rows_a_second_line() -> None:
    async with opened(many(200)) as (pilot, _, table):
        await pilot.press("pagedown", "d")
        await pilot.pause()
        previous_id = table.cursor_id
        lines = ["".join(segment.text for segment in table.render_line(y)) for y in range(table.size.height)]
        assert sum("waiting for" in line for line in lines) == (table.size.height - 1) // 2
        await pilot.press("j", "end", "home", "d")
        await pilot.pause()
        assert table.cursor_id != previous_id
        assert table.cursor_row == 0


async def test_chosen_columns_are_saved_and_a_failure_to_save_them_is_shown() -> None:
    saved: list[str] = []

    def save(view: ViewKind, columns: Sequence[ColumnSpec]) -> None:
        saved.append(" ".join(map(str, (view, *columns))))
        raise StorageError("The columns cannot be saved", "Check the permissions.")

    async with opened(mixed(), save_columns=save) as (pilot, _, _):
        await pilot.press("c", "j", "space", "enter")
        await until(pilot, lambda: toasts(pilot) == ["The columns cannot be saved. Check the permissions."])
        assert saved == ["project stage size since note"]
        await pilot.press("c", "space", "escape")
        await pilot.pause()
        assert len(saved) == 1


async def test_the_column_dialog_changes_the_columns() -> None:
    async with opened(mixed()) as (pilot, _, table):
        await pilot.press("c", "j", "j", "space", "J", "k", "plus", "enter")
        await pilot.pause()
        titles = "".join(segment.text for segment in table.render_line(0)).split()
        assert "Size" not in titles
        assert titles == ["Name", "Age", "Details"]
        await pilot.press("c", "escape")
        await pilot.pause()
        assert "Size" not in "".join(segment.text for segment in table.render_line(0))


async def test_the_rows_of_the_next_key_are_prefetched_while_idle() -> None:
    async with opened(many(200)) as (pilot, session, table):
        offsets: list[int] = []
        fetch = session.picture.window

        def recording(query: Query, offset: int, limit: int, patience_seconds: float | None = None) -> Window:
            offsets.append(offset)
            return fetch(query, offset, limit, patience_seconds)

        session.picture.window = recording  # type: ignore[method-assign]
        last = 200 - table.size.height + 1 - 8  # one header line; eight rows are fetched beyond the edge
        await pilot.press("j")
        await until(pilot, lambda: last in offsets)
        offsets.clear()
        await pilot.press("end")
        assert table.cursor_row == 199
        assert last not in offsets


async def test_only_the_moved_part_of_the_scroll_bar_is_painted() -> None:
    async with opened(many(3000)) as (pilot, _, table):
        bar, painted = table.vertical_scrollbar, list[int]()
        await pilot.press("pagedown", "pagedown")
        refresh = bar.refresh

        def recording(*regions: Region, **options: bool) -> ScrollBar:
            painted.extend(y for region in regions or (bar.size.region,) for y in region.line_range)
            return refresh(*regions, **options)

        bar.refresh = recording  # type: ignore[method-assign]
        top = table.scroll_offset.y
        for _ in range(12):
            await pilot.press("j")
        assert table.scroll_offset.y == top + 12
        assert len(painted) <= 4  # the thumb moves an eighth of a cell for 18 rows
        painted.clear()
        await pilot.press("end")
        assert bar.position == table.max_scroll_y
        assert max(painted) == bar.size.height - 1
        assert len(painted) <= 4  # nothing between the old place of the thumb and the new one


@pytest.mark.parametrize(
    "steps",
    [
        ["end", "home"],
        ["pagedown", "tab"],
        ["end", "theme", "home"],
        ["pagedown", "resize", "end"],
        ["m", "d", "end", "t"],
    ],
    ids=" ".join,
)
async def test_cached_lines_equal_newly_painted_ones(steps: list[str]) -> None:
    async with opened(many(300)) as (pilot, _, table):
        for step in steps:
            if step == "theme":
                pilot.app.theme = "upload-light"
            elif step == "resize":
                await pilot.resize_terminal(100, 30)
            else:
                await pilot.press(step)
            await pilot.pause()
        everything = Region(0, 0, *table.outer_size)
        cached = table.render_lines(everything)
        table.refresh()
        assert cached == table.render_lines(everything)


async def test_the_session_is_watched_while_the_terminal_has_the_focus() -> None:
    async with opened(many(3)) as (pilot, session, _):
        assert session.is_watched
        pilot.app.post_message(events.AppBlur())
        await pilot.pause()
        assert not session.is_watched
        pilot.app.post_message(events.AppFocus())
        await pilot.pause()
        assert session.is_watched


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (100, 30), (120, 40)])
async def test_the_title_of_names_is_whole_also_if_all_names_are_short(size: tuple[int, int]) -> None:
    failed = an_upload("a", completed=60, error=30, message="a cause in many words " * 9)
    async with opened([failed, an_upload("b", initiated=90_000)], size=size) as (pilot, _, table):
        await settled(pilot)
        assert "Name" in "".join(segment.text for segment in table.render_line(0)).split()


@pytest.mark.parametrize("size", [(60, 20), (120, 40)], ids=str)
@pytest.mark.parametrize(
    ("keys", "name"), [(("W",), "e-stuck"), (("E",), "d-error"), (("F", "enter"), "d-error")], ids=["W", "E", "F"]
)
async def test_from_the_activity_enter_opens_the_upload_that_a_key_went_to(
    keys: tuple[str, ...], name: str, size: tuple[int, int]
) -> None:
    async with opened(mixed(), size) as (pilot, session, table):
        session.publish(an_upload("last-change", initiated=1))
        await settled(pilot)
        pilot.app.screen.query_one(ChangeLogView).focus()
        await pilot.press(*keys)
        await settled(pilot)
        assert table.region.area
        assert selected(table) == name
        await pilot.press("enter")
        await settled(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, UploadScreen)
        assert screen.detail is not None
        assert screen.detail.upload.name == name


@pytest.mark.parametrize("is_live", [True, False], ids=["live", "offline"])
@pytest.mark.parametrize("keys", [(), ("d",), ("t", "d"), ("F",), ("enter",), ("2", "tab")], ids="-".join)
async def test_a_time_in_the_future_has_no_age_and_no_least_age(keys: tuple[str, ...], is_live: bool) -> None:
    stages: Sequence[dict[str, Any]] = ({}, {"completed": -80_000}, {"verified": -70_000}, {"error": -70_000})
    uploads = [an_upload(f"{number}.bin", initiated=-90_000, **stage) for number, stage in enumerate(stages)]
    async with opened(uploads) as (pilot, session, _):
        if not is_live:
            now = session.picture.clock.now()
            session.set_connection(Connection(state=ConnectionState.OFFLINE, since=now, read_on=now))
        await pilot.press(*keys)
        await settled(pilot)
        strips = pilot.app.screen._compositor.render_strips(pilot.app.size)
        assert re.findall(r".{20}(?:\? ago|[><]\?|\b0s (?!ago)\w+)", "\n".join(strip.text for strip in strips)) == []
