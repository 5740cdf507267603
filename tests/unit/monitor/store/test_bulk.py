"""During a bulk load all counts are correct, in every store of the file; an interrupted load is continued or ended."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from tests.unit.monitor.shifting_service import ShiftingService

from upload_tui.errors import ServerError
from upload_tui.monitor.changes import Change
from upload_tui.monitor.model import ProjectRef
from upload_tui.monitor.queries.parser import parse_query
from upload_tui.monitor.queries.query import Query
from upload_tui.monitor.store.bulk import PartitionName, SnapshotInfo, build_snapshot
from upload_tui.monitor.store.rows import BULK_COLUMNS, WRITE_COLUMNS, row_values
from upload_tui.monitor.store.schema import BulkLease, read_lease, write_lease
from upload_tui.monitor.store.store import Limits, Store, TroubleThresholds, WaitThresholds
from upload_tui.monitor.sync.state import SyncState
from upload_tui.monitor.sync.synchroniser import Synchroniser
from upload_tui.status import Event, Stage, Timeline
from upload_tui.testing import NOW
from upload_tui.wire import StatusShape, Upload, responses

STUCK = TroubleThresholds(WaitThresholds(NOW, NOW), NOW, WaitThresholds(NOW, NOW), NOW)
LATER = NOW + timedelta(minutes=5)


def an_upload_in(stage: Stage, name: str, project: str = "p-1") -> Upload:
    reached = (stage,) if stage is Stage.INITIATED else (Stage.INITIATED, stage)
    events = tuple(Event(one, NOW - timedelta(seconds=60 - one.rank)) for one in reached)
    return Upload(id=name, project_id=project, name=f"{name}.bin", timeline=Timeline(events), read_on=NOW)


def snapshot(uploads: Sequence[Upload], project: str = "p-1") -> bytes:
    """A snapshot of a page of verified uploads of one project."""
    named = [dict(zip(WRITE_COLUMNS, row_values(upload, 0, 0, (), None), strict=True)) for upload in uploads]
    rows = [
        tuple(place if column == "place" else row[column] for column in BULK_COLUMNS) for place, row in enumerate(named)
    ]
    partitions: dict[PartitionName, list[tuple[object, ...]]] = {(project, project.upper(), Stage.VERIFIED.rank): rows}
    body = json.dumps({"results": [{"id": upload.id} for upload in uploads]}).encode()
    return build_snapshot(partitions, SnapshotInfo(len(rows), uploads[0].id, ()), body)


def verified(start: int, end: int, project: str = "p-1") -> list[Upload]:
    return [an_upload_in(Stage.VERIFIED, f"{project}-{number}", project) for number in range(start, end)]


def put(store: Store, *uploads: Upload) -> None:
    store.put([(upload, "{}", (), None) for upload in uploads])


def counts(store: Store) -> dict[tuple[Stage, bool], int]:
    stages = tuple(Stage)
    return {(stages[one.stage_rank], one.is_gone): one.upload_count for one in store.partitions.select()}


def count_decoded_pages(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """A list that gets the body of each page that is decoded from now on."""
    decoded: list[bytes] = []
    page_entries = responses.page_entries

    def record(body: bytes) -> Sequence[Any]:
        decoded.append(body)
        return page_entries(body)

    monkeypatch.setattr(responses, "page_entries", record)
    return decoded


def delete_files(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def index_and_trigger_names(store: Store) -> set[str]:
    """The names of the existing triggers and indexes."""
    rows = store.db.execute(
        "SELECT name FROM sqlite_master WHERE name LIKE 'upload\\_%' ESCAPE '\\' OR name LIKE 'by\\_%' ESCAPE '\\'"
    )
    return {row[0] for row in rows}


def test_pending_uploads_are_counted_and_listed_during_a_bulk_load() -> None:
    store = Store()
    store.bulk.begin()
    store.bulk.insert_page(snapshot(verified(0, 5)))
    put(store, an_upload_in(Stage.INITIATED, "a"), an_upload_in(Stage.COMPLETED, "b"))
    assert [row.id for row in store.pending()] == ["b", "a"]
    put(store, an_upload_in(Stage.COMPLETED, "a"), an_upload_in(Stage.VERIFIED, "b"))
    store.mark(["a"], gone=True)
    expected = {(Stage.VERIFIED, False): 6, (Stage.COMPLETED, True): 1}
    assert counts(store) == expected
    store.bulk.end()
    assert counts(store) == expected
    store.close()


def test_a_search_finds_rows_of_an_unfinished_bulk_load() -> None:
    store = Store()
    store.bulk.begin()
    store.bulk.insert_page(snapshot(verified(0, 20)))
    for _ in range(2):
        found = store.find(Query(where=parse_query("p-1-17")), STUCK, 0, 9, patience_seconds=1.0)
        assert ([row.id for row in found.uploads], found.total, found.is_settled) == (["p-1-17"], 1, True)
        store.bulk.end()
    store.close()


@pytest.mark.parametrize("is_small", [False, True], ids=["many", "few"])
def test_another_store_reads_correct_data_and_keeps_its_indexes_if_it_is_large(is_small: bool, tmp_path: Path) -> None:
    limits = Limits(small_store_uploads=1 if is_small else 0)
    scanned, loading = Store(tmp_path / "store.db"), Store(tmp_path / "store.db", limits=limits)
    put(scanned, an_upload_in(Stage.INITIATED, "a"))
    SyncState(scanned, "p-1").is_scanned = True
    before = index_and_trigger_names(scanned)
    loading.bulk.begin()
    loading.bulk.insert_page(snapshot(verified(0, 5, "p-2"), "p-2"))
    assert (index_and_trigger_names(scanned) == before) is not is_small
    put(scanned, an_upload_in(Stage.COMPLETED, "a"))
    assert counts(scanned) == {(Stage.COMPLETED, False): 1, (Stage.VERIFIED, False): 5}
    assert scanned.find(Query(where=parse_query("p-2-3")), STUCK, 0, 0).total == 1
    loading.bulk.end()
    loading.close()
    scanned.close()


async def test_a_load_of_a_dead_process_is_finished_by_another_store(tmp_path: Path) -> None:
    living, dying = Store(tmp_path / "store.db"), Store(tmp_path / "store.db")
    complete = index_and_trigger_names(living)
    dying.bulk.begin()
    dying.bulk.insert_page(snapshot(verified(0, 5)))
    await living.bulk.wait_until_idle()
    assert index_and_trigger_names(living) != complete  # its lease has not expired
    put(living, an_upload_in(Stage.INITIATED, "a"))
    assert len(living.pending()) == 1
    lease = read_lease(living.db)
    assert lease is not None
    write_lease(living.db, replace(lease, renewed_at=lease.renewed_at - 60))
    dying.db.connection.close()
    await living.bulk.wait_until_idle()
    assert index_and_trigger_names(living) == complete
    assert counts(living) == {(Stage.INITIATED, False): 1, (Stage.VERIFIED, False): 5}
    assert living.find(Query(where=parse_query("p-1-3")), STUCK, 0, 0).total == 1
    living.close()


@pytest.mark.parametrize("has_other", [False, True])
async def test_a_load_is_finished_though_the_file_was_deleted(tmp_path: Path, has_other: bool) -> None:
    """A user may delete the cache while a dashboard is open, and start another one."""
    store = Store(tmp_path / "store.db")
    indexed = index_and_trigger_names(store)
    store.bulk.begin()
    store.bulk.insert_page(snapshot(verified(0, 10)))
    delete_files(tmp_path)
    other = Store(tmp_path / "store.db") if has_other else None
    await store.bulk.finish()
    assert index_and_trigger_names(store) == indexed
    assert read_lease(store.db) is None
    assert counts(store) == {(Stage.VERIFIED, False): 10}
    for one in (store, other):
        if one is not None:
            assert not one.notice
            one.close()


def test_a_running_load_is_not_ended_by_another_store(tmp_path: Path) -> None:
    loading = Store(tmp_path / "store.db")
    loading.bulk.begin()
    loading.bulk.insert_page(snapshot(verified(0, 5)))
    before = index_and_trigger_names(loading)
    Store(tmp_path / "store.db").close()
    assert index_and_trigger_names(loading) == before
    loading.close()
    Store(tmp_path / "store.db").close()  # the lease was released, so this store ends the load
    again = Store(tmp_path / "store.db")
    assert read_lease(again.db) is None
    again.close()


def test_inserting_pages_renews_the_lease(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    store.bulk.begin()
    first = read_lease(store.db)
    assert first is not None
    store.bulk._lease = replace(first, renewed_at=first.renewed_at - 10)
    store.bulk.insert_page(snapshot(verified(0, 5)))
    second = read_lease(store.db)
    assert second is not None
    assert (second.owner, second.renewed_at >= first.renewed_at) == (first.owner, True)
    store.close()


def test_known_rows_are_touched_if_equal_and_reported_if_different() -> None:
    store = Store()
    store.bulk.begin()
    known = verified(0, 6)
    store.bulk.insert_page(snapshot(known))
    put(store, an_upload_in(Stage.INITIATED, "a"))
    again = [replace(upload, read_on=LATER) for upload in known]
    again[2] = replace(again[2], name="renamed.bin")
    again.append(replace(an_upload_in(Stage.VERIFIED, "a"), read_on=LATER))
    assert store.bulk.insert_page(snapshot(again)).unparsed_places == [2, 6]
    assert [row.read_on for row in store.find(Query(), STUCK, 0, 9).uploads if row.id == "p-1-0"] == [LATER]
    assert [row.name for row in store.find(Query(), STUCK, 0, 9).uploads if row.id == "p-1-2"] == ["p-1-2.bin"]
    assert store.db.execute("SELECT count(*) FROM pages").fetchone()[0] == 1
    assert counts(store) == {(Stage.INITIATED, False): 1, (Stage.VERIFIED, False): 6}
    store.close()


@pytest.mark.parametrize("is_reopened", [False, True], ids=["same session", "next session"])
async def test_an_interrupted_full_scan_continues_in_bulk(
    is_reopened: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every page is stored and parsed once; what happened since the interruption is published."""
    limits = Limits(bulk_threshold=10)
    service = ShiftingService(1, StatusShape.A, largest_page=50, uploads=600)
    for upload in service.uploads:
        service.advance(upload)
        service.advance(upload)
    service.start_upload()
    answer, store, published = service._answer, Store(tmp_path / "store.db", limits=limits), list[Change]()

    def failing(request: httpx.Request) -> httpx.Response:
        return httpx.Response(500) if service.requests >= 8 else answer(request)

    def synchroniser() -> Synchroniser:
        project = ProjectRef("p-1", "Genome")
        return Synchroniser(
            service.client(), store, project, published.append, lambda *_: leases.append(read_lease(store.db))
        )

    leases: list[BulkLease | None] = []
    watch = synchroniser()
    monkeypatch.setattr(service, "_answer", failing)
    with pytest.raises(ServerError):
        await watch.sync()
    known = store.find(Query(), STUCK, 0, 0).total
    assert 100 < known < 601
    assert published == []
    monkeypatch.setattr(service, "_answer", answer)
    if is_reopened:
        store.close()
        store = Store(tmp_path / "store.db", limits=limits)
        watch = synchroniser()
    decoded = count_decoded_pages(monkeypatch)
    service.advance(service.uploads[0])
    leases.clear()
    service.requests = 0
    await watch.sync()
    assert len([lease for lease in leases if lease is not None]) >= 12
    assert read_lease(store.db) is None
    assert (store.find(Query(), STUCK, 0, 0).total, service.requests < 20, len(decoded) < 5) == (601, True, True)
    assert {change.upload.id for change in published} == {service.uploads[0].id}  # type: ignore[attr-defined]
    assert store.db.execute("SELECT count(*) FROM pages").fetchone()[0] <= 13
    store.close()


