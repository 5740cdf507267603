"""The three shapes of `status`, and what each of them cannot say."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec.structs import replace

from upload_tui.status import Certainty, Event, Stage, Timeline

__all__ = ["UNSUPPORTED_DETAILS", "StatusShape", "StatusDetail", "representable_in"]


class StatusShape(StrEnum):
    """A shape of the `status` field."""

    A = "a"
    """Flat times (DDS-902, Option A)."""
    B = "b"
    """Current and prior states (DDS-902, Option B)."""
    DEPLOYED = "deployed"
    """What the service finally deployed: flat times and `is_consistent`."""


class StatusDetail(StrEnum):
    """Something that one shape can say and another cannot."""

    ERROR_MESSAGE = "the error's message"
    VERIFIED_TIME = "when it was verified"
    READY_FOR_CHUNKS = "whether chunks are taken yet"
    PURGED = "that the stored bytes were purged"


UNSUPPORTED_DETAILS: Mapping[StatusShape, frozenset[StatusDetail]] = MappingProxyType(
    {
        StatusShape.A: frozenset({StatusDetail.READY_FOR_CHUNKS, StatusDetail.PURGED}),
        StatusShape.B: frozenset({StatusDetail.ERROR_MESSAGE, StatusDetail.READY_FOR_CHUNKS, StatusDetail.PURGED}),
        StatusShape.DEPLOYED: frozenset({StatusDetail.VERIFIED_TIME}),
    }
)
"""The one place that says what a shape has no words for."""


def representable_in(shape: StatusShape, timeline: Timeline) -> Timeline:
    """What is left of a timeline once it has been said in a shape and read back: the rest that `UNSUPPORTED_DETAILS` names is gone."""
    silent = UNSUPPORTED_DETAILS[shape]
    return Timeline(
        tuple(_representable_event(event, timeline, silent) for event in timeline.events),
        purged_on=None if StatusDetail.PURGED in silent else timeline.purged_on,
        ready_for_chunks=None if StatusDetail.READY_FOR_CHUNKS in silent else timeline.ready_for_chunks,
    )


def _representable_event(event: Event, timeline: Timeline, unsupported: frozenset[StatusDetail]) -> Event:
    if event.stage is Stage.ERROR and StatusDetail.ERROR_MESSAGE in unsupported:
        return replace(event, message=None)
    if event.stage is Stage.VERIFIED and StatusDetail.VERIFIED_TIME in unsupported:
        completed = timeline.event(Stage.COMPLETED)
        return Event(Stage.VERIFIED, None, Certainty.OBSERVED, earliest=completed.on if completed else None)
    return event
