"""Judgement, schedule, connection and announcements."""

import asyncio
from datetime import timedelta

import pytest

from upload_tui.errors import BusyError, NotAllowedError, UnreachableError
from upload_tui.monitor.announcer import Announcer
from upload_tui.monitor.changes import Change, PictureChanged, UploadRef, UploadSeen
from upload_tui.monitor.connection_keeper import ConnectionKeeper
from upload_tui.monitor.judge import judge, usual_of
from upload_tui.monitor.picture import Connection, ConnectionState, Query
from upload_tui.monitor.schedule import Schedule
from upload_tui.status import Stage
from upload_tui.testing import NOW, FrozenClock, SceneSession, an_upload
from upload_tui.wire.queue import read_queue

USUAL = usual_of([10.0] * 19 + [40.0])


def test_nothing_is_usual_when_too_little_was_seen() -> None:
    assert usual_of([1.0] * 7) is None
    assert USUAL is not None
    assert (USUAL.median_seconds, USUAL.longest_seconds) == (10, 40)
    assert 10 < USUAL.p95_seconds < 40


@pytest.mark.parametrize(
    ("stage", "age_seconds", "overdue", "stuck"),
    [
        (Stage.COMPLETED, 5, False, False),
        (Stage.COMPLETED, 30, True, False),
        (Stage.COMPLETED, 121, True, True),
        (Stage.INITIATED, 500, False, False),
        (Stage.INITIATED, 901, False, True),
        (Stage.VERIFIED, 10**6, False, False),
        (Stage.ERROR, 10**6, False, False),
    ],
)
def test_lateness_follows_from_what_is_usual(stage: Stage, age_seconds: float, overdue: bool, stuck: bool) -> None:
    judgement = judge(stage, NOW - timedelta(seconds=age_seconds), None, NOW, USUAL, 900)
    assert (judgement.is_overdue, judgement.is_stuck) == (overdue, stuck)


def test_what_an_upload_waits_for_is_what_it_is_sent_in() -> None:
    session = SceneSession([an_upload("whole.bin", chunks=None), an_upload("parts.bin")])
    waits = {row.name: row.judgement.waits_for for row in session.pending(10)}
    session.close()
    assert waits == {"whole.bin": "waits for its bytes", "parts.bin": "waits for chunks"}


def test_an_upload_is_not_stuck_when_its_chunks_still_come() -> None:
    began, chunk = NOW - timedelta(seconds=5000), NOW - timedelta(seconds=20)
    assert not judge(Stage.INITIATED, began, chunk, NOW, None, 900).is_stuck
    assert judge(Stage.INITIATED, began, began, NOW, None, 900).is_stuck


def test_the_interval_is_short_after_a_change_and_grows_when_nothing_happens() -> None:
    schedule = Schedule(chance=lambda: 0.5)
    assert schedule.next_seconds(9, changed=True, is_waiting=True) == 1
    waits = [1.0]
    for _ in range(10):
        waits.append(schedule.next_seconds(waits[-1], changed=False, is_waiting=False))
    assert waits == sorted(waits)
    assert waits[-1] == schedule.longest_idle_seconds
    assert schedule.next_seconds(15, changed=False, is_waiting=True) == schedule.longest_waiting_seconds
    assert schedule.with_jitter(10) == pytest.approx(10)


def test_waits_grow_and_the_service_has_the_last_word_when_rounds_fail() -> None:
    clock, told = FrozenClock(), list[Connection]()
    keeper = ConnectionKeeper(clock, told.append, chance=lambda: 1.0)
    assert [keeper.failed(UnreachableError("no")) for _ in range(8)] == [2, 4, 8, 16, 32, 60, 60, 60]
    assert keeper.failed(BusyError("busy", retry_after_seconds=120)) == pytest.approx(132)
    assert [connection.state for connection in told[:3]] == [
        ConnectionState.RETRYING,
        ConnectionState.RETRYING,
        ConnectionState.OFFLINE,
    ]
    keeper.whole(clock.now())
    assert keeper.current.is_live
    assert keeper.failed(UnreachableError("no")) == 2


def test_a_busy_service_is_not_offline_when_nobody_asked_it() -> None:
    """Its word that it is busy is good for all; who looks meanwhile is told so by us."""
    keeper = ConnectionKeeper(FrozenClock(), lambda _: None)
    for _ in range(5):
        keeper.failed(BusyError("busy", retry_after_seconds=30))
    assert keeper.current.state is ConnectionState.RETRYING


def test_a_service_is_slow_until_it_answers_quickly_again() -> None:
    keeper, states = ConnectionKeeper(FrozenClock(), lambda _: None), []
    for seconds in (None, 1.9, 2.1, 1.5, 0.9, 1.5):
        keeper.whole(NOW, seconds)
        states.append(keeper.current.state.value)
    assert states == ["live", "live", "slow", "slow", "live", "live"]
    assert keeper.current.is_live


