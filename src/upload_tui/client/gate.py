"""Where whoever asks the service passes: nobody while the person wants no requests, nor before the time that the service named."""

import asyncio

from upload_tui.clock import Clock
from upload_tui.errors import BusyError

__all__ = ["Gate"]


class Gate:
    """One for all requests of a client, so that what one of them learned holds for the others.

    Args:
        clock: for the time that the service named.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._busy: BusyError | None = None
        self._busy_until = 0.0

    def close(self) -> None:
        """Let nobody pass until `open`; whoever comes waits."""
        self._is_open.clear()

    def open(self) -> None:
        """Let pass whoever waits, and all who come."""
        self._is_open.set()

    def note(self, error: BusyError) -> None:
        """The service wants to be left alone; for how long, if it says."""
        if error.retry_after_seconds is not None:
            self._busy = error
            self._busy_until = self._clock.monotonic() + error.retry_after_seconds

    async def passed(self) -> None:
        """Return when a request may be sent.

        Raises:
            BusyError: the service wants to be left alone still; it is not asked, so this has no `status`.
        """
        await self._is_open.wait()
        left_seconds = self._busy_until - self._clock.monotonic()
        if self._busy is not None and left_seconds > 0:
            raise BusyError(self._busy.title, self._busy.mend, retry_after_seconds=left_seconds)
        self._busy = None
