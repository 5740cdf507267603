"""A clock that stands still until a test advances it, and uploads as a service sends them, from a few keywords."""

import asyncio
import hashlib
import heapq
from collections.abc import Awaitable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar
from uuid import UUID, uuid5

from upload_tui.status import Event, Stage, Timeline
from upload_tui.wire import CHUNK_HASH_DIFFERS, StatusShape, format_time, write_status

__all__ = ["FrozenClock", "NOW", "a_chunk", "a_timeline", "an_upload", "sample_uploads"]

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
"""The time at which a `FrozenClock` starts by default."""


Result = TypeVar("Result")


class FrozenClock:
    """Implements `upload_tui.clock.Clock`; `sleep` returns when a test has advanced the clock far enough.

    >>> clock = FrozenClock()
    >>> clock.advance(90)
    >>> clock.now().isoformat()
    '2026-03-14T09:28:23+00:00'
    """

    def __init__(self, now: datetime = NOW) -> None:
        self._started_on = now
        self._elapsed_seconds = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> datetime:
        """The current time, aware and in UTC."""
        return self._started_on + timedelta(seconds=self._elapsed_seconds)

    def monotonic(self) -> float:
        """Seconds since the clock was created."""
        return self._elapsed_seconds

    async def sleep(self, seconds: float) -> None:
        """Return once the clock has advanced by this many seconds; for zero or less, after other tasks had a turn."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed_seconds + seconds, next(self._order), woken))
        await woken

    def advance(self, seconds: float) -> None:
        """Move the clock forward and wake the sleepers that are due, in order.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError("a clock cannot run backwards")
        self._elapsed_seconds += seconds
        while self._sleepers and self._sleepers[0][0] <= self._elapsed_seconds:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)

    async def advance_until_done(self, work: Awaitable[Result]) -> Result:
        """Await work that sleeps on this clock, advancing the clock by as much as it sleeps; nothing else may sleep on it meanwhile.

        >>> clock = FrozenClock()
        >>> asyncio.run(clock.advance_until_done(clock.sleep(3600)))
        >>> clock.monotonic()
        3600.0
        """
        task = asyncio.ensure_future(work)
        while not task.done():
            await asyncio.wait({task}, timeout=0)
            if self._sleepers and not task.done():
                self.advance(max(0.0, self._sleepers[0][0] - self._elapsed_seconds))
        return await task


_ID_NAMESPACE = UUID("5f6a3f0c-9d0a-4f6e-8a51-6f0f4b1c7d21")


