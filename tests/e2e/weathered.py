"""A service on a real socket, uploads of which all is known, and a dashboard's session that watches them: for the matrix of faults.

All live on one event loop and one clock that stands still, so that a fault begins at the very request that the test names.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from tests.contract.calls import Caller, md5
from upload_tui.backend import http_server
from upload_tui.client import Credentials, ServiceClient
from upload_tui.monitor import (
    Change,
    ConnectionChanged,
    ConnectionState,
    LiveSession,
    ProjectRef,
    Query,
    Schedule,
    StageReached,
    Store,
    UploadChange,
    UploadSeen,
)
from upload_tui.status import Stage
from upload_tui.testing import FrozenClock
from upload_tui.wire import StatusShape

__all__ = ["Place", "Truth", "Watch", "opened_place", "watching"]

CONTENT = b"all the bytes"
_PER_PAGE = 4
"""So small that a few uploads fill several pages."""
_IMPATIENT_SECONDS = 0.1


class Place:
    """Where a service answers; which one, each test says."""

    def __init__(self) -> None:
        self.app: Any = None
        self.url = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@asynccontextmanager
async def opened_place() -> AsyncIterator[Place]:
    place, listener = Place(), socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    place.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = http_server(place, log_level="critical")
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield place
    server.should_exit = server.force_exit = True
    await serving


class Truth:
    """What the service truly had: the stages of each upload, in order."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.history: dict[str, list[Stage]] = {}

    @property
    def stages(self) -> dict[str, Stage]:
        return {upload_id: stages[-1] for upload_id, stages in self.history.items()}

    def steps(self) -> dict[str, int]:
        """How far each upload has come."""
        return {upload_id: len(stages) - 1 for upload_id, stages in self.history.items()}

    async def begin(self) -> str:
        self.caller.clock.advance(0.05)
        upload_id = await self.caller.initiate(size=len(CONTENT))
        self.history[upload_id] = [Stage.INITIATED]
        return upload_id

    async def send(self, upload_id: str) -> None:
        await self.caller.send_chunk(upload_id, 1, CONTENT)

    async def complete(self, upload_id: str) -> None:
        self.caller.clock.advance(0.05)
        await self.caller.complete(upload_id, md5(CONTENT))
        self.history[upload_id].append(Stage.COMPLETED)

    async def upload(self) -> str:
        upload_id = await self.begin()
        await self.send(upload_id)
        await self.complete(upload_id)
        return upload_id

    async def verify(self, ends: Stage = Stage.VERIFIED) -> None:
        """All that is due."""
        self.caller.clock.advance(0.05)
        for upload_id in await self.caller.verify_all():
            self.history[upload_id].append(ends)

    async def listed(self) -> dict[str, Stage]:
        """As the service itself lists them, in good weather."""
        answer = await self.caller.call("GET", f"/projects/{self.caller.project_id}/uploads?per_page=1000")
        return {entry["id"]: _stage(entry["status"]) for entry in answer.raise_for_status().json()["results"]}


def _stage(status: dict[str, Any]) -> Stage:
    """Of the deployed shape."""
    if status["completed_on"] is None:
        return Stage.INITIATED
    if status["error_on"] is not None:
        return Stage.ERROR
    return Stage.VERIFIED if status["is_consistent"] else Stage.COMPLETED


class _Road(httpx.AsyncHTTPTransport):
    """The way to the service: pages are small, and something may happen before the request with a certain number."""

    def __init__(self) -> None:
        super().__init__()
        self.is_impatient = False
        self._left = 0
        self._event: Callable[[], Coroutine[None, None, None]] | None = None
        self._happening: asyncio.Task[None] | None = None

    def before(self, number: int, event: Callable[[], Coroutine[None, None, None]]) -> None:
        """Let it happen before the request for uploads or for a token with this number from now (from 1)."""
        self._left, self._event = number, event

    async def happened(self) -> None:
        """Wait until it has, whatever became of the request; it must have begun."""
        assert self._happening is not None
        await self._happening

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/queue"):
            self._left -= 1
            if self._event is not None and self._left == 0:
                self._happening = asyncio.create_task(self._event())
                await asyncio.shield(self._happening)
        per_page = request.url.params.get("per_page")
        if per_page is not None:
            request.url = request.url.copy_set_param("per_page", str(min(int(per_page), _PER_PAGE)))
        if self.is_impatient:
            request.extensions["timeout"] = dict.fromkeys(request.extensions["timeout"], _IMPATIENT_SECONDS)
        return await super().handle_async_request(request)


