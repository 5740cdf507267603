"""The line in which the user types a search."""

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
_CHANGE_HINT = "stage, name, id or message; -verified excludes"


class SearchBar(Horizontal):
    """Hidden until `open`, then shown in place of the footer. Enter applies the search, Escape cancels it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "apply", "Apply", show=False, id="search.down", tooltip="Apply the search"),
        Binding("escape", "clear", "Cancel", show=False, id="search.clear", tooltip="Cancel the search"),
    ]

    class Changed(Message):
        """The text changed; an empty one matches everything."""

        def __init__(self, value: str) -> None:
            super().__init__()
            self.value = value

    class Closed(Message):
        """The search was applied or cancelled."""

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        yield Label("/")
        field = Input(placeholder=_UPLOAD_HINT, compact=True)
        field.can_focus = False  # while it is hidden
        yield field
        yield Label("Enter apply, Esc cancel", id="search-keys")

    @property
    def is_open(self) -> bool:
        """True while the line is visible."""
        return self.has_class("-open")

    def open(self, value: str) -> None:
        """Show the line with a text to edit."""
        self.add_class("-open")
        field = self.query_one(Input)
        field.placeholder = _CHANGE_HINT if isinstance(self.screen.focused, ChangeLogView) else _UPLOAD_HINT
        field.can_focus = True
        field.value = value
        field.focus()

    @on(Input.Changed)
    def post_change(self, event: Input.Changed) -> None:
        """Post `Changed` for every key typed."""
        event.stop()
        # The current text, not that of the event: it may have been cleared since.
        self.post_message(self.Changed(self.query_one(Input).value))

    @on(Input.Submitted)
    def submit_search(self, event: Input.Submitted) -> None:
        """Apply the search on Enter."""
        event.stop()
        self.action_apply()

    def action_clear(self) -> None:
        """Clear the text and close."""
        with self.prevent(Input.Changed):
            self.query_one(Input).value = ""
        self.post_message(self.Changed(""))
        self.action_apply()

    def action_apply(self) -> None:
        """Close, and keep the text."""
        self.remove_class("-open")
        self.query_one(Input).can_focus = False
        self.post_message(self.Closed())
