"""The service's own records in SQLite: one connection, and the tables over it."""

import sqlite3
from pathlib import Path

from upload_tui.backend.store.migrations import migrate
from upload_tui.backend.store.projects import Projects
from upload_tui.backend.store.queue import Queue
from upload_tui.backend.store.tree import Tree
from upload_tui.backend.store.uploads import Uploads
from upload_tui.errors import UsageError

__all__ = ["Database"]

_BUSY_TIMEOUT_SECONDS = 2.0
"""So long a service that is ending may still hold the file."""


class Database:
    """All records. One connection, used from the event loop's thread; every statement touches few rows.

    Args:
        file: where to keep them; None keeps them in memory.

    Raises:
        UsageError: another service uses the file, or a newer version of the program has used it.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._db = sqlite3.connect(file or ":memory:", isolation_level=None, timeout=_BUSY_TIMEOUT_SECONDS)
        try:
            _prepare(self._db)
        except BaseException:
            self._db.close()
            raise
        self.projects = Projects(self._db)
        self.uploads = Uploads(self._db)
        self.tree = Tree(self._db)
        self.queue = Queue(self._db)
        # A job that was running when the last process died is taken up again at once.
        self.queue.requeue_running()

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def secret(self, default: bytes) -> bytes:
        """The secret that these records were begun with; `default` if they are new."""
        self._db.execute("INSERT OR IGNORE INTO secret VALUES (1, ?)", (default,))
        return bytes(self._db.execute("SELECT value FROM secret").fetchone()[0])


def _prepare(db: sqlite3.Connection) -> None:
    """Make the database this service's own: two would take each other's jobs for those of a dead one."""
    try:
        for setting in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            db.execute(f"PRAGMA {setting}")
        migrate(db)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname != "SQLITE_BUSY":
            raise
        raise UsageError("The database is in use by another service", "Stop that one, or name another --db.") from error
