"""The cells of a row and its second line as pieces: texts with component classes, so that colours stay in the stylesheets.

Pure functions.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache

from rich.cells import cell_len

from upload_tui.monitor import Row
from upload_tui.status import Ability, AnomalyName, Origin, Stage, is_unsafe
from upload_tui.text import (
    duration_text,
    find_folded,
    name_or_id,
    percent_text,
    plural,
    received_text,
    sanitize,
    size_text,
)
from upload_tui.tui.appearance.columns import STAGE_WORD_WIDTH, TRACK_WIDTH, Column, ColumnKey
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.appearance.glyphs import Glyphs
from upload_tui.tui.fitting import (
    detailed_cause_text,
    distinct_name,
    first_that_fits,
    fit_to_width,
    truncate_at_word,
    truncate_middle,
)
from upload_tui.tui.widgets.pending_text import (
    acknowledged_texts,
    anomaly_reasons,
    pending_age_text,
    pending_reasons,
    stuck_badge,
    time_left_text,
)

__all__ = ["BADGE_CLASSES", "Piece", "cell", "highlighted", "note_widths", "second_line", "stage_class"]

Piece = tuple[str, str]
"""A text and its component class; an empty class means the table's own style."""

_BAR_CELLS = 8
_QUIET, _DIM, _OVERDUE, _ERROR = "uploads--quiet", "uploads--dim", "uploads--overdue", "uploads--error"
_STUCK, _CONTRADICTORY, _ANOMALY = "uploads--stuck", "uploads--contradictory", "uploads--anomaly"
_MATCH = "uploads--match"
BADGE_CLASSES = frozenset({_STUCK, _CONTRADICTORY})
"""The component classes of reversed text."""


def stage_class(stage: Stage) -> str:
    """The component class of a stage's colour."""
    return f"uploads--{stage}"


def cell(
    column: Column, row: Row, now: datetime, display_options: DisplayOptions, *, has_age_beside: bool = False
) -> Sequence[Piece]:
    """The cell of a row in a column: pieces that fill the column's width exactly.

    With the age in a column beside it, a note has room for a reason rather than for the age.
    """
    if column.key is ColumnKey.STAGE:
        return _stage_pieces(row, column.width, display_options.glyphs)
    if column.key is ColumnKey.NOTE:
        return _note_pieces(row, now, display_options, column.width, has_age_beside=has_age_beside)
    text, component_class = _text(column, row, now, display_options)
    return ((fit_to_width(text, column.width, align_right=column.is_right_aligned), component_class),)


def _text(column: Column, row: Row, now: datetime, display_options: DisplayOptions) -> Piece:
    match column.key:
        case ColumnKey.NAME:
            return truncate_middle(
                name_or_id(row.name, row.id), column.width, display_options.glyphs.ellipsis
            ), _text_class(row)
        case ColumnKey.SIZE:
            text = size_text(row.size_bytes)
        case ColumnKey.SINCE:
            is_age = not row.stage.is_final and not display_options.absolute_times
            text = (
                pending_age_text(row, now)
                if is_age
                else display_options.time_text(row.stage_since, now, column.width, is_least=row.is_least_age)
            )
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


