"""Judgement, schedule, connection and announcements."""

import asyncio
from datetime import timedelta

import pytest

from upload_tui.errors import AuthError, ThrottledError, UnreachableError
from upload_tui.monitor.analysis.lateness import baseline_of, lateness_of
from upload_tui.monitor.changes import Change, PictureChanged, UploadRef, UploadSeen
from upload_tui.monitor.model import Connection, ConnectionState, Query
from upload_tui.monitor.sessions.broadcast import ChangeBroadcaster
from upload_tui.monitor.sessions.connection import ConnectionTracker
from upload_tui.monitor.sessions.polling import Schedule
from upload_tui.status import Stage
from upload_tui.testing import NOW, FrozenClock, InMemorySession, an_upload
from upload_tui.wire import QueueStats, read_queue

USUAL = baseline_of([10.0] * 19 + [40.0])


def test_nothing_is_usual_when_too_little_was_seen() -> None:
    assert baseline_of([1.0] * 7) is None
    assert USUAL is not None
    assert (USUAL.p50_seconds, USUAL.max_seconds) == (10, 40)
    assert 10 < USUAL.p95_seconds < 40


@pytest.mark.parametrize(
    ("stage", "age_seconds", "overdue", "stuck"),
    [
        (Stage.COMPLETED, 5, False, False),
        (Stage.COMPLETED, 30, True, False),
        (Stage.COMPLETED, 121, True, True),
        (Stage.INITIATED, 500, False, False),
        (Stage.INITIATED, 901, True, True),
        (Stage.VERIFIED, 10**6, False, False),
        (Stage.ERROR, 10**6, False, False),
    ],
)
def test_lateness_follows_from_what_is_usual(stage: Stage, age_seconds: float, overdue: bool, stuck: bool) -> None:
    judgement = lateness_of(stage, NOW - timedelta(seconds=age_seconds), None, NOW, USUAL, 900)
    assert (judgement.is_overdue, judgement.is_stuck) == (overdue, stuck)


def test_what_an_upload_waits_for_is_what_it_is_sent_in() -> None:
    uploads = [
        an_upload("whole.bin", chunks=None),
        an_upload("parts.bin", chunks=(1, 2)),
        an_upload("none.bin", chunks=()),
        an_upload("all.bin"),
        an_upload("unsaid.bin", size=None),
    ]
    session = InMemorySession(uploads)
    waits = {row.name: row.lateness.waits_for for row in session.pending(10)}
    session.close()
    assert waits == {
        "whole.bin": "waits for its bytes",
        "parts.bin": "waits for chunks",
        "none.bin": "waits for chunks",
        "all.bin": "waits for the client to say complete",
        "unsaid.bin": "waits for chunks",
    }


def test_an_upload_is_not_stuck_when_its_chunks_still_come() -> None:
    began, chunk = NOW - timedelta(seconds=5000), NOW - timedelta(seconds=20)
    assert not lateness_of(Stage.INITIATED, began, chunk, NOW, None, 900).is_stuck
    assert lateness_of(Stage.INITIATED, began, began, NOW, None, 900).is_stuck


def test_the_interval_is_short_after_a_change_and_grows_when_nothing_happens() -> None:
    schedule = Schedule(jitter=lambda: 0.5)
    assert schedule.next_seconds(9, has_changed=True, has_pending=True) == 1
    waits = [1.0]
    for _ in range(10):
        waits.append(schedule.next_seconds(waits[-1], has_changed=False, has_pending=False))
    assert waits == sorted(waits)
    assert waits[-1] == schedule.longest_idle_seconds
    assert schedule.next_seconds(15, has_changed=False, has_pending=True) == schedule.longest_pending_seconds
    assert schedule.with_jitter(10) == pytest.approx(10)


