"""The demo's menu of things to break."""

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from upload_tui.tui.story import Fault

__all__ = ["FaultScreen"]


class FaultScreen(ModalScreen[str | None]):
    """Gives the name of the chosen fault; None if the person thought better of it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "Close", id="faults.close", tooltip="Break nothing"),
        Binding("j", "cursor(1)", "Down", show=False, id="faults.down", tooltip="The next fault"),
        Binding("k", "cursor(-1)", "Up", show=False, id="faults.up", tooltip="The fault before"),
    ]

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__()
        self._faults = faults

    def compose(self) -> ComposeResult:
        options = [
            Option(Content.assemble((f"{fault.name:<22}", "bold"), (fault.description, "$quiet")), id=fault.name)
            for fault in self._faults
        ]
        menu = OptionList(*options, id="faults")
        menu.border_title = "Break something"
        menu.border_subtitle = "Enter breaks it, Esc closes"
        yield menu

    @on(OptionList.OptionSelected)
    def choose_fault(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)

    def action_cursor(self, rows: int) -> None:
        menu = self.query_one(OptionList)
        if rows > 0:
            menu.action_cursor_down()
        else:
            menu.action_cursor_up()
