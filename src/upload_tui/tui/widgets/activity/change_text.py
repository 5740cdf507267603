"""A change as one line of the tail: when, which stage, which upload, and what is worth saying about it."""

from collections.abc import Sequence
from datetime import datetime

from upload_tui.monitor import AnomalyNoticed, StageReached, UploadChange, UploadGone, UploadPurged, UploadSeen
from upload_tui.text import clock_text, duration_text, sanitize
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.fitting import cause_text, fit_to_width, truncate_at_word, truncate_middle

__all__ = ["change_pieces"]

_LABEL_CELLS = 11
_NAME_SHARE = 0.45


def change_pieces(
    change: UploadChange, now: datetime | None, display_options: DisplayOptions, width: int
) -> Sequence[tuple[str, str]]:
    """Texts and tones (component classes of the tail) that say what happened in at most `width` cells."""
    time = f"{clock_text(_changed_on(change), now or change.at, display_options.zone):>8} "
    room = width - len(time) - 2 - _LABEL_CELLS
    name_cells = min(40, max(12, int(room * _NAME_SHARE)))
    name = truncate_middle(change.upload.name or change.upload.id, name_cells, display_options.glyphs.ellipsis)
    sign, word, tone, note = _describe(change, display_options, room - name_cells - 2)
    note = truncate_at_word(note, room - name_cells - 2, display_options.glyphs.ellipsis)
    return (
        (time, "tail--quiet"),
        (f"{sign} ", tone),
        (fit_to_width(word, _LABEL_CELLS), tone),
        (fit_to_width(name, name_cells), ""),
        (f"  {note}" if note else "", tone if tone in {"tail--error", "tail--warning"} else "tail--quiet"),
    )


def _changed_on(change: UploadChange) -> datetime:
    if isinstance(change, StageReached):
        return change.on or change.latest or change.at
    return change.at


def _describe(change: UploadChange, display_options: DisplayOptions, note_cells: int) -> tuple[str, str, str, str]:
    glyphs = display_options.glyphs
    match change:
        case StageReached():
            return (
                glyphs.stages[change.after],
                change.after,
                f"tail--{change.after}",
                _stage_note(change, display_options, note_cells),
            )
        case AnomalyNoticed():
            name = change.anomaly.name.replace("_", " ")
            return glyphs.warning, "odd", "tail--warning", f"{name}: {sanitize(change.anomaly.detail)}"
        case UploadPurged():
            return glyphs.unreached, "purged", "tail--quiet", "the stored bytes were thrown away"
        case UploadGone():
            return glyphs.broken, "gone", "tail--warning", "the service no longer knows it"
        case UploadSeen():
            return glyphs.unreached, "seen", "tail--quiet", "a new upload"
        case _:
            return glyphs.unreached, "changed", "tail--quiet", ""


def _stage_note(change: StageReached, display_options: DisplayOptions, note_cells: int) -> str:
    if change.error_message and note_cells < 40:
        return cause_text(change.error_message, note_cells, display_options.glyphs.ellipsis)
    if change.error_message:
        return sanitize(change.error_message)
    if change.certainty == "observed" and change.earliest and change.latest:
        return f"seen within {duration_text((change.latest - change.earliest).total_seconds())}"
    if change.certainty == "estimated":
        return f"{display_options.glyphs.estimate} by its last update"
    return ""
