"""The session over a real service: one synchroniser a project, each on its own schedule, and the answers a screen asks for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress

from msgspec.structs import replace

from upload_tui.client.service_client import ServiceClient
from upload_tui.clock import Clock
from upload_tui.errors import BusyStorageError, ServiceError
from upload_tui.monitor.alarm import Alarm
from upload_tui.monitor.announcer import Announcer
from upload_tui.monitor.changes import Change, ConnectionChanged, PictureChanged, SyncProgressed
from upload_tui.monitor.connection_keeper import ConnectionKeeper
from upload_tui.monitor.picture import Connection, ConnectionState, ProjectRef
from upload_tui.monitor.schedule import Schedule
from upload_tui.monitor.store import Store
from upload_tui.monitor.stored_picture import STUCK_AFTER_SECONDS, StoredPicture
from upload_tui.monitor.synchroniser import Synchroniser

__all__ = ["LiveSession", "worst_connection"]

_WORST_LAST = (
    ConnectionState.LIVE,
    ConnectionState.SLOW,
    ConnectionState.PAUSED,
    ConnectionState.CATCHING_UP,
    ConnectionState.CONNECTING,
    ConnectionState.RETRYING,
    ConnectionState.OFFLINE,
    ConnectionState.NOT_ALLOWED,
)


def worst_connection(connections: Sequence[Connection]) -> Connection:
    """The one that is worst off."""
    return max(connections, key=lambda one: _WORST_LAST.index(one.state))


class LiveSession(StoredPicture):
    """Projects of one service, kept true; implements `Session`.

    Args:
        client: the service; opened and closed by whoever made it.
        projects: which projects.
        store: where the picture is kept; closed by whoever made it.
        clock: for ages (`now`) and for waiting (`sleep`).
        title: a few words for the header.
        schedule: how often to look.
        stuck_after_seconds: from which age a pending upload looks stuck.
        tell: called with each change before anybody else hears it (a journal).
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
        tell: Callable[[Change], None] | None = None,
    ) -> None:
        watched = frozenset(project.id for project in projects)
        super().__init__(store, clock, client.root, stuck_after_seconds, watched, read_since=clock.now())
        self._title = title
        self._announcer = Announcer(tell)
        self._client = client
        self._has_queue = True
        self._watches = [
            _ProjectWatch(client, store, project, clock, self._announcer, schedule or Schedule(), self._look_at_queue)
            for project in projects
        ]

    @property
    def title(self) -> str:
        """What tells this session from another."""
        return self._title

    @property
    def projects(self) -> Sequence[ProjectRef]:
        """The projects that are watched."""
        return tuple(watch.project for watch in self._watches)

    async def run(self) -> None:
        """Keep the picture true until cancelled."""
        async with asyncio.TaskGroup() as group:
            for watch in self._watches:
                group.create_task(watch.run(), name=f"watch {watch.project.id}")

    def changes(self) -> AsyncIterator[Change]:
        """Every change from now on."""
        return self._announcer.listen()

    def history(self, limit: int) -> Sequence[Change]:
        """The last changes that were told, oldest first."""
        return self._announcer.past(limit)

    def refresh(self) -> None:
        """Look at the service now, also while paused (once)."""
        for watch in self._watches:
            watch.wake()

    def pause(self) -> None:
        """Ask the service nothing more until `resume`."""
        for watch in self._watches:
            watch.keeper.pause()

    def resume(self) -> None:
        """Go on, and look at once."""
        for watch in self._watches:
            watch.keeper.resume()
            watch.wake()

    async def _look_at_queue(self) -> None:
        """Why uploads wait, if the service has an endpoint that tells; one that has none is not asked again."""
        if self._has_queue:
            with suppress(ServiceError):  # it tells less, that is all
                queue = await self._client.queue()
                self._has_queue = queue is not None
                self.take_queue(queue)

    def connection(self) -> Connection:
        """The connection that is worst off."""
        worst = worst_connection([watch.keeper.current for watch in self._watches])
        return replace(worst, requests_last_minute=self._client.requests_last_minute)


class _ProjectWatch:
    """One project: rounds of its synchroniser, as the schedule and the connection's state say."""

    def __init__(
        self,
        client: ServiceClient,
        store: Store,
        project: ProjectRef,
        clock: Clock,
        announcer: Announcer,
        schedule: Schedule,
        look_at_queue: Callable[[], Awaitable[None]],
    ) -> None:
        self._look_at_queue = look_at_queue
        self.project = project
        self.keeper = ConnectionKeeper(clock, self._tell_connection)
        self._store = store
        self._clock = clock
        self._announcer = announcer
        self._schedule = schedule
        self._alarm = Alarm(clock, lambda: self.keeper.is_paused)
        self._interval_seconds = schedule.shortest_seconds
        self._synchroniser = Synchroniser(client, store, project, announcer.say, self._tell_progress)

    def wake(self) -> None:
        """Do a round now."""
        self._alarm.wake()

    async def run(self) -> None:
        while True:
            await self._alarm.wait(await self._round())

    async def _round(self) -> float:
        """One round; gives the seconds until the next."""
        try:
            changed = await self._synchroniser.round()
        except (ServiceError, BusyStorageError) as error:
            return self.keeper.failed(error)
        self.keeper.remark = self._synchroniser.remark
        if self._store.pending(frozenset({self.project.id}), limit=1):
            await self._look_at_queue()
        self.keeper.whole(self._clock.now())
        self._announcer.say(PictureChanged(at=self._clock.now(), revision=self._store.revision))
        is_waiting = bool(self._store.pending(frozenset({self.project.id}), limit=1))
        self._interval_seconds = self._schedule.next_seconds(
            self._interval_seconds, changed=changed, is_waiting=is_waiting
        )
        return self._schedule.with_jitter(self._interval_seconds)

    def _tell_connection(self, connection: Connection) -> None:
        self._announcer.say(ConnectionChanged(at=self._clock.now(), connection=connection))

    def _tell_progress(self, known: int, total: int | None) -> None:
        self.keeper.catching_up(known, total)
        self._announcer.say(SyncProgressed(at=self._clock.now(), done=known, total=total))
        self._announcer.say(PictureChanged(at=self._clock.now(), revision=self._store.revision))
