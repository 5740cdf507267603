"""The three shapes of the `status` field: what each can express, how to detect, read and write them.

The keys decide the shape: `current` or `prior` mean Option B; `is_consistent`, `ready_for_chunks` or `purged_on` mean the deployed
shape; flat times alone mean Option A.

Three rules hold for all shapes of a service. A stage whose time cannot be read was reached at an unknown time. What other systems
write for null (a zero date, `"null"`, 0, false) is no time. Any sign of an error means an error, readable or not.

A source prints what a program of its own knows, so only what it states counts: a flat time that cannot be read (`"-"`) is no stage,
and an error is one only if it is the current state. Prior states that contradict the current one belong to an earlier try.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from upload_tui.redaction import redact_text
from upload_tui.status import (
    FINAL_STAGES,
    Anomaly,
    AnomalyName,
    Certainty,
    Event,
    Origin,
    Stage,
    Timeline,
    UnknownState,
)
from upload_tui.wire.times import format_time, is_zero_time, parse_time

__all__ = [
    "UNSUPPORTED_DETAILS",
    "StatusDetail",
    "StatusReading",
    "StatusShape",
    "detect_shape",
    "parse_status",
    "write_status",
]

_DEPLOYED_ONLY_KEYS = frozenset({"is_consistent", "ready_for_chunks", "purged_on"})
_OPTION_B_ONLY_KEYS = frozenset({"current", "prior"})
_FLAT_KEYS = frozenset({"initiated_on", "completed_on", "verified_on", "error_on", "error_message"})
_NULL_TEXTS = frozenset({"null", "none", "nil", "0"})
_NO_NAME = "unknown"
"""The name of a state without a name."""
_MAX_QUOTED = 60
"""How many characters of a service's text an anomaly quotes."""


class StatusShape(StrEnum):
    """A shape of the `status` field."""

    A = "a"
    """Flat times (DDS-902, Option A)."""
    B = "b"
    """Current and prior states (DDS-902, Option B)."""
    DEPLOYED = "deployed"
    """What the service finally deployed: flat times and `is_consistent`."""


class StatusDetail(StrEnum):
    """A detail that some shapes cannot express."""

    ERROR_MESSAGE = "error message"
    VERIFIED_TIME = "time of verification"
    READY_FOR_CHUNKS = "ready for chunks"
    PURGED = "data purged"


UNSUPPORTED_DETAILS: Mapping[StatusShape, frozenset[StatusDetail]] = MappingProxyType(
    {
        StatusShape.A: frozenset({StatusDetail.READY_FOR_CHUNKS, StatusDetail.PURGED}),
        StatusShape.B: frozenset({StatusDetail.ERROR_MESSAGE, StatusDetail.READY_FOR_CHUNKS, StatusDetail.PURGED}),
        StatusShape.DEPLOYED: frozenset({StatusDetail.VERIFIED_TIME}),
    }
)
"""The details that each shape cannot express."""


class StatusReading(Struct, frozen=True):
    """A parsed `status`.

    Attributes:
        shape: None if it has none of the three.
        timeline: what could be read.
        anomalies: what could not be read.
    """

    shape: StatusShape | None
    timeline: Timeline
    anomalies: tuple[Anomaly, ...] = ()


def detect_shape(status: object) -> StatusShape | None:
    """The shape of a `status` payload; None if it has none of the three."""
    if not isinstance(status, Mapping):
        return None
    keys = status.keys()
    if keys & _OPTION_B_ONLY_KEYS:
        return StatusShape.B
    if keys & _DEPLOYED_ONLY_KEYS:
        return StatusShape.DEPLOYED
    return StatusShape.A if keys & _FLAT_KEYS else None


def parse_status(status: object, origin: Origin = Origin.SERVICE) -> StatusReading:
    """Parse a `status` payload of any shape. Never raises: what cannot be read becomes an anomaly."""
    shape = detect_shape(status)
    if shape is None or not isinstance(status, Mapping):
        return _parse_without_shape(status)
    reader = _StatusParser(origin)
    timeline = reader.parse_states(status) if shape is StatusShape.B else reader.parse_flat(status, shape)
    return StatusReading(shape, timeline, tuple(reader.anomalies))