class _Steps:
    """A clock that knows when the session has nothing more to do, and for how long."""

    def __init__(self, base: FrozenClock) -> None:
        self._base = base
        self.resting = asyncio.Event()
        self.rest_seconds = 0.0

    def now(self) -> datetime:
        return self._base.now()

    def monotonic(self) -> float:
        return self._base.monotonic()

    async def sleep(self, seconds: float) -> None:
        self.rest_seconds = seconds
        self.resting.set()
        await self._base.sleep(seconds)


class Watch:
    """What the session showed and told, at every moment."""

    def __init__(self, truth: Truth, road: _Road, clock: _Steps, client: ServiceClient, store: Store) -> None:
        self.truth = truth
        self.road = road
        self.told: list[UploadChange] = []
        self.states: list[ConnectionState] = []
        self._shown: list[dict[str, Stage]] = []
        self._clock = clock
        self._reached: dict[str, int] = {}
        self._running: asyncio.Task[None] | None = None
        self._silent_until: dict[str, int] | None = None
        self._known_before = truth.steps()
        project = ProjectRef(truth.caller.project_id, truth.caller.project_name)
        schedule = Schedule(jitter=lambda: 0.5)
        self.session = LiveSession(client, [project], store, clock=clock, schedule=schedule, on_change=self._take)

    def _take(self, change: Change) -> None:
        self._shown.append(self.shown)
        if isinstance(change, UploadChange):
            self.told.append(change)
        if isinstance(change, ConnectionChanged):
            self.states.append(change.connection.state)

    @property
    def shown(self) -> dict[str, Stage]:
        return {row.id: row.stage for row in self.session.window(Query(), 0, 100).rows}

    @property
    def is_whole(self) -> bool:
        """True if all is shown as it is, and believed."""
        rows = self.session.window(Query(), 0, 100).rows
        is_sound = not any(row.is_stale or row.is_gone or row.anomaly_count for row in rows)
        return is_sound and self.session.connection().is_live and self.shown == self.truth.stages

    async def first_round(self) -> None:
        """Begin to look, until the round is over."""
        self._running = asyncio.create_task(self.session.run())
        await self._rest()

    async def end(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def round(self) -> None:
        """The next one, when the session wants it."""
        self._clock.resting.clear()
        self.truth.caller.clock.advance(self._clock.rest_seconds)
        await self._rest()

    async def _rest(self) -> None:
        async with asyncio.timeout(20):
            await self._clock.resting.wait()

    def check(self) -> None:
        """Whatever was shown since the last time had been so, and nothing went backwards or away."""
        for shown in (*self._shown, self.shown):
            assert self._reached.keys() <= shown.keys()
            for upload_id, stage in shown.items():
                step = self.truth.history[upload_id].index(stage)
                assert step >= self._reached.get(upload_id, 0)
                self._reached[upload_id] = step
        self._shown.clear()
        if self.is_whole and self._silent_until is None:
            self._silent_until = dict(self._reached)

    def check_told(self) -> None:
        """Each upload's changes were told once, in order and without a gap: all of it if it came after the first fetch, and only what
        came after that of those that were there before."""
        assert self._silent_until is not None
        for upload_id, stages in self.truth.history.items():
            told = [change for change in self.told if change.upload.id == upload_id]
            reached = [change for change in told if isinstance(change, StageReached)]
            first = len(stages) - len(reached)
            assert [change.after for change in reached] == stages[first:]
            assert [change.before for change in reached] == [None, *stages][first : len(stages)]
            earliest = self._known_before.get(upload_id, -1) + 1
            latest = self._silent_until.get(upload_id, -1) + 1
            assert earliest <= first <= latest
            seen = [change for change in told if isinstance(change, UploadSeen)]
            assert len(seen) == (first == 0)
            assert len(told) == len(reached) + len(seen)


@asynccontextmanager
async def watching(place: Place, file: Path, old: Callable[[Truth], Awaitable[None]]) -> AsyncIterator[Watch]:
    """A session over a file, not yet begun to look; `old` is what the service has before."""
    async with Caller(base_url=place.url, status_shape=StatusShape.DEPLOYED) as caller:
        place.app = caller.embedded.app
        truth, road, steps = Truth(caller), _Road(), _Steps(caller.clock)
        await old(truth)
        keys = Credentials(agent_key=caller.agent_key, user_key=caller.user_key)
        async with ServiceClient(place.url, keys, transport=road, clock=steps, attempts=1) as client:
            store = Store(file)
            watch = Watch(truth, road, steps, client, store)
            try:
                yield watch
            finally:
                await watch.end()
                store.close()
                await _let_go(caller.clock)


async def _let_go(clock: FrozenClock) -> None:
    """Answers that nobody waits for any more are sent before their service ends."""
    clock.advance(1000)
    for _ in range(5):
        await asyncio.sleep(0.001)
