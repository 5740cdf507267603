"""What a screen is handed: the picture to ask, the changes to hear, and the few wishes it may have.

`Session` is the seam between `monitor` and `tui`. Questions are answered from what is known, at once and without waiting for the
service; a question about a window costs the window, not the picture. Everything runs on one event loop.
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
    """A picture of the uploads of some projects, kept true."""

    @property
    def title(self) -> str:
        """A few words that tell this session from another: the profile, or the service's host."""
        ...

    @property
    def projects(self) -> Sequence[ProjectRef]:
        """The projects that are watched."""
        ...

    def now(self) -> datetime:
        """The present by the clock that all ages are reckoned with."""
        ...

    def window(self, query: Query, offset: int, limit: int, patience_seconds: float | None = None) -> Window:
        """At most `limit` rows of a query's answer from row `offset` (from 0).

        With `patience_seconds` a search that finds very many may tell what it found within them, and be settled later.
        """
        ...

    def position(self, query: Query, upload_id: str) -> int | None:
        """The row (from 0) at which an upload stands in a query's answer; None if it is not in it."""
        ...

    def funnel(self) -> Funnel:
        """The stages with their counts."""
        ...

    def pending(self, limit: int) -> Sequence[Row]:
        """The pending uploads, stuck ones first, then those that have waited longest."""
        ...

    def detail(self, upload_id: str) -> Detail | None:
        """One upload; None if it is not known."""
        ...

    def causes(self) -> Sequence[CauseGroup]:
        """The failed uploads by cause, storage provider and uploader, the largest group first."""
        ...

    def latencies(self) -> Sequence[LatencyHistogram]:
        """How long uploads took: initiated to completed, completed to verified, completed to error."""
        ...

    def connection(self) -> Connection:
        """The connection, the worst one if there are several services."""
        ...

    def history(self, limit: int) -> Sequence[Change]:
        """The last changes of uploads that were told, oldest first."""
        ...

    def changes(self) -> AsyncIterator[Change]:
        """Every change from now on.

        A listener that is late loses no change of an upload; `PictureChanged` and `SyncProgressed` that it was too late
        for are replaced by the newest.
        """
        ...

    async def run(self) -> None:
        """Keep the picture true until cancelled. Trouble with the service is a `ConnectionChanged`, never an exception."""
        ...

    def refresh(self) -> None:
        """Look at the service now rather than when the schedule says; also while paused (once)."""
        ...

    def pause(self) -> None:
        """Ask the service nothing more until `resume`."""
        ...

    def resume(self) -> None:
        """Go on after `pause`."""
        ...

    def set_watched(self, *, is_watched: bool) -> None:
        """Somebody looks at the picture again, who sees it fresh at once; or nobody seems to, and it need not be so fresh."""
        ...
