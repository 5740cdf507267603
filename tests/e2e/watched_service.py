"""A service on a real socket, uploads whose every stage is known, and a session that watches them: for the fault matrix.

All run on one event loop and one clock that stands still, so that a fault starts exactly at the request that a test names.
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
    ChangeBroadcaster,
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

__all__ = ["ObservedSession", "SharedServer", "UploadDriver", "observe", "open_server"]

CONTENT = b"all the bytes"
_PER_PAGE = 4
"""Small, so that a few uploads fill several pages."""
_SHORT_TIMEOUT_SECONDS = 0.1


class SharedServer:
    """An ASGI application on a port that forwards to the service of the current test."""

    def __init__(self) -> None:
        self.app: Any = None
        self.url = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@asynccontextmanager
async def open_server() -> AsyncIterator[SharedServer]:
    server, listener = SharedServer(), socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    uvicorn_server = http_server(server, log_level="critical")
    serving = asyncio.create_task(uvicorn_server.serve(sockets=[listener]))
    yield server
    uvicorn_server.should_exit = uvicorn_server.force_exit = True
    await serving


class UploadDriver:
    """The stages that each upload truly had, in order."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.history: dict[str, list[Stage]] = {}

    @property
    def stages(self) -> dict[str, Stage]:
        return {upload_id: stages[-1] for upload_id, stages in self.history.items()}

    def steps(self) -> dict[str, int]:
        """The index of each upload's latest stage."""
        return {upload_id: len(stages) - 1 for upload_id, stages in self.history.items()}

    async def initiate(self) -> str:
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
        upload_id = await self.initiate()
        await self.send(upload_id)
        await self.complete(upload_id)
        return upload_id

    async def verify(self, ends: Stage = Stage.VERIFIED) -> None:
        """Verify everything that is due."""
        self.caller.clock.advance(0.05)
        for upload_id in await self.caller.verify_all():
            self.history[upload_id].append(ends)

    async def list_stages(self) -> dict[str, Stage]:
        """The stages as the service itself lists them, without faults."""
        response = await self.caller.call("GET", f"/projects/{self.caller.project_id}/uploads?per_page=1000")
        return {entry["id"]: _stage(entry["status"]) for entry in response.raise_for_status().json()["results"]}


def _stage(status: dict[str, Any]) -> Stage:
    """The stage of a `status` in the deployed shape."""
    if status["completed_on"] is None:
        return Stage.INITIATED
    if status["error_on"] is not None:
        return Stage.ERROR
    return Stage.VERIFIED if status["is_consistent"] else Stage.COMPLETED


class _ScriptedTransport(httpx.AsyncHTTPTransport):
    """A transport with small pages that can run an action before a certain request."""

    def __init__(self) -> None:
        super().__init__()
        self.has_short_timeout = False
        self._left = 0
        self._action: Callable[[], Coroutine[None, None, None]] | None = None
        self._action_task: asyncio.Task[None] | None = None

    def run_before(self, number: int, action: Callable[[], Coroutine[None, None, None]]) -> None:
        """Run an action before a request for uploads or for a token; the next one is number 1."""
        self._left, self._action = number, action

    async def wait_for_action(self) -> None:
        """Wait for the action, which must have started, whatever happens to the request."""
        assert self._action_task is not None
        await self._action_task

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/queue"):
            self._left -= 1
            if self._action is not None and self._left == 0:
                self._action_task = asyncio.create_task(self._action())
                await asyncio.shield(self._action_task)
        per_page = request.url.params.get("per_page")
        if per_page is not None:
            request.url = request.url.copy_set_param("per_page", str(min(int(per_page), _PER_PAGE)))
        if self.has_short_timeout:
            request.extensions["timeout"] = dict.fromkeys(request.extensions["timeout"], _SHORT_TIMEOUT_SECONDS)
        return await super().handle_async_request(request)


class _PollClock:
    """A clock that records when the session waits for its next poll, and for how long."""

    def __init__(self, base: FrozenClock) -> None:
        self._base = base
        self.waiting = asyncio.Event()
        self.wait_seconds = 0.0

    def now(self) -> datetime:
        return self._base.now()

    def monotonic(self) -> float:
        return self._base.monotonic()

    async def sleep(self, seconds: float) -> None:
        self.wait_seconds = seconds
        self.waiting.set()
        await self._base.sleep(seconds)


