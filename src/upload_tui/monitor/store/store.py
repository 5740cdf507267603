"""The store: the uploads of one service and account, their raw JSON, the change log, and what synchronisation remembers.

Synchronisers write it, pictures read it.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from upload_tui.monitor.model import Acknowledgement, ProjectRef
from upload_tui.monitor.queries.query import Query, SortKey
from upload_tui.monitor.store.acknowledgements import AcknowledgementBackup
from upload_tui.monitor.store.bulk import BulkLoad, can_snapshot
from upload_tui.monitor.store.conditions import TroubleThresholds, WaitThresholds
from upload_tui.monitor.store.database import DEFAULT_LIMITS, ChangeLog, Database, Limits
from upload_tui.monitor.store.partitions import READ_MS, Partition, PartitionTable
from upload_tui.monitor.store.query import StoreQuery
from upload_tui.monitor.store.row_finder import FoundRows, RowFinder
from upload_tui.monitor.store.rows import (
    READ_COLUMNS,
    UNKNOWN_STATE_RANK,
    WRITE_COLUMNS,
    RawJsonStore,
    StoredUpload,
    parse_row,
    row_values,
    stage_rank,
    to_ms,
)
from upload_tui.monitor.store.schema import read_lease
from upload_tui.status import FINAL_STAGES, Anomaly, Stage

if TYPE_CHECKING:
    from upload_tui.wire import Upload

__all__ = ["Entry", "Limits", "QueryResult", "Store", "StoredUpload", "WaitThresholds", "TroubleThresholds"]

_SELECT = f"SELECT {', '.join(READ_COLUMNS)} FROM uploads JOIN projects USING (project)"
_UPSERT = (
    f"INSERT INTO uploads ({', '.join(WRITE_COLUMNS)}) VALUES ({', '.join('?' * len(WRITE_COLUMNS))}) "
    "ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{column} = excluded.{column}" for column in WRITE_COLUMNS[1:])
    + " RETURNING number"
)
_MARK_STALE = f"UPDATE uploads SET read_ms = {READ_MS}, is_stale = ? WHERE id = ?"
_NOT_FINAL = f" AND stage NOT IN ({', '.join(str(stage.rank) for stage in FINAL_STAGES)})"
_BATCH_SIZE = 500

Entry: TypeAlias = "tuple[Upload, str, Sequence[Anomaly], datetime | None]"
"""A reading to store: the upload, its raw JSON, the anomalies that comparisons found, and the earliest time of its last event."""


class QueryResult(Struct, frozen=True):
    """Some uploads of a query's result, the row numbers that they were found by, and the revision that they are of."""

    uploads: Sequence[StoredUpload]
    found: FoundRows
    revision: int

    @property
    def total(self) -> int:
        """The size of the whole result, which grows until the search is settled."""
        return self.found.total

    @property
    def is_settled(self) -> bool:
        """True if all matches were found."""
        return self.found.is_settled


