"""The cells of a row and its second line, painted as strips. Colours come from the table's component classes.

Pure functions from rows to pieces. The component classes of pieces are those of the table, so that colours stay in the stylesheets.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from upload_tui.monitor import Query, Row
from upload_tui.status import Stage
from upload_tui.text import duration_text, fold, plural, sanitize, size_text
from upload_tui.tui.appearance.columns import (
    STAGE_WORD_WIDTH,
    TRACK_WIDTH,
    Column,
    ColumnKey,
    ColumnSpec,
    fit_columns,
    title_text,
)
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.appearance.glyphs import Glyphs
from upload_tui.tui.fitting import detailed_cause_text, distinct_name, fit_to_width, truncate_at_word, truncate_middle
from upload_tui.tui.widgets.pending_list import is_from_source, pending_reasons, stuck_badge, time_left_text

__all__ = [
    "BADGE_CLASSES",
    "Background",
    "ColumnView",
    "Piece",
    "RowPainter",
    "TABLE_CLASSES",
    "cell",
    "highlighted",
    "second_line",
    "stage_class",
]

Piece = tuple[str, str]
"""A text and its component class; an empty class means the table's own style."""

_BAR_CELLS = 8
_QUIET, _DIM, _OVERDUE, _ERROR = "uploads--quiet", "uploads--dim", "uploads--overdue", "uploads--error"
_STUCK, _CONTRADICTORY = "uploads--stuck", "uploads--contradictory"
_MATCH = "uploads--match"
BADGE_CLASSES = frozenset({_STUCK, _CONTRADICTORY})
"""The component classes of reversed text."""


def stage_class(stage: Stage) -> str:
    """The component class of a stage's colour."""
    return f"uploads--{stage}"


def cell(column: Column, row: Row, now: datetime, display_options: DisplayOptions) -> Sequence[Piece]:
    """The cell of a row in a column: pieces that fill the column's width exactly."""
    if column.key is ColumnKey.STAGE:
        return _stage_pieces(row, column.width, display_options.glyphs)
    if column.key is ColumnKey.NOTE:
        return _note_pieces(row, now, display_options, column.width)
    text, component_class = _text(column, row, now, display_options)
    return ((fit_to_width(text, column.width, align_right=column.is_right_aligned), component_class),)


def _text(column: Column, row: Row, now: datetime, display_options: DisplayOptions) -> Piece:
    match column.key:
        case ColumnKey.NAME:
            return truncate_middle(row.name or row.id, column.width, display_options.glyphs.ellipsis), _text_class(row)
        case ColumnKey.SIZE:
            text = size_text(row.size_bytes)
        case ColumnKey.SINCE:
            text = display_options.time_text(row.stage_since, now, column.width)
            return text, _OVERDUE if _problem_class(row) == _OVERDUE else _QUIET
        case ColumnKey.STARTED:
            text = display_options.time_text(row.initiated_on, now, column.width)
        case ColumnKey.TOOK:
            text = _took_text(row, display_options.glyphs)
        case ColumnKey.CHUNKS:
            text = "" if row.chunk_count is None else f"{row.chunk_count:,}"
        case _:
            place = _place_text(column.key, row, display_options)
            text = distinct_name(place, column.names, column.width, display_options.glyphs.ellipsis)
    return text, _QUIET


def _place_text(key: ColumnKey, row: Row, display_options: DisplayOptions) -> str:
    """Where an upload is found: its id, service or project."""
    if key is ColumnKey.ID:
        return row.id
    return (
        display_options.service_title(row.service) if key is ColumnKey.SERVICE else row.project_name or row.project_id
    )


