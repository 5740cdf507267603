"""What a picture is: everything that is known of the watched uploads, and how current it is.

Reading a picture sends no request, and the cost of reading a window depends on its size, not on that of the picture.

How old the data are has four words:

- *as of*: when a project, or the picture, was last current; the present while it is live. Lateness is as of then, so that no upload
  becomes late while it cannot be read.
- *read on*: when an upload, or everything, was last read.
- *current*: a row whose project was live when the row was made. Only then do estimates hold, such as the time left.
- *stale*: an upload that may have changed since it was read: one that is not final, and whose project is not live or was not read in
  this session, or whose present state the service does not return.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from upload_tui.clock import Clock
from upload_tui.monitor.analysis.statistics import LatencyHistogram
from upload_tui.monitor.model import (
    Acknowledgement,
    CauseGroup,
    Connection,
    Detail,
    Funnel,
    Row,
    Window,
)
from upload_tui.monitor.queries.query import Query

__all__ = ["CachedFreshness", "ConnectionFreshness", "EmptyPicture", "Freshness", "PartlyCachedFreshness", "Picture"]


class Picture(Protocol):
    """What is known of all watched uploads now."""

    @property
    def revision(self) -> int:
        """Increases whenever the uploads may have changed."""
        ...

    @property
    def service(self) -> str:
        """The service of all its uploads; empty if they are of several."""
        ...

    @property
    def clock(self) -> Clock:
        """The clock that all ages are computed with."""
        ...

    def as_of(self, project_id: str = "") -> datetime:
        """When the picture, or one of its projects, was last current."""
        ...

    def window(self, query: Query, offset: int, limit: int, patience_seconds: float | None = None) -> Window:
        """At most `limit` rows of a query's result from row `offset` (from 0).

        With `patience_seconds`, a large search returns what it found within that time; its window is not `is_settled` then.
        """
        ...

    # An upload is named by its id, and in a picture of several services also by its service; an empty one means any.

    def position(self, query: Query, upload_id: str, service: str = "") -> int | None:
        """The row (from 0) of an upload in a query's result; None if it is not in it."""
        ...

    def acknowledge(self, ids: Sequence[str], acknowledgement: Acknowledgement | None, service: str = "") -> None:
        """Acknowledge what is wrong with uploads; None takes it back. It is kept between sessions if the uploads are."""
        ...

    def row(self, upload_id: str, service: str = "") -> Row | None:
        """One upload as a row of the table; None if it is not known. Much faster than `detail`."""
        ...

    def detail(self, upload_id: str, service: str = "") -> Detail | None:
        """One upload in full; None if it is not known."""
        ...

    # `project_ids` limit an answer to these projects; empty means all.

    def funnel(self, project_ids: frozenset[str] = frozenset()) -> Funnel:
        """The stages with their counts."""
        ...

    def pending(self, limit: int, project_ids: frozenset[str] = frozenset()) -> Sequence[Row]:
        """The pending uploads: stuck, then overdue, then others; each the longest waiting first."""
        ...

    def causes(self, project_ids: frozenset[str] = frozenset()) -> Sequence[CauseGroup]:
        """The failed uploads by cause, storage provider and uploader, the largest group first."""
        ...

    def latencies(self, project_ids: frozenset[str] = frozenset()) -> Sequence[LatencyHistogram]:
        """Latencies from initiated to completed, completed to verified, and completed to error."""
        ...


class EmptyPicture:
    """A picture of no uploads; implements `Picture`. It is shown before anything is known, and needs no store.

    Args:
        clock: for the present.
    """

    revision = 0
    service = ""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def as_of(self, project_id: str = "") -> datetime:  # noqa: ARG002
        """The present."""
        return self.clock.now()

    def window(self, query: Query, offset: int, limit: int, patience_seconds: float | None = None) -> Window:  # noqa: ARG002
        """No rows."""
        return Window((), 0, 0, self.revision)

    def position(self, query: Query, upload_id: str, service: str = "") -> None:
        """None."""

    def acknowledge(self, ids: Sequence[str], acknowledgement: Acknowledgement | None, service: str = "") -> None:
        """Do nothing."""

    def row(self, upload_id: str, service: str = "") -> None:
        """None."""

    def detail(self, upload_id: str, service: str = "") -> None:
        """None."""

    def funnel(self, project_ids: frozenset[str] = frozenset()) -> Funnel:  # noqa: ARG002
        """Four empty stages."""
        return Funnel()

    def pending(self, limit: int, project_ids: frozenset[str] = frozenset()) -> Sequence[Row]:  # noqa: ARG002
        """No uploads."""
        return ()

    def causes(self, project_ids: frozenset[str] = frozenset()) -> Sequence[CauseGroup]:  # noqa: ARG002
        """No causes."""
        return ()

    def latencies(self, project_ids: frozenset[str] = frozenset()) -> Sequence[LatencyHistogram]:  # noqa: ARG002
        """No latencies."""
        return ()


class Freshness(Protocol):
    """How current the uploads of a picture are."""

    @property
    def read_since(self) -> datetime | None:
        """When this session began: pending uploads that were read before are stale; None if none are."""
        ...

    def as_of(self, project_id: str = "") -> datetime | None:
        """When a project (empty: any) was last current; None if it was not in this session."""
        ...


class CachedFreshness(Struct, frozen=True):
    """The freshness of what earlier sessions left, before this one, begun at `read_since`, has read anything."""

    read_since: datetime

    def as_of(self, project_id: str = "") -> None:
        """None: nothing was read in this session."""


class PartlyCachedFreshness(Struct, frozen=True):
    """The freshness of projects that this session has just read, except those with these ids, which it could not read."""

    clock: Clock
    cached_ids: frozenset[str]
    read_since = None

    def as_of(self, project_id: str = "") -> datetime | None:
        """The present, or None for a project that is as an earlier session left it."""
        return None if project_id in self.cached_ids else self.clock.now()


class ConnectionFreshness:
    """The freshness of uploads that are as current as one connection.

    Args:
        clock: for the present.
        connection: the connection; replace it when its state changes.

    Attributes:
        of_projects: the connections of single projects by their ids, as far as they have their own.
    """

    read_since = None

    def __init__(self, clock: Clock, connection: Connection) -> None:
        self._clock = clock
        self.connection = connection
        self.of_projects: dict[str, Connection] = {}

    def as_of(self, project_id: str = "") -> datetime:
        """When the connection, or that of the project, was last live."""
        now = self._clock.now()
        connections = [own for own_id, own in self.of_projects.items() if project_id in {"", own_id}]
        return max(connection.as_of(now) for connection in connections or [self.connection])
