"""Waits for single uploads: the rounds of a waiter, and what has become of an upload."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from upload_tui.cli.access.outages import Retries
from upload_tui.cli.support.output import echo_message

if TYPE_CHECKING:
    from upload_tui.monitor import Change, Detail, Picture, Schedule, Waiter

__all__ = ["ended_detail", "missed_ids", "rounds"]


async def rounds(
    waiter: "Waiter", schedule: "Schedule", changes: "Sequence[Change]" = ()
) -> AsyncIterator[Sequence[str]]:
    """Poll until no upload is pending; after each round yield the uploads that have ended. Report what is retried.

    Args:
        waiter: waits for the uploads.
        schedule: the interval between rounds; short after one in which an upload has ended or something has changed.
        changes: what has changed; the caller empties it after each round.
    """
    seconds, retries = schedule.shortest_seconds, Retries()
    while waiter.pending:
        ended = await waiter.poll()
        has_changed = bool(ended or changes)
        yield ended
        retries.report(waiter.last_error)
        if waiter.pending:
            seconds = schedule.next_seconds(seconds, has_changed=has_changed, has_pending=True)
            await asyncio.sleep(schedule.with_jitter(seconds))


def missed_ids(waiter: "Waiter") -> Sequence[str]:
    """The uploads that have ended without reaching the goal."""
    from upload_tui.monitor import Outcome

    return [upload_id for upload_id, outcome in waiter.outcomes.items() if outcome is Outcome.MISSED]


def ended_detail(waiter: "Waiter", picture: "Picture", upload_id: str) -> "Detail | None":
    """An upload whose wait is over; None, after a report, if it does not exist or cannot be read."""
    from upload_tui.monitor import Outcome

    outcome, detail = waiter.outcomes[upload_id], picture.detail(waiter.known_id(upload_id))
    if outcome is Outcome.UNREADABLE:
        problem = f"{upload_id!a} cannot be read: {waiter.reason(upload_id)}"
    elif outcome is Outcome.GONE and detail is not None:
        problem = f"{upload_id!a} is no longer listed"
    elif detail is None:
        problem = f"no such upload: {upload_id!a}"
    else:
        return detail
    echo_message(f"{problem}.")
    return None