class ObservedSession:
    """Everything a session showed and published."""

    def __init__(
        self,
        driver: UploadDriver,
        transport: _ScriptedTransport,
        clock: _PollClock,
        client: ServiceClient,
        store: Store,
    ) -> None:
        self.driver = driver
        self.transport = transport
        self.published: list[UploadChange] = []
        self.states: list[ConnectionState] = []
        self._shown: list[dict[str, Stage]] = []
        self._clock = clock
        self._reached: dict[str, int] = {}
        self._running: asyncio.Task[None] | None = None
        self._first_complete_steps: dict[str, int] | None = None
        self._initial_steps = driver.steps()
        project = ProjectRef(driver.caller.project_id, driver.caller.project_name)
        schedule = Schedule(jitter=lambda: 0.5)
        self.session = LiveSession(client, [project], store, schedule=schedule, changes=ChangeBroadcaster(self._record))

    def _record(self, change: Change) -> None:
        self._shown.append(self.shown)
        if isinstance(change, UploadChange):
            self.published.append(change)
        if isinstance(change, ConnectionChanged):
            self.states.append(change.connection.state)

    @property
    def shown(self) -> dict[str, Stage]:
        return {row.id: row.stage for row in self.session.picture.window(Query(), 0, 100).rows}

    @property
    def is_complete(self) -> bool:
        """True if the session shows every upload as it is and reports nothing stale."""
        rows = self.session.picture.window(Query(), 0, 100).rows
        is_current = not any(row.is_stale or row.is_gone or row.anomaly_count for row in rows)
        return is_current and self.session.connection().is_live and self.shown == self.driver.stages

    async def first_poll(self) -> None:
        """Start the session and wait for the end of its first poll."""
        self._running = asyncio.create_task(self.session.run())
        await self._wait_for_poll()

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def next_poll(self) -> None:
        """Advance the clock to the next poll and wait for its end."""
        self._clock.waiting.clear()
        self.driver.caller.clock.advance(self._clock.wait_seconds)
        await self._wait_for_poll()

    async def _wait_for_poll(self) -> None:
        async with asyncio.timeout(20):
            await self._clock.waiting.wait()

    def check(self) -> None:
        """Check that everything shown since the last check was true, and that no upload went back or disappeared."""
        for shown in (*self._shown, self.shown):
            assert self._reached.keys() <= shown.keys()
            for upload_id, stage in shown.items():
                step = self.driver.history[upload_id].index(stage)
                assert step >= self._reached.get(upload_id, 0)
                self._reached[upload_id] = step
        self._shown.clear()
        if self.is_complete and self._first_complete_steps is None:
            self._first_complete_steps = dict(self._reached)

    def check_published(self) -> None:
        """Check that each upload's changes were published once, in order and without gaps.

        An upload that existed before the first full scan has only the changes after it; any later one has all of them.
        """
        assert self._first_complete_steps is not None
        for upload_id, stages in self.driver.history.items():
            changes = [change for change in self.published if change.upload.id == upload_id]
            reached = [change for change in changes if isinstance(change, StageReached)]
            first = len(stages) - len(reached)
            assert [change.after for change in reached] == stages[first:]
            assert [change.before for change in reached] == [None, *stages][first : len(stages)]
            earliest = self._initial_steps.get(upload_id, -1) + 1
            latest = self._first_complete_steps.get(upload_id, -1) + 1
            assert earliest <= first <= latest
            seen = [change for change in changes if isinstance(change, UploadSeen)]
            assert len(seen) == (first == 0)
            assert len(changes) == len(reached) + len(seen)


@asynccontextmanager
async def observe(
    server: SharedServer, file: Path, prepare: Callable[[UploadDriver], Awaitable[None]]
) -> AsyncIterator[ObservedSession]:
    """Create a session over a file, not yet started; `prepare` fills the service first."""
    async with Caller(base_url=server.url, status_shape=StatusShape.DEPLOYED) as caller:
        server.app = caller.embedded.app
        driver, transport, clock = UploadDriver(caller), _ScriptedTransport(), _PollClock(caller.clock)
        await prepare(driver)
        keys = Credentials(agent_key=caller.agent_key, user_key=caller.user_key)
        async with ServiceClient(server.url, keys, transport=transport, clock=clock, attempts=1) as client:
            store = Store(file)
            observed = ObservedSession(driver, transport, clock, client, store)
            try:
                yield observed
            finally:
                await observed.stop()
                store.close()
                await _drain(caller.clock)


async def _drain(clock: FrozenClock) -> None:
    """Let pending responses be sent before their service ends."""
    clock.advance(1000)
    for _ in range(5):
        await asyncio.sleep(0.001)
