"""The one way from the session to the screen: gathers changes and passes them on a few times a second.

However fast the service changes, the screen is told at most `1 / interval_seconds` times a second, and of every change.
"""

import asyncio
from collections.abc import Callable

from upload_tui.monitor import Change, PictureChanged, Session, SyncProgressed
from upload_tui.tui.messages import ChangeBatch

__all__ = ["Bridge"]


class Bridge:
    """Listens to a session until cancelled.

    Args:
        session: whom to listen to; it is also kept running.
        publish: called on the event loop with each bundle of changes.
        interval_seconds: the shortest time between two bundles.
    """

    def __init__(
        self, session: Session, publish: Callable[[ChangeBatch], None], interval_seconds: float = 0.25
    ) -> None:
        self._session = session
        self._publish = publish
        self._interval_seconds = interval_seconds
        self._pending: list[Change] = []
        self._has_changed = asyncio.Event()

    async def run(self) -> None:
        """Keep the session running, gather what it says and pass it on."""
        async with asyncio.TaskGroup() as tasks:
            listening = asyncio.Event()
            tasks.create_task(self._collect(listening), name="gather changes")
            tasks.create_task(self._publish_batches(), name="pass changes on")
            await listening.wait()
            tasks.create_task(self._session.run(), name="keep the picture true")

    async def _collect(self, is_listening: asyncio.Event) -> None:
        changes = self._session.changes()
        is_listening.set()
        async for change in changes:
            if not isinstance(change, PictureChanged | SyncProgressed):
                self._pending.append(change)
            self._has_changed.set()

    async def _publish_batches(self) -> None:
        while True:
            await self._has_changed.wait()
            self._has_changed.clear()
            gathered, self._pending = tuple(self._pending), []
            self._publish(ChangeBatch(gathered))
            await asyncio.sleep(self._interval_seconds)
