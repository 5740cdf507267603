"""The pending uploads, with their ages and why they are pending."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive

from upload_tui.monitor import Detail, ProjectRef, Row, WaitsFor
from upload_tui.status import AnomalyName, Certainty, Origin, Stage, is_unsafe
from upload_tui.text import (
    age_text,
    anomaly_texts,
    duration_text,
    name_or_id,
    own_state,
    percent_text,
    received_text,
    sanitize,
    size_text,
)
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.appearance.glyphs import Glyphs
from upload_tui.tui.appearance.places import places_of
from upload_tui.tui.fitting import fit_to_width, hanging_lines, truncate_at_word, truncate_middle
from upload_tui.tui.widgets.cached_lines import DiffedText

__all__ = [
    "PendingList",
    "acknowledged_texts",
    "anomaly_lines",
    "anomaly_reasons",
    "bytes_per_second",
    "least_age_text",
    "pending_age_text",
    "pending_details",
    "pending_reasons",
    "stuck_badge",
    "time_left_text",
]


def least_age_text(since: datetime, now: datetime, read_on: datetime | None, *, is_least: bool = False) -> str:
    """The age of what began at `since`: `43m`, or `>43m` if it may have ended since it was last read.

    Args:
        since: when it began.
        now: the present.
        read_on: when it was last read, if it may have ended since; None if it is current.
        is_least: it may have begun long before.
    """
    sign = ">" if is_least or read_on is not None else ""
    return f"{sign}{age_text(((read_on or now) - since).total_seconds())}"


def pending_age_text(row: Row, now: datetime) -> str:
    """How long a pending upload has been in its stage: `43m`; `>43m` if that is the least age; `?` if it is not known.

    That of an upload that is gone ends with its last reading. At most seven characters: `>18h 01m` becomes `>18h`.
    """
    if row.stage_since is None:
        return "?"
    read_on = row.read_on if row.is_stale or row.is_gone else None
    age = least_age_text(row.stage_since, now, read_on, is_least=row.is_least_age)
    return age if len(age) <= _AGE_CELLS else age.split()[0]


def stuck_badge(row: Row, now: datetime) -> str:
    """` STUCK 43m `: how long the upload has been in its stage, without the age if it is not known."""
    return " STUCK " if row.stage_since is None else f" STUCK {pending_age_text(row, now)} "


def bytes_per_second(row: Row) -> float | None:
    """How fast the chunks of an initiated upload arrived so far; None if it is not known."""
    if row.stage is not Stage.INITIATED or not row.chunk_bytes or row.initiated_on is None:
        return None
    if row.since_certainty is Certainty.OBSERVED:  # the chunks have been arriving for longer
        return None
    seconds = (row.read_on - row.initiated_on).total_seconds()
    return row.chunk_bytes / seconds if seconds >= 1 else None


def time_left_text(row: Row) -> str:
    """How long the rest of the chunks takes at this speed: `3m left`; empty if it is late, gone, not current or not known."""
    speed = bytes_per_second(row)
    is_late = row.lateness.is_stuck or row.lateness.is_overdue
    if speed is None or row.size_bytes is None or is_late or row.is_stale or row.is_gone or not row.is_current:
        return ""
    seconds = (row.size_bytes - (row.chunk_bytes or 0)) / speed
    if seconds <= 0:
        return ""
    return f"{f'{seconds / 60:.0f}m' if 60 <= seconds < 3570 else age_text(max(seconds, 1))} left"


def is_from_source(row: Row) -> bool:
    """Whether a source lists the upload: what happens after it was completed is not known then."""
    return Origin.of(row.service) is Origin.SOURCE


def anomaly_reasons(row: Row) -> Sequence[str]:
    """The most serious anomaly in words, the longest text first; empty if there is none, or if it is not known."""
    if row.anomaly is None:
        return ()
    if row.anomaly.name is AnomalyName.RECEIVED_TOO_MUCH and row.size_bytes:
        percent = percent_text(row.chunk_bytes or 0, row.size_bytes)
        return f"{percent} received, more than its size", f"{percent} received"
    if row.anomaly.name is AnomalyName.CHUNK_SIZES_DIFFER and not (row.chunk_bytes is None or row.size_bytes is None):
        return received_text(row.chunk_bytes, row.size_bytes), "chunks do not match"
    return [*anomaly_texts(row.anomaly)]


def anomaly_lines(detail: Detail, glyphs: Glyphs, width: int) -> Iterator[Content]:
    """A line per anomaly, below an empty one. A state of a source's own is none: the timeline has it among the stages."""
    anomalies = [one for one in detail.anomalies if not own_state(one, detail.row.service)]
    if anomalies:
        yield Content("")
    for anomaly in anomalies:
        name = anomaly.name.replace("_", " ")
        text = Content.assemble((f"{name}: ", "$stage-error bold"), (sanitize(anomaly.detail), ""))
        yield from hanging_lines(Content.styled(f"{glyphs.warning} ", "$stage-error bold"), text, width)


