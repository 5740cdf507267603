"""The three shapes of `status`, and what each of them cannot say."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec.structs import replace

from upload_tui.status import Certainty, Event, Stage, Timeline

__all__ = ["CANNOT_SAY", "Design", "Fact", "as_said_by"]


class Design(StrEnum):
    """A shape of the `status` field."""

    A = "a"
    """Flat times (DDS-902, Option A)."""
    B = "b"
    """Current and prior states (DDS-902, Option B)."""
    DEPLOYED = "deployed"
    """What the service finally deployed: flat times and `is_consistent`."""


class Fact(StrEnum):
    """Something that one shape can say and another cannot."""

    ERROR_MESSAGE = "the error's message"
    VERIFIED_TIME = "when it was verified"
    READY_FOR_CHUNKS = "whether chunks are taken yet"
    PURGED = "that the stored bytes were purged"


CANNOT_SAY: Mapping[Design, frozenset[Fact]] = MappingProxyType(
    {
        Design.A: frozenset({Fact.READY_FOR_CHUNKS, Fact.PURGED}),
        Design.B: frozenset({Fact.ERROR_MESSAGE, Fact.READY_FOR_CHUNKS, Fact.PURGED}),
        Design.DEPLOYED: frozenset({Fact.VERIFIED_TIME}),
    }
)
"""The one place that says what a shape has no words for."""


def as_said_by(design: Design, timeline: Timeline) -> Timeline:
    """What is left of a timeline once it has been said in a shape and read back: the rest that `CANNOT_SAY` names is gone."""
    silent = CANNOT_SAY[design]
    return Timeline(
        tuple(_event_as_said(event, timeline, silent) for event in timeline.events),
        purged_on=None if Fact.PURGED in silent else timeline.purged_on,
        ready_for_chunks=None if Fact.READY_FOR_CHUNKS in silent else timeline.ready_for_chunks,
    )


def _event_as_said(event: Event, timeline: Timeline, silent: frozenset[Fact]) -> Event:
    if event.stage is Stage.ERROR and Fact.ERROR_MESSAGE in silent:
        return replace(event, message=None)
    if event.stage is Stage.VERIFIED and Fact.VERIFIED_TIME in silent:
        completed = timeline.event(Stage.COMPLETED)
        return Event(Stage.VERIFIED, None, Certainty.OBSERVED, earliest=completed.on if completed else None)
    return event
