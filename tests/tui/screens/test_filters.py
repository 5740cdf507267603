"""What a filter shows: everything on screen follows the query, and the title names all of it."""

import csv
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from tests.tui.dashboards import mixed, names_in, opened, selected, toasts, until
from upload_tui.monitor import SortKey
from upload_tui.testing import InMemorySession, an_upload, dashboard
from upload_tui.tui import DisplayOptions, Preferences
from upload_tui.tui.appearance.columns import ColumnKey, ColumnSpec, parse_columns
from upload_tui.tui.screens.dashboard import DashboardScreen
from upload_tui.tui.widgets.activity_pane import ChangeLogView
from upload_tui.tui.widgets.funnel import StageCell
from upload_tui.tui.widgets.pending_list import PendingList
from upload_tui.tui.widgets.table.upload_table import TitledTable
from upload_tui.wire import CHUNK_HASH_DIFFERS, SIZE_DIFFERS

PROJECTS = [("p-1", "Genome"), ("p-2", "Plates")]


def two_projects() -> list[dict[str, Any]]:
    return [
        an_upload("genome-new", initiated=10),
        an_upload("genome-stuck", initiated=9000, completed=8000),
        an_upload("genome-failed", completed=60, error=50, message=SIZE_DIFFERS),
        an_upload("plate-new", initiated=20, project=PROJECTS[1]),
        an_upload("plate-stuck", initiated=9100, completed=8100, project=PROJECTS[1]),
        an_upload("plate-failed", completed=60, error=40, message=CHUNK_HASH_DIFFERS, project=PROJECTS[1]),
        an_upload("plate-done", completed=60, verified=30, project=PROJECTS[1]),
    ]


@asynccontextmanager
async def opened_two_projects(
    size: tuple[int, int] = (120, 40), **options: Any
) -> AsyncIterator[tuple[Pilot[int], InMemorySession, TitledTable]]:
    session = InMemorySession(two_projects(), projects=PROJECTS)
    app = dashboard(session, preferences=Preferences(display_options=DisplayOptions(zone=UTC), **options))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield pilot, session, app.screen.query_one(TitledTable)
    session.close()


def counts(pilot: Pilot[int]) -> list[int]:
    return [cell.summary.count for cell in pilot.app.screen.query(StageCell) if cell.summary]


async def choose_plates(pilot: Pilot[int]) -> None:
    await pilot.press("p", "j", "j", "enter")
    await pilot.pause()


async def test_a_project_filters_funnel_table_waiting_activity_and_next_stuck() -> None:
    async with opened_two_projects() as (pilot, session, table):
        session.publish(an_upload("genome-new", initiated=10, completed=1))
        session.publish(an_upload("plate-new", initiated=20, completed=1, project=PROJECTS[1]))
        log, pending = pilot.app.screen.query_one(ChangeLogView), pilot.app.screen.query_one(PendingList)
        await until(pilot, lambda: len(log.shown_changes) == 2)
        assert counts(pilot) == [0, 4, 1, 2]
        await choose_plates(pilot)
        assert {name.split("-")[0] for name in names_in(table)} == {"plate"}
        assert counts(pilot) == [0, 2, 1, 1]
        assert {row.name for row in pending.rows} == {"plate-new", "plate-stuck"}
        assert pending.total == 2
        assert {change.upload.name for change in log.shown_changes} == {"plate-new"}
        assert "in Plates" in str(table.border_title)
        for _ in range(3):
            await pilot.press("W")
            assert selected(table) == "plate-stuck"
        await pilot.press("E")
        assert selected(table) == "plate-failed"
        session.publish(an_upload("genome-new", initiated=10, completed=1, verified=0))
        session.publish(an_upload("plate-new", initiated=20, completed=1, verified=0, project=PROJECTS[1]))
        await until(pilot, lambda: counts(pilot) == [0, 1, 2, 1])
        assert {change.upload.name for change in log.shown_changes} == {"plate-new"}
        await pilot.press("escape")
        await pilot.pause()
        assert counts(pilot) == [0, 2, 3, 2]
        assert len(log.shown_changes) == 4
        assert len(pending.rows) == 2


