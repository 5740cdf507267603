"""The picture of a service that keeps changing: in the end it equals the service, and no change is published twice."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.unit.monitor.shifting_service import HEADERS, ShiftingService
from tests.unit.monitor.sync.harness import STUCK, SyncHarness, gaps

from upload_tui.errors import UnreachableError
from upload_tui.monitor.changes import StageReached, UploadChange, UploadGone, UploadSeen
from upload_tui.monitor.queries.query import Query
from upload_tui.monitor.store.store import Limits, Store
from upload_tui.status import Stage
from upload_tui.wire import StatusShape, UploadPage

pytestmark = pytest.mark.slow

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # an example of hundreds of steps cannot be shrunk much


SERVICES = st.builds(
    ShiftingService,
    seed=st.integers(0, 2**32),
    design=st.sampled_from(StatusShape),
    largest_page=st.sampled_from([3, 7, 1000]),
    uploads=st.integers(0, 25),
    headers=st.sampled_from([HEADERS, HEADERS, *(HEADERS - {name} for name in HEADERS), frozenset()]),
    tie_rate=st.sampled_from([0, 0.5, 1]),
    error_rate=st.sampled_from([0, 0.05, 0.2]),
)


def rounds_to_settle(service: ShiftingService) -> int:
    """A few rounds, and twice as many as it takes to compare all pages."""
    return 6 + 2 * -(-len(service.uploads) // min(20, service.largest_page))


@settings(max_examples=12, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])
@given(service=SERVICES, rounds=st.integers(0, 12))
async def test_the_picture_equals_the_service_when_changes_stop(service: ShiftingService, rounds: int) -> None:
    harness = SyncHarness(service)
    with service.changing():
        while not await harness.try_sync():  # uploads of the first successful round are not published
            pass
        before = {upload.name: set(upload.reached) for upload in service.uploads}
        for _ in range(rounds):
            await harness.try_sync()
    await harness.settle(rounds_to_settle(service))
    stages = harness.published_stages()
    seen = [change.upload.name for change in harness.published if isinstance(change, UploadSeen)]
    assert len(seen) == len(set(seen))
    for upload in service.uploads:
        reached = list(upload.reached)
        published = stages.get(upload.name, [])
        assert reached[len(reached) - len(published) :] == published, upload
        assert {stage for stage in reached if stage not in before.get(upload.name, set())} <= set(published), upload
        if upload.name not in before:
            assert published == reached, upload
    gone = [change.upload.name for change in harness.published if isinstance(change, UploadGone)]
    assert len(gone) == len(set(gone))
    assert not set(gone) & {upload.name for upload in service.uploads}
    harness.store.close()


@settings(max_examples=12, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])
@given(service=SERVICES, rounds=st.integers(1, 12))
async def test_two_processes_over_one_store_both_publish_everything_once(service: ShiftingService, rounds: int) -> None:
    with TemporaryDirectory() as folder:
        harnesses = [SyncHarness(service, Store(Path(folder) / "store.db"))]
        await harnesses[0].synchroniser.sync()
        await harnesses[0].settle()
        harnesses.append(SyncHarness(service, Store(Path(folder) / "store.db")))
        before = {upload.name: len(upload.reached) for upload in service.uploads}
        for harness in harnesses:
            harness.published.clear()
        with service.changing():
            for _ in range(rounds):
                await asyncio.gather(*(harness.try_sync() for harness in harnesses))
        for harness in harnesses:
            await harness.settle(rounds_to_settle(service))
        for harness in harnesses:
            await harness.synchroniser.sync()
            stages = harness.published_stages()
            for upload in service.uploads:
                assert stages.get(upload.name, []) == list(upload.reached)[before.get(upload.name, 0) :], upload
            assert len(harness.published) == len({repr(change) for change in harness.published})
            harness.store.close()


@settings(max_examples=8, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), design=st.sampled_from([StatusShape.A, StatusShape.DEPLOYED]))
async def test_nothing_is_missed_in_a_bulk_load(seed: int, design: StatusShape) -> None:
    service = ShiftingService(seed, design, largest_page=5, uploads=40)
    harness = SyncHarness(service, Store(limits=Limits(bulk_threshold=10)))
    with service.changing():
        await harness.try_sync()
    await harness.settle(rounds_to_settle(service))
    for row in harness.store.find(Query(), STUCK, 0, 1000).uploads:
        assert row.id in harness.store.raw_json.raw(row.id)
    harness.store.close()


async def test_the_full_scan_reads_each_page_once_while_uploads_keep_arriving() -> None:
    service = ShiftingService(7, StatusShape.DEPLOYED, largest_page=100, uploads=1000)
    service.new_per_request, service.is_ordered = 15, True
    harness = SyncHarness(service)
    async with harness.client:
        await harness.synchroniser.sync()
    assert service.requests < 1.5 * len(service.uploads) / 100
    assert not gaps(harness)


async def test_the_full_scan_leaves_no_gap_when_a_later_page_is_answered_first() -> None:
    service = ShiftingService(7, StatusShape.DEPLOYED, largest_page=100, uploads=1000)
    service.new_per_request = 15
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    assert not gaps(harness)
    assert service.requests < 2 * len(service.uploads) / 100


@pytest.mark.parametrize("per_request", [3, 20])
async def test_no_gap_is_left_among_new_uploads_when_some_arrive_during_every_request(per_request: int) -> None:
    service = ShiftingService(7, StatusShape.DEPLOYED, largest_page=100, uploads=50)
    harness = SyncHarness(service)
    async with harness.client:
        await harness.synchroniser.sync()
        service.new_per_request = per_request
        for _ in range(8):
            await harness.synchroniser.sync()
            assert not gaps(harness)
    names = [change.upload.name for change in harness.published if isinstance(change, UploadSeen)]
    assert names == sorted(set(names), key=lambda name: int(name[1:]))  # once, in order of arrival


@pytest.mark.parametrize(
    "headers", [HEADERS, HEADERS - {"X-Total"}, frozenset()], ids=["total", "no total", "no headers"]
)
@pytest.mark.parametrize("number", range(1, 5))
async def test_no_new_upload_is_left_out_when_as_many_as_a_page_has_arrive_between_two_pages(
    headers: frozenset[str], number: int
) -> None:
    """The next page is then the same as the last one."""
    service = ShiftingService(7, StatusShape.A, largest_page=3, uploads=9, headers=headers)
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    for _ in range(9):
        service.start_upload()
    due = service.requests + number

    def arrive(request: httpx.Request) -> None:
        for _ in range(3 * (service.requests == due)):
            service.start_upload()

    service.before_response = arrive
    await harness.synchroniser.sync()
    assert not gaps(harness)


@pytest.mark.parametrize("deleted", [1, 2, 7])
@pytest.mark.parametrize("number", range(2, 6))
async def test_no_new_upload_is_left_out_when_some_are_deleted_between_two_pages(number: int, deleted: int) -> None:
    """Those that follow move up, to a page that was read already."""
    service = ShiftingService(7, StatusShape.A, largest_page=3, uploads=9)
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    for _ in range(12):
        service.start_upload()
    due = service.requests + number

    def delete(request: httpx.Request) -> None:
        del service.uploads[: deleted * (service.requests == due)]

    service.before_response = delete
    await harness.synchroniser.sync()
    assert not gaps(harness)


@pytest.mark.parametrize("number", range(1, 9))
async def test_no_new_upload_is_left_out_when_all_were_initiated_at_the_same_time(number: int) -> None:
    """Whichever request they arrive before: those on a page that is compared with what is known may be new, too."""
    service = ShiftingService(7, StatusShape.A, largest_page=3, uploads=9, tie_rate=1)
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    service.start_upload()
    due = service.requests + number

    def arrive(request: httpx.Request) -> None:
        for _ in range(9 * (service.requests == due)):
            service.start_upload()

    service.before_response = arrive
    while service.requests < due:
        await harness.synchroniser.sync()
    await harness.synchroniser.sync()  # the next round has read them
    assert not gaps(harness)


async def test_pending_uploads_are_found_on_pages_while_new_ones_shift_them() -> None:
    service = ShiftingService(7, StatusShape.DEPLOYED, largest_page=100, uploads=0)
    for _ in range(600):
        service.start_upload()
    harness = SyncHarness(service)
    async with harness.client:
        await harness.synchroniser.sync()
        service.new_per_request = 10
        service.requests = 0
        await harness.synchroniser.sync()
    assert service.requests < 30  # single requests would be hundreds


async def test_a_new_session_does_not_fetch_again_what_the_last_one_stored() -> None:
    service = ShiftingService(1, StatusShape.A, largest_page=1000, uploads=600)
    for upload in service.uploads[10:]:
        service.advance(upload)
        service.advance(upload)
    first = SyncHarness(service)
    await first.synchroniser.sync()
    scan_bytes = service.bytes_sent
    service.start_upload()
    for upload in service.uploads[:11]:
        service.advance(upload)
    service.bytes_sent = 0
    second = SyncHarness(service, first.store)
    assert len(second.names()) == 600
    await second.synchroniser.sync()
    assert service.bytes_sent < scan_bytes / 5
    assert await second.settle() == 0
    assert second.published_stages()["u601"] == [Stage.INITIATED, Stage.COMPLETED]
    first.store.close()


async def test_a_broken_upload_hides_no_other_and_is_not_searched_for_ever() -> None:
    service = ShiftingService(3, StatusShape.A, largest_page=1000, uploads=50)
    harness = SyncHarness(service)
    resource, broken = service.resource, service.uploads[20]
    service.resource = lambda upload: {"id": None} if upload is broken else resource(upload)  # type: ignore[method-assign]
    for _ in range(5):
        await harness.synchroniser.sync()
    assert len(harness.names()) == 49
    service.requests = service.bytes_sent = 0
    await harness.synchroniser.sync()
    assert service.bytes_sent < 200_000
    assert not any(isinstance(change, UploadChange) for change in harness.published)
    harness.store.close()


async def test_a_round_publishes_changes_in_the_order_of_events() -> None:
    service = ShiftingService(seed=1, design=StatusShape.A, largest_page=1000, uploads=0)
    service.start_upload()
    harness = SyncHarness(service)
    await harness.settle()
    (old,) = service.uploads
    service.clock.seconds += 5
    service.start_upload()
    service.clock.seconds += 5
    service.advance(old)
    service.clock.seconds += 5
    service.advance(service.uploads[0])
    await harness.synchroniser.sync()
    assert [(type(change), change.upload.name) for change in harness.published if isinstance(change, UploadChange)] == [
        (UploadSeen, "u2"),
        (StageReached, "u2"),
        (StageReached, "u1"),
        (StageReached, "u2"),
    ]
    harness.store.close()


async def test_recorded_changes_are_published_when_the_round_fails() -> None:
    service = ShiftingService(seed=1, design=StatusShape.A, largest_page=1000, uploads=0)
    service.start_upload()
    harness = SyncHarness(service)
    await harness.settle()
    service.start_upload()
    read, pages = harness.client.upload_page, list[int]()

    async def fail_later(project_id: str, page: int, per_page: int) -> UploadPage:
        pages.append(page)
        if len(pages) > 1:
            raise UnreachableError("gone")
        return await read(project_id, page, per_page)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harness.client, "upload_page", fail_later)
        with pytest.raises(UnreachableError):
            await harness.synchroniser.sync()
    assert harness.published_stages() == {"u2": [Stage.INITIATED]}
    await harness.synchroniser.sync()
    assert harness.published_stages() == {"u2": [Stage.INITIATED]}
    harness.store.close()


async def test_the_picture_stays_correct_when_the_local_clock_is_set_back() -> None:
    service = ShiftingService(1, StatusShape.A, largest_page=1000, uploads=0)
    service.start_upload()
    service.advance(service.uploads[0])
    service.clock.seconds += 3600
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    service.advance(service.uploads[0])
    service.clock.seconds -= 3600
    await harness.synchroniser.sync()
    assert harness.picture() == harness.expected()
    assert [change.after for change in harness.published if isinstance(change, StageReached)] == [
        service.uploads[0].stage
    ]
    harness.store.close()


async def test_an_upload_that_comes_back_is_published_as_seen_between_two_deletions() -> None:
    service = ShiftingService(1, StatusShape.A, largest_page=1000, uploads=3)
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    all_uploads, upload = service.uploads, service.uploads[1]
    others = [other for other in all_uploads if other is not upload]
    for uploads in (others, all_uploads, others):
        service.uploads = [*uploads]
        await harness.settle()
    kinds = [
        type(change)
        for change in harness.published
        if isinstance(change, UploadChange) and change.upload.id == upload.id
    ]
    assert kinds == [UploadGone, UploadSeen, UploadGone]
    harness.store.close()


async def test_a_known_upload_is_stale_while_the_service_reports_it_as_not_consistent() -> None:
    service = ShiftingService(1, StatusShape.A, largest_page=1000, uploads=0)
    service.start_upload()
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    upload = service.uploads[0]
    hidden = {"error": 404, "code": "resource_not_consistent", "reason": "resource changes are still being processed"}
    answer = service.answer
    service.answer = lambda request: (  # type: ignore[method-assign]
        httpx.Response(404, json=hidden) if request.url.path.endswith(upload.id) else answer(request)
    )
    service.uploads = []
    harness = SyncHarness(service, harness.store)
    await harness.synchroniser.sync()
    stored = harness.store.get(upload.id)
    assert stored is not None
    assert (stored.is_stale, stored.is_gone) == (True, False)
    assert not await harness.synchroniser.sync()  # a repeated mark is no change
    harness.store.close()
