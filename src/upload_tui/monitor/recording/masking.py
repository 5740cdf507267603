"""Replace in a recording what identifies its origin: names, ids, people, paths, services and free text.

The same text gets the same replacement everywhere, so that the replay shows the same uploads, stages, times, sizes and causes.
What is known to be harmless stays: sizes, counts, short numbers, times, and words of this program and of the design. Other fields are
left out.
"""

import hashlib
import mimetypes
import re
import secrets
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import Any
from urllib.parse import quote, unquote

from upload_tui.monitor.analysis.statistics import normalize_cause
from upload_tui.monitor.model import ConnectionState
from upload_tui.status import SOURCE_PREFIX, AnomalyName, Certainty, Stage
from upload_tui.wire import INTEGRITY_MESSAGES, parse_time

__all__ = ["RecordingMask"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TIME_FIELDS = _words(
    "at on since until earliest latest read_on next_try_on initiated_on completed_on verified_on error_on state_on purged_on "
    "created_on last_updated_on updated_on stage_since active_on first_on"
)
_WORD_FIELDS = _words("stage state from to kind certainty algorithm current")
_TEXT_FIELDS = _words("error_message message detail title")
_PREFIXES = {
    "project": "project", "projects": "project", "project_id": "project", "storage_provider": "storage", "by": "person",
    "created_by": "person", "last_updated_by": "person", "username": "person", "full_name": "person",
    "content_type": "type", "state": "state", "stage": "state", "current": "state", "to": "state",
}  # fmt: skip
"""What a replacement begins with, by the field that has the text or the object with it."""
_PLAIN_FIELDS = _words(
    "recording projects stuck_after_seconds kind raw upload replay gone stale path query page per_page status seconds size_bytes "
    "known total name project storage_provider content_type size hashes hash chunks number value audit prior is_consistent "
    "ready_for_chunks id source line seen events received_bytes count ended timeline anomalies"
)
_FIELDS = _TIME_FIELDS | _WORD_FIELDS | _TEXT_FIELDS | _PREFIXES.keys() | _PLAIN_FIELDS | {"service", "ids", "noticed"}
"""The fields of a recording, of the service's uploads and of a source's lines; any other is left out."""
_WORDS = frozenset(map(str, (*Stage, *Certainty, *ConnectionState, *AnomalyName))) | _words(
    "stored unchanged marked page last_page request connection seen anomaly purged stage state ended gone "
    "md5 sha1 sha224 sha256 sha384 sha512 crc32 blake2b blake3 xxh64"
)
_MESSAGE_WORDS = _words(
    " ".join(
        (
            *INTEGRITY_MESSAGES,
            *_WORDS,
            "the service reports no time for without chunk chunks add up to bytes upload is listed more than once earlier later",
            "both and are reported error takes precedence was before and no longer is a of in on by it at connection refused reset",
            "answer after timed out timeout server client found not allowed unauthorized forbidden token rejected expired too many",
            "requests unavailable maintenance failed cannot be read unreadable uploads response internal bad gateway network host",
            "name resolved certificate valid closed has project access denied offline retrying s ms m h d",
        )
    ).lower()
)
_PATHS = _words("api v1 projects uploads queue chunks complete current_user")
_MEDIA_TYPES = frozenset({*mimetypes.types_map.values(), "application/octet-stream", ""})
_TIME = re.compile(r"[\dTtZz:.+ -]{10,40}")
_HEX = re.compile(r"[0-9a-fA-F]{8,}")
_TOKEN = re.compile(r"[\w'-]+|[^\s\w]+")
_FIGURES = re.compile(r"\b\d+ bytes(?:, stored \d+)?(?![\w.:])|\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z(?!\w)")
"""Sizes and times as this program and the service write them."""
_NUMBER = re.compile(r"[#(]?\d{1,4}[%,;.:)]?")
"""A short number, such as that of a chunk or of a status. A longer one may be an id, one with dots or colons an address."""
_NUMBER_FIELDS = _words(
    "recording stuck_after_seconds page per_page status seconds size_bytes known total size number source count received_bytes "
    "line seen events chunks"
)


class RecordingMask:
    """Masks the lines of one recording; the replacements of another are different."""

    def __init__(self) -> None:
        self._replacements: dict[str, str] = {}
        self._counts = Counter[str]()
        self._key = secrets.token_bytes(16)

    def mask(self, line: Mapping[str, Any]) -> Mapping[str, Any]:
        """The line with replacements."""
        masked: Mapping[str, Any] = self._masked(line, "", "upload")
        return masked

    def _masked(self, value: Any, field: str, owner: str) -> Any:
        """A value of a field; `owner` is the field whose object has it, as a name may be that of a project or of a person."""
        if isinstance(value, Mapping):
            inner = field if field in _PREFIXES else owner
            return {key: self._masked(one, key, inner) for key, one in value.items() if key in _FIELDS}
        if isinstance(value, list | tuple):
            if field == "noticed":
                return [[self._word(name, "state"), self._text(detail)] for name, detail in value]
            return [self._masked(one, "id" if field == "ids" else field, owner) for one in value]
        if isinstance(value, int | float) and not isinstance(value, bool) and field not in _NUMBER_FIELDS:
            value = str(value)
        return self._string(value, field, owner) if isinstance(value, str) else value

    def _string(self, text: str, field: str, owner: str) -> str:
        if field in _TIME_FIELDS and _TIME.fullmatch(text) and parse_time(text) is not None:
            return text
        if field in _WORD_FIELDS:
            return self._word(text, _PREFIXES.get(field, "text"))
        if field in _TEXT_FIELDS:
            return self._text(text)
        if field == "content_type" and text in _MEDIA_TYPES:
            return text
        if field == "path":
            return "/".join(self._segment(part) for part in text.split("/"))
        if field == "service":
            prefix = SOURCE_PREFIX if text.startswith(SOURCE_PREFIX) else "https://"
            return f"{prefix}{self._replace(text, 'service')}"
        if field in {"value", "digest"} and _HEX.fullmatch(text):
            return self._digest(text)
        prefix = _PREFIXES.get(field) or _PREFIXES.get(owner) or ("upload" if field in {"id", "name"} else "text")
        return self._replace(text, f"{prefix}-id" if field in {"id", "project_id"} else prefix)

    def _word(self, text: str, prefix: str) -> str:
        """A word of the design in its own case, or a replacement."""
        return text if text.lower() in _WORDS else self._replace(text, prefix)

    def _replace(self, text: str, prefix: str) -> str:
        """The replacement of a text: the same for the same text, whatever field has it, since an id may also be a name."""
        if text and text not in self._replacements:
            self._counts[prefix] += 1
            self._replacements[text] = f"{prefix}-{self._counts[prefix]}"
        return self._replacements[text] if text else ""

    def _segment(self, part: str) -> str:
        if part in _PATHS or not part:
            return part
        return quote(self._replace(unquote(part), "upload-id"))

    def _digest(self, text: str) -> str:
        """Another digest of the same length."""
        seed = hashlib.sha512(self._key + text.lower().encode()).hexdigest()
        return (seed * (len(text) // len(seed) + 1))[: len(text)]

    def _text(self, text: str) -> str:
        """A text of this program or of the design as it is; of any other only its cause, as a number."""
        head, colon, rest = text.partition(": ")
        if not self._is_plain(head):
            return self._replace(normalize_cause(text), "message")
        return text if self._is_plain(rest) else f"{head}{colon}{self._replace(rest, 'message')}"

    def _is_plain(self, text: str) -> bool:
        """Whether a text has only words of messages, sizes, times, and numbers that are no ids and no addresses."""
        words = _FIGURES.sub("", text).split()
        if any(one[-1].isdigit() and other[0].isdigit() for one, other in pairwise(words)):  # an id in groups
            return False
        tokens = [token for word in words if not _NUMBER.fullmatch(word) for token in _TOKEN.findall(word)]
        return not any(word.strip("#%(),;.:") in self._replacements for word in words) and all(
            token not in self._replacements and (token.lower() in _MESSAGE_WORDS or not any(map(str.isalnum, token)))
            for token in tokens
        )
