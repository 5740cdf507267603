"""Where whoever asks the service passes: nobody while the person wants no requests, nor before the time that the service named."""

import asyncio

from upload_tui.clock import Clock
from upload_tui.errors import ThrottledError

__all__ = ["RequestGate"]


class RequestGate:
    """One for all requests of a client, so that what one of them learned holds for the others.

    Args:
        clock: for the time that the service named.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._resumed = asyncio.Event()
        self._resumed.set()
        self._throttled: ThrottledError | None = None
        self._throttled_until = 0.0

    def pause(self) -> None:
        """Let nobody pass until `open`; whoever comes waits."""
        self._resumed.clear()

    def resume(self) -> None:
        """Let pass whoever waits, and all who come."""
        self._resumed.set()

    def back_off(self, error: ThrottledError) -> None:
        """The service wants to be left alone; for how long, if it says."""
        if error.retry_after_seconds is not None:
            self._throttled = error
            self._throttled_until = self._clock.monotonic() + error.retry_after_seconds

    async def wait(self) -> None:
        """Return when a request may be sent.

        Raises:
            ThrottledError: the service wants to be left alone still; it is not asked, so this has no `status`.
        """
        await self._resumed.wait()
        left_seconds = self._throttled_until - self._clock.monotonic()
        if self._throttled is not None and left_seconds > 0:
            raise ThrottledError(self._throttled.title, self._throttled.hint, retry_after_seconds=left_seconds)
        self._throttled = None
