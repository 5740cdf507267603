"""One upload's timeline: its stages with their times and durations, anomalies, chunks and details.

`TimelinePane` shows it in a pane of fixed size: a scrolling container would make Textual lay out the whole screen for each timeline
of another height.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import ClassVar

from msgspec import Struct
from rich.cells import cell_len
from textual import events
from textual.binding import BindingType
from textual.content import Content
from textual.reactive import reactive

from upload_tui.monitor import MAX_RETRIES, Acknowledgement, Detail, age_of, estimate_retries
from upload_tui.status import FUTURE_TOLERANCE, Ability, Certainty, Event, Span, Stage, UnknownState
from upload_tui.text import age_text, clock_text, duration_text, event_text, name_or_id, sanitize, size_text, span_text
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.appearance.glyphs import Glyphs
from upload_tui.tui.bindings import TIMELINE_KEYS
from upload_tui.tui.fitting import fit_to_width, hanging_lines, truncate_middle
from upload_tui.tui.widgets.cached_lines import DiffedText
from upload_tui.tui.widgets.chunk_strip import CHUNK_CLASSES, chunk_lines, contradiction_lines
from upload_tui.tui.widgets.pending_text import anomaly_lines, bytes_per_second, time_left_text
from upload_tui.wire import StatusShape

__all__ = ["TimelinePane", "TimelineView", "timeline_lines"]

_MIN_BAR_CELLS, _MAX_BAR_CELLS = 10, 60
_SPAN_TEXT_CELLS = 28
"""Cells beside a bar, for texts such as `12m 05s uploading · 12.8 MiB/s`."""
_BREAK_RATIO = 30
"""The longest bar is drawn broken, not to scale, if it is this many times as long as the next one."""
_LABEL_CELLS = 10
_WORD_CELLS, _MIN_WORD_CELLS = 11, 9
"""Cells of a stage's name with the blank after it, and of one without."""
_AGO_FROM_WIDTH = 38
"""Width from which on times have their ages."""
_PHASES = {Stage.INITIATED: "uploading", Stage.COMPLETED: "verifying"}
_QUIET = "$quiet"
_MIN_ATTEMPTS_SHOWN = 3


