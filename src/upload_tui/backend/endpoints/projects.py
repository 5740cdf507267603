"""Projects and their trees: folders, files and versions.

A file is made from a completed upload; it can be downloaded once the upload is verified.
"""

from collections.abc import Mapping, Sequence

from starlette.responses import Response

from upload_tui.backend.api_errors import invalid_fields, not_found
from upload_tui.backend.context import ServiceContext
from upload_tui.backend.endpoints.endpoint import Call, Endpoint, json_response, page_response
from upload_tui.backend.request_models import (
    ChildrenSearch,
    NewFile,
    NewFolder,
    NewName,
    NewParent,
    NewProject,
    NewVersion,
    Paging,
    ProjectChange,
    Reference,
)
from upload_tui.backend.schemas import (
    ChildSchema,
    FileSchema,
    FolderSchema,
    ProjectFileSchema,
    ProjectSchema,
    SignedUrlSchema,
    VersionSchema,
)
from upload_tui.backend.serializers import without_fields
from upload_tui.backend.store.records import (
    AncestorRecord,
    NodeKind,
    NodeRecord,
    ProjectRecord,
    UploadRecord,
    VersionRecord,
)
from upload_tui.status import Stage
from upload_tui.wire import API_PATH

__all__ = ["FileEndpoints", "FolderEndpoints", "NodeLists", "ProjectEndpoints", "move_node"]


class NodeLists:
    """Serializes lists of nodes with a few queries for each."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    def children(self, project: ProjectRecord, folder_id: str | None, search: ChildrenSearch) -> Response:
        """List the direct children of a project (`folder_id` None) or a folder, or search its tree by name."""
        tree, where = self._context.database.tree, (project.id, folder_id)
        found, total = (
            tree.children(*where, search.offset, search.per_page)
            if search.name_contains is None
            else tree.search(*where, search.name_contains, search.offset, search.per_page)
        )
        left_out = search.exclude_response_fields.split()
        return page_response(
            [without_fields(child, left_out) for child in self.serialize(found, project)], total, search
        )

    def serialize(self, nodes: Sequence[NodeRecord], project: ProjectRecord) -> Sequence[ChildSchema]:
        """Serialize folders and files of one project."""
        above = self._context.database.tree.ancestors_of([node.id for node in nodes])
        newest, writer = self._context.file_uploads(nodes), self._context.serializer
        written: list[ChildSchema] = []
        for node in nodes:
            if node.kind is NodeKind.FOLDER:
                written.append(writer.folder(node, project, above[node.id]))
                continue
            version = newest.versions[node.id]
            upload = newest.uploads[version.upload_id]
            written.append(writer.file(node, project, above[node.id], version, upload, newest.hashes[upload.id]))
        return written

    def files(self, project: ProjectRecord, paging: Paging) -> Response:
        """List a project's files, each with a signed URL.

        Raises:
            ApiError: 404 or 400, one of them is not verified.
        """
        nodes, total = self._context.database.tree.files(project.id, paging.offset, paging.per_page)
        above = self._context.database.tree.ancestors_of([node.id for node in nodes])
        return page_response([self._project_file(node, project, above) for node in nodes], total, paging)

    def _project_file(
        self, node: NodeRecord, project: ProjectRecord, ancestors: Mapping[str, Sequence[AncestorRecord]]
    ) -> ProjectFileSchema:
        newest = self._context.file_uploads([node])
        upload = newest.uploads[newest.versions[node.id].upload_id]
        self._context.require_verified(upload)
        url = self._context.download_url(upload.id)
        return self._context.serializer.project_file(
            node, project, ancestors[node.id], upload, newest.hashes[upload.id], url
        )


class FolderEndpoints:
    """The endpoints of folders."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._lists = NodeLists(context)

    def endpoints(self) -> Sequence[Endpoint]:
        """Return the endpoints."""
        one = f"{API_PATH}/folders/{{id}}"
        return (
            Endpoint("POST", f"{API_PATH}/folders", self.create, FolderSchema, status=201, body=NewFolder),
            Endpoint("GET", one, self.show, FolderSchema),
            Endpoint("DELETE", one, self.delete, status=204),
            Endpoint("PUT", f"{one}/rename", self.rename, FolderSchema, body=NewName),
            Endpoint("PUT", f"{one}/move", self.move, FolderSchema, body=NewParent),
            Endpoint("GET", f"{one}/children", self.list_children, ChildSchema, query=ChildrenSearch),
        )

    async def create(self, call: Call[NewFolder]) -> Response:
        """Create a folder."""
        project_id, parent_id = self._context.resolve_container(call.parameters.parent)
        now = self._context.clock.now()
        folder = NodeRecord(
            self._context.new_id(), NodeKind.FOLDER, project_id, parent_id, call.parameters.name, now, now
        )
        self._context.database.tree.add(folder)
        return self._folder_response(folder.id, 201)

    async def show(self, call: Call[None]) -> Response:
        """Show a folder."""
        return self._folder_response(call.id)

    async def delete(self, call: Call[None]) -> Response:
        """Delete a folder with everything in it."""
        self._context.database.tree.delete(self._context.folder(call.id).id, self._context.clock.now())
        return Response(status_code=204)

    async def rename(self, call: Call[NewName]) -> Response:
        """Rename a folder."""
        folder = self._context.folder(call.id)
        self._context.database.tree.rename(folder.id, call.parameters.name, self._context.clock.now())
        return self._folder_response(folder.id)

    async def move(self, call: Call[NewParent]) -> Response:
        """Move a folder within its project."""
        folder = self._context.folder(call.id)
        move_node(self._context, folder, call.parameters)
        return self._folder_response(folder.id)

    async def list_children(self, call: Call[ChildrenSearch]) -> Response:
        """List the direct children of a folder, or search its tree if `name_contains` is given, a page at a time."""
        folder = self._context.folder(call.id)
        return self._lists.children(self._context.project(folder.project_id), folder.id, call.parameters)

    def _folder_response(self, folder_id: str, status: int = 200) -> Response:
        folder = self._context.folder(folder_id)
        return json_response(self._lists.serialize([folder], self._context.project(folder.project_id))[0], status)


