"""What can be wrong with what a service says, by name.

An anomaly is shown beside the upload and never stops anything: a service may say whatever it likes, and the person who
watches it must be told.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from msgspec import Struct

from upload_tui.status.stages import Stage
from upload_tui.status.timeline import Timeline

__all__ = ["FUTURE_TOLERANCE", "Anomaly", "AnomalyName", "inspect_chunks", "inspect_timeline"]

FUTURE_TOLERANCE = timedelta(seconds=5)
"""A time up to this far ahead of the reader's clock is a difference of clocks, not an anomaly."""

_MAX_LISTED = 8
"""How many chunk numbers a detail names before it only counts."""


class AnomalyName(StrEnum):
    """The names of all anomalies; they are part of the data that scripts get and never change."""

    INITIATED_MISSING = "initiated_missing"
    """The service does not say when the upload was initiated."""
    COMPLETED_MISSING = "completed_missing"
    """Verified or in error without ever having been completed."""
    VERIFIED_AND_ERROR = "verified_and_error"
    """Both are said; they exclude each other. Error is believed."""
    TIMES_OUT_OF_ORDER = "times_out_of_order"
    """A later stage has an earlier time."""
    TIME_IN_FUTURE = "time_in_future"
    """A stage was reached at a time that has not come yet."""
    UNKNOWN_STATE = "unknown_state"
    """A state that the design does not know."""
    REPEATED_STATE = "repeated_state"
    """The same state is listed more than once."""
    MESSAGE_WITHOUT_ERROR = "message_without_error"
    """An error message, but no error."""
    UNKNOWN_SHAPE = "unknown_shape"
    """The status has none of the three known shapes."""
    UNREADABLE_FIELD = "unreadable_field"
    """A field of the answer is not of the type the contract says."""
    STAGE_WENT_BACKWARDS = "stage_went_backwards"
    """A stage was said in an earlier reading and is not said now."""
    TIME_CHANGED = "time_changed"
    """The time of a stage differs from an earlier reading; such times are fixed once set."""
    CHUNKS_MISSING = "chunks_missing"
    """Completed, but the chunk numbers do not run from 1 without a gap."""
    CHUNKS_REPEATED = "chunks_repeated"
    """A chunk number is listed more than once."""
    CHUNK_SIZES_DIFFER = "chunk_sizes_differ"
    """Completed, but the chunks' sizes do not add up to the upload's."""


class Anomaly(Struct, frozen=True):
    """One thing that is wrong: its name, and a sentence with the particulars (it may quote the service)."""

    name: AnomalyName
    detail: str


def inspect_timeline(timeline: Timeline, now: datetime | None = None) -> tuple[Anomaly, ...]:
    """Everything that is wrong with one timeline in itself; `now` is the reader's clock, None leaves out the future."""
    return tuple(_timeline_anomalies(timeline, now))


def _timeline_anomalies(timeline: Timeline, now: datetime | None) -> Iterator[Anomaly]:
    stages = {event.stage for event in timeline.events}
    initiated = timeline.event(Stage.INITIATED)
    if initiated is None or initiated.on is None:
        yield Anomaly(AnomalyName.INITIATED_MISSING, "the service gives no time for initiated")
    if stages & {Stage.VERIFIED, Stage.ERROR} and Stage.COMPLETED not in stages:
        yield Anomaly(AnomalyName.COMPLETED_MISSING, f"{timeline.stage} without completed")
    if {Stage.VERIFIED, Stage.ERROR} <= stages:
        yield Anomaly(AnomalyName.VERIFIED_AND_ERROR, "verified and error exclude each other; error is believed")
    for first, second in pairwise(event for event in timeline.events if event.on is not None):
        if second.on < first.on and {first.stage, second.stage} != {Stage.VERIFIED, Stage.ERROR}:  # type: ignore[operator]  # None is filtered out above
            yield Anomaly(AnomalyName.TIMES_OUT_OF_ORDER, f"{second.stage} is earlier than {first.stage}")
    if now is not None:
        yield from _future_anomalies(timeline, now)


def _future_anomalies(timeline: Timeline, now: datetime) -> Iterator[Anomaly]:
    for event in timeline.events:
        if event.on is not None and event.on > now + FUTURE_TOLERANCE:
            # Not how far ahead: at each reading that would be news.
            on = event.on.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            yield Anomaly(AnomalyName.TIME_IN_FUTURE, f"{event.stage} at {on}, which has not come yet")


def inspect_chunks(
    chunks: Sequence[tuple[int, int]], size_bytes: int | None, timeline: Timeline
) -> tuple[Anomaly, ...]:
    """What the listed chunks contradict, as seen from outside.

    Args:
        chunks: number and size in bytes of each, in any order.
        size_bytes: the size the client promised; None if unknown.
        timeline: nothing is expected of chunks before completion, nor after a purge (it removes them).
    """
    return tuple(_chunk_anomalies(chunks, size_bytes, timeline))


def _chunk_anomalies(
    chunks: Sequence[tuple[int, int]], size_bytes: int | None, timeline: Timeline
) -> Iterator[Anomaly]:
    repeated = sorted(number for number, times in Counter(number for number, _ in chunks).items() if times > 1)
    if repeated:
        yield Anomaly(AnomalyName.CHUNKS_REPEATED, f"listed more than once: {_format_numbers(repeated)}")
    if timeline.stage is Stage.INITIATED or timeline.purged_on is not None:
        return
    numbers = {number for number, _ in chunks}
    missing = _missing_numbers(numbers)
    if missing:
        yield Anomaly(AnomalyName.CHUNKS_MISSING, f"{timeline.stage} without chunk {_format_numbers(missing)}")
    total = sum(size for _, size in chunks)
    if size_bytes is not None and total != size_bytes:
        yield Anomaly(AnomalyName.CHUNK_SIZES_DIFFER, f"chunks add up to {total} bytes, the upload says {size_bytes}")


def _missing_numbers(numbers: set[int]) -> list[int]:
    """The numbers from 1 to the highest that are absent; looked for between neighbours, so one huge number costs little."""
    missing: list[int] = []
    for first, second in pairwise([0, *sorted(number for number in numbers if number > 0)]):
        missing.extend(range(first + 1, min(second, first + 2 + _MAX_LISTED)))
    return missing


def _format_numbers(numbers: Iterable[int]) -> str:
    listed = list(numbers)
    shown = ", ".join(str(number) for number in listed[:_MAX_LISTED])
    return shown if len(listed) <= _MAX_LISTED else f"{shown} and more"
