"""The full scan misses nothing while uploads arrive and are deleted, whatever paging headers the service sends."""

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import combinations, combinations_with_replacement, pairwise
from pathlib import Path
from random import Random

import httpx
import pytest
from tests.unit.monitor.shifting_service import HEADERS, ShiftingService
from tests.unit.monitor.sync.harness import SyncHarness, gaps

from upload_tui.errors import ServerError
from upload_tui.monitor.changes import UploadGone, UploadSeen
from upload_tui.monitor.store.store import Limits, Store
from upload_tui.status import Stage
from upload_tui.wire import RawPage, StatusShape

pytestmark = pytest.mark.slow


def a_service(uploads: int, largest_page: int, headers: frozenset[str] = HEADERS) -> ShiftingService:
    service = ShiftingService(5, StatusShape.A, largest_page, uploads, headers)
    service.is_ordered = True
    return service


def before_pages(service: ShiftingService, requests: Callable[[int], bool], change: Callable[[], object]) -> None:
    """Call `change` before each of these page requests (from 1) is answered."""
    pages = 0

    def count(request: httpx.Request) -> None:
        nonlocal pages
        if request.url.path.endswith("/uploads"):
            pages += 1
            if requests(pages):
                change()

    service.before_response = count


def remove_before(service: ShiftingService, requests: Callable[[int], bool], index: int = 0) -> None:
    """Delete an upload before each of these page requests (from 1) is answered."""
    before_pages(service, requests, lambda: service.uploads.pop(index))


def in_turn(*changes: Callable[[], object]) -> Callable[[], object]:
    """A function that calls the next one of these each time."""
    pending = iter(changes)

    def change() -> None:
        next(pending)()

    return change


@pytest.mark.parametrize(
    "headers",
    [
        HEADERS,
        *(HEADERS - {name} for name in sorted(HEADERS)),
        *(frozenset({name}) for name in sorted(HEADERS)),
        frozenset[str](),
    ],
    ids=lambda names: "+".join(sorted(names)) or "none",
)
@pytest.mark.parametrize("uploads", [0, 8, 10, 25])
async def test_all_are_known_when_the_service_returns_smaller_pages_than_requested(
    headers: frozenset[str], uploads: int
) -> None:
    service = a_service(uploads, 10, headers)
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    assert harness.picture() == harness.expected()
    assert harness.synchroniser.notice == ""
    service.start_upload()
    for _ in range(10):
        await harness.synchroniser.sync()
    assert harness.picture() == harness.expected()


@pytest.mark.parametrize("index", [0, 50], ids=["newest", "old"])
@pytest.mark.parametrize("headers", [HEADERS, HEADERS - {"X-Total"}], ids=["counted", "not-counted"])
async def test_none_is_missing_when_some_are_deleted_during_the_scan(headers: frozenset[str], index: int) -> None:
    service = a_service(460, 20, headers)
    remove_before(service, {3, 8}.__contains__, index)
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    assert {upload.name for upload in service.uploads} <= harness.names()
    assert service.requests < 60
    if "X-Total" in headers:  # otherwise the reconciler finds the deleted ones later
        assert harness.picture() == harness.expected()


@pytest.mark.parametrize(("uploads", "index"), [(11, 0), (13, 3)])
async def test_none_is_missing_when_two_are_deleted_between_pages_of_an_unknown_number(
    uploads: int, index: int
) -> None:
    for first, second in combinations_with_replacement(range(2, 8), 2):
        service = a_service(uploads, 5, frozenset())
        remove_before(service, {first, second}.__contains__, index)
        harness = SyncHarness(service)
        await harness.synchroniser.sync()
        assert {upload.name for upload in service.uploads} <= harness.names(), (first, second)


@pytest.mark.parametrize(
    ("uploads", "largest_page", "arrivals"), [(13, 5, 1), (13, 7, 2), (15, 7, 1), (6, 2, 1), (8, 3, 1), (15, 4, 1)]
)
async def test_none_is_missing_when_one_is_deleted_and_others_arrive_between_pages_of_an_unknown_number(
    uploads: int, largest_page: int, arrivals: int
) -> None:
    for first, second in combinations(range(2, 10), 2):
        service = a_service(uploads, largest_page, frozenset())
        names = {upload.name for upload in service.uploads[1:]}

        def arrive(service: ShiftingService = service) -> None:
            for _ in range(arrivals):
                service.start_upload()

        before_pages(service, {first, second}.__contains__, in_turn(partial(service.uploads.pop, 0), arrive))
        harness = SyncHarness(service)
        await harness.synchroniser.sync()
        assert names <= harness.names(), (first, second)


