"""What the service keeps, as frozen facts. Read from and written to the tables; times are aware, sizes in bytes."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from upload_tui.status import Timeline

__all__ = [
    "AncestorRecord",
    "ChunkRecord",
    "JobRecord",
    "NodeKind",
    "NodeRecord",
    "FinishedUpload",
    "ProjectRecord",
    "QueueSummary",
    "UploadRecord",
    "VersionRecord",
    "to_milliseconds",
    "from_milliseconds",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_milliseconds(time: datetime) -> int:
    """A time as the tables keep it: milliseconds since 1970."""
    return (time - _EPOCH) // timedelta(milliseconds=1)


def from_milliseconds(milliseconds: int) -> datetime:
    """A time out of the tables."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


class ProjectRecord(Struct, frozen=True):
    """A project; `updated_on` is None until it is changed."""

    id: str
    name: str
    description: str
    created_on: datetime
    updated_on: datetime | None = None


class UploadRecord(Struct, frozen=True):
    """An upload as the service knows it.

    `updated_on` is the last change of any kind. One that is not chunked has all its bytes behind a single signed URL.
    """

    id: str
    project_id: str
    project_name: str
    name: str
    content_type: str
    size_bytes: int
    is_chunked: bool
    timeline: Timeline
    updated_on: datetime


class ChunkRecord(Struct, frozen=True):
    """A chunk as its client reported it."""

    number: int
    size_bytes: int
    algorithm: str
    digest: str


class FinishedUpload(NamedTuple):
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


class JobRecord(Struct, frozen=True):
    """A claimed verification; `attempts` counts this one."""

    upload_id: str
    attempts: int


class QueueSummary(Struct, frozen=True):
    """The queue at a glance: jobs waiting (of these, tried before), running, given up; since when the oldest waits."""

    depth: int
    retried: int
    running: int
    dead: int
    oldest_on: datetime | None


class NodeKind(StrEnum):
    """What a project's tree is made of."""

    FOLDER = "folder"
    FILE = "file"


class NodeRecord(Struct, frozen=True):
    """A folder or a file in a project's tree; `parent_id` None is the project itself."""

    id: str
    kind: NodeKind
    project_id: str
    parent_id: str | None
    name: str
    created_on: datetime
    updated_on: datetime


class VersionRecord(Struct, frozen=True):
    """One version of a file, from 1: the upload that its bytes came with."""

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
