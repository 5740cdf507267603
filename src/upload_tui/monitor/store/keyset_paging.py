"""Where an upload stands in the answer to a query, and who stands where, among a million, without counting from the start.

An answer by project and stage alone is walked along the indexes of its cells, from whichever is nearest: an end, or a rung that an
earlier walk left behind; rungs are good for one revision of the store. Used by `Store` alone.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field

from upload_tui.monitor.model import SortKey
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

_CHECKPOINT_ROWS = 8192
"""Rows between two rungs."""


class _Checkpoints(Struct):
    """Places that are known: the key and row number that stand at an offset, in the order of both."""

    offsets: list[int] = field(default_factory=list)
    keys: list[RowKey] = field(default_factory=list)

    def add(self, offset: int, key: RowKey) -> None:
        place = bisect_left(self.offsets, offset)
        if place == len(self.offsets) or self.offsets[place] != offset:
            self.offsets.insert(place, offset)
            self.keys.insert(place, key)


class KeysetPager:
    """Answers of one store to queries without a condition.

    Args:
        db: the store's.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._revision = -1
        self._checkpoints: dict[tuple[Any, ...], _Checkpoints] = {}

    def row_numbers(self, query: StoreQuery, offset: int, limit: int, revision: int) -> Sequence[int]:
        """The row numbers at `offset` and after; `revision` is the store's."""
        found: list[int] = []
        for group in query.groups():
            if len(found) < limit and offset < group.total:
                keys = self._page(group, self._checkpoints_for(group, revision), offset, limit - len(found))
                found.extend(number for _, number in keys)
            offset = max(0, offset - group.total)
        return found

    def position(self, query: StoreQuery, number: int, partition: int, revision: int) -> int | None:
        """Where a row stands that lies in `partition`; None if it is not in the answer."""
        before = 0
        for group in query.groups():
            if any(one.number == partition for one in group.partitions):
                row = f"SELECT {sort_columns(group)} FROM uploads WHERE number = ?"
                key = self._db.execute(row, (number,)).fetchone()
                if key is None:  # another database took the place of the one that had it
                    return None
                return before + self._count_before(group, self._checkpoints_for(group, revision), key)
            before += group.total
        return None

    # Ladders

    def _checkpoints_for(self, query: StoreQuery, revision: int) -> _Checkpoints:
        if revision != self._revision:
            self._revision = revision
            self._checkpoints.clear()
        return self._checkpoints.setdefault(query.cache_key, _Checkpoints())

    def _page(self, query: StoreQuery, checkpoints: _Checkpoints, offset: int, limit: int) -> Sequence[RowKey]:
        """The keys at `offset` and after: from the nearest place that is known, leaving rungs on a long way."""
        limit = max(0, min(limit, query.total - offset))
        if limit == 0:
            return ()
        below = bisect_right(checkpoints.offsets, offset) - 1
        above = bisect_left(checkpoints.offsets, offset + limit)
        start, low = (checkpoints.offsets[below], checkpoints.keys[below]) if below >= 0 else (0, None)
        end, high = (
            (checkpoints.offsets[above], checkpoints.keys[above])
            if above < len(checkpoints.offsets)
            else (query.total, None)
        )
        forward, backward = offset - start, end - offset - limit
        if forward <= backward:
            while forward > _CHECKPOINT_ROWS:
                if not (step := self._fetch_keys(query, low, _CHECKPOINT_ROWS, 1, backwards=False)):
                    return ()  # somebody else's dashboard took it away just now
                low, start, forward = step[0], start + _CHECKPOINT_ROWS, forward - _CHECKPOINT_ROWS
                checkpoints.add(start, low)
            found = self._fetch_keys(query, low, forward, limit, backwards=False)
        else:
            while backward > _CHECKPOINT_ROWS:
                if not (step := self._fetch_keys(query, high, _CHECKPOINT_ROWS - 1, 1, backwards=True)):
                    return ()
                high, end, backward = step[0], end - _CHECKPOINT_ROWS, backward - _CHECKPOINT_ROWS
                checkpoints.add(end, high)
            found = self._fetch_keys(query, high, backward, limit, backwards=True)[::-1]
        if found:
            checkpoints.add(offset, found[0])
        return found

    def _fetch_keys(
        self, query: StoreQuery, key: RowKey | None, skip: int, limit: int, *, backwards: bool
    ) -> list[RowKey]:
        """`limit` keys after `skip` others: from a rung on (itself included), or backwards from a rung (itself not)."""
        operator = "<" if query.descending is not backwards else ">"
        operator += "" if backwards else "="
        bounds, values = key_bound(query, key, operator)
        way = sort_direction(query, backwards=backwards)
        return self._db.execute(
            f"{union_selects(query, bounds)} ORDER BY 1 {way}, 2 {way} LIMIT ? OFFSET ?",
            (*values * select_count(query), limit, skip),
        )

    def _count_before(self, query: StoreQuery, checkpoints: _Checkpoints, key: RowKey) -> int:
        """From the last rung before it."""
        place = _checkpoint_after(checkpoints, key, query)
        start, low = (checkpoints.offsets[place - 1], checkpoints.keys[place - 1]) if place > 0 else (0, None)
        before, values = key_bound(query, key, ">" if query.descending else "<")
        since, more = key_bound(query, low, "<=" if query.descending else ">=")
        rows = union_selects(query, before + since)
        counted = self._db.execute(f"SELECT count(*) FROM ({rows})", (*values, *more) * select_count(query)).fetchone()
        return start + int(counted[0])


def _checkpoint_after(checkpoints: _Checkpoints, key: RowKey, query: StoreQuery) -> int:
    """The place of the first rung that stands after a key."""
    sign = -1 if query.descending else 1

    def rank(one: RowKey) -> tuple[Any, int]:
        value, number = one
        return (_NameKey(value, sign) if query.sort is SortKey.NAME else sign * value, sign * number)

    return bisect_right(checkpoints.keys, rank(key), key=rank)


class _NameKey:
    """A name as the database compares it: the letters A to Z as small ones, byte by byte."""

    __slots__ = ("folded", "sign")

    def __init__(self, name: str, sign: int) -> None:
        self.folded = name.encode("utf-8", "surrogatepass").lower()
        self.sign = sign

    def __lt__(self, other: "_NameKey") -> bool:
        return self.folded < other.folded if self.sign > 0 else other.folded < self.folded

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _NameKey) and self.folded == other.folded

    __hash__ = None  # type: ignore[assignment]  # compared, never looked up
