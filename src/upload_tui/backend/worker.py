"""The verification worker, and retention: it purges what nothing needs any more, so that a service in memory can run for days.

Nothing needs an upload that has ended or was given up, unless a file refers to it, nor one whose client has not been heard of for a
minute. Bytes are purged while the storage holds more than its budget, when it is full, and when a project is deleted. Records
are deleted only from a database in memory.

Nothing that goes wrong with a job ends the worker. The job is postponed with a reason, and the others go on.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from upload_tui.backend.faults import FaultName, Faults
from upload_tui.backend.storage import MemoryStorage, Storage, StorageUnavailableError
from upload_tui.backend.store.database import Database
from upload_tui.backend.store.records import JobRecord, UploadRecord
from upload_tui.backend.verification import verify
from upload_tui.clock import Clock

__all__ = ["LEASE", "RETRY_SECONDS", "Retention", "VerificationWorker"]

_BATCH_UPLOADS = 100
"""How many records are deleted at a time. The limit can be exceeded by this number."""

_IDLE = timedelta(minutes=1)
"""A client that has reported and sent nothing for this long may lose what it has sent."""

_RETENTION_SECONDS = 15.0
"""After how long a request applies the limits even if no upload ends."""


class Retention:
    """Applies the limits of a storage and of a database.

    Args:
        database: the records.
        storage: the bytes.
        clock: for `purged_on`, and to know which clients are idle.
    """

    def __init__(self, database: Database, storage: Storage, clock: Clock) -> None:
        self._database = database
        self._storage = storage
        self._clock = clock

    def apply(self) -> None:
        """Apply all limits."""
        self.purge_deleted_projects()
        if (memory := self._storage.memory) is not None:
            self._purge_down_to(memory.budget_bytes, memory)
        self._delete_records()

    def purge_deleted_projects(self, project_id: str | None = None) -> None:
        """Purge the uploads of deleted projects, or of one project if it is deleted; not those that are to be verified."""
        for upload_id in self._database.uploads.of_deleted_projects(project_id):
            self._purge(upload_id)

    def make_room(self, added_bytes: int) -> None:
        """Purge what nothing needs if that many more bytes exceed the storage's limit."""
        if (memory := self._storage.memory) is not None:
            self._purge_down_to(memory.limit_bytes - added_bytes, memory)

    def has_room_for_records(self) -> bool:
        """Delete records that nothing needs if there are too many. False if there are twice as many as the limit nevertheless."""
        limit = self._database.upload_limit
        if limit is None or self._database.uploads.count() < 2 * (limit + _BATCH_UPLOADS):
            return True
        self._delete_records()
        return self._database.uploads.count() < 2 * (limit + _BATCH_UPLOADS)

    @property
    def _idle_since(self) -> datetime:
        return self._clock.now() - _IDLE

    def _purge_down_to(self, limit_bytes: int, memory: MemoryStorage) -> None:
        surplus_bytes = memory.held_bytes - limit_bytes
        if surplus_bytes <= 0:
            return
        sizes = dict(memory.held_uploads())
        for upload_id in self._database.uploads.unused(list(sizes), self._idle_since):
            if surplus_bytes <= 0:
                return
            self._purge(upload_id)
            surplus_bytes -= sizes[upload_id]

    def _purge(self, upload_id: str) -> None:
        """Delete the bytes of an upload. It is marked first: leftover bytes are harmless, a missing mark is not."""
        self._database.uploads.set_purged(upload_id, self._clock.now())
        self._delete_bytes(upload_id)

    def _delete_bytes(self, upload_id: str) -> None:
        try:
            self._storage.purge(upload_id)
        except StorageUnavailableError as error:
            _logger.warning("The bytes of upload %s could not be deleted: %s", upload_id, error)

    def _delete_records(self) -> None:
        limit = self._database.upload_limit
        if limit is not None and self._database.uploads.count() >= limit + _BATCH_UPLOADS:
            deleted = self._database.uploads.oldest_unused(_BATCH_UPLOADS, self._idle_since)
            for upload_id in deleted:
                self._delete_bytes(upload_id)
            self._database.uploads.delete(deleted)


