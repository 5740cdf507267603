"""The database of a store, which survives the failure of its connection, translates SQLite's errors, and logs recent changes.

A database that fails in use is replaced (see `recovery`), so that a damaged file or a full disk does not end the session. Reads then
run on the replacement; a write raises and has to be repeated.

Only the process that reads a change first can detect it; the others find the store up to date, so they read it here.
Entries are appended in the transaction that stores the changed upload.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.json import Decoder, encode

from upload_tui.errors import BusyStorageError, DamagedStorageError, StorageResetError
from upload_tui.monitor.changes import (
    AnomalyNoticed,
    OwnStateReached,
    StageReached,
    UploadChange,
    UploadGone,
    UploadPurged,
    UploadSeen,
)
from upload_tui.monitor.store.recovery import open_database, replacement_for, storage_error
from upload_tui.monitor.store.schema import new_owner

__all__ = ["DEFAULT_LIMITS", "ChangeLog", "Database", "Limits", "ResultRows"]

_T = TypeVar("_T")


class Limits(Struct, frozen=True, kw_only=True):
    """The constants that tune a store and the synchronisation with it; small ones make a test of what happens beyond them small.

    Attributes:
        bulk_threshold: from this many uploads on, a full scan fills the store in bulk.
        worker_threshold: from this many uploads on, parsing takes longer than starting a process.
        scan_passes: how often a full scan reads all pages while uploads are deleted.
        buffered_uploads: new uploads held in memory before they are recorded.
        idle_steps: steps for comparing a whole project when nothing else happens (some hours); they set the page size.
        single_requests: missing uploads fetched in one such step; the totals differ still, so that a later step fetches the rest.
        stall_check_seconds: how often a round that has not ended is checked for answers, in real time: the clock of a test or of the
            demo may stand still.
        gone_uploads_kept: gone uploads kept for each project: enough to look up what disappeared lately. Without a limit, a
            dashboard over a service that deletes old uploads would grow for as long as it is open.
        gone_uploads_surplus: how many more may exist, so that they are deleted in batches.
        pending_copies: pending uploads of a project that are copied for the case that the store is lost: those that changed last.
        ended_uploads_kept: ended uploads that stay in the picture though their source no longer lists them.
        small_store_uploads: so few uploads are sorted and searched quickly without an index.
        checkpoint_rows: rows between two checkpoints of a long result.
        search_candidates: trigram matches that are read at once; with more, a scan finds the first rows sooner.
        search_sample_rows: trigram matches that are read to estimate how many there are.
        search_batch_rows: rows scanned in one batch of a search.
        long_list_rows: a list of more matches, or of trouble among more uploads, is rebuilt only after a pause, however often they
            change.
        busy_seconds: how long to wait for another process that is writing to the same file.
    """

    bulk_threshold: int = 3000
    worker_threshold: int = 20_000
    scan_passes: int = 5
    buffered_uploads: int = 5000
    idle_steps: int = 2000
    single_requests: int = 500
    stall_check_seconds: float = 1.0
    gone_uploads_kept: int = 500
    gone_uploads_surplus: int = 100
    pending_copies: int = 1000
    ended_uploads_kept: int = 1000
    small_store_uploads: int = 3000
    checkpoint_rows: int = 8192
    search_candidates: int = 8000
    search_sample_rows: int = 500
    search_batch_rows: int = 1024
    long_list_rows: int = 20_000
    busy_seconds: float = 5.0


DEFAULT_LIMITS = Limits()


class ResultRows(list[Any]):
    """All rows of a statement's result; `rowcount` is the number of rows written."""

    rowcount = 0

    def fetchone(self) -> Any:
        """The first row; None if there is none."""
        return self[0] if self else None

    def fetchall(self) -> list[Any]:
        """All rows."""
        return self


