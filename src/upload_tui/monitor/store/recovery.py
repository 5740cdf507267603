"""Open the file of a store, and replace one that cannot be used; no file is ever overwritten.

A damaged file is renamed and a new one created. A file that a newer version wrote, also while it was open here, is left alone, and
another one is used beside it. If no file can be written, the database is in memory, with a copy of the file's data if they can be
read.
"""

import os
import sqlite3
import time
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

from msgspec import Struct

from upload_tui.errors import BusyStorageError, DamagedStorageError, NewerStorageError, StorageError
from upload_tui.files import create_private_file, make_private_folder, restrict_to_owner
from upload_tui.monitor.store.schema import APPLICATION_ID, MIGRATIONS, end_bulk, migrate, read_lease
from upload_tui.text import fold

__all__ = ["OpenDatabase", "open_database", "replacement_for", "storage_error"]

_CACHE_KIB = 16 * 1024
_SIDE_FILES = ("-wal", "-shm")
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_PROGRAM_ERRORS = {
    sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISUSE, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE,
    sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_INTERRUPT,
}  # fmt: skip
_SCHEMA_ERRORS = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT}
"""Errors of a statement that was written for another schema, unless it is a bug of this program."""
_DAMAGE_MESSAGES = ("Could not decode to UTF-8",)
"""Messages of damage that SQLite reports with a generic error code."""


_OF_DATABASE = "database or "
"""A reason of SQLite is `database or disk is full`."""


class OpenDatabase(Struct, frozen=True):
    """An open database.

    Attributes:
        connection: in autocommit mode; with an empty attached database `image`.
        file: where it is stored; None for memory.
        identity: device and inode, which identify the file even if another takes its name; None if there was no file.
        notice: why it is not the file that was asked for; empty if it is.
        uncached_reason: why nothing is cached, in a few words; empty if the data are in a file, or should be in memory.
        is_copy: True if it has all data of the database that it replaced.
        busy_seconds: how long to wait for another process that is writing to the file, or to the one that replaces it.
    """

    connection: sqlite3.Connection
    file: Path | None = None
    identity: tuple[int, int] | None = None
    notice: str = ""
    uncached_reason: str = ""
    is_copy: bool = False
    busy_seconds: float = 0.0

    @property
    def reachable_file(self) -> Path | None:
        """The file for another connection; None for memory, or if the file was deleted or renamed since it was opened."""
        return self.file if self.file is not None and _identity(self.file) == self.identity else None


def storage_error(
    error: sqlite3.Error, file: Path | None, connection: sqlite3.Connection | None = None
) -> StorageError | None:
    """Translate an error of SQLite; None if it is a bug of this program.

    Args:
        error: the error.
        file: the file of the database; None for memory.
        connection: the database, to find out whether a statement failed because the schema is not ours; None skips
            that check.
    """
    code = getattr(error, "sqlite_errorcode", None)
    kind = None if code is None else code & 0xFF
    if kind in _BUSY:
        return BusyStorageError(f"Another upload-tui is writing to {file}", "Try again later.")
    if kind in _DAMAGED or str(error).startswith(_DAMAGE_MESSAGES):
        return _damaged_error(error)
    if kind in _SCHEMA_ERRORS and connection is not None:
        return _schema_error(error, file, connection)
    if kind is None or kind in _PROGRAM_ERRORS:
        return None
    where = "in memory" if file is None else file
    reason = str(error).removeprefix(_OF_DATABASE)
    return StorageError(f"Cannot use the store {where} ({error})", "Check the disk and the permissions.", reason=reason)


def _schema_error(error: sqlite3.Error, file: Path | None, connection: sqlite3.Connection) -> StorageError | None:
    """The error if another process has changed the schema since the file was opened, as a newer version does; else None."""
    try:
        _check_ownership(connection, file)
    except (StorageError, sqlite3.Error) as problem:
        return problem if isinstance(problem, StorageError) else _damaged_error(error)
    return _damaged_error(error) if _is_schema_damaged(connection) else None


