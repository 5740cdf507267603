"""Readings that arrive late, and the known of changes."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.monitor.shifting_service import ShiftingService
from tests.unit.monitor.sync.harness import PROJECT, SyncHarness

from upload_tui.monitor.changes import Change, StageReached, UploadGone, UploadRef
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.fetcher import PageFetcher
from upload_tui.monitor.sync.ingest import ingest
from upload_tui.monitor.sync.recorder import ChangeRecorder
from upload_tui.monitor.sync.round_changes import sort_by_event_time
from upload_tui.monitor.sync.state import KnownUploads, SyncState
from upload_tui.status import Certainty, Stage
from upload_tui.testing import NOW
from upload_tui.wire import StatusShape, UploadReading, parse_upload_reading


async def test_an_upload_is_fetched_again_when_a_reading_arrives_that_was_requested_before_the_last_one() -> None:
    service = ShiftingService(1, StatusShape.A, largest_page=1000, uploads=0)
    service.start_upload()
    harness = SyncHarness(service)
    await harness.synchroniser.sync()
    upload = service.uploads[0]
    stored = harness.store.get(upload.id)
    assert stored is not None
    published: list[Change] = []
    fetcher = PageFetcher(harness.client, SyncState(harness.store, PROJECT.id))
    known = KnownUploads(harness.store, PROJECT.id)
    recorder = ChangeRecorder(harness.store, known, fetcher, PROJECT.id, published.append)
    service.advance(upload)
    late = parse_upload_reading(
        {**service.resource(upload), "name": "outdated"},
        read_on=service.clock.now(),
        requested_on=stored.read_on - timedelta(seconds=1),
    )
    service.advance(upload)
    service.requests = 0
    assert await recorder.record_readings([late])
    assert service.requests == 1
    stored = harness.store.get(upload.id)
    assert stored is not None
    assert (stored.name, stored.stage) == (upload.name, upload.stage)
    assert stored.stage is not Stage.COMPLETED


async def test_what_another_process_found_is_published_before_an_upload_that_is_gone_now(tmp_path: Path) -> None:
    service = ShiftingService(1, StatusShape.A, largest_page=1000, uploads=1)
    first, second = (SyncHarness(service, Store(tmp_path / "store.db")) for _ in range(2))
    for harness in (first, second):
        await harness.synchroniser.sync()
    published: list[Change] = []
    fetcher = PageFetcher(second.client, SyncState(second.store, PROJECT.id))
    known = KnownUploads(second.store, PROJECT.id)
    recorder = ChangeRecorder(second.store, known, fetcher, PROJECT.id, published.append)
    service.start_upload()
    await first.synchroniser.sync()
    upload = service.uploads.pop(0)
    assert await recorder.refetch([upload.id])
    recorder.publish_changes()
    assert published == [*first.published, published[-1]]
    assert isinstance(published[-1], UploadGone)
    for harness in (first, second):
        harness.store.close()


@pytest.mark.parametrize("lead_seconds", [-1.0, -0.5, 0.0, 0.5, 1.0])
async def test_a_late_reading_takes_nothing_back_that_a_process_with_another_clock_has_read(
    lead_seconds: float,
) -> None:
    """Processes know the service's clock from a header in whole seconds. What is read much later counts, also an earlier stage."""
    service = ShiftingService(1, StatusShape.A, largest_page=1000, uploads=0)
    service.start_upload()
    upload, store = service.uploads[0], Store()
    initiated = service.resource(upload)
    service.advance(upload)

    def reading(resource: Mapping[str, Any], requested: float, answered: float) -> UploadReading:
        requested_on, read_on = (NOW + timedelta(seconds=seconds) for seconds in (requested, answered))
        return parse_upload_reading(resource, read_on=read_on, requested_on=requested_on)

    ingest(store, [reading(service.resource(upload), 9.8 + lead_seconds, 10.0 + lead_seconds)], "")
    late = ingest(store, [reading(initiated, 9.5, 10.2)], "", now=NOW + timedelta(seconds=10.2))
    assert (late.possibly_outdated, late.changed_count) == ((upload.id,), 0)
    assert ingest(store, [reading(initiated, 20.0, 20.2)], "", now=NOW + timedelta(seconds=20.2)).changed_count == 1


@pytest.mark.parametrize("seconds", [0.1, 0.7, 1.5, 2.5])
@pytest.mark.parametrize("rounds", [1, 2, 3])
async def test_an_earlier_stage_is_published_however_soon_a_round_follows_the_last_one(
    seconds: float, rounds: int
) -> None:
    """What a process has read itself in an earlier round is older than what it reads now, by any clock."""
    service = ShiftingService(1, StatusShape.A, largest_page=1000, uploads=3)
    upload = service.uploads[0]
    upload.reached = {Stage.INITIATED: upload.began, Stage.COMPLETED: upload.began, Stage.ERROR: upload.began}
    harness = SyncHarness(service)
    for _ in range(rounds):
        await harness.synchroniser.sync()
        service.clock.seconds += seconds
    del upload.reached[Stage.ERROR]
    upload.reached[Stage.COMPLETED] = service.clock.seconds  # with the same time it would be an older answer
    await harness.synchroniser.sync()
    assert harness.published_stages()[upload.name] == [Stage.COMPLETED]
    service.clock.seconds += seconds
    upload.reached[Stage.ERROR] = service.clock.seconds
    await harness.synchroniser.sync()
    assert harness.published_stages()[upload.name] == [Stage.COMPLETED, Stage.ERROR]


def reached(name: str, seconds: float | None, number: int) -> StageReached:
    """A change; the number makes it different from others."""
    ref = UploadRef(name, name, "p-1", "Genome")
    on = None if seconds is None else NOW + timedelta(seconds=seconds)
    certainty = Certainty.OBSERVED if on is None else Certainty.REPORTED
    return StageReached(
        at=NOW, upload=ref, before=None, after=Stage.COMPLETED, on=on, certainty=certainty, error_message=str(number)
    )


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(-9, 9))))
def test_changes_of_one_upload_keep_their_order_when_changes_are_sorted_by_time(
    events: list[tuple[str, int | None]],
) -> None:
    changes = [reached(name, seconds, number) for number, (name, seconds) in enumerate(events)]
    ordered = sort_by_event_time(changes)
    assert sorted(changes, key=repr) == sorted(ordered, key=repr)
    for name in "abc":
        assert [one for one in ordered if one.upload.id == name] == [one for one in changes if one.upload.id == name]
    if len({name for name, _ in events}) == len(events):
        times = [change.on or change.at for change in ordered if isinstance(change, StageReached)]
        assert times == sorted(times)
