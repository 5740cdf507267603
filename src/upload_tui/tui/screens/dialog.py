"""Base classes of dialogs."""

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from upload_tui.monitor import Change, Session, UploadKey
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.fitting import HangingLines
from upload_tui.tui.screens.session_screen import LiveScreen

__all__ = ["Dialog", "DialogList", "LiveDialog", "OptionScreen", "UploadDialog", "is_current"]

Result = TypeVar("Result")


class Dialog(ModalScreen[Result]):
    """A dialog, which closes once: a key that was pressed twice must not close what is below it."""

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Close the dialog and pass the result on, if it is still open."""
        return super().dismiss(result) if self.app.screen is self else AwaitComplete()


class LiveDialog(LiveScreen, Dialog[Result]):
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


class UploadDialog(LiveDialog[None]):
    """A live dialog about one upload."""

    def __init__(self, session: Session, key: UploadKey, display_options: DisplayOptions) -> None:
        super().__init__()
        self._session = session
        self._key = key
        self._display_options = display_options


class DialogList(OptionList):
    """The list of a dialog. Textual's cannot move by pages before it is laid out."""

    def action_page_down(self) -> None:
        """Move the cursor down by one page."""
        if self.scrollable_content_region:
            super().action_page_down()  # type: ignore[no-untyped-call]  # Textual has no types here

    def action_page_up(self) -> None:
        """Move the cursor up by one page."""
        if self.scrollable_content_region:
            super().action_page_up()  # type: ignore[no-untyped-call]


def is_current(event: OptionList.OptionSelected) -> bool:
    """False if the list was replaced since the option was chosen."""
    options = event.option_list.options
    return event.option_index < len(options) and options[event.option_index] is event.option


class OptionScreen(Dialog[Result]):
    """A dialog with one list of options."""

    _option_lines: Sequence[tuple[Hashable, Content | HangingLines]] = ()

    def replace_options(self, lines: Sequence[tuple[Hashable, Content | HangingLines]]) -> None:
        """Show other lines, each with a key; the highlight stays on its key."""
        options, keys = self.query_one(OptionList), [key for key, _ in lines]
        before, self._option_lines = self._option_lines, lines
        if keys == [key for key, _ in before] and len(keys) == options.option_count:
            for index, (_, text) in enumerate(lines):
                if not _is_same(text, before[index][1]):
                    options.replace_option_prompt_at_index(index, text)
            return
        highlighted = options.highlighted
        key = before[highlighted][0] if highlighted is not None and highlighted < len(before) else None
        options.clear_options()
        options.add_options([Option(text) for _, text in lines])
        if lines:
            options.highlighted = keys.index(key) if key in keys else min(highlighted or 0, len(lines) - 1)

    def action_cursor(self, rows: int) -> None:
        """Move the cursor by one option, down if `rows` is positive."""
        options = self.query_one(OptionList)
        if rows > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()


def _is_same(text: Content | HangingLines, other: Content | HangingLines) -> bool:
    if isinstance(text, Content):
        return isinstance(other, Content) and text.is_same(other)
    return text.is_same(other)
