"""Lateness, what uploads wait for, the state of the worker, and retries."""

from datetime import timedelta

import pytest

from upload_tui.monitor.analysis.trouble import MAX_RETRIES, baseline_of, estimate_retries, lateness_of
from upload_tui.monitor.model import Connection, ConnectionState, WaitsFor
from upload_tui.monitor.notices import Notice, NoticeKind
from upload_tui.monitor.queries.query import Query
from upload_tui.status import Stage
from upload_tui.testing import NOW, FrozenClock, InMemorySession, an_upload
from upload_tui.wire import QueueStats, parse_queue

BASELINE = baseline_of([10.0] * 19 + [40.0])


def first_waits(session: InMemorySession) -> tuple[WaitsFor | None, int | None]:
    """What the first pending upload waits for, and the depth of its queue."""
    lateness = session.picture.pending(1)[0].lateness
    return lateness.waits_for, lateness.queue_depth


def test_too_few_samples_make_no_baseline() -> None:
    assert baseline_of([1.0] * 7) is None
    assert BASELINE is not None
    assert (BASELINE.p50_seconds, BASELINE.max_seconds) == (10, 40)
    assert 10 < BASELINE.p95_seconds < 40


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
def test_lateness_follows_from_the_baseline(stage: Stage, age_seconds: float, overdue: bool, stuck: bool) -> None:
    lateness = lateness_of(stage, NOW - timedelta(seconds=age_seconds), NOW, BASELINE, 900)
    assert (lateness.is_overdue, lateness.is_stuck) == (overdue, stuck)


def test_an_initiated_upload_waits_for_data_chunks_or_completion() -> None:
    uploads = [
        an_upload("whole.bin", chunks=None),
        an_upload("parts.bin", chunks=(1, 2)),
        an_upload("none.bin", chunks=()),
        an_upload("all.bin"),
        an_upload("unknown.bin", size=None),
    ]
    session = InMemorySession(uploads)
    waits = {row.name: row.lateness.waits_for for row in session.picture.pending(10)}
    session.close()
    assert waits == {
        "whole.bin": WaitsFor.DATA,
        "parts.bin": WaitsFor.CHUNKS,
        "none.bin": WaitsFor.CHUNKS,
        "all.bin": WaitsFor.COMPLETION,
        "unknown.bin": WaitsFor.CHUNKS,
    }


def test_the_worker_appears_down_when_uploads_are_overdue_and_none_ends() -> None:
    done = [an_upload(f"done{n}", initiated=2000, completed=1900, verified=1890) for n in range(10)]
    waiting = [an_upload(f"waits{n}", initiated=1500, completed=1080 - 16 * n) for n in range(14)]
    session = InMemorySession([*done, *waiting])
    text = "none verified for 31m, 14 completed waiting"
    assert session.picture.funnel().notices == (Notice(NoticeKind.WORKER_DOWN, text, "14 completed waiting"),)
    session.publish(an_upload("waits0", initiated=1500, completed=1080, verified=1))
    assert session.picture.funnel().notices == ()
    session.close()


@pytest.mark.parametrize(("ended", "age"), [(1100, "18m"), (1890, "31m"), (9000, "2h 30m")])
@pytest.mark.parametrize("stage", [Stage.VERIFIED, Stage.ERROR])
@pytest.mark.parametrize("overtaken", [0, 2])
def test_the_figures_of_the_worker_are_those_of_the_funnel(stage: Stage, ended: int, age: str, overtaken: int) -> None:
    """Completed uploads that were overtaken wait as well, and the last end may be long before others were completed."""
    ends = [(n, {"completed": ended + 10 + n, stage.value: ended + n}) for n in range(10)]
    done = [an_upload(f"done{n}", initiated=9500, **times) for n, times in ends]  # type: ignore[arg-type]
    retried = [an_upload(f"retried{n}", initiated=9900, completed=ended + 99 + n) for n in range(overtaken)]
    waiting = [an_upload(f"waits{n}", initiated=1500, completed=1085 - 16 * n) for n in range(14)]
    session = InMemorySession([*done, *retried, *waiting])
    funnel = session.picture.funnel()
    assert funnel[Stage.COMPLETED].count == 14 + overtaken
    waiting_text = f"{14 + overtaken} completed waiting"
    notice = Notice(NoticeKind.WORKER_DOWN, f"none verified for {age}, {waiting_text}", waiting_text)
    assert funnel.notices == (notice,)
    session.close()