def _is_schema_damaged(connection: sqlite3.Connection) -> bool:
    """Whether tables, views or columns of ours are missing; indexes and triggers are ignored: bulk loads drop them."""
    try:
        return not _columns(_expected_schema()) <= _columns(connection)
    except sqlite3.Error:
        return True


@cache
def _expected_schema() -> sqlite3.Connection:
    return _open_in_memory()


def _columns(connection: sqlite3.Connection) -> frozenset[tuple[str, str]]:
    """The tables and views with the names of their columns."""
    return frozenset(
        connection.execute(
            "SELECT things.name, columns.name FROM sqlite_master AS things, pragma_table_info(things.name) AS columns "
            "WHERE things.type IN ('table', 'view')"
        )
    )


def _damaged_error(error: sqlite3.Error) -> DamagedStorageError:
    return DamagedStorageError(f"The file is damaged ({error})", "Move the file away.")


def open_database(file: Path | None, busy_seconds: float) -> OpenDatabase:
    """Open the database of a file (None: in memory), or a replacement with a notice if the file cannot be used.

    Args:
        file: the file.
        busy_seconds: how long to wait for another process that is writing to it.
    """
    if file is None:
        return OpenDatabase(_open_in_memory())
    identity = _identity(file)
    try:
        return _open_file(file, busy_seconds)
    except StorageError as error:
        return _fallback(file, error, identity, busy_seconds)


def replacement_for(failed: OpenDatabase, error: StorageError) -> OpenDatabase:
    """Close a database that failed in use and open its replacement: another file once, then memory."""
    with closing(failed.connection) as connection:
        if not isinstance(error, DamagedStorageError | NewerStorageError):
            return _copy_to_memory(error, connection)
    if failed.file is None or failed.notice:
        return _copy_to_memory(error, None)
    return _fallback(failed.file, error, failed.identity, failed.busy_seconds)


def _open_file(file: Path, busy_seconds: float, notice: str = "") -> OpenDatabase:
    """Open the database of a file.

    Raises:
        StorageError: the file cannot be used; its subclass is the cause.
    """
    try:
        make_private_folder(file.parent)
        create_private_file(file)
        connection = sqlite3.connect(file, isolation_level=None, timeout=busy_seconds)
        try:
            _check_ownership(connection, file)
            _check_writable(file)
            restrict_to_owner(file)  # first: SQLite gives the mode of the file to its side files
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            _prepare(connection)
        except BaseException:
            connection.close()
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"Cannot use {file} ({reason})", "Check the permissions.", reason=reason) from error
    except sqlite3.Error as error:
        # Even a bug of ours here means that the schema is not ours: the file must not be changed.
        raise storage_error(error, file) or _damaged_error(error) from error
    return OpenDatabase(connection, file, _identity(file), notice, busy_seconds=busy_seconds)


def _check_ownership(connection: sqlite3.Connection, file: Path | None) -> None:
    """Refuse, before anything is written, a file of another program or of a newer version."""
    (version,), (application_id,) = (
        connection.execute(f"PRAGMA {name}").fetchone() for name in ("user_version", "application_id")
    )
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    is_early = application_id == 0 and (not tables or (version > 0 and "uploads" in tables))
    if application_id != APPLICATION_ID and not is_early:
        raise DamagedStorageError("The file belongs to another program", "Move the file away.")
    if version > len(MIGRATIONS):
        raise NewerStorageError(f"A newer upload-tui wrote {file}", "Upgrade, or move the file away.")


def _check_writable(file: Path) -> None:
    """Refuse a read-only file: SQLite opens it and fails at the first write."""
    if not os.access(file, os.W_OK):
        raise StorageError(f"Cannot write {file}", "Check its permissions.")


