"""What happened since a time or the last visit, and the file of that visit.

`report` needs the ids, and has read all uploads; the dashboard counts them, however many there are, and reads a few.
"""

import json
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from upload_tui.errors import StorageError
from upload_tui.files import parse_json, read_text, write_hint, write_private_file
from upload_tui.monitor.changes import StageReached, UploadRef
from upload_tui.monitor.model import Detail, Row
from upload_tui.monitor.queries.query import UNKNOWN_STAGE, Query, SortKey, StageTerm, State, StateTerm, Where
from upload_tui.status import Ability, Origin, Stage
from upload_tui.text import age_text
from upload_tui.wire import Upload, format_time, parse_time

if TYPE_CHECKING:
    from upload_tui.monitor.picture import Picture

__all__ = [
    "CountsSince",
    "LastVisit",
    "UploadsSince",
    "counts_since",
    "overdue_ids",
    "read_last_visit",
    "save_last_visit",
    "stages_since",
    "uploads_since",
    "visit_of_picture",
    "visit_of_uploads",
]

_BATCH_ROWS = 500
_OPTIONAL_IDS = ("own_state_ids", "gone_ids")
_MAX_PENDING = 1000
_MAX_IDS = 2000
"""Of more gone uploads, or more in own states, no ids are kept: they are read while the screen waits."""
_GONE = Query(where=Where(tree=StateTerm(frozenset({State.GONE}))))
_OWN_STATE = Query(where=Where(tree=StageTerm(frozenset({UNKNOWN_STAGE}))))


class LastVisit(Struct, frozen=True):
    """The last visit.

    Attributes:
        on: its time.
        overdue_ids: the ids of the uploads that were overdue then.
        stages: the stages of all uploads known then, by id; None if only the time is known.
        own_state_ids, gone_ids: the ids of the uploads in states of the service's own, and of those that were gone; None if unknown.
    """

    on: datetime
    overdue_ids: frozenset[str] = frozenset()
    stages: Mapping[str, Stage] | None = None
    own_state_ids: frozenset[str] | None = None
    gone_ids: frozenset[str] | None = None


class UploadsSince(Struct, frozen=True):
    """Ids of uploads that are new, verified, failed or newly overdue since a time; the fields are data fields of `report`."""

    since: datetime
    new: Sequence[str]
    verified: Sequence[str]
    failed: Sequence[str]
    newly_overdue: Sequence[str]


class CountsSince(Struct, frozen=True):
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


def read_last_visit(file: Path) -> LastVisit | None:
    """Read the last visit; None if there is no file or it is damaged."""
    try:
        fields: Mapping[str, Any] = parse_json(read_text(file))
        on, by_stage = parse_time(fields["on"]), fields.get("stages")
        stages = None if by_stage is None else {str(key): Stage(name) for name in by_stage for key in by_stage[name]}
        ids = {name: frozenset(map(str, fields[name])) for name in _OPTIONAL_IDS if name in fields}
        return None if on is None else LastVisit(on, frozenset(map(str, fields["overdue_ids"])), stages, **ids)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def save_last_visit(file: Path, visit: LastVisit) -> None:
    """Write a visit atomically, as the last one.

    Raises:
        StorageError: the file cannot be written.
    """
    fields: dict[str, Any] = {"on": format_time(visit.on), "overdue_ids": sorted(visit.overdue_ids)}
    if visit.stages is not None:
        by_stage: dict[str, list[str]] = {}
        for upload_id, stage in visit.stages.items():
            by_stage.setdefault(stage, []).append(upload_id)
        fields["stages"] = by_stage
    ids = {name: getattr(visit, name) for name in _OPTIONAL_IDS}
    fields.update((name, sorted(known)) for name, known in ids.items() if known is not None)
    try:
        write_private_file(file, json.dumps(fields))
    except OSError as error:
        raise StorageError(f"Cannot save this visit in {file}: {error.strerror}", write_hint(error)) from error


def visit_of_uploads(details: Sequence[Detail], on: datetime, previous: LastVisit | None) -> LastVisit:
    """Make the record of a visit, from the uploads that it showed.

    Args:
        details: the uploads.
        on: the time as of which they are current.
        previous: the visit before; what it knew of uploads that this one has not shown stays known.
    """
    shown = {detail.upload.id: detail.upload.stage for detail in details}
    overdue = {detail.upload.id for detail in details if detail.row.lateness.is_overdue}
    if previous is None:
        return LastVisit(on, frozenset(overdue), shown)
    return LastVisit(on, previous.overdue_ids - shown.keys() | overdue, {**(previous.stages or {}), **shown})


def visit_of_picture(picture: "Picture", on: datetime, previous: LastVisit | None) -> LastVisit:
    """Make the record of a visit. What was overdue at the visit before and is gone now is not new when it comes back."""
    gone = _ids(picture, _GONE)
    overdue_before = previous.overdue_ids & (gone or frozenset()) if previous else frozenset()
    return LastVisit(on, overdue_ids(picture) | overdue_before, own_state_ids=_ids(picture, _OWN_STATE), gone_ids=gone)


def uploads_since(details: Sequence[Detail], last_visit: LastVisit) -> UploadsSince:
    """Find what happened to uploads since the last visit.

    If the visit has stages, they are compared with the present ones: in successive visits each upload is new, verified
    or failed exactly once, even if a clock is wrong. If it has only a time, that is compared with the times that the
    service reports; what a source reports no time of counts when it was first observed.
    """
    known = last_visit.stages

    def reached(stage: Stage) -> list[str]:
        if known is not None:
            return [detail.upload.id for detail in details if _is_new_since(detail, stage, known)]
        return [detail.upload.id for detail in details if _is_reached_since(detail, stage, last_visit.on)]

    overdue = [detail.upload.id for detail in details if detail.row.lateness.is_overdue]
    return UploadsSince(
        since=last_visit.on.astimezone(UTC),
        new=reached(Stage.INITIATED),
        verified=reached(Stage.VERIFIED),
        failed=reached(Stage.ERROR),
        newly_overdue=[upload_id for upload_id in overdue if upload_id not in last_visit.overdue_ids],
    )


