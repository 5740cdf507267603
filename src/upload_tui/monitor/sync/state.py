"""What synchronisation knows of one project: its facts in the store, its uploads in the service's order, whether its clocks agree.

Times of uploads and the `Date` of responses may come from two clocks of a service. A stage that is new in a round was reached since
the last one; if the service repeatedly reports a time outside that interval, one of the two clocks is wrong.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from msgspec import Struct, convert
from msgspec.json import decode, encode

from upload_tui.monitor.changes import Change, StageReached
from upload_tui.monitor.store.partitions import Partition, partition_list
from upload_tui.monitor.store.rows import from_ms
from upload_tui.monitor.store.schema import UNKNOWN
from upload_tui.monitor.store.store import Store
from upload_tui.status import Certainty
from upload_tui.text import age_text

__all__ = ["ClockCheck", "KnownUploads", "ReconcilerState", "RemainingRows", "Rows", "SyncState", "UnreadableRows"]

Value = TypeVar("Value")


class ReconcilerState(Struct):
    """How far the comparison of old pages has come.

    Attributes:
        row: the next row of the list to compare (from 0); 0 starts again.
        edge_ms: when the oldest upload compared so far was initiated; None if unknown.
        began_ms: when the comparison began, by the local clock.
        difference: the accepted difference of the service's total and ours: unreadable uploads; negative if some exist but are not
            listed.
        unreadable: unreadable uploads on the pages compared so far.
    """

    row: int = 0
    edge_ms: int | None = None
    began_ms: int = 0
    difference: int = 0
    unreadable: int = 0


class _Fact(Generic[Value]):
    """An attribute of `SyncState`: a column of the store's table `sync_state`, a text as JSON.

    Args:
        value_type: what the value is converted to.
        default: the value if there is none.
    """

    def __init__(self, value_type: Any, default: Any = None) -> None:
        self._name = ""
        self._type = value_type
        self._default = default

    def __set_name__(self, _: type, name: str) -> None:
        self._name = name

    def __get__(self, state: "SyncState", _: type) -> Value:
        row = state.store.db.execute(
            f"SELECT {self._name} FROM sync_state WHERE scope = ?", (state.project_id,)
        ).fetchone()
        value = None if row is None else row[0]
        if isinstance(value, str):
            value = decode(value)
        converted: Value = convert(self._default if value is None else value, self._type, strict=False)
        return converted

    def __set__(self, state: "SyncState", value: Value) -> None:
        stored = value if value is None or isinstance(value, int) else encode(value).decode()
        with state.store.transaction():
            state.store.db.execute(
                f"INSERT INTO sync_state (scope, {self._name}) VALUES (?, ?) "
                f"ON CONFLICT (scope) DO UPDATE SET {self._name} = excluded.{self._name}",
                (state.project_id, stored),
            )


class SyncState:
    """The stored facts of one project. Reading an attribute reads the store, setting it writes to the store.

    Args:
        store: where the facts are stored.
        project_id: the project.
    """

    is_scanned = _Fact[bool](bool, default=False)
    """Whether a full scan has ended."""
    synced_ms = _Fact[int | None](int | None)
    """When the last round ended, by the service's clock; None if none ever did."""
    last_known_number = _Fact[int | None](int | None)
    """The number of the last upload known before an unfinished reading of new uploads; None if there is none."""
    unreadable_spans = _Fact[list[tuple[int, int]]](list[tuple[int, int]], default=())
    """Ranges of rows that could not be read, counted from the end of the list."""
    unreadable_count = _Fact[int](int, default=0)
    """Unreadable uploads of a service that reports no total, as counted when all pages were read or compared last."""
    missing_count = _Fact[int](int, default=0)
    """Uploads that the service listed in the last round, but that could not be read."""
    repeats_pages = _Fact[bool](bool, default=False)
    """Whether the service returned the same uploads for two pages, so that others are hidden."""
    has_wrong_total = _Fact[bool](bool, default=False)
    """Whether the service's total contradicts its pages, so that it counts as not reported."""
    has_end = _Fact[bool](bool, default=False)
    """Whether a listing of a source had an `end` line: one without it is then not whole."""
    reconciler = _Fact[ReconcilerState](ReconcilerState, default={})
    """How far the comparison of old pages has come."""

    def __init__(self, store: Store, project_id: str) -> None:
        self.store = store
        self.project_id = project_id


