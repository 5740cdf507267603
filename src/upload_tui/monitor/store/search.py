"""Results of searches, filters and orders without an index: lists of row numbers in order, built in batches.

If trigrams or another index match few rows, the list is built at once. Otherwise the rows are scanned in the requested order, one
batch at a time, so that the first matches are there within milliseconds and no caller waits for the last. An outdated list is used
until the next one is complete.
"""

import json
from array import array
from collections.abc import Callable, Sequence
from math import inf

from msgspec import Struct

from upload_tui.monitor.queries.query import Query, SortKey
from upload_tui.monitor.store.database import Database
from upload_tui.monitor.store.partitions import partition_list
from upload_tui.monitor.store.query import (
    RowKey,
    StoreQuery,
    key_bound,
    select_count,
    sort_columns,
    sort_direction,
    union_selects,
)
from upload_tui.monitor.store.schema import read_lease

__all__ = ["SearchLists", "SearchResult"]

_MAX_CACHED_LISTS = 2
_LONG_LIST_REFRESH_SECONDS = 5.0
"""The shortest pause before a long list is rebuilt."""
_REFRESH_FACTOR = 10
"""The pause is at least this many times as long as the list took to build."""


class SearchResult(Struct):
    """The matches found so far.

    Attributes:
        row_numbers: of the matches, in order.
        remaining: the groups of the query that are still to be scanned; the first of them from a key on.
        values, revision: the parameters and the store's revision that the list was started with; if they differ, it is outdated.
        started_at, build_seconds: when it was started (monotonic), and how long it has taken so far.
        is_settled: True if it is complete and no newer list is being built.
    """

    row_numbers: "array[int]"
    remaining: list[tuple[StoreQuery, RowKey | None]]
    values: tuple[object, ...]
    revision: int
    started_at: float
    build_seconds: float = 0.0
    is_settled: bool = False
    _last_position: int = 0

    def position(self, number: int) -> int | None:
        """The position of a row; None if it was not found (yet). Tries the last position first: mostly the same row is asked for."""
        if self._last_position < len(self.row_numbers) and self.row_numbers[self._last_position] == number:
            return self._last_position
        try:
            self._last_position = self.row_numbers.index(number)
        except ValueError:
            return None
        return self._last_position


class _CachedLists(Struct):
    """The list in use, and the one that will replace it when complete."""

    current: SearchResult
    following: SearchResult | None = None


