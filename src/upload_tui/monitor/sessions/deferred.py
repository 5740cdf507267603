"""A session that opens another one in the background, so that the first frame waits for no service and no import."""

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
from upload_tui.monitor.sessions.connection import ConnectionTracker, WakeableTimer
from upload_tui.monitor.sessions.session import ChangeBroadcaster, Session

if TYPE_CHECKING:
    from upload_tui.monitor.store_picture import StorePicture

__all__ = ["DeferredSession"]


class _Opened(Change, frozen=True, kw_only=True):
    """The real session is open; internal, never published outside."""


class DeferredSession:
    """A session that shows a cached or empty picture until the real session is open; implements `Session`.

    Args:
        title: the title until then.
        clock: the clock until then.
        opener: opens the real session, and closes it when this one ends.
        cached: the picture until then, from an earlier session; None shows none.
        can_retry: whether to retry when opening fails and show the error as the connection; False raises it from `run`.
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
        read_on = None if cached is None else cached.previous_read_on
        self._tracker = ConnectionTracker(clock, self._publish_connection, read_on=read_on)
        self._timer = WakeableTimer(clock, lambda: self._tracker.is_paused)

    @property
    def _picture(self) -> "Session | StorePicture | None":
        return self._real or self._cached

    @property
    def title(self) -> str:
        """The session's name."""
        return self._real.title if self._real else self._title

    def set_title(self, title: str) -> None:
        """Change the title that is shown until the real session is open."""
        self._title = title

    @property
    def projects(self) -> Sequence[ProjectRef]:
        """The projects that are watched; none until the real session is open."""
        return self._real.projects if self._real else ()

    def now(self) -> datetime:
        """The present."""
        return self._real.now() if self._real else self._clock.now()

    def window(self, query: Query, offset: int, limit: int, patience_seconds: float | None = None) -> Window:
        """The rows of a query's result; none while there is no picture."""
        return self._picture.window(query, offset, limit, patience_seconds) if self._picture else Window((), 0, 0, 0)

    def position(self, query: Query, upload_id: str) -> int | None:
        """The row of an upload; None while there is no picture."""
        return self._picture.position(query, upload_id) if self._picture else None

    def funnel(self, project_ids: frozenset[str] = frozenset()) -> Funnel:
        """The stages; all empty while there is no picture."""
        return self._picture.funnel(project_ids) if self._picture else Funnel()

    def pending(self, limit: int, project_ids: frozenset[str] = frozenset()) -> Sequence[Row]:
        """The pending uploads; none while there is no picture."""
        return self._picture.pending(limit, project_ids) if self._picture else ()

    def detail(self, upload_id: str) -> Detail | None:
        """One upload in full; None while there is no picture."""
        return self._picture.detail(upload_id) if self._picture else None

    def causes(self, project_ids: frozenset[str] = frozenset()) -> Sequence[CauseGroup]:
        """The failed uploads by cause; none while there is no picture."""
        return self._picture.causes(project_ids) if self._picture else ()

    def latencies(self, project_ids: frozenset[str] = frozenset()) -> Sequence[LatencyHistogram]:
        """The latencies; none while there is no picture."""
        return self._picture.latencies(project_ids) if self._picture else ()

    def connection(self) -> Connection:
        """The state of the connection; that of opening until the real session is open."""
        return self._real.connection() if self._real else self._tracker.current

    def history(self, limit: int) -> Sequence[Change]:
        """The last changes; none until the real session is open."""
        return self._real.history(limit) if self._real else ()

    async def changes(self) -> AsyncIterator[Change]:
        """The changes of the connection while opening, then every change of the real session."""
        if self._real is None:
            async for change in self._broadcaster.subscribe():
                if isinstance(change, _Opened):
                    break
                yield change
        if self._real is not None:
            async for change in self._real.changes():
                yield change

    async def run(self) -> None:
        """Open the real session and run it until cancelled.

        Raises:
            ServiceError: it could not be opened, and `can_retry` is False.
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
            await asyncio.sleep(0)  # let waiting subscribers subscribe before the first change
            await real.run()

    def _publish_connection(self, connection: Connection) -> None:
        self._broadcaster.publish(ConnectionChanged(at=self.now(), connection=connection))

    def refresh(self) -> None:
        """Poll the service now, also while paused (once)."""
        self._timer.wake()
        if self._real:
            self._real.refresh()

    def pause(self) -> None:
        """Send no requests, and do not try to open the session."""
        self._tracker.pause()
        if self._real:
            self._real.pause()

    def resume(self) -> None:
        """End a pause and try at once."""
        self._tracker.resume()
        self._timer.wake()
        if self._real:
            self._real.resume()

    def set_watched(self, *, is_watched: bool) -> None:
        """Set whether the dashboard is watched, also for the real session once it is open."""
        self._is_watched = is_watched
        if self._real:
            self._real.set_watched(is_watched=is_watched)