def files_in(folder: Path, pattern: str = "*") -> set[Path]:
    return set(folder.glob(pattern))


async def exported(pilot: Pilot[int], folder: Path, pattern: str, down: int) -> str:
    """Export with the menu's line number `down` and return the text."""
    before = files_in(folder)
    await pilot.press("e", *"j" * down, "enter")
    await until(pilot, lambda: any(file not in before for file in files_in(folder, pattern)))
    await until(pilot, lambda: any("Exported" in text for text in toasts(pilot)))
    (file,) = files_in(folder) - before
    return file.read_text()


async def test_a_project_filters_exports(tmp_path: Path) -> None:
    async with opened_two_projects(export_folder=tmp_path) as (pilot, session, _):
        session.publish(an_upload("genome-new", initiated=10, completed=1))
        session.publish(an_upload("plate-new", initiated=20, completed=1, project=PROJECTS[1]))
        log = pilot.app.screen.query_one(ChangeLogView)
        await until(pilot, lambda: len(log.shown_changes) == 2)
        await choose_plates(pilot)
        uploads = json.loads(await exported(pilot, tmp_path, "uploads*.json", 0))
        assert {upload["project"]["name"] for upload in uploads} == {"Plates"}
        assert len(uploads) == 4
        changes = (await exported(pilot, tmp_path, "changes*.jsonl", 2)).splitlines()
        assert [json.loads(line)["upload"]["name"] for line in changes] == ["plate-new"]


async def test_marked_uploads_are_exported_instead_of_all(tmp_path: Path) -> None:
    async with opened(mixed(), export_folder=tmp_path) as (pilot, _, table):
        await pilot.press("j", "m", "m", "exclamation_mark")
        assert len(table.marked) == 2
        rows = list(csv.DictReader((await exported(pilot, tmp_path, "*.csv", 1)).splitlines()))
        assert [row["name"] for row in rows] == ["b-completed", "c-verified"]


async def test_a_csv_export_without_rows_has_its_header(tmp_path: Path) -> None:
    async with opened([], export_folder=tmp_path) as (pilot, _, _):
        text = await exported(pilot, tmp_path, "*.csv", 1)
        assert text.startswith("id,name,size_bytes,")
        assert len(text.splitlines()) == 1


async def test_a_chosen_cause_is_a_filter_with_its_storage_and_uploader_in_the_title() -> None:
    failed = [an_upload(f"size-{n}", completed=60, error=50 - n, message=SIZE_DIFFERS) for n in range(3)]
    other = [an_upload("hash", completed=60, error=20, message=CHUNK_HASH_DIFFERS)]
    async with opened([*failed, *other, an_upload("fine", completed=60, verified=50)]) as (pilot, session, table):
        await pilot.press("F", "enter")
        await pilot.pause()
        group = session.picture.causes()[0]
        assert group.cause == SIZE_DIFFERS
        assert set(names_in(table)) == {"size-0", "size-1", "size-2"}
        assert selected(table) == "size-2"
        title = str(table.border_title)
        assert "failed: wrong size" in title
        assert f"by {group.uploader}" in title
        assert f"storage {group.storage_provider}" in title
        await pilot.press("escape")
        assert table.total == 5


async def test_next_stuck_goes_to_the_overdue_as_well() -> None:
    history = [an_upload(f"past-{n}", initiated=400 + n, completed=300 + n, verified=298 + n) for n in range(10)]
    late = [an_upload("overdue", initiated=60, completed=30), an_upload("stuck", initiated=9000, completed=8000)]
    async with opened([*history, *late]) as (pilot, _, table):
        seen = []
        for _ in range(3):
            await pilot.press("W")
            seen.append(selected(table))
        assert set(seen) == {"overdue", "stuck"}
        await pilot.press("3", "W")
        assert toasts(pilot) == ["No overdue or stuck uploads."]


