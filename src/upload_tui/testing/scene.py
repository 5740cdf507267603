"""Scenes: a scenario in a few lines (what happens at which second), played in virtual time.

A scene is played with the real service, the real monitor and a client that sends real bytes, before the dashboard paints its first
frame. So nothing runs while a picture is taken, and a scenario of hours takes milliseconds. For states that a service cannot reach
on purpose (hostile names, contradictions), use `InMemorySession`.
"""

import asyncio
import heapq
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from itertools import count
from json import JSONDecodeError
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
from msgspec import Struct, field

from upload_tui.backend import RETRY_SECONDS, FaultName, FinishedUpload
from upload_tui.errors import UsageError
from upload_tui.monitor import Query, Row, SortKey
from upload_tui.status import Stage
from upload_tui.testing.clock import NOW, FrozenClock
from upload_tui.testing.service import UploadService, md5, parse_fault_name, split_content
from upload_tui.testing.sessions import ManualSession, replay_of

if TYPE_CHECKING:
    from upload_tui.tui import UploadApp

__all__ = ["Scene"]

_CLIENT_RETRY_SECONDS = 2.0
_CHUNK_SECONDS = 2.0
_RETRIED_STATUSES = frozenset({401, 403, 429, 500, 503})
_KILOBYTE = 1024
SMALL_BYTES = 64 * _KILOBYTE
"""The size of an upload, unless another is given, and the most that one of a recording is sent with."""
_MAX_CHUNKS = 100


