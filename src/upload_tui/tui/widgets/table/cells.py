"""What a row of the uploads table says in each of its columns, and in the second line that a roomy table gives it.

Pure: rows in, texts and tones out. A tone names a component class of the table, so that colours stay in the sheets.
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
"""A text and its tone."""

_BAR_CELLS = 8


def stage_class(stage: Stage) -> str:
    """The component class of a stage's colour."""
    return f"uploads--{stage}"


def cell(column: Column, row: Row, now: datetime, display_options: DisplayOptions) -> Sequence[Piece]:
    """What a row says in a column: pieces that fill the column's width exactly."""
    if column.key is ColumnKey.STAGE:
        return _stage_pieces(row, column.width, display_options.glyphs)
    text, tone = _text(column, row, now, display_options)
    return ((fit_to_width(text, column.width, align_right=column.is_right_aligned), tone),)


def _text(column: Column, row: Row, now: datetime, display_options: DisplayOptions) -> Piece:
    quiet = "uploads--quiet"
    match column.key:
        case ColumnKey.NOTE:
            return note_text(row, display_options, column.width)
        case ColumnKey.NAME:
            return truncate_middle(row.name or row.id, column.width, display_options.glyphs.ellipsis), ""
        case ColumnKey.SIZE:
            return size_text(row.size_bytes), quiet
        case ColumnKey.SINCE:
            return display_options.time_text(row.stage_since, now, column.width), quiet
        case ColumnKey.STARTED:
            return display_options.time_text(row.initiated_on, now, column.width), quiet
        case ColumnKey.TOOK:
            return _took_text(row, display_options.glyphs), quiet
        case ColumnKey.CHUNKS:
            return ("" if row.chunk_count is None else f"{row.chunk_count:,}"), quiet
        case ColumnKey.ID:
            return truncate_middle(row.id, column.width, display_options.glyphs.ellipsis), quiet
        case ColumnKey.SERVICE:
            return truncate_middle(
                display_options.service_title(row.service), column.width, display_options.glyphs.ellipsis
            ), quiet
        case _:
            return truncate_middle(
                row.project_name or row.project_id, column.width, display_options.glyphs.ellipsis
            ), quiet


def second_line(row: Row, now: datetime, display_options: DisplayOptions, width: int) -> Sequence[Piece]:
    """What the columns leave out, in at most `width` cells: the reason of an error, or else what is amiss and how it got here."""
    glyphs = display_options.glyphs
    if row.stage is Stage.ERROR:
        return ((detailed_cause_text(row.error_message, width, glyphs.ellipsis), "uploads--error"),)
    lateness, dot = _lateness(row), f" {glyphs.dot} "
    head = f"{lateness}{dot}" if lateness else ""
    parts = [row.lateness.waits_for] if row.lateness.waits_for else []
    parts.append(
        f"began {display_options.time_text(row.initiated_on, now)}{'' if display_options.absolute_times else ' ago'}"
    )
    if row.chunk_count is not None:
        parts.append(f"{plural(row.chunk_count, 'chunk')}, {size_text(row.chunk_bytes)} of {size_text(row.size_bytes)}")
    parts.append(sanitize(row.id))
    room = width - len(head)
    while len(parts) > 1 and cell_len(dot.join(parts)) > room:
        parts.pop()
    rest = truncate_at_word(sanitize(dot.join(parts)), room, glyphs.ellipsis)
    return ((fit_to_width(head, min(len(head), width)), "uploads--warning"), (rest, "uploads--quiet"))


def _stage_pieces(row: Row, width: int, glyphs: Glyphs) -> Sequence[Piece]:
    """A small timeline and the stage's word; only the stage's sign where there is no room.

    What is amiss has a warning's sign at the stage that is in doubt: the next one, or the one that the service claims.
    """
    tone, is_amiss = stage_class(row.stage), _has_problem(row)
    if width < STAGE_WORD_WIDTH:
        return _stage_signs(row, width, glyphs)
    reached = [Stage.INITIATED, Stage.COMPLETED, Stage.ERROR if row.stage is Stage.ERROR else Stage.VERIFIED]
    pieces: list[Piece] = []
    for index, stage in enumerate(reached):
        if index:
            pieces.append((glyphs.link, "uploads--quiet"))
        if is_amiss and index == min(row.stage.rank + 1, 2):
            pieces.append((glyphs.warning, "uploads--warning"))
        elif index <= row.stage.rank:
            pieces.append((glyphs.stages[stage], stage_class(stage)))
        else:
            pieces.append((glyphs.unreached, "uploads--quiet"))
    return (*pieces, (fit_to_width(f" {row.stage}", width - 5), tone))


