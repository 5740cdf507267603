"""A source's upload as it is stored: the line as it was printed, and what earlier lines showed that it does not repeat.

A store and a recording hold raw JSON and parse it again. That of a source is an object with `source`, `line` and `seen`; it has
no id of its own, so it is never confused with an upload of the service.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from msgspec import MsgspecError
from msgspec.json import encode
from msgspec.structs import replace

from upload_tui.errors import InvalidResponseError
from upload_tui.redaction import page_problem
from upload_tui.sources.contract import UnreadableLine, UploadLine, upload_line
from upload_tui.sources.uploads import parse_source_upload
from upload_tui.status import FUTURE_TOLERANCE, Certainty, Event, Stage, Timeline, UnknownState
from upload_tui.wire import Project, Upload, UploadReading, format_time, parse_time, parse_upload, redact_value

__all__ = ["CONTRACT_VERSION", "has_ended", "is_same_line", "parse_raw", "shown_raw", "source_reading"]

CONTRACT_VERSION = 10
"""Of stored lines. Raise it when the same line is read differently: a stored one that was printed again is not read again."""


def source_reading(
    line: UploadLine, before: Upload | None, *, read_on: datetime, default_project: str
) -> UploadReading:
    """Read a line.

    Args:
        line: the upload's line.
        before: the upload as it was known; None if it is new. Its earlier stages are kept where the line names only the present
            one, and all where it names none; so is the reported time of a stage that the line names without a time. Bytes and
            chunks that have arrived since count as activity.
        read_on: the clock when it was read.
        default_project: as for `parse_source_upload`.
    """
    fields = redact_value(line.fields)
    page = line.fields.get("url")
    if isinstance(page, str) and not page_problem(page):  # any other text is hidden, as it may be signed
        fields = {**fields, "url": page}
    bare = parse_source_upload(fields, read_on=read_on, default_project=default_project)
    known = None if before is None or bare.stage is not Stage.INITIATED else _known_stages(before.timeline)
    upload = (
        parse_source_upload(fields, read_on=read_on, default_project=default_project, known=known) if known else bare
    )
    seen: dict[str, Any] = {}
    if before is not None:
        has_kept = known is not None and upload.timeline != bare.timeline
        events = before.timeline.events if has_kept else _known_events(before.timeline, upload)
        active_on = _active_on(before, upload)
        seen = {"events": [*map(_event_fields, events)]} if events else {}
        state = before.timeline.own_state
        on = None if state is None else _reported_time(state, upload)
        if state is not None and (has_kept or (on is not None and _has_state(upload.timeline, state.name))):
            seen["state"] = {"name": state.name, "on": None if on is None else format_time(on)}
        if first_on := _first_on(before, upload):
            seen["first_on"] = format_time(first_on)
        if active_on is not None and upload.last_updated_on is None:
            seen["active_on"] = format_time(active_on)
    stored = {"source": CONTRACT_VERSION, "project": default_project, "line": fields, "seen": seen}
    return UploadReading(_with_seen(upload, seen), json.dumps(stored, ensure_ascii=False))


def parse_raw(payload: Any, *, read_on: datetime, project: Project | None = None) -> Upload:
    """Parse stored raw JSON: of a source, or an upload resource of a service.

    `project` is as it is known: a later line may have named it otherwise.

    Raises:
        InvalidResponseError: it is neither.
    """
    if not _is_source(payload):
        return parse_upload(payload, read_on=read_on, project=project)
    default = payload.get("project")
    line = upload_line(payload["line"])
    if isinstance(line, UnreadableLine):
        raise InvalidResponseError(f"The stored line of a source cannot be read: {line.reason}")
    seen = payload.get("seen")
    seen = seen if isinstance(seen, dict) else dict[str, Any]()
    project_id = default if isinstance(default, str) else ""
    upload = parse_source_upload(line.fields, read_on=read_on, default_project=project_id, known=_seen_stages(seen))
    if project is not None and project.id == upload.project_id:
        upload = replace(upload, project_name=project.name)
    return _with_seen(upload, seen)


def shown_raw(payload: Any) -> Any:
    """What the raw view shows of stored raw JSON: the line as it was printed, or the service's response."""
    return payload["line"] if _is_source(payload) else payload


def has_ended(payload: Any) -> bool:
    """Whether the source reported that the upload has ended; if later listings lack it, that is not a change."""
    return _is_source(payload) and payload["line"].get("ended") is True


def is_same_line(line: UploadLine, payload: Any, default_project: str) -> bool:
    """Whether a line is as it was when `payload`, its stored raw JSON, was read; False also if it contains a secret."""
    if not _is_source(payload) or (payload["source"], payload.get("project")) != (CONTRACT_VERSION, default_project):
        return False
    try:  # as text: 1, 1.0 and true are equal in Python
        return encode(line.fields) == encode(payload["line"])
    except (MsgspecError, ValueError, OverflowError, RecursionError):
        return False


def _is_source(payload: Any) -> bool:
    if not isinstance(payload, dict) or "id" in payload:
        return False
    return payload.get("source") in range(1, CONTRACT_VERSION + 1) and isinstance(payload.get("line"), dict)


def _known_stages(before: Timeline) -> Timeline | None:
    """What a line without a stage leaves as it was; None if nothing was ever known but that the upload exists."""
    current = before.current
    is_reported = current is not None and (
        current.stage is not Stage.INITIATED or current.certainty is Certainty.REPORTED
    )
    return Timeline(before.events, unknown_state=before.own_state) if is_reported or before.own_state else None


