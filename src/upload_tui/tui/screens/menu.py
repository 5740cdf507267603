"""Base classes of dialogs, and dialogs in which the user chooses one line of several: menus, projects, views."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from typing import ClassVar, TypeVar

from textual import events, on
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from upload_tui.monitor import Change, ProjectRef, Session, UploadKey
from upload_tui.text import plural, sanitize
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.appearance.glyphs import UNICODE
from upload_tui.tui.bindings import HELP_KEY, key_of
from upload_tui.tui.exports import ExportKind
from upload_tui.tui.fitting import HangingLines, truncate_middle
from upload_tui.tui.preferences import Fault, View
from upload_tui.tui.screens.session_screen import LiveScreen

__all__ = [
    "ALL_VIEWS_TITLE",
    "Dialog",
    "DialogList",
    "LiveDialog",
    "MenuScreen",
    "OptionScreen",
    "ProjectScreen",
    "UploadDialog",
    "ViewChoice",
    "ViewMenu",
    "is_current",
    "export_menu",
    "fault_menu",
]

Result = TypeVar("Result")


class Dialog(ModalScreen[Result]):
    """A dialog, which closes once: a key that was pressed twice must not close what is below it."""

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Close the dialog and pass the result on, if it is still open."""
        return super().dismiss(result) if self.app.screen is self else AwaitComplete()


class LiveDialog(LiveScreen, Dialog[Result]):
    """A dialog over a session, painted again with each change of the picture, and every second for its ages."""

    def on_mount(self) -> None:
        """Show what is known."""
        self.set_interval(1.0, self.refresh_picture)
        self.call_after_refresh(self.refresh_picture)

    @abstractmethod
    def refresh_picture(self) -> None:
        """Show the picture as it is now."""

    def apply_changes(self, changes: Sequence[Change]) -> None:
        """Show the picture as it is now; `changes` are those of uploads since the last call."""
        self.refresh_picture()


class UploadDialog(LiveDialog[None]):
    """A live dialog about one upload."""

    def __init__(self, session: Session, key: UploadKey, display_options: DisplayOptions) -> None:
        super().__init__()
        self._session = session
        self._key = key
        self._display_options = display_options


class DialogList(OptionList):
    """The list of a dialog. Textual's cannot move by pages before it is laid out."""

    def action_page_down(self) -> None:
        """Move the cursor down by one page."""
        if self.scrollable_content_region:
            super().action_page_down()  # type: ignore[no-untyped-call]  # Textual has no types here

    def action_page_up(self) -> None:
        """Move the cursor up by one page."""
        if self.scrollable_content_region:
            super().action_page_up()  # type: ignore[no-untyped-call]


def is_current(event: OptionList.OptionSelected) -> bool:
    """False if the list was replaced since the option was chosen."""
    options = event.option_list.options
    return event.option_index < len(options) and options[event.option_index] is event.option


class OptionScreen(Dialog[Result]):
    """A dialog with one list of options."""

    _option_lines: Sequence[tuple[Hashable, Content | HangingLines]] = ()

    def replace_options(self, lines: Sequence[tuple[Hashable, Content | HangingLines]]) -> None:
        """Show other lines, each with a key; the highlight stays on its key."""
        options, keys = self.query_one(OptionList), [key for key, _ in lines]
        before, self._option_lines = self._option_lines, lines
        if keys == [key for key, _ in before] and len(keys) == options.option_count:
            for index, (_, text) in enumerate(lines):
                if not _is_same(text, before[index][1]):
                    options.replace_option_prompt_at_index(index, text)
            return
        highlighted = options.highlighted
        key = before[highlighted][0] if highlighted is not None and highlighted < len(before) else None
        options.clear_options()
        options.add_options([Option(text) for _, text in lines])
        if lines:
            options.highlighted = keys.index(key) if key in keys else min(highlighted or 0, len(lines) - 1)

    def action_cursor(self, rows: int) -> None:
        """Move the cursor by one option, down if `rows` is positive."""
        options = self.query_one(OptionList)
        if rows > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()


class MenuScreen(OptionScreen[str | None]):
    """A dialog that returns the key of the chosen line; None if it was closed.

    Args:
        title: the title of the dialog.
        hint: what Enter does, in the imperative.
        lines: the key and the text of each line.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "Close", id="menu.close", tooltip="Close this dialog"),
        HELP_KEY,
        Binding("j", "cursor(1)", "Down", show=False, id="menu.down", tooltip="Next line"),
        Binding("k", "cursor(-1)", "Up", show=False, id="menu.up", tooltip="Previous line"),
    ]

    def __init__(self, title: str, hint: str, lines: Sequence[tuple[str, Content | HangingLines]]) -> None:
        super().__init__()
        self._title = title
        self._hint = hint
        self._lines = lines

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        menu = DialogList(*(Option(text) for _, text in self._lines), id="menu")
        menu.border_title = self._title
        menu.border_subtitle = f"Enter {self._hint}, {key_of(self, 'menu.close')} close"
        yield menu

    def replace_lines(self, lines: Sequence[tuple[str, Content]]) -> None:
        """Show other lines; the highlight stays on its key."""
        self._lines = lines
        self.replace_options(lines)

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        """Close the menu with the chosen option."""
        if is_current(event):
            self.dismiss(self._lines[event.option_index][0])


def _is_same(text: Content | HangingLines, other: Content | HangingLines) -> bool:
    if isinstance(text, Content):
        return isinstance(other, Content) and text.is_same(other)
    return text.is_same(other)


def _line(name: str, description: str) -> HangingLines:
    return HangingLines((Content.styled(f"{name:<22}", "bold"), Content.styled(description, "$quiet")))


def fault_menu(faults: Sequence[Fault]) -> MenuScreen:
    """A menu that returns a fault's name."""
    return MenuScreen("Faults", "inject", [(fault.name, _line(fault.name, fault.description)) for fault in faults])


