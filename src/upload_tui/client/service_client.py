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

from upload_tui.client.addresses import API_PATH, service_root
from upload_tui.client.credentials import Credentials, TokenAuth
from upload_tui.client.faults import check_status, own_errors
from upload_tui.client.gate import Gate
from upload_tui.client.service_clock import Lead, ServiceClock
from upload_tui.client.turns import portions
from upload_tui.clock import Clock, SystemClock
from upload_tui.errors import (
    BusyError,
    NotAllowedError,
    NotFoundError,
    RefusedError,
    ServiceError,
    TroubleError,
    UnreachableError,
    UnreadableError,
)
from upload_tui.wire.answers import (
    PageWords,
    Project,
    UploadPage,
    UploadReading,
    page_entries,
    parse_body,
    read_projects,
    read_upload_entries,
    read_upload_reading,
    upload_page,
)
from upload_tui.wire.queue import QueueFacts, read_queue

__all__ = ["RequestOutcome", "ServiceClient", "service_root"]

_BODY_LIMIT_BYTES = 256 * 1024 * 1024
_TIMEOUT_SECONDS = 20.0
_ATTEMPTS = 3
_FIRST_WAIT_SECONDS = 0.1
_PAGES_AT_MOST = 100_000
_ANSWERS_TIMED = 5
_TIMED_BODY_BYTES = 256 * 1024
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

    at: datetime
    path: str
    query: Mapping[str, int]
    status: int | None
    seconds: float
    size_bytes: int
    trouble: str = ""


class _Words(Struct, frozen=True):
    url: str
    body: bytes
    headers: httpx.Headers
    asked_on: datetime
    read_on: datetime


class _Answer(Struct, frozen=True):
    words: _Words
    body: Any


@contextmanager
def _about(url: str) -> Iterator[None]:
    """What cannot be read within this was said by `url`."""
    try:
        yield
    except UnreadableError as error:
        raise UnreadableError(f"{error.title} ({url})", "Check that --url names the service.") from error


