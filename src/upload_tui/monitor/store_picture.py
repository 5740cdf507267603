"""The picture that a store holds, as screens read it: windows of rows, the funnel, one upload in detail."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Any

from msgspec.structs import replace

from upload_tui.clock import Clock
from upload_tui.monitor.ages import PendingReadings
from upload_tui.monitor.analysis.statistics import STAGE_PAIRS, LatencyHistogram
from upload_tui.monitor.analysis.trouble import (
    DEFAULT_TROUBLE_LIMITS,
    NEVER,
    Baselines,
    TroubleLimits,
    lateness_of,
    trouble_of,
    waiting_order,
    waits_for_client,
)
from upload_tui.monitor.analysis.worker_health import (
    VerificationQueue,
    WaitingUploads,
    has_worker,
    tolerated_silence_seconds,
    worker_notice,
)
from upload_tui.monitor.model import (
    Acknowledgement,
    CauseGroup,
    Detail,
    Funnel,
    Lateness,
    Row,
    WaitsFor,
    Window,
)
from upload_tui.monitor.notices import Notice, store_notice
from upload_tui.monitor.picture import Freshness
from upload_tui.monitor.queries.matching import with_service
from upload_tui.monitor.queries.query import EVERYTHING, Query, Where
from upload_tui.monitor.store.aggregates import StageCounts, StoreAggregates, WorkerFigures, last_ended_on
from upload_tui.monitor.store.conditions import TroubleThresholds
from upload_tui.monitor.store.row_finder import FoundRows
from upload_tui.monitor.store.rows import from_ms
from upload_tui.monitor.store.store import Store, StoredUpload
from upload_tui.monitor.sync.state import SyncState
from upload_tui.monitor.trouble_rules import TroubleRules, stage_summaries, trouble_counts
from upload_tui.status import PENDING_STAGES, Ability, Origin, Stage

__all__ = ["StorePicture"]

_STALE_SECONDS = 5.0
"""Pending uploads are stale if the picture is older than this: while it is live it is as of now, and a retry may be short."""
_MAX_CURRENT_AGE_SECONDS = 1.0
"""Estimates hold if the picture is not older than this: while a project is live it is as of now, also between two polls."""
_BATCH_ROWS = 500
_NOT_LATE = Lateness()
_NO_TIME = timedelta()
_FOREVER = datetime.max.replace(tzinfo=UTC)


class StorePicture:
    """A picture of the uploads in a store; implements `Picture`. It sends no requests.

    Args:
        store: the store.
        clock: for the present and for ages.
        service: the URL of the service.
        limits: the settings that decide on trouble.
        project_ids: the projects to include; empty for all in the store.
        freshness: how current the uploads are; None if they always are.
        title: the name of the service on screen, by which queries find it too; empty for none.

    Attributes:
        queue: the service's verification queue, to be updated by the session.
        visible_projects: the projects of the rows that were last asked for, as a table does.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        service: str,
        limits: TroubleLimits = DEFAULT_TROUBLE_LIMITS,
        project_ids: frozenset[str] = frozenset(),
        freshness: Freshness | None = None,
        title: str = "",
    ) -> None:
        self._store = store
        self._aggregates = StoreAggregates(store, project_ids)
        self._worker_figures = WorkerFigures(store, project_ids)
        self._project_ids = project_ids
        self.clock = clock
        self._freshness = freshness
        self.service = service
        self._title = title
        self._limits = limits
        self._trouble_rules = TroubleRules(store, self._aggregates, clock, limits)
        self.queue = VerificationQueue()
        self.visible_projects = frozenset[str]()

    @property
    def revision(self) -> int:
        """Increases whenever the uploads may have changed."""
        return self._store.revision

    def as_of(self, project_id: str = "") -> datetime:
        """When the picture, or one of its projects, was last current.

        Lateness is as of then, so that no upload becomes late while it cannot be refreshed.
        """
        if self._freshness is None:
            return self.clock.now()
        read_on = self._freshness.as_of(project_id)
        if read_on is None and project_id:
            read_on = self._previous_reads.get(project_id) or self._freshness.as_of()
        return read_on or min(self.previous_read_on or self.clock.now(), self.clock.now())

    def _behind(self, as_of: datetime) -> Mapping[str, timedelta]:
        """The projects that were last current long before the picture as a whole, and how long."""
        if self._freshness is None:
            return {}
        project_ids = self._project_ids or {project.id for project in self._store.projects()}
        seconds = {project_id: (as_of - self.as_of(project_id)).total_seconds() for project_id in project_ids}
        return {one: timedelta(seconds=int(lag)) for one, lag in sorted(seconds.items()) if lag > _STALE_SECONDS}

    @cached_property
    def previous_read_on(self) -> datetime | None:
        """When a previous session last read the picture; None if none did."""
        synced = self._previous_reads.values()
        times = [on for on in (self._aggregates.last_read(*PENDING_STAGES), *synced) if on is not None]
        return min(max(times), self.clock.now()) if times else None

    @cached_property
    def _previous_reads(self) -> Mapping[str, datetime]:
        """When a previous session last read each project."""
        project_ids = self._project_ids or {project.id for project in self._store.projects()}
        reads = {project_id: from_ms(SyncState(self._store, project_id).synced_ms) for project_id in project_ids}
        return {project_id: min(on, self.clock.now()) for project_id, on in reads.items() if on is not None}

    def _stale_before(self, project_id: str) -> datetime:
        """Until when readings of a project's pending uploads may be outdated: all, or those of an earlier session."""
        is_old = (self.clock.now() - self.as_of(project_id)).total_seconds() > _STALE_SECONDS
        return _FOREVER if is_old else self._read_since or NEVER

    def _pending_readings(self) -> PendingReadings:
        return PendingReadings(self.clock.now(), self._stale_before, partial(_listed_on, self._store, self.service))

    @property
    def _read_since(self) -> datetime | None:
        return None if self._freshness is None else self._freshness.read_since

    # Queries

    def window(self, query: Query, offset: int, limit: int, patience_seconds: float | None = None) -> Window:
        """At most `limit` rows of a query's result from `offset`; with `patience_seconds`, a search may be incomplete."""
        thresholds, query = self._trouble_thresholds(), self._restrict(query)
        result = self._store.find(query, thresholds, offset, limit, patience_seconds)
        if limit > 1:
            self.visible_projects = frozenset(stored.project_id for stored in result.uploads)
        return _window(tuple(self._rows(result.uploads)), offset, result.found, result.revision)

    def acknowledge(self, ids: Sequence[str], acknowledgement: Acknowledgement | None, service: str = "") -> None:  # noqa: ARG002
        """Acknowledge what is wrong with uploads; None takes it back."""
        self._store.acknowledge(ids, acknowledgement)

    def position(self, query: Query, upload_id: str, service: str = "") -> int | None:  # noqa: ARG002
        """The position (from 0) of an upload in a query's result; None if it is not in it."""
        return self._store.position(self._restrict(query), self._trouble_thresholds(), upload_id)

    def _restrict(self, query: Query) -> Query:
        """The query, limited to this picture's projects and service."""
        if query.where.tree != EVERYTHING:
            query = replace(query, where=Where(tree=with_service(query.where.tree, self.service, self._title)))
        if not self._project_ids:
            return query
        project_ids = self._scope(query.project_ids)
        if {project.id for project in self._store.projects()} <= project_ids:
            return query if not query.project_ids else replace(query, project_ids=frozenset())
        return replace(query, project_ids=project_ids)

    def _scope(self, project_ids: frozenset[str]) -> frozenset[str]:
        """Those of the projects that this picture includes (empty: all); an id that no project has if none is left."""
        if not self._project_ids or not project_ids:
            return project_ids or self._project_ids
        return project_ids & self._project_ids or frozenset({""})

    def _aggregates_of(self, project_ids: frozenset[str]) -> StoreAggregates:
        return StoreAggregates(self._store, self._scope(project_ids)) if project_ids else self._aggregates

    def pending(self, limit: int, project_ids: frozenset[str] = frozenset()) -> Sequence[Row]:
        """The pending uploads: stuck, then overdue, then others; each the longest waiting first."""
        readings = self._pending_readings()
        oldest = self._aggregates_of(project_ids).oldest_pending(readings, max(limit * 4, 32))
        return sorted(self._rows(oldest), key=partial(waiting_order, readings.now))[:limit]

    def row(self, upload_id: str, service: str = "") -> Row | None:  # noqa: ARG002
        """One upload as a row; None if it is not known."""
        stored = self._store.get(upload_id)
        return None if stored is None else next(self._rows([stored]))

    def detail(self, upload_id: str, service: str = "") -> Detail | None:  # noqa: ARG002
        """One upload with its timeline and raw JSON; None if it is not known or its JSON is damaged."""
        stored = self._store.get(upload_id)
        if stored is None:
            return None
        found = next(self._details([stored]))
        raw = _raw_text(self._store.raw_json.entries([stored.number]).get(stored.number))
        gone_on = self._store.change_log.gone_on(stored.id, stored.project_id) if stored.is_gone else None
        return None if found is None else replace(found, raw=raw, gone_on=gone_on)

    def details(self, query: Query) -> Iterator[Detail]:
        """All of a query's result, without raw JSON: each upload once, also if the store changes meanwhile."""
        numbers = self._store.find_numbers(self._restrict(query), self._trouble_thresholds())
        for start in range(0, len(numbers), _BATCH_ROWS):
            yield from filter(None, self._details(self._store.load(numbers[start : start + _BATCH_ROWS])))

    def _details(self, uploads: Sequence[StoredUpload]) -> Iterator[Detail | None]:
        entries = self._store.raw_json.entries([stored.number for stored in uploads])
        for stored, row in zip(uploads, self._rows(uploads), strict=True):
            yield _detail(stored, row, entries.get(stored.number))

    def causes(self, project_ids: frozenset[str] = frozenset()) -> Sequence[CauseGroup]:
        """Failed uploads by cause, storage provider and uploader; the largest group first."""
        return self._aggregates_of(project_ids).causes()

    def latencies(self, project_ids: frozenset[str] = frozenset()) -> Sequence[LatencyHistogram]:
        """Latency histograms of all pairs of successive stages."""
        aggregates = self._aggregates_of(project_ids)
        return [aggregates.latency(*stages) for stages in STAGE_PAIRS]

    def funnel(self, project_ids: frozenset[str] = frozenset()) -> Funnel:
        """The stages with counts, ages and recent arrivals; the notices are about the whole picture."""
        aggregates = self._aggregates_of(project_ids)
        thresholds = self._trouble_thresholds()
        stages = stage_summaries(aggregates, thresholds, self.as_of(), self._pending_readings())
        failures = aggregates.count_failed(thresholds.failed_since, thresholds.now)
        troubles = trouble_counts(aggregates, stages, sum(failures.values()), thresholds.now)
        counts = self._aggregates.stage_counts()
        about_store = store_notice(self._store.notice, self._store.db.uncached_reason)
        notices = tuple(filter(None, (self._worker_notice(counts), about_store)))
        return Funnel(stages, notices, troubles, aggregates.count_gone(), failures, aggregates.count_others())

    def _worker_notice(self, counts: StageCounts) -> Notice | None:
        if Stage.COMPLETED not in counts:
            return None
        ended, completed_count = self._worker_figures.ended, counts[Stage.COMPLETED].count
        notice = worker_notice(self._waiting(), ended, self.queue, self.as_of(), last_ended_on(counts), completed_count)
        return notice if notice and has_worker(self.service, ended) else None

    def _waiting(self) -> WaitingUploads:
        return self._worker_figures.waiting(self.as_of(), is_polled=self._read_since is not None)

    def _tolerated_silence_seconds(self) -> float:
        """How long no upload may end although the worker is running."""
        ended, largest_bytes = self._worker_figures.ended(), self._waiting().largest_bytes
        return tolerated_silence_seconds(ended, largest_bytes)

    def _trouble_thresholds(self) -> TroubleThresholds:
        as_of = self.as_of()
        return self._trouble_rules.thresholds(as_of, self._behind(as_of))

    def _lateness(
        self, stored: StoredUpload, now: datetime, baselines: Baselines, queued: tuple[WaitsFor, int | None]
    ) -> Lateness:
        """The lateness of a pending upload; `queued` is what completed uploads wait for, and the depth of their queue."""
        baseline = baselines.baseline(stored.project_id, stored.size_bytes)
        since = stored.idle_since if stored.stage is Stage.INITIATED else stored.since
        lateness = lateness_of(stored.stage, since, now, baseline, self._limits.stuck_after_seconds)
        if stored.stage is not Stage.COMPLETED:
            queued = waits_for_client(stored.size_bytes, stored.chunk_count, stored.chunk_bytes), None
        return replace(lateness, waits_for=queued[0], queue_depth=queued[1])

    # Rows

    def _rows(self, uploads: Sequence[StoredUpload]) -> Iterator[Row]:
        """Rows as of the last time the picture was current; what they share is computed once."""
        as_of, baselines = self.as_of(), self._trouble_rules.baselines()
        behind, as_of = self._behind(as_of), as_of.replace(microsecond=0)
        ages_seconds = {
            project_id: (self.clock.now() - self.as_of(project_id)).total_seconds()
            for project_id in {stored.project_id for stored in uploads}
        }
        stale_before = {project_id: self._stale_before(project_id) for project_id in ages_seconds}
        listed_on = {project_id: _listed_on(self._store, self.service, project_id) for project_id in ages_seconds}
        queued = self.queue.waits_for(
            as_of, lambda: last_ended_on(self._aggregates.stage_counts()), self._tolerated_silence_seconds
        )
        for stored in uploads:
            # Final stages do not change; a pending upload may have moved on since it was read.
            is_final = stored.stage.is_final
            is_pending = not (is_final or stored.unknown_state or stored.is_gone)
            own_as_of = as_of - behind.get(stored.project_id, _NO_TIME)
            lateness = self._lateness(stored, own_as_of, baselines, queued) if is_pending else _NOT_LATE
            age_seconds = ages_seconds[stored.project_id]
            is_stale = stored.is_stale or (not is_final and stored.read_on < stale_before[stored.project_id])
            is_current = age_seconds < _MAX_CURRENT_AGE_SECONDS
            row = _row(stored, self.service, lateness, is_stale=is_stale, is_current=is_current)
            row = replace(row, service_title=self._title, read_on=_read_on(stored, listed_on[stored.project_id]))
            yield _with_trouble(row, stored, _acknowledgement(stored, as_of), self._limits.failed_since(as_of))


