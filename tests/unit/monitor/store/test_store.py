"""The store: pages, positions and counts compared with a simple model; files of other versions; bulk loads."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from upload_tui.errors import BusyStorageError
from upload_tui.monitor.analysis.trouble import trouble_of
from upload_tui.monitor.model import Acknowledgement, Lateness
from upload_tui.monitor.queries.parser import parse_query
from upload_tui.monitor.queries.query import Query, SortKey
from upload_tui.monitor.store.aggregates import StoreAggregates
from upload_tui.monitor.store.bulk import PartitionName, SnapshotInfo, build_snapshot
from upload_tui.monitor.store.rows import BULK_COLUMNS, WRITE_COLUMNS, row_values
from upload_tui.monitor.store.schema import MIGRATIONS
from upload_tui.monitor.store.store import Limits, Store, StoredUpload, TroubleThresholds, WaitThresholds
from upload_tui.status import Anomaly, AnomalyName, Certainty, Event, Stage, Timeline, UnknownState, is_contradictory
from upload_tui.text import fold
from upload_tui.wire import Upload

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
FAILED_SINCE = NOON - timedelta(seconds=40)
LATE = WaitThresholds(NOON - timedelta(seconds=900), NOON - timedelta(seconds=60))
STUCK = TroubleThresholds(LATE, FAILED_SINCE, LATE, NOON)


GONE = frozenset({"u-3", "u-4"})
ACKNOWLEDGED = frozenset({"u-4", "u-5", "u-6"})


@st.composite
def uploads(draw: st.DrawFn) -> list[Upload]:
    """Uploads with many equal sort values."""
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
                anomalies=draw(st.sampled_from([(), (Anomaly(AnomalyName.CHUNKS_MISSING, "2"),)])),
            )
        )
    return found


QUERIES = st.builds(
    Query,
    stages=st.frozensets(st.sampled_from(Stage), max_size=2),
    where=st.sampled_from(["", "bin", "%", "_", "\\", "U-1", "bad", "nothing", "uni"]).map(parse_query),
    trouble_only=st.booleans(),
    project_ids=st.frozensets(st.sampled_from(["p", "q"]), max_size=1),
    sort=st.sampled_from(SortKey),
    descending=st.booleans(),
)


def fits(upload: Upload, query: Query) -> bool:
    since = upload.timeline.since
    before = {Stage.COMPLETED: STUCK.overdue.completed, Stage.INITIATED: STUCK.overdue.initiated}.get(upload.stage)
    is_late = since is not None and before is not None and since < before
    trouble = trouble_of(
        upload.stage,
        since,
        Lateness(is_overdue=is_late),
        STUCK.failed_since,
        has_contradiction=is_contradictory(upload.stage, upload.anomalies),
    )
    is_ignored = upload.id in GONE or upload.id in ACKNOWLEDGED
    texts = (upload.name, upload.id, upload.timeline.error_message or "")
    return (
        (not query.stages or (upload.stage in query.stages and upload.id not in GONE))
        and (not query.project_ids or upload.project_id in query.project_ids)
        and (not query.trouble_only or (trouble is not None and not is_ignored))
        and any(fold(query.where.text) in fold(text) for text in texts)
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
def test_pages_and_positions_agree_for_any_query(store: Store, found: list[Upload], query: Query) -> None:
    fill(store, found)
    store.mark(GONE, gone=True)
    store.acknowledge(ACKNOWLEDGED, Acknowledgement())
    expected = {upload.id for upload in found if fits(upload, query)}
    total = store.find(query, STUCK, 0, 0).total
    everything = [row.id for row in store.find(query, STUCK, 0, 100).uploads]
    assert total == len(expected)
    assert set(everything) == expected
    for offset in range(total + 1):
        assert [row.id for row in store.find(query, STUCK, offset, 3).uploads] == everything[offset : offset + 3]
    assert [store.position(query, STUCK, upload_id) for upload_id in everything] == list(range(total))
    outside = {upload.id for upload in found} - expected
    assert {store.position(query, STUCK, upload_id) for upload_id in outside} <= {None}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=uploads())
def test_stage_counts_and_pending_match_the_uploads(store: Store, found: list[Upload]) -> None:
    fill(store, found)
    counts = {stage: summary.count for stage, summary in StoreAggregates(store).stage_counts().items()}
    assert counts == {stage: n for stage in Stage if (n := sum(upload.stage is stage for upload in found))}
    assert {row.id for row in store.pending()} == {upload.id for upload in found if not upload.stage.is_final}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=uploads())
def test_the_recent_failures_are_counted_unless_gone_or_acknowledged(store: Store, found: list[Upload]) -> None:
    fill(store, found)
    store.mark(GONE, gone=True)
    store.acknowledge(ACKNOWLEDGED, Acknowledgement())
    failed = Query(stages=frozenset({Stage.ERROR}), trouble_only=True)
    counts = StoreAggregates(store).count_failed(FAILED_SINCE, NOON)
    assert sum(counts.values()) == sum(fits(upload, failed) for upload in found)
    assert all(counts.values())


def test_a_failure_at_an_unknown_time_is_counted_until_it_is_acknowledged(store: Store) -> None:
    timeline = Timeline((Event(Stage.ERROR, None, message="bad"),))
    store.put([(Upload(id="u", timeline=timeline, read_on=NOON), "{}", (), None)])
    aggregates = StoreAggregates(store)
    assert aggregates.count_failed(FAILED_SINCE, NOON) == {"bad": 1}
    store.acknowledge(["u"], Acknowledgement("known", NOON + timedelta(seconds=1)))
    assert aggregates.count_failed(FAILED_SINCE, NOON) == {}
    assert aggregates.count_failed(FAILED_SINCE, NOON + timedelta(seconds=1)) == {"bad": 1}


def test_a_stored_upload_is_read_back(store: Store) -> None:
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
    assert store.raw_json.raw("u") == '{"id": "u"}'
    assert store.get("other") is None


def test_touch_clears_the_marks(store: Store) -> None:
    store.put([(Upload(id="u", read_on=NOON), "{}", (), None)])
    store.mark(["u"], gone=True, stale=True)
    row = store.get("u")
    assert row is not None
    assert (row.is_gone, row.is_stale) == (True, True)
    store.touch(["u"], NOON + timedelta(seconds=5))
    row = store.get("u")
    assert row is not None
    assert (row.is_gone, row.is_stale, row.read_on) == (False, False, NOON + timedelta(seconds=5))


@st.composite
def readings(draw: st.DrawFn) -> tuple[str, str, Stage, int]:
    """What is done, to which upload or project, in which stage, and how many seconds after the last one."""
    action = draw(st.sampled_from(["put", "touch", "gone", "stale", "listed", "listed pending", "set back"]))
    return action, draw(st.sampled_from(["p", "q"])), draw(st.sampled_from(Stage)), draw(st.integers(0, 9))


@given(st.lists(readings(), min_size=2, max_size=6))
@example([("listed", "p", Stage.INITIATED, 5), ("gone", "p", Stage.INITIATED, 1)])
@example([("listed", "p", Stage.INITIATED, 5), ("stale", "p", Stage.INITIATED, 1)])
@example([("stale", "p", Stage.INITIATED, 5), ("listed", "p", Stage.INITIATED, 1)])
@example([("stale", "p", Stage.INITIATED, 5), ("set back", "p", Stage.INITIATED, 1)])
@example([("listed", "p", Stage.INITIATED, 5)])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_listing_touches_the_uploads_that_it_has(steps: Sequence[tuple[str, str, Stage, int]]) -> None:
    """Compared with touching each upload; the clock may be set back before a listing of all of them."""
    with closing(Store()) as store:
        now, expected = NOON, dict[str, tuple[Stage, bool, bool, datetime]]()
        for action, name, stage, seconds in [("put", "p", Stage.INITIATED, 0), ("put", "q", Stage.VERIFIED, 0), *steps]:
            now += timedelta(seconds=-100 if action == "set back" else seconds)
            match action:
                case "put":
                    upload = Upload(id=name, project_id=name, timeline=Timeline((Event(stage, NOON),)), read_on=now)
                    store.put([(upload, "{}", (), None)])
                    expected[name] = (stage, False, False, now)
                case "touch":
                    store.touch([name], now)
                    expected |= {name: (expected[name][0], False, False, now)} if name in expected else {}
                case "gone" | "stale":
                    is_gone, is_stale = action == "gone", action == "stale"
                    store.mark([name], gone=is_gone or None, stale=is_stale or None)
                    for old, was_gone, was_stale, on in [expected[name]] if name in expected else []:
                        expected[name] = (old, was_gone or is_gone, was_stale or is_stale, on)
                case _:
                    projects = frozenset[str]() if action == "set back" else frozenset({name})
                    store.touch_listed(now, projects, with_final=action != "listed pending")
                    for one, (old, is_gone, is_stale, _) in expected.items():
                        is_in = one in projects or not projects
                        if is_in and not (is_gone or is_stale or (old.is_final and action == "listed pending")):
                            expected[one] = (old, is_gone, is_stale, now)
        found = {one: store.get(one) for one in expected}
        assert {one: row and row.read_on for one, row in found.items()} == {
            one: on for one, (*_, on) in expected.items()
        }
        pending = [on for old, is_gone, _, on in expected.values() if not (old.is_final or is_gone)]
        last = StoreAggregates(store).last_read(Stage.INITIATED, Stage.COMPLETED)
        assert last == max(pending, default=None)


def test_data_persist_when_a_store_is_opened_again(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    for _ in range(2):
        store = Store(file)
        store.put([(Upload(id="u", read_on=NOON), "{}", (), None)])
        store.close()
    store = Store(file)
    assert store.known(["u", "v"]) == {"u"}
    store.close()


def test_opening_renames_a_damaged_file(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    file.write_bytes(b"this is not a database, and never was one" * 100)
    store = Store(file)
    store.put([(Upload(id="u", read_on=NOON), "{}", (), None)])
    store.close()
    assert "the old file is" in store.notice
    assert (tmp_path / "store.db.damaged-1").read_bytes().startswith(b"this is not")
    again = Store(file)
    assert (again.notice, again.known(["u"])) == ("", {"u"})
    again.close()


def test_opening_does_not_change_a_file_of_a_newer_version(tmp_path: Path) -> None:
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


def test_a_store_of_version_1_is_emptied(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    old = sqlite3.connect(file)
    old.executescript("CREATE TABLE uploads (id TEXT PRIMARY KEY) WITHOUT ROWID; PRAGMA user_version = 1")
    old.close()
    store = Store(file)
    store.put([(Upload(id="u", read_on=NOON), "{}", (), None)])
    assert store.get("u")
    store.close()


def test_two_stores_of_one_file_see_each_others_writes(tmp_path: Path) -> None:
    one, other = Store(tmp_path / "store.db"), Store(tmp_path / "store.db")
    query = Query()
    assert other.find(query, STUCK, 0, 0).total == 0
    assert other.detect_other_writers()
    before = other.revision
    assert not other.detect_other_writers()
    assert other.revision == before
    one.put([(Upload(id="u", read_on=NOON), "{}", (), None)])
    assert other.revision > before
    assert other.detect_other_writers()
    assert not other.detect_other_writers()
    assert [row.id for row in other.find(query, STUCK, 0, 9).uploads] == ["u"]
    other.put([(Upload(id="v", read_on=NOON), "{}", (), None)])
    assert one.find(query, STUCK, 0, 0).total == 2
    one.close()
    other.close()


def page_snapshot_of(cell: PartitionName, uploads: Sequence[Upload], body: bytes) -> bytes:
    """A snapshot of a page whose uploads are all in one partition."""
    named = [dict(zip(WRITE_COLUMNS, row_values(upload, 0, 0, (), None), strict=True)) for upload in uploads]
    rows = [
        tuple(place if column == "place" else row[column] for column in BULK_COLUMNS) for place, row in enumerate(named)
    ]
    return build_snapshot({cell: rows}, SnapshotInfo(len(rows), uploads[0].id, ()), body)


def test_bulk_rows_are_sorted_counted_and_found(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    store.bulk.begin()
    readings = [Upload(id=f"u-{n}", project_id="p", name=f"file{n}.bin", read_on=NOON) for n in range(30)]
    for start in (0, 10, 15, 20):  # new uploads shift pages, so they overlap
        page = readings[start : start + 10]
        body = json.dumps({"results": [{"id": upload.id} for upload in page]}).encode()
        store.bulk.insert_page(page_snapshot_of(("p", "P", Stage.INITIATED.rank), page, body))
    store.close()  # during the load: the next store ends it
    store = Store(tmp_path / "store.db")
    assert store.find(Query(project_ids=frozenset({"p"})), STUCK, 0, 0).total == 30
    assert [row.id for row in store.find(Query(where=parse_query("file27")), STUCK, 0, 9).uploads] == ["u-27"]
    assert [json.loads(store.raw_json.raw(f"u-{n}"))["id"] for n in (3, 17, 29)] == ["u-3", "u-17", "u-29"]
    store.put([(readings[3], '{"id": "new"}', (), None)])
    assert store.raw_json.raw("u-3") == '{"id": "new"}'
    store.close()


async def test_overlapping_loads_of_two_projects_are_counted_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    begin_with_first_page(store)
    store.bulk.begin()
    await store.bulk.finish()
    store.bulk.insert_page(second_page())
    await store.bulk.finish()
    assert store.find(Query(), STUCK, 0, 0).total == 10
    assert [row.id for row in store.find(Query(where=parse_query("v-3")), STUCK, 0, 9).uploads] == ["v-3"]
    store.close()


def test_rows_are_counted_once_when_another_store_opens_during_a_bulk_load(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    begin_with_first_page(store)
    other = Store(tmp_path / "store.db")
    store.bulk.insert_page(second_page())
    store.bulk.end()
    assert store.find(Query(), STUCK, 0, 0).total == other.find(Query(), STUCK, 0, 0).total == 10
    assert [row.id for row in other.find(Query(where=parse_query("v-3")), STUCK, 0, 9).uploads] == ["v-3"]
    other.close()
    store.close()


def test_deep_pages_are_found_from_checkpoints() -> None:
    store = Store(limits=Limits(checkpoint_rows=7))
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
            for selected in (frozenset[Stage](), frozenset(stages[:2])):
                query = Query(sort=sort, descending=descending, stages=selected)
                everything = [row.id for row in store.find(query, STUCK, 0, 500).uploads]
                assert len(everything) == len(set(everything)) == store.find(query, STUCK, 0, 0).total
                for offset in (90, 10, len(everything) - 40, 55, 91):
                    store.touch([], NOON)  # clears the checkpoints
                    assert [row.id for row in store.find(query, STUCK, offset, 5).uploads] == everything[
                        offset : offset + 5
                    ]
                    assert store.position(query, STUCK, everything[offset + 3]) == offset + 3
                    assert store.position(query, STUCK, everything[offset - 3]) == offset - 3
    store.close()


def test_pages_of_an_earlier_version_are_readable(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    page = {"results": [{"id": "u-0", "content_type": "image/tiff"}, {"id": "ü-1", "content_type": 7}]}
    with closing(sqlite3.connect(file)) as old:
        old.executescript("".join(MIGRATIONS[:2]) + "PRAGMA user_version = 2")
        old.execute("INSERT INTO pages VALUES (1, ?)", (json.dumps(page).encode(),))
        old.execute("INSERT INTO words VALUES (3, ?)", (json.dumps({"id": "u-2", "content_type": "text/csv"}),))
        old.execute("INSERT INTO projects VALUES (1, 'p', '')")
        old.execute("INSERT INTO cells VALUES (1, 1, 2, 0, 0)")
        for number, upload_id, place in ((1, "u-0", 0), (2, "ü-1", 1), (3, "u-2", None)):
            insert_old_row(old, number, upload_id, place)
        old.commit()
    store = Store(file)
    assert json.loads(store.raw_json.raw("u-0")) == page["results"][0]
    rows = store.find(Query(), STUCK, 0, 9).uploads
    assert {row.id: row.content_type for row in rows} == {"u-0": "image/tiff", "ü-1": "", "u-2": "text/csv"}
    found = store.find(Query(where=parse_query("U-1 Äpfel-ü-1")), STUCK, 0, 9).uploads
    assert [row.id for row in found] == ["ü-1"]
    store.put([(replace(read_back(rows, "ü-1"), name="birnen"), "{}", (), None)])
    assert store.find(Query(where=parse_query("apfel")), STUCK, 0, 9).total == 2
    assert store.find(Query(where=parse_query("birnen")), STUCK, 0, 9).total == 1
    store.db.execute("INSERT INTO trigrams (trigrams) VALUES ('integrity-check')")
    store.close()


def insert_old_row(db: sqlite3.Connection, number: int, upload_id: str, place: int | None) -> None:
    """A row of the table as it was in version 2."""
    columns = [row[1] for row in db.execute("PRAGMA table_info(uploads)")]
    values = {
        "number": number, "id": upload_id, "project": 1, "cell": 1, "name": f"Äpfel-{upload_id}" , "size_bytes": 1, "stage": 2,
        "certainty": "reported", "error_message": "", "cause": "", "storage_provider": "", "uploader": "", "noticed": "",
        "page": None if place is None else 1, "place": place,
    }  # fmt: skip
    row = tuple(values.get(column, 0) for column in columns)
    db.execute(f"INSERT INTO uploads VALUES ({', '.join('?' * len(row))})", row)


def read_back(rows: Sequence[StoredUpload], upload_id: str) -> Upload:
    """The upload of a row."""
    row = next(row for row in rows if row.id == upload_id)
    return Upload(
        id=row.id,
        name=row.name,
        project_id=row.project_id,
        timeline=Timeline((Event(row.stage, row.since),)),
        read_on=NOON,
    )


def test_an_acknowledgement_survives_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    upload = Upload(
        id="u", name="a", project_id="p", timeline=Timeline((Event(Stage.ERROR, NOON, message="bad"),)), read_on=NOON
    )
    store.put([(upload, "{}", (), None)])
    store.acknowledge(["u"], Acknowledgement("known", NOON + timedelta(days=1)))
    store.close()
    again = Store(tmp_path / "store.db")
    (row,) = again.find(Query(where=parse_query("is:acknowledged")), STUCK, 0, 9).uploads
    assert row.acknowledgement == Acknowledgement("known", NOON + timedelta(days=1))
    again.acknowledge(["u"], None)
    assert again.find(Query(where=parse_query("is:acknowledged")), STUCK, 0, 9).total == 0
    again.close()


def failed(upload_id: str, stage: Stage = Stage.ERROR) -> Upload:
    return Upload(id=upload_id, name="a", project_id="p", timeline=Timeline((Event(stage, NOON),)), read_on=NOON)


def acknowledged(store: Store) -> dict[str, str]:
    found = store.find(Query(where=parse_query("is:acknowledged"), sort=SortKey.NAME), STUCK, 0, 9).uploads
    return {row.id: row.acknowledgement.note for row in found if row.acknowledgement}


def test_acknowledgements_of_two_dashboards_survive_the_loss_of_the_cache(tmp_path: Path) -> None:
    file, kept = tmp_path / "store.db", tmp_path / "kept" / "one.json"
    with closing(Store(file, acknowledgements=kept)) as one, closing(Store(file, acknowledgements=kept)) as other:
        one.put((failed(upload_id), "{}", (), None) for upload_id in "abcd")
        one.acknowledge(["a", "b", "d"], Acknowledgement("by one"))
        other.acknowledge(["c"], Acknowledgement("by other", NOON + timedelta(days=1)))
        other.acknowledge(["b"], None)
    assert kept.stat().st_mode & 0o777 == 0o600
    for path in tmp_path.glob("store.db*"):
        path.unlink()
    with closing(Store(file, acknowledgements=kept)) as again:
        again.put([(failed("a"), "{}", (), None), (failed("b"), "{}", (), None)])
        assert acknowledged(again) == {"a": "by one"}
        again.acknowledge(["b"], Acknowledgement("now"))  # keeps those of uploads that are not fetched yet
        again.put([(failed("c"), "{}", (), None), (failed("d", Stage.VERIFIED), "{}", (), None)])
        assert acknowledged(again) == {"a": "by one", "b": "now", "c": "by other"}
        assert again.acknowledgements.damage == ""


@pytest.mark.parametrize("is_cache_lost", [False, True])
@pytest.mark.parametrize("other", [*Stage, None])
@pytest.mark.parametrize("stage", [*Stage])
def test_an_acknowledgement_that_has_ended_is_not_restored_in_a_later_process(
    tmp_path: Path, stage: Stage, other: Stage | None, is_cache_lost: bool
) -> None:
    """Also if the upload is in the same stage again, as one of a source that is tried again and fails again."""
    file, kept = tmp_path / "store.db", tmp_path / "kept.json"
    before = failed("a", stage)
    state = UnknownState("held", NOON)
    after = replace(before, timeline=Timeline(unknown_state=state)) if other is None else failed("a", other)
    with closing(Store(file, acknowledgements=kept)) as store:
        store.put([(before, "{}", (), None)])
        store.acknowledge(["a"], Acknowledgement("known"))
        if not is_cache_lost:
            store.put([(after, "{}", (), None)])
    for path in tmp_path.glob("store.db*" if is_cache_lost else "none"):
        path.unlink()
    with closing(Store(file, acknowledgements=kept)) as store:
        store.put([(after if is_cache_lost else before, "{}", (), None)])
        store.put([(before, "{}", (), None)])
        assert acknowledged(store) == ({"a": "known"} if other is stage else {})
    with closing(Store(file, acknowledgements=kept)) as store:
        store.put([(before, "{}", (), None)])
        assert acknowledged(store) == ({"a": "known"} if other is stage else {})


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b'[{"id": "a"}]', b'[{"id": "a", "stage": 99}]', b"\xff", b"[" * 99_999, None]
)
def test_a_damaged_file_of_acknowledgements_is_reported_and_moved_aside(tmp_path: Path, content: bytes | None) -> None:
    kept = tmp_path / "kept.json"
    kept.mkdir() if content is None else kept.write_bytes(content)
    with closing(Store(acknowledgements=kept)) as store:
        assert str(kept) in store.acknowledgements.damage
        store.put([(failed("a"), "{}", (), None)])
        store.acknowledge(["a"], Acknowledgement("known"))
        assert acknowledged(store) == {"a": "known"}
    with closing(Store(acknowledgements=kept)) as again:
        assert again.acknowledgements.damage == ""
        again.put([(failed("a"), "{}", (), None)])
        assert acknowledged(again) == {"a": "known"}
    assert (tmp_path / "kept.damaged").exists()


def test_a_locked_file_is_not_renamed(tmp_path: Path) -> None:
    file, limits = tmp_path / "store.db", Limits(busy_seconds=0.0)
    store = Store(file)
    store.db.execute("BEGIN IMMEDIATE")
    other = Store(file, limits=limits)
    assert other.notice == ""
    with pytest.raises(BusyStorageError, match="is writing to"):
        other.mark(["u"], gone=True)
    store.db.execute("COMMIT")
    other.mark(["u"], gone=True)
    other.close()
    store.db.execute("PRAGMA user_version = 4")
    store.db.execute("BEGIN IMMEDIATE")  # so that the other store has to migrate
    other = Store(file, limits=limits)
    assert "is writing to" in other.notice
    assert other.find(Query(), STUCK, 0, 0).total == 0
    assert list(tmp_path.glob("*damaged*")) == []
    other.close()
    store.db.execute("COMMIT")
    store.close()


def test_an_upload_with_damaged_json_has_a_row_and_no_json(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    store = Store(file)
    upload = Upload(
        id="5f6a", name="scan.tiff", project_id="p-1", timeline=Timeline((Event(Stage.VERIFIED, NOON),)), read_on=NOON
    )
    store.bulk.begin()
    store.bulk.insert_page(page_snapshot_of(("p-1", "Genome", Stage.VERIFIED.rank), [upload], b"no JSON"))
    store.bulk.end()
    assert store.get("5f6a") is not None
    assert store.raw_json.raw("5f6a") == ""
    store.close()


def second_page() -> bytes:
    """A page of five uploads of another project."""
    timeline = Timeline((Event(Stage.VERIFIED, NOON),))
    found = [Upload(id=f"v-{number}", project_id="p-2", timeline=timeline, read_on=NOON) for number in range(5)]
    return page_snapshot_of(("p-2", "Proteome", Stage.VERIFIED.rank), found, b'{"results":[]}')


def begin_with_first_page(store: Store) -> None:
    """Begin a bulk load with a page of five uploads."""
    timeline = Timeline((Event(Stage.VERIFIED, NOON),))
    uploads = [
        Upload(id=f"u-{number}", name=f"{number}.bin", project_id="p-1", timeline=timeline, read_on=NOON)
        for number in range(5)
    ]
    store.bulk.begin()
    store.bulk.insert_page(page_snapshot_of(("p-1", "Genome", Stage.VERIFIED.rank), uploads, b'{"results":[]}'))


@pytest.mark.parametrize("is_file", [True, False], ids=["file", "memory"])
async def test_finishing_a_bulk_load_does_not_block_the_event_loop(is_file: bool, tmp_path: Path) -> None:
    """With a file it runs in a thread; in memory, one statement at a time."""
    store = Store(tmp_path / "store.db" if is_file else None)
    begin_with_first_page(store)
    statements: list[str] = []
    counts: list[int] = []

    async def count_built_indexes() -> None:
        while True:
            counts.append(len([statement for statement in statements if "CREATE INDEX" in statement]))
            await asyncio.sleep(0)

    store.db.connection.set_trace_callback(statements.append)
    counter = asyncio.create_task(count_built_indexes())
    await store.bulk.finish()
    counter.cancel()
    store.db.connection.set_trace_callback(None)
    assert max(after - before for before, after in pairwise(counts)) == (0 if is_file else 1)
    assert len(counts) > (0 if is_file else 5)
    assert store.find(Query(where=parse_query("3.bin")), STUCK, 0, 0).total == 1
    store.close()


async def test_cancelling_the_end_of_a_bulk_load_leaves_it_to_the_next_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    begin_with_first_page(store)
    ending = asyncio.create_task(store.bulk.finish())
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    store.close()
    again = Store(tmp_path / "store.db")
    assert again.find(Query(where=parse_query("3.bin")), STUCK, 0, 0).total == 1
    assert again.partitions.select()[0].upload_count == 5
    again.close()
