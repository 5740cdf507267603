"""A damaged database: every page, filled with zeros and with nonsense. What can be read is verified; the rest has a reason."""

import asyncio
import logging
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.contract.calls import Caller, InlineExecutor, md5, serving
from upload_tui.backend.storage import MemoryStorage
from upload_tui.backend.store.database import Database
from upload_tui.backend.store.records import ChunkRecord
from upload_tui.backend.worker import LEASE
from upload_tui.errors import UsageError

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
UPLOADS = 100
CONTENT = b"0123"
PARTS = 2
"""How many tests share the pages."""


class FullStorage(MemoryStorage):
    """Has the same bytes for every upload."""

    def _find(self, _: tuple[str, int]) -> tuple[int, bytearray]:
        return 0, bytearray(CONTENT)


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: thousands of transactions would wait for the disk."""
    with TemporaryDirectory(dir=IN_MEMORY) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with completed uploads; each tree that matters has several pages."""
    file = tmp_path_factory.mktemp("damage") / "records.db"
    caller = Caller(database=file)
    records, now = caller.embedded.database, caller.clock.now()
    for number in range(UPLOADS):
        upload_id = caller.embedded._context.new_id()
        records.uploads.add(upload_id, caller.project_id, f"{number} {'n' * 60}", "text/plain", 4, now)
        records.uploads.put_chunk(upload_id, ChunkRecord(1, 4, "md5", md5(CONTENT)), now)
        records.uploads.complete(upload_id, "md5", md5(CONTENT), now)
    records.close()
    return file


def damaged(database: Path, folder: Path, page: int, fill: bytes) -> Path:
    """Copy the database and overwrite one of its pages, the first of which has number 1."""
    file, content = folder / "records.db", bytearray(database.read_bytes())
    size = int.from_bytes(content[16:18], "big")
    start = (page - 1) * size + (100 if page == 1 else 0)
    content[start : page * size] = fill * (page * size - start)
    file.write_bytes(content)
    for name in ("records.db-wal", "records.db-shm"):
        (folder / name).unlink(missing_ok=True)
    return file


def overwrite(file: Path, pages: list[int]) -> None:
    with file.open("r+b", buffering=0) as content:
        size = int.from_bytes(content.read(18)[16:], "big")
        for page in pages:
            content.seek((page - 1) * size)
            content.write(b"\xff" * size)


def page_count(database: Path) -> int:
    with closing(sqlite3.connect(database)) as db:
        return int(db.execute("PRAGMA page_count").fetchone()[0])


def pages_of(database: Path, *trees: str, kind: str = "%") -> list[int]:
    """The pages of tables and indexes; of one kind, `leaf` or `internal`, or of both."""
    with closing(sqlite3.connect(database)) as db:
        try:
            statement = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype LIKE ?"
            return [page for name in trees for (page,) in db.execute(statement, (name, kind))]
        except sqlite3.OperationalError:
            pytest.skip("this SQLite cannot list the pages of a table")


