"""The picture against a service that never holds still: what it says in the end is what is known, and nothing is told twice."""

import asyncio
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.unit.monitor.shifting_service import HEADERS, ShiftingService
from tests.unit.monitor.watch import STUCK, Watch, gaps

from upload_tui.errors import UnreachableError
from upload_tui.monitor.changes import StageReached, UploadChange, UploadGone, UploadRef, UploadSeen
from upload_tui.monitor.model import Query
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync import full_scan
from upload_tui.monitor.sync.event_order import sort_by_event_time
from upload_tui.monitor.sync.page_plan import plan_pages
from upload_tui.status import Certainty, Stage
from upload_tui.testing import NOW
from upload_tui.wire import StatusShape, UploadPage

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # a story of hundreds of steps cannot be made much shorter


SERVICES = st.builds(
    ShiftingService,
    seed=st.integers(0, 2**32),
    design=st.sampled_from(StatusShape),
    largest_page=st.sampled_from([3, 7, 1000]),
    uploads=st.integers(0, 40),
    headers=st.sampled_from([HEADERS, HEADERS, *(HEADERS - {name} for name in HEADERS), frozenset()]),
    ties=st.sampled_from([0, 0.5, 1]),
    trouble=st.sampled_from([0, 0.05, 0.2]),
)


def rounds_to_settle(service: ShiftingService) -> int:
    """A few, and twice as many as it takes to check all pages in turn."""
    return 6 + 2 * -(-len(service.lives) // min(20, service.largest_page))


@settings(max_examples=12, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])
@given(service=SERVICES, rounds=st.integers(0, 12))
async def test_the_picture_is_the_services_when_it_quiets_down(service: ShiftingService, rounds: int) -> None:
    watch = Watch(service)
    with service.restless():
        while not await watch.round():  # what it finds in the first round that goes well is no news
            pass
        before = {life.name: set(life.reached) for life in service.lives}
        for _ in range(rounds):
            await watch.round()
    await watch.settle(rounds_to_settle(service))
    told = watch.stages_told()
    seen = [change.upload.name for change in watch.told if isinstance(change, UploadSeen)]
    assert len(seen) == len(set(seen))
    for life in service.lives:
        reached = list(life.reached)
        said = told.get(life.name, [])
        assert reached[len(reached) - len(said) :] == said, life
        assert {stage for stage in reached if stage not in before.get(life.name, set())} <= set(said), life
        if life.name not in before:
            assert said == reached, life
    gone = [change.upload.name for change in watch.told if isinstance(change, UploadGone)]
    assert len(gone) == len(set(gone))
    assert not set(gone) & {life.name for life in service.lives}
    watch.store.close()


@settings(max_examples=12, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])
@given(service=SERVICES, rounds=st.integers(1, 12))
async def test_two_dashboards_over_one_store_both_tell_everything_once(service: ShiftingService, rounds: int) -> None:
    with TemporaryDirectory() as folder:
        watches = [Watch(service, Store(Path(folder) / "store.db"))]
        await watches[0].synchroniser.sync()
        await watches[0].settle()
        watches.append(Watch(service, Store(Path(folder) / "store.db")))
        before = {life.name: len(life.reached) for life in service.lives}
        for watch in watches:
            watch.told.clear()
        with service.restless():
            for _ in range(rounds):
                await asyncio.gather(*(watch.round() for watch in watches))
        for watch in watches:
            await watch.settle(rounds_to_settle(service))
        for watch in watches:
            await watch.synchroniser.sync()
            told = watch.stages_told()
            for life in service.lives:
                assert told.get(life.name, []) == list(life.reached)[before.get(life.name, 0) :], life
            assert len(watch.told) == len({repr(change) for change in watch.told})
            watch.store.close()


@settings(max_examples=8, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), design=st.sampled_from([StatusShape.A, StatusShape.DEPLOYED]))
async def test_nothing_is_missed_when_very_many_are_poured_in(seed: int, design: StatusShape) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(full_scan, "_BULK_THRESHOLD", 10)
        service = ShiftingService(seed, design, largest_page=5, uploads=40)
        watch = Watch(service)
        with service.restless():
            await watch.round()
        await watch.settle(rounds_to_settle(service))
        for row in watch.store.find(Query(), STUCK, 0, 1000).uploads:
            assert row.id in watch.store.raw(row.id)
        watch.store.close()


