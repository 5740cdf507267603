"""The tables of uploads, of the chunks and digests that their clients reported, and of verification jobs.

The conditions of the statements reject illegal transitions.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from upload_tui.backend.store.records import (
    ChunkRecord,
    FinishedUpload,
    JobRecord,
    PostponedJob,
    QueueSummary,
    UploadRecord,
    from_milliseconds,
    placeholders,
    to_milliseconds,
    transaction,
)
from upload_tui.status import Event, Stage, Timeline

__all__ = ["Queue", "Uploads"]

_CLAIMED = "upload_id = ? AND claim = ? AND state = 'running'"
"""A job as its worker claimed it; another claim would have increased `claim`."""

_CANDIDATES = """
SELECT upload_id, due_ms FROM jobs WHERE state = 'queued' AND (due_ms <= :now OR attempts = 0 OR due_ms > :horizon)
UNION ALL
SELECT upload_id, due_ms FROM jobs WHERE state = 'running' AND (due_ms <= :now OR due_ms > :lease_end)
ORDER BY due_ms, upload_id LIMIT 200
"""
"""Jobs that are due. A time further ahead than any delay was written before the clock was set back, and counts as past.

The index holds all these columns, so that a job whose row cannot be read does not hide the others.
"""


class Queue:
    """The queue, over a database's connection. `Uploads.complete` inserts the jobs.

    Args:
        db: the connection.
        longest_delay: no retry is due later than this.
    """

    def __init__(self, db: sqlite3.Connection, longest_delay: timedelta = timedelta(hours=1)) -> None:
        self._db = db
        self._longest_delay = longest_delay

    def requeue_running(self) -> None:
        """Requeue all claimed jobs. An interrupted verification does not count as an attempt."""
        self._db.execute("UPDATE jobs SET state = 'queued', due_ms = queued_ms WHERE state = 'running'")

    def claim(self, now: datetime, lease: timedelta) -> JobRecord | None:
        """Claim the job that has been due longest, or whose lease has expired; None if no job is due.

        Raises:
            sqlite3.Error: jobs are due, but none can be claimed.
        """
        lease_end = to_milliseconds(now + lease)
        times = {
            "now": to_milliseconds(now),
            "lease_end": lease_end,
            "horizon": to_milliseconds(now + self._longest_delay),
        }
        trouble: sqlite3.Error | None = None
        for upload_id, _ in self._db.execute(_CANDIDATES, times).fetchall():
            try:
                return self._claim(upload_id, lease_end)
            except sqlite3.Error as error:
                trouble = error
        if trouble is not None:
            raise trouble
        return None

    def _claim(self, upload_id: str, lease_end_ms: int) -> JobRecord:
        row = self._db.execute(
            "UPDATE jobs SET state = 'running', claim = claim + 1, due_ms = ? WHERE upload_id = ? "
            "RETURNING upload_id, claim, attempts",
            (lease_end_ms, upload_id),
        ).fetchone()
        return JobRecord(*row)

    def release(self, job: JobRecord) -> None:
        """Requeue a claimed job as it was: its worker dropped it."""
        self._db.execute(
            f"UPDATE jobs SET state = 'queued', due_ms = queued_ms WHERE {_CLAIMED}", (job.upload_id, job.claim)
        )

    def renew(self, job: JobRecord, until: datetime) -> None:
        """Extend the lease of a claimed job."""
        self._db.execute(
            f"UPDATE jobs SET due_ms = ? WHERE {_CLAIMED}", (to_milliseconds(until), job.upload_id, job.claim)
        )

    def finish(self, job: JobRecord, error_message: str | None, on: datetime) -> bool:
        """Set an upload to verified (`error_message` None) or error. Returns False if another worker has claimed or ended the job."""
        column = "verified_ms" if error_message is None else "error_ms"
        with transaction(self._db):
            held = self._db.execute(f"DELETE FROM jobs WHERE {_CLAIMED}", (job.upload_id, job.claim))
            if held.rowcount == 0:
                return False
            changed = self._db.execute(
                f"UPDATE uploads SET {column} = max(?1, completed_ms), error_message = ?2, updated_ms = max(?1, updated_ms) "
                "WHERE id = ?3 AND completed_ms IS NOT NULL AND verified_ms IS NULL AND error_ms IS NULL",
                (to_milliseconds(on), error_message, job.upload_id),
            )
            return changed.rowcount == 1

    def postpone(self, job: JobRecord, due_on: datetime | None, reason: str) -> None:
        """Requeue a claimed job for a retry, and count the attempt; `due_on` None gives it up."""
        state = "dead" if due_on is None else "queued"
        self._db.execute(
            "UPDATE jobs SET state = ?, attempts = attempts + 1, due_ms = ifnull(?, due_ms), trouble = ? "
            f"WHERE {_CLAIMED}",
            (state, None if due_on is None else to_milliseconds(due_on), reason, job.upload_id, job.claim),
        )

    def next_due_on(self) -> datetime | None:
        """When the next job is due or the next lease expires; None if there is no job."""
        row = self._db.execute("SELECT min(due_ms) FROM jobs WHERE state IN ('queued', 'running')").fetchone()
        return None if row[0] is None else from_milliseconds(row[0])

    def summary(self) -> QueueSummary:
        """Count the jobs by state."""
        counts: dict[str, int] = dict(self._db.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall())
        oldest, retried = self._db.execute(
            "SELECT min(queued_ms), total(attempts > 0) FROM jobs WHERE state = 'queued'"
        ).fetchone()
        return QueueSummary(
            depth=counts.get("queued", 0),
            retried=int(retried),
            running=counts.get("running", 0),
            dead=counts.get("dead", 0),
            oldest_on=None if oldest is None else from_milliseconds(oldest),
        )

    def troubles(self, limit: int) -> Sequence[PostponedJob]:
        """The jobs that were postponed or given up, ordered by when they are due."""
        rows = self._db.execute(
            "SELECT upload_id, attempts, trouble, CASE WHEN state <> 'dead' THEN due_ms END FROM jobs "
            "WHERE attempts > 0 ORDER BY due_ms, upload_id LIMIT ?",
            (limit,),
        )
        return [
            PostponedJob(upload_id, attempts, reason, None if due is None else from_milliseconds(due))
            for upload_id, attempts, reason, due in rows
        ]


_SELECT = (
    "SELECT uploads.id, project_id, projects.name, uploads.name, content_type, size_bytes, is_chunked, "
    "initiated_ms, completed_ms, verified_ms, error_ms, error_message, purged_ms, uploads.updated_ms "
    "FROM uploads JOIN projects ON projects.id = project_id"
)

_ENDED = "(verified_ms IS NOT NULL OR error_ms IS NOT NULL)"
_NO_FILE = (
    "NOT EXISTS (SELECT 1 FROM versions JOIN nodes ON nodes.id = file_id "
    "WHERE versions.upload_id = uploads.id AND deleted_ms IS NULL)"
)


class Uploads:
    """Uploads, over a database's connection.

    Attributes:
        imported_count: how many uploads this process imported.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.imported_count = 0

    def add(  # the fields of an upload
        self,
        upload_id: str,
        project_id: str,
        name: str,
        content_type: str,
        size_bytes: int,
        on: datetime,
        *,
        is_chunked: bool = True,
    ) -> None:
        """Insert an upload."""
        began = to_milliseconds(on)
        self._db.execute(
            "INSERT INTO uploads (id, project_id, name, content_type, size_bytes, initiated_ms, updated_ms, is_chunked) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (upload_id, project_id, name, content_type, size_bytes, began, began, is_chunked),
        )

    def get(self, upload_id: str) -> UploadRecord | None:
        """Return an upload; None if it does not exist."""
        return self.get_many([upload_id]).get(upload_id)

    def get_many(self, upload_ids: Sequence[str]) -> Mapping[str, UploadRecord]:
        """Return uploads by id; missing ones are left out."""
        rows = self._db.execute(f"{_SELECT} WHERE uploads.id IN ({placeholders(upload_ids)})", upload_ids)
        return {row[0]: _upload(row) for row in rows}

    def page(self, project_id: str, offset: int, limit: int) -> tuple[Sequence[UploadRecord], int]:
        """Return a page of a project's uploads, newest first, and how many there are."""
        rows = self._db.execute(
            f"{_SELECT} WHERE project_id = ? ORDER BY initiated_ms DESC, serial DESC LIMIT ? OFFSET ?",
            (project_id, limit, offset),
        )
        found = [_upload(row) for row in rows]
        counted = self._db.execute("SELECT count(*) FROM uploads WHERE project_id = ?", (project_id,)).fetchone()
        return found, int(counted[0])

    def is_completed(self, upload_id: str) -> bool:
        """True once the client has completed the upload."""
        row = self._db.execute("SELECT completed_ms FROM uploads WHERE id = ?", (upload_id,)).fetchone()
        return row is not None and row[0] is not None

    def count(self) -> int:
        """Count the uploads of all projects."""
        return int(self._db.execute("SELECT count(*) FROM uploads").fetchone()[0])

    def import_finished(self, uploads: Sequence[FinishedUpload]) -> None:
        """Insert finished uploads with their own times, each with one chunk. Ids that exist already are skipped."""
        self.imported_count += len(uploads)
        with transaction(self._db):
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

    def complete(self, upload_id: str, algorithm: str, digest: str, on: datetime) -> bool:
        """Complete an upload and queue its verification in one transaction. Returns False if it was completed before."""
        now = to_milliseconds(on)
        with transaction(self._db):
            changed = self._db.execute(
                "UPDATE uploads SET completed_ms = max(?1, initiated_ms), updated_ms = max(?1, updated_ms) "
                "WHERE id = ?2 AND completed_ms IS NULL",
                (now, upload_id),
            )
            if changed.rowcount == 0:
                return False
            self.put_hash(upload_id, algorithm, digest)
            self._db.execute("INSERT INTO jobs (upload_id, queued_ms, due_ms) VALUES (?, ?, ?)", (upload_id, now, now))
            return True

    # Retention

    def unused(self, upload_ids: Sequence[str]) -> Sequence[str]:
        """Those of some uploads, in their order, that have ended and that no file refers to."""
        rows = self._db.execute(
            f"SELECT id FROM uploads WHERE id IN ({placeholders(upload_ids)}) AND {_ENDED} AND {_NO_FILE}", upload_ids
        )
        found = {row[0] for row in rows}
        return [upload_id for upload_id in upload_ids if upload_id in found]

    def of_deleted_project(self, project_id: str) -> Sequence[str]:
        """The uploads of a deleted project that have ended and are not purged; none if the project is not deleted."""
        rows = self._db.execute(
            f"SELECT uploads.id FROM projects JOIN uploads ON project_id = projects.id WHERE projects.id = ? "
            f"AND projects.deleted_ms IS NOT NULL AND purged_ms IS NULL AND {_ENDED}",
            (project_id,),
        )
        return [row[0] for row in rows]

    def set_purged(self, upload_id: str, on: datetime) -> None:
        """Note that the bytes of an upload are deleted."""
        self._db.execute(
            "UPDATE uploads SET purged_ms = ?1, updated_ms = max(?1, updated_ms) WHERE id = ?2 AND purged_ms IS NULL",
            (to_milliseconds(on), upload_id),
        )

    def oldest_ended(self, limit: int) -> Sequence[str]:
        """The oldest uploads that have ended and that no file ever referred to."""
        rows = self._db.execute(
            f"SELECT id FROM uploads WHERE {_ENDED} AND id NOT IN (SELECT upload_id FROM versions) ORDER BY serial LIMIT ?",
            (limit,),
        )
        return [row[0] for row in rows]

    def delete(self, upload_ids: Sequence[str]) -> None:
        """Delete the records of uploads."""
        with transaction(self._db):
            for table, column in (("hashes", "upload_id"), ("chunks", "upload_id"), ("uploads", "id")):
                self._db.execute(f"DELETE FROM {table} WHERE {column} IN ({placeholders(upload_ids)})", upload_ids)

    # Reports of clients

    def put_chunk(self, upload_id: str, chunk: ChunkRecord, on: datetime) -> bool:
        """Insert or replace a chunk. Returns False if the upload is completed."""
        with transaction(self._db):
            touched = self._db.execute(
                "UPDATE uploads SET updated_ms = max(?, updated_ms) WHERE id = ? AND completed_ms IS NULL",
                (to_milliseconds(on), upload_id),
            )
            if touched.rowcount == 0:
                return False
            values = (upload_id, chunk.number, chunk.size_bytes, chunk.algorithm, chunk.digest)
            self._db.execute("INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?, ?)", values)
            return True

    def chunks(self, upload_id: str) -> Sequence[ChunkRecord]:
        """An upload's chunks by number."""
        return self.chunks_by_upload([upload_id])[upload_id]

    def chunks_by_upload(self, upload_ids: Sequence[str]) -> Mapping[str, Sequence[ChunkRecord]]:
        """The chunks of several uploads, by number, in one query for a whole page."""
        found: dict[str, list[ChunkRecord]] = {upload_id: [] for upload_id in upload_ids}
        for upload_id, *columns in self._db.execute(
            "SELECT upload_id, number, size_bytes, algorithm, digest FROM chunks "
            f"WHERE upload_id IN ({placeholders(upload_ids)}) ORDER BY upload_id, number",
            upload_ids,
        ):
            found[upload_id].append(ChunkRecord(*columns))
        return found

    def put_hash(self, upload_id: str, algorithm: str, digest: str) -> None:
        """Insert or replace a digest of the whole file."""
        self._db.execute("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?)", (upload_id, algorithm, digest))

    def hashes(self, upload_id: str) -> Sequence[tuple[str, str]]:
        """The algorithms and digests reported for the whole file."""
        return self.hashes_by_upload([upload_id])[upload_id]

    def hashes_by_upload(self, upload_ids: Sequence[str]) -> Mapping[str, Sequence[tuple[str, str]]]:
        """The digests of several uploads, in one query for a whole page."""
        found: dict[str, list[tuple[str, str]]] = {upload_id: [] for upload_id in upload_ids}
        for upload_id, algorithm, digest in self._db.execute(
            f"SELECT upload_id, algorithm, digest FROM hashes WHERE upload_id IN ({placeholders(upload_ids)}) ORDER BY algorithm",
            upload_ids,
        ):
            found[upload_id].append((algorithm, digest))
        return found


def _upload(row: Sequence[Any]) -> UploadRecord:
    (
        upload_id,
        project_id,
        project_name,
        name,
        content_type,
        size_bytes,
        is_chunked,
        *times,
        message,
        purged_ms,
        updated_ms,
    ) = row
    events = [
        Event(stage, from_milliseconds(on), message=message if stage is Stage.ERROR else None)
        for stage, on in zip(Stage, times, strict=True)
        if on is not None
    ]
    purged_on = None if purged_ms is None else from_milliseconds(purged_ms)
    return UploadRecord(
        id=upload_id,
        project_id=project_id,
        project_name=project_name,
        name=name,
        content_type=content_type,
        size_bytes=size_bytes,
        is_chunked=bool(is_chunked),
        timeline=Timeline(tuple(events), purged_on, ready_for_chunks=True),
        updated_on=from_milliseconds(updated_ms),
    )
