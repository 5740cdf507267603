"""The notice about the verification worker, on generated histories of working and of dead workers.

What counts is the verdict, that the worker appears down. The figures alone ("none verified for 4m, 7 completed waiting") are a fact,
shown without the sign and the colour of an alarm; in a burst a working worker shows them too.

`PYTEST_WORKER_HISTORIES` sets how many are generated (10,000 takes two minutes).
"""

import os
from bisect import bisect_right
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from random import Random

import pytest
from msgspec import Struct

from upload_tui.monitor.analysis.worker_health import (
    MIN_WAITING,
    RETRIES_END_SECONDS,
    SPACING_SECONDS,
    EndedUpload,
    VerificationQueue,
    WaitingUploads,
    tolerated_silence_seconds,
    worker_notice,
)
from upload_tui.monitor.notices import Notice, NoticeKind
from upload_tui.wire import QueueStats, parse_queue

HISTORIES = int(os.environ.get("PYTEST_WORKER_HISTORIES", "300"))
RETRY_DELAYS = (1, 5, 25, 125, 625, 3125)
START = 1_700_000_000.0


class Upload(Struct):
    """An upload of a history; `ended_at` is None if it is never verified."""

    completed_at: float
    size_bytes: int
    failures: int
    work_seconds: float
    ended_at: float | None = None
    started_at: tuple[float, ...] = ()


class Service(Struct, frozen=True):
    """What a history is generated from.

    Attributes:
        workers: how many verifications run at the same time.
        gap_seconds: the mean time between two uploads.
        work_seconds: the median time of a verification.
        spread: of that time (sigma of a lognormal distribution).
        has_queue: whether the service reports its queue.
        is_queue_empty: whether it reports an empty queue whatever waits.
    """

    workers: int
    gap_seconds: float
    work_seconds: float
    spread: float
    has_queue: bool
    is_queue_empty: bool = False


def a_service(random: Random) -> Service:
    workers = random.choice((1, 1, 2, 4))
    work_seconds = random.choice((0.05, 0.5, 2.0, 8.0, 30.0))
    return Service(
        workers=workers,
        gap_seconds=max(random.choice((1.0, 4.0, 30.0, 300.0)), work_seconds / workers * 1.5),
        work_seconds=work_seconds,
        spread=random.choice((0.1, 0.4, 0.7)),
        has_queue=random.random() < 0.5,
    )


def arrivals(service: Service, random: Random, uploads: int) -> Iterator[Upload]:
    """Uploads with bursts, quiet times, sizes of all classes, retries, and at most two that are never verified."""
    at, poison = START, 0
    for _ in range(uploads):
        draw = random.random()
        if draw < 0.02:
            at += random.uniform(600, 7200)  # a quiet time
        elif draw < 0.85:
            at += random.expovariate(1 / service.gap_seconds)
        size = round(10 ** random.uniform(3, 8)) if random.random() < 0.99 else random.randrange(10 << 30, 60 << 30)
        failures = 0
        if random.random() < 0.03:
            failures = random.choice((1, 2, 4, 99))
            poison += failures == 99
            failures = 1 if failures == 99 and poison > 2 else failures
        work = service.work_seconds * random.lognormvariate(0, service.spread) + size / (60 << 20)
        yield Upload(at, size, failures, work)


def verify(service: Service, uploads: list[Upload], dies_at: float = float("inf")) -> None:
    """Let the workers verify the uploads, first come, first served; each failed attempt is retried after a delay."""
    order, free = count(), [START] * service.workers
    due: list[tuple[float, int, Upload, int]] = []
    for upload in uploads:
        heappush(due, (upload.completed_at, next(order), upload, 0))
    while due:
        due_at, _, upload, attempt = heappop(due)
        free_at = heappop(free)
        start = max(due_at, free_at)
        end = start + upload.work_seconds
        if end > dies_at:
            heappush(free, end)
            continue
        upload.started_at = (*upload.started_at, start)
        heappush(free, end)
        if attempt >= upload.failures:
            upload.ended_at = end
        elif attempt < len(RETRY_DELAYS):
            heappush(due, (end + RETRY_DELAYS[attempt], next(order), upload, attempt + 1))


