"""What the store knows as a screen asks for it: windows, the funnel, one upload in detail, and the judgement of each."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property

from msgspec.structs import replace

from upload_tui.clock import Clock
from upload_tui.monitor.histogram import PAIRS, histogram_of
from upload_tui.monitor.judge import Habits, Usual, judge, overdue_seconds, stuck_seconds, waits_for_bytes
from upload_tui.monitor.picture import (
    CauseGroup,
    Detail,
    Funnel,
    Judgement,
    LatencyHistogram,
    Query,
    Row,
    StageSummary,
    Window,
)
from upload_tui.monitor.store import Store, StoredUpload
from upload_tui.monitor.store_conditions import StuckBefore, StuckLimit
from upload_tui.monitor.stored_figures import StoredFigures
from upload_tui.monitor.verification_queue import VerificationQueue
from upload_tui.status import PENDING_STAGES, Stage
from upload_tui.wire.queue import QueueFacts

__all__ = ["STUCK_AFTER_SECONDS", "StoredPicture"]

STUCK_AFTER_SECONDS = 900.0
_SAMPLES = 1000
_ENOUGH_SAMPLES = 200
_HABIT_SECONDS = 5.0
"""Once enough is known, what is usual is reckoned anew at most so often."""
_OLD_SECONDS = 15.0
"""A picture that was last true so long ago shows pending uploads as old."""
_RECENT_MINUTES = 10
_NOTHING_TO_JUDGE = Judgement()
_WAITING_AT_LEAST = 3


class StoredPicture:
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
        self._figures = StoredFigures(store, project_ids)
        self._project_ids = project_ids
        self._clock = clock
        self._read_since = read_since
        self._service = service
        self._stuck_after_seconds = stuck_after_seconds
        self._habits = (-1, 0.0, Habits(()))
        self._queue = VerificationQueue()

    def now(self) -> datetime:
        """The present by the clock that ages are reckoned with."""
        return self._clock.now()

    def judged_on(self) -> datetime:
        """The time as of which uploads are judged: the last at which the picture was true. Nobody grows late while we do not look."""
        return self.now() if self._read_since is None else self._left_on

    def window(self, query: Query, offset: int, limit: int, patience_seconds: float | None = None) -> Window:
        """At most `limit` rows of a query's answer from row `offset`; with `patience_seconds`, of what they suffice to find."""
        stuck, query = self._stuck_before(), self._within(query)
        found = self._store.look(query, stuck, offset, limit, patience_seconds)
        return Window(tuple(self._rows(found.uploads)), offset, found.total, self._store.revision, found.is_settled)

    def position(self, query: Query, upload_id: str) -> int | None:
        """The row (from 0) of an upload in a query's answer."""
        return self._store.position(self._within(query), self._stuck_before(), upload_id)

    def _within(self, query: Query) -> Query:
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
        rows.sort(key=lambda row: (not row.judgement.is_stuck, not row.judgement.is_overdue, -row.stage.rank))
        return rows[:limit]

    def detail(self, upload_id: str) -> Detail | None:
        """One upload with its timeline and the service's words."""
        stored = self._store.get(upload_id)
        if stored is None:
            return None
        raw = self._store.raw(upload_id)
        from upload_tui.monitor.comparison import recall  # only what is looked at closely is read again

        upload = recall(raw, stored)
        if upload is None:
            return None
        pretty = json.dumps(json.loads(raw), indent=2, ensure_ascii=False)
        return Detail(
            upload=upload, row=next(self._rows([stored])), anomalies=(*upload.anomalies, *stored.noticed), raw=pretty
        )

    def causes(self) -> Sequence[CauseGroup]:
        """The failed uploads by cause, storage provider and uploader, the largest group first."""
        return self._figures.causes()

    def latencies(self) -> Sequence[LatencyHistogram]:
        """How long uploads took from each stage to the next."""
        return [histogram_of(after, before, self._figures.latency_buckets(after, before)) for after, before in PAIRS]

    def funnel(self) -> Funnel:
        """The stages with counts, ages and the last minutes."""
        counts = self._figures.stage_counts()
        summaries = tuple(self._summary(stage, *counts.get(stage, (0, None, None))) for stage in Stage)
        return Funnel(summaries, self._remark(summaries) or self._store.remark)

    def _summary(self, stage: Stage, count: int, oldest: datetime | None, newest: datetime | None) -> StageSummary:
        now, overdue, stuck = self.judged_on(), 0, 0
        if stage is Stage.INITIATED and count:
            overdue = stuck = self._figures.stuck_initiated(self._stuck_before().initiated)
        elif stage is Stage.COMPLETED and count:
            stuck = self._figures.late_completed(self._limits(stuck_seconds))
            overdue = self._figures.late_completed(self._limits(overdue_seconds))
        recent = self._figures.arrivals(stage, now - timedelta(minutes=_RECENT_MINUTES), _RECENT_MINUTES)
        return StageSummary(stage, count, oldest, newest, overdue, stuck, recent)

    def _remark(self, summaries: Sequence[StageSummary]) -> str:
        """Whether it is one upload or all of them, from outcomes alone."""
        waiting = summaries[Stage.COMPLETED.rank]
        if waiting.overdue < _WAITING_AT_LEAST or waiting.oldest_since is None:
            return ""
        ended = [summaries[stage.rank].newest_since for stage in (Stage.VERIFIED, Stage.ERROR)]
        last_end = max((on for on in ended if on is not None), default=waiting.oldest_since)
        quiet = self.judged_on() - max(last_end, waiting.oldest_since)
        usual = self._habits_now().everywhere
        patience_seconds = self._stuck_after_seconds if usual is None else max(30.0, 3 * usual.p95_seconds)
        if quiet.total_seconds() < patience_seconds:
            return ""
        minutes = max(1, round(quiet.total_seconds() / 60))
        return f"the verification worker looks stopped: 0 verified in {minutes} min, {waiting.count:,} wait"

    @cached_property
    def _left_on(self) -> datetime:
        """When an earlier visit last looked after what was pending."""
        return min(self._figures.last_read(*PENDING_STAGES) or self.now(), self.now())

    def take_queue(self, queue: QueueFacts | None) -> None:
        """What the service says of its verification queue; None if it says nothing."""
        self._queue.take(queue)

    # Judgement

    def _habits_now(self) -> Habits:
        revision, made_at, habits = self._habits
        now = self._clock.monotonic()
        is_due = habits.samples < _ENOUGH_SAMPLES or now - made_at >= _HABIT_SECONDS
        if revision != self._store.revision and is_due:
            habits = Habits(self._figures.durations(_SAMPLES))
            self._habits = (self._store.revision, now, habits)
        return habits

    def _stuck_before(self) -> StuckBefore:
        return self._limits(stuck_seconds)

    def _limits(self, limit_seconds: Callable[[Usual | None, float], float]) -> StuckBefore:
        """From which times on pending uploads are late; to the second, so that an answer is good for as long."""
        now, habits = self.judged_on().replace(microsecond=0), self._habits_now()

        def ago(usual: Usual | None) -> datetime:
            return now - timedelta(seconds=limit_seconds(usual, self._stuck_after_seconds))

        particular = tuple(
            StuckLimit(project_id, least, limit, ago(usual)) for project_id, least, limit, usual in habits.particular()
        )
        return StuckBefore(now - timedelta(seconds=self._stuck_after_seconds), ago(None), particular)

    def _rows(self, found: Iterable[StoredUpload]) -> Iterator[Row]:
        """Rows as they were when the picture was last true; a window has many, so that and what is usual are asked for once."""
        judged_on, habits = self.judged_on(), self._habits_now()
        is_old = (self.now() - judged_on).total_seconds() > _OLD_SECONDS
        verification = self._queue.words(judged_on, habits.everywhere, self._last_end)
        for stored in found:
            yield self._row(stored, judged_on, habits, verification, is_old=is_old)

    def _last_end(self) -> datetime | None:
        """When an upload was last verified or failed."""
        counts = self._figures.stage_counts()
        ends = [counts[stage][2] for stage in (Stage.VERIFIED, Stage.ERROR) if stage in counts]
        return max((on for on in ends if on is not None), default=None)

    def _is_left_over(self, stored: StoredUpload) -> bool:
        """What an earlier visit left."""
        return self._read_since is not None and stored.read_on < self._read_since

    def _judgement(self, stored: StoredUpload, now: datetime, habits: Habits, verification: str) -> Judgement:
        usual = habits.usual(stored.project_id, stored.size_bytes)
        judgement = judge(stored.stage, stored.since, stored.activity_on, now, usual, self._stuck_after_seconds)
        if stored.stage is Stage.COMPLETED:
            return replace(judgement, waits_for=verification)
        waits_for = waits_for_bytes(stored.size_bytes, stored.chunk_count, stored.chunk_bytes)
        return replace(judgement, waits_for=waits_for)

    def _row(self, stored: StoredUpload, now: datetime, habits: Habits, verification: str, *, is_old: bool) -> Row:
        # Verified and failed uploads stay what they are; of all others only the present can be believed.
        is_doubtful = not stored.stage.is_final and (is_old or self._is_left_over(stored))
        judgement = _NOTHING_TO_JUDGE if stored.stage.is_final else self._judgement(stored, now, habits, verification)
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
            judgement=judgement,
            anomaly_count=stored.anomaly_count,
            is_purged=stored.is_purged,
            is_gone=stored.is_gone,
            is_stale=stored.is_stale or is_doubtful,
            read_on=stored.read_on,
        )
