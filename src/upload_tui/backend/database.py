"""The service's own records in SQLite: one connection, and the tables over it."""

import sqlite3
from pathlib import Path

from upload_tui.backend.schema import migrate
from upload_tui.backend.tables.projects import Projects
from upload_tui.backend.tables.queue import Queue
from upload_tui.backend.tables.tree import Tree
from upload_tui.backend.tables.uploads import Uploads

__all__ = ["Database"]


class Database:
    """All records. One connection, used from the event loop's thread; every statement touches few rows.

    Args:
        file: where to keep them; None keeps them in memory.

    Raises:
        UsageError: a newer version of the program has used the file.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._db = sqlite3.connect(file or ":memory:", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        try:
            migrate(self._db)
        except BaseException:
            self._db.close()
            raise
        self.projects = Projects(self._db)
        self.uploads = Uploads(self._db)
        self.tree = Tree(self._db)
        self.queue = Queue(self._db)
        # A job that was running when the last process died is taken up again at once.
        self.queue.take_back()

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def secret(self, fresh: bytes) -> bytes:
        """The secret that these records were begun with; `fresh` if they are new."""
        self._db.execute("INSERT OR IGNORE INTO secret VALUES (1, ?)", (fresh,))
        return bytes(self._db.execute("SELECT value FROM secret").fetchone()[0])