async def test_none_is_missing_when_one_is_deleted_and_then_as_many_as_two_pages_have() -> None:
    """A page that is read again to close a gap has then other rows, and those above it were moved past."""
    for first, second in combinations(range(2, 9), 2):
        service = a_service(40, 5, frozenset())
        kept = {upload.name for upload in service.uploads[10:]}

        def delete(count: int, service: ShiftingService = service) -> None:
            del service.uploads[:count]

        before_pages(service, {first, second}.__contains__, in_turn(partial(delete, 1), partial(delete, 9)))
        harness = SyncHarness(service)
        await harness.synchroniser.sync()
        assert kept <= harness.names(), (first, second)


@pytest.mark.parametrize("headers", [HEADERS - {"X-Total"}, frozenset()], ids=["size", "none"])
async def test_none_is_missing_when_the_list_grows_again_after_its_end_was_read(headers: frozenset[str]) -> None:
    """Two are deleted after a page of five was read, and two arrive before it is read again."""
    for uploads in (5, 6, 7):
        for moment in range(2, 7):
            service = a_service(uploads, 5, headers)
            kept = {upload.name for upload in service.uploads[2:]}

            def delete(service: ShiftingService = service) -> None:
                del service.uploads[:2]

            def arrive(service: ShiftingService = service) -> None:
                service.start_upload()
                service.start_upload()

            before_pages(service, {2, moment + 1}.__contains__, in_turn(delete, arrive))
            harness = SyncHarness(service)
            await harness.synchroniser.sync()
            assert kept <= harness.names(), (uploads, moment)


def change_often(service: ShiftingService, rng: Random, *, is_exchange: bool) -> set[str]:
    """Let uploads arrive and be deleted before pages are answered; return the names of those that stay, which become fewer.

    Args:
        service: the service.
        rng: draws what happens.
        is_exchange: one is deleted and one arrives by turns, so that totals hardly show it; otherwise one or two of either.
    """
    kept, changes = {upload.name for upload in service.uploads}, rng.randrange(10, 60)
    rate, count = rng.choice((0.3, 0.6, 1.0)), 0

    def delete() -> None:
        if service.uploads:
            kept.discard(service.uploads.pop(rng.choice((0, rng.randrange(len(service.uploads))))).name)

    def change() -> None:
        nonlocal count
        count += 1
        for _ in range(1 if is_exchange else rng.randrange(1, 3)):
            (delete if (count % 2 if is_exchange else rng.random() < 0.5) else service.start_upload)()

    before_pages(service, lambda _: count < changes and rng.random() < rate, change)
    return kept


MISSED_ONE = (183, 472, 526, 780, 820, 840, 863, 880, 1173, 2320)
"""Seeds with which an upload was missed once."""


@pytest.mark.parametrize("is_exchange", [False, True], ids=["mixed", "exchange"])
@pytest.mark.parametrize("headers", [HEADERS, frozenset()], ids=["all", "none"])
async def test_none_is_missing_whatever_arrives_and_is_deleted_between_pages(
    headers: frozenset[str], is_exchange: bool
) -> None:
    for seed in (*range(12), *MISSED_ONE):
        rng = Random(seed)
        service = a_service(rng.randrange(2, 20), rng.choice((5, 7)), headers)
        service.is_ordered = rng.random() < 0.5
        kept = change_often(service, rng, is_exchange=is_exchange)
        harness = SyncHarness(service)
        await harness.synchroniser.sync()
        assert kept <= harness.names(), (seed, kept - harness.names())


@pytest.mark.parametrize("largest_page", [5, 100])
@pytest.mark.parametrize(
    "headers",
    [
        HEADERS,
        *(HEADERS - {name} for name in sorted(HEADERS)),
        *(frozenset({name}) for name in sorted(HEADERS)),
        frozenset[str](),
    ],
    ids=lambda names: "+".join(sorted(names)) or "none",
)
async def test_each_upload_that_cannot_be_read_is_counted_once_and_all_others_are_known(
    headers: frozenset[str], largest_page: int
) -> None:
    for uploads, places in ((2, (0, 1)), (7, (6,)), (8, (0, 7)), (9, (8,)), (23, (0,)), (23, (0, 22)), (23, (0, 1, 2))):
        service = a_service(uploads, largest_page, headers)
        service.unreadable_ids.update(service.uploads[place].id for place in places)
        harness = SyncHarness(service)
        await harness.synchroniser.sync()
        assert len(harness.names()) == uploads - len(places), (uploads, places)
        count = f"{len(places)} of {uploads}" if "X-Total" in headers else f"at least {len(places)}"
        assert harness.synchroniser.notice.startswith(f"{count} upload"), (uploads, places)


