"""What to show of a picture: the user's search and the filters of a screen or a command, and the order."""

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from upload_tui.monitor.queries.terms import Where
from upload_tui.status import Stage

__all__ = ["Query", "SortKey"]


class SortKey(StrEnum):
    """What uploads can be sorted by; values are data fields."""

    INITIATED = "initiated"
    """Time of initiation: the service's order."""
    STAGE = "stage"
    SINCE = "since"
    """Time at which the present stage began."""
    NAME = "name"
    SIZE = "size"
    PROJECT = "project"
    SERVICE = "service"
    """The services of a combined view, in its order."""
    TOOK = "took"
    """Duration of the verification."""
    CHUNKS = "chunks"
    """Number of chunks received."""
    PROGRESS = "progress"
    """The received share of the declared size; completed, failed and verified uploads follow, in this order."""
    ID = "id"
    TROUBLE = "trouble"
    """Uploads in trouble first, the most serious first; then the others by time of initiation."""


class Query(Struct, frozen=True):
    """Which uploads to show, and in what order; empty sets do not filter.

    Attributes:
        where: what the user searches for, in addition to everything below.
        marked: the ids of the uploads that are marked, for `is:marked`.
        attention_only: only uploads in trouble.
        late_only: only overdue and stuck uploads, without acknowledged ones.
        recent_seconds: only uploads that reached their stage within this time; None means any.
        cause, storage_provider, uploader: only failed uploads with these, as in a `CauseGroup`; None means any.
        max_in_trouble: with the order `trouble`, at most this many uploads in trouble come first; None means all of them.
    """

    stages: frozenset[Stage] = frozenset()
    where: Where = Where()
    marked: frozenset[str] = frozenset()
    attention_only: bool = False
    late_only: bool = False
    recent_seconds: int | None = None
    cause: str | None = None
    storage_provider: str | None = None
    uploader: str | None = None
    project_ids: frozenset[str] = frozenset()
    sort: SortKey = SortKey.INITIATED
    descending: bool = True
    max_in_trouble: int | None = None

    @property
    def is_filtered(self) -> bool:
        """True if there is a search or a filter."""
        unfiltered = Query(
            where=Where(self.where.text),
            marked=self.marked,
            sort=self.sort,
            descending=self.descending,
            max_in_trouble=self.max_in_trouble,
        )
        return replace(self, where=replace(self.where, note="")) != unfiltered

    @property
    def is_newest_first(self) -> bool:
        """True if the first row is the upload that was initiated last."""
        return self.sort is SortKey.INITIATED and self.descending

    @property
    def is_by_failure(self) -> bool:
        """True if a cause, a storage provider or an uploader is selected."""
        return any(value is not None for value in (self.cause, self.storage_provider, self.uploader))