class Database:
    """A database in a file or in memory.

    Args:
        file: where it is stored; None for memory. A file that cannot be used is replaced at once.
        on_replaced: called when the database was replaced later.
        limits: of the store.
    """

    def __init__(self, file: Path | None, on_replaced: Callable[[], None], limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self._current = open_database(file, limits.busy_seconds)
        self._on_replaced = on_replaced
        self._is_in_transaction = False
        self._generation = 0

    @property
    def connection(self) -> sqlite3.Connection:
        """The current connection."""
        return self._current.connection

    @property
    def file(self) -> Path | None:
        """The current file; None for memory."""
        return self._current.file

    @property
    def reachable_file(self) -> Path | None:
        """The current file for another connection; None for memory, or if the file was deleted or renamed meanwhile."""
        return self._current.reachable_file

    @property
    def notice(self) -> str:
        """Why the database is not stored where it should be; empty if it is."""
        return self._current.notice

    @property
    def uncached_reason(self) -> str:
        """Why nothing is cached, in a few words, if it should be; else empty."""
        return self._current.uncached_reason

    @property
    def generation(self) -> int:
        """Increases when the database was replaced by an empty one."""
        return self._generation

    @property
    def data_version(self) -> int:
        """Changes when another process has written."""
        return int(self.execute("PRAGMA data_version").fetchone()[0])

    def execute(self, sql: str, values: Sequence[object] = ()) -> ResultRows:
        """Run a statement.

        Raises:
            BusyStorageError: another process is writing; within a transaction also that the database was replaced.
            StorageError: it failed and could not be replaced.
        """
        while True:  # what replaces the database may fail as well; it is in memory in the end
            try:
                return self._run(sql, values)
            except sqlite3.Error as error:
                self.recover(error)

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a statement for each of `rows`, within a transaction; raises as `execute` does."""
        with self.direct() as connection:
            connection.executemany(sql, rows)

    @contextmanager
    def direct(self) -> Iterator[sqlite3.Connection]:
        """The connection, for statements that are run on it inside the context.

        Raises:
            StorageResetError: one failed, and the database was replaced.
            StorageError: it could not be replaced.
        """
        try:
            yield self.connection
        except sqlite3.Error as error:
            self.recover(error)
            raise StorageResetError(self.notice) from error

    def _run(self, sql: str, values: Sequence[object]) -> ResultRows:
        cursor = self.connection.execute(sql, values)
        rows = ResultRows(cursor)
        rows.rowcount = cursor.rowcount
        return rows

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in one transaction; a nested one joins the outer one. Raises as `execute` does."""
        if self._is_in_transaction or self.connection.in_transaction:
            yield
            return
        self.execute("BEGIN IMMEDIATE")
        self._is_in_transaction = True
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._is_in_transaction = False

    def read_at_once(self, read: Callable[[], _T]) -> _T:
        """Call `read`, whose statements all see the data as of one moment, whatever other processes write meanwhile.

        It writes nothing, and is called again if the database was replaced. Raises as `execute` does.
        """
        if self.connection.in_transaction:
            return read()
        while True:
            try:
                self.execute("BEGIN")
                return read()
            except StorageResetError:
                continue
            finally:
                self._roll_back()

    def _roll_back(self) -> None:
        """Roll back an open transaction; SQLite may have done so itself."""
        with suppress(sqlite3.Error):  # the next statement raises again
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    def replace_with_empty(self) -> None:
        """Replace a database in memory by an empty one."""
        self.connection.close()
        self._current = open_database(None, self.limits.busy_seconds)
        self._generation += 1
        self._on_replaced()

    def recover(self, error: sqlite3.Error) -> None:
        """Replace the database after an error.

        Raises:
            StorageResetError: it was replaced during a transaction, which is lost.
            BusyStorageError: another process is writing.
            StorageError: it cannot be replaced.
            sqlite3.Error: the error itself, if it is a bug of this program.
        """
        problem = storage_error(error, self.file, self.connection)
        if problem is None:
            raise error
        if isinstance(problem, BusyStorageError) or (
            self.file is None and not isinstance(problem, DamagedStorageError)
        ):
            raise problem from error
        was_in_transaction = self._is_in_transaction or self.connection.in_transaction
        self._roll_back()
        self._current = replacement_for(self._current, problem)
        self._generation += not self._current.is_copy
        self._on_replaced()
        if was_in_transaction:
            raise StorageResetError(self.notice) from error


_MAX_CHANGES = 10_000
_DECODERS = {
    kind.__name__: Decoder(kind)
    for kind in (AnomalyNoticed, OwnStateReached, StageReached, UploadGone, UploadPurged, UploadSeen)
}


class ChangeLog:
    """The change log of one store.

    Args:
        db: the store's database; a log in memory is not appended to, since no other process can read it.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._writer = new_owner()

    def last_number(self) -> int:
        """The number of the last entry; 0 if there is none."""
        number: int = self._db.execute("SELECT coalesce(max(number), 0) FROM change_log").fetchone()[0]
        return number

    def append(self, changes: Sequence[UploadChange]) -> None:
        """Append changes that this process publishes; within a transaction of the store."""
        if self._db.file is None or not changes:
            return
        self._db.executemany(
            "INSERT INTO change_log (writer, project_id, kind, change) VALUES (?, ?, ?, ?)",
            [
                (self._writer, change.upload.project_id, type(change).__name__, encode(change).decode())
                for change in changes
            ],
        )
        self._db.execute("DELETE FROM change_log WHERE number <= ?", (self.last_number() - _MAX_CHANGES,))

    def by_others(self, since: int, project_id: str) -> tuple[Sequence[UploadChange], int]:
        """A project's changes by other processes after entry number `since`, in order; and the number of the last entry."""
        if (last := self.last_number()) == since:
            return (), since
        rows = self._db.execute(
            "SELECT kind, change FROM change_log WHERE number > ? AND writer <> ? AND project_id = ? ORDER BY number",
            (since, self._writer, project_id),
        )
        return [_DECODERS[kind].decode(change) for kind, change in rows if kind in _DECODERS], last

    def stages_since(self, on: datetime) -> Sequence[StageReached]:
        """The stages that any process found reached at a time or later, in the order of the log."""
        rows = self._db.execute(
            "SELECT change FROM change_log WHERE kind = ? ORDER BY number", (StageReached.__name__,)
        )
        changes = (_DECODERS[StageReached.__name__].decode(change) for (change,) in rows)
        return [change for change in changes if isinstance(change, StageReached) and change.happened_on >= on]

    def gone_on(self, upload_id: str, project_id: str) -> datetime | None:
        """When an upload was last found to be no longer listed, by any process; None if the log does not have it."""
        rows = self._db.execute(
            "SELECT change FROM change_log WHERE kind = ? AND project_id = ? AND instr(change, ?) ORDER BY number DESC",
            (UploadGone.__name__, project_id, encode(upload_id).decode()),
        )
        found = (_DECODERS[UploadGone.__name__].decode(change) for (change,) in rows)
        return next((change.at for change in found if change.upload.id == upload_id), None)
