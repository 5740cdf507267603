"""Metrics of uploads in the text format of Prometheus: the same for `metrics`, which keeps a picture, and for `report`.

`METRICS` describes them; the figures of a project come from a picture (`project_figures`) or from its uploads
(`figures_of_uploads`). Only `write_metrics` imports prometheus_client.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from upload_tui.monitor.ages import StageAge, age_of, oldest_age
from upload_tui.monitor.analysis.statistics import STAGE_PAIRS, LatencyHistogram, bucket_of, histogram_of, statistics_of
from upload_tui.monitor.model import Detail, ProjectRef, Trouble
from upload_tui.monitor.picture import Picture
from upload_tui.monitor.queries.parser import parse_query
from upload_tui.monitor.queries.query import Query
from upload_tui.status import PENDING_STAGES, Stage, contradicts_itself
from upload_tui.text import sanitize

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

__all__ = [
    "METRICS",
    "MetricText",
    "ProjectFigures",
    "ServiceFigures",
    "figures_of_uploads",
    "project_figures",
    "write_metrics",
]

_BOUNDS_SECONDS = tuple(4.0**power for power in range(-1, 10))
"""Upper bounds of the buckets: from a quarter of a second to three days. Latencies are counted in buckets that end there too."""
_PROJECT_LABELS = ("service", "project", "project_name")


class MetricDescription(Struct, frozen=True):
    """What a metric is called, and what it means."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


METRICS = (
    MetricDescription(
        "upload_tui_up", "gauge", ("service",), "1 if the service answers for all projects, 0 if one cannot be read"
    ),
    MetricDescription(
        "upload_tui_picture_age_seconds", "gauge", _PROJECT_LABELS, "Time since the uploads of a project were read"
    ),
    MetricDescription(
        "upload_tui_uploads", "gauge", (*_PROJECT_LABELS, "stage"), "Uploads in each stage; all others: unknown"
    ),
    MetricDescription(
        "upload_tui_oldest_pending_seconds",
        "gauge",
        (*_PROJECT_LABELS, "stage"),
        "Time for which the oldest pending upload has been in its stage; absent if none is pending",
    ),
    MetricDescription(
        "upload_tui_trouble_uploads", "gauge", (*_PROJECT_LABELS, "trouble"), "Uploads in trouble, each counted once"
    ),
    MetricDescription(
        "upload_tui_acknowledged_uploads",
        "gauge",
        _PROJECT_LABELS,
        "Uploads whose trouble is acknowledged, so that it does not count",
    ),
    MetricDescription(
        "upload_tui_stage_duration_seconds",
        "histogram",
        (*_PROJECT_LABELS, "from", "to"),
        "Time from one stage to another; the sum is estimated from the buckets",
    ),
    MetricDescription(
        "upload_tui_requests_total",
        "counter",
        ("service", "code"),
        "Requests to the service by the status code of the response; none if there was no response",
    ),
    MetricDescription(
        "upload_tui_request_errors_total", "counter", ("service",), "Requests that failed, for whatever reason"
    ),
)


class ProjectFigures(Struct, frozen=True, kw_only=True):
    """The figures of one project.

    Attributes:
        stages: the number of uploads by stage, and of those in a state that is not in the design (`unknown`).
        oldest_pending_seconds: how long the oldest upload has been in each pending stage; without stages in which none is.
        troubles: the number of uploads by trouble.
        acknowledged: the number of uploads whose trouble is acknowledged.
        durations: between two stages.
        revision: of the picture; -1 without one.
        age_seconds: since its uploads were read.
    """

    service: str
    project: ProjectRef
    stages: Mapping[str, int]
    oldest_pending_seconds: Mapping[str, float]
    troubles: Mapping[Trouble, int]
    acknowledged: int
    durations: Sequence[LatencyHistogram]
    age_seconds: float
    revision: int = -1

    @property
    def labels(self) -> tuple[str, ...]:
        """The values of the labels that all metrics of a project have; one without a name is called by its id."""
        return self.service, self.project.id, self.project.name or self.project.id


