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
from upload_tui.monitor.bulk_lease import BEAT_SECONDS, BulkLease, keep_lease, lease_of
from upload_tui.monitor.database import Database
from upload_tui.monitor.page_image import ImagedPage
from upload_tui.monitor.schema import begin_bulk, end_bulk, steps_to_end_bulk
from upload_tui.monitor.stored_rows import POURED

__all__ = ["BulkLoad"]

_BUSY_SECONDS = 5.0
_CHECKPOINT_PAGES = 1000
"""As SQLite does by itself."""
_CHECKPOINT_PAGES_IN_BULK = 8000
"""What all rows touch is moved from the log into the file once in 32 MiB then, not each 4."""
_LITTLE = 3000
"""So many are sorted and searched quickly enough without an index."""
_COLUMNS = ", ".join(POURED)
_POUR = (
    f"INSERT OR IGNORE INTO uploads (project, cell, page, {_COLUMNS}) SELECT ?, ?, ?, {_COLUMNS} FROM image.rows "
    "WHERE part = ?"
)
_SAID = [
    column
    for column in POURED
    if column not in {"id", "anomaly_count", "noticed", "is_stale", "read_ms", "earliest_ms", "place"}
]
_KNOWN = "FROM image.rows AS came JOIN uploads AS known USING (id) WHERE known.page IS NOT ?"
_DIFFERING = (
    f"SELECT came.place {_KNOWN} AND NOT ({' AND '.join(f'came.{column} IS known.{column}' for column in _SAID)})"
)
_TOUCH = f"UPDATE uploads SET read_ms = ?, is_stale = 0 WHERE id IN (SELECT id {_KNOWN} AND came.place NOT IN ({{}}))"