class Watcher:
    """What readings have shown of a history at some time."""

    def __init__(self, service: Service, uploads: list[Upload]) -> None:
        self.service = service
        self.uploads = uploads
        self.ended = sorted(
            EndedUpload(upload.ended_at, upload.completed_at, upload.size_bytes)
            for upload in uploads
            if upload.ended_at is not None
        )
        self.end_times = [upload.ended_at for upload in self.ended]
        self.queue = VerificationQueue()

    def notice(self, at: float) -> Notice | None:
        ended = self.ended[: bisect_right(self.end_times, at)]
        overtaken = max((upload.completed_at for upload in ended[-300:]), default=0.0)
        pending = [
            upload
            for upload in self.uploads
            if upload.completed_at <= at and (upload.ended_at is None or upload.ended_at > at)
        ]
        waiting = sorted((upload.completed_at, at) for upload in pending if upload.completed_at > overtaken)
        since = min(overtaken, at - RETRIES_END_SECONDS)
        recent = [upload.size_bytes for upload in pending if upload.completed_at > since]
        now = datetime.fromtimestamp(at, UTC)
        if self.service.has_queue:
            self.queue.update(self._queue_stats(pending, at, now))
        return worker_notice(
            WaitingUploads(count=len(waiting), oldest=_batches(waiting), largest_bytes=max(recent, default=0)),
            lambda: ended[-300:],
            self.queue,
            now,
            datetime.fromtimestamp(ended[-1].ended_at, UTC) if ended else None,
            len(pending),
        )

    def _queue_stats(self, pending: list[Upload], at: float, now: datetime) -> QueueStats:
        running = [
            upload
            for upload in pending
            if any(start <= at < start + upload.work_seconds for start in upload.started_at)
        ]
        queued = [upload for upload in pending if upload not in running]
        retried = [upload for upload in queued if upload.started_at and upload.started_at[0] <= at]
        oldest = min((upload.completed_at for upload in queued), default=None)
        oldest_on = None if oldest is None else datetime.fromtimestamp(oldest, UTC)
        if self.service.is_queue_empty:
            return QueueStats(0, None, 0, 0, 0, now)
        return QueueStats(len(queued), oldest_on, len(running), len(retried), 0, now)


