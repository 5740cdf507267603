"""The protocol of a session, and the broadcast of its changes to subscribers.

A session has a picture and keeps it current: `Session` is what `tui` sees of `monitor`. Everything runs on one event loop.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from upload_tui.monitor.changes import Change, ConnectionChanged, PictureChanged, SyncProgressed
from upload_tui.monitor.model import Connection, ProjectRef
from upload_tui.monitor.picture import Picture

__all__ = ["ChangeBroadcaster", "ServiceSession", "Session"]


class Session(Protocol):
    """Keeps a picture of the uploads of some projects current and publishes changes."""

    @property
    def title(self) -> str:
        """The session's name: the profile, or the service's host."""
        ...

    @property
    def projects(self) -> Sequence[ProjectRef]:
        """The projects that are watched."""
        ...

    @property
    def picture(self) -> Picture:
        """What is known of the uploads. It may be another one after a `PictureChanged`."""
        ...

    @property
    def changes(self) -> "ChangeBroadcaster":
        """Where changes are published: subscribe here, or read the last ones."""
        ...

    def connection(self, project_ids: frozenset[str] = frozenset()) -> Connection:
        """The state of the connection, or of that for some projects; the worst one if there are several."""
        ...

    async def run(self) -> None:
        """Keep the picture current until cancelled. A failing service is a `ConnectionChanged`, never an exception."""
        ...

    def refresh(self) -> None:
        """Poll the service now, also while paused (once)."""
        ...

    def set_paused(self, *, is_paused: bool) -> None:
        """Send no requests while paused; poll now at the end of a pause."""
        ...

    def set_watched(self, *, is_watched: bool) -> None:
        """Set whether the dashboard is watched: poll now when it is again, poll less often while it is not."""
        ...


class ServiceSession(Session, Protocol):
    """A session over one service or source: it knows what of that cannot be read."""

    @property
    def lost_projects(self) -> Sequence[ProjectRef]:
        """The projects that the service no longer has, or that the account may no longer see."""
        ...

    @property
    def is_complete(self) -> bool:
        """False if projects or uploads that are listed cannot be read."""
        ...

    @property
    def notice(self) -> str:
        """What is missing besides the projects; empty if nothing is."""
        ...


_HISTORY_SIZE = 10_000


class _Subscriber:
    """The changes that one subscriber has not received yet; of replaceable kinds only the newest."""

    def __init__(self) -> None:
        self._changes: deque[Change] = deque()
        self._replaceable: dict[type[Change], Change] = {}
        self._changed = asyncio.Event()

    def put(self, change: Change) -> None:
        """Add a change; one of a replaceable kind replaces the last one of its kind."""
        if isinstance(change, PictureChanged | SyncProgressed):
            self._replaceable[type(change)] = change
        else:
            self._changes.append(change)
        self._changed.set()

    @property
    def has_unread(self) -> bool:
        """True while there are changes to receive."""
        return bool(self._changes or self._replaceable)

    def __aiter__(self) -> AsyncIterator[Change]:
        return self

    async def __anext__(self) -> Change:
        """Wait for the next change."""
        while not self.has_unread:
            self._changed.clear()
            await self._changed.wait()
        if self._changes:
            return self._changes.popleft()
        return self._replaceable.pop(next(iter(self._replaceable)))


class ChangeBroadcaster:
    """Publishes changes to subscribers and keeps the last ones as a history.

    Args:
        on_change: called with each change before the subscribers receive it.
    """

    def __init__(self, on_change: Callable[[Change], None] | None = None) -> None:
        self._on_change = on_change
        self._subscribers: list[_Subscriber] = []
        self._history: deque[Change] = deque(maxlen=_HISTORY_SIZE)

    @property
    def has_subscribers(self) -> bool:
        """True while there are subscribers."""
        return bool(self._subscribers)

    @property
    def has_unread(self) -> bool:
        """True while a subscriber has not received every change."""
        return any(subscriber.has_unread for subscriber in self._subscribers)

    def publish(self, change: Change) -> None:
        """Publish a change to all present subscribers."""
        if self._on_change is not None:
            self._on_change(change)
        if not isinstance(
            change, ConnectionChanged | PictureChanged | SyncProgressed
        ):  # of these there is one each round
            self._history.append(change)
        for subscriber in self._subscribers:
            subscriber.put(change)

    def history(self, limit: int) -> tuple[Change, ...]:
        """The last changes, oldest first, without `ConnectionChanged`, `PictureChanged` and `SyncProgressed`."""
        return tuple(self._history)[-limit:] if limit > 0 else ()

    def clear_history(self) -> None:
        """Forget the last changes."""
        self._history = deque(maxlen=_HISTORY_SIZE)

    @contextmanager
    def subscribe(self) -> Iterator[AsyncIterator[Change]]:
        """Every change from now on, while the context is open.

        A slow subscriber loses no change of an upload; of `PictureChanged` and `SyncProgressed` it gets the newest only.

        >>> import asyncio
        >>> from upload_tui.testing import InMemorySession, an_upload
        >>> session = InMemorySession()
        >>> async def first_change():
        ...     with session.changes.subscribe() as changes:
        ...         session.publish(an_upload("scan.tiff"))
        ...         return await anext(changes)
        >>> type(asyncio.run(first_change())).__name__
        'UploadSeen'
        >>> session.close()
        """
        subscriber = _Subscriber()
        self._subscribers.append(subscriber)
        try:
            yield subscriber
        finally:
            self._subscribers.remove(subscriber)
