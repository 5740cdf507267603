"""A query in the store's terms, and the SQL fragments that `KeysetPager` and `SearchLists` build their statements from."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from upload_tui.monitor.analysis.statistics import normalize_cause
from upload_tui.monitor.model import ProjectRef
from upload_tui.monitor.queries.matching import (
    begins_word,
    matches_project,
    messages_of_short_cause,
    state_word,
    state_words,
)
from upload_tui.monitor.queries.query import (
    EVERYTHING,
    UNKNOWN_STAGE,
    AllOf,
    AnyOf,
    Expression,
    Not,
    NumberTerm,
    Query,
    SortKey,
    StageTerm,
    State,
    StateTerm,
    TextTerm,
    Where,
    all_of,
)
from upload_tui.monitor.store.conditions import Condition, Conditions, TroubleThresholds
from upload_tui.monitor.store.database import Database
from upload_tui.monitor.store.partitions import Partition, PartitionTable, partition_list
from upload_tui.monitor.store.rows import UNKNOWN_STATE_RANK
from upload_tui.monitor.store.schema import UNKNOWN
from upload_tui.status import PENDING_STAGES, Stage
from upload_tui.text import fold

__all__ = [
    "RowKey",
    "StoreQuery",
    "key_bound",
    "select_count",
    "sort_columns",
    "sort_direction",
    "store_query",
    "union_selects",
]

_MAX_UNION_SELECTS = 16
"""Queries over more partitions use one SELECT with a condition instead of a UNION."""
_MAX_INDEX_CONDITIONS = 4

_SORT_COLUMNS: Mapping[SortKey, str] = {
    SortKey.INITIATED: "first_event_ms",
    SortKey.STAGE: "stage",
    SortKey.SINCE: "since_ms",
    SortKey.NAME: "name",
    SortKey.SIZE: "size_bytes",
    SortKey.PROJECT: "project",
    SortKey.SERVICE: "first_event_ms",  # a store holds one service
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


class StoreQuery(Struct, frozen=True):
    """A query in the store's terms.

    Attributes:
        partitions: the partitions that the result lies in; none is empty.
        contradictory: further partitions, of which the result has contradictory uploads only.
        has_all_partitions: True if the query selects no project and no stage.
        condition, values: a further SQL condition on rows and its parameters; empty if there is none.
        sort, descending: the order.
        trigrams: an FTS5 query that matches at least the rows of the condition; empty if the index cannot help.
        query: the query that this was made from, without its text.
        index_conditions: conditions that all matches fulfil and that an index serves.
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
    index_conditions: tuple[Condition, ...] = ()
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


class _UploadKind(Struct, frozen=True):
    """The uploads of a partition, apart from or only the contradictory ones: what can be decided for all of them at once."""

    stage: str
    is_gone: bool
    is_contradictory: bool
    project: ProjectRef


def store_query(query: Query, thresholds: TroubleThresholds, partitions: PartitionTable, db: Database) -> StoreQuery:
    """Translate a query.

    Args:
        query: the query.
        thresholds: that decide on trouble, and the present.
        partitions: of the store.
        db: of the store.
    """
    tree, projects = _joined_tree(query), partitions.projects()
    known = partitions.select(query.project_ids)
    decided = [(one, *_decide(tree, one, projects)) for one in known]
    whole = tuple(one for one, plain, _ in decided if plain is not False)
    contradictory = tuple(one for one, plain, other in decided if plain is False and other is not False)
    conditions = Conditions(db, thresholds, projects, frozenset(key.id for key in query.marked))
    rest = _undecided(tree, (*whole, *contradictory), projects)
    condition, values = ("", ()) if rest == EVERYTHING else conditions.condition(rest)
    if query.is_by_failure:
        failed, more = _failure_condition(query)
        condition, values = f"{failed} AND {condition}" if condition else failed, (*more, *values)
    return StoreQuery(
        partitions=whole,
        has_all_partitions=not query.project_ids and not contradictory and len(whole) == len(known),
        condition=condition,
        values=values,
        sort=query.sort,
        descending=query.descending,
        trigrams=trigram_query(rest),
        index_conditions=tuple(islice(conditions.index_conditions(rest), _MAX_INDEX_CONDITIONS)),
        query=replace(query, where=Where(tree=query.where.tree)),
        contradictory=contradictory,
    )


