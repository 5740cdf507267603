"""Wakes a session when it is time to ask its service, or when somebody asks for it."""

import asyncio
from collections.abc import Callable

from upload_tui.clock import Clock

__all__ = ["WakeableTimer"]

_PAUSE_CHECK_SECONDS = 1.0


class WakeableTimer:
    """Somebody who waits, and may be woken.

    Args:
        clock: for waiting.
        is_paused: True while the person wants no requests: then it is never time, and only `wake` wakes.
    """

    def __init__(self, clock: Clock, is_paused: Callable[[], bool]) -> None:
        self._clock = clock
        self._is_paused = is_paused
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """It is time now; also for who is not waiting yet."""
        self._woken.set()

    async def wait(self, seconds: float) -> None:
        """Until it is time, or somebody wakes us."""
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
