"""What is kept of readings that come late."""

from datetime import timedelta

from tests.unit.monitor.shifting_service import ShiftingService
from tests.unit.monitor.watch import PROJECT, Watch

from upload_tui.monitor.changes import Change
from upload_tui.monitor.store.project_order import ProjectOrder
from upload_tui.monitor.sync.fetcher import PageFetcher
from upload_tui.monitor.sync.recorder import ChangeRecorder
from upload_tui.status import Stage
from upload_tui.wire import StatusShape, read_upload_reading


async def test_an_upload_is_asked_for_again_when_a_reading_comes_that_was_asked_for_before_the_last_one() -> None:
    service = ShiftingService(1, StatusShape.A, largest_page=1000, uploads=0)
    service.begin()
    watch = Watch(service)
    await watch.synchroniser.sync()
    life = service.lives[0]
    stored = watch.store.get(life.id)
    assert stored is not None
    told: list[Change] = []
    enquiries = PageFetcher(watch.client, watch.store, PROJECT.id)
    order = ProjectOrder(watch.store, PROJECT.id)
    books = ChangeRecorder(watch.store, order, enquiries, PROJECT.id, told.append)
    service.go_on(life)
    late = read_upload_reading(
        {**service.resource(life), "name": "of old"},
        read_on=service.clock.now(),
        requested_on=stored.read_on - timedelta(seconds=1),
    )
    service.go_on(life)
    service.requests = 0
    assert await books.record_readings([late])
    assert service.requests == 1
    stored = watch.store.get(life.id)
    assert stored is not None
    assert (stored.name, stored.stage) == (life.name, life.stage)
    assert stored.stage is not Stage.COMPLETED