RETRY_SECONDS = (1, 5, 25, 125, 625, 3125)
"""Delays before the retries after an error that is not the upload's; after the last one the job is given up."""

LEASE = timedelta(seconds=30)
"""How long a claim lasts. The worker renews it while it lives; after that another worker can claim the job."""

_DATABASE_RETRY_SECONDS = 5.0

_logger = logging.getLogger(__name__)


class VerificationWorker:
    """Runs a number of verifications concurrently.

    Args:
        database: the queue and the uploads.
        storage: the bytes.
        clock: for due times and delays.
        faults: while `DEAD_WORKER` is active, the worker is dead: it drops the jobs that it has.
        concurrency: how many verifications run at the same time.
        extra_seconds: how much longer than the work itself the verification of an upload takes, for scenarios.
        executor: where bytes are read and hashed; None for `concurrency` threads of its own.
    """

    def __init__(
        self,
        database: Database,
        storage: Storage,
        clock: Clock,
        faults: Faults,
        *,
        concurrency: int = 1,
        extra_seconds: Callable[[str], float] = lambda _: 0.0,
        executor: Executor | None = None,
    ) -> None:
        self._database = database
        self._storage = storage
        self._clock = clock
        self._faults = faults
        self._concurrency = concurrency
        self._extra_seconds = extra_seconds
        self._executor = executor or ThreadPoolExecutor(concurrency, "verification")
        self.retention = Retention(database, storage, clock)
        self.job_queued = asyncio.Event()
        """Set it to look for a job now."""
        self._not_paused = asyncio.Event()
        self._not_paused.set()
        self.trouble: str | None = None
        """Why no job can be claimed just now; None if all is well."""
        self._retention_at = clock.monotonic()
        self._retention_trouble: str | None = None

    def set_paused(self, *, is_paused: bool) -> None:
        """Start no new verifications while paused, as if the worker had died."""
        if is_paused:
            self._not_paused.clear()
        else:
            self._not_paused.set()

    async def run(self) -> None:
        """Verify until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._concurrency):
                group.create_task(self._work_loop(), name=f"verification {number + 1}")

    async def verify_next(self) -> str | None:
        """Verify one due upload now. Returns its id; None if none is due. For tests, and for past uploads of scenarios."""
        job = self._database.queue.claim(self._clock.now(), LEASE)
        if job is None:
            return None
        await self._verify(job)
        return job.upload_id

    async def _work_loop(self) -> None:
        while True:
            await self._not_paused.wait()
            await self._faults.wait_until_over(FaultName.DEAD_WORKER)
            try:
                await self._process_next()
            except Exception as error:  # noqa: BLE001  # whatever it is, the other jobs go on
                self._report_postponed(error)
                await self._clock.sleep(_DATABASE_RETRY_SECONDS)

    async def _process_next(self) -> None:
        job = self._database.queue.claim(self._clock.now(), LEASE)
        self.trouble = None
        if job is None:
            await self._wait_for_job()
            return
        async with self._lease(job):
            await self._clock.sleep(self._extra_seconds(job.upload_id))
            is_dropped = not await self._verify(job)
        if is_dropped:
            await self._faults.wait_until_over(FaultName.DEAD_WORKER)
            self._database.queue.release(job)

    @property
    def _is_dead(self) -> bool:
        return self._faults.is_active(FaultName.DEAD_WORKER)

    def _report_postponed(self, error: Exception) -> None:
        """Report why no job can be processed, once for each new reason."""
        reason = _describe(error)
        if reason != self.trouble:
            self.trouble = reason
            _logger.error("Verification waits: %s", reason, exc_info=None if _is_operational(error) else error)

    @asynccontextmanager
    async def _lease(self, job: JobRecord) -> AsyncIterator[None]:
        """Renew the claim inside this context."""
        renewing = asyncio.create_task(self._renew(job), name=f"lease of {job.upload_id}")
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _renew(self, job: JobRecord) -> None:
        while True:
            await self._clock.sleep(LEASE.total_seconds() / 3)
            if self._is_dead:
                continue
            try:
                self._database.queue.renew(job, self._clock.now() + LEASE)
            except sqlite3.Error as error:  # the next renewal tries again; at worst the upload is verified twice
                _logger.warning("The lease of upload %s was not renewed: %s", job.upload_id, _describe(error))

    async def _verify(self, job: JobRecord) -> bool:
        """Verify an upload and record the outcome; postpone the job if that is not possible now.

        Returns:
            False if the worker died meanwhile and dropped the job.
        """
        try:
            record = self._record(job)
            message = await self._compare(record)
            if self._is_dead:
                return False
            self._database.queue.finish(job, message, self._clock.now())
        except Exception as error:  # noqa: BLE001  # no error of one job may end the worker
            self._postpone(job, error)
        else:
            self._apply_retention()
        return True

    def apply_retention_if_due(self) -> None:
        """Apply the limits if that was not done lately. Each request calls it: nothing can grow without requests.

        It needs no timer, so a clock that a test advances has no other sleeper, and a paused worker changes nothing.
        """
        if not 0 <= self._clock.monotonic() - self._retention_at < _RETENTION_SECONDS:
            self._apply_retention()

    def _apply_retention(self) -> None:
        """Apply the limits. What cannot be done now is done the next time; a reason is reported once."""
        self._retention_at = self._clock.monotonic()
        try:
            self.retention.apply()
        except Exception as error:  # whatever it is, verification goes on
            reason = _describe(error)
            if reason != self._retention_trouble:
                _logger.warning("Nothing was purged: %s", reason, exc_info=None if _is_operational(error) else error)
            self._retention_trouble = reason
        else:
            self._retention_trouble = None

    def _record(self, job: JobRecord) -> UploadRecord:
        record = self._database.uploads.get(job.upload_id)
        if record is None:
            raise sqlite3.DatabaseError("the record of the upload is missing")
        return record

    async def _compare(self, record: UploadRecord) -> str | None:
        """Compare the stored bytes with all reports. Returns what differs, None if nothing does."""
        loop, uploads = asyncio.get_running_loop(), self._database.uploads
        hashes = uploads.hashes(record.id)
        if not hashes:  # a completed upload has at least one
            raise sqlite3.DatabaseError("the digests of the upload are missing")
        while True:
            chunks = uploads.chunks(record.id)
            work = partial(
                verify, record.id, record.size_bytes, chunks, hashes, self._storage, is_chunked=record.is_chunked
            )
            message = await loop.run_in_executor(self._executor, work)
            verified, hashes = hashes, uploads.hashes(record.id)
            if hashes == verified:  # no digest was reported meanwhile
                return message

    def _postpone(self, job: JobRecord, error: Exception) -> None:
        """Postpone a job, or give it up after its last retry; log why. If that fails, it is claimed again when its lease expires."""
        seconds = RETRY_SECONDS[job.attempts] if job.attempts < len(RETRY_SECONDS) else None
        due_on = None if seconds is None else self._clock.now() + timedelta(seconds=seconds)
        what_follows = "given up" if seconds is None else f"retry in {seconds} s"
        _logger.warning(
            "Upload %s was not verified, %s: %s",
            job.upload_id,
            what_follows,
            _describe(error),
            exc_info=None if _is_operational(error) else error,
        )
        self._database.queue.postpone(job, due_on, _describe(error))

    async def _wait_for_job(self) -> None:
        """Wait until a job is due or is queued."""
        self.job_queued.clear()
        due_on = self._database.queue.next_due_on()
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self.job_queued.wait())]
        if due_on is not None:
            left = (due_on - self._clock.now()).total_seconds()
            waits.append(asyncio.ensure_future(self._clock.sleep(left)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def _is_operational(error: Exception) -> bool:
    """True for an error of the disk or the database; any other error is a bug, which is logged with its traceback."""
    return isinstance(error, StorageUnavailableError | sqlite3.Error)


def _describe(error: Exception) -> str:
    if isinstance(error, StorageUnavailableError):
        return f"storage unavailable: {error}"
    if isinstance(error, sqlite3.Error):
        return f"database error: {error}"
    return f"internal error: {type(error).__name__}: {error}"
