"""What a store knows of the verification worker: the uploads that wait for it, and the last ones that it ended."""

from collections.abc import Sequence
from datetime import datetime
from heapq import nlargest

from upload_tui.monitor.analysis.worker_health import (
    MIN_WAITING,
    RETRIES_END_SECONDS,
    EndedUpload,
    WaitingUploads,
)
from upload_tui.monitor.store.partitions import Partition
from upload_tui.monitor.store.rows import to_ms
from upload_tui.monitor.store.schema import UNKNOWN
from upload_tui.monitor.store.store import Store
from upload_tui.status import Stage

__all__ = ["WorkerFigures"]

_MAX_ENDED = 300
_FINAL_STAGES = frozenset({Stage.VERIFIED, Stage.ERROR})


class WorkerFigures:
    """The figures that `worker_notice` needs.

    Args:
        store: the store.
        project_ids: the projects whose waiting uploads count; empty for all. What is usual is learned from all projects of the store:
            the worker is the service's.
    """

    def __init__(self, store: Store, project_ids: frozenset[str] = frozenset()) -> None:
        self._store = store
        self._db = store.db
        self._project_ids = project_ids

    def ended(self) -> Sequence[EndedUpload]:
        """The last uploads that ended and whose times are known, by time of their end."""
        ended = [row for partition in self._partitions(_FINAL_STAGES) for row in self._ended_in(partition)]
        last = sorted(nlargest(_MAX_ENDED, ended))
        return [EndedUpload(end / 1000, completed / 1000, max(size, 0)) for end, completed, size in last]

    def _ended_in(self, partition: Partition) -> Sequence[tuple[int, int, int]]:
        return self._db.execute(
            "SELECT since_ms, completed_ms, size_bytes FROM uploads WHERE cell = ? AND since_ms > ? "
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
        overtaken_ms = self._last_completed_ms(now_ms)
        count, oldest = 0, list[tuple[int, int]]()
        for partition in completed:
            where = "WHERE cell = ? AND since_ms > ?"
            values = (partition.number, overtaken_ms)
            count += self._db.execute(f"SELECT count(*) FROM uploads {where}", values).fetchone()[0]
            rows = f"SELECT since_ms, read_ms FROM uploads {where} ORDER BY since_ms LIMIT {MIN_WAITING}"
            oldest += self._db.execute(rows, values)
        return WaitingUploads(
            count=count,
            oldest=[
                (since / 1000, (read if is_polled else now_ms) / 1000) for since, read in sorted(oldest)[:MIN_WAITING]
            ],
            largest_bytes=max((self._largest_bytes(partition, now_ms) for partition in completed), default=0),
        )

    def _largest_bytes(self, partition: Partition, now_ms: int) -> int:
        """The largest upload that a worker may be verifying."""
        since_ms = now_ms - round(RETRIES_END_SECONDS * 1000)
        sql = "SELECT max(size_bytes) FROM uploads WHERE cell = ? AND since_ms > ?"
        largest: int | None = self._db.execute(sql, (partition.number, since_ms)).fetchone()[0]
        return max(largest or 0, 0)

    def _last_completed_ms(self, now_ms: int) -> int:
        """The latest completion among the uploads that ended; `UNKNOWN` if none did."""
        ended = ", ".join(str(partition.number) for partition in self._partitions(_FINAL_STAGES, self._project_ids))
        row = self._db.execute(
            # `+` keeps SQLite from the index of `cell`: the first rows of that of `completed_ms` are enough.
            f"SELECT completed_ms FROM uploads WHERE +cell IN ({ended or 'NULL'}) AND completed_ms <= ? "
            "ORDER BY completed_ms DESC LIMIT 1",
            (now_ms,),
        ).fetchone()
        return UNKNOWN if row is None else int(row[0])

    def _partitions(self, stages: frozenset[Stage], project_ids: frozenset[str] = frozenset()) -> tuple[Partition, ...]:
        return self._store.partitions.select(project_ids, stages, with_gone=False)