class SearchLists:
    """The search lists of one store.

    Args:
        db: the store's database.
        monotonic: seconds that never go backwards.
    """

    def __init__(self, db: Database, monotonic: Callable[[], float]) -> None:
        self._db = db
        self._limits = db.limits
        self._monotonic = monotonic
        self._cache: dict[Query, _CachedLists] = {}

    def search(self, query: StoreQuery, revision: int, min_rows: int, patience_seconds: float | None) -> SearchResult:
        """The list of a query that has a condition.

        Args:
            query: the query.
            revision: the store's revision.
            min_rows: stop after this number of matches.
            patience_seconds: stop after this time; None builds the complete list.
        """
        limits = (inf, inf) if patience_seconds is None else (min_rows, self._monotonic() + patience_seconds)
        lists = self._cache.pop(query.query, None) or _CachedLists(self._start_list(query, revision))
        self._cache[query.query] = lists
        while len(self._cache) > _MAX_CACHED_LISTS:
            del self._cache[next(iter(self._cache))]
        if lists.current.remaining:
            self._continue(lists.current, *limits)
        elif lists.following is not None or self._is_due(lists.current, query, revision):
            lists.following = lists.following or self._start_list(query, revision)
            self._continue(lists.following, inf, limits[1])
            if not lists.following.remaining:
                lists.current, lists.following = lists.following, None
        lists.current.is_settled = not lists.current.remaining and lists.following is None
        return lists.current

    def position(self, query: StoreQuery, revision: int, number: int) -> int | None:
        """The position of a row in the list; None if it is not in it."""
        patience_seconds = 0.0 if query.query in self._cache else None
        return self.search(query, revision, 0, patience_seconds).position(number)

    def _is_due(self, known: SearchResult, query: StoreQuery, revision: int) -> bool:
        if known.revision == revision and known.values == query.values:
            return False
        pause_seconds = max(_LONG_LIST_REFRESH_SECONDS, _REFRESH_FACTOR * known.build_seconds)
        return (
            len(known.row_numbers) <= self._limits.long_list_rows
            or self._monotonic() - known.started_at >= pause_seconds
        )

    def _start_list(self, query: StoreQuery, revision: int) -> SearchResult:
        started_at = self._monotonic()
        found = self._find_by_index(query) if query.is_indexed else self._find_all(query)
        remaining: list[tuple[StoreQuery, RowKey | None]] = []
        if found is None:
            remaining.extend((group, None) for group in query.groups())
        build_seconds = self._monotonic() - started_at
        return SearchResult(found or array("i"), remaining, query.values, revision, started_at, build_seconds)

    def _find_by_index(self, query: StoreQuery) -> "array[int] | None":
        """All matches in order if an index shows that they are few; None if they may be many."""
        candidates = self._candidates(query)
        if candidates is None:
            return None
        where = query.condition
        if not query.has_all_partitions:
            where += f" AND partition IN ({partition_list((*query.partitions, *query.contradictory))})"
        direction = sort_direction(query)
        tie = "first_event_ms" if query.sort in {SortKey.STAGE, SortKey.PROJECT} else "number"
        rows = self._db.execute(
            f"SELECT number FROM uploads WHERE number IN (SELECT value FROM json_each(?)) AND {where} "
            f"ORDER BY +{sort_columns(query).partition(',')[0]} {direction}, +{tie} {direction}, +number {direction}",
            (json.dumps(candidates), *query.values),
        )
        return array("i", (row[0] for row in rows))

    def _find_all(self, query: StoreQuery) -> "array[int]":
        """All matches in an order that no index has; SQLite sorts them at once."""
        partitions = (*query.partitions, *query.contradictory)
        where = "1" if query.has_all_partitions else f"partition IN ({partition_list(partitions)})"
        if query.condition:
            where += f" AND {query.condition}"
        direction = sort_direction(query)
        order = ", ".join(f"{column} {direction}" for column in (*sort_columns(query).rsplit(", ", 1),))
        rows = self._db.execute(f"SELECT number FROM uploads WHERE {where} ORDER BY {order}", query.values)
        return array("i", (row[0] for row in rows))

    def _candidates(self, query: StoreQuery) -> Sequence[int] | None:
        """The numbers of some rows with all matches among them; None if they may be many, or if indexes are missing."""
        if read_lease(self._db) is not None:  # a bulk load adds its indexes and trigrams at the end
            return None
        candidates = self._with_trigrams(query.trigrams) if query.trigrams else None
        for condition, values in query.index_conditions if candidates is None else ():
            rows = self._db.execute(
                f"SELECT number FROM uploads WHERE {condition} LIMIT ?", (*values, self._limits.search_candidates + 1)
            )
            if len(rows) <= self._limits.search_candidates:
                return [row[0] for row in rows]
        return candidates

    def _with_trigrams(self, trigrams: str) -> Sequence[int] | None:
        """The numbers of the rows with these trigrams; None if there may be many."""
        matches = "SELECT rowid FROM trigrams WHERE trigrams MATCH ? AND rowid > ? LIMIT ?"
        sample, most = self._limits.search_sample_rows, self._limits.search_candidates
        numbers = [row[0] for row in self._db.execute(matches, (trigrams, 0, sample))]
        if len(numbers) == sample:
            (last,) = self._db.execute("SELECT coalesce(max(number), 0) FROM uploads").fetchone()
            if sample * last > most * numbers[-1]:  # assuming that matches are spread evenly
                return None
            numbers += (row[0] for row in self._db.execute(matches, (trigrams, numbers[-1], most)))
        return None if len(numbers) > most else numbers

    def _continue(self, result: SearchResult, min_rows: float, until: float) -> None:
        """Scan at least one batch, until enough matches are found or the time is over."""
        started_at = now = self._monotonic()
        while result.remaining and len(result.row_numbers) < min_rows:
            self._scan_batch(result)
            now = self._monotonic()
            if now >= until:
                break
        result.build_seconds += now - started_at

    def _scan_batch(self, result: SearchResult) -> None:
        query, low = result.remaining[0]
        direction = sort_direction(query)
        order, repeat = f"ORDER BY 1 {direction}, 2 {direction}", select_count(query)
        since, since_values = key_bound(query, low, "<=" if query.descending else ">=")
        ends = self._db.execute(
            f"{union_selects(query, since)} {order} LIMIT 1 OFFSET {self._limits.search_batch_rows}",
            since_values * repeat,
        )
        high = ends.fetchone()
        before, before_values = key_bound(query, high, ">" if query.descending else "<")
        values = (*since_values, *before_values, *query.values) * repeat
        matches = self._db.execute(f"{union_selects(query, f'{since}{before} AND {query.condition}')} {order}", values)
        result.row_numbers.extend(row[1] for row in matches)
        result.remaining[:1] = [] if high is None else [(query, high)]
