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
    "AncestorSchema",
    "AuditSchema",
    "AuthRoleSchema",
    "ChildSchema",
    "ChunkSchema",
    "ContainerSchema",
    "CurrentVersionSchema",
    "DeployedStatusSchema",
    "DigestSchema",
    "ErrorSchema",
    "FieldErrorSchema",
    "FileSchema",
    "FlatStatusSchema",
    "FolderSchema",
    "HashSchema",
    "PermissionSchema",
    "ProjectFileSchema",
    "ProjectSchema",
    "ProviderBriefSchema",
    "ProviderSchema",
    "QueueSchema",
    "ReferenceSchema",
    "ParameterErrorSchema",
    "SignedUrlSchema",
    "StateSchema",
    "StatesSchema",
    "TokenSchema",
    "UploadBriefSchema",
    "UploadSchema",
    "UserSchema",
    "VersionSchema",
]

_CLOSED = ConfigDict(extra="forbid")

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
Size = Annotated[int, Field(ge=0)]


@with_config(_CLOSED)
class FieldErrorSchema(TypedDict):
    """A field that was understood and is wrong."""

    field: str
    message: str


@with_config(_CLOSED)
class ErrorSchema(TypedDict):
    """A refusal; `error` is the status."""

    error: int
    code: Literal["not_provided", "resource_not_consistent"]
    reason: str
    suggestion: str
    errors: NotRequired[list[FieldErrorSchema]]


@with_config(_CLOSED)
class ParameterErrorSchema(TypedDict):
    """A refusal of parameters that are missing or malformed: `name is missing, size is invalid`."""

    error: str


@with_config(_CLOSED)
class TokenSchema(TypedDict):
    """A token; `expires_on` in seconds since 1970, `time_to_live` in seconds."""

    api_token: str
    expires_on: int
    time_to_live: int


@with_config(_CLOSED)
class UserSchema(TypedDict):
    """An account."""

    id: Id
    username: str
    full_name: str
    first_name: str
    last_name: str
    email: str


@with_config(_CLOSED)
class UserBriefSchema(TypedDict):
    """An account, in an audit."""

    id: Id
    username: str
    full_name: str


@with_config(_CLOSED)
class AuditSchema(TypedDict):
    """Who did what to a resource, and when."""

    created_on: Time | None
    created_by: UserBriefSchema | None
    last_updated_on: Time | None
    last_updated_by: UserBriefSchema | None
    deleted_on: Time | None
    deleted_by: UserBriefSchema | None


@with_config(_CLOSED)
class AuthRoleSchema(TypedDict):
    """What an account may do in a project."""

    id: str
    name: str
    description: str
    is_deprecated: bool


@with_config(_CLOSED)
class ReferenceSchema(TypedDict):
    """Something, by its id alone."""

    id: Id


@with_config(_CLOSED)
class PermissionSchema(TypedDict):
    """The role of an account in a project."""

    project: ReferenceSchema
    user: UserBriefSchema
    auth_role: AuthRoleSchema


@with_config(_CLOSED)
class QueueSchema(TypedDict):
    """The verification queue: jobs waiting, since when the oldest waits; jobs running, tried before, given up."""

    depth: int
    oldest: Time | None
    running: int
    retried: int
    dead: int


@with_config(_CLOSED)
class ProviderBriefSchema(TypedDict):
    """Where bytes are stored, in an upload."""

    id: Id
    name: str
    description: str


@with_config(_CLOSED)
class ProviderSchema(TypedDict):
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
class ProjectSchema(TypedDict):
    """A project."""

    kind: Literal["dds-project"]
    id: Id
    name: str
    description: str
    is_deleted: bool
    audit: AuditSchema


@with_config(_CLOSED)
class ProjectBriefSchema(TypedDict):
    """A project, in an upload."""

    id: Id
    name: str


@with_config(_CLOSED)
class SignedUrlSchema(TypedDict):
    """Where bytes go or come from, without a token; `host` has its scheme. A secret until it expires."""

    http_verb: Literal["GET", "PUT"]
    host: str
    url: str
    http_headers: list[str]


@with_config(_CLOSED)
class DigestSchema(TypedDict):
    """A digest as its client reported it."""

    value: str
    algorithm: str


