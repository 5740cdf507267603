"""The queue row by row: which statement may change which job."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from upload_tui.backend.store.database import Database
from upload_tui.backend.store.queue import Queue
from upload_tui.backend.store.records import JobRecord, ProjectRecord
from upload_tui.backend.worker import LEASE
from upload_tui.status import Stage

NOW = datetime(2026, 3, 14, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database()
    database.projects.add(ProjectRecord("p", "project", "-", NOW))
    for upload_id in ("a", "b"):
        database.uploads.add(upload_id, "p", "name", "text/plain", 0, NOW)
        database.uploads.complete(upload_id, "md5", "x", NOW)
    yield database
    database.close()


def claim(database: Database, now: datetime = NOW) -> JobRecord:
    job = database.queue.claim(now, LEASE)
    assert job is not None
    return job


def row(database: Database, upload_id: str = "a") -> tuple[object, ...]:
    found: tuple[object, ...] = database._db.execute("SELECT * FROM jobs WHERE upload_id = ?", (upload_id,)).fetchone()
    return found


Operation = Callable[[Queue, JobRecord], object]

LATE: dict[str, Operation] = {
    "renew": lambda queue, job: queue.renew(job, NOW + timedelta(hours=1)),
    "release": lambda queue, job: queue.release(job),
    "postpone": lambda queue, job: queue.postpone(job, NOW + timedelta(hours=1), "late"),
    "give up": lambda queue, job: queue.postpone(job, None, "late"),
    "verify": lambda queue, job: queue.finish(job, None, NOW),
    "fail": lambda queue, job: queue.finish(job, "late", NOW),
}
BEFORE: dict[str, Operation] = {
    "postponed": lambda queue, job: queue.postpone(job, NOW + SECOND, "a reason"),
    "given up": lambda queue, job: queue.postpone(job, None, "a reason"),
    "released": lambda queue, job: queue.release(job),
    "requeued": lambda queue, _: queue.requeue_running(),
    "claimed again": lambda queue, _: [queue.claim(NOW + LEASE, LEASE) for _ in range(2)],
}


@pytest.mark.parametrize("late", LATE)
@pytest.mark.parametrize("before", BEFORE)
def test_a_worker_that_has_lost_its_job_changes_nothing(database: Database, before: str, late: str) -> None:
    job = claim(database)
    BEFORE[before](database.queue, job)
    expected = row(database), row(database, "b")
    assert not LATE[late](database.queue, job)
    assert (row(database), row(database, "b")) == expected
    upload = database.uploads.get("a")
    assert upload is not None
    assert upload.timeline.stage is Stage.COMPLETED


@pytest.mark.parametrize("late", LATE)
def test_a_worker_changes_its_own_job_alone(database: Database, late: str) -> None:
    other, mine = row(database, "b"), row(database)
    LATE[late](database.queue, claim(database))
    assert row(database, "b") == other
    assert row(database) != mine


@pytest.mark.parametrize("first", [None, "differs"])
@pytest.mark.parametrize("second", [None, "differs as well"])
def test_an_upload_ends_once(database: Database, first: str | None, second: str | None) -> None:
    assert database.queue.finish(claim(database), first, NOW + SECOND)
    ended = database.uploads.get("a")
    database._db.execute("INSERT INTO jobs (upload_id, queued_ms, due_ms) VALUES ('a', 0, 0)")  # as of a damaged queue
    assert not database.queue.finish(claim(database), second, NOW + 2 * SECOND)
    assert database.uploads.get("a") == ended
    assert row(database) is None


def test_a_job_that_was_postponed_and_dropped_is_due_at_once(database: Database) -> None:
    job = claim(database)
    database.queue.postpone(job, NOW + SECOND, "a reason")
    claim(database)  # the other one
    again = claim(database, NOW + SECOND)
    assert (again.upload_id, again.attempts) == ("a", 1)
    database.queue.release(again)
    assert claim(database, NOW + SECOND).upload_id == "a"
