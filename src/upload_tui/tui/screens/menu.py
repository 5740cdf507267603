"""Menus: dialogs in which the user chooses one line of several."""

from collections.abc import Hashable, Sequence
from typing import ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from upload_tui.tui.controls import Fault
from upload_tui.tui.exports import ExportKind
from upload_tui.tui.keys.bindings import HELP_KEY
from upload_tui.tui.keys.labels import key_of

__all__ = ["MenuScreen", "OptionScreen", "export_menu", "fault_menu"]

Result = TypeVar("Result")


class OptionScreen(ModalScreen[Result]):
    """A dialog with one list of options."""

    _option_lines: Sequence[tuple[Hashable, Content]] = ()

    def replace_options(self, lines: Sequence[tuple[Hashable, Content]]) -> None:
        """Show other lines, each with a key; the highlight stays on its key."""
        options, keys = self.query_one(OptionList), [key for key, _ in lines]
        before, self._option_lines = self._option_lines, lines
        if keys == [key for key, _ in before] and len(keys) == options.option_count:
            for index, (_, text) in enumerate(lines):
                if not text.is_same(before[index][1]):
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


class MenuScreen(OptionScreen[str | None]):
    """A dialog that returns the key of the chosen line; None if it was closed.

    Args:
        title: the title of the dialog.
        hint: what Enter does, in the imperative.
        lines: the key and the text of each line.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "Close", id="menu.close", tooltip="Close this dialog"),
        HELP_KEY,
        Binding("j", "cursor(1)", "Down", show=False, id="menu.down", tooltip="Next line"),
        Binding("k", "cursor(-1)", "Up", show=False, id="menu.up", tooltip="Previous line"),
    ]

    def __init__(self, title: str, hint: str, lines: Sequence[tuple[str, Content]]) -> None:
        super().__init__()
        self._title = title
        self._hint = hint
        self._lines = self._option_lines = lines

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        menu = OptionList(*(Option(text) for _, text in self._lines), id="menu")
        menu.border_title = self._title
        menu.border_subtitle = f"Enter {self._hint}, {key_of(self, 'menu.close')} close"
        yield menu

    def replace_lines(self, lines: Sequence[tuple[str, Content]]) -> None:
        """Show other lines; the highlight stays on its key."""
        self._lines = lines
        self.replace_options(lines)

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        """Close the menu with the chosen option."""
        self.dismiss(self._lines[event.option_index][0])


def _line(name: str, description: str) -> Content:
    return Content.assemble((f"{name:<22}", "bold"), (description, "$quiet"))


def fault_menu(faults: Sequence[Fault]) -> MenuScreen:
    """A menu that returns a fault's name."""
    return MenuScreen("Faults", "inject", [(fault.name, _line(fault.name, fault.description)) for fault in faults])


def export_menu(marked_count: int) -> MenuScreen:
    """A menu that returns an `ExportKind`; `marked_count` uploads are exported instead of the table's, if there are any."""
    which = f"{marked_count:,} marked" if marked_count else "uploads in the table"
    kinds = (
        (ExportKind.JSON, "Uploads, JSON", f"{which}, as `upload-tui list -o json`"),
        (ExportKind.CSV, "Uploads, CSV", f"{which}, one per line"),
        (ExportKind.JSONL, "Changes, JSON lines", "changes in Activity, as `upload-tui tail`"),
        (ExportKind.SVG, "Screenshot, SVG", "the screen as shown"),
    )
    return MenuScreen("Export", "save", [(kind, _line(name, description)) for kind, name, description in kinds])
