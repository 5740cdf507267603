"""Why an upload is pending, in words: for the table and the list of pending uploads."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from upload_tui.monitor import Row
from upload_tui.status import Stage
from upload_tui.text import age_text, duration_text, size_text

__all__ = ["pending_details", "pending_reasons", "stuck_badge"]

_QUEUE_DEPTH = re.compile(r"([\d,]+) in queue")


def stuck_badge(row: Row, now: datetime) -> str:
    """` STUCK 43m `: how long the upload has been in its stage, without the age if it is not known."""
    if row.stage_since is None:
        return " STUCK "
    return f" STUCK {age_text((now - row.stage_since).total_seconds())} "


def pending_reasons(row: Row) -> Sequence[str]:
    """Why an upload is pending: the same reason in several lengths, the longest first."""
    if row.stage is Stage.COMPLETED:
        has_no_worker = "no worker" in row.lateness.waits_for
        return ["no worker has picked it up", "no worker"] if has_no_worker else ["verifying"]
    if row.chunk_count is None:
        return ["waiting for client"]
    received = row.chunk_bytes or 0
    if row.size_bytes is not None and received >= row.size_bytes:
        if row.lateness.is_stuck or row.lateness.is_overdue:
            return ["all chunks received, client never completed it", "client never completed it"]
        return ["100% received, waiting for client", "100% received"]
    if not received:
        return ["no chunks received"]
    return [f"{received * 100 // row.size_bytes}% received" if row.size_bytes else f"{size_text(received)} received"]


def pending_details(row: Row, now: datetime) -> Iterator[str]:
    """Typical duration, time left and queue of a verification, the most important first."""
    lateness = row.lateness
    if row.stage is not Stage.COMPLETED:
        return
    if lateness.p50_seconds is not None:
        yield f"typically {duration_text(lateness.p50_seconds)}"
    if not lateness.is_overdue and lateness.expected_on is not None:
        seconds_left = (lateness.expected_on - now).total_seconds()
        if seconds_left >= 1:
            yield f"about {age_text(seconds_left)} left"
    if queue := _QUEUE_DEPTH.search(lateness.waits_for):
        yield f"{queue[1]} in queue"
