"""Why an upload is pending, for how long, and what is wrong with it, in words and in several lengths. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from textual.content import Content

from upload_tui.monitor import Detail, Row, WaitsFor, age_of
from upload_tui.status import Ability, AnomalyName, Certainty, Origin, Stage, is_unsafe
from upload_tui.text import (
    age_text,
    anomaly_texts,
    duration_text,
    percent_text,
    plural,
    received_text,
    sanitize,
    size_text,
)
from upload_tui.tui.appearance.display_options import least_text
from upload_tui.tui.appearance.glyphs import Glyphs
from upload_tui.tui.fitting import hanging_lines

__all__ = [
    "AGE_CELLS",
    "acknowledged_texts",
    "anomaly_lines",
    "anomaly_reasons",
    "bytes_per_second",
    "least_age_text",
    "pending_age_text",
    "pending_details",
    "pending_reasons",
    "stuck_badge",
    "time_left_text",
]

_MAX_SECONDS_LEFT = 30 * 24 * 3600
_STALLED_INTERVALS = 3
"""Without a chunk for this many times the usual interval between two, the time left is not known."""
_MIN_STALLED_SECONDS = 10
AGE_CELLS = 7
"""Cells of the age of a pending upload."""


def least_age_text(since: datetime, now: datetime, read_on: datetime | None, *, is_least: bool = False) -> str:
    """The age of what began at `since`: `43m`, `>43m` if it may have ended since it was last read, `?` if that is in the future.

    Args:
        since: when it began.
        now: the present.
        read_on: when it was last read, if it may have ended since; None if it is current.
        is_least: it may have begun long before.
    """
    age = age_text(((read_on or now) - since).total_seconds())
    return least_text(age) if is_least or read_on is not None else age


def pending_age_text(row: Row, now: datetime) -> str:
    """How long a pending upload has been in its stage: `43m`; `>43m` if that is the least age; `?` if it is not known.

    That of an upload that is gone ends with its last reading. At most seven characters: `>18h 01m` becomes `>18h`.
    """
    known = age_of(row)
    if known is None:
        return "?"
    age = least_age_text(known.since, now, known.read_on, is_least=known.is_least_since)
    return age if len(age) <= AGE_CELLS else age.split()[0]


def stuck_badge(row: Row, now: datetime) -> str:
    """` STUCK 43m `: how long the upload has been in its stage, without the age if it is not known."""
    return " STUCK " if row.stage_since is None else f" STUCK {pending_age_text(row, now)} "


def bytes_per_second(row: Row) -> float | None:
    """How fast the chunks of an initiated upload arrived so far; None if it is not known."""
    if row.stage is not Stage.INITIATED or not row.chunk_bytes or row.initiated_on is None:
        return None
    if row.since_certainty is Certainty.OBSERVED:  # the chunks have been arriving for longer
        return None
    seconds = (row.read_on - row.initiated_on).total_seconds()
    return row.chunk_bytes / seconds if seconds >= 1 else None


def _is_stalled(row: Row) -> bool:
    """Whether no chunk has arrived for long; False if it is not known when they arrive.

    A service that reports no change since the initiation does not report that of its chunks.
    """
    if row.active_on is None or row.initiated_on is None or row.active_on <= row.initiated_on:
        return False
    usual_seconds = (row.active_on - row.initiated_on).total_seconds() / (row.chunk_count or 1)
    idle_seconds = (row.read_on - row.active_on).total_seconds()
    return idle_seconds > max(_MIN_STALLED_SECONDS, _STALLED_INTERVALS * usual_seconds)


def time_left_text(row: Row) -> str:
    """How long the rest of the chunks takes at this speed: `3m left`; empty if it is late, gone, not current or not known.

    So it is of an upload of which no chunk has arrived for long: its speed falls, and the time left would grow with its age.

    A time of more than a month says only that the speed was measured too early.
    """
    speed = bytes_per_second(row)
    is_late = row.lateness.is_stuck or row.lateness.is_overdue or row.acknowledged_trouble is not None
    is_over = is_late or row.is_stale or row.is_gone or _is_stalled(row)
    if speed is None or row.size_bytes is None or is_over or not row.is_current:
        return ""
    seconds = (row.size_bytes - (row.chunk_bytes or 0)) / speed
    if not 0 < seconds < _MAX_SECONDS_LEFT:
        return ""
    return f"{f'{seconds / 60:.0f}m' if 60 <= seconds < 3570 else age_text(max(seconds, 1))} left"


def anomaly_reasons(row: Row) -> Sequence[str]:
    """The most serious anomaly in words, the longest text first; empty if there is none, or if it is not known."""
    if row.anomaly is None:
        return ()
    if row.anomaly.name is AnomalyName.RECEIVED_TOO_MUCH and row.size_bytes:
        percent = percent_text(row.chunk_bytes or 0, row.size_bytes)
        return f"{percent} received, more than its size", f"{percent} received"
    if row.anomaly.name is AnomalyName.CHUNK_SIZES_DIFFER and not (row.chunk_bytes is None or row.size_bytes is None):
        return received_text(row.chunk_bytes, row.size_bytes), "chunks do not match"
    return [*anomaly_texts(row.anomaly)]


def anomaly_lines(detail: Detail, glyphs: Glyphs, width: int) -> Iterator[Content]:
    """A line per anomaly, below an empty one."""
    if detail.anomalies:
        yield Content("")
    for anomaly in detail.anomalies:
        name = anomaly.name.replace("_", " ")
        text = Content.assemble((f"{name}: ", "$stage-error bold"), (sanitize(anomaly.detail), ""))
        yield from hanging_lines(Content.styled(f"{glyphs.warning} ", "$stage-error bold"), text, width)


def _verification_reasons(row: Row) -> Sequence[str]:
    """Why a completed upload is pending, after what is wrong with its chunks: it will fail then."""
    if row.lateness.waits_for is WaitsFor.WORKER:
        reasons = ["no worker has picked it up", "no worker"]
    else:
        reasons = (
            ["verifying"]
            if Origin.of(row.service).has(Ability.VERIFICATION)
            else ["waiting for the next stage", "waiting"]
        )
    if row.anomaly is None or not is_unsafe(row.anomaly):
        return reasons
    wrong = anomaly_reasons(row)
    return [*(f"{wrong[0]}, {reason}" for reason in reasons), *wrong]


def pending_reasons(row: Row) -> Sequence[str]:
    """Why an upload is pending: the same reason in several lengths, the longest first."""
    if row.stage is Stage.COMPLETED:
        return _verification_reasons(row)
    if row.chunk_count is None and not row.chunk_bytes:
        return ["waiting for client", "waiting"]
    received = row.chunk_bytes or 0
    if row.size_bytes and received > row.size_bytes:
        percent = percent_text(received, row.size_bytes)
        return [f"{percent} received, more than its size", f"{percent} received"]
    if row.size_bytes is not None and received >= row.size_bytes:
        if row.lateness.is_stuck or row.lateness.is_overdue:
            return ["all chunks received, client never completed it", "client never completed it", "never completed"]
        return ["100% received, waiting for client", "100% received"]
    if not received:
        return [f"{plural(row.chunk_count, 'chunk')} received" if row.chunk_count else "no chunks received"]
    return [
        f"{percent_text(received, row.size_bytes)} received" if row.size_bytes else f"{size_text(received)} received"
    ]


def pending_details(row: Row, now: datetime) -> Iterator[str]:
    """Time left of an upload; typical duration, time left and queue of a verification. The most important first."""
    lateness = row.lateness
    if row.stage is not Stage.COMPLETED:
        if left := time_left_text(row):
            yield left
        return
    if lateness.p50_seconds is not None:
        yield f"typically {duration_text(lateness.p50_seconds)}"
    if row.is_current and not lateness.is_overdue and lateness.expected_on is not None:
        seconds_left = (lateness.expected_on - now).total_seconds()
        if seconds_left >= 1:
            yield f"about {age_text(seconds_left)} left"
    if lateness.queue_depth is not None:
        yield f"{lateness.queue_depth:,} in queue"


def acknowledged_texts(wrong: Sequence[str], note: str) -> Iterator[str]:
    """Yield what is wrong and that it is acknowledged, with the note if there is one, the longest first; then what is wrong alone."""
    for text in wrong:
        if note:
            yield f"{text}, acknowledged: {sanitize(note)}"
        yield f"{text}, acknowledged"
    yield from wrong
