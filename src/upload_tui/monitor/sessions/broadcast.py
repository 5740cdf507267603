"""Publish changes to any number of subscribers, in order; a slow subscriber loses no change of an upload."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from upload_tui.monitor.changes import Change, PictureChanged, SyncProgressed

__all__ = ["ChangeBroadcaster"]

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
