"""The verification queue, as an endpoint for operators reports it. Not every service has that endpoint."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from upload_tui.wire.times import read_time

__all__ = ["QueueStats", "read_queue"]


class QueueStats(Struct, frozen=True):
    """The queue as of one response; None means not reported.

    Attributes:
        depth: uploads that wait for verification or for a retry of it.
        oldest_on: when the oldest of them was queued; None also if the queue is empty.
        running: uploads in verification.
        retried: uploads whose verification will be retried.
        dead: uploads whose verification was given up.
        read_on: when the response was read, by the reader's clock.
    """

    depth: int | None
    oldest_on: datetime | None
    running: int | None
    retried: int | None
    dead: int | None
    read_on: datetime


def read_queue(body: Any, *, read_on: datetime) -> QueueStats | None:
    """Parse the response of the queue endpoint; None if it is something else. Never raises."""
    if not isinstance(body, Mapping) or _count(body, "depth") is None:
        return None
    return QueueStats(
        depth=_count(body, "depth"),
        oldest_on=read_time(body.get("oldest")),
        running=_count(body, "running"),
        retried=_count(body, "retried"),
        dead=_count(body, "dead"),
        read_on=read_on,
    )


def _count(body: Mapping[str, Any], key: str) -> int | None:
    value = body.get(key)
    return value if type(value) is int and value >= 0 else None
