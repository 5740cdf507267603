"""Every fault, and every kind of fault at every moment of watching, over a real socket and several pages.

Nothing crashes, no state is shown or published that was never true, the connection state is right, and the picture is complete
within three polls after the fault.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import product
from math import inf
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from msgspec import Struct

from tests.e2e.watched_service import CONTENT, ObservedSession, SharedServer, UploadDriver, observe, open_server
from upload_tui.backend import FaultName
from upload_tui.monitor import ConnectionState
from upload_tui.status import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

NORMAL_STATES = {ConnectionState.CONNECTING, ConnectionState.CATCHING_UP, ConnectionState.LIVE}
VALUES = {FaultName.YOUNG_PROJECTS: 1e6}


class Moment(Struct, frozen=True):
    """When a fault starts: before which request of which poll. The first request of all is for a token."""

    name: str
    request: int
    is_first_scan: bool = False
    has_new_uploads: bool = False


MOMENTS = (
    Moment("first-scan", 1, is_first_scan=True),
    Moment("during-first-scan", 4, is_first_scan=True),
    Moment("new-uploads", 1, has_new_uploads=True),
    Moment("during-new-uploads", 2, has_new_uploads=True),
    Moment("pending-refresh", 1),
    Moment("during-pending-refresh", 2),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[SharedServer]:
    async with open_server() as server:
        yield server


async def fill_several_pages(driver: UploadDriver) -> None:
    """Create ended uploads on several pages, with pending ones on the first, the second and the last page."""
    uploads = [await driver.initiate() for _ in range(14)]
    completed, initiated = [uploads[1], uploads[8]], [uploads[3], uploads[11]]
    for upload_id in uploads:
        if upload_id not in completed + initiated:
            await driver.send(upload_id)
            await driver.complete(upload_id)
    await driver.verify()
    for upload_id in completed:
        await driver.send(upload_id)
        await driver.complete(upload_id)


async def add_new_uploads(driver: UploadDriver) -> None:
    """Create more pages of new uploads than a poll compares of old ones."""
    for _ in range(17):
        await driver.initiate()


# What each fault does, and how it shows


class FaultCase:
    """What happens during a fault and after it. `state` is the connection state during the fault."""

    state = ConnectionState.LIVE

    def __init__(self, driver: UploadDriver, moment: Moment) -> None:
        self.driver = driver
        self.moment = moment
        self.upload_id = ""

    async def during(self) -> None:
        """Verify what is due: faults of the connection do not stop the service itself."""
        await self.driver.verify()

    def check(self, observed: ObservedSession) -> None:
        """Check that the effect of the fault is visible."""

    async def after(self) -> None:
        await self.driver.verify()


class Retrying(FaultCase):
    state = ConnectionState.RETRYING


class AuthFailed(FaultCase):
    state = ConnectionState.NOT_ALLOWED


class Skewed(FaultCase):
    """The date is wrong and nothing else: of two clocks that disagree, the earlier one counts."""

    def check(self, observed: ObservedSession) -> None:
        ahead = (observed.session.picture.clock.now() - self.driver.caller.clock.now()).total_seconds()
        assert ahead == pytest.approx(0, abs=1)


class Doubled(FaultCase):
    """Every request runs twice: a second upload is initiated, a second completion is rejected."""

    async def during(self) -> None:
        self.upload_id = await self.driver.initiate()
        await self.driver.send(self.upload_id)
        await self.driver.complete(self.upload_id)
        (twin,) = (await self.driver.list_stages()).keys() - self.driver.history.keys()
        self.driver.history[twin] = [Stage.INITIATED]

    def check(self, observed: ObservedSession) -> None:
        assert observed.shown == self.driver.stages


class ExpiredUrls(FaultCase):
    async def during(self) -> None:
        self.upload_id = await self.driver.initiate()
        with pytest.raises(httpx.HTTPStatusError, match="403"):
            await self.driver.send(self.upload_id)

    def check(self, observed: ObservedSession) -> None:
        assert observed.shown[self.upload_id] is Stage.INITIATED

    async def after(self) -> None:
        await self.driver.send(self.upload_id)
        await self.driver.complete(self.upload_id)
        await self.driver.verify()


class Corrupt(FaultCase):
    """A chunk is not stored as it was sent."""

    async def during(self) -> None:
        await self.driver.verify()
        self.upload_id = await self.driver.upload()
        await self.driver.verify(Stage.ERROR)

    def check(self, observed: ObservedSession) -> None:
        assert observed.shown[self.upload_id] is Stage.ERROR


class BrokenStorage(FaultCase):
    async def during(self) -> None:
        self.upload_id = await self.driver.upload()
        assert await self.driver.caller.verify_next() is not None  # fails and is retried later

    def check(self, observed: ObservedSession) -> None:
        assert observed.shown[self.upload_id] is Stage.COMPLETED

    async def after(self) -> None:
        self.driver.caller.clock.advance(1)
        await self.driver.verify()


class DeadWorker(FaultCase):
    async def during(self) -> None:
        self.driver.caller.embedded.worker.set_paused(is_paused=False)
        self.upload_id = await self.driver.upload()

    def check(self, observed: ObservedSession) -> None:
        assert observed.shown[self.upload_id] is Stage.COMPLETED

    async def after(self) -> None:
        """The worker continues as soon as the fault is over, and verifies what has waited."""
        self.driver.caller.clock.advance(0.05)
        while Stage.COMPLETED in (await self.driver.list_stages()).values():
            await asyncio.sleep(0)  # let the worker run
        for stages in self.driver.history.values():
            if stages[-1] is Stage.COMPLETED:
                stages.append(Stage.VERIFIED)


class YoungProjects(FaultCase):
    async def during(self) -> None:
        with pytest.raises(httpx.HTTPStatusError, match="404"):
            await self.driver.caller.initiate(size=len(CONTENT))

    def check(self, observed: ObservedSession) -> None:
        assert observed.shown == self.driver.stages

    async def after(self) -> None:
        self.upload_id = await self.driver.upload()


FAULT_CASES: dict[FaultName, Callable[[UploadDriver, Moment], FaultCase]] = {
    FaultName.OUTAGE: Retrying,
    FaultName.TOO_MANY_REQUESTS: Retrying,
    FaultName.SERVER_ERROR: Retrying,
    FaultName.SLOW_ANSWERS: Retrying,
    FaultName.DROPPED_ANSWERS: Retrying,
    FaultName.DOUBLED_REQUESTS: Doubled,
    FaultName.GARBAGE: Retrying,
    FaultName.CUT_ANSWERS: Retrying,
    FaultName.MALFORMED_JSON: Retrying,
    FaultName.SKEWED_CLOCK: Skewed,
    FaultName.EXPIRED_TOKENS: AuthFailed,
    FaultName.EXPIRED_URLS: ExpiredUrls,
    FaultName.DEAD_WORKER: DeadWorker,
    FaultName.ALTERED_CHUNK: Corrupt,
    FaultName.LOST_CHUNK: Corrupt,
    FaultName.BROKEN_STORAGE: BrokenStorage,
    FaultName.YOUNG_PROJECTS: YoungProjects,
}


def cells() -> Iterator[tuple[FaultName, Moment]]:
    """Each fault at three moments: of the first scan, of new uploads and of a refresh; two faults in turn have all six.

    Alone of its kind, what all requests meet has all six: nothing else tests how it shows at a moment.
    """
    for (number, fault), (other, moment) in product(enumerate(FaultName), enumerate(MOMENTS)):
        if FAULT_CASES[fault] in {AuthFailed, Skewed} or (number + other + other // 2) % 2 == 0:
            yield fault, moment


@pytest.mark.parametrize(("fault", "moment"), [pytest.param(*cell, id=f"{cell[0]}-{cell[1].name}") for cell in cells()])
async def test_the_picture_is_right_during_a_fault_and_complete_after_it(
    server: SharedServer, tmp_path: Path, fault: FaultName, moment: Moment
) -> None:
    async with observe(server, tmp_path / "store.db", fill_several_pages) as observed:
        driver, faults = observed.driver, observed.driver.caller.embedded.faults
        case = FAULT_CASES[fault](driver, moment)

        async def start_fault() -> None:
            faults.start(fault, inf, VALUES.get(fault))
            observed.transport.has_short_timeout = fault in (FaultName.SLOW_ANSWERS, FaultName.DROPPED_ANSWERS)
            await case.during()

        if not moment.is_first_scan:
            await observed.first_poll()
            observed.check()
            assert observed.is_complete
        if moment.has_new_uploads:
            await add_new_uploads(driver)
        observed.transport.run_before(moment.request, start_fault)
        await (observed.first_poll() if moment.is_first_scan else observed.next_poll())
        await observed.transport.wait_for_action()
        observed.check()
        await observed.next_poll()
        observed.check()
        case.check(observed)
        assert observed.session.connection().state is case.state
        faults.stop(fault)
        observed.transport.has_short_timeout = False
        await case.after()
        await _poll_until_complete(observed)
        observed.check_published()
        assert set(observed.states) <= NORMAL_STATES | {case.state}
        assert await driver.list_stages() == driver.stages


async def _poll_until_complete(observed: ObservedSession) -> None:
    for _ in range(3):
        await observed.next_poll()
        observed.check()
        if observed.is_complete:
            return
    assert observed.shown == observed.driver.stages
    assert observed.is_complete
