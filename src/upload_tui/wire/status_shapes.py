"""The three shapes of the `status` field: what each can express, how to detect, read and write them.

The keys decide the shape: `current` or `prior` mean Option B; `is_consistent`, `ready_for_chunks` or `purged_on` mean the deployed
shape; flat times alone mean Option A.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from upload_tui.status import Anomaly, AnomalyName, Certainty, Event, Stage, Timeline
from upload_tui.wire.times import format_time, read_time

__all__ = [
    "UNSUPPORTED_DETAILS",
    "StatusDetail",
    "StatusReading",
    "StatusShape",
    "detect_shape",
    "read_status",
    "write_status",
]

_DEPLOYED_ONLY_KEYS = frozenset({"is_consistent", "ready_for_chunks", "purged_on"})
_OPTION_B_ONLY_KEYS = frozenset({"current", "prior"})
_FLAT_KEYS = frozenset({"initiated_on", "completed_on", "verified_on", "error_on", "error_message"})
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


def read_status(status: object) -> StatusReading:
    """Parse a `status` payload of any shape. Never raises: what cannot be read becomes an anomaly."""
    shape = detect_shape(status)
    if shape is None or not isinstance(status, Mapping):
        return StatusReading(None, Timeline(), (Anomaly(AnomalyName.UNKNOWN_SHAPE, f"status is {_quote(status)}"),))
    reader = _StatusReader()
    timeline = reader.read_states(status) if shape is StatusShape.B else reader.read_flat(status, shape)
    return StatusReading(shape, timeline, tuple(reader.anomalies))


def write_status(timeline: Timeline, shape: StatusShape) -> dict[str, Any]:
    """The `status` payload of a timeline, without what the shape cannot express (`UNSUPPORTED_DETAILS`)."""
    return _write_states(timeline) if shape is StatusShape.B else _write_flat(timeline, shape)


class _StatusReader:
    """Parses one payload and collects its anomalies."""

    def __init__(self) -> None:
        self.anomalies: list[Anomaly] = []

    def read_flat(self, status: Mapping[str, Any], shape: StatusShape) -> Timeline:
        """Option A or the deployed shape."""
        message = self._read_text(status, "error_message")
        times = {stage: self._read_time(status, f"{stage}_on") for stage in Stage}
        events = [Event(stage, on) for stage, on in times.items() if on is not None and stage is not Stage.ERROR]
        if times[Stage.ERROR] is not None:
            events.append(Event(Stage.ERROR, times[Stage.ERROR], message=message))
        elif message is not None:
            self._add_anomaly(AnomalyName.MESSAGE_WITHOUT_ERROR, _quote(message))
        if shape is StatusShape.A:
            return Timeline(tuple(events))
        return self._read_deployed(status, events, times)

    def _read_deployed(
        self, status: Mapping[str, Any], events: list[Event], times: Mapping[Stage, datetime | None]
    ) -> Timeline:
        # An error sets `is_consistent` as well, so it only means verified where there is no error.
        is_consistent = self._read_flag(status, "is_consistent")
        if is_consistent and times[Stage.ERROR] is None and times[Stage.VERIFIED] is None:
            events.append(Event(Stage.VERIFIED, None, Certainty.OBSERVED, earliest=times[Stage.COMPLETED]))
        return Timeline(
            tuple(sorted(events, key=lambda event: event.stage.rank)),
            purged_on=self._read_time(status, "purged_on"),
            ready_for_chunks=self._read_flag(status, "ready_for_chunks"),
        )

    def read_states(self, status: Mapping[str, Any]) -> Timeline:
        """Option B."""
        found: dict[Stage, Event] = {}
        for entry in self._state_entries(status):
            event = self._read_state(entry)
            if event is None:
                continue
            if event.stage in found:
                self._add_anomaly(AnomalyName.REPEATED_STATE, f"{event.stage} is listed more than once")
                continue
            found[event.stage] = event
        return Timeline(tuple(sorted(found.values(), key=lambda event: event.stage.rank)))

    def _state_entries(self, status: Mapping[str, Any]) -> Iterator[Any]:
        if status.get("current") is not None:
            yield status["current"]
        prior = status.get("prior")
        if isinstance(prior, list):
            yield from prior
        elif prior is not None:
            self._add_unreadable("prior", prior)

    def _read_state(self, entry: object) -> Event | None:
        if not isinstance(entry, Mapping):
            self._add_unreadable("a state", entry)
            return None
        try:
            stage = Stage(entry.get("state"))  # type: ignore[arg-type]  # Stage rejects anything that is not a stage
        except ValueError:
            self._add_anomaly(AnomalyName.UNKNOWN_STATE, _quote(entry.get("state")))
            return None
        return Event(stage, self._read_time(entry, "state_on"))

    def _read_time(self, fields: Mapping[str, Any], key: str) -> datetime | None:
        value = fields.get(key)
        on = read_time(value)
        if value is not None and on is None:
            self._add_unreadable(key, value)
        return on

    def _read_flag(self, fields: Mapping[str, Any], key: str) -> bool | None:
        value = fields.get(key)
        if value is None or isinstance(value, bool):
            return value
        self._add_unreadable(key, value)
        return None

    def _read_text(self, fields: Mapping[str, Any], key: str) -> str | None:
        value = fields.get(key)
        if value is None or isinstance(value, str):
            return value
        self._add_unreadable(key, value)
        return str(value)

    def _add_unreadable(self, name: str, value: object) -> None:
        self._add_anomaly(AnomalyName.UNREADABLE_FIELD, f"{name} is {_quote(value)}")

    def _add_anomaly(self, name: AnomalyName, detail: str) -> None:
        self.anomalies.append(Anomaly(name, detail))


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
        "purged_on": format_time(timeline.purged_on) if timeline.purged_on else None,
    }


def _write_states(timeline: Timeline) -> dict[str, Any]:
    states = [
        {"state": str(event.stage), "state_on": format_time(event.on) if event.on else None}
        for event in reversed(timeline.events)
    ]
    return {"current": states[0] if states else None, "prior": states[1:]}


def _format_stage_time(timeline: Timeline, stage: Stage) -> str | None:
    event = timeline.event(stage)
    return format_time(event.on) if event and event.on else None


def _quote(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_QUOTED else text[: _MAX_QUOTED - 1] + "…"
