"""Opens the database of a store; what cannot be used is set aside with a word, never overwritten. Used by `database` alone.

A damaged file is renamed, and a new one begun. One that a newer program wrote stays as it is, for that program; ours is then kept
beside it. Where nothing can be kept, the database is in memory, with what the file held if that can be read.
"""

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from msgspec import Struct

from upload_tui.errors import BusyStorageError, DamagedStorageError, NewerStorageError, StorageError
from upload_tui.monitor.store.lease import read_lease
from upload_tui.monitor.store.schema import APPLICATION_ID, MIGRATIONS, end_bulk, migrate

__all__ = ["OpenDatabase", "replacement_for", "open_database", "storage_error"]

_BUSY_SECONDS = 5.0
"""How long one dashboard waits for another that writes to the same file."""
_CACHE_KIB = 16 * 1024
_SIDE_FILES = ("-wal", "-shm")
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_PROGRAM_ERRORS = {
    sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISUSE, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE,
    sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_INTERRUPT,
}  # fmt: skip
_DAMAGE_MESSAGES = ("Could not decode to UTF-8", "vtable constructor failed", "no such table")
"""How damage looks to who asks, where SQLite does not see it as such."""


class OpenDatabase(Struct, frozen=True):
    """An open database.

    Attributes:
        connection: in autocommit; with an empty database `image` at its side.
        file: where it is kept; None for memory.
        identity: what tells the file from another that takes its name.
        remark: what the person should be told; empty for nothing.
        is_copy: True if it has all that the database had whose place it took.
    """

    connection: sqlite3.Connection
    file: Path | None = None
    identity: tuple[int, int] | None = None
    notice: str = ""
    is_copy: bool = False


def storage_error(error: sqlite3.Error, file: Path | None) -> StorageError | None:
    """What an error means; None if it is a fault of this program's own."""
    code = getattr(error, "sqlite_errorcode", None)
    kind = None if code is None else code & 0xFF
    if kind in _BUSY:
        return BusyStorageError(f"Another upload-tui is busy with {file}", "It goes on by itself.")
    if kind in _DAMAGED or str(error).startswith(_DAMAGE_MESSAGES):
        return _damaged_error(error)
    if kind is None or kind in _PROGRAM_ERRORS:
        return None
    where = "in memory" if file is None else file
    return StorageError(f"The store cannot be used ({error}): {where}", "Check the disk, and the permissions.")


def _damaged_error(error: sqlite3.Error) -> DamagedStorageError:
    return DamagedStorageError(f"The file is damaged ({error})", "Move the file away.")


def open_database(file: Path | None) -> OpenDatabase:
    """The database of a file or of memory; another, and a word, where the file cannot be used."""
    if file is None:
        return OpenDatabase(_open_in_memory())
    identity = _identity(file)
    try:
        return _open_file(file)
    except StorageError as error:
        return _fallback(file, error, identity)


def replacement_for(failed: OpenDatabase, error: StorageError) -> OpenDatabase:
    """What takes the place of a database that failed while it was used; it is closed. No file takes a file's place twice."""
    with closing(failed.connection) as connection:
        if not isinstance(error, DamagedStorageError):
            return _copy_to_memory(error, connection)
    if failed.file is None or failed.notice:
        return _copy_to_memory(error, None)
    return _fallback(failed.file, error, failed.identity)


