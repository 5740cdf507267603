"""What all endpoints share: the parts of the service, and lookups and checks that several endpoints need."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, Protocol, TypeVar

from msgspec import Struct
from starlette.requests import Request

from upload_tui.backend.api_errors import (
    ApiError,
    already_completed,
    expired_token,
    not_consistent,
    not_found,
    purged,
    unauthorized,
)
from upload_tui.backend.auth import TokenAuthority
from upload_tui.backend.faults import FaultName, Faults
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

__all__ = ["ServiceContext", "FileUploads", "ServiceAddress"]


Found = TypeVar("Found")


class ServiceAddress(Protocol):
    """The URL of the service. It may be known only once a port is open, so it is read for each signed URL."""

    base_url: str


class FileUploads(Struct, frozen=True):
    """The newest versions of files, by file id; their uploads and whole-file digests, by upload id."""

    versions: Mapping[str, VersionRecord]
    uploads: Mapping[str, UploadRecord]
    hashes: Mapping[str, Hashes]


@dataclass(frozen=True, slots=True)
class ServiceContext:
    """The parts of the service. `rng` makes ids; `address` gives the host of signed URLs."""

    database: Database
    storage: Storage
    worker: VerificationWorker
    authority: TokenAuthority
    faults: Faults
    clock: Clock
    rng: Random
    address: ServiceAddress
    serializer: ResourceSerializer

    def new_id(self) -> str:
        """Make a new id."""
        return str(uuid.UUID(bytes=self.rng.randbytes(16), version=4))

    # Access

    def check_token(self, request: Request) -> None:
        """Verify a request's token.

        Raises:
            ApiError: 401.
        """
        if self.faults.is_active(FaultName.EXPIRED_TOKENS):
            raise expired_token()
        self.authority.check_token(request.headers.get("authorization"))

    def check_signature(self, request: Request) -> None:
        """Verify the signature in a request's URL.

        Raises:
            ApiError: 403.
        """
        if self.faults.is_active(FaultName.EXPIRED_URLS):
            raise unauthorized()
        path, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
        method = "GET" if request.method == "HEAD" else request.method
        self.authority.check_url(method, path, query)  # `request.url` would depend on the Host header

    def signed_url(self, method: Literal["GET", "PUT"], path: str) -> SignedUrlSchema:
        """Sign a URL for transferring bytes."""
        url = self.authority.sign_url(method, path)
        return {"http_verb": method, "host": self.address.base_url, "url": url, "http_headers": []}

    def download_url(self, upload_id: str) -> SignedUrlSchema:
        """Sign a URL that downloads all bytes of an upload."""
        return self.signed_url("GET", f"/storage/{upload_id}")

    # Lookups

    def project(self, project_id: str) -> ProjectRecord:
        """Return a project.

        Raises:
            ApiError: 404.
        """
        return _require(self.database.projects.get(project_id), "Project")

    def upload(self, upload_id: str) -> UploadRecord:
        """Return an upload.

        Raises:
            ApiError: 404.
        """
        return _require(self.database.uploads.get(upload_id), "Upload")

    def folder(self, folder_id: str) -> NodeRecord:
        """Return a folder.

        Raises:
            ApiError: 404.
        """
        return _require(self.database.tree.get(NodeKind.FOLDER, folder_id), "Folder")

    def file(self, file_id: str) -> NodeRecord:
        """Return a file.

        Raises:
            ApiError: 404.
        """
        return _require(self.database.tree.get(NodeKind.FILE, file_id), "File")

    def resolve_container(self, reference: ContainerReference) -> tuple[str, str | None]:
        """Return the ids of a container's project and folder; the folder is None if the container is the project itself.

        Raises:
            ApiError: 404.
        """
        if reference.kind == PROJECT_KIND:
            return self.project(reference.id).id, None
        if reference.kind == FOLDER_KIND:
            folder = self.folder(reference.id)
            return folder.project_id, folder.id
        raise ApiError(404, f"object_kind {reference.kind} Not Supported", "Please supply a supported object_kind")

    def closed_upload(self, upload_id: str) -> ApiError:
        """Create the response to a client that sends something for an upload that is not open.

        Raises:
            ApiError: 404, the record was deleted meanwhile.
        """
        is_purged_early = self.upload(upload_id).timeline.stage is Stage.INITIATED
        return purged() if is_purged_early else already_completed()

    def require_verified(self, upload: UploadRecord) -> None:
        """Check that an upload is verified, so that its bytes can be downloaded.

        Raises:
            ApiError: 404 until verification ends; 400 with the integrity message if it failed.
        """
        if upload.timeline.stage is Stage.ERROR:
            raise ApiError(
                400, _published_message(upload.timeline.error_message or ""), "You must begin a new upload process"
            )
        if upload.timeline.stage is not Stage.VERIFIED:
            raise not_consistent()

    def file_uploads(self, nodes: Sequence[NodeRecord]) -> FileUploads:
        """Return the newest versions of the files among some nodes, in a few queries for a whole page."""
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
    """Reduce an integrity message to the published part, which clients compare letter by letter."""
    return next((words for words in INTEGRITY_MESSAGES if message.startswith(words)), message)
