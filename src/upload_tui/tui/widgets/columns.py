"""The columns of the uploads table: which ones fit a width, and what a row says in each.

Pure: rows in, texts and tones out. A tone names a component class of the table, so that colours stay in the sheets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from upload_tui.monitor.picture import Row, SortKey
from upload_tui.status import Stage
from upload_tui.tui.causes import cause_text
from upload_tui.tui.formatting import abbreviated, cut_at_word, duration_text, fitted, size_text
from upload_tui.tui.glyphs import Glyphs
from upload_tui.tui.look import Look

__all__ = ["Column", "ColumnKey", "Piece", "cell", "fit_columns", "note_text", "stage_tone", "title_text"]

Piece = tuple[str, str]
"""A text and its tone."""


class ColumnKey(StrEnum):
    """The columns there are, in their usual order."""

    STAGE = "stage"
    NAME = "name"
    SIZE = "size"
    SINCE = "since"
    PROJECT = "project"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its width in cells, its title, whether it stands right, and what sorting by it means (None: cannot)."""

    key: ColumnKey
    title: str
    width: int
    is_right: bool = False
    sort: SortKey | None = None


_STAGE = Column(ColumnKey.STAGE, "Stage", 15, sort=SortKey.STAGE)
_STAGE_SHORT = Column(ColumnKey.STAGE, "", 1, sort=SortKey.STAGE)
_NAME = Column(ColumnKey.NAME, "Name", 0, sort=SortKey.NAME)
_SIZE = Column(ColumnKey.SIZE, "Size", 8, is_right=True, sort=SortKey.SIZE)
_SINCE = Column(ColumnKey.SINCE, "For", 8, is_right=True, sort=SortKey.SINCE)
_SINCE_ABSOLUTE = Column(ColumnKey.SINCE, "Since", 12, is_right=True, sort=SortKey.SINCE)
_PROJECT = Column(ColumnKey.PROJECT, "Project", 14, sort=SortKey.PROJECT)
_NOTE = Column(ColumnKey.NOTE, "Progress", 0)

_NAME_AT_LEAST = 16
_NAME_AT_MOST = 44
_NOTE_AT_LEAST = 14
_BAR_CELLS = 8


def fit_columns(width: int, look: Look, *, several_projects: bool) -> tuple[Column, ...]:
    """The columns that fit into `width` cells with a blank between them; the name takes what the others leave."""
    since = _SINCE_ABSOLUTE if look.absolute_times else _SINCE
    optional = [_SIZE, since, *([_PROJECT] if several_projects else [])]
    stage = _STAGE if width >= 50 else _STAGE_SHORT
    chosen = [stage]
    left = width - stage.width - 1 - _NAME_AT_LEAST
    for column in (since, _SIZE, _PROJECT):
        if column in optional and left > column.width:
            chosen.append(column)
            left -= column.width + 1
    flexible = left + _NAME_AT_LEAST
    name_width, note_width = _share(flexible)
    chosen.append(replace(_NAME, width=name_width))
    if note_width:
        chosen.append(replace(_NOTE, width=note_width))
    order = list(ColumnKey)
    return tuple(sorted(chosen, key=lambda column: order.index(column.key)))