@pytest.mark.parametrize("heals", [False, True])
@pytest.mark.parametrize("headers", [HEADERS - {"X-Total"}, frozenset[str]()], ids=["not-counted", "none"])
async def test_none_is_missing_when_one_is_deleted_and_one_arrives_while_a_page_is_read_in_pieces(
    headers: frozenset[str], heals: bool
) -> None:
    number = total_requests = 3 if heals else 2  # the odd moments for one, the even for the other
    while number <= total_requests:
        service = a_service(8, 100, headers)
        service.unreadable_ids.add(service.uploads[5].id)
        listed = {upload.name for upload in service.uploads} - {service.uploads[5].name}

        def delete(service: ShiftingService = service, listed: set[str] = listed) -> None:
            listed.remove(service.uploads.pop(0).name)
            if heals:
                service.unreadable_ids.clear()

        before_pages(service, {number, number + 1}.__contains__, in_turn(delete, service.start_upload))
        harness = SyncHarness(service)
        await harness.synchroniser.sync()
        assert listed <= harness.names(), (number, listed - harness.names())
        number, total_requests = number + 2, service.requests


async def test_a_scan_in_pieces_of_an_unknown_number_ends_though_uploads_arrive() -> None:
    service = a_service(12, 100, HEADERS - {"X-Total"})
    service.unreadable_ids.add(service.uploads[7].id)
    before_pages(service, lambda number: number % 10 == 1, service.start_upload)
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    assert harness.synchroniser.notice == "at least 1 upload cannot be read"


@pytest.mark.parametrize("headers", [HEADERS - {"X-Total"}, frozenset[str]()], ids=["not-counted", "none"])
@pytest.mark.parametrize("number", [2, 3, 4])
async def test_none_is_missing_when_as_many_arrive_between_two_pages_as_a_page_has(
    headers: frozenset[str], number: int
) -> None:
    """The page then lists the same uploads as the one before it, which is not the end."""
    service = a_service(18, 5, headers)
    names = {upload.name for upload in service.uploads}

    def arrive() -> None:
        for _ in range(5):
            service.start_upload()

    before_pages(service, {number}.__contains__, arrive)
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    assert names <= harness.names()
    assert harness.synchroniser.notice == ""


@pytest.mark.parametrize("headers", [HEADERS, frozenset(), frozenset({"X-Per-Page"})], ids=["all", "none", "size"])
@pytest.mark.parametrize("uploads", [0, 1, 5, 9, 10])
async def test_all_are_known_when_the_service_refuses_pages_after_the_last(
    uploads: int, headers: frozenset[str]
) -> None:
    service = a_service(uploads, 5, headers)
    service.refuses_pages_after_last = True
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    assert harness.names() == {upload.name for upload in service.uploads}


async def test_all_are_known_when_pages_are_smaller_than_the_service_reports() -> None:
    service = a_service(230, 25)
    answer = service.answer

    def with_wrong_size(request: httpx.Request) -> httpx.Response:
        response = answer(request)
        response.headers["X-Per-Page"] = request.url.params.get("per_page", "")
        return response

    service.answer = with_wrong_size  # type: ignore[method-assign]
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    assert harness.picture() == harness.expected()


async def test_the_scan_is_not_complete_when_some_were_deleted_in_the_last_pass() -> None:
    service = a_service(400, 10)
    remove_before(service, lambda number: number % 9 == 0)
    harness = SyncHarness(service, Store(limits=Limits(scan_passes=1)))
    with pytest.raises(ServerError, match="Uploads were deleted while"):
        await harness.synchroniser.sync()
    assert not harness.is_fully_scanned
    remove_before(service, lambda number: False)
    await harness.synchroniser.sync()
    assert harness.picture() == harness.expected()


async def test_the_scan_is_not_complete_when_no_page_joins_the_one_before_it() -> None:
    service = a_service(0, 5)

    def shift(request: httpx.Request) -> None:
        """As many are deleted as a page has; before each pass many arrive."""
        del service.uploads[:5]
        for _ in range(100 if request.url.params.get("per_page") == "1000" else 0):
            service.start_upload()

    service.before_response = shift
    harness = SyncHarness(service)
    with pytest.raises(ServerError, match="Uploads were deleted while"):
        await harness.synchroniser.sync()
    assert not harness.is_fully_scanned


