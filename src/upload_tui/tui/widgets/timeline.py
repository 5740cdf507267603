"""One upload's timeline: what it reached and when, how sure that is, how long each part took, and what is odd."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import ClassVar

from msgspec import Struct
from textual.content import Content
from textual.reactive import reactive

from upload_tui.monitor.attempts import RETRIES, attempts_of
from upload_tui.monitor.picture import Detail
from upload_tui.status import Event, Span, Stage
from upload_tui.tui.formatting import (
    abbreviated,
    age_text,
    clock_text,
    duration_text,
    event_text,
    harmless,
    size_text,
    span_text,
)
from upload_tui.tui.look import Look
from upload_tui.tui.widgets.chunk_strip import CHUNK_TONES, chunk_lines, contradiction_lines
from upload_tui.tui.widgets.still import StillWidget
from upload_tui.wire.designs import Design

__all__ = ["TimelineView", "timeline_lines"]

_BAR_CELLS = 12
_DWARFS = 30
"""A bar this many times as long as the next is broken."""

_DOING = {Stage.INITIATED: "uploading", Stage.COMPLETED: "verifying"}
_QUIET = "$quiet"
_TRIES_WORTH_TELLING = 3


class TimelineView(StillWidget):
    """The timeline of `detail`, as seen at `now`; as tall as what it has to say.

    Args:
        detail: which upload's; None while there is none.
        now: the present that ages are reckoned from.
        look: how facts are written.

    >>> from upload_tui.testing import NOW, FrozenClock, an_upload
    >>> from upload_tui.widgets import GivenPicture, TimelineView
    >>> picture = GivenPicture([answer := an_upload("scan.tiff", completed=30)], clock=FrozenClock())
    >>> view = TimelineView(picture.detail(answer["id"]), NOW)
    >>> picture.close()
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {*CHUNK_TONES}

    detail: reactive[Detail | None] = reactive(None, repaint=False)
    now: reactive[datetime | None] = reactive(None, repaint=False)
    look: reactive[Look] = reactive(Look, repaint=False)

    watch_detail = watch_now = watch_look = StillWidget.look_again

    def __init__(
        self,
        detail: Detail | None = None,
        now: datetime | None = None,
        *,
        look: Look | None = None,
        id: str | None = None,  # noqa: A002  # Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.set_reactive(TimelineView.detail, detail)
        self.set_reactive(TimelineView.now, now)
        self.set_reactive(TimelineView.look, look or Look())

    def text(self) -> Content:
        """The whole timeline."""
        if self.detail is None or self.now is None:
            return Content.styled("No upload chosen", _QUIET)
        lines = timeline_lines(self.detail, self.now, self.look, self.content_size.width)
        return Content("\n").join(lines)


def timeline_lines(detail: Detail, now: datetime, look: Look, width: int) -> list[Content]:
    """The whole pane, a line each; long messages are left to be wrapped."""
    painter = _Painter(detail, now, look, max(width, 20))
    return [*painter.heading(), Content(""), *painter.rail(), *painter.oddities(), *painter.chunks(), *painter.facts()]


class _Painter(Struct, frozen=True):
    detail: Detail
    now: datetime
    look: Look
    width: int

    def heading(self) -> Iterator[Content]:
        upload = self.detail.upload
        yield Content.styled(abbreviated(upload.name or upload.id, self.width, self.look.glyphs.ellipsis), "bold")
        kind = f" {self.look.glyphs.dot} {upload.content_type}" if upload.content_type else ""
        line = f"{size_text(upload.size_bytes)}{kind}"
        yield Content.styled(abbreviated(line, self.width, self.look.glyphs.ellipsis), _QUIET)
        yield from contradiction_lines(upload, self.look.glyphs)

    def rail(self) -> Iterator[Content]:
        timeline = self.detail.upload.timeline
        spans = {span.before: span for span in timeline.spans()}
        longest = self._longest(timeline.spans())
        for event in timeline.events:
            if event.stage in spans:
                yield self._span_line(spans[event.stage], longest)
            yield from self._event_lines(event)
        if timeline.is_pending:
            yield from self._open_end(longest)
        elif timeline.purged_on is not None:
            yield self._line(self.look.glyphs.unreached, "purged", self._time(timeline.purged_on), _QUIET)

    def _time(self, on: datetime) -> str:
        return clock_text(on, self.now, self.look.zone)

    def _longest(self, spans: Sequence[Span]) -> float:
        """The seconds of the longest bar that is drawn to scale: one that dwarfs the next is idle time, and does not count."""
        open_span = self.detail.upload.timeline.time_in_stage(self.now)
        still_open = open_span.total_seconds() if open_span and self.detail.upload.timeline.is_pending else 0.0
        *_, second, first = sorted([0.0, still_open, *(span.seconds or 0.0 for span in spans)])
        return second if first > _DWARFS * second > 0 else first

    def _event_lines(self, event: Event) -> Iterator[Content]:
        glyphs = self.look.glyphs
        when = event_text(event, self.now, self.look.zone, glyphs.estimate)
        if event.on is not None and not self.look.absolute_times and self.width >= 38:
            when = f"{when}  {age_text((self.now - event.on).total_seconds())} ago"
        yield self._line(glyphs.stages[event.stage], event.stage, when, f"$stage-{event.stage}")
        if event.stage is Stage.ERROR:
            yield Content.styled(harmless(event.message or "The service gave no reason."), "$stage-error")

    def _line(self, sign: str, word: str, when: str, style: str) -> Content:
        return Content.assemble((f"{sign} ", style), (f"{word:<11}", f"{style} bold"), (when, ""))

    def _span_line(self, span: Span, longest: float) -> Content:
        glyphs = self.look.glyphs
        doing = _DOING.get(span.after, "")
        rail = (f"{glyphs.rail} ", _QUIET)
        if span.seconds is None:
            return Content.assemble(rail, (f"{doing}, time unknown", _QUIET))
        bar = self._bar(glyphs.bar_full, span.seconds, longest)
        sign = "" if span.exact else glyphs.estimate
        took = f"{sign}{duration_text(span.seconds)}"
        return Content.assemble(rail, (bar, f"$stage-{span.after}"), (f" {took} {doing}", _QUIET))

    def _open_end(self, longest: float) -> Iterator[Content]:
        """The stage that lasts still, and what is to come."""
        timeline, glyphs, judgement = self.detail.upload.timeline, self.look.glyphs, self.detail.row.judgement
        lasted = timeline.time_in_stage(self.now)
        if lasted is not None:
            seconds = lasted.total_seconds()
            bar = self._bar(glyphs.bar_open, seconds, longest)
            text = f" {span_text(seconds)} {_DOING[timeline.stage]}"
            late = judgement.is_overdue or judgement.is_stuck
            rail = (f"{glyphs.rail} ", _QUIET)
            yield Content.assemble(rail, (bar, f"$stage-{timeline.stage}"), (text, "$warning bold" if late else _QUIET))
        yield from self._expectation()
        yield from self._attempts()
        ahead = "verified or error" if timeline.stage is Stage.COMPLETED else "completed"
        yield Content.styled(f"{glyphs.unreached} {ahead}", _QUIET)

    def _bar(self, sign: str, seconds: float, longest: float) -> str:
        """To scale; one that would leave nothing of the others is broken in its middle instead."""
        if seconds <= longest:
            return sign * _cells(seconds, longest)
        half = (_BAR_CELLS - 1) // 2
        return f"{sign * half}{self.look.glyphs.cut}{sign * (_BAR_CELLS - 1 - half)}"

    def _expectation(self) -> Iterator[Content]:
        judgement, glyphs = self.detail.row.judgement, self.look.glyphs
        words = []
        if judgement.usual_seconds is not None:
            words.append(f"usually {duration_text(judgement.usual_seconds)}")
        if judgement.p95_seconds is not None:
            words.append(f"95 % within {duration_text(judgement.p95_seconds)}")
        if words:
            yield Content.styled(f"{glyphs.rail} {', '.join(words)}", _QUIET)
        if judgement.is_stuck or judgement.is_overdue:
            word = "looks stuck" if judgement.is_stuck else "longer than usual"
            yield Content.styled(f"{glyphs.rail} {glyphs.warning} {word}", "$warning bold")

    def _attempts(self) -> Iterator[Content]:
        """A tick for each try of the deployed service's worker; it tries in silence, and in the end gives up in silence."""
        upload, glyphs = self.detail.upload, self.look.glyphs
        completed = upload.timeline.event(Stage.COMPLETED)
        if upload.design is not Design.DEPLOYED or completed is None or completed.on is None:
            return
        attempts = attempts_of(completed.on, self.now)
        if attempts.passed < _TRIES_WORTH_TELLING:
            return
        ticks = glyphs.tried * attempts.passed + glyphs.untried * (RETRIES - attempts.passed)
        if attempts.next_on is None:
            note = "by now its worker has given up"
        else:
            note = f"next in about {age_text((attempts.next_on - self.now).total_seconds())}"
        yield Content.styled(f"{glyphs.rail} tries {ticks} {note}", _QUIET)

    def oddities(self) -> Iterator[Content]:
        if not self.detail.anomalies:
            return
        yield Content("")
        for anomaly in self.detail.anomalies:
            name = anomaly.name.replace("_", " ")
            yield Content.assemble(
                (f"{self.look.glyphs.warning} {name}: ", "$warning bold"), (harmless(anomaly.detail), "")
            )

    def chunks(self) -> Iterator[Content]:
        yield Content("")
        yield from chunk_lines(self.detail.upload, self.look.glyphs, self.width)

    def facts(self) -> Iterator[Content]:
        upload = self.detail.upload
        yield Content("")
        for label, value in (
            ("id", upload.id),
            ("project", upload.project_name or upload.project_id),
            ("service", self.look.service(self.detail.row.service) if self.look.services else ""),
            ("stored by", upload.storage_provider),
            ("sent by", upload.uploader),
            *((digest.algorithm or "hash", digest.value) for digest in upload.hashes),
        ):
            if value:
                yield self._fact(harmless(label), value)
        age = (self.now - self.detail.row.read_on).total_seconds()
        yield Content.styled(f"{'read':<10}{age_text(age)} ago" if age >= 1 else f"{'read':<10}just now", _QUIET)

    def _fact(self, label: str, value: str) -> Content:
        text = abbreviated(value, max(self.width - 10, 4), self.look.glyphs.ellipsis)
        return Content.assemble((f"{label[:9]:<10}", _QUIET), (text, ""))


def _cells(seconds: float, longest: float) -> int:
    """A bar's length to scale; whatever took any time at all shows."""
    if longest <= 0 or seconds <= 0:
        return 1 if seconds >= 0 else 0
    return max(1, round(_BAR_CELLS * seconds / longest))
