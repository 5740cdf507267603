"""What happened since a time: stages reached, a summary of new, finished and overdue uploads, and the file of the last visit."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from upload_tui.errors import StorageError
from upload_tui.monitor.changes import StageReached, UploadRef
from upload_tui.monitor.model import Detail, Query, SortKey
from upload_tui.private_files import write_private_file
from upload_tui.status import Stage
from upload_tui.wire import format_time, read_time

if TYPE_CHECKING:
    from upload_tui.monitor.sessions.session import Session

__all__ = ["LastVisit", "SinceSummary", "read_last_visit", "save_last_visit", "stages_since", "summarise_since"]

_BATCH_ROWS = 500


class LastVisit(Struct, frozen=True):
    """The last visit: its time, and the ids of the uploads that were overdue then."""

    on: datetime
    overdue_ids: frozenset[str] = frozenset()


class SinceSummary(Struct, frozen=True):
    """Ids of uploads that are new, verified, failed or newly overdue since a time; the fields are data fields of `report`."""

    since: datetime
    new: Sequence[str]
    verified: Sequence[str]
    failed: Sequence[str]
    newly_overdue: Sequence[str]


def read_last_visit(file: Path) -> LastVisit | None:
    """Read the last visit; None if there is no file or it is damaged."""
    try:
        fields: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        on = read_time(fields["on"])
        return None if on is None else LastVisit(on, frozenset(map(str, fields["overdue_ids"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_last_visit(file: Path, on: datetime, overdue_ids: Sequence[str]) -> None:
    """Write the last visit atomically.

    Raises:
        StorageError: the file cannot be written.
    """
    try:
        write_private_file(file, json.dumps({"on": format_time(on), "overdue_ids": list(overdue_ids)}))
    except OSError as error:
        raise StorageError(f"Cannot save this visit in {file}: {error.strerror}", "Check its permissions.") from error


def summarise_since(details: Sequence[Detail], last_visit: LastVisit) -> SinceSummary:
    """Summarise what happened to uploads since the last visit, by the times that the service reports."""

    def reached(stage: Stage) -> list[str]:
        return [
            detail.upload.id
            for detail in details
            if (event := detail.upload.timeline.event(stage)) and event.best_time and event.best_time > last_visit.on
        ]

    overdue = [detail.upload.id for detail in details if detail.row.lateness.is_overdue]
    return SinceSummary(
        since=last_visit.on.astimezone(UTC),
        new=reached(Stage.INITIATED),
        verified=reached(Stage.VERIFIED),
        failed=reached(Stage.ERROR),
        newly_overdue=[upload_id for upload_id in overdue if upload_id not in last_visit.overdue_ids],
    )


def stages_since(session: "Session", since: datetime) -> Sequence[StageReached]:
    """The stages that uploads reached at `since` or later, as changes, oldest first."""
    changes = [
        change
        for detail in _entered_stage_since(session, since)
        for change in _stage_changes(detail)
        if _event_time(change) >= since
    ]
    return sorted(changes, key=_event_time)


def _entered_stage_since(session: "Session", since: datetime) -> Iterator[Detail]:
    """The uploads whose present stage began since then; all others reached no stage since."""
    query, offset = Query(sort=SortKey.SINCE), 0
    while rows := session.window(query, offset, _BATCH_ROWS).rows:
        offset += len(rows)
        for row in rows:
            if row.stage_since is None or row.stage_since < since:
                return
            detail = session.detail(row.id)
            if detail is not None:
                yield detail


def _stage_changes(detail: Detail) -> Iterator[StageReached]:
    upload, before = detail.upload, None
    ref = UploadRef(upload.id, upload.name, upload.project_id, upload.project_name, detail.row.service)
    for event in upload.timeline:
        if event.best_time is not None:
            yield StageReached(
                at=detail.row.read_on,
                upload=ref,
                before=before,
                after=event.stage,
                on=event.on,
                certainty=event.certainty,
                earliest=event.earliest,
                latest=event.latest,
                error_message=event.message,
            )
        before = event.stage


def _event_time(change: StageReached) -> datetime:
    return change.on or change.latest or change.earliest or change.at
