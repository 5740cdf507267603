"""Types of the service's responses. Every key is always present unless marked `NotRequired`.

Serializers return them and the OpenAPI page is generated from them. Sizes are in bytes, times ISO 8601 in UTC with milliseconds.
"""

from typing import (
    Annotated,
    Literal,
    NotRequired,  # pydantic needs this one below Python 3.12
)

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

__all__ = [
    "CLOSED",
    "Time",
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

CLOSED = ConfigDict(extra="forbid")

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
Size = Annotated[int, Field(ge=0)]


@with_config(CLOSED)
class FieldErrorSchema(TypedDict):
    """A well-formed field with an invalid value."""

    field: str
    message: str


@with_config(CLOSED)
class ErrorSchema(TypedDict):
    """An error; `error` is the HTTP status."""

    error: int
    code: Literal["not_provided", "resource_not_consistent"]
    reason: str
    suggestion: str
    errors: NotRequired[list[FieldErrorSchema]]


@with_config(CLOSED)
class ParameterErrorSchema(TypedDict):
    """Missing or malformed parameters: `name is missing, size is invalid`."""

    error: str


@with_config(CLOSED)
class TokenSchema(TypedDict):
    """A token; `expires_on` in seconds since 1970, `time_to_live` in seconds."""

    api_token: str
    expires_on: int
    time_to_live: int


@with_config(CLOSED)
class UserSchema(TypedDict):
    """An account."""

    id: Id
    username: str
    full_name: str
    first_name: str
    last_name: str
    email: str


@with_config(CLOSED)
class UserBriefSchema(TypedDict):
    """An account, in an audit."""

    id: Id
    username: str
    full_name: str


@with_config(CLOSED)
class AuditSchema(TypedDict):
    """When a resource was created, updated and deleted, and by which account."""

    created_on: Time | None
    created_by: UserBriefSchema | None
    last_updated_on: Time | None
    last_updated_by: UserBriefSchema | None
    deleted_on: Time | None
    deleted_by: UserBriefSchema | None


@with_config(CLOSED)
class AuthRoleSchema(TypedDict):
    """A role of an account in a project."""

    id: str
    name: str
    description: str
    is_deprecated: bool


@with_config(CLOSED)
class ReferenceSchema(TypedDict):
    """A resource, by id only."""

    id: Id


@with_config(CLOSED)
class PermissionSchema(TypedDict):
    """The role of an account in a project."""

    project: ReferenceSchema
    user: UserBriefSchema
    auth_role: AuthRoleSchema


@with_config(CLOSED)
class ProviderBriefSchema(TypedDict):
    """A storage provider, in an upload."""

    id: Id
    name: str
    description: str


@with_config(CLOSED)
class ProviderSchema(TypedDict):
    """A storage provider and its limits."""

    id: Id
    name: str
    description: str
    chunk_hash_algorithm: str
    chunk_max_number: int
    chunk_max_size_bytes: int
    is_default: bool
    is_deprecated: bool


@with_config(CLOSED)
class ProjectSchema(TypedDict):
    """A project."""

    kind: Literal["dds-project"]
    id: Id
    name: str
    description: str
    is_deleted: bool
    audit: AuditSchema


@with_config(CLOSED)
class ProjectBriefSchema(TypedDict):
    """A project, in an upload."""

    id: Id
    name: str


@with_config(CLOSED)
class SignedUrlSchema(TypedDict):
    """A URL for transferring bytes without a token; `host` includes the scheme. Secret until it expires."""

    http_verb: Literal["GET", "PUT"]
    host: str
    url: str
    http_headers: list[str]


@with_config(CLOSED)
class DigestSchema(TypedDict):
    """A digest that the client reported."""

    value: str
    algorithm: str


@with_config(CLOSED)
class ChunkSchema(TypedDict):
    """A chunk as the client reported it; numbers start at 1."""

    number: int
    size: Size
    hash: DigestSchema


@with_config(CLOSED)
class HashSchema(TypedDict):
    """A digest of the whole file."""

    algorithm: str
    value: str
    audit: AuditSchema


@with_config(CLOSED)
class FlatStatusSchema(TypedDict):
    """Option A: a time for each stage."""

    initiated_on: Time
    completed_on: Time | None
    verified_on: Time | None
    error_on: Time | None
    error_message: str | None


@with_config(CLOSED)
class StateSchema(TypedDict):
    """A stage and its time."""

    state: Literal["initiated", "completed", "verified", "error"]
    state_on: Time


@with_config(CLOSED)
class StatesSchema(TypedDict):
    """Option B: the current state and earlier ones, newest first."""

    current: StateSchema
    prior: list[StateSchema]


@with_config(CLOSED)
class DeployedStatusSchema(TypedDict):
    """The deployed shape: an error sets `is_consistent` too."""

    initiated_on: Time
    ready_for_chunks: bool
    completed_on: Time | None
    is_consistent: bool | None
    error_on: Time | None
    error_message: str | None
    purged_on: Time | None


@with_config(CLOSED)
class UploadSchema(TypedDict):
    """An upload. A chunked one has `chunks`; another has `signed_url` until it is completed."""

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


@with_config(CLOSED)
class ContainerSchema(TypedDict):
    """The project or folder that contains a resource."""

    kind: Literal["dds-project", "dds-folder"]
    id: Id


@with_config(CLOSED)
class AncestorSchema(TypedDict):
    """A project or folder above a resource; the project comes first."""

    kind: Literal["dds-project", "dds-folder"]
    id: Id
    name: str


@with_config(CLOSED)
class UploadBriefSchema(TypedDict):
    """An upload, in a file version."""

    id: Id
    size: Size
    storage_provider: ProviderBriefSchema
    hashes: list[HashSchema]


@with_config(CLOSED)
class CurrentVersionSchema(TypedDict):
    """The newest version of a file; numbers start at 1."""

    id: Id
    version: int
    label: str | None
    upload: UploadBriefSchema


@with_config(CLOSED)
class FolderSchema(TypedDict):
    """A folder. Lists omit the fields that `exclude_response_fields` names."""

    kind: Literal["dds-folder"]
    id: Id
    parent: ContainerSchema
    name: str
    is_deleted: bool
    audit: NotRequired[AuditSchema]
    project: NotRequired[ReferenceSchema]
    ancestors: NotRequired[list[AncestorSchema]]


@with_config(CLOSED)
class FileSchema(TypedDict):
    """A file and its newest version. Lists omit the fields that `exclude_response_fields` names."""

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
"""An entry of a project or a folder."""


@with_config(CLOSED)
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


@with_config(CLOSED)
class ProjectFileSchema(TypedDict):
    """A file of a project with everything that a download needs."""

    kind: Literal["dds-file"]
    id: Id
    name: str
    size: Size
    hashes: list[HashSchema]
    file_url: SignedUrlSchema
    ancestors: list[AncestorSchema]