class BulkLoad:
    """Nothing is sorted in, counted and searched one by one from `begin` to `end`; several projects may be poured in at once.

    Args:
        db: the store's.
        transaction: one of the store's.
        cell_of: the numbers of a project (its id, its name) and of its cell for the rank of a stage.
        now: seconds since 1970, as all processes over the store count them.
    """

    def __init__(
        self,
        db: Database,
        transaction: Callable[[], AbstractContextManager[None]],
        cell_of: Callable[[str, str, int], tuple[int, int]],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._db = db
        self._transaction = transaction
        self._cell_of = cell_of
        self._now = now
        self._lease = BulkLease(owner=randbits(62))
        self._going_on = 0
        self._is_at_rest = asyncio.Event()
        self._is_at_rest.set()

    def begin(self) -> None:
        """Many uploads will be poured in; until as many `end` only the service's own order is quick to ask for.

        Where somebody may look at many uploads of projects that are whole, all stays quick, and the pouring takes longer.
        """
        self._going_on += 1
        if self._going_on == 1:
            self._db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES_IN_BULK}")
            with self._transaction():
                lease = lease_of(self._db)
                if lease is None and not self._is_much_whole():
                    begin_bulk(self._db.connection)
                    self._renew()
                elif lease is not None and not lease.is_held(self._now()):
                    self._renew()

    def _is_much_whole(self) -> bool:
        """Whether somebody may be looking at more than unfinished loads, and would wait for it."""
        whole = "SELECT total(uploads) FROM cells JOIN projects USING (project) JOIN facts ON facts.name = 'whole ' || projects.id"
        return bool(self._db.execute(whole).fetchone()[0] > _LITTLE)

    def end(self) -> None:
        """Make all that was left for later, if this was the last that went on."""
        if self._was_last() and self._may_end():
            end_bulk(self._db.connection)
            self._seen()

    async def finish(self) -> None:
        """As `end`, while the event loop goes on and what was poured in is read. Cancelled, it is left to the next visit."""
        if self._was_last() and self._may_end():
            await self._finish()

    async def at_rest(self) -> None:
        """Wait while a load is being finished: who writes meanwhile would hold up the event loop until it is.

        A load whose process died is finished first.
        """
        await self._is_at_rest.wait()
        if not self._going_on and lease_of(self._db) is not None and self._may_end():
            await self._finish()

    def leave(self) -> None:
        """Nobody pours from here any more, though it was not finished."""
        with suppress(StorageError, sqlite3.Error):  # then it is noticed a little later
            lease = lease_of(self._db)
            if lease is not None and lease.owner == self._lease.owner:
                keep_lease(self._db, replace(lease, renewed_at=0.0))

    def _was_last(self) -> bool:
        self._going_on -= 1
        if self._going_on:
            return False
        self._db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        return True

    def _may_end(self) -> bool:
        """Whether a load goes on that is ours, or nobody's any more."""
        lease = lease_of(self._db)
        return lease is not None and (lease.owner == self._lease.owner or not lease.is_held(self._now()))

    async def _finish(self) -> None:
        self._is_at_rest.clear()
        try:
            if self._db.file is None:
                for _ in steps_to_end_bulk(self._db.connection):
                    await asyncio.sleep(0)
            else:
                await _finish_beside(self._db.file, self._lease.owner, self._now)
        except sqlite3.Error as error:
            self._db.failed(error)
        finally:
            self._is_at_rest.set()
        self._seen()

    def _seen(self) -> None:
        """Whoever asked before asks again."""
        with self._transaction():
            pass

    def _renew(self) -> None:
        """The load is ours, and goes on."""
        self._lease = replace(self._lease, renewed_at=self._now())
        keep_lease(self._db, self._lease)

    def pour(self, image: bytes) -> ImagedPage:
        """Keep a page as `page_image` gives it.

        Those of its rows that are known stay as they are; where the service says something else by now, their places are among
        the others.
        """
        self._db.connection.deserialize(image, name="image")
        with self._transaction():
            lease = lease_of(self._db)
            is_ours = lease is not None and lease.owner == self._lease.owner
            if is_ours and abs(self._now() - self._lease.renewed_at) >= BEAT_SECONDS:
                self._renew()
            uploads, first_id, others = self._db.execute("SELECT uploads, first_id, others FROM image.page").fetchone()
            # Another dashboard may have ended the load for all: triggers count again.
            differing = self._pour_rows(is_counted=lease is None)
        return ImagedPage(uploads, first_id, sorted({*json.loads(others), *differing}))

    def _pour_rows(self, *, is_counted: bool) -> Sequence[int]:
        """Gives the places of those that are known otherwise."""
        page = self._db.execute(
            "INSERT INTO pages (body) SELECT words FROM image.page WHERE words NOT NULL RETURNING page"
        ).fetchone()
        if page is None:
            return ()
        came_in_all = 0
        for part, project_id, project_name, rank in self._db.execute("SELECT * FROM image.cells"):
            project, cell = self._cell_of(project_id, project_name, rank)
            came = self._db.execute(_POUR, (project, cell, *page, part)).rowcount
            came_in_all += came
            if not is_counted:
                self._db.execute("UPDATE cells SET uploads = uploads + ? WHERE cell = ?", (came, cell))
        rows, read_ms = self._db.execute("SELECT count(*), max(read_ms) FROM image.rows").fetchone()
        if came_in_all == rows:
            return ()
        if came_in_all == 0:
            self._db.execute("DELETE FROM pages WHERE page = ?", page)
        return self._touch_known(page[0], read_ms)

    def _touch_known(self, page: int, read_ms: int) -> Sequence[int]:
        """Of the rows that did not come with this page, those are read again of which the service says the same."""
        differing = [row[0] for row in self._db.execute(_DIFFERING, (page,))]
        self._db.execute(_TOUCH.format(", ".join(map(str, differing))), (read_ms, page))
        return differing


async def _finish_beside(file: Path, owner: int, now: Callable[[], float]) -> None:
    db = sqlite3.connect(file, isolation_level=None, timeout=_BUSY_SECONDS, check_same_thread=False)

    def finish() -> None:
        with closing(db):
            db.execute("PRAGMA synchronous = NORMAL")
            for _ in steps_to_end_bulk(db):
                keep_lease(db, BulkLease(owner, now()))

    try:
        await asyncio.to_thread(finish)
    except asyncio.CancelledError:
        with suppress(sqlite3.ProgrammingError):  # it has ended by itself
            db.interrupt()
        raise
