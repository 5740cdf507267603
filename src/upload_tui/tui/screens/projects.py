"""The menu of projects: show one, or all of them."""

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from upload_tui.monitor.picture import ProjectRef
from upload_tui.tui.formatting import harmless

__all__ = ["ProjectScreen"]


class ProjectScreen(ModalScreen[str | None]):
    """Gives the id of the chosen project, empty for all; None if the person thought better of it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,p", "dismiss(None)", "Close", id="projects.close", tooltip="Change nothing"),
        Binding("j", "cursor(1)", "Down", show=False, id="projects.down", tooltip="The next project"),
        Binding("k", "cursor(-1)", "Up", show=False, id="projects.up", tooltip="The project before"),
    ]

    def __init__(self, projects: Sequence[ProjectRef]) -> None:
        super().__init__()
        self._ids = ["", *(project.id for project in projects)]
        self._names = ["All projects", *(project.name or project.id for project in projects)]

    def compose(self) -> ComposeResult:
        menu = OptionList(*(Option(Content(harmless(name))) for name in self._names), id="projects")
        menu.border_title = "Projects"
        menu.border_subtitle = "Enter shows it, Esc closes"
        yield menu

    @on(OptionList.OptionSelected)
    def choose_project(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._ids[event.option_index])

    def action_cursor(self, rows: int) -> None:
        menu = self.query_one(OptionList)
        if rows > 0:
            menu.action_cursor_down()
        else:
            menu.action_cursor_up()
