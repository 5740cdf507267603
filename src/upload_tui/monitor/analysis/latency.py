"""How long things take, in logarithmic buckets: four to a doubling are counted, one to a doubling is shown. Pure."""

from collections.abc import Mapping, Sequence
from math import floor, log2

from upload_tui.monitor.model import LatencyBucket, LatencyHistogram
from upload_tui.status import Stage

__all__ = ["STAGE_PAIRS", "bucket_of", "histogram_of", "merge_histograms"]

STAGE_PAIRS = (
    (Stage.INITIATED, Stage.COMPLETED),
    (Stage.COMPLETED, Stage.VERIFIED),
    (Stage.COMPLETED, Stage.ERROR),
)
"""The stages between which time is measured."""

_BUCKETS_PER_DOUBLING = 4
"""Counted buckets to a doubling: a quantile is off by less than a tenth."""

_MIN_BUCKET = -10 * _BUCKETS_PER_DOUBLING
"""The bucket of all that took less than a millisecond."""


def bucket_of(milliseconds: int) -> int:
    """The number of the counted bucket that a duration falls into."""
    return (
        _MIN_BUCKET if milliseconds <= 1 else max(_MIN_BUCKET, floor(log2(milliseconds / 1000) * _BUCKETS_PER_DOUBLING))
    )


def _edge_seconds(bucket: int) -> float:
    seconds: float = 2 ** (bucket / _BUCKETS_PER_DOUBLING)
    return 0.0 if bucket <= _MIN_BUCKET else seconds


def histogram_of(after: Stage, before: Stage, counts: Mapping[int, int]) -> LatencyHistogram:
    """What counted buckets say; `counts` is by the number of the bucket."""
    if not counts:
        return LatencyHistogram(after=after, before=before)
    wide: dict[int, int] = {}
    for bucket, count in counts.items():
        wide[bucket // _BUCKETS_PER_DOUBLING] = wide.get(bucket // _BUCKETS_PER_DOUBLING, 0) + count
    return LatencyHistogram(
        after=after,
        before=before,
        count=sum(counts.values()),
        p50_seconds=_quantile_seconds(counts, 0.5),
        p95_seconds=_quantile_seconds(counts, 0.95),
        p99_seconds=_quantile_seconds(counts, 0.99),
        buckets=tuple(
            LatencyBucket(
                _edge_seconds(place * _BUCKETS_PER_DOUBLING),
                _edge_seconds((place + 1) * _BUCKETS_PER_DOUBLING),
                wide.get(place, 0),
            )
            for place in range(min(wide), max(wide) + 1)
        ),
    )


def _quantile_seconds(counts: Mapping[int, int], share: float) -> float:
    wanted, seen = share * sum(counts.values()), 0
    for bucket, count in sorted(counts.items()):
        if seen + count >= wanted:
            low, high = _edge_seconds(bucket), _edge_seconds(bucket + 1)
            return round(low + (high - low) * (wanted - seen) / count, 3)
        seen += count
    raise AssertionError("a share of all is among them")


def merge_histograms(histograms: Sequence[LatencyHistogram]) -> LatencyHistogram:
    """What several histograms of the same stages say together; its quantiles are as fine as the buckets that are shown."""
    known = [histogram for histogram in histograms if histogram.count]
    if len(known) <= 1:
        return known[0] if known else histograms[0]
    counts: dict[int, int] = {}
    for bucket in (bucket for histogram in known for bucket in histogram.buckets):
        place = round(log2(bucket.to_seconds)) - 1
        for part in range(_BUCKETS_PER_DOUBLING):  # evenly: where in the wide bucket they lay is no longer known
            share = bucket.count // _BUCKETS_PER_DOUBLING + (part < bucket.count % _BUCKETS_PER_DOUBLING)
            if share:
                counts[place * _BUCKETS_PER_DOUBLING + part] = (
                    counts.get(place * _BUCKETS_PER_DOUBLING + part, 0) + share
                )
    return histogram_of(known[0].after, known[0].before, counts)
