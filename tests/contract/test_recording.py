"""A replay shows the same pictures as the live session did; a recording holds no secrets."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.calls import FILE, Caller, serving
from tests.contract.test_live_session import poll, until
from tests.unit.sources.scripted_source import SERVICE, SourceHarness
from upload_tui.client import Credentials, ServiceClient
from upload_tui.errors import StorageError
from upload_tui.monitor import (
    Change,
    ChangeBroadcaster,
    Connection,
    ConnectionChanged,
    ConnectionState,
    LiveSession,
    OwnStateReached,
    Playback,
    ProjectRef,
    Query,
    RecordingHeader,
    RecordingStore,
    RecordingWriter,
    ReplaySession,
    Schedule,
    Session,
    UploadChange,
    read_recording,
)
from upload_tui.monitor.queries.parser import parse_query
from upload_tui.monitor.recording import replay
from upload_tui.monitor.store.database import DEFAULT_LIMITS, Limits
from upload_tui.monitor.store.schema import compress_page
from upload_tui.status import Certainty, Stage, UnknownState
from upload_tui.testing import NOW, FrozenClock, an_upload, dashboard
from upload_tui.tui.widgets.activity_pane import ChangeLogView
from upload_tui.tui.widgets.table.upload_table import UploadTable
from upload_tui.wire import StatusShape

CHUNKS = tuple(enumerate(FILE, 1))


@asynccontextmanager
async def recording(caller: Caller, file: Path, limits: Limits = DEFAULT_LIMITS) -> AsyncIterator[LiveSession]:
    account = caller.service.account
    project = ProjectRef(caller.service.project.id, caller.service.project.name)
    header = RecordingHeader(caller.clock.now(), caller.service.base_url, "demo", (project,), 900)
    with RecordingWriter(file, header) as writer:
        store = RecordingStore(writer, limits)
        client = ServiceClient(
            caller.service.base_url,
            Credentials(agent_key=account.agent_key, user_key=account.user_key),
            transport=httpx.ASGITransport(app=caller.service.app),
            clock=caller.clock,
            attempts=1,
        )
        client.request_listeners.append(writer.write_request)
        schedule, changes = Schedule(jitter=lambda: 0.5), ChangeBroadcaster(writer.write_change)
        async with client:
            session = LiveSession(client, [project], store, schedule=schedule, changes=changes)
            running = asyncio.create_task(session.run())
            await until(session, lambda: session.connection().is_live)
            yield session
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        store.close()


def picture_of(session: Session) -> object:
    rows = session.picture.window(Query(), 0, 100).rows
    return (
        rows,
        [session.picture.detail(row.id) for row in rows],
        session.picture.funnel(),
        session.picture.causes(),
        session.picture.latencies(),
    )


def upload_changes(session: Session) -> list[Change]:
    return [change for change in session.changes.history(1000) if isinstance(change, UploadChange)]


async def run_uploads(caller: Caller, session: LiveSession) -> None:
    """Let one upload be verified, one fail, and one only receive chunks."""
    good = await caller.upload(CHUNKS)
    caller.clock.advance(2)
    await poll(session)
    growing = await caller.initiate("growing.bin")
    await caller.upload(CHUNKS, digest="0" * 32)
    caller.clock.advance(2)
    await poll(session)
    await caller.send_chunk(growing, 1, FILE[0])
    while await caller.service.worker.verify_next():
        caller.clock.advance(3)
    await poll(session)
    assert session.picture.detail(good) is not None


@pytest.mark.parametrize("design", StatusShape)
async def test_a_replay_equals_the_live_session(design: StatusShape, tmp_path: Path) -> None:
    file = tmp_path / "recording.jsonl"
    async with serving(status_shape=design) as caller:
        await caller.upload(CHUNKS)
        async with recording(caller, file) as live:
            await run_uploads(caller, live)
            replay = ReplaySession(*read_recording(file), base=FrozenClock())
            replay.seek(caller.clock.now())
            assert replay.picture.clock.now() == live.picture.clock.now()
            assert picture_of(replay) == picture_of(live)
            assert upload_changes(replay) == upload_changes(live)
            assert replay.recorded_connection == live.connection()
            replay.close()
    text = file.read_text()
    kinds = {json.loads(line).get("kind") for line in text.splitlines()}
    assert {"stored", "unchanged", "request", "seen", "stage", "connection"} <= kinds
    assert caller.service.account.user_key not in text


async def test_a_replay_of_a_source_has_the_projects_that_were_listed_so_far_and_no_requests(tmp_path: Path) -> None:
    file, clock = tmp_path / "recording.jsonl", FrozenClock()
    with RecordingWriter(file, RecordingHeader(NOW, SERVICE, "scripted", (), 900)) as writer:
        harness = SourceHarness(store=RecordingStore(writer), clock=clock)
        await harness.print({"a": {"project": "P"}})
        clock.advance(60)
        await harness.print({"a": {"project": "P"}, "b": {"project": "Q"}})
        harness.store.close()
    session = ReplaySession(*read_recording(file), base=FrozenClock())
    for on, names in [(NOW, ["P"]), (clock.now(), ["P", "Q"]), (NOW, ["P"])]:
        session.seek(on)
        assert [project.name for project in session.projects] == names
        assert session.connection().requests_last_minute is None
    session.close()


STATES: dict[str, dict[str, Any]] = {
    "observed": {"stage": "quarantined"},
    "observed after a stage": {"stage": "quarantined", "initiated_on": "2026-03-14T07:00:00Z"},
    "reported": {"stage": "quarantined", "on": "2026-03-14T08:00:00Z"},
    "listed": {"stage": "quarantined", "stage_since": "2026-03-14T08:00:00Z", "stage_since_certainty": "observed"},
    "another": {"stage": "held"},
    "ended": {"stage": "held", "ended": True},
    "a stage": {"stage": "completed"},
    "none": {},
}


async def test_the_store_and_a_replay_know_when_a_state_began_and_how_certain_that_is(tmp_path: Path) -> None:
    """Of a state of a source's own, for all pairs of lines."""
    file, clock, pairs = tmp_path / "recording.jsonl", FrozenClock(), [*product(STATES, STATES)]
    with RecordingWriter(file, RecordingHeader(NOW, SERVICE, "scripted", (), 900)) as writer:
        harness = SourceHarness(store=RecordingStore(writer), clock=clock)
        for place in range(2):
            await harness.print({f"{pair}": {**STATES[pair[place]], "size": place} for pair in pairs})
            clock.advance(60)
    session = ReplaySession(*read_recording(file), base=FrozenClock())
    session.seek(clock.now())
    for pair in pairs:
        details = [one.picture.detail(f"{pair}") for one in (harness, session)]
        live, replayed = [one.upload.timeline.own_state for one in details if one is not None]
        assert live == replayed
        if set(pair) <= {"observed", "none"} and pair[0] == "observed":
            assert live == UnknownState("quarantined", NOW, Certainty.OBSERVED)
    session.close()
    harness.store.close()


