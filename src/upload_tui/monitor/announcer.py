"""Hands each change to every listener, in order; late listeners lose no change of an upload."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from upload_tui.monitor.changes import Change, PictureChanged, SyncProgressed

__all__ = ["Announcer"]

_REMEMBERED = 10_000


class _Mailbox:
    """What one listener has not heard yet; of replaceable changes only the newest of each kind."""

    def __init__(self) -> None:
        self._changes: deque[Change] = deque()
        self._replaceable: dict[type[Change], Change] = {}
        self._news = asyncio.Event()

    def put(self, change: Change) -> None:
        if isinstance(change, PictureChanged | SyncProgressed):
            self._replaceable[type(change)] = change
        else:
            self._changes.append(change)
        self._news.set()

    async def take(self) -> Change:
        while not self._changes and not self._replaceable:
            self._news.clear()
            await self._news.wait()
        if self._changes:
            return self._changes.popleft()
        return self._replaceable.pop(next(iter(self._replaceable)))


class Announcer:
    """One speaker, any number of listeners. Remembers the last changes of uploads.

    Args:
        first: called with each change before the listeners have it.
    """

    def __init__(self, first: Callable[[Change], None] | None = None) -> None:
        self._first = first
        self._mailboxes: list[_Mailbox] = []
        self._past: deque[Change] = deque(maxlen=_REMEMBERED)

    @property
    def is_heard(self) -> bool:
        """True if anybody listens."""
        return bool(self._mailboxes)

    def say(self, change: Change) -> None:
        """Hand a change to everybody who listens now."""
        if self._first is not None:
            self._first(change)
        if not isinstance(change, PictureChanged | SyncProgressed):
            self._past.append(change)
        for mailbox in self._mailboxes:
            mailbox.put(change)

    def past(self, limit: int) -> tuple[Change, ...]:
        """The last changes said, oldest first."""
        return tuple(self._past)[-limit:] if limit > 0 else ()

    def forget(self) -> None:
        """Nothing was said."""
        self._past.clear()

    async def listen(self) -> AsyncIterator[Change]:
        """Every change from the first request on, until the listener goes away."""
        mailbox = _Mailbox()
        self._mailboxes.append(mailbox)
        try:
            while True:
                yield await mailbox.take()
        finally:
            self._mailboxes.remove(mailbox)
