"""A session that is still being opened: it has an empty picture at once, and becomes the real one when that is ready.

So the first frame need not wait for a service to start or a module to be imported.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import TYPE_CHECKING

from upload_tui.clock import Clock
from upload_tui.errors import ServiceError
from upload_tui.monitor.changes import Change, ConnectionChanged
from upload_tui.monitor.model import (
    CauseGroup,
    Connection,
    Detail,
    Funnel,
    LatencyHistogram,
    ProjectRef,
    Query,
    Row,
    Window,
)
from upload_tui.monitor.sessions.broadcast import ChangeBroadcaster
from upload_tui.monitor.sessions.connection import ConnectionTracker
from upload_tui.monitor.sessions.session import Session
from upload_tui.monitor.sessions.timer import WakeableTimer

if TYPE_CHECKING:
    from upload_tui.monitor.store_picture import StorePicture

__all__ = ["DeferredSession"]


class _Opened(Change, frozen=True, kw_only=True):
    """The real session is there; nobody outside hears it."""


class DeferredSession:
    """Implements `Session`.

    Args:
        title: what to show until the real session says better.
        clock: the present until then.
        opener: opens the real session, and closes it when this one ends.
        cached: what an earlier visit left: it answers until then. None knows nothing.
        can_retry: False lets what the service refuses come out of `run`; True shows it as the connection and opens again later.
    """

    def __init__(
        self,
        title: str,
        clock: Clock,
        opener: Callable[[], AbstractAsyncContextManager[Session]],
        cached: "StorePicture | None" = None,
        *,
        can_retry: bool = False,
    ) -> None:
        self._title = title
        self._clock = clock
        self._opener = opener
        self._cached = cached
        self._real: Session | None = None
        self._is_watched = True
        self._can_retry = can_retry
        self._broadcaster = ChangeBroadcaster()
        self._tracker = ConnectionTracker(clock, self._publish_connection)
        self._timer = WakeableTimer(clock, lambda: self._tracker.is_paused)

    @property
    def _picture(self) -> "Session | StorePicture | None":
        return self._real or self._cached

    @property
    def title(self) -> str:
        """What tells this session from another."""
        return self._real.title if self._real else self._title

    @property
    def projects(self) -> Sequence[ProjectRef]:
        """The projects that are watched; none if nothing is known yet."""
        return self._real.projects if self._real else ()

    def now(self) -> datetime:
        """The present."""
        return self._real.now() if self._real else self._clock.now()

    def window(self, query: Query, offset: int, limit: int, patience_seconds: float | None = None) -> Window:
        """The rows; none if nothing is known yet."""
        return self._picture.window(query, offset, limit, patience_seconds) if self._picture else Window((), 0, 0, 0)

    def position(self, query: Query, upload_id: str) -> int | None:
        """The row of an upload; none if nothing is known yet."""
        return self._picture.position(query, upload_id) if self._picture else None

    def funnel(self) -> Funnel:
        """The stages; empty if nothing is known yet."""
        return self._picture.funnel() if self._picture else Funnel()

    def pending(self, limit: int) -> Sequence[Row]:
        """The pending uploads; none if nothing is known yet."""
        return self._picture.pending(limit) if self._picture else ()

    def detail(self, upload_id: str) -> Detail | None:
        """One upload; none if nothing is known yet."""
        return self._picture.detail(upload_id) if self._picture else None

    def causes(self) -> Sequence[CauseGroup]:
        """The failed uploads by cause; none if nothing is known yet."""
        return self._picture.causes() if self._picture else ()

    def latencies(self) -> Sequence[LatencyHistogram]:
        """How long uploads took; nothing if nothing is known yet."""
        return self._picture.latencies() if self._picture else ()

    def connection(self) -> Connection:
        """The connection; being made yet."""
        return self._real.connection() if self._real else self._tracker.current

    def history(self, limit: int) -> Sequence[Change]:
        """The last changes; none if nothing is known yet."""
        return self._real.history(limit) if self._real else ()

    async def changes(self) -> AsyncIterator[Change]:
        """How the opening goes, and every change from the moment on at which the real session is there."""
        if self._real is None:
            async for change in self._broadcaster.subscribe():
                if isinstance(change, _Opened):
                    break
                yield change
        if self._real is not None:
            async for change in self._real.changes():
                yield change

    async def run(self) -> None:
        """Open the real session and keep its picture true until cancelled.

        Raises:
            ServiceError: it could not be opened.
        """
        while True:
            try:
                await self._run_real()
            except ServiceError as error:
                if self._real is not None or not self._can_retry:
                    raise
                await self._timer.wait(self._tracker.failed(error))

    async def _run_real(self) -> None:
        async with self._opener() as real:
            self._real = real
            self._broadcaster.publish(_Opened(at=self.now()))
            if self._tracker.is_paused:
                real.pause()
            real.set_watched(is_watched=self._is_watched)
            await asyncio.sleep(0)  # whoever waited to listen listens before anything is said
            await real.run()

    def _publish_connection(self, connection: Connection) -> None:
        self._broadcaster.publish(ConnectionChanged(at=self.now(), connection=connection))

    def refresh(self) -> None:
        """Look at the service now, also while paused (once)."""
        self._timer.wake()
        if self._real:
            self._real.refresh()

    def pause(self) -> None:
        """Ask the service nothing more, nor try to reach it."""
        self._tracker.pause()
        if self._real:
            self._real.pause()

    def resume(self) -> None:
        """Go on, and try at once."""
        self._tracker.resume()
        self._timer.wake()
        if self._real:
            self._real.resume()

    def set_watched(self, *, is_watched: bool) -> None:
        """Somebody looks, or nobody does: the real session is told."""
        self._is_watched = is_watched
        if self._real:
            self._real.set_watched(is_watched=is_watched)