async def test_a_click_on_any_title_sorts_and_another_reverses() -> None:
    session = InMemorySession(two_projects(), projects=PROJECTS)
    app = dashboard(session)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        table, screen = app.screen.query_one(TitledTable), app.screen
        assert isinstance(screen, DashboardScreen)
        for key in ColumnKey:
            shown = dict.fromkeys((key, ColumnKey.NAME))
            columns = tuple(ColumnSpec(one, 20 if one is key else None) for one in shown)
            screen.display_options = DisplayOptions(zone=UTC, columns=columns)
            await pilot.pause()
            assert table.columns[0].key is key
            before = screen.rows_query
            await pilot.click(table, offset=(4, 1))
            once = screen.rows_query
            await pilot.click(table, offset=(4, 1))
            assert once.sort is table.columns[0].sort, key
            assert screen.rows_query.descending is not once.descending, key
            assert once != before, key
            assert table.rows_query is screen.rows_query
    session.close()


async def test_the_sort_key_follows_the_columns_shown() -> None:
    async with opened(mixed()) as (pilot, _, table):
        shown = [SortKey.INITIATED, *(column.sort for column in table.columns)]
        seen = [table.rows_query.sort]
        for _ in range(len(shown)):
            await pilot.press("s")
            seen.append(table.rows_query.sort)
        assert seen == [*shown, SortKey.TROUBLE]


async def test_columns_of_one_kind_of_view_do_not_change_another() -> None:
    async with opened_two_projects() as (pilot, _, table):
        before = table.column_specs
        await pilot.press("c", "j", "j", "space", "enter")
        await pilot.pause()
        assert ColumnKey.SIZE not in {spec.key for spec in table.column_specs}
        table.several_projects = False
        assert [spec.key for spec in table.column_specs] == [
            spec.key for spec in before if spec.key is not ColumnKey.PROJECT
        ]


async def test_columns_that_do_not_fit_are_named_on_the_border() -> None:
    async with opened(mixed(), size=(70, 24)) as (pilot, _, table):
        assert str(table.border_subtitle) == ""
        screen = pilot.app.screen
        assert isinstance(screen, DashboardScreen)
        chosen = tuple(ColumnSpec(key) for key in (ColumnKey.NAME, ColumnKey.NOTE, ColumnKey.TOOK, ColumnKey.ID))
        screen.display_options = DisplayOptions(zone=UTC, columns=chosen)
        await pilot.pause()
        assert str(table.border_subtitle) == "no room for Id"
        await pilot.press("c")
        await pilot.pause()
        assert "no room" in str(pilot.app.screen.query_one("#columns").get_option_at_index(3).prompt)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("uploads", "columns"), [([], ()), ([], ("name", "id", "note")), (mixed(), ())])
async def test_no_column_is_named_that_was_not_chosen_or_while_there_are_no_rows(
    uploads: list[dict[str, Any]], columns: tuple[str, ...]
) -> None:
    async with opened(uploads, size=(50, 24)) as (pilot, _, table):
        screen = pilot.app.screen
        assert isinstance(screen, DashboardScreen)
        screen.display_options = DisplayOptions(zone=UTC, columns=parse_columns(columns))
        for width in (50, 60, 80, 120):
            await pilot.resize_terminal(width, 24)
            await pilot.pause()
            assert str(table.border_subtitle) == "", width
            assert width > 50 or table.left_out


async def test_the_project_is_no_column_while_all_rows_have_the_same() -> None:
    uploads = [an_upload(f"{name}.bin", project=(name, f"The {name} project")) for name in ("one", "two", "three")]
    async with opened(uploads, (60, 24)) as (pilot, _, table):
        table.several_projects = True
        screen = pilot.app.screen
        assert isinstance(screen, DashboardScreen)
        for width in (60, 80, 120, 200):
            await pilot.resize_terminal(width, 24)
            shown = {}
            for ids in ((), ("one",), ("one", "two"), ("two",), ()):
                screen.rows_query = replace(screen.rows_query, project_ids=frozenset(ids))
                await pilot.pause()
                shown[ids] = ColumnKey.PROJECT in {column.key for column in table.columns}
            assert shown == {(): True, ("one",): False, ("one", "two"): True, ("two",): False}, width
