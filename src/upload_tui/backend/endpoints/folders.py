"""Folders."""

from collections.abc import Sequence

from starlette.responses import Response

from upload_tui.backend.endpoints.answers import answer
from upload_tui.backend.endpoints.desk import API_PATH, Desk
from upload_tui.backend.endpoints.endpoint import Call, Endpoint
from upload_tui.backend.endpoints.nodes import NodeLists
from upload_tui.backend.parameters import ChildrenSearch, NewFolder, NewName, NewParent
from upload_tui.backend.problems import invalid_fields
from upload_tui.backend.records import NodeKind, NodeRecord
from upload_tui.backend.resources import ChildWritten, FolderWritten

__all__ = ["FolderEndpoints", "move"]


class FolderEndpoints:
    """The endpoints of folders."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lists = NodeLists(desk)

    def endpoints(self) -> Sequence[Endpoint]:
        """All of them."""
        one = f"{API_PATH}/folders/{{id}}"
        return (
            Endpoint("POST", f"{API_PATH}/folders", self.create, FolderWritten, status=201, body=NewFolder),
            Endpoint("GET", one, self.show, FolderWritten),
            Endpoint("DELETE", one, self.delete, status=204),
            Endpoint("PUT", f"{one}/rename", self.rename, FolderWritten, body=NewName),
            Endpoint("PUT", f"{one}/move", self.move, FolderWritten, body=NewParent),
            Endpoint("GET", f"{one}/children", self.list_children, ChildWritten, query=ChildrenSearch),
        )

    async def create(self, call: Call[NewFolder]) -> Response:
        """Make a folder."""
        project_id, parent_id = self._desk.container(call.parameters.parent)
        now = self._desk.now()
        folder = NodeRecord(self._desk.new_id(), NodeKind.FOLDER, project_id, parent_id, call.parameters.name, now, now)
        self._desk.database.tree.add(folder)
        return self._show(folder.id, 201)

    async def show(self, call: Call[None]) -> Response:
        """Show a folder."""
        return self._show(call.id)

    async def delete(self, call: Call[None]) -> Response:
        """Delete a folder with everything in it."""
        self._desk.database.tree.delete(self._desk.folder(call.id).id, self._desk.now())
        return Response(status_code=204)

    async def rename(self, call: Call[NewName]) -> Response:
        """Give a folder another name."""
        folder = self._desk.folder(call.id)
        self._desk.database.tree.rename(folder.id, call.parameters.name, self._desk.now())
        return self._show(folder.id)

    async def move(self, call: Call[NewParent]) -> Response:
        """Put a folder elsewhere in its project."""
        folder = self._desk.folder(call.id)
        move(self._desk, folder, call.parameters)
        return self._show(folder.id)

    async def list_children(self, call: Call[ChildrenSearch]) -> Response:
        """List what stands directly in a folder, or anywhere in it if `name_contains` is given, a page at a time."""
        folder = self._desk.folder(call.id)
        return self._lists.children(self._desk.project(folder.project_id), folder.id, call.parameters)

    def _show(self, folder_id: str, status: int = 200) -> Response:
        folder = self._desk.folder(folder_id)
        return answer(self._lists.write([folder], self._desk.project(folder.project_id))[0], status)


def move(desk: Desk, node: NodeRecord, wanted: NewParent) -> None:
    """Put a folder or a file elsewhere in its project.

    Raises:
        ProblemError: 400 if that is in another project or in itself, 404 if it is not there.
    """
    project_id, parent_id = desk.container(wanted.parent)
    if project_id != node.project_id:
        raise invalid_fields(parent="must be in the same project")
    if not desk.database.tree.move(node.id, parent_id, desk.now()):
        raise invalid_fields(parent="cannot be itself or what is in it")
