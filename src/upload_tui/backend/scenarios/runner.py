"""Tells a story to a service: starts uploads that run side by side, lets time pass, and breaks things."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from random import Random

from upload_tui.backend.faults.model import FaultName
from upload_tui.backend.scenarios.plans import UploadPlan, UploadPlanner
from upload_tui.backend.scenarios.uploader import Uploader
from upload_tui.backend.service import EmbeddedService
from upload_tui.backend.store.records import FinishedUpload
from upload_tui.clock import PacedClock
from upload_tui.errors import ServiceError

__all__ = ["ScenarioRunner"]

_IMPORT_BATCH_UPLOADS = 10_000


class ScenarioRunner:
    """What stories are told with. An upload that its client has to give up just ends, as in life.

    Args:
        service: whom the story happens to.
        clock: the service's clock; the past is told by stepping it.
        rng: what the story leaves open.
        history: finished uploads of the past, for a story that asks for them.
    """

    def __init__(
        self, service: EmbeddedService, clock: PacedClock, rng: Random, history: Iterable[FinishedUpload] = ()
    ) -> None:
        self.service = service
        self.clock = clock
        self.rng = rng
        self._history = iter(history)
        self.planner = UploadPlanner(rng)
        self._uploader = Uploader(service, clock.sleep)
        self._running: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Stop all uploads that still run."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._uploader.close()

    def start(self, plan: UploadPlan) -> None:
        """Begin an upload and go on with the story."""
        task = asyncio.create_task(self._upload(plan), name=f"upload {plan.name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _upload(self, plan: UploadPlan) -> None:
        with suppress(ServiceError):
            await self._uploader.upload(plan)

    async def wait(self, seconds: float) -> None:
        """Let time pass."""
        await self.clock.sleep(seconds)

    def start_fault(self, fault: FaultName, seconds: float | None = None) -> None:
        """Let a fault happen."""
        self.service.faults.start(fault, seconds)

    async def backfill_upload(self, plan: UploadPlan, seconds_ago: float, present: float) -> None:
        """An upload that began `seconds_ago` before the present (a reading of the clock), told at once."""
        await self._step_to(present - seconds_ago)
        uploader = Uploader(self.service, self._step)
        try:
            await uploader.upload(plan)
        finally:
            await uploader.close()
        self.clock.step(plan.verification_seconds)
        while await self.service.worker.verify_next():
            pass

    async def import_history(self) -> None:
        """Import the finished uploads of the past, thousands at a time, so that others get their turn."""
        while batch := list(islice(self._history, _IMPORT_BATCH_UPLOADS)):
            self.service.import_uploads(batch)
            await asyncio.sleep(0)

    async def _step(self, seconds: float) -> None:
        self.clock.step(seconds)

    async def _step_to(self, reading: float) -> None:
        self.clock.step(max(0.0, reading - self.clock.monotonic()))

    async def step_to_present(self, present: float) -> None:
        """Leave the past."""
        await self._step_to(present)
