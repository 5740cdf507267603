"""Statistics of uploads: counts by stage, latencies as quantiles and histograms, causes of failures. Pure.

Durations are counted in fine buckets, four per doubling; a histogram shows one bucket per doubling.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import floor, log2

from msgspec import Struct, field

from upload_tui.monitor.model import Detail, Trouble
from upload_tui.status import Stage, contradicts_itself

__all__ = [
    "CauseCount",
    "Latency",
    "LatencyBucket",
    "LatencyHistogram",
    "STAGE_PAIRS",
    "Statistics",
    "bucket_of",
    "histogram_of",
    "merge_histograms",
    "normalize_cause",
    "quantile",
    "statistics_of",
]


class LatencyBucket(Struct, frozen=True):
    """The number of uploads that took from `from_seconds` (inclusive) to `to_seconds` (exclusive)."""

    from_seconds: float
    to_seconds: float
    count: int


class LatencyHistogram(Struct, frozen=True, kw_only=True):
    """How long uploads took from one stage to a later one; each bucket is twice as wide as the last.

    Attributes:
        count: the number of uploads with both times known.
        p50_seconds, p95_seconds, p99_seconds: quantiles; None if there are no uploads.
        is_exact: the quantiles are those of the durations; otherwise they are estimated from the buckets.
        buckets: from the fastest to the slowest upload, without gaps; empty if there are none.
    """

    from_stage: Stage
    to_stage: Stage
    count: int = 0
    p50_seconds: float | None = None
    p95_seconds: float | None = None
    p99_seconds: float | None = None
    is_exact: bool = False
    buckets: tuple[LatencyBucket, ...] = ()


STAGE_PAIRS = (
    (Stage.INITIATED, Stage.COMPLETED),
    (Stage.COMPLETED, Stage.VERIFIED),
    (Stage.COMPLETED, Stage.ERROR),
)
"""The stages between which latency is measured."""

_PER_DOUBLING = 4
"""Fine buckets per doubling; quantiles are off by less than a tenth."""

_QUANTILES = (0.5, 0.95, 0.99)

_MIN_BUCKET = -10 * _PER_DOUBLING
"""The fine bucket of durations below a millisecond."""


def quantile(ordered: Sequence[float], share: float) -> float:
    """The quantile of sorted values, interpolated linearly between the two nearest."""
    index = share * (len(ordered) - 1)
    below = int(index)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (index - below)


def bucket_of(milliseconds: int) -> int:
    """The number of the fine bucket for a duration."""
    if milliseconds <= 1:
        return _MIN_BUCKET
    return max(_MIN_BUCKET, floor(log2(milliseconds / 1000) * _PER_DOUBLING))


def _edge_seconds(bucket: int) -> float:
    """The lower edge of a fine bucket."""
    seconds: float = 2 ** (bucket / _PER_DOUBLING)
    return 0.0 if bucket <= _MIN_BUCKET else seconds


def histogram_of(
    from_stage: Stage, to_stage: Stage, counts: Mapping[int, int], durations: Sequence[float] = ()
) -> LatencyHistogram:
    """The durations between two stages.

    Args:
        from_stage: the earlier stage.
        to_stage: the later stage.
        counts: the number of uploads in each fine bucket.
        durations: all the durations in seconds; empty if they are too many.
    """
    if not counts:
        return LatencyHistogram(from_stage=from_stage, to_stage=to_stage)
    wide: dict[int, int] = {}
    for bucket, count in counts.items():
        wide[bucket // _PER_DOUBLING] = wide.get(bucket // _PER_DOUBLING, 0) + count
    quantiles = _quantiles(durations) if durations else [_estimated_quantile(counts, share) for share in _QUANTILES]
    edges = range(min(wide) * _PER_DOUBLING, (max(wide) + 2) * _PER_DOUBLING, _PER_DOUBLING)
    return LatencyHistogram(
        from_stage=from_stage,
        to_stage=to_stage,
        count=sum(counts.values()),
        p50_seconds=quantiles[0],
        p95_seconds=quantiles[1],
        p99_seconds=quantiles[2],
        is_exact=bool(durations),
        buckets=tuple(
            LatencyBucket(_edge_seconds(low), _edge_seconds(high), wide.get(low // _PER_DOUBLING, 0))
            for low, high in pairwise(edges)
        ),
    )


def _quantiles(durations: Sequence[float]) -> Sequence[float]:
    """The quantiles of durations in seconds, rounded to milliseconds."""
    ordered = sorted(durations)
    return [round(quantile(ordered, share), 3) for share in _QUANTILES]


def _estimated_quantile(counts: Mapping[int, int], share: float) -> float:
    """The quantile of fine buckets, assuming that durations are spread evenly within each."""
    target, seen = share * sum(counts.values()), 0
    for bucket, count in sorted(counts.items()):
        if seen + count >= target:
            low, high = _edge_seconds(bucket), _edge_seconds(bucket + 1)
            return round(low + (high - low) * (target - seen) / count, 3)
        seen += count
    raise AssertionError("a share of the total is reached")


def merge_histograms(histograms: Sequence[LatencyHistogram]) -> LatencyHistogram:
    """Add up histograms of the same stages; the quantiles of the sum are as coarse as the buckets shown."""
    known = [histogram for histogram in histograms if histogram.count]
    if len(known) <= 1:
        return known[0] if known else histograms[0]
    counts: dict[int, int] = {}
    for bucket in (bucket for histogram in known for bucket in histogram.buckets):
        first = (round(log2(bucket.to_seconds)) - 1) * _PER_DOUBLING
        for part in range(_PER_DOUBLING):  # where in the bucket the durations were is not known: spread them evenly
            count = bucket.count // _PER_DOUBLING + (part < bucket.count % _PER_DOUBLING)
            if count:
                counts[first + part] = counts.get(first + part, 0) + count
    return histogram_of(known[0].from_stage, known[0].to_stage, counts)


class Latency(Struct, frozen=True, rename={"from_stage": "after", "to_stage": "before"}):
    """Quantiles of the time between two stages, over the uploads with both times known; a record of `report`."""

    from_stage: Stage
    to_stage: Stage
    samples: int
    p50_seconds: float
    p95_seconds: float
    p99_seconds: float


class CauseCount(Struct, frozen=True):
    """An error message without its variable parts, and the number of uploads that failed with it."""

    cause: str
    count: int


class Statistics(Struct, frozen=True):
    """Statistics of some uploads.

    Attributes:
        counts: number of uploads by stage.
        unknown_states: number of uploads by the service's own name of a state that is not in the design; they are in no stage.
        latencies: between successive stages.
        causes: of failures, the most frequent first.
        overdue_ids, stuck_ids: ids of pending uploads; stuck ones are overdue as well, acknowledged ones are neither.
        trouble_ids: ids of uploads in trouble, by trouble, the most serious first.
    """

    counts: Mapping[Stage, int]
    latencies: Sequence[Latency]
    causes: Sequence[CauseCount]
    overdue_ids: Sequence[str]
    stuck_ids: Sequence[str]
    trouble_ids: Mapping[Trouble, Sequence[str]]
    unknown_states: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """The number of uploads."""
        return sum(self.counts.values()) + sum(self.unknown_states.values())


def statistics_of(details: Iterable[Detail]) -> Statistics:
    """Compute the statistics of uploads."""
    details = list(details)
    unknown = Counter(state.name for detail in details if (state := detail.upload.timeline.unknown_state))
    counts = Counter(detail.upload.stage for detail in details if not detail.upload.timeline.unknown_state)
    causes = Counter(
        normalize_cause(detail.upload.timeline.error_message or "")
        for detail in details
        if detail.upload.stage is Stage.ERROR
    )
    return Statistics(
        counts={stage: counts[stage] for stage in Stage},
        latencies=_latencies(details),
        causes=[CauseCount(cause, count) for cause, count in causes.most_common()],
        overdue_ids=[detail.upload.id for detail in details if detail.row.trouble in {Trouble.STUCK, Trouble.OVERDUE}],
        stuck_ids=[detail.upload.id for detail in details if detail.row.trouble is Trouble.STUCK],
        trouble_ids={
            trouble: [detail.upload.id for detail in details if detail.row.trouble is trouble] for trouble in Trouble
        },
        unknown_states=dict(unknown.most_common()),
    )


def normalize_cause(message: str) -> str:
    """An error message without its variable parts: only what precedes `: ` or `; `, with `#` for numbers and digests."""
    head = re.split(r": |; ", message, maxsplit=1)[0].strip()
    cause = re.sub(r"\b(?=[0-9a-f…-]*\d)[0-9a-f-]{4,}…?|\b\d+\b", "#", head)
    return cause or "no reason given"


def _latencies(details: Sequence[Detail]) -> list[Latency]:
    seconds: dict[tuple[Stage, Stage], list[float]] = {}
    for detail in details:
        if contradicts_itself(detail.upload.stage, detail.anomalies):
            continue
        for span in detail.upload.timeline.spans():
            if span.seconds is not None:
                seconds.setdefault((span.start, span.end), []).append(span.seconds)
    return [
        Latency(*stages, len(durations), *_quantiles(durations))
        for stages, durations in sorted(seconds.items(), key=lambda entry: (entry[0][0].rank, entry[0][1].rank))
    ]
