"""The dialog for the columns of the table: which ones, their order and width."""

from collections.abc import Collection, Iterator, Sequence
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from upload_tui.tui.appearance.columns import TITLES, ColumnKey, ColumnSpec, width_of
from upload_tui.tui.bindings import HELP_KEY, key_of
from upload_tui.tui.fitting import FRAME_CELLS
from upload_tui.tui.screens.dialog import DialogList, OptionScreen

__all__ = ["ColumnScreen"]


_STEP_CELLS = 2


class _ColumnLine(Struct, frozen=True):
    column: ColumnSpec
    is_on: bool


def _lines_of(columns: Sequence[ColumnSpec]) -> list[_ColumnLine]:
    """The columns that are on, then the others."""
    shown = {column.key for column in columns}
    hidden = (ColumnSpec(key) for key in ColumnKey if key not in shown)
    return [*(_ColumnLine(column, True) for column in columns), *(_ColumnLine(column, False) for column in hidden)]


class _Menu(DialogList):
    """The list of columns. The subtitle shows the keys, shortened to fit."""

    def on_resize(self) -> None:
        self.border_subtitle = next(
            (hint for hint in self._hints() if len(hint) <= self.outer_size.width - FRAME_CELLS), ""
        )

    def _hints(self) -> Iterator[str]:
        """Yield texts for the subtitle, the longest first."""
        toggle, later, earlier, wider, narrower, reset, close = (
            key_of(self.screen, f"columns.{action}")
            for action in ("toggle", "later", "earlier", "wider", "narrower", "reset", "close")
        )
        changes = f"{toggle} on/off, {later} {earlier} move, {wider} {narrower} width"
        yield f"{changes}, {reset} reset, Enter apply, {close} cancel"
        yield f"{changes}, {reset} reset, Enter apply"
        yield f"{changes}, Enter apply"
        yield f"{toggle} on/off, {later} {earlier}, {wider} {narrower}, Enter apply"
        yield f"{toggle}, {later} {earlier}, {wider} {narrower}, Enter"
        yield "Enter"


class ColumnScreen(OptionScreen[tuple[ColumnSpec, ...] | None]):
    """A dialog that returns the chosen columns in order, or none for the default ones; None if it was cancelled.

    Args:
        columns: the present columns.
        left_out: those of them that do not fit.
        defaults: the columns to return to.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,c", "dismiss(None)", "Cancel", id="columns.close", tooltip="Close without changes"),
        HELP_KEY,
        Binding("space", "toggle_column", "On or off", id="columns.toggle", tooltip="Show or hide the column"),
        Binding("j", "cursor(1)", "Down", show=False, id="columns.down", tooltip="Next column"),
        Binding("k", "cursor(-1)", "Up", show=False, id="columns.up", tooltip="Previous column"),
        Binding("J,shift+down", "shift(1)", "Later", id="columns.later", tooltip="Move the column to the right"),
        Binding("K,shift+up", "shift(-1)", "Earlier", id="columns.earlier", tooltip="Move the column to the left"),
        Binding("plus,equals_sign", "widen(1)", "Wider", id="columns.wider", tooltip="Make the column wider"),
        Binding("minus", "widen(-1)", "Narrower", id="columns.narrower", tooltip="Make the column narrower"),
        Binding("backspace", "reset_width", "Reset width", id="columns.width", tooltip="Use the default width"),
        Binding("r", "reset", "Reset", id="columns.reset", tooltip="Use the default columns and widths"),
    ]

    def __init__(
        self,
        columns: Sequence[ColumnSpec],
        left_out: Collection[ColumnKey],
        defaults: Sequence[ColumnSpec],
    ) -> None:
        super().__init__()
        self._left_out = left_out
        self._defaults = tuple(defaults)
        self._lines = _lines_of(columns)

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        menu = _Menu(*self._options(), id="columns")
        menu.border_title = "Columns"
        yield menu

    def _options(self) -> list[Option]:
        return [Option(self._text(line)) for line in self._lines]

    def _text(self, line: _ColumnLine) -> Content:
        width = line.column.width or width_of(line.column.key)
        mark = "x" if line.is_on else " "
        size = f"width {width}" if width else "fills the rest"
        if line.is_on and line.column.key in self._left_out:
            size = f"{size}, no room"
        return Content.assemble(
            (f"[{mark}] ", "bold $primary"),
            (f"{TITLES[line.column.key]:<12}", "" if line.is_on else "$quiet"),
            (size, "$quiet"),
        )

    @on(OptionList.OptionSelected)
    def finish(self) -> None:
        """Close the screen with the columns that are on; the default ones are no choice, so that they still depend on the width."""
        chosen = tuple(line.column for line in self._lines if line.is_on)
        self.dismiss(() if chosen == self._defaults else chosen)

    def action_toggle_column(self) -> None:
        """Turn the column at the cursor on or off."""
        line = self._lines[self._index]
        if not line.is_on or sum(other.is_on for other in self._lines) > 1:  # the last column stays on
            self._replace_line(self._index, replace(line, is_on=not line.is_on))

    def action_shift(self, rows: int) -> None:
        """Move the column at the cursor by this many rows."""
        target = max(0, min(self._index + rows, len(self._lines) - 1))
        self._lines.insert(target, self._lines.pop(self._index))
        self._repaint(target)

    def action_widen(self, steps: int) -> None:
        """Widen the column at the cursor by this many steps; negative ones narrow it."""
        line = self._lines[self._index]
        width = line.column.width or width_of(line.column.key) or 24
        self._replace_line(
            self._index, replace(line, column=replace(line.column, width=max(1, min(width + steps * _STEP_CELLS, 200))))
        )

    def action_reset(self) -> None:
        """Show the default columns in their default order and width."""
        self._lines = _lines_of(self._defaults)
        self._repaint(0)

    def action_reset_width(self) -> None:
        """Reset the width of the column at the cursor."""
        line = self._lines[self._index]
        self._replace_line(self._index, replace(line, column=replace(line.column, width=None)))

    @property
    def _index(self) -> int:
        return self.query_one(OptionList).highlighted or 0

    def _replace_line(self, index: int, line: _ColumnLine) -> None:
        self._lines[index] = line
        self._repaint(index)

    def _repaint(self, index: int) -> None:
        menu = self.query_one(OptionList)
        menu.clear_options()
        menu.add_options(self._options())
        menu.highlighted = index
