"""JSON bodies of responses: the one rule for what is readable, for the full reader and for the fast one of pages.

A body is JSON in UTF-8. Where an object has a key twice that decides on the stage of an upload, its values may contradict each other:
such a status is ambiguous, and has no stage. A repeated id, size, list of chunks or chunk number becomes a list of both values, and
is rejected.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import MsgspecError, Raw, Struct
from msgspec.json import decode

from upload_tui.errors import InvalidResponseError
from upload_tui.redaction import may_escape_ascii

__all__ = ["MAX_DEPTH", "is_fully_readable", "may_repeat_row_key", "may_repeat_stage_key", "parse_body"]

MAX_DEPTH = 64
"""An entry that is nested more deeply cannot be read."""
_MAX_DIGITS = 4000
"""Python refuses to parse longer integers."""
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"'))
_STRING = re.compile(rb'"[^"]*"')
_STAGE_KEYS = frozenset(
    {
        "status", "initiated_on", "completed_on", "verified_on", "error_on", "error_message", "is_consistent", "purged_on",
        "ready_for_chunks", "current", "prior", "state", "state_on",
    }
)  # fmt: skip
"""The keys that decide on the stage of an upload."""
_ROW_KEYS = frozenset({"id", "size", "chunks"})
"""The keys of an upload that say which one it is, and whether it is whole."""
_CHUNK_KEYS = frozenset({"number", "size"})
"""The same of a chunk."""


class _ChunkKeys(Struct, gc=False):
    number: Any = None
    size: Any = None


def parse_body(body: bytes) -> Any:
    """Parse a JSON body. Lone surrogates, which no database and no terminal can store, are replaced.

    Raises:
        InvalidResponseError: it is not JSON (HTML from a proxy, a truncated response), or is nested too deeply.
    """
    try:
        value = decode(body)
        if not (may_repeat_stage_key(body, _statuses(value)) or may_repeat_row_key(body)):
            return value
    except (MsgspecError, ValueError, RecursionError):
        pass  # msgspec is the stricter parser: json also accepts NaN, lone surrogates and numbers out of range
    try:
        text = body.decode(
            "utf-8-sig"
        )  # json would guess UTF-16 and UTF-32, and read surrogates that are encoded one by one
        return _without_surrogates(json.loads(text, parse_int=_parse_integer, object_pairs_hook=_unambiguous))
    except (ValueError, RecursionError) as error:
        raise InvalidResponseError("The response is not JSON") from error


def _parse_integer(digits: str) -> float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


def _without_surrogates(value: Any) -> Any:
    match value:
        case _Ambiguous():
            return value
        case str():
            return value.encode("utf-8", "replace").decode()
        case list():
            return [_without_surrogates(entry) for entry in value]
        case dict():
            return {_without_surrogates(key): _without_surrogates(entry) for key, entry in value.items()}
        case _:
            return value


def is_fully_readable(body: bytes) -> bool:
    """Whether the full reader can read a body whose known fields a decoder has read; such a decoder skips the others unread."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    structure = body.translate(None, _NOT_STRUCTURE)
    structure = _STRING.sub(b"", structure.replace(b'""', b""))
    for _ in range(MAX_DEPTH):  # each pass removes at least the innermost level
        if not structure:
            break
        structure = structure.replace(b"[]", b"").replace(b"{}", b"")
    return not structure


# Keys that are there twice


class _Ambiguous(str):
    """What replaces an object with a key that is there twice."""

    __slots__ = ()


def _statuses(value: Any) -> Sequence[Any]:
    """The statuses in a body: of an upload, or of those on a page."""
    entries = value.get("results") if isinstance(value, dict) else None
    return [
        entry["status"]
        for entry in (entries if isinstance(entries, list) else (value,))
        if isinstance(entry, dict) and "status" in entry
    ]


def may_repeat_stage_key(body: bytes, statuses: Sequence[Any], statuses_json: bytes = b"") -> bool:
    """Whether an object in a body may repeat a key that decides on a stage: decoders silently keep the last value.

    A fast check: it is also True for a page that has such a key in another place.

    Args:
        body: of the response.
        statuses: the decoded `status` of each of its uploads.
        statuses_json: the part of the body that `statuses` was decoded from, if known: a search in it is faster.
    """
    counts = Counter({"status": len(statuses)})
    for keys, number in Counter(map(tuple, _objects(statuses))).items():
        for key in _STAGE_KEYS.intersection(keys):
            counts[key] += number
    for key, number in counts.items():
        searched = (key != "status" and statuses_json) or body
        if searched.count(b'"%s"' % key.encode()) > number:
            return True
    return may_escape_ascii(body)


def may_repeat_row_key(body: bytes) -> bool:
    """Whether an upload of a body may have its id, size or chunks twice, or a chunk its number or size; keys without escapes."""
    try:
        fields = decode(body, type=dict[str, Raw])
        body = bytes(fields.get("results", body))
        rows = decode(body, type=list[dict[str, Raw]]) if "results" in fields else [fields]
    except MsgspecError:
        return True
    inner = b",".join([value for row in rows for value in row.values()])
    return any(
        body.count(b'"%s"' % key.encode()) - inner.count(b'"%s"' % key.encode()) > sum(key in row for row in rows)
        for key in _ROW_KEYS
    ) or any(_may_repeat_chunk_key(bytes(row["chunks"])) for row in rows if "chunks" in row)


def _may_repeat_chunk_key(chunks_json: bytes) -> bool:
    try:
        chunks = decode(chunks_json, type=list[_ChunkKeys])
    except MsgspecError:
        return chunks_json != b"null"  # an entry that is no object
    counts = (
        len([one for one in chunks if one.number is not None]),
        len([one for one in chunks if one.size is not None]),
    )
    return (chunks_json.count(b'"number"'), chunks_json.count(b'"size"')) != counts


def _objects(statuses: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    """The statuses that are objects, and the states in them."""
    for status in statuses:
        if isinstance(status, dict):
            yield status
            if "current" in status or "prior" in status:
                yield from (one for one in _states(status) if isinstance(one, dict))


def _states(status: Mapping[str, Any]) -> Iterator[Any]:
    for listed in (status.get("current"), status.get("prior")):
        yield from listed if isinstance(listed, list) else (listed,)


def _unambiguous(pairs: Sequence[tuple[str, Any]]) -> Any:
    """An object, or `_Ambiguous` in place of it or of its status."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        for key in (_ROW_KEYS | _CHUNK_KEYS).intersection(fields):
            values = [value for name, value in pairs if name == key]
            fields[key] = values if len(values) > 1 else fields[key]
        repeated = {key for key, number in Counter(key for key, _ in pairs).items() if number > 1} & _STAGE_KEYS
        if repeated == {"status"}:
            return {**fields, "status": _Ambiguous("status is there twice")}
        if repeated:
            return _Ambiguous(f"{min(repeated)} is there twice")
    return next((state for state in _states(fields) if isinstance(state, _Ambiguous)), fields)
