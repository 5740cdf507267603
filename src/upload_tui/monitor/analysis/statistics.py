"""Figures of many uploads: how many in each stage, how long the stages took, what failed for which cause. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from upload_tui.monitor.model import Detail
from upload_tui.status import Stage

__all__ = ["Cause", "Latency", "Statistics", "normalise_cause", "statistics_of"]

QUANTILES = (0.5, 0.95, 0.99)


class Latency(Struct, frozen=True):
    """How long uploads took from one stage to the next, in seconds; only those of which both times are known."""

    after: Stage
    before: Stage
    samples: int
    p50_seconds: float
    p95_seconds: float
    p99_seconds: float


class Cause(Struct, frozen=True):
    """A kind of failure: its words without particulars, and how many failed for it."""

    cause: str
    count: int


class Statistics(Struct, frozen=True):
    """The figures.

    Attributes:
        counts: uploads by stage.
        latencies: between neighbouring stages.
        causes: of the failed, the most frequent first.
        overdue_ids, stuck_ids: pending uploads that are late.
    """

    counts: Mapping[Stage, int]
    latencies: Sequence[Latency]
    causes: Sequence[Cause]
    overdue_ids: Sequence[str]
    stuck_ids: Sequence[str]

    @property
    def total(self) -> int:
        """All uploads."""
        return sum(self.counts.values())


def statistics_of(details: Iterable[Detail]) -> Statistics:
    """The figures of these uploads."""
    known = list(details)
    counts = Counter(detail.upload.stage for detail in known)
    causes = Counter(
        normalise_cause(detail.upload.timeline.error_message or "")
        for detail in known
        if detail.upload.stage is Stage.ERROR
    )
    return Statistics(
        counts={stage: counts[stage] for stage in Stage},
        latencies=_latencies(known),
        causes=[Cause(cause, count) for cause, count in causes.most_common()],
        overdue_ids=[detail.upload.id for detail in known if detail.row.lateness.is_overdue],
        stuck_ids=[detail.upload.id for detail in known if detail.row.lateness.is_stuck],
    )


def normalise_cause(message: str) -> str:
    """An error message without what differs from upload to upload: the part before the particulars, numbers and digests left out."""
    head = re.split(r": |; ", message, maxsplit=1)[0].strip()
    words = re.sub(r"\b(?=[0-9a-f…-]*\d)[0-9a-f-]{4,}…?|\b\d+\b", "#", head)
    return words or "no reason given"


def _latencies(details: Sequence[Detail]) -> list[Latency]:
    seconds: dict[tuple[Stage, Stage], list[float]] = {}
    for detail in details:
        for span in detail.upload.timeline.spans():
            if span.seconds is not None and span.seconds >= 0:
                seconds.setdefault((span.start, span.end), []).append(span.seconds)
    return [
        Latency(after, before, len(some), *(_quantile(sorted(some), share) for share in QUANTILES))
        for (after, before), some in sorted(seconds.items(), key=lambda entry: (entry[0][0].rank, entry[0][1].rank))
    ]


def _quantile(ordered: Sequence[float], share: float) -> float:
    """By linear interpolation between the two nearest."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return round(ordered[below] + (ordered[above] - ordered[below]) * (place - below), 3)
