"""A query in the store's own terms, and the SQL that runs along its indexes. Used by `KeysetPager` and `SearchLists` alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from upload_tui.monitor.model import Query, SortKey
from upload_tui.monitor.store.conditions import StuckThresholds, attention_condition, search_condition, trigram_query
from upload_tui.status import Stage

__all__ = [
    "StoreQuery",
    "Partition",
    "RowKey",
    "select_count",
    "union_selects",
    "store_query",
    "key_bound",
    "sort_columns",
    "sort_direction",
    "partition_list",
]

_MAX_UNION_SELECTS = 16
"""More cells than these are not merged but looked for along the whole."""

_SORT_COLUMNS: Mapping[SortKey, str] = {
    SortKey.INITIATED: "initiated_ms",
    SortKey.STAGE: "stage",
    SortKey.SINCE: "since_ms",
    SortKey.NAME: "name",
    SortKey.SIZE: "size_bytes",
    SortKey.PROJECT: "project",
}

RowKey = tuple[Any, int]
"""What a row is sorted by, and its number."""


class Partition(Struct, frozen=True):
    """All uploads of one project in one stage, those that are gone apart; how many there are."""

    number: int
    project_number: int
    stage_rank: int
    is_gone: bool
    upload_count: int


class StoreQuery(Struct, frozen=True):
    """A query in the store's own terms.

    Attributes:
        cells: those that the answer lies in, none of them empty.
        is_all: True if there are no others.
        condition, values: what else must be true of a row; empty for nothing.
        grams: what the trigram index finds at least the rows of the condition by; empty if it cannot help.
        sort, descending: the order.
        query: what this was made of.
    """

    partitions: tuple[Partition, ...]
    has_all_partitions: bool
    condition: str
    values: tuple[object, ...]
    sort: SortKey
    descending: bool
    trigrams: str = ""
    query: Query = Query()

    @property
    def total(self) -> int:
        """Uploads in the cells."""
        return sum(cell.upload_count for cell in self.partitions)

    @property
    def cache_key(self) -> tuple[Any, ...]:
        """What tells this from other queries, however full its cells are."""
        cells = None if self.has_all_partitions else tuple(cell.number for cell in self.partitions)
        return (cells, self.sort, self.descending)

    def groups(self) -> Sequence["StoreQuery"]:
        """The parts that follow each other, each ordered by something that has an index: stages and projects are runs of cells."""
        if self.sort not in {SortKey.STAGE, SortKey.PROJECT}:
            return [self]
        runs: dict[int, list[Partition]] = {}
        for cell in self.partitions:
            runs.setdefault(cell.stage_rank if self.sort is SortKey.STAGE else cell.project_number, []).append(cell)
        return [
            replace(self, partitions=tuple(runs[run]), has_all_partitions=False, sort=SortKey.INITIATED)
            for run in sorted(runs, reverse=self.descending)
        ]


def store_query(
    query: Query,
    stuck: StuckThresholds,
    partitions: Callable[[frozenset[str], frozenset[Stage]], tuple[Partition, ...]],
) -> StoreQuery:
    """A query; `partitions` tells the store's of some projects and stages, where none means all."""
    stages = query.stages
    conditions: list[tuple[str, tuple[object, ...]]] = []
    if query.attention_only:
        stages = (stages or frozenset(Stage)) - {
            Stage.VERIFIED
        }  # most of all there are, and nothing is wrong with them
        conditions.append(attention_condition(stuck))
    if query.search:
        conditions.append(search_condition(query.search))
    is_nowhere = bool(query.stages) and not stages
    return StoreQuery(
        partitions=() if is_nowhere else partitions(query.project_ids, stages),
        has_all_partitions=not query.project_ids and not stages and not is_nowhere,
        condition=" AND ".join(condition for condition, _ in conditions),
        values=tuple(value for _, some in conditions for value in some),
        sort=query.sort,
        descending=query.descending,
        trigrams=trigram_query(query.search),
        query=query,
    )


def sort_columns(query: StoreQuery) -> str:
    """What its rows are sorted by."""
    return f"{_SORT_COLUMNS[query.sort]}, number"


def sort_direction(query: StoreQuery, *, backwards: bool = False) -> str:
    """Which way its rows run."""
    return "DESC" if query.descending is not backwards else "ASC"


def key_bound(query: StoreQuery, key: RowKey | None, operator: str) -> tuple[str, tuple[object, ...]]:
    """A condition, and its values, on where rows stand against a place that is known; none if there is no such place."""
    if key is None:
        return "", ()
    return f" AND ({sort_columns(query)}) {operator} ({', '.join('?' * len(key))})", tuple(key)


def _is_union(query: StoreQuery) -> bool:
    return not query.has_all_partitions and 0 < len(query.partitions) <= _MAX_UNION_SELECTS


def select_count(query: StoreQuery) -> int:
    """How many SELECTs there are in `union_selects`; each wants the same values."""
    return len(query.partitions) if _is_union(query) else 1


def union_selects(query: StoreQuery, extra_condition: str) -> str:
    """One SELECT for each cell, to be merged in order; each runs along its own index."""
    if not _is_union(query):
        where = "1" if query.has_all_partitions else f"cell IN ({partition_list(query.partitions)})"
        return f"SELECT {sort_columns(query)} FROM uploads WHERE {where}{extra_condition}"
    return " UNION ALL ".join(
        f"SELECT {sort_columns(query)} FROM uploads WHERE cell = {cell.number}{extra_condition}"
        for cell in query.partitions
    )


def partition_list(partitions: Sequence[Partition]) -> str:
    """The cells' numbers, for an IN."""
    return ", ".join(str(cell.number) for cell in partitions) or "NULL"
