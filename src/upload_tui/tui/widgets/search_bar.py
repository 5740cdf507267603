"""The line to search in: tells what was typed at every key."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label

from upload_tui.tui.widgets.activity.activity_pane import ChangeLogView

__all__ = ["SearchBar"]

_UPLOAD_HINT = "part of a name, id or message"
_CHANGE_HINT = "stage, name, id or message; -verified leaves out"


class SearchBar(Horizontal):
    """Hidden until opened, then in the footer's place. Enter keeps the search and goes back to its pane, Escape clears it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "keep", "Keep", show=False, id="search.down", tooltip="Keep it, and back to its pane"),
        Binding("escape", "clear", "Clear", show=False, id="search.clear", tooltip="Clear it, and back to its pane"),
    ]

    class Changed(Message):
        """What is searched for now; empty is everything."""

        def __init__(self, value: str) -> None:
            super().__init__()
            self.value = value

    class Closed(Message):
        """The person is done typing."""

    def compose(self) -> ComposeResult:
        yield Label("/")
        field = Input(placeholder=_UPLOAD_HINT, compact=True)
        field.can_focus = False  # until it is seen
        yield field
        yield Label("Enter keeps, Esc clears", id="search-keys")

    @property
    def is_open(self) -> bool:
        """True while the line is seen."""
        return self.has_class("-open")

    def open(self, value: str) -> None:
        """Show the line with a text to go on from."""
        self.add_class("-open")
        field = self.query_one(Input)
        field.placeholder = _CHANGE_HINT if isinstance(self.screen.focused, ChangeLogView) else _UPLOAD_HINT
        field.can_focus = True
        field.value = value
        field.focus()

    @on(Input.Changed)
    def post_change(self, event: Input.Changed) -> None:
        event.stop()
        # What the line says by now: a text that was cleared meanwhile is not searched for again.
        self.post_message(self.Changed(self.query_one(Input).value))

    @on(Input.Submitted)
    def submit_search(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_keep()

    def action_clear(self) -> None:
        with self.prevent(Input.Changed):
            self.query_one(Input).value = ""
        self.post_message(self.Changed(""))
        self.action_keep()

    def action_keep(self) -> None:
        self.remove_class("-open")
        self.query_one(Input).can_focus = False
        self.post_message(self.Closed())
