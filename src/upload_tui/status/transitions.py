"""What happened between two readings of one upload: the stages passed, in order, and what should not have happened."""

from msgspec import Struct

from upload_tui.status.anomalies import Anomaly, AnomalyName
from upload_tui.status.stages import NEXT_STAGES, Stage
from upload_tui.status.timeline import Certainty, Event, Timeline

__all__ = ["Transition", "is_legal_step", "transitions_between"]


class Transition(Struct, frozen=True):
    """An upload reached a stage: `before` is the one it was in (None at the very beginning)."""

    previous: Stage | None
    event: Event

    @property
    def is_legal(self) -> bool:
        """True if the design lets this stage follow that one."""
        return is_legal_step(self.previous, self.event.stage)


def is_legal_step(before: Stage | None, after: Stage) -> bool:
    """True if the design lets `after` follow `before` directly; None stands for "not begun"."""
    return after in NEXT_STAGES[before]


def transitions_between(before: Timeline | None, after: Timeline) -> tuple[tuple[Transition, ...], tuple[Anomaly, ...]]:
    """Compare two readings of one upload.

    Args:
        before: the older reading; None if the upload was never read before, so that every stage it has reached is news.
        after: the newer reading.

    Returns:
        Each stage newly reached, in order, those that were passed through between the readings included; and the anomalies that only
        a comparison shows: a stage that went backwards, a time that was said to be fixed and changed.
    """
    known = {event.stage for event in before.events} if before else set()
    stage: Stage | None = before.stage if before and before.events else None
    steps: list[Transition] = []
    for event in after.events:
        if event.stage not in known:
            steps.append(Transition(stage, event))
            stage = event.stage
    return tuple(steps), tuple(_contradictions(before, after)) if before else ()


def _contradictions(before: Timeline, after: Timeline) -> list[Anomaly]:
    found = []
    lost = [event.stage for event in before.events if after.event(event.stage) is None]
    if lost or after.stage.rank < before.stage.rank:
        words = ", ".join(lost) if lost else before.stage
        found.append(Anomaly(AnomalyName.STAGE_WENT_BACKWARDS, f"{words} was said before and is not said now"))
    for event in after.events:
        earlier = before.event(event.stage)
        if earlier and _is_time_changed(earlier, event):
            found.append(
                Anomaly(
                    AnomalyName.TIME_CHANGED,
                    f"{event.stage} was {_format_time(earlier)} before and is {_format_time(event)} now",
                )
            )
    if before.purged_on and not after.purged_on:
        found.append(Anomaly(AnomalyName.STAGE_WENT_BACKWARDS, "purged was said before and is not said now"))
    return found


def _is_time_changed(earlier: Event, later: Event) -> bool:
    both_reported = earlier.certainty is Certainty.REPORTED and later.certainty is Certainty.REPORTED
    return both_reported and None not in (earlier.on, later.on) and earlier.on != later.on


def _format_time(event: Event) -> str:
    return event.on.isoformat(timespec="milliseconds") if event.on else "unknown"
