"""Where an upload stands in the answer to a query, and who stands where, among a million, without counting from the start.

An answer by project and stage alone is walked along the indexes of its cells, from whichever is nearest: an end, or a rung that an
earlier walk left behind. An answer to a search, or to "what needs attention", is kept as a list of row numbers. Both are good
for one revision of the store. Used by `Store` alone.
"""

import sqlite3
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from upload_tui.monitor.picture import SortKey

__all__ = ["Asked", "Cell", "Windows"]

_HOP = 8192
"""Rows between two rungs."""
_ARMS_AT_MOST = 16
"""More cells than these are not merged but looked for along the whole."""
_LISTS_KEPT = 3
_LONG_LIST = 20_000
"""A list longer than this is made anew at most every few seconds, however often the store changes."""
_LONG_LIST_SECONDS = 5.0

_COLUMNS: Mapping[SortKey, str] = {
    SortKey.INITIATED: "initiated_ms",
    SortKey.STAGE: "stage",
    SortKey.SINCE: "since_ms",
    SortKey.NAME: "name",
    SortKey.SIZE: "size_bytes",
    SortKey.PROJECT: "project",
}

Key = tuple[Any, int]
"""What a row is sorted by, and its number."""


class Cell(Struct, frozen=True):
    """All uploads of one project in one stage, those that are gone apart; how many there are."""

    number: int
    project: int
    stage: int
    is_gone: bool
    uploads: int


class Asked(Struct, frozen=True):
    """A query in the store's own terms.

    Attributes:
        cells: those that the answer lies in, none of them empty.
        is_all: True if there are no others.
        condition, values: what else must be true of a row; empty for nothing.
        sort, descending: the order.
    """

    cells: tuple[Cell, ...]
    is_all: bool
    condition: str
    values: tuple[object, ...]
    sort: SortKey
    descending: bool

    @property
    def total(self) -> int:
        """Uploads in the cells."""
        return sum(cell.uploads for cell in self.cells)

    @property
    def name(self) -> tuple[Any, ...]:
        """What tells this from other queries, however full its cells are."""
        cells = None if self.is_all else tuple(cell.number for cell in self.cells)
        return (cells, self.condition, self.values, self.sort, self.descending)

    def groups(self) -> Sequence["Asked"]:
        """The parts that follow each other, each ordered by something that has an index: stages and projects are runs of cells."""
        if self.sort not in {SortKey.STAGE, SortKey.PROJECT}:
            return [self]
        runs: dict[int, list[Cell]] = {}
        for cell in self.cells:
            runs.setdefault(cell.stage if self.sort is SortKey.STAGE else cell.project, []).append(cell)
        return [
            replace(self, cells=tuple(runs[run]), is_all=False, sort=SortKey.INITIATED)
            for run in sorted(runs, reverse=self.descending)
        ]


class _Ladder(Struct):
    """Places that are known: the key and row number that stand at an offset, in the order of both."""

    offsets: list[int] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)

    def add(self, offset: int, key: Key) -> None:
        place = bisect_left(self.offsets, offset)
        if place == len(self.offsets) or self.offsets[place] != offset:
            self.offsets.insert(place, offset)
            self.keys.insert(place, key)


class _List(Struct):
    numbers: "array[int]"
    revision: int
    made_at: float


