"""What pending uploads reach while their store is lost is published."""

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from tests.unit.monitor.shifting_service import ShiftingService, SimulatedUpload
from tests.unit.monitor.sync.harness import SyncHarness
from tests.unit.sources.lines import ON
from tests.unit.sources.scripted_source import SourceHarness

from upload_tui.errors import StorageResetError
from upload_tui.monitor import StageReached, UploadChange
from upload_tui.monitor.store.store import Entry, Limits, Store
from upload_tui.status import Stage
from upload_tui.wire import StatusShape

MEANWHILE = {
    "nothing": (0, []),
    "completed": (1, ["completed"]),
    "over": (2, ["completed", "over"]),
    "deleted": (-1, ["UploadGone"]),
}
"""How many stages an upload reaches, -1 if it is deleted; and what is published."""


def lose(store: Store) -> None:
    """Let the store be found to be damaged."""
    malformed = sqlite3.DatabaseError("database disk image is malformed")
    malformed.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    with suppress(StorageResetError):
        store.db.recover(malformed)


def changes_of(harness: SyncHarness | SourceHarness) -> list[str]:
    """Take what has been published: stages, the final ones as `over`, and the kinds of other changes."""
    published = harness.published if isinstance(harness, SyncHarness) else harness.changes
    found = [
        ("over" if change.after.is_final else str(change.after))
        if isinstance(change, StageReached)
        else type(change).__name__
        for change in published
        if isinstance(change, UploadChange)
    ]
    published.clear()
    return found


def a_service() -> ShiftingService:
    """A service with a new upload on top of others, some of which are over."""
    service = ShiftingService(3, StatusShape.A, largest_page=3, uploads=8)
    service.start_upload()
    return service


def let_happen(service: ShiftingService, upload: SimulatedUpload, meanwhile: str) -> None:
    stages, _ = MEANWHILE[meanwhile]
    for _ in range(stages):
        service.clock.seconds += 10
        service.advance(upload)
    if stages < 0:
        service.uploads.remove(upload)


@pytest.mark.parametrize("meanwhile", MEANWHILE)
@pytest.mark.parametrize("bulk_threshold", [3, 3000], ids=["bulk", "one by one"])
@pytest.mark.parametrize("read", ["first", "new", "by an earlier session"])
async def test_what_a_pending_upload_reaches_while_its_store_is_lost_is_published_once(
    read: str, bulk_threshold: int, meanwhile: str, tmp_path: Path
) -> None:
    service, limits = a_service(), Limits(bulk_threshold=bulk_threshold)
    harness = SyncHarness(service, Store(tmp_path / "store.db", limits=limits))
    await harness.synchroniser.sync()
    if read == "new":
        service.start_upload()
    if read == "by an earlier session":
        harness.store.close()
        harness = SyncHarness(service, Store(tmp_path / "store.db", limits=limits))
    await harness.synchroniser.sync()
    changes_of(harness)
    lose(harness.store)
    upload = service.uploads[0]
    let_happen(service, upload, meanwhile)
    service.start_upload()  # this one exists when the new store is first read
    for expected in (MEANWHILE[meanwhile][1], []):
        await harness.synchroniser.sync()
        assert changes_of(harness) == expected
    lose(harness.store)
    await harness.synchroniser.sync()
    assert changes_of(harness) == []
    assert harness.picture() == harness.expected()
    harness.store.close()


async def test_what_a_round_has_published_that_lost_its_store_is_not_published_again(tmp_path: Path) -> None:
    service = a_service()
    harness, upload = SyncHarness(service, Store(tmp_path / "store.db")), service.uploads[0]
    await harness.synchroniser.sync()
    let_happen(service, upload, "completed")

    def lose_later(_: httpx.Request) -> None:
        stored = harness.store.get(upload.id)
        if stored is not None and stored.stage is Stage.COMPLETED:
            lose(harness.store)
            service.before_response = lambda _: None

    service.before_response = lose_later
    with pytest.raises(StorageResetError):
        await harness.synchroniser.sync()
    assert changes_of(harness) == ["completed"]
    let_happen(service, upload, "completed")
    await harness.synchroniser.sync()
    assert changes_of(harness) == ["over"]
    harness.store.close()


