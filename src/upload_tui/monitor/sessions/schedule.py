"""When to poll: the interval between rounds, the budget of requests that all projects share, and a timer that can be woken."""

import asyncio
import random
from collections.abc import Callable, Sequence

from msgspec import Struct

from upload_tui.clock import Clock

__all__ = ["Demand", "Schedule", "WakeableTimer", "budgeted_seconds"]

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
        return max(self.shortest_seconds, min(last_seconds * self.growth, longest))

    def unwatched_seconds(self, seconds: float) -> float:
        """The interval in place of one of `seconds` while the dashboard is not watched."""
        return max(seconds, self.shortest_seconds * _UNWATCHED_FACTOR)

    def with_jitter(self, seconds: float) -> float:
        """The interval, up to a tenth longer or shorter."""
        return seconds * (0.9 + 0.2 * self.jitter())


_PLANNED_SHARE = 0.9
"""The part of the budget that rounds on schedule may use; the rest is for a refresh, for retries and for chance."""
_QUIET_SHARE = 0.6
"""The part of it that quiet projects out of view get at least."""


class Demand(Struct, frozen=True):
    """The requests of one project if there were no budget.

    Attributes:
        requests: of one round.
        interval_seconds: between two rounds.
        is_first: it has pending uploads or is on screen, so that its rounds become rarer only after those of all others.
    """

    requests: float
    interval_seconds: float
    is_first: bool

    @property
    def per_minute(self) -> float:
        """The requests in a minute."""
        return 60 * self.requests / self.interval_seconds


def budgeted_seconds(own: Demand, all_demands: Sequence[Demand], budget: float) -> float:
    """The interval between two rounds of a project with which all projects together stay within the budget.

    Args:
        own: the project's demand.
        all_demands: those of all projects, this one included.
        budget: the requests in a minute.
    """
    budget *= _PLANNED_SHARE
    quiet = sum(demand.per_minute for demand in all_demands if not demand.is_first)
    first = sum(demand.per_minute for demand in all_demands if demand.is_first)
    for_quiet = min(quiet, max(budget - first, budget * _QUIET_SHARE))
    wanted, allowed = (first, budget - for_quiet) if own.is_first else (quiet, for_quiet)
    if wanted <= allowed:
        return own.interval_seconds
    # In proportion to their demand, a few projects that have just been busy would make the others wait much too long. So none waits
    # longer than if each had one round in turn.
    in_turn = 60 * sum(demand.requests for demand in all_demands if demand.is_first is own.is_first) / allowed
    return max(own.interval_seconds, min(own.interval_seconds * wanted / allowed, in_turn))


class WakeableTimer:
    """A timer that ends early when it is woken.

    Args:
        clock: for sleeping.
        is_paused: while it returns True, time does not end the wait; only `woken` does.

    Attributes:
        woken: set it to end the wait now; if nothing waits, the next wait ends at once.
    """

    def __init__(self, clock: Clock, is_paused: Callable[[], bool]) -> None:
        self._clock = clock
        self._is_paused = is_paused
        self.woken = asyncio.Event()

    async def wait(self, seconds: float | None) -> None:
        """Wait for that many seconds, or until woken; None waits until woken."""
        if seconds is None:
            await self.woken.wait()
            self.woken.clear()
            return
        woken = asyncio.ensure_future(self.woken.wait())
        due = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait({woken, due}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            due.cancel()
        self.woken.clear()

    async def _sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        while self._is_paused():
            await self._clock.sleep(_PAUSE_CHECK_SECONDS)
