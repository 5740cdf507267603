"""A store that is damaged, or cannot be written any more, ends no visit: another takes its place, and the person is told."""

import asyncio
import os
import sqlite3
from pathlib import Path

import pytest
from tests.unit.monitor.shifting_service import ShiftingService, TickingClock

from upload_tui.errors import StorageError, StorageResetError
from upload_tui.monitor.changes import Change
from upload_tui.monitor.model import ProjectRef, Query, SortKey
from upload_tui.monitor.sessions.live import LiveSession
from upload_tui.monitor.store import recovery
from upload_tui.monitor.store.store import Store, StuckThresholds
from upload_tui.monitor.store_picture import StorePicture
from upload_tui.monitor.sync import full_scan
from upload_tui.monitor.sync.synchroniser import Synchroniser
from upload_tui.testing import NOW
from upload_tui.wire import StatusShape, Upload

PROJECT = ProjectRef("p-1", "Genome")
STUCK = StuckThresholds(NOW, NOW)


def damage(file: Path, *names: str) -> None:
    """Overwrite the first page of some tables or indexes, as a failing disk does; the file still opens."""
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


def fill_up(store: Store, more_pages: int = 0) -> None:
    """From now on there is no room for more, as on a disk that is full."""
    (pages,) = store.db.execute("PRAGMA page_count").fetchone()
    store.db.execute(f"PRAGMA max_page_count = {pages + more_pages}")


def many(count: int) -> list[tuple[Upload, str, tuple[()], None]]:
    """Uploads to put."""
    return [
        (Upload(id=f"u-{n}", project_id="p-1", name=f"{n:04d}.bin", read_on=NOW), "{}" * 40, (), None)
        for n in range(count)
    ]


def kept(file: Path, count: int = 300) -> Path:
    """A store of an earlier visit."""
    store = Store(file)
    store.put(many(count))
    store.close()
    return file


class Watch:
    """A synchroniser over a store, and what it told."""

    def __init__(self, service: ShiftingService, store: Store) -> None:
        self.store = store
        self.told: list[Change] = []
        self.synchroniser = Synchroniser(service.client(), store, PROJECT, self.told.append, lambda *_: None)
        self.names = lambda: {row.name for row in store.window(Query(), STUCK, 0, 10_000)}


def test_a_damaged_store_is_set_aside_and_another_begun_when_it_is_asked(tmp_path: Path) -> None:
    file = kept(tmp_path / "store.db")
    damage(file, "by_name", "by_cell_name")
    store = Store(file)
    assert store.notice == ""
    revision = store.revision
    picture = StorePicture(store, TickingClock(), "https://example.org")
    assert picture.window(Query(sort=SortKey.NAME, descending=False), 100, 50).rows == ()
    assert "damaged" in picture.funnel().notice
    assert str(tmp_path / "store.db.damaged-1") in store.notice
    assert (store.generation, store.revision > revision) == (1, True)
    store.put(many(3))
    assert store.total(Query(), STUCK) == 3
    store.close()
    again = Store(file)
    assert (again.notice, again.total(Query(), STUCK)) == ("", 3)
    again.close()


async def test_all_is_fetched_again_and_nothing_told_when_a_damaged_store_is_written(tmp_path: Path) -> None:
    service = ShiftingService(1, StatusShape.A, largest_page=100, uploads=300)
    file = tmp_path / "store.db"
    first = Watch(service, Store(file))
    await first.synchroniser.sync()
    first.store.close()
    damage(file, "uploads", "cells")
    second = Watch(service, Store(file))
    service.begin()
    with pytest.raises(StorageResetError, match="damaged"):
        await second.synchroniser.sync()
    await second.synchroniser.sync()
    assert second.names() == {life.name for life in service.lives}
    assert second.told == []
    assert (tmp_path / "store.db.damaged-1").exists()
    second.store.close()


