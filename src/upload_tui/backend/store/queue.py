"""The table of verification jobs. It can be rebuilt from the uploads, so a damaged one ends no verification."""

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar

from upload_tui.backend.store.records import (
    JobRecord,
    PostponedJob,
    QueueSummary,
    from_milliseconds,
    is_damage,
    to_milliseconds,
    transaction,
)

__all__ = ["Queue"]

_CLAIMED = "upload_id = ? AND claim = ? AND state = 'running'"
"""A job as its worker claimed it; another claim would have increased `claim`."""

_CANDIDATES = """
SELECT due_ms, upload_id FROM jobs WHERE state = 'queued' AND (due_ms <= :now OR attempts = 0 OR due_ms > :horizon)
AND (due_ms, upload_id) > (:after_ms, :after_id)
UNION ALL
SELECT due_ms, upload_id FROM jobs WHERE state = 'running' AND (due_ms <= :now OR due_ms > :lease_end)
AND (due_ms, upload_id) > (:after_ms, :after_id)
ORDER BY due_ms, upload_id LIMIT 200
"""
"""Jobs that are due, a page at a time. A time further ahead than any delay was written before the clock was set back, and
counts as past. The index holds all these columns, so that a job whose row cannot be read does not hide the others.
"""

_FIRST = (-(2**63), "")

_TABLE = """
CREATE TABLE jobs (
    upload_id TEXT PRIMARY KEY REFERENCES uploads (id),
    queued_ms INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'dead')),
    trouble TEXT NOT NULL DEFAULT '',
    claim INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID
"""
_COLUMNS = "upload_id, queued_ms, due_ms, attempts, state, trouble, claim"
_MAX_SEEKS = 10_000
"""How many rows of `uploads` to skip, one by one, to get past a page that cannot be read."""

_logger = logging.getLogger(__name__)

Result = TypeVar("Result")