def test_waits_grow_and_the_service_has_the_last_word_when_rounds_fail() -> None:
    clock, told = FrozenClock(), list[Connection]()
    keeper = ConnectionTracker(clock, told.append, jitter=lambda: 1.0)
    assert [keeper.failed(UnreachableError("no")) for _ in range(8)] == [2, 4, 8, 16, 32, 60, 60, 60]
    assert keeper.failed(ThrottledError("busy", retry_after_seconds=120)) == pytest.approx(132)
    assert [connection.state for connection in told[:3]] == [
        ConnectionState.RETRYING,
        ConnectionState.RETRYING,
        ConnectionState.OFFLINE,
    ]
    keeper.synced(clock.now())
    assert keeper.current.is_live
    assert keeper.failed(UnreachableError("no")) == 2


def test_a_busy_service_is_not_offline_when_nobody_asked_it() -> None:
    """Its word that it is busy is good for all; who looks meanwhile is told so by us."""
    keeper = ConnectionTracker(FrozenClock(), lambda _: None)
    for _ in range(5):
        keeper.failed(ThrottledError("busy", retry_after_seconds=30))
    assert keeper.current.state is ConnectionState.RETRYING


def test_a_service_is_slow_until_it_answers_quickly_again() -> None:
    keeper, states = ConnectionTracker(FrozenClock(), lambda _: None), []
    for seconds in (None, 1.9, 2.1, 1.5, 0.9, 1.5):
        keeper.synced(NOW, seconds)
        states.append(keeper.current.state.value)
    assert states == ["live", "live", "slow", "slow", "live", "live"]
    assert keeper.current.is_live


def test_offline_dates_from_the_first_failure() -> None:
    clock = FrozenClock()
    keeper = ConnectionTracker(clock, lambda _: None)
    for _ in range(4):
        keeper.failed(UnreachableError("no"))
        clock.advance(10)
    assert keeper.current.since == NOW


def test_not_allowed_is_told_at_once() -> None:
    keeper = ConnectionTracker(FrozenClock(), lambda _: None)
    keeper.failed(AuthError("401"))
    assert keeper.current.state is ConnectionState.NOT_ALLOWED


async def test_a_late_listener_loses_no_change_of_an_upload() -> None:
    announcer, heard = ChangeBroadcaster(), list[Change]()
    listening = announcer.subscribe()

    async def listen() -> None:
        async for change in listening:
            heard.append(change)

    task = asyncio.create_task(listen())
    await asyncio.sleep(0)
    for number in range(100):
        announcer.publish(UploadSeen(at=NOW, upload=UploadRef(str(number), "", "", "")))
        announcer.publish(PictureChanged(at=NOW, revision=number))
    while len(heard) < 101:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [change.upload.id for change in heard if isinstance(change, UploadSeen)] == [str(n) for n in range(100)]
    assert [change.revision for change in heard if isinstance(change, PictureChanged)] == [99]


def test_the_worker_looks_stopped_when_all_wait_and_nothing_ends() -> None:
    done = [an_upload(f"done{n}", initiated=2000, completed=1900, verified=1890) for n in range(10)]
    waiting = [an_upload(f"waits{n}", initiated=900, completed=480 + n) for n in range(14)]
    session = InMemorySession([*done, *waiting])
    assert session.funnel().notice == "the verification worker looks stopped: 0 verified in 8 min, 14 wait"
    session.publish(an_upload("waits0", initiated=900, completed=480, verified=1))
    assert session.funnel().notice == ""
    session.close()


def test_one_late_upload_is_not_taken_for_a_stopped_worker() -> None:
    done = [an_upload(f"done{n}", initiated=2000, completed=1900, verified=1890) for n in range(10)]
    session = InMemorySession([*done, an_upload("late", completed=4000, initiated=5000)])
    assert session.funnel().notice == ""
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
    session = InMemorySession([an_upload("a", completed=30)])
    session.set_queue_stats(read_queue(queue, read_on=NOW))
    assert session.pending(1)[0].lateness.waits_for == words
    session.close()


def idle_queue(clock: FrozenClock, running: int = 0, retried: int = 0) -> QueueStats | None:
    """Two lie there for ten minutes."""
    oldest = (clock.now() - timedelta(seconds=600)).isoformat()
    said = {"depth": 2, "oldest": oldest, "running": running, "retried": retried, "dead": 0}
    return read_queue(said, read_on=clock.now())


