"""Uploads as a service would send them, from a few words: what they are, and how long ago things happened to them."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from upload_tui.status import Event, Stage, Timeline
from upload_tui.wire.designs import Design
from upload_tui.wire.status_shapes import write_status
from upload_tui.wire.times import format_time

__all__ = ["NOW", "an_upload"]

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
"""The present of every scene that does not say otherwise."""

_IDS = UUID("5f6a3f0c-9d0a-4f6e-8a51-6f0f4b1c7d21")


def an_upload(  # noqa: PLR0913  # all of it by keyword, none of it needed
    name: str = "reads.fastq.gz",
    *,
    initiated: float = 120,
    completed: float | None = None,
    verified: float | None = None,
    error: float | None = None,
    message: str | None = None,
    purged: float | None = None,
    size_bytes: int = 4_000_000,
    chunks: Sequence[int] | None = (1, 2, 3, 4),
    design: Design = Design.A,
    project: tuple[str, str] = ("p-1", "Genome"),
    now: datetime = NOW,
    **fields: Any,
) -> dict[str, Any]:
    """An upload resource.

    Args:
        name: its name; the id follows from it.
        initiated: seconds before `now`, as are the next four.
        completed: None if it never was.
        verified: None if it never was.
        error: None if there is none.
        message: the error's.
        purged: None if it never was; only the deployed shape can say it.
        size_bytes: the size promised.
        chunks: the numbers reported; each a fourth of the size unless there are fewer. None for an upload that is not chunked.
        design: the shape of the status.
        project: id and name.
        now: the present that the seconds count from.
        fields: whatever is to be different in the resource.

    >>> an_upload("scan.tiff", initiated=60, completed=30)["status"]["completed_on"]
    '2026-03-14T09:26:23.000Z'
    """
    ago = {Stage.INITIATED: initiated, Stage.COMPLETED: completed, Stage.VERIFIED: verified, Stage.ERROR: error}
    timeline = _timeline(
        {stage: seconds for stage, seconds in ago.items() if seconds is not None}, message, purged, now
    )
    changed_on = max((event.on for event in timeline if event.on), default=now)
    resource: dict[str, Any] = {
        "id": str(uuid5(_IDS, name)),
        "project": {"id": project[0], "name": project[1]},
        "name": name,
        "content_type": "application/octet-stream",
        "size": size_bytes,
        "storage_provider": {"id": "s-1", "name": "embedded", "description": "Embedded storage"},
        "hashes": [] if completed is None else [{"algorithm": "md5", "value": _md5(name)}],
        "chunks": None if chunks is None else [_chunk(number, size_bytes // 4) for number in reversed(chunks)],
        "status": write_status(timeline, design),
        "audit": _audit(now - timedelta(seconds=initiated), changed_on),
    }
    return {**resource, **fields}


def _timeline(ago_seconds: Mapping[Stage, float], message: str | None, purged: float | None, now: datetime) -> Timeline:
    events = tuple(
        Event(stage, now - timedelta(seconds=seconds), message=message if stage is Stage.ERROR else None)
        for stage, seconds in ago_seconds.items()
    )
    purged_on = None if purged is None else now - timedelta(seconds=purged)
    return Timeline(events, purged_on=purged_on, ready_for_chunks=True)


def _audit(created_on: datetime, changed_on: datetime) -> dict[str, Any]:
    user = {"id": str(uuid5(_IDS, "user")), "username": "ada", "full_name": "Ada Lovelace"}
    return {
        "created_on": format_time(created_on),
        "created_by": user,
        "last_updated_on": format_time(changed_on),
        "last_updated_by": user,
    }


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _chunk(number: int, size_bytes: int) -> dict[str, Any]:
    return {"number": number, "size": size_bytes, "hash": {"value": _md5(str(number)), "algorithm": "md5"}}
