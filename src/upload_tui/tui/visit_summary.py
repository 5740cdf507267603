"""What happened since the user's last visit, counted from the picture."""

from bisect import bisect_left
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
    """How many uploads are new, were verified, failed or became overdue since a time."""

    since: datetime
    new: int = 0
    verified: int = 0
    failed: int = 0
    newly_overdue: int = 0

    def text(self, now: datetime) -> str:
        """One line, problems first."""
        counts = [
            (self.failed, "failed"),
            (self.newly_overdue, "newly overdue"),
            (self.new, "new"),
            (self.verified, "verified"),
        ]
        summary = ", ".join(f"{count:,} {label}" for count, label in counts if count) or "nothing new"
        return f"Since your last visit {age_text((now - self.since).total_seconds())} ago: {summary}"


def summary_since(session: Session, last_visit: LastVisit) -> VisitSummary:
    """Count what happened since a visit. Fetches a few single rows, however many uploads there are."""

    def count_ended(stage: Stage) -> int:
        query = Query(stages=frozenset({stage}), sort=SortKey.SINCE)
        return _count(session, query, lambda row: row.stage_since is not None and row.stage_since > last_visit.on)

    return VisitSummary(
        since=last_visit.on,
        new=_count(session, Query(), lambda row: row.initiated_on is not None and row.initiated_on > last_visit.on),
        verified=count_ended(Stage.VERIFIED),
        failed=count_ended(Stage.ERROR),
        newly_overdue=len(overdue_ids(session) - last_visit.overdue_ids),
    )


def overdue_ids(session: Session) -> frozenset[str]:
    """The ids of the pending uploads that are overdue."""
    return frozenset(row.id for row in session.pending(_MAX_PENDING) if row.lateness.is_overdue)


def _count(source: RowSource, query: Query, is_new: Callable[[Row], bool]) -> int:
    """The number of new rows. The query sorts them to the top."""

    def is_old(index: int) -> bool:
        rows = source.window(query, index, 1).rows
        return not rows or not is_new(rows[0])

    return bisect_left(range(source.window(query, 0, 0).total), True, key=is_old)
