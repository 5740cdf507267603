"""Pours whole pages into the store while a first fetch reads very many. Made by the store, used by `first_fetch`."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path

from upload_tui.monitor.page_image import ImagedPage
from upload_tui.monitor.schema import begin_bulk, end_bulk, steps_to_end_bulk
from upload_tui.monitor.stored_rows import POURED

__all__ = ["BulkLoad"]

_BUSY_SECONDS = 5.0
_CHECKPOINT_PAGES = 1000
"""As SQLite does by itself."""
_CHECKPOINT_PAGES_IN_BULK = 8000
"""What all rows touch is moved from the log into the file once in 32 MiB then, not each 4."""
_COLUMNS = ", ".join(POURED)
_POUR = (
    f"INSERT OR IGNORE INTO uploads (project, cell, page, {_COLUMNS}) SELECT ?, ?, ?, {_COLUMNS} FROM image.rows "
    "WHERE part = ?"
)


class BulkLoad:
    """Nothing is sorted in, counted and searched one by one from `begin` to `end`; several projects may be poured in at once.

    Args:
        db: the store's connection.
        file: what it is open on; None for memory.
        transaction: one of the store's.
        cell_of: the numbers of a project (its id, its name) and of its cell for the rank of a stage.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        file: Path | None,
        transaction: Callable[[], AbstractContextManager[None]],
        cell_of: Callable[[str, str, int], tuple[int, int]],
    ) -> None:
        self._db = db
        self._file = file
        self._transaction = transaction
        self._cell_of = cell_of
        self._going_on = 0
        self._is_at_rest = asyncio.Event()
        self._is_at_rest.set()

    def begin(self) -> None:
        """Many uploads will be poured in; until as many `end` only the service's own order is quick to ask for."""
        self._going_on += 1
        if self._going_on == 1:
            with self._transaction():
                begin_bulk(self._db)
            self._db.execute("ATTACH ':memory:' AS image")
            self._db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES_IN_BULK}")

    def end(self) -> None:
        """Make all that was left for later, if this was the last that went on."""
        if self._was_last():
            end_bulk(self._db)
            self._seen()

    async def finish(self) -> None:
        """As `end`, while the event loop goes on and what was poured in is read. Cancelled, it is left to the next visit."""
        if not self._was_last():
            return
        self._is_at_rest.clear()
        try:
            if self._file is None:
                for _ in steps_to_end_bulk(self._db):
                    await asyncio.sleep(0)
            else:
                await _finish_beside(self._file)
        finally:
            self._is_at_rest.set()
        self._seen()

    async def at_rest(self) -> None:
        """Wait while a load is being finished: who writes meanwhile would hold up the event loop until it is."""
        await self._is_at_rest.wait()

    def _was_last(self) -> bool:
        self._going_on -= 1
        if self._going_on:
            return False
        self._db.execute("DETACH image")
        self._db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        return True

    def _seen(self) -> None:
        """Whoever asked before asks again."""
        with self._transaction():
            pass

    def pour(self, image: bytes) -> ImagedPage:
        """Keep a page as `page_image` gives it; those of its rows that are known stay as they are."""
        self._db.deserialize(image, name="image")
        with self._transaction():
            uploads, first_id, others = self._db.execute("SELECT uploads, first_id, others FROM image.page").fetchone()
            page = self._db.execute(
                "INSERT INTO pages (body) SELECT words FROM image.page WHERE words NOT NULL"
            ).lastrowid
            # Another dashboard, opened meanwhile, has ended the load for all: triggers count again.
            is_counted = self._db.execute("SELECT 1 FROM facts WHERE name = 'bulk'").fetchone() is None
            for part, project_id, project_name, rank in self._db.execute("SELECT * FROM image.cells").fetchall():
                project, cell = self._cell_of(project_id, project_name, rank)
                came = self._db.execute(_POUR, (project, cell, page, part)).rowcount
                if not is_counted:
                    self._db.execute("UPDATE cells SET uploads = uploads + ? WHERE cell = ?", (came, cell))
        return ImagedPage(uploads, first_id, json.loads(others))


async def _finish_beside(file: Path) -> None:
    """End a bulk load in a thread, over a connection of its own."""
    db = sqlite3.connect(file, isolation_level=None, timeout=_BUSY_SECONDS, check_same_thread=False)

    def finish() -> None:
        with closing(db):
            db.execute("PRAGMA synchronous = NORMAL")
            end_bulk(db)

    try:
        await asyncio.to_thread(finish)
    except asyncio.CancelledError:
        with suppress(sqlite3.ProgrammingError):  # it has ended by itself
            db.interrupt()
        raise
