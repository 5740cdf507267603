"""The dialog of projects. Enter filters everything on the dashboard by one."""

from collections import Counter
from collections.abc import Sequence

from textual.content import Content

from upload_tui.monitor import ProjectRef, Session
from upload_tui.text import sanitize
from upload_tui.tui.screens.live_dialog import LiveDialog
from upload_tui.tui.screens.menu import MenuScreen

__all__ = ["ProjectScreen"]


class ProjectScreen(LiveDialog[str | None], MenuScreen):
    """A menu that returns a project's id; empty means all projects.

    Args:
        session: the session that has the projects.
    """

    def __init__(self, session: Session) -> None:
        super().__init__("Projects", "show", _project_lines(session.projects))
        self._session = session

    def refresh_picture(self) -> None:
        """Show the picture as it is now."""
        self.replace_lines(_project_lines(self._session.projects))


def _project_lines(projects: Sequence[ProjectRef]) -> list[tuple[str, Content]]:
    """All projects, then each; those with the same name also show their ids."""
    names = Counter(project.name for project in projects)
    return [("", Content("All projects")), *((one.id, _project_line(one, names[one.name] > 1)) for one in projects)]


def _project_line(project: ProjectRef, shares_name: bool) -> Content:
    name = sanitize(project.name or project.id)
    return Content.assemble(name, (f"  {sanitize(project.id)}", "$quiet")) if shares_name else Content(name)