def export_menu(marked_count: int) -> MenuScreen:
    """A menu that returns an `ExportKind`; `marked_count` uploads are exported instead of the table's, if there are any."""
    which = f"{marked_count:,} marked" if marked_count else "uploads in the table"
    kinds = (
        (ExportKind.JSON, "Uploads, JSON", f"{which}, as `upload-tui list -o json`"),
        (ExportKind.CSV, "Uploads, CSV", f"{which}, one per line"),
        (ExportKind.JSONL, "Changes, JSON lines", "changes in Activity, as `upload-tui tail`"),
        (ExportKind.SVG, "Screenshot, SVG", "the screen as shown"),
    )
    return MenuScreen("Export", "save", [(kind, _line(name, description)) for kind, name, description in kinds])


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
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", id="projects.search", tooltip="Search projects"),
        Binding("s", "sort", "Sort", id="projects.sort", tooltip="Sort by name or by trouble"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__("Projects", "show", _project_lines(session.projects, 0))
        self._session = session
        self._counts: Mapping[str, tuple[int, int]] = {}
        self._counted_on: datetime | None = None
        self._search: str | None = None
        self._is_by_trouble = False

    def on_mount(self) -> None:
        """Name the keys."""
        keys = [f"{key_of(self, f'projects.{name}')} {name}" for name in ("search", "sort")]
        self.query_one(OptionList).border_subtitle = ", ".join(
            ["Enter show", *keys, f"{key_of(self, 'menu.close')} close"]
        )

    def refresh_picture(self) -> None:
        """Show the picture as it is now."""
        now, projects = self._session.picture.now(), self._session.projects
        if self._counted_on is None or abs((now - self._counted_on).total_seconds()) >= _COUNT_SECONDS:
            self._counted_on = now
            funnels = {project.id: self._session.picture.funnel(frozenset({project.id})) for project in projects}
            self._counts = {key: (one.total, sum(one.troubles.values())) for key, one in funnels.items()}
        if self._is_by_trouble:
            projects = sorted(projects, key=lambda project: -self._counts.get(project.id, (0, 0))[1])
        text = (self._search or "").casefold()
        self.replace_lines(_project_lines(projects, self._room, self._counts, text))
        title = f"Projects {len(self._session.projects):,}"
        title += f" {UNICODE.dot} by trouble" if self._is_by_trouble else ""
        searched = "" if self._search is None else f" {UNICODE.dot} /{sanitize(self._search)}"
        self.query_one(OptionList).border_title = Content(title + searched)

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


ALL_VIEWS_TITLE = "All uploads"
"""Of the line without a view."""


class ViewChoice(StrEnum):
    """What to do with views; `SHOW` and `REMOVE` are followed by a blank and the name of a view."""

    ALL = "all"
    SAVE = "save"
    SHOW = "show"
    REMOVE = "remove"


class ViewMenu(MenuScreen):
    """A menu that returns a `ViewChoice`.

    Args:
        views: the views.
        current: the name of the one that is shown.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "save", "Save", id="views.save", tooltip="Save the query, order and columns on screen as a view"),
        Binding("x", "remove", "Remove", id="views.remove", tooltip="Remove a view that was saved on screen"),
    ]

    def __init__(self, views: Sequence[View], current: str) -> None:
        lines = [
            (f"{ViewChoice.SHOW} {view.name}", _view_line(view, is_current=view.name == current)) for view in views
        ]
        super().__init__("Views", "show", [(ViewChoice.ALL, Content(ALL_VIEWS_TITLE)), *lines])
        self._saved = {f"{ViewChoice.SHOW} {view.name}" for view in views if view.is_saved}

    def on_mount(self) -> None:
        """Name the keys."""
        save, remove, close = (key_of(self, name) for name in ("views.save", "views.remove", "menu.close"))
        self.query_one(OptionList).border_subtitle = f"Enter show, {save} save this, {remove} remove, {close} close"

    def action_save(self) -> None:
        """Save what is on screen."""
        self.dismiss(ViewChoice.SAVE)

    def action_remove(self) -> None:
        """Remove the view at the cursor; one of the settings stays."""
        chosen = self._lines[self.query_one(OptionList).highlighted or 0][0]
        if chosen in self._saved:
            self.dismiss(f"{ViewChoice.REMOVE} {chosen.removeprefix(f'{ViewChoice.SHOW} ')}")
        else:
            self.notify("Only views that were saved here can be removed here.", timeout=4)


def _view_line(view: View, *, is_current: bool) -> Content:
    order = [f"by {view.order}"] if view.order else []
    what = "  ".join([sanitize(view.query) or "all uploads", *order])
    name = sanitize(view.name)
    return Content.assemble(
        (f"{name:<16}", "bold underline" if is_current else "bold"), (f" {view.key:<6} ", "$primary"), (what, "$quiet")
    )
