"""Dialogs in which the user chooses one line of several: menus, views."""

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from upload_tui.text import sanitize
from upload_tui.tui.bindings import HELP_KEY, key_of
from upload_tui.tui.controls import Fault
from upload_tui.tui.exports import ExportKind
from upload_tui.tui.fitting import HangingLines
from upload_tui.tui.preferences import View
from upload_tui.tui.screens.dialog import DialogList, OptionScreen, is_current

__all__ = [
    "ALL_VIEWS_TITLE",
    "MenuScreen",
    "ViewChoice",
    "ViewMenu",
    "export_menu",
    "fault_menu",
]

Result = TypeVar("Result")


class MenuScreen(OptionScreen[str | None]):
    """A dialog that returns the key of the chosen line; None if it was closed.

    Args:
        title: the title of the dialog.
        hint: what Enter does, in the imperative.
        lines: the key and the text of each line.
        current: the key of the line that is highlighted first; the first line if there is no such key.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "Close", id="menu.close", tooltip="Close this dialog"),
        HELP_KEY,
        Binding("j", "cursor(1)", "Down", show=False, id="menu.down", tooltip="Next line"),
        Binding("k", "cursor(-1)", "Up", show=False, id="menu.up", tooltip="Previous line"),
    ]

    def __init__(
        self, title: str, hint: str, lines: Sequence[tuple[str, Content | HangingLines]], current: str = ""
    ) -> None:
        super().__init__()
        self._title = title
        self._hint = hint
        self._lines = self._option_lines = lines
        self._current = current

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        menu = DialogList(*(Option(text) for _, text in self._lines), id="menu")
        menu.border_title = self._title
        menu.border_subtitle = f"Enter {self._hint}, {key_of(self, 'menu.close')} close"
        menu.highlighted = next((index for index, (key, _) in enumerate(self._lines) if key == self._current), 0)
        yield menu

    def replace_lines(self, lines: Sequence[tuple[str, Content]]) -> None:
        """Show other lines; the highlight stays on its key."""
        self._lines = lines
        self.replace_options(lines)

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        """Close the menu with the chosen option."""
        if is_current(event):
            self.dismiss(self._lines[event.option_index][0])


def _line(name: str, description: str) -> HangingLines:
    return HangingLines((Content.styled(f"{name:<22}", "bold"), Content.styled(description, "$quiet")))


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


ALL_VIEWS_TITLE = "All uploads"
"""Of the line without a view."""


class ViewChoice(StrEnum):
    """What to do with views; `SHOW` and `REMOVE` are followed by a blank and the name of a view."""

    ALL = "all"
    SAVE = "save"
    SHOW = "show"
    REMOVE = "remove"


class ViewMenu(MenuScreen):
    """A menu that returns a `ViewChoice`.

    Args:
        views: the views.
        current: the name of the one that is shown.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "save", "Save", id="views.save", tooltip="Save the query, order and columns on screen as a view"),
        Binding("x", "remove", "Remove", id="views.remove", tooltip="Remove a view that was saved on screen"),
    ]

    def __init__(self, views: Sequence[View], current: str) -> None:
        lines = [
            (f"{ViewChoice.SHOW} {view.name}", _view_line(view, is_current=view.name == current)) for view in views
        ]
        lines = [(ViewChoice.ALL, Content(ALL_VIEWS_TITLE)), *lines]
        super().__init__("Views", "show", lines, f"{ViewChoice.SHOW} {current}")
        self._saved = {f"{ViewChoice.SHOW} {view.name}" for view in views if view.is_saved}

    def on_mount(self) -> None:
        """Name the keys."""
        save, remove, close = (key_of(self, name) for name in ("views.save", "views.remove", "menu.close"))
        self.query_one(OptionList).border_subtitle = f"Enter show, {save} save this, {remove} remove, {close} close"

    def action_save(self) -> None:
        """Save what is on screen."""
        self.dismiss(ViewChoice.SAVE)

    def action_remove(self) -> None:
        """Remove the view at the cursor; one of the settings stays."""
        chosen = self._lines[self.query_one(OptionList).highlighted or 0][0]
        if chosen in self._saved:
            self.dismiss(f"{ViewChoice.REMOVE} {chosen.removeprefix(f'{ViewChoice.SHOW} ')}")
        else:
            self.notify("Only views that were saved here can be removed here.", timeout=4)


def _view_line(view: View, *, is_current: bool) -> Content:
    order = [f"by {view.order}"] if view.order else []
    what = "  ".join([sanitize(view.query) or "all uploads", *order])
    name = sanitize(view.name)
    return Content.assemble(
        (f"{name:<16}", "bold underline" if is_current else "bold"), (f" {view.key:<6} ", "$primary"), (what, "$quiet")
    )
