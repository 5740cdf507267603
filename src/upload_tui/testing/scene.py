"""A session whose service is the test: what it says is shown, through the same reading, comparing and storing as in life."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from upload_tui.monitor.announcer import Announcer
from upload_tui.monitor.changes import Change, ConnectionChanged, PictureChanged
from upload_tui.monitor.intake import take_in
from upload_tui.monitor.picture import Connection, ConnectionState, ProjectRef
from upload_tui.monitor.store import Store
from upload_tui.monitor.stored_picture import STUCK_AFTER_SECONDS, StoredPicture
from upload_tui.testing.clock import FrozenClock
from upload_tui.wire.answers import read_upload_reading

__all__ = ["SceneSession"]


class SceneSession(StoredPicture):
    """Implements `upload_tui.monitor.session.Session`.

    Args:
        uploads: resources that are there from the start; they are no news.
        clock: the scene's time.
        title: for the header.
        projects: ids and names; one called Genome if none are given.
        stuck_after_seconds: from which age a pending upload looks stuck.

    >>> from upload_tui.testing import an_upload
    >>> session = SceneSession([an_upload("scan.tiff")])
    >>> session.funnel().pending
    1
    >>> session.close()
    """

    def __init__(
        self,
        uploads: Sequence[Mapping[str, Any]] = (),
        *,
        clock: FrozenClock | None = None,
        title: str = "example.org",
        projects: Sequence[tuple[str, str]] = (("p-1", "Genome"),),
        stuck_after_seconds: float = STUCK_AFTER_SECONDS,
    ) -> None:
        self.clock = clock or FrozenClock()
        self._scene_store = Store()
        super().__init__(self._scene_store, self.clock, "https://example.org", stuck_after_seconds)
        self.title = title
        self.projects = tuple(ProjectRef(*project) for project in projects)
        self.refreshes = 0
        self._announcer = Announcer()
        now = self.clock.now()
        self._connection = Connection(state=ConnectionState.LIVE, since=now, read_on=now)
        for upload in uploads:
            self._keep(upload)

    def close(self) -> None:
        """Close the store."""
        self._scene_store.close()

    def say(self, *uploads: Mapping[str, Any]) -> None:
        """The service says this of uploads now; what changed is told."""
        for upload in uploads:
            for change in self._keep(upload):
                self._announcer.say(change)
        self._announcer.say(PictureChanged(at=self.clock.now(), revision=self._scene_store.revision))

    def set_connection(self, connection: Connection) -> None:
        """The connection is in another state."""
        self._connection = connection
        self._announcer.say(ConnectionChanged(at=self.clock.now(), connection=connection))

    def mark(self, upload_id: str, *, stale: bool | None = None, gone: bool | None = None) -> None:
        """An upload could not be refreshed, or is gone."""
        self._scene_store.mark([upload_id], stale=stale, gone=gone)

    def _keep(self, payload: Mapping[str, Any]) -> Sequence[Change]:
        reading = read_upload_reading(payload, read_on=self.clock.now())
        return take_in(self._scene_store, [reading], self._service).changes

    def connection(self) -> Connection:
        """The connection."""
        return self._connection

    def history(self, limit: int) -> Sequence[Change]:
        """The last changes that were told."""
        return self._announcer.past(limit)

    def changes(self) -> AsyncIterator[Change]:
        """Every change from now on."""
        return self._announcer.listen()

    async def run(self) -> None:
        """Nothing happens unless the test says so."""
        await asyncio.Event().wait()

    def refresh(self) -> None:
        """Count that it was asked for."""
        self.refreshes += 1

    def pause(self) -> None:
        """Be paused."""
        self.set_connection(Connection(state=ConnectionState.PAUSED, since=self.clock.now(), read_on=self.clock.now()))

    def resume(self) -> None:
        """Be live again."""
        self.set_connection(Connection(state=ConnectionState.LIVE, since=self.clock.now(), read_on=self.clock.now()))