@pytest.mark.parametrize("meanwhile", MEANWHILE)
async def test_what_another_process_has_found_in_the_new_store_is_published_too(meanwhile: str, tmp_path: Path) -> None:
    service = a_service()
    first, second = (SyncHarness(service, Store(tmp_path / "store.db")) for _ in range(2))
    for harness in (first, second):
        await harness.synchroniser.sync()
    lose(first.store)
    let_happen(service, service.uploads[0], meanwhile)
    await first.synchroniser.sync()
    lose(second.store)
    await second.synchroniser.sync()
    await second.synchroniser.sync()
    assert changes_of(first) == changes_of(second) == MEANWHILE[meanwhile][1]
    for harness in (first, second):
        harness.store.close()


@pytest.mark.parametrize("meanwhile", ["completed", "over", "deleted"])
async def test_what_another_process_has_found_before_the_store_was_lost_is_published_once(
    meanwhile: str, tmp_path: Path
) -> None:
    """The transaction in which it is read is lost with the store."""
    service = a_service()
    first, second = (SyncHarness(service, Store(tmp_path / "store.db")) for _ in range(2))
    for harness in (first, second):
        await harness.synchroniser.sync()
    let_happen(service, service.uploads[0], meanwhile)
    await first.synchroniser.sync()
    put, lost = second.store.put, [second.store]

    def lose_once(uploads: Iterable[Entry]) -> None:
        if lost:
            lose(lost.pop())
            raise StorageResetError("")
        put(uploads)

    service.start_upload()  # it is stored, after what the other process has found was read
    second.store.put = lose_once  # type: ignore[method-assign]
    for _ in range(3):
        with suppress(StorageResetError):
            await second.synchroniser.sync()
    assert not lost
    assert changes_of(second) == MEANWHILE[meanwhile][1]
    for harness in (first, second):
        harness.store.close()


async def test_only_the_pending_uploads_that_changed_last_are_copied(tmp_path: Path) -> None:
    service = ShiftingService(3, StatusShape.A, largest_page=3, uploads=0)
    harness = SyncHarness(service, Store(tmp_path / "store.db", limits=Limits(pending_copies=2)))
    await harness.synchroniser.sync()
    for _ in range(4):
        service.start_upload()
        await harness.synchroniser.sync()
    changes_of(harness)
    lose(harness.store)
    for upload in service.uploads:
        service.advance(upload)
    await harness.synchroniser.sync()
    assert changes_of(harness) == ["completed"] * 2
    harness.store.close()


async def test_a_round_without_a_change_copies_nothing_also_if_not_all_pending_uploads_have_copies(
    tmp_path: Path,
) -> None:
    counts = []
    for limit in (2, 1000):
        service = ShiftingService(3, StatusShape.A, largest_page=100, uploads=0)
        for _ in range(9):
            service.start_upload()
        harness = SyncHarness(service, Store(tmp_path / f"{limit}.db", limits=Limits(pending_copies=limit)))
        await harness.synchroniser.sync()
        statements: list[str] = []
        harness.store.db.connection.set_trace_callback(statements.append)
        await harness.synchroniser.sync()
        counts.append(len(statements))
        harness.store.close()
    assert counts[0] == counts[1]


@pytest.mark.parametrize("meanwhile", MEANWHILE)
@pytest.mark.parametrize("read", ["first", "new"])
async def test_what_an_upload_of_a_source_reaches_while_its_store_is_lost_is_published_once(
    read: str, meanwhile: str, tmp_path: Path
) -> None:
    harness = SourceHarness(store=Store(tmp_path / "store.db"))
    others = {"b": {"stage": "verified", "on": ON}, "c": {"stage": "error", "on": ON}}
    await harness.print(others if read == "new" else {"a": {}, **others})
    await harness.print({"a": {}, **others})
    changes_of(harness)
    lose(harness.store)
    stages, expected = MEANWHILE[meanwhile]
    own = {} if stages < 0 else {"a": {"stage": ["initiated", "completed", "verified"][stages]}}
    for published in (expected[-1:], []):  # a line has one stage
        await harness.print({**own, **others, "d": {}})
        assert changes_of(harness) == published
    harness.store.close()
