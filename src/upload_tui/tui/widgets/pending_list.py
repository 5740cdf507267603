"""The pending uploads, with their ages and why they are pending."""

from collections.abc import Sequence
from datetime import datetime

from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive

from upload_tui.monitor import ProjectRef, Row
from upload_tui.text import name_or_id
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.appearance.project_names import project_names_of
from upload_tui.tui.fitting import first_that_fits, fit_to_width, truncate_at_word, truncate_middle
from upload_tui.tui.widgets.cached_lines import DiffedText
from upload_tui.tui.widgets.pending_text import (
    AGE_CELLS,
    acknowledged_texts,
    pending_age_text,
    pending_details,
    pending_reasons,
)

__all__ = ["PendingList"]

_MIN_NAME_CELLS, _MAX_NAME_CELLS, _NAME_STEP_CELLS = 12, 40, 4
_LEAST_BESIDE_PLACE, _GOOD_BESIDE_PLACE = 31, 48
"""Cells that a name and a reason such as `stuck: verifying` have together beside the name of a project."""
_FIXED_CELLS = AGE_CELLS + 5
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
        longest_reason = max(cell_len(first_that_fits(_reason_texts(row), room)) for row in self._shown)
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
        return project_names_of(self.projects).cells(room, _LEAST_BESIDE_PLACE, _GOOD_BESIDE_PLACE)

    def _line(self, row: Row, name: str, place_cells: int, now: datetime) -> Content:
        is_late, ellipsis = row.lateness.is_stuck or row.lateness.is_overdue, self.display_options.glyphs.ellipsis
        age = pending_age_text(row, now)
        place = f" {project_names_of(self.projects).text(row, place_cells, ellipsis)}" if place_cells else ""
        wait = self._wait_text(row, now, self.size.width - cell_len(name) - cell_len(place) - _FIXED_CELLS)
        return Content.assemble(
            (f"{self.display_options.glyphs.stages[row.stage]} ", f"$stage-{row.stage}"),
            (name, "$faint" if row.is_stale and row.trouble is None else ""),
            (f" {fit_to_width(age, AGE_CELLS, align_right=True)}", "$overdue bold" if is_late else "$quiet"),
            (place, "$quiet"),
            (f"  {wait}", "$overdue" if is_late else "$quiet"),
        )

    def _wait_text(self, row: Row, now: datetime, width: int) -> str:
        """Why the upload is pending in at most `width` cells, followed by as many details as fit completely."""
        reasons = _reason_texts(row)
        text = first_that_fits(reasons, width)
        text = truncate_at_word(text, width, self.display_options.glyphs.ellipsis)
        for detail in pending_details(row, now):
            if len(text) + 2 + len(detail) > width:
                break
            text = f"{text}, {detail}"
        return text


def _reason_texts(row: Row) -> Sequence[str]:
    """Why the upload is pending, and whether it is late, in several lengths, the longest first."""
    reasons = pending_reasons(row)
    if row.acknowledged_trouble is not None:
        return [*acknowledged_texts([*(f"{row.acknowledged_trouble}: {reason}" for reason in reasons)], "")]
    if not (row.lateness.is_stuck or row.lateness.is_overdue):
        return reasons
    word = "stuck" if row.lateness.is_stuck else "overdue"
    return [*(f"{word}: {reason}" for reason in reasons), word]