async def test_a_replay_publishes_the_states_of_a_source(tmp_path: Path) -> None:
    """Also one that an earlier version recorded as an anomaly."""
    file = tmp_path / "recording.jsonl"
    with RecordingWriter(file, RecordingHeader(NOW, SERVICE, "scripted", (), 900)) as writer:
        harness = SourceHarness(store=RecordingStore(writer))
        for fields in ({}, *STATES.values()):
            await harness.print({"a": fields})
        for change in harness.changes:
            writer.write_change(change)
        harness.store.close()
    states = [change for change in harness.changes if isinstance(change, OwnStateReached)]
    assert {one.state for one in states} == {"quarantined", "held"}
    earlier = {"kind": "anomaly", "to": None, "on": None, "certainty": None, "detail": "unknown_state: 'held'"}
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    lines.append(next(line for line in lines if line.get("kind") == "state") | earlier)
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    session = ReplaySession(*read_recording(file), base=FrozenClock())
    session.seek(session.ends_on)
    *replayed, last = [change for change in session.changes.history(1000) if isinstance(change, OwnStateReached)]
    assert replayed == states
    assert (last.state, last.on) == ("held", None)
    session.close()


@pytest.mark.parametrize("has_snapshots", [True, False], ids=["with snapshots", "without snapshots"])
@pytest.mark.parametrize("design", [StatusShape.A, StatusShape.DEPLOYED])
async def test_a_replay_of_a_bulk_load_equals_the_live_session(
    design: StatusShape, has_snapshots: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large full scan is recorded by pages: their final uploads together, the others one by one."""
    file = tmp_path / "recording.jsonl"
    async with serving(status_shape=design) as caller:
        for number in range(3):
            await caller.upload(CHUNKS, digest=str(number) * 32)
            caller.clock.advance(2)
        await caller.upload(CHUNKS)
        await caller.verify_all()
        await caller.initiate("growing.bin")
        async with recording(caller, file, Limits(bulk_threshold=3)) as live:
            await run_uploads(caller, live)
            monkeypatch.setattr(replay, "can_snapshot", has_snapshots)
            replayed = ReplaySession(*read_recording(file), base=FrozenClock())
            replayed.seek(caller.clock.now())
            assert picture_of(replayed) == picture_of(live)
            assert upload_changes(replayed) == upload_changes(live)
            replayed.close()
            written_before = ReplaySession(*read_recording(_with_earlier_names(file)), base=FrozenClock())
            written_before.seek(caller.clock.now())
            assert picture_of(written_before) == picture_of(live)
            written_before.close()
    kinds = [json.loads(line).get("kind") for line in file.read_text().splitlines()]
    assert (kinds.count("page"), kinds.count("last_page")) == (1, 1)


def _with_earlier_names(file: Path) -> Path:
    """A copy of a recording as version 2 wrote it."""
    names = {"stored": "kept", "unchanged": "same", "page": "poured", "last_page": "settled"}
    header, *lines = map(json.loads, file.read_text().splitlines())
    earlier = [{"journal": 2, **header}, *({**line, "kind": names.get(line["kind"], line["kind"])} for line in lines)]
    del earlier[0]["recording"]
    copy = file.with_suffix(".earlier")
    copy.write_text("".join(json.dumps(line) + "\n" for line in earlier))
    return copy


def test_a_recording_that_ends_during_a_bulk_load_is_replayed_as_far_as_it_goes(tmp_path: Path) -> None:
    file, body = (
        tmp_path / "recording.jsonl",
        json.dumps({"results": [an_upload("a", completed=9, verified=5)]}).encode(),
    )
    with RecordingWriter(file, RecordingHeader(NOW, "s", "t", (ProjectRef("p", "P"),), 900)) as writer:
        writer.write_line(NOW, "page", body=b64encode(compress_page(body)).decode())
        writer.write_line(NOW, "page", body="damaged")
        writer.write_line(NOW, "page", body=b64encode(b"damaged").decode())
    replay = ReplaySession(*read_recording(file), base=FrozenClock())
    for _ in range(2):
        replay.seek(replay.ends_on)
        assert [row.name for row in replay.picture.window(Query(where=parse_query("a")), 0, 9).rows] == ["a"]
        assert replay.picture.funnel()[Stage.VERIFIED].count == 1
    replay.close()


async def test_a_replay_goes_back_and_by_steps(tmp_path: Path) -> None:
    file = tmp_path / "recording.jsonl"
    async with serving() as caller, recording(caller, file) as live:
        await run_uploads(caller, live)
    header, lines = read_recording(file)
    replay = ReplaySession(header, lines, base=FrozenClock())
    replay.set_paused(is_paused=True)
    assert replay.connection().state is ConnectionState.PAUSED
    pictures = []
    for _ in range(50):
        replay.step()
        pictures.append((replay.picture.clock.now(), picture_of(replay)))
    assert replay.picture.clock.now() == replay.ends_on
    times = dict(pictures)
    assert len(times) > 2
    for on, picture in reversed(times.items()):
        replay.seek(on)
        assert picture_of(replay) == picture
    replay.seek(header.began_on - timedelta(days=1))
    assert replay.picture.clock.now() == header.began_on
    replay.seek(replay.ends_on)
    positions = []
    while replay.picture.clock.now() > header.began_on:
        replay.step_back()
        positions.append(replay.picture.clock.now())
        assert picture_of(replay) == times[replay.picture.clock.now()]
    assert positions == sorted(
        {line.at for line in lines if line.at < replay.ends_on} | {header.began_on}, reverse=True
    )
    replay.close()


async def test_the_dashboard_goes_back_in_a_replay(tmp_path: Path) -> None:
    file = tmp_path / "recording.jsonl"
    async with serving() as caller, recording(caller, file) as live:
        await run_uploads(caller, live)
    replay = ReplaySession(*read_recording(file), base=FrozenClock())
    replay.seek(replay.ends_on)
    app = dashboard(replay, controls=replay)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        log = app.screen.query_one(ChangeLogView)
        shown = log.shown_changes
        await pilot.press("g", *"-1h", "enter")
        await pilot.pause()
        assert replay.picture.clock.now() == replay.began_on
        assert (log.total, app.screen.query_one(UploadTable).total) == (0, 0)
        await pilot.press("g", *"+1h", "enter")
        await pilot.pause()
        assert replay.picture.clock.now() == replay.ends_on
        assert log.shown_changes == shown
        await pilot.press("comma")
        await pilot.pause()
        assert replay.picture.clock.now() < replay.ends_on
        await pilot.press("home")
        assert app.screen.query_one(UploadTable).cursor_row == 0
    replay.close()


async def test_a_replay_runs_at_its_speed(tmp_path: Path) -> None:
    file = tmp_path / "recording.jsonl"
    async with serving() as caller, recording(caller, file) as live:
        await run_uploads(caller, live)
    base = FrozenClock()
    replay = ReplaySession(*read_recording(file), speed=2.0, base=base)
    before = replay.picture.window(Query(), 0, 9).total
    base.advance((replay.ends_on - replay.picture.clock.now()).total_seconds() / 2)
    running = asyncio.create_task(replay.run())
    await until(replay, lambda: replay.picture.window(Query(), 0, 9).total == 3)  # type: ignore[arg-type]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert before == 0
    assert replay.picture.clock.now() == replay.ends_on
    replay.close()


def test_time_stops_when_a_replay_has_ended(tmp_path: Path) -> None:
    file, base = tmp_path / "recording.jsonl", FrozenClock()
    with RecordingWriter(file, RecordingHeader(NOW, "s", "t", (ProjectRef("p", "P"),), 900)) as writer:
        writer.write_change(
            ConnectionChanged(at=NOW, connection=Connection(state=ConnectionState.LIVE, since=NOW, read_on=NOW))
        )
        writer.write_line(NOW + timedelta(seconds=12), "unchanged", ids=[])
    replay = ReplaySession(*read_recording(file), base=base)
    replay.seek(NOW)
    base.advance(8.5)
    assert replay.connection().state is ConnectionState.REPLAYING
    assert replay.connection().playback == Playback(8, 12, ConnectionState.LIVE)
    assert not replay.connection().is_live
    base.advance(60)
    assert replay.picture.clock.now() == replay.ends_on == NOW + timedelta(seconds=12)
    assert replay.connection().playback == Playback(12, 12, ConnectionState.LIVE)
    replay.close()


def test_a_replay_keeps_the_connection_of_each_project(tmp_path: Path) -> None:
    file, projects = tmp_path / "recording.jsonl", (ProjectRef("p-1", "Genome"), ProjectRef("p-2", "Prot"))
    live = Connection(state=ConnectionState.LIVE, since=NOW, read_on=NOW)
    denied = Connection(state=ConnectionState.DENIED, since=NOW, read_on=NOW)
    with RecordingWriter(file, RecordingHeader(NOW, "s", "t", projects, 900)) as writer:
        for seconds, project, connection in [(1, projects[1], denied), (2, projects[0], live)]:
            at = NOW + timedelta(seconds=seconds)
            writer.write_change(ConnectionChanged(at=at, connection=connection, project=project))
        writer.write_line(NOW + timedelta(seconds=60), "unchanged", ids=[])
    replay = ReplaySession(*read_recording(file), base=FrozenClock())
    replay.seek(NOW + timedelta(seconds=50))
    recorded = replay.recorded_connection
    assert (recorded.state, recorded.name, recorded.is_partly_live) == (ConnectionState.DENIED, "Prot", True)
    own = [replay.connection(frozenset({one.id})) for one in projects]
    assert [one.playback and one.playback.state for one in own] == [ConnectionState.LIVE, ConnectionState.DENIED]
    assert (replay.picture.as_of("p-1"), replay.picture.as_of("p-2")) == (NOW + timedelta(seconds=50), NOW)
    replay.seek(NOW)
    assert replay.recorded_connection.state is ConnectionState.CONNECTING
    replay.close()


def test_a_recording_is_never_overwritten_and_other_files_are_rejected(tmp_path: Path) -> None:
    file = tmp_path / "recording.jsonl"
    file.write_text("something else\n")
    with pytest.raises(StorageError, match="already exists"):
        RecordingWriter(file, RecordingHeader(NOW, "", "", (), 900))
    with pytest.raises(StorageError, match="not a recording"):
        read_recording(file)
    with pytest.raises(StorageError, match="cannot be read"):
        read_recording(tmp_path)


def test_a_recording_that_was_cut_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    file = tmp_path / "recording.jsonl"
    with RecordingWriter(file, RecordingHeader(NOW, "s", "t", (ProjectRef("p", "P"),), 900)) as writer:
        writer.write_line(NOW, "unchanged", ids=[])
    file.write_text(file.read_text() + '{"at": "2026-03')
    header, lines = read_recording(file)
    assert (header.projects, [line.kind for line in lines]) == ((ProjectRef("p", "P"),), ["unchanged"])
