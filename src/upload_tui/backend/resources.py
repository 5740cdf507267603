"""What the service's answers hold: every key, always. The OpenAPI page is made of these, and so is what the endpoints write.

Sizes are in bytes, times are ISO 8601 in UTC with milliseconds. Clients read with the forgiving `upload_tui.wire.resources`.
"""

from typing import (
    Annotated,
    Literal,
    NotRequired,  # pydantic needs this one below Python 3.12
)

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

__all__ = [
    "AncestorWritten",
    "AuditWritten",
    "AuthRoleWritten",
    "ChildWritten",
    "ChunkWritten",
    "ContainerWritten",
    "CurrentVersionWritten",
    "DeployedStatusWritten",
    "DigestWritten",
    "EnvelopeWritten",
    "FieldProblemWritten",
    "FileWritten",
    "FlatStatusWritten",
    "FolderWritten",
    "HashWritten",
    "PermissionWritten",
    "ProjectFileWritten",
    "ProjectWritten",
    "ProviderBriefWritten",
    "ProviderWritten",
    "QueueWritten",
    "ReferenceWritten",
    "SentenceWritten",
    "SignedUrlWritten",
    "StateWritten",
    "StatesWritten",
    "TokenWritten",
    "UploadBriefWritten",
    "UploadWritten",
    "UserWritten",
    "VersionWritten",
]

_CLOSED = ConfigDict(extra="forbid")

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
Size = Annotated[int, Field(ge=0)]


@with_config(_CLOSED)
class FieldProblemWritten(TypedDict):
    """A field that was understood and is wrong."""

    field: str
    message: str


@with_config(_CLOSED)
class EnvelopeWritten(TypedDict):
    """A refusal; `error` is the status."""

    error: int
    code: Literal["not_provided", "resource_not_consistent"]
    reason: str
    suggestion: str
    errors: NotRequired[list[FieldProblemWritten]]


@with_config(_CLOSED)
class SentenceWritten(TypedDict):
    """A refusal of parameters that are missing or malformed: `name is missing, size is invalid`."""

    error: str


@with_config(_CLOSED)
class TokenWritten(TypedDict):
    """A token; `expires_on` in seconds since 1970, `time_to_live` in seconds."""

    api_token: str
    expires_on: int
    time_to_live: int


@with_config(_CLOSED)
class UserWritten(TypedDict):
    """An account."""

    id: Id
    username: str
    full_name: str
    first_name: str
    last_name: str
    email: str


@with_config(_CLOSED)
class UserBriefWritten(TypedDict):
    """An account, in an audit."""

    id: Id
    username: str
    full_name: str


@with_config(_CLOSED)
class AuditWritten(TypedDict):
    """Who did what to a resource, and when."""

    created_on: Time | None
    created_by: UserBriefWritten | None
    last_updated_on: Time | None
    last_updated_by: UserBriefWritten | None
    deleted_on: Time | None
    deleted_by: UserBriefWritten | None


@with_config(_CLOSED)
class AuthRoleWritten(TypedDict):
    """What an account may do in a project."""

    id: str
    name: str
    description: str
    is_deprecated: bool


@with_config(_CLOSED)
class ReferenceWritten(TypedDict):
    """Something, by its id alone."""

    id: Id


@with_config(_CLOSED)
class PermissionWritten(TypedDict):
    """The role of an account in a project."""

    project: ReferenceWritten
    user: UserBriefWritten
    auth_role: AuthRoleWritten


@with_config(_CLOSED)
class QueueWritten(TypedDict):
    """The verification queue: jobs waiting, since when the oldest waits; jobs running, tried before, given up."""

    depth: int
    oldest: Time | None
    running: int
    retried: int
    dead: int


@with_config(_CLOSED)
class ProviderBriefWritten(TypedDict):
    """Where bytes are stored, in an upload."""

    id: Id
    name: str
    description: str


@with_config(_CLOSED)
class ProviderWritten(TypedDict):
    """Where bytes are stored, and its limits."""

    id: Id
    name: str
    description: str
    chunk_hash_algorithm: str
    chunk_max_number: int
    chunk_max_size_bytes: int
    is_default: bool
    is_deprecated: bool


@with_config(_CLOSED)
class ProjectWritten(TypedDict):
    """A project."""

    kind: Literal["dds-project"]
    id: Id
    name: str
    description: str
    is_deleted: bool
    audit: AuditWritten


@with_config(_CLOSED)
class ProjectBriefWritten(TypedDict):
    """A project, in an upload."""

    id: Id
    name: str


