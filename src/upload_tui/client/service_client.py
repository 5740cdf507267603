"""The service's endpoints as methods: typed answers, typed errors, short retries.

Used by the monitor and by commands; knows no screen and keeps no picture.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import stamina
from msgspec import Struct

from upload_tui.client.concurrency import batches
from upload_tui.client.credentials import Credentials, TokenAuth
from upload_tui.client.error_mapping import raise_for_status, translate_errors
from upload_tui.client.request_gate import RequestGate
from upload_tui.client.service_clock import ClockOffset, ServiceClock
from upload_tui.client.urls import API_PATH, service_root
from upload_tui.clock import Clock, SystemClock
from upload_tui.errors import (
    AuthError,
    BadRequestError,
    InvalidResponseError,
    NotFoundError,
    ServerError,
    ServiceError,
    ThrottledError,
    UnreachableError,
)
from upload_tui.wire import (
    Project,
    QueueStats,
    RawPage,
    UploadPage,
    UploadReading,
    build_upload_page,
    page_entries,
    parse_body,
    read_projects,
    read_queue,
    read_upload_entries,
    read_upload_reading,
)

__all__ = ["RequestOutcome", "ServiceClient", "service_root"]

_MAX_BODY_BYTES = 256 * 1024 * 1024
_TIMEOUT_SECONDS = 20.0
_ATTEMPTS = 3
_FIRST_WAIT_SECONDS = 0.1
_MAX_PAGES = 100_000
_TIMED_RESPONSES = 5
_MAX_TIMED_BODY_BYTES = 256 * 1024
"""What is larger takes long for its size, not because the service is slow."""


class RequestOutcome(Struct, frozen=True):
    """What became of one request: for journals. Holds no header and no token.

    Attributes:
        at: when it was sent.
        path: what was asked for, below `/api/v1`, and `query` how.
        status: the answer's; None if none came.
        seconds, size_bytes: how long it took, and how much came.
        trouble: the error in one sentence; empty if all went well.
    """

    sent_on: datetime
    path: str
    query: Mapping[str, int]
    status: int | None
    seconds: float
    size_bytes: int
    error: str = ""


class _RawResponse(Struct, frozen=True):
    url: str
    body: bytes
    headers: httpx.Headers
    requested_on: datetime
    read_on: datetime


class _JsonResponse(Struct, frozen=True):
    raw: _RawResponse
    body: Any


@contextmanager
def _mention_url(url: str) -> Iterator[None]:
    """What cannot be read within this was said by `url`."""
    try:
        yield
    except InvalidResponseError as error:
        raise InvalidResponseError(f"{error.title} ({url})", "Check that --url names the service.") from error


@contextmanager
def _translate_setup_errors() -> Iterator[None]:
    """Proxies and certificates come from the environment, and may be such that no client can be made."""
    try:
        yield
    except (ImportError, ValueError) as error:
        raise UnreachableError(f"The proxy cannot be used: {error}", "Check HTTPS_PROXY and ALL_PROXY.") from error
    except OSError as error:
        raise UnreachableError("The certificates of SSL_CERT_FILE cannot be read", "Correct or unset it.") from error


class ServiceClient:
    """One service, one account. An async context manager that closes its connections.

    Args:
        url: the service's URL, with or without `/api/v1`.
        credentials: how to be let in.
        transport: in place of the network (an embedded service, a test's).
        clock: for the time of reading and the life of tokens.
        verify: certificates; True for the usual ones.
        timeout_seconds: the longest silence of the service that is waited out.
        attempts: how often a request is tried, with a short wait between; 1 waits for nothing.
        on_request: called with what became of each request.

    Attributes:
        root: the service's URL without `/api/v1`.
        gate: where all requests pass; whoever owns the client may close it for a while.
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
        on_request: Callable[[RequestOutcome], None] | None = None,
    ) -> None:
        self._on_request = on_request
        self._attempts = attempts
        self.root = service_root(url)
        self._clock: Clock = clock or SystemClock()
        self._clock_offset = ClockOffset(self._clock)
        self._request_times: deque[float] = deque()
        self._response_seconds: deque[float] = deque(maxlen=_TIMED_RESPONSES)
        self.gate = RequestGate(self._clock)
        base = f"{self.root}{API_PATH}"
        with translate_errors(self.root), _translate_setup_errors():
            self._http = httpx.AsyncClient(
                base_url=base,
                auth=TokenAuth(credentials, f"{base}/software_agents/api_token", self._clock),
                transport=transport,
                verify=verify,
                timeout=timeout_seconds,
                headers={"Accept": "application/json", "User-Agent": "upload-tui"},
            )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    def on_request(self, call: Callable[[RequestOutcome], None]) -> None:
        """Call this with what becomes of each request from now on."""
        self._on_request = call

    def now(self) -> datetime:
        """The present by the clock that readings are dated with: the service's."""
        return self._clock.now() + timedelta(seconds=self._clock_offset.seconds)

    def service_clock(self, base: Clock) -> Clock:
        """The same clock in the service's time, as its answers tell it."""
        return ServiceClock(base, self._clock_offset)

    def on_offset_changed(self, call: Callable[[], None]) -> None:
        """Call this when answers tell that the service's time is another than was thought."""
        self._clock_offset.on_change = call

    @property
    def requests_last_minute(self) -> int:
        """How many requests the service has got from us in the last minute, retries too."""
        self._drop_old_requests()
        return len(self._request_times)

    @property
    def median_response_seconds(self) -> float | None:
        """How long an answer of usual size takes just now: the median of the last few; None before there are some."""
        known = sorted(self._response_seconds)
        return known[(len(known) - 1) // 2] if len(known) > _TIMED_RESPONSES // 2 else None

    def _drop_old_requests(self) -> None:
        while self._request_times and self._request_times[0] <= self._clock.monotonic() - 60:
            self._request_times.popleft()

    @property
    def clock_offset_seconds(self) -> float | None:
        """How far the service's clock is ahead of ours, to the second; None before an answer has told."""
        return self._clock_offset.seconds if self._clock_offset.is_known else None

    async def projects(self) -> Sequence[Project]:
        """All projects that the account can see."""
        found: list[Project] = []
        page: int | None = 1
        while page is not None and page <= _MAX_PAGES:
            answer = await self._get("/projects", page=page, per_page=100)
            with _mention_url(answer.raw.url):
                projects, page = read_projects(answer.body, answer.raw.headers, page=page, per_page=100)
            found.extend(projects)
        return found

    async def find_project(self, id_or_name: str) -> Project:
        """The project with this id, or else this name.

        Raises:
            NotFoundError: there is none, or several have the name.
        """
        projects = await self.projects()
        by_id = [project for project in projects if project.id == id_or_name]
        by_name = [project for project in projects if project.name == id_or_name]
        found = by_id or by_name
        if len(found) == 1:
            return found[0]
        if found:
            raise NotFoundError(f"{len(found)} projects are called {id_or_name}", "Give the id of one.")
        names = ", ".join(sorted(project.name or project.id for project in projects)[:5])
        mend = f"This account sees: {names}." if names else "This account sees no project at all."
        raise NotFoundError(f"No project of {self.root} has the id or name {id_or_name}", mend)

    async def upload_page(self, project_id: str, page: int, per_page: int) -> UploadPage:
        """A page (from 1) of a project's uploads, newest first."""
        return await self.read_page_in_batches(await self.raw_page(project_id, page, per_page))

    async def raw_page(self, project_id: str, page: int, per_page: int) -> RawPage:
        """The same, not read yet."""
        words = await self._fetch(f"/projects/{quote(project_id, safe='')}/uploads", page=page, per_page=per_page)
        return RawPage(words.body, words.headers, page, per_page, words.requested_on, words.read_on, words.url)

    def read_page(self, raw: RawPage, indexes: Sequence[int] | None = None) -> UploadPage:
        """What a page says, at once; only of the entries at `indexes` (from 0) if they are given.

        Raises:
            InvalidResponseError: it says nothing that can be read.
        """
        with _mention_url(raw.url):
            listed = page_entries(raw.body)
            wanted = listed if indexes is None else [listed[place] for place in indexes]
            entries = read_upload_entries(wanted, read_on=raw.read_on, requested_on=raw.requested_on)
            return build_upload_page(entries, raw.headers, page=raw.page, per_page=raw.per_page)

    async def read_page_in_batches(self, raw: RawPage) -> UploadPage:
        """The same, while others go on."""
        found: list[UploadReading | str] = []
        with _mention_url(raw.url):
            async for entries in batches(page_entries(raw.body)):
                found.extend(read_upload_entries(entries, read_on=raw.read_on, requested_on=raw.requested_on))
            return build_upload_page(found, raw.headers, page=raw.page, per_page=raw.per_page)

    async def queue(self) -> QueueStats | None:
        """The verification queue; None if the service does not tell of it."""
        try:
            answer = await self._get("/queue")
        except (NotFoundError, InvalidResponseError, AuthError, BadRequestError):
            return None
        return read_queue(answer.body, read_on=answer.raw.read_on)

    async def upload(self, upload_id: str) -> UploadReading:
        """One upload."""
        answer = await self._get(f"/uploads/{quote(upload_id, safe='')}")
        words = answer.raw
        with _mention_url(words.url):
            return read_upload_reading(answer.body, read_on=words.read_on, requested_on=words.requested_on)

    async def _get(self, path: str, **query: int) -> _JsonResponse:
        words = await self._fetch(path, **query)
        with _mention_url(words.url):
            return _JsonResponse(words, parse_body(words.body))

    async def _fetch(self, path: str, **query: int) -> _RawResponse:
        """Ask once more, soon, where that may help; longer waits are the monitor's to plan and to show."""
        attempts = stamina.retry_context(
            on=(UnreachableError, ServerError), attempts=self._attempts, wait_initial=_FIRST_WAIT_SECONDS, timeout=None
        )
        async for attempt in attempts:
            with attempt:
                await self.gate.wait()
                try:
                    return await self._send_and_report(path, query)
                except ThrottledError as error:
                    self.gate.back_off(error)
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _send_and_report(self, path: str, query: dict[str, int]) -> _RawResponse:
        if self._on_request is None:
            return await self._send(path, query)
        at, began, status, size, trouble = self.now(), self._clock.monotonic(), None, 0, ""
        try:
            words = await self._send(path, query)
            status, size = 200, len(words.body)
        except ServiceError as error:
            status, trouble = error.status, error.title
            raise
        else:
            return words
        finally:
            seconds = self._clock.monotonic() - began
            self._on_request(RequestOutcome(at, path, dict(query), status, seconds, size, trouble))

    async def _send(self, path: str, query: dict[str, int]) -> _RawResponse:
        url = f"{self.root}{API_PATH}{path}"
        self._drop_old_requests()
        began = self._clock.monotonic()
        self._request_times.append(began)
        with translate_errors(url):
            async with self._http.stream("GET", path, params=query or None) as response:
                body = await self._read_body(response, url)
        seconds = self._clock.monotonic() - began
        if len(body) <= _MAX_TIMED_BODY_BYTES:
            self._response_seconds.append(seconds)
        self._clock_offset.observe(response.headers.get("date", ""), seconds)
        raise_for_status(response.status_code, response.headers, body, url)
        read_on = self.now()
        return _RawResponse(url, body, response.headers, read_on - timedelta(seconds=seconds), read_on)

    async def _read_body(self, response: httpx.Response, url: str) -> bytes:
        if int(response.headers.get("content-length") or 0) > _MAX_BODY_BYTES:
            raise InvalidResponseError(f"An answer is larger than any page can be: {url}")
        body = bytearray()
        async for block in response.aiter_bytes():
            body += block
            if len(body) > _MAX_BODY_BYTES:
                raise InvalidResponseError(f"An answer is larger than any page can be: {url}")
        return bytes(body)