@with_config(_CLOSED)
class ChunkSchema(TypedDict):
    """A chunk as its client reported it; numbers from 1."""

    number: int
    size: Size
    hash: DigestSchema


@with_config(_CLOSED)
class HashSchema(TypedDict):
    """A whole file's digest."""

    algorithm: str
    value: str
    audit: AuditSchema


@with_config(_CLOSED)
class FlatStatusSchema(TypedDict):
    """Option A: a time for each stage that was reached."""

    initiated_on: Time
    completed_on: Time | None
    verified_on: Time | None
    error_on: Time | None
    error_message: str | None


@with_config(_CLOSED)
class StateSchema(TypedDict):
    """A stage and when it was reached."""

    state: Literal["initiated", "completed", "verified", "error"]
    state_on: Time


@with_config(_CLOSED)
class StatesSchema(TypedDict):
    """Option B: the present state and those before it, newest first."""

    current: StateSchema
    prior: list[StateSchema]


@with_config(_CLOSED)
class DeployedStatusSchema(TypedDict):
    """The deployed shape: an error sets `is_consistent` too."""

    initiated_on: Time
    ready_for_chunks: bool
    completed_on: Time | None
    is_consistent: bool | None
    error_on: Time | None
    error_message: str | None
    purged_on: Time | None


@with_config(_CLOSED)
class UploadSchema(TypedDict):
    """An upload. One that is not chunked has no `chunks`, and until it is completed a `signed_url`."""

    id: Id
    project: ProjectBriefSchema
    name: str
    content_type: str
    size: Size
    etag: str
    storage_container: str
    storage_provider: ProviderBriefSchema
    hashes: list[HashSchema]
    chunks: NotRequired[list[ChunkSchema]]
    signed_url: NotRequired[SignedUrlSchema]
    status: FlatStatusSchema | StatesSchema | DeployedStatusSchema
    audit: AuditSchema


@with_config(_CLOSED)
class ContainerSchema(TypedDict):
    """What something stands in."""

    kind: Literal["dds-project", "dds-folder"]
    id: Id


@with_config(_CLOSED)
class AncestorSchema(TypedDict):
    """What something stands in, directly or not; the project first."""

    kind: Literal["dds-project", "dds-folder"]
    id: Id
    name: str


@with_config(_CLOSED)
class UploadBriefSchema(TypedDict):
    """An upload, in a version of a file."""

    id: Id
    size: Size
    storage_provider: ProviderBriefSchema
    hashes: list[HashSchema]


@with_config(_CLOSED)
class CurrentVersionSchema(TypedDict):
    """The newest version of a file; numbers from 1."""

    id: Id
    version: int
    label: str | None
    upload: UploadBriefSchema


@with_config(_CLOSED)
class FolderSchema(TypedDict):
    """A folder. Lists leave out what `exclude_response_fields` names."""

    kind: Literal["dds-folder"]
    id: Id
    parent: ContainerSchema
    name: str
    is_deleted: bool
    audit: NotRequired[AuditSchema]
    project: NotRequired[ReferenceSchema]
    ancestors: NotRequired[list[AncestorSchema]]


@with_config(_CLOSED)
class FileSchema(TypedDict):
    """A file and its newest version. Lists leave out what `exclude_response_fields` names."""

    kind: Literal["dds-file"]
    id: Id
    parent: ContainerSchema
    name: str
    is_deleted: bool
    current_version: NotRequired[CurrentVersionSchema]
    audit: NotRequired[AuditSchema]
    project: NotRequired[ReferenceSchema]
    ancestors: NotRequired[list[AncestorSchema]]


ChildSchema = FolderSchema | FileSchema
"""What stands in a project or a folder."""


@with_config(_CLOSED)
class VersionSchema(TypedDict):
    """One version of a file."""

    kind: Literal["dds-file-version"]
    id: Id
    file: ReferenceSchema
    version: int
    label: str | None
    is_deleted: bool
    upload: UploadBriefSchema
    audit: AuditSchema


@with_config(_CLOSED)
class ProjectFileSchema(TypedDict):
    """A file of a project with all that a download needs."""

    kind: Literal["dds-file"]
    id: Id
    name: str
    size: Size
    hashes: list[HashSchema]
    file_url: SignedUrlSchema
    ancestors: list[AncestorSchema]