class ServiceFigures(Struct, frozen=True):
    """The figures of one service.

    Attributes:
        is_up: all its projects can be read.
        responses: the number of requests by status code (`none` without a response); None if requests are not counted.
        errors: how many of them failed.
    """

    service: str
    is_up: bool
    responses: Mapping[str, int] | None = None
    errors: int = 0


def project_figures(
    picture: Picture, service: str, project: ProjectRef, read_on: datetime, before: ProjectFigures | None = None
) -> ProjectFigures:
    """The figures of a project as of now.

    Args:
        picture: the uploads.
        service: the value of the label.
        project: the project.
        read_on: when its uploads were read.
        before: its last figures, whose durations are those of now while nothing has changed: they are costly with many uploads.
    """
    project_ids, now, revision = frozenset({project.id}), picture.clock.now(), picture.revision
    funnel = picture.funnel(project_ids)
    is_unchanged = before is not None and before.revision == revision
    return ProjectFigures(
        service=service,
        project=project,
        stages=_stage_counts({summary.stage: summary.count for summary in funnel.stages}, funnel.others),
        oldest_pending_seconds={
            summary.stage: max(0.0, oldest.seconds(now))
            for summary in funnel.stages
            if summary.stage in PENDING_STAGES and (oldest := oldest_age(summary))
        },
        troubles={trouble: funnel.troubles.get(trouble, 0) for trouble in Trouble},
        acknowledged=picture.window(Query(where=parse_query("is:acknowledged"), project_ids=project_ids), 0, 0).total,
        durations=before.durations if before and is_unchanged else picture.latencies(project_ids),
        age_seconds=max(0.0, (now - read_on).total_seconds()),
        revision=revision,
    )


def figures_of_uploads(
    details: Sequence[Detail], service: str, project: ProjectRef, now: datetime, read_on: datetime
) -> ProjectFigures:
    """The figures of some uploads of a project."""
    statistics = statistics_of(details)
    ages: dict[str, list[StageAge]] = {}
    for row in (detail.row for detail in details):
        if row.stage in PENDING_STAGES and not row.unknown_state and (age := age_of(row)):
            ages.setdefault(row.stage, []).append(age)
    return ProjectFigures(
        service=service,
        project=project,
        stages=_stage_counts(statistics.counts, sum(statistics.unknown_states.values())),
        oldest_pending_seconds={
            stage: max(0.0, *(one.seconds(now) for one in of_stage)) for stage, of_stage in ages.items()
        },
        troubles={trouble: len(ids) for trouble, ids in statistics.trouble_ids.items()},
        acknowledged=sum(detail.row.is_acknowledged for detail in details),
        durations=_durations(details),
        age_seconds=max(0.0, (now - read_on).total_seconds()),
    )


def _stage_counts(counts: Mapping[Stage, int], others: int) -> Mapping[str, int]:
    """The counts by value of the label `stage`: a state of the service's own gets none, as there may be very many."""
    return {**{str(stage): count for stage, count in counts.items()}, "unknown": others}


def _durations(details: Iterable[Detail]) -> Sequence[LatencyHistogram]:
    durations: dict[tuple[str, str], list[float]] = {pair: [] for pair in STAGE_PAIRS}
    for detail in details:
        if contradicts_itself(detail.upload.stage, detail.anomalies):
            continue
        for span in detail.upload.timeline.spans():
            if span.seconds is not None and span.seconds >= 0 and (span.start, span.end) in durations:
                durations[span.start, span.end].append(span.seconds)
    return [
        histogram_of(*pair, Counter(bucket_of(round(one * 1000)) for one in durations[pair]), durations[pair])
        for pair in STAGE_PAIRS
    ]


