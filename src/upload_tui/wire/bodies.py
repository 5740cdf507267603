"""Which bodies of responses can be read: one rule for the full reader (`responses`) and the fast one (`page_summaries`).

A body is JSON in UTF-8. An entry of it that is nested too deeply cannot be read, however deep the reader's own stack is.
"""

import json
import re
from typing import Any

from msgspec import MsgspecError
from msgspec.json import decode

from upload_tui.errors import InvalidResponseError

__all__ = ["SECRET_KEYS", "is_fully_readable", "mask_secrets", "parse_body"]

SECRET_KEYS = frozenset({"signed_url", "api_token", "agent_key", "user_key", "token"})
_MASK = "(hidden)"
_MAX_DEPTH = 64
_MAX_DIGITS = 4000
"""Python refuses to parse longer integers."""
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"'))
_STRING = re.compile(rb'"[^"]*"')


def parse_body(body: bytes) -> Any:
    """Parse a JSON body. Lone surrogates, which no database and no terminal can store, are replaced.

    Raises:
        InvalidResponseError: it is not JSON (HTML from a proxy, a truncated response), or is nested too deeply.
    """
    try:
        return decode(body)
    except (MsgspecError, ValueError, RecursionError):
        pass  # msgspec is the stricter parser: json also accepts NaN, lone surrogates and numbers out of range
    try:
        return _without_surrogates(json.loads(body, parse_int=_parse_integer))
    except (ValueError, RecursionError) as error:
        raise InvalidResponseError("The response is not JSON") from error


def _parse_integer(digits: str) -> float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


def _without_surrogates(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case list():
            return [_without_surrogates(entry) for entry in value]
        case dict():
            return {_without_surrogates(key): _without_surrogates(entry) for key, entry in value.items()}
        case _:
            return value


def mask_secrets(value: Any, depth: int = 0) -> Any:
    """Copy a JSON value, `depth` levels below an entry, with every secret masked.

    Raises:
        InvalidResponseError: it is nested too deeply.
    """
    if depth > _MAX_DEPTH:
        raise InvalidResponseError("The service listed an entry that is nested too deeply")
    match value:
        case list():
            return [mask_secrets(entry, depth + 1) for entry in value]
        case dict():
            return {
                key: _MASK if key in SECRET_KEYS and entry else mask_secrets(entry, depth + 1)
                for key, entry in value.items()
            }
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
    for _ in range(_MAX_DEPTH):  # each pass removes at least the innermost level
        if not structure:
            break
        structure = structure.replace(b"[]", b"").replace(b"{}", b"")
    return not structure