def _joined_tree(query: Query) -> Expression:
    """The filters of a query and its search as one tree."""
    filters: list[Expression] = []
    if query.stages:
        filters.append(StageTerm(frozenset(map(str, query.stages))))
    if query.trouble_only:
        filters.append(StateTerm(frozenset({State.TROUBLE})))
    if query.late_only:
        filters.append(StateTerm(frozenset({State.OVERDUE})))
    if query.recent_seconds is not None:
        filters.append(NumberTerm("age", "<=", (query.recent_seconds * 1000,)))
    if query.is_by_failure:
        filters.append(StateTerm(frozenset({State.FAILED})))
    return all_of(*filters, query.where.tree)


def _undecided(tree: Expression, partitions: Sequence[Partition], projects: Mapping[int, ProjectRef]) -> Expression:
    """The parts of a tree that do not match all uploads of these partitions."""
    parts = tree.parts if isinstance(tree, AllOf) else (tree,)
    return all_of(*(part for part in parts if any(_decide(part, one, projects) != (True, True) for one in partitions)))


_STAGE_NAMES = {**{stage.rank: str(stage) for stage in Stage}, UNKNOWN_STATE_RANK: UNKNOWN_STAGE}
_STATES: Mapping[State, Callable[[_UploadKind], bool | None]] = {
    State.GONE: lambda kind: kind.is_gone,
    State.PENDING: lambda kind: not kind.is_gone and kind.stage in PENDING_STAGES,
    State.FAILED: lambda kind: not kind.is_gone and kind.stage == Stage.ERROR,
    State.STUCK: lambda kind: None if not kind.is_gone and kind.stage in PENDING_STAGES else False,
    State.OVERDUE: lambda kind: None if not kind.is_gone and kind.stage in PENDING_STAGES else False,
    State.CONTRADICTORY: lambda kind: None if not kind.is_gone and kind.is_contradictory else False,
    State.TROUBLE: lambda kind: None if not kind.is_gone and _can_be_in_trouble(kind) else False,
}


def _can_be_in_trouble(kind: _UploadKind) -> bool:
    return kind.is_contradictory or kind.stage in {*PENDING_STAGES, Stage.ERROR}


def _decide(
    tree: Expression, partition: Partition, projects: Mapping[int, ProjectRef]
) -> tuple[bool | None, bool | None]:
    """Whether the uploads of a partition match: those that are not contradictory, and those that are. None: it depends."""
    project = projects[partition.project_number]
    stage = _STAGE_NAMES[partition.stage_rank]
    plain = _matches_kind(tree, _UploadKind(stage, partition.is_gone, False, project))
    if partition.stage_rank != Stage.VERIFIED.rank:
        return plain, plain
    return plain, _matches_kind(tree, _UploadKind(stage, partition.is_gone, True, project))


def _matches_kind(tree: Expression, kind: _UploadKind) -> bool | None:
    """Whether all uploads of a kind match (True) or none does (False); None if it depends on the upload."""
    match tree:
        case StageTerm():
            return not kind.is_gone and kind.stage in tree.stages
        case StateTerm():
            return _any_true([_STATES[state](kind) if state in _STATES else None for state in tree.states])
        case TextTerm(field="project"):
            return matches_project(tree, kind.project)
        case TextTerm(field="error") if kind.stage != Stage.ERROR:
            return False
        case TextTerm(field=""):
            return begins_word(tree, (state_word(kind.stage, is_gone=kind.is_gone),)) or None
        case AllOf():
            no = _any_true([_negated(_matches_kind(part, kind)) for part in tree.parts])
            return _negated(no)
        case AnyOf():
            return _any_true([_matches_kind(part, kind) for part in tree.parts])
        case Not():
            return _negated(_matches_kind(tree.part, kind))
        case _:
            return None