class Windows:
    """Answers of one store.

    Args:
        db: the store's connection.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._revision = -1
        self._ladders: dict[Key, _Ladder] = {}
        self._lists: dict[Key, _List] = {}

    def total(self, asked: Asked, revision: int, at: float) -> int:
        """How many uploads the answer has."""
        return len(self._list(asked, revision, at).numbers) if asked.condition else asked.total

    def numbers(self, asked: Asked, offset: int, limit: int, revision: int, at: float) -> Sequence[int]:
        """The row numbers at `offset` and after; `at` are seconds of a clock that never goes backwards."""
        if asked.condition:
            return self._list(asked, revision, at).numbers[offset : offset + limit]
        found: list[int] = []
        for group in asked.groups():
            if len(found) < limit and offset < group.total:
                keys = self._walk(group, self._ladder(group, revision), offset, limit - len(found))
                found.extend(number for _, number in keys)
            offset = max(0, offset - group.total)
        return found

    def position(self, asked: Asked, number: int, cell: int, revision: int, at: float) -> int | None:
        """Where a row stands that lies in `cell`; None if it is not in the answer."""
        if asked.condition:
            try:
                return self._list(asked, revision, at).numbers.index(number)
            except ValueError:
                return None
        before = 0
        for group in asked.groups():
            if any(one.number == cell for one in group.cells):
                row = f"SELECT {_columns(group)} FROM uploads WHERE number = ?"
                key = self._db.execute(row, (number,)).fetchone()
                return before + self._count_before(group, self._ladder(group, revision), key)
            before += group.total
        return None

    # Lists

    def _list(self, asked: Asked, revision: int, at: float) -> _List:
        known = self._lists.pop(asked.name, None)
        is_fit = known is not None and (
            known.revision == revision or (len(known.numbers) > _LONG_LIST and at - known.made_at < _LONG_LIST_SECONDS)
        )
        if known is None or not is_fit:
            known = _List(self._listed(asked), revision, at)
        self._lists[asked.name] = known
        while len(self._lists) > _LISTS_KEPT:
            del self._lists[next(iter(self._lists))]
        return known

    def _listed(self, asked: Asked) -> "array[int]":
        where = asked.condition if asked.is_all else f"{asked.condition} AND cell IN ({_listing(asked.cells)})"
        direction = _direction(asked, backwards=False)
        tie = "initiated_ms" if asked.sort in {SortKey.STAGE, SortKey.PROJECT} else "number"
        order = f"+{_COLUMNS[asked.sort]} {direction}, +{tie} {direction}, +number {direction}"
        rows = self._db.execute(f"SELECT number FROM uploads WHERE {where} ORDER BY {order}", asked.values)
        return array("q", (row[0] for row in rows))

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
        bound, values = _bound(asked, rung, operator)
        direction = _direction(asked, backwards=backwards)
        rows = self._db.execute(
            f"{_arms(asked, bound)} ORDER BY 1 {direction}, 2 {direction} LIMIT ? OFFSET ?",
            (*values * _arm_count(asked), limit, skip),
        )
        return rows.fetchall()

    def _count_before(self, asked: Asked, ladder: _Ladder, key: Key) -> int:
        """From the last rung before it."""
        place = _rung_after(ladder, key, asked)
        start, low = (ladder.offsets[place - 1], ladder.keys[place - 1]) if place > 0 else (0, None)
        before, values = _bound(asked, key, ">" if asked.descending else "<")
        since, more = _bound(asked, low, "<=" if asked.descending else ">=")
        arms = _arms(asked, before + since)
        counted = self._db.execute(f"SELECT count(*) FROM ({arms})", (*values, *more) * _arm_count(asked)).fetchone()
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


def _columns(asked: Asked) -> str:
    return f"{_COLUMNS[asked.sort]}, number"


def _direction(asked: Asked, *, backwards: bool) -> str:
    return "DESC" if asked.descending is not backwards else "ASC"


def _bound(asked: Asked, rung: Key | None, operator: str) -> tuple[str, tuple[object, ...]]:
    if rung is None:
        return "", ()
    return f" AND ({_columns(asked)}) {operator} ({', '.join('?' * len(rung))})", tuple(rung)


def _is_merged(asked: Asked) -> bool:
    return not asked.is_all and 0 < len(asked.cells) <= _ARMS_AT_MOST


def _arm_count(asked: Asked) -> int:
    return len(asked.cells) if _is_merged(asked) else 1


def _arms(asked: Asked, bound: str) -> str:
    """One SELECT for each cell, to be merged in order; each runs along its own index."""
    columns = _columns(asked)
    if not _is_merged(asked):
        where = "1" if asked.is_all else f"cell IN ({_listing(asked.cells)})"
        return f"SELECT {columns} FROM uploads WHERE {where}{bound}"
    return " UNION ALL ".join(
        f"SELECT {columns} FROM uploads WHERE cell = {cell.number}{bound}" for cell in asked.cells
    )


def _listing(cells: Sequence[Cell]) -> str:
    return ", ".join(str(cell.number) for cell in cells) or "NULL"
