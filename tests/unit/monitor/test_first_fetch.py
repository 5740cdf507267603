"""The first fetch: nothing is missed though uploads come and go meanwhile, whatever the service says of its pages."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.unit.monitor.shifting_service import HEADERS, ShiftingService
from tests.unit.monitor.watch import Watch

from upload_tui.errors import ServerError
from upload_tui.monitor.changes import UploadGone, UploadSeen
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync import full_scan
from upload_tui.status import Stage
from upload_tui.wire import RawPage, StatusShape


def a_service(uploads: int, largest_page: int, headers: frozenset[str] = HEADERS) -> ShiftingService:
    service = ShiftingService(5, StatusShape.A, largest_page, uploads, headers)
    service.is_prompt = True
    return service


def remove_before(service: ShiftingService, requests: Callable[[int], bool], place: int = 0) -> None:
    """One goes before each of these requests (from 1) for a page is answered."""
    pages = 0

    def remove(request: httpx.Request) -> None:
        nonlocal pages
        if request.url.path.endswith("/uploads"):
            pages += 1
            if requests(pages):
                service.lives.pop(place)

    service.before_answer = remove


@pytest.mark.parametrize(
    "headers",
    [HEADERS, *(HEADERS - {name} for name in HEADERS), *(frozenset({name}) for name in HEADERS), frozenset[str]()],
    ids=lambda names: "+".join(sorted(names)) or "none",
)
@pytest.mark.parametrize("uploads", [0, 20, 25, 230])
async def test_all_are_known_when_the_service_gives_fewer_on_a_page_than_asked(
    headers: frozenset[str], uploads: int
) -> None:
    service = a_service(uploads, 25, headers)
    watch = Watch(service)
    await watch.synchroniser.sync()
    assert watch.picture() == watch.truth()
    assert watch.synchroniser.notice == ""
    service.begin()
    for _ in range(25):
        await watch.synchroniser.sync()
    assert watch.picture() == watch.truth()


@pytest.mark.parametrize("place", [0, 50], ids=["newest", "old"])
@pytest.mark.parametrize("headers", [HEADERS, HEADERS - {"X-Total"}], ids=["counted", "not-counted"])
async def test_none_is_missing_when_some_go_while_all_are_read(headers: frozenset[str], place: int) -> None:
    service = a_service(2300, 100, headers)
    remove_before(service, {3, 8}.__contains__, place)
    watch = Watch(service)
    await watch.synchroniser.sync()
    assert {life.name for life in service.lives} <= watch.names()
    assert service.requests < 60
    if "X-Total" in headers:  # else nothing tells that some have gone, until the check comes by
        assert watch.picture() == watch.truth()


async def test_all_are_known_when_pages_are_shorter_than_the_service_says() -> None:
    service = a_service(230, 25)
    answer = service.answer

    def saying_more(request: httpx.Request) -> httpx.Response:
        response = answer(request)
        response.headers["X-Per-Page"] = request.url.params.get("per_page", "")
        return response

    service.answer = saying_more  # type: ignore[method-assign]
    watch = Watch(service)
    await watch.synchroniser.sync()
    assert watch.picture() == watch.truth()


async def test_it_is_not_called_whole_when_some_went_in_the_last_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full_scan, "_MAX_PASSES", 1)
    service = a_service(400, 10)
    remove_before(service, lambda number: number % 9 == 0)
    watch = Watch(service)
    with pytest.raises(ServerError, match="Uploads go while"):
        await watch.synchroniser.sync()
    assert not watch.synchroniser.is_fully_scanned
    remove_before(service, lambda number: False)
    await watch.synchroniser.sync()
    assert watch.picture() == watch.truth()


async def test_it_is_whole_though_the_service_counts_more_than_it_lists() -> None:
    service = a_service(50, 10)
    answer = service.answer

    def counting_more(request: httpx.Request) -> httpx.Response:
        response = answer(request)
        response.headers["X-Total"] = "53"
        return response

    service.answer = counting_more  # type: ignore[method-assign]
    watch = Watch(service)
    await watch.synchroniser.sync()
    assert watch.synchroniser.is_fully_scanned
    assert watch.synchroniser.notice == "3 of 53 uploads cannot be read"


async def test_what_an_unfinished_visit_left_and_is_listed_no_more_is_gone_after_the_next() -> None:
    service = a_service(60, 10)
    store = Store()

    def break_off(request: httpx.Request) -> None:
        if service.requests > 5:
            raise httpx.ConnectError("")

    service.before_answer = break_off
    first = Watch(service, store)
    assert not await first.round()
    gone = [life for life in service.lives if life.name in first.names()][7]
    service.lives.remove(gone)
    service.before_answer = lambda request: None
    second = Watch(service, store)
    await second.synchroniser.sync()
    assert second.picture() == second.truth()
    assert [change.upload.name for change in second.told if isinstance(change, UploadGone)] == [gone.name]


async def test_what_comes_after_another_dashboard_has_read_all_is_news_though_this_one_reads_for_the_first_time(
    tmp_path: Path,
) -> None:
    service = a_service(300, 20)
    quick, slow = (Watch(service, Store(tmp_path / "store.db")) for _ in range(2))
    page_words, is_let_go = slow.client.raw_page, asyncio.Event()

    async def held(project_id: str, page: int, per_page: int) -> RawPage:
        if page == 5:
            await is_let_go.wait()
        return await page_words(project_id, page, per_page)

    slow.client.raw_page = held  # type: ignore[method-assign]
    reading = asyncio.create_task(slow.synchroniser.sync())
    await asyncio.sleep(0)
    await quick.synchroniser.sync()
    service.begin()
    service.go_on(service.lives[0])
    is_let_go.set()
    await reading
    for watch in (quick, slow):
        await watch.synchroniser.sync()
        told = [type(change) for change in watch.told]
        assert told.count(UploadSeen) == 1
        assert watch.stages_told() == {"u301": [Stage.INITIATED, Stage.COMPLETED]}


async def test_a_dashboard_reads_nothing_again_that_another_has_read_since_both_began(tmp_path: Path) -> None:
    service = a_service(300, 20)
    for life in service.lives:
        service.go_on(life)
        service.go_on(life)
    first, second = (Watch(service, Store(tmp_path / "store.db")) for _ in range(2))
    await first.synchroniser.sync()
    service.begin()
    service.requests = 0
    await second.synchroniser.sync()
    assert service.requests < 10
    await first.synchroniser.sync()
    for watch in (first, second):
        assert watch.stages_told() == {"u301": [Stage.INITIATED]}
