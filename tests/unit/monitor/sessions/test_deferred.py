"""A session that is still being opened: what it shows meanwhile, and whether it gives up."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from upload_tui.errors import UnreachableError
from upload_tui.monitor.changes import Change, ConnectionChanged, StageReached
from upload_tui.monitor.model import ConnectionState, Query
from upload_tui.monitor.sessions.deferred import DeferredSession
from upload_tui.monitor.sessions.session import Session
from upload_tui.testing import FrozenClock, InMemorySession, an_upload


class Service:
    """Cannot be opened until it `is_there`."""

    def __init__(self, clock: FrozenClock) -> None:
        self.scene = InMemorySession([an_upload("scan.tiff")], clock=clock)
        self.is_there = False
        self.tries = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Session]:
        self.tries += 1
        if not self.is_there:
            raise UnreachableError("Nobody answers", "Wait.")
        yield self.scene


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def service(clock: FrozenClock) -> Iterator[Service]:
    one = Service(clock)
    yield one
    one.scene.close()


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_cannot_be_opened_comes_out(clock: FrozenClock, service: Service) -> None:
    with pytest.raises(UnreachableError):
        await DeferredSession("lab", clock, service.open).run()


async def test_nobody_is_asked_while_it_is_paused_before_it_is_open(clock: FrozenClock, service: Service) -> None:
    session = DeferredSession("lab", clock, service.open, can_retry=True)
    task = asyncio.create_task(session.run())
    await turns()
    session.pause()
    for _ in range(5):
        clock.advance(60)
        await turns()
    assert service.tries == 1
    session.refresh()
    await turns()
    assert service.tries == 2
    assert (session.connection().state, session.connection().reason) == (ConnectionState.PAUSED, "Nobody answers")
    service.is_there = True
    session.resume()
    await turns()
    assert session.connection().state is ConnectionState.LIVE
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_it_is_still_paused_when_it_opens_while_paused(clock: FrozenClock, service: Service) -> None:
    session = DeferredSession("lab", clock, service.open)
    service.is_there = True
    session.pause()
    task = asyncio.create_task(session.run())
    await turns()
    assert session.connection().state is ConnectionState.PAUSED
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_real_session_learns_that_nobody_looks_when_it_opens(clock: FrozenClock, service: Service) -> None:
    session = DeferredSession("lab", clock, service.open)
    service.is_there = True
    session.set_watched(is_watched=False)
    task = asyncio.create_task(session.run())
    await turns()
    assert not service.scene.is_watched
    session.set_watched(is_watched=True)
    assert service.scene.is_watched
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_it_is_opened_again_until_the_service_is_there(clock: FrozenClock, service: Service) -> None:
    session, heard = DeferredSession("lab", clock, service.open, can_retry=True), list[Change]()

    async def listen() -> None:
        async for change in session.changes():
            heard.append(change)

    tasks = [asyncio.create_task(listen()), asyncio.create_task(session.run())]
    for tries in (1, 2, 3):
        await turns()
        assert service.tries == tries
        clock.advance(60)
    await turns()
    connection = session.connection()
    assert (connection.state, connection.reason) == (ConnectionState.OFFLINE, "Nobody answers")
    assert session.window(Query(), 0, 10).total == 0
    service.is_there = True
    session.refresh()
    await turns()
    assert session.connection().state is ConnectionState.LIVE
    assert [row.name for row in session.window(Query(), 0, 10).rows] == ["scan.tiff"]
    service.scene.publish(an_upload("scan.tiff", completed=1))
    await turns()
    states = [change.connection.state for change in heard if isinstance(change, ConnectionChanged)]
    assert states[:3] == [ConnectionState.RETRYING, ConnectionState.RETRYING, ConnectionState.OFFLINE]
    assert [change.after.value for change in heard if isinstance(change, StageReached)] == ["completed"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
