"""Keyset paging: rows at an offset, and the position of a row, among a million rows without counting from the start.

Serves queries that have no condition beyond project and stage. Rows are read along the indexes of the partitions from the nearest
known position: either end, or a checkpoint that an earlier read left. Checkpoints are valid for one revision of the store.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field

from upload_tui.monitor.queries.query import SortKey
from upload_tui.monitor.store.database import Database
from upload_tui.monitor.store.query import (
    RowKey,
    StoreQuery,
    key_bound,
    select_count,
    sort_columns,
    sort_direction,
    union_selects,
)

__all__ = ["KeysetPager"]


class _Checkpoints(Struct):
    """Offsets whose row keys are known, in order."""

    offsets: list[int] = field(default_factory=list)
    keys: list[RowKey] = field(default_factory=list)

    def add(self, offset: int, key: RowKey) -> None:
        """Insert a checkpoint, unless the offset has one."""
        index = bisect_left(self.offsets, offset)
        if index == len(self.offsets) or self.offsets[index] != offset:
            self.offsets.insert(index, offset)
            self.keys.insert(index, key)


class KeysetPager:
    """Pages of one store's queries.

    Args:
        db: the store's database.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._revision = -1
        self._checkpoints: dict[tuple[Any, ...], _Checkpoints] = {}

    def row_numbers(self, query: StoreQuery, offset: int, limit: int, revision: int) -> Sequence[int]:
        """At most `limit` row numbers from `offset`; `revision` is the store's."""
        numbers: list[int] = []
        for group in query.groups():
            if len(numbers) < limit and offset < group.total:
                keys = self._page(group, self._checkpoints_for(group, revision), offset, limit - len(numbers))
                numbers.extend(number for _, number in keys)
            offset = max(0, offset - group.total)
        return numbers

    def position(self, query: StoreQuery, number: int, partition: int, revision: int) -> int | None:
        """The position (from 0) of a row of `partition`; None if the query does not include it."""
        before = 0
        for group in query.groups():
            if any(one.number == partition for one in group.partitions):
                row = f"SELECT {sort_columns(group)} FROM uploads WHERE number = ?"
                key = self._db.execute(row, (number,)).fetchone()
                if key is None:  # the database was replaced since the row was found
                    return None
                return before + self._count_before(group, self._checkpoints_for(group, revision), key)
            before += group.total
        return None

    def _checkpoints_for(self, query: StoreQuery, revision: int) -> _Checkpoints:
        if revision != self._revision:
            self._revision = revision
            self._checkpoints.clear()
        return self._checkpoints.setdefault(query.cache_key, _Checkpoints())

    def _page(self, query: StoreQuery, checkpoints: _Checkpoints, offset: int, limit: int) -> Sequence[RowKey]:
        """The keys from `offset`, read from the nearest known position; a long way leaves checkpoints."""
        limit = max(0, min(limit, query.total - offset))
        if limit == 0:
            return ()
        below = bisect_right(checkpoints.offsets, offset) - 1
        above = bisect_left(checkpoints.offsets, offset + limit)
        start, low = (checkpoints.offsets[below], checkpoints.keys[below]) if below >= 0 else (0, None)
        is_last = above == len(checkpoints.offsets)
        end, high = (query.total, None) if is_last else (checkpoints.offsets[above], checkpoints.keys[above])
        forward, backward, stride = offset - start, end - offset - limit, self._db.limits.checkpoint_rows
        if forward <= backward:
            while forward > stride:
                if not (step := self._fetch_keys(query, low, stride, 1, backwards=False)):
                    return ()  # another dashboard deleted rows just now
                low, start, forward = step[0], start + stride, forward - stride
                checkpoints.add(start, low)
            keys = self._fetch_keys(query, low, forward, limit, backwards=False)
        else:
            while backward > stride:
                if not (step := self._fetch_keys(query, high, stride - 1, 1, backwards=True)):
                    return ()
                high, end, backward = step[0], end - stride, backward - stride
                checkpoints.add(end, high)
            keys = self._fetch_keys(query, high, backward, limit, backwards=True)[::-1]
        if keys:
            checkpoints.add(offset, keys[0])
        return keys

    def _fetch_keys(
        self, query: StoreQuery, key: RowKey | None, skip: int, limit: int, *, backwards: bool
    ) -> list[RowKey]:
        """`limit` keys after skipping `skip`: from `key` on (included), or backwards from `key` (excluded)."""
        operator = "<" if query.descending is not backwards else ">"
        operator += "" if backwards else "="
        bound, values = key_bound(query, key, operator)
        direction = sort_direction(query, backwards=backwards)
        return self._db.execute(
            f"{union_selects(query, bound)} ORDER BY 1 {direction}, 2 {direction} LIMIT ? OFFSET ?",
            (*values * select_count(query), limit, skip),
        )

    def _count_before(self, query: StoreQuery, checkpoints: _Checkpoints, key: RowKey) -> int:
        """The number of rows before `key`, counted from the last checkpoint before it."""
        index = _checkpoint_after(checkpoints, key, query)
        start, low = (checkpoints.offsets[index - 1], checkpoints.keys[index - 1]) if index > 0 else (0, None)
        before, before_values = key_bound(query, key, ">" if query.descending else "<")
        since, since_values = key_bound(query, low, "<=" if query.descending else ">=")
        values = (*before_values, *since_values) * select_count(query)
        rows = self._db.execute(f"SELECT count(*) FROM ({union_selects(query, before + since)})", values)
        return start + int(rows.fetchone()[0])


def _checkpoint_after(checkpoints: _Checkpoints, key: RowKey, query: StoreQuery) -> int:
    """The index of the first checkpoint after `key`."""
    sign = -1 if query.descending else 1

    def rank(one: RowKey) -> tuple[Any, int]:
        value, number = one
        return (_NameKey(value, sign) if query.sort is SortKey.NAME else sign * value, sign * number)

    return bisect_right(checkpoints.keys, rank(key), key=rank)


class _NameKey:
    """A name that compares as SQLite's NOCASE does: A to Z as lower case, then byte by byte."""

    __slots__ = ("folded", "sign")

    def __init__(self, name: str, sign: int) -> None:
        self.folded = name.encode("utf-8", "surrogatepass").lower()
        self.sign = sign

    def __lt__(self, other: "_NameKey") -> bool:
        return self.folded < other.folded if self.sign > 0 else other.folded < self.folded

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _NameKey) and self.folded == other.folded

    __hash__ = None  # type: ignore[assignment]  # only compared, never hashed
