"""The table of verification jobs: uploads that are completed and not yet verified, and those that were given up."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

from upload_tui.backend.store.records import JobRecord, JobTrouble, QueueSummary
from upload_tui.backend.store.statements import from_milliseconds, to_milliseconds, transaction

__all__ = ["Queue"]

_CLAIMED = "upload_id = ? AND claim = ? AND state = 'running'"
"""A job as its worker claimed it; another claim would have increased `claim`."""

_CANDIDATES = """
SELECT upload_id, due_ms FROM jobs WHERE state = 'queued' AND (due_ms <= :now OR attempts = 0 OR due_ms > :horizon)
UNION ALL
SELECT upload_id, due_ms FROM jobs WHERE state = 'running' AND (due_ms <= :now OR due_ms > :lease_end)
ORDER BY due_ms, upload_id LIMIT 200
"""
"""Jobs that are due. A time further ahead than any delay was written before the clock was set back, and counts as past.

The index holds all these columns, so that a job whose row cannot be read does not hide the others.
"""


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
        """Requeue all claimed jobs. What was interrupted is no attempt."""
        self._db.execute("UPDATE jobs SET state = 'queued', due_ms = queued_ms WHERE state = 'running'")

    def claim(self, now: datetime, lease: timedelta) -> JobRecord | None:
        """Claim the job that has been due longest, or whose lease has expired; None if no job is due.

        Raises:
            sqlite3.Error: jobs are due, but none can be claimed.
        """
        lease_end = to_milliseconds(now + lease)
        times = {
            "now": to_milliseconds(now),
            "lease_end": lease_end,
            "horizon": to_milliseconds(now + self._longest_delay),
        }
        trouble: sqlite3.Error | None = None
        for upload_id, _ in self._db.execute(_CANDIDATES, times).fetchall():
            try:
                return self._claim(upload_id, lease_end)
            except sqlite3.Error as error:
                trouble = error
        if trouble is not None:
            raise trouble
        return None

    def _claim(self, upload_id: str, lease_end_ms: int) -> JobRecord:
        row = self._db.execute(
            "UPDATE jobs SET state = 'running', claim = claim + 1, due_ms = ? WHERE upload_id = ? "
            "RETURNING upload_id, claim, attempts",
            (lease_end_ms, upload_id),
        ).fetchone()
        return JobRecord(*row)

    def release(self, job: JobRecord) -> None:
        """Requeue a claimed job as it was: its worker dropped it."""
        self._db.execute(
            f"UPDATE jobs SET state = 'queued', due_ms = queued_ms WHERE {_CLAIMED}", (job.upload_id, job.claim)
        )

    def renew(self, job: JobRecord, until: datetime) -> None:
        """Extend the lease of a claimed job."""
        self._db.execute(
            f"UPDATE jobs SET due_ms = ? WHERE {_CLAIMED}", (to_milliseconds(until), job.upload_id, job.claim)
        )

    def finish(self, job: JobRecord, error_message: str | None, on: datetime) -> bool:
        """Set an upload to verified (`error_message` None) or error. Returns False if another worker has claimed or ended the job."""
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
        state = "dead" if due_on is None else "queued"
        self._db.execute(
            "UPDATE jobs SET state = ?, attempts = attempts + 1, due_ms = ifnull(?, due_ms), trouble = ? "
            f"WHERE {_CLAIMED}",
            (state, None if due_on is None else to_milliseconds(due_on), reason, job.upload_id, job.claim),
        )

    def next_due_on(self) -> datetime | None:
        """When the next job is due or the next lease expires; None if there is no job."""
        row = self._db.execute("SELECT min(due_ms) FROM jobs WHERE state IN ('queued', 'running')").fetchone()
        return None if row[0] is None else from_milliseconds(row[0])

    def summary(self) -> QueueSummary:
        """Count the jobs by state."""
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

    def troubles(self, limit: int) -> Sequence[JobTrouble]:
        """The jobs that were postponed or given up, those first that are due first."""
        rows = self._db.execute(
            "SELECT upload_id, attempts, trouble, CASE WHEN state <> 'dead' THEN due_ms END FROM jobs "
            "WHERE attempts > 0 ORDER BY due_ms, upload_id LIMIT ?",
            (limit,),
        )
        return [
            JobTrouble(upload_id, attempts, reason, None if due is None else from_milliseconds(due))
            for upload_id, attempts, reason, due in rows
        ]
