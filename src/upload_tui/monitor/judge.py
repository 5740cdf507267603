"""How long a stage usually lasts, and what that makes of a pending upload.

Pure. *Overdue* is beyond the 95th percentile of what was seen here; *stuck* is beyond the threshold, or far beyond all that was
seen. Uploading is a person's pace and has no usual length: an initiated upload is stuck when nothing arrived for the threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from upload_tui.monitor.picture import Judgement
from upload_tui.status import Stage

__all__ = ["Usual", "judge", "stuck_seconds", "usual_of"]

_SAMPLES_AT_LEAST = 8
"""Fewer durations than this say nothing about what is usual."""

_FAR_BEYOND = 3.0
"""So many times the longest duration ever seen is stuck, whatever the threshold says."""

_SLACK_SECONDS = 2.0
"""What a refresh may lag behind: nobody is late by less."""


@dataclass(frozen=True, slots=True)
class Usual:
    """How long verification took in what was seen, in seconds."""

    median_seconds: float
    p95_seconds: float
    longest_seconds: float
    samples: int


def usual_of(durations_seconds: Sequence[float]) -> Usual | None:
    """What is usual among these durations; None if they are too few to tell."""
    if len(durations_seconds) < _SAMPLES_AT_LEAST:
        return None
    ordered = sorted(durations_seconds)
    return Usual(_quantile(ordered, 0.5), _quantile(ordered, 0.95), ordered[-1], len(ordered))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """By linear interpolation between the two nearest."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def stuck_seconds(usual: Usual | None, stuck_after_seconds: float) -> float:
    """From which age a completed upload looks stuck."""
    if usual is None:
        return stuck_after_seconds
    return min(stuck_after_seconds, max(usual.longest_seconds * _FAR_BEYOND, 60.0))


def judge(
    stage: Stage,
    since: datetime | None,
    activity_on: datetime | None,
    now: datetime,
    usual: Usual | None,
    stuck_after_seconds: float,
) -> Judgement:
    """Judge one upload.

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
        return Judgement(is_stuck=(now - last).total_seconds() > stuck_after_seconds, waits_for="waits for chunks")
    if stage is not Stage.COMPLETED:
        return Judgement()
    age_seconds = 0.0 if since is None else (now - since).total_seconds()
    is_stuck = age_seconds > stuck_seconds(usual, stuck_after_seconds)
    if usual is None:
        return Judgement(is_overdue=is_stuck, is_stuck=is_stuck, waits_for="waits for verification")
    expected = None if since is None else since + timedelta(seconds=usual.median_seconds)
    return Judgement(
        is_overdue=is_stuck or age_seconds > usual.p95_seconds + _SLACK_SECONDS,
        is_stuck=is_stuck,
        usual_seconds=usual.median_seconds,
        p95_seconds=usual.p95_seconds,
        expected_on=expected,
        waits_for="waits for verification",
    )
