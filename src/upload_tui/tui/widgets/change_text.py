"""A change as one line of the change log, and which changes the change log shows."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from msgspec import Struct
from rich.cells import cell_len

from upload_tui.monitor import (
    EVERYTHING,
    AnomalyNoticed,
    CommandEnded,
    OwnStateReached,
    Row,
    StageReached,
    UploadChange,
    UploadGone,
    UploadKey,
    UploadPurged,
    UploadSeen,
    Where,
    needs_upload,
)
from upload_tui.status import Stage
from upload_tui.text import clock_text, duration_text, name_or_id, sanitize, short_cause
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.appearance.glyphs import Glyphs
from upload_tui.tui.appearance.project_names import ProjectNames
from upload_tui.tui.fitting import detailed_cause_text, fit_to_width, truncate_at_word, truncate_middle, widest

__all__ = ["CHANGE_CLASSES", "ChangeFilter", "change_pieces", "fold_changes", "unfolded"]


class FoldedStage(StageReached, frozen=True, kw_only=True):
    """A stage that was reached, and what else the same reading showed: one line of the change log."""

    others: tuple[AnomalyNoticed | OwnStateReached, ...]


def fold_changes(changes: Iterable[UploadChange]) -> list[UploadChange]:
    """Fold anomalies and own states into the stage that the same reading of the upload showed before them."""
    folded: list[UploadChange] = []
    stages: dict[UploadKey, int] = {}
    for change in changes:
        key = change.upload.key
        stage = folded[stages[key]] if key in stages else None
        is_of_reading = isinstance(stage, StageReached) and stage.at == change.at
        if is_of_reading and isinstance(change, AnomalyNoticed | OwnStateReached):
            before = stage.others if isinstance(stage, FoldedStage) else ()
            fields = {name: getattr(stage, name) for name in StageReached.__struct_fields__}
            folded[stages[key]] = FoldedStage(**fields, others=(*before, change))
            continue
        if isinstance(change, StageReached):
            stages[key] = len(folded)
        folded.append(change)
    return folded


def unfolded(change: UploadChange) -> Sequence[UploadChange]:
    """A change, and those that are folded into it."""
    return (change, *change.others) if isinstance(change, FoldedStage) else (change,)


class ChangeFilter(Struct, frozen=True):
    """A filter of changes.

    Attributes:
        where: what the user searches for.
        stage: only changes to this stage; None means all.
        recent_seconds: only changes of the last seconds; None means all.
    """

    where: Where = Where()
    stage: Stage | None = None
    recent_seconds: int | None = None

    def __bool__(self) -> bool:
        """True if the filter can exclude a change."""
        return self.where.tree != EVERYTHING or self.stage is not None or self.recent_seconds is not None

    def matches(self, change: UploadChange, now: datetime, row_of: Callable[[UploadKey], Row | None]) -> bool:
        """True if the change is shown; `row_of` is called only if the change itself does not have what is searched."""
        if self.stage is not None and not (isinstance(change, StageReached) and change.after is self.stage):
            return False
        if not self.is_recent(change, now):
            return False
        if self.where.tree == EVERYTHING:
            return True
        from upload_tui.monitor import matches_change

        row = row_of(change.upload.key) if needs_upload(self.where.tree) else None
        return matches_change(self.where.tree, change, row, now, folded=unfolded(change)[1:])

    def is_recent(self, change: UploadChange, now: datetime) -> bool:
        """True if the change is of the last seconds."""
        return self.recent_seconds is None or (now - change.happened_on).total_seconds() <= self.recent_seconds


_LABEL_CELLS = 11
_LABEL_FROM_WIDTH = 72
_MIN_NAME_CELLS = 12
_LEAST_BESIDE_PLACE, _GOOD_BESIDE_PLACE = 32, 50
"""Cells that a name and a note such as `bad chunk hash` have together beside the name of a project."""
_GAP = "  "
_NO_PLACES = ProjectNames()
_QUIET, _ERROR = "changes--quiet", "changes--error"

CHANGE_CLASSES = frozenset(
    f"changes--{name}" for name in ("cursor", "bar", "quiet", "initiated", "completed", "verified", "error")
)
"""The component classes of the change log."""


def change_pieces(
    change: UploadChange,
    now: datetime | None,
    display_options: DisplayOptions,
    width: int,
    places: ProjectNames = _NO_PLACES,
) -> Sequence[tuple[str, str]]:
    """Texts with their component classes; together at most `width` cells. A narrow line has no label, only the sign.

    Of several projects (`places`), a line names its own if there is room.
    """
    glyphs = display_options.glyphs
    time = f"{clock_text(change.happened_on, now or change.at, display_options.zone):>8} "
    label_cells = _LABEL_CELLS if width >= _LABEL_FROM_WIDTH else 0
    room = max(width - len(time) - 2 - label_cells, 0)
    place = _place_text(change, places, room, glyphs)
    room -= cell_len(place)
    name = name_or_id(change.upload.name, change.upload.id)
    sign, label, component_class, note = _describe(change, display_options, _note_cells(change, name, room))
    if not (label_cells or note or isinstance(change, StageReached)):  # only the sign of a stage is its own
        note = label
    states, wrong = _folded_texts(change)
    signed = ((glyphs.own_state, states), (glyphs.warning, wrong))
    note = " ".join(filter(None, (note, *(f"{sign} {', '.join(texts)}" for sign, texts in signed if texts))))
    note_class = _ERROR if component_class == _ERROR or wrong else _QUIET
    name, note = _fit_name(name, note, room, glyphs)
    return (
        (time, _QUIET),
        (f"{sign} ", component_class),
        (fit_to_width(label, label_cells), component_class if component_class == _ERROR else _QUIET),
        (place, _QUIET),
        (name, ""),
        (f" {glyphs.dot} " if note else "", _QUIET),
        (note, note_class),
    )


def _folded_texts(change: UploadChange) -> tuple[Sequence[str], Sequence[str]]:
    """The own states and the anomalies that are folded into a change."""
    others = unfolded(change)[1:]
    states = [sanitize(one.state) for one in others if isinstance(one, OwnStateReached)]
    wrong = dict.fromkeys(one.anomaly.name.replace("_", " ") for one in others if isinstance(one, AnomalyNoticed))
    return states, [*wrong]


def _place_text(change: UploadChange, places: ProjectNames, room: int, glyphs: Glyphs) -> str:
    """The name of the change's project, and the blanks after it; empty if there is only one project, or no room."""
    cells = places.cells(room - len(_GAP), _LEAST_BESIDE_PLACE, _GOOD_BESIDE_PLACE)
    return places.text(change.upload, cells, glyphs.ellipsis) + _GAP if cells else ""


