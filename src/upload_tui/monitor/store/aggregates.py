"""Aggregates over many uploads, computed in SQL: counts, ages, arrivals, causes, durations, latencies."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from heapq import nlargest
from itertools import chain
from typing import TypeAlias

from msgspec import Struct

from upload_tui.monitor.ages import PendingReadings, StageAge, oldest_of, with_oldest
from upload_tui.monitor.analysis.statistics import LatencyHistogram, histogram_of
from upload_tui.monitor.analysis.trouble import NEVER, SIZE_LIMITS_BYTES, size_class
from upload_tui.monitor.analysis.worker_health import (
    MIN_WAITING,
    RETRIES_END_SECONDS,
    SPACING_SECONDS,
    EndedUpload,
    WaitingUploads,
)
from upload_tui.monitor.model import CauseGroup, StageSummary
from upload_tui.monitor.store.conditions import (
    Condition,
    WaitThresholds,
    acknowledged_condition,
    failed_condition,
    idle_condition,
    waited_condition,
)
from upload_tui.monitor.store.partitions import READ_MS, Partition, partition_list
from upload_tui.monitor.store.row_finder import oldest_pending
from upload_tui.monitor.store.rows import NEAR_BOUNDS, UNKNOWN_STATE_RANK, StoredUpload, from_ms, to_ms
from upload_tui.monitor.store.schema import UNKNOWN, read_lease
from upload_tui.monitor.store.store import Store
from upload_tui.status import FINAL_STAGES, PENDING_STAGES, Certainty, Stage

__all__ = ["StageCounts", "StoreAggregates", "WorkerFigures", "last_ended_on"]

_RARE_SHARE = 0.1
"""A size class is rare if it has a smaller share of a project's last uploads."""
_SCAN_FACTOR = 2
"""Rows scanned for each duration wanted: not every row has one."""

StageCounts: TypeAlias = "Mapping[Stage, StageSummary]"
"""For each stage that has uploads: their number, and the first and last time at which one of them entered it."""
_IS_NEAR = (
    f"certainty <> '{Certainty.OBSERVED}' "
    f"OR coalesce(since_ms - earliest_ms <= {NEAR_BOUNDS // timedelta(milliseconds=1)}, 0)"
)
"""The opposite of `StoredUpload.is_least_age`."""
_MAX_EXACT = 5000
"""Of more durations, quantiles are estimated."""
_MAX_ENDED = 300
"""Ended uploads of each partition that are enough to learn from."""
_Duration = tuple[int | None, float]
"""Size in bytes (None: unknown) and seconds."""


class _Boundary(Struct, frozen=True):
    """The upload that was the first or the last to enter a stage: see `StoredUpload`."""

    since: datetime | None = None
    is_least_age: bool = False