def test_offline_dates_from_the_first_failure() -> None:
    clock = FrozenClock()
    keeper = ConnectionKeeper(clock, lambda _: None)
    for _ in range(4):
        keeper.failed(UnreachableError("no"))
        clock.advance(10)
    assert keeper.current.since == NOW


def test_not_allowed_is_told_at_once() -> None:
    keeper = ConnectionKeeper(FrozenClock(), lambda _: None)
    keeper.failed(NotAllowedError("401"))
    assert keeper.current.state is ConnectionState.NOT_ALLOWED


async def test_a_late_listener_loses_no_change_of_an_upload() -> None:
    announcer, heard = Announcer(), list[Change]()
    listening = announcer.listen()

    async def listen() -> None:
        async for change in listening:
            heard.append(change)

    task = asyncio.create_task(listen())
    await asyncio.sleep(0)
    for number in range(100):
        announcer.say(UploadSeen(at=NOW, upload=UploadRef(str(number), "", "", "")))
        announcer.say(PictureChanged(at=NOW, revision=number))
    while len(heard) < 101:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [change.upload.id for change in heard if isinstance(change, UploadSeen)] == [str(n) for n in range(100)]
    assert [change.revision for change in heard if isinstance(change, PictureChanged)] == [99]


def test_the_worker_looks_stopped_when_all_wait_and_nothing_ends() -> None:
    done = [an_upload(f"done{n}", initiated=2000, completed=1900, verified=1890) for n in range(10)]
    waiting = [an_upload(f"waits{n}", initiated=900, completed=480 + n) for n in range(14)]
    session = SceneSession([*done, *waiting])
    assert session.funnel().remark == "0 verified in 8 minutes while 14 wait: the verification worker looks stopped"
    session.say(an_upload("waits0", initiated=900, completed=480, verified=1))
    assert session.funnel().remark == ""
    session.close()


def test_one_late_upload_is_not_taken_for_a_stopped_worker() -> None:
    done = [an_upload(f"done{n}", initiated=2000, completed=1900, verified=1890) for n in range(10)]
    session = SceneSession([*done, an_upload("late", completed=4000, initiated=5000)])
    assert session.funnel().remark == ""
    assert session.funnel().stuck == 1
    session.close()


@pytest.mark.parametrize(
    ("queue", "words"),
    [
        (None, "waits for verification"),
        ({"depth": 0, "oldest": None, "running": 1, "retried": 0, "dead": 0}, "waits for verification"),
        (
            {"depth": 14, "oldest": NOW.isoformat(), "running": 3, "retried": 0, "dead": 0},
            "waits for verification, 14 queued",
        ),
        (
            {"depth": 2, "oldest": (NOW - timedelta(seconds=300)).isoformat(), "running": 0},
            "waits for verification: no worker takes it",
        ),
        ({"depth": "many"}, "waits for verification"),
        ([], "waits for verification"),
    ],
    ids=["no queue", "empty", "busy", "no worker", "unreadable", "something else"],
)
def test_what_an_upload_waits_for_is_what_the_queue_says(queue: object, words: str) -> None:
    session = SceneSession([an_upload("a", completed=30)])
    session.take_queue(read_queue(queue, read_on=NOW))
    assert session.pending(1)[0].judgement.waits_for == words
    session.close()


def test_lateness_is_judged_among_uploads_of_the_same_size() -> None:
    small = [an_upload(f"s{n}", completed=500, verified=499, size_bytes=1000, chunks=None) for n in range(10)]
    large = [an_upload(f"l{n}", completed=2000, verified=1700 + n, size_bytes=5 << 30, chunks=None) for n in range(10)]
    waiting = [
        an_upload("small", completed=100, size_bytes=1000, chunks=None),
        an_upload("large", completed=100, size_bytes=5 << 30, chunks=None),
    ]
    session = SceneSession([*small, *large, *waiting])
    judged = {row.name: row.judgement for row in session.pending(9)}
    assert (judged["small"].is_overdue, judged["small"].is_stuck) == (True, True)
    assert (judged["large"].is_overdue, judged["large"].is_stuck) == (False, False)
    assert judged["small"].expected_on is None
    assert judged["large"].expected_on is not None
    assert judged["large"].expected_on > NOW + timedelta(seconds=150)
    assert [row.name for row in session.window(Query(attention_only=True), 0, 9).rows] == ["small"]
    assert (session.funnel().stuck, session.funnel()[Stage.COMPLETED].overdue) == (1, 1)
    session.close()
