"""The timeline of an upload: which stages it reached, when, and how sure that is.

Times are aware datetimes in UTC. A timeline is a fact as it was read: it may be illegal (a service may say anything), and
`anomalies` says in what way.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from upload_tui.status.stages import Stage

__all__ = ["Certainty", "Event", "Span", "Timeline"]


class Certainty(StrEnum):
    """How an event's time is known."""

    REPORTED = "reported"
    """The service said so."""
    ESTIMATED = "estimated"
    """Taken from something near it that the service said (an audit time)."""
    OBSERVED = "observed"
    """Only known to lie between two readings of ours."""


class Event(Struct, frozen=True):
    """A stage that was reached.

    Attributes:
        stage: which one.
        on: when, as well as it is known; None if nothing is known but the bounds.
        certainty: where `on` and the bounds come from.
        earliest: the event is not older than this; None if there is no bound.
        latest: the event is not younger than this; None if there is no bound.
        message: the service's message (errors only); None if it gave none.
    """

    stage: Stage
    on: datetime | None
    certainty: Certainty = Certainty.REPORTED
    earliest: datetime | None = None
    latest: datetime | None = None
    message: str | None = None

    @property
    def best_time(self) -> datetime | None:
        """The time to show and to reckon with: `on`, or else the latest, or else the earliest bound."""
        return self.on or self.latest or self.earliest


class Span(Struct, frozen=True):
    """The time between two neighbouring events of a timeline.

    `seconds` is None where either time is unknown, or known by its bounds alone; `exact` is true if the service reported both. It can
    be negative: times out of order are a fact of the service's that is shown, not mended.
    """

    start: Stage
    end: Stage
    seconds: float | None
    is_exact: bool


class Timeline(Struct, frozen=True):
    """What an upload has been through, in the order of the stages.

    Attributes:
        events: at most one for each stage, ordered by `Stage.rank`.
        purged_on: when the stored bytes were thrown away (deployed shape only); None if they were not.
        ready_for_chunks: whether the storage takes chunks yet (deployed shape only); None where the service does not say.
    """

    events: tuple[Event, ...] = ()
    purged_on: datetime | None = None
    ready_for_chunks: bool | None = None

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def event(self, stage: Stage) -> Event | None:
        """The event of a stage; None if it was not reached."""
        return next((event for event in self.events if event.stage is stage), None)

    @property
    def current(self) -> Event | None:
        """The event that counts now; None if the timeline is empty."""
        return self.events[-1] if self.events else None

    @property
    def stage(self) -> Stage:
        """The present stage. An upload of which nothing is known has at least been initiated."""
        return self.events[-1].stage if self.events else Stage.INITIATED

    @property
    def is_pending(self) -> bool:
        """True while the answer to "is it safe?" is still to come."""
        return not self.stage.is_final

    @property
    def since(self) -> datetime | None:
        """When the present stage began, as well as it is known."""
        return self.current.best_time if self.current else None

    @property
    def error_message(self) -> str | None:
        """The service's message, if the upload is in error and it gave one."""
        event = self.event(Stage.ERROR)
        return event.message if event else None

    def time_in_stage(self, now: datetime) -> timedelta | None:
        """How long the present stage has lasted; None if its beginning is unknown, zero if it lies in the future."""
        return None if self.since is None else max(now - self.since, timedelta(0))

    def spans(self) -> tuple[Span, ...]:
        """The times between neighbouring events: one less than there are events."""
        return tuple(_span_between(first, second) for first, second in zip(self.events, self.events[1:], strict=False))


def _span_between(first: Event, second: Event) -> Span:
    exact = first.certainty is Certainty.REPORTED and second.certainty is Certainty.REPORTED
    if first.on is None or second.on is None:
        return Span(first.stage, second.stage, None, False)
    return Span(first.stage, second.stage, (second.on - first.on).total_seconds(), exact)
