"""The four stages as a funnel: `○ initiated 2 → ◐ completed 1 → ● verified 715 │ ✗ error 93`, ages and sparklines.

A click filters by the stage.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive

from upload_tui.monitor import Funnel, StageSummary
from upload_tui.status import Stage
from upload_tui.text import sparkline_text
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.fitting import truncate_at_word
from upload_tui.tui.widgets.cached_lines import DiffedText
from upload_tui.tui.widgets.pending_text import least_age_text

__all__ = ["FunnelBar", "StageCell"]

_SPARK_CELLS = {10: 30, 8: 23, 6: 23}
"""Cells of a sparkline, the most first, and the width of a stage from which on it may have as many."""
_SPAN_CELLS = len(" 10 min")
"""Cells after the sparkline of the last stage, for the number of minutes."""
_ARROW_CELLS = 2
"""Cells at the end of a stage for the arrow to the next one, and a blank before it."""
_AGO_FROM_WIDTH = 24
"""Width of a stage from which on its age has the word `ago`."""
_PROBLEM_LINE = 1
"""The line with the number of stuck or overdue uploads."""


class StageCell(DiffedText):
    """One stage; a click on it posts `Picked`, a click on its stuck or overdue uploads `LatePicked`.

    All stages of the bar show the same parts: words beside the number and the time below it, a sparkline, `ago`.
    """

    summary: reactive[StageSummary | None] = reactive(None, repaint=False)
    now: reactive[datetime | None] = reactive(None, repaint=False)
    display_options: reactive[DisplayOptions] = reactive(DisplayOptions, repaint=False)
    is_filtered_out: reactive[bool] = reactive(False, repaint=False)

    watch_summary = watch_now = watch_display_options = watch_is_filtered_out = DiffedText.watch_changed

    class Picked(Message):
        """The user clicked the stage, to filter by it or to end the filter."""

        def __init__(self, stage: Stage) -> None:
            super().__init__()
            self.stage = stage

    class LatePicked(Message):
        """The user clicked the number of stuck or overdue uploads of the stage, to see them."""

        def __init__(self, stage: Stage) -> None:
            super().__init__()
            self.stage = stage

    def __init__(self, stage: Stage) -> None:
        super().__init__(classes=f"-{stage}")
        self.stage = stage

    def on_click(self, event: events.Click) -> None:
        """Post that the stage, or its late uploads, were picked."""
        offset = event.get_content_offset(self)
        is_late = self.summary is not None and bool(self.summary.stuck or self.summary.overdue)
        is_on_problem = offset is not None and offset.y == _PROBLEM_LINE and is_late
        self.post_message(self.LatePicked(self.stage) if is_on_problem else self.Picked(self.stage))

    def text(self) -> Content:
        """The stage's count and a sparkline; if there is a second line, a note below it."""
        summary = self.summary or StageSummary(self.stage)
        if self.size.height < _PROBLEM_LINE + 1:
            return self._with_separator(self._count(summary), self._separator())
        count = self._count(summary)
        count += self._sparkline(summary)
        separator = self._separator()
        rule = separator if self.stage is Stage.VERIFIED else ""
        return self._with_separator(count, separator) + Content("\n") + self._with_separator(self._note(summary), rule)

    @property
    def _room(self) -> int:
        """The cells beside the separator."""
        return self.size.width - (0 if self.stage is Stage.ERROR else _ARROW_CELLS)

    def _separator(self) -> str:
        """An arrow to the next stage; a vertical line before `error`, which does not follow `verified`."""
        glyphs = self.display_options.glyphs
        return {Stage.ERROR: "", Stage.VERIFIED: glyphs.rail}.get(self.stage, glyphs.arrow_right)

    def _with_separator(self, line: Content, separator: str) -> Content:
        gap = self.size.width - line.cell_length - len(separator)
        return line if gap < 0 else Content.assemble(line, " " * gap, (separator, "$faint"))

    def _style(self, style: str) -> str:
        """The style, or a faint one while the table is filtered by other stages."""
        return "$faint" if self.is_filtered_out else style

    def _count(self, summary: StageSummary) -> Content:
        """Sign, word and number, as far as there is room: `● verified 715`, `●…`; `-` while nothing is known."""
        sign = self.display_options.glyphs.stages[self.stage]
        count = next((count for count in self._numbers() if self._fits(sign, count)), "")
        has_word = all(stage.can_have_word for stage in self._stages)
        has_new = self.stage is Stage.ERROR and any(summary.recent)
        count_style = "bold $stage-error" if has_new else "bold $foreground" if summary.count else "$quiet"
        return Content.assemble(
            (sign, self._style(f"$stage-{self.stage}")),
            (f" {self.stage} " if has_word else " " * self._fits(sign, " ", count), self._style("$quiet")),
            (count, self._style(count_style)),
        )

    @property
    def _stages(self) -> Sequence["StageCell"]:
        """All stages of the bar."""
        return [self] if self.parent is None else [one for one in self.parent.children if isinstance(one, StageCell)]

    @property
    def _least_width(self) -> int:
        """The width of the narrowest stage; some are a cell wider."""
        return min(stage.size.width for stage in self._stages)

    def _numbers(self) -> Sequence[str]:
        if self.summary is None:
            return ("-",)
        return f"{self.summary.count:,}", str(self.summary.count), self.display_options.glyphs.ellipsis

    @property
    def can_have_word(self) -> bool:
        """Whether there is room for the word of the number; an arrow follows it in all stages but the last."""
        return len(f"? {self.stage} {self._numbers()[0]}") <= self.size.width - _ARROW_CELLS

    @property
    def can_have_time_word(self) -> bool:
        """Whether there is room for the word of the time below the number, or there is no time."""
        return cell_len(" ".join(self._time_texts(self.summary or StageSummary(self.stage)))) <= self._note_cells

    def _fits(self, *texts: str) -> bool:
        return sum(map(len, texts)) <= self._room

    @property
    def spark_room(self) -> int:
        """The cells that a sparkline can have behind the number."""
        after = _SPAN_CELLS if self.stage is Stage.ERROR else _ARROW_CELLS
        return self.size.width - self._count(self.summary or StageSummary(self.stage)).cell_length - 1 - after

    def _sparkline(self, summary: StageSummary) -> Content:
        """The uploads that entered the stage in each of the last minutes; empty if not all stages have room for as many.

        The last stage has the number of minutes behind it.
        """
        room, width = min(stage.spark_room for stage in self._stages), self._least_width
        cells = next((cells for cells, from_width in _SPARK_CELLS.items() if width >= from_width and cells <= room), 0)
        if not cells:
            return Content("")
        spark = sparkline_text(summary.recent, cells, self.display_options.glyphs.sparks)
        has_new = self.stage is Stage.ERROR and any(summary.recent[-cells:])
        return Content.assemble(
            (f" {spark}", self._style("$stage-error" if has_new else "$quiet")),
            (f" {cells} min" if self.stage is Stage.ERROR else "", self._style("$quiet")),
        )

    def _note(self, summary: StageSummary) -> Content:
        """What is stuck or overdue, or else the age of the oldest (of a final stage, the newest) upload."""
        glyphs, room = self.display_options.glyphs, self._note_cells
        if late := _late_text(summary):
            text = truncate_at_word(f"{glyphs.warning} {late}", room, glyphs.ellipsis)
            return Content.styled(text, self._style("bold $overdue"))
        word, time = self._time_texts(summary)
        has_word = all(stage.can_have_time_word for stage in self._stages)
        text = f"{word} {time}" if has_word else time
        return Content.styled(truncate_at_word(text.strip(), room, glyphs.ellipsis), self._style("$quiet"))

    @property
    def _note_cells(self) -> int:
        """The cells of the second line, where no arrow is."""
        return self._room if self.stage is Stage.VERIFIED else self.size.width

    def _time_texts(self, summary: StageSummary) -> tuple[str, str]:
        """`oldest` or `last`, and how long ago or when that was; two empty texts if uploads are late or there is no time."""
        is_final, is_absolute = self.stage.is_final, self.display_options.absolute_times
        since = summary.newest_since if is_final else summary.oldest_since
        if self.now is None or since is None or not summary.count or _late_text(summary):
            return "", ""
        is_least = summary.is_newest_least if is_final else summary.is_oldest_least
        if is_final or is_absolute:
            has_ago = is_final and self._least_width >= _AGO_FROM_WIDTH
            text_of = self.display_options.ago_text if has_ago else self.display_options.time_text
            time = text_of(since, self.now, is_least=is_least)
        else:
            time = least_age_text(since, self.now, summary.oldest_read_on, is_least=is_least)
        return "last" if is_final else "oldest", time


