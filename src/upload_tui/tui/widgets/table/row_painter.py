"""Paints the lines of rows as strips and caches them until a text in them changes."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import lru_cache

from msgspec import Struct
from rich.segment import Segment
from rich.style import Style
from textual.cache import FIFOCache
from textual.content import Content
from textual.strip import Strip

from upload_tui.monitor import Query, Row, UploadKey
from upload_tui.text import age_text, name_or_id
from upload_tui.tui.appearance.columns import (
    TITLES,
    Column,
    ColumnKey,
    ColumnSpec,
    TextWidths,
    fit_columns,
    title_text,
)
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.fitting import fit_to_width, truncate_at_word, truncate_middle, widest
from upload_tui.tui.widgets.table.cells import BADGE_CLASSES, Piece, cell, highlighted, note_widths, second_line

__all__ = ["Background", "ColumnView", "RowPainter", "TABLE_CLASSES"]

_MATCH = "uploads--match"


_GENERAL_CLASSES = ("header", "quiet", "dim", "stale", "cursor", "cursor-blurred", "highlight")
_SIGN_CLASSES = (
    "bar",
    "bar-blurred",
    "mark",
    "mark-under-bar",
    "match",
    "overdue",
    "stuck",
    "contradictory",
    "anomaly",
)
_STAGE_CLASSES = ("initiated", "completed", "verified", "error")

TABLE_CLASSES = frozenset(f"uploads--{name}" for name in (*_GENERAL_CLASSES, *_SIGN_CLASSES, *_STAGE_CLASSES))
"""The component classes of the table."""

_BARS = {"uploads--cursor": "uploads--bar", "uploads--cursor-blurred": "uploads--bar-blurred"}
"""The component class of the cursor's bar on each background."""
_REVERSED_CLASSES = BADGE_CLASSES | {"uploads--mark-under-bar", _MATCH}
_KEPT_CLASSES = _REVERSED_CLASSES | {"uploads--bar", "uploads--bar-blurred", "uploads--mark", "uploads--overdue"}
"""Component classes that do not fade with a stale row."""

Background = str
"""The component class of a row's background; empty for the table's own."""


class ColumnView(Struct, frozen=True):
    """What a table chooses its columns for: its projects, their names, and the user's choice (empty: the defaults).

    `words` are highlighted in names and ids.
    """

    several_projects: bool = False
    project_names: tuple[str, ...] = ()
    specs: tuple[ColumnSpec, ...] = ()
    words: tuple[str, ...] = ()


_SEARCHED_COLUMNS = frozenset({ColumnKey.NAME, ColumnKey.ID})


_MAX_MEASURED = 8
"""Windows of rows whose texts were measured: the current one, and those that the next key may lead to."""
_MAX_STRIPS = 400
"""Painted lines in the cache: those that are visible, and the pages that the next key may lead to."""


