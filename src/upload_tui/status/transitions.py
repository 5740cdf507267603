"""The stages an upload reached between two readings, and the anomalies that only a comparison shows."""

from collections.abc import Iterator

from msgspec import Struct

from upload_tui.status.anomalies import Anomaly, AnomalyName, format_time
from upload_tui.status.stages import Stage
from upload_tui.status.timeline import Certainty, Event, Timeline

__all__ = ["Transition", "transitions_between"]


class Transition(Struct, frozen=True):
    """An upload reached a stage.

    Attributes:
        previous: the stage before; None if this is the first.
        event: the stage reached, and when.
    """

    previous: Stage | None
    event: Event


def transitions_between(before: Timeline | None, after: Timeline) -> tuple[tuple[Transition, ...], tuple[Anomaly, ...]]:
    """Compare two readings of one upload.

    Args:
        before: the older reading; None if there is none, so that every stage is new.
        after: the newer reading.

    Returns:
        Each newly reached stage, in order, including those passed between the readings; and the anomalies of the comparison:
        a stage that is no longer reported, a fixed time that changed.
    """
    known = {event.stage for event in before.events} if before else set()
    stage: Stage | None = before.stage if before and before.events else None
    steps: list[Transition] = []
    for event in after.events:
        if event.stage not in known:
            steps.append(Transition(stage, event))
            stage = event.stage
    return tuple(steps), tuple(_contradictions(before, after)) if before else ()


def _contradictions(before: Timeline, after: Timeline) -> Iterator[Anomaly]:
    lost = [event.stage for event in before.events if after.event(event.stage) is None]
    if lost:
        yield Anomaly(AnomalyName.STAGE_WENT_BACKWARDS, f"{', '.join(lost)} was reported before and no longer is")
    for event in after.events:
        earlier = before.event(event.stage)
        if earlier and _is_time_changed(earlier, event):
            detail = f"{event.stage} was {_format_time(earlier)} before and is {_format_time(event)} now"
            yield Anomaly(AnomalyName.TIME_CHANGED, detail)
    if before.is_purged and not after.is_purged:
        yield Anomaly(AnomalyName.STAGE_WENT_BACKWARDS, "purged was reported before and no longer is")


def _is_time_changed(earlier: Event, later: Event) -> bool:
    both_reported = earlier.certainty is Certainty.REPORTED and later.certainty is Certainty.REPORTED
    return both_reported and None not in (earlier.on, later.on) and earlier.on != later.on


def _format_time(event: Event) -> str:
    return format_time(event.on) if event.on else "unknown"
