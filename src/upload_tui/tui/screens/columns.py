"""The dialog of columns: which ones, in what order, how wide."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from upload_tui.tui.appearance.columns import TITLES, ColumnKey, ColumnSpec, width_of
from upload_tui.tui.keys.bindings import HELP_KEY
from upload_tui.tui.keys.labels import key_of

__all__ = ["ColumnScreen"]

_STEP_CELLS = 2


class _ColumnLine(Struct, frozen=True):
    column: ColumnSpec
    is_on: bool


class _Menu(OptionList):
    """The columns; its lower edge tells the keys as far as there is room."""

    def on_resize(self) -> None:
        self.border_subtitle = next((hint for hint in self._hints() if len(hint) <= self.outer_size.width - 4), "")

    def _hints(self) -> Iterator[str]:
        """The keys, in ever fewer words."""
        toggle, later, earlier, wider, narrower = (
            key_of(self.screen, f"columns.{action}") for action in ("toggle", "later", "earlier", "wider", "narrower")
        )
        yield f"{toggle} on/off, {later} {earlier} move, {wider} {narrower} width, Enter done"
        yield f"{toggle} on/off, {later} {earlier}, {wider} {narrower}, Enter done"
        yield f"{toggle}, {later} {earlier}, {wider} {narrower}, Enter"
        yield "Enter"


class ColumnScreen(ModalScreen[tuple[ColumnSpec, ...] | None]):
    """Gives the columns that are wished for, in order; None if the person thought better of it.

    Args:
        columns: the columns at present.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,c", "dismiss(None)", "Close", id="columns.close", tooltip="Change nothing"),
        HELP_KEY,
        Binding("space", "switch", "On or off", id="columns.toggle", tooltip="Show or hide the column"),
        Binding("j", "cursor(1)", "Down", show=False, id="columns.down", tooltip="The next column"),
        Binding("k", "cursor(-1)", "Up", show=False, id="columns.up", tooltip="The column before"),
        Binding("J,shift+down", "shift(1)", "Later", id="columns.later", tooltip="Move the column to the right"),
        Binding("K,shift+up", "shift(-1)", "Earlier", id="columns.earlier", tooltip="Move the column to the left"),
        Binding("plus,equals_sign", "widen(1)", "Wider", id="columns.wider", tooltip="Make the column wider"),
        Binding("minus", "widen(-1)", "Narrower", id="columns.narrower", tooltip="Make the column narrower"),
        Binding("backspace", "forget_width", "Own width", id="columns.width", tooltip="Let the table choose the width"),
    ]

    def __init__(self, columns: Sequence[ColumnSpec]) -> None:
        super().__init__()
        wanted = {wish.key for wish in columns}
        others = (ColumnSpec(key) for key in ColumnKey if key not in wanted)
        self._lines = [*(_ColumnLine(wish, True) for wish in columns), *(_ColumnLine(wish, False) for wish in others)]

    def compose(self) -> ComposeResult:
        menu = _Menu(*self._options(), id="columns")
        menu.border_title = "Columns"
        yield menu

    def _options(self) -> list[Option]:
        return [Option(self._text(line)) for line in self._lines]

    def _text(self, line: _ColumnLine) -> Content:
        width = line.column.width or width_of(line.column.key)
        sign = "x" if line.is_on else " "
        size = f"{width} cells" if width else "what is left"
        return Content.assemble(
            (f"[{sign}] ", "bold $primary"),
            (f"{TITLES[line.column.key]:<12}", "" if line.is_on else "$quiet"),
            (size, "$quiet"),
        )

    @on(OptionList.OptionSelected)
    def finish(self) -> None:
        self.dismiss(tuple(line.column for line in self._lines if line.is_on))

    def action_cursor(self, rows: int) -> None:
        menu = self.query_one(OptionList)
        if rows > 0:
            menu.action_cursor_down()
        else:
            menu.action_cursor_up()

    def action_switch(self) -> None:
        place = self._index
        line = self._lines[place]
        if not line.is_on or sum(one.is_on for one in self._lines) > 1:  # a table without columns shows nothing
            self._replace_line(place, replace(line, is_on=not line.is_on))

    def action_shift(self, rows: int) -> None:
        place = self._index
        goal = max(0, min(place + rows, len(self._lines) - 1))
        self._lines.insert(goal, self._lines.pop(place))
        self._repaint(goal)

    def action_widen(self, steps: int) -> None:
        line = self._lines[self._index]
        width = line.column.width or width_of(line.column.key) or 24
        self._replace_line(
            self._index, replace(line, column=replace(line.column, width=max(1, min(width + steps * _STEP_CELLS, 200))))
        )

    def action_forget_width(self) -> None:
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
