"""Parse the responses of the service: bodies, pages of uploads, projects, errors. No input makes these functions crash.

An entry that is nested too deeply cannot be read, however deep the reader's own stack is.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from upload_tui.errors import InvalidResponseError
from upload_tui.redaction import may_contain_secret
from upload_tui.wire.bodies import MAX_DEPTH, parse_body
from upload_tui.wire.redaction import redact_name, redact_value
from upload_tui.wire.upload import Project, Upload, parse_upload

__all__ = [
    "CODE_NOT_CONSISTENT",
    "CODE_NOT_PROVIDED",
    "ErrorEnvelope",
    "ProjectPage",
    "RawPage",
    "STATUS_SHAPE_HEADER",
    "UploadPage",
    "UploadReading",
    "build_upload_page",
    "page_entries",
    "parse_error_envelope",
    "parse_project_page",
    "parse_upload_entries",
    "parse_upload_reading",
]


CODE_NOT_PROVIDED = "not_provided"
CODE_NOT_CONSISTENT = "resource_not_consistent"

STATUS_SHAPE_HEADER = "X-Status-Design"
"""A request header of the embedded service: the status shape of this one response."""


class UploadReading(Struct, frozen=True):
    """An upload as the service answered it.

    Attributes:
        upload: the parsed upload.
        raw: the JSON of the service, with secrets hidden.
        requested_on: when the request was sent; a reading taken later elsewhere may be newer. None if there was no request.
    """

    upload: Upload
    raw: str
    requested_on: datetime | None = None


class RawPage(Struct, frozen=True):
    """A page of uploads, not parsed yet.

    Attributes:
        project_id: the project whose uploads it lists.
        body, headers: of the response.
        page: its number, from 1.
        per_page: the requested number of entries.
        requested_on, read_on: when the request was sent and the response read.
        url: without the query.
    """

    project_id: str
    body: bytes
    headers: Mapping[str, str]
    page: int
    per_page: int
    requested_on: datetime
    read_on: datetime
    url: str

    @property
    def total(self) -> int | None:
        """The number of uploads that the service reports; None if it reports none."""
        return _header_number(self.headers, "x-total")

    @property
    def reported_per_page(self) -> int | None:
        """The number of entries on a full page that the service reports; None if it reports none."""
        return _header_number(self.headers, "x-per-page") or None

    @property
    def contradicts_total(self) -> bool:
        """Whether its headers name a next page beyond the total."""
        return _contradicts_total(self.headers, self.page, 0, self.per_page)


class UploadPage(Struct, frozen=True):
    """One page of a project's uploads.

    Attributes:
        readings: the uploads that could be read, newest first.
        unreadable: one sentence for each entry that could not be read.
        page: its number, from 1.
        next_page: None on the last page.
        total: the number of uploads that the service reports; None if it reports none.
        per_page: entries on a full page: reported by the service, else counted if more pages follow, else as requested.
        contradicts_total: whether it has entries, or names a next page, beyond the total; such a total would hide uploads.
    """

    readings: tuple[UploadReading, ...]
    unreadable: tuple[str, ...]
    page: int
    next_page: int | None
    total: int | None
    per_page: int
    contradicts_total: bool = False

    @property
    def row_count(self) -> int:
        """The number of its entries, readable or not."""
        return len(self.readings) + len(self.unreadable)


class ProjectPage(Struct, frozen=True):
    """One page of projects.

    Attributes:
        projects: those that can be read.
        row_count: the number of its entries.
        next_page: None on the last page.
        total: the number of projects that the service reports; None if it reports none.
    """

    projects: tuple[Project, ...]
    row_count: int
    next_page: int | None
    total: int | None


class ErrorEnvelope(Struct, frozen=True):
    """The body of an error response; what it does not contain is empty."""

    code: str = ""
    reason: str = ""
    suggestion: str = ""


def parse_upload_reading(
    payload: object, *, read_on: datetime, requested_on: datetime | None = None, project: Project | None = None
) -> UploadReading:
    """Parse one upload and keep its JSON; `project` as in `parse_upload`.

    Raises:
        InvalidResponseError: it is not an upload with an id, or is nested too deeply.
    """
    redacted = _redacted(payload)
    upload = parse_upload(redacted, read_on=read_on, project=project)
    return UploadReading(upload, json.dumps(redacted, ensure_ascii=False), requested_on)


def _redacted(payload: object) -> Any:
    """An entry with every secret hidden; one that certainly has none is not walked through."""
    raw = json.dumps(payload, ensure_ascii=False)
    is_flat = raw.count("{") + raw.count("[") <= MAX_DEPTH
    return payload if is_flat and not may_contain_secret(raw.encode()) else redact_value(payload)


def parse_upload_entries(
    entries: Sequence[Any], *, read_on: datetime, requested_on: datetime | None = None, project: Project | None = None
) -> Sequence[UploadReading | str]:
    """Parse each entry of a list; one that cannot be read becomes a sentence about it.

    `project` is the project whose list it is, as in `parse_upload`.
    """
    found: list[UploadReading | str] = []
    for entry in entries:
        try:
            reading = parse_upload_reading(entry, read_on=read_on, requested_on=requested_on, project=project)
            found.append(reading)
        except InvalidResponseError as error:
            found.append(error.title)
    return found


def build_upload_page(
    entries: Sequence[UploadReading | str], headers: Mapping[str, str], *, page: int, per_page: int
) -> UploadPage:
    """Build a page from its parsed entries.

    Args:
        entries: from `parse_upload_entries`.
        headers: of the response; names are looked up without regard to case.
        page: the requested page, from 1.
        per_page: the requested number of entries; the headers take precedence.
    """
    size = _page_size(headers, page, len(entries), per_page)
    next_page = _next_page(headers, page, len(entries), size, may_be_capped="x-per-page" not in headers)
    return UploadPage(
        tuple(entry for entry in entries if not isinstance(entry, str)),
        tuple(entry for entry in entries if isinstance(entry, str)),
        page,
        next_page,
        _header_number(headers, "x-total"),
        size,
        _contradicts_total(headers, page, len(entries), size),
    )


def page_entries(body: bytes) -> Sequence[Any]:
    """The entries of a page, as JSON values.

    Raises:
        InvalidResponseError: the body is not JSON, or has no list of results.
    """
    return _results(parse_body(body))


def parse_project_page(body: Any, headers: Mapping[str, str], *, page: int, per_page: int) -> ProjectPage:
    """Parse a page of projects."""
    entries = _results(body)
    projects = tuple(
        Project(entry["id"], redact_name(entry["name"]) if isinstance(entry.get("name"), str) else "")
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("id"), str) and entry["id"]
    )
    size, total = _header_number(headers, "x-per-page") or per_page, _header_number(headers, "x-total")
    return ProjectPage(projects, len(entries), _next_page(headers, page, len(entries), size), total)


def parse_error_envelope(body: bytes) -> ErrorEnvelope:
    """Parse the body of an error response. Never raises: a proxy may answer with anything."""
    try:
        envelope = parse_body(body)
    except InvalidResponseError:
        return ErrorEnvelope()
    if not isinstance(envelope, dict):
        return ErrorEnvelope()
    return ErrorEnvelope(
        code=_text(envelope.get("code")),
        reason=_text(envelope.get("reason") or envelope.get("error")),
        suggestion=_text(envelope.get("suggestion")),
    )


def _text(value: object) -> str:
    return value[:300] if isinstance(value, str) else ""


def _results(body: Any) -> list[Any]:
    entries = body.get("results") if isinstance(body, dict) else None
    if not isinstance(entries, list):
        raise InvalidResponseError("The response is not a list of results")
    return entries


def _header_number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _page_size(headers: Mapping[str, str], page: int, count: int, requested: int) -> int:
    """Entries on a full page. A service may return fewer than requested without reporting it."""
    if reported := _header_number(headers, "x-per-page"):
        return reported
    total = _header_number(headers, "x-total") or 0
    has_more = _header_number(headers, "x-next-page") is not None or (page == 1 and count < total)
    return count if has_more and 0 < count < requested else requested


def _contradicts_total(headers: Mapping[str, str], page: int, count: int, per_page: int) -> bool:
    """Whether a page's entries, or the next page that its headers name, are beyond the total; False if that is not certain."""
    total, next_page = _header_number(headers, "x-total"), _header_number(headers, "x-next-page") or 0
    size = _header_number(headers, "x-per-page") or (per_page if count and next_page > page else 0)
    if total is None:
        return False
    last_entry = (page - 1) * size + count if count and (size or page == 1) else 0
    return last_entry > total or (next_page > page and size > 0 and (next_page - 1) * size >= total)


def _next_page(
    headers: Mapping[str, str], page: int, count: int, per_page: int, *, may_be_capped: bool = False
) -> int | None:
    """The number of the next page, from the headers if possible. This page is the last only if all of them agree on that.

    Without headers a full page means that there is another; if the service may cap the page size, so does any page.
    """
    if count == 0:
        return None
    total = _header_number(headers, "x-total")
    next_page = _header_number(headers, "x-next-page") or 0
    if next_page > page:
        return page + 1  # also if a later one is named: what is on those between would be missing
    if total is not None:
        is_full_to_total = (
            "x-next-page" not in headers and count >= per_page
        )  # the total alone says that it is the last
        return page + 1 if page * per_page < total or is_full_to_total else None
    if "x-next-page" in headers:
        return None
    return page + 1 if may_be_capped or count >= per_page else None
