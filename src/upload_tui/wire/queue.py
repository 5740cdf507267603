"""Reading what the service says of its verification queue: an endpoint for operators, which not every service has."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from upload_tui.wire.times import read_time

__all__ = ["QueueStats", "read_queue"]


class QueueStats(Struct, frozen=True):
    """The queue as one answer describes it; None where it does not say.

    Attributes:
        depth: uploads that wait for their verification to begin or to be tried again.
        oldest_on: since when the one waits that waits longest; None as well if none does.
        running: uploads that are being verified.
        retried, dead: uploads whose verification is to be tried again, and those that were given up.
        read_on: when it was read, by the reader's clock.
    """

    depth: int | None
    oldest_on: datetime | None
    running: int | None
    retried: int | None
    dead: int | None
    read_on: datetime


def read_queue(body: Any, *, read_on: datetime) -> QueueStats | None:
    """What an answer says; None if it is about something else. Never raises."""
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
