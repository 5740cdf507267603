"""Bulk load: insert whole pages, as serialized SQLite databases, while a full scan reads very many uploads.

A snapshot holds the rows that could be parsed fast, and the page's JSON. It is made in the event loop or in a worker process, and is
sent between processes as bytes. Copying rows from a snapshot takes a third of the time of inserting them one by one.

During a load, the row of the table `bulk_lease` names the store that loads. While it exists, triggers and indexes are dropped:
writers update the counts themselves, and searches scan. The loading store renews the lease; one that has expired belongs to a process
that died, and any other store ends its load.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import astuple, replace

from upload_tui.errors import StorageError, StorageResetError
from upload_tui.monitor.analysis.statistics import bucket_of, normalize_cause
from upload_tui.monitor.store.rows import BULK_COLUMNS, BULK_CONSTANTS, BULK_VALUES, to_ms
from upload_tui.monitor.store.schema import (
    UNKNOWN,
    begin_bulk,
    compress_page,
    end_bulk,
    end_bulk_steps,
    folded_text,
)
from upload_tui.status import Stage
from upload_tui.text import is_folded_by_case_alone

if TYPE_CHECKING:
    from upload_tui.monitor.store.database import Database
    from upload_tui.monitor.store.partitions import PartitionTable
    from upload_tui.wire import UploadSummary
from upload_tui.monitor.store.schema import BulkLease, new_owner, read_lease, write_lease

__all__ = [
    "BulkLoad",
    "PartitionName",
    "SnapshotInfo",
    "build_snapshot",
    "can_snapshot",
    "page_snapshot",
]

can_snapshot = hasattr(sqlite3.Connection, "serialize")
"""Whether this system's SQLite can serialize databases."""

PartitionName = tuple[str, str, int]
"""The project's id and name, and the rank of the stage."""

_TABLES = f"""
    CREATE TABLE page (body BLOB, upload_count INTEGER, first_id TEXT, unparsed_places TEXT);
    CREATE TABLE partitions (partition INTEGER PRIMARY KEY, project_id TEXT, project_name TEXT, stage INTEGER);
    CREATE TABLE rows (partition, {", ".join(BULK_COLUMNS)});
"""


class SnapshotInfo(Struct, frozen=True):
    """What is known of a page, apart from its rows.

    Attributes:
        upload_count: the number of uploads on the page.
        first_id: the id of the first upload; None if that one was not parsed.
        unparsed_places: the places (from 0) on the page of uploads without a row, which have to be parsed in full: pending ones and
            those with anything unusual.
    """

    upload_count: int
    first_id: str | None
    unparsed_places: Sequence[int]


def page_snapshot(body: bytes, read_on: datetime, project_id: str | None = None) -> bytes:
    """Make the snapshot of a page of a project (None: of any); empty if the whole page has to be parsed in full."""
    from upload_tui.wire import parse_summaries

    summaries = parse_summaries(body, read_on, project_id)
    if summaries is None:
        return b""
    final = [(place, one) for place, one in enumerate(summaries) if one is not None and one.stage.is_final]
    partitions = _partitions(final, read_on)
    unparsed = [place for place, one in enumerate(summaries) if one is None or not one.stage.is_final]
    first_id = summaries[0].id if summaries and summaries[0] else None
    return build_snapshot(partitions, SnapshotInfo(len(summaries), first_id, unparsed), body)


