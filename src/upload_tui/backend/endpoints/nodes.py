"""Lists of folders and files, for projects and folders alike."""

from collections.abc import Mapping, Sequence

from starlette.responses import Response

from upload_tui.backend.endpoints.answers import page
from upload_tui.backend.endpoints.desk import Desk
from upload_tui.backend.parameters import ChildrenSearch, Paging
from upload_tui.backend.records import AncestorRecord, NodeKind, NodeRecord, ProjectRecord
from upload_tui.backend.resources import ChildWritten, ProjectFileWritten, SignedUrlWritten
from upload_tui.backend.writing import without

__all__ = ["NodeLists", "download_url"]


class NodeLists:
    """Writes nodes, many with a few queries."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def children(self, project: ProjectRecord, folder_id: str | None, search: ChildrenSearch) -> Response:
        """What stands directly in a project (`folder_id` None) or a folder, or anywhere in it with a text in its name."""
        tree, where = self._desk.database.tree, (project.id, folder_id)
        found, total = (
            tree.children(*where, search.offset, search.per_page)
            if search.name_contains is None
            else tree.named(*where, search.name_contains, search.offset, search.per_page)
        )
        left_out = search.exclude_response_fields.split()
        return page([without(child, left_out) for child in self.write(found, project)], total, search)

    def write(self, nodes: Sequence[NodeRecord], project: ProjectRecord) -> Sequence[ChildWritten]:
        """Folders and files of one project as resources."""
        above = self._desk.database.tree.ancestors_of([node.id for node in nodes])
        newest, writer = self._desk.uploads_of(nodes), self._desk.writer
        written: list[ChildWritten] = []
        for node in nodes:
            if node.kind is NodeKind.FOLDER:
                written.append(writer.folder(node, project, above[node.id]))
                continue
            version = newest.versions[node.id]
            upload = newest.uploads[version.upload_id]
            written.append(writer.file(node, project, above[node.id], version, upload, newest.hashes[upload.id]))
        return written

    def files(self, project: ProjectRecord, paging: Paging) -> Response:
        """A project's files, each with a signed URL.

        Raises:
            ProblemError: 404 or 400 if the bytes of one of them cannot be given.
        """
        nodes, total = self._desk.database.tree.files(project.id, paging.offset, paging.per_page)
        above = self._desk.database.tree.ancestors_of([node.id for node in nodes])
        return page([self._downloadable(node, project, above) for node in nodes], total, paging)

    def _downloadable(
        self, node: NodeRecord, project: ProjectRecord, above: Mapping[str, Sequence[AncestorRecord]]
    ) -> ProjectFileWritten:
        newest = self._desk.uploads_of([node])
        upload = newest.uploads[newest.versions[node.id].upload_id]
        self._desk.check_trust(upload)
        url = download_url(self._desk, upload.id)
        return self._desk.writer.project_file(node, project, above[node.id], upload, newest.hashes[upload.id], url)


def download_url(desk: Desk, upload_id: str) -> SignedUrlWritten:
    """Where the bytes of an upload come from."""
    return desk.signed_url("GET", f"/storage/{upload_id}")
