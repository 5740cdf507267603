"""The store's keyset_paging, positions and counts against the plainest possible reckoning."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from upload_tui.errors import BusyStorageError
from upload_tui.monitor.model import Query, SortKey
from upload_tui.monitor.store import keyset_paging, recovery
from upload_tui.monitor.store.aggregates import StoreAggregates
from upload_tui.monitor.store.page_snapshot import PartitionName, SnapshotInfo, build_snapshot
from upload_tui.monitor.store.rows import BULK_COLUMNS, WRITE_COLUMNS, row_values
from upload_tui.monitor.store.schema import MIGRATIONS
from upload_tui.monitor.store.store import Store, StuckThresholds
from upload_tui.status import Certainty, Event, Stage, Timeline
from upload_tui.wire import Upload

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
STUCK = StuckThresholds(NOON - timedelta(seconds=900), NOON - timedelta(seconds=60))


@st.composite
def uploads(draw: st.DrawFn) -> list[Upload]:
    """Some uploads, with many ties in everything that is sorted by."""
    found = []
    for number in range(draw(st.integers(0, 12))):
        reach = draw(st.integers(1, 3))
        stages = (Stage.INITIATED, Stage.COMPLETED, draw(st.sampled_from([Stage.VERIFIED, Stage.ERROR])))[:reach]
        on = NOON - timedelta(seconds=draw(st.sampled_from([10, 70, 2000])))
        events = tuple(
            Event(
                stage,
                draw(st.none() | st.just(on)) if stage is Stage.INITIATED else on,
                message="100%_\\ bad" if stage is Stage.ERROR else None,
            )
            for stage in stages
        )
        found.append(
            Upload(
                id=f"u-{number}",
                project_id=draw(st.sampled_from(["p", "q"])),
                name=draw(st.sampled_from(["a.bin", "B.bin", "100%_sure.txt", "c\\d", "ünïcode"])),
                size_bytes=draw(st.none() | st.integers(0, 3)),
                timeline=Timeline(events),
                read_on=NOON,
            )
        )
    return found


QUERIES = st.builds(
    Query,
    stages=st.frozensets(st.sampled_from(Stage), max_size=2),
    search=st.sampled_from(["", "bin", "%", "_", "\\", "U-1", "bad", "nothing"]),
    attention_only=st.booleans(),
    project_ids=st.frozensets(st.sampled_from(["p", "q"]), max_size=1),
    sort=st.sampled_from(SortKey),
    descending=st.booleans(),
)


def fits(upload: Upload, query: Query) -> bool:
    since = upload.timeline.since
    stuck = {
        Stage.ERROR: True,
        Stage.COMPLETED: since is not None and since < STUCK.completed,
        Stage.INITIATED: since is not None and since < STUCK.initiated,
        Stage.VERIFIED: False,
    }
    texts = (upload.name, upload.id, upload.timeline.error_message or "")
    return (
        (not query.stages or upload.stage in query.stages)
        and (not query.project_ids or upload.project_id in query.project_ids)
        and (not query.attention_only or stuck[upload.stage])
        and any(query.search.lower() in text.lower() for text in texts)
    )


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store()
    yield store
    store.close()


def fill(store: Store, found: list[Upload]) -> None:
    store._db.execute("DELETE FROM uploads")
    store.put((upload, "{}", (), None) for upload in found)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=uploads(), query=QUERIES)
def test_windows_and_positions_agree_whatever_is_asked(store: Store, found: list[Upload], query: Query) -> None:
    fill(store, found)
    expected = {upload.id for upload in found if fits(upload, query)}
    total = store.total(query, STUCK)
    whole = [row.id for row in store.window(query, STUCK, 0, 100)]
    assert total == len(expected)
    assert set(whole) == expected
    for offset in range(total + 1):
        assert [row.id for row in store.window(query, STUCK, offset, 3)] == whole[offset : offset + 3]
    assert [store.position(query, STUCK, upload_id) for upload_id in whole] == list(range(total))
    outside = {upload.id for upload in found} - expected
    assert {store.position(query, STUCK, upload_id) for upload_id in outside} <= {None}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=uploads())
def test_counts_are_those_of_the_uploads(store: Store, found: list[Upload]) -> None:
    fill(store, found)
    counts = {stage: count for stage, (count, _, _) in StoreAggregates(store).stage_counts().items()}
    assert counts == {stage: n for stage in Stage if (n := sum(upload.stage is stage for upload in found))}
    assert {row.id for row in store.pending()} == {upload.id for upload in found if not upload.stage.is_final}


def test_an_upload_comes_back_as_it_was_put(store: Store) -> None:
    events = (
        Event(Stage.INITIATED, NOON),
        Event(Stage.COMPLETED, NOON + timedelta(milliseconds=1)),
        Event(Stage.VERIFIED, None, Certainty.OBSERVED, NOON, NOON + timedelta(seconds=9)),
    )
    upload = Upload(id="u", name="\x00\x1b 名", size_bytes=2**63 - 1, timeline=Timeline(events), read_on=NOON)
    store.put([(upload, '{"id": "u"}', (), NOON)])
    row = store.get("u")
    assert row is not None
    assert (row.name, row.size_bytes, row.stage) == (upload.name, 2**63 - 1, Stage.VERIFIED)
    assert (row.since, row.certainty, row.earliest) == (NOON + timedelta(seconds=9), Certainty.OBSERVED, NOON)
    assert store.raw("u") == '{"id": "u"}'
    assert store.get("other") is None


def test_marks_are_kept_until_the_service_says_the_same_again(store: Store) -> None:
    store.put([(Upload(id="u", read_on=NOON), "{}", (), None)])
    store.mark(["u"], gone=True, stale=True)
    row = store.get("u")
    assert row is not None
    assert (row.is_gone, row.is_stale) == (True, True)
    store.touch(["u"], NOON + timedelta(seconds=5))
    row = store.get("u")
    assert row is not None
    assert (row.is_gone, row.is_stale, row.read_on) == (False, False, NOON + timedelta(seconds=5))


def test_a_store_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    for _ in range(2):
        store = Store(file)
        store.put([(Upload(id="u", read_on=NOON), "{}", (), None)])
        store.close()
    store = Store(file)
    assert store.known(["u", "v"]) == {"u"}
    store.close()


def test_a_damaged_store_is_set_aside_when_a_visit_begins(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    file.write_bytes(b"this is not a database, and never was one" * 100)
    store = Store(file)
    store.put([(Upload(id="u", read_on=NOON), "{}", (), None)])
    store.close()
    assert "set aside" in store.notice
    assert (tmp_path / "store.db.damaged-1").read_bytes().startswith(b"this is not")
    again = Store(file)
    assert (again.notice, again.known(["u"])) == ("", {"u"})
    again.close()


def test_a_newer_store_stays_as_it_is_when_a_visit_begins(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    newer = sqlite3.connect(file)
    newer.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    newer.close()
    before = file.read_bytes()
    for _ in range(2):
        store = Store(file)
        assert "a newer upload-tui" in store.notice
        store.put([(Upload(id="u", read_on=NOON), "{}", (), None)])
        store.close()
    assert file.read_bytes() == before


def test_a_store_of_the_first_version_is_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    old = sqlite3.connect(file)
    old.executescript("CREATE TABLE uploads (id TEXT PRIMARY KEY) WITHOUT ROWID; PRAGMA user_version = 1")
    old.close()
    store = Store(file)
    store.put([(Upload(id="u", read_on=NOON), "{}", (), None)])
    assert store.get("u")
    store.close()


def test_what_one_dashboard_writes_another_sees(tmp_path: Path) -> None:
    one, other = Store(tmp_path / "store.db"), Store(tmp_path / "store.db")
    query = Query()
    assert other.total(query, STUCK) == 0
    before = other.revision
    one.put([(Upload(id="u", read_on=NOON), "{}", (), None)])
    assert other.revision > before
    assert [row.id for row in other.window(query, STUCK, 0, 9)] == ["u"]
    other.put([(Upload(id="v", read_on=NOON), "{}", (), None)])
    assert one.total(query, STUCK) == 2
    one.close()
    other.close()


def an_image(cell: PartitionName, uploads: Sequence[Upload], body: bytes) -> bytes:
    """The image of a page of uploads of one cell."""
    named = [dict(zip(WRITE_COLUMNS, row_values(upload, 0, 0, (), None), strict=True)) for upload in uploads]
    rows = [
        tuple(place if column == "place" else row[column] for column in BULK_COLUMNS) for place, row in enumerate(named)
    ]
    return build_snapshot({cell: rows}, SnapshotInfo(len(rows), uploads[0].id, ()), body)


def test_rows_that_were_poured_in_are_sorted_counted_and_found(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    store.bulk.begin()
    readings = [Upload(id=f"u-{n}", project_id="p", name=f"file{n}.bin", read_on=NOON) for n in range(30)]
    for start in (0, 10, 15, 20):  # pages that shift overlap
        page = readings[start : start + 10]
        body = json.dumps({"results": [{"id": upload.id} for upload in page]}).encode()
        store.bulk.insert_page(an_image(("p", "P", Stage.INITIATED.rank), page, body))
    store.close()  # in the middle: the next visit mends it
    store = Store(tmp_path / "store.db")
    assert store.total(Query(project_ids=frozenset({"p"})), STUCK) == 30
    assert [row.id for row in store.window(Query(search="file27"), STUCK, 0, 9)] == ["u-27"]
    assert [json.loads(store.raw(f"u-{n}"))["id"] for n in (3, 17, 29)] == ["u-3", "u-17", "u-29"]
    store.put([(readings[3], '{"id": "new"}', (), None)])
    assert store.raw("u-3") == '{"id": "new"}'
    store.close()


async def test_two_projects_that_are_poured_in_at_once_are_counted_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    pour_five(store)
    store.bulk.begin()
    await store.bulk.finish()
    store.bulk.insert_page(five_more())
    await store.bulk.finish()
    assert store.total(Query(), STUCK) == 10
    assert [row.id for row in store.window(Query(search="v-3"), STUCK, 0, 9)] == ["v-3"]
    store.close()


def test_rows_are_counted_once_when_another_dashboard_opens_in_the_middle_of_a_bulk_load(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    pour_five(store)
    other = Store(tmp_path / "store.db")
    store.bulk.insert_page(five_more())
    store.bulk.end()
    assert store.total(Query(), STUCK) == other.total(Query(), STUCK) == 10
    assert [row.id for row in other.window(Query(search="v-3"), STUCK, 0, 9)] == ["v-3"]
    other.close()
    store.close()


def test_what_stands_deep_is_found_along_rungs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset_paging, "_CHECKPOINT_ROWS", 7)
    store = Store()
    stages = (Stage.INITIATED, Stage.COMPLETED, Stage.VERIFIED)
    store.put(
        (
            Upload(
                id=f"{n:03d}",
                project_id="pq"[n % 2],
                name=f"{n % 9}",
                timeline=Timeline(
                    tuple(Event(stage, NOON + timedelta(seconds=n // 3)) for stage in stages[: n % 3 + 1])
                ),
                read_on=NOON,
            ),
            "{}",
            (),
            None,
        )
        for n in range(200)
    )
    for sort in SortKey:
        for descending in (True, False):
            for kept in (frozenset[Stage](), frozenset(stages[:2])):
                query = Query(sort=sort, descending=descending, stages=kept)
                whole = [row.id for row in store.window(query, STUCK, 0, 500)]
                assert len(whole) == len(set(whole)) == store.total(query, STUCK)
                for offset in (90, 10, len(whole) - 40, 55, 91):
                    store.touch([], NOON)  # forget the rungs
                    assert [row.id for row in store.window(query, STUCK, offset, 5)] == whole[offset : offset + 5]
                    assert store.position(query, STUCK, whole[offset + 3]) == offset + 3
                    assert store.position(query, STUCK, whole[offset - 3]) == offset - 3
    store.close()


def test_pages_of_an_earlier_version_are_read_as_before(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    store = Store(file)
    pour_five(store)
    store.bulk.end()
    store.db.execute("UPDATE pages SET body = ?", (b'{"results": [{"id": "u-0"}]}',))
    store.db.execute("DROP TABLE told")
    store.db.execute("PRAGMA user_version = 2")
    store.close()
    store = Store(file)
    assert json.loads(store.raw("u-0")) == {"id": "u-0"}
    store.close()


def test_a_store_that_another_process_is_busy_with_is_not_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "_BUSY_SECONDS", 0.0)
    file = tmp_path / "store.db"
    store = Store(file)
    store.db.execute("BEGIN IMMEDIATE")
    other = Store(file)
    assert other.notice == ""
    with pytest.raises(BusyStorageError, match="busy with"):
        other.mark(["u"], gone=True)
    store.db.execute("COMMIT")
    other.mark(["u"], gone=True)
    other.close()
    store.db.execute("PRAGMA user_version = 4")
    store.db.execute("BEGIN IMMEDIATE")  # and the other wants to bring it to the newest version
    other = Store(file)
    assert "busy with" in other.notice
    assert other.total(Query(), STUCK) == 0
    assert list(tmp_path.glob("*damaged*")) == []
    other.close()
    store.db.execute("COMMIT")
    store.close()


def test_a_row_is_shown_without_its_words_when_they_are_damaged(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    store = Store(file)
    upload = Upload(
        id="5f6a", name="scan.tiff", project_id="p-1", timeline=Timeline((Event(Stage.VERIFIED, NOON),)), read_on=NOON
    )
    store.bulk.begin()
    store.bulk.insert_page(an_image(("p-1", "Genome", Stage.VERIFIED.rank), [upload], b"no JSON"))
    store.bulk.end()
    assert store.get("5f6a") is not None
    assert store.raw("5f6a") == ""
    store.close()


def five_more() -> bytes:
    """The image of a page of five others."""
    timeline = Timeline((Event(Stage.VERIFIED, NOON),))
    found = [Upload(id=f"v-{number}", project_id="p-2", timeline=timeline, read_on=NOON) for number in range(5)]
    return an_image(("p-2", "Proteome", Stage.VERIFIED.rank), found, b'{"results":[]}')


def pour_five(store: Store) -> None:
    """Five uploads, poured in; the end of the pouring is still to come."""
    timeline = Timeline((Event(Stage.VERIFIED, NOON),))
    uploads = [
        Upload(id=f"u-{number}", name=f"{number}.bin", project_id="p-1", timeline=timeline, read_on=NOON)
        for number in range(5)
    ]
    store.bulk.begin()
    store.bulk.insert_page(an_image(("p-1", "Genome", Stage.VERIFIED.rank), uploads, b'{"results":[]}'))


@pytest.mark.parametrize("is_kept", [True, False], ids=["file", "memory"])
async def test_the_loop_goes_on_while_a_bulk_load_ends(is_kept: bool, tmp_path: Path) -> None:
    """In a file, nothing of it runs on the loop's own connection; in memory, one statement at a time."""
    store = Store(tmp_path / "store.db" if is_kept else None)
    pour_five(store)
    statements: list[str] = []
    turns: list[int] = []

    async def turn() -> None:
        while True:
            turns.append(len([statement for statement in statements if "CREATE INDEX" in statement]))
            await asyncio.sleep(0)

    store.db.connection.set_trace_callback(statements.append)
    turning = asyncio.create_task(turn())
    await store.bulk.finish()
    turning.cancel()
    store.db.connection.set_trace_callback(None)
    assert max(after - before for before, after in pairwise(turns)) == (0 if is_kept else 1)
    assert len(turns) > (0 if is_kept else 5)
    assert store.total(Query(search="3.bin"), STUCK) == 1
    store.close()


async def test_whoever_leaves_while_a_bulk_load_ends_does_not_wait_and_the_next_visit_ends_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    pour_five(store)
    ending = asyncio.create_task(store.bulk.finish())
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    store.close()
    again = Store(tmp_path / "store.db")
    assert again.total(Query(search="3.bin"), STUCK) == 1
    assert again.partitions.select()[0].upload_count == 5
    again.close()