def _parse_without_shape(status: object) -> StatusReading:
    """Parse a status of no shape: it may be the name of a stage, one state of Option B, or a list of states."""
    anomaly = Anomaly(AnomalyName.UNKNOWN_SHAPE, f"status is {_quote(status)}")
    timeline = _StatusParser(Origin.SERVICE).parse_states({"current": status})
    if not timeline.events and timeline.unknown_state is None:
        timeline = Timeline(unknown_state=UnknownState(_NO_NAME))
    return StatusReading(None, timeline, (anomaly,))


def write_status(timeline: Timeline, shape: StatusShape) -> dict[str, Any]:
    """The `status` payload of a timeline, without what the shape cannot express (`UNSUPPORTED_DETAILS`)."""
    return _write_states(timeline) if shape is StatusShape.B else _write_flat(timeline, shape)


class _StatusParser:
    """Parses one payload and collects its anomalies."""

    def __init__(self, origin: Origin) -> None:
        self._is_source = origin is Origin.SOURCE
        self.anomalies: list[Anomaly] = []

    def parse_flat(self, status: Mapping[str, Any], shape: StatusShape) -> Timeline:
        """Option A or the deployed shape."""
        events = [
            self._parse_event(status, stage, f"{stage}_on")
            for stage in Stage
            if stage is not Stage.ERROR and self._has_value(status, f"{stage}_on")
        ]
        error = self._parse_error(status)
        if shape is StatusShape.A:
            return _timeline([*events, *error])
        # An error sets `is_consistent` as well, so it only means verified where there is no error.
        is_consistent = self._parse_flag(status, "is_consistent")
        if is_consistent and not error and not any(event.stage is Stage.VERIFIED for event in events):
            completed = next((event for event in events if event.stage is Stage.COMPLETED), None)
            if completed is None:  # row "verified" of the contract: only after `completed_on`
                self._add_anomaly(AnomalyName.COMPLETED_MISSING, "is_consistent without completed_on")
            else:
                events.append(Event(Stage.VERIFIED, None, Certainty.OBSERVED, earliest=completed.on))
        is_purged = self._has_value(status, "purged_on")
        purged_on = self._parse_time(status, "purged_on") if is_purged else None
        return replace(
            _timeline([*events, *error]),
            purged_on=purged_on,
            ready_for_chunks=self._parse_flag(status, "ready_for_chunks"),
            has_unknown_purge_time=is_purged and purged_on is None,
        )

    def _parse_error(self, status: Mapping[str, Any]) -> list[Event]:
        """The error of a status; empty if there is no sign of one."""
        message = self._parse_text(status, "error_message")
        has_time = self._has_value(status, "error_on")
        if not has_time and message is None:
            return []
        if not has_time:
            self._add_anomaly(AnomalyName.MESSAGE_WITHOUT_ERROR, _quote(message))
        return [self._parse_event(status, Stage.ERROR, "error_on", message)]

    def parse_states(self, status: Mapping[str, Any]) -> Timeline:
        """Option B: `current` is the stage, and `prior` has those before it."""
        found: dict[Stage, Event] = {}
        unknown = self._unknown_state(status.get("current"))
        for event in self._parse_listed_states(_listed(status.get("current"))):
            self._add_state(found, event)
        current = max(found.values(), key=lambda event: event.stage.rank, default=None)
        for event in self._parse_listed_states(self._prior_states(status)):
            if unknown is not None or not self._contradicts(event, current):
                self._add_state(found, event)
        for error in self._parse_error(status):
            known = found.get(Stage.ERROR, error)
            found[Stage.ERROR] = known if known.message else replace(known, message=error.message)
        if Stage.ERROR in found and not self._is_source:
            unknown = None
        return replace(_timeline(found.values()), unknown_state=unknown)

    def _prior_states(self, status: Mapping[str, Any]) -> Sequence[Any]:
        prior = status.get("prior")
        if prior is None or isinstance(prior, list):
            return prior or ()
        self._add_unreadable("prior", prior)
        return ()

    def _parse_listed_states(self, entries: Iterable[Any]) -> Iterator[Event]:
        """The events of states, and of the errors that they name."""
        for entry in entries:
            event = self._parse_state(entry)
            if isinstance(entry, Mapping) and event is not None and event.stage is Stage.ERROR:
                event = replace(event, message=self._parse_text(entry, "error_message"))
            elif isinstance(entry, Mapping) and not self._is_source:
                yield from self._parse_error(entry)
            if event is not None:
                yield event

    def _add_state(self, found: dict[Stage, Event], event: Event) -> None:
        """Add a state; of one that is listed twice, the first counts."""
        known = found.setdefault(event.stage, event)
        if known is not event and not self._is_of_earlier_try(event, known):
            self._add_anomaly(AnomalyName.REPEATED_STATE, f"{event.stage} is listed more than once")
            found[event.stage] = replace(known, message=event.message if known.message is None else known.message)

    def _contradicts(self, event: Event, current: Event | None) -> bool:
        """Whether a prior state comes after the current one or excludes it, so that it does not count; an error of a service does."""
        stage = Stage.COMPLETED if current is None else current.stage
        is_excluded = self._is_source and {event.stage, stage} == FINAL_STAGES
        if event.stage.rank <= stage.rank and not is_excluded:
            return False
        if current is None or not self._is_of_earlier_try(event, current):
            now = "no state is current" if current is None else f"{stage} is current"
            self._add_anomaly(AnomalyName.STAGE_WENT_BACKWARDS, f"{event.stage} is listed as prior, and {now}")
        return self._is_source or event.stage is not Stage.ERROR

    def _is_of_earlier_try(self, event: Event, later: Event) -> bool:
        """Whether the times of a source say that a state is of an earlier try."""
        return self._is_source and event.on is not None and later.on is not None and event.on <= later.on

    def _parse_state(self, entry: object) -> Event | None:
        stage = _known_stage(entry)
        if not isinstance(entry, Mapping):
            self._add_unreadable("a state", entry)
            return None if stage is None else Event(stage, None, Certainty.OBSERVED)
        if stage is None:
            if not (self._is_source and isinstance(entry.get("state"), str)):  # a source may have states of its own
                self._add_anomaly(AnomalyName.UNKNOWN_STATE, _quote(entry.get("state")))
            return None
        return self._parse_event(entry, stage, "state_on")

    def _unknown_state(self, current: object) -> UnknownState | None:
        states = [*_listed(current)]
        if not states or any(_known_stage(state) is not None for state in states):
            return None
        current = states[0]
        on = self._parse_time(current, "state_on") if isinstance(current, Mapping) else None
        return UnknownState(_state_name(current), on)

    def _parse_event(self, fields: Mapping[str, Any], stage: Stage, key: str, message: str | None = None) -> Event:
        """The event of a stage that was reached, at an unknown time if the time cannot be read."""
        on = self._parse_time(fields, key)
        return Event(stage, on, Certainty.OBSERVED if on is None else Certainty.REPORTED, message=message)

    def _has_value(self, fields: Mapping[str, Any], key: str) -> bool:
        """True for a readable time. For a service, an unreadable one counts too, and for `error_on` even a word for null."""
        value = fields.get(key)
        is_empty = _is_empty(value) or ((self._is_source or key != "error_on") and _is_null_elsewhere(value))
        is_empty = is_empty or (self._is_source and parse_time(value) is None)
        if value is not None and is_empty:
            self._add_unreadable(key, value)
        return not is_empty

    def _parse_time(self, fields: Mapping[str, Any], key: str) -> datetime | None:
        value = fields.get(key)
        on = parse_time(value)
        if value is not None and (on is None or (self._is_source and _is_null_elsewhere(value))):
            self._add_unreadable(key, value)
            return None
        return on

    def _parse_flag(self, fields: Mapping[str, Any], key: str) -> bool | None:
        value = fields.get(key)
        if value is None or isinstance(value, bool):
            return value
        self._add_unreadable(key, value)
        return None

    def _parse_text(self, fields: Mapping[str, Any], key: str) -> str | None:
        value = fields.get(key)
        if value is not None and not isinstance(value, str):
            self._add_unreadable(key, value)
        return None if _is_empty(value) else redact_text(str(value))

    def _add_unreadable(self, name: str, value: object) -> None:
        self._add_anomaly(AnomalyName.UNREADABLE_FIELD, f"{name} is {_quote(value)}")

    def _add_anomaly(self, name: AnomalyName, detail: str) -> None:
        self.anomalies.append(Anomaly(name, detail))


