"""The session over a real service: one synchroniser a project, each on its own schedule, and the answers a screen asks for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from msgspec.structs import replace

from upload_tui.client import ServiceClient
from upload_tui.clock import Clock
from upload_tui.errors import BusyStorageError, ServiceError
from upload_tui.monitor.changes import Change, ConnectionChanged, PictureChanged, SyncProgressed
from upload_tui.monitor.model import Connection, ConnectionState, ProjectRef
from upload_tui.monitor.sessions.broadcast import ChangeBroadcaster
from upload_tui.monitor.sessions.connection import ConnectionTracker
from upload_tui.monitor.sessions.polling import Schedule
from upload_tui.monitor.sessions.timer import WakeableTimer
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.store_picture import STUCK_AFTER_SECONDS, StorePicture
from upload_tui.monitor.sync.synchroniser import Synchroniser

__all__ = ["LiveSession", "worst_connection"]

_STALE_AFTER_SECONDS = 15.0
_STALE_AFTER_INTERVALS = 3
"""So many intervals without a round that went well, and as many seconds, and the picture is no longer taken for the present."""
_STATES_BY_SEVERITY = (
    ConnectionState.LIVE,
    ConnectionState.SLOW,
    ConnectionState.REPLAYING,
    ConnectionState.PAUSED,
    ConnectionState.CATCHING_UP,
    ConnectionState.CONNECTING,
    ConnectionState.RETRYING,
    ConnectionState.OFFLINE,
    ConnectionState.NOT_ALLOWED,
)


def worst_connection(connections: Sequence[Connection]) -> Connection:
    """The one that is worst off."""
    return max(connections, key=lambda one: _STATES_BY_SEVERITY.index(one.state))


class LiveSession(StorePicture):
    """Projects of one service, kept true; implements `Session`.

    Args:
        client: the service; opened and closed by whoever made it.
        projects: which projects.
        store: where the picture is kept; closed by whoever made it.
        clock: for waiting (`sleep`), and for ages (`now`) in the service's time.
        title: a few words for the header.
        schedule: how often to look.
        stuck_after_seconds: from which age a pending upload looks stuck.
        on_change: called with each change before anybody else hears it (a journal).
    """

    def __init__(
        self,
        client: ServiceClient,
        projects: Sequence[ProjectRef],
        store: Store,
        *,
        clock: Clock,
        title: str = "",
        schedule: Schedule | None = None,
        stuck_after_seconds: float = STUCK_AFTER_SECONDS,
        on_change: Callable[[Change], None] | None = None,
    ) -> None:
        clock = client.service_clock(clock)
        watched = frozenset(project.id for project in projects)
        super().__init__(store, clock, client.root, stuck_after_seconds, watched, read_since=clock.now())
        self._started_at = clock.monotonic()
        client.on_offset_changed(self._update_read_since)
        self._title = title
        self._broadcaster = ChangeBroadcaster(on_change)
        self._client = client
        self._has_queue_endpoint = True
        self._pollers = [
            _ProjectPoller(
                client,
                store,
                project,
                clock,
                self._broadcaster,
                schedule or Schedule(),
                self._fetch_queue_stats,
                self._end_refresh,
            )
            for project in projects
        ]
        store.on_replaced(self._resync)

    @property
    def title(self) -> str:
        """What tells this session from another."""
        return self._title

    @property
    def projects(self) -> Sequence[ProjectRef]:
        """The projects that are watched."""
        return tuple(watch.project for watch in self._pollers)

    async def run(self) -> None:
        """Keep the picture true until cancelled."""
        async with asyncio.TaskGroup() as group:
            for watch in self._pollers:
                group.create_task(watch.run(), name=f"watch {watch.project.id}")

    def changes(self) -> AsyncIterator[Change]:
        """Every change from now on."""
        return self._broadcaster.subscribe()

    def history(self, limit: int) -> Sequence[Change]:
        """The last changes that were told, oldest first."""
        return self._broadcaster.history(limit)

    def refresh(self) -> None:
        """Look at the service now, also while paused (once)."""
        self._client.gate.resume()
        for watch in self._pollers:
            watch.wake()

    def pause(self) -> None:
        """Ask the service nothing more until `resume`; what is being read waits where it is."""
        self._client.gate.pause()
        for watch in self._pollers:
            watch.tracker.pause()

    def resume(self) -> None:
        """Go on, and look at once."""
        self._client.gate.resume()
        for watch in self._pollers:
            watch.tracker.resume()
            watch.wake()

    def set_watched(self, *, is_watched: bool) -> None:
        """Look at once if somebody looks again and did not pause; look less often while nobody seems to."""
        for watch in self._pollers:
            watch.set_watched(is_watched=is_watched)

    def _end_refresh(self) -> None:
        """The look that was asked for while paused is over when all projects have been looked at."""
        if all(watch.tracker.is_paused and not watch.is_refreshing for watch in self._pollers):
            self._client.gate.pause()

    def _update_read_since(self) -> None:
        """When this visit began, by the service's time as it is known now."""
        self._read_since = self.now() - timedelta(seconds=self._clock.monotonic() - self._started_at)

    def _resync(self) -> None:
        """The store's place was taken by another, which may know nothing yet."""
        for watch in self._pollers:
            if not watch.tracker.is_paused:
                watch.wake()

    async def _fetch_queue_stats(self) -> None:
        """Why uploads wait, if the service has an endpoint that tells; one that has none is not asked again."""
        if self._has_queue_endpoint:
            with suppress(ServiceError):  # it tells less, that is all
                queue = await self._client.queue()
                self._has_queue_endpoint = queue is not None
                self.set_queue_stats(queue)

    def as_of(self) -> datetime:
        """When any of the projects was last known to be true: one that cannot be read leaves the others judged."""
        now, known = self.now(), [watch.as_of(self.now()) for watch in self._pollers]
        return max((on for on in known if on is not None), default=min(self._previous_read_on, now))

    def connection(self) -> Connection:
        """The connection that is worst off."""
        worst = worst_connection([watch.tracker.current for watch in self._pollers])
        return replace(worst, requests_last_minute=self._client.requests_last_minute)


