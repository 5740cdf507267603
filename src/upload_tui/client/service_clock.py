"""The service's time: all that it says is dated by its own clock, so ages, bounds and what lies in the future are reckoned by that.

An answer's date tells by how much the service's clock is ahead of ours, to a second and to as long as the answer was on its way; many
answers tell it better. As long as they do not exclude that both clocks are the same, they are taken to be.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from math import inf

from msgspec import Struct

from upload_tui.clock import Clock

__all__ = ["ClockOffset", "ServiceClock"]

_JUMP_CONFIRMED_AFTER_SECONDS = 120.0
"""A date that jumps while our own clock runs on is believed when it has stayed so long: a proxy may say anything."""
_JUMP_SECONDS = 1.0


class _Bounds(Struct, frozen=True):
    """Between how many seconds the service's clock is ahead of ours."""

    low: float = -inf
    high: float = inf

    def intersection(self, other: "_Bounds") -> "_Bounds | None":
        """What both leave possible; None if they contradict each other."""
        both = _Bounds(max(self.low, other.low), min(self.high, other.high))
        return both if both.low <= both.high else None

    def nearest(self, seconds: float) -> float:
        """The same if it is possible, or else the likeliest that is."""
        return seconds if self.low <= seconds <= self.high else (self.low + self.high) / 2


class ClockOffset:
    """By how many seconds the service's clock is ahead of ours: `seconds`, 0 until an answer has told; it then `is_known`.

    Args:
        clock: ours.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.seconds = 0.0
        self.is_known = False
        self.on_change: Callable[[], None] = lambda: None
        self._bounds = _Bounds()
        self._candidate: tuple[float, _Bounds] | None = None
        self._accepted_local_offset = self._local_offset()

    def observe(self, date: str, round_trip_seconds: float) -> None:
        """An answer has come just now that has this date."""
        try:
            said_on = parsedate_to_datetime(date)
            ahead = (said_on.replace(tzinfo=said_on.tzinfo or UTC) - self._clock.now()).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return
        told = _Bounds(ahead, ahead + 1 + round_trip_seconds)
        if (
            abs(self._local_offset() - self._accepted_local_offset) > _JUMP_SECONDS
        ):  # ours was set, or the machine has slept
            self._accept(told)
        elif (both := self._bounds.intersection(told)) is not None:
            self._accept(both)
        else:
            self._consider_jump(told)

    def _consider_jump(self, observed: _Bounds) -> None:
        now = self._clock.monotonic()
        since, doubt = self._candidate or (now, observed)
        both = doubt.intersection(observed)
        if both is None:
            since, both = now, observed
        self._candidate = since, both
        if now - since >= _JUMP_CONFIRMED_AFTER_SECONDS:
            self._accept(both)

    def _accept(self, bounds: _Bounds) -> None:
        before, was_known = self.seconds, self.is_known
        self._bounds, self._candidate = bounds, None
        self._accepted_local_offset = self._local_offset()
        self.seconds = bounds.nearest(before)
        self.is_known = True
        if not was_known or self.seconds != before:
            self.on_change()

    def _local_offset(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()


class ServiceClock:
    """Another clock, in the service's time; implements `Clock`."""

    def __init__(self, base: Clock, offset: ClockOffset) -> None:
        self._base = base
        self._offset = offset

    def now(self) -> datetime:
        """The service's present."""
        return self._base.now() + timedelta(seconds=self._offset.seconds)

    def monotonic(self) -> float:
        """As the other clock."""
        return self._base.monotonic()

    async def sleep(self, seconds: float) -> None:
        """As the other clock."""
        await self._base.sleep(seconds)
