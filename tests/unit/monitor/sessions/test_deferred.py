"""A session that is still being opened: what it shows meanwhile, and when it retries."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from upload_tui.errors import UnreachableError
from upload_tui.monitor.changes import Change, ConnectionChanged, StageReached
from upload_tui.monitor.model import ConnectionState
from upload_tui.monitor.queries.query import Query
from upload_tui.monitor.sessions.deferred import DeferredSession
from upload_tui.monitor.sessions.session import Session
from upload_tui.testing import FrozenClock, InMemorySession, an_upload


class Service:
    """A service that cannot be opened until it `is_up`."""

    def __init__(self, clock: FrozenClock) -> None:
        self.session = InMemorySession([an_upload("scan.tiff")], clock=clock)
        self.is_up = False
        self.attempts = 0

    @asynccontextmanager
    async def open(self, deferred: DeferredSession) -> AsyncIterator[Session]:
        self.attempts += 1
        if not self.is_up:
            raise UnreachableError("connection refused", "Wait.")
        self.session.changes = deferred.changes
        yield self.session


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def service(clock: FrozenClock) -> Iterator[Service]:
    one = Service(clock)
    yield one
    one.session.close()


async def run_pending() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_error_is_raised_when_the_session_cannot_be_opened(clock: FrozenClock, service: Service) -> None:
    with pytest.raises(UnreachableError):
        await DeferredSession("lab", clock, service.open).run()


async def test_opening_is_not_retried_while_paused(clock: FrozenClock, service: Service) -> None:
    session = DeferredSession("lab", clock, service.open, can_retry=True)
    task = asyncio.create_task(session.run())
    await run_pending()
    session.set_paused(is_paused=True)
    for _ in range(5):
        clock.advance(60)
        await run_pending()
    assert service.attempts == 1
    session.refresh()
    await run_pending()
    assert service.attempts == 2
    assert (session.connection().state, session.connection().reason) == (ConnectionState.PAUSED, "connection refused")
    service.is_up = True
    session.set_paused(is_paused=False)
    await run_pending()
    assert session.connection().state is ConnectionState.LIVE
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_session_that_opens_while_paused_is_paused(clock: FrozenClock, service: Service) -> None:
    session = DeferredSession("lab", clock, service.open)
    service.is_up = True
    session.set_paused(is_paused=True)
    task = asyncio.create_task(session.run())
    await run_pending()
    assert session.connection().state is ConnectionState.PAUSED
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_real_session_is_not_watched_if_the_dashboard_was_not_when_it_opened(
    clock: FrozenClock, service: Service
) -> None:
    session = DeferredSession("lab", clock, service.open)
    service.is_up = True
    session.set_watched(is_watched=False)
    task = asyncio.create_task(session.run())
    await run_pending()
    assert not service.session.is_watched
    session.set_watched(is_watched=True)
    assert service.session.is_watched
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_opening_is_retried_until_the_service_is_up(clock: FrozenClock, service: Service) -> None:
    session, received = DeferredSession("lab", clock, service.open, can_retry=True), list[Change]()

    async def receive() -> None:
        with session.changes.subscribe() as changes:
            async for change in changes:
                received.append(change)

    tasks = [asyncio.create_task(receive()), asyncio.create_task(session.run())]
    for attempts in (1, 2, 3):
        await run_pending()
        assert service.attempts == attempts
        clock.advance(60)
    await run_pending()
    connection = session.connection()
    assert (connection.state, connection.reason) == (ConnectionState.OFFLINE, "connection refused")
    assert session.picture.window(Query(), 0, 10).total == 0
    service.is_up = True
    session.refresh()
    await run_pending()
    assert session.connection().state is ConnectionState.LIVE
    assert [row.name for row in session.picture.window(Query(), 0, 10).rows] == ["scan.tiff"]
    service.session.publish(an_upload("scan.tiff", completed=1))
    await run_pending()
    states = [change.connection.state for change in received if isinstance(change, ConnectionChanged)]
    assert states[:3] == [ConnectionState.RETRYING, ConnectionState.RETRYING, ConnectionState.OFFLINE]
    assert [change.after.value for change in received if isinstance(change, StageReached)] == ["completed"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