def _raw_text(entry: Any) -> str:
    """The raw response of an upload as text."""
    from upload_tui.sources import shown_raw

    return json.dumps(shown_raw(entry), indent=2, ensure_ascii=False)


def _listed_on(store: Store, service: str, project_id: str) -> datetime:
    """When all uploads of a project were last read, if each round reads them; long ago otherwise."""
    is_listed = Origin.of(service).has(Ability.WHOLE_LISTINGS)
    return (from_ms(SyncState(store, project_id).synced_ms) if is_listed else None) or NEVER


def _read_on(stored: StoredUpload, listed_on: datetime) -> datetime:
    """When an upload was last read: the store has only the time of the last change of one in a final stage."""
    return stored.read_on if stored.is_gone or stored.is_stale else max(stored.read_on, listed_on)


def _detail(stored: StoredUpload, row: Row, entry: Any) -> Detail | None:
    """An upload whose JSON value is `entry`; None if that cannot be parsed."""
    from upload_tui.monitor.sync.ingest import parse_stored_entry  # imports the JSON parsers, which rows do not need

    upload = parse_stored_entry(entry, stored)
    if upload is None:
        return None
    return Detail(upload=upload, row=row, anomalies=(*upload.anomalies, *stored.noticed))


def _acknowledgement(stored: StoredUpload, now: datetime) -> Acknowledgement | None:
    """The acknowledgement of an upload; None if there is none, or if it is over."""
    acknowledgement = stored.acknowledgement
    if acknowledgement is None or (acknowledgement.until is not None and acknowledgement.until <= now):
        return None
    return acknowledgement


