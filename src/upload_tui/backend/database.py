"""The service's own records in SQLite: projects, uploads, chunks, and the queue of uploads to be verified.

Times are milliseconds since 1970 in the tables and aware datetimes outside. Illegal transitions are refused here, by the
conditions of the statements themselves, so that no caller can bring one about.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from upload_tui.status import Event, Stage, Timeline

__all__ = ["ChunkRecord", "Database", "JobRecord", "PastUpload", "ProjectRecord", "QueueSummary", "UploadRecord"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS secret (only INTEGER PRIMARY KEY CHECK (only = 1), value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS projects (id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, created_ms INTEGER NOT NULL);
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


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """A project."""

    id: str
    name: str
    description: str
    created_on: datetime


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """An upload as the service knows it; `updated_on` is the last change of any kind."""

    id: str
    project_id: str
    project_name: str
    name: str
    content_type: str
    size_bytes: int
    timeline: Timeline
    updated_on: datetime


@dataclass(frozen=True, slots=True)
class ChunkRecord:
    """A chunk as its client reported it."""

    number: int
    size_bytes: int
    algorithm: str
    digest: str


class PastUpload(NamedTuple):
    """A finished upload to be imported; times in milliseconds since 1970, for there may be a million of them."""

    id: str
    project_id: str
    name: str
    content_type: str
    size_bytes: int
    initiated_ms: int
    completed_ms: int
    verified_ms: int | None
    error_ms: int | None
    error_message: str | None
    md5: str


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A claimed verification; `attempts` counts this one."""

    upload_id: str
    attempts: int


@dataclass(frozen=True, slots=True)
class QueueSummary:
    """The queue at a glance: jobs waiting (of these, tried before), running, given up; since when the oldest waits."""

    depth: int
    retried: int
    running: int
    dead: int
    oldest_on: datetime | None


_UPLOAD_COLUMNS = (
    "uploads.id, project_id, projects.name, uploads.name, content_type, size_bytes, "
    "initiated_ms, completed_ms, verified_ms, error_ms, error_message, updated_ms"
)
_HELD = "upload_id = ? AND attempts = ? AND state = 'running'"
"""A job as its worker claimed it: a claim by anybody else counts one attempt more."""
_UPLOADS = f"SELECT {_UPLOAD_COLUMNS} FROM uploads JOIN projects ON projects.id = project_id"


