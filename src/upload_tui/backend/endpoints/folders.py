"""Folders of a project."""

from collections.abc import Sequence

from starlette.responses import Response

from upload_tui.backend.api_errors import invalid_fields
from upload_tui.backend.context import ServiceContext
from upload_tui.backend.endpoints.endpoint import Call, Endpoint
from upload_tui.backend.endpoints.nodes import NodeLists
from upload_tui.backend.endpoints.responses import json_response
from upload_tui.backend.request_models import ChildrenSearch, NewFolder, NewName, NewParent
from upload_tui.backend.schemas import ChildSchema, FolderSchema
from upload_tui.backend.store.records import NodeKind, NodeRecord
from upload_tui.wire import API_PATH

__all__ = ["FolderEndpoints", "move_node"]


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
