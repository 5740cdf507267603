"""`FrozenClock`: sleepers wake in order, and work that sleeps can be awaited."""

import asyncio

import pytest

from upload_tui.testing import NOW, FrozenClock


async def test_sleepers_wake_in_order_when_the_clock_advances() -> None:
    clock = FrozenClock()
    woken: list[float] = []

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    async with asyncio.TaskGroup() as group:
        for seconds in (30.0, 10.0, 20.0):
            group.create_task(sleep(seconds))
        await asyncio.sleep(0)
        clock.advance(25)
        for _ in range(3):
            await asyncio.sleep(0)
        assert woken == [10.0, 20.0]
        clock.advance(5)
    assert woken == [10.0, 20.0, 30.0]


async def test_advance_until_done_advances_by_the_time_slept() -> None:
    clock = FrozenClock()

    async def work() -> str:
        await asyncio.gather(clock.sleep(3), clock.sleep(5))
        await clock.sleep(7)
        return "done"

    assert await clock.advance_until_done(work()) == "done"
    assert (clock.now() - NOW).total_seconds() == 12


async def test_advance_until_done_raises_the_error_of_the_work() -> None:
    async def work() -> None:
        raise LookupError("nothing there")

    with pytest.raises(LookupError):
        await FrozenClock().advance_until_done(work())


def test_advance_rejects_negative_seconds() -> None:
    with pytest.raises(ValueError, match="backwards"):
        FrozenClock().advance(-1)