def build_snapshot(
    partitions: Mapping[PartitionName, Sequence[Sequence[Any]]], page: SnapshotInfo, body: bytes
) -> bytes:
    """Serialize a page; `partitions` holds its rows (values of `BULK_COLUMNS`) by partition."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.executescript(_TABLES)
        db.execute("BEGIN")
        values = (
            compress_page(body) if partitions else None,
            page.upload_count,
            page.first_id,
            json.dumps(page.unparsed_places),
        )
        db.execute("INSERT INTO page VALUES (?, ?, ?, ?)", values)
        for number, (name, rows) in enumerate(partitions.items()):
            db.execute("INSERT INTO partitions VALUES (?, ?, ?, ?)", (number, *name))
            db.executemany(f"INSERT INTO rows VALUES ({number}, {BULK_VALUES})", rows)
        db.execute("COMMIT")
        return db.serialize()


def _partitions(
    summaries: "Sequence[tuple[int, UploadSummary]]", read_on: datetime
) -> Mapping[PartitionName, Sequence[tuple[Any, ...]]]:
    """The rows of uploads, given with their places on a page, by partition."""
    read_ms = to_ms(read_on) or 0
    # Nearly always true of a whole page.
    is_ascii = is_folded_by_case_alone("".join([one.name + one.id + one.error_message for _, one in summaries]))
    found: dict[tuple[str, str, Stage], list[tuple[Any, ...]]] = {}
    for place, summary in summaries:
        folded = "" if is_ascii else folded_text(summary.name, summary.id, summary.error_message)
        key = summary.project_id, summary.project_name, summary.stage
        if (rows := found.get(key)) is None:
            rows = found[key] = []
        rows.append(_row(summary, read_ms, folded, place))
    return {(project_id, name, stage.rank): rows for (project_id, name, stage), rows in found.items()}


def _row(summary: "UploadSummary", read_ms: int, folded: str, place: int) -> tuple[Any, ...]:
    (
        upload_id, _, _, name, size, stage, since, certainty, initiated, completed, ended, activity, count, total, message, provider,
        uploader, is_purged, content_type,
    ) = astuple(summary)  # fmt: skip
    uploading = UNKNOWN if completed is None or initiated is None else bucket_of(completed - initiated)
    verifying = UNKNOWN if completed is None or ended is None else bucket_of(ended - completed)
    return (
        upload_id, name, UNKNOWN if size is None else size, stage.rank, since, certainty,
        UNKNOWN if initiated is None else initiated, UNKNOWN if completed is None else completed, UNKNOWN if ended is None else ended,
        UNKNOWN if activity is None else activity, UNKNOWN if count is None else count, UNKNOWN if total is None else total,
        message, normalize_cause(message) if stage is Stage.ERROR else "", provider, uploader, int(is_purged), read_ms,
        uploading, verifying, folded, content_type, place,
    )  # fmt: skip


_RENEW_SECONDS = 2.0
_CHECKPOINT_PAGES = 1000
"""SQLite's default."""
_BULK_CHECKPOINT_PAGES = 8000
"""A checkpoint of the write-ahead log every 32 MiB, not every 4: each one rewrites the pages that all rows change."""
_SORT_KIB = 32_000
"""Memory for the rows of an index while they are sorted; with less, they are sorted in a file."""
_BULK_COLUMN_LIST = ", ".join(BULK_COLUMNS)
_TARGET = f"INTO uploads (project, partition, page, {', '.join(BULK_CONSTANTS)}, {_BULK_COLUMN_LIST})"
_CONSTANTS = ", ".join(BULK_CONSTANTS.values())
_INSERT_ROWS = (
    f"INSERT OR IGNORE {_TARGET} SELECT ?, ?, ?, {_CONSTANTS}, {_BULK_COLUMN_LIST} FROM image.rows WHERE partition = ?"
)
_INSERT_SUMMARIES = f"INSERT {_TARGET} VALUES ({{}}, {{}}, {{}}, {_CONSTANTS}, {BULK_VALUES})"
_IS_SAME = " AND ".join(
    [f"new.{column} IS known.{column}" for column in BULK_COLUMNS if column not in {"id", "read_ms", "place"}]
    + [f"known.{column} IS {BULK_CONSTANTS[column]}" for column in ("is_gone", "is_contradictory")]
)
_KNOWN_ROWS = "FROM image.rows AS new JOIN uploads AS known USING (id) WHERE known.page IS NOT ?"
_DIFFERING_PLACES = f"SELECT new.place {_KNOWN_ROWS} AND NOT ({_IS_SAME})"
_REFRESH_ROWS = (
    f"UPDATE uploads SET read_ms = ?, is_stale = 0 WHERE id IN (SELECT id {_KNOWN_ROWS} AND new.place NOT IN ({{}}))"
)