class StoreAggregates:
    """Aggregates over the uploads that are not gone.

    Args:
        store: the store.
        project_ids: the projects to include; empty for all.
    """

    def __init__(self, store: Store, project_ids: frozenset[str] = frozenset()) -> None:
        self._store = store
        self._db = store.db
        self._project_ids = project_ids

    def _partitions(self, *stages: Stage) -> tuple[Partition, ...]:
        return self._store.partitions.select(self._project_ids, frozenset(stages), with_gone=False)

    def _partition_list(self, *stages: Stage) -> str:
        return partition_list(self._partitions(*stages))

    def stage_counts(self, readings: PendingReadings | None = None) -> StageCounts:
        """The counts of the stages; without `readings`, the oldest of a stage is the first that entered it."""
        counts: dict[Stage, StageSummary] = {}
        for stage in Stage:
            partitions = self._partitions(stage)
            if partitions:
                count = sum(partition.upload_count for partition in partitions)
                newest = max(self._boundaries(partitions, "DESC"), key=_since, default=_Boundary())
                summary = StageSummary(stage, count, newest_since=newest.since, is_newest_least=newest.is_least_age)
                counts[stage] = with_oldest(summary, self._oldest_age(stage, partitions, readings))
        return counts

    def _oldest_age(
        self, stage: Stage, partitions: Sequence[Partition], readings: PendingReadings | None
    ) -> StageAge | None:
        if readings is None or stage.is_final:
            first = min(self._boundaries(partitions, "ASC"), key=_since, default=_Boundary())
            return None if first.since is None else StageAge(first.since, is_least_since=first.is_least_age)
        found = self._oldest(partitions, readings, 1, with_undated=False)
        return oldest_of((_age(stored, readings) for stored in found), readings.now)

    def _boundaries(self, partitions: Sequence[Partition], direction: str) -> Iterator[_Boundary]:
        """The upload with the first (`ASC`) or last (`DESC`) known time of each partition."""
        for partition in partitions:
            row = self._db.execute(
                f"SELECT since_ms, NOT ({_IS_NEAR}) "
                f"FROM uploads WHERE partition = ? AND since_ms > ? ORDER BY since_ms {direction} LIMIT 1",
                (partition.number, UNKNOWN),
            ).fetchone()
            if row is not None:
                yield _Boundary(from_ms(row[0]), bool(row[1]))

    def oldest_pending(self, readings: PendingReadings, limit: int) -> Sequence[StoredUpload]:
        """Pending uploads in no order, among them the `limit` of each stage with the greatest known ages."""
        return self._oldest(self._partitions(*PENDING_STAGES), readings, limit, with_undated=True)

    def _oldest(
        self, partitions: Sequence[Partition], readings: PendingReadings, limit: int, *, with_undated: bool
    ) -> Sequence[StoredUpload]:
        projects, numbers = self._store.partitions.projects(), list[int]()
        for partition in partitions:
            if project := projects.get(partition.project_number):
                before, listed = (to_ms(one(project.id)) or 0 for one in (readings.stale_before, readings.listed_on))
                numbers += oldest_pending(self._db, partition, before, listed, limit, with_undated=with_undated)
        return self._store.load(numbers)

    def arrivals(self, stage: Stage, since: datetime, minutes: int) -> tuple[int, ...]:
        """The number of uploads that entered a stage in each of the `minutes` minutes after `since`, if known to the minute."""
        column = {Stage.INITIATED: "initiated_ms", Stage.COMPLETED: "completed_ms"}.get(stage, "since_ms")
        partitions = self._partition_list(stage) if stage.is_final else self._partition_list()
        # What was completed recently has entered its present stage recently: this condition has an index.
        is_recent = "since_ms >= ?1 AND " if stage is Stage.COMPLETED else ""
        is_known = f"({_IS_NEAR}) AND " if stage.is_final else ""
        rows = self._db.execute(
            f"SELECT ({column} - ?1) / 60000 AS minute, count(*) FROM uploads "
            f"WHERE partition IN ({partitions}) AND {is_recent}{is_known}{column} >= ?1 AND {column} < ?2 GROUP BY minute",
            (to_ms(since), to_ms(since + timedelta(minutes=minutes))),
        )
        counts = dict(rows.fetchall())
        return tuple(counts.get(minute, 0) for minute in range(minutes))

    # Trouble: uploads that are acknowledged as of `now` do not count

    def count_idle_initiated(self, thresholds: WaitThresholds, now: datetime) -> int:
        """The number of initiated uploads without activity since their threshold."""
        return self._count(Stage.INITIATED, idle_condition(thresholds), now)

    def count_completed_before(self, thresholds: WaitThresholds, now: datetime) -> int:
        """The number of completed uploads that have waited since before their threshold."""
        return self._count(Stage.COMPLETED, waited_condition(thresholds), now)

    def count_failed(self, since: datetime, now: datetime) -> Mapping[str, int]:
        """The number of uploads that failed since then, or at an unknown time, by cause; the most frequent first."""
        acknowledged, acknowledged_values = acknowledged_condition(now)
        failed, failed_values = failed_condition(since)
        where = f"FROM uploads WHERE stage = 3 AND partition IN ({self._partition_list(Stage.ERROR)}) AND"
        # An index has the cause, but not the acknowledgement: the few that are acknowledged are subtracted.
        rows = self._db.execute(
            "SELECT cause, sum(number) FROM ("
            f"SELECT cause, 1 AS number {where} since_ms >= ? "
            f"UNION ALL SELECT cause, 1 {where} since_ms = {UNKNOWN} "
            f"UNION ALL SELECT cause, -1 {where} acknowledged_stage = 3 AND {acknowledged} AND {failed}"
            ") GROUP BY cause HAVING sum(number) > 0 ORDER BY 2 DESC, 1",
            (to_ms(since), *acknowledged_values, *failed_values),
        )
        return dict(rows.fetchall())

    def count_contradictory(self, now: datetime) -> int:
        """The number of verified uploads whose chunks do not agree."""
        return self._count(Stage.VERIFIED, ("is_contradictory = 1", ()), now)

    def count_others(self) -> int:
        """The number of uploads in states that are not in the design."""
        partitions = self._store.partitions.select(self._project_ids, with_gone=False)
        return sum(one.upload_count for one in partitions if one.stage_rank == UNKNOWN_STATE_RANK)

    def count_gone(self) -> int:
        """The number of uploads that the service no longer lists."""
        partitions = self._store.partitions.select(self._project_ids)
        return sum(partition.upload_count for partition in partitions if partition.is_gone)

    def _count(self, stage: Stage, condition: Condition, now: datetime) -> int:
        acknowledged, values = acknowledged_condition(now)
        rows = self._db.execute(
            f"SELECT count(*) FROM uploads WHERE partition IN ({self._partition_list(stage)}) "
            f"AND {condition[0]} AND NOT {acknowledged}",
            (*condition[1], *values),
        )
        return int(rows.fetchone()[0])

    def last_read(self, *stages: Stage) -> datetime | None:
        """When an upload in these stages was last read; None if there is none."""
        rows = self._db.execute(
            f"SELECT max({READ_MS}) FROM uploads WHERE partition IN ({self._partition_list(*stages)})"
        )
        return from_ms(rows.fetchone()[0])

    def durations(self, limit: int) -> Iterator[tuple[str, int | None, float]]:
        """Project, size in bytes and verification time in seconds of the last `limit` verified uploads of each project.

        A size class that is rare among them gets its own sample of at most `limit` uploads, the largest ones first.
        """
        for partition in self._partitions(Stage.VERIFIED):
            project = (partition.project_number,)
            names = self._db.execute("SELECT id FROM projects WHERE project = ?", project)
            if not names:  # the store was replaced by an empty one meanwhile
                return
            project_id = names[0][0]
            samples = [*self._recent_durations(partition, "ORDER BY since_ms DESC", (), limit)]
            rare = self._rare_classes(samples, limit)
            of_class = "AND size_bytes >= ? AND size_bytes < ? ORDER BY size_bytes DESC"
            rare_samples = [
                self._recent_durations(partition, of_class, SIZE_LIMITS_BYTES[index : index + 2], limit)
                for index in rare
            ]
            common = (sample for sample in samples if size_class(sample[0]) not in rare)
            for size_bytes, seconds in chain(*rare_samples, common):
                yield project_id, size_bytes, seconds

    def _rare_classes(self, samples: Sequence[_Duration], limit: int) -> frozenset[int]:
        """The size classes that are rare among the samples; none if the samples are complete, or during a bulk load."""
        if len(samples) < limit or read_lease(self._db) is not None:
            return frozenset()
        counts = Counter(size_class(size_bytes) for size_bytes, _ in samples)
        return frozenset(index for index in range(len(SIZE_LIMITS_BYTES) - 1) if counts[index] < limit * _RARE_SHARE)

    def _recent_durations(
        self, partition: Partition, condition: str, values: Sequence[int], limit: int
    ) -> Iterator[_Duration]:
        """At most `limit` durations, newest first, from a bounded number of rows."""
        rows = self._db.execute(
            "SELECT nullif(size_bytes, ?), since_ms - completed_ms FROM ("
            f"SELECT size_bytes, since_ms, completed_ms, verify_bucket FROM uploads WHERE partition = ? {condition} LIMIT ?) "
            "WHERE verify_bucket IS NOT NULL "
            "ORDER BY since_ms DESC LIMIT ?",
            (UNKNOWN, partition.number, *values, limit * _SCAN_FACTOR, limit),
        )
        for size_bytes, duration_ms in rows:
            yield size_bytes, duration_ms / 1000

    def causes(self) -> Sequence[CauseGroup]:
        """Failed uploads grouped by cause, storage provider and uploader; the largest group first."""
        grouped = (
            f"FROM uploads WHERE stage = 3 AND partition IN ({self._partition_list(Stage.ERROR)}) GROUP BY 1, 2, 3"
        )
        # Two queries: SQLite takes `id` from the row with the maximum only if there is no min() beside max().
        firsts_ms = {
            (cause, provider, uploader): first
            for cause, provider, uploader, first in self._db.execute(
                f"SELECT cause, storage_provider, uploader, min(nullif(since_ms, {UNKNOWN})) {grouped}"
            )
        }
        rows = self._db.execute(f"SELECT cause, storage_provider, uploader, count(*), max(since_ms), id {grouped}")
        groups = [
            CauseGroup(
                cause=cause,
                storage_provider=provider,
                uploader=uploader,
                count=count,
                first_on=from_ms(firsts_ms.get((cause, provider, uploader))),
                last_on=from_ms(last),
                last_id=upload_id,
            )
            for cause, provider, uploader, count, last, upload_id in rows
        ]
        return sorted(groups, key=lambda group: (-group.count, group.cause, group.storage_provider, group.uploader))

    def latency(self, from_stage: Stage, to_stage: Stage) -> LatencyHistogram:
        """How long uploads took between two stages; the quantiles are exact if the uploads are not too many."""
        column, duration = "verify_bucket", "ended_ms - completed_ms"
        partitions = self._partition_list(to_stage)
        if from_stage is Stage.INITIATED:
            column, duration, partitions = "upload_bucket", "completed_ms - initiated_ms", self._partition_list()
        known = f"FROM uploads WHERE partition IN ({partitions}) AND {column} IS NOT NULL"
        counts = dict(self._db.execute(f"SELECT {column}, count(*) {known} GROUP BY 1").fetchall())
        durations: list[float] = []
        if sum(counts.values()) <= _MAX_EXACT:
            rows = self._db.execute(f"SELECT {duration} {known} AND {duration} IS NOT NULL")
            durations = [milliseconds / 1000 for (milliseconds,) in rows]
        return histogram_of(from_stage, to_stage, counts, durations)