def _negated(value: bool | None) -> bool | None:
    return None if value is None else not value


def _any_true(values: Sequence[bool | None]) -> bool | None:
    if True in values:
        return True
    return None if None in values else False


def _failure_condition(query: Query) -> Condition:
    """The condition that an upload failed with a cause, at a storage provider, or sent by an uploader."""
    wanted = {"cause": query.cause, "storage_provider": query.storage_provider, "uploader": query.uploader}
    selected = {column: value for column, value in wanted.items() if value is not None}
    return " AND ".join(["stage = 3", *(f"{column} = ?" for column in selected)]), tuple(selected.values())


# Statements


def sort_columns(query: StoreQuery) -> str:
    """The columns that rows are sorted by: those of a `RowKey`."""
    return f"{_SORT_COLUMNS[query.sort]}, number"


def sort_direction(query: StoreQuery, *, backwards: bool = False) -> str:
    """`ASC` or `DESC`."""
    return "DESC" if query.descending is not backwards else "ASC"


def key_bound(query: StoreQuery, key: RowKey | None, operator: str) -> Condition:
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
        sources = [f"uploads WHERE partition = {partition.number}" for partition in query.partitions]
    elif query.has_all_partitions:
        sources = ["uploads WHERE 1"]
    else:
        sources = [f"uploads WHERE partition IN ({partition_list(query.partitions)})"]
    if query.contradictory:  # few, but SQLite would search them among all rows, which have an index in this order
        partitions = partition_list(query.contradictory)
        sources.append(f"uploads INDEXED BY by_trouble WHERE is_contradictory = 1 AND partition IN ({partitions})")
    if query.left_out:
        extra_condition += f" AND number NOT IN ({', '.join(map(str, query.left_out))})"
    return " UNION ALL ".join(f"SELECT {sort_columns(query)} FROM {source}{extra_condition}" for source in sources)


# Trigrams

_TRIGRAM_LENGTH = 3
_MAX_TRIGRAMS = 12


def trigram_query(tree: Expression) -> str:
    """An FTS5 query that matches at least all rows that match the tree; empty if there is none. It never contains a NOT."""
    match tree:
        case TextTerm() if tree.field in {"", "name", "id", "error"}:
            values = [_trigrams(value, is_cause=tree.field == "error") for value in tree.values]
            causes = [_trigrams(fold(fixed), is_cause=False) for fixed in messages_of_short_cause(tree)]
            return "" if state_words(tree) else _any_trigrams([*values, *causes])
        case AllOf():
            return " AND ".join(filter(None, map(trigram_query, tree.parts)))
        case AnyOf():
            return _any_trigrams([trigram_query(part) for part in tree.parts])
        case _:
            return ""


def _any_trigrams(queries: Sequence[str]) -> str:
    if not all(queries):
        return ""
    return queries[0] if len(queries) == 1 else f"({' OR '.join(f'({query})' for query in queries)})"


def _trigrams(value: str, *, is_cause: bool) -> str:
    """The trigrams of a folded text, or a sample of them if it is long; empty if it has none.

    A cause is no part of its message where `normalize_cause` has replaced something.
    """
    if is_cause and ("#" in value or value in _NO_CAUSE):
        return ""
    trigrams = [
        *dict.fromkeys(value[start : start + _TRIGRAM_LENGTH] for start in range(len(value) - _TRIGRAM_LENGTH + 1))
    ]
    sample = trigrams[:: -(-len(trigrams) // _MAX_TRIGRAMS) or 1]
    return " AND ".join('"' + trigram.replace('"', '""') + '"' for trigram in sample)


_NO_CAUSE = normalize_cause("")
