"""A query in the store's terms, and the SQL fragments that `KeysetPager` and `SearchLists` build their statements from."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from upload_tui.monitor.model import Query, SortKey
from upload_tui.monitor.store.partitions import Partition, partition_list
from upload_tui.monitor.store.rows import to_ms
from upload_tui.monitor.store.schema import UNKNOWN
from upload_tui.status import PENDING_STAGES, Stage

__all__ = [
    "RowKey",
    "StoreQuery",
    "StuckThreshold",
    "StuckThresholds",
    "key_bound",
    "select_count",
    "sort_columns",
    "sort_direction",
    "TroubleThresholds",
    "failed_condition",
    "idle_condition",
    "store_query",
    "stuck_condition",
    "union_selects",
]

_MAX_UNION_SELECTS = 16
"""Queries over more partitions use one SELECT with a condition instead of a UNION."""
_TRIGRAM_LENGTH = 3
_MAX_TRIGRAMS = 12

_SORT_COLUMNS: Mapping[SortKey, str] = {
    SortKey.INITIATED: "initiated_ms",
    SortKey.STAGE: "stage",
    SortKey.SINCE: "since_ms",
    SortKey.NAME: "name",
    SortKey.SIZE: "size_bytes",
    SortKey.PROJECT: "project",
    SortKey.SERVICE: "initiated_ms",  # a store holds one service
    SortKey.TOOK: f"ifnull(ended_ms - completed_ms, {UNKNOWN})",
    SortKey.CHUNKS: "ifnull(chunk_count, -1)",
    SortKey.PROGRESS: (
        "CASE stage WHEN 0 THEN CASE WHEN size_bytes > 0 THEN min(1.0, 1.0 * ifnull(chunk_bytes, 0) / size_bytes) ELSE 0.0 END "
        "WHEN 1 THEN 2.0 WHEN 3 THEN 3.0 ELSE 4.0 END"
    ),
    SortKey.ID: "id",
}
_UNINDEXED_SORTS = frozenset({SortKey.TOOK, SortKey.CHUNKS, SortKey.PROGRESS, SortKey.ID})

RowKey = tuple[Any, int]
"""A row's sort value and its number, which breaks ties."""

_Condition = tuple[str, tuple[object, ...]]
"""An SQL condition and the values of its parameters."""


class StuckThreshold(Struct, frozen=True):
    """Completed uploads of one project (None: any) and size look stuck if they have been completed since before `before`.

    Sizes are from `min_bytes` (inclusive) to `below_bytes` (exclusive).
    """

    project_id: str | None
    min_bytes: int
    below_bytes: int
    before: datetime


class StuckThresholds(Struct, frozen=True):
    """The times before which pending uploads look stuck.

    Attributes:
        initiated: for the last activity of an initiated upload.
        completed: for the completion of a completed one.
        specific: thresholds of particular projects and sizes; the first that matches wins over `completed`.
    """

    initiated: datetime
    completed: datetime
    specific: tuple[StuckThreshold, ...] = ()


class TroubleThresholds(Struct, frozen=True):
    """The times that decide on trouble.

    Attributes:
        late: before which pending uploads are late: overdue, or stuck.
        failed_since: from when on failures are recent.
        stuck: before which they are stuck; None means the same as `late`.
    """

    late: StuckThresholds
    failed_since: datetime
    stuck: StuckThresholds | None = None


