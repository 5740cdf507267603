"""The contract of a source: something that lists everything that is there now, one JSON object a line.

A line is an upload unless its `type` is something else: `end` with the number of uploads, `error` with a kind and a message;
other types are ignored. What an upload's line leaves out is unknown. Its stages are given as `stage` with `on`, as the flat
times of Option A, as `current` and `prior` of Option B, or as the `timeline` of `upload-tui list`; several forms complete each other.
The stage is that of `stage`, else of `current`; a later one in another field belongs to an earlier try.
A field that cannot be read becomes an anomaly. A line is unreadable if it has no `id` or `name`, is no JSON object, is nested too
deeply, or has a key of the contract twice: the two values may contradict each other.

`CommandSource` runs a command. Another kind of source (one that reads an object store itself, for example) implements
`UploadSource` in a module of its own; it lists lines of the same contract, and the synchroniser does the rest.
"""

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

from msgspec import MsgspecError, Struct
from msgspec.json import decode, encode

from upload_tui.errors import Cause, InvalidResponseError, ServiceError, SourceAuthError, SourceConfigError, SourceError
from upload_tui.processes import last_message
from upload_tui.redaction import redact_text
from upload_tui.text import sanitize_line
from upload_tui.wire import MAX_DEPTH, MAX_NUMBER, parse_body, redact_value

__all__ = [
    "CHECK_HINT",
    "EndLine",
    "ErrorKind",
    "ErrorLine",
    "IgnoredLine",
    "Line",
    "LineBatch",
    "LineReceiver",
    "Listing",
    "ListingVerdict",
    "MAX_ID_CHARACTERS",
    "MAX_LINE_BYTES",
    "UploadSource",
    "UnreadableLine",
    "UploadLine",
    "guess_id",
    "is_nested_deeply",
    "listing_error",
    "parse_line",
    "quote",
    "parse_identifier",
    "parse_number",
    "upload_line",
]

MAX_LINE_BYTES = 1 << 20
"""A longer line is skipped."""
MAX_ID_CHARACTERS = 4096
_MAX_QUOTED = 60
CHECK_HINT = "Run `upload-tui source check` on the command."
_LINE_KEYS = frozenset(
    {
        "id", "name", "project", "size", "stage", "on", "initiated_on", "completed_on", "verified_on", "error_on", "current", "prior",
        "error_message", "received_bytes", "chunks", "final_chunks", "updated_on", "by", "content_type", "url", "ended", "size_bytes",
        "stage_since", "stage_since_certainty", "timeline", "anomalies", "type", "uploads", "kind", "message",
    }
)  # fmt: skip
"""All keys that are read; `schema` says what the fields of an upload mean."""
_ID = re.compile(rb'"id"\s*:\s*"([^"\\]{1,4096})"')


class ErrorKind(StrEnum):
    """What failed, in a line of type `error`."""

    TRANSIENT = "transient"
    """It may work the next time."""
    CONFIG = "config"
    """It will not work before its settings are corrected."""
    AUTH = "auth"
    """The credentials of the command are not accepted."""


class UploadLine(Struct, frozen=True):
    """An upload; `fields` is the JSON object, with a readable id and name."""

    id: str
    fields: Mapping[str, Any]


class EndLine(Struct, frozen=True):
    """The listing is complete, with this number of uploads; None if it has no readable number: `problem` is why."""

    uploads: int | None
    problem: str = ""


class ErrorLine(Struct, frozen=True):
    """The listing failed; a kind that cannot be read is `transient`: `problem` is why."""

    kind: ErrorKind
    message: str
    problem: str = ""


class IgnoredLine(Struct, frozen=True):
    """A line of a type that this version does not know, or an empty one."""

    type: str = ""


class UnreadableLine(Struct, frozen=True):
    """A line that cannot be read: why, and the id of its upload (empty if unknown)."""

    reason: str
    id: str = ""


Line: TypeAlias = UploadLine | EndLine | ErrorLine | IgnoredLine | UnreadableLine


def parse_line(line: bytes | None) -> Line:
    """Parse one line, without its end; None for one that is too long. Never raises."""
    if line is None or len(line) > MAX_LINE_BYTES:
        return UnreadableLine(f"longer than {MAX_LINE_BYTES:,} bytes")
    if not line.strip():
        return IgnoredLine()
    try:
        value = _decode(line)
    except InvalidResponseError as error:
        is_deep = isinstance(error.__cause__, RecursionError)
        return UnreadableLine("nested too deeply" if is_deep else _json_problem(line))
    fields = value if isinstance(value, dict) else {}
    try:
        repeated = None if is_nested_deeply(line, value) else _repeated_keys(line, value)
    except RecursionError:
        repeated = None
    if repeated is None:
        return UnreadableLine("nested too deeply", parse_identifier(fields.get("id")))
    if not isinstance(value, dict):
        return UnreadableLine(f"{repeated[0]} is there twice" if repeated else "not a JSON object")
    return _line_of(fields, repeated)


