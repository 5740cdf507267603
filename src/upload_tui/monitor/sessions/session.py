"""The protocol of a session, and the broadcast of its changes to subscribers.

`Session` is the interface between `monitor` and `tui`. Reading never waits for the service; the cost of reading a
window depends on its size, not on that of the picture. Everything runs on one event loop.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Protocol

from upload_tui.monitor.changes import Change, PictureChanged, SyncProgressed
from upload_tui.monitor.model import (
    CauseGroup,
    Connection,
    Detail,
    Funnel,
    LatencyHistogram,
    ProjectRef,
    Query,
    Row,
    Window,
)

__all__ = ["ChangeBroadcaster", "Session"]


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

    def now(self) -> datetime:
        """The present by the clock that all ages are computed with."""
        ...

    def window(self, query: Query, offset: int, limit: int, patience_seconds: float | None = None) -> Window:
        """At most `limit` rows of a query's result from row `offset` (from 0).

        With `patience_seconds`, a large search returns what it found within that time; its window is not `is_settled` then.
        """
        ...

    def position(self, query: Query, upload_id: str) -> int | None:
        """The row (from 0) of an upload in a query's result; None if it is not in it."""
        ...

    # `project_ids` limit an answer to these projects; empty means all.

    def funnel(self, project_ids: frozenset[str] = frozenset()) -> Funnel:
        """The stages with their counts."""
        ...

    def pending(self, limit: int, project_ids: frozenset[str] = frozenset()) -> Sequence[Row]:
        """The pending uploads, stuck ones first, then those that have waited longest."""
        ...

    def detail(self, upload_id: str) -> Detail | None:
        """One upload in full; None if it is not known."""
        ...

    def causes(self, project_ids: frozenset[str] = frozenset()) -> Sequence[CauseGroup]:
        """The failed uploads by cause, storage provider and uploader, the largest group first."""
        ...

    def latencies(self, project_ids: frozenset[str] = frozenset()) -> Sequence[LatencyHistogram]:
        """Latencies from initiated to completed, completed to verified, and completed to error."""
        ...

    def connection(self) -> Connection:
        """The state of the connection; the worst one if there are several services."""
        ...

    def history(self, limit: int) -> Sequence[Change]:
        """The last changes of uploads and of the connection, oldest first."""
        ...

    def changes(self) -> AsyncIterator[Change]:
        """Every change from now on.

        A slow subscriber loses no change of an upload; of `PictureChanged` and `SyncProgressed` it gets the newest only.
        """
        ...

    async def run(self) -> None:
        """Keep the picture current until cancelled. A failing service is a `ConnectionChanged`, never an exception."""
        ...

    def refresh(self) -> None:
        """Poll the service now, also while paused (once)."""
        ...

    def pause(self) -> None:
        """Send no requests until `resume`."""
        ...

    def resume(self) -> None:
        """End a pause and poll now."""
        ...

    def set_watched(self, *, is_watched: bool) -> None:
        """Set whether the dashboard is watched: poll now when it is again, poll less often while it is not."""
        ...


_HISTORY_SIZE = 10_000


class _Subscriber:
    """The changes that one subscriber has not received yet; of replaceable kinds only the newest."""

    def __init__(self) -> None:
        self._changes: deque[Change] = deque()
        self._replaceable: dict[type[Change], Change] = {}
        self._changed = asyncio.Event()

    def put(self, change: Change) -> None:
        """Add a change."""
        if isinstance(change, PictureChanged | SyncProgressed):
            self._replaceable[type(change)] = change
        else:
            self._changes.append(change)
        self._changed.set()

    async def get(self) -> Change:
        """Wait for the next change."""
        while not self._changes and not self._replaceable:
            self._changed.clear()
            await self._changed.wait()
        if self._changes:
            return self._changes.popleft()
        return self._replaceable.pop(next(iter(self._replaceable)))


class ChangeBroadcaster:
    """Publishes changes and remembers the last ones.

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

    def publish(self, change: Change) -> None:
        """Publish a change to all present subscribers."""
        if self._on_change is not None:
            self._on_change(change)
        if not isinstance(change, PictureChanged | SyncProgressed):
            self._history.append(change)
        for subscriber in self._subscribers:
            subscriber.put(change)

    def history(self, limit: int) -> tuple[Change, ...]:
        """The last changes, oldest first, without `PictureChanged` and `SyncProgressed`."""
        return tuple(self._history)[-limit:] if limit > 0 else ()

    def clear_history(self) -> None:
        """Forget the last changes."""
        self._history.clear()

    async def subscribe(self) -> AsyncIterator[Change]:
        """Every change from the first iteration on, until the iterator is closed."""
        subscriber = _Subscriber()
        self._subscribers.append(subscriber)
        try:
            while True:
                yield await subscriber.get()
        finally:
            self._subscribers.remove(subscriber)
