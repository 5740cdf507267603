"""Whether pending uploads are overdue or stuck, what they wait for, and when verification is likely to end. Pure.

A completed upload is *overdue* beyond the 95th percentile of similar uploads. It is *stuck* beyond the threshold, or far beyond the
longest similar one, but never within the 99th percentile. The pace of an initiated upload is up to its client: it is overdue and
stuck when nothing arrived for longer than the threshold.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import accumulate

from msgspec import Struct

from upload_tui.monitor.analysis.latency import quantile
from upload_tui.monitor.model import Lateness, StageSummary, WaitsFor
from upload_tui.status import Stage
from upload_tui.wire import QueueStats

__all__ = [
    "MAX_RETRIES",
    "SIZE_LIMITS_BYTES",
    "Baseline",
    "Baselines",
    "RetryEstimate",
    "VerificationQueue",
    "baseline_of",
    "estimate_retries",
    "lateness_of",
    "overdue_seconds",
    "size_class",
    "stuck_seconds",
    "waits_for_client",
    "worker_notice",
]

SIZE_LIMITS_BYTES = (0, 1 << 20, 100 << 20, 10 << 30, 2**63 - 1)
"""The limits of the size classes: up to 1 MiB, 100 MiB, 10 GiB, and larger. Uploads are compared within a class."""
_UNKNOWN_BYTES = -(2**63)
"""The lower limit of the class of uploads of unknown size: `UNKNOWN` in the store."""
_MIN_SAMPLES = 8
"""Fewer durations make no baseline."""
_STUCK_FACTOR = 3.0
"""An upload is stuck beyond this multiple of the longest duration seen, even below the threshold."""
_REFRESH_LAG_SECONDS = 2.0
"""Tolerance, because the picture may lag behind the service by this much."""

_MIN_OVERDUE = 3
"""With fewer overdue uploads, the worker is not suspected."""
_QUEUE_MAX_AGE = timedelta(seconds=60)
"""Older queue statistics are ignored."""
_QUEUE_IDLE_SECONDS = 120.0
_QUEUE_IDLE_FACTOR = 3.0
"""Queued uploads are unattended after this multiple of the 95th percentile of verification, and at least two minutes."""

_RETRY_DELAYS_SECONDS = (1, 5, 25, 125, 625, 3125)
MAX_RETRIES = len(_RETRY_DELAYS_SECONDS)
"""How often the deployed service's worker retries verification, except after a failed integrity check (from its public source)."""


# Baselines


class Baseline(Struct, frozen=True):
    """How long verification of some kind of uploads usually takes.

    `sorted_seconds` are all durations seen, `samples` is their number.
    """

    p50_seconds: float
    p95_seconds: float
    max_seconds: float
    samples: int
    p99_seconds: float = 0.0
    sorted_seconds: tuple[float, ...] = ()

    def expected_seconds(self, age_seconds: float) -> float | None:
        """The likely duration of one that has taken `age_seconds` so far; None if no duration seen was longer."""
        longer = self.sorted_seconds[bisect_right(self.sorted_seconds, age_seconds) :]
        return quantile(longer, 0.5) if longer else None


class Baselines:
    """Baselines by project and size class; for a project with too few samples, of that size class in all projects.

    Size classes never share samples: small files do not predict the time that large ones take.

    Args:
        durations: project, size in bytes (None if unknown: a class of its own) and verification time in seconds.
    """

    def __init__(self, durations: Iterable[tuple[str, int | None, float]]) -> None:
        by_kind: dict[tuple[str | None, int | None], list[float]] = {}
        everything: list[float] = []
        for project_id, size_bytes, seconds in durations:
            everything.append(seconds)
            for project in (project_id, None):
                by_kind.setdefault((project, size_class(size_bytes)), []).append(seconds)
        self.overall = baseline_of(everything)
        self._baselines = {
            kind: baseline for kind, seen in by_kind.items() if (baseline := baseline_of(seen)) is not None
        }
        self.samples = len(everything)

    def baseline(self, project_id: str, size_bytes: int | None) -> Baseline | None:
        """The baseline for an upload; None if there are too few samples of its size class."""
        index = size_class(size_bytes)
        return self._baselines.get((project_id, index)) or self._baselines.get((None, index))

    def specific(self) -> Iterator[tuple[str | None, int, int, Baseline]]:
        """All baselines, those of a project first: project (None: any), size from (inclusive) and below, baseline."""
        for (project_id, index), baseline in sorted(self._baselines.items(), key=lambda entry: entry[0][0] is None):
            low, below = (_UNKNOWN_BYTES, 0) if index is None else SIZE_LIMITS_BYTES[index : index + 2]
            yield project_id, low, below, baseline


