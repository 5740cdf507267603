"""The status bar: what it shows at which width."""

from datetime import timedelta
from math import inf
from unittest.mock import patch

import pytest
from rich.cells import cell_len
from textual.geometry import Size

from tests.tui.dashboards import FakeControls, mixed, opened, until
from upload_tui.monitor import Connection, ConnectionState, Playback, ProjectRef
from upload_tui.testing import NOW, InMemorySession, an_upload, dashboard, settled
from upload_tui.tui import UploadApp
from upload_tui.tui.widgets.status_bar import StatusBar, connection_text


async def test_active_faults_are_shown_until_they_end() -> None:
    controls = FakeControls()
    async with opened(mixed(), controls=controls) as (pilot, session, _):
        bar = pilot.app.screen.query_one(StatusBar)
        controls.active_faults = {"outage": 14.6, "dead-worker": inf}
        session.publish(an_upload("next.tiff", initiated=1))
        await until(pilot, lambda: "outage, 15s left · dead-worker" in bar.render().plain)
        assert "example.org · Genome" in bar.render().plain
        await pilot.press("enter")
        await until(
            pilot, lambda: "outage, 15s left · dead-worker" in pilot.app.screen.query_one(StatusBar).render().plain
        )
        await pilot.press("escape")
        controls.active_faults = {}
        session.publish(an_upload("after.tiff", initiated=1))
        await until(pilot, lambda: "outage" not in bar.render().plain and "Genome" in bar.render().plain)


@pytest.mark.parametrize("columns", [60, 80, 90, 100, 120, 200])
async def test_the_rest_of_a_fault_is_never_read_as_its_duration(columns: int) -> None:
    controls = FakeControls()
    controls.active_faults = {"outage": 14.6, "dead-worker": inf}
    controls.speed = 0
    async with opened(mixed(), controls=controls, size=(columns, 24)) as (pilot, _, _):
        await settled(pilot)
        text = pilot.app.screen.query_one(StatusBar).render().plain
        assert "stopped" in text
        assert "paused" not in text  # which is what refreshing is after Space
        assert "15s" not in text.replace("outage, 15s left", "")


@pytest.mark.parametrize(
    ("columns", "budget", "is_shown"), [(119, None, False), (120, None, True), (120, 60, True), (200, 1200, True)]
)
async def test_the_number_of_requests_is_shown_in_a_wide_line(columns: int, budget: int | None, is_shown: bool) -> None:
    session = InMemorySession([an_upload("scan.tiff")])
    session.set_connection(
        Connection(
            state=ConnectionState.LIVE, since=NOW, read_on=NOW, requests_last_minute=1048, requests_per_minute=budget
        )
    )
    app = UploadApp(session)
    async with app.run_test(size=(columns, 40)) as pilot:
        bar = app.screen.query_one(StatusBar)
        await until(pilot, lambda: "live" in bar.render().plain)
        text = {None: "1,048 requests/min ", 60: "1,048 requests/min (first scan)", 1200: "1,048/1,200 requests/min "}[
            budget
        ]
        assert (text in bar.render().plain) is is_shown
    session.close()


@pytest.mark.parametrize(
    ("state", "columns", "text"),
    [
        (ConnectionState.RETRYING, 80, "example.org · Genome  ◌ retrying"),
        (ConnectionState.OFFLINE, 200, "example.org · Genome  ✗ offline"),
        (ConnectionState.OFFLINE, 80, "example.org · Genome  ✗ offline"),
        (ConnectionState.OFFLINE, 60, "examp….org · Genome ✗ offline"),
        (ConnectionState.NOT_ALLOWED, 60, "upload-tui Genome ✗ token rejected"),
        (ConnectionState.NOT_ALLOWED, 80, "example.org · Genome  ✗ token rejected"),
    ],
    ids=["retrying", "offline-wide", "offline", "offline-narrow", "token-rejected-narrow", "token-rejected"],
)
async def test_an_outage_is_one_word_beside_what_is_watched(state: ConnectionState, columns: int, text: str) -> None:
    session = InMemorySession([an_upload("scan.tiff")])
    since = NOW - timedelta(minutes=41)
    next_try_on = NOW + timedelta(seconds=12)
    session.set_connection(Connection(state=state, since=since, read_on=since, next_try_on=next_try_on))
    app = dashboard(session)
    async with app.run_test(size=(columns, 24)) as pilot:
        bar = app.screen.query_one(StatusBar)
        await until(pilot, lambda: text.rsplit(maxsplit=1)[-1] in bar.render().plain)
        assert f"{' '.join(text.split())} · updated" in " ".join(bar.render().plain.split())
        assert bar.render().plain.endswith("updated 41m ago ")
    session.close()