def _note_cells(change: UploadChange, name: str, room: int) -> int:
    """The cells for a note. Details of a known cause do not shorten the name; the cause itself does."""
    cells = room - _MIN_NAME_CELLS - 3
    cause = short_cause(change.error_message or "") if isinstance(change, StageReached) else ""
    return min(cells, max(cell_len(cause), room - widest([name]) - 3)) if cause else cells


def _fit_name(name: str, note: str, room: int, glyphs: Glyphs) -> tuple[str, str]:
    """The name and the note in `room` cells; the name is shortened before the note, but not below a minimum."""
    name = truncate_middle(name, room, glyphs.ellipsis)
    missing = cell_len(name) + 3 + cell_len(note) - room
    if note and missing > 0:
        least = min(cell_len(name), max(_MIN_NAME_CELLS, room * 2 // 5))
        name = truncate_middle(name, max(least, cell_len(name) - missing), glyphs.ellipsis)
    return name, truncate_at_word(note, max(room - cell_len(name) - 3, 0), glyphs.ellipsis) if note else ""


def _describe(change: UploadChange, display_options: DisplayOptions, note_cells: int) -> tuple[str, str, str, str]:
    """Sign, label, component class and note of a change."""
    glyphs = display_options.glyphs
    match change:
        case StageReached():
            note = _stage_note(change, display_options, note_cells)
            return glyphs.stages[change.after], change.after, f"changes--{change.after}", note
        case OwnStateReached():
            return glyphs.own_state, "state", _QUIET, sanitize(change.state)
        case AnomalyNoticed():
            name = change.anomaly.name.replace("_", " ")
            return glyphs.warning, "anomaly", _ERROR, f"{name}: {sanitize(change.anomaly.detail)}"
        case UploadPurged():
            return glyphs.unreached, "purged", _QUIET, ""
        case UploadGone():
            return glyphs.unreached, "gone", _QUIET, "no longer listed"
        case CommandEnded():
            return glyphs.unreached, "command", _QUIET if change.is_ok else _ERROR, sanitize(change.text)
        case UploadSeen():
            return glyphs.unreached, "seen", _QUIET, "a new upload"
        case _:
            return glyphs.unreached, "changed", _QUIET, ""


def _stage_note(change: StageReached, display_options: DisplayOptions, note_cells: int) -> str:
    """An error's cause, or how the time is known unless it was reported."""
    if change.error_message:
        return detailed_cause_text(change.error_message, note_cells, display_options.glyphs.ellipsis)
    if change.certainty == "observed" and change.earliest and change.latest:
        return f"observed within {duration_text((change.latest - change.earliest).total_seconds())}"
    if change.certainty == "estimated":
        return f"{display_options.glyphs.estimate} from its last update"
    return ""