def second_line(
    row: Row, now: datetime, display_options: DisplayOptions, width: int, note_cells: int = 0
) -> Sequence[Piece]:
    """What the columns have no room for, in at most `width` cells: an error's message, or lateness, start, chunks and id.

    What the column of details shows, in `note_cells`, is not repeated.
    """
    glyphs = display_options.glyphs
    if row.stage is Stage.ERROR and _cause_width(row.error_message) > note_cells:
        text = detailed_cause_text(row.error_message, width, glyphs.ellipsis)
        return ((text, _QUIET if row.is_acknowledged else _ERROR),)
    pieces = _note_pieces(row, now, display_options, note_cells, has_age_beside=True) if note_cells else ()
    note, dot = "".join(text for text, _ in pieces).casefold(), f" {glyphs.dot} "
    lateness = ", ".join(part for part in _lateness_parts(row) if part not in note)
    head = f"{lateness}{dot}" if lateness else ""
    parts = [text for text in pending_reasons(row)[:1] if text not in note] if row.lateness.waits_for else []
    parts.append(f"started {display_options.ago_text(row.initiated_on, now)}")
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

    A problem replaces a sign on the track: that of the next stage, or of `verified` if the service reports it; the sign of an
    acknowledged failure follows the name. Only the last sign has a colour.
    """
    if width < TRACK_WIDTH:
        return _stage_signs(row, width, glyphs)
    problem = _problem_class(row) if row.stage is not Stage.ERROR else ""
    track = [Stage.INITIATED, Stage.COMPLETED, Stage.ERROR if row.stage is Stage.ERROR else Stage.VERIFIED]
    pieces: list[Piece] = []
    for index, stage in enumerate(track):
        if index:
            pieces.append((glyphs.link, _QUIET))
        if row.unknown_state and index == row.stage.rank + 1:
            pieces.append((glyphs.own_state, ""))
        elif problem and index == min(row.stage.rank + 1, 2):
            pieces.append((_problem_sign(row, glyphs), problem))
        elif index <= row.stage.rank:
            is_last = index == min(row.stage.rank, 2)
            pieces.append((glyphs.stages[stage], _stage_class(row) if is_last else _QUIET))
        else:
            pieces.append((glyphs.unreached, _QUIET))
    word = f" {sanitize(row.unknown_state) or row.stage}" if width >= STAGE_WORD_WIDTH else ""
    if row.stage is Stage.ERROR and row.is_acknowledged:
        word = f"{word} {glyphs.acknowledged}"
    word_class = _stage_class(row) if row.stage is Stage.ERROR else _text_class(row)
    return (*pieces, (fit_to_width(word, width - TRACK_WIDTH), word_class))


def _stage_signs(row: Row, width: int, glyphs: Glyphs) -> Sequence[Piece]:
    """The stage's sign, then a warning sign if there is a problem; in a single cell only the warning."""
    stage, problem = (glyphs.stages[row.stage], _stage_class(row)), _problem_class(row)
    if row.unknown_state:
        return ((glyphs.own_state, ""), (" " * (width - 1), ""))
    if not problem or (row.stage is Stage.ERROR and not (row.is_acknowledged and width > 1)):
        return (stage, (" " * (width - 1), ""))
    warning = (_problem_sign(row, glyphs), problem)
    return (stage, warning, (" " * (width - 2), "")) if width > 1 else (warning,)


def _stage_class(row: Row) -> str:
    return _QUIET if row.is_acknowledged else stage_class(row.stage)


def _problem_sign(row: Row, glyphs: Glyphs) -> str:
    return glyphs.acknowledged if row.is_acknowledged else glyphs.warning


def _problem_class(row: Row) -> str:
    """The component class of a problem's colour: late, failed or with an anomaly; empty if there is no problem.

    An anomaly that is no trouble, such as a state of the service's own, has its sign and no colour. What is acknowledged is quiet.
    """
    if row.is_acknowledged:
        return _QUIET
    if row.lateness.is_stuck or row.lateness.is_overdue:
        return _OVERDUE
    if row.stage is Stage.ERROR or row.is_contradictory:
        return _ERROR
    return _ANOMALY if row.anomaly_count else ""


def _text_class(row: Row) -> str:
    """The component class of a row's text: uploads that are verified, without a problem, or acknowledged are dim."""
    return _DIM if row.is_acknowledged or (row.stage is Stage.VERIFIED and not _problem_class(row)) else ""


def _lateness_parts(row: Row) -> Sequence[str]:
    """`stuck` or `overdue`, and the typical duration if it is known; empty if it is neither."""
    if not (row.lateness.is_stuck or row.lateness.is_overdue):
        return ()
    return [*filter(None, ("stuck" if row.lateness.is_stuck else "overdue", _typical_text(row)))]


