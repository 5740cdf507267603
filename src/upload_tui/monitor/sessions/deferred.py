"""A session that opens another one in the background, so that the first frame waits for no service and no import."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from upload_tui.clock import Clock
from upload_tui.errors import ServiceError
from upload_tui.monitor.changes import ConnectionChanged, PictureChanged
from upload_tui.monitor.model import Connection, ProjectRef
from upload_tui.monitor.picture import EmptyPicture, Picture
from upload_tui.monitor.sessions.connection import ConnectionTracker
from upload_tui.monitor.sessions.schedule import WakeableTimer
from upload_tui.monitor.sessions.session import ChangeBroadcaster, Session

if TYPE_CHECKING:
    from upload_tui.monitor.store_picture import StorePicture

__all__ = ["DeferredSession", "SessionOpener"]

SessionOpener = Callable[["DeferredSession"], AbstractAsyncContextManager[Session]]
"""Opens a session that publishes its changes where the deferred one does, and closes it at the end of the context."""


class DeferredSession:
    """A session that shows a cached or empty picture until the real session is open; implements `Session`.

    Args:
        title: the title, which the opener may change.
        clock: the clock until then.
        opener: opens the real session.
        cached: the picture until then, from an earlier session; None shows none.
        can_retry: whether to retry when opening fails and show the error as the connection; False raises it from `run`.
    """

    def __init__(
        self,
        title: str,
        clock: Clock,
        opener: SessionOpener,
        cached: "StorePicture | None" = None,
        *,
        can_retry: bool = False,
    ) -> None:
        self.title = title
        self._clock = clock
        self._opener = opener
        self._cached: Picture = cached or EmptyPicture(clock)
        self._real: Session | None = None
        self._is_watched = True
        self._can_retry = can_retry
        self.changes = ChangeBroadcaster()
        read_on = None if cached is None else cached.previous_read_on
        self._tracker = ConnectionTracker(clock, self._publish_connection, read_on=read_on)
        self._timer = WakeableTimer(clock, lambda: self._tracker.is_paused)

    @property
    def picture(self) -> Picture:
        """The cached or empty picture, then that of the real session."""
        return self._real.picture if self._real else self._cached

    @property
    def projects(self) -> Sequence[ProjectRef]:
        """The projects that are watched; none until the real session is open."""
        return self._real.projects if self._real else ()

    def connection(self, project_ids: frozenset[str] = frozenset()) -> Connection:
        """The state of the connection; that of opening until the real session is open."""
        return self._real.connection(project_ids) if self._real else self._tracker.current

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
        async with self._opener(self) as real:
            self._real = real
            if self._tracker.is_paused:
                real.set_paused(is_paused=True)
            real.set_watched(is_watched=self._is_watched)
            self.changes.publish(PictureChanged(at=self._clock.now()))
            await real.run()

    def _publish_connection(self, connection: Connection) -> None:
        self.changes.publish(ConnectionChanged(at=self._clock.now(), connection=connection))

    def refresh(self) -> None:
        """Poll the service now, also while paused (once)."""
        if self._real is None:
            self._timer.woken.set()
        else:
            self._real.refresh()

    def set_paused(self, *, is_paused: bool) -> None:
        """Send no requests while paused, and do not try to open the session; try at once at the end of a pause."""
        if self._real is not None:
            self._real.set_paused(is_paused=is_paused)
            return
        self._tracker.set_paused(is_paused=is_paused)
        if not is_paused:
            self._timer.woken.set()

    def set_watched(self, *, is_watched: bool) -> None:
        """Set whether the dashboard is watched, also for the real session once it is open."""
        self._is_watched = is_watched
        if self._real is not None:
            self._real.set_watched(is_watched=is_watched)
