"""A service for tests whose uploads arrive, advance, fail, are purged and deleted while they are listed."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, lru_cache
from random import Random
from typing import Any

import httpx
import msgspec

from upload_tui.client import Credentials, ServiceClient
from upload_tui.status import Stage
from upload_tui.testing import NOW, an_upload
from upload_tui.wire import StatusShape

__all__ = ["HEADERS", "SimulatedUpload", "ShiftingService", "TickingClock"]

FINAL = (Stage.VERIFIED, Stage.ERROR)
HEADERS = frozenset({"X-Total", "X-Per-Page", "X-Next-Page"})
MAX_EVENTS = 150
ERROR_STATUSES = (400, 403, 500, 502, 503)


class TickingClock:
    """A clock that advances by a millisecond each time it is read."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        self.seconds += 0.001
        return NOW + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class SimulatedUpload:
    """One upload: when it reached which stage, in seconds of the clock."""

    name: str
    began: float
    reached: dict[Stage, float] = field(default_factory=dict)
    purged: float | None = None

    def __post_init__(self) -> None:
        self.id = _id_of(self.name)

    @property
    def stage(self) -> Stage:
        return list(self.reached)[-1]


@cache
def _id_of(name: str) -> str:
    return str(an_upload(name)["id"])


@lru_cache(maxsize=20_000)  # the same upload is listed many times
def _resource(
    name: str, began: float, reached: tuple[tuple[Stage, float], ...], purged: float | None, design: StatusShape
) -> dict[str, Any]:
    stages = dict(reached)
    return an_upload(
        name,
        **{str(stage): -at for stage, at in reached},  # type: ignore[arg-type]
        purged=None if purged is None else -purged,
        message=f"{name} is damaged" if reached[-1][0] is Stage.ERROR else None,
        size_bytes=4 * (1000 + round(began * 100)),
        chunks=(1, 2, 3, 4) if Stage.COMPLETED in stages else (1, 2, 3)[: 1 + round(began) % 3],
        status_shape=design,
        now=NOW,
    )


