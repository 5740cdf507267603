"""The timeline of an upload: its stages (DDS-902, Options A and B), when it reached each, and how reliable each time is.

Times are aware datetimes in UTC. A timeline shows what a service reported, so it may contradict the design; `anomalies` lists how.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType

from msgspec import Struct

__all__ = [
    "Certainty",
    "ENDED_STATE",
    "Event",
    "FINAL_STAGES",
    "PENDING_STAGES",
    "Span",
    "Stage",
    "Timeline",
    "UnknownState",
]


ENDED_STATE = "ended"
"""The state of an upload that is over in a stage that is not final."""


class Stage(StrEnum):
    """A stage that an upload has reached; the value is the word that the design uses."""

    INITIATED = "initiated"
    """The client started the upload: `POST /projects/{id}/uploads`."""
    COMPLETED = "completed"
    """The client reported all chunks as sent: `PUT /uploads/{id}/complete`. A worker verifies it next."""
    VERIFIED = "verified"
    """The manifest exists and every integrity check passed."""
    ERROR = "error"
    """The manifest could not be created, or an integrity check failed."""

    @property
    def rank(self) -> int:
        """The position in a timeline. Where a service contradicts itself, the higher rank wins, so an error is never hidden."""
        return _RANKS[self]

    @property
    def is_final(self) -> bool:
        """True if no stage can follow."""
        return self in FINAL_STAGES


_RANKS: Mapping[Stage, int] = MappingProxyType({stage: rank for rank, stage in enumerate(Stage)})

FINAL_STAGES = frozenset({Stage.VERIFIED, Stage.ERROR})
PENDING_STAGES = frozenset({Stage.INITIATED, Stage.COMPLETED})


class Certainty(StrEnum):
    """How the time of an event is known."""

    REPORTED = "reported"
    """The service reports it."""
    ESTIMATED = "estimated"
    """Derived from a related time that the service reports (an audit time)."""
    OBSERVED = "observed"
    """Only known to lie between two readings."""


class Event(Struct, frozen=True):
    """A stage that was reached.

    Attributes:
        stage: the stage.
        on: when, as well as it is known; None if only the bounds are known.
        certainty: how `on` and the bounds are known.
        earliest: lower bound of the time; None if there is none.
        latest: upper bound of the time; None if there is none.
        message: the error message of the service; None if there is none.
    """

    stage: Stage
    on: datetime | None
    certainty: Certainty = Certainty.REPORTED
    earliest: datetime | None = None
    latest: datetime | None = None
    message: str | None = None

    @property
    def best_time(self) -> datetime | None:
        """The time to show and to calculate with: `on`, else the upper bound, else the lower bound."""
        return self.on or self.latest or self.earliest

    def is_since(self, on: datetime) -> bool | None:
        """Whether the stage was reached at a time or later; None if that cannot be known from the bounds."""
        if self.on is not None:
            return self.on >= on
        if self.earliest is not None and self.earliest >= on:
            return True
        return False if self.latest is not None and self.latest < on else None


class Span(Struct, frozen=True):
    """The time between two consecutive events of a timeline.

    Attributes:
        start: the stage at the beginning.
        end: the stage at the end.
        seconds: None if either time is unknown or known only by its bounds; negative if the times are out of order.
        is_exact: True if the service reported both times.
    """

    start: Stage
    end: Stage
    seconds: float | None
    is_exact: bool


class UnknownState(Struct, frozen=True):
    """A current state that is not in the design.

    Attributes:
        name: the service's own name for it, not sanitized; `unknown` if it has none.
        on: since when; None if unknown.
        certainty: how `on` is known; if it is observed, the state began then at the latest.
    """

    name: str
    on: datetime | None = None
    certainty: Certainty = Certainty.REPORTED


class Timeline(Struct, frozen=True):
    """The events of an upload, in the order of the stages.

    Attributes:
        events: at most one per stage, ordered by `Stage.rank`.
        purged_on: when the stored data was deleted (deployed shape only); None if it was not, or at an unknown time.
        ready_for_chunks: whether the storage accepts chunks yet (deployed shape only); None if the service does not report it.
        unknown_state: the current state if it is not in the design; None otherwise.
        has_unknown_purge_time: the stored data was deleted, but the time cannot be read.
        has_ended: a source says that no other stage will follow, whatever the state. In a stage that is not final, `unknown_state` is
            then `ENDED_STATE`.
    """

    events: tuple[Event, ...] = ()
    purged_on: datetime | None = None
    ready_for_chunks: bool | None = None
    unknown_state: UnknownState | None = None
    has_unknown_purge_time: bool = False
    has_ended: bool = False

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def event(self, stage: Stage) -> Event | None:
        """The event of a stage; None if the stage was not reached."""
        return next((event for event in self.events if event.stage is stage), None)

    @property
    def current(self) -> Event | None:
        """The latest event; None if the timeline is empty."""
        return self.events[-1] if self.events else None

    @property
    def stage(self) -> Stage:
        """The current stage; `INITIATED` if the timeline is empty, since the upload exists.

        In an unknown state, the last stage that is not final: an upload in such a state does not count as ended.
        """
        known = (
            event.stage for event in reversed(self.events) if self.unknown_state is None or not event.stage.is_final
        )
        return next(known, Stage.INITIATED)

    @property
    def is_pending(self) -> bool:
        """True until the upload is verified or in error; False in an unknown state, which is neither."""
        return self.unknown_state is None and not self.stage.is_final

    @property
    def own_state(self) -> UnknownState | None:
        """The current state if it has a name of its own; None if it is a stage, also one in which the upload has ended."""
        is_stage = self.has_ended and self.unknown_state is not None and self.unknown_state.name == ENDED_STATE
        return None if is_stage else self.unknown_state

    @property
    def is_purged(self) -> bool:
        """True if the stored data was deleted."""
        return self.purged_on is not None or self.has_unknown_purge_time

    @property
    def since(self) -> datetime | None:
        """When the current stage or the unknown state began, as well as it is known."""
        if self.own_state is not None:
            return self.own_state.on
        return self.current.best_time if self.current else None

    @property
    def since_certainty(self) -> Certainty | None:
        """How `since` is known: `OBSERVED` if it is only a bound; None if it is not known."""
        if self.since is None:
            return None
        current = self.current if self.own_state is None else self.own_state
        return Certainty.REPORTED if current is None else current.certainty

    @property
    def error_message(self) -> str | None:
        """The error message of the service; None if the upload is not in error or has no message."""
        event = self.event(Stage.ERROR)
        return event.message if event else None

    def time_in_stage(self, now: datetime) -> timedelta | None:
        """How long the current stage has lasted; None if its start is unknown, zero if its start is in the future."""
        return None if self.since is None else max(now - self.since, timedelta(0))

    def spans(self) -> tuple[Span, ...]:
        """The time between each pair of consecutive events."""
        return tuple(_span_between(first, second) for first, second in pairwise(self.events))


def _span_between(first: Event, second: Event) -> Span:
    is_exact = first.certainty is Certainty.REPORTED and second.certainty is Certainty.REPORTED
    if first.on is None or second.on is None:
        return Span(first.stage, second.stage, None, False)
    return Span(first.stage, second.stage, (second.on - first.on).total_seconds(), is_exact)
