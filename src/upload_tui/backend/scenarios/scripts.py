"""The scenarios by name, and the script of each as a function."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from random import Random
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from upload_tui.backend.faults import FaultName
from upload_tui.backend.scenarios import DEFAULT_HISTORY_UPLOADS
from upload_tui.backend.scenarios.runner import ScenarioRunner
from upload_tui.backend.scenarios.uploads import Flaw, finished_uploads
from upload_tui.backend.service import EmbeddedService
from upload_tui.clock import PacedClock

__all__ = [
    "RECENT_SECONDS",
    "SCENARIOS",
    "Scenario",
    "run_corrupt",
    "run_flaky",
    "run_history",
    "run_nothing",
    "run_outage",
    "run_quiet",
    "run_recent_uploads",
    "run_rush",
    "run_steady",
    "run_stuck",
    "run_tour",
]

RECENT_SECONDS = 2.5 * 3600
"""How long before the present the recent uploads begin."""

_INTEGRITY_FLAWS = (
    Flaw.WRONG_FILE_HASH,
    Flaw.CHUNK_ALTERED,
    Flaw.FIRST_CHUNK_MISSING,
    Flaw.FIRST_CHUNK_MISSING_SIZE_LOWERED,
    Flaw.CHUNKS_REORDERED,
    Flaw.CHUNK_TRUNCATED,
    Flaw.CHUNK_LOST,
)
_MOST_UNFINISHED = 50
"""No upload is started while this many are being sent or wait for verification."""
_RUSH_BYTES = 48 * 1024
_RECENT_UPLOADS = (
    # minutes ago, flaw, whether the worker cannot read the bytes
    (148, Flaw.NONE, False),
    (131, Flaw.NONE, False),
    (117, Flaw.CHUNK_ALTERED, False),
    (96, Flaw.NONE, False),
    (83, Flaw.NONE, False),
    (71, Flaw.NEVER_COMPLETED, False),
    (58, Flaw.NONE, False),
    (44, Flaw.NONE, True),
    (37, Flaw.NONE, False),
    (26, Flaw.WRONG_FILE_HASH, False),
    (17, Flaw.NONE, False),
    (9, Flaw.NONE, False),
    (4, Flaw.NONE, False),
    (2, Flaw.NONE, False),
)


async def run_nothing(runner: ScenarioRunner) -> None:
    """No history."""


async def run_recent_uploads(runner: ScenarioRunner) -> None:
    """Uploads of the last hours: most verified, two failed, one never completed, one that the worker could never read."""
    present = runner.clock.monotonic() + RECENT_SECONDS
    runner.service.worker.set_paused(is_paused=True)
    for minutes_ago, flaw, is_unreadable in _RECENT_UPLOADS:
        plan = runner.planner.plan(flaw, chunk_count=2, seconds_per_chunk=4.0, is_unreadable=is_unreadable)
        await runner.backfill_upload(plan, minutes_ago * 60, present)
    runner.step_to(present)
    runner.service.worker.set_paused(is_paused=False)


async def run_history(runner: ScenarioRunner) -> None:
    """A year of finished uploads."""
    await runner.import_history()


async def run_tour(runner: ScenarioRunner) -> None:
    """Each kind of outcome within half a minute, then a steady pace."""
    runner.start(runner.planner.plan(chunk_count=8, seconds_per_chunk=1.2))
    runner.start(runner.planner.plan(chunk_count=3, seconds_per_chunk=0.3, verification_seconds=18))
    runner.start(runner.planner.plan(chunk_count=4, seconds_per_chunk=0.3, verification_seconds=1.5))
    for flaw in _INTEGRITY_FLAWS:
        runner.start(runner.planner.plan(flaw, seconds_per_chunk=0.4, verification_seconds=1.2))
        await runner.clock.sleep(1.2)
        runner.start(runner.planner.plan())
        await runner.clock.sleep(1.8)
    await run_steady(runner)


async def run_steady(runner: ScenarioRunner) -> None:
    """An upload every few seconds; one in ten fails."""
    while True:
        is_bad = runner.rng.random() < 0.1
        await runner.wait_for_fewer(_MOST_UNFINISHED)
        runner.start(runner.planner.plan(runner.rng.choice(_INTEGRITY_FLAWS) if is_bad else Flaw.NONE))
        await runner.clock.sleep(runner.rng.uniform(2.5, 6.0))


async def run_quiet(runner: ScenarioRunner) -> None:
    """One upload now and then."""
    while True:
        await runner.wait_for_fewer(_MOST_UNFINISHED)
        runner.start(runner.planner.plan())
        await runner.clock.sleep(runner.rng.uniform(20.0, 40.0))


async def run_rush(runner: ScenarioRunner) -> None:
    """Three hundred small uploads within seconds, and again every two minutes once they are verified."""
    while True:
        await runner.wait_for_fewer(_MOST_UNFINISHED)
        for _ in range(300):
            runner.start(runner.planner.plan(chunk_count=2, verification_seconds=0.5, most_bytes=_RUSH_BYTES))
            await runner.clock.sleep(0.02)
        await runner.clock.sleep(120.0)


async def run_stuck(runner: ScenarioRunner) -> None:
    """A steady pace, until the worker stops after a few seconds."""
    async with _steady_uploads(runner) as steady:
        await runner.clock.sleep(6.0)
        runner.service.worker.set_paused(is_paused=True)
        await steady


async def run_corrupt(runner: ScenarioRunner) -> None:
    """One upload of each integrity failure and one without, then none."""
    for flaw in (Flaw.NONE, *_INTEGRITY_FLAWS):
        runner.start(runner.planner.plan(flaw, chunk_count=4, seconds_per_chunk=0.4))
        await runner.clock.sleep(0.5)
    while True:
        await runner.clock.sleep(3600.0)


async def run_outage(runner: ScenarioRunner) -> None:
    """An outage of twenty seconds in each minute."""
    async with _steady_uploads(runner):
        while True:
            await runner.clock.sleep(10.0)
            runner.service.faults.start(FaultName.OUTAGE, 20.0)
            await runner.clock.sleep(50.0)


async def run_flaky(runner: ScenarioRunner) -> None:
    """Faults of all kinds, one after the other, with pauses to recover."""
    async with _steady_uploads(runner):
        while True:
            await runner.clock.sleep(runner.rng.uniform(4.0, 10.0))
            runner.service.faults.start(runner.rng.choice(tuple(FaultName)), runner.rng.uniform(2.0, 6.0))


@asynccontextmanager
async def _steady_uploads(runner: ScenarioRunner) -> AsyncIterator[asyncio.Future[None]]:
    """Run `run_steady` in the background."""
    steady = asyncio.ensure_future(run_steady(runner))
    try:
        yield steady
    finally:
        steady.cancel()


Script = Callable[[ScenarioRunner], Coroutine[Any, Any, None]]


class Scenario(Struct, frozen=True):
    """A scenario in two parts.

    Attributes:
        live_script: runs at the clock's pace until it is cancelled.
        history_script: runs first, at once, by stepping the clock.
        history_seconds: how long before the present the history begins.
    """

    live_script: Script
    history_script: Script = run_nothing
    history_seconds: float = 0.0

    def create_runner(
        self,
        service: EmbeddedService,
        clock: PacedClock,
        seed: int,
        history_uploads: int = DEFAULT_HISTORY_UPLOADS,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> ScenarioRunner:
        """Create a runner. The clock must start `history_seconds` before the present.

        `on_progress` is called with the number of uploads imported so far.
        """
        history = finished_uploads(seed, history_uploads, service.project.id, clock.now())
        return ScenarioRunner(service, clock, Random(seed), history, on_progress)  # noqa: S311  # reproducible, not secret


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "tour": Scenario(run_tour, run_recent_uploads, RECENT_SECONDS),
        "quiet": Scenario(run_quiet),
        "steady": Scenario(run_steady),
        "rush": Scenario(run_rush),
        "stuck": Scenario(run_stuck, run_recent_uploads, RECENT_SECONDS),
        "corrupt": Scenario(run_corrupt),
        "outage": Scenario(run_outage),
        "history": Scenario(run_quiet, run_history),
        "flaky": Scenario(run_flaky),
    }
)
"""By the names of `SCENARIO_DESCRIPTIONS`."""
