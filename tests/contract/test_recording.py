"""What was live and what is replayed from the journal give the same pictures; secrets are in neither."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from tests.contract.calls import FILE, Caller, serving
from tests.contract.test_live_session import look_again, until
from upload_tui.client import Credentials, ServiceClient
from upload_tui.errors import StorageError
from upload_tui.monitor import (
    Change,
    Connection,
    ConnectionChanged,
    ConnectionState,
    LiveSession,
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
from upload_tui.monitor.recording import replay
from upload_tui.monitor.store.raw_json import compress_page
from upload_tui.monitor.sync import full_scan
from upload_tui.status import Stage
from upload_tui.testing import NOW, FrozenClock, an_upload
from upload_tui.wire import StatusShape

CHUNKS = tuple(enumerate(FILE, 1))


@asynccontextmanager
async def recording(caller: Caller, file: Path) -> AsyncIterator[LiveSession]:
    account = caller.service.account
    project = ProjectRef(caller.service.project.id, caller.service.project.name)
    header = RecordingHeader(caller.clock.now(), caller.service.base_url, "demo", (project,), 900)
    with RecordingWriter(file, header) as journal:
        store = RecordingStore(journal)
        client = ServiceClient(
            caller.service.base_url,
            Credentials(agent_key=account.agent_key, user_key=account.user_key),
            transport=httpx.ASGITransport(app=caller.service.app),
            clock=caller.clock,
            attempts=1,
        )
        client.on_request(journal.write_request)
        schedule = Schedule(jitter=lambda: 0.5)
        async with client:
            session = LiveSession(
                client, [project], store, clock=caller.clock, schedule=schedule, on_change=journal.write_change
            )
            running = asyncio.create_task(session.run())
            await until(session, lambda: session.connection().is_live)
            yield session
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        store.close()


def shown(session: Session) -> object:
    rows = session.window(Query(), 0, 100).rows
    return rows, [session.detail(row.id) for row in rows], session.funnel(), session.causes(), session.latencies()


def told(session: Session) -> list[Change]:
    return [change for change in session.history(1000) if isinstance(change, UploadChange)]


async def a_life(caller: Caller, session: LiveSession) -> None:
    """A good one, a bad one, one that only grows, and a failure of the service between."""
    good = await caller.upload(CHUNKS)
    caller.clock.advance(2)
    await look_again(session)
    growing = await caller.initiate("growing.bin")
    await caller.upload(CHUNKS, digest="0" * 32)
    caller.clock.advance(2)
    await look_again(session)
    await caller.send_chunk(growing, 1, FILE[0])
    while await caller.service.worker.verify_next():
        caller.clock.advance(3)
    await look_again(session)
    assert session.detail(good) is not None


@pytest.mark.parametrize("design", StatusShape)
async def test_what_is_replayed_is_what_was_live(design: StatusShape, tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    async with serving(status_shape=design) as caller:
        await caller.upload(CHUNKS)
        async with recording(caller, file) as live:
            await a_life(caller, live)
            replay = ReplaySession(*read_recording(file), base=FrozenClock())
            replay.seek(caller.clock.now())
            assert replay.now() == live.now()
            assert shown(replay) == shown(live)
            assert told(replay) == told(live)
            assert replay.recorded_connection == live.connection()
            replay.close()
    text = file.read_text()
    kinds = {json.loads(line).get("kind") for line in text.splitlines()}
    assert {"kept", "same", "request", "seen", "stage", "connection"} <= kinds
    assert caller.service.account.user_key not in text


@pytest.mark.parametrize("has_images", [True, False], ids=["as it was", "where no images are read"])
@pytest.mark.parametrize("design", [StatusShape.A, StatusShape.DEPLOYED])
async def test_what_was_poured_in_is_replayed_as_it_was(
    design: StatusShape, has_images: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large first fetch is written down by pages: what is final of them at once, the others one by one."""
    monkeypatch.setattr(full_scan, "_BULK_THRESHOLD", 3)
    file = tmp_path / "journal.jsonl"
    async with serving(status_shape=design) as caller:
        for number in range(3):
            await caller.upload(CHUNKS, digest=str(number) * 32)
            caller.clock.advance(2)
        await caller.upload(CHUNKS)
        await caller.verify_all()
        await caller.initiate("growing.bin")
        async with recording(caller, file) as live:
            await a_life(caller, live)
            monkeypatch.setattr(replay, "can_snapshot", has_images)
            replayed = ReplaySession(*read_recording(file), base=FrozenClock())
            replayed.seek(caller.clock.now())
            assert shown(replayed) == shown(live)
            assert told(replayed) == told(live)
            replayed.close()
    kinds = [json.loads(line).get("kind") for line in file.read_text().splitlines()]
    assert (kinds.count("poured"), kinds.count("settled")) == (1, 1)