def test_a_worker_that_is_idle_between_two_uploads_is_not_said_to_take_nothing() -> None:
    clock = FrozenClock()
    session = InMemorySession([an_upload("stuck", completed=600)], clock=clock)
    said = []
    for second in range(0, 180, 3):
        session.publish(an_upload(f"quick {second}", completed=1, verified=0, now=clock.now()))
        session.set_queue_stats(idle_queue(clock))
        said.append(session.pending(1)[0].lateness.waits_for)
        clock.advance(3)
    assert {*said} == {"waits for verification, 2 queued"}
    clock.advance(121)
    session.set_queue_stats(idle_queue(clock))
    assert session.pending(1)[0].lateness.waits_for == "waits for verification: no worker takes it"
    session.close()


def test_a_worker_that_was_seen_at_work_of_late_is_not_said_to_take_nothing() -> None:
    clock = FrozenClock()
    session = InMemorySession([an_upload("stuck", completed=600)], clock=clock)
    session.set_queue_stats(idle_queue(clock, running=1))
    clock.advance(10)
    session.set_queue_stats(idle_queue(clock))
    assert session.pending(1)[0].lateness.waits_for == "waits for verification, 2 queued"
    clock.advance(120)
    session.set_queue_stats(idle_queue(clock))
    assert session.pending(1)[0].lateness.waits_for == "waits for verification: no worker takes it"
    session.close()


def test_patience_is_a_few_usual_times_where_verification_is_slow() -> None:
    clock = FrozenClock()
    slow = [an_upload(f"slow {n}", initiated=9000, completed=1000, verified=200) for n in range(8)]
    session = InMemorySession([*slow, an_upload("waits", completed=600)], clock=clock)
    session.set_queue_stats(idle_queue(clock))
    assert session.pending(1)[0].lateness.waits_for == "waits for verification, 2 queued"
    session.close()


def test_what_waits_to_be_tried_again_is_nobodys_to_take() -> None:
    clock = FrozenClock()
    session = InMemorySession([an_upload("again", completed=600)], clock=clock)
    session.set_queue_stats(idle_queue(clock, retried=2))
    assert session.pending(1)[0].lateness.waits_for == "waits for verification, 2 queued"
    session.close()


def test_lateness_is_judged_among_uploads_of_the_same_size() -> None:
    small = [an_upload(f"s{n}", completed=500, verified=499, size_bytes=1000, chunks=None) for n in range(10)]
    large = [an_upload(f"l{n}", completed=2000, verified=1700 + n, size_bytes=5 << 30, chunks=None) for n in range(10)]
    waiting = [
        an_upload("small", completed=100, size_bytes=1000, chunks=None),
        an_upload("large", completed=100, size_bytes=5 << 30, chunks=None),
    ]
    session = InMemorySession([*small, *large, *waiting])
    judged = {row.name: row.lateness for row in session.pending(9)}
    assert (judged["small"].is_overdue, judged["small"].is_stuck) == (True, True)
    assert (judged["large"].is_overdue, judged["large"].is_stuck) == (False, False)
    assert judged["small"].expected_on is None
    assert judged["large"].expected_on is not None
    assert judged["large"].expected_on > NOW + timedelta(seconds=150)
    assert [row.name for row in session.window(Query(attention_only=True), 0, 9).rows] == ["small"]
    assert (session.funnel().stuck, session.funnel()[Stage.COMPLETED].overdue) == (1, 1)
    session.close()


def test_rare_large_uploads_are_judged_by_their_own_kind_though_a_thousand_small_ones_came_since() -> None:
    small = [
        an_upload(f"s{n}", initiated=3600 + n, completed=3590 + n, verified=3588 + n, size_bytes=1000)
        for n in range(1100)
    ]
    large = [
        an_upload(f"l{n}", initiated=20_000 + n, completed=19_990 + n, verified=19_790 + n, size_bytes=50 << 30)
        for n in range(20)
    ]
    session = InMemorySession([an_upload("big", completed=150, size_bytes=50 << 30), *small, *large])
    judgement = session.pending(1)[0].lateness
    assert (judgement.is_overdue, judgement.is_stuck, judgement.p50_seconds) == (False, False, 200)
    assert (session.funnel().stuck, session.funnel()[Stage.COMPLETED].overdue) == (0, 0)
    session.close()