def an_upload(  # noqa: PLR0913  # all keyword-only, all optional
    name: str = "reads.fastq.gz",
    *,
    initiated: float = 120,
    completed: float | None = None,
    verified: float | None = None,
    error: float | None = None,
    message: str | None = None,
    purged: float | None = None,
    size_bytes: int = 4_000_000,
    chunks: Sequence[int | Mapping[str, Any]] | None = (1, 2, 3, 4),
    status_shape: StatusShape = StatusShape.A,
    project: tuple[str, str] = ("p-1", "Genome"),
    now: datetime = NOW,
    **fields: Any,
) -> dict[str, Any]:
    """An upload resource.

    Args:
        name: the upload's name; its id is derived from it.
        initiated: when it was initiated, in seconds before `now`; the same for the next four.
        completed: None if it was not.
        verified: None if it was not.
        error: None if it did not fail.
        message: the error message.
        purged: None if it was not; only the deployed status shape has it.
        size_bytes: the declared size.
        chunks: numbers of the reported chunks (each a quarter of the size), or results of `a_chunk`. None if it is not chunked.
        status_shape: the shape of its `status`.
        project: id and name.
        now: the time that the seconds count back from.
        fields: fields of the resource to add or replace.

    >>> an_upload("scan.tiff", initiated=60, completed=30)["status"]["completed_on"]
    '2026-03-14T09:26:23.000Z'
    """
    timeline = a_timeline(
        initiated=initiated,
        completed=completed,
        verified=verified,
        error=error,
        message=message,
        purged=purged,
        now=now,
    )
    changed_on = max((event.on for event in timeline if event.on), default=now)
    resource: dict[str, Any] = {
        "id": str(uuid5(_ID_NAMESPACE, name)),
        "project": {"id": project[0], "name": project[1]},
        "name": name,
        "content_type": "application/octet-stream",
        "size": size_bytes,
        "storage_provider": {"id": "s-1", "name": "embedded", "description": "Embedded storage"},
        "hashes": [] if completed is None else [{"algorithm": "md5", "value": _md5(name)}],
        "chunks": None if chunks is None else [_as_chunk(chunk, size_bytes // 4) for chunk in reversed(chunks)],
        "status": write_status(timeline, status_shape),
        "audit": _audit(now - timedelta(seconds=initiated), changed_on),
    }
    return {**resource, **fields}


def a_chunk(number: int = 1, size_bytes: int = 1_000_000, digest: str | None = None) -> dict[str, Any]:
    """A chunk of an upload resource.

    Args:
        number: from 1.
        size_bytes: the size that the client reported.
        digest: the MD5 that the client reported; None derives one from the number.

    >>> upload = an_upload("scan.tiff", chunks=[a_chunk(1, 600), a_chunk(2, 400)], size_bytes=1000)
    >>> [(chunk["number"], chunk["size"]) for chunk in upload["chunks"]]
    [(2, 400), (1, 600)]
    """
    value = digest or _md5(str(number))
    return {"number": number, "size": size_bytes, "hash": {"value": value, "algorithm": "md5"}}


def a_timeline(
    *,
    initiated: float | None = 120,
    completed: float | None = None,
    verified: float | None = None,
    error: float | None = None,
    message: str | None = None,
    purged: float | None = None,
    now: datetime = NOW,
) -> Timeline:
    """A timeline; each stage is given in seconds before `now`, None if it was not reached.

    >>> timeline = a_timeline(initiated=60, completed=30)
    >>> timeline.stage.value, timeline.time_in_stage(NOW).total_seconds()
    ('completed', 30.0)
    """
    ago = {Stage.INITIATED: initiated, Stage.COMPLETED: completed, Stage.VERIFIED: verified, Stage.ERROR: error}
    events = tuple(
        Event(stage, now - timedelta(seconds=seconds), message=message if stage is Stage.ERROR else None)
        for stage, seconds in ago.items()
        if seconds is not None
    )
    purged_on = None if purged is None else now - timedelta(seconds=purged)
    return Timeline(events, purged_on=purged_on, ready_for_chunks=True)


def sample_uploads(*first: Mapping[str, Any], message: str = CHUNK_HASH_DIFFERS) -> list[Mapping[str, Any]]:
    """Sixteen upload resources: each stage, a stuck one, and finished ones of similar sizes, from which baselines follow.

    Args:
        first: resources to put before them.
        message: the error message of the failed one.

    >>> [upload["name"] for upload in sample_uploads(an_upload("mine.csv"))][:3]
    ['mine.csv', 'brain_062_T1.nii.gz', 'aligned_S217.bam']
    """
    finished = [
        an_upload(
            f"scan-{number:04d}.tiff",
            initiated=400 + 300 * number,
            completed=350 + 300 * number,
            verified=338 - number % 5 + 300 * number,
            size_bytes=400_000_000,
        )
        for number in range(1, 13)
    ]
    others = [
        an_upload("brain_062_T1.nii.gz", initiated=200, chunks=(1, 2), size_bytes=734_003_200),
        an_upload("aligned_S217.bam", initiated=180, completed=8, size_bytes=1_900_000_000),
        an_upload(
            "plate-12-well-3.czi", initiated=900, completed=840, error=832, message=message, size_bytes=52_428_800
        ),
        an_upload("simulation-00044.h5", initiated=4000, completed=3700, size_bytes=9_663_676_416),
    ]
    return [*first, *others, *finished]


def _as_chunk(chunk: int | Mapping[str, Any], size_bytes: int) -> Mapping[str, Any]:
    return a_chunk(chunk, size_bytes) if isinstance(chunk, int) else chunk


def _audit(created_on: datetime, changed_on: datetime) -> dict[str, Any]:
    user = {"id": str(uuid5(_ID_NAMESPACE, "user")), "username": "ada", "full_name": "Ada Lovelace"}
    return {
        "created_on": format_time(created_on),
        "created_by": user,
        "last_updated_on": format_time(changed_on),
        "last_updated_by": user,
    }


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
