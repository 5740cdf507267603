"""The clock that stands still."""

import asyncio

import pytest

from upload_tui.testing import NOW, FrozenClock


async def test_sleepers_wake_in_order_when_the_clock_is_moved_far_enough() -> None:
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


async def test_the_clock_moves_by_what_is_slept_when_work_is_waited_out() -> None:
    clock = FrozenClock()

    async def work() -> str:
        await asyncio.gather(clock.sleep(3), clock.sleep(5))
        await clock.sleep(7)
        return "done"

    assert await clock.advance_until_done(work()) == "done"
    assert (clock.now() - NOW).total_seconds() == 12


async def test_the_error_comes_out_when_work_that_is_waited_out_fails() -> None:
    async def work() -> None:
        raise LookupError("nothing there")

    with pytest.raises(LookupError):
        await FrozenClock().advance_until_done(work())


def test_it_is_refused_when_the_clock_is_to_run_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        FrozenClock().advance(-1)
