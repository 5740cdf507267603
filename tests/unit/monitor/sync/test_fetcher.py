"""One broken upload or page never hides the rest and is not mistaken for a failing service."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
from tests.unit.monitor.shifting_service import HEADERS, ShiftingService
from tests.unit.monitor.sync.harness import SyncHarness

from upload_tui.client import gather_all
from upload_tui.errors import AuthError, BusyStorageError, ServerError, UnreachableError
from upload_tui.monitor.store.store import Limits, Store
from upload_tui.monitor.sync.state import SyncState, UnreadableRows
from upload_tui.status import Stage
from upload_tui.wire import StatusShape

pytestmark = pytest.mark.slow


def timed_out() -> httpx.Response:
    raise httpx.ReadTimeout("")


BROKEN_RESPONSES: dict[str, Callable[[], httpx.Response]] = {
    "500": lambda: httpx.Response(500, json={"error": 500, "reason": "x"}),
    "503": lambda: httpx.Response(503, json={"error": 503, "reason": "Request Timeout"}),
    "403": lambda: httpx.Response(403, json={"error": 403, "reason": "Unauthorized"}),
    "400": lambda: httpx.Response(400, json={"error": "x"}),
    "html": lambda: httpx.Response(200, content=b"<html>"),
    "timeout": timed_out,
}
any_broken_response = pytest.mark.parametrize("broken_response", BROKEN_RESPONSES.values(), ids=BROKEN_RESPONSES)


def a_service(uploads: int, *, finished: bool = True) -> ShiftingService:
    service = ShiftingService(5, StatusShape.A, largest_page=1000, uploads=0)
    for _ in range(uploads):
        service.start_upload()
        if finished:
            service.advance(service.uploads[0])
            service.advance(service.uploads[0])
    return service


def repair(service: ShiftingService) -> None:
    service.unreadable_ids.clear()


@pytest.mark.parametrize(
    ("response", "is_bulk"),
    [*((name, False) for name in BROKEN_RESPONSES), ("500", True), ("html", True), ("timeout", True)],
)
async def test_all_others_are_known_when_one_upload_breaks_its_page_in_the_full_scan(
    response: str, is_bulk: bool
) -> None:
    """In bulk, with one response of each kind: an error, no page, and none at all."""
    service = a_service(1150)
    service.largest_page = 500
    service.broken_response = BROKEN_RESPONSES[response]
    broken = service.uploads[750]
    service.unreadable_ids = {broken.id}
    limits = Limits(bulk_threshold=100 if is_bulk else 10**6, worker_threshold=10**6)
    harness = SyncHarness(service, Store(limits=limits))
    await harness.synchroniser.sync()
    assert harness.is_fully_scanned
    assert {upload.name for upload in service.uploads} - harness.names() == {broken.name}
    assert harness.synchroniser.notice == "1 of 1,150 uploads cannot be read"
    assert service.requests < 40
    service.start_upload()
    service.requests = 0
    await harness.synchroniser.sync()
    assert service.requests < 8  # retried, but not searched with all means
    repair(service)
    await harness.synchroniser.sync()
    assert harness.picture() == harness.expected()
    assert harness.synchroniser.notice == ""
    assert SyncState(harness.store, "p-1").unreadable_spans == []


@pytest.mark.parametrize("place", [0, 1, 19])
async def test_others_are_known_when_one_of_the_newest_uploads_breaks_the_first_page(place: int) -> None:
    service = a_service(300)
    service.unreadable_ids = {service.uploads[place].id}
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    assert len(harness.names()) == 299
    service.start_upload()
    await harness.synchroniser.sync()
    assert service.uploads[0].name in harness.names()
    service.unreadable_ids = {service.uploads[0].id}
    service.start_upload()
    service.start_upload()
    await harness.synchroniser.sync()
    assert len(harness.names()) == 303


@pytest.mark.parametrize(  # every two of place, size and headers
    ("place", "largest_page", "headers"),
    [
        (place, largest_page, [frozenset(), frozenset({"X-Next-Page"}), HEADERS][(number + size) % 3])
        for number, place in enumerate([0, 6, 7, 13, 14, 20, 23])
        for size, largest_page in enumerate([3, 7, 19])
    ],
)
async def test_one_of_many_new_uploads_that_cannot_be_read_is_reported_although_pages_are_small(
    place: int, largest_page: int, headers: frozenset[str]
) -> None:
    """They are requested by a larger size; that of a page that fails is not known."""
    service = ShiftingService(5, StatusShape.A, largest_page=largest_page, uploads=10, headers=headers)
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    later = SyncHarness(service, harness.store)
    for _ in range(24):
        service.start_upload()
    service.unreadable_ids = {service.uploads[place].id}
    await later.synchroniser.sync()
    assert {upload.name for upload in service.uploads} - later.names() == {service.uploads[place].name}
    assert "cannot be read" in later.synchroniser.notice


async def test_unreadable_uploads_are_read_in_a_later_session() -> None:
    service = a_service(2300)
    service.unreadable_ids = {upload.id for upload in service.uploads[1000:2000]}
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    assert len(harness.names()) == 1300
    assert service.requests < 150  # a page on which every row fails is not read row by row
    for _ in range(10):
        service.start_upload()
    repair(service)
    later = SyncHarness(service, harness.store)
    for _ in range(30):
        await later.synchroniser.sync()
    assert later.picture() == later.expected()


async def test_rows_that_keep_moving_are_not_read_again_and_again() -> None:
    service = a_service(60)
    service.headers = HEADERS - {"X-Total"}  # only a second reading shows whether rows have moved
    service.unreadable_ids = {upload.id for upload in service.uploads[20:50]}
    harness = SyncHarness(service)
    service.new_per_request = 1
    await harness.try_sync()
    assert service.requests < 400


async def test_the_comparison_continues_when_an_old_page_fails() -> None:
    service = a_service(200)
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    service.unreadable_ids = {service.uploads[70].id}
    gone = service.uploads.pop(150)
    for _ in range(24):
        await harness.synchroniser.sync()
    assert gone.name not in harness.names()


@any_broken_response
async def test_a_pending_upload_that_cannot_be_read_is_marked_once_and_blocks_nothing(
    broken_response: Callable[[], httpx.Response],
) -> None:
    service = a_service(200)
    for index in (100, 150):
        service.uploads[index].reached = {Stage.INITIATED: service.uploads[index].began}
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    broken, other = service.uploads[100], service.uploads[150]
    service.broken_response, service.unreadable_ids = broken_response, {broken.id}
    service.advance(other)
    assert await harness.synchroniser.sync() is True
    stored = harness.store.get(broken.id)
    assert stored is not None
    assert stored.is_stale
    stored = harness.store.get(other.id)
    assert stored is not None
    assert stored.stage is Stage.COMPLETED
    assert await harness.synchroniser.sync() is False  # nothing changed, so the interval grows
    repair(service)
    await harness.settle(3)


@pytest.mark.parametrize(
    ("broken_response", "error"),
    [("500", ServerError), ("403", AuthError), ("timeout", UnreachableError)],
)
@pytest.mark.parametrize("after", [0, 2, 4], ids=["from-the-start", "soon", "later"])
async def test_the_round_fails_when_the_service_stops_answering(
    broken_response: str, error: type[Exception], after: int
) -> None:
    service = a_service(5000)
    harness = SyncHarness(service)

    def fail_after(request: httpx.Request) -> httpx.Response:
        return BROKEN_RESPONSES[broken_response]() if service.requests >= after else answer(request)

    answer = service.answer
    service.answer = fail_after  # type: ignore[method-assign]
    harness = SyncHarness(service)
    with pytest.raises(error):
        await harness.synchroniser.sync()
    assert not harness.is_fully_scanned


async def test_new_uploads_are_read_completely_after_an_interruption() -> None:
    service = a_service(100)
    service.largest_page = 50
    harness = SyncHarness(service, Store(limits=Limits(buffered_uploads=100)))  # two pages
    await harness.synchroniser.sync()
    for _ in range(400):
        service.start_upload()

    def disconnect(request: httpx.Request) -> None:
        if service.requests > 5:
            raise httpx.ConnectError("")

    service.requests = 0
    service.before_response = disconnect
    with pytest.raises(UnreachableError):
        await harness.synchroniser.sync()
    assert len(harness.names()) > 200
    service.before_response = lambda request: None
    later = SyncHarness(service, harness.store)
    await later.synchroniser.sync()
    assert later.picture() == later.expected()
    service.requests = 0
    await later.synchroniser.sync()
    assert service.requests < 15


async def test_a_busy_store_is_raised_as_itself_by_one_of_several_concurrent_tasks() -> None:
    async def busy() -> None:
        raise BusyStorageError("busy")

    with pytest.raises(BusyStorageError):
        await gather_all([busy(), asyncio.sleep(0)])


def test_rows_are_unreadable_until_they_are_read_while_new_ones_arrive_above_them() -> None:
    store = Store()
    rows = UnreadableRows(SyncState(store, "p-1"))
    rows.mark_read(1000, 100, 100, [(120, 20), (150, 1)])
    assert rows.count == 21
    rows.mark_read(1010, 130, 5)  # ten have arrived; this reads the first five of the twenty
    assert rows.count == 16
    again = UnreadableRows(SyncState(store, "p-1"))
    assert {again.next_to_retry(1010), again.next_to_retry(1010)} == {(135, 15), (160, 1)}
    again.mark_read(1010, 0, 1010)
    assert again.next_to_retry(1010) is None
    assert UnreadableRows(SyncState(store, "p-1")).count == 0


@pytest.mark.parametrize("left", [2, 1, 0])
def test_no_rows_stay_unreadable_beyond_the_start_of_a_list_that_became_shorter(left: int) -> None:
    rows = UnreadableRows(SyncState(Store(), "p-1"))
    rows.mark_read(3, 0, 3, [(0, 1)])
    rows.mark_read(left, 10, 10)
    assert rows.next_to_retry(left) == ((0, 1) if left else None)
    rows.mark_read(left, 0, 3)
    assert rows.count == 0
