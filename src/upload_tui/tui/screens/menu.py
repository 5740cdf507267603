"""A menu: one thing to choose of several. What it is about is its caller's business."""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

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

__all__ = ["MenuScreen", "export_menu", "fault_menu", "project_menu"]


class MenuScreen(ModalScreen[str | None]):
    """Gives the key of the chosen line; None if the person thought better of it.

    Args:
        title: what is chosen.
        hint: what Enter does.
        lines: a key and a text each.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "Close", id="menu.close", tooltip="Close the menu"),
        HELP_KEY,
        Binding("j", "cursor(1)", "Down", show=False, id="menu.down", tooltip="The next line"),
        Binding("k", "cursor(-1)", "Up", show=False, id="menu.up", tooltip="The line before"),
    ]

    def __init__(self, title: str, hint: str, lines: Sequence[tuple[str, Content]]) -> None:
        super().__init__()
        self._title = title
        self._hint = hint
        self._lines = lines

    def compose(self) -> ComposeResult:
        menu = OptionList(*(Option(text) for _, text in self._lines), id="menu")
        menu.border_title = self._title
        menu.border_subtitle = f"Enter {self._hint}, {key_of(self, 'menu.close')} closes"
        yield menu

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._lines[event.option_index][0])

    def action_cursor(self, rows: int) -> None:
        menu = self.query_one(OptionList)
        if rows > 0:
            menu.action_cursor_down()
        else:
            menu.action_cursor_up()


def _line(name: str, description: str) -> Content:
    return Content.assemble((f"{name:<22}", "bold"), (description, "$quiet"))


def project_menu(projects: Sequence[ProjectRef]) -> MenuScreen:
    """Gives a project's id; empty for all of them. Projects that are called the same are told apart by their ids."""
    names = Counter(project.name for project in projects)
    lines = [(project.id, _project_line(project, names[project.name] > 1)) for project in projects]
    return MenuScreen("Projects", "shows it", [("", Content("All projects")), *lines])


def _project_line(project: ProjectRef, shares_name: bool) -> Content:
    name = sanitize(project.name or project.id)
    return Content.assemble(name, (f"  {sanitize(project.id)}", "$quiet")) if shares_name else Content(name)


def fault_menu(faults: Sequence[Fault]) -> MenuScreen:
    """Gives a fault's name."""
    return MenuScreen(
        "Break something", "breaks it", [(fault.name, _line(fault.name, fault.description)) for fault in faults]
    )


def export_menu() -> MenuScreen:
    """Gives an `ExportKind`."""
    kinds = (
        (ExportKind.JSON, "Uploads, JSON", "those of the table, as `upload-tui list -o json` has them"),
        (ExportKind.CSV, "Uploads, CSV", "those of the table, a line each"),
        (ExportKind.JSONL, "Changes, JSON lines", "those of the tail, as `upload-tui tail` has them"),
        (ExportKind.SVG, "Picture, SVG", "the screen as it is"),
    )
    return MenuScreen("Export", "writes the file", [(kind, _line(word, meaning)) for kind, word, meaning in kinds])