class RowPainter:
    """Paints lines for one width and one set of display options at a time, and caches the lines of rows.

    Moving the cursor leaves most rows as they are; these are painted once.

    Args:
        style_on: returns the style of a component class on a background.
    """

    def __init__(self, style_on: Callable[[str, Background], Style]) -> None:
        self.columns: tuple[Column, ...] = ()
        self._style_on = style_on
        self._width = 0
        self._display_options = DisplayOptions()
        self._view = ColumnView()
        self._rows: Sequence[Row] = ()
        self._first_rows: Sequence[Row] = ()
        self._texts = TextWidths()
        self._measured: FIFOCache[int, tuple[Sequence[Row], DisplayOptions, TextWidths]] = FIFOCache(_MAX_MEASURED)
        """By the id of some rows: the rows, the options, and what the texts need."""
        self._now: datetime | None = None
        self._day: date | None = None
        self.strips: FIFOCache[tuple[UploadKey, int, Background, bool], tuple[Row, object, Strip]] = FIFOCache(
            _MAX_STRIPS
        )
        """The painted lines; clear them when styles change."""

    def fit(
        self,
        width: int,
        display_options: DisplayOptions,
        view: ColumnView,
        rows: Sequence[Row],
        first_rows: Sequence[Row] = (),
    ) -> None:
        """Choose the columns for lines of `width` cells; the first cell is for the mark.

        What the texts of `rows`, and of the query's `first_rows`, need is kept until the width changes, so that columns do not
        move back and forth.
        """
        texts = self._texts if width == self._width else TextWidths()
        if first_rows is not self._first_rows or texts is not self._texts:
            texts = _union(texts, self.measure(first_rows, display_options))
        if rows is not self._rows or texts is not self._texts:
            texts = _union(texts, self.measure(rows, display_options))
        self._rows, self._first_rows = rows, first_rows
        fitted = (width, display_options, view, texts)
        if self.columns and (self._width, self._display_options, self._view, self._texts) == fitted:
            return
        self._width, self._display_options, self._view, self._texts = fitted
        self.strips.clear()
        services = tuple(title for _, title in display_options.services)
        self.columns = fit_columns(
            width - 1,
            absolute_times=display_options.absolute_times,
            several_projects=view.several_projects,
            several_services=bool(display_options.services),
            specs=view.specs,
            names={ColumnKey.PROJECT: _own_names(view.project_names, services), ColumnKey.SERVICE: services},
            texts=texts,
        )

    def measure(self, rows: Sequence[Row], display_options: DisplayOptions) -> TextWidths:
        """What the texts of rows need. Cached, so that a page that the next key may lead to can be measured before it is shown."""
        measured = self._measured.get(id(rows))
        if measured is None or measured[0] is not rows or measured[1] != display_options:
            measured = self._measured[id(rows)] = (rows, display_options, _widths_of(rows, display_options))
        return measured[2]

    def header(self, query: Query) -> Strip:
        """The titles of the columns."""
        style, options = self._style_on("uploads--header", ""), self._display_options
        titles = " ".join(
            title_text(column, query.sort, query.descending, options.glyphs, absolute_times=options.absolute_times)
            for column in self.columns
        )
        return Strip([Segment(f" {titles}", style)]).adjust_cell_length(self._width, style)

    def message(self, text: str, line: int) -> Strip:
        """A line, from 0, of a wrapped text that is shown instead of rows; blank below the text."""
        lines = Content(text).wrap(max(1, self._width - 2))
        text = lines[line].plain.rstrip() if line < len(lines) else ""
        return Strip([Segment(fit_to_width(f" {text}", self._width), self._style_on("uploads--quiet", ""))])

    def rule(self, text: str) -> Strip:
        """A line between two rows, with a text in it."""
        options = self._display_options
        text = truncate_at_word(text, self._width - 6, options.glyphs.ellipsis)
        words = [Segment(f" {text} ", self._style_on("", ""))] if text else []
        line, quiet = options.glyphs.link, self._style_on("uploads--quiet", "")
        used = 3 + sum(segment.cell_length for segment in words)
        head = Segment(f" {line * 2}", quiet)
        return Strip([head, *words, Segment(line * max(0, self._width - used - 1), quiet)]).adjust_cell_length(
            self._width, quiet
        )

    def row_line(self, row: Row, line: int, now: datetime, background: Background, *, is_marked: bool) -> Strip:
        """Line 0 of a row (its columns) or line 1 (the details below them)."""
        if now != self._now:
            self._now, self._day = now, now.astimezone(self._display_options.zone).date()
        key = (row.key, line, background, is_marked)
        times, moment = (row.stage_since, row.initiated_on), now if row.is_stale else self._day
        present = (moment, *(on and age_text((now - on).total_seconds()) for on in times))
        cached = self.strips.get(key)
        if cached is None or cached[0] is not row or cached[1] != present:
            first = self._first_piece(background, is_marked=is_marked)
            pieces = [first, *(self._detail_pieces(row, now) if line else self._column_pieces(row, now))]
            cached = self.strips[key] = (row, present, self._strip(pieces, row, background))
        return cached[2]

    def _first_piece(self, background: Background, *, is_marked: bool) -> Piece:
        """The bar of the cursor, or the sign of a marked row; for both the sign, reversed."""
        glyphs, has_cursor = self._display_options.glyphs, background in _BARS
        if is_marked:
            return glyphs.mark, "uploads--mark-under-bar" if has_cursor else "uploads--mark"
        return (glyphs.cursor, _BARS[background]) if has_cursor else (" ", "")

    def _column_pieces(self, row: Row, now: datetime) -> Sequence[Piece]:
        pieces: list[Piece] = []
        has_age = not self._display_options.absolute_times and ColumnKey.SINCE in {one.key for one in self.columns}
        for index, column in enumerate(self.columns):
            if index:
                pieces.append((" ", ""))
            pieces_of_cell = cell(column, row, now, self._display_options, has_age_beside=has_age)
            if self._view.words and column.key in _SEARCHED_COLUMNS:
                for text, component_class in pieces_of_cell:
                    pieces.extend(piece for piece in highlighted(text, component_class, self._view.words) if piece[0])
            else:
                pieces.extend(pieces_of_cell)
        return pieces

    def _detail_pieces(self, row: Row, now: datetime) -> Sequence[Piece]:
        """Details, indented to the second column."""
        indent = " " * (self.columns[0].width + 1 if len(self.columns) > 1 else 0)
        note_cells = next((column.width for column in self.columns if column.key is ColumnKey.NOTE), 0)
        pieces = second_line(row, now, self._display_options, self._width - len(indent) - 2, note_cells)
        if self._view.words:
            pieces = [part for piece in pieces for part in highlighted(*piece, self._view.words) if part[0]]
        return [(indent, ""), *pieces]

    def _strip(self, pieces: Sequence[Piece], row: Row, background: Background) -> Strip:
        """Join the pieces of one style to one segment: Textual's work on a line grows with its segments.

        A blank has no visible style, so it joins the piece before it, unless that is a badge. Stale rows fade unless in trouble.
        """
        is_dim = row.is_gone or (row.is_stale and row.trouble is None)
        plain = self._style_on("", background)
        runs: list[Piece] = []
        for text, own_class in pieces:
            component_class = "uploads--stale" if is_dim and own_class not in _KEPT_CLASSES else own_class
            if runs and (component_class == runs[-1][1] or (text.isspace() and runs[-1][1] not in _REVERSED_CLASSES)):
                runs[-1] = (runs[-1][0] + text, runs[-1][1])
            else:
                runs.append((text, component_class))
        segments = [Segment(text, self._style_on(component_class, background)) for text, component_class in runs]
        return Strip(segments).adjust_cell_length(self._width, plain)

    def column_at(self, x: int) -> Column | None:
        """The column at cell `x` of a line; None beyond the last column."""
        edge = 1
        for column in self.columns:
            edge += column.width + 1
            if x < edge:
                return column
        return None


