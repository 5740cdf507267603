"""How long to wait between two rounds: quick after a change, slower when idle, never in step with others."""

import random
from collections.abc import Callable

from msgspec import Struct

__all__ = ["Schedule"]

_UNWATCHED_FACTOR = 5.0
"""So many times the shortest interval: a terminal without the focus may still be seen, and alerts must come."""


class Schedule(Struct, frozen=True):
    """The bounds of the interval, in seconds.

    Attributes:
        shortest_seconds: after something changed.
        longest_pending_seconds: at most this while uploads are pending.
        longest_idle_seconds: at most this while none is.
        growth: by what an interval grows when nothing changed.
        chance: a number from 0 to 1, for the jitter.
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
        """The interval in place of one of `seconds` while nobody seems to look."""
        return max(seconds, self.shortest_seconds * _UNWATCHED_FACTOR)

    def with_jitter(self, seconds: float) -> float:
        """The interval, up to a tenth longer or shorter."""
        return seconds * (0.9 + 0.2 * self.jitter())
