"""Sessions for tests: shows uploads that the test gives it, polls an `UploadService` on demand, or replays a recording.

All implement `upload_tui.monitor.Session` and use the real parsing, comparison, analysis and store.
"""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from upload_tui.client import Credentials, ServiceClient
from upload_tui.errors import ServiceError
from upload_tui.monitor import (
    DEFAULT_LIMITS,
    Change,
    ChangeBroadcaster,
    Connection,
    ConnectionChanged,
    ConnectionState,
    ConnectionTracker,
    InMemoryPicture,
    PictureChanged,
    ProjectRef,
    ReplaySession,
    Synchroniser,
    read_recording,
)
from upload_tui.testing.clock import FrozenClock
from upload_tui.testing.service import UploadService

__all__ = ["InMemorySession", "ManualSession", "replay_of"]


class _BaseSession(InMemoryPicture):
    """The common part: the test's clock, subscribers, a title and projects."""

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
        """Store it in `is_watched`, for the test to read."""
        self.is_watched = is_watched

    def history(self, limit: int) -> Sequence[Change]:
        """The last changes of uploads and of the connection, oldest first."""
        return self._broadcaster.history(limit)

    def changes(self) -> AsyncIterator[Change]:
        """Each change that is published from now on."""
        return self._broadcaster.subscribe()

    @abstractmethod
    def connection(self) -> Connection:
        """The current connection."""

    def as_of(self) -> datetime:
        """The time at which the picture was last current."""
        return self.connection().as_of(self.now())

    @property
    def has_subscribers(self) -> bool:
        """True while there is a subscriber to `changes`; a change that is published before is only in `history`."""
        return self._broadcaster.has_subscribers

    def _publish_picture(self) -> None:
        self._broadcaster.publish(PictureChanged(at=self.now(), revision=self._store.revision))

    def _publish_connection(self, connection: Connection) -> None:
        self._broadcaster.publish(ConnectionChanged(at=self.now(), connection=connection))


class InMemorySession(_BaseSession):
    """A session without a service: it shows the uploads that the test gives it, also those that no service would send.

    Args:
        uploads: upload resources known from the start; no changes are published for them.
        clock: a new `FrozenClock` if None.
        title: shown in the header.
        projects: ids and names.
        stuck_after_seconds: the age from which a pending upload is stuck.

    Attributes:
        refresh_count: how many times `refresh` was called.

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
        stuck_after_seconds: float = DEFAULT_LIMITS.stuck_after_seconds,
    ) -> None:
        super().__init__(clock or FrozenClock(), "https://example.org", title, projects, stuck_after_seconds)
        self.refresh_count = 0
        self._connection = self._connection_in(ConnectionState.LIVE)
        self.update(*uploads)

    def publish(self, *uploads: Mapping[str, Any]) -> None:
        """Update uploads from their resources and publish the changes."""
        for change in self.update(*uploads):
            self._broadcaster.publish(change)
        self._publish_picture()

    def set_connection(self, connection: Connection) -> None:
        """Set the connection and publish it."""
        self._connection = connection
        self._publish_connection(connection)

    def mark(self, upload_id: str, *, stale: bool | None = None, gone: bool | None = None) -> None:
        """Mark an upload as stale (it could not be refreshed) or gone; None changes nothing."""
        self._store.mark([upload_id], stale=stale, gone=gone)

    def connection(self) -> Connection:
        """The current connection."""
        return self._connection

    async def run(self) -> None:
        """Wait until cancelled."""
        await asyncio.Event().wait()

    def refresh(self) -> None:
        """Count the call in `refresh_count`."""
        self.refresh_count += 1

    def pause(self) -> None:
        """Set the connection to paused."""
        self.set_connection(self._connection_in(ConnectionState.PAUSED))

    def resume(self) -> None:
        """Set the connection to live."""
        self.set_connection(self._connection_in(ConnectionState.LIVE))

    def _connection_in(self, state: ConnectionState) -> Connection:
        now = self.now()
        return Connection(state=state, since=now, read_on=now)


class ManualSession(_BaseSession):
    """A session over an `UploadService`, with the real client and monitor; it polls when `poll` is called, not on a schedule.

    Args:
        service: the service; the session uses its clock.
        title: shown in the header.
        stuck_after_seconds: the age from which a pending upload is stuck.

    >>> import asyncio
    >>> from upload_tui.testing import UploadService, ManualSession
    >>> async def watch_an_upload():
    ...     async with UploadService() as service:
    ...         session = ManualSession(service)
    ...         await session.poll()
    ...         await service.upload("scan.tiff")
    ...         await session.poll()
    ...         changes = [type(change).__name__ for change in session.history(10)]
    ...         session.close()
    ...         return changes
    >>> asyncio.run(watch_an_upload())
    ['ConnectionChanged', 'ConnectionChanged', 'UploadSeen', 'StageReached', 'StageReached']
    """

    def __init__(
        self,
        service: UploadService,
        *,
        title: str = "example.org",
        stuck_after_seconds: float = DEFAULT_LIMITS.stuck_after_seconds,
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
        """Stop polling for good: the picture no longer changes."""
        self._is_frozen = True

    async def poll(self) -> None:
        """Synchronise once, now. An error of the service changes the connection and is not raised."""
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
        """The current connection."""
        return self._connection_tracker.current

    async def run(self) -> None:
        """Poll once, then after each `refresh`."""
        while True:
            await self.poll()
            await self._refresh_requested.wait()
            self._refresh_requested.clear()

    def refresh(self) -> None:
        """Make `run` poll."""
        self._refresh_requested.set()

    def pause(self) -> None:
        """Set the connection to paused."""
        self._connection_tracker.pause()

    def resume(self) -> None:
        """End the pause and make `run` poll."""
        self._connection_tracker.resume()
        self.refresh()


def replay_of(file: Path | str, *, until: float | None = None) -> ReplaySession:
    """A paused replay of a recording of `upload-tui record`, for `dashboard`; the caller closes it.

    Args:
        file: the recording.
        until: the position, in seconds after its start; None for its end. `session.seek` and `session.step` change it.

    Raises:
        StorageError: the file cannot be read or is not a recording.

    >>> import json, tempfile
    >>> from upload_tui.testing import an_upload, replay_of
    >>> start, read = "2026-03-14T09:26:00.000Z", "2026-03-14T09:26:53.000Z"
    >>> projects = [{"id": "p-1", "name": "Genome"}]
    >>> header = {"journal": 1, "at": start, "service": "https://example.org", "title": "lab", "projects": projects}
    >>> first = {"at": read, "kind": "kept", "raw": an_upload("scan.tiff"), "noticed": [], "earliest": None}
    >>> with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
    ...     for line in ({**header, "stuck_after_seconds": 900}, first):
    ...         print(json.dumps(line), file=file, flush=True)
    ...     session = replay_of(file.name)
    >>> [row.name for row in session.pending(10)]
    ['scan.tiff']
    >>> session.close()
    """
    header, lines = read_recording(Path(file))
    session = ReplaySession(header, lines, base=FrozenClock())
    session.seek(session.ends_on if until is None else header.began_on + timedelta(seconds=until))
    return session