class Database:
    """All records. One connection, used from the event loop's thread; every statement touches few rows.

    Args:
        file: where to keep them; None keeps them in memory.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._db = sqlite3.connect(file or ":memory:", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.executescript(_SCHEMA)
        # A job that was running when the last process died is taken up again at once.
        self._db.execute("UPDATE jobs SET state = 'queued', due_ms = queued_ms WHERE state = 'running'")

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def secret(self, fresh: bytes) -> bytes:
        """The secret that these records were begun with; `fresh` if they are new."""
        self._db.execute("INSERT OR IGNORE INTO secret VALUES (1, ?)", (fresh,))
        return bytes(self._db.execute("SELECT value FROM secret").fetchone()[0])

    # Projects

    def add_project(self, project: ProjectRecord) -> None:
        """Keep a new project."""
        values = (project.id, project.name, project.description, _ms(project.created_on))
        self._db.execute("INSERT INTO projects VALUES (?, ?, ?, ?)", values)

    def project(self, project_id: str) -> ProjectRecord | None:
        """One project."""
        row = self._db.execute("SELECT * FROM projects WHERE id = ?", (project_id,)).fetchone()
        return None if row is None else _project(row)

    def projects(self, offset: int, limit: int) -> tuple[Sequence[ProjectRecord], int]:
        """Projects in the order of their making, and how many there are."""
        rows = self._db.execute("SELECT * FROM projects ORDER BY created_ms, id LIMIT ? OFFSET ?", (limit, offset))
        found = [_project(row) for row in rows]
        return found, int(self._db.execute("SELECT count(*) FROM projects").fetchone()[0])

    # Uploads

    def add_upload(
        self, upload_id: str, project_id: str, name: str, content_type: str, size_bytes: int, on: datetime
    ) -> None:
        """Begin an upload."""
        self._db.execute(
            "INSERT INTO uploads (id, project_id, name, content_type, size_bytes, initiated_ms, updated_ms) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (upload_id, project_id, name, content_type, size_bytes, _ms(on), _ms(on)),
        )

    def upload(self, upload_id: str) -> UploadRecord | None:
        """One upload."""
        row = self._db.execute(f"{_UPLOADS} WHERE uploads.id = ?", (upload_id,)).fetchone()
        return None if row is None else _upload(row)

    def uploads(self, project_id: str, offset: int, limit: int) -> tuple[Sequence[UploadRecord], int]:
        """A project's uploads, newest first, and how many there are."""
        rows = self._db.execute(
            f"{_UPLOADS} WHERE project_id = ? ORDER BY initiated_ms DESC, serial DESC LIMIT ? OFFSET ?",
            (project_id, limit, offset),
        )
        found = [_upload(row) for row in rows]
        counted = self._db.execute("SELECT count(*) FROM uploads WHERE project_id = ?", (project_id,)).fetchone()
        return found, int(counted[0])

    def is_completed(self, upload_id: str) -> bool:
        """True once its client has said that all chunks are there."""
        row = self._db.execute("SELECT completed_ms FROM uploads WHERE id = ?", (upload_id,)).fetchone()
        return row is not None and row[0] is not None

    def upload_count(self) -> int:
        """How many uploads there are, in all projects."""
        return int(self._db.execute("SELECT count(*) FROM uploads").fetchone()[0])

    def import_uploads(self, uploads: Sequence[PastUpload]) -> None:
        """Keep finished uploads of elsewhere with their own times, each of one chunk; those already known stay as they are."""
        with self._transaction():
            self._db.executemany(
                "INSERT OR IGNORE INTO uploads (id, project_id, name, content_type, size_bytes, initiated_ms, completed_ms, "
                "verified_ms, error_ms, error_message, updated_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, "
                "ifnull(?8, ?9))",
                (upload[:10] for upload in uploads),
            )
            self._db.executemany(
                "INSERT OR IGNORE INTO chunks VALUES (?, 1, ?, 'md5', ?)",
                ((upload.id, upload.size_bytes, upload.md5) for upload in uploads),
            )
            self._db.executemany(
                "INSERT OR IGNORE INTO hashes VALUES (?, 'md5', ?)", ((upload.id, upload.md5) for upload in uploads)
            )

    def put_chunk(self, upload_id: str, chunk: ChunkRecord, on: datetime) -> bool:
        """Keep what a client reports of a chunk, in place of an older report; False once the upload is completed."""
        with self._transaction():
            if not self._touch(upload_id, on, "completed_ms IS NULL"):
                return False
            values = (upload_id, chunk.number, chunk.size_bytes, chunk.algorithm, chunk.digest)
            self._db.execute("INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?, ?)", values)
            return True

    def chunks(self, upload_id: str) -> Sequence[ChunkRecord]:
        """An upload's chunks by number."""
        return self.chunks_of([upload_id])[upload_id]

    def chunks_of(self, upload_ids: Sequence[str]) -> Mapping[str, Sequence[ChunkRecord]]:
        """The chunks of several uploads, each by number; in one query, since a page lists many."""
        found: dict[str, list[ChunkRecord]] = {upload_id: [] for upload_id in upload_ids}
        for upload_id, *columns in self._db.execute(
            "SELECT upload_id, number, size_bytes, algorithm, digest FROM chunks "
            f"WHERE upload_id IN ({_places(upload_ids)}) ORDER BY upload_id, number",
            upload_ids,
        ):
            found[upload_id].append(ChunkRecord(*columns))
        return found

    def put_hash(self, upload_id: str, algorithm: str, digest: str) -> None:
        """Keep a whole file's digest."""
        self._db.execute("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?)", (upload_id, algorithm, digest))

    def hashes(self, upload_id: str) -> Sequence[tuple[str, str]]:
        """The algorithms and digests reported for the whole file."""
        return self.hashes_of([upload_id])[upload_id]

    def hashes_of(self, upload_ids: Sequence[str]) -> Mapping[str, Sequence[tuple[str, str]]]:
        """What was reported for the whole files of several uploads."""
        found: dict[str, list[tuple[str, str]]] = {upload_id: [] for upload_id in upload_ids}
        for upload_id, algorithm, digest in self._db.execute(
            f"SELECT upload_id, algorithm, digest FROM hashes WHERE upload_id IN ({_places(upload_ids)}) ORDER BY algorithm",
            upload_ids,
        ):
            found[upload_id].append((algorithm, digest))
        return found

    # The queue

    def complete(self, upload_id: str, algorithm: str, digest: str, on: datetime) -> bool:
        """Complete an upload and queue its verification, both or neither; False if it was completed before."""
        with self._transaction():
            changed = self._db.execute(
                "UPDATE uploads SET completed_ms = ?1, updated_ms = ?1 WHERE id = ?2 AND completed_ms IS NULL",
                (_ms(on), upload_id),
            )
            if changed.rowcount == 0:
                return False
            self.put_hash(upload_id, algorithm, digest)
            self._db.execute(
                "INSERT INTO jobs (upload_id, queued_ms, due_ms) VALUES (?, ?, ?)", (upload_id, _ms(on), _ms(on))
            )
            return True

    def claim(self, now: datetime, lease: timedelta) -> JobRecord | None:
        """Take the job that has been due longest, or whose worker let its lease run out; None if there is none."""
        row = self._db.execute(
            "UPDATE jobs SET state = 'running', attempts = attempts + 1, due_ms = ?2 WHERE upload_id = "
            "(SELECT upload_id FROM jobs WHERE state <> 'dead' AND due_ms <= ?1 ORDER BY due_ms, upload_id LIMIT 1) "
            "RETURNING upload_id, attempts",
            (_ms(now), _ms(now + lease)),
        ).fetchone()
        return None if row is None else JobRecord(*row)

    def renew(self, job: JobRecord, until: datetime) -> None:
        """Keep a claimed job for longer."""
        self._db.execute(f"UPDATE jobs SET due_ms = ? WHERE {_HELD}", (_ms(until), job.upload_id, job.attempts))

    def finish(self, job: JobRecord, error_message: str | None, on: datetime) -> bool:
        """End a verification, well (`error_message` None) or not; False if the job is another worker's by now, or ended."""
        column = "verified_ms" if error_message is None else "error_ms"
        with self._transaction():
            held = self._db.execute(f"DELETE FROM jobs WHERE {_HELD}", (job.upload_id, job.attempts))
            if held.rowcount == 0:
                return False
            changed = self._db.execute(
                f"UPDATE uploads SET {column} = ?1, error_message = ?2, updated_ms = ?1 "
                "WHERE id = ?3 AND completed_ms IS NOT NULL AND verified_ms IS NULL AND error_ms IS NULL",
                (_ms(on), error_message, job.upload_id),
            )
            return changed.rowcount == 1

    def postpone(self, job: JobRecord, due_on: datetime | None, trouble: str) -> None:
        """Put a claimed job back to be tried again; `due_on` None gives it up."""
        state = "dead" if due_on is None else "queued"
        self._db.execute(
            f"UPDATE jobs SET state = ?, due_ms = ifnull(?, due_ms), trouble = ? WHERE {_HELD}",
            (state, None if due_on is None else _ms(due_on), trouble, job.upload_id, job.attempts),
        )

    def next_due_on(self) -> datetime | None:
        """When the next job is due or the next lease runs out; None if there is nothing to do."""
        row = self._db.execute("SELECT min(due_ms) FROM jobs WHERE state <> 'dead'").fetchone()
        return None if row[0] is None else _time(row[0])

    def queue(self) -> QueueSummary:
        """The queue at a glance."""
        counts: dict[str, int] = dict(self._db.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall())
        oldest, retried = self._db.execute(
            "SELECT min(queued_ms), total(attempts > 0) FROM jobs WHERE state = 'queued'"
        ).fetchone()
        return QueueSummary(
            depth=counts.get("queued", 0),
            retried=int(retried),
            running=counts.get("running", 0),
            dead=counts.get("dead", 0),
            oldest_on=None if oldest is None else _time(oldest),
        )

    def _touch(self, upload_id: str, on: datetime, condition: str) -> bool:
        changed = self._db.execute(
            f"UPDATE uploads SET updated_ms = ? WHERE id = ? AND {condition}", (_ms(on), upload_id)
        )
        return changed.rowcount == 1

    def _transaction(self) -> sqlite3.Connection:
        self._db.execute("BEGIN IMMEDIATE")
        return self._db


def _ms(on: datetime) -> int:
    return (on - _EPOCH) // timedelta(milliseconds=1)


def _time(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)


def _project(row: Sequence[Any]) -> ProjectRecord:
    project_id, name, description, created_ms = row
    return ProjectRecord(project_id, name, description, _time(created_ms))


def _upload(row: Sequence[Any]) -> UploadRecord:
    upload_id, project_id, project_name, name, content_type, size_bytes, *times, message, updated_ms = row
    events = [
        Event(stage, _time(on), message=message if stage is Stage.ERROR else None)
        for stage, on in zip(Stage, times, strict=True)
        if on is not None
    ]
    timeline = Timeline(tuple(events), ready_for_chunks=True)
    return UploadRecord(
        upload_id, project_id, project_name, name, content_type, size_bytes, timeline, _time(updated_ms)
    )


def _places(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
