"""A store that is damaged or cannot be written is replaced, with a notice; the session continues."""

import asyncio
import os
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest
from tests.unit.monitor.shifting_service import ShiftingService, TickingClock

from upload_tui.errors import StorageError, StorageResetError
from upload_tui.monitor.changes import Change
from upload_tui.monitor.model import ProjectRef
from upload_tui.monitor.notices import NoticeKind
from upload_tui.monitor.queries.parser import parse_query
from upload_tui.monitor.queries.query import Query, SortKey
from upload_tui.monitor.sessions.live import LiveSession
from upload_tui.monitor.store.recovery import storage_error
from upload_tui.monitor.store.schema import MIGRATIONS
from upload_tui.monitor.store.store import Limits, Store, TroubleThresholds, WaitThresholds
from upload_tui.monitor.store_picture import StorePicture
from upload_tui.monitor.sync.state import SyncState
from upload_tui.monitor.sync.synchroniser import Synchroniser
from upload_tui.testing import NOW
from upload_tui.wire import StatusShape, Upload

PROJECT = ProjectRef("p-1", "Genome")
STUCK = TroubleThresholds(WaitThresholds(NOW, NOW), NOW, WaitThresholds(NOW, NOW), NOW)


def damage(file: Path, *names: str) -> None:
    """Overwrite the first page of some tables or indexes, as a failing disk may; the file still opens."""
    db = sqlite3.connect(file)
    places = ", ".join("?" * len(names))
    pages = [row[0] for row in db.execute(f"SELECT rootpage FROM sqlite_master WHERE name IN ({places})", names)]
    (size,) = db.execute("PRAGMA page_size").fetchone()
    db.execute("PRAGMA wal_checkpoint = TRUNCATE")
    db.close()
    assert len(pages) == len(names)
    with file.open("r+b") as body:
        for page in pages:
            body.seek((page - 1) * size)
            body.write(b"\xa7" * size)


def limit_size(store: Store, more_pages: int = 0) -> None:
    """Limit the database to its present size, as a full disk does."""
    (pages,) = store.db.execute("PRAGMA page_count").fetchone()
    store.db.execute(f"PRAGMA max_page_count = {pages + more_pages}")


def many(count: int) -> list[tuple[Upload, str, tuple[()], None]]:
    """Entries to put."""
    return [
        (Upload(id=f"u-{n}", project_id="p-1", name=f"{n:04d}.bin", read_on=NOW), "{}" * 40, (), None)
        for n in range(count)
    ]


def stored(file: Path, count: int = 300) -> Path:
    """A file with a store of an earlier session."""
    store = Store(file)
    store.put(many(count))
    store.close()
    return file


class Harness:
    """A synchroniser with a store, and the changes it published."""

    def __init__(self, service: ShiftingService, store: Store) -> None:
        self.store = store
        self.published: list[Change] = []
        self.synchroniser = Synchroniser(service.client(), store, PROJECT, self.published.append, lambda *_: None)

    def names(self) -> set[str]:
        """The names of all uploads in the store."""
        return {row.name for row in self.store.find(Query(), STUCK, 0, 10_000).uploads}


def test_a_damaged_file_is_replaced_when_it_is_read(tmp_path: Path) -> None:
    file = stored(tmp_path / "store.db")
    damage(file, "by_name", "by_partition_name")
    store = Store(file)
    assert store.notice == ""
    revision = store.revision
    picture = StorePicture(store, TickingClock(), "https://example.org")
    assert picture.window(Query(sort=SortKey.NAME, descending=False), 100, 50).rows == ()
    (notice,) = picture.funnel().notices
    assert (notice.kind, notice.text) == (NoticeKind.CACHE_REPLACED, store.notice)
    assert "damaged" in store.notice
    assert str(tmp_path / "store.db.damaged-1") in store.notice
    assert (store.generation, store.revision > revision) == (1, True)
    store.put(many(3))
    assert store.find(Query(), STUCK, 0, 0).total == 3
    store.close()
    again = Store(file)
    assert (again.notice, again.find(Query(), STUCK, 0, 0).total) == ("", 3)
    again.close()


