"""Projects, and what is in them."""

from collections.abc import Sequence

from starlette.responses import Response

from upload_tui.backend.endpoints.answers import answer, page
from upload_tui.backend.endpoints.desk import API_PATH, Desk
from upload_tui.backend.endpoints.endpoint import Call, Endpoint
from upload_tui.backend.endpoints.nodes import NodeLists
from upload_tui.backend.parameters import ChildrenSearch, NewProject, Paging, ProjectChange
from upload_tui.backend.records import ProjectRecord
from upload_tui.backend.resources import ChildWritten, ProjectFileWritten, ProjectWritten

__all__ = ["ProjectEndpoints"]


class ProjectEndpoints:
    """The endpoints of projects."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lists = NodeLists(desk)

    def endpoints(self) -> Sequence[Endpoint]:
        """All of them."""
        all_of_them = f"{API_PATH}/projects"
        one = f"{all_of_them}/{{id}}"
        return (
            Endpoint("GET", all_of_them, self.list, ProjectWritten, query=Paging),
            Endpoint("POST", all_of_them, self.create, ProjectWritten, status=202, body=NewProject),
            Endpoint("GET", one, self.show, ProjectWritten),
            Endpoint("PUT", one, self.change, ProjectWritten, body=ProjectChange),
            Endpoint("DELETE", one, self.delete, status=204),
            Endpoint("GET", f"{one}/children", self.list_children, ChildWritten, query=ChildrenSearch),
            Endpoint("GET", f"{one}/files", self.list_files, ProjectFileWritten, query=Paging),
        )

    async def list(self, call: Call[Paging]) -> Response:
        """List projects in the order of their making, a page at a time."""
        projects, total = self._desk.database.projects.page(call.parameters.offset, call.parameters.per_page)
        return page([self._desk.writer.project(project) for project in projects], total, call.parameters)

    async def create(self, call: Call[NewProject]) -> Response:
        """Make a project."""
        wanted = call.parameters
        project = ProjectRecord(self._desk.new_id(), wanted.name, wanted.description, self._desk.now())
        self._desk.database.projects.add(project)
        return answer(self._desk.writer.project(project), 202)

    async def show(self, call: Call[None]) -> Response:
        """Show a project."""
        return answer(self._desk.writer.project(self._desk.project(call.id)))

    async def change(self, call: Call[ProjectChange]) -> Response:
        """Give a project another name, another description, or both."""
        project, wanted = self._desk.project(call.id), call.parameters
        self._desk.database.projects.change(project.id, wanted.name, wanted.description, self._desk.now())
        return answer(self._desk.writer.project(self._desk.project(project.id)))

    async def delete(self, call: Call[None]) -> Response:
        """Delete a project with everything in it. Its uploads can still be asked for, and are verified to the end."""
        self._desk.database.projects.delete(self._desk.project(call.id).id, self._desk.now())
        return Response(status_code=204)

    async def list_children(self, call: Call[ChildrenSearch]) -> Response:
        """List what stands directly in a project, or anywhere in it if `name_contains` is given, a page at a time."""
        return self._lists.children(self._desk.project(call.id), None, call.parameters)

    async def list_files(self, call: Call[Paging]) -> Response:
        """List a project's files with all that their downloads need; refused while one of the page is not verified."""
        return self._lists.files(self._desk.project(call.id), call.parameters)