class TimelineView(DiffedText):
    """The timeline of `detail`. The widget is as high as its content.

    Args:
        detail: the upload; None while none is selected.
        now: the time that ages are computed from.
        display_options: signs, time zone and format of times.

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

    watch_detail = watch_now = watch_display_options = DiffedText.watch_changed

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
        """The complete timeline."""
        if self.detail is None or self.now is None:
            return Content.styled("No upload selected", _QUIET)
        lines = timeline_lines(self.detail, self.now, self.display_options, self.content_size.width)
        return Content("\n").join(lines)


def timeline_lines(detail: Detail, now: datetime, display_options: DisplayOptions, width: int) -> list[Content]:
    """All lines of the timeline; long messages are left to be wrapped."""
    painter = _Painter(detail, now, display_options, max(width, 20))
    return [
        *painter.heading(),
        Content(""),
        *painter.stages(),
        *anomaly_lines(detail, display_options.glyphs, painter.width),
        *painter.chunks(),
        *painter.details(),
    ]


class _Painter(Struct, frozen=True):
    """Composes the lines of one timeline."""

    detail: Detail
    now: datetime
    display_options: DisplayOptions
    width: int

    @property
    def _glyphs(self) -> Glyphs:
        return self.display_options.glyphs

    @property
    def _as_of(self) -> datetime:
        """The time until which the present stage is known to have lasted."""
        age = age_of(self.detail.row)
        return (age and age.read_on) or self.now

    @property
    def _bar_cells(self) -> int:
        """The length of the longest bar, for the width of the pane."""
        return min(_MAX_BAR_CELLS, max(_MIN_BAR_CELLS, self.width - _SPAN_TEXT_CELLS - len(self._rail[0])))

    @property
    def _rail(self) -> tuple[str, str]:
        """The start of a line between two stages."""
        return f"{self._glyphs.rail} ", _QUIET

    def heading(self) -> Iterator[Content]:
        """Name, size and content type, and a contradiction if there is one."""
        upload, ellipsis = self.detail.upload, self._glyphs.ellipsis
        yield Content.styled(truncate_middle(name_or_id(upload.name, upload.id), self.width, ellipsis), "bold")
        content_type = f" {self._glyphs.dot} {upload.content_type}" if upload.content_type else ""
        size = "size unknown" if upload.size_bytes is None else size_text(upload.size_bytes)
        yield Content.styled(truncate_middle(f"{size}{content_type}", self.width, ellipsis), _QUIET)
        yield from contradiction_lines(upload, self._glyphs)

    def stages(self) -> Iterator[Content]:
        """A line for each event, and between two events a bar for the time from one to the other."""
        timeline = self.detail.upload.timeline
        spans = {span.end: span for span in timeline.spans()}
        longest = self._longest_seconds(timeline.spans())
        for event in timeline.events:
            if event.stage in spans:
                yield self._span_line(spans[event.stage], longest)
            yield from self._event_lines(event)
        if timeline.unknown_state is not None:
            yield self._own_state_line(timeline.unknown_state)
        elif timeline.is_pending:
            yield from self._current_stage(longest)
        if timeline.is_purged:
            on = timeline.purged_on
            time = "" if on is None else clock_text(on, self.now, self.display_options.zone)
            yield self._line(self._glyphs.unreached, "purged", time, _QUIET)
        if self.detail.row.is_gone:
            yield from self._gone()

    def _gone(self) -> Iterator[Content]:
        """That the upload is no longer listed, and since when if that is known."""
        gone_on, zone = self.detail.gone_on, self.display_options.zone
        since = f" since {clock_text(gone_on, self.now, zone)}" if gone_on else ""
        text = Content.styled(f"no longer listed{since}", "bold")
        yield from hanging_lines(Content(f"{self._glyphs.unreached} "), text, self.width)

    def _longest_seconds(self, spans: Sequence[Span]) -> float:
        """The duration of the longest bar drawn to scale."""
        timeline = self.detail.upload.timeline
        current = timeline.time_in_stage(self._as_of) if timeline.is_pending else None
        current_seconds = current.total_seconds() if current else 0.0
        *_, second, first = sorted([0.0, current_seconds, *(span.seconds or 0.0 for span in spans)])
        return second if first > _BREAK_RATIO * second > 0 else first

    def _event_lines(self, event: Event) -> Iterator[Content]:
        time = event_text(event, self.now, self.display_options.zone, self._glyphs.estimate)
        if event.on is not None:
            time += self._ago(event.on)
        yield self._line(self._glyphs.stages[event.stage], event.stage, time, f"$stage-{event.stage}")
        if event.stage is Stage.ERROR:
            reason = Content.styled(sanitize(event.message or "no reason given"), "$stage-error")
            yield from hanging_lines(Content("  "), reason, self.width)

    def _own_state_line(self, state: UnknownState) -> Content:
        """A state that is no stage, and since when, if that is known."""
        name, time = sanitize(state.name), ""
        if state.on is not None:
            is_observed = state.certainty is Certainty.OBSERVED
            time = f"{'before ' if is_observed else ''}{clock_text(state.on, self.now, self.display_options.zone)}"
            ago = "" if is_observed else self._ago(state.on)
            time += ago if cell_len(f"  {name} {time}{ago}") <= self.width else ""
        return self._line(self._glyphs.own_state, name, time, _QUIET)

    def _ago(self, on: datetime) -> str:
        """How long ago a time was, with blanks before it; empty for one in the future, without room, or if times are absolute."""
        has_age = not self.display_options.absolute_times and on <= self.now + FUTURE_TOLERANCE
        return f"  {self.display_options.ago_text(on, self.now)}" if has_age and self.width >= _AGO_FROM_WIDTH else ""

    def _line(self, sign: str, word: str, time: str, style: str) -> Content:
        """A sign, a word and a time. The name of a state of the service's own may be longer than those of the stages."""
        room = max(_MIN_WORD_CELLS, self.width - len(f"{sign} ") - len(f" {time}" if time else ""))
        text = truncate_middle(word, room, self._glyphs.ellipsis)
        text += " " * max(1, _WORD_CELLS - cell_len(text)) if time else ""
        return Content.assemble((f"{sign} ", style), (text, f"{style} bold"), (time, ""))

    def _phase(self, stage: Stage) -> str:
        """What happens after a stage."""
        if stage is Stage.COMPLETED and not self.detail.upload.origin.has(Ability.VERIFICATION):
            return "waiting"
        return _PHASES.get(stage, "")

    def _span_line(self, span: Span, longest: float) -> Content:
        phase = self._phase(span.start)
        if span.seconds is None:
            return Content.assemble(self._rail, (f"{phase}, time unknown", _QUIET))
        bar = self._bar(self._glyphs.bar_full, span.seconds, longest)
        duration = f"{'' if span.is_exact else self._glyphs.estimate}{duration_text(span.seconds)}"
        text = f" {duration} {phase}"
        size_bytes = self.detail.upload.size_bytes
        if span.start is Stage.INITIATED and span.seconds > 0 and size_bytes:
            longer = f"{text} {self._glyphs.dot} {_speed_text(size_bytes / span.seconds)}"
            text = longer if len(self._rail[0]) + len(bar) + len(longer) <= self.width else text
        return Content.assemble(self._rail, (bar, f"$stage-{span.start}"), (text, _QUIET))

    def _current_stage(self, longest: float) -> Iterator[Content]:
        """The current stage, its typical latency, and the next stage."""
        timeline, lateness = self.detail.upload.timeline, self.detail.row.lateness
        since, row = timeline.since, self.detail.row
        if since is not None and since <= self._as_of + FUTURE_TOLERANCE:
            seconds = max(0.0, (self._as_of - since).total_seconds())
            bar = "" if row.is_gone else self._bar(self._glyphs.bar_open, seconds, longest)
            style = "$overdue bold" if lateness.is_overdue or lateness.is_stuck else _QUIET
            sign = ">" if row.is_stale or row.is_gone or row.is_least_age else ""
            text = f"{' ' if bar else ''}{sign}{span_text(seconds)} {self._phase(timeline.stage)}"
            yield Content.assemble(self._rail, (bar, f"$stage-{timeline.stage}"), (text, style))
        if row.is_gone:
            return
        yield from self._speed()
        yield from self._latency()
        yield from self._attempts()
        next_stage = "verified or error" if timeline.stage is Stage.COMPLETED else "completed"
        yield Content.styled(f"{self._glyphs.unreached} {next_stage}", _QUIET)

    def _bar(self, sign: str, seconds: float, longest: float) -> str:
        """A bar to scale; one longer than `longest` has a break in its middle instead."""
        if seconds <= longest:
            return sign * _bar_length(seconds, longest, self._bar_cells)
        half = (self._bar_cells - 1) // 2
        return f"{sign * half}{self._glyphs.bar_break}{sign * (self._bar_cells - 1 - half)}"

    def _speed(self) -> Iterator[Content]:
        """Bytes per second and the time left while chunks arrive."""
        speed, left = bytes_per_second(self.detail.row), time_left_text(self.detail.row)
        if speed is not None and left:
            yield Content.styled(f"{self._glyphs.rail} {_speed_text(speed)} {self._glyphs.dot} {left}", _QUIET)

    def _latency(self) -> Iterator[Content]:
        """Percentiles of this stage for similar uploads, and a warning if the upload is late."""
        lateness, glyphs = self.detail.row.lateness, self._glyphs
        percentiles = (("p50", lateness.p50_seconds), ("p95", lateness.p95_seconds))
        texts = [f"{name} {duration_text(seconds)}" for name, seconds in percentiles if seconds is not None]
        if texts:
            yield Content.styled(f"{glyphs.rail} {f' {glyphs.dot} '.join(texts)}", _QUIET)
        if lateness.is_stuck or lateness.is_overdue:
            word = "stuck" if lateness.is_stuck else "overdue"
            yield Content.styled(f"{glyphs.rail} {glyphs.warning} {word}", "$overdue bold")

    def _attempts(self) -> Iterator[Content]:
        """The retries of the deployed service's worker, which the service does not report: estimated from the time."""
        upload, glyphs = self.detail.upload, self._glyphs
        completed = upload.timeline.event(Stage.COMPLETED)
        if upload.status_shape is not StatusShape.DEPLOYED or completed is None or completed.on is None:
            return
        attempts = estimate_retries(completed.on, self.now)
        if attempts.past_retries < _MIN_ATTEMPTS_SHOWN:
            return
        signs = glyphs.tried * attempts.past_retries + glyphs.untried * (MAX_RETRIES - attempts.past_retries)
        if attempts.next_on is None:
            note = "the worker has given up"
        else:
            note = f"next in about {age_text(max((attempts.next_on - self.now).total_seconds(), 0))}"
        yield Content.styled(f"{glyphs.rail} retries {signs} {note}", _QUIET)

    def chunks(self) -> Iterator[Content]:
        """The chunk strip, below an empty line."""
        yield Content("")
        yield from chunk_lines(self.detail.upload, self._glyphs, self.width)

    def details(self) -> Iterator[Content]:
        """Id, project, hashes and the like, as far as they are known, and the age of what is shown."""
        upload, options = self.detail.upload, self.display_options
        yield Content("")
        for label, value in (
            ("id", upload.id),
            ("project", upload.project_name or upload.project_id),
            ("service", options.service_title(self.detail.row.service) if options.services else ""),
            ("storage", upload.storage_provider),
            ("uploader", upload.uploader),
            *((digest.algorithm or "hash", digest.value) for digest in upload.hashes),
        ):
            if value:
                yield self._detail(sanitize(label), value)
        if noted := _acknowledgement_text(self.detail.row.acknowledgement, self.now):
            yield from hanging_lines(Content.styled(f"{'noted':<{_LABEL_CELLS}}", _QUIET), Content(noted), self.width)
        seconds = (self.now - self.detail.row.read_on).total_seconds()
        age = f"{age_text(seconds)} ago" if seconds >= 1 else "just now"
        yield Content.styled(f"{'fetched':<{_LABEL_CELLS}}{age}", _QUIET)

    def _detail(self, label: str, value: str) -> Content:
        text = truncate_middle(value, max(self.width - _LABEL_CELLS, 4), self._glyphs.ellipsis)
        return Content.assemble((f"{fit_to_width(label, _LABEL_CELLS - 1)} ", _QUIET), (text, ""))


