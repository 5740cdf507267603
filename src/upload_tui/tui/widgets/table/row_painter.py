"""Paints the lines of the uploads table: facts and a width in, strips out. Colours come from the table's component classes."""

from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec import Struct
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from upload_tui.monitor import Query, Row
from upload_tui.tui.appearance.columns import Column, fit_columns, title_text
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.fitting import fit_to_width, truncate_at_word
from upload_tui.tui.widgets.table.cells import Piece, cell, second_line

__all__ = ["Background", "StyleCache", "StripCache", "RowPainter"]

_GENERAL_CLASSES = ("header", "quiet", "warning", "stale", "cursor", "cursor-blurred", "glow", "mark")
_STAGE_CLASSES = ("initiated", "completed", "verified", "error")

TABLE_CLASSES = frozenset(f"uploads--{name}" for name in (*_GENERAL_CLASSES, *_STAGE_CLASSES))
"""All component classes that are painted with."""

Background = str
"""The component class of a row's background; empty for the table's own."""


class StyleCache:
    """The styles of tones on grounds, as the sheets have them for a widget; each is looked up once."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._styles: dict[tuple[str, Background], Style] = {}

    def clear(self) -> None:
        """The sheets may say otherwise now."""
        self._styles.clear()

    def style(self, component_class: str, background: Background) -> Style:
        """The style of a tone on a ground; either may be empty for the widget's own."""
        key = (component_class, background)
        style = self._styles.get(key)
        if style is None:
            below = self._widget.get_component_rich_style(background) if background else self._widget.rich_style
            ink = (
                self._widget.get_component_rich_style(component_class, partial=True)
                if component_class
                else Style.null()
            )
            style = self._styles[key] = below + ink
        return style


class RowPainter(Struct):
    """Paints for one width and one look at a time; a change of either chooses the columns anew.

    Attributes:
        style_of: the style of a tone on a ground.
    """

    style_of: Callable[[str, Background], Style]
    columns: tuple[Column, ...] = ()
    _fitted_for: tuple[int, DisplayOptions, bool] | None = None

    def fit(self, width: int, display_options: DisplayOptions, several_projects: bool) -> None:
        """Choose the columns that fit; the first cell of a line is for the mark. Rows of several projects say which is theirs."""
        if self._fitted_for != (width, display_options, several_projects):
            self._fitted_for = (width, display_options, several_projects)
            self.columns = fit_columns(
                width - 1,
                absolute_times=display_options.absolute_times,
                several_projects=several_projects,
                several_services=bool(display_options.services),
                specs=display_options.columns,
            )

    def header(self, query: Query, display_options: DisplayOptions, width: int) -> Strip:
        """The columns' titles."""
        style = self.style_of("uploads--header", "")
        order, absolute = (query.sort, query.descending, display_options.glyphs), display_options.absolute_times
        titles = " ".join(title_text(column, *order, absolute_times=absolute) for column in self.columns)
        return Strip([Segment(f" {titles}", style)]).adjust_cell_length(width, style)

    def message(self, text: str, display_options: DisplayOptions, width: int) -> Strip:
        """A line of words in place of rows."""
        line = fit_to_width(f" {truncate_at_word(text, width - 2, display_options.glyphs.ellipsis)}", width)
        return Strip([Segment(line, self.style_of("uploads--quiet", ""))])

    def row(
        self,
        row: Row,
        now: datetime,
        display_options: DisplayOptions,
        width: int,
        background: Background,
        *,
        is_marked: bool,
    ) -> Strip:
        """The line of one upload."""
        pieces: list[Piece] = [(display_options.glyphs.mark if is_marked else " ", "uploads--mark")]
        for index, column in enumerate(self.columns):
            if index:
                pieces.append((" ", ""))
            pieces.extend(cell(column, row, now, display_options))
        return self._strip(pieces, row, width, background)

    def second_line(
        self,
        row: Row,
        now: datetime,
        display_options: DisplayOptions,
        width: int,
        background: Background,
        *,
        is_marked: bool,
    ) -> Strip:
        """The second line that a roomy table gives an upload; it stands below the columns after the first."""
        indent = " " * (self.columns[0].width + 2 if len(self.columns) > 1 else 1)
        return self._strip(
            [(indent, ""), *second_line(row, now, display_options, width - len(indent) - 1)], row, width, background
        )

    def _strip(self, pieces: Sequence[Piece], row: Row, width: int, background: Background) -> Strip:
        """One segment for each run of one style: whatever is done with a line is done with each of its segments.

        A blank shows no ink, so that it goes with what stands before it; but where a line is reversed it shows nothing else.
        """
        is_dim, plain = row.is_stale or row.is_gone, self.style_of("", background)
        runs: list[tuple[str, str]] = []
        for text, said in pieces:
            tone = "uploads--stale" if is_dim else said
            if runs and (tone == runs[-1][1] or (text.isspace() and not plain.reverse)):
                runs[-1] = (runs[-1][0] + text, runs[-1][1])
            else:
                runs.append((text, tone))
        segments = [Segment(text, self.style_of(tone, background)) for text, tone in runs]
        return Strip(segments).adjust_cell_length(width, plain)

    def column_at(self, x: int) -> Column | None:
        """The column that a cell of a line belongs to."""
        edge = 1
        for column in self.columns:
            edge += column.width + 1
            if x < edge:
                return column
        return None


class StripCache:
    """Lines that were painted: a key moves the cursor over rows that stay as they are, and these are painted once."""

    def __init__(self) -> None:
        self._strips: dict[tuple[object, ...], tuple[Row, Strip]] = {}
        self._inputs: tuple[object, ...] = ()

    def clear(self) -> None:
        """Forget them all."""
        self._strips.clear()

    def clear_if_changed(self, inputs: tuple[object, ...]) -> None:
        """Forget them unless they were painted of the same facts."""
        if inputs != self._inputs:
            self._inputs = inputs
            self._strips.clear()

    def get(self, row: Row, variant: tuple[object, ...], paint: Callable[[], Strip]) -> Strip:
        """A line of this very row, painted in a way; painted if it was not yet."""
        key = (row.id, *variant)
        kept = self._strips.get(key)
        if kept is None or kept[0] is not row:
            kept = self._strips[key] = (row, paint())
        return kept[1]