def _batches(waiting: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The oldest upload that waits, and the next ones that were completed later than its batch."""
    found: list[tuple[float, float]] = []
    for one in waiting:
        if not found or one[0] >= found[-1][0] + SPACING_SECONDS:
            found.append(one)
    return found[:MIN_WAITING]


def poisson(random: Random, gap_seconds: float, uploads: int, *, at: float = START, work: float = 1.0) -> list[Upload]:
    """Uploads of usual size that are completed independently of each other."""
    found = []
    for _ in range(uploads):
        at += random.expovariate(1 / gap_seconds)
        found.append(Upload(at, 10**6, 0, work * random.lognormvariate(0, 0.4)))
    return found


def a_small_service(random: Random) -> Service:
    return Service(1, 3.0, 1.0, 0.4, has_queue=random.random() < 0.5)


def by_cron(random: Random) -> tuple[Service, list[Upload]]:
    """A worker that is started every half minute to every quarter of an hour and verifies all that waits."""
    every, uploads = random.choice((30, 60, 120, 300, 420, 600, 900)), poisson(random, random.choice((3, 10, 30)), 80)
    for upload in uploads:
        tick = START + ((upload.completed_at - START) // every + 1) * every
        upload.started_at = (tick,)
        upload.ended_at = tick + upload.work_seconds / 10 + random.random()
    return a_small_service(random), uploads


def with_poison(random: Random) -> tuple[Service, list[Upload]]:
    """Ten uploads in a row that are never verified, a quiet time, and good ones."""
    uploads = poisson(random, random.choice((5, 20)), 20)
    at = uploads[-1].completed_at
    uploads += [Upload(at + number, 10**6, 99, 1.0) for number in range(1, random.choice((3, 11)))]
    uploads += poisson(random, random.choice((5, 60)), 8, at=at + random.choice((60, 1200)))
    service = a_small_service(random)
    verify(service, uploads)
    return service, uploads


def becoming_slower(random: Random) -> tuple[Service, list[Upload]]:
    """A worker that takes ten to forty times as long from some time on, but less than 95 seconds: more looks like its death."""
    uploads = poisson(random, 5, 30)
    uploads += poisson(random, 5, 30, at=uploads[-1].completed_at, work=random.choice((10.0, 20.0, 40.0)))
    for upload in uploads:
        upload.work_seconds = min(upload.work_seconds, 95.0)
    service = a_small_service(random)
    verify(service, uploads)
    return service, uploads


def newest_first(random: Random) -> tuple[Service, list[Upload]]:
    """A worker that takes the newest upload first."""
    uploads, now, waiting = poisson(random, random.choice((1.0, 2.0, 4.0)), 80), START, list[Upload]()
    todo = uploads[::-1]
    while todo or waiting:
        while todo and todo[-1].completed_at <= now:
            waiting.append(todo.pop())
        if not waiting:
            now = todo[-1].completed_at
            continue
        upload = waiting.pop()
        upload.started_at, now = (now,), now + upload.work_seconds
        upload.ended_at = now
    return a_small_service(random), uploads


def in_bursts(random: Random) -> tuple[Service, list[Upload]]:
    """Small uploads, then many large ones that are completed at once."""
    uploads = poisson(random, 10, 20)
    at, work = uploads[-1].completed_at + 600, random.choice((5, 20, 60))
    uploads += [Upload(at, 10**9, 0, work * random.lognormvariate(0, 0.5)) for _ in range(random.choice((20, 80)))]
    service = Service(random.choice((1, 2, 4)), 10.0, 1.0, 0.4, has_queue=random.random() < 0.5)
    verify(service, uploads)
    return service, uploads


def shared(random: Random) -> tuple[Service, list[Upload]]:
    """A worker that at times verifies many uploads of a project that is not watched, for up to a quarter of an hour."""
    uploads, work, others = (
        poisson(random, random.choice((2, 5, 20)), 80),
        random.choice((0.3, 1.0, 2.0)),
        list[Upload](),
    )
    bursts = random.choice((1, 1, 3))
    for _ in range(bursts):
        at, seconds = random.choice(uploads).completed_at, random.uniform(60, 900) / bursts
        others += [Upload(at + number / 100, 10**6, 0, work) for number in range(round(seconds / work))]
    service = Service(1, 5.0, 1.0, 0.4, has_queue=False)
    verify(service, sorted([*uploads, *others], key=lambda upload: upload.completed_at))
    return service, uploads


def big_ones(random: Random) -> tuple[Service, list[Upload]]:
    """Small uploads, and one or two of 5 to 20 GB that are verified at 5 to 50 MB/s while small ones wait behind them."""
    rate, uploads = (
        random.choice((5, 10, 20, 50)) * 10**6,
        poisson(random, random.choice((5, 10)), random.choice((0, 40))),
    )
    for _ in range(random.choice((1, 2))):
        at, size = uploads[-1].completed_at + 5 if uploads else START, random.randrange(5, 20) * 10**9
        uploads.append(Upload(at, size, 0, size / rate))
        uploads += poisson(random, 10, 10, at=at)
    service = Service(random.choice((1, 1, 2)), 10.0, 1.0, 0.4, has_queue=random.random() < 0.5)
    verify(service, uploads)
    return service, uploads


def mixed(random: Random) -> tuple[Service, list[Upload]]:
    """Workers and traffic of all kinds."""
    service = a_service(random)
    uploads = list(arrivals(service, random, random.choice((5, 15, 40, 80))))
    verify(service, uploads)
    return service, uploads


KINDS = (mixed, by_cron, with_poison, becoming_slower, newest_first, in_bursts, shared, big_ones)


def false_notices(
    kind: Callable[[Random], tuple[Service, list[Upload]]], seed: int
) -> list[tuple[Service, float, Notice]]:
    """The notices about a worker that works, with the time of each since the start."""
    random = Random(seed)
    service, uploads = kind(random)
    watcher = Watcher(service, uploads)
    # A silence is longest just before an upload ends.
    times = {upload.ended_at - 0.001 for upload in watcher.ended} | {upload.completed_at for upload in uploads}
    times |= {at + random.uniform(0, 300) for at in [*times]}
    notices = [(at, watcher.notice(at)) for at in sorted(times)]
    return [(service, at - START, notice) for at, notice in notices if notice and notice.kind is NoticeKind.WORKER_DOWN]


@pytest.mark.parametrize("kind", KINDS)
def test_a_working_worker_never_appears_down(kind: Callable[[Random], tuple[Service, list[Upload]]]) -> None:
    histories = HISTORIES if kind is mixed else HISTORIES // 5
    assert [(seed, *found) for seed in range(histories) for found in false_notices(kind, seed)] == []


def seconds_to_notices(seed: int, gap_seconds: float, learned: int, *, has_queue: bool | None) -> tuple[float, float]:
    """How long after its death a worker's silence is shown, and the worker is named; 3600 means never within the hour.

    Args:
        seed: of the history.
        gap_seconds: the mean time between two uploads.
        learned: how many uploads were completed before the death.
        has_queue: whether the service reports its queue; None if it reports an empty one whatever waits.
    """
    random = Random(seed)
    workers, work_seconds = random.choice((1, 2)), random.choice((0.05, 0.5, 2.0))
    service = Service(workers, gap_seconds, work_seconds, 0.4, has_queue is not False, has_queue is None)
    at, uploads = START, list[Upload]()
    for _ in range(learned + round(3600 / gap_seconds)):
        at += random.expovariate(1 / gap_seconds)
        poison = 99 if random.random() < 0.02 else 0
        uploads.append(Upload(at, 10**6, poison, service.work_seconds * random.lognormvariate(0, service.spread)))
    dies_at = uploads[learned].completed_at
    verify(service, uploads, dies_at)
    watcher, shown_after = Watcher(service, uploads), 3600.0
    for seconds in (*range(0, 150, 2), *range(150, 3600, 10)):
        notice = watcher.notice(dies_at + seconds)
        shown_after = min(shown_after, seconds) if notice else shown_after
        if notice and notice.kind is NoticeKind.WORKER_DOWN:
            return shown_after, seconds
    return shown_after, 3600.0


@pytest.mark.parametrize(
    ("gap_seconds", "learned", "has_queue", "figures_seconds", "verdict_seconds"),
    [
        (3.0, 40, False, 120, 1010),
        (3.0, 40, True, 120, 120),
        (3.0, 15, False, 120, 1010),
        (3.0, 0, False, 130, 1030),
        (3.0, 0, True, 130, 1030),
        (3.0, 40, None, 120, 1010),
        (60.0, 40, True, 240, 240),
        (60.0, 40, False, 300, 1150),
    ],
    ids=[
        "busy",
        "busy, with a queue",
        "short history",
        "no history",
        "no history, with a queue",
        "busy, with a queue that says that it is empty",
        "an upload a minute, with a queue",
        "an upload a minute",
    ],
)
def test_a_dead_worker_is_shown_soon_and_named_when_nothing_else_explains_it(
    gap_seconds: float, learned: int, has_queue: bool | None, figures_seconds: float, verdict_seconds: float
) -> None:
    """Without the queue it may be busy with uploads that are not seen, and without a history be started every few minutes."""
    for seed in range(HISTORIES // 60):
        shown, named = seconds_to_notices(seed, gap_seconds, learned, has_queue=has_queue)
        assert shown <= figures_seconds, seed
        assert named <= verdict_seconds, seed


@pytest.mark.parametrize(("silences", "seconds"), [(10, 600), (40, 360), (200, 264)])
def test_the_fewer_silences_were_seen_the_longer_ones_are_tolerated(silences: int, seconds: float) -> None:
    """Four times the usual minute, and more by a factor that falls from 2.5 to 1."""
    ended = [EndedUpload(60.0 * (number + 1), number / 1000, 1000) for number in range(silences)]
    assert tolerated_silence_seconds(ended, 1000) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("work_seconds", "mib_per_second"), [(40, 8), (10, 20), (400, 4)], ids=["half", "most", "least"]
)
def test_a_larger_upload_than_any_seen_may_take_as_long_as_its_size_needs(
    work_seconds: float, mib_per_second: int
) -> None:
    """At half the rate of the fastest one, within bounds."""
    seen, larger = 640 << 20, 1440 << 20
    ended = [EndedUpload(START + work_seconds, START, seen)]
    extra_seconds = tolerated_silence_seconds(ended, larger) - tolerated_silence_seconds(ended, seen)
    assert extra_seconds == pytest.approx(800 / mib_per_second)


@pytest.mark.parametrize(
    ("dead", "age_seconds", "is_down", "is_contradicted"),
    [(0, 0, True, True), (1, 0, False, False), (3, 60, False, False), (3, 61, True, False)],
    ids=["contradicted", "given up", "all given up", "old"],
)
def test_an_empty_queue_decides_while_it_is_recent_and_those_that_wait_were_given_up(
    dead: int, age_seconds: float, is_down: bool, is_contradicted: bool
) -> None:
    now, queue = datetime.fromtimestamp(START, UTC), VerificationQueue()
    counts = {"depth": 0, "oldest": None, "running": 0, "retried": 0, "dead": dead}
    queue.update(parse_queue(counts, read_on=now - timedelta(seconds=age_seconds)))
    waiting = WaitingUploads(count=3, oldest=[(START - 5000 + 16 * number, START) for number in range(3)])
    notice = worker_notice(waiting, list, queue, now, None, 3)
    assert (notice is not None) is is_down
    assert ("though the queue is empty" in str(notice)) is is_contradicted
