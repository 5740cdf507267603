"""Anomalies: ways in which an upload contradicts the design, in one reading (`inspect_...`) or between two (`transitions_between`).

An anomaly is shown with the upload. It is never an error: the upload is still read and shown.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from msgspec import Struct

from upload_tui.status.timeline import FINAL_STAGES, Certainty, Event, Stage, Timeline

__all__ = [
    "Anomaly",
    "AnomalyName",
    "FUTURE_TOLERANCE",
    "Transition",
    "contradicts_itself",
    "format_time",
    "inspect_chunks",
    "inspect_timeline",
    "invalid_chunks",
    "is_contradictory",
    "is_unsafe",
    "most_serious",
    "transitions_between",
    "was_superseded",
    "was_taken_back",
]

FUTURE_TOLERANCE = timedelta(seconds=5)
"""A time at most this far in the future is a difference between clocks, not an anomaly."""

_MAX_LISTED = 8
"""How many chunk numbers the detail of an anomaly lists."""
_MAX_REASONS = 3
"""How many invalid chunks it describes."""


class AnomalyName(StrEnum):
    """The names of all anomalies. They are part of the output for scripts and never change."""

    INITIATED_MISSING = "initiated_missing"
    """The service does not report when the upload was initiated."""
    COMPLETED_MISSING = "completed_missing"
    """Verified or in error, but never completed."""
    VERIFIED_AND_ERROR = "verified_and_error"
    """Both are reported, which the design excludes. The error takes precedence."""
    TIMES_OUT_OF_ORDER = "times_out_of_order"
    """A later stage has an earlier time."""
    TIME_IN_FUTURE = "time_in_future"
    """The time of a stage is in the future."""
    UNKNOWN_STATE = "unknown_state"
    """A state that is not in the design."""
    REPEATED_STATE = "repeated_state"
    """The same state is listed more than once."""
    MESSAGE_WITHOUT_ERROR = "message_without_error"
    """An error message without a time of the error. It counts as an error of a service; of a source, only the stage does."""
    UNKNOWN_SHAPE = "unknown_shape"
    """The status has none of the three shapes."""
    UNREADABLE_FIELD = "unreadable_field"
    """A field of the response does not have the type of the contract."""
    OTHER_PROJECT = "other_project"
    """The upload names a project other than the one that lists it."""
    STAGE_WENT_BACKWARDS = "stage_went_backwards"
    """A stage that an earlier reading had, or that is listed before the current state, is no longer reported."""
    TIME_CHANGED = "time_changed"
    """The time of a stage differs from an earlier reading, though it must not change once set."""
    CHUNKS_MISSING = "chunks_missing"
    """Completed, but the chunk numbers have gaps or do not start at 1."""
    CHUNKS_REPEATED = "chunks_repeated"
    """A chunk number is listed more than once."""
    CHUNK_SIZES_DIFFER = "chunk_sizes_differ"
    """Completed, but the sizes of the chunks do not add up to the size of the upload."""
    RECEIVED_TOO_MUCH = "received_too_much"
    """More bytes have arrived at a source than the size of the upload."""
    CHUNKS_INVALID = "chunks_invalid"
    """A listed chunk has a number below 1, or it or the whole list cannot be read, or contradicts another field."""


_BEFORE_VALUE = {
    AnomalyName.UNREADABLE_FIELD: " is ",
    AnomalyName.TIME_IN_FUTURE: " is ",
    AnomalyName.RECEIVED_TOO_MUCH: " of ",
}
"""What stands before the value in the details of an anomaly, such as `field is value`."""


class Anomaly(Struct, frozen=True):
    """One contradiction: its name, and a sentence with the details, which may quote the service."""

    name: AnomalyName
    detail: str

    @property
    def subject(self) -> str:
        """The details without a value that may change: a field with another wrong value is the same anomaly."""
        separator = _BEFORE_VALUE.get(self.name)
        return self.detail.partition(separator)[0] if separator else self.detail


def inspect_timeline(timeline: Timeline, now: datetime | None = None) -> tuple[Anomaly, ...]:
    """Find the anomalies of one timeline. `now` is the time of reading; None skips the check for times in the future."""
    return tuple(_timeline_anomalies(timeline, now))


def _timeline_anomalies(timeline: Timeline, now: datetime | None) -> Iterator[Anomaly]:
    stages = {event.stage for event in timeline.events}
    initiated = timeline.event(Stage.INITIATED)
    if initiated is None or initiated.on is None:
        yield Anomaly(AnomalyName.INITIATED_MISSING, "the service reports no time for initiated")
    if stages & FINAL_STAGES and Stage.COMPLETED not in stages:
        yield Anomaly(AnomalyName.COMPLETED_MISSING, f"{timeline.stage} without completed")
    if stages >= FINAL_STAGES:
        yield Anomaly(AnomalyName.VERIFIED_AND_ERROR, "both verified and error are reported; error takes precedence")
    for first, second in pairwise(event for event in timeline.events if event.on is not None):
        if second.on < first.on and {first.stage, second.stage} != FINAL_STAGES:  # type: ignore[operator]  # None is filtered out above
            yield Anomaly(AnomalyName.TIMES_OUT_OF_ORDER, f"{second.stage} is earlier than {first.stage}")
    if now is not None:
        yield from _future_anomalies(timeline, now)


def format_time(on: datetime) -> str:
    """A time as the service writes it, in anomalies and in all output for scripts: ISO 8601 in UTC with milliseconds and `Z`."""
    return on.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _future_anomalies(timeline: Timeline, now: datetime) -> Iterator[Anomaly]:
    for event in timeline.events:
        if event.on is not None and event.on > now + FUTURE_TOLERANCE:
            # Without the distance to now: with it, each reading would be a new anomaly.
            yield Anomaly(
                AnomalyName.TIME_IN_FUTURE, f"{event.stage} at {format_time(event.on)}, which is in the future"
            )


def inspect_chunks(
    chunks: Sequence[tuple[int, int]], size_bytes: int | None, timeline: Timeline, unreadable: Sequence[str] = ()
) -> tuple[Anomaly, ...]:
    """Find the anomalies of the chunks of an upload.

    Args:
        chunks: number and size in bytes of each that can be read, in any order.
        size_bytes: the size the client declared; None if unknown.
        timeline: missing chunks are only an anomaly after completion and before a purge, which deletes them.
        unreadable: a sentence about each chunk that cannot be read.
    """
    found = tuple(_chunk_anomalies(chunks, size_bytes, timeline))
    reasons = [*unreadable, *(f"number {number} is below 1" for number, _ in chunks if number < 1)]
    return (*found, invalid_chunks(reasons)) if reasons else found


def invalid_chunks(reasons: Sequence[str]) -> Anomaly:
    """The anomaly of chunks that are invalid, one reason each: nothing proves that such an upload is whole."""
    more = f" and {len(reasons) - _MAX_REASONS:,} more" if len(reasons) > _MAX_REASONS else ""
    return Anomaly(AnomalyName.CHUNKS_INVALID, f"{'; '.join(reasons[:_MAX_REASONS])}{more}")


def _chunk_anomalies(
    chunks: Sequence[tuple[int, int]], size_bytes: int | None, timeline: Timeline
) -> Iterator[Anomaly]:
    repeated = sorted(number for number, times in Counter(number for number, _ in chunks).items() if times > 1)
    if repeated:
        yield Anomaly(AnomalyName.CHUNKS_REPEATED, f"listed more than once: {_format_numbers(repeated)}")
    if timeline.stage is Stage.INITIATED or timeline.is_purged:
        return
    numbers = {number for number, _ in chunks}
    missing = _missing_numbers(numbers)
    if missing:
        yield Anomaly(AnomalyName.CHUNKS_MISSING, f"{timeline.stage} without chunk {_format_numbers(missing)}")
    total = sum(size for _, size in chunks)
    if size_bytes is not None and total != size_bytes:
        yield Anomaly(
            AnomalyName.CHUNK_SIZES_DIFFER, f"chunks add up to {total:,} bytes, the upload is {size_bytes:,} bytes"
        )


def _missing_numbers(numbers: set[int]) -> list[int]:
    """The absent numbers from 1 to the highest, only as many as are listed: a chunk number may be huge."""
    missing: list[int] = []
    for first, second in pairwise([0, *sorted(number for number in numbers if number > 0)]):
        missing.extend(range(first + 1, min(second, first + 2 + _MAX_LISTED)))
    return missing


def _format_numbers(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_MAX_LISTED]))
    return shown if len(numbers) <= _MAX_LISTED else f"{shown} and more"


class Transition(Struct, frozen=True):
    """An upload reached a stage.

    Attributes:
        previous: the stage before; None if this is the first.
        event: the stage reached, and when.
    """

    previous: Stage | None
    event: Event


def transitions_between(
    before: Timeline | None, after: Timeline, *, may_end_again: bool = False
) -> tuple[tuple[Transition, ...], tuple[Anomaly, ...]]:
    """Compare two readings of one upload.

    An upload that is in an earlier stage than before has reached that stage again; so has one of a source that was in a state of its
    own. If the stage has the time that is already known, the answer is an older one instead, or takes the later stage back.

    Args:
        before: the older reading; None if there is none, so that every stage is new.
        after: the newer reading.
        may_end_again: whether an upload that has ended can be sent again. If the final stage that it was in is reported with a later
            time, it has then reached that stage again. Then, and after a state of its own, no later time contradicts what was known.

    Returns:
        Each newly reached stage, in order, including those passed between the readings; and the anomalies of the comparison:
        a stage that is no longer reported, a fixed time that changed.
    """
    known = {event.stage for event in before.events} if before else set()
    has_moved = before is None or before.stage is not after.stage
    stage: Stage | None = before.stage if before and before.events and has_moved else None
    steps: list[Transition] = []
    for event in after.events:
        if event.stage not in known:
            steps.append(Transition(stage, event))
        if event.stage not in known or not has_moved:
            stage = event.stage
    states = (before.unknown_state if before else None, after.unknown_state)
    has_left_state = may_end_again and states[0] is not None and states[1] is None
    is_again = has_moved and stage is not after.stage and states == (None, None)
    is_again = is_again or (has_left_state and after.current not in [step.event for step in steps])
    if is_again and after.current is not None and not _is_known(after.current, before):
        steps.append(Transition(stage, after.current))
    if before is None:
        return tuple(steps), ()
    has_ended_again = may_end_again and states == (None, None) and _has_ended_again(before, after)
    if has_ended_again and after.current is not None:
        steps.append(Transition(after.stage, after.current))
    return tuple(steps), tuple(_contradictions(before, after, may_be_later=has_ended_again or has_left_state))


def _has_ended_again(before: Timeline, after: Timeline) -> bool:
    """Whether the upload is in the same final stage as before, since a later time."""
    if before.current is None or after.current is None or not after.stage.is_final:
        return False
    return before.stage is after.stage and _is_later(before.current, after.current)


def _is_known(event: Event, before: Timeline | None) -> bool:
    """Whether the stage was known to be reached at the same reported time."""
    known = before.event(event.stage) if before else None
    return known is not None and _is_reported(event) and _is_reported(known) and known.on == event.on


def _is_reported(event: Event) -> bool:
    return event.certainty is Certainty.REPORTED and event.on is not None


def was_taken_back(event: Event, noticed: Iterable[Anomaly]) -> bool:
    """Whether a stage was reported with this time, then missing, and now is back: it was not reached a second time."""
    return _is_reported(event) and _lost_stage(event) in noticed


def was_superseded(event: Event, noticed: Iterable[Anomaly]) -> bool:
    """Whether a stage was reported with this time, then with another one, and now with this one again: it was not reached twice."""
    was_reported = _former_time(event)
    return any(one.name is AnomalyName.TIME_CHANGED and one.detail.startswith(was_reported) for one in noticed)


def _lost_stage(event: Event) -> Anomaly:
    """What is noticed when a stage is no longer reported."""
    time = f" at {_format_time(event)}" if _is_reported(event) else ""
    return Anomaly(AnomalyName.STAGE_WENT_BACKWARDS, f"{event.stage}{time} was reported before and no longer is")


def _former_time(event: Event) -> str:
    """How what is noticed begins when the time of a stage changes. Stores and recordings have the whole sentence, and no more."""
    return f"{event.stage} was {_format_time(event)} before "


def _contradictions(before: Timeline, after: Timeline, *, may_be_later: bool) -> Iterator[Anomaly]:
    yield from (_lost_stage(event) for event in before.events if after.event(event.stage) is None)
    for event in after.events:
        earlier = before.event(event.stage)
        if earlier and _is_time_changed(earlier, event) and not (may_be_later and _is_later(earlier, event)):
            yield Anomaly(AnomalyName.TIME_CHANGED, f"{_former_time(earlier)}and is {_format_time(event)} now")
    if before.is_purged and not after.is_purged:
        yield Anomaly(AnomalyName.STAGE_WENT_BACKWARDS, "purged was reported before and no longer is")


def _is_time_changed(earlier: Event, later: Event) -> bool:
    return _is_reported(earlier) and _is_reported(later) and earlier.on != later.on


def _is_later(earlier: Event, later: Event) -> bool:
    """Whether a stage is reported with a later time than before."""
    if earlier.on is None or later.on is None or not (_is_reported(earlier) and _is_reported(later)):
        return False
    return later.on > earlier.on


def _format_time(event: Event) -> str:
    return format_time(event.on) if event.on else "unknown"


_UNSAFE = frozenset(
    {
        AnomalyName.CHUNKS_MISSING,
        AnomalyName.CHUNKS_REPEATED,
        AnomalyName.CHUNK_SIZES_DIFFER,
        AnomalyName.CHUNKS_INVALID,
    }
)
_SEVERITY = (
    AnomalyName.CHUNKS_MISSING,
    AnomalyName.CHUNK_SIZES_DIFFER,
    AnomalyName.CHUNKS_INVALID,
    AnomalyName.CHUNKS_REPEATED,
    AnomalyName.RECEIVED_TOO_MUCH,
    AnomalyName.VERIFIED_AND_ERROR,
    AnomalyName.STAGE_WENT_BACKWARDS,
    AnomalyName.MESSAGE_WITHOUT_ERROR,
)
"""The most serious anomalies first; all others follow, a state of the service's own last: it is shown in any case."""
_WRONG_TIMES = frozenset(
    {
        AnomalyName.COMPLETED_MISSING,
        AnomalyName.VERIFIED_AND_ERROR,
        AnomalyName.TIMES_OUT_OF_ORDER,
        AnomalyName.TIME_IN_FUTURE,
        AnomalyName.TIME_CHANGED,
        AnomalyName.STAGE_WENT_BACKWARDS,
    }
)


def most_serious(anomalies: Iterable[Anomaly]) -> Anomaly | None:
    """The anomaly to show where there is room for one only; None if there is none."""
    return min(anomalies, key=lambda anomaly: _rank(anomaly.name), default=None)


def _rank(name: AnomalyName) -> int:
    if name in _SEVERITY:
        return _SEVERITY.index(name)
    return len(_SEVERITY) + (name is AnomalyName.UNKNOWN_STATE)


def is_unsafe(anomaly: Anomaly) -> bool:
    """Whether the chunks do not agree, or cannot all be read: verification of a completed upload fails then."""
    return anomaly.name in _UNSAFE


def is_contradictory(stage: Stage, anomalies: Iterable[Anomaly]) -> bool:
    """Whether an upload is verified though its chunks do not agree, or cannot all be read."""
    return stage is Stage.VERIFIED and any(anomaly.name in _UNSAFE for anomaly in anomalies)


def contradicts_itself(stage: Stage, anomalies: Iterable[Anomaly]) -> bool:
    """Whether an upload is contradictory or its times contradict each other: its latencies then have no meaning."""
    anomalies = tuple(anomalies)
    return is_contradictory(stage, anomalies) or any(anomaly.name in _WRONG_TIMES for anomaly in anomalies)
