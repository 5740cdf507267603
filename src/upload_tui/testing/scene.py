"""Scenes: a story in a few lines (what exists, what happens, at which second), played in virtual time.

A scene is played through the real service and the real monitor, by a client that sends real bytes, before the first frame of any
dashboard: what is pictured is over, so nothing runs while it is painted, nothing has to be waited for, and a story of hours takes
milliseconds. States that no service can be brought into at will (hostile names, contradictions) are `InMemorySession`'s.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, Self

import httpx
from msgspec import Struct, field

from upload_tui.backend import RETRY_SECONDS, FaultName
from upload_tui.errors import UsageError
from upload_tui.testing.clock import FrozenClock
from upload_tui.testing.service import UploadService, md5, parse_fault_name, split_content
from upload_tui.testing.sessions import ManualSession

if TYPE_CHECKING:
    from upload_tui.tui import UploadApp

__all__ = ["Scene"]

_CLIENT_RETRY_SECONDS = 2.0
_CHUNK_SECONDS = 2.0
_RETRIED_STATUSES = frozenset({401, 403, 429, 500, 503})
_KILOBYTE = 1024


class Scene:
    """A story. Each line of it says at which second something happens (`at`, from 0) and gives the scene, for the next line.

    Args:
        status_shape: the shape of `status` that the service speaks.
        title: for the header.
        stuck_after_seconds: from which age a pending upload looks stuck.

    >>> from upload_tui.testing import Scene
    >>> scene = (
    ...     Scene()
    ...     .upload("reads_R1.fastq.gz", at=0, completes=10)
    ...     .stop_worker(at=30)
    ...     .upload("reads_R2.fastq.gz", at=40, completes=60)
    ...     .until(60 + 41 * 60)
    ... )
    >>> session = scene.play_sync()
    >>> [(row.name, row.judgement.is_stuck) for row in session.pending(10)]
    [('reads_R2.fastq.gz', True)]
    >>> session.close()

    `scene.dashboard()` is its picture, for `snap_compare` or `run_test`.
    """

    def __init__(
        self, *, status_shape: str = "a", title: str = "example.org", stuck_after_seconds: float | None = None
    ) -> None:
        self._status_shape = status_shape
        self._options: dict[str, Any] = {"title": title}
        if stuck_after_seconds is not None:
            self._options["stuck_after_seconds"] = stuck_after_seconds
        self._steps: list[tuple[float, _Step]] = []
        self._opens_at = 0.0
        self._last_step_at = 0.0
        self._ends_at: float | None = None

    def upload(
        self,
        name: str,
        *,
        at: float = 0.0,
        completes: float | None = None,
        chunks: int = 4,
        chunks_sent: int | None = None,
        size_bytes: int = 64 * _KILOBYTE,
        verification_seconds: float = 2.0,
        digest: str | None = None,
    ) -> Self:
        """A client uploads a file, its chunks evenly spread over the time that it takes.

        Args:
            name: the file's.
            at: when it begins.
            completes: when its client says that all is there; None if never.
            chunks: how many there are.
            chunks_sent: how many of them are sent; None sends all, or half of them if the client never completes.
            size_bytes: the file's; its bytes are made, sent and hashed.
            verification_seconds: how long after that a worker that is not busy has the answer.
            digest: the digest that the client reports; None reports the right one.
        """
        content = split_content(_content_for(name, size_bytes), chunks)
        usually_sent = len(content) if completes is not None else len(content) // 2
        chunks_sent = usually_sent if chunks_sent is None else min(chunks_sent, len(content))
        pace = _CHUNK_SECONDS if completes is None else (completes - at) / (chunks_sent + 1)
        requests = chunks_sent + (1 if completes is None else 2)
        begins = tuple(at + pace * number for number in range(requests))
        plan = _UploadPlan(name, content, begins, chunks_sent, verification_seconds, digest)
        self._last_step_at = max(self._last_step_at, plan.request_at[-1])
        return self._add(at, lambda play: play.send_next(_Transfer(plan)))

    def stop_worker(self, *, at: float = 0.0) -> Self:
        """The verification worker stops: whatever is completed waits."""
        return self._add(at, lambda play: play.set_worker(is_stopped=True))

    def start_worker(self, *, at: float) -> Self:
        """It works again, and first does what has been left."""
        return self._add(at, lambda play: play.set_worker(is_stopped=False))

    def fault(self, name: str, *, at: float = 0.0, seconds: float | None = None) -> Self:
        """Something breaks, by the fault's name (`UploadService.fault_names`), for so long or for its usual time."""
        fault = parse_fault_name(name)
        return self._add(at, lambda play: play.start_fault(fault, seconds))

    def poll(self, *, at: float) -> Self:
        """The monitor looks once more; it also looks after everything that happens, except after a chunk."""
        return self._add(at, _do_nothing)

    def opens(self, *, at: float) -> Self:
        """The dashboard is opened: what happened before is no news."""
        self._opens_at = at
        return self

    def until(self, second: float) -> Self:
        """The picture is taken at this second; otherwise with the last thing that is told."""
        self._ends_at = second
        return self

    def _add(self, at: float, step: "_Step") -> Self:
        self._steps.append((at, step))
        self._last_step_at = max(self._last_step_at, at)
        return self

    async def play(self) -> ManualSession:
        """Play it; gives a session that shows its end, for whoever closes it."""
        clock = FrozenClock()
        async with UploadService(clock=clock, status_shape=self._status_shape) as service:
            session = ManualSession(service, **self._options)
            play = _Player(service, session, self._opens_at)
            for at, line in [(self._opens_at, _do_nothing), *self._steps]:
                play.schedule(at, line)
            await play.run(self._last_step_at if self._ends_at is None else self._ends_at)
            session.freeze()
        return session

    def play_sync(self) -> ManualSession:
        """The same for code that has no event loop running.

        Raises:
            UsageError: there is one; await `play` there.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self.play())
        raise UsageError(
            "A scene cannot be played inside a running event loop",
            "Await its play() there, and hand the session to dashboard().",
        )

    def dashboard(self, **options: Any) -> "UploadApp":
        """Its picture: the dashboard over the scene, `play_sync`; `options` are those of `upload_tui.testing.dashboard`."""
        from upload_tui.testing.dashboards import dashboard

        return dashboard(self, **options)


class _UploadPlan(Struct, frozen=True):
    """What a client means to do.

    Attributes:
        begins: the seconds of its requests: to initiate, one for each chunk that is sent, and perhaps to complete.
        sent: how many of the chunks are sent.
    """

    name: str
    chunks: Sequence[bytes]
    request_at: tuple[float, ...]
    chunks_sent: int
    verification_seconds: float
    digest: str | None


class _Transfer(Struct):
    """A file on its way: how many of its client's requests went well, and the id once it has begun."""

    plan: _UploadPlan
    requests_done: int = 0
    upload_id: str = ""


