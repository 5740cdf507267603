"""The tables of the store as numbered migrations; `PRAGMA user_version` is the number of those applied.

A migration never changes once it was released: it is applied to files as they were then, with the names of then.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from upload_tui.monitor.store.schema.indexes import INDEXES, TRIGGERS
from upload_tui.monitor.store.schema.pages import compress_page, page_types
from upload_tui.text import fold, is_folded_by_case_alone

__all__ = ["APPLICATION_ID", "MIGRATIONS", "UNKNOWN", "folded_text", "migrate", "transaction"]

APPLICATION_ID = 0x75705475
"""Identifies our files; those of schema version 4 and earlier have 0."""

UNKNOWN = -(2**63)
"""Means "not known" in the columns for sorting: it sorts first and, unlike NULL, can be compared."""

_FIRST_INDEXES = {
    "by_since": "uploads (since_ms)",
    "by_name": "uploads (name)",
    "by_size": "uploads (size_bytes)",
    "by_cell_initiated": "uploads (cell, initiated_ms)",
    "by_cell_since": "uploads (cell, since_ms)",
    "by_cell_name": "uploads (cell, name)",
    "by_cell_size": "uploads (cell, size_bytes)",
    "by_completed": "uploads (completed_ms)",
    "by_spans": "uploads (cell, upload_bucket, verify_bucket)",
    "by_cause": "uploads (cause, storage_provider, uploader, since_ms, id, cell) WHERE stage = 3",
}
_LABEL_INDEXES = {
    "by_uploader": "uploads (uploader)",
    "by_storage": "uploads (storage_provider)",
    "by_type": "uploads (content_type)",
}

_FIRST_TEXT = "{0}.name || char(10) || {0}.id || char(10) || {0}.error_message"
_TEXT = f"CASE {{0}}.folded WHEN '' THEN {_FIRST_TEXT} ELSE {{0}}.folded END"


def _early_triggers(text: str) -> Mapping[str, str]:
    """The triggers until schema version 13, with the text of which trigrams are made."""
    return {
        "upload_came": f"""AFTER INSERT ON uploads BEGIN
            UPDATE cells SET uploads = uploads + 1 WHERE cell = new.cell;
            INSERT INTO grams (rowid, text) VALUES (new.number, {text.format("new")});
        END""",
        "upload_moved": """AFTER UPDATE OF cell ON uploads WHEN old.cell <> new.cell BEGIN
            UPDATE cells SET uploads = uploads - 1 WHERE cell = old.cell;
            UPDATE cells SET uploads = uploads + 1 WHERE cell = new.cell;
        END""",
        "upload_reworded": f"""AFTER UPDATE OF name, error_message ON uploads
            WHEN old.name <> new.name COLLATE BINARY OR old.error_message <> new.error_message BEGIN
            INSERT INTO grams (grams, rowid, text) VALUES ('delete', old.number, {text.format("old")});
            INSERT INTO grams (rowid, text) VALUES (new.number, {text.format("new")});
        END""",
        "upload_left": f"""AFTER DELETE ON uploads BEGIN
            UPDATE cells SET uploads = uploads - 1 WHERE cell = old.cell;
            DELETE FROM words WHERE number = old.number;
            INSERT INTO grams (grams, rowid, text) VALUES ('delete', old.number, {text.format("old")});
        END""",
    }


_EARLY_TRIGGERS = _early_triggers(_TEXT)

_TABLES = """
    DROP TABLE IF EXISTS uploads;
    CREATE TABLE uploads (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        project INTEGER NOT NULL,
        cell INTEGER NOT NULL,
        name TEXT NOT NULL COLLATE NOCASE,
        size_bytes INTEGER NOT NULL,
        stage INTEGER NOT NULL,
        since_ms INTEGER NOT NULL,
        certainty TEXT NOT NULL,
        initiated_ms INTEGER NOT NULL,
        completed_ms INTEGER,
        ended_ms INTEGER,
        activity_ms INTEGER,
        chunk_count INTEGER,
        chunk_bytes INTEGER,
        error_message TEXT NOT NULL,
        cause TEXT NOT NULL,
        storage_provider TEXT NOT NULL,
        uploader TEXT NOT NULL,
        anomaly_count INTEGER NOT NULL,
        noticed TEXT NOT NULL,
        is_purged INTEGER NOT NULL,
        is_gone INTEGER NOT NULL,
        is_stale INTEGER NOT NULL,
        read_ms INTEGER NOT NULL,
        earliest_ms INTEGER,
        upload_bucket INTEGER,
        verify_bucket INTEGER,
        page INTEGER,
        place INTEGER
    );
    CREATE TABLE words (number INTEGER PRIMARY KEY, raw TEXT NOT NULL);
    CREATE TABLE pages (page INTEGER PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE projects (project INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL);
    CREATE TABLE cells (
        cell INTEGER PRIMARY KEY,
        project INTEGER NOT NULL,
        stage INTEGER NOT NULL,
        is_gone INTEGER NOT NULL,
        uploads INTEGER NOT NULL DEFAULT 0,
        UNIQUE (project, stage, is_gone)
    );
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX by_initiated ON uploads (initiated_ms);
"""

_FACT_NAMES = {
    "whole until": "scanned_until_ms",  # before the shorter name
    "whole": "is_scanned",
    "synced": "synced_ms",
    "news": "last_known_number",
    "owed": "unreadable_spans",
    "unreadable": "unreadable_count",
    "missing": "missing_count",
    "repeats pages": "repeats_pages",
    "wrong total": "has_wrong_total",
    "end": "has_end",
    "check": "reconciler",
}
"""The names of a project's facts until schema version 8, and since then. The project's id follows after a space."""


def _rename_facts(old: str, new: str) -> str:
    return f"UPDATE OR REPLACE facts SET name = '{new}' || substr(name, {len(old) + 1}) WHERE name GLOB '{old} *';"


_STATE_COLUMNS = {
    "is_scanned": "INTEGER",
    "synced_ms": "INTEGER",
    "last_known_number": "INTEGER",
    "unreadable_spans": "TEXT",
    "unreadable_count": "INTEGER",
    "missing_count": "INTEGER",
    "repeats_pages": "INTEGER",
    "has_wrong_total": "INTEGER",
    "has_end": "INTEGER",
    "reconciler": "TEXT",
}
"""The attributes of `SyncState`. NULL stands for the default; a text is JSON."""

_INDEX_NAMES = {
    "by_cell_initiated": "by_partition_initiated",
    "by_cell_since": "by_partition_since",
    "by_cell_name": "by_partition_name",
    "by_cell_size": "by_partition_size",
    "by_spans": "by_buckets",
    "by_cell_begun": "by_partition_first_event",
}
"""The names of indexes until schema version 13, and since then."""

MIGRATIONS: tuple[str, ...] = (
    # The data of version 1 are fetched again.
    "",
    # Times are milliseconds since 1970. `stage` is the rank of the stage, `earliest_ms` the earliest possible time of the last event,
    # `cause` an error message without its variable parts, a bucket the number of a latency bucket. A cell is a partition: the uploads
    # of one project in one stage, apart from those that are gone; its count is stored. Raw JSON is in tables of its own, so that rows
    # stay narrow: in `words`, or as entry number `place` of one of the `pages`. `grams` is a trigram index without text of its own.
    _TABLES
    + f"CREATE VIEW searched AS SELECT number, {_FIRST_TEXT.format('uploads')} AS text FROM uploads;"
    + """
    CREATE VIRTUAL TABLE grams USING fts5 (
        text, content = searched, content_rowid = number, tokenize = 'trigram', detail = none
    );
    """
    + "".join(f"CREATE INDEX {name} ON {place};" for name, place in _FIRST_INDEXES.items())
    + "".join(f"CREATE TRIGGER {name} {what};" for name, what in _early_triggers(_FIRST_TEXT).items()),
    # Pages are compressed: they were nine tenths of the file.
    "UPDATE pages SET body = deflated(body);",
    # The change log, for other processes with the same file; AUTOINCREMENT, because they remember the last number that they read.
    """
    CREATE TABLE told (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        teller INTEGER NOT NULL,
        project_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        change TEXT NOT NULL
    );
    """,
    f"PRAGMA application_id = {APPLICATION_ID};",
    # Uploads that are verified though their chunks do not agree, and in which stage the user acknowledged an upload. `by_trouble` is
    # small, so that a bulk load keeps it.
    """
    ALTER TABLE uploads ADD COLUMN is_contradictory INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE uploads ADD COLUMN acknowledged_stage INTEGER;
    CREATE INDEX by_trouble ON uploads (cell, since_ms) WHERE is_contradictory = 1;
    UPDATE uploads SET is_contradictory = 1, upload_bucket = NULL, verify_bucket = NULL
        WHERE stage = 2 AND anomaly_count > 0 AND NOT is_purged AND chunk_count IS NOT NULL
        AND (size_bytes >= 0 AND chunk_bytes <> size_bytes OR number IN (
            SELECT words.number FROM uploads AS upload JOIN words USING (number),
                json_each(CASE WHEN json_valid(words.raw) THEN words.raw ELSE '{}' END, '$.chunks') AS chunk
            WHERE upload.stage = 2 AND upload.anomaly_count > 0
            GROUP BY words.number HAVING count(*) <> count(DISTINCT json_extract(chunk.value, '$.number'))
                OR count(*) <> max(json_extract(chunk.value, '$.number'))
        ));
    """,
    # For queries: the content type, and the folded form of what is searched if it is not in ASCII (see `folded_text`). An
    # acknowledgement has a note and may have an end.
    """
    ALTER TABLE uploads ADD COLUMN folded TEXT NOT NULL DEFAULT '';
    ALTER TABLE uploads ADD COLUMN content_type TEXT NOT NULL DEFAULT '';
    ALTER TABLE uploads ADD COLUMN acknowledged_until_ms INTEGER;
    ALTER TABLE uploads ADD COLUMN acknowledgement TEXT NOT NULL DEFAULT '';
    CREATE INDEX by_acknowledged ON uploads (acknowledged_stage) WHERE acknowledged_stage IS NOT NULL;
    """
    + "".join(f"CREATE INDEX {name} ON {place};" for name, place in _LABEL_INDEXES.items())
    + "".join(f"DROP TRIGGER IF EXISTS {name};" for name in _EARLY_TRIGGERS)
    + f"""
    INSERT INTO grams (grams, rowid, text) SELECT 'delete', number, {_FIRST_TEXT.format("uploads")} FROM uploads
        WHERE folded_text(name, id, error_message) <> '' AND NOT EXISTS (SELECT 1 FROM facts WHERE name = 'bulk');
    UPDATE uploads SET folded = folded_text(name, id, error_message) WHERE folded_text(name, id, error_message) <> '';
    DROP VIEW searched;
    CREATE VIEW searched AS SELECT number, {_TEXT.format("uploads")} AS text FROM uploads;
    INSERT INTO grams (rowid, text) SELECT number, folded FROM uploads
        WHERE folded <> '' AND NOT EXISTS (SELECT 1 FROM facts WHERE name = 'bulk');
    CREATE TEMP TABLE types (page INTEGER, place INTEGER, type TEXT, PRIMARY KEY (page, place)) WITHOUT ROWID;
    INSERT INTO types SELECT page, place.key, place.value FROM pages, json_each(page_types(body)) AS place;
    INSERT INTO types SELECT -1, number, type.value FROM words, json_each(page_types(raw)) AS type;
    UPDATE uploads SET content_type = ifnull(
        (SELECT type FROM types WHERE types.page = ifnull(uploads.page, -1)
            AND types.place = CASE WHEN uploads.page IS NULL THEN uploads.number ELSE uploads.place END), '');
    DROP TABLE types;
    """
    + "".join(f"CREATE TRIGGER {name} {what};" for name, what in _EARLY_TRIGGERS.items()),
    # Plain names: of the change log, and of a project's facts, which have those of the attributes of `SyncState`.
    """
    ALTER TABLE told RENAME TO change_log;
    ALTER TABLE change_log RENAME COLUMN teller TO writer;
    """
    + "".join(_rename_facts(old, new) for old, new in _FACT_NAMES.items()),
    # The time to sort and to filter by: uploads of many sources have no time of initiation.
    f"""
    ALTER TABLE uploads ADD COLUMN begun_ms INTEGER GENERATED ALWAYS AS (
        CASE WHEN initiated_ms > {UNKNOWN} THEN initiated_ms ELSE coalesce(completed_ms, ended_ms, since_ms) END
    ) VIRTUAL;
    DROP INDEX IF EXISTS by_initiated;
    CREATE INDEX by_begun ON uploads (begun_ms);
    CREATE INDEX by_cell_begun ON uploads (cell, begun_ms);""",
    "CREATE INDEX by_failed ON uploads (cell, since_ms, cause, stage) WHERE stage = 3;",
    "ALTER TABLE uploads ADD COLUMN anomaly TEXT NOT NULL DEFAULT '';",  # the most serious one: its name and detail as JSON
    # What synchronisation knows of a project, or of what is watched of a source: so far a fact for each value, as JSON.
    f"""
    CREATE TABLE sync_state (scope TEXT PRIMARY KEY, {", ".join(f"{name} {kind}" for name, kind in _STATE_COLUMNS.items())})
        WITHOUT ROWID;
    INSERT INTO sync_state SELECT scope, {", ".join(f"max(iif(name = '{name}', value, NULL))" for name in _STATE_COLUMNS)} FROM (
        SELECT substr(name, instr(name, ' ') + 1) AS scope, substr(name, 1, instr(name, ' ') - 1) AS name,
            json_extract(value, '$') AS value
        FROM facts WHERE instr(name, ' ') AND json_valid(value)
    ) GROUP BY scope;
    DELETE FROM facts WHERE instr(name, ' ');
    """,
    f"ALTER TABLE cells ADD COLUMN listed_ms INTEGER NOT NULL DEFAULT {UNKNOWN};",  # when all uploads of a partition were last listed
    # Plain names, and a table for the lease of a bulk load. A program of an earlier version cannot go on with its load: the lease has
    # expired now, so that the next program that opens the file ends the load.
    "".join(f"DROP TRIGGER IF EXISTS {name};" for name in _EARLY_TRIGGERS)
    + "".join(f"DROP INDEX IF EXISTS {name};" for name in ("by_begun", *_INDEX_NAMES))
    + """
    ALTER TABLE cells RENAME TO partitions;
    ALTER TABLE partitions RENAME COLUMN cell TO partition;
    ALTER TABLE partitions RENAME COLUMN uploads TO upload_count;
    ALTER TABLE uploads RENAME COLUMN cell TO partition;
    ALTER TABLE uploads RENAME COLUMN begun_ms TO first_event_ms;
    ALTER TABLE uploads RENAME COLUMN noticed TO noticed_anomalies;
    ALTER TABLE words RENAME TO raw_json;
    ALTER TABLE grams RENAME TO trigrams;
    CREATE TABLE bulk_lease (owner INTEGER NOT NULL, renewed_at REAL NOT NULL);
    INSERT INTO bulk_lease SELECT 0, 0 FROM facts WHERE name = 'bulk';
    DROP TABLE facts;
    CREATE INDEX by_first_event ON uploads (first_event_ms);
    """
    + "".join(f"CREATE INDEX {name} ON {INDEXES[name]};" for name in _INDEX_NAMES.values())
    + "".join(f"CREATE TRIGGER {name} {what};" for name, what in TRIGGERS.items()),
    # An upload of a source can be known before the first stage that has a time, in a state of its own.
    f"""
    DROP INDEX IF EXISTS by_first_event;
    DROP INDEX IF EXISTS by_partition_first_event;
    ALTER TABLE uploads DROP COLUMN first_event_ms;
    ALTER TABLE uploads ADD COLUMN first_known_ms INTEGER;
    ALTER TABLE uploads ADD COLUMN first_event_ms INTEGER GENERATED ALWAYS AS (coalesce(
        first_known_ms, CASE WHEN initiated_ms > {UNKNOWN} THEN initiated_ms END, completed_ms, ended_ms, since_ms
    )) VIRTUAL;
    CREATE INDEX by_first_event ON uploads (first_event_ms);
    CREATE INDEX by_partition_first_event ON {INDEXES["by_partition_first_event"]};
    """,
)


def folded_text(*texts: str) -> str:
    """The folded form of the texts that are searched, a line each; empty if SQLite can fold them itself.

    That is the case if they are in ASCII, without line breaks and NUL.
    """
    return "" if is_folded_by_case_alone("".join(texts)) else "\n".join(map(fold, texts))


def migrate(connection: sqlite3.Connection, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Apply the migrations that a database lacks, each in a transaction of its own."""
    connection.create_function("deflated", 1, compress_page, deterministic=True)
    connection.create_function("folded_text", 3, folded_text, deterministic=True)
    connection.create_function("page_types", 1, page_types, deterministic=True)
    version = _version(connection)
    while version < len(migrations):
        with transaction(connection):
            version = _version(connection)  # another process may have migrated meanwhile
            if version < len(migrations):
                for statement in _statements(migrations[version]):
                    connection.execute(statement)
                version += 1
                connection.execute(f"PRAGMA user_version = {version}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite may have rolled back itself
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> list[str]:
    """The statements of a script; semicolons within a trigger do not split it."""
    statements, statement = [], ""
    for part in script.split(";")[:-1]:
        statement += part + ";"
        if sqlite3.complete_statement(statement):
            statements.append(statement)
            statement = ""
    return statements