def _note_pieces(
    row: Row, now: datetime, display_options: DisplayOptions, width: int, *, has_age_beside: bool
) -> Sequence[Piece]:
    """The most important fact about a row, in exactly `width` cells: a problem, or else its progress."""
    glyphs = display_options.glyphs
    if row.is_gone:
        return ((fit_to_width("gone", width), _QUIET),)
    if wrong := _acknowledged_problem(row):
        is_error, note = row.stage is Stage.ERROR, row.acknowledgement.note if row.acknowledgement else ""
        shortest = detailed_cause_text(row.error_message, width, glyphs.ellipsis) if is_error else wrong[-1]
        return ((fit_to_width(first_that_fits([*acknowledged_texts(wrong, note), shortest], width), width), _QUIET),)
    if row.stage is Stage.ERROR:
        text = detailed_cause_text(row.error_message, width, glyphs.ellipsis)
        return ((fit_to_width(text, width), _ERROR if row.trouble else _QUIET),)
    if row.is_contradictory:
        return _badge_pieces(_NOT_WHOLE, _NOT_WHOLE, _CONTRADICTORY, _contradictory_texts(row), width)
    if row.lateness.is_stuck:
        badge, texts = stuck_badge(row, now), _stuck_texts(row)
        if has_age_beside and _text_beside(badge, texts, width) != _text_beside(_STUCK_BADGE, texts, width):
            badge = _STUCK_BADGE
        return _badge_pieces(badge, _STUCK_BADGE, _STUCK, texts, width)
    if texts := _overdue_texts(row):
        return ((fit_to_width(first_that_fits(texts, width), width), _OVERDUE),)
    if texts := _anomaly_note_texts(row):
        return (
            (fit_to_width(truncate_at_word(first_that_fits(texts, width), width, glyphs.ellipsis), width), _ANOMALY),
        )
    if row.is_purged:
        return ((fit_to_width("purged", width), _QUIET),)
    return _progress_pieces(row, glyphs, width)


def _acknowledged_problem(row: Row) -> Sequence[str]:
    """What is wrong and acknowledged, the longest text first; empty if nothing is."""
    if not row.is_acknowledged:
        return ()
    if row.stage is Stage.ERROR:
        return (detailed_cause_text(row.error_message, _LONGEST_REASON_CELLS, ""),)
    if row.acknowledged_trouble is None:
        return ()
    reasons = _contradictory_texts(row) if row.is_contradictory else pending_reasons(row)
    word = "not whole" if row.is_contradictory else row.acknowledged_trouble
    return (*(f"{word}: {reason}" for reason in reasons), word)


def _overdue_texts(row: Row) -> Sequence[str]:
    """That an upload is overdue, after what is wrong with its chunks, the longest text first; empty if it is not overdue."""
    if not (lateness := ", ".join(_lateness_parts(row))):
        return ()
    if row.anomaly is None or not is_unsafe(row.anomaly):
        return lateness, "overdue"
    wrong = anomaly_reasons(row)
    return f"{wrong[0]}, {lateness}", f"{wrong[0]}, overdue", *wrong, "overdue"


def _anomaly_note_texts(row: Row) -> Sequence[str]:
    """A state of the service's own, or the most serious anomaly, and how many others there are; empty without both."""
    is_state = row.anomaly is not None and row.anomaly.name is AnomalyName.UNKNOWN_STATE
    state, wrong, count = sanitize(row.unknown_state), () if is_state else anomaly_reasons(row), row.anomaly_count
    if state:
        others = count if Origin.of(row.service).has(Ability.OWN_STATES) else count - 1  # the state is one itself
        return (*(f"{state}, {text}" for text in (*wrong, _anomalies_text(others)) if others > 0), state)
    if not count:
        return ()
    with_others = [f"{wrong[0]}, {_anomalies_text(count - 1, 'more ')}"] if wrong and count > 1 else []
    return (*with_others, *wrong, _anomalies_text(count))


def _anomalies_text(count: int, more: str = "") -> str:
    return f"{count:,} {more}anomalies" if count > 1 else f"1 {more}anomaly" if more else "anomaly"


_LONGEST_REASON_CELLS = 400
"""More than any column has."""
_NOT_WHOLE = " NOT WHOLE "
_STUCK_BADGE = " STUCK "
_BADGE_CELLS = len(" STUCK 2h 13m ")


def note_widths(row: Row, display_options: DisplayOptions) -> tuple[int, frozenset[int]]:
    """The cells that a note needs in order not to be cut (0 if it has shorter forms), and the widths of its forms."""
    if not row.is_gone and (wrong := _acknowledged_problem(row)):
        return cell_len(wrong[-1]), frozenset(map(cell_len, acknowledged_texts(wrong, "")))
    if row.stage is Stage.ERROR and not row.is_gone:
        return _cause_width(row.error_message), frozenset()
    if row.unknown_state and not row.is_gone:
        return cell_len(sanitize(row.unknown_state)), frozenset()
    if row.is_contradictory and not row.is_gone:
        return 0, _badge_forms(len(_NOT_WHOLE), _contradictory_texts(row))
    if row.lateness.is_stuck and not row.is_gone:
        sign_cells = int(row.is_stale or row.is_least_age)  # of a least age: `>2h 13m`
        return 0, _badge_forms(_BADGE_CELLS + sign_cells, ()) | _badge_forms(len(_STUCK_BADGE), pending_reasons(row))
    texts = () if row.is_gone else _overdue_texts(row) or _anomaly_note_texts(row)
    if not texts:
        pieces = _note_pieces(row, row.read_on, display_options, _BADGE_CELLS, has_age_beside=True)
        texts = ["".join(text for text, _ in pieces).rstrip()]
    return 0, frozenset(map(cell_len, texts))