@pytest.mark.parametrize("is_source", [True, False], ids=["source", "service"])
@pytest.mark.parametrize(
    ("runs", "uploads_of_run", "is_regular"),
    [(1, 1, False), (1, 40, False), (2, 20, False), (3, 1, False), (9, 1, False), (4, 5, True), (12, 1, True)],
)
def test_a_source_has_a_worker_only_after_regular_verification(
    runs: int, uploads_of_run: int, is_regular: bool, is_source: bool
) -> None:
    done = [
        an_upload(f"run{run}-{n}", initiated=2000 + 60 * run, completed=1530 + 60 * run, verified=1500 + 60 * run)
        for run in range(runs)
        for n in range(uploads_of_run)
    ]
    waiting = [an_upload(f"waits{n}", initiated=1600, completed=1400 - 16 * n) for n in range(11)]
    session = InMemorySession([*done, *waiting], service="source:folder" if is_source else "https://example.org")
    text = "none verified for 25m, 11 completed waiting"
    notice = Notice(NoticeKind.WORKER_DOWN, text, "11 completed waiting")
    assert session.picture.funnel().notices == ((notice,) if is_regular or not is_source else ())
    session.close()


def test_one_overdue_upload_says_nothing_about_the_worker() -> None:
    done = [an_upload(f"done{n}", initiated=2000, completed=1900, verified=1890) for n in range(10)]
    session = InMemorySession([*done, an_upload("late", completed=4000, initiated=5000)])
    assert session.picture.funnel().notices == ()
    assert session.picture.funnel().stuck == 1
    session.close()


@pytest.mark.parametrize(
    ("queue", "waits"),
    [
        (None, (WaitsFor.VERIFICATION, None)),
        ({"depth": 0, "oldest": None, "running": 1, "retried": 0, "dead": 0}, (WaitsFor.VERIFICATION, None)),
        (
            {"depth": 14, "oldest": NOW.isoformat(), "running": 3, "retried": 0, "dead": 0},
            (WaitsFor.VERIFICATION, 14),
        ),
        ({"depth": 2, "oldest": (NOW - timedelta(seconds=1400)).isoformat(), "running": 0}, (WaitsFor.WORKER, None)),
        ({"depth": "many"}, (WaitsFor.VERIFICATION, None)),
        ([], (WaitsFor.VERIFICATION, None)),
    ],
    ids=["no queue", "empty", "busy", "no worker", "unreadable", "something else"],
)
def test_a_completed_upload_waits_as_the_queue_statistics_say(
    queue: object, waits: tuple[WaitsFor, int | None]
) -> None:
    session = InMemorySession([an_upload("a", completed=30)])
    for seconds in (2, 0):
        session.picture.queue.update(parse_queue(queue, read_on=NOW - timedelta(seconds=seconds)))
    assert first_waits(session) == waits
    session.close()


def idle_queue(clock: FrozenClock, running: int = 0, retried: int = 0) -> QueueStats | None:
    """Statistics of a queue with two uploads for twenty minutes."""
    oldest = (clock.now() - timedelta(seconds=1200)).isoformat()
    stats = {"depth": 2, "oldest": oldest, "running": running, "retried": retried, "dead": 0}
    return parse_queue(stats, read_on=clock.now())


def test_a_worker_that_is_idle_between_two_uploads_is_not_absent() -> None:
    clock = FrozenClock()
    session = InMemorySession([an_upload("stuck", completed=600)], clock=clock)
    waits = set()
    for second in range(0, 180, 3):
        session.publish(an_upload(f"quick {second}", completed=1, verified=0, now=clock.now()))
        session.picture.queue.update(idle_queue(clock))
        waits.add(first_waits(session))
        clock.advance(3)
    assert waits == {(WaitsFor.VERIFICATION, 2)}
    clock.advance(151)
    session.picture.queue.update(idle_queue(clock))
    assert first_waits(session) == (WaitsFor.WORKER, None)
    session.close()


def test_a_worker_that_ran_recently_is_not_absent() -> None:
    clock = FrozenClock()
    session = InMemorySession([an_upload("stuck", completed=600)], clock=clock)
    session.picture.queue.update(idle_queue(clock, running=1))
    clock.advance(10)
    session.picture.queue.update(idle_queue(clock))
    assert first_waits(session) == (WaitsFor.VERIFICATION, 2)
    clock.advance(1010)
    session.picture.queue.update(idle_queue(clock))
    assert first_waits(session) == (WaitsFor.WORKER, None)
    session.close()


