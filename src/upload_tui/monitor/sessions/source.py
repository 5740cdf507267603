"""The session over a source: one synchroniser that lists everything in each round."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from upload_tui.clock import Clock
from upload_tui.errors import BusyStorageError, ServiceError
from upload_tui.monitor.analysis.trouble import DEFAULT_LIMITS, TroubleLimits
from upload_tui.monitor.changes import ConnectionChanged, PictureChanged, SyncProgressed
from upload_tui.monitor.model import Connection, ConnectionState, ProjectRef
from upload_tui.monitor.sessions.connection import ConnectionTracker, Schedule, WakeableTimer
from upload_tui.monitor.sessions.session import ChangeBroadcaster
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.store_picture import StorePicture
from upload_tui.monitor.sync.snapshot import SnapshotSynchroniser
from upload_tui.monitor.sync.snapshot_recorder import WatchedSource

__all__ = ["SourceSession", "source_schedule"]

_STALE_AFTER_SECONDS = 15.0
_STALE_AFTER_INTERVALS = 3
"""Without a whole listing for this many intervals and seconds, the picture is as of the last one."""


def source_schedule(refresh_seconds: float) -> Schedule:
    """A schedule for a source: each listing costs the same, so the interval does not shrink after a change."""
    return Schedule(refresh_seconds, refresh_seconds, refresh_seconds, growth=1.0)


class SourceSession:
    """Lists a source again and again; implements `Session`. A listing that fails is tried again, also the first one.

    Args:
        watched: the source.
        store: where readings are written; the caller closes it. It holds uploads of this source only.
        clock: for the times of readings and for sleeping.
        schedule: how often to list.
        limits: the settings that decide on trouble.
        changes: where changes are published; None makes a new one.
    """

    lost_projects: Sequence[ProjectRef] = ()
    """Always empty: a project without uploads looks the same as one that does not exist."""

    def __init__(
        self,
        watched: WatchedSource,
        store: Store,
        clock: Clock,
        *,
        schedule: Schedule,
        limits: TroubleLimits = DEFAULT_LIMITS,
        changes: ChangeBroadcaster | None = None,
    ) -> None:
        self.title = watched.title
        self.changes = changes or ChangeBroadcaster()
        self._store = store
        self._clock = clock
        self._schedule = schedule
        self._is_watched = True
        self._timer = WakeableTimer(clock, lambda: self._tracker.is_paused)
        self._synchroniser = SnapshotSynchroniser(watched, store, clock, self.changes.publish, self._publish_progress)
        self._tracker = ConnectionTracker(clock, self._publish_connection, read_on=self._synchroniser.previous_read_on)
        freshness = _SourceFreshness(self._tracker, clock, schedule.shortest_seconds)
        self.picture = StorePicture(store, clock, watched.service, limits, freshness=freshness)

    @property
    def projects(self) -> Sequence[ProjectRef]:
        """The projects with known uploads."""
        return tuple(self._store.projects())

    @property
    def is_complete(self) -> bool:
        """False if the source lists uploads that cannot be read, or has never listed everything."""
        return not self._synchroniser.unreadable_notice

    async def run(self) -> None:
        """List until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._relist_when_replaced(), name="watch the store")
            group.create_task(self._poll_forever(), name="list the source")

    async def _poll_forever(self) -> None:
        while True:
            await self._timer.wait(await self._poll())

    async def _relist_when_replaced(self) -> None:
        while True:
            await self._store.replaced.wait()
            self._store.replaced.clear()
            if not self._tracker.is_paused:
                self._timer.wake()

    async def _poll(self) -> float:
        """List once; return the seconds until the next listing."""
        try:
            await self._synchroniser.sync()
        except (ServiceError, BusyStorageError) as error:
            self._publish_picture()  # what was read before it failed is shown
            return self._tracker.failed(error)
        self._tracker.notice = self._synchroniser.notice
        self._tracker.synced(self._clock.now())
        self._publish_picture()
        seconds = self._schedule.shortest_seconds
        if not self._is_watched:
            seconds = self._schedule.unwatched_seconds(seconds)
        return self._schedule.with_jitter(seconds)

    def connection(self) -> Connection:
        """The state of the source."""
        return self._tracker.current

    def refresh(self) -> None:
        """List now, also while paused (once)."""
        self._timer.wake()

    def pause(self) -> None:
        """List no more until `resume`; a listing that is running ends."""
        self._tracker.pause()

    def resume(self) -> None:
        """End a pause and list now."""
        self._tracker.resume()
        self._timer.wake()

    def set_watched(self, *, is_watched: bool) -> None:
        """Set whether the dashboard is watched: list now when it is again and not paused, less often while it is not."""
        is_back = is_watched and not self._is_watched
        self._is_watched = is_watched
        if is_back and not self._tracker.is_paused:
            self._timer.wake()

    def _publish_picture(self) -> None:
        self._store.detect_other_writers()
        self.changes.publish(PictureChanged(at=self._clock.now()))

    def _publish_connection(self, connection: Connection) -> None:
        self.changes.publish(ConnectionChanged(at=self._clock.now(), connection=connection))

    def _publish_progress(self, known: int, total: int | None) -> None:
        self._tracker.catching_up(known, total)
        self.changes.publish(SyncProgressed(at=self._clock.now(), done=known, total=total))
        self.changes.publish(PictureChanged(at=self._clock.now()))


class _SourceFreshness:
    """The picture is as current as the last whole listing."""

    def __init__(self, tracker: ConnectionTracker, clock: Clock, refresh_seconds: float) -> None:
        self._tracker = tracker
        self._clock = clock
        self._stale_seconds = max(_STALE_AFTER_SECONDS, _STALE_AFTER_INTERVALS * refresh_seconds)
        self.read_since = clock.now()

    def as_of(self, project_id: str = "") -> datetime | None:  # noqa: ARG002
        """When the source last listed everything; None before the first listing of the session."""
        connection, now = self._tracker.current, self._clock.now()
        if connection.read_on is None and connection.state is not ConnectionState.CATCHING_UP:
            return None
        if connection.read_on is not None and (now - connection.read_on).total_seconds() > self._stale_seconds:
            return connection.read_on
        return connection.as_of(now)
