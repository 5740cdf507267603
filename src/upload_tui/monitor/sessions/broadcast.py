"""Hands each change to every listener, in order; late listeners lose no change of an upload."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from upload_tui.monitor.changes import Change, PictureChanged, SyncProgressed

__all__ = ["ChangeBroadcaster"]

_HISTORY_SIZE = 10_000


class _Subscriber:
    """What one listener has not heard yet; of replaceable changes only the newest of each kind."""

    def __init__(self) -> None:
        self._changes: deque[Change] = deque()
        self._replaceable: dict[type[Change], Change] = {}
        self._has_changes = asyncio.Event()

    def put(self, change: Change) -> None:
        if isinstance(change, PictureChanged | SyncProgressed):
            self._replaceable[type(change)] = change
        else:
            self._changes.append(change)
        self._has_changes.set()

    async def get(self) -> Change:
        while not self._changes and not self._replaceable:
            self._has_changes.clear()
            await self._has_changes.wait()
        if self._changes:
            return self._changes.popleft()
        return self._replaceable.pop(next(iter(self._replaceable)))


class ChangeBroadcaster:
    """One speaker, any number of listeners. Remembers the last changes of uploads.

    Args:
        on_change: called with each change before the listeners have it.
    """

    def __init__(self, on_change: Callable[[Change], None] | None = None) -> None:
        self._on_change = on_change
        self._subscribers: list[_Subscriber] = []
        self._history: deque[Change] = deque(maxlen=_HISTORY_SIZE)

    @property
    def has_subscribers(self) -> bool:
        """True if anybody listens."""
        return bool(self._subscribers)

    def publish(self, change: Change) -> None:
        """Hand a change to everybody who listens now."""
        if self._on_change is not None:
            self._on_change(change)
        if not isinstance(change, PictureChanged | SyncProgressed):
            self._history.append(change)
        for mailbox in self._subscribers:
            mailbox.put(change)

    def history(self, limit: int) -> tuple[Change, ...]:
        """The last changes said, oldest first."""
        return tuple(self._history)[-limit:] if limit > 0 else ()

    def clear_history(self) -> None:
        """Nothing was said."""
        self._history.clear()

    async def subscribe(self) -> AsyncIterator[Change]:
        """Every change from the first request on, until the listener goes away."""
        mailbox = _Subscriber()
        self._subscribers.append(mailbox)
        try:
            while True:
                yield await mailbox.get()
        finally:
            self._subscribers.remove(mailbox)
