"""The service's database: one SQLite connection, and the tables over it."""

import sqlite3
from pathlib import Path

from upload_tui.backend.store.migrations import check_owner, migrate
from upload_tui.backend.store.projects import Projects
from upload_tui.backend.store.queue import Queue
from upload_tui.backend.store.tree import Tree
from upload_tui.backend.store.uploads import Uploads
from upload_tui.errors import UsageError
from upload_tui.private_files import create_private_file, restrict_to_owner

__all__ = ["UPLOADS_IN_MEMORY", "Database"]

_BUSY_TIMEOUT_SECONDS = 2.0
"""How long to wait for a service that is shutting down to release the file."""

UPLOADS_IN_MEMORY = 2000
"""How many uploads a database in memory keeps, besides imported ones."""


class Database:
    """All tables over one connection, used from the event loop's thread; each statement touches few rows.

    Args:
        file: the file of the database; None keeps it in memory.

    Raises:
        UsageError: another service uses the file, it cannot be opened, or another program or a newer version wrote it.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._is_in_memory = file is None
        try:
            if file is not None:
                create_private_file(file)
            self._db = sqlite3.connect(file or ":memory:", isolation_level=None, timeout=_BUSY_TIMEOUT_SECONDS)
        except sqlite3.Error as error:
            raise _open_error(error, file) from error
        except OSError as error:
            raise UsageError(
                f"The database {file} cannot be opened: {error.strerror}", "Check the path, or name another --db."
            ) from error
        try:
            _prepare(self._db, file)
            if file is not None:  # of an earlier version; the secret in it signs tokens
                restrict_to_owner(file, file.with_name(f"{file.name}-wal"))
        except BaseException:
            self._db.close()
            raise
        self.projects = Projects(self._db)
        self.uploads = Uploads(self._db)
        self.tree = Tree(self._db)
        self.queue = Queue(self._db)
        # No worker runs yet, so a running job was left by a process that died.
        self.queue.requeue_running()

    @property
    def upload_limit(self) -> int | None:
        """How many uploads are kept; older ones that have ended are deleted. None for no limit."""
        return UPLOADS_IN_MEMORY + self.uploads.imported_count if self._is_in_memory else None

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def secret(self, default: bytes) -> bytes:
        """Return the database's secret; store `default` as the secret of a new one."""
        self._db.execute("INSERT OR IGNORE INTO secret VALUES (1, ?)", (default,))
        return bytes(self._db.execute("SELECT value FROM secret").fetchone()[0])


def _prepare(db: sqlite3.Connection, file: Path | None) -> None:
    """Lock and migrate the database. A second service would take this one's running jobs for abandoned ones."""
    try:
        check_owner(db)
        for setting in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            db.execute(f"PRAGMA {setting}")
        migrate(db)
    except sqlite3.Error as error:
        if error.sqlite_errorname == "SQLITE_ERROR":  # a wrong statement: a bug
            raise
        raise _open_error(error, file) from error


def _open_error(error: sqlite3.Error, file: Path | None) -> UsageError:
    if error.sqlite_errorname == "SQLITE_BUSY":
        return UsageError("The database is in use by another service", "Stop that one, or name another --db.")
    if error.sqlite_errorname == "SQLITE_FULL":
        return UsageError(f"There is no space for the database {file}", "Free some, or name another --db.")
    return UsageError(f"The database {file} cannot be opened: {error}", "Check the path, or name another --db.")