async def test_no_project_is_whole_when_the_store_was_replaced_while_it_was_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another project's synchroniser may have met the damage."""
    monkeypatch.setattr(full_scan, "_BULK_THRESHOLD", 10)
    service = ShiftingService(1, StatusShape.A, largest_page=20, uploads=100)
    store = Store(tmp_path / "store.db")
    malformed = sqlite3.DatabaseError("database disk image is malformed")
    malformed.sqlite_errorcode = sqlite3.SQLITE_CORRUPT  # type: ignore[misc]

    def progress(done: int, _: int | None) -> None:
        if done == 60 and not store.notice:
            store.db.recover(malformed)

    synchroniser = Synchroniser(service.client(), store, PROJECT, lambda _: None, progress)
    with pytest.raises(StorageResetError):
        await synchroniser.sync()
    assert not synchroniser.is_fully_scanned
    await synchroniser.sync()
    assert store.total(Query(), STUCK) == 100
    store.close()


async def test_what_is_known_stays_and_the_visit_goes_on_in_memory_when_the_disk_is_full(tmp_path: Path) -> None:
    service = ShiftingService(1, StatusShape.A, largest_page=100, uploads=300)
    watch = Watch(service, Store(tmp_path / "store.db"))
    await watch.synchroniser.sync()
    fill_up(watch.store)
    for _ in range(200):
        service.begin()
    with pytest.raises(StorageResetError, match="full"):
        await watch.synchroniser.sync()
    assert len(watch.names()) == 300
    service.requests = 0
    await watch.synchroniser.sync()
    assert watch.names() == {life.name for life in service.lives}
    assert len(watch.told) == 2 * 200  # each was seen, and began
    assert "Nothing is kept" in watch.store.notice
    assert watch.store.generation == 0
    watch.store.close()
    again = Store(tmp_path / "store.db")
    assert (again.notice, again.total(Query(), STUCK)) == ("", 300)
    again.close()


async def test_a_first_fetch_of_very_many_ends_in_memory_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(full_scan, "_BULK_THRESHOLD", 10)
    service = ShiftingService(1, StatusShape.A, largest_page=100, uploads=1000)
    for life in service.lives[5:]:
        service.go_on(life)
        service.go_on(life)
    store = Store(tmp_path / "store.db")
    fill_up(store, 40)
    session = LiveSession(service.client(), [PROJECT], store, clock=TickingClock())
    running = asyncio.create_task(session.run())
    async with asyncio.timeout(30):
        while not session.connection().is_live:
            assert not running.done()
            await asyncio.sleep(0)
    assert session.window(Query(), 0, 1).total == 1000
    assert "Nothing is kept" in session.funnel().notice
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    store.close()


async def test_a_session_looks_again_at_once_when_its_store_was_replaced(tmp_path: Path) -> None:
    service = ShiftingService(1, StatusShape.A, largest_page=100, uploads=30)
    clock = TickingClock()
    store = Store(tmp_path / "store.db")
    session = LiveSession(service.client(), [PROJECT], store, clock=clock)
    running = asyncio.create_task(session.run())
    malformed = sqlite3.DatabaseError("database disk image is malformed")
    malformed.sqlite_errorcode = sqlite3.SQLITE_CORRUPT  # type: ignore[misc]
    async with asyncio.timeout(30):
        while session.window(Query(), 0, 1).total < 30:
            await asyncio.sleep(0)
        clock.sleep = lambda _: asyncio.Event().wait()  # type: ignore[assignment,method-assign,return-value]
        for _ in range(100):
            await asyncio.sleep(0)
        store.db.recover(malformed)
        assert session.window(Query(), 0, 1).total == 0
        while session.window(Query(), 0, 1).total < 30:
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    store.close()


def test_what_the_last_visit_knew_is_shown_when_its_file_may_only_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = kept(tmp_path / "store.db")
    before = file.read_bytes()
    monkeypatch.setattr(os, "access", lambda *_: False)
    store = Store(file)
    assert "cannot be written" in store.notice
    assert store.total(Query(), STUCK) == 300
    store.put(many(301))
    assert store.total(Query(), STUCK) == 301
    store.close()
    assert file.read_bytes() == before


