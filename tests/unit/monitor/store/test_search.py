"""Search lists that are built in batches: the first rows come early, and none is lost."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from upload_tui.monitor.queries.parser import parse_query
from upload_tui.monitor.queries.query import Query, SortKey, TextTerm, Where
from upload_tui.monitor.store.store import Limits, Store, TroubleThresholds, WaitThresholds
from upload_tui.status import Event, Stage, Timeline
from upload_tui.text import fold
from upload_tui.wire import Upload

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
LATE = WaitThresholds(NOON - timedelta(hours=1), NOON - timedelta(hours=1))
STUCK = TroubleThresholds(LATE, NOON - timedelta(days=1), LATE, NOON)
COUNT = 100
NO_TIME = 0.0


def phrase(text: str) -> Where:
    """The query for a text, as it is."""
    return Where(text, TextTerm("", (fold(text),)))


INDEXED_SORTS = frozenset(SortKey) - {SortKey.TOOK, SortKey.CHUNKS, SortKey.PROGRESS, SortKey.ID}


class Clock:
    """A monotonic clock that the test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def an_upload(number: int, name: str = "", stage: Stage = Stage.ERROR) -> Upload:
    on = NOON - timedelta(seconds=number)
    return Upload(
        id=f"u-{number:03}",
        project_id="pq"[number % 2],
        name=name or f"run-{number % 7}.bin",
        size_bytes=number * 37 % 11,
        timeline=Timeline((Event(Stage.INITIATED, on), Event(stage, on + timedelta(milliseconds=1)))),
        read_on=NOON,
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Iterator[Store]:
    limits = Limits(search_batch_rows=8, search_candidates=4, search_sample_rows=2, long_list_rows=10)
    store = Store(monotonic=clock, limits=limits)
    put(store, *(an_upload(number) for number in range(COUNT)))
    yield store
    store.close()


def put(store: Store, *uploads: Upload) -> None:
    store.put((upload, "{}", (), None) for upload in uploads)


def ids(store: Store, query: Query, patience_seconds: float | None = None) -> list[str]:
    return [upload.id for upload in store.find(query, STUCK, 0, COUNT * 2, patience_seconds).uploads]


def test_the_first_rows_are_found_before_the_scan_is_complete(store: Store) -> None:
    first = store.find(Query(where=parse_query("run")), STUCK, 0, 3, NO_TIME)
    assert [upload.id for upload in first.uploads] == ["u-000", "u-001", "u-002"]
    assert not first.is_settled
    assert 3 <= first.total < COUNT


@pytest.mark.parametrize("sort", sorted(INDEXED_SORTS))
@pytest.mark.parametrize("descending", [True, False])
def test_batches_add_up_to_the_complete_result(store: Store, sort: SortKey, descending: bool) -> None:
    query = Query(where=parse_query("run"), sort=sort, descending=descending)
    results: list[list[str]] = []
    while not results or not store.find(query, STUCK, 1000, 0, NO_TIME).is_settled:
        results.append(ids(store, query, NO_TIME))
    results.append(ids(store, query, NO_TIME))
    assert len(results) > 3
    assert all(after[: len(before)] == before for before, after in itertools.pairwise(results))
    assert results[-1] == ids(store, Query(sort=sort, descending=descending))


def test_without_a_time_limit_the_result_is_complete(store: Store) -> None:
    assert store.find(Query(where=parse_query("run")), STUCK, 0, 0).total == COUNT
    assert store.find(Query(trouble_only=True), STUCK, 0, 0).total == COUNT


def test_an_upload_has_a_position_when_it_is_found(store: Store) -> None:
    query = Query(where=parse_query("run"))
    store.find(query, STUCK, 0, 3, NO_TIME)
    assert store.position(query, STUCK, "u-002") == 2
    assert store.position(query, STUCK, "u-099") is None
    assert store.find(query, STUCK, 0, 0).total == COUNT
    assert store.position(query, STUCK, "u-099") == 99


def test_few_matches_are_found_at_once(store: Store) -> None:
    put(store, an_upload(200, "one of a kind"))
    found = store.find(Query(where=parse_query("ONE of a k")), STUCK, 0, 9, NO_TIME)
    assert [upload.id for upload in found.uploads] == ["u-200"]
    assert found.is_settled


def test_an_outdated_long_list_is_used_until_the_next_is_complete(store: Store, clock: Clock) -> None:
    query = Query(where=parse_query("run"))
    before = ids(store, query)
    put(store, an_upload(-1))
    assert ids(store, query, NO_TIME) == before  # the list is too new to be rebuilt
    clock.seconds += 60
    seen = [ids(store, query, NO_TIME)]
    while not store.find(query, STUCK, 0, 0, NO_TIME).is_settled:
        seen.append(ids(store, query, NO_TIME))
    assert len(seen) > 3
    assert all(one == before for one in seen[:-1])
    assert ids(store, query, NO_TIME) == ["u--01", *before]


def test_a_list_is_completed_although_uploads_are_added(store: Store) -> None:
    query = Query(where=parse_query("run"))
    calls = 0
    while not store.find(query, STUCK, 1000, 0, NO_TIME).is_settled:
        calls += 1
        put(store, an_upload(1000 + calls, "another"))
        assert calls < COUNT


def test_verified_and_recently_completed_uploads_need_no_attention(store: Store) -> None:
    put(store, an_upload(500, stage=Stage.VERIFIED), an_upload(501, stage=Stage.COMPLETED))
    found_ids = ids(store, Query(trouble_only=True))
    assert "u-500" not in found_ids
    assert ids(store, Query(trouble_only=True, stages=frozenset({Stage.VERIFIED}))) == []
    assert ids(store, Query(trouble_only=True, stages=frozenset({Stage.COMPLETED}))) == []
    assert len(found_ids) == COUNT


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(min_size=1, max_size=30).filter(lambda text: "\x00" not in text and text.isprintable()), data=st.data()
)
def test_any_part_of_a_name_finds_it(name: str, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(name) - 1))
    part = name[first : data.draw(st.integers(first + 1, len(name)))]
    store = Store()
    put(store, an_upload(1, name), an_upload(2, "other"))
    assert "u-001" in ids(store, Query(where=phrase(part)))
    store.close()


def test_a_very_long_search_text_works(store: Store) -> None:
    put(store, an_upload(300, "x" * 50 + '" OR "y"' * 900))
    assert ids(store, Query(where=phrase("z" * 20 + '" OR "y"' * 800))) == []
    assert ids(store, Query(where=phrase('" OR "y"' * 800))) == ["u-300"]
