"""The verification worker: claims completed uploads from the queue and verifies them."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from upload_tui.backend.storage import Storage, StorageUnavailableError
from upload_tui.backend.store.database import Database
from upload_tui.backend.store.records import JobRecord
from upload_tui.backend.verification import verify
from upload_tui.clock import Clock

__all__ = ["LEASE", "RETRY_SECONDS", "VerificationWorker"]

RETRY_SECONDS = (1, 5, 25, 125, 625, 3125)
"""Delays before the retries after an error that is not the upload's; after the last one the job is given up."""

LEASE = timedelta(seconds=30)
"""How long a claim lasts. The worker renews it while it lives; after that another worker can claim the job."""

_DATABASE_RETRY_SECONDS = 5.0


class VerificationWorker:
    """Runs a number of verifications concurrently.

    Args:
        database: the queue and the uploads.
        storage: the bytes.
        clock: for due times and delays.
        concurrency: how many verifications run at the same time.
        extra_seconds: how much longer than the work itself the verification of an upload takes, for scenarios.
        dead_seconds: how many seconds the worker stays dead, 0 if it is alive. If it dies during a job, it drops the job.
        executor: where bytes are read and hashed; None for `concurrency` threads of its own.
    """

    def __init__(
        self,
        database: Database,
        storage: Storage,
        clock: Clock,
        *,
        concurrency: int = 1,
        extra_seconds: Callable[[str], float] = lambda _: 0.0,
        dead_seconds: Callable[[], float] = lambda: 0.0,
        executor: Executor | None = None,
    ) -> None:
        self._database = database
        self._storage = storage
        self._clock = clock
        self._concurrency = concurrency
        self._extra_seconds = extra_seconds
        self._dead_seconds = dead_seconds
        self._executor = executor or ThreadPoolExecutor(concurrency, "verification")
        self._job_queued = asyncio.Event()
        self._not_paused = asyncio.Event()
        self._not_paused.set()

    def pause(self) -> None:
        """Start no new verifications, as if the worker had died."""
        self._not_paused.clear()

    def resume(self) -> None:
        """Start verifications again."""
        self._not_paused.set()
        self.wake()

    def wake(self) -> None:
        """Look for jobs now."""
        self._job_queued.set()

    async def run(self) -> None:
        """Verify until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._concurrency):
                group.create_task(self._work_loop(), name=f"verification {number + 1}")

    async def verify_next(self) -> str | None:
        """Verify one due upload now. Returns its id, None if none is due. For tests and for the history of scenarios."""
        job = self._database.queue.claim(self._clock.now(), LEASE)
        if job is None:
            return None
        await self._verify(job)
        return job.upload_id

    async def _work_loop(self) -> None:
        while True:
            await self._not_paused.wait()
            if (dead_seconds := self._dead_seconds()) > 0:
                await self._clock.sleep(dead_seconds)
                continue
            try:
                await self._process_next()
            except sqlite3.OperationalError:  # a full disk or a locked file: the claim expires and the job is retried
                await self._clock.sleep(_DATABASE_RETRY_SECONDS)

    async def _process_next(self) -> None:
        job = self._database.queue.claim(self._clock.now(), LEASE)
        if job is None:
            await self._wait_for_job()
            return
        async with self._lease(job):
            await self._clock.sleep(self._extra_seconds(job.upload_id))
            if self._dead_seconds() == 0:
                await self._verify(job)

    @asynccontextmanager
    async def _lease(self, job: JobRecord) -> AsyncIterator[None]:
        """Renew the claim inside this context."""

        async def renew() -> None:
            while True:
                await self._clock.sleep(LEASE.total_seconds() / 3)
                if self._dead_seconds() == 0:
                    self._database.queue.renew(job, self._clock.now() + LEASE)

        renewing = asyncio.create_task(renew(), name=f"lease of {job.upload_id}")
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _verify(self, job: JobRecord) -> None:
        record = self._database.uploads.get(job.upload_id)
        if record is None:
            return
        loop, hashes = asyncio.get_running_loop(), self._database.uploads.hashes(job.upload_id)
        try:
            while True:
                chunks = self._database.uploads.chunks(job.upload_id)
                work = partial(
                    verify, record.id, record.size_bytes, chunks, hashes, self._storage, is_chunked=record.is_chunked
                )
                message = await loop.run_in_executor(self._executor, work)
                verified, hashes = hashes, self._database.uploads.hashes(job.upload_id)
                if hashes == verified:  # no digest was reported meanwhile
                    break
        except StorageUnavailableError as error:
            self._retry_later(job, str(error))
        else:
            self._database.queue.finish(job, message, self._clock.now())

    def _retry_later(self, job: JobRecord, reason: str) -> None:
        tries_left = job.attempts <= len(RETRY_SECONDS)
        wait = timedelta(seconds=RETRY_SECONDS[job.attempts - 1]) if tries_left else None
        self._database.queue.postpone(job, None if wait is None else self._clock.now() + wait, reason)

    async def _wait_for_job(self) -> None:
        """Wait until a job is due or is queued."""
        self._job_queued.clear()
        due_on = self._database.queue.next_due_on()
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._job_queued.wait())]
        if due_on is not None:
            left = (due_on - self._clock.now()).total_seconds()
            waits.append(asyncio.ensure_future(self._clock.sleep(left)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