_Step = Callable[["_Player"], Awaitable[None]]


class _Player(Struct):
    """One performance: what is still to come, in the order of its seconds, and what has become of the worker."""

    service: UploadService
    session: ManualSession
    opens_at: float
    is_worker_stopped: bool = False
    unverified_count: int = 0
    _is_poll_due: bool = True
    _queue: "list[tuple[float, int, _Step]]" = field(default_factory=list)
    _order: "count[int]" = field(default_factory=count)

    def schedule(self, second: float, step: _Step) -> None:
        heapq.heappush(self._queue, (second, next(self._order), step))

    async def run(self, ends_at: float) -> None:
        """All that comes until then."""
        while self._queue and self._queue[0][0] <= ends_at:
            second, _, line = heapq.heappop(self._queue)
            self._move_to(second)
            self._is_poll_due = True
            await self.service.clock.advance_until_done(line(self))
            if self._is_poll_due:
                await self._poll()
        self._move_to(ends_at)
        await self._poll()

    def _move_to(self, second: float) -> None:
        self.service.clock.advance(max(0.0, second - self.service.clock.monotonic()))

    async def _poll(self) -> None:
        if self.service.clock.monotonic() >= self.opens_at:
            await self.service.clock.advance_until_done(self.session.poll())

    # What may happen

    async def send_next(self, transfer: _Transfer) -> None:
        """A client's next request; one that the service has no time for is sent again, as clients do."""
        try:
            await self._send_request(transfer)
        except httpx.HTTPStatusError as error:
            if error.response.status_code not in _RETRIED_STATUSES:
                raise
            again = _CLIENT_RETRY_SECONDS
        except JSONDecodeError:
            again = _CLIENT_RETRY_SECONDS
        else:
            transfer.requests_done += 1
            again = 0.0
        if transfer.requests_done < len(transfer.plan.request_at):
            now = self.service.clock.monotonic()
            self.schedule(
                max(transfer.plan.request_at[transfer.requests_done], now + again),
                lambda play: play.send_next(transfer),
            )

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
            self.schedule(self.service.clock.monotonic() + plan.verification_seconds, lambda play: play.verify(0))

    async def verify(self, attempts: int) -> None:
        """One upload; later if the worker is stopped or dead, and again if the storage was in trouble."""
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
        self.schedule(self.service.clock.monotonic() + seconds, lambda play: play.verify(attempts))

    async def set_worker(self, *, is_stopped: bool) -> None:
        self.is_worker_stopped = is_stopped
        while not is_stopped and self.unverified_count:
            self.unverified_count -= 1
            await self.verify(0)

    async def start_fault(self, name: FaultName, seconds: float | None) -> None:
        self.service.start_fault(name, seconds)


async def _do_nothing(_: _Player) -> None:
    """Nothing happens but time."""


def _content_for(name: str, size_bytes: int) -> bytes:
    """Bytes that follow from a name, the same at every run."""
    seed = md5(name.encode()).encode()
    return (seed * (size_bytes // len(seed) + 1))[:size_bytes]
