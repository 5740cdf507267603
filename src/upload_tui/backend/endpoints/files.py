"""Files and their versions. A file is made from a completed upload; it can be downloaded once the upload is verified."""

from collections.abc import Sequence

from starlette.responses import Response

from upload_tui.backend.api_errors import invalid_fields, not_found
from upload_tui.backend.context import ServiceContext
from upload_tui.backend.endpoints.endpoint import Call, Endpoint
from upload_tui.backend.endpoints.folders import move_node
from upload_tui.backend.endpoints.nodes import NodeLists
from upload_tui.backend.endpoints.responses import json_response, page_response
from upload_tui.backend.request_models import NewFile, NewName, NewParent, NewVersion, Paging, Reference
from upload_tui.backend.schemas import FileSchema, SignedUrlSchema, VersionSchema
from upload_tui.backend.store.records import NodeKind, NodeRecord, UploadRecord, VersionRecord
from upload_tui.status import Stage
from upload_tui.wire import API_PATH

__all__ = ["FileEndpoints"]


class FileEndpoints:
    """The endpoints of files."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._lists = NodeLists(context)

    def endpoints(self) -> Sequence[Endpoint]:
        """Return the endpoints."""
        one, version = f"{API_PATH}/files/{{id}}", f"{API_PATH}/file_versions/{{id}}"
        return (
            Endpoint("POST", f"{API_PATH}/files", self.create, FileSchema, status=201, body=NewFile),
            Endpoint("GET", one, self.show, FileSchema),
            Endpoint("PUT", one, self.replace, FileSchema, body=NewVersion),
            Endpoint("DELETE", one, self.delete, status=204),
            Endpoint("PUT", f"{one}/rename", self.rename, FileSchema, body=NewName),
            Endpoint("PUT", f"{one}/move", self.move, FileSchema, body=NewParent),
            Endpoint("GET", f"{one}/url", self.show_url, SignedUrlSchema),
            Endpoint("GET", f"{one}/versions", self.list_versions, VersionSchema, query=Paging),
            Endpoint("GET", version, self.show_version, VersionSchema),
            Endpoint("GET", f"{version}/url", self.show_version_url, SignedUrlSchema),
        )

    # Files

    async def create(self, call: Call[NewFile]) -> Response:
        """Create a file from a completed upload, whether verified or not."""
        project_id, parent_id = self._context.resolve_container(call.parameters.parent)
        upload = self._completed_upload(call.parameters.upload, project_id)
        now = self._context.clock.now()
        node = NodeRecord(self._context.new_id(), NodeKind.FILE, project_id, parent_id, upload.name, now, now)
        self._context.database.tree.add_file(node, self._new_version(node, upload, call.parameters.label))
        return self._file_response(node.id, 201)

    async def show(self, call: Call[None]) -> Response:
        """Show a file and its newest version."""
        return self._file_response(call.id)

    async def replace(self, call: Call[NewVersion]) -> Response:
        """Add a version to a file."""
        node = self._context.file(call.id)
        upload = self._completed_upload(call.parameters.upload, node.project_id)
        self._context.database.tree.add_version(self._new_version(node, upload, call.parameters.label))
        return self._file_response(node.id)

    async def delete(self, call: Call[None]) -> Response:
        """Delete a file with all its versions."""
        self._context.database.tree.delete(self._context.file(call.id).id, self._context.clock.now())
        return Response(status_code=204)

    async def rename(self, call: Call[NewName]) -> Response:
        """Rename a file."""
        node = self._context.file(call.id)
        self._context.database.tree.rename(node.id, call.parameters.name, self._context.clock.now())
        return self._file_response(node.id)

    async def move(self, call: Call[NewParent]) -> Response:
        """Move a file within its project."""
        node = self._context.file(call.id)
        move_node(self._context, node, call.parameters)
        return self._file_response(node.id)

    async def show_url(self, call: Call[None]) -> Response:
        """Show the download URL of a file's newest version; 404 until it is verified."""
        node = self._context.file(call.id)
        newest = self._context.file_uploads([node])
        return self._url_response(newest.uploads[newest.versions[node.id].upload_id])

    # Versions

    async def list_versions(self, call: Call[Paging]) -> Response:
        """List a file's versions, newest first, a page at a time."""
        node = self._context.file(call.id)
        versions, total = self._context.database.tree.versions(
            node.id, call.parameters.offset, call.parameters.per_page
        )
        return page_response([self._serialize_version(version) for version in versions], total, call.parameters)

    async def show_version(self, call: Call[None]) -> Response:
        """Show one version of a file."""
        return json_response(self._serialize_version(self._require_version(call.id)))

    async def show_version_url(self, call: Call[None]) -> Response:
        """Show the download URL of one version; 404 until it is verified."""
        return self._url_response(self._context.upload(self._require_version(call.id).upload_id))

    def _require_version(self, version_id: str) -> VersionRecord:
        version = self._context.database.tree.version(version_id)
        if version is None:
            raise not_found("FileVersion")
        return version

    def _completed_upload(self, reference: Reference, project_id: str) -> UploadRecord:
        """Return an upload that a file can be made from.

        Raises:
            ApiError: 400, it is not completed, failed or in another project; 404.
        """
        upload = self._context.upload(reference.id)
        if upload.project_id != project_id:
            raise invalid_fields(upload="must be in the same project")
        if upload.timeline.stage is Stage.INITIATED:
            raise invalid_fields(upload="must be completed")
        if upload.timeline.stage is Stage.ERROR:
            raise invalid_fields(upload="upload cannot have an error")
        return upload

    def _new_version(self, node: NodeRecord, upload: UploadRecord, label: str) -> VersionRecord:
        return VersionRecord(self._context.new_id(), node.id, 0, upload.id, label, self._context.clock.now())

    def _serialize_version(self, version: VersionRecord) -> VersionSchema:
        upload = self._context.upload(version.upload_id)
        return self._context.serializer.version(version, upload, self._context.database.uploads.hashes(upload.id))

    def _url_response(self, upload: UploadRecord) -> Response:
        self._context.require_verified(upload)
        return json_response(self._context.download_url(upload.id))

    def _file_response(self, file_id: str, status: int = 200) -> Response:
        node = self._context.file(file_id)
        return json_response(self._lists.serialize([node], self._context.project(node.project_id))[0], status)
