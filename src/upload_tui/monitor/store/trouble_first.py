"""The order `trouble`: uploads in trouble first, the most serious first, then the others by initiation.

The first part is a short list of row numbers, made by one SELECT for each stage. The other part is an ordinary query that leaves
these rows out, so that its pages are read along the indexes like those of any other order.
"""

import json
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from upload_tui.monitor.model import Trouble
from upload_tui.monitor.queries.query import Query, SortKey
from upload_tui.monitor.store.conditions import TroubleThresholds, waited_condition
from upload_tui.monitor.store.database import Database
from upload_tui.monitor.store.partitions import PartitionTable, partition_list
from upload_tui.monitor.store.query import StoreQuery, store_query
from upload_tui.monitor.store.rows import to_ms
from upload_tui.monitor.store.schema import UNKNOWN
from upload_tui.status import Stage

__all__ = ["TroubleFirst", "TroubleOrder"]

_MAX_CACHED = 3
_SLOW_SECONDS = 0.02
"""A list of many uploads that takes longer is not made again for a while."""
_REFRESH_FACTOR = 10
"""That pause, as a multiple of the time it took."""

_WEIGHTS = {trouble: weight for weight, trouble in enumerate(Trouble)}


class TroubleOrder(Struct, frozen=True):
    """A query's result with the rows in trouble first.

    Attributes:
        numbers: the rows in trouble that come first.
        total: the number of rows in trouble, of which more may follow among the others.
        rest: the query for the other rows; None if all rows are in trouble.
        version: increases when the rows that come first change.
    """

    numbers: tuple[int, ...]
    total: int
    rest: StoreQuery | None
    version: int


class _Select(Struct, frozen=True):
    """The rows of one stage: the weight of their trouble (least first) and the condition on them, in SQL, and their order."""

    weight: str
    weight_values: Sequence[object]
    where: str
    values: Sequence[object]
    order: str
    is_newest_first: bool


class _Listed(Struct, frozen=True):
    """A list, and what it was made from: how many uploads, the store's revision, the values, when, and the seconds it took."""

    numbers: tuple[int, ...]
    total: int
    searched: int
    revision: int
    values: tuple[object, ...]
    made_at: float
    seconds: float