async def test_the_first_fetch_reads_all_once_though_uploads_keep_coming() -> None:
    service = ShiftingService(7, StatusShape.DEPLOYED, largest_page=100, uploads=1000)
    service.new_each_time, service.is_prompt = 15, True
    watch = Watch(service)
    async with watch.client:
        await watch.synchroniser.sync()
    assert service.requests < 1.5 * len(service.lives) / 100
    assert not gaps(watch)


async def test_the_first_fetch_leaves_no_gap_though_a_later_page_is_answered_first() -> None:
    service = ShiftingService(7, StatusShape.DEPLOYED, largest_page=100, uploads=1000)
    service.new_each_time = 15
    watch = Watch(service)
    await watch.synchroniser.sync()
    assert not gaps(watch)
    assert service.requests < 2 * len(service.lives) / 100


@pytest.mark.parametrize("per_request", [3, 20])
async def test_no_gap_is_left_among_the_news_when_uploads_come_during_every_request(per_request: int) -> None:
    service = ShiftingService(7, StatusShape.DEPLOYED, largest_page=100, uploads=50)
    watch = Watch(service)
    async with watch.client:
        await watch.synchroniser.sync()
        service.new_each_time = per_request
        for _ in range(8):
            await watch.synchroniser.sync()
            assert not gaps(watch)
    names = [change.upload.name for change in watch.told if isinstance(change, UploadSeen)]
    assert names == sorted(set(names), key=lambda name: int(name[1:]))  # once, and in the order in which they came


async def test_pending_uploads_are_found_on_pages_though_new_ones_shift_them() -> None:
    service = ShiftingService(7, StatusShape.DEPLOYED, largest_page=100, uploads=0)
    for _ in range(600):
        service.begin()
    watch = Watch(service)
    async with watch.client:
        await watch.synchroniser.sync()
        service.new_each_time = 10
        service.requests = 0
        await watch.synchroniser.sync()
    assert service.requests < 30  # one by one they would be hundreds


async def test_what_the_last_visit_knew_is_not_fetched_again_when_the_next_begins() -> None:
    service = ShiftingService(1, StatusShape.A, largest_page=1000, uploads=600)
    for life in service.lives[10:]:
        service.go_on(life)
        service.go_on(life)
    first = Watch(service)
    await first.synchroniser.sync()
    whole = service.bytes_sent
    service.begin()
    for life in service.lives[:11]:
        service.go_on(life)
    service.bytes_sent = 0
    second = Watch(service, first.store)
    assert len(second.names()) == 600
    await second.synchroniser.sync()
    assert service.bytes_sent < whole / 5
    assert await second.settle() == 0
    assert second.stages_told()["u601"] == [Stage.INITIATED, Stage.COMPLETED]
    first.store.close()


async def test_a_broken_upload_hides_no_other_and_is_not_looked_for_for_ever() -> None:
    service = ShiftingService(3, StatusShape.A, largest_page=1000, uploads=50)
    watch = Watch(service)
    whole, broken = service.resource, service.lives[20]
    service.resource = lambda life: {"id": None} if life is broken else whole(life)  # type: ignore[method-assign,assignment]
    for _ in range(5):
        await watch.synchroniser.sync()
    assert len(watch.names()) == 49
    service.requests = service.bytes_sent = 0
    await watch.synchroniser.sync()
    assert service.bytes_sent < 200_000
    told = [change for change in watch.told if isinstance(change, UploadChange)]
    assert told == []
    watch.store.close()


def test_pages_are_read_where_the_pending_stand_close_and_single_ones_asked_for_where_they_do_not() -> None:
    close = plan_pages(range(50))
    assert (close.per_page, close.pages) == (50, (1,))
    far = plan_pages([5, 70_000, 990_000])
    assert far.pages == ()
    both = plan_pages([*range(40), 90_000])
    assert both.pages == (1,)
    assert plan_pages(range(30), largest=10).per_page == 10


async def test_a_round_tells_in_the_order_of_events_whichever_upload_it_read_first() -> None:
    service = ShiftingService(seed=1, design=StatusShape.A, largest_page=1000, uploads=0)
    service.begin()
    watch = Watch(service)
    await watch.settle()
    (old,) = service.lives
    service.clock.seconds += 5
    service.begin()
    service.clock.seconds += 5
    service.go_on(old)
    service.clock.seconds += 5
    service.go_on(service.lives[0])
    await watch.synchroniser.sync()
    assert [(type(change), change.upload.name) for change in watch.told if isinstance(change, UploadChange)] == [
        (UploadSeen, "u2"),
        (StageReached, "u2"),
        (StageReached, "u1"),
        (StageReached, "u2"),
    ]
    watch.store.close()


