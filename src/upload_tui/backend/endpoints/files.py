"""Files and their versions. A file is made of a completed upload; its bytes are given once that is verified."""

from collections.abc import Sequence

from starlette.responses import Response

from upload_tui.backend.endpoints.answers import answer, page
from upload_tui.backend.endpoints.desk import API_PATH, Desk
from upload_tui.backend.endpoints.endpoint import Call, Endpoint
from upload_tui.backend.endpoints.folders import move
from upload_tui.backend.endpoints.nodes import NodeLists, download_url
from upload_tui.backend.parameters import Choice, NewFile, NewName, NewParent, NewVersion, Paging
from upload_tui.backend.problems import invalid_fields, not_found
from upload_tui.backend.records import NodeKind, NodeRecord, UploadRecord, VersionRecord
from upload_tui.backend.resources import FileWritten, SignedUrlWritten, VersionWritten
from upload_tui.status import Stage

__all__ = ["FileEndpoints"]


class FileEndpoints:
    """The endpoints of files."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lists = NodeLists(desk)

    def endpoints(self) -> Sequence[Endpoint]:
        """All of them."""
        one, version = f"{API_PATH}/files/{{id}}", f"{API_PATH}/file_versions/{{id}}"
        return (
            Endpoint("POST", f"{API_PATH}/files", self.create, FileWritten, status=201, body=NewFile),
            Endpoint("GET", one, self.show, FileWritten),
            Endpoint("PUT", one, self.replace, FileWritten, body=NewVersion),
            Endpoint("DELETE", one, self.delete, status=204),
            Endpoint("PUT", f"{one}/rename", self.rename, FileWritten, body=NewName),
            Endpoint("PUT", f"{one}/move", self.move, FileWritten, body=NewParent),
            Endpoint("GET", f"{one}/url", self.show_url, SignedUrlWritten),
            Endpoint("GET", f"{one}/versions", self.list_versions, VersionWritten, query=Paging),
            Endpoint("GET", version, self.show_version, VersionWritten),
            Endpoint("GET", f"{version}/url", self.show_version_url, SignedUrlWritten),
        )

    # Files

    async def create(self, call: Call[NewFile]) -> Response:
        """Make a file of a completed upload, verified or not; whether its bytes can be trusted is told when they are asked for."""
        project_id, parent_id = self._desk.container(call.parameters.parent)
        upload = self._usable(call.parameters.upload, project_id)
        now = self._desk.now()
        node = NodeRecord(self._desk.new_id(), NodeKind.FILE, project_id, parent_id, upload.name, now, now)
        self._desk.database.tree.add_file(node, self._version(node, upload, call.parameters.label))
        return self._show(node.id, 201)

    async def show(self, call: Call[None]) -> Response:
        """Show a file and its newest version."""
        return self._show(call.id)

    async def replace(self, call: Call[NewVersion]) -> Response:
        """Give a file its next version."""
        node = self._desk.file(call.id)
        upload = self._usable(call.parameters.upload, node.project_id)
        self._desk.database.tree.add_version(self._version(node, upload, call.parameters.label))
        return self._show(node.id)

    async def delete(self, call: Call[None]) -> Response:
        """Delete a file with all its versions."""
        self._desk.database.tree.delete(self._desk.file(call.id).id, self._desk.now())
        return Response(status_code=204)

    async def rename(self, call: Call[NewName]) -> Response:
        """Give a file another name."""
        node = self._desk.file(call.id)
        self._desk.database.tree.rename(node.id, call.parameters.name, self._desk.now())
        return self._show(node.id)

    async def move(self, call: Call[NewParent]) -> Response:
        """Put a file elsewhere in its project."""
        node = self._desk.file(call.id)
        move(self._desk, node, call.parameters)
        return self._show(node.id)

    async def show_url(self, call: Call[None]) -> Response:
        """Show where a file's bytes come from; refused until its newest version is verified."""
        node = self._desk.file(call.id)
        newest = self._desk.uploads_of([node])
        return self._url(newest.uploads[newest.versions[node.id].upload_id])

    # Versions

    async def list_versions(self, call: Call[Paging]) -> Response:
        """List a file's versions, newest first, a page at a time."""
        node = self._desk.file(call.id)
        versions, total = self._desk.database.tree.versions(node.id, call.parameters.offset, call.parameters.per_page)
        return page([self._written(version) for version in versions], total, call.parameters)

    async def show_version(self, call: Call[None]) -> Response:
        """Show one version of a file."""
        return answer(self._written(self._known_version(call.id)))

    async def show_version_url(self, call: Call[None]) -> Response:
        """Show where the bytes of one version come from; refused until it is verified."""
        return self._url(self._desk.upload(self._known_version(call.id).upload_id))

    def _known_version(self, version_id: str) -> VersionRecord:
        version = self._desk.database.tree.version(version_id)
        if version is None:
            raise not_found("FileVersion")
        return version

    def _usable(self, choice: Choice, project_id: str) -> UploadRecord:
        """An upload that a file can be made of, or 400 or 404."""
        upload = self._desk.upload(choice.id)
        if upload.project_id != project_id:
            raise invalid_fields(upload="must be in the same project")
        if upload.timeline.stage is Stage.INITIATED:
            raise invalid_fields(upload="must be completed")
        return upload

    def _version(self, node: NodeRecord, upload: UploadRecord, label: str) -> VersionRecord:
        return VersionRecord(self._desk.new_id(), node.id, 0, upload.id, label, self._desk.now())

    def _written(self, version: VersionRecord) -> VersionWritten:
        upload = self._desk.upload(version.upload_id)
        return self._desk.writer.version(version, upload, self._desk.database.uploads.hashes(upload.id))

    def _url(self, upload: UploadRecord) -> Response:
        self._desk.check_trust(upload)
        return answer(download_url(self._desk, upload.id))

    def _show(self, file_id: str, status: int = 200) -> Response:
        node = self._desk.file(file_id)
        return answer(self._lists.write([node], self._desk.project(node.project_id))[0], status)
