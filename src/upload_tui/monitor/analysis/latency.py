"""Latencies: quantiles, and histograms with logarithmic buckets. Pure.

Durations are counted in fine buckets, four per doubling; a histogram shows one bucket per doubling.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import floor, log2

from msgspec import Struct

from upload_tui.status import Stage

__all__ = [
    "LatencyBucket",
    "LatencyHistogram",
    "STAGE_PAIRS",
    "bucket_of",
    "histogram_of",
    "merge_histograms",
    "quantile",
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
        p50_seconds, p95_seconds, p99_seconds: quantiles, estimated from the buckets; None if there are no uploads.
        buckets: from the fastest to the slowest upload, without gaps; empty if there are none.
    """

    from_stage: Stage
    to_stage: Stage
    count: int = 0
    p50_seconds: float | None = None
    p95_seconds: float | None = None
    p99_seconds: float | None = None
    buckets: tuple[LatencyBucket, ...] = ()


STAGE_PAIRS = (
    (Stage.INITIATED, Stage.COMPLETED),
    (Stage.COMPLETED, Stage.VERIFIED),
    (Stage.COMPLETED, Stage.ERROR),
)
"""The stages between which latency is measured."""

_PER_DOUBLING = 4
"""Fine buckets per doubling; quantiles are off by less than a tenth."""

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


def histogram_of(from_stage: Stage, to_stage: Stage, counts: Mapping[int, int]) -> LatencyHistogram:
    """The durations between two stages; `counts` maps fine buckets to numbers of uploads."""
    if not counts:
        return LatencyHistogram(from_stage=from_stage, to_stage=to_stage)
    wide: dict[int, int] = {}
    for bucket, count in counts.items():
        wide[bucket // _PER_DOUBLING] = wide.get(bucket // _PER_DOUBLING, 0) + count
    edges = range(min(wide) * _PER_DOUBLING, (max(wide) + 2) * _PER_DOUBLING, _PER_DOUBLING)
    return LatencyHistogram(
        from_stage=from_stage,
        to_stage=to_stage,
        count=sum(counts.values()),
        p50_seconds=_quantile_seconds(counts, 0.5),
        p95_seconds=_quantile_seconds(counts, 0.95),
        p99_seconds=_quantile_seconds(counts, 0.99),
        buckets=tuple(
            LatencyBucket(_edge_seconds(low), _edge_seconds(high), wide.get(low // _PER_DOUBLING, 0))
            for low, high in pairwise(edges)
        ),
    )


def _quantile_seconds(counts: Mapping[int, int], share: float) -> float:
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
