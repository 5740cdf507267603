"""The dialog in which the user acknowledges what is wrong with uploads."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from upload_tui.monitor import Acknowledgement
from upload_tui.text import parse_duration, sanitize
from upload_tui.tui.bindings import key_of

__all__ = ["AcknowledgeScreen", "parse_acknowledgement"]

_FOR = re.compile(r"(?:^|\s)for\s+(\S*[^\W\d])\s*$")
"""A duration at the end of a note has a unit: `asked for 12` is no time."""


class AcknowledgeScreen(ModalScreen[Acknowledgement | None]):
    """A dialog with a line for a note; None if it was cancelled.

    Args:
        names: of the uploads.
        now: the present, for an end after a time.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="acknowledge.cancel", tooltip="Close without acknowledging"),
    ]

    def __init__(self, names: Sequence[str], now: datetime) -> None:
        super().__init__()
        self._names = names
        self._now = now

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        with Vertical(id="acknowledge") as dialog:
            several = f"{len(self._names):,} uploads"
            dialog.border_title = Content(
                f"Acknowledge {sanitize(self._names[0]) if len(self._names) == 1 else several}"
            )
            dialog.border_subtitle = f"Enter acknowledge, {key_of(self, 'acknowledge.cancel')} cancel"
            yield Input(placeholder="note, such as: known, ticket 12", compact=True)
            yield Label("Until its stage changes; for a time if the note ends with `for 2h`")

    @on(Input.Submitted)
    def finish(self, event: Input.Submitted) -> None:
        """Close the dialog with what was typed."""
        self.dismiss(parse_acknowledgement(event.value, self._now))


def parse_acknowledgement(text: str, now: datetime) -> Acknowledgement:
    """The acknowledgement that a user typed: a note, which may end with `for` and a duration."""
    end = _FOR.search(text)
    seconds = parse_duration(end[1]) if end else None
    if end is None or seconds is None:
        return Acknowledgement(text.strip())
    try:
        return Acknowledgement(text[: end.start()].strip(), now + timedelta(seconds=seconds))
    except OverflowError:  # for ever
        return Acknowledgement(text[: end.start()].strip())
