"""Projects and their contents."""

from collections.abc import Sequence

from starlette.responses import Response

from upload_tui.backend.context import ServiceContext
from upload_tui.backend.endpoints.endpoint import Call, Endpoint
from upload_tui.backend.endpoints.nodes import NodeLists
from upload_tui.backend.endpoints.responses import json_response, page_response
from upload_tui.backend.request_models import ChildrenSearch, NewProject, Paging, ProjectChange
from upload_tui.backend.retention import Retention
from upload_tui.backend.schemas import ChildSchema, ProjectFileSchema, ProjectSchema
from upload_tui.backend.store.records import ProjectRecord
from upload_tui.wire import API_PATH

__all__ = ["ProjectEndpoints"]


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
        Retention(self._context.database, self._context.storage, self._context.clock).purge_project(project.id)
        return Response(status_code=204)

    async def list_children(self, call: Call[ChildrenSearch]) -> Response:
        """List the direct children of a project, or search its tree if `name_contains` is given, a page at a time."""
        return self._lists.children(self._context.project(call.id), None, call.parameters)

    async def list_files(self, call: Call[Paging]) -> Response:
        """List a project's files with everything that downloads need; 404 if one of the page is not verified yet."""
        return self._lists.files(self._context.project(call.id), call.parameters)