def test_a_journal_that_ends_while_pages_are_poured_in_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    file, body = tmp_path / "journal.jsonl", json.dumps({"results": [an_upload("a", completed=9, verified=5)]}).encode()
    with RecordingWriter(file, RecordingHeader(NOW, "s", "t", (ProjectRef("p", "P"),), 900)) as journal:
        journal.write_line(NOW, "poured", body=b64encode(compress_page(body)).decode())
        journal.write_line(NOW, "poured", body="mangled")
        journal.write_line(NOW, "poured", body=b64encode(b"mangled").decode())
    replay = ReplaySession(*read_recording(file), base=FrozenClock())
    for _ in range(2):
        replay.seek(replay.ends_on)
        assert [row.name for row in replay.window(Query(search="a"), 0, 9).rows] == ["a"]
        assert replay.funnel()[Stage.VERIFIED].count == 1
    replay.close()


async def test_a_replay_goes_back_and_by_steps_when_it_is_told_to(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    async with serving() as caller, recording(caller, file) as live:
        await a_life(caller, live)
    header, lines = read_recording(file)
    replay = ReplaySession(header, lines, base=FrozenClock())
    replay.pause()
    assert replay.connection().state is ConnectionState.PAUSED
    pictures = []
    for _ in range(50):
        replay.step()
        pictures.append((replay.now(), shown(replay)))
    assert replay.now() == replay.ends_on
    times = dict(pictures)
    assert len(times) > 2
    for on, picture in reversed(times.items()):
        replay.seek(on)
        assert shown(replay) == picture
    replay.seek(header.began_on - timedelta(days=1))
    assert replay.now() == header.began_on
    replay.close()


async def test_a_replay_runs_at_its_pace(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    async with serving() as caller, recording(caller, file) as live:
        await a_life(caller, live)
    base = FrozenClock()
    replay = ReplaySession(*read_recording(file), speed=2.0, base=base)
    before = replay.window(Query(), 0, 9).total
    base.advance((replay.ends_on - replay.now()).total_seconds() / 2)
    running = asyncio.create_task(replay.run())
    await until(replay, lambda: replay.window(Query(), 0, 9).total == 3)  # type: ignore[arg-type]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert before == 0
    assert replay.now() == replay.ends_on
    replay.close()


def test_time_stands_still_and_is_told_when_a_replay_has_ended(tmp_path: Path) -> None:
    file, base = tmp_path / "journal.jsonl", FrozenClock()
    with RecordingWriter(file, RecordingHeader(NOW, "s", "t", (ProjectRef("p", "P"),), 900)) as journal:
        journal.write_change(
            ConnectionChanged(at=NOW, connection=Connection(state=ConnectionState.LIVE, since=NOW, read_on=NOW))
        )
        journal.write_line(NOW + timedelta(seconds=12), "same", ids=[])
    replay = ReplaySession(*read_recording(file), base=base)
    replay.seek(NOW)
    base.advance(8.5)
    assert replay.connection().state is ConnectionState.REPLAYING
    assert replay.connection().playback == Playback(8, 12, ConnectionState.LIVE)
    assert not replay.connection().is_live
    base.advance(60)
    assert replay.now() == replay.ends_on == NOW + timedelta(seconds=12)
    assert replay.connection().playback == Playback(12, 12, ConnectionState.LIVE)
    replay.close()


def test_a_journal_is_never_written_over_and_another_file_is_none(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    file.write_text("something else\n")
    with pytest.raises(StorageError, match="there already"):
        RecordingWriter(file, RecordingHeader(NOW, "", "", (), 900))
    with pytest.raises(StorageError, match="not a journal"):
        read_recording(file)
    with pytest.raises(StorageError, match="cannot be read"):
        read_recording(tmp_path)


def test_a_journal_that_was_cut_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    with RecordingWriter(file, RecordingHeader(NOW, "s", "t", (ProjectRef("p", "P"),), 900)) as journal:
        journal.write_line(NOW, "same", ids=[])
    file.write_text(file.read_text() + '{"at": "2026-03')
    header, lines = read_recording(file)
    assert (header.projects, [line.kind for line in lines]) == ((ProjectRef("p", "P"),), ["same"])