def _timeline(events: Iterable[Event]) -> Timeline:
    return Timeline(tuple(sorted(events, key=lambda event: event.stage.rank)))


def _is_empty(value: object) -> bool:
    """Whether a value means null: null itself, or what some services send instead: false, or an empty text, list or object."""
    text_or_list = value.strip() if isinstance(value, str) else value
    return value is None or value is False or (isinstance(text_or_list, str | list | dict) and not text_or_list)


def _is_null_elsewhere(value: object) -> bool:
    """Whether a time is what some systems write for null: a zero date, `"null"` or 0."""
    if isinstance(value, str):
        text = value.strip().lower()
        return text in _NULL_TEXTS or text.startswith("0000-") or is_zero_time(text)
    return isinstance(value, int | float) and value == 0


def _listed(current: object) -> Sequence[Any]:
    """The states of a field that has one: some services send a list."""
    if isinstance(current, list):
        return current
    return () if current is None else (current,)


def _known_stage(state: object) -> Stage | None:
    """The stage of an entry of Option B, without regard to case and invisible characters; None if its state is not in the design."""
    name = state.get("state") if isinstance(state, Mapping) else state
    try:
        return Stage(_visible(name).lower()) if isinstance(name, str) else None
    except ValueError:
        return None


def _state_name(state: object) -> str:
    """The service's own name for a state that is not in the design."""
    name = state.get("state") if isinstance(state, Mapping) else state
    return _shorten(name) if isinstance(name, str) and _visible(name) else _NO_NAME


