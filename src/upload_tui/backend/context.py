"""What all endpoints work with, and the questions that several of them ask."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Literal, Protocol, TypeVar

from msgspec import Struct
from starlette.requests import Request

from upload_tui.backend.api_errors import ApiError, not_consistent, not_found
from upload_tui.backend.auth import TokenAuthority
from upload_tui.backend.faults.model import FaultName, Faults
from upload_tui.backend.request_models import ContainerReference
from upload_tui.backend.schemas import SignedUrlSchema
from upload_tui.backend.serializers import FOLDER_KIND, PROJECT_KIND, ResourceSerializer
from upload_tui.backend.storage import Storage
from upload_tui.backend.store.database import Database
from upload_tui.backend.store.records import NodeKind, NodeRecord, ProjectRecord, UploadRecord, VersionRecord
from upload_tui.backend.verification import Hashes
from upload_tui.backend.worker import VerificationWorker
from upload_tui.clock import Clock
from upload_tui.status import Stage
from upload_tui.wire import INTEGRITY_MESSAGES

__all__ = ["API_PATH", "ServiceContext", "FileUploads", "ServiceAddress"]

API_PATH = "/api/v1"


Found = TypeVar("Found")


class ServiceAddress(Protocol):
    """Where the service is to be reached; it may become known only once a port is open."""

    base_url: str


class FileUploads(Struct, frozen=True):
    """The newest versions of files by the files' ids; their uploads and whole-file digests by the uploads' ids."""

    versions: Mapping[str, VersionRecord]
    uploads: Mapping[str, UploadRecord]
    hashes: Mapping[str, Hashes]


@dataclass(frozen=True, slots=True)
class ServiceContext:
    """The records and all that belongs to them; `chance` is where ids come from, `place` is for the hosts of signed URLs."""

    database: Database
    storage: Storage
    worker: VerificationWorker
    authority: TokenAuthority
    faults: Faults
    clock: Clock
    rng: Random
    address: ServiceAddress
    serializer: ResourceSerializer = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "serializer", ResourceSerializer(self.authority.account))

    def new_id(self) -> str:
        """A new id."""
        return str(uuid.UUID(bytes=self.rng.randbytes(16), version=4))

    def now(self) -> datetime:
        """The service's time."""
        return self.clock.now()

    # Who may call

    def check_token(self, request: Request) -> None:
        """Return if a request bears a good token.

        Raises:
            ApiError: 401.
        """
        if self.faults.is_active(FaultName.EXPIRED_TOKENS):
            raise ApiError(401, "expired api_token", "you need to login with your authenticaton service")
        self.authority.check_token(request.headers.get("authorization"))

    def check_signature(self, request: Request) -> None:
        """Return if a request's URL is itself the permission.

        Raises:
            ApiError: 403.
        """
        if self.faults.is_active(FaultName.EXPIRED_URLS):
            raise ApiError(403, "Unauthorized", "request permission to access this resource")
        self.authority.check_url(request.method, request.url.path, request.url.query)

    def signed_url(self, method: Literal["GET", "PUT"], path: str) -> SignedUrlSchema:
        """Where bytes go or come from, for a while."""
        url = self.authority.sign_url(method, path)
        return {"http_verb": method, "host": self.address.base_url, "url": url, "http_headers": []}

    # What must be there

    def project(self, project_id: str) -> ProjectRecord:
        """A project, or 404."""
        return _require(self.database.projects.get(project_id), "Project")

    def upload(self, upload_id: str) -> UploadRecord:
        """An upload, or 404."""
        return _require(self.database.uploads.get(upload_id), "Upload")

    def folder(self, folder_id: str) -> NodeRecord:
        """A folder, or 404."""
        return _require(self.database.tree.get(NodeKind.FOLDER, folder_id), "Folder")

    def file(self, file_id: str) -> NodeRecord:
        """A file, or 404."""
        return _require(self.database.tree.get(NodeKind.FILE, file_id), "File")

    def resolve_container(self, reference: ContainerReference) -> tuple[str, str | None]:
        """The ids of the project and of the folder (None: the project itself) that something is to stand in, or 404."""
        if reference.kind == PROJECT_KIND:
            return self.project(reference.id).id, None
        if reference.kind == FOLDER_KIND:
            folder = self.folder(reference.id)
            return folder.project_id, folder.id
        raise ApiError(404, f"object_kind {reference.kind} Not Supported", "Please supply a supported object_kind")

    def require_verified(self, upload: UploadRecord) -> None:
        """Return if an upload is verified: its bytes may be given.

        Raises:
            ApiError: 404 while that is not known yet, 400 with the integrity message once it is known not to be so.
        """
        if upload.timeline.stage is Stage.ERROR:
            raise ApiError(
                400, _published_message(upload.timeline.error_message or ""), "You must begin a new upload process"
            )
        if upload.timeline.stage is not Stage.VERIFIED:
            raise not_consistent()

    def file_uploads(self, nodes: Sequence[NodeRecord]) -> FileUploads:
        """The newest versions of the files among some nodes, in a few queries, since a page lists many."""
        versions = self.database.tree.current_versions([node.id for node in nodes if node.kind is NodeKind.FILE])
        upload_ids = [version.upload_id for version in versions.values()]
        return FileUploads(
            versions, self.database.uploads.get_many(upload_ids), self.database.uploads.hashes_by_upload(upload_ids)
        )


def _require(found: Found | None, kind: str) -> Found:
    if found is None:
        raise not_found(kind)
    return found


def _published_message(message: str) -> str:
    """An integrity message without what only this service adds: a published client compares it letter by letter."""
    return next((words for words in INTEGRITY_MESSAGES if message.startswith(words)), message)
