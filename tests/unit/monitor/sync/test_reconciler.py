"""The comparison of old pages finds deleted and purged uploads with few requests, also across sessions."""

from collections import Counter

import httpx
import pytest
from tests.unit.monitor.shifting_service import ShiftingService, SimulatedUpload
from tests.unit.monitor.sync.harness import SyncHarness

from upload_tui.monitor.changes import UploadGone, UploadPurged
from upload_tui.monitor.store.database import DEFAULT_LIMITS, Limits
from upload_tui.monitor.store.store import Store
from upload_tui.status import Stage
from upload_tui.wire import StatusShape

pytestmark = pytest.mark.slow


def a_service(uploads: int, design: StatusShape = StatusShape.A, tie_rate: float = 0) -> ShiftingService:
    service = ShiftingService(5, design, largest_page=1000, uploads=0, tie_rate=tie_rate)
    for _ in range(uploads):
        service.start_upload()
        service.advance(service.uploads[0])
        service.advance(service.uploads[0])
    return service


async def scanned(service: ShiftingService, limits: Limits = DEFAULT_LIMITS) -> SyncHarness:
    harness = SyncHarness(service, Store(limits=limits))
    await harness.synchroniser.sync()
    return harness


@pytest.mark.parametrize("tie_rate", [0, 0.9, 1], ids=["none", "many", "all"])
async def test_deleted_uploads_are_found_when_others_were_initiated_at_the_same_time(tie_rate: float) -> None:
    service = a_service(200, tie_rate=tie_rate)
    harness = await scanned(service)
    gone = [service.uploads.pop(index) for index in (199, 150, 50, 15)]
    service.requests = 0
    await harness.settle(3)
    published = [change.upload.name for change in harness.published if isinstance(change, UploadGone)]
    assert sorted(published) == sorted(upload.name for upload in gone)
    assert service.requests < 20  # no upload that still exists is fetched alone


@pytest.mark.parametrize("has_total", [True, False])
@pytest.mark.parametrize("index", range(2))
async def test_one_empty_listing_is_asked_for_again_before_it_is_believed(index: int, has_total: bool) -> None:
    """Else each upload is requested alone, and the round is slow."""
    service = a_service(100)
    if not has_total:
        service.headers = frozenset({"X-Per-Page", "X-Next-Page"})
    harness = await scanned(service)
    uploads, service.requests = service.uploads, 0
    listings = iter([*[uploads] * index, []])
    service.before_response = lambda _: setattr(service, "uploads", next(listings, uploads))
    await harness.synchroniser.sync()
    await harness.synchroniser.sync()
    assert service.requests < 10
    assert len(harness.names()) == 100
    service.before_response, service.uploads = (lambda _: None), []
    await harness.synchroniser.sync()
    await harness.synchroniser.sync()
    assert harness.names() == set()


async def test_a_wrong_total_is_looked_into_at_once_even_when_requests_are_short() -> None:
    service = a_service(200)
    harness = await scanned(service)
    for _ in range(8):  # the next step of the comparison is then seven rounds away
        await harness.synchroniser.sync(is_frugal=True)
    gone = service.uploads.pop(5)
    for _ in range(2):
        await harness.synchroniser.sync(is_frugal=True)
    assert gone.name not in harness.names()


async def test_one_of_eight_frugal_rounds_compares_a_page() -> None:
    service = a_service(200)
    harness = await scanned(service)
    requests = record_requests(service)
    for _ in range(24):
        await harness.synchroniser.sync(is_frugal=True)
    assert len(requests) == 24 + 3


async def test_a_deleted_upload_is_found_at_its_place_when_the_service_reports_no_total() -> None:
    service = a_service(200)
    service.headers = frozenset({"X-Per-Page", "X-Next-Page"})
    harness = await scanned(service)
    gone = service.uploads.pop(50)
    for _ in range(4):
        await harness.synchroniser.sync()
    assert gone.name not in harness.names()


def name_no_next_page(service: ShiftingService) -> None:
    """Answer without a total, and as if each page were the last."""
    service.headers, answer = frozenset({"X-Per-Page"}), service._page

    def page(number: int, size: int) -> httpx.Response:
        response = answer(number, size)
        response.headers["X-Next-Page"] = ""
        return response

    service._page = page  # type: ignore[method-assign, assignment]


async def test_without_a_total_a_full_page_is_not_the_last() -> None:
    service = a_service(200)
    name_no_next_page(service)
    harness = await scanned(service)
    gone = service.uploads.pop(50)  # below the first page of the comparison
    requests = record_requests(service)
    for _ in range(4):
        await harness.synchroniser.sync()
    assert [one for one in requests if not one.isdecimal()] == [gone.id]  # no other seems missing
    assert gone.name not in harness.names()


