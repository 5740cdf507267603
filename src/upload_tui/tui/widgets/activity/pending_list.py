"""The pending uploads, with their ages and why they are pending."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive

from upload_tui.monitor import Row, WaitsFor
from upload_tui.status import Stage
from upload_tui.text import age_text, duration_text, size_text
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.fitting import fit_to_width, truncate_at_word, truncate_middle
from upload_tui.tui.widgets.base.diffed_text import DiffedText

__all__ = ["PendingList"]

_MIN_NAME_CELLS, _MAX_NAME_CELLS, _NAME_STEP_CELLS = 12, 40, 4
_AGE_CELLS = 7
_FIXED_CELLS = _AGE_CELLS + 5
"""Cells of the sign, the age and the blanks between the parts of a line."""
_WAIT_CELLS = 20
"""Least cells for why the upload is pending, `overdue: verifying` for example; names are shortened for it."""


class PendingList(DiffedText):
    """The uploads that have been pending longest, one per line; on the lower border how many of `total` are not shown.

    `max_rows` is the number of lines there is space for; `is_known` is False until something is known about the uploads.
    """

    rows: reactive[Sequence[Row]] = reactive((), repaint=False)
    total: reactive[int] = reactive(0, repaint=False)
    max_rows: reactive[int] = reactive(1, repaint=False)
    now: reactive[datetime | None] = reactive(None, repaint=False)
    display_options: reactive[DisplayOptions] = reactive(DisplayOptions, repaint=False)
    is_known: reactive[bool] = reactive(True, repaint=False)

    _hidden_count = 0

    def refresh_changed(self) -> None:
        """Repaint what changed, and show how many uploads are hidden."""
        hidden_count = max(0, self.total - len(self._shown)) if self._shown else 0
        if hidden_count != self._hidden_count:  # setting the subtitle repaints the whole list
            self._hidden_count = hidden_count
            self.border_subtitle = f" +{hidden_count:,} more waiting " if hidden_count else ""
        super().refresh_changed()

    watch_rows = watch_total = watch_max_rows = watch_now = watch_display_options = watch_is_known = refresh_changed

    @property
    def _shown(self) -> Sequence[Row]:
        return self.rows[: self.max_rows]

    def text(self) -> Content:
        """A line per upload, or why there is none."""
        if self.now is None:
            return Content("")
        ellipsis = self.display_options.glyphs.ellipsis
        if not self.rows:
            return Content.styled("Nothing pending." if self.is_known else f"Loading{ellipsis}", "$quiet")
        width = self.size.width
        limit = min(_MAX_NAME_CELLS, width * 2 // 5, max(_MIN_NAME_CELLS, width - _FIXED_CELLS - _WAIT_CELLS))
        names = [truncate_middle(row.name or row.id, limit, ellipsis) for row in self._shown]
        # The width grows in steps, so that the rest of the lines does not move with every new name.
        longest = -(-max(map(cell_len, names)) // _NAME_STEP_CELLS) * _NAME_STEP_CELLS
        pairs = zip(self._shown, names, strict=True)
        return Content("\n").join(
            self._line(row, fit_to_width(name, min(limit, longest)), self.now) for row, name in pairs
        )

    def _line(self, row: Row, name: str, now: datetime) -> Content:
        is_late = row.lateness.is_stuck or row.lateness.is_overdue
        age = "?" if row.stage_since is None else age_text((now - row.stage_since).total_seconds())
        wait = self._wait_text(row, now, self.size.width - cell_len(name) - _FIXED_CELLS)
        return Content.assemble(
            (f"{self.display_options.glyphs.stages[row.stage]} ", f"$stage-{row.stage}"),
            (name, ""),
            (f" {fit_to_width(age, _AGE_CELLS, align_right=True)}", "$warning bold" if is_late else "$quiet"),
            (f"  {wait}", "$warning" if is_late else "$quiet"),
        )

    def _wait_text(self, row: Row, now: datetime, width: int) -> str:
        """Why the upload is pending in at most `width` cells, followed by as many details as fit completely."""
        reasons = _reasons(row)
        if row.lateness.is_stuck or row.lateness.is_overdue:
            word = "stuck" if row.lateness.is_stuck else "overdue"
            reasons = [*(f"{word}: {reason}" for reason in reasons), word]
        text = next((reason for reason in reasons if len(reason) <= width), reasons[-1])
        text = truncate_at_word(text, width, self.display_options.glyphs.ellipsis)
        for detail in _details(row, now):
            if len(text) + 2 + len(detail) > width:
                break
            text = f"{text}, {detail}"
        return text


def _reasons(row: Row) -> Sequence[str]:
    """Why an upload is pending: the same reason in several lengths, the longest first."""
    if row.stage is Stage.COMPLETED:
        has_no_worker = row.lateness.waits_for is WaitsFor.WORKER
        return ["no worker has picked it up", "no worker"] if has_no_worker else ["verifying"]
    if row.chunk_count is None:
        return ["waiting for client"]
    received = row.chunk_bytes or 0
    if row.size_bytes is not None and received >= row.size_bytes:
        if row.lateness.is_stuck or row.lateness.is_overdue:
            return ["all chunks received, client never completed it", "client never completed it"]
        return ["100% received, waiting for client", "100% received"]
    if not received:
        return ["no chunks received"]
    return [f"{received * 100 // row.size_bytes}% received" if row.size_bytes else f"{size_text(received)} received"]


def _details(row: Row, now: datetime) -> Iterator[str]:
    """Typical duration, time left and queue of a verification, the most important first."""
    lateness = row.lateness
    if row.stage is not Stage.COMPLETED:
        return
    if lateness.p50_seconds is not None:
        yield f"typically {duration_text(lateness.p50_seconds)}"
    if not lateness.is_overdue and lateness.expected_on is not None:
        seconds_left = (lateness.expected_on - now).total_seconds()
        if seconds_left >= 1:
            yield f"about {age_text(seconds_left)} left"
    if lateness.queue_depth is not None:
        yield f"{lateness.queue_depth:,} in queue"