def _with_trouble(
    row: Row, stored: StoredUpload, acknowledgement: Acknowledgement | None, failed_since: datetime
) -> Row:
    """The row with its most serious anomaly and its trouble; while it is acknowledged, it is neither in trouble nor late."""
    anomaly, trouble, lateness = stored.anomaly, None, row.lateness
    if not row.is_gone:
        trouble = trouble_of(row.stage, row.stage_since, lateness, failed_since, has_contradiction=row.is_contradictory)
    if acknowledgement is None:
        return replace(row, anomaly=anomaly, trouble=trouble)
    lateness = replace(lateness, is_overdue=False, is_stuck=False)
    return replace(
        row, anomaly=anomaly, lateness=lateness, acknowledgement=acknowledgement, acknowledged_trouble=trouble
    )


def _row(stored: StoredUpload, service: str, lateness: Lateness, *, is_stale: bool, is_current: bool) -> Row:
    return Row(
        id=stored.id, name=stored.name, project_id=stored.project_id, project_name=stored.project_name, service=service,
        size_bytes=stored.size_bytes, stage=stored.stage, unknown_state=stored.unknown_state, stage_since=stored.since,
        since_certainty=stored.certainty, is_least_age=stored.is_least_age, initiated_on=stored.initiated_on,
        completed_on=stored.completed_on, ended_on=stored.ended_on, first_event_on=stored.first_event_on,
        chunk_count=stored.chunk_count, chunk_bytes=stored.chunk_bytes, error_message=stored.error_message, lateness=lateness,
        anomaly_count=stored.anomaly_count, is_contradictory=stored.is_contradictory, is_purged=stored.is_purged,
        is_gone=stored.is_gone, is_stale=is_stale, is_current=is_current, read_on=stored.read_on, uploader=stored.uploader,
        storage_provider=stored.storage_provider, content_type=stored.content_type, active_on=stored.activity_on,
    )  # fmt: skip


def _window(rows: tuple[Row, ...], offset: int, found: FoundRows, revision: int) -> Window:
    revision += found.version
    return Window(rows, offset, found.total, revision, found.is_settled, found.in_trouble, found.total_in_trouble)
