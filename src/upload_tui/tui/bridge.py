"""Passes changes from the session to the app in batches, a few times a second; the messages with which screens save a choice.

However fast the service changes, there are at most `1 / interval_seconds` batches a second, and no change of an upload is lost.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TextIO

from msgspec import Struct
from msgspec.structs import replace
from textual.message import Message

from upload_tui.monitor import (
    Change,
    Connection,
    ConnectionChanged,
    PictureChanged,
    ProjectRef,
    Session,
    SyncProgressed,
)
from upload_tui.tui.appearance.columns import ColumnSpec, ViewKind
from upload_tui.tui.preferences import View

__all__ = ["Bridge", "ChangeBatch", "ColumnsChosen", "ExportReady", "ThemeChosen", "ViewsChanged"]


_GATHERED_SECONDS = 0.01
"""Changes that a session publishes one after the other, at the end of a round for example, are one batch."""


class ChangeBatch(Struct, frozen=True):
    """The session's picture changed. `changes` are those of uploads since the last batch, oldest first; there may be none."""

    changes: tuple[Change, ...]


class ColumnsChosen(Message):
    """The user chose these columns, in this order, for a kind of view."""

    def __init__(self, view: ViewKind, columns: tuple[ColumnSpec, ...]) -> None:
        super().__init__()
        self.view = view
        self.columns = columns


class ExportReady(Message):
    """A text to save under this file name."""

    def __init__(self, text: TextIO, file_name: str) -> None:
        super().__init__()
        self.text = text
        self.file_name = file_name


class ThemeChosen(Message):
    """The user chose the theme of this name."""

    def __init__(self, theme: str) -> None:
        super().__init__()
        self.theme = theme


class ViewsChanged(Message):
    """The user saved or removed a view; these remain."""

    def __init__(self, views: Sequence[View]) -> None:
        super().__init__()
        self.views = views


class Bridge:
    """Runs a session and publishes its changes.

    Args:
        session: the session to run.
        publish: called on the event loop with each batch.
        interval_seconds: the shortest time between two batches.
    """

    def __init__(
        self, session: Session, publish: Callable[[ChangeBatch], None], interval_seconds: float = 0.25
    ) -> None:
        self._session = session
        self._publish = publish
        self._interval_seconds = interval_seconds
        self._pending: list[Change] = []
        self._has_changed = asyncio.Event()

    @property
    def is_current(self) -> bool:
        """True while the session runs and all its changes are published."""
        changes = self._session.changes
        return changes.has_subscribers and not (changes.has_unread or self._has_changed.is_set())

    async def run(self) -> None:
        """Run until cancelled.

        Raises:
            ExceptionGroup: the session ended with an error.
        """
        with self._session.changes.subscribe() as changes:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._collect(changes), name="collect changes")
                tasks.create_task(self._publish_batches(), name="publish batches")
                tasks.create_task(self._session.run(), name="run the session")

    async def _collect(self, changes: AsyncIterator[Change]) -> None:
        connections: dict[ProjectRef | None, Connection] = {}
        async for change in changes:
            if isinstance(change, ConnectionChanged):
                connection = replace(change.connection, read_on=None, requests_last_minute=None)
                if connections.get(change.project) == connection:
                    continue  # a round that found nothing: the screen's next tick shows the age
                connections[change.project] = connection
            if not isinstance(change, PictureChanged | SyncProgressed):
                self._pending.append(change)
            self._has_changed.set()

    async def _publish_batches(self) -> None:
        while True:
            await self._has_changed.wait()
            await asyncio.sleep(_GATHERED_SECONDS)
            self._has_changed.clear()
            changes, self._pending = tuple(self._pending), []
            self._publish(ChangeBatch(changes))
            await asyncio.sleep(self._interval_seconds)
