"""The baselines of a store, the times that decide on trouble as of a moment, and the numbers of uploads in stages and trouble."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from upload_tui.clock import Clock
from upload_tui.monitor.ages import PendingReadings
from upload_tui.monitor.analysis.trouble import Baseline, Baselines, TroubleLimits, overdue_seconds, stuck_seconds
from upload_tui.monitor.model import StageSummary, Trouble
from upload_tui.monitor.store.aggregates import StoreAggregates
from upload_tui.monitor.store.conditions import TroubleThresholds, WaitThreshold, WaitThresholds
from upload_tui.monitor.store.store import Store
from upload_tui.status import Stage

__all__ = ["TroubleRules", "stage_summaries", "trouble_counts"]

_RECENT_MINUTES = 10
_MAX_SAMPLES = 1000
"""Durations per project that baselines are made of."""
_ENOUGH_SAMPLES = 200
_BASELINE_REFRESH_SECONDS = 5.0
"""With enough samples, baselines are computed again at most this often."""


class TroubleRules:
    """What is usual for the uploads of a store, and from when on an upload is in trouble.

    Args:
        store: the store.
        aggregates: of the projects whose uploads are compared.
        clock: for the time between two computations of the baselines.
        limits: the settings that decide on trouble.
    """

    def __init__(self, store: Store, aggregates: StoreAggregates, clock: Clock, limits: TroubleLimits) -> None:
        self._store = store
        self._aggregates = aggregates
        self._clock = clock
        self._limits = limits
        self._baseline_cache = (store.generation, -1, 0.0, Baselines(()))
        self._thresholds: TroubleThresholds | None = None
        self._thresholds_key: tuple[object, ...] = ()

    def baselines(self) -> Baselines:
        """The baselines, which may be some seconds old."""
        generation, revision, computed_at, baselines = self._baseline_cache
        now, store = self._clock.monotonic(), self._store
        is_due = baselines.samples < _ENOUGH_SAMPLES or now - computed_at >= _BASELINE_REFRESH_SECONDS
        if generation != store.generation or (
            is_due and revision != store.revision
        ):  # the store asks its file for that
            baselines = Baselines(self._aggregates.durations(_MAX_SAMPLES))
            self._baseline_cache = (store.generation, store.revision, now, baselines)
        return baselines

    def thresholds(self, as_of: datetime, behind: Mapping[str, timedelta]) -> TroubleThresholds:
        """The times as of then, in whole seconds: cached results stay valid for a second, and a row and a filter agree.

        `behind` has the projects that were last current so long before `as_of`.
        """
        now, baselines = as_of.replace(microsecond=0), self.baselines()
        behind_ms = tuple((project_id, lag // timedelta(milliseconds=1)) for project_id, lag in behind.items())
        if (now, behind_ms, baselines) != self._thresholds_key:
            self._thresholds_key = (now, behind_ms, baselines)
            self._thresholds = TroubleThresholds(
                self._waiting_since_before(overdue_seconds, now, behind_ms),
                self._limits.failed_since(now),
                self._waiting_since_before(stuck_seconds, now, behind_ms),
                now,
            )
        assert self._thresholds is not None  # noqa: S101  # it has a key
        return self._thresholds

    def _waiting_since_before(
        self,
        limit_seconds: Callable[[Baseline | None, float], float],
        now: datetime,
        behind_ms: tuple[tuple[str, int], ...],
    ) -> WaitThresholds:
        stuck_after_seconds = self._limits.stuck_after_seconds

        def before(baseline: Baseline | None) -> datetime:
            return now - timedelta(seconds=limit_seconds(baseline, stuck_after_seconds))

        specific = tuple(
            WaitThreshold(project_id, min_bytes, below_bytes, before(baseline))
            for project_id, min_bytes, below_bytes, baseline in self.baselines().specific()
        )
        return WaitThresholds(before(None), before(None), specific, behind_ms)


def stage_summaries(
    aggregates: StoreAggregates,
    thresholds: TroubleThresholds,
    as_of: datetime,
    readings: PendingReadings,
) -> tuple[StageSummary, ...]:
    """The stages with counts, ages and recent arrivals; `readings` as in `StoreAggregates.stage_counts`."""
    counts = aggregates.stage_counts(readings)
    recent_since = as_of - timedelta(minutes=_RECENT_MINUTES)
    return tuple(
        replace(
            counts.get(stage, StageSummary(stage)),
            **(_late_counts(aggregates, stage, thresholds) if stage in counts else {}),
            recent=aggregates.arrivals(stage, recent_since, _RECENT_MINUTES),
        )
        for stage in Stage
    )


def _late_counts(aggregates: StoreAggregates, stage: Stage, thresholds: TroubleThresholds) -> Mapping[str, int]:
    """The numbers of overdue and of stuck uploads in a stage."""
    if stage is Stage.INITIATED:
        idle = aggregates.count_idle_initiated(thresholds.stuck, thresholds.now)
        return {"overdue": idle, "stuck": idle}
    if stage is Stage.COMPLETED:
        overdue, stuck = (
            aggregates.count_completed_before(before, thresholds.now)
            for before in (thresholds.overdue, thresholds.stuck)
        )
        return {"overdue": overdue, "stuck": stuck}
    return {}


def trouble_counts(
    aggregates: StoreAggregates, stages: Sequence[StageSummary], failed: int, now: datetime
) -> Mapping[Trouble, int]:
    """The number of uploads by trouble, of those in trouble."""
    stuck = sum(summary.stuck for summary in stages)
    counts = {
        Trouble.CONTRADICTORY: aggregates.count_contradictory(now),
        Trouble.STUCK: stuck,
        Trouble.FAILED: failed,
        Trouble.OVERDUE: sum(max(summary.overdue, summary.stuck) for summary in stages) - stuck,
    }
    return {trouble: count for trouble, count in counts.items() if count}