def second_line(row: Row, now: datetime, display_options: DisplayOptions, width: int) -> Sequence[Piece]:
    """What the columns have no room for, in at most `width` cells: an error's message, or lateness, start, chunks and id."""
    glyphs = display_options.glyphs
    if row.stage is Stage.ERROR:
        return ((detailed_cause_text(row.error_message, width, glyphs.ellipsis), _ERROR),)
    lateness, dot = _lateness_text(row), f" {glyphs.dot} "
    head = f"{lateness}{dot}" if lateness else ""
    parts = [row.lateness.wait_text] if row.lateness.waits_for else []
    ago = "" if display_options.absolute_times else " ago"
    parts.append(f"started {display_options.time_text(row.initiated_on, now)}{ago}")
    if row.chunk_count is not None:
        parts.append(f"{plural(row.chunk_count, 'chunk')}, {size_text(row.chunk_bytes)} of {size_text(row.size_bytes)}")
    parts.append(sanitize(row.id))
    room = width - len(head)
    while len(parts) > 1 and cell_len(dot.join(parts)) > room:
        parts.pop()
    rest = truncate_at_word(sanitize(dot.join(parts)), room, glyphs.ellipsis)
    return ((fit_to_width(head, min(len(head), width)), _OVERDUE), (rest, _QUIET))


def _stage_pieces(row: Row, width: int, glyphs: Glyphs) -> Sequence[Piece]:
    """A track of the stages and the stage's name, as far as the column is wide enough; else the stage's sign.

    A problem replaces a sign on the track: that of the next stage, or of `verified` if the service reports it. Only the last
    sign has a colour.
    """
    if width < TRACK_WIDTH:
        return _stage_signs(row, width, glyphs)
    problem = _problem_class(row) if row.stage is not Stage.ERROR else ""
    track = [Stage.INITIATED, Stage.COMPLETED, Stage.ERROR if row.stage is Stage.ERROR else Stage.VERIFIED]
    pieces: list[Piece] = []
    for index, stage in enumerate(track):
        if index:
            pieces.append((glyphs.link, _QUIET))
        if problem and index == min(row.stage.rank + 1, 2):
            pieces.append((glyphs.warning, problem))
        elif index <= row.stage.rank:
            pieces.append((glyphs.stages[stage], stage_class(stage) if index == min(row.stage.rank, 2) else _QUIET))
        else:
            pieces.append((glyphs.unreached, _QUIET))
    word = f" {sanitize(row.unknown_state) or row.stage}" if width >= STAGE_WORD_WIDTH else ""
    word_class = stage_class(Stage.ERROR) if row.stage is Stage.ERROR else _text_class(row)
    return (*pieces, (fit_to_width(word, width - TRACK_WIDTH), word_class))


def _stage_signs(row: Row, width: int, glyphs: Glyphs) -> Sequence[Piece]:
    """The stage's sign, then a warning sign if there is a problem; in a single cell only the warning."""
    stage, problem = (glyphs.stages[row.stage], stage_class(row.stage)), _problem_class(row)
    if not problem or row.stage is Stage.ERROR:
        return (stage, (" " * (width - 1), ""))
    warning = (glyphs.warning, problem)
    return (stage, warning, (" " * (width - 2), "")) if width > 1 else (warning,)


def _problem_class(row: Row) -> str:
    """The component class of a problem's colour: late, failed or with an anomaly; empty if there is no problem."""
    if row.lateness.is_stuck or row.lateness.is_overdue:
        return _OVERDUE
    return _ERROR if row.stage is Stage.ERROR or row.anomaly_count else ""


def _text_class(row: Row) -> str:
    """The component class of a row's text: uploads that are verified, without a problem, are dim."""
    return _DIM if row.stage is Stage.VERIFIED and not _problem_class(row) else ""


def _lateness_text(row: Row) -> str:
    """`stuck` or `overdue` with the typical duration; empty if it is neither."""
    if not (row.lateness.is_stuck or row.lateness.is_overdue):
        return ""
    word = "stuck" if row.lateness.is_stuck else "overdue"
    return f"{word}, {_typical_text(row)}" if _typical_text(row) else word


def _note_pieces(row: Row, now: datetime, display_options: DisplayOptions, width: int) -> Sequence[Piece]:
    """The most important fact about a row, in exactly `width` cells: a problem, or else its progress."""
    glyphs = display_options.glyphs
    if row.is_gone:
        return ((fit_to_width("gone", width), _QUIET),)
    if row.stage is Stage.ERROR:
        text = detailed_cause_text(row.error_message, width, glyphs.ellipsis)
        return ((fit_to_width(text, width), _ERROR if row.trouble else _QUIET),)
    if row.is_contradictory:
        return _badge_pieces(" NOT WHOLE ", " NOT WHOLE ", _CONTRADICTORY, (), width)
    if row.lateness.is_stuck:
        return _badge_pieces(stuck_badge(row, now), " STUCK ", _STUCK, _stuck_texts(row), width)
    if lateness := _lateness_text(row):
        text = _first_that_fits(width, lateness, "overdue")
        return ((fit_to_width(text, width), _OVERDUE),)
    if row.anomaly_count:
        text = "anomaly" if row.anomaly_count == 1 else f"{row.anomaly_count:,} anomalies"
        return ((fit_to_width(text, width), _ERROR),)
    if row.is_purged:
        return ((fit_to_width("purged", width), _QUIET),)
    return _progress_pieces(row, glyphs, width)