def _prepare(connection: sqlite3.Connection) -> None:
    """Configure and migrate a database, and complete the bulk load of a process that died."""
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.execute("PRAGMA recursive_triggers = ON")
    connection.execute("ATTACH ':memory:' AS image")
    connection.create_function("fold", 1, fold, deterministic=True)
    migrate(connection)
    lease = read_lease(connection)
    if lease is not None and not lease.is_held(time.time()):
        end_bulk(connection)


def _identity(file: Path) -> tuple[int, int] | None:
    """Device and inode of a file; None if there is none."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


# Replacements


def _fallback(file: Path, error: StorageError, identity: tuple[int, int] | None, busy_seconds: float) -> OpenDatabase:
    """Another file if `error` allows it, else memory."""
    try:
        if isinstance(error, NewerStorageError):
            own = file.with_name(f"{file.stem}-{len(MIGRATIONS)}{file.suffix}")
            return _open_file(own, busy_seconds, f"Using the cache {own.name}: {_as_clause(error.title)}")
        if isinstance(error, DamagedStorageError):
            renamed = _rename_damaged(file, identity)
            return _open_file(file, busy_seconds, f"The cache was reset: {_as_clause(error.title)}{renamed}")
    except (OSError, StorageError) as next_error:
        return _copy_to_memory(next_error, None)
    if isinstance(error, BusyStorageError) or (source := _open_read_only(file)) is None:
        return _copy_to_memory(error, None)
    with closing(source):
        return _copy_to_memory(error, source)


def _rename_damaged(file: Path, identity: tuple[int, int] | None) -> str:
    """Rename a damaged file; returns a clause with its new name, or "" if another process has replaced it already."""
    if _identity(file) != identity:
        return ""
    number = 1
    while True:
        aside = file.with_name(f"{file.name}.damaged-{number}")
        with suppress(FileExistsError):
            aside.touch(exist_ok=False)  # reserves the name: another process may rename its file now
            break
        number += 1
    for suffix in _SIDE_FILES:  # they belong to the damaged file: the new one must not read them
        side_file = file.with_name(file.name + suffix)
        with suppress(FileNotFoundError):
            side_file.replace(aside.with_name(aside.name + suffix))
    file.replace(aside)
    return f"; the old file is {aside}"


def _copy_to_memory(error: Exception, source: sqlite3.Connection | None) -> OpenDatabase:
    """Open a database in memory, with a copy of `source` if it can be read."""
    title, reason = (error.title, error.reason) if isinstance(error, StorageError) else (str(error), "")
    clause = _as_clause(title)
    notice, reason = f"Nothing is cached in this session: {clause}", reason or clause
    if source is not None:
        copy = _connect_to_memory()
        try:
            source.backup(copy)
            _check_ownership(copy, None)
            _prepare(copy)
            return OpenDatabase(copy, notice=notice, uncached_reason=reason, is_copy=True)
        except (sqlite3.Error, StorageError):
            copy.close()
    return OpenDatabase(_open_in_memory(), notice=notice, uncached_reason=reason)


def _open_read_only(file: Path) -> sqlite3.Connection | None:
    """Open a file for reading; None if that fails.

    `immutable` is for a file beside which SQLite cannot create its side files; later writes of other processes are not seen then.
    """
    for mode in ("mode=ro", "immutable=1"):
        try:
            connection = sqlite3.connect(f"{file.absolute().as_uri()}?{mode}", uri=True)
        except sqlite3.Error:
            continue
        try:
            connection.execute("SELECT 1 FROM sqlite_master").fetchall()
        except sqlite3.Error:
            connection.close()
        else:
            return connection
    return None


def _open_in_memory() -> sqlite3.Connection:
    connection = _connect_to_memory()
    _prepare(connection)
    return connection


def _connect_to_memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA temp_store = MEMORY")  # the disk may be full
    return connection


def _as_clause(title: str) -> str:
    """A sentence without its capital, to follow a colon; a path stays as it is."""
    return title[:1].lower() + title[1:]