def _visible(name: str) -> str:
    """A name without blanks around it and without characters that are not seen."""
    return "".join(filter(str.isprintable, name)).strip()


def _write_flat(timeline: Timeline, shape: StatusShape) -> dict[str, Any]:
    times = {f"{stage}_on": _format_stage_time(timeline, stage) for stage in Stage}
    error = {"error_on": times["error_on"], "error_message": timeline.error_message}
    if shape is StatusShape.A:
        return {**times, **error}
    return {
        "initiated_on": times["initiated_on"],
        "ready_for_chunks": timeline.ready_for_chunks,
        "completed_on": times["completed_on"],
        "is_consistent": True if timeline.stage.is_final else None,
        **error,
        "purged_on": _format_optional(timeline.purged_on),
    }


def _write_states(timeline: Timeline) -> dict[str, Any]:
    states: list[dict[str, Any]] = [
        {"state": str(event.stage), "state_on": _format_optional(event.on)} for event in reversed(timeline.events)
    ]
    if timeline.unknown_state is not None:
        states.insert(
            0, {"state": timeline.unknown_state.name, "state_on": _format_optional(timeline.unknown_state.on)}
        )
    return {"current": states[0] if states else None, "prior": states[1:]}


def _format_stage_time(timeline: Timeline, stage: Stage) -> str | None:
    """The best known time of a stage: in a flat shape, only its time shows that a stage was reached."""
    event = timeline.event(stage)
    return None if event is None else _format_optional(event.best_time)


def _format_optional(on: datetime | None) -> str | None:
    return None if on is None else format_time(on)


def _quote(value: object) -> str:
    return _shorten(redact_text(repr(value)))


def _shorten(text: str) -> str:
    return text if len(text) <= _MAX_QUOTED else text[: _MAX_QUOTED - 1] + "…"
