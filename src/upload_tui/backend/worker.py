"""The verification worker: takes completed uploads from the queue and finds out whether they are what their clients meant."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from upload_tui.backend.database import Database
from upload_tui.backend.records import JobRecord
from upload_tui.backend.storage import Storage, StorageTroubleError
from upload_tui.backend.verification import verify
from upload_tui.clock import Clock

__all__ = ["LEASE", "RETRY_SECONDS", "VerificationWorker"]

RETRY_SECONDS = (1, 5, 25, 125, 625, 3125)
"""After trouble that is not the upload's fault the job is tried again after these many seconds, then given up."""

LEASE = timedelta(seconds=30)
"""A claimed job is its worker's for so long, and for longer while the worker lives; then anybody takes it up again."""

_TROUBLE_SECONDS = 5.0


class VerificationWorker:
    """Any number of verifications at once, each of one upload.

    Args:
        database: the queue and the records.
        storage: the bytes.
        clock: for due times and for the extra time that `takes_seconds` asks for.
        at_once: how many verifications run at the same time.
        takes_seconds: how much longer than the work itself the verification of an upload takes; for stories.
        is_dead: for how many seconds the worker is dead yet; 0 while it lives. One that dies at work drops its job.
        executor: where bytes are read and hashed, off the event loop; None for `at_once` threads of its own.
    """

    def __init__(
        self,
        database: Database,
        storage: Storage,
        clock: Clock,
        *,
        at_once: int = 1,
        takes_seconds: Callable[[str], float] = lambda _: 0.0,
        is_dead: Callable[[], float] = lambda: 0.0,
        executor: Executor | None = None,
    ) -> None:
        self._database = database
        self._storage = storage
        self._clock = clock
        self._at_once = at_once
        self.takes_seconds = takes_seconds
        self._is_dead = is_dead
        self._executor = executor or ThreadPoolExecutor(at_once, "verification")
        self._news = asyncio.Event()
        self._may_run = asyncio.Event()
        self._may_run.set()

    @property
    def is_held(self) -> bool:
        """True while no new verification is begun."""
        return not self._may_run.is_set()

    def hold(self) -> None:
        """Begin no more verifications, as if the worker had died."""
        self._may_run.clear()

    def resume(self) -> None:
        """Begin verifications again."""
        self._may_run.set()
        self.wake()

    def wake(self) -> None:
        """Something was queued."""
        self._news.set()

    async def run(self) -> None:
        """Verify until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._at_once):
                group.create_task(self._work(), name=f"verification {number + 1}")

    async def verify_next(self) -> str | None:
        """Verify one due upload at once; gives its id, or None if none is due. For tests and for stories of the past."""
        job = self._database.queue.claim(self._clock.now(), LEASE)
        if job is None:
            return None
        await self._verify(job)
        return job.upload_id

    async def _work(self) -> None:
        while True:
            await self._may_run.wait()
            if (dead_seconds := self._is_dead()) > 0:
                await self._clock.sleep(dead_seconds)
                continue
            try:
                await self._work_once()
            except sqlite3.OperationalError:  # a full disk, a locked file: what was claimed is taken up again later
                await self._clock.sleep(_TROUBLE_SECONDS)

    async def _work_once(self) -> None:
        job = self._database.queue.claim(self._clock.now(), LEASE)
        if job is None:
            await self._until_something_is_due()
            return
        async with self._leasing(job):
            await self._clock.sleep(self.takes_seconds(job.upload_id))
            if self._is_dead() == 0:
                await self._verify(job)

    @asynccontextmanager
    async def _leasing(self, job: JobRecord) -> AsyncIterator[None]:
        """Inside this the job stays ours."""

        async def renew() -> None:
            while True:
                await self._clock.sleep(LEASE.total_seconds() / 3)
                if self._is_dead() == 0:
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
        except StorageTroubleError as trouble:
            self._put_back(job, str(trouble))
        else:
            self._database.queue.finish(job, message, self._clock.now())

    def _put_back(self, job: JobRecord, trouble: str) -> None:
        tries_left = job.attempts <= len(RETRY_SECONDS)
        wait = timedelta(seconds=RETRY_SECONDS[job.attempts - 1]) if tries_left else None
        self._database.queue.postpone(job, None if wait is None else self._clock.now() + wait, trouble)

    async def _until_something_is_due(self) -> None:
        """Until a job is due, or something was queued."""
        self._news.clear()
        due_on = self._database.queue.next_due_on()
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._news.wait())]
        if due_on is not None:
            left = (due_on - self._clock.now()).total_seconds()
            waits.append(asyncio.ensure_future(self._clock.sleep(left)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
