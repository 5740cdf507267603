"""The known uploads of one project in the service's order: newest first. Used by synchronisation."""

from collections.abc import Sequence
from datetime import datetime

from upload_tui.monitor.store.partitions import Partition, partition_list
from upload_tui.monitor.store.rows import from_ms
from upload_tui.monitor.store.schema import UNKNOWN
from upload_tui.monitor.store.store import Store

__all__ = ["ProjectOrder"]

_NEWEST_PER_ID = 4


class ProjectOrder:
    """The uploads of one project, except those that are gone.

    Args:
        store: the store.
        project_id: the project.
    """

    def __init__(self, store: Store, project_id: str) -> None:
        self._store = store
        self._db = store.db
        self._project_ids = frozenset({project_id})

    def _partitions(self) -> tuple[Partition, ...]:
        return self._store.partitions.select(self._project_ids, with_gone=False)

    def count(self) -> int:
        """The number of known uploads."""
        return sum(partition.upload_count for partition in self._partitions())

    def newest_on(self) -> datetime | None:
        """When the newest upload was initiated; None if no upload, or no such time, is known."""
        newest = max((self._newest_ms(partition) for partition in self._partitions()), default=UNKNOWN)
        return from_ms(newest)

    def _newest_ms(self, partition: Partition) -> int:
        newest = f"SELECT coalesce(max(initiated_ms), {UNKNOWN}) FROM uploads WHERE cell = ?"
        value_ms: int = self._db.execute(newest, (partition.number,)).fetchone()[0]
        return value_ms

    def unread(self, read_ms: tuple[int, int], low_ms: int | None = None, high_ms: int | None = None) -> Sequence[str]:
        """The ids of uploads initiated after `low_ms` and not after `high_ms` that were not read in the interval `read_ms`.

        Bounds are by time, because uploads initiated in the same millisecond may be in any order at the service.
        """
        low = UNKNOWN if low_ms is None else low_ms + 1
        high = 2**63 - 1 if high_ms is None else high_ms
        rows = self._db.execute(
            f"SELECT id FROM uploads WHERE cell IN ({partition_list(self._partitions())}) "
            "AND initiated_ms BETWEEN ? AND ? AND read_ms NOT BETWEEN ? AND ?",
            (low, high, *read_ms),
        )
        return sorted(row[0] for row in rows)

    def oldest_ms(self, upload_ids: Sequence[str]) -> int | None:
        """When the oldest of these uploads was initiated; None if that is not known of any."""
        initiated = "SELECT initiated_ms FROM uploads WHERE id = ?"
        rows = (self._db.execute(initiated, (upload_id,)).fetchone() for upload_id in upload_ids)
        return min((row[0] for row in rows if row is not None and row[0] != UNKNOWN), default=None)

    def last_number(self) -> int:
        """The highest row number of the store; later uploads get higher ones."""
        number: int = self._db.execute("SELECT coalesce(max(number), 0) FROM uploads").fetchone()[0]
        return number

    def was_known(self, upload_ids: Sequence[str], number: int) -> bool:
        """Whether any of these uploads has a row number up to `number`."""
        known = "SELECT 1 FROM uploads WHERE id = ? AND number <= ?"
        return any(self._db.execute(known, (upload_id, number)).fetchone() for upload_id in upload_ids)

    def positions(self, upload_ids: Sequence[str]) -> Sequence[int]:
        """The positions (from 0) of known uploads, in the order of the ids.

        Callers mostly ask for some of the newest: those are looked up in one query, the others one by one.
        """
        partitions = self._partitions()
        newest = self._db.execute(
            f"SELECT id FROM uploads WHERE cell IN ({partition_list(partitions)}) "
            "ORDER BY initiated_ms DESC, number DESC LIMIT ?",
            (_NEWEST_PER_ID * len(upload_ids),),
        )
        near = {row[0]: position for position, row in enumerate(newest)}
        positions = (near[one] if one in near else self._store.position_among(partitions, one) for one in upload_ids)
        return [position for position in positions if position is not None]
