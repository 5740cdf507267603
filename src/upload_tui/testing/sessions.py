"""Sessions for tests: one whose service is the test itself, and one that watches a `UploadService` and looks when it is told to.

Both are `upload_tui.monitor.sessions.session.Session`, so a dashboard takes either. What they are told goes through the same reading,
comparing, judging and storing as in life.
"""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from upload_tui.client import Credentials, ServiceClient
from upload_tui.errors import ServiceError
from upload_tui.monitor import (
    STUCK_AFTER_SECONDS,
    Change,
    ChangeBroadcaster,
    Connection,
    ConnectionChanged,
    ConnectionState,
    ConnectionTracker,
    InMemoryPicture,
    PictureChanged,
    ProjectRef,
    Synchroniser,
)
from upload_tui.testing.clock import FrozenClock
from upload_tui.testing.service import UploadService

__all__ = ["InMemorySession", "ManualSession"]


class _BaseSession(InMemoryPicture):
    """What both have: a clock of the test's, listeners, a title and projects."""

    def __init__(
        self,
        clock: FrozenClock,
        service: str,
        title: str,
        projects: Iterable[tuple[str, str]],
        stuck_after_seconds: float,
    ) -> None:
        super().__init__(clock=clock, service=service, stuck_after_seconds=stuck_after_seconds)
        self.clock = clock
        self.title = title
        self.projects = tuple(ProjectRef(*project) for project in projects)
        self.is_watched = True
        self._broadcaster = ChangeBroadcaster()

    def set_watched(self, *, is_watched: bool) -> None:
        """Keep whether somebody looks, for the test to see."""
        self.is_watched = is_watched

    def history(self, limit: int) -> Sequence[Change]:
        """The last changes that were told."""
        return self._broadcaster.history(limit)

    def changes(self) -> AsyncIterator[Change]:
        """Every change from now on."""
        return self._broadcaster.subscribe()

    @abstractmethod
    def connection(self) -> Connection:
        """The connection."""

    def as_of(self) -> datetime:
        """When the picture was last known to be true."""
        return self.connection().as_of(self.now())

    @property
    def has_subscribers(self) -> bool:
        """True if somebody listens to `changes`; what is said before that is only in `history`."""
        return self._broadcaster.has_subscribers

    def _publish_picture(self) -> None:
        self._broadcaster.publish(PictureChanged(at=self.now(), revision=self._store.revision))

    def _publish_connection(self, connection: Connection) -> None:
        self._broadcaster.publish(ConnectionChanged(at=self.now(), connection=connection))


class InMemorySession(_BaseSession):
    """A session whose service is the test: what it says is shown. For states that no service can be brought into at will.

    Args:
        uploads: resources that are there from the start; they are no news.
        clock: the test's time.
        title: for the header.
        projects: ids and names; one called Genome if none are given.
        stuck_after_seconds: from which age a pending upload looks stuck.

    >>> from upload_tui.testing import InMemorySession, an_upload
    >>> session = InMemorySession([an_upload("scan.tiff")])
    >>> session.publish(an_upload("scan.tiff", completed=3))
    >>> [change.after.value for change in session.history(10)]
    ['completed']
    >>> session.close()
    """

    def __init__(
        self,
        uploads: Iterable[Mapping[str, Any]] = (),
        *,
        clock: FrozenClock | None = None,
        title: str = "example.org",
        projects: Sequence[tuple[str, str]] = (("p-1", "Genome"),),
        stuck_after_seconds: float = STUCK_AFTER_SECONDS,
    ) -> None:
        super().__init__(clock or FrozenClock(), "https://example.org", title, projects, stuck_after_seconds)
        self.refresh_count = 0
        self._connection = self._connection_in(ConnectionState.LIVE)
        self.update(*uploads)

    def publish(self, *uploads: Mapping[str, Any]) -> None:
        """The service says this of uploads now; what changed is told."""
        for change in self.update(*uploads):
            self._broadcaster.publish(change)
        self._publish_picture()

    def set_connection(self, connection: Connection) -> None:
        """The connection is in another state."""
        self._connection = connection
        self._publish_connection(connection)

    def mark(self, upload_id: str, *, stale: bool | None = None, gone: bool | None = None) -> None:
        """An upload could not be refreshed, or is gone."""
        self._store.mark([upload_id], stale=stale, gone=gone)

    def connection(self) -> Connection:
        """The connection."""
        return self._connection

    async def run(self) -> None:
        """Nothing happens unless the test says so."""
        await asyncio.Event().wait()

    def refresh(self) -> None:
        """Count that it was asked for."""
        self.refresh_count += 1

    def pause(self) -> None:
        """Be paused."""
        self.set_connection(self._connection_in(ConnectionState.PAUSED))

    def resume(self) -> None:
        """Be live again."""
        self.set_connection(self._connection_in(ConnectionState.LIVE))

    def _connection_in(self, state: ConnectionState) -> Connection:
        now: datetime = self.now()
        return Connection(state=state, since=now, read_on=now)