def _own_names(names: tuple[str, ...], services: tuple[str, ...]) -> tuple[str, ...]:
    """The names of projects without the service before them (`east/Genome`), which has a column of its own."""
    parts = (name.partition("/") for name in names)
    return tuple(rest if rest and service in services else f"{service}{slash}{rest}" for service, slash, rest in parts)


def _union(texts: TextWidths, others: TextWidths) -> TextWidths:
    """What texts need together with others."""
    return TextWidths(
        max(texts.name, others.name),
        max(texts.distinct_name, others.distinct_name),
        max(texts.note, others.note),
        texts.note_forms | others.note_forms,
        max(texts.state, others.state),
    )


def _widths_of(rows: Sequence[Row], display_options: DisplayOptions) -> TextWidths:
    """What the texts of rows need."""
    names, notes = [name_or_id(row.name, row.id) for row in rows], [note_widths(row, display_options) for row in rows]
    screens = (frozenset(names[start : start + _SCREEN_ROWS]) for start in range(0, len(names), _SCREEN_ROWS))
    return TextWidths(
        widest([TITLES[ColumnKey.NAME], *names]) if names else 0,
        max((_distinct_width(each, display_options.glyphs.ellipsis) for each in screens), default=0),
        max((width for width, _ in notes), default=0),
        frozenset().union(*(forms for _, forms in notes)),
        widest(row.unknown_state for row in rows),
    )


_DISTINCT_WIDTHS = range(16, 25, 4)
"""Widths of names that are tried: narrower columns are not made, and wider ones would take the room of reasons."""
_SCREEN_ROWS = 32
"""Rows of one screen: their names are to differ; those of two screens need not."""


@lru_cache(maxsize=32)
def _distinct_width(names: frozenset[str], ellipsis: str) -> int:
    """The least width at which names that are shortened differ; 0 if there is none."""
    return next(
        (
            width
            for width in _DISTINCT_WIDTHS
            if len({truncate_middle(name, width, ellipsis) for name in names}) == len(names)
        ),
        0,
    )