def upload_ids(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as db:
        return [row[0] for row in db.execute("SELECT id FROM uploads")]


@asynccontextmanager
async def working(file: Path) -> AsyncIterator[Caller]:
    """A service whose worker has done what it can do at once."""
    async with serving(database=file, executor=InlineExecutor()) as caller:
        caller.embedded.storage.storage = FullStorage()
        caller.embedded.worker.set_paused(is_paused=False)
        for _ in range(UPLOADS * 40):
            await asyncio.sleep(0)
        yield caller


@pytest.mark.parametrize("fill", [b"\0", b"\xff"], ids=["zeros", "nonsense"])
@pytest.mark.parametrize("part", range(PARTS))
async def test_every_damaged_page_leaves_a_service_that_answers_or_a_start_that_fails_with_a_reason(
    database: Path, tmp_path: Path, part: int, fill: bytes
) -> None:
    ids = upload_ids(database)
    for page in range(1 + part, page_count(database) + 1, PARTS):
        file = damaged(database, tmp_path, page, fill)
        refusal: UsageError | None = None
        try:
            async with working(file) as caller:
                await check_service(caller, ids[::3])
        except UsageError as error:
            refusal = error
        assert refusal is None or (str(file) in refusal.title and refusal.hint)


async def check_service(caller: Caller, ids: list[str]) -> None:
    queue = await caller.call("GET", "/queue")
    assert queue.status_code == 200
    postponed = {job.upload_id for job in caller.embedded.database.queue.troubles(UPLOADS)}
    for upload_id in ids:
        response = await caller.call("GET", f"/uploads/{upload_id}")
        if response.status_code == 200:
            status = response.json()["status"]
            assert status["error_on"] is None
            assert status["verified_on"] or upload_id in postponed
        else:
            assert (response.status_code, response.json()["code"]) == (500, "not_provided")


@pytest.mark.parametrize("fill", [b"\0", b"\xff"], ids=["zeros", "nonsense"])
@pytest.mark.parametrize("tree", ["jobs", "jobs_by_due"])
async def test_a_damaged_queue_is_rebuilt_and_nothing_is_lost(
    database: Path, tmp_path: Path, tree: str, fill: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    pages, ids = pages_of(database, tree), upload_ids(database)
    assert len(pages) > 2
    for page in pages:
        caplog.clear()
        async with working(damaged(database, tmp_path, page, fill)) as caller:
            assert all([(await caller.status(upload_id))["verified_on"] for upload_id in ids])
            answer = (await caller.call("GET", "/queue")).json()
            assert [answer[key] for key in ("depth", "running", "dead", "trouble")] == [0, 0, 0, None]
        [message] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        assert "has been rebuilt with" in message


async def test_a_queue_of_which_nothing_can_be_read_is_rebuilt_from_the_uploads(
    database: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A page of the uploads is damaged as well; the uploads before and after it are verified."""
    rows, ids = pages_of(database, "uploads", kind="leaf"), upload_ids(database)
    file = damaged(database, tmp_path, rows[len(rows) // 2], b"\xff")
    overwrite(file, pages_of(database, "jobs", "jobs_by_due"))
    async with working(file) as caller:
        await check_service(caller, ids)
    [message] = [record.getMessage() for record in caplog.records if "rebuilt" in record.getMessage()]
    rebuilt = int(message.split()[-2])
    assert UPLOADS / 2 < rebuilt < UPLOADS  # those whose record can be read, on both sides of the page that cannot be


async def test_a_queue_is_not_rebuilt_because_of_another_table(database: Path, tmp_path: Path) -> None:
    for page in pages_of(database, "uploads", "chunks", "hashes")[1::3]:
        async with working(damaged(database, tmp_path, page, b"\xff")) as caller:
            names = caller.embedded.database._db.execute("SELECT name FROM sqlite_master").fetchall()
        assert not [name for (name,) in names if name.startswith("damaged")]


async def test_a_queue_that_is_damaged_while_the_service_runs_is_rebuilt_with_its_attempts(
    database: Path, tmp_path: Path
) -> None:
    pages = pages_of(database, "jobs_by_due")
    file = Path(shutil.copy(database, tmp_path / "records.db"))
    async with serving(database=file) as caller:
        records, now = caller.embedded.database, caller.clock.now()
        job = records.queue.claim(now, LEASE)
        assert job is not None
        records.queue.postpone(job, now, "a reason")
        records._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        overwrite(file, pages)
        records._db.execute("PRAGMA shrink_memory")
        answer = (await caller.call("GET", "/queue")).json()
        assert (answer["depth"], answer["retried"]) == (UPLOADS, 1)
        assert [(entry["upload"]["id"], entry["attempts"], entry["reason"]) for entry in answer["troubles"]] == [
            (job.upload_id, 1, "a reason")
        ]


def test_a_rebuilt_table_is_the_migrated_one(tmp_path: Path) -> None:
    database = Database(tmp_path / "records.db")
    described = [database._db.execute(f"PRAGMA table_xinfo({name})").fetchall() for name in ("jobs",)]
    database.queue._rebuild(sqlite3.DatabaseError("damaged"))
    database.queue._rebuild(sqlite3.DatabaseError("damaged again"))
    assert [database._db.execute(f"PRAGMA table_xinfo({name})").fetchall() for name in ("jobs",)] == described
    indexed = [row[2] for row in database._db.execute("PRAGMA index_info(jobs_by_due_2)")]
    assert indexed == ["state", "due_ms", "upload_id", "attempts"]
    database.close()


@pytest.mark.parametrize("unreadable", [1, 201])
def test_rows_that_cannot_be_changed_hide_no_others(unreadable: int) -> None:
    caller, ids = Caller(), list[str]()
    database, now = caller.embedded.database, caller.clock.now()
    for _ in range(203):
        ids.append(caller.embedded._context.new_id())
        database.uploads.add(ids[-1], caller.project_id, "a", "b", 0, now)
        database.uploads.complete(ids[-1], "md5", "x", now)
    first = sorted(ids)[:unreadable]
    database._db.execute("CREATE TEMP TABLE unreadable (id)")
    database._db.executemany("INSERT INTO unreadable VALUES (?)", [(upload_id,) for upload_id in first])
    database._db.execute(
        "CREATE TEMP TRIGGER refuse BEFORE UPDATE ON main.jobs WHEN new.upload_id IN (SELECT id FROM unreadable) "
        "BEGIN SELECT RAISE(ABORT, 'unreadable'); END"
    )
    claims = [database.queue.claim(now, LEASE) for _ in range(len(ids) - unreadable)]
    assert [job and job.upload_id for job in claims] == sorted(ids)[unreadable:]
    with pytest.raises(sqlite3.IntegrityError, match="unreadable"):
        database.queue.claim(now, LEASE)
    database.close()


@pytest.mark.parametrize("broken", [("summary",), ("troubles",), ("summary", "troubles")])
async def test_the_queue_answers_also_if_it_cannot_be_counted(
    broken: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    async with serving() as caller:
        await caller.upload([(1, CONTENT)], 4, md5(CONTENT))
        for name in broken:
            monkeypatch.setattr(caller.embedded.database.queue, name, fail)
        response = await caller.call("GET", "/queue")
        answer = response.json()
        assert (response.status_code, answer["trouble"]) == (200, "database error: disk I/O error")
        assert answer["depth"] == (None if "summary" in broken else 1)


async def test_a_page_of_the_list_says_which_uploads_cannot_be_read() -> None:
    async with serving() as caller:
        for _ in range(9):
            await caller.initiate()
        unreadable = failing_pages(caller)
        path = f"/projects/{caller.project_id}/uploads"
        response = await caller.call("GET", path)
        assert (response.status_code, response.json()["reason"]) == (
            500,
            "The uploads number 6, 7 of this list cannot be read",
        )
        for number in range(1, 10):
            single = await caller.call("GET", path, params={"page": number, "per_page": 1})
            assert single.status_code == (500 if number in unreadable else 200)


def failing_pages(caller: Caller) -> set[int]:
    """Make the sixth and the seventh upload of the list unreadable. Returns their numbers."""
    numbers, uploads = {6, 7}, caller.embedded.database.uploads
    page = uploads.page

    def read(project_id: str, offset: int, limit: int) -> object:
        if numbers & set(range(offset + 1, offset + limit + 1)):
            raise sqlite3.DatabaseError("database disk image is malformed")
        return page(project_id, offset, limit)

    uploads.page = read  # type: ignore[method-assign,assignment]
    return numbers