def test_what_the_last_visit_knew_is_shown_when_nothing_can_be_made_beside_its_file(tmp_path: Path) -> None:
    file = kept(tmp_path / "store.db")
    (tmp_path / "store.db-shm").mkdir()
    (tmp_path / "store.db-wal").mkdir()
    store = Store(file)
    assert "Nothing is kept" in store.notice
    assert store.total(Query(), STUCK) == 300
    store.close()


def test_a_store_that_cannot_be_read_is_begun_in_memory_when_its_folder_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "stores").write_text("not a folder")
    store = Store(tmp_path / "stores" / "store.db")
    store.put(many(1))
    assert "Nothing is kept" in store.notice
    assert store.total(Query(), STUCK) == 1
    store.close()


def test_the_new_store_of_another_dashboard_stays_when_both_find_the_old_one_damaged(tmp_path: Path) -> None:
    file = kept(tmp_path / "store.db")
    damage(file, "by_name", "by_cell_name")
    one, other = Store(file), Store(file)
    by_name = Query(sort=SortKey.NAME, descending=False)
    one.window(by_name, STUCK, 100, 50)
    one.put(many(3))
    other.window(by_name, STUCK, 100, 50)
    assert other.total(Query(), STUCK) == 3
    assert [aside.name for aside in tmp_path.glob("*damaged-?")] == ["store.db.damaged-1"]
    other.close()
    one.close()


def test_no_earlier_damaged_store_is_overwritten_when_another_is_set_aside(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / "store.db").write_bytes(f"{number}: this is not a database, and never was one".encode() * 100)
        Store(tmp_path / "store.db").close()
    assert [(tmp_path / f"store.db.damaged-{number}").read_bytes()[:1] for number in (1, 2)] == [b"0", b"1"]


@pytest.mark.parametrize("version", [0, 3])
def test_another_programs_file_keeps_what_it_has_when_it_stands_in_the_stores_place(
    version: int, tmp_path: Path
) -> None:
    file = tmp_path / "newer" / "store.db"
    file.parent.mkdir()
    foreign = sqlite3.connect(file)
    foreign.executescript("CREATE TABLE uploads (a); INSERT INTO uploads VALUES (1)")
    foreign.execute(f"PRAGMA user_version = {version}")
    foreign.execute(f"PRAGMA application_id = {version}")
    foreign.close()
    store = Store(file)
    assert "another program's" in store.notice
    store.close()
    aside = sqlite3.connect(file.with_name("store.db.damaged-1"))
    assert aside.execute("SELECT a FROM uploads").fetchall() == [(1,)]
    aside.close()


def test_a_store_is_not_replaced_when_the_program_itself_errs(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    with pytest.raises(sqlite3.OperationalError, match="syntax error"):
        store.db.execute("SELEC")
    assert store.notice == ""
    store.close()


def test_the_error_comes_out_when_nothing_can_take_the_place_of_memory() -> None:
    store = Store()
    fill_up(store)
    with pytest.raises(StorageError, match="full"):
        store.put(many(1000))
    store.put(many(1))
    store.close()


def test_a_file_takes_a_files_place_only_once_when_the_disk_damages_all(tmp_path: Path) -> None:
    store = Store(kept(tmp_path / "store.db"))
    malformed = sqlite3.DatabaseError("database disk image is malformed")
    malformed.sqlite_errorcode = sqlite3.SQLITE_CORRUPT  # type: ignore[misc]
    for is_kept in (True, False, False):
        store.db.recover(malformed)
        assert (store.db.file is not None) is is_kept
    store.close()


def test_errors_mean_what_they_are() -> None:
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY_SNAPSHOT  # type: ignore[misc]
    names = [type(recovery.storage_error(error, None)).__name__ for error in (busy, sqlite3.ProgrammingError("closed"))]
    assert names == ["BusyStorageError", "NoneType"]