class _Yielding(httpx.MockTransport):
    """Yields to the event loop before and after an answer, so that answers overlap."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response], rng: Random) -> None:
        super().__init__(answer)
        self._rng = rng

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._wait()
        response = await super().handle_async_request(request)
        await self._wait()
        return response

    async def _wait(self) -> None:
        for _ in range(self._rng.randrange(4)):
            await asyncio.sleep(0)


class ShiftingService:
    """Serves one project; while it is changing, random events happen before each answer.

    Args:
        seed: of the random events.
        design: the shape of the status.
        largest_page: the largest page that it returns, whatever is requested.
        uploads: how many uploads there are at the start.
        headers: the paging headers that it sends.
        tie_rate: how often an upload is initiated at the same time as the one before it.
        error_rate: how often an answer is an error while it is changing.
    """

    def __init__(
        self,
        seed: int,
        design: StatusShape,
        largest_page: int,
        uploads: int,
        headers: frozenset[str] = HEADERS,
        tie_rate: float = 0,
        error_rate: float = 0,
    ) -> None:
        self.headers = headers
        self.tie_rate = tie_rate
        self.error_rate = error_rate
        self.unreadable_ids: set[str] = set()
        """Ids of uploads that it cannot render: every page that lists one fails."""
        self.broken_response: Callable[[], httpx.Response] = lambda: httpx.Response(
            500, json={"error": 500, "reason": "x"}
        )
        """The answer in that case."""
        self.before_response: Callable[[httpx.Request], None] = lambda request: None
        self.rng = Random(seed)
        self.design = design
        self.largest_page = largest_page
        self.clock = TickingClock()
        self.uploads: list[SimulatedUpload] = []  # newest first
        self.is_changing = False
        self.is_ordered = False
        """Answer requests in the order in which they are sent."""
        self.refuses_pages_after_last = False
        """Answer 404 instead of an empty page."""
        self.new_per_request = 0
        self.requests = 0
        self.bytes_sent = 0
        self._count = 0
        self._event_count = 0
        for _ in range(uploads):
            self.start_upload()
            for _ in range(self.rng.randrange(4)):
                self.advance(self.uploads[0])
            self.clock.seconds += 1

    def start_upload(self) -> None:
        self._count += 1
        self.clock.seconds += 0.01
        is_tied = bool(self.uploads) and self.rng.random() < self.tie_rate
        seconds = self.uploads[0].began if is_tied else self.clock.seconds
        self.uploads.insert(0, SimulatedUpload(f"u{self._count}", seconds, {Stage.INITIATED: seconds}))

    def advance(self, upload: SimulatedUpload) -> None:
        seconds = self.clock.seconds
        if upload.stage is Stage.INITIATED:
            upload.reached[Stage.COMPLETED] = seconds
        elif upload.stage is Stage.COMPLETED:
            upload.reached[self.rng.choice(FINAL)] = seconds
        elif upload.stage is Stage.VERIFIED and upload.purged is None and self.design is StatusShape.DEPLOYED:
            upload.purged = seconds

    def change_randomly(self) -> None:
        """Let a random event happen, or none; after `MAX_EVENTS` none."""
        if self._event_count >= MAX_EVENTS:
            return
        self._event_count += 1
        event = self.rng.random()
        self.clock.seconds += 0.05
        if event < 0.3:
            self.start_upload()
        elif event < 0.8 and self.uploads:
            self.advance(self.rng.choice(self.uploads))
        elif event < 0.9 and self.uploads:
            self.uploads.remove(self.rng.choice(self.uploads))

    def resource(self, upload: SimulatedUpload) -> dict[str, Any]:
        """The upload as the service lists it; not to be changed."""
        return _resource(upload.name, upload.began, tuple(upload.reached.items()), upload.purged, self.design)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        self.before_response(request)
        for _ in range(self.new_per_request):
            self.start_upload()
        if self.is_changing:
            for _ in range(self.rng.randrange(3)):
                self.change_randomly()
            if self.rng.random() < self.error_rate:
                return httpx.Response(self.rng.choice(ERROR_STATUSES), json={"error": "failed"})
        response = self._answer(request)
        self.bytes_sent += len(response.content)
        return response

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/p-1/uploads"):
            return self._page(int(request.url.params["page"]), int(request.url.params["per_page"]))
        upload_id = request.url.path.rpartition("/")[2]
        if upload_id in self.unreadable_ids:
            return self.broken_response()
        for upload in self.uploads:
            if upload.id == upload_id:
                return httpx.Response(200, json=self.resource(upload))
        return httpx.Response(404, json={"error": 404, "code": "not_provided", "reason": "Upload Not Found"})

    def _page(self, page: int, requested: int) -> httpx.Response:
        size = min(requested, self.largest_page)
        rows = self.uploads[(page - 1) * size : page * size]
        if self.unreadable_ids & {upload.id for upload in rows}:
            return self.broken_response()
        pages = -(-len(self.uploads) // size)
        if self.refuses_pages_after_last and page > max(1, pages):
            return httpx.Response(404, json={"error": 404, "code": "not_provided", "reason": "Page Not Found"})
        headers = {
            "X-Total": str(len(self.uploads)),
            "X-Per-Page": str(size),
            "X-Next-Page": str(page + 1) if page < pages else "",
        }
        headers = {name: value for name, value in headers.items() if name in self.headers}
        return httpx.Response(
            200, headers=headers, content=msgspec.json.encode({"results": [*map(self.resource, rows)]})
        )

    @contextmanager
    def changing(self) -> Iterator[None]:
        self.is_changing = True
        yield
        self.is_changing = False

    def client(self) -> ServiceClient:
        return ServiceClient(
            "https://example.org",
            Credentials(token="t"),
            transport=httpx.MockTransport(self.answer) if self.is_ordered else _Yielding(self.answer, self.rng),
            clock=self.clock,
            attempts=1,
        )
