"""The database under a store, whichever connection it has; the one place where what SQLite says becomes an error of ours.

A database that fails while it is used is replaced (`store_file`), so that a damaged file or a full disk ends no visit. Who asks
then gets the answer of the one that took its place; who was writing is told to begin again. Made by `Store`, used by its parts.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from upload_tui.errors import BusyStorageError, DamagedStorageError, StorageResetError
from upload_tui.monitor.store.recovery import open_database, replacement_for, storage_error

__all__ = ["ResultRows", "Database"]


class ResultRows(list[Any]):
    """The rows that a statement gave, all of them; `rowcount` is how many it wrote."""

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
        file: where to keep it; None for memory. Where it cannot be used, another database takes its place at once.
        on_replaced: called when another took its place later.
    """

    def __init__(self, file: Path | None, on_replaced: Callable[[], None]) -> None:
        self._current = open_database(file)
        self._on_replaced = on_replaced
        self._is_in_transaction = False
        self._generation = 0

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection as it is now."""
        return self._current.connection

    @property
    def file(self) -> Path | None:
        """Where it is kept by now; None for memory."""
        return self._current.file

    @property
    def notice(self) -> str:
        """What the person should be told of where it is kept; empty for nothing."""
        return self._current.notice

    @property
    def generation(self) -> int:
        """Grows when all that was known is gone."""
        return self._generation

    def close(self) -> None:
        """Close it."""
        self.connection.close()

    def execute(self, sql: str, values: Sequence[object] = ()) -> ResultRows:
        """Do a statement.

        Raises:
            BusyStorageError: another process writes; or, within a transaction, another database took the place of this one.
            StorageError: it failed, and nothing can take its place.
        """
        try:
            return self._run(sql, values)
        except sqlite3.Error as error:
            self.recover(error)
        return self._run(sql, values)

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Do a statement for each of some rows, within a transaction; raises as `execute` does."""
        try:
            self.connection.executemany(sql, rows)
        except sqlite3.Error as error:
            self.recover(error)
            raise

    def _run(self, sql: str, values: Sequence[object]) -> ResultRows:
        cursor = self.connection.execute(sql, values)
        answer = ResultRows(cursor)
        answer.rowcount = cursor.rowcount
        return answer

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is read and written within is one, also for others; one within another belongs to it. Raises as `execute` does."""
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

    def _roll_back(self) -> None:
        """Undo what is not finished; SQLite may have done so by itself."""
        with suppress(sqlite3.Error):  # whatever comes next notices
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    def recover(self, error: sqlite3.Error) -> None:
        """Put another database in place of this one.

        Raises:
            BusyStorageError: another process writes; or another took the place of this one, and what was being written is lost.
            StorageError: nothing can take its place.
            sqlite3.Error: the error itself, if it is a fault of this program's own.
        """
        trouble = storage_error(error, self.file)
        if trouble is None:
            raise error
        if isinstance(trouble, BusyStorageError) or (
            self.file is None and not isinstance(trouble, DamagedStorageError)
        ):
            raise trouble from error
        was_within = self._is_in_transaction or self.connection.in_transaction
        self._roll_back()
        self._current = replacement_for(self._current, trouble)
        self._generation += not self._current.is_copy
        self._on_replaced()
        if was_within:
            raise StorageResetError(self.notice) from error
