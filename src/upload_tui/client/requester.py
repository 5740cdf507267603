"""GET requests of one client: gate, retries, statistics, the clock offset, and the translation of failures."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from statistics import median_low
from typing import Any, TypeVar

import httpx
import stamina
from msgspec import Struct

from upload_tui.client.error_mapping import add_url_to_errors, raise_for_status, translate_errors
from upload_tui.client.service_clock import ClockOffset
from upload_tui.clock import Clock
from upload_tui.errors import (
    Cause,
    InvalidResponseError,
    ServerError,
    ServiceError,
    ThrottledError,
    UnreachableError,
    UploadTuiError,
    first_of_group,
)
from upload_tui.redaction import redact_registered_json
from upload_tui.wire import parse_body

__all__ = ["RawResponse", "RequestGate", "RequestOutcome", "Requester", "batches", "gather_all", "unlimited_requests"]

_MINUTE_SECONDS = 60.0
_BUDGET_SECONDS = 61.0
"""A little more than a minute: a request is sent a moment after it has passed the gate, and the next may be sent sooner after."""
_is_unlimited = ContextVar("_is_unlimited", default=False)


@contextmanager
def unlimited_requests() -> Iterator[None]:
    """Send the requests of this context, and of tasks that are created in it, without regard to the budget."""
    token = _is_unlimited.set(True)
    try:
        yield
    finally:
        _is_unlimited.reset(token)


class RequestGate:
    """Holds back all requests of one client: while it is paused or throttled, and so that they stay within the budget.

    A `Retry-After` for one request holds for all.

    Args:
        clock: measures the time until the service may be asked again.

    Attributes:
        requests_per_minute: the most requests in any minute, first come, first served; None if there is no limit.
    """

    def __init__(self, clock: Clock) -> None:
        self.requests_per_minute: int | None = None
        self._sent: deque[float] = deque()
        self._turn = asyncio.Lock()
        self._clock = clock
        self._resumed = asyncio.Event()
        self._resumed.set()
        self._throttled: ThrottledError | None = None
        self._throttled_until = 0.0

    def set_paused(self, *, is_paused: bool) -> None:
        """Hold all requests while paused; let waiting and new ones through at the end of a pause."""
        if is_paused:
            self._resumed.clear()
        else:
            self._resumed.set()

    def back_off(self, error: ThrottledError) -> None:
        """Fail new requests for as long as the service asked; without a time this does nothing."""
        if error.retry_after_seconds is not None:
            self._throttled = error
            self._throttled_until = self._clock.monotonic() + error.retry_after_seconds

    async def wait(self) -> None:
        """Wait until a request may be sent.

        Raises:
            ThrottledError: the service asked clients to wait, and that time is not over. No request is sent, so `status` is None.
        """
        await self._resumed.wait()
        if self.requests_per_minute is not None and not _is_unlimited.get():
            await self._wait_for_budget(self.requests_per_minute)
        left_seconds = self._throttled_until - self._clock.monotonic()
        if self._throttled is not None and left_seconds > 0:
            error = self._throttled
            raise ThrottledError(error.title, error.hint, cause=error.cause, retry_after_seconds=left_seconds)
        self._throttled = None

    @property
    def is_holding(self) -> bool:
        """Whether a request waits because the budget is used up."""
        return self._turn.locked()

    async def _wait_for_budget(self, limit: int) -> None:
        """Wait until fewer than `limit` requests were sent in the last minute, and count one."""
        async with self._turn:
            while len(self._sent) >= limit:
                left_seconds = self._sent[0] + _BUDGET_SECONDS - self._clock.monotonic()
                if left_seconds <= 0:
                    self._sent.popleft()
                else:
                    await self._clock.sleep(left_seconds)
                    await self._resumed.wait()
            self._sent.append(self._clock.monotonic())


_MAX_BODY_BYTES = 256 * 1024 * 1024
_FIRST_WAIT_SECONDS = 0.1
_TIMED_RESPONSES = 5
_MAX_TIMED_BODY_BYTES = 256 * 1024
"""A larger response is slow because of its size, not because the service is slow."""


class RequestOutcome(Struct, frozen=True):
    """The outcome of one request, for recordings. Contains no header and no token.

    Attributes:
        sent_on: when it was sent.
        path, query: what was requested, below `/api/v1`.
        status: of the response; None if there was none.
        seconds, size_bytes: how long it took, and the size of the response.
        error: the failure in one sentence; empty if there was none.
    """

    sent_on: datetime
    path: str
    query: Mapping[str, int]
    status: int | None
    seconds: float
    size_bytes: int
    error: str = ""


class RawResponse(Struct, frozen=True):
    """A successful response: its URL (without the query), body and headers, and when it was requested and read."""

    url: str
    body: bytes
    headers: httpx.Headers
    requested_on: datetime
    read_on: datetime


class Requester:
    """Sends the requests of a client.

    Args:
        http: configured with the base URL and the credentials.
        base_url: of the API, for error messages.
        clock: the local clock.
        attempts: how often a request is tried, with short waits between; 1 disables retries.

    Attributes:
        gate: holds back all requests while paused or throttled.
        offset: how far the service's clock is ahead.
        clock: the service's clock, which stamps the responses.
        listeners: functions that are called with the outcome of each request.
    """

    def __init__(self, http: httpx.AsyncClient, base_url: str, clock: Clock, attempts: int) -> None:
        self._http = http
        self._base_url = base_url
        self._attempts = attempts
        self.gate = RequestGate(clock)
        self.offset = ClockOffset(clock)
        self.clock = self.offset.shifted(clock)
        self.listeners: list[Callable[[RequestOutcome], None]] = []
        self._request_times: deque[float] = deque()
        self._response_seconds: deque[float] = deque(maxlen=_TIMED_RESPONSES)

    @property
    def requests_last_minute(self) -> int:
        """The number of requests sent in the last minute, including retries."""
        self._drop_old_requests()
        return len(self._request_times)

    @property
    def median_response_seconds(self) -> float | None:
        """The median duration of the last few requests with a response of normal size; None if there were too few."""
        known = self._response_seconds
        return median_low(known) if len(known) > _TIMED_RESPONSES // 2 else None

    async def fetch_json(self, path: str, **query: int) -> tuple[RawResponse, Any]:
        """Like `fetch`, with the parsed JSON body."""
        raw = await self.fetch(path, **query)
        with add_url_to_errors(raw.url):
            return raw, parse_body(raw.body)

    async def fetch(self, path: str, **query: int) -> RawResponse:
        """Send a GET request, with short retries where they may help; longer waits are up to the monitor.

        Raises:
            ServiceError: the request failed.
        """
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

    async def _send_and_report(self, path: str, query: dict[str, int]) -> RawResponse:
        sent_on, began, status, size, failure = self.clock.now(), self.clock.monotonic(), None, 0, ""
        try:
            raw = await self._send(path, query)
            status, size = 200, len(raw.body)
        except ServiceError as error:
            status, failure = error.status, error.title
            raise
        else:
            return raw
        finally:
            seconds = self.clock.monotonic() - began
            for listener in self.listeners:
                listener(RequestOutcome(sent_on, path, dict(query), status, seconds, size, failure))

    async def _send(self, path: str, query: dict[str, int]) -> RawResponse:
        url = f"{self._base_url}{path}"
        is_about_uploads = "/uploads" in path and query.get("page", 1) == 1
        self._drop_old_requests()
        began = self.clock.monotonic()
        self._request_times.append(began)
        with translate_errors(url):
            async with self._http.stream("GET", path, params=query or None) as response:
                body = await self._read_body(response, url)
        body = redact_registered_json(body)  # a service may quote the token, in an error for example
        seconds = self.clock.monotonic() - began
        if len(body) <= _MAX_TIMED_BODY_BYTES:
            self._response_seconds.append(seconds)
        self.offset.observe(response.headers.get("date", ""), seconds)
        raise_for_status(response.status_code, response.headers, body, url)
        if is_about_uploads:
            self.offset.compare(body)
        read_on = self.clock.now()
        return RawResponse(url, body, response.headers, read_on - timedelta(seconds=seconds), read_on)

    async def _read_body(self, response: httpx.Response, url: str) -> bytes:
        too_large = InvalidResponseError(f"The response is too large: {url}", cause=Cause("The response is too large"))
        if int(response.headers.get("content-length") or 0) > _MAX_BODY_BYTES:
            raise too_large
        body = bytearray()
        async for block in response.aiter_bytes():
            body += block
            if len(body) > _MAX_BODY_BYTES:
                raise too_large
        return bytes(body)

    def _drop_old_requests(self) -> None:
        while self._request_times and self._request_times[0] <= self.clock.monotonic() - _MINUTE_SECONDS:
            self._request_times.popleft()


_BATCH_SIZE = 25
_YIELD_SECONDS = 0.001
"""A key press takes several turns of the event loop before it is painted; `sleep(0)` would give it one."""

Item = TypeVar("Item")
Result = TypeVar("Result")


async def batches(items: Sequence[Item]) -> AsyncIterator[Sequence[Item]]:
    """Yield the items in batches, with a short sleep between them."""
    for start in range(0, len(items), _BATCH_SIZE):
        if start:
            await asyncio.sleep(_YIELD_SECONDS)
        yield items[start : start + _BATCH_SIZE]


async def gather_all(coroutines: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Run coroutines concurrently. The first `UploadTuiError` cancels the others and is raised itself, not in a group."""
    failure: UploadTuiError | None = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except* UploadTuiError as errors:
        failure = first_of_group(errors)  # raised below: Python before 3.11.4 puts into a group what is raised here
    if failure is not None:
        raise failure
    return [task.result() for task in tasks]
