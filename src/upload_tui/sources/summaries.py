"""Fast summaries of lines: the fields that a table needs, in a tenth of the time of a full parse.

Only lines without anything unusual are summarized; `uploads.parse_upload` reads the others. Both agree on the same line.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Literal

from msgspec import Meta, MsgspecError, Struct
from msgspec.json import Decoder, encode

from upload_tui.redaction import may_contain_secret
from upload_tui.sources.contract import MAX_ID_CHARACTERS, MAX_NUMBER
from upload_tui.sources.records import CONTRACT_VERSION
from upload_tui.status import FUTURE_TOLERANCE, Certainty, Stage
from upload_tui.wire import UploadSummary, read_ms

__all__ = ["can_store_as_printed", "read_line_summary", "stored_page"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_REPORTED = str(Certainty.REPORTED)
_OBSERVED = str(Certainty.OBSERVED)
_STAGES = {str(stage): stage for stage in Stage}

_Count = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]


class _Chunk(Struct, forbid_unknown_fields=True, gc=False):
    number: _Count
    size: _Count


class _Line(Struct, forbid_unknown_fields=True, gc=False):
    """The usual fields of a line. One that has any other field needs a full parse."""

    id: Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARACTERS)]
    name: str
    type: Literal["upload"] | None = None
    project: str | None = None
    size: _Count | None = None
    stage: str | None = None
    on: str | None = None
    initiated_on: str | None = None
    completed_on: str | None = None
    verified_on: str | None = None
    error_on: str | None = None
    error_message: None = None
    updated_on: str | None = None
    chunks: list[_Chunk] | None = None
    received_bytes: _Count | None = None
    by: str | None = None
    content_type: str | None = None


@cache
def _decoder() -> Decoder[_Line]:
    return Decoder(_Line)


def read_line_summary(line: bytes, read_on: datetime, default_project: str) -> UploadSummary | None:
    """Summarize a line; None if it needs a full parse.

    Args:
        line: without its end.
        read_on: the clock when the line was read.
        default_project: as for `parse_upload`.
    """
    try:
        fields = _decoder().decode(line)
        updated = read_ms(fields.updated_on)
        times = _times(fields, read_on)
    except (MsgspecError, ValueError, OverflowError, RecursionError):
        return None
    if times is None:
        return None
    stage, initiated, completed, ended, certainty = times
    since = ended if ended is not None else completed if completed is not None else initiated
    chunks = fields.chunks
    received = fields.received_bytes if chunks is None else sum([chunk.size for chunk in chunks])
    if received is not None and received > MAX_NUMBER:
        return None
    project = fields.project or default_project
    return UploadSummary(
        fields.id, project, project, fields.name, fields.size, stage, since or 0, certainty, initiated, completed, ended, updated,
        None if chunks is None else len(chunks), received, "", "", fields.by or "", False, fields.content_type or "",
    )  # fmt: skip


_StageTimes = tuple[Stage, int | None, int | None, int | None, str]
"""The stage; when it was initiated, completed, ended (milliseconds since 1970); the certainty of the last of them."""


def _times(fields: _Line, read_on: datetime) -> _StageTimes | None:
    """The stage and its times; None unless they are in order and not in the future. Raises ValueError if one cannot be read."""
    initiated, completed = read_ms(fields.initiated_on), read_ms(fields.completed_on)
    verified, error = read_ms(fields.verified_on), read_ms(fields.error_on)
    given = [one for one in (initiated, completed, verified, error) if one is not None]
    if not given:
        return _stage_times(fields, read_on)
    if fields.stage is not None or fields.on is not None or (verified is not None and error is not None):
        return None
    if given != sorted(given) or given[-1] > _latest_ms(read_on):
        return None
    if error is not None:
        return Stage.ERROR, initiated, completed, error, _REPORTED
    if verified is not None:
        return Stage.VERIFIED, initiated, completed, verified, _REPORTED
    return Stage.INITIATED if completed is None else Stage.COMPLETED, initiated, completed, None, _REPORTED


def _stage_times(fields: _Line, read_on: datetime) -> _StageTimes | None:
    """The stage that a line names, else that it exists; without its time it was reached at the latest when it was read."""
    on = read_ms(fields.on)
    stage = Stage.INITIATED if fields.stage is None else _STAGES.get(fields.stage)
    if stage is None or (fields.stage is None and on is not None) or (on is not None and on > _latest_ms(read_on)):
        return None
    certainty = _OBSERVED if on is None else _REPORTED
    at = (read_on - _EPOCH) // _MILLISECOND if on is None else on
    if stage is Stage.INITIATED:
        return stage, at, None, None, certainty
    return (stage, None, at, None, certainty) if stage is Stage.COMPLETED else (stage, None, None, at, certainty)


def _latest_ms(read_on: datetime) -> int:
    return (read_on + FUTURE_TOLERANCE - _EPOCH) // _MILLISECOND


def can_store_as_printed(lines: bytes) -> bool:
    """Whether one or more lines that were summarized can be stored as they are: they are UTF-8 and certainly contain no secret."""
    try:
        lines.decode()
    except UnicodeDecodeError:
        return False
    return not may_contain_secret(lines)


def stored_page(lines: list[bytes], default_project: str) -> bytes:
    """A page of raw JSON of these lines; each entry is the same as in the reading of a new upload (see `records`)."""
    before = b'{"source":%d,"project":%b,"line":' % (CONTRACT_VERSION, encode(default_project))
    after = b',"seen":{}}'
    return b'{"results":[%b%b%b]}' % (before, (after + b"," + before).join(lines), after)