async def test_none_is_missing_among_many_that_arrive_during_the_last_pass_though_one_of_them_is_deleted() -> None:
    for moment in range(22, 38):
        for later in (1, 2, 3):
            service = a_service(30, 5)
            delete = partial(service.uploads.pop, 0)

            def arrive(service: ShiftingService = service) -> None:
                for _ in range(12):
                    service.start_upload()

            # The first two repeat the pass.
            before_pages(service, {3, 11, moment, moment + later}.__contains__, in_turn(delete, delete, arrive, delete))
            harness = SyncHarness(service)
            await harness.synchroniser.sync()
            assert gaps(harness) == [], (moment, later)


async def test_pages_of_a_long_list_are_not_read_in_turn_though_some_are_deleted_in_each_pass() -> None:
    service = a_service(306, 3)
    names = {upload.name for upload in service.uploads[8:]}
    remove_before(service, lambda number: number % 40 == 0)
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    assert names <= harness.names()
    assert service.requests < 2.5 * 306 / 3


async def test_the_scan_is_complete_when_the_service_counts_more_than_it_lists() -> None:
    service = a_service(50, 10)
    answer = service.answer

    def with_larger_total(request: httpx.Request) -> httpx.Response:
        response = answer(request)
        response.headers["X-Total"] = "53"
        return response

    service.answer = with_larger_total  # type: ignore[method-assign]
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    assert harness.is_fully_scanned
    assert harness.synchroniser.notice == "3 of 53 uploads cannot be read"


async def test_an_upload_from_an_interrupted_scan_that_is_no_longer_listed_is_gone_after_the_next_scan() -> None:
    service = a_service(60, 10)
    store = Store()

    def disconnect(request: httpx.Request) -> None:
        if service.requests > 5:
            raise httpx.ConnectError("")

    service.before_response = disconnect
    first = SyncHarness(service, store)
    assert not await first.try_sync()
    gone = [upload for upload in service.uploads if upload.name in first.names()][7]
    service.uploads.remove(gone)
    service.before_response = lambda request: None
    second = SyncHarness(service, store)
    await second.synchroniser.sync()
    assert second.picture() == second.expected()
    assert [change.upload.name for change in second.published if isinstance(change, UploadGone)] == [gone.name]


@pytest.mark.parametrize("seconds", [0, -5000], ids=["", "the service's clock was set back"])
async def test_uploads_newer_than_another_process_full_scan_are_published_by_one_still_scanning(
    seconds: float, tmp_path: Path
) -> None:
    service = a_service(300, 20)
    quick, slow = (SyncHarness(service, Store(tmp_path / "store.db")) for _ in range(2))
    page_words, is_released = slow.client.raw_page, asyncio.Event()

    async def delayed(project_id: str, page: int, per_page: int) -> RawPage:
        if page == 5:
            await is_released.wait()
        return await page_words(project_id, page, per_page)

    slow.client.raw_page = delayed  # type: ignore[method-assign]
    reading = asyncio.create_task(slow.synchroniser.sync())
    await asyncio.sleep(0)
    await quick.synchroniser.sync()
    service.clock.seconds += seconds
    service.start_upload()
    service.advance(service.uploads[0])
    is_released.set()
    await reading
    for harness in (quick, slow):
        await harness.synchroniser.sync()
        kinds = [type(change) for change in harness.published]
        assert kinds.count(UploadSeen) == 1
        assert harness.published_stages() == {"u301": [Stage.INITIATED, Stage.COMPLETED]}


async def test_a_process_does_not_scan_again_what_another_has_scanned_since_both_started(tmp_path: Path) -> None:
    service = a_service(300, 20)
    for upload in service.uploads:
        service.advance(upload)
        service.advance(upload)
    first, second = (SyncHarness(service, Store(tmp_path / "store.db")) for _ in range(2))
    await first.synchroniser.sync()
    service.start_upload()
    service.requests = 0
    await second.synchroniser.sync()
    assert service.requests < 10
    await first.synchroniser.sync()
    for harness in (first, second):
        assert harness.published_stages() == {"u301": [Stage.INITIATED]}


async def test_other_tasks_run_between_the_pages_of_a_service_that_answers_without_waiting() -> None:
    service = a_service(500, 25)
    turn, turns_of_pages = 0, []

    async def count_turns() -> None:
        nonlocal turn
        while True:
            await asyncio.sleep(0)
            turn += 1

    service.before_response = lambda request: turns_of_pages.append(turn)
    counter = asyncio.create_task(count_turns())
    await SyncHarness(service).synchroniser.sync()
    counter.cancel()
    # Several turns: a change takes more than one until it is painted.
    pages = turns_of_pages[1:20]
    assert len(pages) == 19
    assert all(later - page >= 3 for page, later in pairwise(pages))