def _is_new_since(detail: Detail, stage: Stage, known: Mapping[str, Stage]) -> bool:
    """Whether an upload is new (`initiated`), or reached its end (`verified`, `error`), since its stages were `known`."""
    before = known.get(detail.upload.id)
    return before is None if stage is Stage.INITIATED else detail.upload.stage is stage and before is not stage


def _is_reached_since(detail: Detail, stage: Stage, since: datetime) -> bool:
    """Whether an upload is new, or reached its end, since a time."""
    timeline = detail.upload.timeline
    has_history = Origin.of(detail.row.service).has(Ability.STAGE_HISTORY)
    if stage is Stage.INITIATED and not has_history:
        return _is_listed_since(detail.upload, since)
    event = timeline.event(stage)
    if event is None:
        return False
    first_observed = event.latest if event.on is None and not has_history else None
    return bool(event.is_since(since) if first_observed is None else first_observed >= since)


def _is_listed_since(upload: Upload, since: datetime) -> bool:
    """Whether an upload without a history is new since a time: its initiation is, or else the first time known of it."""
    first = next(iter(upload.timeline), None)
    if first is not None and first.on is None and first.earliest is not None and upload.earlier_on is None:
        return False  # a stage that was reached again
    is_reported = first is not None and first.stage is Stage.INITIATED and first.on is not None
    on = first.on if first is not None and is_reported else upload.first_known_on
    return on is not None and on >= since


def counts_since(picture: "Picture", last_visit: LastVisit) -> CountsSince:
    """Count what happened since a visit. Of uploads with known times it fetches a few single rows, however many there are."""

    def count_ended(stage: Stage) -> int:
        query = Query(stages=frozenset({stage}), sort=SortKey.SINCE)
        return _count(picture, query, lambda row: row.stage_since is not None and row.stage_since > last_visit.on)

    def is_new(row: Row) -> bool:
        return row.first_event_on is not None and row.first_event_on > last_visit.on

    # A state of the service's own may be all that is known of an upload: it begins anew with each.
    own, own_before = _rows(picture, _OWN_STATE), last_visit.own_state_ids
    if own is None or own_before is None:
        known_before = _count(picture, _OWN_STATE, is_new)
    else:
        known_before = sum(is_new(row) and _id_in(picture, row) in own_before for row in own)
    gone, gone_before = _rows(picture, _GONE) or (), last_visit.gone_ids
    late = [row for row in _overdue_rows(picture) if _id_in(picture, row) not in last_visit.overdue_ids]
    stuck = sum(row.lateness.is_stuck for row in late)
    return CountsSince(
        since=last_visit.on,
        new=_count(picture, Query(), is_new) - known_before,
        verified=count_ended(Stage.VERIFIED),
        failed=count_ended(Stage.ERROR),
        newly_stuck=stuck,
        newly_overdue=len(late) - stuck,
        gone=0 if gone_before is None else sum(_id_in(picture, row) not in gone_before for row in gone),
    )


def overdue_ids(picture: "Picture") -> frozenset[str]:
    """The ids of the pending uploads that are overdue; in a picture of several services each after its service."""
    return frozenset(_id_in(picture, row) for row in _overdue_rows(picture))


def _overdue_rows(picture: "Picture") -> Iterator[Row]:
    return (row for row in picture.pending(_MAX_PENDING) if row.lateness.is_overdue)


def _rows(picture: "Picture", query: Query) -> Sequence[Row] | None:
    """The rows of a query; None if there are more than `_MAX_IDS`."""
    found = picture.window(query, 0, _MAX_IDS)
    return found.rows if found.total <= _MAX_IDS else None


def _ids(picture: "Picture", query: Query) -> frozenset[str] | None:
    rows = _rows(picture, query)
    return None if rows is None else frozenset(_id_in(picture, row) for row in rows)


def _id_in(picture: "Picture", row: Row) -> str:
    return row.id if picture.service else f"{row.service} {row.id}"


def _count(picture: "Picture", query: Query, is_new: Callable[[Row], bool]) -> int:
    """The number of new rows. The query sorts them to the top."""

    def is_old(index: int) -> bool:
        rows = picture.window(query, index, 1).rows
        return not rows or not is_new(rows[0])

    return bisect_left(range(picture.window(query, 0, 0).total), True, key=is_old)


def stages_since(picture: "Picture", since: datetime) -> Sequence[StageReached]:
    """The stages that uploads certainly reached at `since` or later, as changes, oldest first."""
    changes = [change for detail in _entered_stage_since(picture, since) for change in _stage_changes(detail, since)]
    return sorted(changes, key=lambda change: change.happened_on)


def _entered_stage_since(picture: "Picture", since: datetime) -> Iterator[Detail]:
    """The uploads whose present stage began since then; all others reached no stage since."""
    query, offset = Query(sort=SortKey.SINCE), 0
    while rows := picture.window(query, offset, _BATCH_ROWS).rows:
        offset += len(rows)
        for row in rows:
            if row.stage_since is None or row.stage_since < since:
                return
            detail = picture.detail(row.id)
            if detail is not None:
                yield detail


def _stage_changes(detail: Detail, since: datetime) -> Iterator[StageReached]:
    upload, before = detail.upload, None
    ref = UploadRef.of(detail)
    for event in upload.timeline:
        if event.is_since(since):
            yield StageReached.of(event, at=detail.row.read_on, upload=ref, before=before)
        before = event.stage
