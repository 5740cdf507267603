"""What is known of uploads, in SQLite: written by the synchroniser, asked by the session. Knows no service and no screen."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from upload_tui.monitor.model import ProjectRef, Query, SortKey
from upload_tui.monitor.store.bulk import BulkLoad
from upload_tui.monitor.store.change_log import ChangeLog
from upload_tui.monitor.store.conditions import StuckThresholds
from upload_tui.monitor.store.database import Database
from upload_tui.monitor.store.keyset_paging import KeysetPager
from upload_tui.monitor.store.lease import read_lease
from upload_tui.monitor.store.page_snapshot import can_snapshot
from upload_tui.monitor.store.query import Partition, StoreQuery, store_query
from upload_tui.monitor.store.raw_json import RawJsonStore
from upload_tui.monitor.store.rows import READ_COLUMNS, WRITE_COLUMNS, StoredUpload, parse_row, row_values, to_ms
from upload_tui.monitor.store.search import SearchLists
from upload_tui.status import Anomaly, Stage

if TYPE_CHECKING:
    from upload_tui.wire import Upload

__all__ = ["Entry", "QueryResult", "Store", "StoredUpload", "StuckThresholds"]

_SELECT = f"SELECT {', '.join(READ_COLUMNS)} FROM uploads JOIN projects USING (project)"
_UPSERT = (
    f"INSERT INTO uploads ({', '.join(WRITE_COLUMNS)}) VALUES ({', '.join('?' * len(WRITE_COLUMNS))}) ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{column} = excluded.{column}" for column in WRITE_COLUMNS[1:])
    + " RETURNING number"
)
_BATCH_SIZE = 500

Entry: TypeAlias = "tuple[Upload, str, Sequence[Anomaly], datetime | None]"


class QueryResult(Struct, frozen=True):
    """Some uploads of a query's answer; `total` is how many it has, and grows while it `is_settled` not."""

    uploads: Sequence[StoredUpload]
    total: int
    is_settled: bool = True