class StoreQuery(Struct, frozen=True):
    """A query in the store's terms.

    Attributes:
        partitions: the partitions that the result lies in; none is empty.
        contradictory: further partitions, of which the result has contradictory uploads only.
        has_all_partitions: True if the query selects no project and no stage.
        condition, values: a further SQL condition on rows and its parameters; empty if there is none.
        sort, descending: the order.
        trigrams: an FTS5 query that matches at least the rows of the condition; empty if the index cannot help.
        query: the query that this was made from.
        left_out: row numbers of the partitions that the result has not; for queries without a condition.
    """

    partitions: tuple[Partition, ...]
    has_all_partitions: bool
    condition: str
    values: tuple[object, ...]
    sort: SortKey
    descending: bool
    trigrams: str = ""
    query: Query = Query()
    contradictory: tuple[Partition, ...] = ()
    left_out: tuple[int, ...] = ()

    @property
    def total(self) -> int:
        """The number of uploads in the partitions that are not left out."""
        return sum(partition.upload_count for partition in self.partitions) - len(self.left_out)

    @property
    def is_indexed(self) -> bool:
        """True if an index has the rows in this order."""
        return self.sort not in _UNINDEXED_SORTS

    @property
    def needs_list(self) -> bool:
        """True if the result needs a list of row numbers: rows have to be tested, or have no index in this order."""
        return bool(self.condition) or not self.is_indexed

    @property
    def cache_key(self) -> tuple[Any, ...]:
        """What identifies the query, without the counts of its partitions."""
        numbers = None if self.has_all_partitions else tuple(partition.number for partition in self.partitions)
        return (numbers, self.sort, self.descending, self.left_out)

    def groups(self) -> Sequence["StoreQuery"]:
        """Queries whose results, one after the other, are the result of this one.

        Stages and projects have no index of their own: each of them is a group of partitions, sorted by initiation.
        """
        if self.sort not in {SortKey.STAGE, SortKey.PROJECT}:
            return [self]

        def group_of(partition: Partition) -> int:
            return partition.stage_rank if self.sort is SortKey.STAGE else partition.project_number

        groups = {group_of(partition) for partition in (*self.partitions, *self.contradictory)}
        return [
            replace(
                self,
                partitions=tuple(partition for partition in self.partitions if group_of(partition) == group),
                contradictory=tuple(partition for partition in self.contradictory if group_of(partition) == group),
                has_all_partitions=False,
                sort=SortKey.INITIATED,
            )
            for group in sorted(groups, reverse=self.descending)
        ]


def store_query(
    query: Query,
    thresholds: TroubleThresholds,
    partitions: Callable[[frozenset[str], frozenset[Stage]], tuple[Partition, ...]],
) -> StoreQuery:
    """Translate a query.

    Args:
        query: the query.
        thresholds: for `attention_only` and `late_only`.
        partitions: looks up the partitions of some projects and stages; empty sets mean all.
    """

    def listed(stages: frozenset[Stage]) -> tuple[Partition, ...]:
        """The partitions of these stages; an upload that is gone is in no stage, as in the funnel."""
        return tuple(one for one in partitions(query.project_ids, stages) if not (stages and one.is_gone))

    stages = _possible_stages(query)
    conditions: list[_Condition] = []
    contradictory: tuple[Partition, ...] = ()
    if query.attention_only or query.late_only:
        conditions.append(trouble_condition(thresholds))
        # An index finds the contradictory uploads among all verified ones.
        if not query.late_only and not query.is_by_failure and Stage.VERIFIED in (query.stages or Stage):
            contradictory = listed(frozenset({Stage.VERIFIED}))
    if query.is_by_failure:
        conditions.append(_failure_condition(query))
    if query.search:
        conditions.append(_search_condition(query.search))
    is_empty = not stages
    if stages == frozenset(Stage):
        stages = frozenset()
    return StoreQuery(
        partitions=() if is_empty else listed(stages),
        has_all_partitions=not query.project_ids and not stages and not is_empty,
        condition=" AND ".join(condition for condition, _ in conditions),
        values=tuple(value for _, values in conditions for value in values),
        sort=query.sort,
        descending=query.descending,
        trigrams=_trigram_query(query.search),
        query=query,
        contradictory=contradictory,
    )


def _possible_stages(query: Query) -> frozenset[Stage]:
    """The stages that the result can lie in: leaving out `verified` saves much, since most uploads are verified."""
    stages = query.stages or frozenset(Stage)
    if query.attention_only:
        stages -= {Stage.VERIFIED}
    if query.late_only:
        stages &= PENDING_STAGES
    return stages & {Stage.ERROR} if query.is_by_failure else stages


# Conditions

NOT_ACKNOWLEDGED = "acknowledged_stage IS NOT stage"
CONTRADICTORY = f"is_contradictory = 1 AND stage = {Stage.VERIFIED.rank} AND {NOT_ACKNOWLEDGED}"


def stuck_condition(completed: datetime, specific: Sequence[StuckThreshold]) -> _Condition:
    """The condition that a completed upload has waited since before its threshold."""
    cases: list[str] = []
    values: list[object] = []
    for threshold in specific:
        if threshold.project_id is None:
            cases.append("WHEN size_bytes >= ? AND size_bytes < ? THEN ?")
        else:
            cases.append(
                "WHEN project = (SELECT project FROM projects WHERE id = ?) AND size_bytes >= ? AND size_bytes < ? THEN ?"
            )
            values.append(threshold.project_id)
        values.extend((threshold.min_bytes, threshold.below_bytes, to_ms(threshold.before)))
    values.append(to_ms(completed))
    before = f"CASE {' '.join(cases)} ELSE ? END" if cases else "?"
    return f"(since_ms > {UNKNOWN} AND since_ms < {before})", tuple(values)