class Scene:
    """A scenario. Each method adds a step at a second (`at`, from 0) and returns the scene, so that calls can be chained.

    Args:
        status_shape: the shape of `status` in the service's responses: `a`, `b` or `deployed`.
        title: shown in the header.
        stuck_after_seconds: the age from which a pending upload is stuck.

    >>> from upload_tui.testing import Scene
    >>> scene = (
    ...     Scene()
    ...     .upload("reads_R1.fastq.gz", at=0, completes=10)
    ...     .stop_worker(at=30)
    ...     .upload("reads_R2.fastq.gz", at=40, completes=60)
    ...     .until(60 + 41 * 60)
    ... )
    >>> session = scene.play_sync()
    >>> [(row.name, row.lateness.is_stuck) for row in session.picture.pending(10)]
    [('reads_R2.fastq.gz', True)]
    >>> session.close()

    `scene.dashboard()` is a dashboard over it, for `snap_compare` or `run_test`.
    """

    def __init__(
        self, *, status_shape: str = "a", title: str = "example.org", stuck_after_seconds: float | None = None
    ) -> None:
        self._status_shape = status_shape
        self._options: dict[str, Any] = {"title": title}
        if stuck_after_seconds is not None:
            self._options["stuck_after_seconds"] = stuck_after_seconds
        self._beginning = _Beginning()
        self._steps: list[tuple[float, _Step]] = []
        self._opens_at = 0.0
        self._last_step_at = 0.0
        self._ends_at: float | None = None

    @classmethod
    def from_recording(cls, file: Path | str, *, until: float | None = None, **options: Any) -> Self:
        """A scene that continues a recording of `upload-tui record`; second 0 is the end of the recording.

        Uploads that have ended are known to the service. Pending ones are sent again, each with `SMALL_BYTES` at most; those that
        are completed are verified soon, unless the worker is stopped. All are in one project.

        Args:
            file: the recording; one made with `--mask names` can be used too.
            until: the position of second 0, in seconds after the recording's start; None for its end.
            options: those of a scene.

        Raises:
            StorageError: the file cannot be read or is not a recording.
        """
        replay = replay_of(file, until=until)
        try:
            rows = replay.picture.window(Query(sort=SortKey.INITIATED), 0, sys.maxsize).rows
            known = [row for row in rows if row.initiated_on is not None and not row.is_gone and not row.unknown_state]
            scene = cls(**options)
            scene._begin_with(known, replay.picture.clock.now())  # of this class
        finally:
            replay.close()
        return scene

    def _begin_with(self, rows: Sequence[Row], now: datetime) -> None:
        pending = [row for row in rows if not row.stage.is_final]
        self._beginning = _Beginning(
            now,
            max((_seconds_before(now, row.initiated_on) for row in pending), default=0.0),
            tuple(_finished_upload(row) for row in rows if row.stage.is_final),
        )
        for row in pending:
            completes = None if row.completed_on is None else -_seconds_before(now, row.completed_on)
            total = max(1, row.chunk_count or 0) if completes is not None else 2 * (row.chunk_count or 0) + 1
            self.upload(
                row.name,
                at=-_seconds_before(now, row.initiated_on),
                completes=completes,
                chunks=min(total, _MAX_CHUNKS),
                chunks_sent=None if completes is not None else min(row.chunk_count or 0, _MAX_CHUNKS),
                size_bytes=min(row.size_bytes or 0, SMALL_BYTES),
                verification_seconds=2.0 - (completes or 0.0),
            )

    def upload(
        self,
        name: str,
        *,
        at: float = 0.0,
        completes: float | None = None,
        chunks: int = 4,
        chunks_sent: int | None = None,
        size_bytes: int = SMALL_BYTES,
        verification_seconds: float = 2.0,
        digest: str | None = None,
    ) -> Self:
        """Upload a file, its chunks evenly distributed over the time until it completes.

        Args:
            name: the file's name.
            at: the second at which it is initiated.
            completes: the second at which the client completes it; None if it never does.
            chunks: the number of chunks.
            chunks_sent: how many of them are sent; None sends all, or half of them if the client never completes.
            size_bytes: the file's size; its bytes are generated, sent and hashed.
            verification_seconds: how long verification takes if the worker is not busy.
            digest: the MD5 that the client reports; None reports the right one.
        """
        content = split_content(_content_for(name, size_bytes), chunks)
        usually_sent = len(content) if completes is not None else len(content) // 2
        chunks_sent = usually_sent if chunks_sent is None else min(chunks_sent, len(content))
        pace = _CHUNK_SECONDS if completes is None else (completes - at) / (chunks_sent + 1)
        requests = chunks_sent + (1 if completes is None else 2)
        request_at = tuple(at + pace * number for number in range(requests))
        plan = _UploadPlan(name, content, request_at, chunks_sent, verification_seconds, digest)
        self._last_step_at = max(self._last_step_at, request_at[-1])
        return self._add(at, lambda player: player.send_next(_Transfer(plan)))

    def stop_worker(self, *, at: float = 0.0) -> Self:
        """Stop the verification worker: completed uploads wait."""
        return self._add(at, lambda player: player.set_worker(is_stopped=True))

    def start_worker(self, *, at: float) -> Self:
        """Start the worker again; it first verifies what has waited."""
        return self._add(at, lambda player: player.set_worker(is_stopped=False))

    def fault(self, name: str, *, at: float = 0.0, seconds: float | None = None) -> Self:
        """Start a fault (one of `UploadService.fault_names`) for this many seconds; None for its default duration.

        Raises:
            UsageError: there is no fault of this name.
        """
        fault = parse_fault_name(name)

        async def start(player: _Player) -> None:
            player.service.start_fault(fault, seconds)

        return self._add(at, start)

    def poll(self, *, at: float) -> Self:
        """Poll the service once more; it is also polled after each step except a chunk."""
        return self._add(at, _do_nothing)

    def opens(self, *, at: float) -> Self:
        """Open the dashboard at this second; changes before it are not published."""
        self._opens_at = at
        return self

    def until(self, second: float) -> Self:
        """End the scene at this second; the default is its last step."""
        self._ends_at = second
        return self

    def _add(self, at: float, step: "_Step") -> Self:
        self._steps.append((at, step))
        self._last_step_at = max(self._last_step_at, at)
        return self

    async def play(self) -> ManualSession:
        """Play the scene and return a session that shows its end; the caller closes it."""
        beginning = self._beginning
        clock = FrozenClock(beginning.now - timedelta(seconds=beginning.lead_seconds))
        async with UploadService(clock=clock, status_shape=self._status_shape) as service:
            service.embedded.import_uploads([one._replace(project_id=service.project_id) for one in beginning.finished])
            session = ManualSession(service, **self._options)
            player = _Player(service, session, self._opens_at, beginning.lead_seconds)
            for at, step in [(self._opens_at, _do_nothing), *self._steps]:
                player.schedule(at, step)
            await player.run(self._last_step_at if self._ends_at is None else self._ends_at)
            session.freeze()
        return session

    def play_sync(self) -> ManualSession:
        """Play the scene without a running event loop.

        Raises:
            UsageError: an event loop is running; await `play` there.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self.play())
        raise UsageError(
            "A scene cannot be played inside a running event loop",
            "Await its play() there and pass the session to dashboard().",
        )

    def dashboard(self, **options: Any) -> "UploadApp":
        """Play the scene and return a dashboard over it; `options` are those of `upload_tui.testing.dashboard`."""
        from upload_tui.testing.dashboards import dashboard

        return dashboard(self, **options)


class _Beginning(Struct, frozen=True):
    """What a scene goes on from: second 0, the seconds before it that pending uploads need, and the uploads that have ended."""

    now: datetime = NOW
    lead_seconds: float = 0.0
    finished: Sequence[FinishedUpload] = ()


def _seconds_before(now: datetime, on: datetime | None) -> float:
    return 0.0 if on is None else max(0.0, (now - on).total_seconds())


def _finished_upload(row: Row) -> FinishedUpload:
    """The record of an upload that has ended; its times are as well as they are known."""
    initiated, completed, ended = row.initiated_on, row.completed_on or row.initiated_on, row.ended_on or row.read_on
    initiated_ms, completed_ms, ended_ms = (
        round((on or ended).timestamp() * 1000) for on in (initiated, completed, ended)
    )
    is_failed = row.stage is Stage.ERROR
    return FinishedUpload(
        id=row.id,
        project_id="",
        name=row.name,
        content_type=row.content_type,
        size_bytes=row.size_bytes or 0,
        initiated_ms=initiated_ms,
        completed_ms=completed_ms,
        verified_ms=None if is_failed else ended_ms,
        error_ms=ended_ms if is_failed else None,
        error_message=row.error_message if is_failed else None,
        md5=md5(row.id.encode()),
    )


class _UploadPlan(Struct, frozen=True):
    """What a client will do.

    Attributes:
        request_at: the seconds of its requests: initiate, each chunk that is sent, and complete if it does.
        chunks_sent: how many of the chunks are sent.
    """

    name: str
    chunks: Sequence[bytes]
    request_at: tuple[float, ...]
    chunks_sent: int
    verification_seconds: float
    digest: str | None


class _Transfer(Struct):
    """The progress of an upload: how many requests succeeded, and its id, empty before it is initiated."""

    plan: _UploadPlan
    requests_done: int = 0
    upload_id: str = ""


_Step = Callable[["_Player"], Awaitable[None]]


class _Player(Struct):
    """One run of a scene: the steps to come, by second, and the state of the worker."""

    service: UploadService
    session: ManualSession
    opens_at: float
    lead_seconds: float = 0.0
    is_worker_stopped: bool = False
    unverified_count: int = 0
    _is_poll_due: bool = True
    _queue: "list[tuple[float, int, _Step]]" = field(default_factory=list)
    _order: "count[int]" = field(default_factory=count)

    def schedule(self, second: float, step: _Step) -> None:
        heapq.heappush(self._queue, (second, next(self._order), step))

    async def run(self, ends_at: float) -> None:
        """Run all steps until this second."""
        while self._queue and self._queue[0][0] <= ends_at:
            second, _, step = heapq.heappop(self._queue)
            self._move_to(second)
            self._is_poll_due = True
            await self.service.clock.advance_until_done(step(self))
            if self._is_poll_due:
                await self._poll()
        self._move_to(ends_at)
        await self._poll()

    def _move_to(self, second: float) -> None:
        self.service.clock.advance(max(0.0, second - self.now()))

    def now(self) -> float:
        """The second of the scene."""
        return self.service.clock.monotonic() - self.lead_seconds

    async def _poll(self) -> None:
        if self.now() >= self.opens_at:
            await self.service.clock.advance_until_done(self.session.poll())

    # Steps

    async def send_next(self, transfer: _Transfer) -> None:
        """Send a client's next request; one that the service rejects for now is sent again later, as clients do."""
        try:
            await self._send_request(transfer)
        except httpx.HTTPStatusError as error:
            if error.response.status_code not in _RETRIED_STATUSES:
                raise
            wait_seconds = _CLIENT_RETRY_SECONDS
        except JSONDecodeError:
            wait_seconds = _CLIENT_RETRY_SECONDS
        else:
            transfer.requests_done += 1
            wait_seconds = 0.0
        if transfer.requests_done < len(transfer.plan.request_at):
            now = self.now()
            next_at = max(transfer.plan.request_at[transfer.requests_done], now + wait_seconds)
            self.schedule(next_at, lambda player: player.send_next(transfer))

    async def _send_request(self, transfer: _Transfer) -> None:
        plan = transfer.plan
        if transfer.requests_done == 0:
            transfer.upload_id = await self.service.initiate(plan.name, sum(map(len, plan.chunks)))
        elif transfer.requests_done <= plan.chunks_sent:
            await self.service.send_chunk(
                transfer.upload_id, transfer.requests_done, plan.chunks[transfer.requests_done - 1]
            )
            self._is_poll_due = False
        else:
            digest = plan.digest or md5(b"".join(plan.chunks))
            (await self.service.complete(transfer.upload_id, digest)).raise_for_status()
            self.schedule(self.now() + plan.verification_seconds, lambda player: player.verify(0))

    async def verify(self, attempts: int) -> None:
        """Verify one upload: later if the worker is stopped or dead, again if the storage failed."""
        dead_seconds = self.service.embedded.faults.seconds_left(FaultName.DEAD_WORKER)
        if self.is_worker_stopped:
            self.unverified_count += 1
        elif dead_seconds > 0:
            self._verify_in(dead_seconds, attempts)
        else:
            is_broken = self.service.embedded.faults.is_active(FaultName.BROKEN_STORAGE)
            await self.service.verify_next()
            if is_broken and attempts < len(RETRY_SECONDS):
                self._verify_in(RETRY_SECONDS[attempts], attempts + 1)

    def _verify_in(self, seconds: float, attempts: int) -> None:
        self.schedule(self.now() + seconds, lambda player: player.verify(attempts))

    async def set_worker(self, *, is_stopped: bool) -> None:
        self.is_worker_stopped = is_stopped
        while not is_stopped and self.unverified_count:
            self.unverified_count -= 1
            await self.verify(0)


async def _do_nothing(_: _Player) -> None:
    """A step that only polls."""


def _content_for(name: str, size_bytes: int) -> bytes:
    """Bytes derived from a name, the same at every run."""
    seed = md5(name.encode()).encode()
    return (seed * (size_bytes // len(seed) + 1))[:size_bytes]