async def test_without_a_total_the_comparison_ends_where_the_service_refuses_a_page() -> None:
    service = a_service(40)  # two full pages of the comparison
    name_no_next_page(service)
    service.refuses_pages_after_last = True
    harness = await scanned(service)
    for _ in range(3):
        await harness.synchroniser.sync()  # the third step requests the page after the last
    gone = service.uploads.pop(30)
    for _ in range(3):
        await harness.synchroniser.sync()
    assert gone.name not in harness.names()


async def test_without_a_total_a_comparison_counts_what_cannot_be_read() -> None:
    service = a_service(60)
    service.headers = frozenset({"X-Per-Page", "X-Next-Page"})
    broken, resource = service.uploads[30], service.resource
    service.resource = lambda upload: {"id": None} if upload is broken else resource(upload)  # type: ignore[method-assign]
    harness = await scanned(service)
    assert harness.synchroniser.unreadable_notice
    service.resource = resource  # type: ignore[method-assign]
    for _ in range(4):
        await harness.synchroniser.sync()
    assert not harness.synchroniser.unreadable_notice


async def test_an_unreadable_upload_does_not_make_later_steps_larger_while_uploads_keep_arriving() -> None:
    service = a_service(3000)
    broken, resource = service.uploads[1500], service.resource
    service.resource = lambda upload: {"id": None} if upload is broken else resource(upload)  # type: ignore[method-assign]
    harness = await scanned(service)
    sizes: Counter[int] = Counter()
    service.before_response = lambda request: sizes.update([int(request.url.params.get("per_page", 1))])
    service.new_per_request = 1
    for _ in range(40):
        await harness.synchroniser.sync()
    assert max(sizes) <= 100  # for pending uploads
    later = SyncHarness(service, harness.store)
    for _ in range(5):
        await later.synchroniser.sync()
    assert max(sizes) <= 100


async def test_the_comparison_continues_where_the_last_session_stopped() -> None:
    service = a_service(300, StatusShape.DEPLOYED)
    harness = await scanned(service)
    purged = service.uploads[250]
    purged.purged = service.clock.seconds
    for _ in range(16):
        await harness.synchroniser.sync()
        harness = SyncHarness(service, harness.store)
    stored = harness.store.get(purged.id)
    assert stored is not None
    assert stored.is_purged


async def test_a_purge_is_published_once() -> None:
    service = a_service(30, StatusShape.DEPLOYED)
    harness = await scanned(service)
    for upload in service.uploads:
        if upload.reached.keys() >= {"verified"}:
            upload.purged = service.clock.seconds
    resource = service.resource
    service.resource = lambda upload: {**resource(upload), "etag": str(service.requests)}  # type: ignore[method-assign]
    for _ in range(8):
        await harness.synchroniser.sync()
    published = [change.upload.name for change in harness.published if isinstance(change, UploadPurged)]
    assert sorted(published) == sorted(upload.name for upload in service.uploads if upload.purged is not None)
    assert published


async def test_larger_pages_are_compared_when_nothing_else_changes_and_there_are_very_many() -> None:
    service = a_service(1500)
    harness = await scanned(service, Limits(idle_steps=10))
    sizes: list[int] = []

    def record_size(request: httpx.Request) -> None:
        sizes.append(int(request.url.params["per_page"]))

    service.before_response = record_size
    await harness.synchroniser.sync()
    assert sizes == [20, 200]
    sizes.clear()
    service.start_upload()
    await harness.synchroniser.sync()
    assert sizes == [20, 20]


def record_requests(service: ShiftingService) -> list[str]:
    """The sizes of pages and the ids of uploads that are requested from now on."""
    requests: list[str] = []
    service.before_response = lambda request: requests.append(
        request.url.params.get("per_page") or request.url.path.rpartition("/")[2]
    )
    return requests


def hide(service: ShiftingService, *hidden: SimulatedUpload) -> None:
    """Leave uploads out of the pages and of the total, though each can be requested."""
    answer, uploads = service._page, service.uploads

    def page(number: int, size: int) -> httpx.Response:
        service.uploads = [upload for upload in uploads if upload not in hidden]
        try:
            return answer(number, size)
        finally:
            service.uploads = uploads

    service._page = page  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize("deleted", [0, 1])