def _verification_reasons(row: Row) -> Sequence[str]:
    """Why a completed upload is pending, after what is wrong with its chunks: it will fail then."""
    if row.lateness.waits_for is WaitsFor.WORKER:
        reasons = ["no worker has picked it up", "no worker"]
    else:
        reasons = ["waiting for the next stage", "waiting"] if is_from_source(row) else ["verifying"]
    if row.anomaly is None or not is_unsafe(row.anomaly):
        return reasons
    wrong = anomaly_reasons(row)
    return [*(f"{wrong[0]}, {reason}" for reason in reasons), *wrong]


def pending_reasons(row: Row) -> Sequence[str]:
    """Why an upload is pending: the same reason in several lengths, the longest first."""
    if row.stage is Stage.COMPLETED:
        return _verification_reasons(row)
    if row.chunk_count is None and not row.chunk_bytes:
        return ["waiting for client", "waiting"]
    received = row.chunk_bytes or 0
    if row.size_bytes and received > row.size_bytes:
        percent = percent_text(received, row.size_bytes)
        return [f"{percent} received, more than its size", f"{percent} received"]
    if row.size_bytes is not None and received >= row.size_bytes:
        if row.lateness.is_stuck or row.lateness.is_overdue:
            return ["all chunks received, client never completed it", "client never completed it", "never completed"]
        return ["100% received, waiting for client", "100% received"]
    if not received:
        return ["no chunks received"]
    return [
        f"{percent_text(received, row.size_bytes)} received" if row.size_bytes else f"{size_text(received)} received"
    ]


def pending_details(row: Row, now: datetime) -> Iterator[str]:
    """Time left of an upload; typical duration, time left and queue of a verification. The most important first."""
    lateness = row.lateness
    if row.stage is not Stage.COMPLETED:
        if left := time_left_text(row):
            yield left
        return
    if lateness.p50_seconds is not None:
        yield f"typically {duration_text(lateness.p50_seconds)}"
    if row.is_current and not lateness.is_overdue and lateness.expected_on is not None:
        seconds_left = (lateness.expected_on - now).total_seconds()
        if seconds_left >= 1:
            yield f"about {age_text(seconds_left)} left"
    if lateness.queue_depth is not None:
        yield f"{lateness.queue_depth:,} in queue"


_MIN_NAME_CELLS, _MAX_NAME_CELLS, _NAME_STEP_CELLS = 12, 40, 4
_LEAST_BESIDE_PLACE, _GOOD_BESIDE_PLACE = 31, 48
"""Cells that a name and a reason such as `stuck: verifying` have together beside the name of a project."""
_AGE_CELLS = 7
_FIXED_CELLS = _AGE_CELLS + 5
"""Cells of the sign, the age and the blanks between the parts of a line."""
_WAIT_CELLS = 20
"""Least cells for why the upload is pending, `overdue: verifying` for example; names are shortened for it."""


