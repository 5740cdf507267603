"""A clock that stands still until a test advances it."""

import asyncio
import heapq
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TypeVar

__all__ = ["NOW", "FrozenClock"]

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
"""The time at which a `FrozenClock` starts by default."""


Result = TypeVar("Result")


class FrozenClock:
    """Implements `upload_tui.clock.Clock`; `sleep` returns when a test has advanced the clock far enough.

    >>> clock = FrozenClock()
    >>> clock.advance(90)
    >>> clock.now().isoformat()
    '2026-03-14T09:28:23+00:00'
    """

    def __init__(self, now: datetime = NOW) -> None:
        self._started_on = now
        self._elapsed_seconds = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> datetime:
        """The current time, aware and in UTC."""
        return self._started_on + timedelta(seconds=self._elapsed_seconds)

    def monotonic(self) -> float:
        """Seconds since the clock was created."""
        return self._elapsed_seconds

    async def sleep(self, seconds: float) -> None:
        """Return once the clock has advanced by this many seconds; for zero or less, after other tasks had a turn."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed_seconds + seconds, next(self._order), woken))
        await woken

    def advance(self, seconds: float) -> None:
        """Move the clock forward and wake the sleepers that are due, in order.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError("a clock cannot run backwards")
        self._elapsed_seconds += seconds
        while self._sleepers and self._sleepers[0][0] <= self._elapsed_seconds:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)

    async def advance_until_done(self, work: Awaitable[Result]) -> Result:
        """Await work that sleeps on this clock, advancing the clock by as much as it sleeps; nothing else may sleep on it meanwhile.

        >>> clock = FrozenClock()
        >>> asyncio.run(clock.advance_until_done(clock.sleep(3600)))
        >>> clock.monotonic()
        3600.0
        """
        task = asyncio.ensure_future(work)
        while not task.done():
            await asyncio.wait({task}, timeout=0)
            if self._sleepers and not task.done():
                self.advance(max(0.0, self._sleepers[0][0] - self._elapsed_seconds))
        return await task
