"""Two services whose uploads and projects have the same ids, as after a restore: each key acts on the upload that it is shown for."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui.dashboards import NEWEST_FIRST, until
from upload_tui.monitor import (
    CombinedSession,
    ConnectionState,
    Picture,
    Query,
    Trouble,
    UploadGone,
    UploadKey,
    UploadRef,
    overdue_ids,
    parse_query_as_typed,
)
from upload_tui.testing import InMemorySession, an_upload, dashboard
from upload_tui.tui import Preferences, ScreenState
from upload_tui.tui.screens.upload import UploadScreen
from upload_tui.tui.upload_commands import CommandOutput, CommandResult, ProgramRun, UploadCommand
from upload_tui.tui.widgets.activity_pane import ChangeLogView
from upload_tui.tui.widgets.table.upload_table import UploadTable

ONE, TWO = "https://one.example", "https://two.example"
VERIFIED = an_upload("scan", initiated=90, completed=80, verified=70)
FAILED = an_upload("scan", initiated=90, completed=80, error=70, message="no room left")
ID = str(VERIFIED["id"])


def sessions() -> list[InMemorySession]:
    return [
        InMemorySession([VERIFIED], title="one", service=ONE),
        InMemorySession([FAILED], title="two", service=TWO),
    ]


@asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[tuple[Pilot[int], CombinedSession, UploadTable]]:
    """A dashboard of both; the cursor is on the failed upload of `two`."""
    both = sessions()
    combined = CombinedSession(both)
    app = dashboard(combined, preferences=Preferences(state=ScreenState(NEWEST_FIRST), **options))
    async with app.run_test(size=(140, 40)) as pilot:
        await pilot.pause()
        table = app.screen.query_one(UploadTable)
        assert table.select(ID, TWO)
        await pilot.pause()
        yield pilot, combined, table
    for session in both:
        session.close()


def services(picture: Picture, query: Query) -> list[str]:
    return [row.service for row in picture.window(query, 0, 9).rows]


async def test_marks_and_exports_are_of_one_service(tmp_path: Path) -> None:
    async with opened(export_folder=tmp_path) as (pilot, combined, table):
        await pilot.press("m")
        assert table.marked == {UploadKey(ID, TWO)}
        where = parse_query_as_typed("is:marked")
        assert services(combined.picture, Query(where=where, marked=table.marked)) == [TWO]
        await pilot.press("e", "enter")
        await until(pilot, lambda: any(tmp_path.glob("*.json")))
    (file,) = tmp_path.glob("*.json")  # noqa: ASYNC240
    (upload,) = json.loads(file.read_text())
    assert (upload["stage"], upload["service"]) == ("error", TWO)


@pytest.mark.parametrize("key", ["enter", "J", "w", "h"])
async def test_keys_open_the_upload_under_the_cursor(key: str) -> None:
    async with opened() as (pilot, _, _):
        await pilot.press(key)
        await pilot.pause()
        assert pilot.app.screen._key == UploadKey(ID, TWO)  # type: ignore[attr-defined]
        if isinstance(pilot.app.screen, UploadScreen):
            assert pilot.app.screen.detail is not None
            assert pilot.app.screen.detail.row.trouble is Trouble.FAILED


async def test_acknowledging_the_next_in_trouble_and_the_causes_are_of_one_service() -> None:
    async with opened() as (pilot, combined, table):
        table.select(ID, ONE)
        await pilot.press("E")
        assert table.cursor_key == UploadKey(ID, TWO)
        assert combined.picture.causes()[0].last_service == TWO
        await pilot.press("a", "enter")
        rows = [combined.picture.row(ID, service) for service in (ONE, TWO)]
        assert [row and row.is_acknowledged for row in rows] == [False, True]


async def test_changes_and_commands_are_of_one_service() -> None:
    runs: list[str] = []

    async def run(name: str, program: ProgramRun) -> CommandResult:
        runs.append(json.loads(program.data)["service"])
        return CommandResult(f"exit status 0 · {name}", is_ok=True)

    command = UploadCommand("look", ("look",), key="f5", output=CommandOutput.DISCARD)
    async with opened(commands=(command,), run_program=run) as (pilot, combined, table):
        table.select(ID, ONE)
        await pilot.press("f5")
        await until(pilot, lambda: runs == [ONE])
        ref = UploadRef(ID, "scan", "p-1", "Genome", TWO)
        combined.changes.publish(UploadGone(at=combined.picture.clock.now(), upload=ref))
        log = pilot.app.screen.query_one(ChangeLogView)
        await until(pilot, lambda: log.total > 1)
        log.focus()
        await pilot.press("G", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, UploadScreen))
        assert log.cursor_key == UploadKey(ID, TWO)


async def test_a_project_of_one_service_is_a_filter_of_its_own() -> None:
    async with opened() as (_, combined, table):
        one, two = combined.projects
        assert (one.name, two.name) == ("one/Genome", "two/Genome")
        for project, service, failed in ((one, ONE, 0), (two, TWO, 1)):
            ids = frozenset({project.id})
            assert services(combined.picture, Query(project_ids=ids)) == [service]
            assert combined.picture.funnel(ids).troubles.get(Trouble.FAILED, 0) == failed
            assert len(combined.picture.causes(ids)) == failed
        assert len(services(combined.picture, Query(project_ids=frozenset({"p-1"})))) == 2
        table.rows_query = Query(project_ids=frozenset({two.id}))
        assert "in two/Genome" in str(table.border_title)


def test_a_project_is_as_current_as_its_own_service() -> None:
    one, two = sessions()
    now = one.clock.now()
    connection = two.connection()
    state = ConnectionState.OFFLINE
    two.set_connection(type(connection)(state=state, since=now, read_on=now - timedelta(hours=1)))
    combined = CombinedSession([one, two])
    ages = [now - combined.picture.as_of(project.id) for project in combined.projects]
    assert ages == [timedelta(0), timedelta(hours=1)]
    one.close()
    two.close()


def test_an_upload_that_is_overdue_on_both_counts_twice() -> None:
    late = an_upload("scan", initiated=9000, completed=8000)
    both = [InMemorySession([late], title=service, service=service) for service in (ONE, TWO)]
    counts = [len(overdue_ids(picture)) for picture in (both[0].picture, CombinedSession(both).picture)]
    assert counts == [1, 2]
    for session in both:
        session.close()