def test_only_the_threshold_counts_when_nothing_of_the_size_was_seen() -> None:
    small = [an_upload(f"s{n}", completed=500, verified=499, size_bytes=1000) for n in range(20)]
    waiting = [
        an_upload("mine", completed=700, size_bytes=50 << 30),
        an_upload("old", completed=901, size_bytes=50 << 30),
    ]
    session = InMemorySession([*small, *waiting])
    judged = {row.name: row.lateness for row in session.pending(9)}
    assert (judged["mine"].is_overdue, judged["mine"].is_stuck, judged["mine"].p50_seconds) == (False, False, None)
    assert (judged["old"].is_overdue, judged["old"].is_stuck) == (True, True)
    assert [row.name for row in session.window(Query(attention_only=True), 0, 9).rows] == ["old"]
    assert (session.funnel().stuck, session.funnel()[Stage.COMPLETED].overdue) == (1, 1)
    session.close()


def test_the_same_size_elsewhere_says_what_is_usual_when_a_project_is_new() -> None:
    others = [an_upload(f"o{n}", completed=500, verified=490, project=("p-2", "Other")) for n in range(10)]
    session = InMemorySession([*others, an_upload("mine", completed=61)])
    assert session.pending(1)[0].lateness.is_stuck
    assert session.funnel().stuck == 1
    session.close()


@pytest.mark.parametrize(
    ("age_seconds", "overdue", "stuck"),
    [(1000, False, False), (3560, False, False), (3590, True, False), (3610, True, True)],
    ids=["beyond the threshold", "as long as most", "longer than most", "longer than all"],
)
def test_nothing_is_late_while_it_waits_as_long_as_is_usual(age_seconds: float, overdue: bool, stuck: bool) -> None:
    usual = baseline_of([3000.0 + 6 * n for n in range(101)])
    judgement = lateness_of(Stage.COMPLETED, NOW - timedelta(seconds=age_seconds), None, NOW, usual, 900)
    assert (judgement.is_overdue, judgement.is_stuck) == (overdue, stuck)


def test_an_idle_upload_is_late_in_its_row_as_it_is_in_the_funnel() -> None:
    session = InMemorySession([an_upload("idle", initiated=5000)])
    assert session.pending(1)[0].lateness.is_overdue
    assert session.funnel()[Stage.INITIATED].overdue == 1
    session.close()


@pytest.mark.parametrize(
    "state",
    [ConnectionState.RETRYING, ConnectionState.OFFLINE, ConnectionState.NOT_ALLOWED, ConnectionState.PAUSED],
    ids=str,
)
def test_nobody_grows_late_while_nobody_looks(state: ConnectionState) -> None:
    done = [an_upload(f"done{n}", initiated=300, completed=200, verified=190) for n in range(10)]
    session = InMemorySession(
        [*done, *(an_upload(f"waits{n}", completed=5) for n in range(4)), an_upload("idle", initiated=5)]
    )
    session.set_connection(Connection(state=state, since=NOW, read_on=NOW))
    before = session.funnel(), [row.lateness for row in session.pending(9)]
    session.clock.advance(10)
    assert not any(row.is_stale for row in session.pending(9))
    session.clock.advance(3600)
    assert (session.funnel(), [row.lateness for row in session.pending(9)]) == before
    assert [row.name for row in session.window(Query(attention_only=True), 0, 9).rows] == []
    assert {row.is_stale for row in session.pending(9)} == {True}
    assert {row.is_stale for row in session.window(Query(stages=frozenset({Stage.VERIFIED})), 0, 9).rows} == {False}
    session.resume()
    assert session.funnel().stuck == 5
    assert session.funnel().notice
    session.close()