@pytest.mark.parametrize(
    ("state", "name", "others", "text"),
    [
        (ConnectionState.DENIED, "Prot", 0, "✗ Prot: access denied"),
        (ConnectionState.DENIED, "Prot", 2, "✗ Prot: access denied, 2 more fail"),
        (ConnectionState.DELETED, "Prot", 0, "✗ Prot: deleted"),
        (ConnectionState.RETRYING, "prod/Prot", 1, "◌ prod/Prot: retrying, 1 more fails"),
        (ConnectionState.NOT_ALLOWED, "Pr\x1b[31mot", 0, "✗ Pr␛[31mot: token rejected"),
        (ConnectionState.LIVE, "Prot", 0, "● live"),
    ],
)
async def test_a_project_that_fails_is_named(state: ConnectionState, name: str, others: int, text: str) -> None:
    session = InMemorySession([an_upload("scan.tiff")])
    session.set_connection(Connection(state=state, since=NOW, read_on=NOW, name=name, others=others))
    async with dashboard(session).run_test(size=(100, 24)) as pilot:
        bar = pilot.app.screen.query_one(StatusBar)
        await until(pilot, lambda: f"{text} · updated" in bar.render().plain)
    session.close()


async def test_several_that_fail_alike_are_counted() -> None:
    session = InMemorySession([an_upload("scan.tiff")])
    offline = Connection(
        state=ConnectionState.OFFLINE, since=NOW, name="ceph", others=1, names=("ceph", "oc"), watched=3
    )
    session.set_connection(offline)
    async with dashboard(session).run_test(size=(100, 24)) as pilot:
        bar = pilot.app.screen.query_one(StatusBar)
        await until(pilot, lambda: "✗ 2 of 3 offline" in bar.render().plain)
    session.close()


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (100, " upload-tui  two services · Genome, Plates  ✗ genome-archive-frankfurt: offline · updated 8s ago "),
        (80, " upload-tui  2 projects  ✗ genome-archive-frankfurt: offline · updated 8s ago "),
        (60, " upload-tui two s…ices · 2 projects  ✗ genome…kfurt: offline "),
        (50, " upload-tui  2 projects ✗ genome…kfurt: offline "),
        (36, " 2 projects ✗ genome…kfurt: offline "),
    ],
)
def test_a_narrow_line_keeps_what_is_watched(width: int, text: str) -> None:
    read_on = NOW - timedelta(seconds=8)
    outage = Connection(state=ConnectionState.OFFLINE, since=NOW, read_on=read_on, name="genome-archive-frankfurt")
    bar = StatusBar()
    projects = [ProjectRef("p-1", "Genome"), ProjectRef("p-2", "Plates")]
    for name, value in {"now": NOW, "connection": outage, "title": "two services", "projects": projects}.items():
        bar.set_reactive(getattr(StatusBar, name), value)
    with patch.object(StatusBar, "size", Size(width, 1)):
        line = bar.text().plain
    assert cell_len(line) == width
    assert " ".join(line.split()) == " ".join(text.split())


@pytest.mark.parametrize(
    ("playback", "text"),
    [
        (Playback(8, 12, ConnectionState.LIVE), "replay 0:08 of 0:12"),
        (Playback(62, 3723, ConnectionState.OFFLINE), "replay 1:02 of 1:02:03, was offline"),
        (Playback(12.4, 12.4, ConnectionState.LIVE), "replay ended at 0:12"),
    ],
    ids=["running", "offline then", "ended"],
)
def test_a_replay_shows_its_position_and_never_live(playback: Playback, text: str) -> None:
    connection = Connection(state=ConnectionState.REPLAYING, since=NOW, read_on=NOW, playback=playback)
    assert connection_text(connection, "…") == text


@pytest.mark.parametrize(
    ("title", "count", "width", "text"),
    [
        ("example.org", 2, 120, "Project 0, Project 1"),
        ("example.org", 31, 120, "· 31 projects"),
        ("example.org", 31, 60, " 31 projects"),
        ("one", 31, 60, "one · 31 projects"),
    ],
)
async def test_many_projects_are_counted(title: str, count: int, width: int, text: str) -> None:
    projects = [(f"p-{n}", f"Project {n}") for n in range(count)]
    session = InMemorySession([an_upload("scan.tiff")], title=title, projects=projects)
    async with dashboard(session).run_test(size=(width, 24)) as pilot:
        bar = pilot.app.screen.query_one(StatusBar)
        await until(pilot, lambda: text in bar.render().plain)
    session.close()