@lru_cache(maxsize=512)
def _cause_width(message: str) -> int:
    return cell_len(detailed_cause_text(message, _LONGEST_REASON_CELLS, ""))


def _badge_forms(badge_cells: int, texts: Sequence[str]) -> frozenset[int]:
    return frozenset((badge_cells, *(badge_cells + 1 + cell_len(text) for text in texts)))


def _badge_pieces(badge: str, short: str, badge_class: str, texts: Sequence[str], width: int) -> Sequence[Piece]:
    """A badge, or its short form if the width needs it, and after it the first of the texts that fits."""
    badge = first_that_fits([badge, short], width, fit_to_width(short.strip(), width).rstrip())
    text = _text_beside(badge, texts, width)
    return ((badge, badge_class), (fit_to_width(f" {text}" if text else "", width - len(badge)), ""))


def _text_beside(badge: str, texts: Sequence[str], width: int) -> str:
    """The first of the texts that fits beside a badge; empty if none does."""
    return first_that_fits(texts, width - len(badge) - 1, "")


def _contradictory_texts(row: Row) -> Sequence[str]:
    """Why a verified upload is not whole, the longest text first."""
    if row.chunk_bytes is None or row.size_bytes is None or row.chunk_bytes == row.size_bytes:
        return (*anomaly_reasons(row), "chunks do not match")
    return received_text(row.chunk_bytes, row.size_bytes), "chunks do not match"


def _stuck_texts(row: Row) -> Sequence[str]:
    """What a stuck upload waits for, the longest text first."""
    reasons, typical = pending_reasons(row), _typical_text(row)
    return [f"{reasons[0]}, {typical}", *reasons] if typical else reasons


def _progress_pieces(row: Row, glyphs: Glyphs, width: int) -> Sequence[Piece]:
    if row.stage is Stage.INITIATED:
        return _upload_bar(row, glyphs, width)
    if row.stage is Stage.COMPLETED:
        typical, reasons = _typical_text(row), pending_reasons(row)
        texts = [*(f"{reason}, {typical}" for reason in reasons), typical] if typical else []
        return ((fit_to_width(first_that_fits([*texts, *reasons], width), width), ""),)
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


def _upload_bar(row: Row, glyphs: Glyphs, width: int) -> Sequence[Piece]:
    """Share of the declared size that was received, as a bar and in percent, and the time left if there is room."""
    if row.chunk_bytes is None:
        return ((fit_to_width(first_that_fits(pending_reasons(row), width), width), ""),)
    if not row.size_bytes:
        return ((fit_to_width(size_text(row.chunk_bytes), width), ""),)
    share = min(max(row.chunk_bytes / row.size_bytes, 0.0), 1.0)
    percent = f" {percent_text(row.chunk_bytes, row.size_bytes):>4}"
    if width < _BAR_CELLS + len(percent):  # a cut bar would look full
        return ((fit_to_width(percent.strip(), width), ""),)
    full = int(share * _BAR_CELLS)
    bar = (glyphs.bar_full * full, stage_class(Stage.INITIATED)), (glyphs.bar_empty * (_BAR_CELLS - full), _QUIET)
    left = time_left_text(row)
    has_left = bool(left) and _BAR_CELLS + len(percent) + 1 + len(left) <= width
    return (*bar, (fit_to_width(f"{percent} {left}" if has_left else percent, width - _BAR_CELLS), ""))


def highlighted(text: str, component_class: str, words: Sequence[str]) -> Iterator[Piece]:
    """Yield a text as pieces: the places of the folded words, and what stands between them."""
    done = 0
    for start, end in find_folded(text, words):
        yield text[done:start], component_class
        yield text[start:end], _MATCH
        done = end
    yield text[done:], component_class
