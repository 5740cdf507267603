"""The resources of the service as msgspec structs, which validate JSON while decoding it.

Every key may be absent, since a real server may differ; unknown keys are ignored. Sizes are in bytes, times are strings as the
service sends them. `gc=False`: these structs never form cycles, and the garbage collector should not scan thousands of them.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct

__all__ = [
    "AuditResource",
    "ChunkResource",
    "DigestResource",
    "HashResource",
    "ProjectResource",
    "ProviderResource",
    "UploadResource",
    "UserResource",
]


Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""A size or a chunk number: a non-negative integer that fits into a database column."""


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