def size_class(size_bytes: int | None) -> int | None:
    """The index in `SIZE_LIMITS_BYTES` of an upload's size class; None if its size is unknown."""
    if size_bytes is None:
        return None
    return min(max(0, bisect_right(SIZE_LIMITS_BYTES, size_bytes) - 1), len(SIZE_LIMITS_BYTES) - 2)


def baseline_of(durations_seconds: Sequence[float]) -> Baseline | None:
    """The baseline of these durations; None if they are too few."""
    if len(durations_seconds) < _MIN_SAMPLES:
        return None
    ordered = tuple(sorted(durations_seconds))
    p50, p95, p99 = (quantile(ordered, share) for share in (0.5, 0.95, 0.99))
    return Baseline(p50, p95, ordered[-1], len(ordered), p99, ordered)


# Lateness


def stuck_seconds(baseline: Baseline | None, stuck_after_seconds: float) -> float:
    """The age from which a completed upload is stuck."""
    if baseline is None:
        return stuck_after_seconds
    beyond = min(stuck_after_seconds, max(baseline.max_seconds * _STUCK_FACTOR, 60.0))
    return max(beyond, baseline.p99_seconds + _REFRESH_LAG_SECONDS)


def overdue_seconds(baseline: Baseline | None, stuck_after_seconds: float) -> float:
    """The age from which a completed upload is overdue."""
    return stuck_after_seconds if baseline is None else baseline.p95_seconds + _REFRESH_LAG_SECONDS


def lateness_of(
    stage: Stage,
    since: datetime | None,
    activity_on: datetime | None,
    now: datetime,
    baseline: Baseline | None,
    stuck_after_seconds: float,
) -> Lateness:
    """The lateness of one upload, without what it waits for.

    Args:
        stage: its stage.
        since: when the stage began; None if unknown.
        activity_on: when the service last changed the upload; None if unknown.
        now: the time to compare with.
        baseline: of verification of similar uploads; None if too few were seen.
        stuck_after_seconds: the threshold.
    """
    if stage is Stage.INITIATED:
        last = max((on for on in (since, activity_on) if on is not None), default=now)
        is_idle = (now - last).total_seconds() > stuck_after_seconds
        return Lateness(is_overdue=is_idle, is_stuck=is_idle)
    if stage is not Stage.COMPLETED:
        return Lateness()
    age_seconds = 0.0 if since is None else (now - since).total_seconds()
    is_stuck = age_seconds > stuck_seconds(baseline, stuck_after_seconds)
    if baseline is None:
        return Lateness(is_overdue=is_stuck, is_stuck=is_stuck)
    expected_seconds = baseline.expected_seconds(age_seconds)
    return Lateness(
        is_overdue=age_seconds > overdue_seconds(baseline, stuck_after_seconds),
        is_stuck=is_stuck,
        p50_seconds=baseline.p50_seconds,
        p95_seconds=baseline.p95_seconds,
        p99_seconds=baseline.p99_seconds,
        expected_on=None if since is None or expected_seconds is None else since + timedelta(seconds=expected_seconds),
    )


def waits_for_client(size_bytes: int | None, chunk_count: int | None, chunk_bytes: int | None) -> WaitsFor:
    """What an initiated upload waits for; `chunk_count` and `chunk_bytes` are None if it is not chunked."""
    if chunk_count is None:
        return WaitsFor.DATA
    if size_bytes is not None and (chunk_bytes or 0) >= size_bytes:
        return WaitsFor.COMPLETION
    return WaitsFor.CHUNKS


