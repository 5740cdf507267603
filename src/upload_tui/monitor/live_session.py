"""The session over a real service: one synchroniser a project, each on its own schedule, and the answers a screen asks for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

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

_PATIENCE_SECONDS = 15.0
_PATIENCE_INTERVALS = 3
"""So many intervals without a round that went well, and as many seconds, and the picture is no longer taken for the present."""
_WORST_LAST = (
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
    return max(connections, key=lambda one: _WORST_LAST.index(one.state))


class LiveSession(StoredPicture):
    """Projects of one service, kept true; implements `Session`.

    Args:
        client: the service; opened and closed by whoever made it.
        projects: which projects.
        store: where the picture is kept; closed by whoever made it.
        clock: for waiting (`sleep`), and for ages (`now`) in the service's time.
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
        clock = client.clock_of_service(clock)
        watched = frozenset(project.id for project in projects)
        super().__init__(store, clock, client.root, stuck_after_seconds, watched, read_since=clock.now())
        self._began_at = clock.monotonic()
        client.when_clock_moves(self._reckon_beginning)
        self._title = title
        self._announcer = Announcer(tell)
        self._client = client
        self._has_queue = True
        self._watches = [
            _ProjectWatch(
                client,
                store,
                project,
                clock,
                self._announcer,
                schedule or Schedule(),
                self._look_at_queue,
                self._end_look,
            )
            for project in projects
        ]
        store.when_replaced(self._look_again)

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
        self._client.gate.open()
        for watch in self._watches:
            watch.wake()

    def pause(self) -> None:
        """Ask the service nothing more until `resume`; what is being read waits where it is."""
        self._client.gate.close()
        for watch in self._watches:
            watch.keeper.pause()

    def resume(self) -> None:
        """Go on, and look at once."""
        self._client.gate.open()
        for watch in self._watches:
            watch.keeper.resume()
            watch.wake()

    def attend(self, *, is_watched: bool) -> None:
        """Look at once if somebody looks again and did not pause; look less often while nobody seems to."""
        for watch in self._watches:
            watch.attend(is_watched=is_watched)

    def _end_look(self) -> None:
        """The look that was asked for while paused is over when all projects have been looked at."""
        if all(watch.keeper.is_paused and not watch.is_looking for watch in self._watches):
            self._client.gate.close()

    def _reckon_beginning(self) -> None:
        """When this visit began, by the service's time as it is known now."""
        self._read_since = self.now() - timedelta(seconds=self._clock.monotonic() - self._began_at)

    def _look_again(self) -> None:
        """The store's place was taken by another, which may know nothing yet."""
        for watch in self._watches:
            if not watch.keeper.is_paused:
                watch.wake()

    async def _look_at_queue(self) -> None:
        """Why uploads wait, if the service has an endpoint that tells; one that has none is not asked again."""
        if self._has_queue:
            with suppress(ServiceError):  # it tells less, that is all
                queue = await self._client.queue()
                self._has_queue = queue is not None
                self.take_queue(queue)

    def judged_on(self) -> datetime:
        """When any of the projects was last known to be true: one that cannot be read leaves the others judged."""
        now, known = self.now(), [watch.true_on(self.now()) for watch in self._watches]
        return max((on for on in known if on is not None), default=min(self._left_on, now))

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
        end_look: Callable[[], None],
    ) -> None:
        self._client = client
        self._look_at_queue = look_at_queue
        self._end_look = end_look
        self.project = project
        self.is_looking = False
        self._is_watched = True
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
        self.is_looking = True
        self._alarm.wake()

    def true_on(self, now: datetime) -> datetime | None:
        """When what is known was last true; also a round that does not come to its end, or that a machine slept over, is missed.

        None while the service has said nothing in this visit.
        """
        connection = self.keeper.current
        if connection.read_on is None and connection.state is not ConnectionState.CATCHING_UP:
            return None
        patience_seconds = max(_PATIENCE_SECONDS, _PATIENCE_INTERVALS * self._seconds_between)
        if connection.read_on is not None and (now - connection.read_on).total_seconds() > patience_seconds:
            return connection.read_on
        return connection.true_on(now)

    def attend(self, *, is_watched: bool) -> None:
        """A round now for somebody who looks again; rounds are rarer while nobody does."""
        is_back = is_watched and not self._is_watched
        self._is_watched = is_watched
        if is_back and not self.keeper.is_paused:
            self.wake()

    async def run(self) -> None:
        while True:
            seconds = await self._round()
            self.is_looking = False
            self._end_look()
            await self._alarm.wait(seconds)

    async def _round(self) -> float:
        """One round; gives the seconds until the next."""
        try:
            changed = await self._synchroniser.round()
        except (ServiceError, BusyStorageError) as error:
            return self.keeper.failed(error)
        self.keeper.remark = self._synchroniser.remark
        if self._store.pending(frozenset({self.project.id}), limit=1):
            await self._look_at_queue()
        self.keeper.whole(self._clock.now(), self._client.answer_seconds)
        self._announcer.say(PictureChanged(at=self._clock.now(), revision=self._store.revision))
        is_waiting = bool(self._store.pending(frozenset({self.project.id}), limit=1))
        self._interval_seconds = self._schedule.next_seconds(
            self._interval_seconds, changed=changed, is_waiting=is_waiting
        )
        return self._schedule.with_jitter(self._seconds_between)

    @property
    def _seconds_between(self) -> float:
        """Two rounds, as things are now."""
        seconds = self._interval_seconds
        return seconds if self._is_watched else self._schedule.unwatched_seconds(seconds)

    def _tell_connection(self, connection: Connection) -> None:
        self._announcer.say(ConnectionChanged(at=self._clock.now(), connection=connection))

    def _tell_progress(self, known: int, total: int | None) -> None:
        self.keeper.catching_up(known, total)
        self._announcer.say(SyncProgressed(at=self._clock.now(), done=known, total=total))
        self._announcer.say(PictureChanged(at=self._clock.now(), revision=self._store.revision))