def test_pages_are_parsed_once_when_uploads_are_read_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    store.bulk.begin()
    for start in range(0, 60, 10):
        store.bulk.insert_page(snapshot(verified(start, start + 10)))
    decoded = count_decoded_pages(monkeypatch)
    for number in range(60):
        upload_id = f"p-1-{number % 6 * 10 + number // 6}"
        assert json.loads(store.raw_json.raw(upload_id)) == {"id": upload_id}
    assert len(decoded) == 6
    store.close()


@pytest.mark.parametrize("field", ["api_token", "note"])
def test_secrets_of_a_stored_page_are_hidden_in_each_way_of_reading_it(field: str) -> None:
    store, upload = Store(), an_upload_in(Stage.VERIFIED, "p-1-0")
    body = json.dumps({"results": [{"id": upload.id, field: "token=hunter2hunter2"}]}).encode()
    row = dict(zip(WRITE_COLUMNS, row_values(upload, 0, 0, (), None), strict=True))
    rows = [tuple(0 if column == "place" else row[column] for column in BULK_COLUMNS)]
    store.bulk.begin()
    partitions: dict[PartitionName, list[tuple[object, ...]]] = {("p-1", "P-1", Stage.VERIFIED.rank): rows}
    store.bulk.insert_page(build_snapshot(partitions, SnapshotInfo(1, upload.id, ()), body))
    (number,) = store.find_numbers(Query(), STUCK)
    hidden = store.raw_json.entries([number])[number]
    assert hidden == json.loads(store.raw_json.raw(upload.id))
    assert "hunter2" not in str(hidden)
    assert "(hidden)" in hidden[field]
    store.close()
