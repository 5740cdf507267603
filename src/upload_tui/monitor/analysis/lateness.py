"""How long a stage usually lasts, and what that makes of a pending upload.

Pure. *Overdue* is beyond the 95th percentile of what was seen here of such uploads; *stuck* is beyond the threshold, or far beyond
all that was seen, but never within the 99th percentile. Uploading is a person's pace and has no usual length: an initiated upload is
stuck when nothing arrived for the threshold.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from upload_tui.monitor.model import Lateness
from upload_tui.status import Stage

__all__ = [
    "SIZE_LIMITS_BYTES",
    "Baselines",
    "Baseline",
    "lateness_of",
    "overdue_seconds",
    "size_class",
    "stuck_seconds",
    "baseline_of",
    "waits_for_client",
]

SIZE_LIMITS_BYTES = (0, 1 << 20, 100 << 20, 10 << 30, 2**63 - 1)
"""Uploads are compared with others of the same class of size: up to 1 MiB, 100 MiB, 10 GiB, and larger."""

_UNKNOWN_BYTES = -(2**63)
"""What stands for an unknown size is below all sizes."""

_MIN_SAMPLES = 8
"""Fewer durations than this say nothing about what is usual."""

_STUCK_FACTOR = 3.0
"""So many times the longest duration ever seen is stuck, whatever the threshold says."""

_REFRESH_LAG_SECONDS = 2.0
"""What a refresh may lag behind: nobody is late by less."""


class Baseline(Struct, frozen=True):
    """How long verification took in what was seen, in seconds."""

    p50_seconds: float
    p95_seconds: float
    max_seconds: float
    samples: int
    p99_seconds: float = 0.0
    sorted_seconds: tuple[float, ...] = ()

    def expected_seconds(self, age_seconds: float) -> float | None:
        """How long one will probably have taken that has taken so long already; None if none ever took longer."""
        longer = self.sorted_seconds[bisect_right(self.sorted_seconds, age_seconds) :]
        return _quantile(longer, 0.5) if longer else None


class Baselines:
    """What is usual by project and class of size; where too little was seen, for that class everywhere; else nothing is.

    Others' figures are never taken: what small files need says nothing of large ones.

    Args:
        durations: project, size in bytes (None if unknown: a class of its own) and seconds of waiting of verified uploads.
    """

    def __init__(self, durations: Iterable[tuple[str, int | None, float]]) -> None:
        seen: dict[tuple[str | None, int | None], list[float]] = {}
        everywhere: list[float] = []
        for project_id, size_bytes, seconds in durations:
            everywhere.append(seconds)
            for place in (project_id, None):
                seen.setdefault((place, size_class(size_bytes)), []).append(seconds)
        self.overall = baseline_of(everywhere)
        self._baselines = {key: usual for key, some in seen.items() if (usual := baseline_of(some)) is not None}
        self.samples = len(everywhere)

    def baseline(self, project_id: str, size_bytes: int | None) -> Baseline | None:
        """What is usual for such an upload; None if too little was seen of any like it."""
        place = size_class(size_bytes)
        return self._baselines.get((project_id, place)) or self._baselines.get((None, place))

    def specific(self) -> Iterator[tuple[str | None, int, int, Baseline]]:
        """Project (None for any), sizes from and below, and what is usual there, the most particular first."""
        for (project_id, place), usual in sorted(self._baselines.items(), key=lambda entry: entry[0][0] is None):
            least, below = (_UNKNOWN_BYTES, 0) if place is None else SIZE_LIMITS_BYTES[place : place + 2]
            yield project_id, least, below, usual


def size_class(size_bytes: int | None) -> int | None:
    """The place of an upload's class of size in `SIZE_LIMITS_BYTES`; None if its size is not known."""
    if size_bytes is None:
        return None
    return min(max(0, bisect_right(SIZE_LIMITS_BYTES, size_bytes) - 1), len(SIZE_LIMITS_BYTES) - 2)


def baseline_of(durations_seconds: Sequence[float]) -> Baseline | None:
    """What is usual among these durations; None if they are too few to tell."""
    if len(durations_seconds) < _MIN_SAMPLES:
        return None
    ordered = sorted(durations_seconds)
    return Baseline(
        _quantile(ordered, 0.5),
        _quantile(ordered, 0.95),
        ordered[-1],
        len(ordered),
        _quantile(ordered, 0.99),
        tuple(ordered),
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    """By linear interpolation between the two nearest."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def stuck_seconds(baseline: Baseline | None, stuck_after_seconds: float) -> float:
    """From which age a completed upload looks stuck: never while others like it took as long."""
    if baseline is None:
        return stuck_after_seconds
    beyond = min(stuck_after_seconds, max(baseline.max_seconds * _STUCK_FACTOR, 60.0))
    return max(beyond, baseline.p99_seconds + _REFRESH_LAG_SECONDS)


def overdue_seconds(baseline: Baseline | None, stuck_after_seconds: float) -> float:
    """From which age a completed upload is overdue."""
    return stuck_after_seconds if baseline is None else baseline.p95_seconds + _REFRESH_LAG_SECONDS


def waits_for_client(size_bytes: int | None, chunk_count: int | None, chunk_bytes: int | None) -> str:
    """What an initiated upload waits for, by the bytes of its chunks (None if it is not chunked)."""
    if chunk_count is None:
        return "waits for its bytes"
    if size_bytes is not None and (chunk_bytes or 0) >= size_bytes:
        return "waits for the client to say complete"
    return "waits for chunks"


def lateness_of(
    stage: Stage,
    since: datetime | None,
    activity_on: datetime | None,
    now: datetime,
    baseline: Baseline | None,
    stuck_after_seconds: float,
) -> Lateness:
    """Judge how late one upload is; what it waits for is left open.

    Args:
        stage: the stage it is in.
        since: when that began; None if unknown.
        activity_on: when the service last changed anything of it; None if unknown.
        now: the present.
        baseline: what is usual for verification where it lives; None if too little was seen.
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
    likely = baseline.expected_seconds(age_seconds)
    expected = None if since is None or likely is None else since + timedelta(seconds=likely)
    return Lateness(
        is_overdue=age_seconds > overdue_seconds(baseline, stuck_after_seconds),
        is_stuck=is_stuck,
        p50_seconds=baseline.p50_seconds,
        p95_seconds=baseline.p95_seconds,
        p99_seconds=baseline.p99_seconds,
        expected_on=expected,
    )
