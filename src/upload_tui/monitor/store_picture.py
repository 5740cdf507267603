"""What the store knows as a screen asks for it: windows, the funnel, one upload in detail, and the judgement of each."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property

from msgspec.structs import replace

from upload_tui.clock import Clock
from upload_tui.monitor.analysis.latency import STAGE_PAIRS, histogram_of
from upload_tui.monitor.analysis.lateness import (
    Baseline,
    Baselines,
    lateness_of,
    overdue_seconds,
    stuck_seconds,
    waits_for_client,
)
from upload_tui.monitor.analysis.verification_queue import VerificationQueue
from upload_tui.monitor.model import (
    CauseGroup,
    Detail,
    Funnel,
    LatencyHistogram,
    Lateness,
    Query,
    Row,
    StageSummary,
    Window,
)
from upload_tui.monitor.store.aggregates import StoreAggregates
from upload_tui.monitor.store.conditions import StuckThreshold, StuckThresholds
from upload_tui.monitor.store.store import Store, StoredUpload
from upload_tui.status import PENDING_STAGES, Stage
from upload_tui.wire import QueueStats

__all__ = ["STUCK_AFTER_SECONDS", "StorePicture"]

STUCK_AFTER_SECONDS = 900.0
_MAX_SAMPLES = 1000
_ENOUGH_SAMPLES = 200
_BASELINE_REFRESH_SECONDS = 5.0
"""Once enough is known, what is usual is reckoned anew at most so often."""
_STALE_SECONDS = 15.0
"""A picture that was last true so long ago shows pending uploads as old."""
_RECENT_MINUTES = 10
_NOT_LATE = Lateness()
_MIN_OVERDUE = 3


class StorePicture:
    """Answers questions from a store; asks no service.

    Args:
        store: what is known.
        clock: for ages.
        service: the URL where the uploads live.
        stuck_after_seconds: from which age a pending upload looks stuck.
        project_ids: the projects to speak of; empty for all that the store knows.
        read_since: pending uploads that were read before this are what an earlier visit left, and marked as old; None trusts all.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        service: str,
        stuck_after_seconds: float = STUCK_AFTER_SECONDS,
        project_ids: frozenset[str] = frozenset(),
        *,
        read_since: datetime | None = None,
    ) -> None:
        self._store = store
        self._aggregates = StoreAggregates(store, project_ids)
        self._project_ids = project_ids
        self._clock = clock
        self._read_since = read_since
        self._service = service
        self._stuck_after_seconds = stuck_after_seconds
        self._baseline_cache = (-1, 0.0, Baselines(()))
        self._queue = VerificationQueue()

    def now(self) -> datetime:
        """The present by the clock that ages are reckoned with."""
        return self._clock.now()

    def as_of(self) -> datetime:
        """The time as of which uploads are judged: the last at which the picture was true. Nobody grows late while we do not look."""
        return self.now() if self._read_since is None else self._previous_read_on

    def window(self, query: Query, offset: int, limit: int, patience_seconds: float | None = None) -> Window:
        """At most `limit` rows of a query's answer from row `offset`; with `patience_seconds`, of what they suffice to find."""
        stuck, query = self._stuck_thresholds(), self._restrict(query)
        found = self._store.find(query, stuck, offset, limit, patience_seconds)
        return Window(tuple(self._rows(found.uploads)), offset, found.total, self._store.revision, found.is_settled)

    def position(self, query: Query, upload_id: str) -> int | None:
        """The row (from 0) of an upload in a query's answer."""
        return self._store.position(self._restrict(query), self._stuck_thresholds(), upload_id)

    def _restrict(self, query: Query) -> Query:
        """The same query, but of our projects alone; the store may know more."""
        if not self._project_ids:
            return query
        wanted = query.project_ids & self._project_ids if query.project_ids else self._project_ids
        if {project.id for project in self._store.projects()} <= wanted:
            return query if not query.project_ids else replace(query, project_ids=frozenset())
        return replace(query, project_ids=wanted or frozenset({""}))

    def pending(self, limit: int) -> Sequence[Row]:
        """The pending uploads: the stuck, then the overdue, then those that have waited longest for the service."""
        rows = [*self._rows(self._store.pending(self._project_ids, limit=max(limit * 8, 64)))]
        rows.sort(key=lambda row: (not row.lateness.is_stuck, not row.lateness.is_overdue, -row.stage.rank))
        return rows[:limit]

    def detail(self, upload_id: str) -> Detail | None:
        """One upload with its timeline and the service's words."""
        stored = self._store.get(upload_id)
        if stored is None:
            return None
        raw = self._store.raw(upload_id)
        from upload_tui.monitor.sync.comparison import reread  # only what is looked at closely is read again

        upload = reread(raw, stored)
        if upload is None:
            return None
        pretty = json.dumps(json.loads(raw), indent=2, ensure_ascii=False)
        return Detail(
            upload=upload, row=next(self._rows([stored])), anomalies=(*upload.anomalies, *stored.noticed), raw=pretty
        )

    def causes(self) -> Sequence[CauseGroup]:
        """The failed uploads by cause, storage provider and uploader, the largest group first."""
        return self._aggregates.causes()

    def latencies(self) -> Sequence[LatencyHistogram]:
        """How long uploads took from each stage to the next."""
        return [
            histogram_of(after, before, self._aggregates.latency_buckets(after, before))
            for after, before in STAGE_PAIRS
        ]

    def funnel(self) -> Funnel:
        """The stages with counts, ages and the last minutes."""
        counts = self._aggregates.stage_counts()
        summaries = tuple(self._summary(stage, *counts.get(stage, (0, None, None))) for stage in Stage)
        return Funnel(summaries, self._worker_notice(summaries) or self._store.notice)

    def _summary(self, stage: Stage, count: int, oldest: datetime | None, newest: datetime | None) -> StageSummary:
        now, overdue, stuck = self.as_of(), 0, 0
        if stage is Stage.INITIATED and count:
            overdue = stuck = self._aggregates.count_idle_initiated(self._stuck_thresholds().initiated)
        elif stage is Stage.COMPLETED and count:
            stuck = self._aggregates.count_completed_before(self._thresholds(stuck_seconds))
            overdue = self._aggregates.count_completed_before(self._thresholds(overdue_seconds))
        recent = self._aggregates.arrivals(stage, now - timedelta(minutes=_RECENT_MINUTES), _RECENT_MINUTES)
        return StageSummary(stage, count, oldest, newest, overdue, stuck, recent)

    def _worker_notice(self, summaries: Sequence[StageSummary]) -> str:
        """Whether it is one upload or all of them, from outcomes alone."""
        waiting = summaries[Stage.COMPLETED.rank]
        if waiting.overdue < _MIN_OVERDUE or waiting.oldest_since is None:
            return ""
        ended = [summaries[stage.rank].newest_since for stage in (Stage.VERIFIED, Stage.ERROR)]
        last_end = max((on for on in ended if on is not None), default=waiting.oldest_since)
        quiet = self.as_of() - max(last_end, waiting.oldest_since)
        usual = self._baselines().overall
        patience_seconds = self._stuck_after_seconds if usual is None else max(30.0, 3 * usual.p95_seconds)
        if quiet.total_seconds() < patience_seconds:
            return ""
        minutes = max(1, round(quiet.total_seconds() / 60))
        return f"the verification worker looks stopped: 0 verified in {minutes} min, {waiting.count:,} wait"

    @cached_property
    def _previous_read_on(self) -> datetime:
        """When an earlier visit last looked after what was pending."""
        return min(self._aggregates.last_read(*PENDING_STAGES) or self.now(), self.now())

    def set_queue_stats(self, queue: QueueStats | None) -> None:
        """What the service says of its verification queue; None if it says nothing."""
        self._queue.update(queue)

    # Judgement

    def _baselines(self) -> Baselines:
        revision, made_at, habits = self._baseline_cache
        now = self._clock.monotonic()
        is_due = habits.samples < _ENOUGH_SAMPLES or now - made_at >= _BASELINE_REFRESH_SECONDS
        if revision != self._store.revision and is_due:
            habits = Baselines(self._aggregates.durations(_MAX_SAMPLES))
            self._baseline_cache = (self._store.revision, now, habits)
        return habits

    def _stuck_thresholds(self) -> StuckThresholds:
        return self._thresholds(stuck_seconds)

    def _thresholds(self, limit_seconds: Callable[[Baseline | None, float], float]) -> StuckThresholds:
        """From which times on pending uploads are late; to the second, so that an answer is good for as long."""
        now, habits = self.as_of().replace(microsecond=0), self._baselines()

        def ago(usual: Baseline | None) -> datetime:
            return now - timedelta(seconds=limit_seconds(usual, self._stuck_after_seconds))

        particular = tuple(
            StuckThreshold(project_id, least, limit, ago(usual))
            for project_id, least, limit, usual in habits.specific()
        )
        return StuckThresholds(now - timedelta(seconds=self._stuck_after_seconds), ago(None), particular)

    def _rows(self, found: Iterable[StoredUpload]) -> Iterator[Row]:
        """Rows as they were when the picture was last true; a window has many, so that and what is usual are asked for once."""
        judged_on, habits = self.as_of(), self._baselines()
        is_old = (self.now() - judged_on).total_seconds() > _STALE_SECONDS
        verification = self._queue.waits_for(judged_on, habits.overall, self._last_ended_on)
        for stored in found:
            yield self._row(stored, judged_on, habits, verification, is_old=is_old)

    def _last_ended_on(self) -> datetime | None:
        """When an upload was last verified or failed."""
        counts = self._aggregates.stage_counts()
        ends = [counts[stage][2] for stage in (Stage.VERIFIED, Stage.ERROR) if stage in counts]
        return max((on for on in ends if on is not None), default=None)

    def _is_from_previous_session(self, stored: StoredUpload) -> bool:
        """What an earlier visit left."""
        return self._read_since is not None and stored.read_on < self._read_since

    def _lateness(self, stored: StoredUpload, now: datetime, baselines: Baselines, waits_for: str) -> Lateness:
        usual = baselines.baseline(stored.project_id, stored.size_bytes)
        judgement = lateness_of(stored.stage, stored.since, stored.activity_on, now, usual, self._stuck_after_seconds)
        if stored.stage is Stage.COMPLETED:
            return replace(judgement, waits_for=waits_for)
        waits_for = waits_for_client(stored.size_bytes, stored.chunk_count, stored.chunk_bytes)
        return replace(judgement, waits_for=waits_for)

    def _row(self, stored: StoredUpload, now: datetime, baselines: Baselines, waits_for: str, *, is_old: bool) -> Row:
        # Verified and failed uploads stay what they are; of all others only the present can be believed.
        is_doubtful = not stored.stage.is_final and (is_old or self._is_from_previous_session(stored))
        judgement = _NOT_LATE if stored.stage.is_final else self._lateness(stored, now, baselines, waits_for)
        return Row(
            id=stored.id,
            name=stored.name,
            project_id=stored.project_id,
            project_name=stored.project_name,
            service=self._service,
            size_bytes=stored.size_bytes,
            stage=stored.stage,
            stage_since=stored.since,
            since_certainty=stored.certainty,
            initiated_on=stored.initiated_on,
            completed_on=stored.completed_on,
            ended_on=stored.ended_on,
            chunk_count=stored.chunk_count,
            chunk_bytes=stored.chunk_bytes,
            error_message=stored.error_message,
            lateness=judgement,
            anomaly_count=stored.anomaly_count,
            is_purged=stored.is_purged,
            is_gone=stored.is_gone,
            is_stale=stored.is_stale or is_doubtful,
            read_on=stored.read_on,
        )