class _ProjectPoller:
    """One project: rounds of its synchroniser, as the schedule and the connection's state say."""

    def __init__(
        self,
        client: ServiceClient,
        store: Store,
        project: ProjectRef,
        clock: Clock,
        broadcaster: ChangeBroadcaster,
        schedule: Schedule,
        fetch_queue_stats: Callable[[], Awaitable[None]],
        end_refresh: Callable[[], None],
    ) -> None:
        self._client = client
        self._fetch_queue_stats = fetch_queue_stats
        self._end_refresh = end_refresh
        self.project = project
        self.is_refreshing = False
        self._is_watched = True
        self.tracker = ConnectionTracker(clock, self._publish_connection)
        self._store = store
        self._clock = clock
        self._broadcaster = broadcaster
        self._schedule = schedule
        self._timer = WakeableTimer(clock, lambda: self.tracker.is_paused)
        self._interval_seconds = schedule.shortest_seconds
        self._synchroniser = Synchroniser(client, store, project, broadcaster.publish, self._publish_progress)

    def wake(self) -> None:
        """Do a round now."""
        self.is_refreshing = True
        self._timer.wake()

    def as_of(self, now: datetime) -> datetime | None:
        """When what is known was last true; also a round that does not come to its end, or that a machine slept over, is missed.

        None while the service has said nothing in this visit.
        """
        connection = self.tracker.current
        if connection.read_on is None and connection.state is not ConnectionState.CATCHING_UP:
            return None
        patience_seconds = max(_STALE_AFTER_SECONDS, _STALE_AFTER_INTERVALS * self._seconds_between_polls)
        if connection.read_on is not None and (now - connection.read_on).total_seconds() > patience_seconds:
            return connection.read_on
        return connection.as_of(now)

    def set_watched(self, *, is_watched: bool) -> None:
        """A round now for somebody who looks again; rounds are rarer while nobody does."""
        is_back = is_watched and not self._is_watched
        self._is_watched = is_watched
        if is_back and not self.tracker.is_paused:
            self.wake()

    async def run(self) -> None:
        while True:
            seconds = await self._poll()
            self.is_refreshing = False
            self._end_refresh()
            await self._timer.wait(seconds)

    async def _poll(self) -> float:
        """One round; gives the seconds until the next."""
        try:
            changed = await self._synchroniser.sync()
        except (ServiceError, BusyStorageError) as error:
            return self.tracker.failed(error)
        self.tracker.notice = self._synchroniser.notice
        if self._store.pending(frozenset({self.project.id}), limit=1):
            await self._fetch_queue_stats()
        self.tracker.synced(self._clock.now(), self._client.median_response_seconds)
        self._broadcaster.publish(PictureChanged(at=self._clock.now(), revision=self._store.revision))
        is_waiting = bool(self._store.pending(frozenset({self.project.id}), limit=1))
        self._interval_seconds = self._schedule.next_seconds(
            self._interval_seconds, has_changed=changed, has_pending=is_waiting
        )
        return self._schedule.with_jitter(self._seconds_between_polls)

    @property
    def _seconds_between_polls(self) -> float:
        """Two rounds, as things are now."""
        seconds = self._interval_seconds
        return seconds if self._is_watched else self._schedule.unwatched_seconds(seconds)

    def _publish_connection(self, connection: Connection) -> None:
        self._broadcaster.publish(ConnectionChanged(at=self._clock.now(), connection=connection))

    def _publish_progress(self, known: int, total: int | None) -> None:
        self.tracker.catching_up(known, total)
        self._broadcaster.publish(SyncProgressed(at=self._clock.now(), done=known, total=total))
        self._broadcaster.publish(PictureChanged(at=self._clock.now(), revision=self._store.revision))