async def test_what_was_found_is_told_when_the_round_breaks_off() -> None:
    service = ShiftingService(seed=1, design=StatusShape.A, largest_page=1000, uploads=0)
    service.begin()
    watch = Watch(service)
    await watch.settle()
    service.begin()
    read, pages = watch.client.upload_page, list[int]()

    async def break_off(project_id: str, page: int, per_page: int) -> UploadPage:
        pages.append(page)
        if len(pages) > 1:
            raise UnreachableError("gone")
        return await read(project_id, page, per_page)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watch.client, "upload_page", break_off)
        with pytest.raises(UnreachableError):
            await watch.synchroniser.sync()
    assert watch.stages_told() == {"u2": [Stage.INITIATED]}
    await watch.synchroniser.sync()
    assert watch.stages_told() == {"u2": [Stage.INITIATED]}
    watch.store.close()


def reached(name: str, seconds: float | None, number: int) -> StageReached:
    """The number makes each another."""
    ref = UploadRef(name, name, "p-1", "Genome")
    on = None if seconds is None else NOW + timedelta(seconds=seconds)
    certainty = Certainty.OBSERVED if on is None else Certainty.REPORTED
    return StageReached(
        at=NOW, upload=ref, before=None, after=Stage.COMPLETED, on=on, certainty=certainty, error_message=str(number)
    )


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(-9, 9))))
def test_each_upload_keeps_its_own_order_when_changes_are_ordered_by_time(told: list[tuple[str, int | None]]) -> None:
    changes = [reached(name, seconds, number) for number, (name, seconds) in enumerate(told)]
    ordered = sort_by_event_time(changes)
    assert sorted(changes, key=repr) == sorted(ordered, key=repr)
    for name in "abc":
        assert [one for one in ordered if one.upload.id == name] == [one for one in changes if one.upload.id == name]
    if len({name for name, _ in told}) == len(told):
        times = [change.on or change.at for change in ordered if isinstance(change, StageReached)]
        assert times == sorted(times)


async def test_the_picture_goes_on_when_our_clock_is_set_back() -> None:
    service = ShiftingService(1, StatusShape.A, largest_page=1000, uploads=0)
    service.begin()
    service.go_on(service.lives[0])
    service.clock.seconds += 3600
    watch = Watch(service)
    await watch.synchroniser.sync()
    service.go_on(service.lives[0])
    service.clock.seconds -= 3600
    await watch.synchroniser.sync()
    assert watch.picture() == watch.truth()
    assert [change.after for change in watch.told if isinstance(change, StageReached)] == [service.lives[0].stage]
    watch.store.close()


async def test_an_upload_that_comes_back_is_told_between_two_that_it_is_gone() -> None:
    service = ShiftingService(1, StatusShape.A, largest_page=1000, uploads=3)
    watch = Watch(service)
    await watch.synchroniser.sync()
    all_lives, life = service.lives, service.lives[1]
    others = [other for other in all_lives if other is not life]
    for lives in (others, all_lives, others):
        service.lives = [*lives]
        await watch.settle()
    told = [type(change) for change in watch.told if isinstance(change, UploadChange) and change.upload.id == life.id]
    assert told == [UploadGone, UploadSeen, UploadGone]
    watch.store.close()


async def test_a_known_upload_is_shown_as_old_while_the_service_says_it_is_not_consistent() -> None:
    service = ShiftingService(1, StatusShape.A, largest_page=1000, uploads=0)
    service.begin()
    watch = Watch(service)
    await watch.synchroniser.sync()
    life = service.lives[0]
    hidden = {"error": 404, "code": "resource_not_consistent", "reason": "resource changes are still being processed"}
    answer = service.answer
    service.answer = lambda request: (  # type: ignore[method-assign]
        httpx.Response(404, json=hidden) if request.url.path.endswith(life.id) else answer(request)
    )
    service.lives = []
    watch = Watch(service, watch.store)
    await watch.synchroniser.sync()
    stored = watch.store.get(life.id)
    assert stored is not None
    assert (stored.is_stale, stored.is_gone) == (True, False)
    assert not await watch.synchroniser.sync()  # old news is no change
    watch.store.close()
