"""Lists of folders and files, for projects and folders alike."""

from collections.abc import Mapping, Sequence

from starlette.responses import Response

from upload_tui.backend.context import ServiceContext
from upload_tui.backend.endpoints.responses import page_response
from upload_tui.backend.request_models import ChildrenSearch, Paging
from upload_tui.backend.schemas import ChildSchema, ProjectFileSchema
from upload_tui.backend.serializers import without_fields
from upload_tui.backend.store.records import AncestorRecord, NodeKind, NodeRecord, ProjectRecord

__all__ = ["NodeLists"]


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
