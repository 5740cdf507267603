"""Menus: dialogs in which the user chooses one line of several."""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from upload_tui.monitor import ProjectRef
from upload_tui.text import sanitize
from upload_tui.tui.controls import Fault
from upload_tui.tui.exports import ExportKind
from upload_tui.tui.keys.bindings import HELP_KEY
from upload_tui.tui.keys.labels import key_of

__all__ = ["MenuScreen", "OptionScreen", "export_menu", "fault_menu", "project_menu"]

Result = TypeVar("Result")


class OptionScreen(ModalScreen[Result]):
    """A dialog with one list of options."""

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

    def __init__(self, title: str, hint: str, lines: Sequence[tuple[str, Content]]) -> None:
        super().__init__()
        self._title = title
        self._hint = hint
        self._lines = lines

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        menu = OptionList(*(Option(text) for _, text in self._lines), id="menu")
        menu.border_title = self._title
        menu.border_subtitle = f"Enter {self._hint}, {key_of(self, 'menu.close')} close"
        yield menu

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        """Close the menu with the chosen option."""
        self.dismiss(self._lines[event.option_index][0])


def _line(name: str, description: str) -> Content:
    return Content.assemble((f"{name:<22}", "bold"), (description, "$quiet"))


def project_menu(projects: Sequence[ProjectRef]) -> MenuScreen:
    """A menu that returns a project's id; empty means all projects. Projects with the same name also show their ids."""
    names = Counter(project.name for project in projects)
    lines = [(project.id, _project_line(project, names[project.name] > 1)) for project in projects]
    return MenuScreen("Projects", "show", [("", Content("All projects")), *lines])


def _project_line(project: ProjectRef, shares_name: bool) -> Content:
    name = sanitize(project.name or project.id)
    return Content.assemble(name, (f"  {sanitize(project.id)}", "$quiet")) if shares_name else Content(name)


def fault_menu(faults: Sequence[Fault]) -> MenuScreen:
    """A menu that returns a fault's name."""
    return MenuScreen("Faults", "inject", [(fault.name, _line(fault.name, fault.description)) for fault in faults])


def export_menu() -> MenuScreen:
    """A menu that returns an `ExportKind`."""
    kinds = (
        (ExportKind.JSON, "Uploads, JSON", "uploads in the table, as `upload-tui list -o json`"),
        (ExportKind.CSV, "Uploads, CSV", "uploads in the table, one per line"),
        (ExportKind.JSONL, "Changes, JSON lines", "changes in Activity, as `upload-tui tail`"),
        (ExportKind.SVG, "Screenshot, SVG", "the screen as shown"),
    )
    return MenuScreen("Export", "save", [(kind, _line(name, description)) for kind, name, description in kinds])
