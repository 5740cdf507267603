"""The verification worker: takes completed uploads from the queue and finds out whether they are what their clients meant."""

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
"""After trouble that is not the upload's fault the job is tried again after these many seconds, then given up."""

LEASE = timedelta(seconds=30)
"""A claimed job is its worker's for so long, and for longer while the worker lives; then anybody takes it up again."""

_DATABASE_RETRY_SECONDS = 5.0


class VerificationWorker:
    """Any number of verifications at once, each of one upload.

    Args:
        database: the queue and the records.
        storage: the bytes.
        clock: for due times and for the extra time that `extra_seconds` asks for.
        concurrency: how many verifications run at the same time.
        extra_seconds: how much longer than the work itself the verification of an upload takes; for stories.
        dead_seconds: for how many seconds the worker is dead yet; 0 while it lives. One that dies at work drops its job.
        executor: where bytes are read and hashed, off the event loop; None for `concurrency` threads of its own.
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
        self.extra_seconds = extra_seconds
        self._dead_seconds = dead_seconds
        self._executor = executor or ThreadPoolExecutor(concurrency, "verification")
        self._job_queued = asyncio.Event()
        self._not_paused = asyncio.Event()
        self._not_paused.set()

    @property
    def is_paused(self) -> bool:
        """True while no new verification is begun."""
        return not self._not_paused.is_set()

    def pause(self) -> None:
        """Begin no more verifications, as if the worker had died."""
        self._not_paused.clear()

    def resume(self) -> None:
        """Begin verifications again."""
        self._not_paused.set()
        self.wake()

    def wake(self) -> None:
        """Something was queued."""
        self._job_queued.set()

    async def run(self) -> None:
        """Verify until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._concurrency):
                group.create_task(self._work_loop(), name=f"verification {number + 1}")

    async def verify_next(self) -> str | None:
        """Verify one due upload at once; gives its id, or None if none is due. For tests and for stories of the past."""
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
            except sqlite3.OperationalError:  # a full disk, a locked file: what was claimed is taken up again later
                await self._clock.sleep(_DATABASE_RETRY_SECONDS)

    async def _process_next(self) -> None:
        job = self._database.queue.claim(self._clock.now(), LEASE)
        if job is None:
            await self._wait_for_job()
            return
        async with self._lease(job):
            await self._clock.sleep(self.extra_seconds(job.upload_id))
            if self._dead_seconds() == 0:
                await self._verify(job)

    @asynccontextmanager
    async def _lease(self, job: JobRecord) -> AsyncIterator[None]:
        """Inside this the job stays ours."""

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
        loop, hashes = asyncio.get_running_loop(), None
        message: str | None = None
        try:
            while hashes != (
                hashes := self._database.uploads.hashes(job.upload_id)
            ):  # again, if one was reported meanwhile
                chunks = self._database.uploads.chunks(job.upload_id)
                work = partial(
                    verify, record.id, record.size_bytes, chunks, hashes, self._storage, is_chunked=record.is_chunked
                )
                message = await loop.run_in_executor(self._executor, work)
        except StorageUnavailableError as trouble:
            self._retry_later(job, str(trouble))
        else:
            self._database.queue.finish(job, message, self._clock.now())

    def _retry_later(self, job: JobRecord, reason: str) -> None:
        tries_left = job.attempts <= len(RETRY_SECONDS)
        wait = timedelta(seconds=RETRY_SECONDS[job.attempts - 1]) if tries_left else None
        self._database.queue.postpone(job, None if wait is None else self._clock.now() + wait, reason)

    async def _wait_for_job(self) -> None:
        """Until a job is due, or something was queued."""
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