class BulkLoad:
    """The bulk loads of one store; those of several projects may overlap.

    Args:
        db: the store's database.
        transaction: the store's `transaction`.
        partitions: the store's partitions.
        now: seconds since 1970, comparable between processes.
    """

    can_insert_summaries = True
    """Whether `insert_summaries` may be called."""

    def __init__(
        self,
        db: "Database",
        transaction: Callable[[], AbstractContextManager[None]],
        partitions: "PartitionTable",
        now: Callable[[], float] = time.time,
    ) -> None:
        self._db = db
        self._transaction = transaction
        self._partitions = partitions
        self._now = now
        self._lease = BulkLease(owner=new_owner())
        self._active_loads = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def begin(self) -> None:
        """Begin a load. Until all begun loads have ended, only the order of initiation has an index.

        If the store holds many uploads of fully scanned projects, which a dashboard may be showing, indexes stay and the load takes
        longer.
        """
        if not self._active_loads:
            self._db.execute(f"PRAGMA wal_autocheckpoint = {_BULK_CHECKPOINT_PAGES}")
            with self._transaction():
                lease = read_lease(self._db)
                if lease is None and not self._has_many_scanned_uploads():
                    with self._db.direct() as connection:
                        begin_bulk(connection)
                    self._renew_lease()
                elif lease is not None and not lease.is_held(self._now()):
                    self._renew_lease()
        self._active_loads += 1

    def _has_many_scanned_uploads(self) -> bool:
        scanned = self._db.execute(
            "SELECT total(upload_count) FROM partitions JOIN projects USING (project) JOIN sync_state ON scope = id "
            "WHERE is_scanned"
        )
        return bool(scanned.fetchone()[0] > self._db.limits.small_store_uploads)

    def end(self) -> None:
        """End a load; the last one builds indexes, triggers and counts."""
        if self._end_one() and self._can_finish():
            with self._db.direct() as connection:
                end_bulk(connection)
            self._bump_revision()

    async def finish(self) -> None:
        """End a load as `end` does, without blocking the event loop. If it is cancelled, the next session completes it."""
        if self._end_one() and self._can_finish():
            await self._finish()

    async def wait_until_idle(self) -> None:
        """Wait while a load is being finished, since a write would block the event loop until then.

        Finishes the load of a process that died.
        """
        await self._idle.wait()
        if not self._active_loads and read_lease(self._db) is not None and self._can_finish():
            await self._finish()

    def release(self) -> None:
        """Give up the lease of an unfinished load, when the store is closed."""
        with suppress(StorageError, sqlite3.Error):  # the lease expires instead
            lease = read_lease(self._db)
            if lease is not None and lease.owner == self._lease.owner:
                write_lease(self._db, replace(lease, renewed_at=0.0))

    def _end_one(self) -> bool:
        """Count a load as ended; True if it was the last."""
        self._active_loads -= 1
        if self._active_loads:
            return False
        self._db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        return True

    def _can_finish(self) -> bool:
        """Whether there is a lease, and it is this store's or has expired."""
        lease = read_lease(self._db)
        return lease is not None and (lease.owner == self._lease.owner or not lease.is_held(self._now()))

    async def _finish(self) -> None:
        self._idle.clear()
        try:
            if (file := self._db.reachable_file) is None:
                for _ in end_bulk_steps(self._db.connection):
                    await asyncio.sleep(0)
            else:
                await self._finish_in_thread(file)
        except sqlite3.Error as error:
            self._db.recover(error)
        finally:
            self._idle.set()
        self._bump_revision()

    async def _finish_in_thread(self, file: Path) -> None:
        """Run the steps that end a load on a connection of their own, in a thread."""
        db = sqlite3.connect(file, isolation_level=None, timeout=self._db.limits.busy_seconds, check_same_thread=False)

        def finish() -> None:
            with closing(db):
                db.execute("PRAGMA synchronous = NORMAL")
                db.execute(f"PRAGMA cache_size = -{_SORT_KIB}")
                db.execute(f"PRAGMA wal_autocheckpoint = {_BULK_CHECKPOINT_PAGES}")
                for _ in end_bulk_steps(db):
                    write_lease(db, BulkLease(self._lease.owner, self._now()))

        try:
            await asyncio.to_thread(finish)
        except asyncio.CancelledError:
            with suppress(sqlite3.ProgrammingError):  # the thread has closed it already
                db.interrupt()
            raise

    def _bump_revision(self) -> None:
        """Make readers query again: every transaction of the store increments its revision."""
        with self._transaction():
            pass

    def _renew_lease(self) -> None:
        self._lease = replace(self._lease, renewed_at=self._now())
        write_lease(self._db, self._lease)

    def insert_page(self, snapshot: bytes) -> SnapshotInfo:
        """Insert a page that `page_snapshot` made.

        Rows that are known already are not overwritten; those that differ are added to `unparsed_places` of the result.
        """
        with self._db.direct() as connection:
            connection.deserialize(snapshot, name="image")
        with self._transaction():
            if self._db.connection is not connection:  # the database was replaced, and the page lost with the old one
                raise StorageResetError(self._db.notice)
            has_triggers = self._check_lease()
            page = self._db.execute("SELECT upload_count, first_id, unparsed_places FROM image.page")
            count, first_id, unparsed = page.fetchone()
            differing = self._insert_rows(has_triggers=has_triggers)
        return SnapshotInfo(count, first_id, sorted({*json.loads(unparsed), *differing}))

    def insert_summaries(self, summaries: "Sequence[UploadSummary]", read_on: datetime, body: bytes) -> None:
        """Insert a page all of whose uploads were summarized, in its order. None of them may be known, or be there twice."""
        partitions = _partitions([*enumerate(summaries)], read_on)
        with self._transaction():
            has_triggers = self._check_lease()
            page = self._db.execute("INSERT INTO pages (body) VALUES (?) RETURNING page", (compress_page(body),))
            page_number = page.fetchone()[0]
            for name, rows in partitions.items():
                project, partition = self._partitions.numbers(*name)
                self._db.executemany(_INSERT_SUMMARIES.format(project, partition, page_number), rows)
                if not has_triggers:
                    self._count_inserted(len(rows), partition)

    def _check_lease(self) -> bool:
        """Renew this store's lease in time; True if there is none, so that triggers count: another store may have ended the load."""
        lease = read_lease(self._db)
        is_ours = lease is not None and lease.owner == self._lease.owner
        if is_ours and abs(self._now() - self._lease.renewed_at) >= _RENEW_SECONDS:
            self._renew_lease()
        return lease is None

    def _count_inserted(self, count: int, partition: int) -> None:
        self._db.execute(
            "UPDATE partitions SET upload_count = upload_count + ? WHERE partition = ?", (count, partition)
        )

    def _insert_rows(self, *, has_triggers: bool) -> Sequence[int]:
        """Insert the rows; returns the places on the page of known rows that differ."""
        page = self._db.execute(
            "INSERT INTO pages (body) SELECT body FROM image.page WHERE body NOT NULL RETURNING page"
        ).fetchone()
        if page is None:
            return ()
        inserted = 0
        for number, project_id, project_name, stage_rank in self._db.execute("SELECT * FROM image.partitions"):
            project, partition = self._partitions.numbers(project_id, project_name, stage_rank)
            count = self._db.execute(_INSERT_ROWS, (project, partition, *page, number)).rowcount
            inserted += count
            if not has_triggers:
                self._count_inserted(count, partition)
        rows, read_ms = self._db.execute("SELECT count(*), max(read_ms) FROM image.rows").fetchone()
        if inserted == rows:
            return ()
        if inserted == 0:
            self._db.execute("DELETE FROM pages WHERE page = ?", page)
        return self._refresh_known(page[0], read_ms)

    def _refresh_known(self, page: int, read_ms: int) -> Sequence[int]:
        """Update the reading time of known rows that are the same; returns the places of those that differ."""
        differing = [row[0] for row in self._db.execute(_DIFFERING_PLACES, (page,))]
        self._db.execute(_REFRESH_ROWS.format(", ".join(map(str, differing))), (read_ms, page))
        return differing