def _seen_stages(seen: Mapping[str, Any]) -> Timeline | None:
    """The stages that a line without one has kept."""
    events, own = tuple(_seen_events(seen)), _seen_state(seen)
    return Timeline(events, unknown_state=own) if events or own else None


def _seen_state(seen: Mapping[str, Any]) -> UnknownState | None:
    """The state of its own that a line without a stage, or without the time of that state, has kept."""
    state = seen.get("state")
    state = state if isinstance(state, dict) else {}
    name = state.get("name")
    return UnknownState(name, parse_time(state.get("on"))) if isinstance(name, str) else None


def _seen_events(seen: Mapping[str, Any]) -> Iterator[Event]:
    entries = seen.get("events")
    found = map(_parse_event, entries if isinstance(entries, list) else ())
    return (event for event in found if event is not None)


def _known_events(before: Timeline, after: Upload) -> list[Event]:
    """Events known from earlier lines that this line leaves out."""
    has_begun_again = after.stage.rank < before.stage.rank or (
        before.own_state is not None and after.timeline.own_state is None
    )
    return [
        event
        for event in _omitted_events(before.events, after.timeline)
        if after.timeline.event(event.stage) is None or not (has_begun_again or _is_future(event.on, after))
    ]


def _omitted_events(known: Iterable[Event], after: Timeline) -> list[Event]:
    """The known events before the present stage that a line leaves out, and the reported ones of stages whose time it leaves out."""
    named = {event.stage: event for event in after.events}
    highest = max((stage.rank for stage in named), default=0)
    limit = Stage.VERIFIED.rank if after.own_state is not None else highest
    return [
        event
        for event in known
        if (
            event.stage.rank < limit
            if event.stage not in named
            else event.certainty is Certainty.REPORTED is not named[event.stage].certainty
        )
    ]


def _reported_time(state: UnknownState, after: Upload) -> datetime | None:
    """When a state began, if a line had its time; None also for a time that is wrong."""
    return None if state.certainty is Certainty.OBSERVED or _is_future(state.on, after) else state.on


def _is_future(on: datetime | None, after: Upload) -> bool:
    """Whether a time was still to come when the upload was read, so that it is wrong."""
    return on is not None and on > after.read_on + FUTURE_TOLERANCE


def _has_state(timeline: Timeline, name: str) -> bool:
    """Whether an upload is in that state of its own, at a time that is not reported."""
    state = timeline.own_state
    return state is not None and state.name == name and state.certainty is not Certainty.REPORTED


def _first_on(before: Upload, after: Upload) -> datetime | None:
    """The first time known of an upload that is or was in a state of its own; None if it never was, or if its line shows it.

    Such a state is no event: without this time the upload would begin anew with each, and when it reaches a stage.
    """
    if before.earlier_on is None and before.timeline.own_state is None and after.timeline.own_state is None:
        return None
    on = min(before.first_known_on or before.read_on, before.read_on)
    return on if after.first_known_on is None or on < after.first_known_on else None


def _active_on(before: Upload, after: Upload) -> datetime | None:
    """When bytes or chunks last arrived, as far as lines have shown; None if none were seen to arrive."""
    has_more_chunks = (
        after.chunk_count is not None and before.chunk_count is not None and after.chunk_count > before.chunk_count
    )
    has_other_bytes = after.has_received_bytes and before.has_received_bytes and after.chunk_bytes != before.chunk_bytes
    return after.read_on if has_more_chunks or has_other_bytes else before.last_updated_on


def _event_fields(event: Event) -> Mapping[str, Any]:
    times = {"on": event.on, "earliest": event.earliest, "latest": event.latest}
    given = {name: format_time(on) for name, on in times.items() if on is not None}
    message = {} if event.message is None else {"message": event.message}
    return {"stage": event.stage, "certainty": event.certainty, **given, **message}


def _with_seen(upload: Upload, seen: Mapping[str, Any]) -> Upload:
    """Add what earlier lines showed."""
    timeline, state = upload.timeline, _seen_state(seen)
    # An earlier version may have kept stages that are later than the one that is now read.
    events = {event.stage: event for event in timeline.events}
    for known in _omitted_events(_seen_events(seen), timeline):
        named = events.get(known.stage)
        events[known.stage] = replace(known, message=known.message if named is None else named.message)
    timeline = replace(timeline, events=tuple(sorted(events.values(), key=lambda event: event.stage.rank)))
    if state is not None and state.on is not None and _has_state(timeline, state.name):
        timeline = replace(timeline, unknown_state=state)
    upload = replace(upload, timeline=timeline, earlier_on=parse_time(seen.get("first_on")))
    active_on = parse_time(seen.get("active_on"))
    return upload if active_on is None else replace(upload, last_updated_on=active_on)


def _parse_event(entry: Any) -> Event | None:
    """The event of `_event_fields`; None if it is none: a recording may have been edited."""
    try:
        on, earliest, latest = (parse_time(entry.get(name)) for name in ("on", "earliest", "latest"))
        message = entry.get("message")
        stage, certainty = Stage(entry["stage"]), Certainty(entry["certainty"])
    except (AttributeError, KeyError, ValueError, TypeError):
        return None
    return Event(stage, on, certainty, earliest, latest, message if isinstance(message, str) else None)
