"""The dashboard over a store, without a service: `python -m tests.benchmarks.programs.stored_dashboard FILE`."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from tests.benchmarks.uploads import NEWEST, PROJECT
from upload_tui.cli.support.dashboard import require_terminal
from upload_tui.monitor import ChangeBroadcaster, Connection, ConnectionState, ProjectRef, Store, StorePicture
from upload_tui.testing import FrozenClock


class StoredSession:
    """Implements `Session`. Nothing changes, so each frame is the response to a key."""

    title = "benchmark"
    projects: Sequence[ProjectRef] = (PROJECT,)

    def __init__(self, store: Store) -> None:
        self._clock = FrozenClock(NEWEST + timedelta(hours=1))
        self.picture = StorePicture(store, self._clock, "https://example.org")
        self.changes = ChangeBroadcaster()

    def connection(self, project_ids: frozenset[str] = frozenset()) -> Connection:
        """Live."""
        return Connection(state=ConnectionState.LIVE, since=self._clock.now(), read_on=self._clock.now())

    async def run(self) -> None:
        """Wait until cancelled."""
        await asyncio.Event().wait()

    def refresh(self) -> None:
        """Do nothing."""

    def set_paused(self, *, is_paused: bool) -> None:
        """Do nothing."""

    def set_watched(self, *, is_watched: bool) -> None:
        """Do nothing."""


if __name__ == "__main__":
    require_terminal()  # as each command with a dashboard does
    from upload_tui.tui import UploadApp

    UploadApp(StoredSession(Store(Path(sys.argv[1])))).run()
