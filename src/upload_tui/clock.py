"""Time as a parameter: what every room that looks at a clock is handed.

Owns the `Clock` that other rooms are written against, the machine's own clock, and a clock whose pace can be changed, held
and stepped (the demo's). A clock for tests is in `upload_tui.testing`. Nothing here reads the time at import.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "PacedClock", "SystemClock"]


class Clock(Protocol):
    """Something that tells the time and can wait."""

    def now(self) -> datetime:
        """The present, aware and in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary point; never goes backwards."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds of this clock; at once if zero or less (but other tasks get their turn)."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present, aware and in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from an arbitrary point."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        await asyncio.sleep(max(0.0, seconds))


class PacedClock:
    """A clock that runs `rate` times as fast as another one; 0 holds it.

    It starts at the other clock's present, or at `start_on`. `step` moves it by hand, also while it is held. Sleepers notice
    a change of pace at once: nobody oversleeps because the clock was slow when they lay down.
    """

    def __init__(self, rate: float = 1.0, base: Clock | None = None, start_on: datetime | None = None) -> None:
        self._base: Clock = base or SystemClock()
        self._rate = rate
        self._started_on = start_on or self._base.now()
        self._marked_at = self._base.monotonic()
        self._elapsed_seconds = 0.0
        self._rate_changed: asyncio.Event | None = None

    @property
    def rate(self) -> float:
        """How many of this clock's seconds pass in one of the other's; 0 while held."""
        return self._rate

    def now(self) -> datetime:
        """The present of the story, aware and in UTC."""
        return self._started_on + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Seconds of the story since this clock was made."""
        return self._elapsed_seconds + (self._base.monotonic() - self._marked_at) * self._rate

    def set_rate(self, rate: float) -> None:
        """Run at another pace from now on; 0 holds the clock."""
        if rate < 0:
            raise ValueError("a clock cannot run backwards")
        self._mark()
        self._rate = rate
        self._wake_sleepers()

    def step(self, seconds: float) -> None:
        """Move forward at once by that many seconds."""
        if seconds < 0:
            raise ValueError("a clock cannot run backwards")
        self._mark()
        self._elapsed_seconds += seconds
        self._wake_sleepers()

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds of this clock."""
        deadline = self.monotonic() + seconds
        await asyncio.sleep(0)
        while (left := deadline - self.monotonic()) > 0:
            changed = self._rate_change_event()
            try:
                await asyncio.wait_for(changed.wait(), left / self._rate if self._rate else None)
            except TimeoutError:
                continue

    def _mark(self) -> None:
        self._elapsed_seconds = self.monotonic()
        self._marked_at = self._base.monotonic()

    def _rate_change_event(self) -> asyncio.Event:
        if self._rate_changed is None:
            self._rate_changed = asyncio.Event()
        return self._rate_changed

    def _wake_sleepers(self) -> None:
        if self._rate_changed is not None:
            self._rate_changed.set()
            self._rate_changed = None