def _since(boundary: _Boundary) -> datetime:
    return boundary.since or NEVER


def _age(stored: StoredUpload, readings: PendingReadings) -> StageAge | None:
    """The age of a pending upload, as `age_of` its row."""
    if stored.since is None:
        return None
    is_current = not stored.is_stale and stored.read_on >= readings.stale_before(stored.project_id)
    read_on = stored.read_on if stored.is_stale else max(stored.read_on, readings.listed_on(stored.project_id))
    return StageAge(stored.since, None if is_current else read_on, stored.is_least_age)


def last_ended_on(counts: StageCounts) -> datetime | None:
    """When an upload was last verified or failed; None if none was."""
    ends = [counts[stage].newest_since for stage in FINAL_STAGES if stage in counts]
    return max((on for on in ends if on is not None), default=None)


class WorkerFigures:
    """The figures that `worker_notice` needs.

    Args:
        store: the store.
        project_ids: the projects whose waiting uploads count; empty for all. Usual times are learned from all projects
            of the store, because the same worker serves them all.
    """

    def __init__(self, store: Store, project_ids: frozenset[str] = frozenset()) -> None:
        self._store = store
        self._db = store.db
        self._project_ids = project_ids

    def ended(self) -> Sequence[EndedUpload]:
        """The last uploads that ended and whose times are known, by time of their end."""
        ended = [row for partition in self._partitions(FINAL_STAGES) for row in self._ended_in(partition)]
        last = sorted(nlargest(_MAX_ENDED, ended))
        return [EndedUpload(end / 1000, completed / 1000, max(size, 0)) for end, completed, size in last]

    def _ended_in(self, partition: Partition) -> Sequence[tuple[int, int, int]]:
        return self._db.execute(
            "SELECT since_ms, completed_ms, size_bytes FROM uploads WHERE partition = ? AND since_ms > ? "
            "AND verify_bucket IS NOT NULL ORDER BY since_ms DESC LIMIT ?",
            (partition.number, UNKNOWN, _MAX_ENDED),
        )

    def waiting(self, now: datetime, *, is_polled: bool) -> WaitingUploads:
        """The completed uploads that wait at `now` and were not overtaken: no upload that was completed later has ended.

        Args:
            now: the time as of which the picture is current.
            is_polled: whether waiting uploads are read again and again; otherwise they are as last read until `now`.
        """
        completed = self._partitions(frozenset({Stage.COMPLETED}), self._project_ids)
        now_ms = to_ms(now) or 0
        overtaken_ms, retried_ms = self._last_completed_ms(now_ms), now_ms - round(RETRIES_END_SECONDS * 1000)
        count = 0
        for partition in completed:
            sql = "SELECT count(*) FROM uploads WHERE partition = ? AND since_ms > ?"
            count += self._db.execute(sql, (partition.number, overtaken_ms)).fetchone()[0]
        return WaitingUploads(
            count=count,
            oldest=[
                (since / 1000, (read if is_polled else now_ms) / 1000)
                for since, read in self._oldest_batches(completed, overtaken_ms)
            ],
            largest_bytes=max(
                (self._largest_bytes(partition, min(retried_ms, overtaken_ms)) for partition in completed), default=0
            ),
        )

    def _oldest_batches(self, partitions: Sequence[Partition], after_ms: int) -> Iterator[tuple[int, int]]:
        """The completion and last reading of the oldest upload after `after_ms`, and of the next ones outside its batch."""
        # SQLite adds up: a sum that is too large for a column is no error there.
        sql = f"SELECT since_ms, {READ_MS} FROM uploads WHERE partition = ? AND since_ms > ? + ? ORDER BY since_ms LIMIT 1"
        spacing_ms = 0
        for _ in range(MIN_WAITING):
            values = [(partition.number, after_ms, spacing_ms) for partition in partitions]
            rows = [self._db.execute(sql, one).fetchone() for one in values]
            oldest: tuple[int, int] | None = min((row for row in rows if row is not None), default=None)
            if oldest is None:
                return
            yield oldest
            after_ms, spacing_ms = oldest[0], round(SPACING_SECONDS * 1000) - 1

    def _largest_bytes(self, partition: Partition, since_ms: int) -> int:
        """The largest upload that was completed after `since_ms`."""
        sql = "SELECT max(size_bytes) FROM uploads WHERE partition = ? AND since_ms > ?"
        largest: int | None = self._db.execute(sql, (partition.number, since_ms)).fetchone()[0]
        return max(largest or 0, 0)

    def _last_completed_ms(self, now_ms: int) -> int:
        """The latest completion among the uploads that ended; `UNKNOWN` if none did."""
        ended = ", ".join(str(partition.number) for partition in self._partitions(FINAL_STAGES, self._project_ids))
        row = self._db.execute(
            # `+` keeps SQLite from the index of `partition`: the first rows of that of `completed_ms` are enough.
            f"SELECT completed_ms FROM uploads WHERE +partition IN ({ended or 'NULL'}) AND completed_ms <= ? "
            "ORDER BY completed_ms DESC LIMIT 1",
            (now_ms,),
        ).fetchone()
        return UNKNOWN if row is None else int(row[0])

    def _partitions(self, stages: frozenset[Stage], project_ids: frozenset[str] = frozenset()) -> tuple[Partition, ...]:
        return self._store.partitions.select(project_ids, stages, with_gone=False)
