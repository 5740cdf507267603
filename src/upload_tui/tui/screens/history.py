"""The dialog with everything that was seen of one upload: its stages, changes, anomalies and chunks, in order of time."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import ClassVar

from msgspec import Struct
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from upload_tui.monitor import (
    AnomalyNoticed,
    CommandEnded,
    Detail,
    OwnStateReached,
    Session,
    StageReached,
    UploadChange,
    UploadGone,
    UploadKey,
    UploadPurged,
    UploadSeen,
)
from upload_tui.status import Anomaly, Certainty, Event
from upload_tui.text import (
    clock_text,
    duration_text,
    event_text,
    failed_chunks,
    name_or_id,
    percent_text,
    plural,
    sanitize,
    size_text,
)
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.appearance.glyphs import Glyphs
from upload_tui.tui.bindings import HELP_KEY, key_of
from upload_tui.tui.fitting import HangingLines, truncate_middle
from upload_tui.tui.screens.dialog import UploadDialog

__all__ = ["HistoryScreen"]

_MAX_CHANGES = 10_000
_MAX_CHUNKS = 2_000
_TIME_CELLS = 8
_TEXTS = {
    UploadSeen: "first seen here",
    UploadPurged: "purged",
    UploadGone: "no longer listed",
}


class Fact(Struct, frozen=True):
    """One line: when, how it is marked, and what.

    Attributes:
        on: the time to sort by; None sorts last.
        sign: one character.
        style: of the sign.
        text: what was seen.
        time: replaces the time of `on`; empty if it is that.
    """

    on: datetime | None
    sign: str
    style: str
    text: str
    time: str = ""


def _facts_of(
    detail: Detail, changes: Sequence[UploadChange], now: datetime, display_options: DisplayOptions
) -> list[Fact]:
    """Everything that was seen of an upload, in order of time; the chunks, whose times are not known, come last.

    Args:
        detail: the upload as it is now.
        changes: those of the upload that this session published.
        now: the present.
        display_options: signs, and the zone of times.
    """
    glyphs, timeline = display_options.glyphs, detail.upload.timeline
    noticed = {change.after: change.at for change in changes if isinstance(change, StageReached)}
    facts = [_stage_fact(event, noticed.get(event.stage), now, display_options) for event in timeline.events]
    if timeline.is_purged:
        noticed_on = next((change.at for change in reversed(changes) if isinstance(change, UploadPurged)), None)
        facts.append(_purge_fact(timeline.purged_on, noticed_on, glyphs))
    # This is also known of what happened before this session; a change that says the same is left out.
    known_kinds = (StageReached, *((UploadPurged,) if timeline.is_purged else ()))
    facts += [_change_fact(change, glyphs) for change in changes if not isinstance(change, known_kinds)]
    if detail.gone_on is not None and not any(isinstance(change, UploadGone) for change in changes):
        facts.append(Fact(detail.gone_on, glyphs.unreached, "$quiet", _TEXTS[UploadGone]))
    known = {(change.anomaly.name, change.anomaly.detail) for change in changes if isinstance(change, AnomalyNoticed)}
    read_on = detail.row.read_on
    facts += [_anomaly_fact(one, read_on, glyphs) for one in detail.anomalies if (one.name, one.detail) not in known]
    facts.append(Fact(read_on, glyphs.dot, "$quiet", f"last reading: {_chunks_text(detail)}"))
    in_order = sorted((fact for fact in facts if fact.on is not None), key=lambda fact: fact.on or now)
    return [*in_order, *(fact for fact in facts if fact.on is None), *_chunk_facts(detail, glyphs)]


def _stage_fact(event: Event, noticed_on: datetime | None, now: datetime, display_options: DisplayOptions) -> Fact:
    glyphs = display_options.glyphs
    time = event_text(event, now, display_options.zone, glyphs.estimate)
    times = {Certainty.REPORTED: "", Certainty.ESTIMATED: ", estimated"}
    text = f"{event.stage}{times.get(event.certainty, f' {time}')}"
    if event.message:
        text = f"{text}: {sanitize(event.message)}"
    text += _noticed_text(event.best_time, noticed_on)
    return Fact(event.best_time, glyphs.stages[event.stage], f"$stage-{event.stage} bold", text)


def _noticed_text(on: datetime | None, noticed_on: datetime | None) -> str:
    """How long after it had happened it was noticed; empty for less than a second, or if a time is not known."""
    seconds = (noticed_on - on).total_seconds() if on and noticed_on else 0
    return f"; noticed {duration_text(seconds)} later" if seconds >= 1 else ""


def _purge_fact(purged_on: datetime | None, noticed_on: datetime | None, glyphs: Glyphs) -> Fact:
    text = f"{_TEXTS[UploadPurged]}{_noticed_text(purged_on, noticed_on)}"
    return Fact(purged_on or noticed_on, glyphs.unreached, "$quiet", text)


def _change_fact(change: UploadChange, glyphs: Glyphs) -> Fact:
    if isinstance(change, AnomalyNoticed):
        return _anomaly_fact(change.anomaly, change.at, glyphs)
    if isinstance(change, OwnStateReached):
        return Fact(change.happened_on, glyphs.own_state, "$quiet", sanitize(change.state))
    text = sanitize(change.text) if isinstance(change, CommandEnded) else _TEXTS.get(type(change), "changed")
    return Fact(change.happened_on, glyphs.unreached, "$quiet", text)


def _anomaly_fact(anomaly: Anomaly, on: datetime, glyphs: Glyphs) -> Fact:
    name = anomaly.name.replace("_", " ")
    return Fact(on, glyphs.warning, "$stage-error bold", f"{name}: {sanitize(anomaly.detail)}")


def _chunks_text(detail: Detail) -> str:
    upload = detail.upload
    if not upload.has_received_bytes:
        return "no chunks are listed"
    count = "" if upload.chunk_count is None else f"{plural(upload.chunk_count, 'chunk')}, "
    if not upload.size_bytes:
        return f"{count}{size_text(upload.chunk_bytes)}"
    percent = percent_text(upload.chunk_bytes, upload.size_bytes)
    return f"{count}{size_text(upload.chunk_bytes)} of {size_text(upload.size_bytes)}, {percent}"


def _chunk_facts(detail: Detail, glyphs: Glyphs) -> Iterator[Fact]:
    chunks = detail.upload.chunks or ()
    bad = failed_chunks(detail.upload.timeline.error_message or "")
    for chunk in chunks[:_MAX_CHUNKS]:
        digest = f"  {chunk.algorithm or 'hash'} {chunk.digest}" if chunk.digest else ""
        text = sanitize(f"{size_text(chunk.size_bytes):>9}{digest}")
        sign, style = (glyphs.bad, "$stage-error bold") if chunk.number in bad else (glyphs.chunk, "$quiet")
        yield Fact(None, sign, style, text, f"chunk {chunk.number:,}")
    if len(chunks) > _MAX_CHUNKS:
        yield Fact(None, glyphs.dot, "$quiet", f"{len(chunks) - _MAX_CHUNKS:,} more chunks")


class HistoryScreen(UploadDialog):
    """Everything that was seen of one upload."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,h", "dismiss", "Close", id="history.close", tooltip="Close this dialog"),
        HELP_KEY,
    ]

    def __init__(self, session: Session, key: UploadKey, display_options: DisplayOptions) -> None:
        super().__init__(session, key, display_options)
        self._shown: tuple[Fact, ...] = ()

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        with VerticalScroll(id="history") as box:
            box.border_subtitle = f"{key_of(self, 'history.close')} close"
            yield Static("This upload is no longer known.")

    def on_mount(self) -> None:
        """Show what is known."""
        self.query_one("#history").focus()
        self.refresh_picture()  # the first frame shows what is known

    def refresh_picture(self) -> None:
        """Show the picture as it is now."""
        detail, options = self._session.picture.detail(*self._key), self._display_options
        if detail is None:
            return
        now = self._session.picture.clock.now()
        of_all = self._session.changes.history(_MAX_CHANGES)
        changes = [one for one in of_all if isinstance(one, UploadChange) and one.upload.key == self._key]
        facts = tuple(_facts_of(detail, changes, now, options))
        if facts == self._shown:
            return
        self._shown = facts
        name = truncate_middle(name_or_id(detail.upload.name, detail.upload.id), 60, options.glyphs.ellipsis)
        self.query_one("#history").border_title = Content(f"History {options.glyphs.dot} {name}")
        self.query_one(Static).update(HangingLines(*(self._line(fact, now) for fact in facts)))

    def _line(self, fact: Fact, now: datetime) -> tuple[Content, Content]:
        time = fact.time or clock_text(fact.on, now, self._display_options.zone)
        cells = len("chunk 1,152") if fact.time else _TIME_CELLS
        return Content.assemble((f"{time:<{cells}} ", "$quiet"), (f"{fact.sign} ", fact.style)), Content(fact.text)
