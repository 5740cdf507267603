"""Why an upload is pending, in words: for the table and the list of pending uploads."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from upload_tui.monitor import Row, WaitsFor
from upload_tui.status import Stage
from upload_tui.text import age_text, duration_text, size_text

__all__ = ["bytes_per_second", "pending_details", "pending_reasons", "stuck_badge", "time_left_text"]


def stuck_badge(row: Row, now: datetime) -> str:
    """` STUCK 43m `: how long the upload has been in its stage, without the age if it is not known."""
    if row.stage_since is None:
        return " STUCK "
    return f" STUCK {age_text((now - row.stage_since).total_seconds())} "


def bytes_per_second(row: Row) -> float | None:
    """How fast the chunks of an initiated upload arrived so far; None if it is not known."""
    if row.stage is not Stage.INITIATED or not row.chunk_bytes or row.initiated_on is None:
        return None
    seconds = (row.read_on - row.initiated_on).total_seconds()
    return row.chunk_bytes / seconds if seconds >= 1 else None


def time_left_text(row: Row) -> str:
    """How long the rest of the chunks takes at this speed: `42s left`, `3m left`; empty if it is late, stale or not known."""
    speed = bytes_per_second(row)
    is_late = row.lateness.is_stuck or row.lateness.is_overdue
    if speed is None or row.size_bytes is None or is_late or row.is_stale:
        return ""
    seconds = (row.size_bytes - (row.chunk_bytes or 0)) / speed
    if seconds <= 0:
        return ""
    return f"{f'{seconds / 60:.0f}m' if 60 <= seconds < 3570 else age_text(max(seconds, 1))} left"


def pending_reasons(row: Row) -> Sequence[str]:
    """Why an upload is pending: the same reason in several lengths, the longest first."""
    if row.stage is Stage.COMPLETED:
        has_no_worker = row.lateness.waits_for is WaitsFor.WORKER
        return ["no worker has picked it up", "no worker"] if has_no_worker else ["verifying"]
    if row.chunk_count is None:
        return ["waiting for client"]
    received = row.chunk_bytes or 0
    if row.size_bytes is not None and received >= row.size_bytes:
        if row.lateness.is_stuck or row.lateness.is_overdue:
            return ["all chunks received, client never completed it", "client never completed it", "never completed"]
        return ["100% received, waiting for client", "100% received"]
    if not received:
        return ["no chunks received"]
    return [f"{received * 100 // row.size_bytes}% received" if row.size_bytes else f"{size_text(received)} received"]


def pending_details(row: Row, now: datetime) -> Iterator[str]:
    """Time left of an upload; typical duration, time left and queue of a verification. The most important first."""
    lateness = row.lateness
    if row.stage is not Stage.COMPLETED:
        if left := time_left_text(row):
            yield left
        return
    if lateness.p50_seconds is not None:
        yield f"typically {duration_text(lateness.p50_seconds)}"
    if not lateness.is_overdue and lateness.expected_on is not None:
        seconds_left = (lateness.expected_on - now).total_seconds()
        if seconds_left >= 1:
            yield f"about {age_text(seconds_left)} left"
    if lateness.queue_depth is not None:
        yield f"{lateness.queue_depth:,} in queue"
