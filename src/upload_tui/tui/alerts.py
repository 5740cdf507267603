"""Alerts about failed uploads: one for each cause, repeated only after a quiet time."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct, field

from upload_tui.monitor import Change, StageReached
from upload_tui.status import Stage
from upload_tui.text import plural
from upload_tui.tui.fitting import cause_text, truncate_middle

__all__ = ["Alert", "AlertSettings", "Alerts", "CommandResult", "desktop_notification"]

_NAME_CELLS = 32
_CAUSE_CELLS = 24


class AlertSettings(Struct, frozen=True):
    """How to alert, besides the line at the top of the screen.

    Attributes:
        bell: ring the terminal's bell.
        desktop: ask the terminal for a desktop notification (OSC 9).
        quiet_seconds: the shortest time between two alerts of one cause; failures in between are alerted together.
    """

    bell: bool = False
    desktop: bool = False
    quiet_seconds: float = 60.0


class CommandResult(Struct, frozen=True):
    """How a command that ran because of failures ended: one line with the command and its end, not sanitized."""

    text: str
    is_ok: bool


class Alert(Struct, frozen=True):
    """Failures of one cause, oldest first."""

    failures: tuple[StageReached, ...]

    @property
    def text(self) -> str:
        """One line without control characters."""
        first = self.failures[0]
        cause = cause_text(first.error_message or "", _CAUSE_CELLS, "…")
        if len(self.failures) > 1:
            return f"{plural(len(self.failures), 'upload')} failed: {cause}"
        return f"{truncate_middle(first.upload.name or first.upload.id, _NAME_CELLS)} failed: {cause}"


class Alerts(Struct):
    """Collects failures until their alert is due."""

    settings: AlertSettings
    _waiting: dict[str, list[StageReached]] = field(default_factory=dict)
    _alerted_on: dict[str, datetime] = field(default_factory=dict)

    def add(self, changes: Iterable[Change]) -> None:
        """Add the failures among these changes."""
        for change in changes:
            if isinstance(change, StageReached) and change.after is Stage.ERROR:
                cause = cause_text(change.error_message or "", _CAUSE_CELLS, "…")
                self._waiting.setdefault(cause, []).append(change)

    def due(self, now: datetime) -> list[Alert]:
        """Return the alerts that are due, and remove them."""
        quiet = timedelta(seconds=self.settings.quiet_seconds)
        self._alerted_on = {cause: on for cause, on in self._alerted_on.items() if now - on < quiet}
        due = [cause for cause in self._waiting if cause not in self._alerted_on]
        self._alerted_on.update(dict.fromkeys(due, now))
        return [Alert(tuple(self._waiting.pop(cause))) for cause in due]


def desktop_notification(text: str, *, in_tmux: bool) -> str:
    """The escape sequence (OSC 9) for a desktop notification; tmux needs it wrapped.

    `text` must have no control characters: they would end the sequence.
    """
    sequence = f"\x1b]9;{text}\x07"
    return f"\x1bPtmux;{sequence.replace(chr(27), chr(27) * 2)}\x1b\\" if in_tmux else sequence
