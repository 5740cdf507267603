"""One upload's timeline: what it reached and when, how sure that is, how long each part took, and what is odd."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import ClassVar

from msgspec import Struct
from textual.content import Content
from textual.reactive import reactive

from upload_tui.monitor import MAX_RETRIES, Detail, estimate_retries
from upload_tui.status import Event, Span, Stage
from upload_tui.text import age_text, clock_text, duration_text, event_text, sanitize, size_text, span_text
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.fitting import truncate_middle
from upload_tui.tui.widgets.base.diffed_text import DiffedText
from upload_tui.tui.widgets.timeline.chunk_strip import CHUNK_CLASSES, chunk_lines, contradiction_lines
from upload_tui.wire import StatusShape

__all__ = ["TimelineView", "timeline_lines"]

_BAR_CELLS = 12
_BREAK_RATIO = 30
"""A bar this many times as long as the next is broken."""

_PHASES = {Stage.INITIATED: "uploading", Stage.COMPLETED: "verifying"}
_QUIET = "$quiet"
_MIN_ATTEMPTS_SHOWN = 3


class TimelineView(DiffedText):
    """The timeline of `detail`, as seen at `now`; as tall as what it has to say.

    Args:
        detail: which upload's; None while there is none.
        now: the present that ages are reckoned from.
        display_options: how facts are written.

    >>> from upload_tui.testing import NOW, FrozenClock, an_upload
    >>> from upload_tui.widgets import InMemoryPicture, TimelineView
    >>> picture = InMemoryPicture([answer := an_upload("scan.tiff", completed=30)], clock=FrozenClock())
    >>> view = TimelineView(picture.detail(answer["id"]), NOW)
    >>> picture.close()
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {*CHUNK_CLASSES}

    detail: reactive[Detail | None] = reactive(None, repaint=False)
    now: reactive[datetime | None] = reactive(None, repaint=False)
    display_options: reactive[DisplayOptions] = reactive(DisplayOptions, repaint=False)

    watch_detail = watch_now = watch_display_options = DiffedText.refresh_changed

    def __init__(
        self,
        detail: Detail | None = None,
        now: datetime | None = None,
        *,
        display_options: DisplayOptions | None = None,
        id: str | None = None,  # noqa: A002  # Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.set_reactive(TimelineView.detail, detail)
        self.set_reactive(TimelineView.now, now)
        self.set_reactive(TimelineView.display_options, display_options or DisplayOptions())

    def text(self) -> Content:
        """The whole timeline."""
        if self.detail is None or self.now is None:
            return Content.styled("No upload chosen", _QUIET)
        lines = timeline_lines(self.detail, self.now, self.display_options, self.content_size.width)
        return Content("\n").join(lines)


def timeline_lines(detail: Detail, now: datetime, display_options: DisplayOptions, width: int) -> list[Content]:
    """The whole pane, a line each; long messages are left to be wrapped."""
    painter = _Painter(detail, now, display_options, max(width, 20))
    return [
        *painter.heading(),
        Content(""),
        *painter.rail(),
        *painter.anomalies(),
        *painter.chunks(),
        *painter.details(),
    ]


class _Painter(Struct, frozen=True):
    detail: Detail
    now: datetime
    display_options: DisplayOptions
    width: int

    def heading(self) -> Iterator[Content]:
        upload = self.detail.upload
        yield Content.styled(
            truncate_middle(upload.name or upload.id, self.width, self.display_options.glyphs.ellipsis), "bold"
        )
        kind = f" {self.display_options.glyphs.dot} {upload.content_type}" if upload.content_type else ""
        line = f"{size_text(upload.size_bytes)}{kind}"
        yield Content.styled(truncate_middle(line, self.width, self.display_options.glyphs.ellipsis), _QUIET)
        yield from contradiction_lines(upload, self.display_options.glyphs)

    def rail(self) -> Iterator[Content]:
        timeline = self.detail.upload.timeline
        spans = {span.end: span for span in timeline.spans()}
        longest = self._longest(timeline.spans())
        for event in timeline.events:
            if event.stage in spans:
                yield self._span_line(spans[event.stage], longest)
            yield from self._event_lines(event)
        if timeline.is_pending:
            yield from self._current_stage(longest)
        elif timeline.purged_on is not None:
            yield self._line(self.display_options.glyphs.unreached, "purged", self._clock(timeline.purged_on), _QUIET)

    def _clock(self, on: datetime) -> str:
        return clock_text(on, self.now, self.display_options.zone)

    def _longest(self, spans: Sequence[Span]) -> float:
        """The seconds of the longest bar that is drawn to scale: one that dwarfs the next is idle time, and does not count."""
        open_span = self.detail.upload.timeline.time_in_stage(self.now)
        still_open = open_span.total_seconds() if open_span and self.detail.upload.timeline.is_pending else 0.0
        *_, second, first = sorted([0.0, still_open, *(span.seconds or 0.0 for span in spans)])
        return second if first > _BREAK_RATIO * second > 0 else first

    def _event_lines(self, event: Event) -> Iterator[Content]:
        glyphs = self.display_options.glyphs
        when = event_text(event, self.now, self.display_options.zone, glyphs.estimate)
        if event.on is not None and not self.display_options.absolute_times and self.width >= 38:
            when = f"{when}  {age_text((self.now - event.on).total_seconds())} ago"
        yield self._line(glyphs.stages[event.stage], event.stage, when, f"$stage-{event.stage}")
        if event.stage is Stage.ERROR:
            yield Content.styled(sanitize(event.message or "The service gave no reason."), "$stage-error")

    def _line(self, sign: str, word: str, when: str, style: str) -> Content:
        return Content.assemble((f"{sign} ", style), (f"{word:<11}", f"{style} bold"), (when, ""))

    def _span_line(self, span: Span, longest: float) -> Content:
        glyphs = self.display_options.glyphs
        doing = _PHASES.get(span.start, "")
        rail = (f"{glyphs.rail} ", _QUIET)
        if span.seconds is None:
            return Content.assemble(rail, (f"{doing}, time unknown", _QUIET))
        bar = self._bar(glyphs.bar_full, span.seconds, longest)
        sign = "" if span.is_exact else glyphs.estimate
        took = f"{sign}{duration_text(span.seconds)}"
        return Content.assemble(rail, (bar, f"$stage-{span.start}"), (f" {took} {doing}", _QUIET))

    def _current_stage(self, longest: float) -> Iterator[Content]:
        """The stage that lasts still, and what is to come."""
        timeline, glyphs, judgement = self.detail.upload.timeline, self.display_options.glyphs, self.detail.row.lateness
        lasted = timeline.time_in_stage(self.now)
        if lasted is not None:
            seconds = lasted.total_seconds()
            bar = self._bar(glyphs.bar_open, seconds, longest)
            text = f" {span_text(seconds)} {_PHASES[timeline.stage]}"
            late = judgement.is_overdue or judgement.is_stuck
            rail = (f"{glyphs.rail} ", _QUIET)
            yield Content.assemble(rail, (bar, f"$stage-{timeline.stage}"), (text, "$warning bold" if late else _QUIET))
        yield from self._latency()
        yield from self._attempts()
        ahead = "verified or error" if timeline.stage is Stage.COMPLETED else "completed"
        yield Content.styled(f"{glyphs.unreached} {ahead}", _QUIET)

    def _bar(self, sign: str, seconds: float, longest: float) -> str:
        """To scale; one that would leave nothing of the others is broken in its middle instead."""
        if seconds <= longest:
            return sign * _cells(seconds, longest)
        half = (_BAR_CELLS - 1) // 2
        return f"{sign * half}{self.display_options.glyphs.bar_break}{sign * (_BAR_CELLS - 1 - half)}"

    def _latency(self) -> Iterator[Content]:
        judgement, glyphs = self.detail.row.lateness, self.display_options.glyphs
        words = []
        if judgement.p50_seconds is not None:
            words.append(f"usually {duration_text(judgement.p50_seconds)}")
        if judgement.p95_seconds is not None:
            words.append(f"95 % within {duration_text(judgement.p95_seconds)}")
        if words:
            yield Content.styled(f"{glyphs.rail} {', '.join(words)}", _QUIET)
        if judgement.is_stuck or judgement.is_overdue:
            word = "looks stuck" if judgement.is_stuck else "longer than usual"
            yield Content.styled(f"{glyphs.rail} {glyphs.warning} {word}", "$warning bold")

    def _attempts(self) -> Iterator[Content]:
        """A tick for each try of the deployed service's worker; it tries in silence, and in the end gives up in silence."""
        upload, glyphs = self.detail.upload, self.display_options.glyphs
        completed = upload.timeline.event(Stage.COMPLETED)
        if upload.status_shape is not StatusShape.DEPLOYED or completed is None or completed.on is None:
            return
        attempts = estimate_retries(completed.on, self.now)
        if attempts.past_retries < _MIN_ATTEMPTS_SHOWN:
            return
        ticks = glyphs.tried * attempts.past_retries + glyphs.untried * (MAX_RETRIES - attempts.past_retries)
        if attempts.next_on is None:
            note = "by now its worker has given up"
        else:
            note = f"next in about {age_text((attempts.next_on - self.now).total_seconds())}"
        yield Content.styled(f"{glyphs.rail} tries {ticks} {note}", _QUIET)

    def anomalies(self) -> Iterator[Content]:
        if not self.detail.anomalies:
            return
        yield Content("")
        for anomaly in self.detail.anomalies:
            name = anomaly.name.replace("_", " ")
            yield Content.assemble(
                (f"{self.display_options.glyphs.warning} {name}: ", "$warning bold"), (sanitize(anomaly.detail), "")
            )

    def chunks(self) -> Iterator[Content]:
        yield Content("")
        yield from chunk_lines(self.detail.upload, self.display_options.glyphs, self.width)

    def details(self) -> Iterator[Content]:
        upload = self.detail.upload
        yield Content("")
        for label, value in (
            ("id", upload.id),
            ("project", upload.project_name or upload.project_id),
            (
                "service",
                self.display_options.service_title(self.detail.row.service) if self.display_options.services else "",
            ),
            ("stored by", upload.storage_provider),
            ("sent by", upload.uploader),
            *((digest.algorithm or "hash", digest.value) for digest in upload.hashes),
        ):
            if value:
                yield self._detail(sanitize(label), value)
        age = (self.now - self.detail.row.read_on).total_seconds()
        yield Content.styled(f"{'read':<10}{age_text(age)} ago" if age >= 1 else f"{'read':<10}just now", _QUIET)

    def _detail(self, label: str, value: str) -> Content:
        text = truncate_middle(value, max(self.width - 10, 4), self.display_options.glyphs.ellipsis)
        return Content.assemble((f"{label[:9]:<10}", _QUIET), (text, ""))


def _cells(seconds: float, longest: float) -> int:
    """A bar's length to scale; whatever took any time at all shows."""
    if longest <= 0 or seconds <= 0:
        return 1 if seconds >= 0 else 0
    return max(1, round(_BAR_CELLS * seconds / longest))