def _share(cells: int) -> tuple[int, int]:
    """What the name and the note get of the cells that are left."""
    if cells < _NAME_AT_LEAST + 1 + _NOTE_AT_LEAST:
        return max(cells, 0), 0
    name_width = min(max(_NAME_AT_LEAST, min(cells * 3 // 5, cells - 1 - _NOTE_AT_LEAST)), _NAME_AT_MOST)
    return name_width, cells - name_width - 1


def title_text(column: Column, sort: SortKey, descending: bool, glyphs: Glyphs) -> str:
    """A column's title with an arrow if the table is sorted by it."""
    arrow = (glyphs.arrow_down if descending else glyphs.arrow_up) if column.sort is sort and column.title else ""
    return fitted(f"{column.title}{arrow}", column.width, right=column.is_right)


def stage_tone(stage: Stage) -> str:
    """The component class of a stage's colour."""
    return f"uploads--{stage}"


def cell(column: Column, row: Row, now: datetime, look: Look) -> Sequence[Piece]:
    """What a row says in a column: pieces that fill the column's width exactly."""
    match column.key:
        case ColumnKey.STAGE:
            return _stage_pieces(row, column.width, look.glyphs)
        case ColumnKey.NOTE:
            text, tone = note_text(row, look, column.width)
            return ((fitted(text, column.width), tone),)
        case ColumnKey.NAME:
            text = abbreviated(row.name or row.id, column.width, look.glyphs.ellipsis)
        case ColumnKey.SIZE:
            text = size_text(row.size_bytes)
        case ColumnKey.SINCE:
            text = look.when(row.stage_since, now)
        case ColumnKey.PROJECT:
            text = abbreviated(row.project_name or row.project_id, column.width, look.glyphs.ellipsis)
    tone = "" if column.key is ColumnKey.NAME else "uploads--quiet"
    return ((fitted(text, column.width, right=column.is_right), tone),)


def _stage_pieces(row: Row, width: int, glyphs: Glyphs) -> Sequence[Piece]:
    """A small timeline and the stage's word; only the stage's sign where there is no room."""
    if width < _STAGE.width:
        return ((glyphs.stages[row.stage], stage_tone(row.stage)),)
    tone = stage_tone(row.stage)
    reached = [Stage.INITIATED, Stage.COMPLETED, Stage.ERROR if row.stage is Stage.ERROR else Stage.VERIFIED]
    pieces: list[Piece] = []
    for index, stage in enumerate(reached):
        if index:
            pieces.append((glyphs.link, "uploads--quiet"))
        is_there = index <= min(row.stage.rank, 2)
        pieces.append((glyphs.stages[stage], stage_tone(stage)) if is_there else (glyphs.unreached, "uploads--quiet"))
    return (*pieces, (fitted(f" {row.stage}", width - 5), tone))


def note_text(row: Row, look: Look, width: int) -> Piece:
    """The most telling thing about a row in at most `width` cells, and its tone."""
    glyphs = look.glyphs
    if row.is_gone:
        return cut_at_word("no longer there", width, glyphs.ellipsis), "uploads--warning"
    if row.stage is Stage.ERROR:
        return cause_text(row.error_message, width, glyphs.ellipsis), stage_tone(Stage.ERROR)
    if row.judgement.is_stuck or row.judgement.is_overdue:
        word = f"{glyphs.warning} {'stuck' if row.judgement.is_stuck else 'overdue'}"
        return _first_that_fits(width, f"{word}, {_usual(row)}" if _usual(row) else word, word), "uploads--warning"
    if row.anomaly_count:
        return f"{glyphs.warning} {row.anomaly_count} odd", "uploads--warning"
    if row.is_purged:
        return "purged", "uploads--quiet"
    return _calm_note(row, glyphs, width)


def _calm_note(row: Row, glyphs: Glyphs, width: int) -> Piece:
    if row.stage is Stage.INITIATED:
        return _upload_bar(row, glyphs), stage_tone(Stage.INITIATED)
    if row.stage is Stage.COMPLETED:
        usual = _usual(row)
        text = _first_that_fits(width, f"verifying, {usual}", usual, "verifying") if usual else "verifying"
        return text, stage_tone(Stage.COMPLETED)
    if row.completed_on is None or row.ended_on is None:
        return "", "uploads--quiet"
    sign = "" if row.since_certainty == "reported" else glyphs.estimate
    return f"took {sign}{duration_text((row.ended_on - row.completed_on).total_seconds())}", "uploads--quiet"


def _usual(row: Row) -> str:
    usual = row.judgement.usual_seconds
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
    return f"{glyphs.bar_full * full}{glyphs.bar_rest * (_BAR_CELLS - full)} {share:4.0%}"