class PendingList(DiffedText):
    """The pending uploads, one per line: stuck, then overdue ones, then those that have waited longest.

    The title says how many of all pending uploads, `total`, are stuck, and how many others are overdue; the lower border how many are
    not shown. `max_rows` is the number of lines there is space for; `is_known` is False until something is known about the uploads.
    Of several `projects`, a line names its own if there is room.
    """

    rows: reactive[Sequence[Row]] = reactive((), repaint=False)
    total: reactive[int] = reactive(0, repaint=False)
    stuck_count: reactive[int] = reactive(0, repaint=False)
    overdue_count: reactive[int] = reactive(0, repaint=False)
    max_rows: reactive[int] = reactive(1, repaint=False)
    now: reactive[datetime | None] = reactive(None, repaint=False)
    display_options: reactive[DisplayOptions] = reactive(DisplayOptions, repaint=False)
    is_known: reactive[bool] = reactive(True, repaint=False)
    projects: reactive[tuple[ProjectRef, ...]] = reactive((), repaint=False)

    _titled_counts: tuple[int, ...] | None = None

    def refresh_changed(self) -> None:
        """Repaint what changed, and show how many uploads are hidden."""
        hidden_count = max(0, self.total - len(self._shown)) if self._shown else 0
        counts = (self.total, self.stuck_count, self.overdue_count, hidden_count)
        if counts != self._titled_counts:  # setting a title repaints the whole list
            self._titled_counts = counts
            late, dot = ((self.stuck_count, "stuck"), (self.overdue_count, "overdue")), self.display_options.glyphs.dot
            waiting = f"Waiting {self.total:,}" if self.total else "Waiting"
            texts = (f" {dot} {count:,} {word}" for count, word in late if count)
            self.border_title = Content.assemble(waiting, ("".join(texts), "$overdue bold"))
            self.border_subtitle = f"+{hidden_count:,} more waiting" if hidden_count else ""
        super().refresh_changed()

    watch_rows = watch_total = watch_stuck_count = watch_overdue_count = watch_max_rows = DiffedText.watch_changed
    watch_now = watch_display_options = watch_is_known = watch_projects = DiffedText.watch_changed

    @property
    def _shown(self) -> Sequence[Row]:
        return self.rows[: self.max_rows]

    def text(self) -> Content:
        """A line per upload, or why there is none."""
        if self.now is None:
            return Content("")
        ellipsis = self.display_options.glyphs.ellipsis
        if not self.rows:
            return Content.styled("Nothing pending." if self.is_known else "No data yet.", "$quiet")
        place_cells = self._place_cells
        width = self.size.width - (place_cells and place_cells + 1)
        # Names get what the reasons leave, and at least two fifths of the line if that leaves the reasons their least width.
        share = min(width * 2 // 5, max(_MIN_NAME_CELLS, width - _FIXED_CELLS - _WAIT_CELLS))
        room = width - _FIXED_CELLS - share
        longest_reason = max(len(_first_that_fits(_reason_texts(row), room)) for row in self._shown)
        limit = min(_MAX_NAME_CELLS, max(share, width - _FIXED_CELLS - longest_reason))
        names = [truncate_middle(name_or_id(row.name, row.id), limit, ellipsis) for row in self._shown]
        # The width grows in steps, so that the rest of the lines does not move with every new name.
        longest = -(-max(map(cell_len, names)) // _NAME_STEP_CELLS) * _NAME_STEP_CELLS
        pairs = zip(self._shown, names, strict=True)
        return Content("\n").join(
            self._line(row, fit_to_width(name, min(limit, longest)), place_cells, self.now) for row, name in pairs
        )

    @property
    def _place_cells(self) -> int:
        """The cells of a project's name; 0 if there is only one project, or no room."""
        room = self.size.width - _FIXED_CELLS - 1
        return places_of(self.projects).cells(room, _LEAST_BESIDE_PLACE, _GOOD_BESIDE_PLACE)

    def _line(self, row: Row, name: str, place_cells: int, now: datetime) -> Content:
        is_late, ellipsis = row.lateness.is_stuck or row.lateness.is_overdue, self.display_options.glyphs.ellipsis
        age = pending_age_text(row, now)
        place = f" {places_of(self.projects).text(row, place_cells, ellipsis)}" if place_cells else ""
        wait = self._wait_text(row, now, self.size.width - cell_len(name) - cell_len(place) - _FIXED_CELLS)
        return Content.assemble(
            (f"{self.display_options.glyphs.stages[row.stage]} ", f"$stage-{row.stage}"),
            (name, "$faint" if row.is_stale and row.trouble is None else ""),
            (f" {fit_to_width(age, _AGE_CELLS, align_right=True)}", "$overdue bold" if is_late else "$quiet"),
            (place, "$quiet"),
            (f"  {wait}", "$overdue" if is_late else "$quiet"),
        )

    def _wait_text(self, row: Row, now: datetime, width: int) -> str:
        """Why the upload is pending in at most `width` cells, followed by as many details as fit completely."""
        reasons = _reason_texts(row)
        text = _first_that_fits(reasons, width)
        text = truncate_at_word(text, width, self.display_options.glyphs.ellipsis)
        for detail in pending_details(row, now):
            if len(text) + 2 + len(detail) > width:
                break
            text = f"{text}, {detail}"
        return text


def _first_that_fits(texts: Sequence[str], width: int) -> str:
    return next((text for text in texts if len(text) <= width), texts[-1])


def _reason_texts(row: Row) -> Sequence[str]:
    """Why the upload is pending, and whether it is late, in several lengths, the longest first."""
    reasons = pending_reasons(row)
    if row.acknowledged_trouble is not None:
        return [*acknowledged_texts([*(f"{row.acknowledged_trouble}: {reason}" for reason in reasons)], "")]
    if not (row.lateness.is_stuck or row.lateness.is_overdue):
        return reasons
    word = "stuck" if row.lateness.is_stuck else "overdue"
    return [*(f"{word}: {reason}" for reason in reasons), word]


def acknowledged_texts(wrong: Sequence[str], note: str) -> Iterator[str]:
    """Yield what is wrong and that it is acknowledged, with the note if there is one, the longest first; then what is wrong alone."""
    for text in wrong:
        if note:
            yield f"{text}, acknowledged: {sanitize(note)}"
        yield f"{text}, acknowledged"
    yield from wrong
