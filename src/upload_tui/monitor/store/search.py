"""The answers to searches, and to "what needs attention": lists of row numbers, in order, made in pieces.

Few rows are found by their trigrams, all at once. Many are found by walking the order that is asked for, a piece at a time, so that
the first ones are there within milliseconds among however many, and whoever asks is never kept waiting for the last. A list that
has become old is shown until the next one is whole. Used by `Store` alone.
"""

import json
from array import array
from collections.abc import Callable
from math import inf

from msgspec import Struct, field

from upload_tui.monitor.model import Query, SortKey
from upload_tui.monitor.store.database import Database
from upload_tui.monitor.store.lease import read_lease
from upload_tui.monitor.store.query import (
    RowKey,
    StoreQuery,
    key_bound,
    partition_list,
    select_count,
    sort_columns,
    sort_direction,
    union_selects,
)

__all__ = ["SearchResult", "SearchLists"]

_MAX_CANDIDATES = 8000
"""So many candidates are read at once. Where there are more, the first rows are found sooner by walking."""
_SAMPLE_ROWS = 500
"""So many candidates tell how many there are."""
_BATCH_ROWS = 1024
"""Rows walked over at once."""
_MAX_CACHED_LISTS = 2
_LONG_LIST_ROWS = 20_000
"""A list longer than this is made anew only after a while, however often the store changes."""
_LONG_LIST_REFRESH_SECONDS = 5.0
_REFRESH_FACTOR = 10
"""That while is at least so many times what the list took to make."""


class SearchResult(Struct):
    """What is found so far.

    Attributes:
        numbers: of the rows, in order.
        rest: the parts of the query that are still to be walked, the first of them from a place on.
        values, revision: what the list was begun with; at another time or after a change it may be another.
        made_at, seconds: when it was begun, and what it took until now.
        is_settled: True if nobody looks for more of it, nor for the next one.
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
        """Where a row stands; None if it is not found, or not yet. What was asked for last mostly stands where it stood."""
        if self._last_position < len(self.row_numbers) and self.row_numbers[self._last_position] == number:
            return self._last_position
        try:
            self._last_position = self.row_numbers.index(number)
        except ValueError:
            return None
        return self._last_position


class _CachedLists(Struct):
    current: SearchResult
    following: SearchResult | None = field(default=None)


class SearchLists:
    """The lists of one store.

    Args:
        db: the store's.
        monotonic: seconds that never go backwards.
    """

    def __init__(self, db: Database, monotonic: Callable[[], float]) -> None:
        self._db = db
        self._monotonic = monotonic
        self._cache: dict[Query, _CachedLists] = {}

    def search(self, query: StoreQuery, revision: int, min_rows: int, patience_seconds: float | None) -> SearchResult:
        """The list of a query that has a condition.

        Args:
            query: the query.
            revision: the store's.
            min_rows: how many rows must be found, unless there are fewer.
            patience_seconds: to look for no longer than this; None to have the whole of it.
        """
        wanted_rows, until = (
            (inf, inf) if patience_seconds is None else (min_rows, self._monotonic() + patience_seconds)
        )
        kept = self._cache.pop(query.query, None) or _CachedLists(self._start_list(query, revision))
        self._cache[query.query] = kept
        while len(self._cache) > _MAX_CACHED_LISTS:
            del self._cache[next(iter(self._cache))]
        if kept.current.remaining:
            self._continue(kept.current, wanted_rows, until)
        elif kept.following is not None or self._is_due(kept.current, query, revision):
            kept.following = kept.following or self._start_list(query, revision)
            self._continue(kept.following, inf, until)
            if not kept.following.remaining:
                kept.current, kept.following = kept.following, None
        kept.current.is_settled = not kept.current.remaining and kept.following is None
        return kept.current

    def position(self, query: StoreQuery, revision: int, number: int) -> int | None:
        """Where a row stands in what is found; None if it is not."""
        patience_seconds = 0.0 if query.query in self._cache else None
        return self.search(query, revision, 0, patience_seconds).position(number)

    def _is_due(self, known: SearchResult, query: StoreQuery, revision: int) -> bool:
        if known.revision == revision and known.values == query.values:
            return False
        rests_seconds = max(_LONG_LIST_REFRESH_SECONDS, _REFRESH_FACTOR * known.build_seconds)
        return len(known.row_numbers) <= _LONG_LIST_ROWS or self._monotonic() - known.started_at >= rests_seconds

    def _start_list(self, query: StoreQuery, revision: int) -> SearchResult:
        began = self._monotonic()
        few = self._find_by_trigrams(query)
        rest: list[tuple[StoreQuery, RowKey | None]] = (
            [] if few is not None else [(group, None) for group in query.groups()]
        )
        return SearchResult(few or array("i"), rest, query.values, revision, began, self._monotonic() - began)

    def _find_by_trigrams(self, query: StoreQuery) -> "array[int] | None":
        """All rows in order, if trigrams find but few; None if there may be many."""
        if not query.trigrams or read_lease(self._db) is not None:  # what is poured in has no trigrams yet
            return None
        candidates = "SELECT rowid FROM grams WHERE grams MATCH ? AND rowid > ? LIMIT ?"
        numbers = [row[0] for row in self._db.execute(candidates, (query.trigrams, 0, _SAMPLE_ROWS))]
        if len(numbers) == _SAMPLE_ROWS:
            (last,) = self._db.execute("SELECT coalesce(max(number), 0) FROM uploads").fetchone()
            if _SAMPLE_ROWS * last > _MAX_CANDIDATES * numbers[-1]:  # if they stand as close together everywhere
                return None
            numbers += (row[0] for row in self._db.execute(candidates, (query.trigrams, numbers[-1], _MAX_CANDIDATES)))
        if len(numbers) > _MAX_CANDIDATES:
            return None
        where = (
            query.condition
            if query.has_all_partitions
            else f"{query.condition} AND cell IN ({partition_list(query.partitions)})"
        )
        way, tie = sort_direction(query), "initiated_ms" if query.sort in {SortKey.STAGE, SortKey.PROJECT} else "number"
        rows = self._db.execute(
            f"SELECT number FROM uploads WHERE number IN (SELECT value FROM json_each(?)) AND {where} "
            f"ORDER BY +{sort_columns(query).partition(',')[0]} {way}, +{tie} {way}, +number {way}",
            (json.dumps(numbers), *query.values),
        )
        return array("i", (row[0] for row in rows))

    def _continue(self, found: SearchResult, min_rows: float, until: float) -> None:
        """Walk on, a piece at least, until enough is found or time is up."""
        began = now = self._monotonic()
        while found.remaining and len(found.row_numbers) < min_rows:
            self._scan_batch(found)
            now = self._monotonic()
            if now >= until:
                break
        found.build_seconds += now - began

    def _scan_batch(self, found: SearchResult) -> None:
        asked, low = found.remaining[0]
        way, (since, since_values) = sort_direction(asked), key_bound(asked, low, "<=" if asked.descending else ">=")
        order, times = f"ORDER BY 1 {way}, 2 {way}", select_count(asked)
        ends = self._db.execute(
            f"{union_selects(asked, since)} {order} LIMIT 1 OFFSET {_BATCH_ROWS}", since_values * times
        )
        high = ends.fetchone()
        before, before_values = key_bound(asked, high, ">" if asked.descending else "<")
        values = (*since_values, *before_values, *asked.values) * times
        hits = self._db.execute(f"{union_selects(asked, f'{since}{before} AND {asked.condition}')} {order}", values)
        found.row_numbers.extend(row[1] for row in hits)
        found.remaining[:1] = [] if high is None else [(asked, high)]
