"""Dialogs with one line to type: a prompt, and the note with which the user acknowledges what is wrong with uploads."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Label

from upload_tui.monitor import Acknowledgement
from upload_tui.text import MOMENT_EXAMPLES, parse_duration, sanitize
from upload_tui.tui.bindings import key_of
from upload_tui.tui.screens.dialog import Dialog

__all__ = ["PromptScreen", "acknowledge_prompt", "parse_acknowledgement", "time_prompt"]

_FOR = re.compile(r"(?:^|\s)for\s+(\S*[^\W\d])\s*$")
"""A duration at the end of a note has a unit: `asked for 12` is no time."""


class PromptScreen(Dialog[str | None]):
    """A dialog that returns the text that was typed; None if it was cancelled.

    Args:
        title: what the text is for.
        verb: what Enter does, in the imperative.
        placeholder: an example, shown while nothing is typed.
        note: a line of help.
        mistake_of: what is wrong with a text, in one sentence; None if nothing is. The dialog stays open with it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="prompt.cancel", tooltip="Close without doing it"),
    ]

    def __init__(
        self,
        title: str,
        verb: str,
        placeholder: str,
        note: str,
        mistake_of: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        super().__init__()
        self._title = title
        self._verb = verb
        self._placeholder = placeholder
        self._note = note
        self._mistake_of = mistake_of

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        with Vertical(id="prompt") as dialog:
            dialog.border_title = Content(self._title)
            dialog.border_subtitle = f"Enter {self._verb}, {key_of(self, 'prompt.cancel')} cancel"
            field = Input(placeholder=self._placeholder, compact=True)
            field.cursor_blink = self.app.animation_level != "none"
            yield field
            yield Label(Content(self._note))

    @on(Input.Submitted)
    def finish(self, event: Input.Submitted) -> None:
        """Close the dialog with what was typed, unless it has a mistake."""
        mistake = self._mistake_of(event.value) if event.value.strip() else None
        if mistake is None:
            self.dismiss(event.value)
        else:
            self.app.bell()
            self.query_one(Label).update(Content.styled(sanitize(mistake), "$warning"))


def acknowledge_prompt(which: str) -> PromptScreen:
    """A prompt for the note of an acknowledgement of these uploads."""
    note = "Until its stage changes; for a time if the note ends with `for 2h`"
    return PromptScreen(f"Acknowledge {which}", "acknowledge", "note, such as: known, ticket 12", note)


def time_prompt(title: str, parse: Callable[[str], datetime | None], note: str = "") -> PromptScreen:
    """A prompt for a time, which `parse` parses; it returns None for what is none."""

    def mistake_of(text: str) -> str | None:
        return f"Not a time: {text}" if parse(text) is None else None

    return PromptScreen(
        title, "go", ", ".join(MOMENT_EXAMPLES), note or "A clock time is the last past one", mistake_of
    )


def parse_acknowledgement(text: str, now: datetime) -> Acknowledgement:
    """The acknowledgement that a user typed: a note, which may end with `for` and a duration."""
    end = _FOR.search(text)
    seconds = parse_duration(end[1]) if end else None
    if end is None or seconds is None:
        return Acknowledgement(text.strip())
    try:
        return Acknowledgement(text[: end.start()].strip(), now + timedelta(seconds=seconds))
    except OverflowError:  # beyond the calendar: it has no end
        return Acknowledgement(text[: end.start()].strip())
