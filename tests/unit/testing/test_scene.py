"""Scenes in virtual time, with the real service and monitor."""

import time
from datetime import timedelta
from pathlib import Path

import pytest

from upload_tui.errors import UploadTuiError
from upload_tui.monitor import ConnectionState, Query, Row, StageReached
from upload_tui.status import Stage
from upload_tui.testing import NOW, ManualSession, Scene, replay_of
from upload_tui.wire import CHUNK_HASH_DIFFERS, FILE_HASH_DIFFERS


def rows(session: ManualSession) -> dict[str, Row]:
    return {row.name: row for row in session.picture.window(Query(), 0, 100).rows}


async def test_each_step_happens_at_its_second() -> None:
    scene = Scene().upload("a.bin", at=5, completes=15, verification_seconds=3).until(60)
    session = await scene.play()
    row = rows(session)["a.bin"]
    assert row.stage is Stage.VERIFIED
    seconds = [(on - NOW).total_seconds() for on in (row.initiated_on, row.completed_on, row.ended_on) if on]
    assert seconds == [5, 15, 18]
    assert session.picture.clock.now() == NOW + timedelta(seconds=60)
    changes = [
        (change.after, (change.at - NOW).total_seconds())
        for change in session.changes.history(99)
        if isinstance(change, StageReached)
    ]
    assert changes == [(Stage.INITIATED, 5), (Stage.COMPLETED, 15), (Stage.VERIFIED, 18)]
    session.close()


async def test_a_completed_upload_waits_until_the_worker_starts_again() -> None:
    scene = Scene().upload("a.bin", completes=10).stop_worker(at=11).until(10 + 41 * 60)
    session = await scene.play()
    row = rows(session)["a.bin"]
    assert (row.stage, row.lateness.is_stuck) == (Stage.COMPLETED, True)
    session.close()
    session = await scene.start_worker(at=2400).play()
    assert rows(session)["a.bin"].ended_on == NOW + timedelta(seconds=2400)
    session.close()


async def test_altered_bytes_are_an_error_with_its_message() -> None:
    scene = Scene().upload("a.bin", completes=10).fault("altered-chunk", at=3).until(20)
    session = await scene.play()
    assert rows(session)["a.bin"].error_message.startswith(CHUNK_HASH_DIFFERS)
    session.close()


async def test_a_wrong_digest_is_an_error_with_its_message() -> None:
    session = await Scene().upload("a.bin", completes=10, digest="0" * 32).until(20).play()
    assert rows(session)["a.bin"].error_message.startswith(FILE_HASH_DIFFERS)
    session.close()


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ("outage", ConnectionState.RETRYING),
        ("expired-tokens", ConnectionState.NOT_ALLOWED),
        ("garbage", ConnectionState.RETRYING),
        ("server-error", ConnectionState.RETRYING),
        ("slow-answers", ConnectionState.SLOW),
    ],
)
async def test_a_fault_changes_the_connection(fault: str, state: ConnectionState) -> None:
    session = await Scene().upload("a.bin", completes=10).fault(fault, at=30, seconds=60).until(40).play()
    assert session.connection().state is state
    assert rows(session)["a.bin"].stage is Stage.VERIFIED
    session.close()


@pytest.mark.parametrize(
    "fault", ["outage", "too-many-requests", "garbage", "expired-tokens", "expired-urls", "cut-answers"]
)
async def test_the_client_retries_until_a_fault_ends(fault: str) -> None:
    session = await Scene().upload("a.bin", completes=10).fault(fault, at=1, seconds=20).until(60).play()
    assert rows(session)["a.bin"].stage is Stage.VERIFIED
    session.close()


async def test_verification_is_retried_after_the_storage_failed() -> None:
    session = await Scene().upload("a.bin", completes=10).fault("broken-storage", at=11, seconds=30).until(600).play()
    assert rows(session)["a.bin"].ended_on == NOW + timedelta(seconds=12 + 1 + 5 + 25)
    session.close()


