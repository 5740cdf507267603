"""Trouble first: uploads in trouble stand above a rule, at most half of the rows; keys, marks and clicks use one list."""

from datetime import timedelta
from typing import Any

import pytest
from textual.content import Content
from textual.pilot import Pilot

from tests.tui.dashboards import many, names_in, opened, selected, toasts, until
from upload_tui.monitor import Connection, ConnectionState
from upload_tui.testing import an_upload, settled
from upload_tui.tui.preferences import TableOrder
from upload_tui.tui.widgets.table.upload_table import UploadTable

FAILED = [
    an_upload(f"failed-{number}", initiated=900, completed=600, error=30 + number, message="no room left")
    for number in range(12)
]
STUCK = an_upload("stuck", initiated=9000, completed=8000)
ODD = an_upload("odd", initiated=900, completed=600, verified=500, chunks=(1, 3, 4))
PROJECTS = (("one", "Proteomics"), ("two", "Genome"))
FEW: list[dict[str, Any]] = [*many(40), STUCK, ODD, *FAILED[:2]]


def lines(pilot: Pilot[int], table: UploadTable) -> list[str]:
    """The table as text, without its header, its frame and its scroll bar."""
    region = table.content_region
    return [line[region.x : region.right - 1] for line in screen_lines(pilot)[region.y + 1 : region.bottom]]


def screen_lines(pilot: Pilot[int]) -> list[str]:
    return [strip.text for strip in pilot.app.screen._compositor.render_strips(pilot.app.size)]


def rules(pilot: Pilot[int], table: UploadTable) -> list[int]:
    return [number for number, line in enumerate(lines(pilot, table)) if "──" in line and "·" not in line]


def title(table: UploadTable) -> str:
    return Content.from_markup(table.border_title or "").plain


async def test_trouble_is_above_a_rule_and_the_newest_below_it() -> None:
    async with opened(FEW, order=TableOrder()) as (pilot, _, table):
        assert names_in(table)[:6] == ["odd", "stuck", "failed-0", "failed-1", "scan-000.tiff", "scan-001.tiff"]
        assert rules(pilot, table) == [4]
        assert title(table) == "Uploads 44 · trouble first, then last started"


async def test_at_most_half_of_the_rows_are_above_the_rule_which_counts_the_others() -> None:
    async with opened([*FEW, *FAILED[2:]], size=(80, 24), order=TableOrder()) as (pilot, _, table):
        (rule,) = rules(pilot, table)
        assert rule == len(lines(pilot, table)) // 2
        assert f"+{14 - rule} more in trouble, ! shows them" in lines(pilot, table)[rule]
        await pilot.press("exclamation_mark")
        assert names_in(table) == ["odd", "stuck", *(f"failed-{number}" for number in range(12))]
        assert rules(pilot, table) == []
        assert title(table) == "Uploads 14 · in trouble"


@pytest.mark.parametrize("query", ["is:trouble", "is:trouble -name:stuck"])
async def test_without_others_there_is_no_rule_no_limit_and_one_order(query: str) -> None:
    async with opened([*FEW, *FAILED[2:]], size=(80, 24), order=TableOrder()) as (pilot, _, table):
        await pilot.press("slash", *query, "enter")
        await until(pilot, lambda: table.total < 20)
        assert rules(pilot, table) == []
        assert names_in(table) == [
            name
            for name in ("odd", "stuck", *(f"failed-{number}" for number in range(12)))
            if "-name:stuck" not in query or name != "stuck"
        ]
        assert title(table) == f'Uploads {table.total} · matching "{query}"'


@pytest.mark.parametrize("width", [30, 40, 60, 80])
async def test_a_narrow_title_leaves_out_whole_parts_and_keeps_the_age(width: int) -> None:
    async with opened(FEW, size=(width, 24), order=TableOrder()) as (pilot, session, table):
        now = session.picture.clock.now()
        session.set_connection(
            Connection(state=ConnectionState.OFFLINE, since=now, read_on=now - timedelta(seconds=3600))
        )
        await until(pilot, lambda: "ago" in title(table))
        await pilot.press("m", *"jm")
        parts = ["Uploads 44", "trouble first, then last started", "trouble first", "2 marked"]
        assert set(title(table).split(" · ")) <= {*parts, "updated 1h 00m ago", "1h 00m ago"}
        assert f"─ {title(table)} ─" in screen_lines(pilot)[table.region.y]


async def test_a_title_is_never_cut() -> None:
    async with opened(FEW, size=(120, 24), order=TableOrder()) as (pilot, _, table):
        for width in range(20, 80):
            await pilot.resize_terminal(width, 24)
            await settled(pilot)
            assert f"─ {title(table)} ─" in screen_lines(pilot)[table.region.y]
            assert "…" not in title(table)


