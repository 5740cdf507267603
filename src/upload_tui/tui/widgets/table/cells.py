"""The content of the uploads table: the cells of a row, and the second line of a row.

Pure functions from rows to pieces. The component classes of pieces are those of the table, so that colours stay in the stylesheets.
"""

from collections.abc import Sequence
from datetime import datetime

from rich.cells import cell_len

from upload_tui.monitor import Row
from upload_tui.status import Stage
from upload_tui.text import duration_text, plural, sanitize, size_text
from upload_tui.tui.appearance.columns import STAGE_WORD_WIDTH, Column, ColumnKey
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.appearance.glyphs import Glyphs
from upload_tui.tui.fitting import detailed_cause_text, fit_to_width, truncate_at_word, truncate_middle

__all__ = ["Piece", "cell", "note_text", "second_line", "stage_class"]

Piece = tuple[str, str]
"""A text and its component class; an empty class means the table's own style."""

_BAR_CELLS = 8
_QUIET, _WARNING = "uploads--quiet", "uploads--warning"


def stage_class(stage: Stage) -> str:
    """The component class of a stage's colour."""
    return f"uploads--{stage}"


def cell(column: Column, row: Row, now: datetime, display_options: DisplayOptions) -> Sequence[Piece]:
    """The cell of a row in a column: pieces that fill the column's width exactly."""
    if column.key is ColumnKey.STAGE:
        return _stage_pieces(row, column.width, display_options.glyphs)
    text, component_class = _text(column, row, now, display_options)
    return ((fit_to_width(text, column.width, align_right=column.is_right_aligned), component_class),)


def _text(column: Column, row: Row, now: datetime, display_options: DisplayOptions) -> Piece:
    match column.key:
        case ColumnKey.NOTE:
            return note_text(row, display_options, column.width)
        case ColumnKey.NAME:
            return truncate_middle(row.name or row.id, column.width, display_options.glyphs.ellipsis), ""
        case ColumnKey.SIZE:
            text = size_text(row.size_bytes)
        case ColumnKey.SINCE:
            text = display_options.time_text(row.stage_since, now, column.width)
        case ColumnKey.STARTED:
            text = display_options.time_text(row.initiated_on, now, column.width)
        case ColumnKey.TOOK:
            text = _took_text(row, display_options.glyphs)
        case ColumnKey.CHUNKS:
            text = "" if row.chunk_count is None else f"{row.chunk_count:,}"
        case _:
            text = truncate_middle(
                _place_text(column.key, row, display_options), column.width, display_options.glyphs.ellipsis
            )
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
        return ((detailed_cause_text(row.error_message, width, glyphs.ellipsis), "uploads--error"),)
    lateness, dot = _lateness_text(row), f" {glyphs.dot} "
    head = f"{lateness}{dot}" if lateness else ""
    parts = [row.lateness.waits_for] if row.lateness.waits_for else []
    ago = "" if display_options.absolute_times else " ago"
    parts.append(f"started {display_options.time_text(row.initiated_on, now)}{ago}")
    if row.chunk_count is not None:
        parts.append(f"{plural(row.chunk_count, 'chunk')}, {size_text(row.chunk_bytes)} of {size_text(row.size_bytes)}")
    parts.append(sanitize(row.id))
    room = width - len(head)
    while len(parts) > 1 and cell_len(dot.join(parts)) > room:
        parts.pop()
    rest = truncate_at_word(sanitize(dot.join(parts)), room, glyphs.ellipsis)
    return ((fit_to_width(head, min(len(head), width)), _WARNING), (rest, _QUIET))


def _stage_pieces(row: Row, width: int, glyphs: Glyphs) -> Sequence[Piece]:
    """A track of the stages and the stage's name; in a narrow column the stage's sign.

    A problem replaces a sign on the track: that of the next stage, or of `verified` if the service reports it.
    """
    if width < STAGE_WORD_WIDTH:
        return _stage_signs(row, width, glyphs)
    has_problem = _has_problem(row)
    track = [Stage.INITIATED, Stage.COMPLETED, Stage.ERROR if row.stage is Stage.ERROR else Stage.VERIFIED]
    pieces: list[Piece] = []
    for index, stage in enumerate(track):
        if index:
            pieces.append((glyphs.link, _QUIET))
        if has_problem and index == min(row.stage.rank + 1, 2):
            pieces.append((glyphs.warning, _WARNING))
        elif index <= row.stage.rank:
            pieces.append((glyphs.stages[stage], stage_class(stage)))
        else:
            pieces.append((glyphs.unreached, _QUIET))
    return (*pieces, (fit_to_width(f" {sanitize(row.unknown_state) or row.stage}", width - 5), stage_class(row.stage)))


def _stage_signs(row: Row, width: int, glyphs: Glyphs) -> Sequence[Piece]:
    """The stage's sign, then a warning sign if there is a problem; in a single cell only the warning."""
    stage, warning = (glyphs.stages[row.stage], stage_class(row.stage)), (glyphs.warning, _WARNING)
    if not _has_problem(row):
        return (stage, (" " * (width - 1), ""))
    return (stage, warning, (" " * (width - 2), "")) if width > 1 else (warning,)


def _has_problem(row: Row) -> bool:
    """True if the upload is late or has an anomaly; the stage `error` needs no warning."""
    return bool(_lateness_text(row) or row.anomaly_count) and row.stage is not Stage.ERROR


def _lateness_text(row: Row) -> str:
    """`stuck` or `overdue` with the typical duration; empty if it is neither."""
    if not (row.lateness.is_stuck or row.lateness.is_overdue):
        return ""
    word = "stuck" if row.lateness.is_stuck else "overdue"
    return f"{word}, {_typical_text(row)}" if _typical_text(row) else word


def note_text(row: Row, display_options: DisplayOptions, width: int) -> Piece:
    """The most important fact about a row in at most `width` cells: a problem, or else its progress."""
    glyphs = display_options.glyphs
    if row.is_gone:
        return "gone"[:width], _WARNING
    if row.stage is Stage.ERROR:
        return detailed_cause_text(row.error_message, width, glyphs.ellipsis), stage_class(Stage.ERROR)
    if lateness := _lateness_text(row):
        text = f"{glyphs.warning} {lateness}"
        return _first_that_fits(width, text, text.partition(",")[0]), _WARNING
    if row.anomaly_count:
        text = "anomaly" if row.anomaly_count == 1 else f"{row.anomaly_count:,} anomalies"
        return f"{glyphs.warning} {text}", _WARNING
    if row.is_purged:
        return "purged", _QUIET
    return _progress_note(row, glyphs, width)


def _progress_note(row: Row, glyphs: Glyphs, width: int) -> Piece:
    if row.stage is Stage.INITIATED:
        return _upload_bar(row, glyphs), stage_class(Stage.INITIATED)
    if row.stage is Stage.COMPLETED:
        typical = _typical_text(row)
        text = _first_that_fits(width, f"verifying, {typical}", typical, "verifying") if typical else "verifying"
        return text, stage_class(Stage.COMPLETED)
    took = _took_text(row, glyphs)
    return f"took {took}" if took else "", _QUIET


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


def _upload_bar(row: Row, glyphs: Glyphs) -> str:
    """Share of the declared size that was received, as a bar and in percent."""
    if row.chunk_bytes is None:
        return "uploading"
    if not row.size_bytes:
        return size_text(row.chunk_bytes)
    share = min(max(row.chunk_bytes / row.size_bytes, 0.0), 1.0)
    full = int(share * _BAR_CELLS)
    return f"{glyphs.bar_full * full}{glyphs.bar_empty * (_BAR_CELLS - full)} {share:4.0%}"
