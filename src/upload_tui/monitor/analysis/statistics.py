"""Statistics of uploads for `report`: counts by stage, latencies, causes of failures. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

from upload_tui.monitor.analysis.latency import quantile
from upload_tui.monitor.analysis.trouble import contradicts_itself
from upload_tui.monitor.model import Detail, Trouble
from upload_tui.status import Stage

__all__ = ["Cause", "Latency", "Statistics", "normalize_cause", "statistics_of"]

_QUANTILES = (0.5, 0.95, 0.99)


class Latency(Struct, frozen=True, rename={"from_stage": "after", "to_stage": "before"}):
    """Quantiles of the time between two stages, over the uploads with both times known; a record of `report`."""

    from_stage: Stage
    to_stage: Stage
    samples: int
    p50_seconds: float
    p95_seconds: float
    p99_seconds: float


class Cause(Struct, frozen=True):
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
    causes: Sequence[Cause]
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
        causes=[Cause(cause, count) for cause, count in causes.most_common()],
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
            if span.seconds is not None and span.seconds >= 0:
                seconds.setdefault((span.start, span.end), []).append(span.seconds)
    return [
        Latency(*stages, len(durations), *(round(quantile(sorted(durations), share), 3) for share in _QUANTILES))
        for stages, durations in sorted(seconds.items(), key=lambda entry: (entry[0][0].rank, entry[0][1].rank))
    ]