def test_one_idle_moment_of_the_queue_is_not_an_absent_worker() -> None:
    clock = FrozenClock()
    session = InMemorySession([an_upload("waits", completed=600)], clock=clock)
    session.picture.queue.update(idle_queue(clock))
    assert first_waits(session) == (WaitsFor.VERIFICATION, 2)
    clock.advance(2)
    session.picture.queue.update(idle_queue(clock))
    assert first_waits(session) == (WaitsFor.WORKER, None)
    session.close()


def test_uploads_that_wait_for_a_retry_are_not_unattended() -> None:
    clock = FrozenClock()
    session = InMemorySession([an_upload("again", completed=600)], clock=clock)
    session.picture.queue.update(idle_queue(clock, retried=2))
    assert first_waits(session) == (WaitsFor.VERIFICATION, 2)
    session.close()


def test_uploads_are_compared_within_their_size_class() -> None:
    small = [
        an_upload(f"s{n}", initiated=600, completed=500, verified=499, size_bytes=1000, chunks=None) for n in range(10)
    ]
    large = [
        an_upload(f"l{n}", initiated=2100, completed=2000, verified=1700 + n, size_bytes=5 << 30, chunks=None)
        for n in range(10)
    ]
    waiting = [
        an_upload("small", completed=100, size_bytes=1000, chunks=None),
        an_upload("large", completed=100, size_bytes=5 << 30, chunks=None),
    ]
    session = InMemorySession([*small, *large, *waiting])
    lateness = {row.name: row.lateness for row in session.picture.pending(9)}
    assert (lateness["small"].is_overdue, lateness["small"].is_stuck) == (True, True)
    assert (lateness["large"].is_overdue, lateness["large"].is_stuck) == (False, False)
    assert lateness["small"].expected_on is None
    assert lateness["large"].expected_on is not None
    assert lateness["large"].expected_on > NOW + timedelta(seconds=150)
    assert [row.name for row in session.picture.window(Query(trouble_only=True), 0, 9).rows] == ["small"]
    assert (session.picture.funnel().stuck, session.picture.funnel()[Stage.COMPLETED].overdue) == (1, 1)
    session.close()


def test_a_rare_size_class_has_a_baseline_despite_many_recent_small_uploads() -> None:
    small = [
        an_upload(f"s{n}", initiated=3600 + n, completed=3590 + n, verified=3588 + n, size_bytes=1000)
        for n in range(1100)
    ]
    large = [
        an_upload(f"l{n}", initiated=20_000 + n, completed=19_990 + n, verified=19_790 + n, size_bytes=50 << 30)
        for n in range(20)
    ]
    session = InMemorySession([an_upload("big", completed=150, size_bytes=50 << 30), *small, *large])
    lateness = session.picture.pending(1)[0].lateness
    assert (lateness.is_overdue, lateness.is_stuck, lateness.p50_seconds) == (False, False, 200)
    assert (session.picture.funnel().stuck, session.picture.funnel()[Stage.COMPLETED].overdue) == (0, 0)
    session.close()


def test_the_threshold_applies_without_a_baseline_for_the_size() -> None:
    small = [an_upload(f"s{n}", completed=500, verified=499, size_bytes=1000) for n in range(20)]
    waiting = [
        an_upload("mine", completed=700, size_bytes=50 << 30),
        an_upload("old", completed=901, size_bytes=50 << 30),
    ]
    session = InMemorySession([*small, *waiting])
    lateness = {row.name: row.lateness for row in session.picture.pending(9)}
    assert (lateness["mine"].is_overdue, lateness["mine"].is_stuck, lateness["mine"].p50_seconds) == (
        False,
        False,
        None,
    )
    assert (lateness["old"].is_overdue, lateness["old"].is_stuck) == (True, True)
    assert [row.name for row in session.picture.window(Query(trouble_only=True), 0, 9).rows] == ["old"]
    assert (session.picture.funnel().stuck, session.picture.funnel()[Stage.COMPLETED].overdue) == (1, 1)
    session.close()


