"""The verification worker continues after everything: errors in each step, kills, faults, and clocks set back."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.contract.calls import FILE, NUMBERED, Caller, InlineExecutor, SettableClock, md5, serving
from upload_tui.backend import EmbeddedService, FaultName
from upload_tui.backend.worker import LEASE
from upload_tui.testing import FrozenClock

DIGEST = md5(b"".join(FILE))
ERRORS = (sqlite3.DatabaseError("malformed"), sqlite3.OperationalError("disk full"), ValueError("a defect"))
LOOP_TURNS = 40


async def _turn(caller: Caller, seconds: float = 0.0) -> None:
    """Advance the clock second by second; let the worker do all it can in between."""
    for _ in range(int(seconds)):
        await _spin()
        caller.clock.advance(1.0)
    await _spin()


async def _spin() -> None:
    for _ in range(LOOP_TURNS):
        await asyncio.sleep(0)


def _working() -> Any:
    """A service whose worker runs, in the event loop alone."""
    return serving(executor=InlineExecutor())


class _Step:
    """A step of the worker that fails while it is broken, for one upload or for all."""

    def __init__(self, caller: Caller, name: str, error: Exception) -> None:
        table, method = name.split(".")
        owner = getattr(caller.service.database, table)
        self._call: Callable[..., Any] = getattr(owner, method)
        self._error = error
        self.is_broken = True
        self.upload_id: str | None = None
        setattr(owner, method, self)

    def __call__(self, *arguments: Any) -> Any:
        subject = getattr(arguments[0], "upload_id", arguments[0]) if arguments else None
        if self.is_broken and self.upload_id in {None, subject}:
            raise self._error
        return self._call(*arguments)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "name",
    ["queue.claim", "queue.next_due_on", "uploads.get", "uploads.hashes", "uploads.chunks", "queue.finish"],
)
async def test_verification_goes_on_when_a_step_works_again(
    name: str, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async with _working() as caller:
        uploads = [await caller.upload(NUMBERED) for _ in range(2)]
        step = _Step(caller, name, error)
        caller.service.worker.set_paused(is_paused=False)
        await _turn(caller, 20)
        step.is_broken = False
        await _turn(caller, 30)
        caller.service.worker.job_queued.set()
        await _turn(caller, 5)
        assert all([(await caller.status(upload_id))["verified_on"] for upload_id in uploads])
        assert (await caller.call("GET", "/queue")).json()["trouble"] is None
        reports = [record for record in caplog.records if str(error) in record.getMessage()]
        assert reports
        assert all((record.exc_info is not None) == _is_defect(error) for record in reports)


def _is_defect(error: Exception) -> bool:
    """True for an error that no disk and no database causes: it is logged with its traceback."""
    return not isinstance(error, sqlite3.Error)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("name", ["uploads.get", "uploads.hashes", "uploads.chunks", "queue.finish"])
async def test_a_job_that_cannot_be_processed_does_not_stop_the_others(
    name: str, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async with _working() as caller:
        bad, good = [await caller.upload(NUMBERED) for _ in range(2)]
        step = _Step(caller, name, error)
        step.upload_id = bad
        caller.service.worker.set_paused(is_paused=False)
        await _turn(caller)
        assert (await _queue_troubles(caller)) == {bad: (1, str(error))}
        step.is_broken = False
        assert (await caller.status(good))["verified_on"]
        [reported] = [
            record for record in caplog.records if bad in record.getMessage() and record.levelno >= logging.WARNING
        ]
        assert (reported.exc_info is not None) == _is_defect(error)
        await _turn(caller, 1)
        assert (await caller.status(bad))["verified_on"]


async def _queue_troubles(caller: Caller) -> dict[str, tuple[int, str]]:
    troubles = (await caller.call("GET", "/queue")).json()["troubles"]
    return {job["upload"]["id"]: (job["attempts"], job["reason"].rpartition(": ")[2]) for job in troubles}


async def test_the_queue_says_why_nothing_can_be_claimed(caplog: pytest.LogCaptureFixture) -> None:
    async with _working() as caller:
        step = _Step(caller, "queue.claim", sqlite3.DatabaseError("database disk image is malformed"))
        caller.service.worker.set_paused(is_paused=False)
        await _turn(caller, 30)
        said = (await caller.call("GET", "/queue")).json()["trouble"]
        assert said == "database error: database disk image is malformed"
        assert len([record for record in caplog.records if said in record.getMessage()]) == 1
        step.is_broken = False
        await _turn(caller, 6)
        assert (await caller.call("GET", "/queue")).json()["trouble"] is None


async def test_a_job_that_cannot_be_postponed_is_claimed_again_when_its_lease_expires() -> None:
    async with _working() as caller:
        upload_id = await caller.upload(NUMBERED)
        steps = [
            _Step(caller, name, sqlite3.OperationalError("disk full")) for name in ("queue.finish", "queue.postpone")
        ]
        caller.service.worker.set_paused(is_paused=False)
        await _turn(caller, 5)
        for step in steps:
            step.is_broken = False
        await _turn(caller, LEASE.total_seconds())
        assert (await caller.status(upload_id))["verified_on"]


async def test_a_service_reports_a_worker_that_ended(caplog: pytest.LogCaptureFixture) -> None:
    class EndingService(EmbeddedService):
        def _create_worker(self, *options: Any) -> Any:
            worker = super()._create_worker(*options)
            worker.run = _end  # type: ignore[method-assign]
            return worker

    async def _end() -> None:
        raise RuntimeError("a defect of the loop itself")

    async with EndingService(clock=FrozenClock()):
        await _spin()
        assert [record.levelname for record in caplog.records] == ["CRITICAL"]


async def test_an_upload_without_digests_is_not_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(executor=InlineExecutor()) as caller:
        upload_id = await caller.upload(NUMBERED)
        monkeypatch.setattr(caller.service.database.uploads, "hashes", lambda _: [])
        await caller.service.worker.verify_next()
        assert (await caller.status(upload_id))["verified_on"] is None
        assert await _queue_troubles(caller) == {upload_id: (1, "the digests of the upload are missing")}


@pytest.mark.parametrize("at_once", [1, 2, 3])
async def test_as_many_uploads_are_verified_at_once_as_the_service_allows(at_once: int) -> None:
    async with serving(executor=InlineExecutor(), verifications_at_once=at_once) as caller:
        uploads = [await caller.upload(NUMBERED) for _ in range(3)]
        for upload_id in uploads:
            caller.service.configure_verification(upload_id, 10.0)
        caller.service.worker.set_paused(is_paused=False)
        await _turn(caller, 11)
        assert sum([(await caller.status(upload_id))["verified_on"] is not None for upload_id in uploads]) == at_once


# Leases


async def test_a_long_verification_keeps_its_lease() -> None:
    async with _working() as caller:
        upload_id = await caller.upload(NUMBERED)
        caller.service.configure_verification(upload_id, 100.0)
        caller.service.worker.set_paused(is_paused=False)
        queue = caller.service.database.queue
        for _ in range(99):
            await _turn(caller, 1)
            # Two renewals may fail: another worker cannot claim the job until most of the lease is over.
            assert queue.claim(caller.clock.now() + LEASE * 0.6, LEASE) is None
        await _turn(caller, 1)
        assert (await caller.status(upload_id))["verified_on"]


async def test_a_lease_is_renewed_again_after_a_database_error() -> None:
    async with _working() as caller:
        upload_id = await caller.upload(NUMBERED)
        caller.service.configure_verification(upload_id, 100.0)
        step = _Step(caller, "queue.renew", sqlite3.OperationalError("disk full"))
        caller.service.worker.set_paused(is_paused=False)
        await _turn(caller, 12)
        step.is_broken = False
        await _turn(caller, 60)
        assert caller.service.database.queue.claim(caller.clock.now(), LEASE) is None


@pytest.mark.parametrize("is_ended_early", [False, True], ids=["another-worker", "fault-ended-early"])
async def test_the_job_of_a_dead_worker_is_not_lost(is_ended_early: bool) -> None:
    async with _working() as caller:
        upload_id = await caller.upload(NUMBERED)
        caller.service.configure_verification(upload_id, 5.0 if is_ended_early else 100.0)
        caller.service.worker.set_paused(is_paused=False)
        await _turn(caller, 1)
        caller.service.faults.start(FaultName.DEAD_WORKER, 600)
        await _turn(caller, 20)
        queue = caller.service.database.queue
        assert (await caller.status(upload_id))["verified_on"] is None
        assert queue.claim(caller.clock.now(), LEASE) is None
        if is_ended_early:
            caller.service.faults.stop(FaultName.DEAD_WORKER)
            await _turn(caller)
            assert (await caller.status(upload_id))["verified_on"]
        else:
            await _turn(caller, 15)
            job = queue.claim(caller.clock.now(), LEASE)
            assert job is not None
            assert (job.upload_id, job.attempts) == (upload_id, 0)


async def test_a_worker_that_dies_while_it_hashes_records_nothing() -> None:
    class DyingExecutor(InlineExecutor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
            caller.service.faults.start(FaultName.DEAD_WORKER, 5)
            return super().submit(fn, *args, **kwargs)

    async with serving(executor=DyingExecutor()) as caller:
        upload_id = await caller.upload(NUMBERED)
        caller.service.worker.set_paused(is_paused=False)
        await _turn(caller, 4)
        assert (await caller.status(upload_id))["verified_on"] is None


@pytest.mark.parametrize("fault", [FaultName.DEAD_WORKER, FaultName.SLOW_ANSWERS, FaultName.DROPPED_ANSWERS], ids=str)
async def test_a_fault_that_is_stopped_is_over_at_once(fault: FaultName) -> None:
    async with _working() as caller:
        upload_id = await caller.upload(NUMBERED)
        caller.service.faults.start_until_stopped(fault)
        caller.service.worker.set_paused(is_paused=False)
        answer = asyncio.create_task(caller.call("GET", f"/uploads/{upload_id}"))
        await _turn(caller)
        caller.service.faults.stop(fault)
        await _turn(caller)
        assert answer.done()
        assert (await caller.status(upload_id))["verified_on"]


# Attempts


async def test_a_kill_during_verification_is_no_attempt(tmp_path: Path) -> None:
    clock, file = FrozenClock(), tmp_path / "records.db"
    async with serving(clock=clock, database=file, storage=tmp_path / "bytes") as caller:
        upload_id = await caller.upload(NUMBERED)
    for _ in range(8):
        service = EmbeddedService(clock=clock, database=file, storage=tmp_path / "bytes")
        assert service.database.queue.claim(clock.now(), LEASE) is not None
        service.database.close()  # as a kill leaves it: the job is claimed
    async with serving(clock=clock, database=file, storage=tmp_path / "bytes") as caller:
        caller.service.faults.start(FaultName.BROKEN_STORAGE, 0.5)
        await caller.service.worker.verify_next()
        assert list((await _queue_troubles(caller)).values()) == [(1, "The storage provider is unavailable")]
        clock.advance(1)
        await caller.service.worker.verify_next()
        assert (await caller.status(upload_id))["verified_on"]


# Clocks


@pytest.mark.parametrize("hours", [-10_000, -2, -0.1, 0.1, 2, 10_000])
@pytest.mark.parametrize("moment", ["initiated", "completed", "retried", "running"])
async def test_an_upload_is_verified_when_the_clock_is_set(hours: float, moment: str) -> None:
    clock = SettableClock()
    async with serving(clock=clock, executor=InlineExecutor()) as caller:
        upload_id = await caller.initiate()
        if moment == "initiated":
            clock.offset = timedelta(hours=hours)
        for number, content in NUMBERED:
            await caller.send_chunk(upload_id, number, content)
        await caller.complete(upload_id, DIGEST)
        if moment == "retried":
            caller.service.faults.start(FaultName.BROKEN_STORAGE, 0.5)
            await caller.service.worker.verify_next()
        elif moment == "running":
            caller.service.database.queue.claim(clock.now(), LEASE)
        clock.offset = timedelta(hours=hours)
        caller.service.faults.stop(FaultName.BROKEN_STORAGE)
        caller.service.worker.set_paused(is_paused=False)
        await _turn(caller, 40)
        if moment == "retried" and hours == -0.1:
            await _turn(caller, 360)  # a retry waits at most as long as the clock was set back, or the longest delay
        status = await caller.status(upload_id)
        assert status["verified_on"]
        assert status["initiated_on"] <= status["completed_on"] <= status["verified_on"]


# Digests that are reported while the upload is verified


async def test_a_digest_that_is_reported_during_verification_is_compared() -> None:
    class ReportingExecutor(InlineExecutor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
            caller.service.database.uploads.put_hash(upload_id, "sha256", "0" * 64)
            return super().submit(fn, *args, **kwargs)

    async with serving(executor=ReportingExecutor()) as caller:
        upload_id = await caller.upload(NUMBERED)
        await caller.service.worker.verify_next()
        status = await caller.status(upload_id)
        assert status["verified_on"] is None
        assert "sha256" in status["error_message"]