async def test_the_comparison_begins_again_when_the_clock_was_set_back(deleted: int) -> None:
    service = a_service(100)
    harness = await scanned(service)
    for _ in range(3):
        await harness.synchroniser.sync()
    service.clock.seconds -= 3600
    gone = [service.uploads.pop(5) for _ in range(deleted)]  # above the place where the comparison stopped
    requests = record_requests(service)
    await harness.synchroniser.sync()
    assert [one for one in requests if not one.isdecimal()] == [upload.id for upload in gone]  # no other seems missing
    assert not {upload.name for upload in gone} & harness.names()


@pytest.mark.parametrize("is_reopened", [False, True], ids=["one session", "next session"])
async def test_a_difference_is_only_accepted_if_it_was_there_during_a_whole_comparison(*, is_reopened: bool) -> None:
    service = a_service(300)
    service.largest_page = 100
    harness = await scanned(service)
    for _ in range(8):
        await harness.synchroniser.sync()
    if is_reopened:
        harness = SyncHarness(service, harness.store)
        harness.synchroniser._fetcher.largest_page = 100  # else it starts before the moved upload
    older = service.uploads[50]
    moved = SimulatedUpload("moved", older.began, dict(older.reached))
    service.uploads.insert(51, moved)  # the comparison has passed this place
    for _ in range(4):
        await harness.synchroniser.sync()
    assert moved.name in harness.names()


async def test_uploads_that_are_no_longer_listed_but_exist_are_accepted() -> None:
    service = a_service(60)
    harness = await scanned(service)
    hidden = service.uploads[30]
    hide(service, hidden)
    requests = record_requests(service)
    for _ in range(3):
        await harness.synchroniser.sync()
    assert requests[:3] == ["20", "1000", hidden.id]
    assert requests.count("1000") == 1
    assert hidden.name in harness.names()


async def test_an_upload_that_is_not_listed_and_cannot_be_read_is_requested_once_in_a_comparison() -> None:
    service = a_service(100)
    harness = await scanned(service)
    hidden = service.uploads[10]
    hide(service, hidden)
    await harness.synchroniser.sync()  # accepts that it is not listed
    service.unreadable_ids = {hidden.id}
    requests = record_requests(service)
    for _ in range(5):
        await harness.synchroniser.sync()
    assert requests.count(hidden.id) == 1


async def test_one_step_requests_a_limited_number_of_missing_uploads_and_the_next_ones_the_others() -> None:
    service = a_service(200)
    harness = await scanned(service, Limits(single_requests=3))
    by_id = sorted(service.uploads, key=lambda upload: upload.id)
    hide(service, by_id[0])  # it stays missing: the others have their turn nevertheless
    gone = by_id[100:110]
    for upload in gone:
        service.uploads.remove(upload)
    requests = record_requests(service)
    for number in range(1, 5):
        await harness.synchroniser.sync()
        assert len([one for one in requests if not one.isdecimal()]) <= 3 * number
    assert not {upload.name for upload in gone} & harness.names()
    assert by_id[0].name in harness.names()


async def test_what_was_not_listed_earlier_does_not_excuse_what_is_missing_now() -> None:
    service = a_service(40)
    harness = await scanned(service, Limits(single_requests=1))
    hide(service, service.uploads[30])
    for _ in range(12):
        await harness.synchroniser.sync()
    del service.uploads[3:7]
    requests = record_requests(service)
    for _ in range(4):
        await harness.synchroniser.sync()
    assert requests.count("1000") == 4


async def test_an_accepted_difference_is_kept_for_the_next_session_and_moves_no_positions() -> None:
    service = a_service(100)
    unreadable, resource = service.uploads[60:], service.resource
    service.resource = lambda upload: {"id": None} if upload in unreadable else resource(upload)  # type: ignore[method-assign]
    for upload in service.uploads[20:40]:
        upload.reached = {Stage.INITIATED: upload.began}
    harness = await scanned(service)
    later = SyncHarness(service, harness.store)
    requests = record_requests(service)
    await later.synchroniser.sync()
    assert "1000" not in requests
    assert all(one.isdecimal() for one in requests)


async def test_nothing_is_missing_from_a_page_without_readable_uploads() -> None:
    service = a_service(100)
    unreadable, resource = service.uploads[20:40], service.resource
    service.resource = lambda upload: {"id": None} if upload in unreadable else resource(upload)  # type: ignore[method-assign]
    harness = await scanned(service)
    requests = record_requests(service)
    for _ in range(4):
        await harness.synchroniser.sync()
    assert requests
    assert all(one.isdecimal() for one in requests)
