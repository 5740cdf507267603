"""Reading the service's answers: bodies, pages of uploads, projects, errors. Anything may come; nothing crashes on it."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import MsgspecError, Struct
from msgspec.json import decode

from upload_tui.errors import InvalidResponseError
from upload_tui.wire.upload import Upload, read_upload

__all__ = [
    "SECRET_KEYS",
    "RawPage",
    "Project",
    "ErrorEnvelope",
    "UploadPage",
    "UploadReading",
    "entry_json",
    "mask_secrets",
    "page_entries",
    "parse_body",
    "read_error_envelope",
    "read_projects",
    "read_upload_entries",
    "read_upload_reading",
    "build_upload_page",
]

SECRET_KEYS = frozenset({"signed_url", "api_token", "agent_key", "user_key", "token"})
_MASK = "(hidden)"


class Project(Struct, frozen=True):
    """A project that the account can see."""

    id: str
    name: str


class UploadReading(Struct, frozen=True):
    """An upload as it was read, and the service's own words for it (JSON text, secrets masked).

    `requested_on` is when it was asked for: what was read after that elsewhere may be newer. None if nobody asked.
    """

    upload: Upload
    raw: str
    requested_on: datetime | None = None


class RawPage(Struct, frozen=True):
    """A page as it came: its bytes and headers, what was asked for and where, when that was, and when it had come."""

    body: bytes
    headers: Mapping[str, str]
    page: int
    per_page: int
    requested_on: datetime
    read_on: datetime
    url: str

    @property
    def total(self) -> int | None:
        """Uploads in all as the service counts them; None if it does not say."""
        return _header_number(self.headers, "x-total")

    @property
    def reported_per_page(self) -> int | None:
        """Entries on a full page as the service says; None if it does not."""
        return _header_number(self.headers, "x-per-page") or None


class UploadPage(Struct, frozen=True):
    """One page of a project's uploads.

    Attributes:
        readings: the uploads that could be read, newest first.
        broken: a sentence for each entry that could not.
        page, next_page: numbers from 1; `next_page` is None on the last page.
        total: uploads in all as the service counts them; None if it does not say.
        per_page: entries on a full page: as the service says, or as came where more are to come, or else as were asked for.
    """

    readings: tuple[UploadReading, ...]
    unreadable: tuple[str, ...]
    page: int
    next_page: int | None
    total: int | None
    per_page: int


class ErrorEnvelope(Struct, frozen=True):
    """What an error answer says; empty where it says nothing."""

    code: str = ""
    reason: str = ""
    suggestion: str = ""


def parse_body(body: bytes) -> Any:
    """The JSON value of a body.

    Lone surrogates, which no database and no terminal can hold, become `�`.

    Raises:
        InvalidResponseError: it is not JSON (HTML from a proxy, a cut answer), or is nested beyond reason.
    """
    try:
        return decode(body)
    except (
        MsgspecError,
        ValueError,
        RecursionError,
    ):  # stricter than people are: the other one takes NaN and lone surrogates
        pass
    try:
        return _without_surrogates(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise InvalidResponseError("The answer is not JSON") from error


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


def mask_secrets(value: Any) -> Any:
    """The same JSON value with every secret replaced, at any depth."""
    match value:
        case list():
            return [mask_secrets(entry) for entry in value]
        case dict():
            return {key: _MASK if key in SECRET_KEYS and entry else mask_secrets(entry) for key, entry in value.items()}
        case _:
            return value


def read_upload_reading(payload: object, *, read_on: datetime, requested_on: datetime | None = None) -> UploadReading:
    """One upload with the service's words for it.

    Raises:
        InvalidResponseError: nothing can be said of any upload.
    """
    upload = read_upload(payload, read_on=read_on)
    return UploadReading(upload, json.dumps(mask_secrets(payload), ensure_ascii=False), requested_on)


def read_upload_entries(
    entries: Sequence[Any], *, read_on: datetime, requested_on: datetime | None = None
) -> Sequence[UploadReading | str]:
    """Each upload of a list, or a sentence for one that cannot be read."""
    found: list[UploadReading | str] = []
    for entry in entries:
        try:
            found.append(read_upload_reading(entry, read_on=read_on, requested_on=requested_on))
        except InvalidResponseError as error:
            found.append(error.title)
    return found


def build_upload_page(
    entries: Sequence[UploadReading | str], headers: Mapping[str, str], *, page: int, per_page: int
) -> UploadPage:
    """A page that lists these.

    Args:
        entries: as `read_upload_entries` gave them; a broken one does not hide the others.
        headers: the answer's, looked up without regard to case.
        page: the page that was asked for, from 1.
        per_page: entries that were asked for; what the headers say goes before it.
    """
    size = _page_size(headers, page, len(entries), per_page)
    return UploadPage(
        tuple(entry for entry in entries if not isinstance(entry, str)),
        tuple(entry for entry in entries if isinstance(entry, str)),
        page,
        _next_page(headers, page, len(entries), size, may_be_capped="x-per-page" not in headers),
        _header_number(headers, "x-total"),
        size,
    )


def page_entries(body: bytes) -> Sequence[Any]:
    """What a page lists, as it came.

    Raises:
        InvalidResponseError: it is not JSON, or not a list of anything.
    """
    return _results(parse_body(body))


def entry_json(entries: Sequence[Any], index: int) -> str:
    """The words for the entry at `index` (from 0) of a page, as `UploadReading.raw` has them; empty if there is none."""
    return json.dumps(mask_secrets(entries[index]), ensure_ascii=False) if index < len(entries) else ""


def read_projects(
    body: Any, headers: Mapping[str, str], *, page: int, per_page: int
) -> tuple[Sequence[Project], int | None]:
    """The projects of a page, and the number of the next page (None on the last)."""
    entries = _results(body)
    projects = [
        Project(entry["id"], entry["name"] if isinstance(entry.get("name"), str) else "")
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("id"), str)
    ]
    return projects, _next_page(headers, page, len(entries), _header_number(headers, "x-per-page") or per_page)


def read_error_envelope(body: bytes) -> ErrorEnvelope:
    """What the body of an error answer says. Never raises: a proxy may answer anything."""
    try:
        envelope = parse_body(body)
    except InvalidResponseError:
        return ErrorEnvelope()
    if not isinstance(envelope, dict):
        return ErrorEnvelope()
    reason = envelope.get("reason") or envelope.get("error")
    return ErrorEnvelope(
        code=_text(envelope.get("code")),
        reason=_text(reason) if not isinstance(reason, int) else "",
        suggestion=_text(envelope.get("suggestion")),
    )


def _text(value: object) -> str:
    return value[:300] if isinstance(value, str) else ""


def _results(body: Any) -> list[Any]:
    entries = body.get("results") if isinstance(body, dict) else None
    if not isinstance(entries, list):
        raise InvalidResponseError("The answer is not a list of results")
    return entries


def _header_number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _page_size(headers: Mapping[str, str], page: int, count: int, requested: int) -> int:
    """Entries on a full page. A service may give fewer than were asked for, and not say so."""
    if said := _header_number(headers, "x-per-page"):
        return said
    total = _header_number(headers, "x-total") or 0
    has_more = _header_number(headers, "x-next-page") is not None or (page == 1 and count < total)
    return count if has_more and 0 < count < requested else requested


def _next_page(
    headers: Mapping[str, str], page: int, count: int, per_page: int, *, may_be_capped: bool = False
) -> int | None:
    """The headers' word for it; without headers a full page promises another, and any where fewer may come than were asked for."""
    if count == 0:
        return None
    if "x-next-page" in headers:
        next_page = _header_number(headers, "x-next-page")
        return next_page if next_page is not None and next_page > page else None
    total = _header_number(headers, "x-total")
    if total is not None:
        return page + 1 if page * per_page < total else None
    return page + 1 if may_be_capped or count >= per_page else None
