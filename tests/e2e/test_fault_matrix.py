"""Each of the service's faults at each moment of watching, over a real socket and several pages: nothing crashes, nothing that never
was so is shown or told at any moment, the connection says what is the matter, and the picture is whole within three rounds after."""

from collections.abc import AsyncIterator, Callable
from math import inf
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from msgspec import Struct

from tests.e2e.weathered import CONTENT, Place, Truth, Watch, opened_place, watching
from upload_tui.backend import FaultName
from upload_tui.monitor import ConnectionState
from upload_tui.status import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

GOOD = {ConnectionState.CONNECTING, ConnectionState.CATCHING_UP, ConnectionState.LIVE}
VALUES = {FaultName.YOUNG_PROJECTS: 1e6}
LAST_SECONDS = {FaultName.DEAD_WORKER: 600.0}
"""A worker that is dead sleeps for as long as it is going to be."""


class Moment(Struct, frozen=True):
    """When a fault begins: before which request of which round (the first one of all is for a token)."""

    name: str
    request: int
    is_first_fetch: bool = False
    has_news: bool = False


MOMENTS = (
    Moment("first-fetch", 1, is_first_fetch=True),
    Moment("in-a-first-fetch", 4, is_first_fetch=True),
    Moment("tick", 1, has_news=True),
    Moment("in-a-tick", 2, has_news=True),
    Moment("pending-refresh", 1),
    Moment("in-a-pending-refresh", 2),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place() -> AsyncIterator[Place]:
    async with opened_place() as place:
        yield place


async def several_pages(truth: Truth) -> None:
    """Uploads that are over, among them some that are not: on the first page, the second and the last."""
    uploads = [await truth.begin() for _ in range(14)]
    waiting, begun = [uploads[1], uploads[8]], [uploads[3], uploads[11]]
    for upload_id in uploads:
        if upload_id not in waiting + begun:
            await truth.send(upload_id)
            await truth.complete(upload_id)
    await truth.verify()
    for upload_id in waiting:
        await truth.send(upload_id)
        await truth.complete(upload_id)


async def news(truth: Truth) -> None:
    """More pages of them than old pages are checked in the rounds after."""
    for _ in range(17):
        await truth.begin()


# What a fault is, and how it shows


class Story:
    """What happens while a fault lasts and when it is over; `state` is the connection's meanwhile."""

    state = ConnectionState.LIVE

    def __init__(self, truth: Truth, moment: Moment) -> None:
        self.truth = truth
        self.moment = moment
        self.mine = ""

    async def meanwhile(self) -> None:
        """The service's insides go on in any weather: what waits is verified."""
        await self.truth.verify()

    def check(self, watch: Watch) -> None:
        """The effect is there to be seen."""

    async def afterwards(self) -> None:
        await self.truth.verify()


class Retrying(Story):
    state = ConnectionState.RETRYING


class NotAllowed(Story):
    state = ConnectionState.NOT_ALLOWED


class Skewed(Story):
    """The date is wrong, but nothing else is: it is believed only by who has never heard another."""

    def check(self, watch: Watch) -> None:
        ahead = (watch.session.now() - self.truth.caller.clock.now()).total_seconds()
        knows_no_other = self.moment.is_first_fetch and self.moment.request == 1
        assert ahead == pytest.approx(300 if knows_no_other else 0, abs=1)


class Doubled(Story):
    """What is begun is begun twice; what is completed is refused the second time, and is completed all the same."""

    async def meanwhile(self) -> None:
        self.mine = await self.truth.begin()
        await self.truth.send(self.mine)
        await self.truth.complete(self.mine)
        (twin,) = (await self.truth.listed()).keys() - self.truth.history.keys()
        self.truth.history[twin] = [Stage.INITIATED]

    def check(self, watch: Watch) -> None:
        assert watch.shown == self.truth.stages


class ExpiredUrls(Story):
    async def meanwhile(self) -> None:
        self.mine = await self.truth.begin()
        with pytest.raises(httpx.HTTPStatusError, match="403"):
            await self.truth.send(self.mine)

    def check(self, watch: Watch) -> None:
        assert watch.shown[self.mine] is Stage.INITIATED

    async def afterwards(self) -> None:
        await self.truth.send(self.mine)
        await self.truth.complete(self.mine)
        await self.truth.verify()


class Corrupt(Story):
    """A chunk does not reach the disk as it was sent."""

    async def meanwhile(self) -> None:
        await self.truth.verify()
        self.mine = await self.truth.upload()
        await self.truth.verify(Stage.ERROR)

    def check(self, watch: Watch) -> None:
        assert watch.shown[self.mine] is Stage.ERROR


class BrokenStorage(Story):
    async def meanwhile(self) -> None:
        self.mine = await self.truth.upload()
        assert await self.truth.caller.verify_next() is not None  # in vain

    def check(self, watch: Watch) -> None:
        assert watch.shown[self.mine] is Stage.COMPLETED

    async def afterwards(self) -> None:
        self.truth.caller.clock.advance(1)
        await self.truth.verify()


class DeadWorker(Story):
    async def meanwhile(self) -> None:
        self.truth.caller.embedded.worker.resume()
        self.mine = await self.truth.upload()

    def check(self, watch: Watch) -> None:
        assert watch.shown[self.mine] is Stage.COMPLETED

    async def afterwards(self) -> None:
        """Another worker takes its place."""
        await self.truth.verify()


class YoungProjects(Story):
    async def meanwhile(self) -> None:
        with pytest.raises(httpx.HTTPStatusError, match="404"):
            await self.truth.caller.initiate(size=len(CONTENT))

    def check(self, watch: Watch) -> None:
        assert watch.shown == self.truth.stages

    async def afterwards(self) -> None:
        self.mine = await self.truth.upload()


STORIES: dict[FaultName, Callable[[Truth, Moment], Story]] = {
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
    FaultName.EXPIRED_TOKENS: NotAllowed,
    FaultName.EXPIRED_URLS: ExpiredUrls,
    FaultName.DEAD_WORKER: DeadWorker,
    FaultName.ALTERED_CHUNK: Corrupt,
    FaultName.LOST_CHUNK: Corrupt,
    FaultName.BROKEN_STORAGE: BrokenStorage,
    FaultName.YOUNG_PROJECTS: YoungProjects,
}


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.name)
@pytest.mark.parametrize("fault", FaultName, ids=str)
async def test_the_picture_is_true_through_a_fault_and_whole_after_it(
    place: Place, tmp_path: Path, fault: FaultName, moment: Moment
) -> None:
    async with watching(place, tmp_path / "store.db", several_pages) as watch:
        truth, faults = watch.truth, watch.truth.caller.embedded.faults
        story = STORIES[fault](truth, moment)

        async def begin() -> None:
            faults.start(fault, LAST_SECONDS.get(fault, inf), VALUES.get(fault))
            watch.road.is_impatient = fault in (FaultName.SLOW_ANSWERS, FaultName.DROPPED_ANSWERS)
            await story.meanwhile()

        if not moment.is_first_fetch:
            await watch.first_round()
            watch.check()
            assert watch.is_whole
        if moment.has_news:
            await news(truth)
        watch.road.before(moment.request, begin)
        await (watch.first_round() if moment.is_first_fetch else watch.round())
        await watch.road.happened()
        watch.check()
        await watch.round()
        watch.check()
        story.check(watch)
        assert watch.session.connection().state is story.state
        faults.stop(fault)
        watch.road.is_impatient = False
        await story.afterwards()
        await _until_whole(watch)
        watch.check_told()
        assert set(watch.states) <= GOOD | {story.state}
        assert await truth.listed() == truth.stages


async def _until_whole(watch: Watch) -> None:
    for _ in range(3):
        await watch.round()
        watch.check()
        if watch.is_whole:
            return
    assert watch.shown == watch.truth.stages
    assert watch.is_whole