class Store:
    """The uploads of one service and account.

    Args:
        file: where to keep them; None keeps them in memory for this visit. Where it cannot be used, or not any more, `remark`
            says what took its place.
        monotonic: seconds that never go backwards.
    """

    can_bulk_load = can_snapshot
    """Whether pages may be poured in."""

    def __init__(self, file: Path | None = None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._db = Database(file, self._handle_replaced)
        self._monotonic = monotonic
        self._own_revision = 0
        self._data_version = 0
        self._on_replaced: Callable[[], object] = lambda: None
        self._reset_caches()
        self.bulk = BulkLoad(self._db, self.transaction, self._partition_of)
        """Pours whole pages in, past `put`."""
        self.change_log = ChangeLog(self._db)
        """The changes that are told from here."""

    def _reset_caches(self) -> None:
        """Whatever was remembered of the database."""
        self._number_cache: dict[object, int] = {}
        self._pager = KeysetPager(self._db)
        self._search_lists = SearchLists(self._db, self._monotonic)
        self._raw_json = RawJsonStore(self._db)

    def _handle_replaced(self) -> None:
        self._own_revision += 1
        self._reset_caches()
        self._on_replaced()

    def on_replaced(self, callback: Callable[[], object]) -> None:
        """Do something when another database took the place of one that failed."""
        self._on_replaced = callback

    def close(self) -> None:
        """Close the database."""
        self.bulk.release()
        self._db.close()

    @property
    def notice(self) -> str:
        """What the person should be told of where it is kept; empty for nothing."""
        return self._db.notice

    @property
    def generation(self) -> int:
        """Grows when all that was known is gone, and is to be fetched again."""
        return self._db.generation

    @property
    def db(self) -> Database:
        """The database, for the figures that `StoreAggregates` reckons."""
        return self._db

    @property
    def revision(self) -> int:
        """Grows whenever anything may differ, whoever wrote it."""
        version: int = self._db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._data_version:
            self._data_version = version
            self._own_revision += 1
        return self._own_revision

    # Writing

    def put(self, uploads: Iterable[Entry]) -> None:
        """Keep readings, each with the service's words, what a comparison noticed, and the bound from below of its last event."""
        with self.transaction():
            is_counted = read_lease(self._db) is None
            for upload, raw, noticed, earliest in uploads:
                project, cell = self._partition_of(upload.project_id, upload.project_name, upload.stage.rank)
                if not is_counted:
                    self._adjust_counts(upload.id, cell)
                number = self._db.execute(_UPSERT, row_values(upload, project, cell, noticed, earliest)).fetchone()[0]
                self._db.execute("INSERT OR REPLACE INTO words VALUES (?, ?)", (number, raw))

    def mark(self, upload_ids: Iterable[str], *, gone: bool | None = None, stale: bool | None = None) -> None:
        """Mark uploads as gone or not, as stale or not; None leaves a mark as it is."""
        with self.transaction():
            for upload_id in upload_ids:
                if stale is not None:
                    self._db.execute("UPDATE uploads SET is_stale = ? WHERE id = ?", (stale, upload_id))
                if gone is not None:
                    self._set_gone(upload_id, is_gone=gone)

    def touch(self, upload_ids: Sequence[str], read_on: datetime) -> None:
        """The service said the same of these uploads again."""
        with self.transaction():
            self._db.executemany(
                "UPDATE uploads SET read_ms = ?, is_stale = 0 WHERE id = ?",
                [(to_ms(read_on), upload_id) for upload_id in upload_ids],
            )
            for start in range(0, len(upload_ids), _BATCH_SIZE):
                some = upload_ids[start : start + _BATCH_SIZE]
                places = ", ".join("?" * len(some))
                back = f"SELECT id FROM uploads WHERE is_gone AND id IN ({places})"
                for (upload_id,) in self._db.execute(back, some).fetchall():
                    self._set_gone(upload_id, is_gone=False)

    def _set_gone(self, upload_id: str, *, is_gone: bool) -> None:
        row = self._db.execute("SELECT project, stage FROM uploads WHERE id = ?", (upload_id,)).fetchone()
        if row is not None:
            cell = self._partition_number(*row, is_gone=is_gone)
            if read_lease(self._db) is not None:
                self._adjust_counts(upload_id, cell)
            self._db.execute("UPDATE uploads SET is_gone = ?, cell = ? WHERE id = ?", (is_gone, cell, upload_id))

    def _adjust_counts(self, upload_id: str, cell: int) -> None:
        """An upload comes into a cell, maybe from another, while no trigger counts it."""
        moves = "UPDATE cells SET uploads = uploads - 1 WHERE cell = (SELECT cell FROM uploads WHERE id = ?)"
        self._db.execute(moves, (upload_id,))
        self._db.execute("UPDATE cells SET uploads = uploads + 1 WHERE cell = ?", (cell,))

    def _project_number(self, project_id: str, name: str) -> int:
        key = (project_id, name)
        if key not in self._number_cache:
            sql = (
                "INSERT INTO projects (id, name) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name "
                "RETURNING project"
            )
            self._number_cache[key] = self._db.execute(sql, key).fetchone()[0]
        return self._number_cache[key]

    def _partition_of(self, project_id: str, project_name: str, rank: int) -> tuple[int, int]:
        """The numbers of a project, and of its cell for a stage."""
        project = self._project_number(project_id, project_name)
        return project, self._partition_number(project, rank, is_gone=False)

    def _partition_number(self, project: int, stage: int, *, is_gone: bool) -> int:
        key = (project, stage, is_gone)
        if key not in self._number_cache:
            self._db.execute("INSERT OR IGNORE INTO cells (project, stage, is_gone) VALUES (?, ?, ?)", key)
            where = "project = ? AND stage = ? AND is_gone = ?"
            self._number_cache[key] = self._db.execute(f"SELECT cell FROM cells WHERE {where}", key).fetchone()[0]
        return self._number_cache[key]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is read and written within is one, also for others; one within another belongs to it.

        Raises:
            BusyStorageError: another process writes, and does not come to an end; or (`StorageResetError`) the database failed,
                and another took its place. Nothing of it is kept.
        """
        self._own_revision += 1
        try:
            with self._db.transaction():
                yield
        except BaseException:
            self._number_cache.clear()
            raise

    # Asking

    def get(self, upload_id: str) -> StoredUpload | None:
        """One upload; None if it is not known."""
        row = self._db.execute(f"{_SELECT} WHERE uploads.id = ?", (upload_id,)).fetchone()
        return None if row is None else parse_row(row)

    def raw(self, upload_id: str) -> str:
        """The service's last words about an upload; empty if it is not known, or if they cannot be read any more."""
        return self._raw_json.raw(upload_id)

    def find(
        self, query: Query, stuck: StuckThresholds, offset: int, limit: int, patience_seconds: float | None = None
    ) -> QueryResult:
        """At most `limit` uploads of a query's answer from `offset`; what stands deep in it costs little more than its ends.

        With `patience_seconds`, a search that finds many gives what it finds within them; ask again for more.
        """
        asked, offset, limit = store_query(query, stuck, self.partitions), max(0, offset), max(0, limit)
        if not asked.condition:
            numbers = self._pager.row_numbers(asked, offset, limit, self.revision)
            return QueryResult(self._load_rows(numbers), asked.total)
        found = self._search_lists.search(asked, self.revision, offset + limit, patience_seconds)
        rows = self._load_rows(found.row_numbers[offset : offset + limit])
        return QueryResult(rows, len(found.row_numbers), found.is_settled)

    def window(self, query: Query, stuck: StuckThresholds, offset: int, limit: int) -> Sequence[StoredUpload]:
        """As `look` without hurry: the uploads alone."""
        return self.find(query, stuck, offset, limit).uploads

    def total(self, query: Query, stuck: StuckThresholds) -> int:
        """How many uploads a query has."""
        return self.find(query, stuck, 0, 0).total

    def position(self, query: Query, stuck: StuckThresholds, upload_id: str) -> int | None:
        """The place (from 0) of an upload in a query's answer, as it was looked at last; None if it is not in it."""
        row = self._db.execute("SELECT number, cell FROM uploads WHERE id = ?", (upload_id,)).fetchone()
        if row is None:
            return None
        asked = store_query(query, stuck, self.partitions)
        if asked.condition:
            return self._search_lists.position(asked, self.revision, row[0])
        return self._pager.position(asked, row[0], row[1], self.revision)

    def partitions(
        self,
        project_ids: frozenset[str] = frozenset(),
        stages: frozenset[Stage] = frozenset(),
        *,
        with_gone: bool = True,
    ) -> tuple[Partition, ...]:
        """The cells, none of them empty, of these projects and stages (empty: all); with or without what is gone."""
        ranks = {stage.rank for stage in stages}
        rows = self._db.execute(
            "SELECT cell, project, stage, is_gone, uploads, id FROM cells JOIN projects USING (project) WHERE uploads > 0"
        )
        return tuple(
            Partition(number, project, stage, bool(is_gone), uploads)
            for number, project, stage, is_gone, uploads, project_id in rows
            if (not project_ids or project_id in project_ids)
            and (not ranks or stage in ranks)
            and (with_gone or not is_gone)
        )

    def _load_rows(self, numbers: Sequence[int]) -> Sequence[StoredUpload]:
        found: dict[int, StoredUpload] = {}
        for start in range(0, len(numbers), _BATCH_SIZE):
            listing = ", ".join(map(str, numbers[start : start + _BATCH_SIZE]))
            rows = self._db.execute(f"{_SELECT} WHERE number IN ({listing})")
            found.update((row[0], parse_row(row)) for row in rows)
        return [found[number] for number in numbers if number in found]

    def pending(self, project_ids: frozenset[str] = frozenset(), limit: int = -1) -> Sequence[StoredUpload]:
        """Uploads whose fate is open, the completed first, the longest waiting first; those that are gone are left out."""
        found: list[StoredUpload] = []
        for stage in (Stage.COMPLETED, Stage.INITIATED):
            cells = self.partitions(project_ids, frozenset({stage}), with_gone=False)
            asked = StoreQuery(cells, False, "", (), SortKey.SINCE, False)
            wanted = asked.total if limit < 0 else limit - len(found)
            found.extend(self._load_rows(self._pager.row_numbers(asked, 0, wanted, self.revision)))
        return found

    def known(self, upload_ids: Sequence[str]) -> frozenset[str]:
        """Those of the ids that are known."""
        found: set[str] = set()
        for start in range(0, len(upload_ids), _BATCH_SIZE):
            some = upload_ids[start : start + _BATCH_SIZE]
            places = ", ".join("?" * len(some))
            found.update(row[0] for row in self._db.execute(f"SELECT id FROM uploads WHERE id IN ({places})", some))
        return frozenset(found)

    def position_among(self, partitions: tuple[Partition, ...], upload_id: str) -> int | None:
        """The place (from 0) of an upload among those of some cells, newest first; None if it is not among them."""
        row = self._db.execute("SELECT number, cell FROM uploads WHERE id = ?", (upload_id,)).fetchone()
        asked = StoreQuery(partitions, False, "", (), SortKey.INITIATED, True)
        return row and self._pager.position(asked, row[0], row[1], self.revision)

    def projects(self) -> Sequence[ProjectRef]:
        """The projects of which any upload is known."""
        rows = self._db.execute(
            "SELECT id, name FROM projects WHERE project IN (SELECT project FROM cells WHERE uploads > 0) ORDER BY name, id"
        )
        return [ProjectRef(*row) for row in rows]

    # What a visit leaves for the next

    def set_fact(self, name: str, value: Any) -> None:
        """Keep a JSON value under a name."""
        with self.transaction():
            self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    def fact(self, name: str) -> Any:
        """The value under a name; None if there is none."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])
