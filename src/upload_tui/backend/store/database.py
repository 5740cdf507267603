"""The service's database: one SQLite connection, its migrations, and the tables over it.

Times are milliseconds since 1970. Constraints reject illegal transitions, whatever the caller does.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from upload_tui.backend.store.queue import Queue
from upload_tui.backend.store.records import is_damage
from upload_tui.backend.store.tree import Projects, Tree
from upload_tui.backend.store.uploads import Uploads
from upload_tui.errors import UsageError
from upload_tui.files import create_private_file, restrict_to_owner

__all__ = ["MIGRATIONS", "UPLOADS_IN_MEMORY", "Database", "migrate"]

_INITIAL = """
CREATE TABLE IF NOT EXISTS secret (only INTEGER PRIMARY KEY CHECK (only = 1), value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS projects (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, created_ms INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS uploads (
    serial INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    project_id TEXT NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    content_type TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    initiated_ms INTEGER NOT NULL,
    completed_ms INTEGER,
    verified_ms INTEGER,
    error_ms INTEGER,
    error_message TEXT,
    updated_ms INTEGER NOT NULL,
    CHECK (verified_ms IS NULL OR error_ms IS NULL),
    CHECK (completed_ms IS NOT NULL OR (verified_ms IS NULL AND error_ms IS NULL))
);
CREATE INDEX IF NOT EXISTS uploads_of_project ON uploads (project_id, initiated_ms DESC, serial DESC);
CREATE TABLE IF NOT EXISTS chunks (
    upload_id TEXT NOT NULL REFERENCES uploads (id),
    number INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    algorithm TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (upload_id, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hashes (
    upload_id TEXT NOT NULL REFERENCES uploads (id),
    algorithm TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (upload_id, algorithm)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (
    upload_id TEXT PRIMARY KEY REFERENCES uploads (id),
    queued_ms INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'dead')),
    trouble TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS jobs_by_due ON jobs (state, due_ms);
"""
"""The first databases have no version number, so these tables may exist already."""

_TREE = """
ALTER TABLE projects ADD COLUMN updated_ms INTEGER;
ALTER TABLE projects ADD COLUMN deleted_ms INTEGER;
ALTER TABLE uploads ADD COLUMN is_chunked INTEGER NOT NULL DEFAULT 1;
CREATE TABLE nodes (
    serial INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('folder', 'file')),
    project_id TEXT NOT NULL REFERENCES projects (id),
    parent_id TEXT REFERENCES nodes (id),
    name TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    deleted_ms INTEGER
);
CREATE INDEX nodes_of_parent ON nodes (project_id, parent_id, serial) WHERE deleted_ms IS NULL;
CREATE TABLE versions (
    id TEXT PRIMARY KEY,
    file_id TEXT NOT NULL REFERENCES nodes (id),
    number INTEGER NOT NULL,
    upload_id TEXT NOT NULL REFERENCES uploads (id),
    label TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    UNIQUE (file_id, number)
);
"""
"""Folders, files and their versions. `parent_id` NULL means the project itself."""

_WORKER = """
ALTER TABLE uploads ADD COLUMN purged_ms INTEGER;
ALTER TABLE jobs ADD COLUMN claim INTEGER NOT NULL DEFAULT 0;
UPDATE jobs SET attempts = max(0, attempts - 1) WHERE state = 'running';
DROP INDEX jobs_by_due;
CREATE INDEX jobs_by_due ON jobs (state, due_ms, upload_id, attempts);
CREATE INDEX versions_of_upload ON versions (upload_id);
"""
"""Purged uploads. `claim` counts claims, `attempts` only unfinished ones; the index covers the search for due jobs."""

_STORAGE = "CREATE TABLE folder_storage (only INTEGER PRIMARY KEY CHECK (only = 1));"
"""Has a row once the bytes of the uploads are in a folder."""

MIGRATIONS = (_INITIAL, _TREE, _WORKER, _STORAGE)


def _check_owner(db: sqlite3.Connection) -> None:
    """Check that a database is empty or a service's, before anything is written.

    Raises:
        UsageError: it belongs to another program.
    """
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and not {"secret", "projects", "uploads"} <= tables:
        raise UsageError("The database belongs to another program", "Choose another --db.")


def migrate(db: sqlite3.Connection, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Bring a database up to date, each migration in a transaction.

    Raises:
        UsageError: a newer version of the program wrote it.
    """
    done = int(db.execute("PRAGMA user_version").fetchone()[0])
    if done > len(migrations):
        raise UsageError(
            "The database was written by a newer version of upload-tui", "Update upload-tui, or choose another --db."
        )
    for number, step in enumerate(migrations[done:], done + 1):
        db.executescript(f"BEGIN IMMEDIATE; {step} PRAGMA user_version = {number}; COMMIT;")


_BUSY_TIMEOUT_SECONDS = 2.0
"""How long to wait for a service that is shutting down to release the file."""

UPLOADS_IN_MEMORY = 2000
"""How many uploads a database in memory keeps, besides imported ones."""


class Database:
    """All tables over one connection, used from the event loop's thread; each statement touches few rows.

    Args:
        file: the file of the database; None keeps it in memory.
        uploads_in_memory: how many uploads it keeps in memory, besides imported ones.

    Raises:
        UsageError: another service uses the file, it cannot be opened, or another program or a newer version wrote it.
    """

    def __init__(self, file: Path | None = None, uploads_in_memory: int = UPLOADS_IN_MEMORY) -> None:
        self._file = file
        self._uploads_in_memory = uploads_in_memory
        try:
            if file is not None:
                create_private_file(file)
            self._db = sqlite3.connect(file or ":memory:", isolation_level=None, timeout=_BUSY_TIMEOUT_SECONDS)
        except sqlite3.Error as error:
            raise _open_error(error, file) from error
        except OSError as error:
            raise UsageError(
                f"The database {file} cannot be opened: {error.strerror}", "Check the path, or choose another --db."
            ) from error
        with self.starting():
            _prepare(self._db)
            if file is not None:  # of an earlier version; the secret in it signs tokens
                restrict_to_owner(file, file.with_name(f"{file.name}-wal"))
            self.projects = Projects(self._db)
            self.uploads = Uploads(self._db)
            self.tree = Tree(self._db)
            self.queue = Queue(self._db)
            # No worker runs yet, so a running job was left by a process that died.
            self.queue.requeue_running()

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Close the database if the service cannot start.

        Raises:
            UsageError: the service cannot start because of the database, which may be damaged, full or in use.
        """
        try:
            yield
        except sqlite3.Error as error:
            self.close()
            if error.sqlite_errorname == "SQLITE_ERROR":  # a wrong statement: a bug
                raise
            raise _open_error(error, self._file) from error
        except BaseException:
            self.close()
            raise

    @property
    def upload_limit(self) -> int | None:
        """How many uploads are kept; older ones that have ended are deleted. None for no limit."""
        return self._uploads_in_memory + self.uploads.imported_count if self._file is None else None

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def count_ids(self) -> int:
        """Count everything that has an id of its own."""
        tables = ("projects", "uploads", "nodes", "versions")
        counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in tables)
        return sum(self._db.execute(f"SELECT {counts}").fetchone())

    @property
    def has_folder(self) -> bool:
        """Whether the bytes of the uploads are in a folder; otherwise an earlier process kept them in memory, or there are none."""
        return self._db.execute("SELECT 1 FROM folder_storage").fetchone() is not None

    def set_has_folder(self) -> None:
        """Note that the bytes of the uploads are in a folder."""
        self._db.execute("INSERT OR IGNORE INTO folder_storage VALUES (1)")

    def secret(self, default: bytes) -> bytes:
        """Return the database's secret; store `default` as the secret of a new one."""
        self._db.execute("INSERT OR IGNORE INTO secret VALUES (1, ?)", (default,))
        return bytes(self._db.execute("SELECT value FROM secret").fetchone()[0])


def _prepare(db: sqlite3.Connection) -> None:
    """Lock and migrate the database. A second service would treat this one's running jobs as abandoned."""
    _check_owner(db)
    for setting in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        db.execute(f"PRAGMA {setting}")
    migrate(db)


def _open_error(error: sqlite3.Error, file: Path | None) -> UsageError:
    if error.sqlite_errorname == "SQLITE_BUSY":
        return UsageError("The database is in use by another service", "Stop that one, or choose another --db.")
    if error.sqlite_errorname == "SQLITE_FULL":
        return UsageError(f"There is no space for the database {file}", "Free some space, or choose another --db.")
    if is_damage(error):
        return UsageError(f"The database {file} is damaged: {error}", "Restore a copy, or choose another --db.")
    return UsageError(f"The database {file} cannot be opened: {error}", "Check the path, or choose another --db.")