# The verification worker


class VerificationQueue:
    """What completed uploads wait for, from the statistics of the service's verification queue, if it has any.

    Statistics are one moment: between two uploads every worker is idle. So uploads count as unattended only if no statistics showed a
    running worker, and no upload ended, for some time.
    """

    def __init__(self) -> None:
        self._stats: QueueStats | None = None
        self._last_active_on: datetime | None = None

    def update(self, stats: QueueStats | None) -> None:
        """Set the latest statistics; None if the service gives none."""
        self._stats = stats
        if stats is not None and stats.running != 0:
            self._last_active_on = stats.read_on

    def waits_for(
        self, now: datetime, baseline: Baseline | None, last_ended_on: Callable[[], datetime | None]
    ) -> tuple[WaitsFor, int | None]:
        """What a completed upload waits for, and the depth of the queue if it waits there (None: unknown).

        Args:
            now: the present.
            baseline: of verification; None if too few durations were seen.
            last_ended_on: when an upload was last verified or failed (None: never); called only if it matters.
        """
        stats = self._stats
        if stats is None or not stats.depth or now - stats.read_on > _QUEUE_MAX_AGE:
            return WaitsFor.VERIFICATION, None
        idle_seconds = _QUEUE_IDLE_FACTOR * baseline.p95_seconds if baseline else 0.0
        idle_since = now - timedelta(seconds=max(_QUEUE_IDLE_SECONDS, idle_seconds))
        if self._is_unattended(stats, idle_since) and _is_before(last_ended_on(), idle_since):
            return WaitsFor.WORKER, None
        return WaitsFor.VERIFICATION, stats.depth

    def _is_unattended(self, stats: QueueStats, since: datetime) -> bool:
        """Whether uploads wait in the queue since before `since` and no worker has run; those waiting for a retry do not count."""
        has_untried = stats.depth is not None and stats.depth > (stats.retried or 0)
        if stats.running != 0 or stats.oldest_on is None or not has_untried:
            return False
        return stats.oldest_on < since and _is_before(self._last_active_on, since)


def _is_before(on: datetime | None, limit: datetime) -> bool:
    return on is None or on < limit


def worker_notice(
    stages: Sequence[StageSummary], now: datetime, baseline: Baseline | None, stuck_after_seconds: float
) -> str:
    """A notice if the verification worker appears down: several uploads are overdue and none has ended; empty otherwise.

    Args:
        stages: the summaries of the four stages, in order.
        now: the time that the summaries are of.
        baseline: of verification in all projects; None if too few durations were seen.
        stuck_after_seconds: how long a worker without a baseline may be silent.
    """
    completed = stages[Stage.COMPLETED.rank]
    if completed.overdue < _MIN_OVERDUE or completed.oldest_since is None:
        return ""
    ends = [stages[stage.rank].newest_since for stage in (Stage.VERIFIED, Stage.ERROR)]
    last_end = max((on for on in ends if on is not None), default=completed.oldest_since)
    quiet_seconds = (now - max(last_end, completed.oldest_since)).total_seconds()
    if quiet_seconds < (stuck_after_seconds if baseline is None else max(30.0, 3 * baseline.p95_seconds)):
        return ""
    minutes = max(1, round(quiet_seconds / 60))
    return f"verification worker appears down: none verified for {minutes}m, {completed.count:,} waiting"


class RetryEstimate(Struct, frozen=True):
    """An estimate of the worker's retries for a completed upload.

    Attributes:
        past_retries: how many must have happened.
        next_on: when the next one is due; None if none is left: the worker has given up.
    """

    past_retries: int
    next_on: datetime | None


def estimate_retries(completed_on: datetime, now: datetime) -> RetryEstimate:
    """Estimate retries, assuming that verification began at completion and each attempt failed at once.

    The deployed service does not report retries; only the delays between them are known.
    """
    retries = [completed_on + timedelta(seconds=seconds) for seconds in accumulate(_RETRY_DELAYS_SECONDS)]
    past = sum(retry_on <= now for retry_on in retries)
    return RetryEstimate(past, retries[past] if past < MAX_RETRIES else None)
