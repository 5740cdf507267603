"""Sessions for tests: shows uploads that the test gives it, polls an `UploadService` on demand, or replays a recording.

All implement `upload_tui.monitor.Session` and use the real parsing, comparison, analysis and store.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from upload_tui.client import Credentials, ServiceClient
from upload_tui.errors import ServiceError
from upload_tui.monitor import (
    DEFAULT_TROUBLE_LIMITS,
    ChangeBroadcaster,
    Connection,
    ConnectionChanged,
    ConnectionFreshness,
    ConnectionState,
    ConnectionTracker,
    InMemoryPicture,
    PictureChanged,
    ProjectRef,
    ReplaySession,
    Store,
    StorePicture,
    Synchroniser,
    TroubleLimits,
    connection_of,
    read_recording,
)
from upload_tui.testing.clock import FrozenClock
from upload_tui.testing.service import UploadService

__all__ = ["InMemorySession", "ManualSession", "replay_of"]


class _BaseSession:
    """The common part: the test's clock, the store, the changes, the connection, a title and projects."""

    def __init__(
        self, clock: FrozenClock, title: str, projects: Iterable[tuple[str, str]], connection: Connection
    ) -> None:
        self.clock = clock
        self._freshness = ConnectionFreshness(clock, connection)
        self._store = Store()
        self.title = title
        self.projects = tuple(ProjectRef(*project) for project in projects)
        self.changes = ChangeBroadcaster()
        self.is_watched = True
        self.refresh_count = 0

    def close(self) -> None:
        """Discard the picture."""
        self._store.close()

    def connection(self, project_ids: frozenset[str] = frozenset()) -> Connection:
        """The current connection, or the worst one of the projects."""
        whole, own = self._freshness.connection, self._freshness.of_projects
        return connection_of([(one, own.get(one.id, whole)) for one in self.projects], project_ids) if own else whole

    def refresh(self) -> None:
        """Count the call in `refresh_count`."""
        self.refresh_count += 1

    def set_watched(self, *, is_watched: bool) -> None:
        """Store it in `is_watched`, for the test to read."""
        self.is_watched = is_watched

    def _publish_picture(self) -> None:
        self.changes.publish(PictureChanged(at=self.clock.now()))

    def _publish_connection(self, connection: Connection) -> None:
        self._freshness.connection = connection
        self.changes.publish(ConnectionChanged(at=self.clock.now(), connection=connection))