@pytest.mark.parametrize("density", [(), ("d",)], ids=["one line", "two lines"])
async def test_keys_move_through_both_parts_as_one_list(density: tuple[str, ...]) -> None:
    uploads = [*many(14), STUCK, ODD, *FAILED[:2]]  # more than two pages
    async with opened(uploads, size=(80, 24), order=TableOrder()) as (pilot, _, table):
        await pilot.press(*density, "g")
        names, seen = names_in(table), []
        for _ in names:
            seen.append(selected(table))
            assert any(selected(table) in line for line in lines(pilot, table))
            await pilot.press("j")
        assert seen == names
        for name in reversed(names):
            assert selected(table) == name
            assert any(name in line for line in lines(pilot, table))
            await pilot.press("k")
        await pilot.press("G")
        assert selected(table) == names[-1]


async def test_marks_work_on_both_sides_of_the_rule() -> None:
    async with opened(FEW, order=TableOrder()) as (pilot, session, table):
        await pilot.press("g", *"jjj", "m", "m")
        marked = {detail.upload.name for one in table.marked if (detail := session.picture.detail(*one))}
        assert marked == {"failed-1", "scan-000.tiff"}


async def test_a_click_on_the_rule_does_nothing_and_below_it_selects_the_row_there() -> None:
    async with opened(FEW, order=TableOrder()) as (pilot, _, table):
        frame, header = 1, 1
        await pilot.click(UploadTable, offset=(10, frame + header + 5))
        assert selected(table) == "scan-000.tiff"
        await pilot.click(UploadTable, offset=(10, frame + header + 4))
        assert selected(table) == "scan-000.tiff"
        await pilot.click(UploadTable, offset=(10, frame + header + 3))
        assert selected(table) == "failed-1"


async def test_a_failure_arrives_above_the_rule() -> None:
    async with opened(many(40), order=TableOrder()) as (pilot, session, table):
        assert rules(pilot, table) == []
        session.publish(an_upload("scan-030.tiff", initiated=90, completed=20, error=1, message="no room left"))
        await until(pilot, lambda: names_in(table)[0] == "scan-030.tiff")
        assert rules(pilot, table) == [1]
        assert names_in(table).count("scan-030.tiff") == 1


@pytest.mark.parametrize("order", [TableOrder(), TableOrder.parse("initiated"), TableOrder.parse("-name")], ids=str)
async def test_the_keys_for_the_next_one_go_through_the_set_of_trouble(order: TableOrder) -> None:
    history = an_upload("history", initiated=900_000, completed=800_000, error=700_000, message="no room left")
    async with opened([*FEW, history], order=order) as (pilot, _, table):
        failed = set()
        for _ in range(6):
            await pilot.press("E")
            failed.add(selected(table))
        assert failed == {"odd", "failed-0", "failed-1"}
        await pilot.press("W")
        assert selected(table) == "stuck"


async def test_without_trouble_the_keys_say_so() -> None:
    async with opened(many(3), order=TableOrder()) as (pilot, _, _):
        for key, text in (("E", "Nothing failed or contradictory."), ("W", "No overdue or stuck uploads.")):
            await pilot.press(key)
            assert toasts(pilot) == [text]


async def test_the_title_counts_all_rows_and_the_gone_ones_among_them() -> None:
    async with opened(many(5), order=TableOrder()) as (pilot, session, table):
        ids = [row.id for number in (1, 2) if (row := table.window.row(number))]
        for upload_id in ids:
            session.picture.mark(upload_id, gone=True)
        session.publish(an_upload("scan-004.tiff", initiated=64, completed=1))
        await until(pilot, lambda: "gone" in title(table))
        assert title(table) == "Uploads 5 · 2 gone · trouble first, then last started"


async def test_trouble_gets_the_rows_that_others_leave() -> None:
    async with opened([*many(2), *FAILED[:6]], size=(80, 24), order=TableOrder()) as (pilot, session, table):
        assert len(lines(pilot, table)) == 8
        assert rules(pilot, table) == [6]
        session.publish(*many(4))
        await until(pilot, lambda: rules(pilot, table) == [4])


async def test_columns_stay_where_they_are_as_other_rows_are_shown() -> None:
    """Also if the first page has short names and reasons only."""
    uploads = [
        an_upload(
            "a" if number < 30 else f"a-much-longer-name-{number}.fastq.gz",
            initiated=900 + number,
            completed=600,
            error=500,
            message="bad" if number < 30 else "no space left on device, and none will come",
            project=PROJECTS[number % 2],
        )
        for number in range(60)
    ]
    async with opened(uploads, (80, 24)) as (pilot, _, table):
        table.several_projects = True
        headers = set()
        for key in ("g", "pagedown", "pagedown", "end", "home"):
            await pilot.press(key)
            await pilot.pause()
            headers.add(table.render_line(0).text)
        assert len(headers) == 1