async def test_verification_waits_while_the_worker_is_dead() -> None:
    session = await Scene().upload("a.bin", completes=10).fault("dead-worker", at=11, seconds=60).until(600).play()
    assert rows(session)["a.bin"].ended_on == NOW + timedelta(seconds=71)
    session.close()


async def test_changes_before_the_dashboard_opens_are_not_published() -> None:
    session = await Scene().upload("a.bin", completes=10).upload("b.bin", at=20).opens(at=15).until(30).play()
    names = {change.upload.name for change in session.changes.history(99) if isinstance(change, StageReached)}
    assert names == {"b.bin"}
    session.close()


async def test_half_of_the_chunks_are_sent_if_the_client_never_completes() -> None:
    session = await Scene().upload("a.bin", chunks=6, size_bytes=600).until(60).play()
    row = rows(session)["a.bin"]
    assert (row.stage, row.chunk_count, row.chunk_bytes) == (Stage.INITIATED, 3, 300)
    session.close()


async def test_a_scene_is_the_same_when_played_twice() -> None:
    scene = (
        Scene(status_shape="deployed")
        .upload("a.bin", completes=10)
        .upload("b.bin", at=4)
        .fault("outage", at=20)
        .until(25)
    )
    first, second = await scene.play(), await scene.play()
    assert rows(first) == rows(second)
    assert first.changes.history(99) == second.changes.history(99)
    assert first.connection() == second.connection()
    first.close()
    second.close()


async def test_a_week_of_virtual_time_passes_without_waiting() -> None:
    began = time.monotonic()
    session = await Scene().upload("a.bin", completes=10).stop_worker(at=0).until(7 * 24 * 3600).play()
    assert time.monotonic() - began < 10
    session.close()


def test_an_unknown_fault_is_an_error() -> None:
    with pytest.raises(UploadTuiError, match="flood"):
        Scene().fault("flood")


async def test_a_dashboard_inside_a_running_event_loop_is_an_error_with_a_hint() -> None:
    with pytest.raises(UploadTuiError, match="running event loop") as raised:
        Scene().dashboard()
    assert "play()" in raised.value.hint


RECORDING = Path(__file__).parents[2] / "formats" / "expected" / "recording.jsonl"


async def test_a_scene_goes_on_from_a_recording_with_a_worker_and_faults() -> None:
    replay = replay_of(RECORDING, until=22)
    recorded = {row.name: row for row in replay.picture.window(Query(), 0, 99).rows if not row.is_gone}
    began_on = replay.picture.clock.now()
    replay.close()
    begun = await Scene.from_recording(RECORDING, until=22, title="bug").stop_worker(at=0).until(1).play()
    found = rows(begun)
    expected = {name for name, row in recorded.items() if row.initiated_on is not None and not row.unknown_state}
    assert {*found} == expected
    assert {name: found[name].stage for name in found} == {name: recorded[name].stage for name in found}
    assert {name: found[name].initiated_on for name in found} == {name: recorded[name].initiated_on for name in found}
    assert [row.name for row in found.values() if row.stage is Stage.COMPLETED]
    assert begun.picture.clock.now() == began_on + timedelta(seconds=1)
    begun.close()
    ended = (
        await Scene.from_recording(RECORDING)
        .upload("late.bin", at=1, completes=5)
        .fault("outage", at=30)
        .until(31)
        .play()
    )
    assert not [name for name, row in rows(ended).items() if row.stage is Stage.COMPLETED]
    assert rows(ended)["late.bin"].stage is Stage.VERIFIED
    assert ended.connection().is_failing
    ended.close()


async def test_a_scene_begins_at_any_position_of_a_recording() -> None:
    session = await Scene.from_recording(RECORDING, until=0).until(0).play()
    assert session.picture.clock.now() == NOW
    session.close()
