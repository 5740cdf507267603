"""The clock of a demo and a replay."""

import asyncio
from datetime import UTC, datetime

import pytest

from upload_tui.clock import PacedClock, SystemClock


@pytest.mark.parametrize("turns", range(6))
async def test_sleeping_ends_when_it_is_cancelled_while_the_rate_changes(turns: int) -> None:
    clock = PacedClock(1, SystemClock(), datetime(2026, 3, 14, tzinfo=UTC))
    sleeping = asyncio.ensure_future(clock.sleep(3600))
    for _ in range(3):
        await asyncio.sleep(0)
    clock.set_rate(2)
    for _ in range(turns):
        await asyncio.sleep(0)
    sleeping.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert sleeping.cancelled()