def _late_text(summary: StageSummary) -> str:
    """`2 stuck`, or else `3 overdue`; empty if none is."""
    late = ((summary.stuck, "stuck"), (summary.overdue, "overdue"))
    return next((f"{count:,} {word}" for count, word in late if count), "")


class FunnelBar(Horizontal):
    """All four stages side by side. A click on one posts `StageCell.Picked`.

    Args:
        funnel: the counts; None while there are none.
        now: the time that ages are computed from.
        display_options: signs, time zone and format of times.

    >>> from upload_tui.testing import NOW, FrozenClock, sample_uploads
    >>> from upload_tui.widgets import FunnelBar, InMemoryPicture
    >>> picture = InMemoryPicture(sample_uploads(), clock=FrozenClock())
    >>> bar = FunnelBar(picture.funnel(), NOW)
    >>> picture.close()
    """

    def __init__(
        self,
        funnel: Funnel | None = None,
        now: datetime | None = None,
        *,
        display_options: DisplayOptions | None = None,
        id: str | None = None,  # noqa: A002  # Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._initial = (funnel or Funnel(), now, display_options or DisplayOptions())

    def on_mount(self) -> None:
        """Show the initial counts."""
        self.show(*self._initial)

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        for stage in Stage:
            yield StageCell(stage)

    def set_now(self, now: datetime) -> None:
        """Update the ages; the counts stay."""
        for stage_cell in self.query(StageCell):
            stage_cell.set_reactives(now=now)
        self._refresh_words()

    def on_resize(self) -> None:
        """Show the words that have room now."""
        self._refresh_words()

    def _refresh_words(self) -> None:
        """Repaint the stages whose words depend on what another one shows."""
        for stage_cell in self.query(StageCell):
            stage_cell.refresh_changed()

    def show(
        self,
        funnel: Funnel | None,
        now: datetime | None,
        display_options: DisplayOptions | None = None,
        filtered: Iterable[Stage] = (),
    ) -> None:
        """Show these counts.

        Args:
            funnel: the counts; None while nothing is known.
            now: the time that ages are computed from.
            display_options: signs, time zone and format of times.
            filtered: the stages that the table is filtered by, empty for all.
        """
        stages = frozenset(filtered)
        for stage_cell in self.query(StageCell):
            is_filtered = stage_cell.stage in stages
            stage_cell.set_class(is_filtered, "-filtered")
            stage_cell.set_reactives(
                summary=None if funnel is None else funnel[stage_cell.stage],
                now=now,
                display_options=display_options or DisplayOptions(),
                is_filtered_out=bool(stages) and not is_filtered,
            )
        self._refresh_words()