class InMemorySession(_BaseSession):
    """A session without a service: it shows the uploads that the test gives it, also those that no service would send.

    Args:
        uploads: upload resources known from the start; no changes are published for them.
        clock: a new `FrozenClock` if None.
        title: shown in the header.
        projects: ids and names.
        stuck_after_seconds: the age from which a pending upload is stuck.
        service: the URL of the service that the rows name.

    Attributes:
        picture: an `InMemoryPicture`.
        refresh_count: how many times `refresh` was called.

    >>> from upload_tui.testing import InMemorySession, an_upload
    >>> session = InMemorySession([an_upload("scan.tiff")])
    >>> session.publish(an_upload("scan.tiff", completed=3))
    >>> [change.after.value for change in session.changes.history(10)]
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
        stuck_after_seconds: float = DEFAULT_TROUBLE_LIMITS.stuck_after_seconds,
        service: str = "https://example.org",
    ) -> None:
        clock = clock or FrozenClock()
        super().__init__(clock, title, projects, _connection_in(ConnectionState.LIVE, clock))
        self.picture = InMemoryPicture(
            uploads,
            clock=self.clock,
            service=service,
            stuck_after_seconds=stuck_after_seconds,
            freshness=self._freshness,
            store=self._store,
        )

    def publish(self, *uploads: Mapping[str, Any]) -> None:
        """Update uploads from their resources and publish the changes."""
        for change in self.picture.update(*uploads):
            self.changes.publish(change)
        self._publish_picture()

    def set_connection(self, connection: Connection, project_id: str = "") -> None:
        """Set the connection, or that of one project, and publish it."""
        if not project_id:
            self._publish_connection(connection)
            return
        self._freshness.of_projects[project_id] = connection
        self.changes.publish(ConnectionChanged(at=self.clock.now(), connection=self.connection()))

    async def run(self) -> None:
        """Wait until cancelled."""
        await asyncio.Event().wait()

    def set_paused(self, *, is_paused: bool) -> None:
        """Set the connection to paused or to live."""
        state = ConnectionState.PAUSED if is_paused else ConnectionState.LIVE
        self.set_connection(_connection_in(state, self.clock))


def _connection_in(state: ConnectionState, clock: FrozenClock) -> Connection:
    now = clock.now()
    return Connection(state=state, since=now, read_on=now)


class ManualSession(_BaseSession):
    """A session over an `UploadService`, with the real client and monitor; it polls when `poll` is called, not on a schedule.

    Args:
        service: the service; the session uses its clock.
        title: shown in the header.
        stuck_after_seconds: the age from which a pending upload is stuck.

    Attributes:
        refresh_count: how many times `refresh` was called.

    >>> import asyncio
    >>> from upload_tui.testing import UploadService, ManualSession
    >>> async def watch_an_upload():
    ...     async with UploadService() as service:
    ...         session = ManualSession(service)
    ...         await session.poll()
    ...         await service.upload("scan.tiff")
    ...         await session.poll()
    ...         changes = [type(change).__name__ for change in session.changes.history(10)]
    ...         session.close()
    ...         return changes
    >>> asyncio.run(watch_an_upload())
    ['UploadSeen', 'StageReached', 'StageReached']
    """

    def __init__(
        self,
        service: UploadService,
        *,
        title: str = "example.org",
        stuck_after_seconds: float = DEFAULT_TROUBLE_LIMITS.stuck_after_seconds,
    ) -> None:
        clock, projects = service.clock, [(service.project_id, service.project_name)]
        connection = Connection(state=ConnectionState.CONNECTING, since=clock.now())
        super().__init__(clock, title, projects, connection)
        credentials = Credentials(agent_key=service.agent_key, user_key=service.user_key)
        self._client = ServiceClient(service.url, credentials, transport=service.transport, clock=clock, attempts=1)
        self._tracker = ConnectionTracker(clock, self._publish_connection, jitter=lambda: 0.5)
        self._synchroniser = Synchroniser(
            self._client, self._store, self.projects[0], self.changes.publish, self._tracker.catching_up
        )
        limits = TroubleLimits(stuck_after_seconds)
        self.picture = StorePicture(self._store, clock, service.url, limits, freshness=self._freshness)
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
            self._tracker.failed(error)
        else:
            self._tracker.synced(self.clock.now(), self._client.median_response_seconds)
        self._publish_picture()

    async def run(self) -> None:
        """Poll once, then after each `refresh`."""
        while True:
            await self.poll()
            await self._refresh_requested.wait()
            self._refresh_requested.clear()

    def refresh(self) -> None:
        """Make `run` poll, and count the call in `refresh_count`."""
        super().refresh()
        self._refresh_requested.set()

    def set_paused(self, *, is_paused: bool) -> None:
        """Set the connection to paused, or end the pause and make `run` poll."""
        self._tracker.set_paused(is_paused=is_paused)
        if not is_paused:
            self._refresh_requested.set()


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
    >>> header = {"recording": 3, "at": start, "service": "https://example.org", "title": "lab", "projects": projects}
    >>> first = {"at": read, "kind": "stored", "raw": an_upload("scan.tiff"), "noticed": [], "earliest": None}
    >>> with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
    ...     for line in ({**header, "stuck_after_seconds": 900}, first):
    ...         print(json.dumps(line), file=file, flush=True)
    ...     session = replay_of(file.name)
    >>> [row.name for row in session.picture.pending(10)]
    ['scan.tiff']
    >>> session.close()
    """
    header, lines = read_recording(Path(file))
    session = ReplaySession(header, lines, base=FrozenClock())
    session.seek(session.ends_on if until is None else header.began_on + timedelta(seconds=until))
    return session
