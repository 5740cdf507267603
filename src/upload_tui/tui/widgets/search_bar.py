"""The line in which the user types a search."""

from enum import StrEnum
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label

__all__ = ["SearchBar", "SearchTarget"]


class SearchTarget(StrEnum):
    """What is searched; the value is the hint in the empty line."""

    UPLOADS = "part of a name, id or message"
    CHANGES = "stage, name, id or message; -verified excludes"


class SearchBar(Horizontal):
    """Hidden until `open`, then shown in place of the footer. Enter applies the search, Escape cancels it.

    Its messages name what is searched, which it keeps while it is open.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "apply", "Apply", show=False, id="search.down", tooltip="Apply the search"),
        Binding("escape", "clear", "Cancel", show=False, id="search.clear", tooltip="Cancel the search"),
    ]

    class Changed(Message):
        """The text changed; an empty one matches everything."""

        def __init__(self, target: SearchTarget, value: str) -> None:
            super().__init__()
            self.target = target
            self.value = value

    class Closed(Message):
        """The search was applied or cancelled."""

        def __init__(self, target: SearchTarget) -> None:
            super().__init__()
            self.target = target

    _target = SearchTarget.UPLOADS

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        yield Label("/")
        field = Input(placeholder=SearchTarget.UPLOADS, compact=True)
        field.can_focus = False  # while it is hidden
        yield field
        yield Label("Enter apply, Esc cancel", id="search-keys")

    @property
    def is_open(self) -> bool:
        """True while the line is visible."""
        return self.has_class("-open")

    def open(self, target: SearchTarget, value: str) -> None:
        """Show the line with a text to edit."""
        self._target = target
        self.add_class("-open")
        field = self.query_one(Input)
        field.placeholder = target
        field.can_focus = True
        field.value = value
        field.focus()

    @on(Input.Changed)
    def post_change(self, event: Input.Changed) -> None:
        """Post `Changed` for every key typed."""
        event.stop()
        # The current text, not that of the event: it may have been cleared since.
        self.post_message(self.Changed(self._target, self.query_one(Input).value))

    @on(Input.Submitted)
    def submit_search(self, event: Input.Submitted) -> None:
        """Apply the search on Enter."""
        event.stop()
        self.action_apply()

    def action_clear(self) -> None:
        """Clear the text and close."""
        with self.prevent(Input.Changed):
            self.query_one(Input).value = ""
        self.post_message(self.Changed(self._target, ""))
        self.action_apply()

    def action_apply(self) -> None:
        """Close, and keep the text."""
        self.remove_class("-open")
        self.query_one(Input).can_focus = False
        self.post_message(self.Closed(self._target))
