"""The endpoints of the service as methods, with typed results and typed errors."""

from collections.abc import Mapping, Sequence
from ssl import SSLContext
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx
from msgspec import MsgspecError, Raw, Struct
from msgspec.json import decode
from msgspec.structs import replace

from upload_tui.addresses import has_user_info
from upload_tui.client.credentials import Credentials, TokenAuth
from upload_tui.client.error_mapping import add_url_to_errors, translate_errors, translate_setup_errors
from upload_tui.client.probes import default_certificates, proxy_for
from upload_tui.client.requester import Requester, batches
from upload_tui.clock import Clock, SystemClock
from upload_tui.errors import AuthError, BadRequestError, InvalidResponseError, NotFoundError, UsageError
from upload_tui.text import plural
from upload_tui.wire import (
    API_PATH,
    Project,
    QueueStats,
    RawPage,
    UploadPage,
    UploadReading,
    build_upload_page,
    page_entries,
    parse_project_page,
    parse_queue,
    parse_upload_entries,
    parse_upload_reading,
    service_root,
)

__all__ = ["ProjectList", "ServiceClient"]

_TIMEOUT_SECONDS = 20.0
_ATTEMPTS = 3
_MAX_PAGES = 100_000
_PROJECTS_PER_PAGE = 100
_MAX_KNOWN_ENTRIES = 50
"""Entries of each project that are remembered; a round lists 20."""
_ResultsKey = Literal["results"]


class ProjectList(Struct, frozen=True):
    """The projects that the account can see.

    Attributes:
        projects: those that can be read.
        notice: how many cannot be read; empty if all can.
    """

    projects: tuple[Project, ...]
    notice: str = ""


class _SplitPage(Struct, frozen=True):
    """A page with the entries that must be parsed.

    Attributes:
        body: a page of only these.
        jsons: the JSON of all entries; empty if that is not known, and then all must be parsed.
        known: the reading of each of them, None for those in `body`.
    """

    body: bytes
    jsons: Sequence[bytes] = ()
    known: Sequence[UploadReading | None] = ()


class _KnownEntries:
    """The entries of each project's first page, so that one that is listed again without a change is not parsed again.

    Only of final uploads without an anomaly: what is read of others depends on the time.
    """

    def __init__(self) -> None:
        self._readings: dict[Project, Mapping[bytes, UploadReading]] = {}

    def split(self, raw: RawPage, project: Project) -> _SplitPage:
        """Separate the entries of a page that are known from those that must be parsed."""
        jsons = _entry_jsons(raw.body)
        if not jsons:
            return _SplitPage(raw.body)
        readings = self._readings.get(project, {})
        known = [_read_again(readings.get(entry), raw) for entry in jsons]
        if not any(known):
            return _SplitPage(raw.body, jsons, known)
        rest = [entry for entry, one in zip(jsons, known, strict=True) if one is None]
        return _SplitPage(_page_of(rest), jsons, known)

    def join(
        self, page: _SplitPage, parsed: Sequence[UploadReading | str], raw: RawPage, project: Project
    ) -> Sequence[UploadReading | str]:
        """All entries of a page in its order; remember those of a first page."""
        if not page.jsons:
            return parsed
        rest = iter(parsed)
        found = [next(rest) if one is None else one for one in page.known]
        if raw.page == 1:
            self._readings[project] = {
                entry: one
                for entry, one in zip(page.jsons[:_MAX_KNOWN_ENTRIES], found, strict=False)
                if isinstance(one, UploadReading) and one.upload.stage.is_final and not one.upload.anomalies
            }
        return found


def _entry_jsons(body: bytes) -> Sequence[bytes]:
    """The JSON of each entry of a page, not parsed; empty if the page may only be readable as a whole."""
    try:
        (results,) = decode(body, type=dict[_ResultsKey, Raw]).values()
        return [bytes(entry) for entry in decode(results, type=list[Raw])]
    except (MsgspecError, ValueError, RecursionError):
        return ()


def _page_of(jsons: Sequence[bytes]) -> bytes:
    return b'{"results":[%s]}' % b",".join(jsons)


def _read_again(known: UploadReading | None, raw: RawPage) -> UploadReading | None:
    if known is None:
        return None
    return UploadReading(replace(known.upload, read_on=raw.read_on), known.raw, raw.requested_on)