class ManualSession(_BaseSession):
    """A session over a `UploadService`: the real client and monitor, but it looks when it is told to, not by a schedule.

    Args:
        service: whom to watch; its clock is the session's.
        title: for the header.
        stuck_after_seconds: from which age a pending upload looks stuck.

    >>> import asyncio
    >>> from upload_tui.testing import UploadService, ManualSession
    >>> async def story():
    ...     async with UploadService() as service:
    ...         session = ManualSession(service)
    ...         await session.poll()
    ...         await service.upload("scan.tiff")
    ...         await session.poll()
    ...         told = [type(change).__name__ for change in session.history(10)]
    ...         session.close()
    ...         return told
    >>> asyncio.run(story())
    ['ConnectionChanged', 'ConnectionChanged', 'UploadSeen', 'StageReached', 'StageReached']
    """

    def __init__(
        self,
        service: UploadService,
        *,
        title: str = "example.org",
        stuck_after_seconds: float = STUCK_AFTER_SECONDS,
    ) -> None:
        project = ProjectRef(service.project_id, service.project_name)
        projects = ((project.id, project.name),)
        super().__init__(service.clock, service.url, title, projects, stuck_after_seconds)
        credentials = Credentials(agent_key=service.agent_key, user_key=service.user_key)
        self._client = ServiceClient(
            service.url, credentials, transport=service.transport, clock=service.clock, attempts=1
        )
        self._connection_tracker = ConnectionTracker(service.clock, self._publish_connection, jitter=lambda: 0.5)
        self._synchroniser = Synchroniser(
            self._client, self._store, project, self._broadcaster.publish, self._connection_tracker.catching_up
        )
        self._refresh_requested = asyncio.Event()
        self._is_frozen = False

    def freeze(self) -> None:
        """Look no more: the picture stays as it is, whatever becomes of the service."""
        self._is_frozen = True

    async def poll(self) -> None:
        """One round of the monitor, now. Trouble with the service is a state of the connection."""
        if self._is_frozen:
            return
        try:
            await self._synchroniser.sync()
        except ServiceError as error:
            self._connection_tracker.failed(error)
        else:
            self._connection_tracker.synced(self.now(), self._client.median_response_seconds)
        self._publish_picture()

    def connection(self) -> Connection:
        """The connection."""
        return self._connection_tracker.current

    async def run(self) -> None:
        """Look once, then whenever somebody asks."""
        while True:
            await self.poll()
            await self._refresh_requested.wait()
            self._refresh_requested.clear()

    def refresh(self) -> None:
        """Look soon."""
        self._refresh_requested.set()

    def pause(self) -> None:
        """Be paused."""
        self._connection_tracker.pause()

    def resume(self) -> None:
        """Go on, and look soon."""
        self._connection_tracker.resume()
        self.refresh()