@with_config(_CLOSED)
class SignedUrlWritten(TypedDict):
    """Where bytes go or come from, without a token; `host` has its scheme. A secret until it expires."""

    http_verb: Literal["GET", "PUT"]
    host: str
    url: str
    http_headers: list[str]


@with_config(_CLOSED)
class DigestWritten(TypedDict):
    """A digest as its client reported it."""

    value: str
    algorithm: str


@with_config(_CLOSED)
class ChunkWritten(TypedDict):
    """A chunk as its client reported it; numbers from 1."""

    number: int
    size: Size
    hash: DigestWritten


@with_config(_CLOSED)
class HashWritten(TypedDict):
    """A whole file's digest."""

    algorithm: str
    value: str
    audit: AuditWritten


@with_config(_CLOSED)
class FlatStatusWritten(TypedDict):
    """Option A: a time for each stage that was reached."""

    initiated_on: Time
    completed_on: Time | None
    verified_on: Time | None
    error_on: Time | None
    error_message: str | None


@with_config(_CLOSED)
class StateWritten(TypedDict):
    """A stage and when it was reached."""

    state: Literal["initiated", "completed", "verified", "error"]
    state_on: Time


@with_config(_CLOSED)
class StatesWritten(TypedDict):
    """Option B: the present state and those before it, newest first."""

    current: StateWritten
    prior: list[StateWritten]


@with_config(_CLOSED)
class DeployedStatusWritten(TypedDict):
    """The deployed shape: an error sets `is_consistent` too."""

    initiated_on: Time
    ready_for_chunks: bool
    completed_on: Time | None
    is_consistent: bool | None
    error_on: Time | None
    error_message: str | None
    purged_on: Time | None


@with_config(_CLOSED)
class UploadWritten(TypedDict):
    """An upload. One that is not chunked has no `chunks`, and until it is completed a `signed_url`."""

    id: Id
    project: ProjectBriefWritten
    name: str
    content_type: str
    size: Size
    etag: str
    storage_container: str
    storage_provider: ProviderBriefWritten
    hashes: list[HashWritten]
    chunks: NotRequired[list[ChunkWritten]]
    signed_url: NotRequired[SignedUrlWritten]
    status: FlatStatusWritten | StatesWritten | DeployedStatusWritten
    audit: AuditWritten


@with_config(_CLOSED)
class ContainerWritten(TypedDict):
    """What something stands in."""

    kind: Literal["dds-project", "dds-folder"]
    id: Id


@with_config(_CLOSED)
class AncestorWritten(TypedDict):
    """What something stands in, directly or not; the project first."""

    kind: Literal["dds-project", "dds-folder"]
    id: Id
    name: str


@with_config(_CLOSED)
class UploadBriefWritten(TypedDict):
    """An upload, in a version of a file."""

    id: Id
    size: Size
    storage_provider: ProviderBriefWritten
    hashes: list[HashWritten]


@with_config(_CLOSED)
class CurrentVersionWritten(TypedDict):
    """The newest version of a file; numbers from 1."""

    id: Id
    version: int
    label: str | None
    upload: UploadBriefWritten


@with_config(_CLOSED)
class FolderWritten(TypedDict):
    """A folder. Lists leave out what `exclude_response_fields` names."""

    kind: Literal["dds-folder"]
    id: Id
    parent: ContainerWritten
    name: str
    is_deleted: bool
    audit: NotRequired[AuditWritten]
    project: NotRequired[ReferenceWritten]
    ancestors: NotRequired[list[AncestorWritten]]


@with_config(_CLOSED)
class FileWritten(TypedDict):
    """A file and its newest version. Lists leave out what `exclude_response_fields` names."""

    kind: Literal["dds-file"]
    id: Id
    parent: ContainerWritten
    name: str
    is_deleted: bool
    current_version: NotRequired[CurrentVersionWritten]
    audit: NotRequired[AuditWritten]
    project: NotRequired[ReferenceWritten]
    ancestors: NotRequired[list[AncestorWritten]]


ChildWritten = FolderWritten | FileWritten
"""What stands in a project or a folder."""


@with_config(_CLOSED)
class VersionWritten(TypedDict):
    """One version of a file."""

    kind: Literal["dds-file-version"]
    id: Id
    file: ReferenceWritten
    version: int
    label: str | None
    is_deleted: bool
    upload: UploadBriefWritten
    audit: AuditWritten


@with_config(_CLOSED)
class ProjectFileWritten(TypedDict):
    """A file of a project with all that a download needs."""

    kind: Literal["dds-file"]
    id: Id
    name: str
    size: Size
    hashes: list[HashWritten]
    file_url: SignedUrlWritten
    ancestors: list[AncestorWritten]
