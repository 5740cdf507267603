"""What a picture says of the past: the stages that were reached since a time, as if they had been told then."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from upload_tui.monitor.changes import StageReached, UploadRef
from upload_tui.monitor.model import Detail, Query, SortKey
from upload_tui.monitor.sessions.session import Session

__all__ = ["stages_since"]

_BATCH_ROWS = 500


def stages_since(session: Session, since: datetime) -> Sequence[StageReached]:
    """All stages that were reached at `since` or later, as well as that is known, oldest first."""
    changes = [
        change
        for detail in _entered_stage_since(session, since)
        for change in _stage_changes(detail)
        if _event_time(change) >= since
    ]
    return sorted(changes, key=_event_time)


def _entered_stage_since(session: Session, since: datetime) -> Iterator[Detail]:
    """The uploads whose present stage began since then; the others reached none since."""
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
