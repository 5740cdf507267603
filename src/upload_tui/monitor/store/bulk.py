"""Pours whole pages into the store while a first fetch reads very many. Made by the store, used by `first_fetch`."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from secrets import randbits

from msgspec.structs import replace

from upload_tui.errors import StorageError
from upload_tui.monitor.store.database import Database
from upload_tui.monitor.store.lease import RENEW_SECONDS, BulkLease, read_lease, write_lease
from upload_tui.monitor.store.page_snapshot import SnapshotInfo
from upload_tui.monitor.store.rows import BULK_COLUMNS
from upload_tui.monitor.store.schema import begin_bulk, end_bulk, end_bulk_steps

__all__ = ["BulkLoad"]

_BUSY_SECONDS = 5.0
_CHECKPOINT_PAGES = 1000
"""As SQLite does by itself."""
_BULK_CHECKPOINT_PAGES = 8000
"""What all rows touch is moved from the log into the file once in 32 MiB then, not each 4."""
_SMALL_STORE_UPLOADS = 3000
"""So many are sorted and searched quickly enough without an index."""
_BULK_COLUMN_LIST = ", ".join(BULK_COLUMNS)
_INSERT_ROWS = (
    f"INSERT OR IGNORE INTO uploads (project, cell, page, {_BULK_COLUMN_LIST}) SELECT ?, ?, ?, {_BULK_COLUMN_LIST} FROM image.rows "
    "WHERE part = ?"
)
_COMPARED_COLUMNS = [
    column
    for column in BULK_COLUMNS
    if column not in {"id", "anomaly_count", "noticed", "is_stale", "read_ms", "earliest_ms", "place"}
]
_KNOWN_ROWS = "FROM image.rows AS came JOIN uploads AS known USING (id) WHERE known.page IS NOT ?"
_DIFFERING_PLACES = f"SELECT came.place {_KNOWN_ROWS} AND NOT ({' AND '.join(f'came.{column} IS known.{column}' for column in _COMPARED_COLUMNS)})"
_REFRESH_ROWS = (
    f"UPDATE uploads SET read_ms = ?, is_stale = 0 WHERE id IN (SELECT id {_KNOWN_ROWS} AND came.place NOT IN ({{}}))"
)


class BulkLoad:
    """Nothing is sorted in, counted and searched one by one from `begin` to `end`; several projects may be poured in at once.

    Args:
        db: the store's.
        transaction: one of the store's.
        partition_of: the numbers of a project (its id, its name) and of its cell for the rank of a stage.
        now: seconds since 1970, as all processes over the store count them.
    """

    def __init__(
        self,
        db: Database,
        transaction: Callable[[], AbstractContextManager[None]],
        partition_of: Callable[[str, str, int], tuple[int, int]],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._db = db
        self._transaction = transaction
        self._partition_of = partition_of
        self._now = now
        self._lease = BulkLease(owner=randbits(62))
        self._active_loads = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def begin(self) -> None:
        """Many uploads will be poured in; until as many `end` only the service's own order is quick to ask for.

        Where somebody may look at many uploads of projects that are whole, all stays quick, and the pouring takes longer.
        """
        self._active_loads += 1
        if self._active_loads == 1:
            self._db.execute(f"PRAGMA wal_autocheckpoint = {_BULK_CHECKPOINT_PAGES}")
            with self._transaction():
                lease = read_lease(self._db)
                if lease is None and not self._has_many_scanned_uploads():
                    begin_bulk(self._db.connection)
                    self._renew_lease()
                elif lease is not None and not lease.is_held(self._now()):
                    self._renew_lease()

    def _has_many_scanned_uploads(self) -> bool:
        """Whether somebody may be looking at more than unfinished loads, and would wait for it."""
        whole = "SELECT total(uploads) FROM cells JOIN projects USING (project) JOIN facts ON facts.name = 'whole ' || projects.id"
        return bool(self._db.execute(whole).fetchone()[0] > _SMALL_STORE_UPLOADS)

    def end(self) -> None:
        """Make all that was left for later, if this was the last that went on."""
        if self._end_one() and self._can_finish():
            end_bulk(self._db.connection)
            self._bump_revision()

    async def finish(self) -> None:
        """As `end`, while the event loop goes on and what was poured in is read. Cancelled, it is left to the next visit."""
        if self._end_one() and self._can_finish():
            await self._finish()

    async def wait_until_idle(self) -> None:
        """Wait while a load is being finished: who writes meanwhile would hold up the event loop until it is.

        A load whose process died is finished first.
        """
        await self._idle.wait()
        if not self._active_loads and read_lease(self._db) is not None and self._can_finish():
            await self._finish()

    def release(self) -> None:
        """Nobody pours from here any more, though it was not finished."""
        with suppress(StorageError, sqlite3.Error):  # then it is noticed a little later
            lease = read_lease(self._db)
            if lease is not None and lease.owner == self._lease.owner:
                write_lease(self._db, replace(lease, renewed_at=0.0))

    def _end_one(self) -> bool:
        self._active_loads -= 1
        if self._active_loads:
            return False
        self._db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        return True

    def _can_finish(self) -> bool:
        """Whether a load goes on that is ours, or nobody's any more."""
        lease = read_lease(self._db)
        return lease is not None and (lease.owner == self._lease.owner or not lease.is_held(self._now()))

    async def _finish(self) -> None:
        self._idle.clear()
        try:
            if self._db.file is None:
                for _ in end_bulk_steps(self._db.connection):
                    await asyncio.sleep(0)
            else:
                await _finish_in_thread(self._db.file, self._lease.owner, self._now)
        except sqlite3.Error as error:
            self._db.recover(error)
        finally:
            self._idle.set()
        self._bump_revision()

    def _bump_revision(self) -> None:
        """Whoever asked before asks again."""
        with self._transaction():
            pass

    def _renew_lease(self) -> None:
        """The load is ours, and goes on."""
        self._lease = replace(self._lease, renewed_at=self._now())
        write_lease(self._db, self._lease)

    def insert_page(self, snapshot: bytes) -> SnapshotInfo:
        """Keep a page as `page_image` gives it.

        Those of its rows that are known stay as they are; where the service says something else by now, their places are among
        the others.
        """
        self._db.connection.deserialize(snapshot, name="image")
        with self._transaction():
            lease = read_lease(self._db)
            is_ours = lease is not None and lease.owner == self._lease.owner
            if is_ours and abs(self._now() - self._lease.renewed_at) >= RENEW_SECONDS:
                self._renew_lease()
            uploads, first_id, others = self._db.execute("SELECT uploads, first_id, others FROM image.page").fetchone()
            # Another dashboard may have ended the load for all: triggers count again.
            differing = self._insert_rows(has_triggers=lease is None)
        return SnapshotInfo(uploads, first_id, sorted({*json.loads(others), *differing}))

    def _insert_rows(self, *, has_triggers: bool) -> Sequence[int]:
        """Gives the places of those that are known otherwise."""
        page = self._db.execute(
            "INSERT INTO pages (body) SELECT words FROM image.page WHERE words NOT NULL RETURNING page"
        ).fetchone()
        if page is None:
            return ()
        came_in_all = 0
        for part, project_id, project_name, rank in self._db.execute("SELECT * FROM image.cells"):
            project, cell = self._partition_of(project_id, project_name, rank)
            came = self._db.execute(_INSERT_ROWS, (project, cell, *page, part)).rowcount
            came_in_all += came
            if not has_triggers:
                self._db.execute("UPDATE cells SET uploads = uploads + ? WHERE cell = ?", (came, cell))
        rows, read_ms = self._db.execute("SELECT count(*), max(read_ms) FROM image.rows").fetchone()
        if came_in_all == rows:
            return ()
        if came_in_all == 0:
            self._db.execute("DELETE FROM pages WHERE page = ?", page)
        return self._refresh_known(page[0], read_ms)

    def _refresh_known(self, page: int, read_ms: int) -> Sequence[int]:
        """Of the rows that did not come with this page, those are read again of which the service says the same."""
        differing = [row[0] for row in self._db.execute(_DIFFERING_PLACES, (page,))]
        self._db.execute(_REFRESH_ROWS.format(", ".join(map(str, differing))), (read_ms, page))
        return differing


async def _finish_in_thread(file: Path, owner: int, now: Callable[[], float]) -> None:
    db = sqlite3.connect(file, isolation_level=None, timeout=_BUSY_SECONDS, check_same_thread=False)

    def finish() -> None:
        with closing(db):
            db.execute("PRAGMA synchronous = NORMAL")
            for _ in end_bulk_steps(db):
                write_lease(db, BulkLease(owner, now()))

    try:
        await asyncio.to_thread(finish)
    except asyncio.CancelledError:
        with suppress(sqlite3.ProgrammingError):  # it has ended by itself
            db.interrupt()
        raise