class Queue:
    """The queue, over a database's connection. `Uploads.complete` inserts the jobs.

    Args:
        db: the connection.
        longest_delay: no retry is due later than this.
    """

    def __init__(self, db: sqlite3.Connection, longest_delay: timedelta = timedelta(hours=1)) -> None:
        self._db = db
        self._longest_delay = longest_delay

    def requeue_running(self) -> None:
        """Requeue all claimed jobs. An interrupted verification does not count as an attempt."""
        statement = "UPDATE jobs SET state = 'queued', due_ms = queued_ms WHERE state = 'running'"
        self._repairing(lambda: self._db.execute(statement))

    def claim(self, now: datetime, lease: timedelta) -> JobRecord | None:
        """Claim the job that has been due longest, or whose lease has expired; None if no job is due.

        Raises:
            sqlite3.Error: jobs are due, but none can be claimed.
        """
        return self._repairing(lambda: self._claim_first(now, to_milliseconds(now + lease)))

    def _claim_first(self, now: datetime, lease_end_ms: int) -> JobRecord | None:
        trouble: sqlite3.Error | None = None
        for upload_id in self._candidates(now, lease_end_ms):
            try:
                return self._claim(upload_id, lease_end_ms)
            except sqlite3.Error as error:
                if is_damage(error) and self._is_damaged():
                    raise
                trouble = error
        if trouble is not None:
            raise trouble
        return None

    def _candidates(self, now: datetime, lease_end_ms: int) -> Iterator[str]:
        times = {
            "now": to_milliseconds(now),
            "lease_end": lease_end_ms,
            "horizon": to_milliseconds(now + self._longest_delay),
        }
        last = _FIRST
        while rows := self._db.execute(_CANDIDATES, {**times, "after_ms": last[0], "after_id": last[1]}).fetchall():
            yield from (upload_id for _, upload_id in rows)
            last = rows[-1]

    def _claim(self, upload_id: str, lease_end_ms: int) -> JobRecord:
        row = self._db.execute(
            "UPDATE jobs SET state = 'running', claim = claim + 1, due_ms = ? WHERE upload_id = ? "
            "RETURNING upload_id, claim, attempts",
            (lease_end_ms, upload_id),
        ).fetchone()
        return JobRecord(*row)

    def release(self, job: JobRecord) -> None:
        """Requeue a claimed job as it was: its worker dropped it."""
        statement = f"UPDATE jobs SET state = 'queued', due_ms = queued_ms WHERE {_CLAIMED}"
        self._repairing(lambda: self._db.execute(statement, (job.upload_id, job.claim)))

    def renew(self, job: JobRecord, until: datetime) -> None:
        """Extend the lease of a claimed job."""
        statement = f"UPDATE jobs SET due_ms = ? WHERE {_CLAIMED}"
        self._repairing(lambda: self._db.execute(statement, (to_milliseconds(until), job.upload_id, job.claim)))

    def finish(self, job: JobRecord, error_message: str | None, on: datetime) -> bool:
        """Set an upload to verified (`error_message` None) or error. Returns False if another worker has claimed or ended the job."""
        return self._repairing(lambda: self._finish(job, error_message, on))

    def _finish(self, job: JobRecord, error_message: str | None, on: datetime) -> bool:
        column = "verified_ms" if error_message is None else "error_ms"
        with transaction(self._db):
            held = self._db.execute(f"DELETE FROM jobs WHERE {_CLAIMED}", (job.upload_id, job.claim))
            if held.rowcount == 0:
                return False
            changed = self._db.execute(
                f"UPDATE uploads SET {column} = max(?1, completed_ms), error_message = ?2, updated_ms = max(?1, updated_ms) "
                "WHERE id = ?3 AND completed_ms IS NOT NULL AND verified_ms IS NULL AND error_ms IS NULL",
                (to_milliseconds(on), error_message, job.upload_id),
            )
            return changed.rowcount == 1

    def postpone(self, job: JobRecord, due_on: datetime | None, reason: str) -> None:
        """Requeue a claimed job for a retry, and count the attempt; `due_on` None gives it up."""
        state, due_ms = ("dead", None) if due_on is None else ("queued", to_milliseconds(due_on))
        statement = (
            "UPDATE jobs SET state = ?, attempts = attempts + 1, due_ms = ifnull(?, due_ms), trouble = ? "
            f"WHERE {_CLAIMED}"
        )
        self._repairing(lambda: self._db.execute(statement, (state, due_ms, reason, job.upload_id, job.claim)))

    def next_due_on(self) -> datetime | None:
        """When the next job is due or the next lease expires; None if there is no job."""
        statement = "SELECT min(due_ms) FROM jobs WHERE state IN ('queued', 'running')"
        row = self._repairing(lambda: self._db.execute(statement).fetchone())
        return None if row[0] is None else from_milliseconds(row[0])

    def summary(self) -> QueueSummary:
        """Count the jobs by state."""
        return self._repairing(self._summary)

    def _summary(self) -> QueueSummary:
        counts: dict[str, int] = dict(self._db.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall())
        oldest, retried = self._db.execute(
            "SELECT min(queued_ms), total(attempts > 0) FROM jobs WHERE state = 'queued'"
        ).fetchone()
        return QueueSummary(
            depth=counts.get("queued", 0),
            retried=int(retried),
            running=counts.get("running", 0),
            dead=counts.get("dead", 0),
            oldest_on=None if oldest is None else from_milliseconds(oldest),
        )

    def troubles(self, limit: int) -> list[PostponedJob]:
        """The jobs that were postponed or given up, ordered by when they are due."""
        statement = (
            "SELECT upload_id, attempts, trouble, CASE WHEN state <> 'dead' THEN due_ms END FROM jobs "
            "WHERE attempts > 0 ORDER BY due_ms, upload_id LIMIT ?"
        )
        rows = self._repairing(lambda: self._db.execute(statement, (limit,)).fetchall())
        return [
            PostponedJob(upload_id, attempts, reason, None if due is None else from_milliseconds(due))
            for upload_id, attempts, reason, due in rows
        ]

    # Damage

    def _repairing(self, operation: Callable[[], Result]) -> Result:
        """Run an operation. If it fails because the table or its index is damaged, rebuild the table and run it again."""
        try:
            return operation()
        except sqlite3.Error as error:
            if not is_damage(error) or not self._is_damaged():
                raise
            self._rebuild(error)
        return operation()

    def _is_damaged(self) -> bool:
        """True if the table or its index is damaged, and not another table."""
        try:
            return bool(self._db.execute("PRAGMA integrity_check('jobs')").fetchall() != [("ok",)])
        except sqlite3.Error as error:
            return is_damage(error)

    def _rebuild(self, error: sqlite3.Error) -> None:
        """Create the table anew. The damaged one is renamed: its pages cannot be deleted, because that would read them."""
        jobs = list(self._recovered_jobs())
        self._db.execute("PRAGMA foreign_keys = OFF")  # an upload whose record cannot be read keeps its job
        try:
            with transaction(self._db):
                names = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master")}
                number = next(number for number in range(1, len(names) + 2) if f"damaged_jobs_{number}" not in names)
                self._db.execute(f"ALTER TABLE jobs RENAME TO damaged_jobs_{number}")
                self._db.execute(_TABLE)
                self._db.execute(f"CREATE INDEX jobs_by_due_{number} ON jobs (state, due_ms, upload_id, attempts)")
                self._db.executemany(f"INSERT INTO jobs ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", jobs)
        finally:
            self._db.execute("PRAGMA foreign_keys = ON")
        _logger.error("The verification queue was damaged (%s) and has been rebuilt with %d jobs", error, len(jobs))

    def _recovered_jobs(self) -> Iterator[Sequence[Any]]:
        """The jobs as far as they can be read. A completed upload that has not ended must have one, so it gets a new one."""
        pending = dict(self._pending_uploads())
        ids = {*pending, *self._listed_jobs()}
        for upload_id in sorted(ids):
            row = None
            with suppress(sqlite3.Error):
                row = self._db.execute(f"SELECT {_COLUMNS} FROM jobs WHERE upload_id = ?", (upload_id,)).fetchone()
            completed_ms = pending.get(upload_id, 0)
            yield row or (upload_id, completed_ms, completed_ms, 0, "queued", "", 0)

    def _listed_jobs(self) -> Iterator[str]:
        """The uploads that the table and its index name before and after what cannot be read."""
        for source, columns in (("jobs", "state {0}, due_ms {0}"), ("jobs NOT INDEXED", "upload_id {0}")):
            for direction in ("ASC", "DESC"):
                with suppress(sqlite3.Error):
                    statement = f"SELECT upload_id FROM {source} ORDER BY {columns.format(direction)}"
                    yield from (upload_id for (upload_id,) in self._db.execute(statement))

    def _pending_uploads(self) -> Iterator[tuple[str, int]]:
        """The uploads that are completed and have not ended, and when they were completed; unreadable ones are skipped."""
        last, seeks = 0, 0
        while seeks < _MAX_SEEKS:
            try:
                for last, upload_id, completed_ms in self._uploads_where("serial > ?", last):  # noqa: B007, B020
                    seeks = 0
                    if completed_ms is not None:
                        yield upload_id, completed_ms
            except sqlite3.Error:
                last, seeks = last + 1, seeks + 1
                with suppress(sqlite3.Error):  # sqlite3 reads a row ahead, so the row before an unreadable one was lost
                    yield from ((key, on) for _, key, on in self._uploads_where("serial = ?", last) if on is not None)
            else:
                return

    def _uploads_where(self, condition: str, serial: int) -> Iterator[tuple[int, str, int | None]]:
        """The serial numbers and ids of uploads; when they were completed, None if they were not or have ended."""
        pending = "CASE WHEN verified_ms IS NULL AND error_ms IS NULL THEN completed_ms END"
        return self._db.execute(
            f"SELECT serial, id, {pending} FROM uploads WHERE {condition} ORDER BY serial", (serial,)
        )