def idle_condition(before: datetime) -> _Condition:
    """The condition that nothing has happened to an initiated upload since `before`."""
    return f"max(ifnull(activity_ms, {UNKNOWN}), since_ms) BETWEEN {UNKNOWN + 1} AND ? - 1", (to_ms(before),)


def failed_condition(since: datetime) -> _Condition:
    """The condition that an upload in error failed since then, or at an unknown time."""
    return f"(since_ms >= ? OR since_ms = {UNKNOWN})", (to_ms(since),)


def trouble_condition(thresholds: TroubleThresholds) -> _Condition:
    """The condition that an upload is in trouble: `analysis.trouble.trouble_of` in SQL."""
    late = thresholds.late
    cases = {
        Stage.INITIATED: idle_condition(late.initiated),
        Stage.COMPLETED: stuck_condition(late.completed, late.specific),
        Stage.ERROR: failed_condition(thresholds.failed_since),
    }
    conditions = [f"(stage = {stage.rank} AND {condition})" for stage, (condition, _) in cases.items()]
    values = [value for _, some in cases.values() for value in some]
    return (
        f"{NOT_ACKNOWLEDGED} AND ({CONTRADICTORY} OR {' OR '.join(conditions)})",
        tuple(values),
    )


def _failure_condition(query: Query) -> _Condition:
    """The condition that an upload failed with a cause, at a storage provider, or sent by an uploader."""
    wanted = {"cause": query.cause, "storage_provider": query.storage_provider, "uploader": query.uploader}
    selected = {column: value for column, value in wanted.items() if value is not None}
    return " AND ".join(["stage = 3", *(f"{column} = ?" for column in selected)]), tuple(selected.values())


def _search_condition(text: str) -> _Condition:
    """The condition that a name, id or error message contains a text."""
    pattern = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    return "(name LIKE ? ESCAPE '\\' OR id LIKE ? ESCAPE '\\' OR error_message LIKE ? ESCAPE '\\')", (pattern,) * 3


def _trigram_query(text: str) -> str:
    """An FTS5 query for the trigrams of a text, or a sample of them if it is long; empty if it has none."""
    trigrams = [
        *dict.fromkeys(text[start : start + _TRIGRAM_LENGTH] for start in range(len(text) - _TRIGRAM_LENGTH + 1))
    ]
    sample = trigrams[:: -(-len(trigrams) // _MAX_TRIGRAMS) or 1]
    return " AND ".join('"' + trigram.replace('"', '""') + '"' for trigram in sample if "\x00" not in trigram)


# Statements


def sort_columns(query: StoreQuery) -> str:
    """The columns that rows are sorted by: those of a `RowKey`."""
    return f"{_SORT_COLUMNS[query.sort]}, number"


def sort_direction(query: StoreQuery, *, backwards: bool = False) -> str:
    """`ASC` or `DESC`."""
    return "DESC" if query.descending is not backwards else "ASC"


def key_bound(query: StoreQuery, key: RowKey | None, operator: str) -> _Condition:
    """` AND (columns) operator (key)` with its values; empty if `key` is None."""
    if key is None:
        return "", ()
    return f" AND ({sort_columns(query)}) {operator} ({', '.join('?' * len(key))})", tuple(key)


def _is_union(query: StoreQuery) -> bool:
    return not query.has_all_partitions and 0 < len(query.partitions) <= _MAX_UNION_SELECTS


def select_count(query: StoreQuery) -> int:
    """The number of SELECTs in `union_selects`; each needs the same values."""
    return (len(query.partitions) if _is_union(query) else 1) + bool(query.contradictory)


def union_selects(query: StoreQuery, extra_condition: str) -> str:
    """Select the keys of a query's rows: one SELECT for each partition, so that each uses its index and SQLite merges them."""
    if _is_union(query):
        wheres = [f"cell = {partition.number}" for partition in query.partitions]
    else:
        wheres = ["1" if query.has_all_partitions else f"cell IN ({partition_list(query.partitions)})"]
    if query.contradictory:
        wheres.append(f"is_contradictory = 1 AND cell IN ({partition_list(query.contradictory)})")
    if query.left_out:
        extra_condition += f" AND number NOT IN ({', '.join(map(str, query.left_out))})"
    return " UNION ALL ".join(
        f"SELECT {sort_columns(query)} FROM uploads WHERE {where}{extra_condition}" for where in wheres
    )
