"""A clock that stands still until a test moves it."""

import asyncio
import heapq
from datetime import datetime, timedelta
from itertools import count

from upload_tui.testing.builders import NOW

__all__ = ["FrozenClock"]


class FrozenClock:
    """Implements `upload_tui.clock.Clock`; whoever sleeps on it wakes when a test moves it far enough.

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
        """The present, aware and in UTC."""
        return self._started_on + timedelta(seconds=self._elapsed_seconds)

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed_seconds

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was moved by that many seconds; at once (but others get their turn) for none."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed_seconds + seconds, next(self._order), woken))
        await woken

    def advance(self, seconds: float) -> None:
        """Move forward and wake, in order, everybody whose time has come."""
        if seconds < 0:
            raise ValueError("a clock cannot run backwards")
        self._elapsed_seconds += seconds
        while self._sleepers and self._sleepers[0][0] <= self._elapsed_seconds:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
