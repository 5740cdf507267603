"""Finds the rows of a query: along an index, in a list of matches, or trouble first."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from upload_tui.monitor.queries.query import Query, SortKey
from upload_tui.monitor.store.conditions import TroubleThresholds
from upload_tui.monitor.store.database import Database
from upload_tui.monitor.store.keyset_paging import KeysetPager
from upload_tui.monitor.store.partitions import READ_MS, Partition, PartitionTable
from upload_tui.monitor.store.query import StoreQuery, store_query
from upload_tui.monitor.store.schema import UNKNOWN
from upload_tui.monitor.store.search import SearchLists
from upload_tui.monitor.store.trouble_first import TroubleFirst, TroubleOrder

__all__ = ["FoundRows", "RowFinder", "oldest_pending"]


class FoundRows(Struct, frozen=True):
    """Row numbers from an offset on.

    Attributes:
        numbers: the row numbers, in order.
        total: the size of the whole result, which grows until it `is_settled`.
        in_trouble, total_in_trouble: see `Window`.
        version: increases when the order changes without a new revision.
    """

    numbers: Sequence[int]
    total: int
    is_settled: bool = True
    in_trouble: int = 0
    total_in_trouble: int = 0
    version: int = 0


class RowFinder:
    """The rows of one store's queries.

    Args:
        db: the store's database.
        partitions: its partitions.
        monotonic: seconds that never go backwards.
    """

    def __init__(self, db: Database, partitions: PartitionTable, monotonic: Callable[[], float]) -> None:
        self._db = db
        self._partitions = partitions
        self._pager = KeysetPager(db)
        self._search_lists = SearchLists(db, monotonic)
        self._trouble_first = TroubleFirst(db, monotonic)

    def find(
        self,
        query: Query,
        thresholds: TroubleThresholds,
        revision: int,
        offset: int,
        limit: int,
        patience_seconds: float | None,
    ) -> FoundRows:
        """At most `limit` rows from `offset`; `revision` is the store's. With `patience_seconds`, those found in that time."""
        if query.sort is not SortKey.TROUBLE:
            selected = store_query(query, thresholds, self._partitions, self._db)
            return self._find(selected, revision, offset, limit, patience_seconds)
        order = self._order(query, thresholds, revision)
        count = len(order.numbers)
        first = order.numbers[offset : offset + limit]
        others = FoundRows((), 0)
        if order.rest is not None:
            start = max(0, offset - count)
            others = self._find(order.rest, revision, start, limit - len(first), patience_seconds)
        return FoundRows(
            (*first, *others.numbers), count + others.total, others.is_settled, count, order.total, order.version
        )

    def find_all(self, query: StoreQuery, revision: int, limit: int | None = None) -> Sequence[int]:
        """All rows of a query without a condition, or the first `limit`."""
        return self._pager.row_numbers(query, 0, query.total if limit is None else limit, revision)

    def position(self, query: Query, thresholds: TroubleThresholds, revision: int, upload_id: str) -> int | None:
        """The position (from 0) of an upload; None if the query does not include it, or if it is not found yet."""
        row = self._row(upload_id)
        if row is None:
            return None
        if query.sort is not SortKey.TROUBLE:
            return self._position(store_query(query, thresholds, self._partitions, self._db), revision, *row)
        order = self._order(query, thresholds, revision)
        if row[0] in order.numbers:
            return order.numbers.index(row[0])
        position = None if order.rest is None else self._position(order.rest, revision, *row)
        return None if position is None else len(order.numbers) + position

    def position_in(self, query: StoreQuery, revision: int, upload_id: str) -> int | None:
        """The position (from 0) of an upload in a query without a condition; None if it does not include it."""
        row = self._row(upload_id)
        return None if row is None else self._pager.position(query, *row, revision)

    def _row(self, upload_id: str) -> tuple[int, int] | None:
        """The number and the partition of an upload's row; None if it is not known."""
        row = self._db.execute("SELECT number, partition FROM uploads WHERE id = ?", (upload_id,)).fetchone()
        return None if row is None else (row[0], row[1])

    def _order(self, query: Query, thresholds: TroubleThresholds, revision: int) -> TroubleOrder:
        return self._trouble_first.order(query, thresholds, self._partitions, revision)

    def _find(
        self, selected: StoreQuery, revision: int, offset: int, limit: int, patience_seconds: float | None
    ) -> FoundRows:
        if not selected.needs_list:
            return FoundRows(self._pager.row_numbers(selected, offset, limit, revision), selected.total)
        found = self._search_lists.search(selected, revision, offset + limit, patience_seconds)
        return FoundRows(found.row_numbers[offset : offset + limit], len(found.row_numbers), found.is_settled)

    def _position(self, selected: StoreQuery, revision: int, number: int, partition: int) -> int | None:
        if selected.needs_list:
            return self._search_lists.position(selected, revision, number)
        return self._pager.position(selected, number, partition, revision)


def oldest_pending(
    db: Database, partition: Partition, stale_before_ms: int, listed_ms: int, limit: int, *, with_undated: bool
) -> Sequence[int]:
    """The pending uploads of a partition with the greatest known ages: at most `limit` that are current, and as many that are not.

    Args:
        db: the store's database.
        partition: the partition.
        stale_before_ms: the age of an upload that was read before, or that is stale, ends with its last reading.
        listed_ms: when all of them were last read at once.
        limit: how many of each kind.
        with_undated: include those whose stage began at an unknown time; they come first.
    """
    read_ms = f"iif(is_stale, read_ms, max({READ_MS}, ?))"
    is_current = f"(is_stale = 0 AND {READ_MS} >= ?)"
    of_partition = f"SELECT number, since_ms FROM uploads WHERE partition = ? AND since_ms {'>=' if with_undated else '>'} {UNKNOWN}"
    current = db.execute(
        f"{of_partition} AND {is_current} ORDER BY since_ms LIMIT ?", (partition.number, stale_before_ms, limit)
    ).fetchall()
    # Whatever began later is younger than these: only what could not be read for long is searched to the end.
    is_earlier = f"AND since_ms <= {current[-1][1]}" if len(current) == limit else ""
    others = db.execute(
        f"{of_partition} {is_earlier} AND NOT {is_current} ORDER BY {read_ms} - since_ms DESC LIMIT ?",
        (partition.number, stale_before_ms, listed_ms, limit),
    )
    return [row[0] for row in (*current, *others)]
