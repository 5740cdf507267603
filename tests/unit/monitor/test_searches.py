"""Lists that are made in pieces: the first rows come before the last are looked for, and nothing is lost on the way."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from upload_tui.monitor.model import Query, SortKey
from upload_tui.monitor.store import search
from upload_tui.monitor.store.store import Store, StuckThresholds
from upload_tui.status import Event, Stage, Timeline
from upload_tui.wire import Upload

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
STUCK = StuckThresholds(NOON - timedelta(hours=1), NOON - timedelta(hours=1))
COUNT = 100
HURRY = 0.0


class Clock:
    """Seconds that pass only when told."""

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
def store(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Iterator[Store]:
    for name, value in {"_BATCH_ROWS": 8, "_MAX_CANDIDATES": 4, "_SAMPLE_ROWS": 2, "_LONG_LIST_ROWS": 10}.items():
        monkeypatch.setattr(search, name, value)
    store = Store(monotonic=clock)
    put(store, *(an_upload(number) for number in range(COUNT)))
    yield store
    store.close()


def put(store: Store, *uploads: Upload) -> None:
    store.put((upload, "{}", (), None) for upload in uploads)


def ids(store: Store, query: Query, patience_seconds: float | None = None) -> list[str]:
    return [upload.id for upload in store.find(query, STUCK, 0, COUNT * 2, patience_seconds).uploads]


def test_the_first_rows_are_there_before_the_last_are_looked_for(store: Store) -> None:
    first = store.find(Query(search="run"), STUCK, 0, 3, HURRY)
    assert [upload.id for upload in first.uploads] == ["u-000", "u-001", "u-002"]
    assert not first.is_settled
    assert 3 <= first.total < COUNT


@pytest.mark.parametrize("sort", SortKey)
@pytest.mark.parametrize("descending", [True, False])
def test_pieces_make_the_whole(store: Store, sort: SortKey, descending: bool) -> None:
    query = Query(search="run", sort=sort, descending=descending)
    pieces: list[list[str]] = []
    while not pieces or not store.find(query, STUCK, 1000, 0, HURRY).is_settled:
        pieces.append(ids(store, query, HURRY))
    pieces.append(ids(store, query, HURRY))
    assert len(pieces) > 3
    assert all(whole[: len(before)] == before for before, whole in itertools.pairwise(pieces))
    assert pieces[-1] == ids(store, Query(sort=sort, descending=descending))


def test_who_is_in_no_hurry_has_all(store: Store) -> None:
    assert store.total(Query(search="run"), STUCK) == COUNT
    assert store.total(Query(attention_only=True), STUCK) == COUNT


def test_an_upload_has_its_place_as_soon_as_it_is_found(store: Store) -> None:
    query = Query(search="run")
    store.find(query, STUCK, 0, 3, HURRY)
    assert store.position(query, STUCK, "u-002") == 2
    assert store.position(query, STUCK, "u-099") is None
    assert store.total(query, STUCK) == COUNT
    assert store.position(query, STUCK, "u-099") == 99


def test_few_are_found_at_once(store: Store) -> None:
    put(store, an_upload(200, "one of a kind"))
    found = store.find(Query(search="ONE of a k"), STUCK, 0, 9, HURRY)
    assert [upload.id for upload in found.uploads] == ["u-200"]
    assert found.is_settled


def test_a_long_list_is_shown_until_the_next_one_is_whole(store: Store, clock: Clock) -> None:
    query = Query(search="run")
    before = ids(store, query)
    put(store, an_upload(-1))
    assert ids(store, query, HURRY) == before  # it was made just now
    clock.seconds += 60
    seen = [ids(store, query, HURRY)]
    while not store.find(query, STUCK, 0, 0, HURRY).is_settled:
        seen.append(ids(store, query, HURRY))
    assert len(seen) > 3
    assert all(one == before for one in seen[:-1])
    assert ids(store, query, HURRY) == ["u--01", *before]


def test_a_list_that_is_being_made_gets_done_though_uploads_keep_coming(store: Store) -> None:
    query = Query(search="run")
    looks = 0
    while not store.find(query, STUCK, 1000, 0, HURRY).is_settled:
        looks += 1
        put(store, an_upload(1000 + looks, "another"))
        assert looks < COUNT


def test_a_verified_upload_needs_no_attention(store: Store) -> None:
    put(store, an_upload(500, stage=Stage.VERIFIED), an_upload(501, stage=Stage.COMPLETED))
    wanting = ids(store, Query(attention_only=True))
    assert "u-500" not in wanting
    assert ids(store, Query(attention_only=True, stages=frozenset({Stage.VERIFIED}))) == []
    assert ids(store, Query(attention_only=True, stages=frozenset({Stage.COMPLETED}))) == []
    assert len(wanting) == COUNT


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(min_size=1, max_size=30).filter(lambda text: "\x00" not in text and text.isprintable()), data=st.data()
)
def test_any_part_of_a_name_finds_it(name: str, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(name) - 1))
    part = name[first : data.draw(st.integers(first + 1, len(name)))]
    store = Store()
    put(store, an_upload(1, name), an_upload(2, "other"))
    assert "u-001" in ids(store, Query(search=part))
    store.close()


def test_a_pasted_page_is_a_search_like_any_other(store: Store) -> None:
    put(store, an_upload(300, "x" * 50 + '" OR "y"' * 900))
    assert ids(store, Query(search="z" * 20 + '" OR "y"' * 800)) == []
    assert ids(store, Query(search='" OR "y"' * 800)) == ["u-300"]
