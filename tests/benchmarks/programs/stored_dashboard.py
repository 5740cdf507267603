"""The dashboard over a store and no service: `python -m tests.benchmarks.programs.stored_dashboard FILE`."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

from tests.benchmarks.uploads import NEWEST, PROJECT
from upload_tui.cli.dashboard.terminal import require_terminal
from upload_tui.monitor import Change, ChangeBroadcaster, Connection, ConnectionState, ProjectRef, Store, StorePicture
from upload_tui.testing import FrozenClock


class StoredSession(StorePicture):
    """Implements `Session`; nothing ever happens, so that a key's frame is a key's frame."""

    title = "benchmark"
    projects: Sequence[ProjectRef] = (PROJECT,)

    def __init__(self, store: Store) -> None:
        super().__init__(store, FrozenClock(NEWEST + timedelta(hours=1)), "https://example.org")
        self._announcer = ChangeBroadcaster()

    def connection(self) -> Connection:
        """Live."""
        return Connection(state=ConnectionState.LIVE, since=self.now(), read_on=self.now())

    def history(self, limit: int) -> Sequence[Change]:
        """Nothing."""
        return ()

    def changes(self) -> AsyncIterator[Change]:
        """Nothing, ever."""
        return self._announcer.subscribe()

    async def run(self) -> None:
        """Wait to be cancelled."""
        await asyncio.Event().wait()

    def refresh(self) -> None:
        """There is nobody to ask."""

    def pause(self) -> None:
        """There is nothing to pause."""

    def resume(self) -> None:
        """There is nothing to go on with."""

    def set_watched(self, *, is_watched: bool) -> None:
        """There is nobody to ask, whoever looks."""


if __name__ == "__main__":
    require_terminal()  # as every command that shows the dashboard begins
    from upload_tui.tui import UploadApp

    UploadApp(StoredSession(Store(Path(sys.argv[1])))).run()
