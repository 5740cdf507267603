"""Fast summaries of lines: the fields that a table needs, in a tenth of the time of a full parse.

Only lines without anything unusual are summarized; `uploads.parse_source_upload` reads the others. Both agree on the same line.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Annotated, Literal

from msgspec import UNSET, Meta, MsgspecError, Struct, UnsetType
from msgspec.json import Decoder, decode, encode

from upload_tui.redaction import may_contain_secret
from upload_tui.sources.contract import MAX_ID_CHARACTERS, is_nested_deeply
from upload_tui.sources.records import CONTRACT_VERSION
from upload_tui.status import FUTURE_TOLERANCE, Certainty, Stage
from upload_tui.wire import EPOCH, MAX_NUMBER, MILLISECOND, UploadSummary, is_fully_readable, parse_ms, redact_name

__all__ = ["SummarizedLine", "can_store_as_printed", "printed_lines", "parse_line_summaries", "stored_page"]

_REPORTED = str(Certainty.REPORTED)
_OBSERVED = str(Certainty.OBSERVED)
_STAGES = {str(stage): stage for stage in Stage}

_Count = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
_Time = Annotated[str, Meta(min_length=1)]


class _Chunk(Struct, forbid_unknown_fields=True, gc=False):
    number: Annotated[int, Meta(ge=1, le=MAX_NUMBER)]
    size: _Count


class _Line(Struct, gc=False):
    """The usual fields of a line. What else `parse_source_upload` reads must have no value; other fields are for the raw view only.

    Encoded, it has each of its keys that are in the line once.
    """

    id: Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARACTERS)]
    name: str
    type: Literal["upload"] | UnsetType | None = UNSET
    project: str | UnsetType | None = UNSET
    size: _Count | UnsetType | None = UNSET
    stage: str | UnsetType | None = UNSET
    on: _Time | UnsetType | None = UNSET
    initiated_on: _Time | UnsetType | None = UNSET
    completed_on: _Time | UnsetType | None = UNSET
    verified_on: _Time | UnsetType | None = UNSET
    error_on: _Time | UnsetType | None = UNSET
    error_message: UnsetType | None = UNSET
    updated_on: _Time | UnsetType | None = UNSET
    chunks: list[_Chunk] | UnsetType | None = UNSET
    received_bytes: _Count | UnsetType | None = UNSET
    by: str | UnsetType | None = UNSET
    content_type: str | UnsetType | None = UNSET
    size_bytes: UnsetType | None = UNSET
    stage_since: UnsetType | None = UNSET
    stage_since_certainty: UnsetType | None = UNSET
    current: UnsetType | None = UNSET
    prior: UnsetType | None = UNSET
    timeline: UnsetType | None = UNSET
    anomalies: UnsetType | None = UNSET
    ended: UnsetType | None = UNSET
    final_chunks: UnsetType | None = UNSET


class _LineId(Struct, gc=False):
    id: str


class SummarizedLine(Struct, frozen=True, gc=False):
    """A line, its fields, and the summary of them."""

    line: bytes
    fields: _Line
    summary: UploadSummary


@cache
def _decoder() -> Decoder[_Line]:
    return Decoder(_Line)


@cache
def _id_decoder() -> Decoder[_LineId]:
    return Decoder(_LineId)


def parse_line_summaries(
    lines: Sequence[bytes], read_on: datetime, default_project: str
) -> Sequence[SummarizedLine | None]:
    """Summarize lines, in order; None for each one that needs a full parse.

    Args:
        lines: without their ends.
        read_on: the clock when the lines were read.
        default_project: as for `parse_source_upload`.
    """
    now_ms = (read_on - EPOCH) // MILLISECOND
    latest_ms = (read_on + FUTURE_TOLERANCE - EPOCH) // MILLISECOND
    found: list[SummarizedLine | None] = []
    for line, fields in zip(lines, _decode(lines), strict=True):
        summary = None if fields is None else _summary(fields, now_ms, latest_ms, default_project)
        found.append(None if fields is None or summary is None else SummarizedLine(line, fields, summary))
    return found


def _decode(lines: Sequence[bytes]) -> Sequence[_Line | None]:
    """The fields of each line; None for one that has others, or cannot be read."""
    # No JSON value continues from a `}` at the end of a line to a `{` at the start of the next: if there are as many values as
    # lines, each line is one.
    if all(line[:1] == b"{" and line[-1:] == b"}" for line in lines):
        try:
            found = _decoder().decode_lines(b"\n".join(lines))
        except (MsgspecError, ValueError, RecursionError):
            found = []
        if len(found) == len(lines):
            return found
    return [*map(_decode_line, lines)]


def _decode_line(line: bytes) -> _Line | None:
    try:
        return _decoder().decode(line)
    except (MsgspecError, ValueError, RecursionError):
        return None


def _summary(fields: _Line, now_ms: int, latest_ms: int, default_project: str) -> UploadSummary | None:
    try:
        updated = parse_ms(fields.updated_on) if fields.updated_on else None
        times = _times(fields, now_ms, latest_ms, updated)
    except (ValueError, OverflowError):
        return None
    if times is None or (updated is not None and not 0 < updated <= latest_ms):
        return None
    stage, since, certainty, initiated, completed, ended = times
    chunks, size, received, count = fields.chunks, fields.size, fields.received_bytes, None
    if chunks is not None and chunks is not UNSET:
        count, total = len(chunks), sum([chunk.size for chunk in chunks])
        if total > MAX_NUMBER or (isinstance(received, int) and received != total):
            return None
        received = total
    if isinstance(received, int) and isinstance(size, int) and received > size:
        return None
    project = fields.project or default_project
    return UploadSummary(
        fields.id, project, project, fields.name, None if size is UNSET else size, stage, since, certainty, initiated, completed,
        ended, updated, count, None if received is UNSET else received, "", "", fields.by or "", False, fields.content_type or "",
    )  # fmt: skip


_StageTimes = tuple[Stage, int, str, int | None, int | None, int | None]
"""The stage; since when, and how certain that is; when it was initiated, completed, ended. Times are in milliseconds since 1970."""


def _times(fields: _Line, now_ms: int, latest_ms: int, updated: int | None) -> _StageTimes | None:
    """The stage and its times; None unless they are in order and not in the future. Raises ValueError if one cannot be read."""
    initiated = parse_ms(fields.initiated_on) if fields.initiated_on else None
    completed = parse_ms(fields.completed_on) if fields.completed_on else None
    verified = parse_ms(fields.verified_on) if fields.verified_on else None
    error = parse_ms(fields.error_on) if fields.error_on else None
    ended = error if verified is None else verified
    since = ended if ended is not None else completed if completed is not None else initiated
    if since is None:
        return _stage_times(fields, now_ms, latest_ms, updated)
    if fields.stage is not None and fields.stage is not UNSET:
        return None
    if fields.on or since > latest_ms or (verified is not None and error is not None):
        return None
    if completed is not None and completed > since:
        return None
    if initiated is not None and initiated > (since if completed is None else completed):
        return None
    first = completed if initiated is None else initiated
    if (since if first is None else first) <= 0:  # what other systems write for null
        return None
    if ended is not None:
        stage = Stage.ERROR if verified is None else Stage.VERIFIED
    else:
        stage = Stage.INITIATED if completed is None else Stage.COMPLETED
    return stage, since, _REPORTED, initiated, completed, ended


def _stage_times(fields: _Line, now_ms: int, latest_ms: int, updated: int | None) -> _StageTimes | None:
    """The stage that a line names, else that it exists; without its time it was reached at the latest when it was read.

    An upload began before it was updated.
    """
    on = parse_ms(fields.on) if fields.on else None
    name = fields.stage
    stage = (Stage.INITIATED if on is None else None) if name is None or name is UNSET else _STAGES.get(name)
    if stage is None or (on is not None and not 0 < on <= latest_ms):
        return None
    certainty, at = (_OBSERVED, now_ms) if on is None else (_REPORTED, on)
    if stage is Stage.INITIATED:
        at = at if on is not None or updated is None else min(at, updated)
        return stage, at, certainty, at, None, None
    return (
        (stage, at, certainty, None, at, None) if stage is Stage.COMPLETED else (stage, at, certainty, None, None, at)
    )


def can_store_as_printed(lines: Sequence[SummarizedLine]) -> bool:
    """Whether lines can be stored as they are: the full parse reads them, and they certainly contain no secret.

    An id is shown whatever it looks like, and the other usual texts are times and stages. Unusual fields, and values that a
    repeated key hides, have quotation marks or brackets of their own.
    """
    texts = {one.summary.project_id for one in lines} | {one.summary.uploader for one in lines}
    texts |= {one.summary.content_type for one in lines}
    if may_contain_secret("\n".join(texts).encode()) or _has_secret_name([one.summary.name for one in lines]):
        return False
    printed = b"\n".join([one.line for one in lines])
    if rb"\u0022" in printed:
        return False
    fields = encode([one.fields for one in lines])
    if all(printed.count(sign) == fields.count(sign, 1, -1) for sign in (b'"', b"[", b"{")):
        return True
    if not is_fully_readable(printed) or may_contain_secret(printed):
        return False
    return printed.count(b'"') == _quotes_without_repeated_keys(printed)


def _has_secret_name(names: Sequence[str]) -> bool:
    # Only a secret in a URL in a name is hidden, and nearly always no name has a colon.
    return ":" in "".join(names) and any(redact_name(name) != name for name in names)


def _quotes_without_repeated_keys(printed: bytes) -> int:
    """The number of quotation marks in lines in which no key is repeated; -1 if one cannot be read."""
    try:
        found = [(line, decode(line)) for line in printed.split(b"\n")]
        return -1 if any(is_nested_deeply(*one) for one in found) else encode([value for _, value in found]).count(b'"')
    except (MsgspecError, ValueError, RecursionError):
        return -1


def stored_page(lines: Sequence[bytes], default_project: str) -> bytes:
    """The raw JSON of these lines as one page; each entry is the raw JSON that `records` makes of a new upload's line."""
    start, between, end = _page_parts(default_project)
    return b"".join([start, between.join(lines), end])


def printed_lines(page: bytes, default_project: str) -> Sequence[tuple[str, bytes]]:
    """The ids and lines of a page that `stored_page` made; none if it made no such page, or for another project."""
    start, between, end = _page_parts(default_project)
    if not (page.startswith(start) and page.endswith(end)):
        return ()
    lines = page[len(start) : -len(end)].split(between)
    try:
        return [(_id_decoder().decode(line).id, line) for line in lines]
    except MsgspecError:  # a line contains what is between two lines
        return ()


def _page_parts(default_project: str) -> tuple[bytes, bytes, bytes]:
    """What is before the first line of a page, between two, and after the last."""
    before = b'{"source":%d,"project":%b,"line":' % (CONTRACT_VERSION, encode(default_project))
    after = b',"seen":{}}'
    return b'{"results":[' + before, after + b"," + before, after + b"]}"
