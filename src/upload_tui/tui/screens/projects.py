"""The dialog in which the user chooses a project."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList

from upload_tui.monitor import ProjectRef, Session
from upload_tui.text import plural, sanitize
from upload_tui.tui.appearance.glyphs import UNICODE
from upload_tui.tui.bindings import key_of
from upload_tui.tui.fitting import truncate_middle
from upload_tui.tui.screens.dialog import LiveDialog
from upload_tui.tui.screens.menu import MenuScreen
from upload_tui.tui.screens.session_screen import has_data

__all__ = ["ProjectScreen"]


_MENU_FRAME_CELLS = 6
"""The border of a menu, the blanks beside a line, and the room for a scroll bar."""
_MIN_NAME_CELLS = 12
"""Counts get shorter, or are left out, where names would have fewer cells."""
_COUNT_SECONDS = 5.0
"""The uploads of the projects are counted again after this time."""


class ProjectScreen(LiveDialog[str | None], MenuScreen):
    """A menu that returns a project's id; empty means all projects. Lines can be searched and sorted.

    Args:
        session: the session that has the projects.
        current: the id of the project that is shown; empty for all or several.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", id="projects.search", tooltip="Search projects"),
        Binding("s", "sort", "Sort", id="projects.sort", tooltip="Sort by name or by trouble"),
    ]

    def __init__(self, session: Session, current: str = "") -> None:
        super().__init__("Projects", "show", _project_lines(session.projects, 0), current)
        self._session = session
        self._counts: Mapping[str, tuple[int, int]] = {}
        self._counted_on: datetime | None = None
        self._search: str | None = None
        self._is_by_trouble = False

    @property
    def _keys(self) -> str:
        """The keys that work now, and what they do."""
        if self._search is not None:
            return "Enter show, Esc end search"
        names = {"projects.search": "search", "projects.sort": "sort", "menu.close": "close"}
        return ", ".join(["Enter show", *(f"{key_of(self, key)} {name}" for key, name in names.items())])

    def refresh_picture(self) -> None:
        """Show the picture as it is now."""
        now, projects = self._session.picture.clock.now(), self._session.projects
        if self._counted_on is None or abs((now - self._counted_on).total_seconds()) >= _COUNT_SECONDS:
            self._counted_on = now
            self._counts = self._count(projects)
        if self._is_by_trouble:
            projects = sorted(projects, key=lambda project: -self._counts.get(project.id, (0, 0))[1])
        text = (self._search or "").casefold()
        lines = _project_lines(projects, self._room, self._counts, text)
        self.replace_lines(lines)
        title = f"Projects {len([project_id for project_id, _ in lines if project_id]):,}"
        title += f" {UNICODE.dot} by trouble" if self._is_by_trouble else ""
        searched = "" if self._search is None else f" {UNICODE.dot} /{sanitize(self._search)}"
        menu = self.query_one(OptionList)
        menu.border_title, menu.border_subtitle = Content(title + searched), self._keys

    def _count(self, projects: Sequence[ProjectRef]) -> Mapping[str, tuple[int, int]]:
        """The uploads, also gone ones as in the table, and those in trouble, of each project of which anything is known."""
        session, counts = self._session, dict[str, tuple[int, int]]()
        for project in projects:
            own = frozenset({project.id})
            funnel = session.picture.funnel(own)
            if has_data(session.connection(own), funnel):
                counts[project.id] = (funnel.total + funnel.gone, sum(funnel.troubles.values()))
        return counts

    @property
    def _room(self) -> int:
        """The cells of a line, by the width that the stylesheet gives the menu; the layout is not yet made."""
        styles, whole = self.query_one(OptionList).styles, Fraction(self.size.width)
        widths = [one.resolve(self.size, self.size, whole) for one in (styles.width, styles.max_width) if one]
        return int(min(widths)) - _MENU_FRAME_CELLS

    def on_resize(self) -> None:
        """Fit the lines into the new width."""
        self.refresh_picture()

    def on_key(self, event: events.Key) -> None:
        """Type the search."""
        if self._search is None:
            return
        if event.key == "escape":
            self._search = None
        elif event.key == "backspace":
            self._search = self._search[:-1]
        elif event.is_printable and event.character:
            self._search += event.character
        else:
            return
        event.stop()
        self.refresh_picture()

    def action_search(self) -> None:
        """Search as text is typed; Escape ends it."""
        self._search = ""
        self.refresh_picture()

    def action_sort(self) -> None:
        """Sort by name, or the projects with the most uploads in trouble first."""
        self._is_by_trouble = not self._is_by_trouble
        self.refresh_picture()


def _project_lines(
    projects: Sequence[ProjectRef], room: int, counts: Mapping[str, tuple[int, int]] | None = None, text: str = ""
) -> list[tuple[str, Content]]:
    """All projects, then each whose name or id contains a text, in `room` cells: those with the same name also show their ids.

    `counts` are the numbers of uploads and of those in trouble, by project.
    """
    names = Counter(project.name for project in projects)
    shown = [one for one in projects if text in f"{one.name}\n{one.id}".casefold()]
    heads = [_project_head(one, names[one.name] > 1) for one in shown]
    parts = _count_columns([(counts or {}).get(one.id) for one in shown], room)
    left = room - max((sum(len(part) for part, _ in each) for each in parts), default=0)
    width = min(left, max((head.cell_length for head in heads), default=0))
    lines = [
        (one.id, Content.assemble(_shorten(head, width), *each))
        for one, head, each in zip(shown, heads, parts, strict=True)
    ]
    return lines if text else [("", Content("All projects")), *lines]


def _shorten(head: Content, cells: int) -> Content:
    """A head padded to `cells`, or shortened to them in the middle."""
    if head.cell_length > cells:
        head = Content(truncate_middle(head.plain, cells))
    return Content.assemble(head, " " * (cells - head.cell_length))


def _project_head(project: ProjectRef, shares_name: bool) -> Content:
    name = sanitize(project.name or project.id)
    return Content.assemble(name, (f"  {sanitize(project.id)}", "$quiet")) if shares_name else Content(name)


def _count_columns(counts: Sequence[tuple[int, int] | None], room: int) -> Sequence[Sequence[tuple[str, str]]]:
    """What is after each name: the counts in words, without the word `uploads`, or nothing, as `room` allows."""
    digits = max((len(f"{one[0]:,}") for one in counts if one), default=0)
    for has_word in (True, False):
        columns = [[*_count_parts(one, digits, has_word=has_word)] for one in counts]
        if max((sum(len(part) for part, _ in each) for each in columns), default=0) + _MIN_NAME_CELLS <= room:
            return columns
    return [[] for _ in counts]


def _count_parts(counts: tuple[int, int] | None, digits: int, *, has_word: bool) -> Iterator[tuple[str, str]]:
    if counts is not None:
        number, _, word = plural(counts[0], "upload").partition(" ")
        yield f"  {number:>{digits}}" + (f" {word:<7}" if has_word else ""), "$quiet"  # digits below digits
        if counts[1]:
            yield f"  {counts[1]:,} in trouble", "$stage-error bold"
