"""The comparison of old pages finds deleted and purged uploads with few requests, also across sessions."""

from collections import Counter

import httpx
import pytest
from tests.unit.monitor.shifting_service import ShiftingService
from tests.unit.monitor.sync.harness import SyncHarness

from upload_tui.monitor.changes import UploadGone, UploadPurged
from upload_tui.monitor.store.database import STANDARD_LIMITS, Limits
from upload_tui.monitor.store.store import Store
from upload_tui.wire import StatusShape

pytestmark = pytest.mark.slow


def a_service(uploads: int, design: StatusShape = StatusShape.A, tie_rate: float = 0) -> ShiftingService:
    service = ShiftingService(5, design, largest_page=1000, uploads=0, tie_rate=tie_rate)
    for _ in range(uploads):
        service.start_upload()
        service.advance(service.uploads[0])
        service.advance(service.uploads[0])
    return service


async def scanned(service: ShiftingService, limits: Limits = STANDARD_LIMITS) -> SyncHarness:
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


async def test_a_deleted_upload_is_found_at_its_place_when_the_service_reports_no_total() -> None:
    service = a_service(200)
    service.headers = frozenset({"X-Per-Page", "X-Next-Page"})
    harness = await scanned(service)
    gone = service.uploads.pop(50)
    for _ in range(4):
        await harness.synchroniser.sync()
    assert gone.name not in harness.names()


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