def _open_file(file: Path, notice: str = "") -> OpenDatabase:
    """The database of a file.

    Raises:
        StorageError: the file cannot be used; its kind tells why.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(file, isolation_level=None, timeout=_BUSY_SECONDS)
        try:
            _check_ownership(connection, file)
            _check_writable(file)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            _prepare(connection)
        except BaseException:
            connection.close()
            raise
    except OSError as error:
        raise StorageError(f"The store cannot be used ({error.strerror}): {file}", "Check the permissions.") from error
    except sqlite3.Error as error:
        # Whatever is not as we made it is not to be touched.
        raise storage_error(error, file) or _damaged_error(error) from error
    return OpenDatabase(connection, file, _identity(file), notice)


def _check_ownership(connection: sqlite3.Connection, file: Path | None) -> None:
    """Before anything is written: what another program keeps, or a newer one of ours, is not to be touched."""
    (version,), (mark,) = (
        connection.execute(f"PRAGMA {name}").fetchone() for name in ("user_version", "application_id")
    )
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    is_marked = mark == APPLICATION_ID or (mark == 0 and (not tables or (version > 0 and "uploads" in tables)))
    if not is_marked:
        raise DamagedStorageError("The file is another program's", "Move the file away.")
    if version > len(MIGRATIONS):
        raise NewerStorageError(f"A newer upload-tui wrote {file}", "Upgrade, or move the file away.")


def _check_writable(file: Path) -> None:
    """SQLite reads a file that it may not write, and fails later."""
    if not os.access(file, os.W_OK):
        raise StorageError(f"The store cannot be written: {file}", "Check its permissions.")


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.execute("PRAGMA recursive_triggers = ON")
    connection.execute("ATTACH ':memory:' AS image")
    migrate(connection)
    lease = read_lease(connection)
    if lease is not None and not lease.is_held(time.time()):
        end_bulk(connection)


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        known = file.stat()
    except OSError:
        return None
    return known.st_dev, known.st_ino


# What takes the place of a file


def _fallback(file: Path, error: StorageError, identity: tuple[int, int] | None) -> OpenDatabase:
    try:
        if isinstance(error, NewerStorageError):
            own = file.with_name(f"{file.stem}-{len(MIGRATIONS)}{file.suffix}")
            return _open_file(own, f"This visit is kept in {own.name}: {_as_clause(error.title)}")
        if isinstance(error, DamagedStorageError):
            return _open_file(file, f"The store was begun anew: {_as_clause(error.title)}{_set_aside(file, identity)}")
    except (OSError, StorageError) as trouble:
        return _copy_to_memory(trouble, None)
    if isinstance(error, BusyStorageError) or (source := _open_read_only(file)) is None:
        return _copy_to_memory(error, None)
    with closing(source):
        return _copy_to_memory(error, source)


def _set_aside(file: Path, identity: tuple[int, int] | None) -> str:
    """Rename a file, unless another dashboard has done so and a new one is there; says where it is now."""
    if _identity(file) != identity:
        return ""
    number = 1
    while True:
        aside = file.with_name(f"{file.name}.damaged-{number}")
        with suppress(FileExistsError):
            aside.touch(exist_ok=False)  # of two who look for a free name each gets its own
            break
        number += 1
    for ending in _SIDE_FILES:  # they belong to the damaged file: a new one must not find them
        beside = file.with_name(file.name + ending)
        with suppress(FileNotFoundError):
            beside.replace(aside.with_name(aside.name + ending))
    file.replace(aside)
    return f"; it was set aside as {aside}"


def _copy_to_memory(error: Exception, source: sqlite3.Connection | None) -> OpenDatabase:
    """In memory, with what another database holds if that can be read."""
    title = error.title if isinstance(error, StorageError) else str(error)
    remark = f"Nothing is kept of this visit: {_as_clause(title)}"
    if source is not None:
        copy = sqlite3.connect(":memory:", isolation_level=None)
        try:
            source.backup(copy)
            copy.execute("PRAGMA temp_store = MEMORY")  # the disk may be full
            _check_ownership(copy, None)
            _prepare(copy)
            return OpenDatabase(copy, notice=remark, is_copy=True)
        except (sqlite3.Error, StorageError):
            copy.close()
    return OpenDatabase(_open_in_memory(), notice=remark)


def _open_read_only(file: Path) -> sqlite3.Connection | None:
    """A file that may be read; what another process writes to it meanwhile is not seen where nothing can be made beside it."""
    for way in ("mode=ro", "immutable=1"):
        try:
            connection = sqlite3.connect(f"{file.absolute().as_uri()}?{way}", uri=True)
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
    connection = sqlite3.connect(":memory:", isolation_level=None)
    _prepare(connection)
    return connection


def _as_clause(title: str) -> str:
    """A sentence as a part of another; a path stays as it is."""
    return title[:1].lower() + title[1:]
