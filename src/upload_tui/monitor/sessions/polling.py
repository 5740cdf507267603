"""When to poll: the interval between two rounds, and a timer that can be woken."""

import asyncio
import random
from collections.abc import Callable

from msgspec import Struct

from upload_tui.clock import Clock

__all__ = ["Schedule", "WakeableTimer"]

_UNWATCHED_FACTOR = 5.0
"""Times the shortest interval: a terminal without focus may still be visible, and alerts must arrive."""
_PAUSE_CHECK_SECONDS = 1.0


class Schedule(Struct, frozen=True):
    """The bounds of the interval between rounds: short after a change, longer when idle, with jitter.

    Attributes:
        shortest_seconds: the interval after a change.
        longest_pending_seconds: the longest interval while uploads are pending.
        longest_idle_seconds: the longest interval while none is.
        growth: the factor by which an interval grows when nothing changed.
        jitter: returns a random number from 0 to 1.
    """

    shortest_seconds: float = 1.0
    longest_pending_seconds: float = 4.0
    longest_idle_seconds: float = 15.0
    growth: float = 1.5
    jitter: Callable[[], float] = random.random

    def next_seconds(self, last_seconds: float, *, has_changed: bool, has_pending: bool) -> float:
        """The interval after one of `last_seconds`."""
        if has_changed:
            return self.shortest_seconds
        longest = self.longest_pending_seconds if has_pending else self.longest_idle_seconds
        return min(last_seconds * self.growth, max(longest, self.shortest_seconds))

    def unwatched_seconds(self, seconds: float) -> float:
        """The interval in place of one of `seconds` while the dashboard is not watched."""
        return max(seconds, self.shortest_seconds * _UNWATCHED_FACTOR)

    def with_jitter(self, seconds: float) -> float:
        """The interval, up to a tenth longer or shorter."""
        return seconds * (0.9 + 0.2 * self.jitter())


class WakeableTimer:
    """A timer that ends early when it is woken.

    Args:
        clock: for sleeping.
        is_paused: while it returns True, time does not end the wait; only `wake` does.
    """

    def __init__(self, clock: Clock, is_paused: Callable[[], bool]) -> None:
        self._clock = clock
        self._is_paused = is_paused
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Wake now; a later `wait` returns at once."""
        self._woken.set()

    async def wait(self, seconds: float) -> None:
        """Wait for that many seconds, or until woken."""
        woken = asyncio.ensure_future(self._woken.wait())
        due = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait({woken, due}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            due.cancel()
        self._woken.clear()

    async def _sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        while self._is_paused():
            await self._clock.sleep(_PAUSE_CHECK_SECONDS)