def _badge_pieces(badge: str, short: str, badge_class: str, texts: Sequence[str], width: int) -> Sequence[Piece]:
    """A badge, or its short form if the width needs it, and after it the first of the texts that fits."""
    badge = _first_that_fits(width, badge, short, short.strip()[:width])
    room = width - len(badge)
    text = next((text for text in texts if len(text) < room), "")
    return ((badge, badge_class), (fit_to_width(f" {text}" if text else "", room), ""))


def _stuck_texts(row: Row) -> Sequence[str]:
    """What a stuck upload waits for, the longest text first."""
    reasons, typical = pending_reasons(row), _typical_text(row)
    return [f"{reasons[0]}, {typical}", *reasons] if typical else reasons


def _progress_pieces(row: Row, glyphs: Glyphs, width: int) -> Sequence[Piece]:
    if row.unknown_state:
        return ((fit_to_width(sanitize(row.unknown_state), width), ""),)
    if row.stage is Stage.INITIATED:
        return _upload_bar(row, glyphs, width)
    if row.stage is Stage.COMPLETED:
        typical = _typical_text(row)
        word = "waiting" if is_from_source(row) else "verifying"
        text = _first_that_fits(width, f"{word}, {typical}", typical, word) if typical else word
        return ((fit_to_width(text, width), ""),)
    took = _took_text(row, glyphs)
    return ((fit_to_width(f"took {took}" if took else "", width), _QUIET),)


def _took_text(row: Row, glyphs: Glyphs) -> str:
    """Duration of the verification; empty if it is not known."""
    if row.completed_on is None or row.ended_on is None:
        return ""
    sign = "" if row.since_certainty == "reported" else glyphs.estimate
    return f"{sign}{duration_text((row.ended_on - row.completed_on).total_seconds())}"


def _typical_text(row: Row) -> str:
    p50_seconds = row.lateness.p50_seconds
    return "" if p50_seconds is None else f"typically {duration_text(p50_seconds)}"


def _first_that_fits(width: int, *texts: str) -> str:
    return next((text for text in texts if len(text) <= width), texts[-1])


def _upload_bar(row: Row, glyphs: Glyphs, width: int) -> Sequence[Piece]:
    """Share of the declared size that was received, as a bar and in percent, and the time left if there is room."""
    if row.chunk_bytes is None:
        return ((fit_to_width("uploading", width), ""),)
    if not row.size_bytes:
        return ((fit_to_width(size_text(row.chunk_bytes), width), ""),)
    share = min(max(row.chunk_bytes / row.size_bytes, 0.0), 1.0)
    full = int(share * _BAR_CELLS)
    bar = glyphs.bar_full * full, glyphs.bar_empty * (_BAR_CELLS - full)
    pieces = (bar[0][:width], stage_class(Stage.INITIATED)), (bar[1][: max(width - full, 0)], _QUIET)
    percent = f" {share:4.0%}"
    left = time_left_text(row)
    has_left = bool(left) and _BAR_CELLS + len(percent) + 1 + len(left) <= width
    room = max(width - _BAR_CELLS, 0)
    return (*pieces, (fit_to_width(f"{percent} {left}" if has_left else percent, room), ""))


_GENERAL_CLASSES = ("header", "quiet", "dim", "stale", "cursor", "cursor-blurred", "highlight")
_SIGN_CLASSES = ("bar", "bar-blurred", "mark", "mark-under-bar", "match", "overdue", "stuck", "contradictory")
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


