"""The resources of the service as msgspec structs, its verification queue, and its URLs.

Every key may be absent, since a real server may differ; unknown keys are ignored. Sizes are in bytes, times are strings as the
service sends them. `gc=False`: these structs never form cycles, and the garbage collector should not scan thousands of them.
"""

import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from msgspec import Meta, Struct

from upload_tui.addresses import is_loopback_url
from upload_tui.wire.times import parse_time

__all__ = [
    "API_PATH",
    "AuditResource",
    "ChunkResource",
    "DigestResource",
    "HashResource",
    "MAX_NUMBER",
    "ProjectResource",
    "ProviderResource",
    "QueueStats",
    "UploadResource",
    "UserResource",
    "curl_command",
    "parse_queue",
    "service_root",
]

MAX_NUMBER = 2**63 - 1
"""The largest number that fits into a database column. A sum that is larger is as unreadable as a number."""

Count = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
"""A size or a chunk number."""


class UserResource(Struct, gc=False):
    """A user or a software agent."""

    id: str | None = None
    username: str | None = None
    full_name: str | None = None


class AuditResource(Struct, gc=False):
    """Who created, updated or deleted a resource, and when."""

    created_on: str | None = None
    created_by: UserResource | None = None
    last_updated_on: str | None = None
    last_updated_by: UserResource | None = None
    deleted_on: str | None = None
    deleted_by: UserResource | None = None


class ProjectResource(Struct, gc=False):
    """The project of an upload."""

    id: str = ""
    name: str | None = None


class ProviderResource(Struct, gc=False):
    """A storage provider."""

    id: str | None = None
    name: str | None = None
    description: str | None = None


class DigestResource(Struct, gc=False):
    """A digest in hexadecimal, and its algorithm (`md5`, `sha1`, `sha256`)."""

    value: str | None = None
    algorithm: str | None = None


class HashResource(Struct, gc=False):
    """The digest of a whole file."""

    algorithm: str | None = None
    value: str | None = None
    audit: AuditResource | None = None


class ChunkResource(Struct, gc=False):
    """A chunk as the client reported it: number from 1, size in bytes."""

    number: Count | None = None
    size: Count | None = None
    hash: DigestResource | None = None


class UploadResource(Struct, gc=False):
    """An upload. `signed_url` is left out on purpose: it is a secret that this program never keeps."""

    id: str = ""
    project: ProjectResource | None = None
    name: str | None = None
    content_type: str | None = None
    size: Count | None = None
    etag: str | None = None
    storage_container: str | None = None
    storage_provider: ProviderResource | None = None
    hashes: list[HashResource] | None = None
    chunks: list[ChunkResource] | None = None
    status: Any = None
    audit: AuditResource | None = None


class QueueStats(Struct, frozen=True):
    """The queue as of one response; None means not reported.

    Attributes:
        depth: uploads that wait for verification or for a retry of it.
        oldest_on: when the oldest of them was queued; None also if the queue is empty.
        running: uploads in verification.
        retried: uploads whose verification will be retried.
        dead: uploads whose verification was given up.
        read_on: when the response was read, by the reader's clock.
    """

    depth: int | None
    oldest_on: datetime | None
    running: int | None
    retried: int | None
    dead: int | None
    read_on: datetime


def parse_queue(body: Any, *, read_on: datetime) -> QueueStats | None:
    """Parse the response of the queue endpoint; None if it is something else. Never raises."""
    if not isinstance(body, Mapping) or _count(body, "depth") is None:
        return None
    return QueueStats(
        depth=_count(body, "depth"),
        oldest_on=parse_time(body.get("oldest")),
        running=_count(body, "running"),
        retried=_count(body, "retried"),
        dead=_count(body, "dead"),
        read_on=read_on,
    )


def _count(body: Mapping[str, Any], key: str) -> int | None:
    value = body.get(key)
    return value if type(value) is int and 0 <= value <= MAX_NUMBER else None


API_PATH = "/api/v1"


def service_root(url: str) -> str:
    """The URL of a service without a trailing `/api/v1` and slashes, which users may write or leave out."""
    return url.strip().rstrip("/").removesuffix(API_PATH).rstrip("/")


def curl_command(root: str, upload_id: str) -> str:
    """A shell command that requests an upload; the token is a variable in it. Like the client, it asks no proxy for loopback."""
    url = f"{root}{API_PATH}/uploads/{quote(upload_id, safe='')}"
    direct = "--noproxy '*' " if is_loopback_url(root) else ""
    return f'curl {direct}--header "Authorization: $UPLOAD_TUI_TOKEN" {shlex.quote(url)}'
