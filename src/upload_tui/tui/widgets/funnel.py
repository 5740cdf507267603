"""The four stages as a funnel: counts, oldest ages and a sparkline of the last minutes. A click filters by the stage."""

from collections.abc import Iterable
from datetime import datetime

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive

from upload_tui.monitor import Funnel, StageSummary
from upload_tui.status import Stage
from upload_tui.text import sparkline_text
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.widgets.base.diffed_text import DiffedText

__all__ = ["FunnelBar", "StageCell"]

_SPARK_CELLS = 10


class StageCell(DiffedText):
    """One stage; a click on it posts `Picked`."""

    summary: reactive[StageSummary | None] = reactive(None, repaint=False)
    now: reactive[datetime | None] = reactive(None, repaint=False)
    display_options: reactive[DisplayOptions] = reactive(DisplayOptions, repaint=False)
    is_filtered_out: reactive[bool] = reactive(False, repaint=False)

    watch_summary = watch_now = watch_display_options = watch_is_filtered_out = DiffedText.refresh_changed

    class Picked(Message):
        """The user clicked the stage, to filter by it or to end the filter."""

        def __init__(self, stage: Stage) -> None:
            super().__init__()
            self.stage = stage

    def __init__(self, stage: Stage) -> None:
        super().__init__(classes=f"-{stage}")
        self.stage = stage

    def on_click(self) -> None:
        """Post that the stage was picked."""
        self.post_message(self.Picked(self.stage))

    def text(self) -> Content:
        """The stage's count; if there is a second line, a note and the sparkline."""
        summary = self.summary or StageSummary(self.stage)
        first_line = self._count_line(summary)
        if self.size.height < 2:
            return first_line
        return first_line + Content("\n") + self._note_line(summary)

    def _dimmed(self, colour: str) -> str:
        """A colour at half strength while the table is filtered by other stages."""
        return f"{colour} 50%" if self.is_filtered_out else colour

    def _count_line(self, summary: StageSummary) -> Content:
        width = self.size.width
        sign = f"{self.display_options.glyphs.stages[self.stage]} "
        count = f"{summary.count:,}" if width >= 9 else f"{summary.count}"
        room = width - len(sign) - len(count) - 1
        word = str(self.stage) if room >= len(self.stage) else ""
        gap = width - len(sign) - len(word) - len(count)
        return Content.assemble(
            (sign, self._dimmed(f"$stage-{self.stage}")),
            (word, self._dimmed(f"$stage-{self.stage}")),
            (" " * max(gap if word else 0, 0), ""),
            (count, self._dimmed("bold $foreground" if summary.count else "$quiet")),
        )

    def _note_line(self, summary: StageSummary) -> Content:
        note, style = self._note(summary)
        room = self.size.width - len(note) - 1
        cells = min(_SPARK_CELLS, room)
        spark = sparkline_text(summary.recent, cells, self.display_options.glyphs.sparks) if cells >= 4 else ""
        gap = self.size.width - len(note) - len(spark)
        return Content.assemble((note, style), (" " * max(gap, 0), ""), (spark, self._dimmed(f"$stage-{self.stage}")))

    def _note(self, summary: StageSummary) -> tuple[str, str]:
        """Text and style: what is stuck or overdue, or else the age of the oldest (of a final stage, the newest) upload."""
        glyphs = self.display_options.glyphs
        if summary.stuck:
            return f"{glyphs.warning} {summary.stuck} stuck", self._dimmed("bold $warning")
        if summary.overdue:
            return f"{glyphs.warning} {summary.overdue} overdue", self._dimmed("bold $warning")
        since = summary.newest_since if self.stage.is_final else summary.oldest_since
        if self.now is None or since is None or not summary.count:
            return "", ""
        word = "last" if self.stage.is_final else "oldest"
        has_ago = self.stage.is_final and not self.display_options.absolute_times and self.size.width >= 24
        return f"{word} {self.display_options.time_text(since, self.now)}{' ago' if has_ago else ''}", self._dimmed(
            "$quiet"
        )


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
            stage_cell.now = now

    def show(
        self,
        funnel: Funnel,
        now: datetime | None,
        display_options: DisplayOptions | None = None,
        filtered: Iterable[Stage] = (),
    ) -> None:
        """Show these counts; `filtered` are the stages that the table is filtered by, empty for all."""
        stages = frozenset(filtered)
        for stage_cell in self.query(StageCell):
            is_filtered = stage_cell.stage in stages
            stage_cell.set_class(is_filtered, "-filtered")
            stage_cell.set_reactives(
                summary=funnel[stage_cell.stage],
                now=now,
                display_options=display_options or DisplayOptions(),
                is_filtered_out=bool(stages) and not is_filtered,
            )