def move_node(context: ServiceContext, node: NodeRecord, target: NewParent) -> None:
    """Move a folder or a file within its project.

    Raises:
        ApiError: 400, the target is in another project or inside the node itself; 404, there is no such target.
    """
    project_id, parent_id = context.resolve_container(target.parent)
    if project_id != node.project_id:
        raise invalid_fields(parent="must be in the same project")
    if not context.database.tree.move(node.id, parent_id, context.clock.now()):
        raise invalid_fields(parent="cannot be itself or inside itself")


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


class ProjectEndpoints:
    """The endpoints of projects."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._lists = NodeLists(context)

    def endpoints(self) -> Sequence[Endpoint]:
        """Return the endpoints."""
        all_of_them = f"{API_PATH}/projects"
        one = f"{all_of_them}/{{id}}"
        return (
            Endpoint("GET", all_of_them, self.list, ProjectSchema, query=Paging),
            Endpoint("POST", all_of_them, self.create, ProjectSchema, status=202, body=NewProject),
            Endpoint("GET", one, self.show, ProjectSchema),
            Endpoint("PUT", one, self.change, ProjectSchema, body=ProjectChange),
            Endpoint("DELETE", one, self.delete, status=204),
            Endpoint("GET", f"{one}/children", self.list_children, ChildSchema, query=ChildrenSearch),
            Endpoint("GET", f"{one}/files", self.list_files, ProjectFileSchema, query=Paging),
        )

    async def list(self, call: Call[Paging]) -> Response:
        """List projects in order of creation, a page at a time."""
        projects, total = self._context.database.projects.page(call.parameters.offset, call.parameters.per_page)
        return page_response(
            [self._context.serializer.project(project) for project in projects], total, call.parameters
        )

    async def create(self, call: Call[NewProject]) -> Response:
        """Create a project."""
        parameters = call.parameters
        project = ProjectRecord(
            self._context.new_id(), parameters.name, parameters.description, self._context.clock.now()
        )
        self._context.database.projects.add(project)
        return json_response(self._context.serializer.project(project), 202)

    async def show(self, call: Call[None]) -> Response:
        """Show a project."""
        return json_response(self._context.serializer.project(self._context.project(call.id)))

    async def change(self, call: Call[ProjectChange]) -> Response:
        """Change a project's name, description, or both."""
        project, parameters = self._context.project(call.id), call.parameters
        self._context.database.projects.change(
            project.id, parameters.name, parameters.description, self._context.clock.now()
        )
        return json_response(self._context.serializer.project(self._context.project(project.id)))

    async def delete(self, call: Call[None]) -> Response:
        """Delete a project and its tree. The bytes of its uploads are purged, those of pending ones when they have ended."""
        project = self._context.project(call.id)
        self._context.database.projects.delete(project.id, self._context.clock.now())
        self._context.worker.retention.purge_deleted_projects(project.id)
        return Response(status_code=204)

    async def list_children(self, call: Call[ChildrenSearch]) -> Response:
        """List the direct children of a project, or search its tree if `name_contains` is given, a page at a time."""
        return self._lists.children(self._context.project(call.id), None, call.parameters)

    async def list_files(self, call: Call[Paging]) -> Response:
        """List a project's files with everything that downloads need; 404 if one of the page is not verified yet."""
        return self._lists.files(self._context.project(call.id), call.parameters)
