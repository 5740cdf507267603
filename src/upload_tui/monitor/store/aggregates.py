"""Figures of many uploads, reckoned by the store: counts, ages, arrivals, causes, latencies. Used by `StorePicture`."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain

from upload_tui.monitor.analysis.lateness import SIZE_LIMITS_BYTES, size_class
from upload_tui.monitor.model import CauseGroup
from upload_tui.monitor.store.conditions import StuckThresholds, stuck_condition
from upload_tui.monitor.store.query import Partition
from upload_tui.monitor.store.rows import from_ms, to_ms
from upload_tui.monitor.store.schema import UNKNOWN
from upload_tui.monitor.store.store import Store
from upload_tui.status import Certainty, Stage

__all__ = ["StoreAggregates"]

_RARE_SHARE = 0.1
"""A class of size that has less than this share of a project's last uploads is rare."""
_SCAN_FACTOR = 2
"""So many times the uploads that are wanted are looked at: of some it is not known how long they waited."""

_Duration = tuple[int | None, float]
"""Size in bytes and seconds."""


class StoreAggregates:
    """Figures of the uploads that are not gone.

    Args:
        store: what is known.
        project_ids: the projects to look at; empty for all.
    """

    def __init__(self, store: Store, project_ids: frozenset[str] = frozenset()) -> None:
        self._store = store
        self._db = store.db
        self._project_ids = project_ids

    def _partitions(self, *stages: Stage) -> tuple[Partition, ...]:
        return self._store.partitions(self._project_ids, frozenset(stages), with_gone=False)

    def _partition_list(self, *stages: Stage) -> str:
        return ", ".join(str(cell.number) for cell in self._partitions(*stages)) or "NULL"

    def stage_counts(self) -> dict[Stage, tuple[int, datetime | None, datetime | None]]:
        """For each stage that has any: how many, the oldest and the newest time at which one came in."""
        found: dict[Stage, tuple[int, datetime | None, datetime | None]] = {}
        for stage in Stage:
            cells = self._partitions(stage)
            if cells:
                ends = [self._boundary(cell, "ASC") for cell in cells], [self._boundary(cell, "DESC") for cell in cells]
                oldest, newest = (sorted(on for on in some if on is not None) for some in ends)
                total = sum(cell.upload_count for cell in cells)
                found[stage] = (total, oldest[0] if oldest else None, newest[-1] if newest else None)
        return found

    def _boundary(self, partition: Partition, direction: str) -> datetime | None:
        row = self._db.execute(
            f"SELECT since_ms FROM uploads WHERE cell = ? AND since_ms > ? ORDER BY since_ms {direction} LIMIT 1",
            (partition.number, UNKNOWN),
        ).fetchone()
        return None if row is None else from_ms(row[0])

    def arrivals(self, stage: Stage, since: datetime, minutes: int) -> tuple[int, ...]:
        """Uploads that came into a stage in each of the `minutes` minutes after `since`, as far as that is known to the minute."""
        column = {Stage.INITIATED: "initiated_ms", Stage.COMPLETED: "completed_ms"}.get(stage, "since_ms")
        listing = self._partition_list(stage) if stage.is_final else self._partition_list()
        # Whatever was completed of late has been in its present stage for no longer: so the index by that finds it.
        of_late = "since_ms >= ?1 AND " if stage is Stage.COMPLETED else ""
        is_known = (
            f"(certainty <> '{Certainty.OBSERVED}' OR since_ms - earliest_ms <= 60000) AND " if stage.is_final else ""
        )
        rows = self._db.execute(
            f"SELECT ({column} - ?1) / 60000 AS minute, count(*) FROM uploads "
            f"WHERE cell IN ({listing}) AND {of_late}{is_known}{column} >= ?1 AND {column} < ?2 GROUP BY minute",
            (to_ms(since), to_ms(since + timedelta(minutes=minutes))),
        )
        counts = dict(rows.fetchall())
        return tuple(counts.get(minute, 0) for minute in range(minutes))

    def count_idle_initiated(self, before: datetime) -> int:
        """How many initiated uploads nothing has happened to since that time."""
        last = f"max(ifnull(activity_ms, {UNKNOWN}), since_ms)"
        return self._count(Stage.INITIATED, f"{last} BETWEEN {UNKNOWN + 1} AND ? - 1", (to_ms(before),))

    def count_completed_before(self, thresholds: StuckThresholds) -> int:
        """How many completed uploads have waited since before their limits."""
        return self._count(Stage.COMPLETED, *stuck_condition(thresholds.completed, thresholds.specific))

    def _count(self, stage: Stage, condition: str, values: Sequence[object]) -> int:
        rows = self._db.execute(
            f"SELECT count(*) FROM uploads WHERE cell IN ({self._partition_list(stage)}) AND {condition}", values
        )
        return int(rows.fetchone()[0])

    def last_read(self, *stages: Stage) -> datetime | None:
        """When any upload in these stages was last read; None if there is none."""
        rows = self._db.execute(f"SELECT max(read_ms) FROM uploads WHERE cell IN ({self._partition_list(*stages)})")
        return from_ms(rows.fetchone()[0])

    def durations(self, limit: int) -> Iterator[tuple[str, int | None, float]]:
        """Project, size in bytes and seconds of waiting of verified uploads: the last `limit` of each project.

        A class of size that is rare among those is looked for by itself: at most `limit` of it, of very many the largest.
        """
        for cell in self._partitions(Stage.VERIFIED):
            project_id = self._db.execute(
                "SELECT id FROM projects WHERE project = ?", (cell.project_number,)
            ).fetchone()[0]
            samples = [*self._recent_durations(cell, "ORDER BY since_ms DESC", (), limit)]
            rare = self._rare_classes(samples, limit)
            of_class = "AND size_bytes >= ? AND size_bytes < ? ORDER BY size_bytes DESC"
            own = [
                self._recent_durations(cell, of_class, SIZE_LIMITS_BYTES[place : place + 2], limit) for place in rare
            ]
            for size_bytes, seconds in chain(*own, (one for one in samples if size_class(one[0]) not in rare)):
                yield project_id, size_bytes, seconds

    def _rare_classes(self, samples: Sequence[_Duration], limit: int) -> frozenset[int]:
        """Classes of size with few among these, if there may be more; none while they could not be found quickly."""
        is_pouring = self._db.execute("SELECT 1 FROM facts WHERE name = 'bulk'").fetchone() is not None
        if len(samples) < limit or is_pouring:
            return frozenset()
        counts = Counter(size_class(size_bytes) for size_bytes, _ in samples)
        return frozenset(place for place in range(len(SIZE_LIMITS_BYTES) - 1) if counts[place] < limit * _RARE_SHARE)

    def _recent_durations(
        self, partition: Partition, condition: str, values: Sequence[int], limit: int
    ) -> Iterator[_Duration]:
        """The last `limit`; only so many are looked at as cost little, whatever they hold."""
        rows = self._db.execute(
            "SELECT nullif(size_bytes, ?), since_ms - completed_ms FROM ("
            f"SELECT size_bytes, since_ms, completed_ms, certainty FROM uploads WHERE cell = ? {condition} LIMIT ?) "
            f"WHERE completed_ms IS NOT NULL AND since_ms >= completed_ms AND certainty <> '{Certainty.OBSERVED}' "
            "ORDER BY since_ms DESC LIMIT ?",
            (UNKNOWN, partition.number, *values, limit * _SCAN_FACTOR, limit),
        )
        for size_bytes, waited_ms in rows:
            yield size_bytes, waited_ms / 1000

    def causes(self) -> Sequence[CauseGroup]:
        """The failed by cause, storage provider and uploader, the largest group first."""
        grouped = f"FROM uploads WHERE stage = 3 AND cell IN ({self._partition_list(Stage.ERROR)}) GROUP BY 1, 2, 3"
        firsts = {
            (cause, provider, uploader): first
            for cause, provider, uploader, first in self._db.execute(
                f"SELECT cause, storage_provider, uploader, min(nullif(since_ms, {UNKNOWN})) {grouped}"
            )
        }
        rows = self._db.execute(f"SELECT cause, storage_provider, uploader, count(*), max(since_ms), id {grouped}")
        found = [
            CauseGroup(
                cause=cause,
                storage_provider=provider,
                uploader=uploader,
                count=count,
                first_on=from_ms(firsts.get((cause, provider, uploader))),
                last_on=from_ms(last),
                last_id=upload_id,
            )
            for cause, provider, uploader, count, last, upload_id in rows
        ]
        return sorted(found, key=lambda group: (-group.count, group.cause, group.storage_provider, group.uploader))

    def latency_buckets(self, after: Stage, before: Stage) -> Mapping[int, int]:
        """How many uploads took how long from one stage to another, by the numbers of `histogram.bucket_of`."""
        column = "upload_bucket" if after is Stage.INITIATED else "verify_bucket"
        listing = self._partition_list() if after is Stage.INITIATED else self._partition_list(before)
        rows = self._db.execute(
            f"SELECT {column}, count(*) FROM uploads WHERE cell IN ({listing}) AND {column} IS NOT NULL GROUP BY 1"
        )
        return dict(rows.fetchall())