def highlighted(text: str, component_class: str, words: Sequence[str]) -> Iterator[Piece]:
    """Yield a text as pieces: the first place of each word that occurs in it, and what stands between them."""
    folded = [fold(character) for character in text]
    whole, places = "".join(folded), [place for place, part in enumerate(folded) for _ in part]
    spans = list[tuple[int, int]]()
    for word in words:
        start = whole.find(word)
        if start >= 0:
            spans.append((places[start], places[start + len(word) - 1] + 1))
    done = 0
    for start, end in sorted(spans):
        if start >= done:
            yield text[done:start], component_class
            yield text[start:end], _MATCH
            done = end
    yield text[done:], component_class


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
        self._now: datetime | None = None
        self._strips: dict[tuple[str, int, Background, bool], tuple[Row, Strip]] = {}

    def clear_cache(self) -> None:
        """Drop the painted lines, because the styles changed."""
        self._strips.clear()

    def fit(self, width: int, display_options: DisplayOptions, view: ColumnView) -> None:
        """Choose the columns for lines of `width` cells; the first cell is for the mark."""
        if self.columns and (self._width, self._display_options, self._view) == (width, display_options, view):
            return
        self._width, self._display_options, self._view = width, display_options, view
        self._strips.clear()
        columns = fit_columns(
            width - 1,
            absolute_times=display_options.absolute_times,
            several_projects=view.several_projects,
            several_services=bool(display_options.services),
            specs=view.specs,
        )
        services = tuple(title for _, title in display_options.services)
        names = {ColumnKey.PROJECT: view.project_names, ColumnKey.SERVICE: services}
        self.columns = tuple(replace(column, names=names.get(column.key, ())) for column in columns)

    def header(self, query: Query) -> Strip:
        """The titles of the columns."""
        style, options = self._style_on("uploads--header", ""), self._display_options
        titles = " ".join(
            title_text(column, query.sort, query.descending, options.glyphs, absolute_times=options.absolute_times)
            for column in self.columns
        )
        return Strip([Segment(f" {titles}", style)]).adjust_cell_length(self._width, style)

    def message(self, text: str) -> Strip:
        """A line of text, shown instead of rows."""
        text = truncate_at_word(text, self._width - 2, self._display_options.glyphs.ellipsis)
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
            self._now = now
            self._strips.clear()
        key = (row.id, line, background, is_marked)
        cached = self._strips.get(key)
        if cached is None or cached[0] is not row:
            first = self._first_piece(background, is_marked=is_marked)
            pieces = [first, *(self._detail_pieces(row, now) if line else self._column_pieces(row, now))]
            cached = self._strips[key] = (row, self._strip(pieces, row, background))
        return cached[1]

    def _first_piece(self, background: Background, *, is_marked: bool) -> Piece:
        """The bar of the cursor, or the sign of a marked row; for both the sign, reversed."""
        glyphs, has_cursor = self._display_options.glyphs, background in _BARS
        if is_marked:
            return glyphs.mark, "uploads--mark-under-bar" if has_cursor else "uploads--mark"
        return (glyphs.cursor, _BARS[background]) if has_cursor else (" ", "")

    def _column_pieces(self, row: Row, now: datetime) -> Sequence[Piece]:
        pieces: list[Piece] = []
        for index, column in enumerate(self.columns):
            if index:
                pieces.append((" ", ""))
            pieces_of_cell = cell(column, row, now, self._display_options)
            if self._view.words and column.key in _SEARCHED_COLUMNS:
                for text, component_class in pieces_of_cell:
                    pieces.extend(piece for piece in highlighted(text, component_class, self._view.words) if piece[0])
            else:
                pieces.extend(pieces_of_cell)
        return pieces

    def _detail_pieces(self, row: Row, now: datetime) -> Sequence[Piece]:
        """Details, indented to the second column."""
        indent = " " * (self.columns[0].width + 1 if len(self.columns) > 1 else 0)
        return [(indent, ""), *second_line(row, now, self._display_options, self._width - len(indent) - 2)]

    def _strip(self, pieces: Sequence[Piece], row: Row, background: Background) -> Strip:
        """Join the pieces of one style to one segment: Textual's work on a line grows with its segments.

        A blank has no visible style, so it joins the piece before it, unless that is a badge. Badges stay when the row is stale.
        """
        is_dim, plain = row.is_stale or row.is_gone, self._style_on("", background)
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
