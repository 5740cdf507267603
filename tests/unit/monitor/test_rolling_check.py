"""The check of old pages: what went and what was purged is found, for little, also over many visits."""

from collections import Counter

import httpx
import pytest
from tests.unit.monitor.shifting_service import ShiftingService
from tests.unit.monitor.watch import Watch

from upload_tui.monitor.changes import UploadGone, UploadPurged
from upload_tui.monitor.sync import reconciler
from upload_tui.wire import StatusShape


def a_service(uploads: int, design: StatusShape = StatusShape.A, ties: float = 0) -> ShiftingService:
    service = ShiftingService(5, design, largest_page=1000, uploads=0, ties=ties)
    for _ in range(uploads):
        service.begin()
        service.go_on(service.lives[0])
        service.go_on(service.lives[0])
    return service


async def whole(service: ShiftingService) -> Watch:
    watch = Watch(service)
    await watch.synchroniser.sync()
    return watch


@pytest.mark.parametrize("ties", [0, 0.9, 1], ids=["none", "many", "all"])
async def test_those_that_went_are_found_though_others_were_initiated_at_the_same_moment(ties: float) -> None:
    service = a_service(200, ties=ties)
    watch = await whole(service)
    gone = [service.lives.pop(place) for place in (199, 150, 50, 15)]
    service.requests = 0
    await watch.settle(3)
    told = [change.upload.name for change in watch.told if isinstance(change, UploadGone)]
    assert sorted(told) == sorted(life.name for life in gone)
    assert service.requests < 20  # none of those that are there is asked for alone


async def test_one_that_went_is_found_where_it_stood_when_the_service_does_not_count() -> None:
    service = a_service(200)
    service.headers = frozenset({"X-Per-Page", "X-Next-Page"})
    watch = await whole(service)
    gone = service.lives.pop(50)
    for _ in range(4):
        await watch.synchroniser.sync()
    assert gone.name not in watch.names()


async def test_what_cannot_be_read_makes_no_later_check_dearer_though_uploads_keep_coming() -> None:
    service = a_service(3000)
    broken, whole_resource = service.lives[1500], service.resource
    service.resource = lambda life: {"id": None} if life is broken else whole_resource(life)  # type: ignore[method-assign]
    watch = await whole(service)
    sizes: Counter[int] = Counter()
    service.before_answer = lambda request: sizes.update([int(request.url.params.get("per_page", 1))])
    service.new_each_time = 1
    for _ in range(40):
        await watch.synchroniser.sync()
    assert max(sizes) <= 100  # for the pending ones
    later = Watch(service, watch.store)
    for _ in range(5):
        await later.synchroniser.sync()
    assert max(sizes) <= 100


async def test_the_check_goes_on_where_the_last_visit_left_it() -> None:
    service = a_service(300, StatusShape.DEPLOYED)
    watch = await whole(service)
    purged = service.lives[250]
    purged.purged = service.clock.seconds
    for _ in range(16):
        await watch.synchroniser.sync()
        watch = Watch(service, watch.store)
    stored = watch.store.get(purged.id)
    assert stored is not None
    assert stored.is_purged


async def test_a_purge_is_told_once() -> None:
    service = a_service(30, StatusShape.DEPLOYED)
    watch = await whole(service)
    for life in service.lives:
        if life.reached.keys() >= {"verified"}:
            life.purged = service.clock.seconds
    whole_resource = service.resource
    service.resource = lambda life: {**whole_resource(life), "etag": str(service.requests)}  # type: ignore[method-assign]
    for _ in range(8):
        await watch.synchroniser.sync()
    told = [change.upload.name for change in watch.told if isinstance(change, UploadPurged)]
    assert sorted(told) == sorted(life.name for life in service.lives if life.purged is not None)
    assert told


async def test_larger_pages_are_checked_when_nothing_else_happens_and_there_are_very_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconciler, "_IDLE_STEPS", 10)
    service = a_service(1500)
    watch = await whole(service)
    sizes: list[int] = []

    def note(request: httpx.Request) -> None:
        sizes.append(int(request.url.params["per_page"]))

    service.before_answer = note
    await watch.synchroniser.sync()
    assert sizes == [20, 200]
    sizes.clear()
    service.begin()
    await watch.synchroniser.sync()
    assert sizes == [20, 20]