class TroubleFirst:
    """The lists of rows in trouble of one store.

    Args:
        db: the store's database.
        monotonic: seconds that never go backwards.
    """

    def __init__(self, db: Database, monotonic: Callable[[], float]) -> None:
        self._db = db
        self._monotonic = monotonic
        self._cache: dict[Query, _Listed] = {}
        self._version = 0

    def order(
        self, query: Query, thresholds: TroubleThresholds, partitions: PartitionTable, revision: int
    ) -> TroubleOrder:
        """The order of a query's rows; `revision` is the store's."""
        has_rest = not (query.trouble_only or query.late_only)
        in_trouble = store_query(
            replace(query, trouble_only=True, sort=SortKey.INITIATED), thresholds, partitions, self._db
        )
        listed = self._listed(query, in_trouble, thresholds, revision, query.max_in_trouble if has_rest else None)
        rest = None
        if has_rest:
            others = store_query(replace(query, sort=SortKey.INITIATED), thresholds, partitions, self._db)
            rest = _without(replace(others, query=query), listed.numbers)
        return TroubleOrder(listed.numbers, listed.total, rest, self._version)

    def _listed(
        self, query: Query, in_trouble: StoreQuery, thresholds: TroubleThresholds, revision: int, limit: int | None
    ) -> _Listed:
        """The list of a query, made again if the store or the time has changed it."""
        values = (*in_trouble.values, *_stuck_waits(thresholds)[1])
        known, now = self._cache.pop(query, None), self._monotonic()
        if known is None or self._is_due(known, revision, values, now):
            selects = [*_selects(in_trouble, thresholds)]
            numbers, total = self._first_rows(selects, limit)
            self._version += known is None or known.numbers != numbers
            searched = sum(one.upload_count for one in (*in_trouble.partitions, *in_trouble.contradictory))
            known = _Listed(numbers, total, searched, revision, values, now, self._monotonic() - now)
        self._cache[query] = known
        while len(self._cache) > _MAX_CACHED:
            del self._cache[next(iter(self._cache))]
        return known

    def _is_due(self, known: _Listed, revision: int, values: tuple[object, ...], now: float) -> bool:
        if known.revision == revision and known.values == values:
            return False
        is_fast = known.searched <= self._db.limits.long_list_rows or known.seconds < _SLOW_SECONDS
        return is_fast or now - known.made_at >= known.seconds * _REFRESH_FACTOR

    def _first_rows(self, selects: Sequence[_Select], limit: int | None) -> tuple[tuple[int, ...], int]:
        """The first `limit` rows of all SELECTs, merged in order, and the number of rows that all SELECTs have."""
        rows: list[tuple[int, int, int]] = []
        total = 0
        for select in selects:
            direction = "DESC" if select.is_newest_first else "ASC"
            found = self._db.execute(
                f"SELECT {select.weight}, since_ms, number FROM uploads WHERE {select.where} "
                f"ORDER BY {select.order}since_ms {direction}, number {direction} LIMIT ?",
                (*select.weight_values, *select.values, -1 if limit is None else limit),
            ).fetchall()
            rows += [(weight, -since if select.is_newest_first else since, number) for weight, since, number in found]
            total += len(found) if limit is None or len(found) < limit else self._count(select)
        return tuple(number for _, _, number in sorted(rows)[:limit]), total

    def _count(self, select: _Select) -> int:
        row = self._db.execute(f"SELECT count(*) FROM uploads WHERE {select.where}", select.values).fetchone()
        return int(row[0])


def _selects(query: StoreQuery, thresholds: TroubleThresholds) -> Iterator[_Select]:
    """The SELECTs of a query for rows in trouble: what waits longest first, what ended last first."""
    stuck, stuck_values = _stuck_waits(thresholds)
    late = f"CASE WHEN {stuck} THEN {_WEIGHTS[Trouble.STUCK]} ELSE {_WEIGHTS[Trouble.OVERDUE]} END"
    contradictory, idle, failed = (
        str(_WEIGHTS[trouble]) for trouble in (Trouble.CONTRADICTORY, Trouble.STUCK, Trouble.FAILED)
    )
    recent = "since_ms >= ?", (to_ms(thresholds.failed_since),)
    for stage, weight, weight_values, (condition, values) in (
        (Stage.VERIFIED, contradictory, (), ("is_contradictory = 1", ())),
        (Stage.INITIATED, idle, (), ("1", ())),
        (Stage.COMPLETED, late, stuck_values, ("1", ())),
        # Two ranges of an index, which SQLite does not use for both at once.
        (Stage.ERROR, failed, (), recent),
        (Stage.ERROR, failed, (), (f"since_ms = {UNKNOWN}", ())),
    ):
        among = query.contradictory if stage is Stage.VERIFIED else query.partitions
        partitions = [partition for partition in among if partition.stage_rank == stage.rank]
        if partitions:
            where = f"partition IN ({partition_list(partitions)}) AND {condition} AND {query.condition}"
            order = "1, " if stage is Stage.COMPLETED else ""
            yield _Select(weight, weight_values, where, (*values, *query.values), order, stage.is_final)


def _stuck_waits(thresholds: TroubleThresholds) -> tuple[str, tuple[object, ...]]:
    return waited_condition(thresholds.stuck)


def _without(query: StoreQuery, numbers: tuple[int, ...]) -> StoreQuery:
    """The query without some of its rows."""
    if not query.condition:
        return replace(query, left_out=numbers)
    unlisted = "number NOT IN (SELECT value FROM json_each(?))"
    return replace(query, condition=f"{query.condition} AND {unlisted}", values=(*query.values, json.dumps(numbers)))
