"""The store's tables, as numbered migrations: `PRAGMA user_version` counts those that were applied."""

import sqlite3

__all__ = ["MIGRATIONS", "migrate"]

MIGRATIONS: tuple[str, ...] = (
    # Times are milliseconds since 1970; `stage` is the rank of the stage; `earliest_ms` bounds the last event from below.
    """
    CREATE TABLE uploads (
        id TEXT PRIMARY KEY,
        project_id TEXT NOT NULL,
        project_name TEXT NOT NULL,
        name TEXT NOT NULL,
        size_bytes INTEGER,
        stage INTEGER NOT NULL,
        since_ms INTEGER,
        certainty TEXT NOT NULL,
        initiated_ms INTEGER,
        completed_ms INTEGER,
        ended_ms INTEGER,
        activity_ms INTEGER,
        chunk_count INTEGER,
        chunk_bytes INTEGER,
        error_message TEXT NOT NULL,
        anomaly_count INTEGER NOT NULL,
        noticed TEXT NOT NULL,
        is_purged INTEGER NOT NULL,
        is_gone INTEGER NOT NULL,
        is_stale INTEGER NOT NULL,
        read_ms INTEGER NOT NULL,
        earliest_ms INTEGER,
        raw TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX by_initiated ON uploads (initiated_ms, id);
    CREATE INDEX by_project ON uploads (project_id, initiated_ms, id);
    CREATE INDEX by_stage ON uploads (stage, since_ms, id);
    CREATE INDEX by_since ON uploads (since_ms, id);
    CREATE INDEX by_name ON uploads (name COLLATE NOCASE, id);
    CREATE INDEX by_size ON uploads (size_bytes, id);
    """,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a database to the newest version, each step in a transaction of its own."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        connection.executescript(f"BEGIN; {script}; PRAGMA user_version = {number}; COMMIT;")