_CHANGES = 3
"""Changes in a row that must agree: one alone may have been listed late."""
_TOLERANCE_SECONDS = 30.0


class ClockCheck:
    """The difference between the clock that dates a service's uploads and the one that dates its responses."""

    def __init__(self) -> None:
        self._errors: deque[float] = deque(maxlen=_CHANGES)
        self._round_ended_on: datetime | None = None

    def observe(self, changes: Iterable[Change]) -> None:
        """Use the changes of a round that has just ended; those of the first round may be of any age."""
        if self._round_ended_on is None:
            return
        for change in changes:
            if not isinstance(change, StageReached) or change.is_again:  # the time may be that of the first time
                continue
            if change.on is not None and change.certainty is Certainty.REPORTED:
                late = (change.on - change.at).total_seconds()
                early = (change.on - self._round_ended_on).total_seconds()
                self._errors.append(late if late > 0 else min(early, 0.0))

    def end_round(self, ended_on: datetime) -> None:
        """Note that a round ended without an error, by the service's clock."""
        self._round_ended_on = ended_on

    @property
    def seconds(self) -> float:
        """How far the times of uploads are ahead of the service's clock, or behind it if negative; 0 if they agree."""
        errors = [error for error in self._errors if abs(error) > _TOLERANCE_SECONDS]
        agree = len(errors) == _CHANGES and (min(errors) > 0 or max(errors) < 0)
        return min(errors, key=abs) if agree else 0.0

    @property
    def notice(self) -> str:
        """A note for the user; empty if the clocks agree."""
        seconds = self.seconds
        where = "ahead of" if seconds > 0 else "behind"
        minutes = max(1, round(abs(seconds) / 60))
        return f"times of uploads are about {age_text(60 * minutes)} {where} the service's clock" if seconds else ""


_NEWEST_PER_ID = 4


class KnownUploads:
    """The known uploads of one project, except those that are gone.

    Args:
        store: the store.
        project_id: the project.
    """

    def __init__(self, store: Store, project_id: str) -> None:
        self._store = store
        self._db = store.db
        self._project_ids = frozenset({project_id})

    def _partitions(self) -> tuple[Partition, ...]:
        return self._store.partitions.select(self._project_ids, with_gone=False)

    def count(self) -> int:
        """The number of known uploads."""
        return sum(partition.upload_count for partition in self._partitions())

    def newest_on(self) -> datetime | None:
        """When the newest upload was initiated; None if no upload, or no such time, is known."""
        newest = max((self._newest_ms(partition) for partition in self._partitions()), default=UNKNOWN)
        return from_ms(newest)

    def _newest_ms(self, partition: Partition) -> int:
        newest = f"SELECT coalesce(max(initiated_ms), {UNKNOWN}) FROM uploads WHERE partition = ?"
        value_ms: int = self._db.execute(newest, (partition.number,)).fetchone()[0]
        return value_ms

    def unread(self, read_ms: tuple[int, int], low_ms: int | None = None, high_ms: int | None = None) -> Sequence[str]:
        """The ids of uploads initiated after `low_ms` and not after `high_ms` that were not read in the interval `read_ms`.

        What was read longest ago comes first, so that a limit of requests never leaves out the same uploads each time.

        Bounds are by time, because uploads initiated in the same millisecond may be in any order at the service.
        """
        low = UNKNOWN if low_ms is None else low_ms + 1
        high = 2**63 - 1 if high_ms is None else high_ms
        rows = self._db.execute(
            f"SELECT id FROM uploads WHERE partition IN ({partition_list(self._partitions())}) "
            "AND initiated_ms BETWEEN ? AND ? AND read_ms NOT BETWEEN ? AND ? ORDER BY read_ms, id",
            (low, high, *read_ms),
        )
        return [row[0] for row in rows]

    def oldest_ms(self, upload_ids: Sequence[str]) -> int | None:
        """When the oldest of these uploads was initiated; None if that is not known of any."""
        initiated = "SELECT initiated_ms FROM uploads WHERE id = ?"
        rows = (self._db.execute(initiated, (upload_id,)).fetchone() for upload_id in upload_ids)
        return min((row[0] for row in rows if row is not None and row[0] != UNKNOWN), default=None)

    def last_number(self) -> int:
        """The highest row number of the store; later uploads get higher ones."""
        number: int = self._db.execute("SELECT coalesce(max(number), 0) FROM uploads").fetchone()[0]
        return number

    def was_known(self, upload_ids: Sequence[str], number: int) -> bool:
        """Whether any of these uploads has a row number up to `number`."""
        known = "SELECT 1 FROM uploads WHERE id = ? AND number <= ?"
        return any(self._db.execute(known, (upload_id, number)).fetchone() for upload_id in upload_ids)

    def positions(self, upload_ids: Sequence[str]) -> Sequence[int]:
        """The positions (from 0) of known uploads, in the order of the ids.

        Callers mostly ask for some of the newest: those are looked up in one query, the others one by one.
        """
        partitions = self._partitions()
        newest = self._db.execute(
            f"SELECT id FROM uploads WHERE partition IN ({partition_list(partitions)}) "
            "ORDER BY first_event_ms DESC, number DESC LIMIT ?",
            (_NEWEST_PER_ID * len(upload_ids),),
        )
        near = {row[0]: position for position, row in enumerate(newest)}
        positions = (near[one] if one in near else self._store.position_among(partitions, one) for one in upload_ids)
        return [position for position in positions if position is not None]


