"""Clocks, passed as a parameter to everything that depends on time.

Defines the `Clock` protocol, the system clock, and a clock with an adjustable rate (for the demo and replays). The clock for
tests is in `upload_tui.testing`. Importing this module does not read the time.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "PacedClock", "ShiftedClock", "SystemClock"]


class Clock(Protocol):
    """A source of time that can also sleep."""

    def now(self) -> datetime:
        """The current time, aware and in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary point; never goes backwards."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Sleep for that many seconds of this clock; if zero or less, only let other tasks run."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """The current time, aware and in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since an arbitrary point."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep for that many seconds."""
        await asyncio.sleep(max(0.0, seconds))


class ShiftedClock:
    """A clock that sleeps as another one does, but has a time of day of its own.

    Args:
        base: the clock that it sleeps by.
        now: returns the time of day, aware and in UTC.
    """

    def __init__(self, base: Clock, now: Callable[[], datetime]) -> None:
        self.now = now
        self.monotonic = base.monotonic
        self.sleep = base.sleep


class PacedClock:
    """A clock that runs at a multiple of another clock's rate.

    Changing the rate or stepping the clock takes effect at once, also for tasks that are asleep.

    Args:
        rate: seconds of this clock per second of the base clock; 0 pauses it.
        base: the clock that drives this one; None is the system clock.
        start_on: the time at which this clock starts; None is the current time of the base clock.
        end_on: the time of day at which this clock stops; None lets it run on.
    """

    def __init__(
        self,
        rate: float = 1.0,
        base: Clock | None = None,
        start_on: datetime | None = None,
        end_on: datetime | None = None,
    ) -> None:
        self._base: Clock = base or SystemClock()
        self._end_on = end_on
        self._rate = rate
        self._started_on = start_on or self._base.now()
        self._marked_at = self._base.monotonic()
        self._elapsed_seconds = 0.0
        self._has_time_of_base = False
        self._rate_changed: asyncio.Event | None = None

    @property
    def rate(self) -> float:
        """Seconds of this clock per second of the base clock; 0 while paused."""
        return self._rate

    def now(self) -> datetime:
        """The current time of this clock, aware and in UTC."""
        if self._has_time_of_base:
            return self._base.now()
        now = self._started_on + timedelta(seconds=self.monotonic())
        return now if self._end_on is None else min(now, self._end_on)

    def monotonic(self) -> float:
        """Seconds of this clock since it was created."""
        return self._elapsed_seconds + (self._base.monotonic() - self._marked_at) * self._rate

    def set_rate(self, rate: float) -> None:
        """Change the rate; 0 pauses the clock."""
        if rate < 0:
            raise ValueError("a clock cannot run backwards")
        self._mark()
        self._rate = rate
        self._wake_sleepers()

    def step(self, seconds: float) -> None:
        """Move the clock forward by that many seconds, also while it is paused."""
        if seconds < 0:
            raise ValueError("a clock cannot run backwards")
        self._mark()
        self._elapsed_seconds += seconds
        self._wake_sleepers()

    def set_time(self, on: datetime) -> None:
        """Set the time of day, forwards or back; sleepers are not affected."""
        self._started_on = on - timedelta(seconds=self.monotonic())

    def use_time_of_base(self) -> None:
        """Show the base clock's time of day from now on. The rate applies only to what sleeps and to `monotonic` then."""
        self._has_time_of_base = True

    async def sleep(self, seconds: float) -> None:
        """Sleep for that many seconds of this clock."""
        deadline = self.monotonic() + seconds
        await asyncio.sleep(0)
        while (left := deadline - self.monotonic()) > 0:
            changed = self._rate_change_event()
            with suppress(TimeoutError):
                async with asyncio.timeout(left / self._rate if self._rate else None):
                    await changed.wait()

    def _mark(self) -> None:
        """Save the elapsed time before the rate changes."""
        self._elapsed_seconds = self.monotonic()
        self._marked_at = self._base.monotonic()

    def _rate_change_event(self) -> asyncio.Event:
        # Created on demand: the clock may be built before there is an event loop.
        if self._rate_changed is None:
            self._rate_changed = asyncio.Event()
        return self._rate_changed

    def _wake_sleepers(self) -> None:
        if self._rate_changed is not None:
            self._rate_changed.set()
            self._rate_changed = None
