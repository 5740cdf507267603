"""The service's resources as typed dictionaries: what the embedded service writes and what the client validates.

Every key may be absent when read: a real server may differ. Sizes are in bytes, times are the service's texts.
"""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

__all__ = [
    "AuditResource",
    "ChunkResource",
    "DigestResource",
    "HashResource",
    "ProjectResource",
    "ProviderResource",
    "SignedUrlResource",
    "UploadResource",
    "UserResource",
]


Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
"""A number that anybody's database can hold; anything else is not a size or a number of a chunk."""


@with_config(ConfigDict(extra="ignore"))
class UserResource(TypedDict, total=False):
    """A person or an agent."""

    id: str | None
    username: str | None
    full_name: str | None


@with_config(ConfigDict(extra="ignore"))
class AuditResource(TypedDict, total=False):
    """Who did what to a resource, and when."""

    created_on: str | None
    created_by: UserResource | None
    last_updated_on: str | None
    last_updated_by: UserResource | None
    deleted_on: str | None
    deleted_by: UserResource | None


@with_config(ConfigDict(extra="ignore"))
class ProjectResource(TypedDict, total=False):
    """A project; inside an upload only `id` and `name`."""

    id: str
    name: str | None


@with_config(ConfigDict(extra="ignore"))
class ProviderResource(TypedDict, total=False):
    """Where bytes are stored."""

    id: str | None
    name: str | None
    description: str | None


@with_config(ConfigDict(extra="ignore"))
class DigestResource(TypedDict, total=False):
    """A digest as hexadecimal text, and how it was made (`md5`, `sha1`, `sha256`)."""

    value: str | None
    algorithm: str | None


@with_config(ConfigDict(extra="ignore"))
class HashResource(TypedDict, total=False):
    """A whole file's digest."""

    algorithm: str | None
    value: str | None
    audit: AuditResource | None


@with_config(ConfigDict(extra="ignore"))
class ChunkResource(TypedDict, total=False):
    """A chunk that the client reported: its number from 1, its size in bytes."""

    number: Count
    size: Count
    hash: DigestResource | None


@with_config(ConfigDict(extra="ignore"))
class SignedUrlResource(TypedDict, total=False):
    """Where bytes go or come from; `host` has its scheme. A secret until it expires."""

    http_verb: str
    host: str
    url: str
    http_headers: list[Any]


@with_config(ConfigDict(extra="ignore"))
class UploadResource(TypedDict, total=False):
    """An upload. `signed_url` is left out here on purpose: no reader of ours may ever hold it."""

    id: str
    project: ProjectResource | None
    name: str | None
    content_type: str | None
    size: Count | None
    etag: str | None
    storage_container: str | None
    storage_provider: ProviderResource | None
    hashes: list[HashResource] | None
    chunks: list[ChunkResource] | None
    status: Any
    audit: AuditResource | None
