"""The tables of uploads, and of the chunks and digests that their clients reported.

The conditions of the statements reject illegal transitions.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from upload_tui.backend.store.records import (
    ChunkRecord,
    FinishedUpload,
    UploadRecord,
    from_milliseconds,
    placeholders,
    to_milliseconds,
    transaction,
)
from upload_tui.status import Event, Stage, Timeline

__all__ = ["Uploads"]

_SELECT = (
    "SELECT uploads.id, project_id, projects.name, uploads.name, content_type, size_bytes, is_chunked, "
    "initiated_ms, completed_ms, verified_ms, error_ms, error_message, purged_ms, uploads.updated_ms "
    "FROM uploads JOIN projects ON projects.id = project_id"
)

_OPEN = "(completed_ms IS NULL AND purged_ms IS NULL)"
_UNUSED = (
    "(verified_ms IS NOT NULL OR error_ms IS NOT NULL OR uploads.id IN (SELECT upload_id FROM jobs WHERE state = 'dead') "
    "OR (completed_ms IS NULL AND uploads.updated_ms <= ?1))"
)
"""An upload that has ended, that was given up, or whose client has not been heard of since a time."""
_LEAST_USED = "completed_ms IS NULL"
"""Orders uploads that have ended before those that were never completed."""
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
        self._count: int | None = None

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
        self._count = None if self._count is None else self._count + 1

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

    def is_open(self, upload_id: str) -> bool:
        """True while the client can send bytes: the upload is neither completed nor purged."""
        row = self._db.execute(f"SELECT {_OPEN} FROM uploads WHERE id = ?", (upload_id,)).fetchone()
        return row is not None and bool(row[0])

    def count(self) -> int:
        """Count the uploads of all projects."""
        if self._count is None:
            self._count = int(self._db.execute("SELECT count(*) FROM uploads").fetchone()[0])
        return self._count

    def count_imported(self) -> int:
        """Count the uploads that were imported, also by an earlier process: their ids are of version 7."""
        return int(self._db.execute("SELECT count(*) FROM uploads WHERE substr(id, 15, 1) = '7'").fetchone()[0])

    def import_finished(self, uploads: Sequence[FinishedUpload]) -> None:
        """Insert finished uploads with their own times, each with one chunk. Ids that exist already are skipped."""
        self.imported_count += len(uploads)
        self._count = None
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
        """Complete an upload and queue its verification in one transaction. Returns False if it is completed or purged."""
        now = to_milliseconds(on)
        with transaction(self._db):
            changed = self._db.execute(
                "UPDATE uploads SET completed_ms = max(?1, initiated_ms), updated_ms = max(?1, updated_ms) "
                f"WHERE id = ?2 AND {_OPEN}",
                (now, upload_id),
            )
            if changed.rowcount == 0:
                return False
            self.put_hash(upload_id, algorithm, digest)
            self._db.execute("INSERT INTO jobs (upload_id, queued_ms, due_ms) VALUES (?, ?, ?)", (upload_id, now, now))
            return True

    # Retention

    def unused(self, upload_ids: Sequence[str], idle_since: datetime) -> Sequence[str]:
        """Those of some uploads that nothing needs: no file refers to them, and no worker and no client is to read or send them.

        Uploads that were never completed are among them if nothing was reported since `idle_since`. They come last; otherwise
        the order is kept.
        """
        rows = self._db.execute(
            f"SELECT id, {_LEAST_USED} FROM uploads WHERE {_UNUSED} AND {_NO_FILE} AND id IN ({placeholders(upload_ids)})",
            (to_milliseconds(idle_since), *upload_ids),
        )
        found = dict(rows.fetchall())
        return sorted((upload_id for upload_id in upload_ids if upload_id in found), key=found.__getitem__)

    def of_deleted_projects(self, project_id: str | None = None) -> Sequence[str]:
        """The uploads of deleted projects, or of one of them, that are not purged and that no worker is to read."""
        latest_ms = 2**62  # nothing can be reported of them any more
        rows = self._db.execute(
            "SELECT uploads.id FROM projects JOIN uploads ON project_id = projects.id WHERE projects.deleted_ms IS NOT NULL "
            f"AND projects.id = ifnull(?2, projects.id) AND purged_ms IS NULL AND {_UNUSED}",
            (latest_ms, project_id),
        )
        return [row[0] for row in rows]

    def set_purged(self, upload_id: str, on: datetime) -> None:
        """Note that the bytes of an upload are deleted."""
        self._db.execute(
            "UPDATE uploads SET purged_ms = ?1, updated_ms = max(?1, updated_ms) WHERE id = ?2 AND purged_ms IS NULL",
            (to_milliseconds(on), upload_id),
        )

    def oldest_unused(self, limit: int, idle_since: datetime) -> Sequence[str]:
        """The oldest uploads that nothing needs and that no file ever referred to; those that were never completed come last."""
        rows = self._db.execute(
            f"SELECT id FROM uploads WHERE {_UNUSED} AND id NOT IN (SELECT upload_id FROM versions) "
            f"ORDER BY {_LEAST_USED}, serial LIMIT ?2",
            (to_milliseconds(idle_since), limit),
        )
        return [row[0] for row in rows]

    def delete(self, upload_ids: Sequence[str]) -> None:
        """Delete the records of uploads."""
        self._count = None
        with transaction(self._db):
            for table, column in (
                ("jobs", "upload_id"),
                ("hashes", "upload_id"),
                ("chunks", "upload_id"),
                ("uploads", "id"),
            ):
                self._db.execute(f"DELETE FROM {table} WHERE {column} IN ({placeholders(upload_ids)})", upload_ids)

    # Reports of clients

    def touch(self, upload_id: str, on: datetime) -> bool:
        """Note that a client has reported or sent something. Returns False if the upload is completed or purged."""
        touched = self._db.execute(
            f"UPDATE uploads SET updated_ms = max(?, updated_ms) WHERE id = ? AND {_OPEN}",
            (to_milliseconds(on), upload_id),
        )
        return touched.rowcount == 1

    def put_chunk(self, upload_id: str, chunk: ChunkRecord, on: datetime) -> bool:
        """Insert or replace a chunk. Returns False if the upload is completed or purged."""
        with transaction(self._db):
            if not self.touch(upload_id, on):
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