def _acknowledgement_text(given: Acknowledgement | None, now: datetime) -> str:
    """That what is wrong is acknowledged, with the note and the time left; empty if it is not."""
    if given is None:
        return ""
    left = f", {age_text(max((given.until - now).total_seconds(), 0))} left" if given.until else ""
    return sanitize(f"acknowledged{left}{f': {given.note}' if given.note else ''}")


def _bar_length(seconds: float, longest: float, cells: int) -> int:
    """The length of a bar to scale, of at most `cells`; at least one cell for any duration."""
    if longest <= 0 or seconds <= 0:
        return 1 if seconds >= 0 else 0
    return max(1, round(cells * seconds / longest))


def _speed_text(speed: float) -> str:
    return f"{size_text(round(speed))}/s"


_WHEEL_LINES = 3


class TimelinePane(TimelineView, can_focus=True):
    """The timeline of `detail` from line `top` on. Another upload resets `top` to 0."""

    BINDINGS: ClassVar[list[BindingType]] = list(TIMELINE_KEYS)

    top: reactive[int] = reactive(0, repaint=False, init=False)

    _hidden_lines = 0
    _shown_id: str | None = None

    def text(self) -> Content:
        """The lines that fit; if more follow, the last line says how many."""
        full_text, height = super().text(), self.content_size.height
        lines = full_text.wrap(self.content_size.width) if self.content_size.width else []
        self._hidden_lines = max(0, len(lines) - height)
        if not self._hidden_lines:
            return full_text
        top = min(self.top, self._hidden_lines)
        shown, below = lines[top : top + height], self._hidden_lines - top
        if below and shown:
            # This line replaces one of the timeline's own.
            shown[-1] = Content.styled(f"{self.display_options.glyphs.arrow_down} {below + 1} more lines", "$quiet")
        return Content("\n").join(shown)

    def refresh_changed(self) -> None:
        """Repaint what changed; scroll to the top for another upload."""
        upload_id = None if self.detail is None else self.detail.upload.id
        if upload_id != self._shown_id:
            self._shown_id = upload_id
            self.set_reactive(TimelinePane.top, 0)
        super().refresh_changed()

    def watch_top(self) -> None:
        """Repaint from the new first line."""
        self.refresh_changed()

    def on_resize(self) -> None:
        """Repaint at the new size."""
        self.refresh_changed()

    def action_scroll_by(self, lines: int) -> None:
        """Scroll by this many lines."""
        self.top = max(0, min(self.top + lines, self._hidden_lines))

    def action_scroll_pages(self, pages: int) -> None:
        """Scroll by this many pages."""
        self.action_scroll_by(pages * max(1, self.content_size.height - 1))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll down."""
        event.stop()
        self.action_scroll_by(_WHEEL_LINES)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll up."""
        event.stop()
        self.action_scroll_by(-_WHEEL_LINES)
