"""Readings that arrive late, and the order of changes."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.monitor.shifting_service import ShiftingService
from tests.unit.monitor.sync.harness import PROJECT, SyncHarness

from upload_tui.monitor.changes import Change, StageReached, UploadRef
from upload_tui.monitor.sync.fetcher import PageFetcher
from upload_tui.monitor.sync.recorder import ChangeRecorder, sort_by_event_time
from upload_tui.monitor.sync.state import ProjectUploads, SyncState
from upload_tui.status import Certainty, Stage
from upload_tui.testing import NOW
from upload_tui.wire import StatusShape, read_upload_reading


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
    order = ProjectUploads(harness.store, PROJECT.id)
    recorder = ChangeRecorder(harness.store, order, fetcher, PROJECT.id, published.append)
    service.advance(upload)
    late = read_upload_reading(
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