class ServiceClient:
    """One service, one account. An async context manager that closes its connections.

    All methods that send a request raise a `ServiceError` if it fails.

    Args:
        url: of the service, with or without `/api/v1`.
        credentials: how to authenticate.
        transport: replaces the network (the embedded service, a test).
        clock: the local clock; None is the system clock.
        verify: trusted certificates; True means the default ones.
        timeout_seconds: limit for each step of a request (connect, read, write).
        attempts: how often a request is tried, with short waits between; 1 disables retries.

    Raises:
        UsageError: the URL contains a user or a password, or the token has characters that no token has.
        SettingsError: a variable names certificates that cannot be used.
        UnreachableError: the URL or the proxy cannot be used.

    Attributes:
        root: the URL of the service without `/api/v1`.
        gate: pauses and resumes all requests.
        request_listeners: functions that are called with the outcome of each request.
        clock_offset: how far the service's clock is ahead; shifts other clocks to the service's time.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
        verify: SSLContext | bool = True,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        attempts: int = _ATTEMPTS,
    ) -> None:
        if has_user_info(url):
            raise UsageError("The URL contains a user or a password", "Pass the token or the keys as credentials.")
        self.root = service_root(url)
        base_url = f"{self.root}{API_PATH}"
        clock = clock or SystemClock()
        auth = TokenAuth(credentials, f"{base_url}/software_agents/api_token", clock)
        self._http = _open_http(base_url, auth, transport, verify, timeout_seconds)
        self._names: dict[str, str] = {}
        self._known = _KnownEntries()
        self._requester = Requester(self._http, base_url, clock, attempts)
        self.gate = self._requester.gate
        self.request_listeners = self._requester.listeners
        self.clock_offset = self._requester.offset

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    @property
    def clock(self) -> Clock:
        """The client's clock, corrected to the service's time; readings get their times from it."""
        return self._requester.clock

    @property
    def requests_last_minute(self) -> int:
        """The number of requests sent in the last minute, including retries."""
        return self._requester.requests_last_minute

    @property
    def is_budget_short(self) -> bool:
        """Whether more than half of the requests that the budget allows were sent in the last minute."""
        limit = self.gate.requests_per_minute
        return limit is not None and self.requests_last_minute > limit / 2

    @property
    def median_response_seconds(self) -> float | None:
        """The median duration of the last few requests with a response of normal size; None if there were too few."""
        return self._requester.median_response_seconds

    async def projects(self) -> ProjectList:
        """All projects that the account can see.

        A project that the service counts but does not list counts as one that cannot be read; without a count, so does one that is
        listed twice.
        """
        found, row_count, unreadable, total = dict[str, Project](), 0, 0, 0
        number: int | None = 1
        while number is not None and number <= _MAX_PAGES:
            raw, body = await self._requester.fetch_json("/projects", page=number, per_page=_PROJECTS_PER_PAGE)
            with add_url_to_errors(raw.url):
                page = parse_project_page(body, raw.headers, page=number, per_page=_PROJECTS_PER_PAGE)
            total = page.total or total
            unreadable += page.row_count - len(page.projects)
            new = {project.id: project for project in page.projects if project.id not in found}
            found.update(new)
            if new or page.row_count <= _PROJECTS_PER_PAGE:  # otherwise each page lists all there are
                row_count += page.row_count
            may_go_on = page.row_count >= _PROJECTS_PER_PAGE or row_count < total
            number = (page.next_page or (number + 1 if may_go_on else None)) if new else None
        total = max(total or row_count, len(found) + unreadable)
        self._names.update((project.id, project.name) for project in found.values())
        missing = total - len(found)
        notice = f"{missing:,} of {plural(total, 'project')} cannot be read" if missing else ""
        return ProjectList(tuple(found.values()), notice)

    def select_project(self, listed: ProjectList, id_or_name: str) -> Project:
        """The project with this id, or else with this name.

        Raises:
            NotFoundError: there is none, or several have the name.
        """
        projects = listed.projects
        by_id = [project for project in projects if project.id == id_or_name]
        by_name = [project for project in projects if project.name == id_or_name]
        in_other_case = [project for project in projects if project.id.casefold() == id_or_name.casefold()]
        found = by_id or by_name or in_other_case
        if len(found) == 1:
            return found[0]
        if found:
            raise NotFoundError(f"{len(found)} projects are named {id_or_name}", "Use the id of one of them.")
        names = ", ".join(sorted(project.name or project.id for project in projects)[:5])
        hint = f"Projects visible to this account: {names}." if names else "This account can see no projects."
        hint = f"{hint} {listed.notice}." if listed.notice else hint
        raise NotFoundError(f"No project with the id or name {id_or_name} at {self.root}", hint)

    async def upload_page(self, project_id: str, page: int, per_page: int) -> UploadPage:
        """A page (from 1) of a project's uploads, newest first."""
        return await self.parse_page_in_batches(await self.raw_page(project_id, page, per_page))

    async def raw_page(self, project_id: str, page: int, per_page: int) -> RawPage:
        """Like `upload_page`, not parsed."""
        path = f"/projects/{quote(project_id, safe='')}/uploads"
        raw = await self._requester.fetch(path, page=page, per_page=per_page)
        return RawPage(project_id, raw.body, raw.headers, page, per_page, raw.requested_on, raw.read_on, raw.url)

    def parse_page(self, raw: RawPage, indexes: Sequence[int] | None = None) -> UploadPage:
        """Parse a page at once; with `indexes` (from 0), only those entries: the others are not parsed again.

        Raises:
            InvalidResponseError: it cannot be parsed.
        """
        with add_url_to_errors(raw.url):
            if indexes is None:
                entries = page_entries(raw.body)
            elif jsons := _entry_jsons(raw.body):
                entries = page_entries(_page_of([jsons[index] for index in indexes]))
            else:
                listed = page_entries(raw.body)
                entries = [listed[index] for index in indexes]
            return build_upload_page(
                self._parse_entries(entries, raw), raw.headers, page=raw.page, per_page=raw.per_page
            )

    async def parse_page_in_batches(self, raw: RawPage) -> UploadPage:
        """Parse a page in batches, so that other tasks can run.

        Raises:
            InvalidResponseError: it cannot be parsed.
        """
        parsed, project = list[UploadReading | str](), self._project(raw.project_id)
        with add_url_to_errors(raw.url):
            page = self._known.split(raw, project)
            async for entries in batches(page_entries(page.body)):
                parsed.extend(self._parse_entries(entries, raw))
            found = self._known.join(page, parsed, raw, project)
            return build_upload_page(found, raw.headers, page=raw.page, per_page=raw.per_page)

    async def upload(self, upload_id: str, project_id: str | None = None) -> UploadReading:
        """One upload. If `project_id` is given, it has priority over the project that the upload names.

        Services find ids without regard to case, so the case of the id in the response may differ from the one asked for.

        Raises:
            InvalidResponseError: the response is not an upload, or another one.
        """
        raw, body = await self._requester.fetch_json(f"/uploads/{quote(upload_id, safe='')}")
        project = None if project_id is None else self._project(project_id)
        with add_url_to_errors(raw.url):
            reading = parse_upload_reading(body, read_on=raw.read_on, requested_on=raw.requested_on, project=project)
            if reading.upload.id.casefold() != upload_id.casefold():
                raise InvalidResponseError("The answer is about another upload")
            return reading

    def _parse_entries(self, entries: Sequence[Any], raw: RawPage) -> Sequence[UploadReading | str]:
        project = self._project(raw.project_id)
        return parse_upload_entries(entries, read_on=raw.read_on, requested_on=raw.requested_on, project=project)

    def _project(self, project_id: str) -> Project:
        """A project with the name under which it was listed; empty if that is not known."""
        return Project(project_id, self._names.get(project_id, ""))

    async def queue(self) -> QueueStats | None:
        """The verification queue; None if the service does not report it."""
        try:
            raw, body = await self._requester.fetch_json("/queue")
        except (NotFoundError, InvalidResponseError, AuthError, BadRequestError):
            return None
        return parse_queue(body, read_on=raw.read_on)


def _open_http(
    base_url: str,
    auth: TokenAuth,
    transport: httpx.AsyncBaseTransport | None,
    verify: SSLContext | bool,
    timeout_seconds: float,
) -> httpx.AsyncClient:
    """Open the connections of a client. httpx's own decision about proxies is not used."""
    with translate_errors(base_url.removesuffix(API_PATH)), translate_setup_errors():
        proxy = None if transport else proxy_for(base_url)
        has_tls = base_url.startswith("https:") or (proxy is not None and proxy.address.is_secure)
        if verify is True:  # the files of the certificates are only read where they are used
            verify = default_certificates() if has_tls and transport is None else False
        return httpx.AsyncClient(
            base_url=base_url,
            auth=auth,
            transport=transport,
            proxy=proxy.url if proxy else None,
            trust_env=False,
            verify=verify,
            timeout=timeout_seconds,
            headers={"Accept": "application/json", "User-Agent": "upload-tui"},
        )