class MetricText(Struct, frozen=True):
    """Metrics as an HTTP response has them."""

    body: bytes
    content_type: str


def write_metrics(
    services: Sequence[ServiceFigures], projects: Sequence[ProjectFigures], accept: str = ""
) -> MetricText:
    """Write metrics in the text format of Prometheus, or in that of OpenMetrics if the header `Accept` of a request prefers it."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(services, projects))
    encode, content_type = choose_encoder(accept)
    return MetricText(encode(registry), content_type)


class _LabelTexts:
    """Sanitized values of labels. Those that differ only in what is invisible stay different: no sample may be there twice."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._used = set[str]()

    def of(self, values: Iterable[str]) -> Sequence[str]:
        """The text of each value."""
        return [self._texts[value] if value in self._texts else self._add(value) for value in values]

    def _add(self, value: str) -> str:
        text = sanitize(value, None)
        numbered = (f"{text} ({number})" for number in count(2))
        self._texts[value] = next(one for one in chain([text], numbered) if one not in self._used)
        self._used.add(self._texts[value])
        return self._texts[value]


class _Collector:
    """The metrics of some figures, as prometheus_client asks for them."""

    def __init__(self, services: Sequence[ServiceFigures], projects: Sequence[ProjectFigures]) -> None:
        self._services = services
        self._projects = projects
        self._texts = _LabelTexts()

    def collect(self) -> "Iterator[Metric]":
        """All metrics, in the order of `METRICS`."""
        samples: Mapping[str, Sequence[tuple[tuple[str, ...], float]]] = {
            "upload_tui_up": [((one.service,), float(one.is_up)) for one in self._services],
            "upload_tui_picture_age_seconds": [(one.labels, one.age_seconds) for one in self._projects],
            "upload_tui_uploads": self._samples("stages"),
            "upload_tui_oldest_pending_seconds": self._samples("oldest_pending_seconds"),
            "upload_tui_trouble_uploads": self._samples("troubles"),
            "upload_tui_acknowledged_uploads": [(one.labels, one.acknowledged) for one in self._projects],
            "upload_tui_requests_total": [
                ((one.service, code), count) for one in self._services for code, count in (one.responses or {}).items()
            ],
            "upload_tui_request_errors_total": [
                ((one.service,), one.errors) for one in self._services if one.responses is not None
            ],
        }
        for description in METRICS:
            metric = _family(description)
            for labels, value in samples.get(description.name, ()):
                metric.add_metric(self._texts.of(labels), value)
            if description.kind == "histogram":
                self._add_durations(metric)
            yield metric

    def _samples(self, field: str) -> Sequence[tuple[tuple[str, ...], float]]:
        return [
            ((*one.labels, str(label)), value) for one in self._projects for label, value in getattr(one, field).items()
        ]

    def _add_durations(self, metric: Any) -> None:
        for one in self._projects:
            for histogram in one.durations:
                labels = (*one.labels, histogram.from_stage, histogram.to_stage)
                total = sum(
                    bucket.count * (bucket.from_seconds + bucket.to_seconds) / 2 for bucket in histogram.buckets
                )
                metric.add_metric(self._texts.of(labels), _buckets(histogram), total)


def _buckets(histogram: LatencyHistogram) -> Sequence[tuple[str, float]]:
    """Cumulative counts by upper bound."""
    bounded = [
        (str(bound), sum(bucket.count for bucket in histogram.buckets if bucket.to_seconds <= bound))
        for bound in _BOUNDS_SECONDS
    ]
    return [*bounded, ("+Inf", histogram.count)]


def _family(description: MetricDescription) -> Any:
    from prometheus_client import metrics_core

    kinds = {
        "gauge": metrics_core.GaugeMetricFamily,
        "counter": metrics_core.CounterMetricFamily,
        "histogram": metrics_core.HistogramMetricFamily,
    }
    return kinds[description.kind](description.name, f"{description.help}.", labels=list(description.labels))
