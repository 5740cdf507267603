"""The table of verification jobs: uploads that are completed and not yet verified, and those that were given up."""

import sqlite3
from datetime import datetime, timedelta

from upload_tui.backend.store.records import JobRecord, QueueSummary
from upload_tui.backend.store.statements import from_milliseconds, to_milliseconds, transaction

__all__ = ["Queue"]

_CLAIMED = "upload_id = ? AND attempts = ? AND state = 'running'"
"""A job as its worker claimed it; another claim would have increased `attempts`."""


class Queue:
    """The queue, over a database's connection. `Uploads.complete` inserts the jobs."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def requeue_running(self) -> None:
        """Requeue all claimed jobs."""
        self._db.execute("UPDATE jobs SET state = 'queued', due_ms = queued_ms WHERE state = 'running'")

    def claim(self, now: datetime, lease: timedelta) -> JobRecord | None:
        """Claim the job that has been due longest, or whose lease has expired; None if no job is due."""
        row = self._db.execute(
            "UPDATE jobs SET state = 'running', attempts = attempts + 1, due_ms = ?2 WHERE upload_id = "
            "(SELECT upload_id FROM jobs WHERE state <> 'dead' AND due_ms <= ?1 ORDER BY due_ms, upload_id LIMIT 1) "
            "RETURNING upload_id, attempts",
            (to_milliseconds(now), to_milliseconds(now + lease)),
        ).fetchone()
        return None if row is None else JobRecord(*row)

    def renew(self, job: JobRecord, until: datetime) -> None:
        """Extend the lease of a claimed job."""
        self._db.execute(
            f"UPDATE jobs SET due_ms = ? WHERE {_CLAIMED}", (to_milliseconds(until), job.upload_id, job.attempts)
        )

    def finish(self, job: JobRecord, error_message: str | None, on: datetime) -> bool:
        """Set an upload to verified (`error_message` None) or error. Returns False if another worker has claimed or ended the job."""
        column = "verified_ms" if error_message is None else "error_ms"
        with transaction(self._db):
            held = self._db.execute(f"DELETE FROM jobs WHERE {_CLAIMED}", (job.upload_id, job.attempts))
            if held.rowcount == 0:
                return False
            changed = self._db.execute(
                f"UPDATE uploads SET {column} = ?1, error_message = ?2, updated_ms = ?1 "
                "WHERE id = ?3 AND completed_ms IS NOT NULL AND verified_ms IS NULL AND error_ms IS NULL",
                (to_milliseconds(on), error_message, job.upload_id),
            )
            return changed.rowcount == 1

    def postpone(self, job: JobRecord, due_on: datetime | None, reason: str) -> None:
        """Requeue a claimed job for a retry; `due_on` None gives it up."""
        state = "dead" if due_on is None else "queued"
        self._db.execute(
            f"UPDATE jobs SET state = ?, due_ms = ifnull(?, due_ms), trouble = ? WHERE {_CLAIMED}",
            (state, None if due_on is None else to_milliseconds(due_on), reason, job.upload_id, job.attempts),
        )

    def next_due_on(self) -> datetime | None:
        """When the next job is due or the next lease expires; None if there is no job."""
        row = self._db.execute("SELECT min(due_ms) FROM jobs WHERE state <> 'dead'").fetchone()
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
