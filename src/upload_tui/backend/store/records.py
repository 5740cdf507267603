"""Rows of the database as immutable records (times aware, sizes in bytes), and the parts of statements that all tables use."""

import sqlite3
from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from upload_tui.status import Timeline
from upload_tui.wire import EPOCH, MILLISECOND

__all__ = [
    "AncestorRecord",
    "ChunkRecord",
    "FinishedUpload",
    "JobRecord",
    "PostponedJob",
    "NodeKind",
    "NodeRecord",
    "ProjectRecord",
    "QueueSummary",
    "UNKNOWN_QUEUE",
    "UploadRecord",
    "VersionRecord",
    "from_milliseconds",
    "is_damage",
    "placeholders",
    "to_milliseconds",
    "transaction",
]


class ProjectRecord(Struct, frozen=True):
    """A project; `updated_on` is None until it is changed."""

    id: str
    name: str
    description: str
    created_on: datetime
    updated_on: datetime | None = None


class UploadRecord(Struct, frozen=True):
    """An upload. `updated_on` is the last change of any kind; `is_chunked` False means that all bytes are in one blob."""

    id: str
    project_id: str
    project_name: str
    name: str
    content_type: str
    size_bytes: int
    is_chunked: bool
    timeline: Timeline
    updated_on: datetime

    @property
    def is_purged(self) -> bool:
        """True once its stored bytes are deleted."""
        return self.timeline.purged_on is not None


class ChunkRecord(Struct, frozen=True):
    """A chunk as its client reported it."""

    number: int
    size_bytes: int
    algorithm: str
    digest: str


class FinishedUpload(NamedTuple):
    """A finished upload to import. Times are milliseconds since 1970: there may be a million of them."""

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


class JobRecord(Struct, frozen=True):
    """A claimed verification: the serial number of the claim, and how many earlier attempts could not be finished."""

    upload_id: str
    claim: int
    attempts: int


class PostponedJob(Struct, frozen=True):
    """A job that was postponed: after how many attempts, why, and when it is due; `due_on` None means that it was given up."""

    upload_id: str
    attempts: int
    reason: str
    due_on: datetime | None


class QueueSummary(Struct, frozen=True):
    """The queue: jobs waiting, waiting for a retry, running, given up; when the oldest waiting job was queued. None is unknown."""

    depth: int | None
    retried: int | None
    running: int | None
    dead: int | None
    oldest_on: datetime | None


UNKNOWN_QUEUE = QueueSummary(None, None, None, None, None)
"""A queue that cannot be read."""


class NodeKind(StrEnum):
    """The kinds of nodes in a project's tree."""

    FOLDER = "folder"
    FILE = "file"


class NodeRecord(Struct, frozen=True):
    """A folder or a file in a project's tree; `parent_id` None means the project itself."""

    id: str
    kind: NodeKind
    project_id: str
    parent_id: str | None
    name: str
    created_on: datetime
    updated_on: datetime


class VersionRecord(Struct, frozen=True):
    """One version of a file, and the upload that holds its bytes; numbers start at 1."""

    id: str
    file_id: str
    number: int
    upload_id: str
    label: str
    created_on: datetime


class AncestorRecord(NamedTuple):
    """A folder above a node."""

    id: str
    name: str


def transaction(db: sqlite3.Connection) -> sqlite3.Connection:
    """Begin a transaction; use the result as a context manager. It locks the database for writing at once."""
    db.execute("BEGIN IMMEDIATE")
    return db


def is_damage(error: Exception) -> bool:
    """True if an error says that a part of the file is damaged. A full disk, for example, is no damage."""
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def placeholders(values: Collection[object]) -> str:
    """A question mark for each value, separated by commas."""
    return ", ".join("?" * len(values))


def to_milliseconds(time: datetime) -> int:
    """Convert an aware time to what the tables store: milliseconds since 1970."""
    return (time - EPOCH) // MILLISECOND


def from_milliseconds(milliseconds: int) -> datetime:
    """Convert a stored time to an aware one."""
    return EPOCH + milliseconds * MILLISECOND