Rows = tuple[int, int]
"""The first row (from 0) and the number of rows."""


class RemainingRows:
    """Rows of a list that are not read yet.

    Args:
        spans: ranges `(low, high)` counted from the end of the list, `high` excluded.
    """

    def __init__(self, spans: Sequence[tuple[int, int]] = ()) -> None:
        self.spans = [(low, high) for low, high in spans]

    @property
    def count(self) -> int:
        """The number of rows."""
        return sum(high - low for low, high in self.spans)

    def mark_read(self, total: int, first: int, rows: int, unread: Sequence[Rows] = ()) -> None:
        """Remove rows that were read.

        Args:
            total: the length of the list now.
            first: the first row that was read (from 0).
            rows: how many rows were read.
            unread: ranges within these rows that failed.
        """
        low, high = total - first - rows, total - first
        remaining = [
            part for span in self.spans for part in ((span[0], min(span[1], low)), (max(span[0], high), span[1]))
        ]
        failed = [(total - start - count, total - start) for start, count in unread]
        self.spans = sorted({span for span in (*remaining, *failed) if span[0] < span[1]})


class UnreadableRows(RemainingRows):
    """The rows of one project that could not be read; shared through the store.

    Args:
        state: the project's stored facts.
    """

    def __init__(self, state: SyncState) -> None:
        super().__init__()
        self._state = state
        self._retry_count = 0
        self.reload()

    def reload(self) -> None:
        """Load the rows from the store, where other processes may have changed them."""
        self.spans = self._state.unreadable_spans

    def mark_read(self, total: int, first: int, rows: int, unread: Sequence[Rows] = ()) -> None:
        """Remove rows that were read, add rows that failed, and store the result.

        Rows beyond the start of a list that has become shorter move with it: the upload itself, or a later one, was deleted.
        """
        before = self.spans
        surpluses = [max(0, high - total) for _, high in before]
        self.spans = [
            (max(0, low - surplus), high - surplus) for (low, high), surplus in zip(before, surpluses, strict=True)
        ]
        super().mark_read(total, first, rows, unread)
        if self.spans != before:
            self._state.unreadable_spans = self.spans

    def next_to_retry(self, total: int) -> Rows | None:
        """The range to retry in a list of `total` uploads, a different one each time; None if no row is unreadable."""
        spans = [span for span in self.spans if 0 < span[1] <= total]
        if not spans:
            return None
        self._retry_count += 1
        low, high = spans[self._retry_count % len(spans)]
        return total - high, high - max(low, 0)
