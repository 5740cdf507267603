"""A store is bounded over a service that deletes old uploads."""

from collections.abc import AsyncIterator

from tests.unit.monitor.shifting_service import ShiftingService
from tests.unit.monitor.sync.harness import SyncHarness

from upload_tui.monitor.changes import UploadGone
from upload_tui.monitor.store.store import Limits, Store
from upload_tui.wire import StatusShape

LISTED = 40
"""How many uploads the service keeps."""
KEPT, SURPLUS = 30, 10
ROUNDS, PER_ROUND = 30, 10


def a_store() -> Store:
    return Store(limits=Limits(gone_uploads_kept=KEPT, gone_uploads_surplus=SURPLUS))


def a_round(service: ShiftingService) -> None:
    """Uploads arrive and are verified, and as many of the oldest are deleted."""
    for _ in range(PER_ROUND):
        service.start_upload()
        service.advance(service.uploads[0])
        service.advance(service.uploads[0])
        service.clock.seconds += 1
    del service.uploads[LISTED:]


async def rounds(harness: SyncHarness) -> AsyncIterator[int]:
    for number in range(ROUNDS):
        await harness.synchroniser.sync()
        a_round(harness.service)
        yield number
    await harness.settle()


def count(harness: SyncHarness, table: str) -> int:
    (rows,) = harness.store.db.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(rows)


async def test_the_store_stops_growing_while_uploads_come_and_go() -> None:
    harness = SyncHarness(ShiftingService(3, StatusShape.A, largest_page=1000, uploads=LISTED), a_store())
    async for _ in rounds(harness):
        gone = sum(one.upload_count for one in harness.store.partitions.select() if one.is_gone)
        assert gone < KEPT + SURPLUS
        assert count(harness, "uploads") < 2 * LISTED + KEPT + SURPLUS
        assert count(harness, "raw_json") == count(harness, "uploads")
    harness.store.db.execute(
        "INSERT INTO trigrams (trigrams, rank) VALUES ('integrity-check', 1)"
    )  # none are left over
    published = [change.upload for change in harness.published if isinstance(change, UploadGone)]
    assert len(published) == len({ref.id for ref in published}) == ROUNDS * PER_ROUND
    kept = {ref.id for ref in published if harness.store.get(ref.id) is not None}
    assert KEPT <= len(kept) < KEPT + SURPLUS
    assert kept <= {ref.id for ref in published[-2 * (KEPT + SURPLUS) :]}  # those that disappeared last


async def test_all_uploads_of_a_service_may_disappear_and_new_ones_are_found() -> None:
    service = ShiftingService(6, StatusShape.A, largest_page=1000, uploads=LISTED)
    harness = SyncHarness(service, a_store())
    await harness.synchroniser.sync()
    for _ in range(4):
        service.uploads.clear()
        await harness.settle()
        assert harness.names() == set()
        a_round(service)
        await harness.settle()
        assert len(harness.names()) == PER_ROUND
