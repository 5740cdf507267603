"""Fast summaries of the uploads on a page: the fields a table needs, in a tenth of the time of a full parse.

Only uploads without anything unusual are summarized; `upload.parse_upload` parses the others. Both agree on the same upload, because
`bodies` and `times` decide for both what can be read. Used by the full scan of large projects.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from msgspec import MsgspecError, Raw, Struct
from msgspec.json import Decoder, decode

from upload_tui.redaction import may_contain_secret
from upload_tui.status import FUTURE_TOLERANCE, Certainty, Stage
from upload_tui.wire.bodies import is_fully_readable, may_repeat_row_key, may_repeat_stage_key
from upload_tui.wire.resources import MAX_NUMBER, AuditResource, UploadResource
from upload_tui.wire.times import EPOCH, MILLISECOND, parse_ms

__all__ = ["UploadSummary", "parse_summaries"]

_OPTION_A_KEYS = frozenset({"initiated_on", "completed_on", "verified_on", "error_on", "error_message"})
_DEPLOYED_KEYS = frozenset(
    {"initiated_on", "ready_for_chunks", "completed_on", "is_consistent", "purged_on", "error_on", "error_message"}
)
_REPORTED = str(Certainty.REPORTED)
_ESTIMATED = str(Certainty.ESTIMATED)


class _PageEntry(UploadResource, gc=False):
    status: Raw = Raw(b"null")


class _PageResource(Struct, gc=False):
    results: list[_PageEntry]


class UploadSummary(Struct, frozen=True, gc=False):
    """The fields of an upload for a table.

    Times are in milliseconds since 1970, sizes in bytes; None means unknown, as in `upload.Upload`.
    """

    id: str
    project_id: str
    project_name: str
    name: str
    size_bytes: int | None
    stage: Stage
    since_ms: int
    certainty: str
    initiated_ms: int | None
    completed_ms: int | None
    ended_ms: int | None
    activity_ms: int | None
    chunk_count: int | None
    chunk_bytes: int | None
    error_message: str
    storage_provider: str
    uploader: str
    is_purged: bool
    content_type: str


@cache
def _decoder() -> Decoder[_PageResource]:
    return Decoder(_PageResource)


def parse_summaries(
    body: bytes, read_on: datetime, project_id: str | None = None
) -> Sequence[UploadSummary | None] | None:
    """Summarize the uploads of a page, in order.

    Args:
        body: of the response.
        read_on: the reader's clock when it was read.
        project_id: the project whose page it is; uploads that do not name it need a full parse. None accepts any project.

    Returns:
        None in place of an upload that needs a full parse; None alone if the whole page does. A page that may contain a secret
        always does, since its bytes must not be stored as they are.
    """
    if may_contain_secret(body):
        return None
    try:
        page = _decoder().decode(body)
        statuses_json = b"[" + b",".join([entry.status for entry in page.results]) + b"]"
        statuses = decode(statuses_json)
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    given = [status for status in statuses if status is not None]
    if not is_fully_readable(body) or may_repeat_stage_key(body, given, statuses_json):
        return None
    if not _has_known_keys_only(body, page.results) and may_repeat_row_key(body):
        return None
    latest_ms = (read_on + FUTURE_TOLERANCE - EPOCH) // MILLISECOND
    now_ms = (read_on - EPOCH) // MILLISECOND
    return [
        _parse_summary(fields, status, now_ms, latest_ms)
        if project_id is None or (fields.project is not None and fields.project.id == project_id)
        else None
        for fields, status in zip(page.results, statuses, strict=True)
    ]


def _has_known_keys_only(body: bytes, entries: Sequence[_PageEntry]) -> bool:
    """Whether all ids, sizes, chunks and numbers of a body are those that were read from it, so that none is there twice."""
    chunks = [chunk for entry in entries for chunk in entry.chunks or ()]
    hashes = [one for entry in entries for one in entry.hashes or ()]
    audits = [audit for audit in (*[entry.audit for entry in entries], *[one.audit for one in hashes]) if audit]
    owners = [owner for entry in entries for owner in (entry, entry.project, entry.storage_provider)]
    users = [user for audit in audits for user in (audit.created_by, audit.last_updated_by, audit.deleted_by)]
    ids = len([one for one in (*owners, *users) if one and one.id])  # not one that is absent
    sizes = len([1 for entry in entries if entry.size is not None]) + len([1 for one in chunks if one.size is not None])
    lists = len([entry for entry in entries if entry.chunks is not None])
    numbers = len([chunk for chunk in chunks if chunk.number is not None])
    counts = [body.count(b'"%s"' % key) for key in (b"id", b"size", b"chunks", b"number")]
    return counts == [ids, sizes, lists, numbers]


def _parse_summary(fields: UploadResource, status: Any, now_ms: int, latest_ms: int) -> UploadSummary | None:
    project, audit = fields.project, fields.audit
    if not fields.id or project is None or audit is None or type(status) is not dict:
        return None
    try:
        updated = parse_ms(audit.last_updated_on)
        keys = status.keys()
        if keys == _OPTION_A_KEYS:
            times = _option_a_times(status)
        elif keys == _DEPLOYED_KEYS:
            times = _deployed_times(status, updated, now_ms)
        else:
            return None
        if times is None:
            return None
        stage, initiated, completed, ended, certainty = times
        since = ended if ended is not None else completed if completed is not None else initiated
        if since > latest_ms:
            return None
        is_purged = status.get("purged_on") is not None
        count, total = _chunks(fields, is_complete=stage is not Stage.INITIATED and not is_purged)
    except (TypeError, ValueError, OverflowError):
        return None
    provider = fields.storage_provider
    return UploadSummary(
        fields.id, project.id, project.name or "", fields.name or "", fields.size, stage, since, certainty, initiated, completed,
        ended, updated, count, total, status["error_message"] or "", (provider and provider.name) or "", _uploader(audit), is_purged,
        fields.content_type or "",
    )  # fmt: skip


StageTimes = tuple[Stage, int, int | None, int | None, str]
"""The stage; when it was initiated, completed, ended (milliseconds since 1970); the certainty of the last of them."""


def _option_a_times(status: Mapping[str, Any]) -> StageTimes | None:
    initiated, completed = parse_ms(status["initiated_on"]), parse_ms(status["completed_on"])
    verified, error = parse_ms(status["verified_on"]), parse_ms(status["error_on"])
    if verified is not None and error is not None:
        return None
    ended = verified if verified is not None else error
    stage = Stage.VERIFIED if verified is not None else Stage.ERROR
    return _ordered_times(status, stage, initiated, completed, ended, _REPORTED)


def _deployed_times(status: Mapping[str, Any], updated: int | None, now_ms: int) -> StageTimes | None:
    initiated, completed, error = (parse_ms(status[key]) for key in ("initiated_on", "completed_on", "error_on"))
    flags = (status["is_consistent"], status["ready_for_chunks"])
    if any(flag is not None and flag is not True and flag is not False for flag in flags):
        return None
    if error is not None or not status["is_consistent"]:
        purged = parse_ms(status["purged_on"])
        if purged is not None and purged <= 0:
            return None
        return _ordered_times(status, Stage.ERROR, initiated, completed, error, _REPORTED)
    # This shape has no time of verification: only the simplest estimate of it is made here.
    if status["purged_on"] is not None or updated is None or completed is None or not completed <= updated <= now_ms:
        return None
    return _ordered_times(status, Stage.VERIFIED, initiated, completed, updated, _ESTIMATED)


def _ordered_times(
    status: Mapping[str, Any],
    final: Stage,
    initiated: int | None,
    completed: int | None,
    ended: int | None,
    certainty: str,
) -> StageTimes | None:
    """The times and the stage that follows from them; None unless they are complete and in order."""
    message = status["error_message"]
    is_error = ended is not None and final is Stage.ERROR
    if (
        initiated is None
        or initiated <= 0
        or (message is not None and not (is_error and type(message) is str and message.strip()))
    ):
        return None
    if ended is not None:
        return (
            (final, initiated, completed, ended, certainty) if completed and initiated <= completed <= ended else None
        )
    if completed is not None:
        return (Stage.COMPLETED, initiated, completed, None, _REPORTED) if initiated <= completed else None
    return Stage.INITIATED, initiated, None, None, _REPORTED


def _chunks(fields: UploadResource, *, is_complete: bool) -> tuple[int | None, int | None]:
    """The number of chunks and their bytes. Raises if there is an anomaly, so that the upload gets a full parse."""
    chunks = fields.chunks
    if chunks is None:
        return None, None
    total = sum([chunk.size for chunk in chunks])  # type: ignore[misc]  # None raises
    numbers = {chunk.number for chunk in chunks}
    if total > MAX_NUMBER or len(numbers) != len(chunks) or None in numbers or 0 in numbers:
        raise ValueError(numbers)
    if is_complete and (total != fields.size or (numbers and max(numbers) != len(numbers))):  # type: ignore[type-var]
        raise ValueError(numbers)
    return len(chunks), total


def _uploader(audit: AuditResource) -> str:
    user = audit.created_by
    return "" if user is None else user.full_name or user.username or ""