def _line_of(value: Mapping[str, Any], repeated: Sequence[str]) -> Line:
    """The line that a JSON object is. `repeated` are the keys that it has twice: the last value may contradict the first."""
    kind, problem = value.get("type"), f"{repeated[0]} is there twice" if repeated else ""
    if "type" in repeated:
        return UnreadableLine("type is there twice")
    if kind is None or kind == "upload":
        upload_id = "" if "id" in repeated else parse_identifier(value.get("id"))
        return UnreadableLine(problem, upload_id) if problem else upload_line(value)
    if kind == "end":
        return EndLine(None, f"in the end line, {problem}") if problem else _end_line(value)
    if kind == "error":
        return _error_line(value, problem)
    return IgnoredLine(quote(kind))


def _decode(line: bytes) -> Any:
    try:
        return decode(line)
    except (MsgspecError, ValueError, RecursionError):
        return parse_body(line)  # reads lone surrogates and numbers out of range


def is_nested_deeply(line: bytes, value: Any) -> bool:
    """Whether a line, which was decoded as `value`, has more levels than can be stored."""
    return line.count(b"{") + line.count(b"[") > MAX_DEPTH and _has_levels(value, MAX_DEPTH + 1)


def _has_levels(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    return levels == 1 or any(
        _has_levels(one, levels - 1) for one in (value.values() if isinstance(value, dict) else value)
    )


def _repeated_keys(line: bytes, value: Any) -> Sequence[str]:
    """The keys of the contract that are there twice, such as `current.state`. `value` is the decoded line: it has each key once."""
    try:
        if rb"\u0022" not in line and line.count(b'"') == encode(value, enc_hook=str).count(b'"'):
            return ()
    except (MsgspecError, OverflowError):  # a number out of range
        pass
    pairs = json.loads(line, object_pairs_hook=tuple, parse_int=str)
    return [*_repeated_in([one for one in pairs if one[0] in _LINE_KEYS])] if isinstance(pairs, tuple) else ()


def _repeated_in(value: Any, parent: str = "") -> Iterator[str]:
    """The keys that are there twice in a value of a line; an object is a tuple of pairs, or for the line itself a list of them."""
    if isinstance(value, tuple) or not parent:
        yield from (parent + key for key, count in Counter(key for key, _ in value).items() if count > 1)
        for key, one in value:
            yield from _repeated_in(one, f"{parent}{key}.")
    elif isinstance(value, list):
        for one in value:
            yield from _repeated_in(one, parent)


def _json_problem(line: bytes) -> str:
    try:
        line.decode()
    except UnicodeDecodeError:
        return "not UTF-8"
    return "not JSON"


def guess_id(line: bytes) -> str:
    """The id that a line seems to have though it is no JSON, because it was cut for example; empty if there is none."""
    found = _ID.search(line, 0, 2 * MAX_ID_CHARACTERS)
    return found[1].decode("utf-8", "replace") if found else ""


def upload_line(fields: Mapping[str, Any]) -> UploadLine | UnreadableLine:
    """The upload of a JSON object, if it has a readable id and name."""
    upload_id = parse_identifier(fields.get("id"))
    if not upload_id:
        return UnreadableLine(_id_problem(fields.get("id")))
    if not isinstance(fields.get("name"), str):
        return UnreadableLine("no name" if fields.get("name") is None else "name is no text", upload_id)
    return UploadLine(upload_id, fields)


def _id_problem(value: object) -> str:
    if value in (None, ""):
        return "no id"
    return f"id is longer than {MAX_ID_CHARACTERS:,} characters" if isinstance(value, str) else "id is no text"


def parse_identifier(value: object) -> str:
    """An id as text; databases and jq often print numbers. Empty if it is neither, or far too long."""
    number = _whole(value)
    text = str(number) if type(number) is int else value
    return text if isinstance(text, str) and len(text) <= MAX_ID_CHARACTERS else ""


def _end_line(fields: Mapping[str, Any]) -> EndLine:
    """An end line; a number under another name than `uploads` is a problem."""
    value = fields.get("uploads")
    if value is None:
        names = [quote(key) for key, one in fields.items() if key != "type" and isinstance(one, int | float)]
        other = f"the end line has {names[0]} in place of `uploads`" if names else ""
        return EndLine(None, other or "the end has no number of uploads")
    count = parse_number(value)
    return EndLine(count, f"the end line's number of uploads is {quote(value)}" if count is None else "")


def _error_line(fields: Mapping[str, Any], problem: str) -> ErrorLine:
    name, message = fields.get("kind"), fields.get("message")
    kind = None if problem else next((kind for kind in ErrorKind if kind == name), None)
    if kind is None:
        reason = problem or ("it has no kind" if name is None else f"the kind {quote(name)} is unknown")
        problem = f"in the error line, {reason}, which counts as {ErrorKind.TRANSIENT}"
    return ErrorLine(kind or ErrorKind.TRANSIENT, message if isinstance(message, str) else "", problem)


def parse_number(value: object) -> int | None:
    """A size or a count: a whole number that fits into a database column; None if it is none."""
    number = _whole(value)
    return number if type(number) is int and 0 <= number <= MAX_NUMBER else None


def _whole(value: object) -> object:
    """A number without a fraction as an integer: JSON has one type of number, and 3.0 is 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def quote(value: object) -> str:
    """A value of a line, short and without secrets, for an anomaly."""
    text = redact_text(repr(redact_value(value)))
    return text if len(text) <= _MAX_QUOTED else text[: _MAX_QUOTED - 1] + "…"


class LineBatch(Struct, frozen=True):
    """Some consecutive lines of a listing.

    Attributes:
        first_number: the number of the first line, from 1.
        lines: without their ends; None for one that is longer than `MAX_LINE_BYTES`.
    """

    first_number: int
    lines: Sequence[bytes | None]


class Listing(Struct, frozen=True, kw_only=True):
    """How a listing ended.

    Attributes:
        failure: why it ended before everything was listed, in one sentence without a full stop; empty if it did not.
        is_misconfigured: it failed for a reason that waiting does not remove, such as a command that does not exist.
        hint: what may help after a failure; empty if that is not known.
        stderr: the end of what the command wrote to standard error, not sanitized.
        seconds: how long it took.
    """

    failure: str = ""
    is_misconfigured: bool = False
    hint: str = ""
    stderr: str = ""
    seconds: float = 0.0


LineReceiver: TypeAlias = Callable[[LineBatch], Awaitable[None]]
ListingVerdict: TypeAlias = Callable[[Listing], bool]
"""Whether a listing is whole, now that all its lines were received; see `ListingTally.is_whole`."""


class UploadSource(Protocol):
    """Lists every upload that is there now, one line of the contract each."""

    @property
    def name(self) -> str:
        """A short name, shown where a service's host is."""
        ...

    async def read(self, receive: LineReceiver, is_whole: ListingVerdict) -> Listing:
        """List once. Awaits `receive` for each batch of lines, and reads no further until it returns.

        Never called again before it has returned. When it is cancelled, or the listing is not whole in the end, nothing of it
        keeps running. It raises only what `receive` raises; its own failures are in the result.
        """
        ...


def listing_error(listing: Listing, error: ErrorLine | None, problem: str) -> ServiceError | None:
    """The error of a listing that is not complete; None if it is.

    Args:
        listing: how it ended.
        error: the line of type `error` that it contains; None if there is none.
        problem: what contradicts that it is complete; empty if nothing does.
    """
    stderr = sanitize_line(last_message(listing.stderr))
    if error is not None:
        return _reported_error(error, stderr)
    if listing.failure and listing.is_misconfigured:
        return SourceConfigError(listing.failure, listing.hint or "Correct `command` in the profile, or --command.")
    if listing.failure:
        return partial_error(Cause(listing.failure, details=stderr), listing.hint or CHECK_HINT)
    return partial_error(Cause(problem), CHECK_HINT) if problem else None


def partial_error(cause: Cause, hint: str = "") -> SourceError:
    """The error of a listing that does not have everything."""
    return SourceError(f"partial: {_cause_text(cause)}", hint, cause=cause)


def _cause_text(cause: Cause) -> str:
    return f"{cause.words}: {cause.details}" if cause.details else cause.words


def _reported_error(error: ErrorLine, stderr: str) -> ServiceError:
    message = sanitize_line(error.message) if error.message.strip() else stderr
    match error.kind:
        case ErrorKind.AUTH:
            cause = Cause("the source is not allowed to list", details=message)
            return SourceAuthError(_cause_text(cause), "Renew the credentials of its command.", cause=cause)
        case ErrorKind.CONFIG:
            cause = Cause("the source is not configured", details=message)
            return SourceConfigError(_cause_text(cause), "Correct the settings of its command.", cause=cause)
        case ErrorKind.TRANSIENT:
            return partial_error(Cause(message or "the source could not list everything"))
