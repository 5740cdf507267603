"""The tables of the database, as numbered migrations from any earlier version.

Times are milliseconds since 1970. Constraints reject illegal transitions, whatever the caller does.
"""

import sqlite3

from upload_tui.errors import UsageError

__all__ = ["check_owner", "migrate"]

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
"""Purged uploads. `claim` counts claims, `attempts` only those that ended in trouble; the index holds all that finds due jobs."""

_MIGRATIONS = (_INITIAL, _TREE, _WORKER)


def check_owner(db: sqlite3.Connection) -> None:
    """Check that a database is empty or a service's, before anything is written.

    Raises:
        UsageError: it belongs to another program.
    """
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and not {"secret", "projects", "uploads"} <= tables:
        raise UsageError("The database belongs to another program", "Name another --db.")


def migrate(db: sqlite3.Connection) -> None:
    """Bring a database up to date, each migration in a transaction.

    Raises:
        UsageError: a newer version of the program wrote it.
    """
    done = int(db.execute("PRAGMA user_version").fetchone()[0])
    if done > len(_MIGRATIONS):
        raise UsageError(
            "The database was written by a newer version of upload-tui", "Update upload-tui, or name another --db."
        )
    for number, step in enumerate(_MIGRATIONS[done:], done + 1):
        db.executescript(f"BEGIN IMMEDIATE; {step} PRAGMA user_version = {number}; COMMIT;")
