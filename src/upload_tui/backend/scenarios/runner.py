"""Runs a scenario: starts concurrent uploads, waits, and starts faults."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from random import Random

from upload_tui.backend.scenarios.plans import UploadPlan, UploadPlanner
from upload_tui.backend.scenarios.uploader import Uploader
from upload_tui.backend.service import EmbeddedService
from upload_tui.backend.store.records import FinishedUpload
from upload_tui.clock import PacedClock
from upload_tui.errors import ServiceError

__all__ = ["ScenarioRunner"]

_IMPORT_BATCH_UPLOADS = 2000


class ScenarioRunner:
    """What scripts are given. An upload that its client gives up simply ends.

    Args:
        service: the service under the scenario.
        clock: the service's clock; history is made by stepping it.
        rng: the source of everything random.
        history: finished uploads to import.
        on_progress: called with the number of uploads imported so far.
    """

    def __init__(
        self,
        service: EmbeddedService,
        clock: PacedClock,
        rng: Random,
        history: Iterable[FinishedUpload] = (),
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.service = service
        self.clock = clock
        self.rng = rng
        self._history = iter(history)
        self._on_progress = on_progress
        self.planner = UploadPlanner(rng)
        self._uploader = Uploader(service, clock.sleep)
        self._running: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Cancel the running uploads."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._uploader.close()

    def start(self, plan: UploadPlan) -> None:
        """Start an upload in the background."""
        task = asyncio.create_task(self._upload(plan), name=f"upload {plan.name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _upload(self, plan: UploadPlan) -> None:
        with suppress(ServiceError):
            await self._uploader.upload(plan)

    async def backfill_upload(self, plan: UploadPlan, seconds_ago: float, present: float) -> None:
        """Run an upload to its end at once. It begins `seconds_ago` before `present`, a reading of the clock."""
        self.step_to(present - seconds_ago)
        uploader = Uploader(self.service, self._step)
        try:
            await uploader.upload(plan)
        finally:
            await uploader.close()
        self.clock.step(plan.verification_seconds)
        while await self.service.worker.verify_next():
            pass

    async def import_history(self) -> None:
        """Import the finished uploads in batches; other tasks run in between."""
        imported = 0
        while batch := list(islice(self._history, _IMPORT_BATCH_UPLOADS)):
            self.service.import_uploads(batch)
            imported += len(batch)
            self._on_progress(imported)
            await asyncio.sleep(0)

    async def _step(self, seconds: float) -> None:
        self.clock.step(seconds)

    def step_to(self, reading: float) -> None:
        """Step the clock to a later reading of `monotonic`."""
        self.clock.step(max(0.0, reading - self.clock.monotonic()))
