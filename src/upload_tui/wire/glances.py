"""A page of uploads read at a glance: what a table shows of each, in a tenth of the time that reading it in full takes.

Only uploads about which there is nothing remarkable are read so; the others are left to `upload.read_upload`, which says all that
there is to say. Both say the same of the same upload. Used for the first fetch of very many.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

from upload_tui.status import Certainty, Stage
from upload_tui.status.anomalies import FUTURE_TOLERANCE
from upload_tui.wire.answers import SECRET_KEYS
from upload_tui.wire.resources import UploadResource

__all__ = ["Glance", "read_glances"]

_SECRETS = tuple(f'"{key}"'.encode() for key in SECRET_KEYS)
_A_KEYS = frozenset({"initiated_on", "completed_on", "verified_on", "error_on", "error_message"})
_DEPLOYED_KEYS = frozenset(
    {"initiated_on", "ready_for_chunks", "completed_on", "is_consistent", "purged_on", "error_on", "error_message"}
)
_REPORTED = str(Certainty.REPORTED)
_ESTIMATED = str(Certainty.ESTIMATED)


class _PageResource(TypedDict):
    results: list[UploadResource]


class Glance(NamedTuple):
    """What a table shows of an upload; times are milliseconds since 1970, sizes bytes, None is unknown as in `upload.Upload`."""

    id: str
    project_id: str
    project_name: str
    name: str
    size_bytes: int | None
    stage: Stage
    since_ms: int
    certainty: str
    initiated_ms: int
    completed_ms: int | None
    ended_ms: int | None
    activity_ms: int | None
    chunk_count: int | None
    chunk_bytes: int | None
    error_message: str
    storage_provider: str
    uploader: str
    is_purged: bool


@cache
def _validator() -> TypeAdapter[_PageResource]:
    return TypeAdapter(_PageResource)


def read_glances(body: bytes, read_on: datetime) -> Sequence[Glance | None] | None:
    """The uploads of a page, in its order; None in place of one that wants a closer look, None alone if the whole page does.

    A page that may hold a secret is never read so: its words could not be kept as they are.
    """
    if any(secret in body for secret in _SECRETS):
        return None
    try:
        page = _validator().validate_json(body)
    except ValidationError:
        return None
    latest_ms = round((read_on + FUTURE_TOLERANCE).timestamp() * 1000)
    now_ms = round(read_on.timestamp() * 1000)
    return [_glance(fields, now_ms, latest_ms) for fields in page["results"]]


def _glance(fields: UploadResource, now_ms: int, latest_ms: int) -> Glance | None:
    try:
        project, audit, status = fields["project"], fields["audit"], fields["status"]
        updated = _ms(audit["last_updated_on"])  # type: ignore[index]  # what is absent raises, as what is None does
        keys = status.keys()
        if keys == _A_KEYS:
            events = _times_a(status)
        elif keys == _DEPLOYED_KEYS:
            events = _times_deployed(status, updated, now_ms)
        else:
            return None
        if events is None:
            return None
        stage, initiated, completed, ended, certainty = events
        since = ended if ended is not None else completed if completed is not None else initiated
        if not fields["id"] or since > latest_ms:
            return None
        purged = status.get("purged_on") is not None
        count, total = _chunks(fields, is_over=stage is not Stage.INITIATED and not purged)
        return Glance(
            fields["id"], project["id"], project["name"] or "", fields["name"] or "", fields["size"], stage, since,  # type: ignore[index]
            certainty, initiated, completed, ended, updated, count, total, status["error_message"] or "",
            (fields.get("storage_provider") or {}).get("name") or "", _uploader(audit), purged,
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


Times = tuple[Stage, int, int | None, int | None, str]


def _times_a(status: Mapping[str, Any]) -> Times | None:
    initiated, completed = _ms(status["initiated_on"]), _ms(status["completed_on"])
    verified, error = _ms(status["verified_on"]), _ms(status["error_on"])
    if verified is not None and error is not None:
        return None
    ended = verified if verified is not None else error
    stage = Stage.VERIFIED if verified is not None else Stage.ERROR
    return _ordered(status, stage, initiated, completed, ended, _REPORTED)


def _times_deployed(status: Mapping[str, Any], updated: int | None, now_ms: int) -> Times | None:
    initiated, completed, error = (_ms(status[key]) for key in ("initiated_on", "completed_on", "error_on"))
    flags = (status["is_consistent"], status["ready_for_chunks"])
    if any(flag is not None and flag is not True and flag is not False for flag in flags):
        return None
    if error is not None or not status["is_consistent"]:
        _ms(status["purged_on"])
        return _ordered(status, Stage.ERROR, initiated, completed, error, _REPORTED)
    # When it was verified is not said: only a plain estimate is read here.
    if status["purged_on"] is not None or updated is None or completed is None or not completed <= updated <= now_ms:
        return None
    return _ordered(status, Stage.VERIFIED, initiated, completed, updated, _ESTIMATED)


def _ordered(
    status: Mapping[str, Any],
    final: Stage,
    initiated: int | None,
    completed: int | None,
    ended: int | None,
    certainty: str,
) -> Times | None:
    """The times if they are in order and complete; the stage that they mean."""
    message = status["error_message"]
    is_error = ended is not None and final is Stage.ERROR
    if initiated is None or (message is not None and not (is_error and type(message) is str)):
        return None
    if ended is not None:
        return (
            (final, initiated, completed, ended, certainty) if completed and initiated <= completed <= ended else None
        )
    if completed is not None:
        return (Stage.COMPLETED, initiated, completed, None, _REPORTED) if initiated <= completed else None
    return Stage.INITIATED, initiated, None, None, _REPORTED


def _ms(text: Any) -> int | None:
    """Milliseconds since 1970 of a time as the service writes it; another form raises and so gets a closer look."""
    if text is None:
        return None
    if len(text) != 24 or text[23] != "Z" or text[10] != "T":
        raise ValueError(text)
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _chunks(fields: UploadResource, *, is_over: bool) -> tuple[int | None, int | None]:
    chunks = fields["chunks"]
    if chunks is None:
        return None, None
    total = 0
    numbers = set()
    for chunk in chunks:
        total += chunk["size"]
        numbers.add(chunk["number"])
    if len(numbers) != len(chunks):
        raise ValueError(numbers)
    if is_over and (total != fields["size"] or (numbers and max(numbers) != len(numbers)) or 0 in numbers):
        raise ValueError(numbers)
    return len(chunks), total


def _uploader(audit: Any) -> str:
    user = audit.get("created_by") or {}
    return user.get("full_name") or user.get("username") or ""
