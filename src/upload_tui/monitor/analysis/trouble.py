"""Which pending uploads are overdue or stuck and what they wait for; which uploads are in trouble. The one definition for all. Pure.

A completed upload is *overdue* beyond the 95th percentile of similar uploads. It is *stuck* beyond the threshold, or far beyond the
longest similar one, but never within the 99th percentile. The speed of an initiated upload depends on its client, so it
is overdue and stuck when nothing has arrived for longer than the threshold.

The most serious first: *contradictory* (the service reports verified although the chunks do not agree, so a file that
is not safe looks safe), *stuck*, *failed*, *overdue*. An upload has at most one trouble, the most serious. A failure is
trouble only while it is recent (`failures_for_seconds`). An acknowledged upload is not in trouble until it enters
another stage. `store.conditions` is the same rule in SQL.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from types import MappingProxyType

from msgspec import Struct

from upload_tui.monitor.ages import age_of
from upload_tui.monitor.analysis.statistics import quantile
from upload_tui.monitor.model import Lateness, Row, Trouble, WaitsFor
from upload_tui.status import Stage

__all__ = [
    "NEVER",
    "Baseline",
    "Baselines",
    "DEFAULT_TROUBLE_LIMITS",
    "MAX_RETRIES",
    "RetryEstimate",
    "SIZE_LIMITS_BYTES",
    "TROUBLE_WORDS",
    "TroubleLimits",
    "baseline_of",
    "estimate_retries",
    "has_failed",
    "lateness_of",
    "overdue_seconds",
    "size_class",
    "stuck_seconds",
    "trouble_of",
    "waiting_order",
    "waits_for_client",
]

SIZE_LIMITS_BYTES = (0, 1 << 20, 100 << 20, 10 << 30, 2**63 - 1)
"""The limits of the size classes: up to 1 MiB, 100 MiB, 10 GiB, and larger. Uploads are compared within a class."""
_UNKNOWN_BYTES = -(2**63)
"""The lower limit of the class of uploads of unknown size: `UNKNOWN` in the store."""
_MIN_SAMPLES = 8
"""Fewer durations make no baseline."""
_STUCK_FACTOR = 3.0
"""An upload is stuck beyond this multiple of the longest duration seen, even below the threshold."""
NEVER = datetime.min.replace(tzinfo=UTC)
_REFRESH_LAG_SECONDS = 2.0
"""Tolerance, because the picture may lag behind the service by this much."""

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
        """All baselines, those of a project first: project (None: any), smallest size, limit of the size, baseline."""
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
    """The age from which a pending upload is stuck, in whole milliseconds; without a baseline, also an initiated one."""
    if baseline is None:
        return _in_milliseconds(stuck_after_seconds)
    beyond = min(stuck_after_seconds, max(baseline.max_seconds * _STUCK_FACTOR, 60.0))
    return _in_milliseconds(max(beyond, baseline.p99_seconds + _REFRESH_LAG_SECONDS))


def overdue_seconds(baseline: Baseline | None, stuck_after_seconds: float) -> float:
    """The age from which a pending upload is overdue, in whole milliseconds; without a baseline, also an initiated one."""
    seconds = stuck_after_seconds if baseline is None else baseline.p95_seconds + _REFRESH_LAG_SECONDS
    return _in_milliseconds(seconds)


def _in_milliseconds(seconds: float) -> float:
    """Seconds in whole milliseconds, as times are stored: between two of them, a row and a filter would not agree."""
    return round(seconds, 3)


def lateness_of(
    stage: Stage,
    since: datetime | None,
    now: datetime,
    baseline: Baseline | None,
    stuck_after_seconds: float,
) -> Lateness:
    """The lateness of one upload, without what it waits for.

    Args:
        stage: its stage.
        since: when the stage began, or when anything last happened to an initiated upload; None if unknown.
        now: the time to compare with.
        baseline: of verification of similar uploads; None if too few were seen.
        stuck_after_seconds: the threshold.
    """
    if stage is Stage.INITIATED:
        is_idle = since is not None and (now - since).total_seconds() > stuck_seconds(None, stuck_after_seconds)
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
    """What an initiated upload waits for; `chunk_count` and `chunk_bytes` are None if it is not chunked, or if they are unknown."""
    if size_bytes is not None and chunk_bytes is not None and chunk_bytes >= size_bytes:
        return WaitsFor.COMPLETION
    return WaitsFor.DATA if chunk_count is None else WaitsFor.CHUNKS


def waiting_order(now: datetime, row: Row) -> tuple[bool, bool, float]:
    """A sort key of pending uploads: stuck, then overdue, then others; each the greatest known age first, after an unknown one."""
    age = age_of(row)
    return not row.lateness.is_stuck, not row.lateness.is_overdue, -age.seconds(now) if age else -math.inf


# Retries


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


TROUBLE_WORDS: Mapping[Trouble, str] = MappingProxyType(
    {
        Trouble.CONTRADICTORY: "verified but not whole",
        Trouble.STUCK: "stuck",
        Trouble.FAILED: "failed",
        Trouble.OVERDUE: "overdue",
    }
)
"""The words for people, the same on every screen and in every command; the most serious first."""


class TroubleLimits(Struct, frozen=True):
    """The settings of a user that decide on trouble.

    Attributes:
        stuck_after_seconds: the age from which a pending upload is stuck, unless similar uploads are much faster or take longer.
        failures_for_seconds: how long a failure counts as recent, and so as trouble.
    """

    stuck_after_seconds: float = 900.0
    failures_for_seconds: float = 24 * 3600.0

    def failed_since(self, now: datetime) -> datetime:
        """The time from which on failures are recent."""
        return now - timedelta(seconds=_in_milliseconds(self.failures_for_seconds))


DEFAULT_TROUBLE_LIMITS = TroubleLimits()


def has_failed(row: Row) -> bool:
    """Whether an upload is in error, or verified but not whole. A command that waits for a safe file then fails.

    False for an upload that is gone.
    """
    return not row.is_gone and (row.stage is Stage.ERROR or row.is_contradictory)


def trouble_of(
    stage: Stage, since: datetime | None, lateness: Lateness, failed_since: datetime, *, has_contradiction: bool
) -> Trouble | None:
    """The trouble of an upload that is neither gone nor acknowledged; None if it has none.

    Args:
        stage: its stage.
        since: when the stage began; None if unknown: a failure then counts as recent.
        lateness: its lateness.
        failed_since: the time from which on failures are recent.
        has_contradiction: whether it is contradictory.
    """
    if has_contradiction:
        return Trouble.CONTRADICTORY
    if lateness.is_stuck:
        return Trouble.STUCK
    if stage is Stage.ERROR and (since is None or since >= failed_since):
        return Trouble.FAILED
    return Trouble.OVERDUE if lateness.is_overdue else None
