"""The gate that every request of a client passes: closed while paused, and until the time that a throttling service gave."""

import asyncio

from upload_tui.clock import Clock
from upload_tui.errors import ThrottledError

__all__ = ["RequestGate"]


class RequestGate:
    """Holds back all requests of one client, so that a `Retry-After` for one request holds for all.

    Args:
        clock: measures the time until the service may be asked again.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._resumed = asyncio.Event()
        self._resumed.set()
        self._throttled: ThrottledError | None = None
        self._throttled_until = 0.0

    def pause(self) -> None:
        """Hold all requests until `resume`."""
        self._resumed.clear()

    def resume(self) -> None:
        """Let waiting and new requests through."""
        self._resumed.set()

    def back_off(self, error: ThrottledError) -> None:
        """Fail new requests for as long as the service asked; without a time this does nothing."""
        if error.retry_after_seconds is not None:
            self._throttled = error
            self._throttled_until = self._clock.monotonic() + error.retry_after_seconds

    async def wait(self) -> None:
        """Wait until a request may be sent.

        Raises:
            ThrottledError: the time that the service gave is not over. No request is sent, so `status` is None.
        """
        await self._resumed.wait()
        left_seconds = self._throttled_until - self._clock.monotonic()
        if self._throttled is not None and left_seconds > 0:
            raise ThrottledError(self._throttled.title, self._throttled.hint, retry_after_seconds=left_seconds)
        self._throttled = None
