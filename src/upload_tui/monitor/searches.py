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

from upload_tui.monitor.asked import Asked, Key, arm_count, arms, bound, columns, direction, listing
from upload_tui.monitor.bulk_lease import lease_of
from upload_tui.monitor.database import Database
from upload_tui.monitor.picture import Query, SortKey

__all__ = ["FoundRows", "Searches"]

_FEW = 8000
"""So many candidates are read at once. Where there are more, the first rows are found sooner by walking."""
_SAMPLE = 500
"""So many candidates tell how many there are."""
_PIECE_ROWS = 1024
"""Rows walked over at once."""
_LISTS_KEPT = 2
_LONG_LIST = 20_000
"""A list longer than this is made anew only after a while, however often the store changes."""
_LONG_LIST_SECONDS = 5.0
_SHARE = 10
"""That while is at least so many times what the list took to make."""


class FoundRows(Struct):
    """What is found so far.

    Attributes:
        numbers: of the rows, in order.
        rest: the parts of the query that are still to be walked, the first of them from a place on.
        values, revision: what the list was begun with; at another time or after a change it may be another.
        made_at, seconds: when it was begun, and what it took until now.
        is_settled: True if nobody looks for more of it, nor for the next one.
    """

    numbers: "array[int]"
    rest: list[tuple[Asked, Key | None]]
    values: tuple[object, ...]
    revision: int
    made_at: float
    seconds: float = 0.0
    is_settled: bool = False
    _hint: int = 0

    def place(self, number: int) -> int | None:
        """Where a row stands; None if it is not found, or not yet. What was asked for last mostly stands where it stood."""
        if self._hint < len(self.numbers) and self.numbers[self._hint] == number:
            return self._hint
        try:
            self._hint = self.numbers.index(number)
        except ValueError:
            return None
        return self._hint


class _Kept(Struct):
    shown: FoundRows
    coming: FoundRows | None = field(default=None)


class Searches:
    """The lists of one store.

    Args:
        db: the store's.
        monotonic: seconds that never go backwards.
    """

    def __init__(self, db: Database, monotonic: Callable[[], float]) -> None:
        self._db = db
        self._monotonic = monotonic
        self._kept: dict[Query, _Kept] = {}

    def found(self, asked: Asked, revision: int, wanted: int, patience_seconds: float | None) -> FoundRows:
        """The list of a query that has a condition.

        Args:
            asked: the query.
            revision: the store's.
            wanted: how many rows must be found, unless there are fewer.
            patience_seconds: to look for no longer than this; None to have the whole of it.
        """
        wanted_rows, until = (inf, inf) if patience_seconds is None else (wanted, self._monotonic() + patience_seconds)
        kept = self._kept.pop(asked.query, None) or _Kept(self._begun(asked, revision))
        self._kept[asked.query] = kept
        while len(self._kept) > _LISTS_KEPT:
            del self._kept[next(iter(self._kept))]
        if kept.shown.rest:
            self._go_on(kept.shown, wanted_rows, until)
        elif kept.coming is not None or self._is_due(kept.shown, asked, revision):
            kept.coming = kept.coming or self._begun(asked, revision)
            self._go_on(kept.coming, inf, until)
            if not kept.coming.rest:
                kept.shown, kept.coming = kept.coming, None
        kept.shown.is_settled = not kept.shown.rest and kept.coming is None
        return kept.shown

    def position(self, asked: Asked, revision: int, number: int) -> int | None:
        """Where a row stands in what is found; None if it is not."""
        patience_seconds = 0.0 if asked.query in self._kept else None
        return self.found(asked, revision, 0, patience_seconds).place(number)

    def _is_due(self, known: FoundRows, asked: Asked, revision: int) -> bool:
        if known.revision == revision and known.values == asked.values:
            return False
        rests_seconds = max(_LONG_LIST_SECONDS, _SHARE * known.seconds)
        return len(known.numbers) <= _LONG_LIST or self._monotonic() - known.made_at >= rests_seconds

    def _begun(self, asked: Asked, revision: int) -> FoundRows:
        began = self._monotonic()
        few = self._few(asked)
        rest: list[tuple[Asked, Key | None]] = [] if few is not None else [(group, None) for group in asked.groups()]
        return FoundRows(few or array("i"), rest, asked.values, revision, began, self._monotonic() - began)

    def _few(self, asked: Asked) -> "array[int] | None":
        """All rows in order, if trigrams find but few; None if there may be many."""
        if not asked.grams or lease_of(self._db) is not None:  # what is poured in has no trigrams yet
            return None
        candidates = "SELECT rowid FROM grams WHERE grams MATCH ? AND rowid > ? LIMIT ?"
        numbers = [row[0] for row in self._db.execute(candidates, (asked.grams, 0, _SAMPLE))]
        if len(numbers) == _SAMPLE:
            (last,) = self._db.execute("SELECT coalesce(max(number), 0) FROM uploads").fetchone()
            if _SAMPLE * last > _FEW * numbers[-1]:  # if they stand as close together everywhere
                return None
            numbers += (row[0] for row in self._db.execute(candidates, (asked.grams, numbers[-1], _FEW)))
        if len(numbers) > _FEW:
            return None
        where = asked.condition if asked.is_all else f"{asked.condition} AND cell IN ({listing(asked.cells)})"
        way, tie = direction(asked), "initiated_ms" if asked.sort in {SortKey.STAGE, SortKey.PROJECT} else "number"
        rows = self._db.execute(
            f"SELECT number FROM uploads WHERE number IN (SELECT value FROM json_each(?)) AND {where} "
            f"ORDER BY +{columns(asked).partition(',')[0]} {way}, +{tie} {way}, +number {way}",
            (json.dumps(numbers), *asked.values),
        )
        return array("i", (row[0] for row in rows))

    def _go_on(self, found: FoundRows, wanted_rows: float, until: float) -> None:
        """Walk on, a piece at least, until enough is found or time is up."""
        began = now = self._monotonic()
        while found.rest and len(found.numbers) < wanted_rows:
            self._walk_piece(found)
            now = self._monotonic()
            if now >= until:
                break
        found.seconds += now - began

    def _walk_piece(self, found: FoundRows) -> None:
        asked, low = found.rest[0]
        way, (since, since_values) = direction(asked), bound(asked, low, "<=" if asked.descending else ">=")
        order, times = f"ORDER BY 1 {way}, 2 {way}", arm_count(asked)
        ends = self._db.execute(f"{arms(asked, since)} {order} LIMIT 1 OFFSET {_PIECE_ROWS}", since_values * times)
        high = ends.fetchone()
        before, before_values = bound(asked, high, ">" if asked.descending else "<")
        values = (*since_values, *before_values, *asked.values) * times
        hits = self._db.execute(f"{arms(asked, f'{since}{before} AND {asked.condition}')} {order}", values)
        found.numbers.extend(row[1] for row in hits)
        found.rest[:1] = [] if high is None else [(asked, high)]
