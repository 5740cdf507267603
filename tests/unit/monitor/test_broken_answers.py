"""One broken upload or page never hides the rest, and is not taken for trouble with the whole service."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
from tests.unit.monitor.shifting_service import ShiftingService
from tests.unit.monitor.watch import Watch

from upload_tui.client import gather_all
from upload_tui.errors import AuthError, BusyStorageError, ServerError, UnreachableError
from upload_tui.monitor.model import ConnectionState
from upload_tui.monitor.sessions.connection import ConnectionTracker
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync import fetcher, full_scan, new_uploads, page_workers
from upload_tui.status import Stage
from upload_tui.testing import NOW, FrozenClock
from upload_tui.wire import StatusShape


def timed_out() -> httpx.Response:
    raise httpx.ReadTimeout("")


REFUSALS: dict[str, Callable[[], httpx.Response]] = {
    "500": lambda: httpx.Response(500, json={"error": 500, "reason": "x"}),
    "503": lambda: httpx.Response(503, json={"error": 503, "reason": "Request Timeout"}),
    "403": lambda: httpx.Response(403, json={"error": 403, "reason": "Unauthorized"}),
    "400": lambda: httpx.Response(400, json={"error": "x"}),
    "html": lambda: httpx.Response(200, content=b"<html>"),
    "timeout": timed_out,
}
any_refusal = pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)


def a_service(uploads: int, *, finished: bool = True) -> ShiftingService:
    service = ShiftingService(5, StatusShape.A, largest_page=1000, uploads=0)
    for _ in range(uploads):
        service.begin()
        if finished:
            service.go_on(service.lives[0])
            service.go_on(service.lives[0])
    return service


def mended(service: ShiftingService) -> None:
    service.broken.clear()


@any_refusal
@pytest.mark.parametrize("is_bulk", [False, True], ids=["few", "many"])
async def test_all_others_are_known_when_one_upload_breaks_its_page_in_the_first_fetch(
    monkeypatch: pytest.MonkeyPatch, refusal: Callable[[], httpx.Response], is_bulk: bool
) -> None:
    monkeypatch.setattr(full_scan, "_BULK_THRESHOLD", 100 if is_bulk else 10**6)
    monkeypatch.setattr(page_workers, "_MIN_UPLOADS", 10**6)
    service = a_service(2300)
    service.refusal = refusal
    broken = service.lives[1500]
    service.broken = {broken.id}
    watch = Watch(service)
    await watch.synchroniser.sync()
    assert watch.synchroniser.is_fully_scanned
    assert {life.name for life in service.lives} - watch.names() == {broken.name}
    assert watch.synchroniser.notice == "1 of 2,300 uploads cannot be read"
    assert service.requests < 40
    service.begin()
    service.requests = 0
    await watch.synchroniser.sync()
    assert service.requests < 8  # not looked for with all means, but asked for again
    mended(service)
    await watch.synchroniser.sync()
    assert watch.picture() == watch.truth()
    assert watch.synchroniser.notice == ""
    assert watch.store.fact("owed p-1") == []


@pytest.mark.parametrize("place", [0, 1, 19])
async def test_others_are_known_when_an_upload_among_the_newest_breaks_the_first_page(place: int) -> None:
    service = a_service(300)
    service.broken = {service.lives[place].id}
    watch = Watch(service)
    await watch.synchroniser.sync()
    assert len(watch.names()) == 299
    service.begin()
    await watch.synchroniser.sync()
    assert service.lives[0].name in watch.names()
    service.broken = {service.lives[0].id}
    service.begin()
    service.begin()
    await watch.synchroniser.sync()
    assert len(watch.names()) == 303


async def test_what_could_not_be_read_is_read_in_a_later_visit() -> None:
    service = a_service(2300)
    service.broken = {life.id for life in service.lives[1000:2000]}
    watch = Watch(service)
    await watch.synchroniser.sync()
    assert len(watch.names()) == 1300
    assert service.requests < 150  # a page that fails all through is not read row by row
    for _ in range(10):
        service.begin()
    mended(service)
    later = Watch(service, watch.store)
    for _ in range(30):
        await later.synchroniser.sync()
    assert later.picture() == later.truth()


async def test_the_check_goes_on_when_an_old_page_fails() -> None:
    service = a_service(200)
    watch = Watch(service)
    await watch.synchroniser.sync()
    service.broken = {service.lives[70].id}
    gone = service.lives.pop(150)
    for _ in range(24):
        await watch.synchroniser.sync()
    assert gone.name not in watch.names()


@any_refusal
async def test_a_pending_upload_that_cannot_be_read_is_marked_once_and_holds_up_nothing(
    refusal: Callable[[], httpx.Response],
) -> None:
    service = a_service(200)
    for place in (100, 150):
        service.lives[place].reached = {Stage.INITIATED: service.lives[place].began}
    watch = Watch(service)
    await watch.synchroniser.sync()
    broken, other = service.lives[100], service.lives[150]
    service.refusal, service.broken = refusal, {broken.id}
    service.go_on(other)
    assert await watch.synchroniser.sync() is True
    stored = watch.store.get(broken.id)
    assert stored is not None
    assert stored.is_stale
    stored = watch.store.get(other.id)
    assert stored is not None
    assert stored.stage is Stage.COMPLETED
    assert await watch.synchroniser.sync() is False  # the interval grows: nothing changed any more
    mended(service)
    await watch.settle(3)


@pytest.mark.parametrize(
    ("refusal", "error"),
    [("500", ServerError), ("403", AuthError), ("timeout", UnreachableError)],
)
@pytest.mark.parametrize("after", [0, 2, 4], ids=["from-the-start", "soon", "later"])
async def test_the_round_fails_when_the_service_answers_nothing_any_more(
    refusal: str, error: type[Exception], after: int
) -> None:
    service = a_service(5000)
    watch = Watch(service)

    def fail_after(request: httpx.Request) -> httpx.Response:
        return REFUSALS[refusal]() if service.requests >= after else answer(request)

    answer = service.answer
    service.answer = fail_after  # type: ignore[method-assign]
    watch = Watch(service)
    with pytest.raises(error):
        await watch.synchroniser.sync()
    assert not watch.synchroniser.is_fully_scanned


async def test_news_that_broke_off_in_the_middle_are_read_to_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_uploads, "_MAX_BUFFERED", 100)  # uploads, which are two pages here
    service = a_service(100)
    service.largest_page = 50
    watch = Watch(service)
    await watch.synchroniser.sync()
    for _ in range(400):
        service.begin()

    def break_off(request: httpx.Request) -> None:
        if service.requests > 5:
            raise httpx.ConnectError("")

    service.requests = 0
    service.before_answer = break_off
    with pytest.raises(UnreachableError):
        await watch.synchroniser.sync()
    assert len(watch.names()) > 200
    service.before_answer = lambda request: None
    later = Watch(service, watch.store)
    await later.synchroniser.sync()
    assert later.picture() == later.truth()
    service.requests = 0
    await later.synchroniser.sync()
    assert service.requests < 15


async def test_a_busy_store_comes_out_as_itself_when_several_ask_at_once() -> None:
    async def busy() -> None:
        raise BusyStorageError("busy")

    with pytest.raises(BusyStorageError):
        await gather_all([busy(), asyncio.sleep(0)])


def test_what_is_missing_is_said_while_the_connection_is_live() -> None:
    keeper = ConnectionTracker(FrozenClock(), lambda connection: None)
    keeper.notice = "1 of 50 uploads cannot be read"
    keeper.synced(NOW)
    assert (keeper.current.state, keeper.current.reason) == (ConnectionState.LIVE, keeper.notice)
    keeper.failed(ServerError("trouble"))
    assert keeper.current.reason == "trouble"
    keeper.notice = ""
    keeper.synced(NOW)
    assert keeper.current.reason == ""


def test_rows_are_owed_until_they_are_read_though_new_ones_come_above_them() -> None:
    store = Store()
    owed = fetcher.UnreadableRows(store, "p-1")
    owed.mark_read(1000, 100, 100, [(120, 20), (150, 1)])
    assert owed.count == 21
    owed.mark_read(1010, 130, 5)  # ten have come: the first five of the twenty
    assert owed.count == 16
    again = fetcher.UnreadableRows(store, "p-1")
    assert {again.next_to_retry(1010), again.next_to_retry(1010)} == {(135, 15), (160, 1)}
    again.mark_read(1010, 0, 1010)
    assert again.next_to_retry(1010) is None
    assert fetcher.UnreadableRows(store, "p-1").count == 0