@contextmanager
def _usable_surroundings() -> Iterator[None]:
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
        note: called with what became of each request.

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
        note: Callable[[RequestOutcome], None] | None = None,
    ) -> None:
        self._note = note
        self._attempts = attempts
        self.root = service_root(url)
        self._clock: Clock = clock or SystemClock()
        self._lead = Lead(self._clock)
        self._asked_at: deque[float] = deque()
        self._answer_seconds: deque[float] = deque(maxlen=_ANSWERS_TIMED)
        self.gate = Gate(self._clock)
        base = f"{self.root}{API_PATH}"
        with own_errors(self.root), _usable_surroundings():
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

    def note_with(self, note: Callable[[RequestOutcome], None]) -> None:
        """Call this with what becomes of each request from now on."""
        self._note = note

    def now(self) -> datetime:
        """The present by the clock that readings are dated with: the service's."""
        return self._clock.now() + timedelta(seconds=self._lead.seconds)

    def clock_of_service(self, base: Clock) -> Clock:
        """The same clock in the service's time, as its answers tell it."""
        return ServiceClock(base, self._lead)

    def when_clock_moves(self, call: Callable[[], None]) -> None:
        """Call this when answers tell that the service's time is another than was thought."""
        self._lead.moved = call

    @property
    def requests_last_minute(self) -> int:
        """How many requests the service has got from us in the last minute, retries too."""
        self._forget_requests()
        return len(self._asked_at)

    @property
    def answer_seconds(self) -> float | None:
        """How long an answer of usual size takes just now: the median of the last few; None before there are some."""
        known = sorted(self._answer_seconds)
        return known[(len(known) - 1) // 2] if len(known) > _ANSWERS_TIMED // 2 else None

    def _forget_requests(self) -> None:
        while self._asked_at and self._asked_at[0] <= self._clock.monotonic() - 60:
            self._asked_at.popleft()

    @property
    def clock_lead_seconds(self) -> float | None:
        """How far the service's clock is ahead of ours, to the second; None before an answer has told."""
        return self._lead.seconds if self._lead.is_known else None

    async def projects(self) -> Sequence[Project]:
        """All projects that the account can see."""
        found: list[Project] = []
        page: int | None = 1
        while page is not None and page <= _PAGES_AT_MOST:
            answer = await self._get("/projects", page=page, per_page=100)
            with _about(answer.words.url):
                projects, page = read_projects(answer.body, answer.words.headers, page=page, per_page=100)
            found.extend(projects)
        return found

    async def find_project(self, wanted: str) -> Project:
        """The project with this id, or else this name.

        Raises:
            NotFoundError: there is none, or several have the name.
        """
        projects = await self.projects()
        by_id = [project for project in projects if project.id == wanted]
        by_name = [project for project in projects if project.name == wanted]
        found = by_id or by_name
        if len(found) == 1:
            return found[0]
        if found:
            raise NotFoundError(f"{len(found)} projects are called {wanted}", "Give the id of one.")
        names = ", ".join(sorted(project.name or project.id for project in projects)[:5])
        mend = f"This account sees: {names}." if names else "This account sees no project at all."
        raise NotFoundError(f"No project of {self.root} has the id or name {wanted}", mend)

    async def upload_page(self, project_id: str, page: int, per_page: int) -> UploadPage:
        """A page (from 1) of a project's uploads, newest first."""
        return await self.read_page_in_portions(await self.page_words(project_id, page, per_page))

    async def page_words(self, project_id: str, page: int, per_page: int) -> PageWords:
        """The same, not read yet."""
        words = await self._words(f"/projects/{quote(project_id, safe='')}/uploads", page=page, per_page=per_page)
        return PageWords(words.body, words.headers, page, per_page, words.asked_on, words.read_on, words.url)

    def read_page(self, words: PageWords, places: Sequence[int] | None = None) -> UploadPage:
        """What a page says, at once; only of the entries at `places` (from 0) if they are given.

        Raises:
            UnreadableError: it says nothing that can be read.
        """
        with _about(words.url):
            listed = page_entries(words.body)
            wanted = listed if places is None else [listed[place] for place in places]
            entries = read_upload_entries(wanted, read_on=words.read_on, asked_on=words.asked_on)
            return upload_page(entries, words.headers, page=words.page, per_page=words.per_page)

    async def read_page_in_portions(self, words: PageWords) -> UploadPage:
        """The same, while others go on."""
        found: list[UploadReading | str] = []
        with _about(words.url):
            async for entries in portions(page_entries(words.body)):
                found.extend(read_upload_entries(entries, read_on=words.read_on, asked_on=words.asked_on))
            return upload_page(found, words.headers, page=words.page, per_page=words.per_page)

    async def queue(self) -> QueueFacts | None:
        """The verification queue; None if the service does not tell of it."""
        try:
            answer = await self._get("/queue")
        except (NotFoundError, UnreadableError, NotAllowedError, RefusedError):
            return None
        return read_queue(answer.body, read_on=answer.words.read_on)

    async def upload(self, upload_id: str) -> UploadReading:
        """One upload."""
        answer = await self._get(f"/uploads/{quote(upload_id, safe='')}")
        words = answer.words
        with _about(words.url):
            return read_upload_reading(answer.body, read_on=words.read_on, asked_on=words.asked_on)

    async def _get(self, path: str, **query: int) -> _Answer:
        words = await self._words(path, **query)
        with _about(words.url):
            return _Answer(words, parse_body(words.body))

    async def _words(self, path: str, **query: int) -> _Words:
        """Ask once more, soon, where that may help; longer waits are the monitor's to plan and to show."""
        attempts = stamina.retry_context(
            on=(UnreachableError, TroubleError), attempts=self._attempts, wait_initial=_FIRST_WAIT_SECONDS, timeout=None
        )
        async for attempt in attempts:
            with attempt:
                await self.gate.passed()
                try:
                    return await self._ask(path, query)
                except BusyError as error:
                    self.gate.note(error)
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _ask(self, path: str, query: dict[str, int]) -> _Words:
        if self._note is None:
            return await self._get_once(path, query)
        at, began, status, size, trouble = self.now(), self._clock.monotonic(), None, 0, ""
        try:
            words = await self._get_once(path, query)
            status, size = 200, len(words.body)
        except ServiceError as error:
            status, trouble = error.status, error.title
            raise
        else:
            return words
        finally:
            seconds = self._clock.monotonic() - began
            self._note(RequestOutcome(at, path, dict(query), status, seconds, size, trouble))

    async def _get_once(self, path: str, query: dict[str, int]) -> _Words:
        url = f"{self.root}{API_PATH}{path}"
        self._forget_requests()
        began = self._clock.monotonic()
        self._asked_at.append(began)
        with own_errors(url):
            async with self._http.stream("GET", path, params=query or None) as response:
                body = await self._read(response, url)
        seconds = self._clock.monotonic() - began
        if len(body) <= _TIMED_BODY_BYTES:
            self._answer_seconds.append(seconds)
        self._lead.note(response.headers.get("date", ""), seconds)
        check_status(response.status_code, response.headers, body, url)
        read_on = self.now()
        return _Words(url, body, response.headers, read_on - timedelta(seconds=seconds), read_on)

    async def _read(self, response: httpx.Response, url: str) -> bytes:
        if int(response.headers.get("content-length") or 0) > _BODY_LIMIT_BYTES:
            raise UnreadableError(f"An answer is larger than any page can be: {url}")
        body = bytearray()
        async for block in response.aiter_bytes():
            body += block
            if len(body) > _BODY_LIMIT_BYTES:
                raise UnreadableError(f"An answer is larger than any page can be: {url}")
        return bytes(body)