async def test_everything_is_fetched_again_and_nothing_published_when_a_damaged_file_is_written(tmp_path: Path) -> None:
    service = ShiftingService(1, StatusShape.A, largest_page=100, uploads=300)
    file = tmp_path / "store.db"
    first = Harness(service, Store(file))
    await first.synchroniser.sync()
    first.store.close()
    damage(file, "uploads", "partitions")
    second = Harness(service, Store(file))
    service.start_upload()
    with pytest.raises(StorageResetError, match="damaged"):
        await second.synchroniser.sync()
    await second.synchroniser.sync()
    assert second.names() == {upload.name for upload in service.uploads}
    assert second.published == []
    assert (tmp_path / "store.db.damaged-1").exists()
    second.store.close()


async def test_a_project_is_not_fully_scanned_when_the_store_is_replaced_during_the_scan(tmp_path: Path) -> None:
    """The synchroniser of another project may detect the damage."""
    service = ShiftingService(1, StatusShape.A, largest_page=20, uploads=100)
    store = Store(tmp_path / "store.db", limits=Limits(bulk_threshold=10))
    malformed = sqlite3.DatabaseError("database disk image is malformed")
    malformed.sqlite_errorcode = sqlite3.SQLITE_CORRUPT

    def progress(done: int, _: int | None) -> None:
        if done == 60 and not store.notice:
            store.db.recover(malformed)

    synchroniser = Synchroniser(service.client(), store, PROJECT, lambda _: None, progress)
    with pytest.raises(StorageResetError):
        await synchroniser.sync()
    assert not SyncState(store, "p-1").is_scanned
    await synchroniser.sync()
    assert store.find(Query(), STUCK, 0, 0).total == 100
    store.close()


async def test_data_are_copied_to_memory_when_the_disk_is_full(tmp_path: Path) -> None:
    service = ShiftingService(1, StatusShape.A, largest_page=100, uploads=300)
    harness = Harness(service, Store(tmp_path / "store.db"))
    await harness.synchroniser.sync()
    limit_size(harness.store)
    for _ in range(200):
        service.start_upload()
    with pytest.raises(StorageResetError, match="full"):
        await harness.synchroniser.sync()
    assert len(harness.names()) == 300
    service.requests = 0
    await harness.synchroniser.sync()
    assert harness.names() == {upload.name for upload in service.uploads}
    assert len(harness.published) == 2 * 200  # `UploadSeen` and `StageReached` of each
    assert "Nothing is cached" in harness.store.notice
    assert harness.store.db.uncached_reason == "disk is full"
    assert harness.store.generation == 0
    harness.store.close()
    again = Store(tmp_path / "store.db")
    assert (again.notice, again.find(Query(), STUCK, 0, 0).total) == ("", 300)
    again.close()


async def test_a_full_scan_completes_in_memory_when_the_disk_is_full(tmp_path: Path) -> None:
    service = ShiftingService(1, StatusShape.A, largest_page=100, uploads=1000)
    for upload in service.uploads[5:]:
        service.advance(upload)
        service.advance(upload)
    store = Store(tmp_path / "store.db", limits=Limits(bulk_threshold=10))
    limit_size(store, 40)
    session = LiveSession(service.client(), [PROJECT], store)
    running = asyncio.create_task(session.run())
    async with asyncio.timeout(30):
        while not session.connection().is_live:
            assert not running.done()
            await asyncio.sleep(0)
    assert session.picture.window(Query(), 0, 1).total == 1000
    (notice,) = session.picture.funnel().notices
    assert (notice.kind, notice.text, notice.short) == (NoticeKind.NOT_CACHED, store.notice, store.db.uncached_reason)
    assert "Nothing is cached" in store.notice
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    store.close()


