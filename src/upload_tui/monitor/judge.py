"""How long a stage usually lasts, and what that makes of a pending upload.

Pure. *Overdue* is beyond the 95th percentile of what was seen here of such uploads; *stuck* is beyond the threshold, or far beyond
all that was seen, but never within the 99th percentile. Uploading is a person's pace and has no usual length: an initiated upload is
stuck when nothing arrived for the threshold.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from upload_tui.monitor.picture import Judgement
from upload_tui.status import Stage

__all__ = [
    "SIZE_LIMITS_BYTES",
    "Habits",
    "Usual",
    "judge",
    "overdue_seconds",
    "size_class",
    "stuck_seconds",
    "usual_of",
    "waits_for_bytes",
]

SIZE_LIMITS_BYTES = (0, 1 << 20, 100 << 20, 10 << 30, 2**63 - 1)
"""Uploads are compared with others of the same class of size: up to 1 MiB, 100 MiB, 10 GiB, and larger."""

_UNKNOWN_BYTES = -(2**63)
"""What stands for an unknown size is below all sizes."""

_SAMPLES_AT_LEAST = 8
"""Fewer durations than this say nothing about what is usual."""

_FAR_BEYOND = 3.0
"""So many times the longest duration ever seen is stuck, whatever the threshold says."""

_SLACK_SECONDS = 2.0
"""What a refresh may lag behind: nobody is late by less."""


class Usual(Struct, frozen=True):
    """How long verification took in what was seen, in seconds."""

    median_seconds: float
    p95_seconds: float
    longest_seconds: float
    samples: int
    p99_seconds: float = 0.0
    ordered_seconds: tuple[float, ...] = ()

    def expected_seconds(self, age_seconds: float) -> float | None:
        """How long one will probably have taken that has taken so long already; None if none ever took longer."""
        longer = self.ordered_seconds[bisect_right(self.ordered_seconds, age_seconds) :]
        return _quantile(longer, 0.5) if longer else None


class Habits:
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
        self.everywhere = usual_of(everywhere)
        self._usual = {key: usual for key, some in seen.items() if (usual := usual_of(some)) is not None}
        self.samples = len(everywhere)

    def usual(self, project_id: str, size_bytes: int | None) -> Usual | None:
        """What is usual for such an upload; None if too little was seen of any like it."""
        place = size_class(size_bytes)
        return self._usual.get((project_id, place)) or self._usual.get((None, place))

    def particular(self) -> Iterator[tuple[str | None, int, int, Usual]]:
        """Project (None for any), sizes from and below, and what is usual there, the most particular first."""
        for (project_id, place), usual in sorted(self._usual.items(), key=lambda entry: entry[0][0] is None):
            least, below = (_UNKNOWN_BYTES, 0) if place is None else SIZE_LIMITS_BYTES[place : place + 2]
            yield project_id, least, below, usual


def size_class(size_bytes: int | None) -> int | None:
    """The place of an upload's class of size in `SIZE_LIMITS_BYTES`; None if its size is not known."""
    if size_bytes is None:
        return None
    return min(max(0, bisect_right(SIZE_LIMITS_BYTES, size_bytes) - 1), len(SIZE_LIMITS_BYTES) - 2)


def usual_of(durations_seconds: Sequence[float]) -> Usual | None:
    """What is usual among these durations; None if they are too few to tell."""
    if len(durations_seconds) < _SAMPLES_AT_LEAST:
        return None
    ordered = sorted(durations_seconds)
    return Usual(
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


def stuck_seconds(usual: Usual | None, stuck_after_seconds: float) -> float:
    """From which age a completed upload looks stuck: never while others like it took as long."""
    if usual is None:
        return stuck_after_seconds
    beyond = min(stuck_after_seconds, max(usual.longest_seconds * _FAR_BEYOND, 60.0))
    return max(beyond, usual.p99_seconds + _SLACK_SECONDS)


def overdue_seconds(usual: Usual | None, stuck_after_seconds: float) -> float:
    """From which age a completed upload is overdue."""
    return stuck_after_seconds if usual is None else usual.p95_seconds + _SLACK_SECONDS


def waits_for_bytes(size_bytes: int | None, chunk_count: int | None, chunk_bytes: int | None) -> str:
    """What an initiated upload waits for, by the bytes of its chunks (None if it is not chunked)."""
    if chunk_count is None:
        return "waits for its bytes"
    if size_bytes is not None and (chunk_bytes or 0) >= size_bytes:
        return "waits for the client to say complete"
    return "waits for chunks"


def judge(
    stage: Stage,
    since: datetime | None,
    activity_on: datetime | None,
    now: datetime,
    usual: Usual | None,
    stuck_after_seconds: float,
) -> Judgement:
    """Judge how late one upload is; what it waits for is left open.

    Args:
        stage: the stage it is in.
        since: when that began; None if unknown.
        activity_on: when the service last changed anything of it; None if unknown.
        now: the present.
        usual: what is usual for verification where it lives; None if too little was seen.
        stuck_after_seconds: the threshold.
    """
    if stage is Stage.INITIATED:
        last = max((on for on in (since, activity_on) if on is not None), default=now)
        is_idle = (now - last).total_seconds() > stuck_after_seconds
        return Judgement(is_overdue=is_idle, is_stuck=is_idle)
    if stage is not Stage.COMPLETED:
        return Judgement()
    age_seconds = 0.0 if since is None else (now - since).total_seconds()
    is_stuck = age_seconds > stuck_seconds(usual, stuck_after_seconds)
    if usual is None:
        return Judgement(is_overdue=is_stuck, is_stuck=is_stuck)
    likely = usual.expected_seconds(age_seconds)
    expected = None if since is None or likely is None else since + timedelta(seconds=likely)
    return Judgement(
        is_overdue=age_seconds > overdue_seconds(usual, stuck_after_seconds),
        is_stuck=is_stuck,
        usual_seconds=usual.median_seconds,
        p95_seconds=usual.p95_seconds,
        p99_seconds=usual.p99_seconds,
        expected_on=expected,
    )
