"""What happened since the user's last visit to the dashboard, and the record of a visit."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from upload_tui.monitor import LastVisit, Picture, Query, Row, SortKey, parse_query
from upload_tui.status import Stage
from upload_tui.text import age_text

__all__ = ["VisitSummary", "count_since_visit", "overdue_ids", "visit_of_picture"]

_MAX_PENDING = 1000
_MAX_IDS = 2000
"""Of more gone uploads, or more in own states, no ids are kept: they are read while the screen waits."""
_GONE, _OWN_STATE = (Query(where=parse_query(text)) for text in ("is:gone", "stage:unknown"))


class VisitSummary(Struct, frozen=True):
    """How many uploads failed, became stuck or overdue, are new, were verified or are gone since a time."""

    since: datetime
    new: int = 0
    verified: int = 0
    failed: int = 0
    newly_stuck: int = 0
    newly_overdue: int = 0
    gone: int = 0

    def text(self, now: datetime) -> str:
        """One line, problems first."""
        counts = [
            (self.failed, "failed"),
            (self.newly_stuck, "newly stuck"),
            (self.newly_overdue, "newly overdue"),
            (self.new, "new"),
            (self.verified, "verified"),
            (self.gone, "gone"),
        ]
        summary = ", ".join(f"{count:,} {label}" for count, label in counts if count) or "nothing new"
        return f"Since your last visit {age_text((now - self.since).total_seconds())} ago: {summary}"


def count_since_visit(picture: Picture, last_visit: LastVisit) -> VisitSummary:
    """Count what happened since a visit. Of uploads with known times it fetches a few single rows, however many there are."""

    def count_ended(stage: Stage) -> int:
        query = Query(stages=frozenset({stage}), sort=SortKey.SINCE)
        return _count(picture, query, lambda row: row.stage_since is not None and row.stage_since > last_visit.on)

    def is_new(row: Row) -> bool:
        return row.begun_on is not None and row.begun_on > last_visit.on

    # A state of the service's own may be all that is known of an upload: it begins anew with each.
    own, own_before = _rows(picture, _OWN_STATE), last_visit.own_state_ids
    if own is None or own_before is None:
        known_before = _count(picture, _OWN_STATE, is_new)
    else:
        known_before = sum(is_new(row) and _id_in(picture, row) in own_before for row in own)
    gone, gone_before = _rows(picture, _GONE) or (), last_visit.gone_ids
    late = [row for row in _overdue_rows(picture) if _id_in(picture, row) not in last_visit.overdue_ids]
    stuck = sum(row.lateness.is_stuck for row in late)
    return VisitSummary(
        since=last_visit.on,
        new=_count(picture, Query(), is_new) - known_before,
        verified=count_ended(Stage.VERIFIED),
        failed=count_ended(Stage.ERROR),
        newly_stuck=stuck,
        newly_overdue=len(late) - stuck,
        gone=0 if gone_before is None else sum(_id_in(picture, row) not in gone_before for row in gone),
    )


def visit_of_picture(picture: Picture, on: datetime, previous: LastVisit | None) -> LastVisit:
    """Make the record of a visit. What was overdue at the visit before and is gone now is not new when it comes back."""
    gone = _ids(picture, _GONE)
    overdue_before = previous.overdue_ids & (gone or frozenset()) if previous else frozenset()
    return LastVisit(on, overdue_ids(picture) | overdue_before, own_state_ids=_ids(picture, _OWN_STATE), gone_ids=gone)


def overdue_ids(picture: Picture) -> frozenset[str]:
    """The ids of the pending uploads that are overdue; in a picture of several services each after its service."""
    return frozenset(_id_in(picture, row) for row in _overdue_rows(picture))


def _overdue_rows(picture: Picture) -> Iterator[Row]:
    return (row for row in picture.pending(_MAX_PENDING) if row.lateness.is_overdue)


def _rows(picture: Picture, query: Query) -> Sequence[Row] | None:
    """The rows of a query; None if there are more than `_MAX_IDS`."""
    found = picture.window(query, 0, _MAX_IDS)
    return found.rows if found.total <= _MAX_IDS else None


def _ids(picture: Picture, query: Query) -> frozenset[str] | None:
    rows = _rows(picture, query)
    return None if rows is None else frozenset(_id_in(picture, row) for row in rows)


def _id_in(picture: Picture, row: Row) -> str:
    return row.id if picture.service else f"{row.service} {row.id}"


def _count(picture: Picture, query: Query, is_new: Callable[[Row], bool]) -> int:
    """The number of new rows. The query sorts them to the top."""

    def is_old(index: int) -> bool:
        rows = picture.window(query, index, 1).rows
        return not rows or not is_new(rows[0])

    return bisect_left(range(picture.window(query, 0, 0).total), True, key=is_old)
