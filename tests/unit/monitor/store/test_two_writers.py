"""Two processes share a store: whatever the other one writes, each upload is in exactly one row of every order."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from upload_tui.monitor.queries.parser import parse_query
from upload_tui.monitor.queries.query import Query, SortKey
from upload_tui.monitor.store.database import Limits
from upload_tui.monitor.store.store import Store, TroubleThresholds, WaitThresholds
from upload_tui.status import Certainty, Event, Stage, Timeline, UnknownState
from upload_tui.wire import Upload

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
LATE = WaitThresholds(NOON - timedelta(seconds=900), NOON - timedelta(seconds=60))
THRESHOLDS = TroubleThresholds(LATE, NOON - timedelta(seconds=40), LATE, NOON)
ORDERS = [Query(sort=sort, descending=descending) for sort in SortKey for descending in (True, False)]
SEARCHES = [Query(where=parse_query("scan"), sort=sort) for sort in (SortKey.TROUBLE, SortKey.NAME)]
LIMITED = [Query(sort=SortKey.TROUBLE, max_in_trouble=1), Query(sort=SortKey.TROUBLE, stages=frozenset({Stage.ERROR}))]
QUERIES = [*ORDERS, *SEARCHES, *LIMITED]
IDS = "uvwxyz"
LIMITS = Limits(checkpoint_rows=2)


def an_upload(upload_id: str, stage: Stage, age_seconds: int | None, state: str | None = None) -> Upload:
    on = None if age_seconds is None else NOON - timedelta(seconds=age_seconds)
    event = Event(stage, on, Certainty.OBSERVED if on is None else Certainty.REPORTED)
    unknown = None if state is None else UnknownState(state, on)
    timeline = Timeline((event,), unknown_state=unknown)
    return Upload(id=upload_id, name=f"scan {upload_id}", timeline=timeline, read_on=NOON)


AGES = st.sampled_from([None, 10, 70, 2000])
WRITES = st.one_of(
    st.builds(an_upload, st.sampled_from(IDS), st.sampled_from(Stage), AGES, st.sampled_from([None, None, "held"])),
    st.tuples(st.sampled_from(IDS), st.booleans()),
    st.sampled_from(IDS).map(lambda upload_id: [upload_id]),
)


def write(store: Store, change: Upload | tuple[str, bool] | list[str]) -> None:
    """Put an upload, mark one as gone or not, or delete one."""
    if isinstance(change, Upload):
        store.put([(change, "{}", (), None)])
    elif isinstance(change, tuple):
        store.mark([change[0]], gone=change[1])
    else:
        with store.transaction():
            store.partitions.delete(change)


@contextmanager
def shared(file: Path) -> Iterator[tuple[Store, Store]]:
    with closing(Store(file, limits=LIMITS)) as one, closing(Store(file, limits=LIMITS)) as other:
        yield one, other


def pages(store: Store, query: Query) -> list[str]:
    """The ids of a query's result, read in pages of two rows from the end to the start."""
    total = store.find(query, THRESHOLDS, 0, 0).total
    starts = [*range(0, total, 2)]
    found = {start: store.find(query, THRESHOLDS, start, 2).uploads for start in reversed(starts)}
    return [stored.id for start in starts for stored in found[start]]


def check(stores: Iterable[Store], file: Path) -> None:
    """Compare every order with that of a store that was just opened and has nothing cached."""
    with closing(Store(file, limits=LIMITS)) as fresh:
        expected = [[stored.id for stored in fresh.find(query, THRESHOLDS, 0, 100).uploads] for query in QUERIES]
        ids = sorted(fresh.ids())
    for store in stores:
        for query, names in zip(QUERIES, expected, strict=True):
            assert pages(store, query) == names, query
            assert [store.position(query, THRESHOLDS, one) for one in names] == [*range(len(names))]
            assert query not in ORDERS or sorted(names) == ids


@settings(max_examples=40)
@given(changes=st.lists(st.tuples(st.booleans(), WRITES), min_size=1, max_size=4))
def test_each_upload_is_in_one_row_after_every_write_of_either_process(
    changes: Sequence[tuple[bool, Upload | tuple[str, bool] | list[str]]],
) -> None:
    with TemporaryDirectory() as folder, shared(file := Path(folder) / "store.db") as stores:
        for upload_id in IDS[:3]:
            write(stores[0], an_upload(upload_id, Stage.INITIATED, 70))
        for is_other, change in changes:
            write(stores[is_other], change)
            check(stores, file)


def test_a_picture_that_is_not_refreshed_shows_what_another_process_reads(tmp_path: Path) -> None:
    query = Query(sort=SortKey.TROUBLE)
    with shared(tmp_path / "store.db") as (one, other):
        for upload_id, stage, state in (
            ("u", Stage.ERROR, None),
            ("v", Stage.INITIATED, None),
            ("w", Stage.INITIATED, "held"),
        ):
            write(one, an_upload(upload_id, stage, 10, state))
        assert len(pages(other, query)) == 3
        write(one, ("u", True))
        write(one, an_upload("v", Stage.COMPLETED, 2000))
        write(one, an_upload("w", Stage.VERIFIED, 10))
        assert pages(other, query) == [stored.id for stored in one.find(query, THRESHOLDS, 0, 9).uploads]


def test_a_read_sees_the_data_as_of_one_moment(tmp_path: Path) -> None:
    with shared(tmp_path / "store.db") as (one, other):
        write(one, an_upload("u", Stage.INITIATED, 10))

        def read() -> tuple[int, int]:
            before = len(other.ids())
            write(one, an_upload("v", Stage.INITIATED, 10))
            return before, len(other.ids())

        assert other.db.read_at_once(read) == (1, 1)
        assert len(other.ids()) == 2


def test_a_read_is_repeated_when_the_database_is_replaced(tmp_path: Path) -> None:
    malformed = sqlite3.DatabaseError("database disk image is malformed")
    malformed.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    with closing(Store(tmp_path / "store.db")) as store:
        write(store, an_upload("u", Stage.INITIATED, 10))

        def read() -> set[str]:
            if store.generation == 0:
                store.db.recover(malformed)
            return store.ids()

        assert store.db.read_at_once(read) == set()
        assert store.generation == 1
