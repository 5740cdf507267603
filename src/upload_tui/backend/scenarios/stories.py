"""The stories themselves, a function each."""

import asyncio

from upload_tui.backend.faults import FaultName
from upload_tui.backend.scenarios.plans import Flaw
from upload_tui.backend.scenarios.teller import Teller

__all__ = [
    "MORNING_SECONDS",
    "tell_corrupt",
    "tell_flaky",
    "tell_history",
    "tell_morning",
    "tell_nothing",
    "tell_outage",
    "tell_quiet",
    "tell_rush",
    "tell_steady",
    "tell_stuck",
    "tell_tour",
]

MORNING_SECONDS = 2.5 * 3600
"""How long before the present the morning begins."""

_INTEGRITY_FLAWS = (
    Flaw.WRONG_FILE_HASH,
    Flaw.CHUNK_ALTERED,
    Flaw.FIRST_CHUNK_MISSING,
    Flaw.FIRST_CHUNK_MISSING_SIZE_LOWERED,
    Flaw.CHUNKS_REORDERED,
    Flaw.CHUNK_TRUNCATED,
    Flaw.CHUNK_LOST,
)
_MORNING = (
    # minutes ago, flaw, bytes withheld from the worker
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


async def tell_nothing(teller: Teller) -> None:
    """No past."""


async def tell_morning(teller: Teller) -> None:
    """A morning's uploads: most went well, two failed, one was never completed, and one the worker could never read."""
    present = teller.clock.monotonic() + MORNING_SECONDS
    teller.service.worker.hold()
    for minutes_ago, flaw, is_withheld in _MORNING:
        plan = teller.planner.plan(flaw, chunk_count=2, seconds_per_chunk=4.0, is_withheld=is_withheld)
        await teller.tell_past(plan, minutes_ago * 60, present)
    await teller.step_to_present(present)
    teller.service.worker.resume()


async def tell_history(teller: Teller) -> None:
    """A year of finished uploads."""
    await teller.import_history()


async def tell_tour(teller: Teller) -> None:
    """Each kind of outcome soon, then a steady pace."""
    teller.start(teller.planner.plan(chunk_count=8, seconds_per_chunk=1.2))
    teller.start(teller.planner.plan(chunk_count=3, seconds_per_chunk=0.3, verification_seconds=18))
    teller.start(teller.planner.plan(chunk_count=4, seconds_per_chunk=0.3, verification_seconds=1.5))
    for flaw in _INTEGRITY_FLAWS:
        teller.start(teller.planner.plan(flaw, seconds_per_chunk=0.4, verification_seconds=1.2))
        await teller.wait(1.2)
        teller.start(teller.planner.plan())
        await teller.wait(1.8)
    await tell_steady(teller)


async def tell_steady(teller: Teller) -> None:
    """An upload every few seconds; one in ten fails."""
    while True:
        is_bad = teller.chance.random() < 0.1
        teller.start(teller.planner.plan(teller.chance.choice(_INTEGRITY_FLAWS) if is_bad else Flaw.NONE))
        await teller.wait(teller.chance.uniform(2.5, 6.0))


async def tell_quiet(teller: Teller) -> None:
    """One upload now and then."""
    while True:
        teller.start(teller.planner.plan())
        await teller.wait(teller.chance.uniform(20.0, 40.0))


async def tell_rush(teller: Teller) -> None:
    """Three hundred uploads in the first seconds, then as many again after a while."""
    while True:
        for _ in range(300):
            teller.start(teller.planner.plan(chunk_count=2, verification_seconds=0.5))
            await teller.wait(0.02)
        await teller.wait(120.0)


async def tell_stuck(teller: Teller) -> None:
    """All goes well for a few seconds, then the worker stops."""
    steady = asyncio.ensure_future(tell_steady(teller))
    try:
        await teller.wait(6.0)
        teller.service.worker.hold()
        await steady
    finally:
        steady.cancel()


async def tell_corrupt(teller: Teller) -> None:
    """One of every integrity failure, beside one that is all right, then silence."""
    for flaw in (Flaw.NONE, *_INTEGRITY_FLAWS):
        teller.start(teller.planner.plan(flaw, chunk_count=4, seconds_per_chunk=0.4))
        await teller.wait(0.5)
    while True:
        await teller.wait(3600.0)


async def tell_outage(teller: Teller) -> None:
    """Down for twenty seconds in each minute."""
    steady = asyncio.ensure_future(tell_steady(teller))
    try:
        while True:
            await teller.wait(10.0)
            teller.break_something(FaultName.OUTAGE, 20.0)
            await teller.wait(50.0)
    finally:
        steady.cancel()


async def tell_flaky(teller: Teller) -> None:
    """Faults of all kinds, one after the other, with pauses to recover."""
    steady = asyncio.ensure_future(tell_steady(teller))
    try:
        while True:
            await teller.wait(teller.chance.uniform(4.0, 10.0))
            teller.break_something(teller.chance.choice(tuple(FaultName)), teller.chance.uniform(2.0, 6.0))
    finally:
        steady.cancel()
