"""Messages between the rooms of the dashboard: children tell, parents decide."""

from typing import TextIO

from msgspec import Struct
from textual.message import Message

from upload_tui.monitor import Change
from upload_tui.tui.appearance.columns import ColumnSpec

__all__ = ["ColumnsChosen", "ExportReady", "ChangeBatch", "ThemeChosen"]


class ChangeBatch(Struct, frozen=True):
    """The session's picture changed; `changes` are the changes of uploads since the last such word, oldest first."""

    changes: tuple[Change, ...]


class ColumnsChosen(Message):
    """The person wants these columns, in this order."""

    def __init__(self, columns: tuple[ColumnSpec, ...]) -> None:
        super().__init__()
        self.columns = columns


class ExportReady(Message):
    """A text is composed and wants to become a file of this name."""

    def __init__(self, text: TextIO, file_name: str) -> None:
        super().__init__()
        self.text = text
        self.file_name = file_name


class ThemeChosen(Message):
    """The person wants the theme of this name."""

    def __init__(self, theme: str) -> None:
        super().__init__()
        self.theme = theme