class Store:
    """The uploads of one service and account.

    Args:
        file: where to store them; None for memory. A file that cannot be used, or fails later, is replaced: see `notice`.
        monotonic: seconds that never go backwards.
        limits: constants that tune the store and its synchronisation.
        acknowledgements: the file with a copy of the user's acknowledgements, kept when the cache is lost; None for no copy.

    Attributes:
        replaced: set when the database failed and was replaced; the code that waits for it clears it.
    """

    can_bulk_load = can_snapshot
    """Whether this system's SQLite supports `bulk`."""

    def __init__(
        self,
        file: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        limits: Limits = DEFAULT_LIMITS,
        acknowledgements: Path | None = None,
    ) -> None:
        self._db = Database(file, self._handle_replaced, limits)
        self.limits = limits
        self._monotonic = monotonic
        self._data_version = self._detected_version = -1
        self._revision = 0
        self.replaced = asyncio.Event()
        self.partitions = PartitionTable(self._db)
        self._reset_caches()
        self.bulk = BulkLoad(self._db, self.transaction, self.partitions)
        self.change_log = ChangeLog(self._db)
        self.acknowledgements = AcknowledgementBackup(self._db, acknowledgements)

    def _reset_caches(self) -> None:
        self.partitions.clear_cache()
        self._finder = RowFinder(self._db, self.partitions, self._monotonic)
        self.raw_json = RawJsonStore(self._db)

    def _handle_replaced(self) -> None:
        self._revision += 1
        self._reset_caches()
        self.acknowledgements.reload()
        self.replaced.set()

    def close(self) -> None:
        """Release the bulk lease and close the database."""
        self.bulk.release()
        self._db.connection.close()

    @property
    def notice(self) -> str:
        """Why the store is not where it should be, for the user; empty if all is well."""
        return self._db.notice

    @property
    def generation(self) -> int:
        """Increases when all data were lost and have to be fetched again."""
        return self._db.generation

    @property
    def db(self) -> Database:
        """The database, for `StoreAggregates` and `KnownUploads`, and why it is not in its file."""
        return self._db

    @property
    def revision(self) -> int:
        """Increases whenever data may have changed, also by another process: what is cached is valid for one revision."""
        before, self._data_version = self._data_version, self._db.data_version
        self._revision += before != self._data_version
        return self._revision

    def detect_other_writers(self) -> bool:
        """True if another process may have written since the last call."""
        before, self._detected_version = self._detected_version, self._db.data_version
        return before != self._detected_version

    # Writing

    def put(self, uploads: Iterable[Entry]) -> None:
        """Insert or replace uploads."""
        with self.transaction():
            has_triggers = read_lease(self._db) is None
            for upload, raw, noticed, earliest in uploads:
                numbers = self.partitions.numbers(upload.project_id, upload.project_name, stage_rank(upload))
                if not has_triggers:
                    self.partitions.move_count(upload.id, numbers[1])
                self.acknowledgements.end(upload.id, stage_rank(upload))
                number = self._db.execute(_UPSERT, row_values(upload, *numbers, noticed, earliest)).fetchone()[0]
                self._db.execute("INSERT OR REPLACE INTO raw_json VALUES (?, ?)", (number, raw))

    def acknowledge(self, upload_ids: Iterable[str], acknowledgement: Acknowledgement | None) -> None:
        """Record that the user has acknowledged what is wrong with uploads, until their stage changes; None takes it back."""
        with self.transaction():
            self.acknowledgements.set(upload_ids, acknowledgement)

    def mark(self, upload_ids: Iterable[str], *, gone: bool | None = None, stale: bool | None = None) -> None:
        """Set or clear the marks of uploads; None leaves a mark as it is."""
        with self.transaction():
            for upload_id in upload_ids:
                if stale is not None:
                    self._db.execute(_MARK_STALE, (stale, upload_id))
                if gone is not None:
                    self.partitions.set_gone(upload_id, is_gone=gone)

    def touch(self, upload_ids: Sequence[str], read_on: datetime) -> None:
        """Record that uploads were read again and have not changed."""
        with self.transaction():
            self._db.executemany(
                "UPDATE uploads SET read_ms = ?, is_stale = 0 WHERE id = ?",
                [(to_ms(read_on), upload_id) for upload_id in upload_ids],
            )
            for batch in _batches(upload_ids):
                gone = f"SELECT id FROM uploads WHERE is_gone AND id IN ({', '.join('?' * len(batch))})"
                for (upload_id,) in self._db.execute(gone, batch):
                    self.partitions.set_gone(upload_id, is_gone=False)

    def touch_listed(self, read_on: datetime, project_ids: frozenset[str], *, with_final: bool) -> None:
        """Record that uploads of some projects (empty: all) were read again, except gone and stale ones; final ones `with_final`."""
        listed = f"NOT is_gone{_in_projects(project_ids)}{'' if with_final else _NOT_FINAL}"
        values, read_ms = (*project_ids,), to_ms(read_on)
        # Later times are of before the clock was set back.
        later = f"read_ms > ? AND NOT is_stale AND partition IN (SELECT partition FROM partitions WHERE {listed})"
        with self.transaction():
            self._db.execute(f"UPDATE uploads SET read_ms = ? WHERE {later}", (read_ms, read_ms, *values))
            self._db.execute(f"UPDATE partitions SET listed_ms = ? WHERE {listed}", (read_ms, *values))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in one transaction, which is rolled back if it raises; a nested one joins the outer one.

        Raises:
            BusyStorageError: another process is writing; as `StorageResetError`: the database failed and was replaced.
        """
        self._revision += 1
        try:
            with self._db.transaction():
                yield
                self.acknowledgements.restore()
        except BaseException:
            self.partitions.clear_cache()
            self.acknowledgements.reload()
            raise

    # Reading

    def get(self, upload_id: str) -> StoredUpload | None:
        """One upload; None if it is not known."""
        row = self._db.execute(f"{_SELECT} WHERE uploads.id = ?", (upload_id,)).fetchone()
        return None if row is None else parse_row(row)

    def find(
        self,
        query: Query,
        thresholds: TroubleThresholds,
        offset: int,
        limit: int,
        patience_seconds: float | None = None,
    ) -> QueryResult:
        """At most `limit` uploads of a query's result from `offset`; a large offset costs little more than a small one.

        With `patience_seconds`, a search returns what it finds in that time; call again for more.
        """

        def find() -> QueryResult:
            start, size, revision = max(0, offset), max(0, limit), self.revision
            found = self._finder.find(query, thresholds, revision, start, size, patience_seconds)
            return QueryResult(self.load(found.numbers), found, revision)

        return self._db.read_at_once(find)

    def find_numbers(self, query: Query, thresholds: TroubleThresholds) -> Sequence[int]:
        """The row numbers of all of a query's result, in its order."""
        return self._db.read_at_once(
            lambda: self._finder.find(query, thresholds, self.revision, 0, sys.maxsize, None).numbers
        )

    def position(self, query: Query, thresholds: TroubleThresholds, upload_id: str) -> int | None:
        """The position (from 0) of an upload in a query's result; None if it is not in it or not found yet."""
        return self._db.read_at_once(lambda: self._finder.position(query, thresholds, self.revision, upload_id))

    def position_among(self, partitions: tuple[Partition, ...], upload_id: str) -> int | None:
        """The position (from 0) of an upload among those of some partitions, newest first; None if it is not among them."""
        newest_first = StoreQuery(partitions, False, "", (), SortKey.INITIATED, True)
        return self._finder.position_in(newest_first, self.revision, upload_id)

    def load(self, numbers: Sequence[int]) -> Sequence[StoredUpload]:
        """The uploads with these row numbers, in this order; without those that are no longer known."""
        found: dict[int, StoredUpload] = {}
        for batch in _batches(numbers):
            rows = self._db.execute(f"{_SELECT} WHERE number IN ({', '.join(map(str, batch))})")
            found.update((row[0], parse_row(row)) for row in rows)
        return [found[number] for number in numbers if number in found]

    def pending(self, project_ids: frozenset[str] = frozenset(), limit: int | None = None) -> Sequence[StoredUpload]:
        """Pending uploads that are not gone: of each stage the longest waiting first, at most `limit` (None: all)."""
        found: list[StoredUpload] = []
        for stage in (Stage.COMPLETED, Stage.INITIATED):
            partitions = self.partitions.select(project_ids, frozenset({stage}), with_gone=False)
            oldest_first = StoreQuery(partitions, False, "", (), SortKey.SINCE, False)
            found.extend(self.load(self._finder.find_all(oldest_first, self.revision, limit)))
        return found

    def unfinished(self, project_ids: frozenset[str] = frozenset()) -> Sequence[StoredUpload]:
        """Uploads that are not gone and may still change: pending ones, and those in an unknown state."""
        selected = self.partitions.select(project_ids, with_gone=False)
        partitions = tuple(one for one in selected if one.stage_rank == UNKNOWN_STATE_RANK)
        query = StoreQuery(partitions, False, "", (), SortKey.SINCE, False)
        unknown = self.load(self._finder.find_all(query, self.revision)) if partitions else ()
        return [*self.pending(project_ids), *unknown]

    def known(self, upload_ids: Sequence[str]) -> frozenset[str]:
        """Those of the ids that are known."""
        found: set[str] = set()
        for batch in _batches(upload_ids):
            ids = f"SELECT id FROM uploads WHERE id IN ({', '.join('?' * len(batch))})"
            found.update(row[0] for row in self._db.execute(ids, batch))
        return frozenset(found)

    def ids(self) -> set[str]:
        """The ids of all known uploads."""
        return {row[0] for row in self._db.execute("SELECT id FROM uploads")}

    def listed_ids(
        self, after: int, limit: int, project_ids: frozenset[str] = frozenset()
    ) -> Sequence[tuple[int, str, int | None, int | None]]:
        """Row numbers and ids of uploads of some projects (empty: all) that are not gone: the first `limit` above `after`.

        With them the page that has the JSON, None if it is stale or of no page; and the place on it.
        """
        rows = "SELECT number, id, iif(is_stale, NULL, page), place FROM uploads WHERE number > ? AND NOT is_gone"
        listed = f"{rows}{_in_projects(project_ids)} ORDER BY number LIMIT ?"
        return self._db.execute(listed, (after, *project_ids, limit)).fetchall()

    def name_project(self, project: ProjectRef) -> None:
        """Store a project's name: its uploads may not have it, and it must be found by its name while the service is away."""
        if project.name and not self.partitions.is_named(project.id, project.name):
            with self.transaction():
                self.partitions.name_project(project.id, project.name)

    def projects(self) -> Sequence[ProjectRef]:
        """The projects with known uploads, by name."""
        rows = self._db.execute(
            "SELECT id, name FROM projects WHERE project IN (SELECT project FROM partitions WHERE upload_count > 0) ORDER BY name, id"
        )
        return [ProjectRef(*row) for row in rows]


def _in_projects(project_ids: frozenset[str]) -> str:
    """The end of a condition on uploads: that they are of these projects; empty for all."""
    marks = ", ".join("?" * len(project_ids))
    return f" AND project IN (SELECT project FROM projects WHERE id IN ({marks}))" if project_ids else ""


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), _BATCH_SIZE):
        yield items[start : start + _BATCH_SIZE]