@pytest.mark.parametrize(
    ("count", "others", "shown", "rule"),
    [(4, 20, 4, ""), (5, 20, 5, ""), (6, 20, 4, "+2 more in trouble"), (7, 1, 7, "")],
)
async def test_the_last_upload_in_trouble_is_shown_rather_than_counted(
    count: int, others: int, shown: int, rule: str
) -> None:
    async with opened([*FAILED[:count], *many(others)], (80, 24), order=TableOrder()) as (pilot, _, table):
        await until(pilot, lambda: table.window.in_trouble == shown)
        assert len(lines(pilot, table)) == 8
        assert table.rule_text.partition(",")[0] == rule


async def test_the_title_counts_the_acknowledged_among_the_rows() -> None:
    async with opened(FEW, order=TableOrder()) as (pilot, _, table):
        await pilot.press("g", *"mm", "a", "enter")
        await until(pilot, lambda: "2 acknowledged" in title(table))
        assert toasts(pilot) == ["2 uploads acknowledged; a on them takes it back"]
        await pilot.press("slash", *"failed", "enter")
        await until(pilot, lambda: table.total == 2)
        assert "acknowledged" not in title(table)


MANY_FAILED = [
    an_upload(
        f"failed-{number:02d}", initiated=9000 + number, completed=600, error=100 + number, message="no room left"
    )
    for number in range(40)
]
NEW_FAILURES = [
    an_upload(f"new-{number}", initiated=90, completed=20, error=number, message="no room left") for number in range(4)
]
ENDED_WELL = [
    an_upload(f"failed-{number:02d}", initiated=9000 + number, completed=600, verified=1) for number in range(40)
]


@pytest.mark.parametrize(  # every two of size, lines and row
    ("size", "keys", "row"),
    [
        (size, ((), ("d",))[(number + place) % 2], row)
        for number, size in enumerate([(80, 24), (120, 40), (200, 60)])
        for place, row in enumerate([0, 1, -1, "last in view"])
    ],
    ids=str,
)
async def test_what_the_user_did_not_do_leaves_the_trouble_in_view(
    size: tuple[int, int], keys: tuple[str, ...], row: int | str
) -> None:
    async with opened([*many(40), *MANY_FAILED], size=size, order=TableOrder()) as (pilot, session, table):
        await pilot.press(*keys, "g")
        above = table.window.in_trouble
        is_below = row == "last in view"
        target = table._last_visible_row() if isinstance(row, str) else row % above
        await pilot.press(*"j" * target)
        for published in (NEW_FAILURES[:1], NEW_FAILURES[1:3], ENDED_WELL[:2], many(45)[40:], MANY_FAILED[:2]):
            session.publish(*published)
            await settled(pilot)
            assert int(table.scroll_offset.y) == 0
            assert table.window.in_trouble > 0
            assert (table.cursor_row >= table.window.in_trouble) is is_below
            assert any(selected(table) in line for line in lines(pilot, table))


@pytest.mark.parametrize("marked", [0, 1, 3])
@pytest.mark.parametrize("failed", [5, 40])
async def test_the_cursor_goes_on_to_the_next_row_if_the_user_acknowledges(marked: int, failed: int) -> None:
    async with opened([*many(40), *MANY_FAILED[:failed]], (80, 24), order=TableOrder()) as (pilot, _, table):
        await pilot.press("g", *"m" * marked, *("k" if marked else "j"))
        names = names_in(table)
        after = names[marked] if marked else names[2]
        await pilot.press("a", "enter")
        await until(pilot, lambda: "acknowledged" in title(table))
        assert selected(table) == after
        assert table.cursor_row < table.window.in_trouble
        assert int(table.scroll_offset.y) == 0


async def test_the_cursor_stays_among_the_others_if_the_user_takes_an_acknowledgement_back() -> None:
    async with opened([*many(60), *MANY_FAILED[:5]], (80, 24), order=TableOrder()) as (pilot, _, table):
        await pilot.press("g", "a", "enter")
        await until(pilot, lambda: "acknowledged" in title(table))
        await pilot.press("G", "k")
        await pilot.press("j")
        assert selected(table) == "failed-00"
        top, above = table.scroll_offset.y, names_in(table)[table.cursor_row - 1]
        await pilot.press("a")
        await until(pilot, lambda: "acknowledged" not in title(table))
        assert (table.scroll_offset.y, selected(table)) == (top, above)