def test_a_new_project_uses_the_baseline_of_other_projects() -> None:
    others = [
        an_upload(f"o{n}", initiated=600, completed=500, verified=490, project=("p-2", "Other")) for n in range(10)
    ]
    session = InMemorySession([*others, an_upload("mine", completed=61)])
    assert session.picture.pending(1)[0].lateness.is_stuck
    assert session.picture.funnel().stuck == 1
    session.close()


@pytest.mark.parametrize(
    ("age_seconds", "overdue", "stuck"),
    [(1000, False, False), (3571, False, False), (3573, True, False), (3595, True, False), (3597, True, True)],
    ids=["beyond the threshold", "as long as most", "longer than most", "as long as almost all", "longer"],
)
def test_an_upload_within_its_baseline_is_not_late_beyond_the_threshold(
    age_seconds: float, overdue: bool, stuck: bool
) -> None:
    """The tolerance is two seconds, as the picture may lag behind the service."""
    baseline = baseline_of([3000.0 + 6 * n for n in range(101)])
    lateness = lateness_of(Stage.COMPLETED, NOW - timedelta(seconds=age_seconds), NOW, baseline, 900)
    assert (lateness.is_overdue, lateness.is_stuck) == (overdue, stuck)


@pytest.mark.parametrize(
    ("age_seconds", "overdue", "stuck"), [(3, False, False), (4, True, False), (60, True, False), (61, True, True)]
)
def test_no_upload_is_stuck_within_a_minute(age_seconds: float, overdue: bool, stuck: bool) -> None:
    lateness = lateness_of(Stage.COMPLETED, NOW - timedelta(seconds=age_seconds), NOW, baseline_of([1.0] * 8), 900)
    assert (lateness.is_overdue, lateness.is_stuck) == (overdue, stuck)


def test_an_idle_upload_is_overdue_in_its_row_and_in_the_funnel() -> None:
    session = InMemorySession([an_upload("idle", initiated=5000)])
    assert session.picture.pending(1)[0].lateness.is_overdue
    assert session.picture.funnel()[Stage.INITIATED].overdue == 1
    session.close()


def late_figures(session: InMemorySession) -> tuple[object, ...]:
    funnel = session.picture.funnel()
    stages = [(one.count, one.oldest_since, one.overdue, one.stuck, one.recent) for one in funnel.stages]
    return stages, funnel.troubles, funnel.notices, [row.lateness for row in session.picture.pending(9)]


@pytest.mark.parametrize(
    "state",
    [ConnectionState.RETRYING, ConnectionState.OFFLINE, ConnectionState.NOT_ALLOWED, ConnectionState.PAUSED],
    ids=str,
)
def test_no_upload_becomes_late_while_the_picture_is_not_current(state: ConnectionState) -> None:
    done = [an_upload(f"done{n}", initiated=500, completed=400, verified=190) for n in range(10)]
    session = InMemorySession(
        [*done, *(an_upload(f"waits{n}", completed=5 + 16 * n) for n in range(4)), an_upload("idle", initiated=5)]
    )
    session.set_connection(Connection(state=state, since=NOW, read_on=NOW))
    before = late_figures(session)
    session.clock.advance(4)
    assert not any(row.is_stale for row in session.picture.pending(9))
    session.clock.advance(3600)
    assert late_figures(session) == before
    assert [row.name for row in session.picture.window(Query(trouble_only=True), 0, 9).rows] == []
    assert {row.is_stale for row in session.picture.pending(9)} == {True}
    assert {row.is_stale for row in session.picture.window(Query(stages=frozenset({Stage.VERIFIED})), 0, 9).rows} == {
        False
    }
    session.set_paused(is_paused=False)
    assert session.picture.funnel().stuck == 5
    assert session.picture.funnel().notices
    session.close()


@pytest.mark.parametrize(
    ("age_seconds", "past_retries", "next_in_seconds"),
    [(0, 0, 1), (1, 1, 5), (5, 1, 1), (6, 2, 25), (31, 3, 125), (780, 4, 1), (3905, 5, 1), (3906, MAX_RETRIES, None)],
)
def test_retries_follow_the_delays_of_the_worker(
    age_seconds: float, past_retries: int, next_in_seconds: float | None
) -> None:
    estimate = estimate_retries(NOW - timedelta(seconds=age_seconds), NOW)
    assert estimate.past_retries == past_retries
    assert estimate.next_on == (None if next_in_seconds is None else NOW + timedelta(seconds=next_in_seconds))