async def test_a_session_syncs_at_once_when_its_store_is_replaced(tmp_path: Path) -> None:
    service = ShiftingService(1, StatusShape.A, largest_page=100, uploads=30)
    clock = service.clock
    store = Store(tmp_path / "store.db")
    session = LiveSession(service.client(), [PROJECT], store)
    running = asyncio.create_task(session.run())
    malformed = sqlite3.DatabaseError("database disk image is malformed")
    malformed.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    async with asyncio.timeout(30):
        while session.picture.window(Query(), 0, 1).total < 30:
            await asyncio.sleep(0)
        clock.sleep = lambda _: asyncio.Event().wait()  # type: ignore[assignment,method-assign,return-value]
        for _ in range(100):
            await asyncio.sleep(0)
        store.db.recover(malformed)
        assert session.picture.window(Query(), 0, 1).total == 0
        while session.picture.window(Query(), 0, 1).total < 30:
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    store.close()


def test_a_read_only_file_is_copied_to_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = stored(tmp_path / "store.db")
    before = file.read_bytes()
    monkeypatch.setattr(os, "access", lambda *_: False)
    store = Store(file)
    assert "cannot write" in store.notice
    assert store.find(Query(), STUCK, 0, 0).total == 300
    store.put(many(301))
    assert store.find(Query(), STUCK, 0, 0).total == 301
    store.close()
    assert file.read_bytes() == before


def test_a_file_whose_side_files_cannot_be_created_is_copied_to_memory(tmp_path: Path) -> None:
    file = stored(tmp_path / "store.db")
    (tmp_path / "store.db-shm").mkdir()
    (tmp_path / "store.db-wal").mkdir()
    store = Store(file)
    assert "Nothing is cached" in store.notice
    assert store.find(Query(), STUCK, 0, 0).total == 300
    store.close()


def test_memory_is_used_when_the_folder_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "stores").write_text("not a folder")
    store = Store(tmp_path / "stores" / "store.db")
    store.put(many(1))
    assert "Nothing is cached" in store.notice
    assert store.find(Query(), STUCK, 0, 0).total == 1
    store.close()


def test_a_damaged_file_is_replaced_once_by_two_stores(tmp_path: Path) -> None:
    file = stored(tmp_path / "store.db")
    damage(file, "by_name", "by_partition_name")
    one, other = Store(file), Store(file)
    by_name = Query(sort=SortKey.NAME, descending=False)
    one.find(by_name, STUCK, 100, 50)
    one.put(many(3))
    other.find(by_name, STUCK, 100, 50)
    assert other.find(Query(), STUCK, 0, 0).total == 3
    assert [aside.name for aside in tmp_path.glob("*damaged-?")] == ["store.db.damaged-1"]
    other.close()
    one.close()


def test_each_damaged_file_gets_a_name_of_its_own(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / "store.db").write_bytes(f"{number}: this is not a database, and never was one".encode() * 100)
        Store(tmp_path / "store.db").close()
    assert [(tmp_path / f"store.db.damaged-{number}").read_bytes()[:1] for number in (1, 2)] == [b"0", b"1"]


@pytest.mark.parametrize("version", [0, 3])
def test_a_file_of_another_program_is_renamed_unchanged(version: int, tmp_path: Path) -> None:
    file = tmp_path / "newer" / "store.db"
    file.parent.mkdir()
    foreign = sqlite3.connect(file)
    foreign.executescript("CREATE TABLE uploads (a); INSERT INTO uploads VALUES (1)")
    foreign.execute(f"PRAGMA user_version = {version}")
    foreign.execute(f"PRAGMA application_id = {version}")
    foreign.close()
    store = Store(file)
    assert "another program" in store.notice
    store.close()
    aside = sqlite3.connect(file.with_name("store.db.damaged-1"))
    assert aside.execute("SELECT a FROM uploads").fetchall() == [(1,)]
    aside.close()


def test_a_bug_does_not_replace_the_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    with pytest.raises(sqlite3.OperationalError, match="syntax error"):
        store.db.execute("SELEC")
    assert store.notice == ""
    store.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no limits")
