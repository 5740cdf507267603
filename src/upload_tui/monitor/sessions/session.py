"""The protocol of a session: a picture to read, changes to subscribe to, and controls for refreshing.

`Session` is the interface between `monitor` and `tui`. Reading never waits for the service; reading a window costs the size of the
window, not of the picture. Everything runs on one event loop.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from upload_tui.monitor.changes import Change
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

__all__ = ["Session"]


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