def _stage_signs(row: Row, width: int, glyphs: Glyphs) -> Sequence[Piece]:
    """The stage's sign, then the warning's; in a single cell the more urgent one."""
    stage, warning = (glyphs.stages[row.stage], stage_class(row.stage)), (glyphs.warning, "uploads--warning")
    if not _has_problem(row):
        return (stage, (" " * (width - 1), ""))
    return (stage, warning, (" " * (width - 2), "")) if width > 1 else (warning,)


def _has_problem(row: Row) -> bool:
    """True if a person should look at it; an error says so by itself."""
    return bool(_lateness(row) or row.anomaly_count) and row.stage is not Stage.ERROR


def _lateness(row: Row) -> str:
    """`stuck` or `overdue`, and what would be usual; empty if it is neither."""
    if not (row.lateness.is_stuck or row.lateness.is_overdue):
        return ""
    word = "stuck" if row.lateness.is_stuck else "overdue"
    return f"{word}, {_typical_text(row)}" if _typical_text(row) else word


def note_text(row: Row, display_options: DisplayOptions, width: int) -> Piece:
    """The most telling thing about a row in at most `width` cells, and its tone."""
    glyphs = display_options.glyphs
    if row.is_gone:
        return truncate_at_word("no longer there", width, glyphs.ellipsis), "uploads--warning"
    if row.stage is Stage.ERROR:
        return detailed_cause_text(row.error_message, width, glyphs.ellipsis), stage_class(Stage.ERROR)
    if lateness := _lateness(row):
        text = f"{glyphs.warning} {lateness}"
        return _first_that_fits(width, text, text.partition(",")[0]), "uploads--warning"
    if row.anomaly_count:
        return f"{glyphs.warning} {row.anomaly_count} odd", "uploads--warning"
    if row.is_purged:
        return "purged", "uploads--quiet"
    return _progress_note(row, glyphs, width)


def _progress_note(row: Row, glyphs: Glyphs, width: int) -> Piece:
    if row.stage is Stage.INITIATED:
        return _upload_bar(row, glyphs), stage_class(Stage.INITIATED)
    if row.stage is Stage.COMPLETED:
        usual = _typical_text(row)
        text = _first_that_fits(width, f"verifying, {usual}", usual, "verifying") if usual else "verifying"
        return text, stage_class(Stage.COMPLETED)
    took = _took_text(row, glyphs)
    return f"took {took}" if took else "", "uploads--quiet"


def _took_text(row: Row, glyphs: Glyphs) -> str:
    """How long verification took; empty while it is not known."""
    if row.completed_on is None or row.ended_on is None:
        return ""
    sign = "" if row.since_certainty == "reported" else glyphs.estimate
    return f"{sign}{duration_text((row.ended_on - row.completed_on).total_seconds())}"


def _typical_text(row: Row) -> str:
    usual = row.lateness.p50_seconds
    return "" if usual is None else f"usually {duration_text(usual)}"


def _first_that_fits(width: int, *texts: str) -> str:
    return next((text for text in texts if len(text) <= width), texts[-1])


def _upload_bar(row: Row, glyphs: Glyphs) -> str:
    """How much of the promised size has arrived."""
    if row.chunk_bytes is None:
        return "uploading"
    if not row.size_bytes:
        return size_text(row.chunk_bytes)
    share = min(max(row.chunk_bytes / row.size_bytes, 0.0), 1.0)
    full = int(share * _BAR_CELLS)
    return f"{glyphs.bar_full * full}{glyphs.bar_empty * (_BAR_CELLS - full)} {share:4.0%}"
