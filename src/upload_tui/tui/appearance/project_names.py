"""The projects that lists beside the table name: as the header names them, in as many cells as there are. Pure."""

from collections.abc import Mapping
from functools import lru_cache

from msgspec import Struct, field

from upload_tui.monitor import ProjectRef, Row, UploadRef, project_key
from upload_tui.tui.appearance.columns import MIN_PLACE_WIDTH, SHORT_PLACE_WIDTH
from upload_tui.tui.fitting import distinct_name, fit_to_width, widest

__all__ = ["ProjectNames", "project_names_of"]


class ProjectNames(Struct, frozen=True):
    """The names of several projects.

    Attributes:
        names: by the projects' ids; empty if there is only one project, which needs no name.
        longest: the cells of the longest name.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    longest: int = 0

    def cells(self, room: int, least_rest: int, good_rest: int) -> int:
        """How many of `room` cells a column of names gets; 0 if the rest of a line would have less than its least cells.

        The column is as wide as the names need while the rest of a line has `good_rest`. With less, names are shortened.
        """
        if room - least_rest < min(self.longest, SHORT_PLACE_WIDTH):
            return 0
        return min(self.longest, max(room - good_rest, min(MIN_PLACE_WIDTH, room - least_rest)))

    def text(self, upload: Row | UploadRef, cells: int, ellipsis: str) -> str:
        """The name of an upload's project in exactly `cells` cells, different from the names of the others."""
        own_id = upload.project_id
        name = self.names.get(own_id) or self.names.get(project_key(own_id, upload.service))
        short = distinct_name(name or upload.project_name or own_id, tuple(self.names.values()), cells, ellipsis)
        return fit_to_width(short, cells)


@lru_cache(maxsize=4)
def project_names_of(projects: tuple[ProjectRef, ...]) -> ProjectNames:
    """The names of the projects of a view."""
    names = {project.id: project.name or project.id for project in projects}
    return ProjectNames(names, widest(names.values())) if len(names) > 1 else ProjectNames()
