"""The base class of dialogs that are as current as the screen below them."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TypeVar

from textual.screen import ModalScreen

from upload_tui.monitor import Change

__all__ = ["LiveDialog"]

Result = TypeVar("Result")


class LiveDialog(ModalScreen[Result]):
    """A dialog over a session, painted again with each change of the picture, and every second for its ages."""

    def on_mount(self) -> None:
        """Show what is known."""
        self.set_interval(1.0, self.refresh_picture)
        self.call_after_refresh(self.refresh_picture)

    @abstractmethod
    def refresh_picture(self) -> None:
        """Show the picture as it is now."""

    def apply_changes(self, changes: Sequence[Change]) -> None:
        """Show the picture as it is now; `changes` are those of uploads since the last call."""
        self.refresh_picture()
