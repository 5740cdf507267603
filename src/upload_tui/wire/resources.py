"""The service's resources as the client believes them: structures that msgspec fills from JSON, and refuses what does not fit.

Every key may be absent: a real server may differ. Other keys are ignored. Sizes are in bytes, times are the service's texts.
Structures are told to hold no cycles (`gc=False`), so that the garbage collector need not look through very many of them.
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
"""A number that anybody's database can hold; anything else is not a size or a number of a chunk."""


class UserResource(Struct, gc=False):
    """A person or an agent."""

    id: str | None = None
    username: str | None = None
    full_name: str | None = None


class AuditResource(Struct, gc=False):
    """Who did what to a resource, and when."""

    created_on: str | None = None
    created_by: UserResource | None = None
    last_updated_on: str | None = None
    last_updated_by: UserResource | None = None
    deleted_on: str | None = None
    deleted_by: UserResource | None = None


class ProjectResource(Struct, gc=False):
    """A project as an upload names it."""

    id: str = ""
    name: str | None = None


class ProviderResource(Struct, gc=False):
    """Where bytes are stored."""

    id: str | None = None
    name: str | None = None
    description: str | None = None


class DigestResource(Struct, gc=False):
    """A digest as hexadecimal text, and how it was made (`md5`, `sha1`, `sha256`)."""

    value: str | None = None
    algorithm: str | None = None


class HashResource(Struct, gc=False):
    """A whole file's digest."""

    algorithm: str | None = None
    value: str | None = None
    audit: AuditResource | None = None


class ChunkResource(Struct, gc=False):
    """A chunk that the client reported: its number from 1, its size in bytes."""

    number: Count | None = None
    size: Count | None = None
    hash: DigestResource | None = None


class UploadResource(Struct, gc=False):
    """An upload. `signed_url` is left out here on purpose: no reader of ours may ever hold it."""

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
