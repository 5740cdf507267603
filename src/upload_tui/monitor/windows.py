"""Where an upload stands in the answer to a query, and who stands where, among a million, without counting from the start.

An answer by project and stage alone is walked along the indexes of its cells, from whichever is nearest: an end, or a rung that an
earlier walk left behind; rungs are good for one revision of the store. Used by `Store` alone.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field

from upload_tui.monitor.asked import Asked, Key, arm_count, arms, bound, columns, direction
from upload_tui.monitor.database import Database
from upload_tui.monitor.picture import SortKey

__all__ = ["Windows"]

_HOP = 8192
"""Rows between two rungs."""


class _Ladder(Struct):
    """Places that are known: the key and row number that stand at an offset, in the order of both."""

    offsets: list[int] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)

    def add(self, offset: int, key: Key) -> None:
        place = bisect_left(self.offsets, offset)
        if place == len(self.offsets) or self.offsets[place] != offset:
            self.offsets.insert(place, offset)
            self.keys.insert(place, key)


class Windows:
    """Answers of one store to queries without a condition.

    Args:
        db: the store's.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._revision = -1
        self._ladders: dict[tuple[Any, ...], _Ladder] = {}

    def numbers(self, asked: Asked, offset: int, limit: int, revision: int) -> Sequence[int]:
        """The row numbers at `offset` and after; `revision` is the store's."""
        found: list[int] = []
        for group in asked.groups():
            if len(found) < limit and offset < group.total:
                keys = self._walk(group, self._ladder(group, revision), offset, limit - len(found))
                found.extend(number for _, number in keys)
            offset = max(0, offset - group.total)
        return found

    def position(self, asked: Asked, number: int, cell: int, revision: int) -> int | None:
        """Where a row stands that lies in `cell`; None if it is not in the answer."""
        before = 0
        for group in asked.groups():
            if any(one.number == cell for one in group.cells):
                row = f"SELECT {columns(group)} FROM uploads WHERE number = ?"
                key = self._db.execute(row, (number,)).fetchone()
                if key is None:  # another database took the place of the one that had it
                    return None
                return before + self._count_before(group, self._ladder(group, revision), key)
            before += group.total
        return None

    # Ladders

    def _ladder(self, asked: Asked, revision: int) -> _Ladder:
        if revision != self._revision:
            self._revision = revision
            self._ladders.clear()
        return self._ladders.setdefault(asked.name, _Ladder())

    def _walk(self, asked: Asked, ladder: _Ladder, offset: int, limit: int) -> Sequence[Key]:
        """The keys at `offset` and after: from the nearest place that is known, leaving rungs on a long way."""
        limit = max(0, min(limit, asked.total - offset))
        if limit == 0:
            return ()
        below = bisect_right(ladder.offsets, offset) - 1
        above = bisect_left(ladder.offsets, offset + limit)
        start, low = (ladder.offsets[below], ladder.keys[below]) if below >= 0 else (0, None)
        end, high = (ladder.offsets[above], ladder.keys[above]) if above < len(ladder.offsets) else (asked.total, None)
        forward, backward = offset - start, end - offset - limit
        if forward <= backward:
            while forward > _HOP:
                if not (step := self._steps(asked, low, _HOP, 1, backwards=False)):
                    return ()  # somebody else's dashboard took it away just now
                low, start, forward = step[0], start + _HOP, forward - _HOP
                ladder.add(start, low)
            found = self._steps(asked, low, forward, limit, backwards=False)
        else:
            while backward > _HOP:
                if not (step := self._steps(asked, high, _HOP - 1, 1, backwards=True)):
                    return ()
                high, end, backward = step[0], end - _HOP, backward - _HOP
                ladder.add(end, high)
            found = self._steps(asked, high, backward, limit, backwards=True)[::-1]
        if found:
            ladder.add(offset, found[0])
        return found

    def _steps(self, asked: Asked, rung: Key | None, skip: int, limit: int, *, backwards: bool) -> list[Key]:
        """`limit` keys after `skip` others: from a rung on (itself included), or backwards from a rung (itself not)."""
        operator = "<" if asked.descending is not backwards else ">"
        operator += "" if backwards else "="
        bounds, values = bound(asked, rung, operator)
        way = direction(asked, backwards=backwards)
        return self._db.execute(
            f"{arms(asked, bounds)} ORDER BY 1 {way}, 2 {way} LIMIT ? OFFSET ?",
            (*values * arm_count(asked), limit, skip),
        )

    def _count_before(self, asked: Asked, ladder: _Ladder, key: Key) -> int:
        """From the last rung before it."""
        place = _rung_after(ladder, key, asked)
        start, low = (ladder.offsets[place - 1], ladder.keys[place - 1]) if place > 0 else (0, None)
        before, values = bound(asked, key, ">" if asked.descending else "<")
        since, more = bound(asked, low, "<=" if asked.descending else ">=")
        rows = arms(asked, before + since)
        counted = self._db.execute(f"SELECT count(*) FROM ({rows})", (*values, *more) * arm_count(asked)).fetchone()
        return start + int(counted[0])


def _rung_after(ladder: _Ladder, key: Key, asked: Asked) -> int:
    """The place of the first rung that stands after a key."""
    sign = -1 if asked.descending else 1

    def rank(one: Key) -> tuple[Any, int]:
        value, number = one
        return (_Name(value, sign) if asked.sort is SortKey.NAME else sign * value, sign * number)

    return bisect_right(ladder.keys, rank(key), key=rank)


class _Name:
    """A name as the database compares it: the letters A to Z as small ones, byte by byte."""

    __slots__ = ("folded", "sign")

    def __init__(self, name: str, sign: int) -> None:
        self.folded = name.encode("utf-8", "surrogatepass").lower()
        self.sign = sign

    def __lt__(self, other: "_Name") -> bool:
        return self.folded < other.folded if self.sign > 0 else other.folded < self.folded

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Name) and self.folded == other.folded

    __hash__ = None  # type: ignore[assignment]  # compared, never looked up
