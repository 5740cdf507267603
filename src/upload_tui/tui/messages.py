"""Messages of the dashboard: widgets and dialogs post them, screens and the app handle them."""

from typing import TextIO

from msgspec import Struct
from textual.message import Message

from upload_tui.monitor import Change
from upload_tui.tui.appearance.columns import ColumnSpec, ViewKind

__all__ = ["ChangeBatch", "ColumnsChosen", "ExportReady", "ThemeChosen"]


class ChangeBatch(Struct, frozen=True):
    """The session's picture changed. `changes` are those of uploads since the last batch, oldest first; there may be none."""

    changes: tuple[Change, ...]


class ColumnsChosen(Message):
    """The user chose these columns, in this order, for a kind of view."""

    def __init__(self, view: ViewKind, columns: tuple[ColumnSpec, ...]) -> None:
        super().__init__()
        self.view = view
        self.columns = columns


class ExportReady(Message):
    """A text to save under this file name."""

    def __init__(self, text: TextIO, file_name: str) -> None:
        super().__init__()
        self.text = text
        self.file_name = file_name


class ThemeChosen(Message):
    """The user chose the theme of this name."""

    def __init__(self, theme: str) -> None:
        super().__init__()
        self.theme = theme
