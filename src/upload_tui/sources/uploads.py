"""Parse the upload of a source's line. Pure. See `contract` for what a line may hold."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from upload_tui.sources.contract import parse_identifier, quote
from upload_tui.sources.field_reader import FieldReader
from upload_tui.status import (
    ENDED_STATE,
    FINAL_STAGES,
    Anomaly,
    AnomalyName,
    Certainty,
    Event,
    Origin,
    Stage,
    Timeline,
    UnknownState,
    inspect_chunks,
    inspect_timeline,
)
from upload_tui.wire import CHUNKS_TOO_LARGE, Chunk, Upload, format_time, parse_status, sort_chunks

__all__ = ["parse_source_upload", "parse_project"]

_MAX_STATE_CHARACTERS = 60
_FLAT_KEYS = ("initiated_on", "completed_on", "verified_on", "error_on")
_STATE_KEYS = ("current", "prior")
_MISSING_STAGES = frozenset({AnomalyName.INITIATED_MISSING, AnomalyName.COMPLETED_MISSING})
"""No anomalies of a source: it need not know every stage."""


def parse_source_upload(
    fields: Mapping[str, Any], *, read_on: datetime, default_project: str, known: Timeline | None = None
) -> Upload:
    """Parse the fields of an `UploadLine`. Never raises: what cannot be read becomes an anomaly.

    Args:
        fields: of the line.
        read_on: the clock when the line was read.
        default_project: the id and name of the project of lines that name none.
        known: the stages of earlier lines, which stay if this one has none that can be read; None if there are none.
    """
    return _UploadParser(fields, known).parse(read_on, default_project)


def parse_project(value: object, default: str) -> tuple[str, str] | None:
    """The id and name of the field `project`, a text or an object with both; None if it cannot be read.

    A project that is not given is the default one; so is, for its upload, one that cannot be read.
    """
    if value is None or value == "":
        return default, default
    if isinstance(value, str):
        return value, value
    project_id, name = (parse_identifier(value.get("id")), value.get("name")) if isinstance(value, dict) else ("", "")
    return (project_id, name if isinstance(name, str) else "") if project_id else None


class _UploadParser(FieldReader):
    """Parses one upload and collects its anomalies."""

    def __init__(self, fields: Mapping[str, Any], known: Timeline | None) -> None:
        super().__init__(fields)
        self._known = known

    def parse(self, read_on: datetime, default_project: str) -> Upload:
        """The upload, as of `read_on`."""
        fields = self._fields
        project_id, project_name = self._project(default_project)
        updated_on = self._past_time("updated_on", read_on)
        timeline = _with_bounds(_with_state_time(self._timeline(), read_on), read_on, updated_on)
        chunks, count, received = self._chunks()
        size = self._either("size", self._count("size"), "size_bytes", self._count("size_bytes"))
        upload = Upload(
            id=parse_identifier(fields["id"]),
            project_id=project_id,
            project_name=project_name,
            name=fields["name"],
            content_type=self._text("content_type"),
            size_bytes=size,
            uploader=self._text("by"),
            chunks=chunks,
            listed_chunk_count=count,
            received_bytes=received,
            last_updated_on=updated_on,
            timeline=timeline,
            read_on=read_on,
            origin=Origin.SOURCE,
            says_final_chunks=self._flag("final_chunks"),
        )
        inspected = (*_inspect(upload), *_difference_anomalies(upload, self._differences))
        return replace(upload, anomalies=(*self._anomalies, *_declared_anomalies(fields, inspected), *inspected))

    def _project(self, default: str) -> tuple[str, str]:
        found = parse_project(self._fields.get("project"), default)
        if found is None:
            self._unreadable("project", self._fields["project"])
        return found or (default, default)

    # Chunks

    def _chunks(self) -> tuple[tuple[Chunk, ...] | None, int | None, int | None]:
        """The list of chunks, else their number and bytes; None for what is unknown."""
        value, received = self._fields.get("chunks"), self._count("received_bytes")
        if isinstance(value, dict):
            size = self._count("size_bytes", value)
            received = self._either("chunks.size_bytes", size, "received_bytes", received)
            return None, self._count("count", value), received
        if value is not None and not isinstance(value, list):
            self._unreadable("chunks", value)
        chunks = self._chunk_list(value) if isinstance(value, list) else None
        if chunks is None:
            return None, None, received
        total = self._either("chunks", sum(chunk.size_bytes for chunk in chunks), "received_bytes", received)
        return (None if total is None else chunks), None, None

    def _chunk_list(self, entries: Sequence[object]) -> tuple[Chunk, ...] | None:
        """The chunks; None if one of them, or the sum of their sizes, cannot be read."""
        found = [chunk for entry in entries if (chunk := self._chunk(entry)) is not None]
        chunks = sort_chunks(found)
        if chunks is None:
            self._anomalies.append(Anomaly(AnomalyName.UNREADABLE_FIELD, CHUNKS_TOO_LARGE))
        return chunks if len(found) == len(entries) else None

    def _chunk(self, entry: object) -> Chunk | None:
        if not isinstance(entry, dict):
            self._unreadable("a chunk", entry)
            return None
        sizes = self._count("size", entry), self._count("size_bytes", entry)
        number, size = self._count("number", entry), self._either("size", sizes[0], "size_bytes", sizes[1])
        if number is None or size is None:
            if entry.get("number") is None or entry.get("size", entry.get("size_bytes")) is None:
                self._unreadable("a chunk", entry)
            return None
        if number < 1:
            self._unreadable("number", number)
        digest = entry.get("hash")
        if isinstance(digest, dict) and isinstance(digest.get("value"), str):
            algorithm = digest.get("algorithm")
            return Chunk(number, size, algorithm if isinstance(algorithm, str) else None, digest["value"])
        return Chunk(number, size)

    # Stages

    def _timeline(self) -> Timeline:
        name = self._stage_name()
        on = self._stage_time() if name else None
        timeline = self._all_stages(name, on)
        timeline = self._with_stage(timeline, name, on) if name else timeline
        if not timeline.events and timeline.unknown_state is None:
            timeline = self._last_known()
        timeline = self._with_message(timeline)
        if not self._flag("ended"):
            return timeline
        state = UnknownState(ENDED_STATE) if timeline.is_pending else timeline.unknown_state
        return replace(timeline, unknown_state=state, has_ended=True)

    def _stage_name(self) -> str:
        """The field `stage`; empty if it is not there or cannot be read."""
        value = self._fields.get("stage")
        name = value.strip() if isinstance(value, str) else ""
        if value is not None and not name:
            self._unreadable("stage", value)
        return name

    def _stage_time(self) -> datetime | None:
        """When the stage of the field `stage` began; None if that is not known."""
        on, since = self._time(self._fields, "on"), self._time(self._fields, "stage_since")
        return self._either("on", on, "stage_since", since)

    def _last_known(self) -> Timeline:
        """The stages of an upload whose line has none that can be read."""
        if self._known is None:
            return Timeline((Event(Stage.INITIATED, None, Certainty.OBSERVED),))
        state = self._known.own_state
        name = quote(str(self._known.stage) if state is None else state.name)
        self._anomalies.append(Anomaly(AnomalyName.UNREADABLE_FIELD, f"no stage, and it was {name} before"))
        return self._known

    def _listed_events(self) -> Iterator[Event]:
        """The events of a `timeline` as `upload-tui list` prints it."""
        entries = self._fields.get("timeline")
        for entry in entries if isinstance(entries, list) else ():
            stage = _stage(entry.get("stage")) if isinstance(entry, dict) else None
            if stage is None:
                self._unreadable("an event of timeline", entry)
                continue
            on, certainty = self._time(entry, "on"), entry.get("certainty")
            is_known = isinstance(certainty, str) and certainty in set(Certainty) and on is not None
            otherwise = Certainty.OBSERVED if on is None else Certainty.REPORTED
            bounds = self._time(entry, "earliest"), self._time(entry, "latest")
            yield Event(stage, on, Certainty(certainty) if is_known else otherwise, *bounds)
        if entries is not None and not isinstance(entries, list):
            self._unreadable("timeline", entries)

    def _all_stages(self, name: str, on: datetime | None) -> Timeline:
        """The stages of all other fields; `name` and `on` are the field `stage`, without which `current` is the stage."""
        flat, stage = self._status(_FLAT_KEYS), _stage(name)
        began = None if stage is None else flat.event(stage)
        states = self._status(_STATE_KEYS, name, began.on if on is None and began is not None else on)
        events = {event.stage: event for event in (*flat, *states, *self._listed_events())}
        timeline = replace(_sorted_timeline(events.values()), unknown_state=states.unknown_state)
        if name or self._fields.get("current") is None or not states.events or states.unknown_state is not None:
            return timeline
        return self._with_stage(timeline, states.stage, None)

    def _status(self, keys: Iterable[str], name: str = "", on: datetime | None = None) -> Timeline:
        """The stages of Option A or B. With `prior` and without `current`, the field `stage` is the current state."""
        status = {key: self._fields[key] for key in keys if self._fields.get(key) is not None}
        if not status:
            return Timeline()
        if name and "prior" in status:
            status.setdefault("current", {"state": name, "state_on": on and format_time(on)})
        reading = parse_status(status, Origin.SOURCE)
        self._anomalies.extend(reading.anomalies)
        return reading.timeline

    def _with_stage(self, timeline: Timeline, name: str, on: datetime | None) -> Timeline:
        """Make the stage of a field the current one; later stages of other fields belong to earlier tries."""
        stage = _stage(name)
        if stage is None:
            # As `upload-tui list` prints it.
            is_observed = self._fields.get("stage_since_certainty") == Certainty.OBSERVED
            certainty = Certainty.OBSERVED if is_observed else Certainty.REPORTED
            name = name if len(name) <= _MAX_STATE_CHARACTERS else f"{name[: _MAX_STATE_CHARACTERS - 1]}…"
            return replace(timeline, unknown_state=UnknownState(name, on, certainty))
        event = self._stage_event(stage, timeline.event(stage), on)
        others = [one for one in timeline.events if one.stage is not stage and not self._contradicts(one, event)]
        return replace(_sorted_timeline((*others, event)), unknown_state=None)

    def _stage_event(self, stage: Stage, known: Event | None, on: datetime | None) -> Event:
        """The event of the stage that a field names; an earlier time in another field belongs to an earlier try."""
        known_on = None if known is None else known.best_time
        if known is not None and (on is None or on == known_on):
            return known
        if on is not None and known_on is not None and on < known_on:
            self._anomalies.append(Anomaly(AnomalyName.UNREADABLE_FIELD, f"on and another time of {stage} differ"))
            on = None
        return Event(stage, on, Certainty.OBSERVED if on is None else Certainty.REPORTED)

    def _contradicts(self, event: Event, current: Event) -> bool:
        """Whether an event comes after the stage or excludes it; an anomaly unless its time shows that it is of an earlier try."""
        # A `timeline` with both final stages is that of a service: `list` prints it with an anomaly.
        is_excluded = {event.stage, current.stage} == FINAL_STAGES and self._fields.get("timeline") is None
        if event.stage.rank < current.stage.rank and not is_excluded:
            return False
        if event.on is None or current.on is None or event.on > current.on:
            detail = f"stage is {current.stage}, and another field says {event.stage}"
            self._anomalies.append(Anomaly(AnomalyName.STAGE_WENT_BACKWARDS, detail))
        return True

    def _with_message(self, timeline: Timeline) -> Timeline:
        """Give the error its message. Only a stage is an error: many programs print a message such as `0 errors` of each upload."""
        message = self._text("error_message")
        if not message.strip():
            return timeline
        if timeline.event(Stage.ERROR) is None:
            self._anomalies.append(
                Anomaly(AnomalyName.MESSAGE_WITHOUT_ERROR, "error_message is there, but no stage error")
            )
            return timeline
        events = (replace(one, message=message) if one.stage is Stage.ERROR else one for one in timeline.events)
        return replace(timeline, events=tuple(events))


def _stage(name: object) -> Stage | None:
    """The stage of that name, without regard to case; None if it is not in the design."""
    text = name.lower() if isinstance(name, str) else ""
    return Stage(text) if text in set(Stage) else None


def _sorted_timeline(events: Iterable[Event]) -> Timeline:
    return Timeline(tuple(sorted(events, key=lambda event: event.stage.rank)))


def _with_state_time(timeline: Timeline, read_on: datetime) -> Timeline:
    """Give a state without a time the time of the reading: it began then at the latest."""
    state = timeline.own_state
    if state is None or state.on is not None:
        return timeline
    return replace(timeline, unknown_state=replace(state, on=read_on, certainty=Certainty.OBSERVED))


def _with_bounds(timeline: Timeline, read_on: datetime, updated_on: datetime | None) -> Timeline:
    """Bound times that are not given by their neighbours and by the time of reading; an upload began before it was updated."""
    if all(event.on is not None for event in timeline.events):
        return timeline
    events: list[Event] = []
    for index, event in enumerate(timeline.events):
        if event.on is not None or event.latest is not None:
            events.append(event)
            continue
        earliest = event.earliest or next((one.on for one in reversed(events) if one.on is not None), None)
        following = (one.on for one in timeline.events[index + 1 :] if one.on is not None and one.on <= read_on)
        latest = next(following, read_on)
        if event.stage is Stage.INITIATED and updated_on is not None:
            latest = min(latest, updated_on)
        latest = latest if earliest is None or earliest <= latest else read_on
        events.append(replace(event, earliest=earliest, latest=latest))
    return replace(timeline, events=tuple(events))


def _inspect(upload: Upload) -> tuple[Anomaly, ...]:
    """The anomalies of a timeline and chunks, as far as a source can say what they mean."""
    found = tuple(one for one in inspect_timeline(upload.timeline, upload.read_on) if one.name not in _MISSING_STAGES)
    if upload.size_bytes is not None and upload.chunk_bytes > upload.size_bytes:
        detail = f"more bytes have arrived than its size of {upload.size_bytes:,}"  # without their number: it may grow
        found = (*found, Anomaly(AnomalyName.RECEIVED_TOO_MUCH, detail))
    if not (upload.has_final_chunks and upload.has_received_bytes):
        return found
    chunks = (
        [(1, upload.chunk_bytes)] if upload.chunks is None else [(one.number, one.size_bytes) for one in upload.chunks]
    )
    return found + inspect_chunks(chunks, upload.size_bytes, upload.timeline)


def _difference_anomalies(upload: Upload, differences: Iterable[str]) -> Iterator[Anomaly]:
    """The numbers that differ; where chunks are final, nothing then proves that a completed upload is whole."""
    is_final = upload.has_final_chunks and upload.stage is not Stage.INITIATED
    name = AnomalyName.CHUNKS_INVALID if is_final else AnomalyName.UNREADABLE_FIELD
    yield from (Anomaly(name, difference) for difference in dict.fromkeys(differences))


def _declared_anomalies(fields: Mapping[str, Any], found: Sequence[Anomaly]) -> Iterator[Anomaly]:
    """The anomalies that the line itself lists, as `upload-tui list` prints them; earlier versions wrote numbers without commas."""
    entries, known = fields.get("anomalies"), {(one.name, one.detail.replace(",", "")) for one in found}
    for entry in entries if isinstance(entries, list) else ():
        name, detail = (entry.get("name"), entry.get("detail")) if isinstance(entry, dict) else (None, None)
        if not (isinstance(name, str) and name in set(AnomalyName) and isinstance(detail, str)):
            continue
        # A state that has a name is one of the source's own.
        is_own_state = name == AnomalyName.UNKNOWN_STATE and detail.startswith(("'", '"'))
        if (name, detail.replace(",", "")) not in known and not is_own_state:
            yield Anomaly(AnomalyName(name), detail)
