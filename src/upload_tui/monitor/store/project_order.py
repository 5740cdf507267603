"""The uploads of one project in the service's own order, newest first, as far as they are known. Used by the synchroniser."""

from collections.abc import Sequence
from datetime import datetime

from upload_tui.monitor.store.query import Partition
from upload_tui.monitor.store.rows import from_ms
from upload_tui.monitor.store.schema import UNKNOWN
from upload_tui.monitor.store.store import Store

__all__ = ["ProjectOrder"]

_NEWEST_PER_ID = 4


class ProjectOrder:
    """One project's uploads; those that are gone are left out.

    Args:
        store: what is known.
        project_id: the project.
    """

    def __init__(self, store: Store, project_id: str) -> None:
        self._store = store
        self._db = store.db
        self._project_ids = frozenset({project_id})

    def _partitions(self) -> tuple[Partition, ...]:
        return self._store.partitions(self._project_ids, with_gone=False)

    def _partition_list(self) -> str:
        return ", ".join(str(cell.number) for cell in self._partitions()) or "NULL"

    def count(self) -> int:
        """How many uploads are known."""
        return sum(cell.upload_count for cell in self._partitions())

    def newest_on(self) -> datetime | None:
        """When the newest was initiated; None if none is known, or not when."""
        newest = max((self._newest_ms(cell) for cell in self._partitions()), default=UNKNOWN)
        return from_ms(newest)

    def _newest_ms(self, partition: Partition) -> int:
        asked = f"SELECT coalesce(max(initiated_ms), {UNKNOWN}) FROM uploads WHERE cell = ?"
        found: int = self._db.execute(asked, (partition.number,)).fetchone()[0]
        return found

    def unread(self, read_ms: tuple[int, int], low_ms: int | None = None, high_ms: int | None = None) -> Sequence[str]:
        """The ids of those that were not read between two moments; that were initiated after `low_ms`, and not after `high_ms`.

        Those that were initiated at the same moment stand in the service's own order: what was read in time is not among them.
        """
        low = UNKNOWN if low_ms is None else low_ms + 1
        high = 2**63 - 1 if high_ms is None else high_ms
        rows = self._db.execute(
            f"SELECT id FROM uploads WHERE cell IN ({self._partition_list()}) AND initiated_ms BETWEEN ? AND ? "
            "AND read_ms NOT BETWEEN ? AND ?",
            (low, high, *read_ms),
        )
        return sorted(row[0] for row in rows)

    def oldest_ms(self, upload_ids: Sequence[str]) -> int | None:
        """When the oldest of these was initiated, as far as they are known; None if that is not known of any."""
        asked = "SELECT initiated_ms FROM uploads WHERE id = ?"
        found = (self._db.execute(asked, (upload_id,)).fetchone() for upload_id in upload_ids)
        return min((row[0] for row in found if row is not None and row[0] != UNKNOWN), default=None)

    def last_number(self) -> int:
        """What comes to be known after this has a higher number."""
        number: int = self._db.execute("SELECT coalesce(max(number), 0) FROM uploads").fetchone()[0]
        return number

    def was_known(self, upload_ids: Sequence[str], number: int) -> bool:
        """Whether any of these has this number, or a lower one."""
        asked = "SELECT 1 FROM uploads WHERE id = ? AND number <= ?"
        return any(self._db.execute(asked, (upload_id, number)).fetchone() for upload_id in upload_ids)

    def positions(self, upload_ids: Sequence[str]) -> Sequence[int]:
        """Where (from 0) uploads stand; those that are asked for mostly stand among the newest, which are counted once for all."""
        newest = self._db.execute(
            f"SELECT id FROM uploads WHERE cell IN ({self._partition_list()}) ORDER BY initiated_ms DESC, number DESC LIMIT ?",
            (_NEWEST_PER_ID * len(upload_ids),),
        )
        near = {row[0]: place for place, row in enumerate(newest)}
        cells = self._partitions()
        found = (near[one] if one in near else self._store.position_among(cells, one) for one in upload_ids)
        return [place for place in found if place is not None]