def test_a_store_in_memory_sorts_many_rows_while_the_disk_is_full() -> None:
    import resource

    with closing(Store()) as store:
        store.db.execute("PRAGMA cache_size = 10")  # more needs a file, unless all is in memory
        numbers = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 30000)"
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            rows = store.db.execute(f"{numbers} SELECT hex(randomblob(30)) FROM numbers ORDER BY 1")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(rows) == 30000


@pytest.mark.parametrize("text", ["disk I/O error", "unable to open (7) it", ""])
def test_the_reason_is_what_the_system_says_whatever_its_words(text: str, tmp_path: Path) -> None:
    failed = sqlite3.OperationalError(text)
    failed.sqlite_errorcode = sqlite3.SQLITE_IOERR
    error = storage_error(failed, tmp_path / "a (b).db")
    assert error is not None
    assert error.reason == text
    file = tmp_path / "a (file)"
    file.touch()
    with closing(Store(file / "folder" / "store.db")) as store:
        assert store.db.uncached_reason == "Not a directory"


def test_a_full_memory_database_raises() -> None:
    store = Store()
    limit_size(store)
    with pytest.raises(StorageError, match="full"):
        store.put(many(1000))
    store.put(many(1))
    store.close()


def test_a_file_is_replaced_by_a_file_only_once(tmp_path: Path) -> None:
    store = Store(stored(tmp_path / "store.db"))
    malformed = sqlite3.DatabaseError("database disk image is malformed")
    malformed.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    for is_file in (True, False, False):
        store.db.recover(malformed)
        assert (store.db.file is not None) is is_file
    store.close()


def test_sqlite_errors_are_translated() -> None:
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY_SNAPSHOT
    names = [type(storage_error(error, None)).__name__ for error in (busy, sqlite3.ProgrammingError("closed"))]
    assert names == ["BusyStorageError", "NoneType"]


@pytest.mark.parametrize(
    "sql", ["SELECT * FROM nowhere", "SELECT nothing FROM uploads", "SELEC 1", "INSERT INTO change_log VALUES (1)"]
)
def test_a_wrong_statement_of_ours_is_no_damage(sql: str, tmp_path: Path) -> None:
    store = Store(stored(tmp_path / "store.db"))
    with pytest.raises(sqlite3.OperationalError):
        store.db.execute(sql)
    assert store.notice == ""
    assert store.find(Query(), STUCK, 0, 0).total == 300
    store.close()


@pytest.mark.parametrize(
    "migration",
    [
        "ALTER TABLE uploads RENAME COLUMN name TO title",
        "ALTER TABLE partitions RENAME TO parts",
        "DROP TABLE raw_json",
        "CREATE TRIGGER checked BEFORE INSERT ON uploads BEGIN SELECT raise(ABORT, 'no shape'); END",
    ],
)
def test_a_file_that_a_newer_version_migrates_while_it_is_open_is_left_to_it(migration: str, tmp_path: Path) -> None:
    file = stored(tmp_path / "store.db")
    store = Store(file)
    newer = sqlite3.connect(file)
    newer.executescript(f"{migration}; PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(StorageResetError, match="a newer upload-tui wrote"):
        store.put(many(1))
    store.put(many(2))
    assert store.find(Query(), STUCK, 0, 0).total == 2
    assert not [*tmp_path.glob("*damaged*")]
    assert newer.execute("SELECT count(*) FROM uploads").fetchone() == (300,)
    newer.close()
    store.close()


@pytest.mark.parametrize(
    "damage_sql",
    ["DROP TABLE raw_json", "ALTER TABLE uploads DROP COLUMN place", "DROP TABLE trigrams"],
)
def test_a_missing_table_or_column_is_damage(damage_sql: str, tmp_path: Path) -> None:
    file = stored(tmp_path / "store.db")
    store = Store(file)
    other = sqlite3.connect(file)
    other.execute(damage_sql)
    other.close()
    with suppress(StorageResetError):
        store.put(many(1))
        store.raw_json.raw("u-0")
        store.find(Query(where=parse_query("0001")), STUCK, 0, 10)
    assert "damaged" in store.notice
    store.close()
