"""What happened since a person last looked, told from the picture alone: how many are new, verified, failed, newly overdue."""

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from upload_tui.monitor import LastVisit, Query, Row, Session, SortKey
from upload_tui.status import Stage
from upload_tui.text import age_text
from upload_tui.tui.widgets.table.row_window import RowSource

__all__ = ["VisitSummary", "overdue_ids", "summary_since"]

_MAX_PENDING = 1000


class VisitSummary(Struct, frozen=True):
    """How many uploads are new, got verified, failed, or are overdue and were not."""

    since: datetime
    new: int = 0
    verified: int = 0
    failed: int = 0
    newly_overdue: int = 0

    def __bool__(self) -> bool:
        """True if anything happened."""
        return any((self.new, self.verified, self.failed, self.newly_overdue))

    def text(self, now: datetime) -> str:
        """One line, the worst first."""
        said = [
            (self.failed, "failed"),
            (self.newly_overdue, "newly overdue"),
            (self.new, "new"),
            (self.verified, "verified"),
        ]
        what = ", ".join(f"{count:,} {word}" for count, word in said if count) or "nothing new"
        return f"Since you last looked, {age_text((now - self.since).total_seconds())} ago: {what}"


def summary_since(session: Session, last_visit: LastVisit) -> VisitSummary:
    """The news; costs a few windows of one row, however many uploads there are."""

    def ended(stage: Stage) -> int:
        query = Query(stages=frozenset({stage}), sort=SortKey.SINCE)
        return _count(session, query, lambda row: row.stage_since is not None and row.stage_since > last_visit.on)

    return VisitSummary(
        since=last_visit.on,
        new=_count(session, Query(), lambda row: row.initiated_on is not None and row.initiated_on > last_visit.on),
        verified=ended(Stage.VERIFIED),
        failed=ended(Stage.ERROR),
        newly_overdue=len(overdue_ids(session) - last_visit.overdue_ids),
    )


def overdue_ids(session: Session) -> frozenset[str]:
    """The pending uploads that are overdue now."""
    return frozenset(row.id for row in session.pending(_MAX_PENDING) if row.lateness.is_overdue)


def _count(source: RowSource, query: Query, is_new: Callable[[Row], bool]) -> int:
    """How many rows from the top are new; the order puts them there, so halving finds the last one."""
    low, high = 0, source.window(query, 0, 0).total
    while low < high:
        middle = (low + high) // 2
        rows = source.window(query, middle, 1).rows
        if rows and is_new(rows[0]):
            low = middle + 1
        else:
            high = middle
    return low
