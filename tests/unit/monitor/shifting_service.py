"""A service in a test's hands whose uploads come, go on, fail, are purged and deleted while they are being listed."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import httpx

from upload_tui.client import Credentials, ServiceClient
from upload_tui.status import Stage
from upload_tui.testing import NOW, an_upload
from upload_tui.wire import StatusShape

__all__ = ["HEADERS", "Life", "ShiftingService", "TickingClock"]

FINAL = (Stage.VERIFIED, Stage.ERROR)
HEADERS = frozenset({"X-Total", "X-Per-Page", "X-Next-Page"})
EVENTS_AT_MOST = 150
TROUBLES = (400, 403, 500, 502, 503)


class TickingClock:
    """A clock on which a moment passes each time somebody looks at it."""

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
class Life:
    """One upload: when it reached which stage, in seconds of the clock."""

    name: str
    began: float
    reached: dict[Stage, float] = field(default_factory=dict)
    purged: float | None = None

    def __post_init__(self) -> None:
        self.id = str(an_upload(self.name)["id"])

    @property
    def stage(self) -> Stage:
        return list(self.reached)[-1]


class _Yielding(httpx.MockTransport):
    """Takes a while before it answers, and until the answer has come: others are answered meanwhile."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response], chance: Random) -> None:
        super().__init__(answer)
        self._chance = chance

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._wait()
        response = await super().handle_async_request(request)
        await self._wait()
        return response

    async def _wait(self) -> None:
        for _ in range(self._chance.randrange(4)):
            await asyncio.sleep(0)


class ShiftingService:
    """Serves one project; something happens before each answer while it is restless.

    Args:
        seed: of all that happens by chance.
        design: the shape of the status.
        largest_page: the most uploads that it gives at once, whatever is asked for.
        uploads: how many there are to begin with.
        headers: those that it sends.
        ties: how often an upload is initiated at the very moment that the one before it was.
        trouble: how often an answer is an error while it is restless.
    """

    def __init__(
        self,
        seed: int,
        design: StatusShape,
        largest_page: int,
        uploads: int,
        headers: frozenset[str] = HEADERS,
        ties: float = 0,
        trouble: float = 0,
    ) -> None:
        self.headers = headers
        self.ties = ties
        self.trouble = trouble
        self.broken: set[str] = set()
        """Ids of uploads that it cannot render: a page fails that they stand on."""
        self.refusal: Callable[[], httpx.Response] = lambda: httpx.Response(500, json={"error": 500, "reason": "x"})
        """What it answers then."""
        self.before_answer: Callable[[httpx.Request], None] = lambda request: None
        self.chance = Random(seed)
        self.design = design
        self.largest_page = largest_page
        self.clock = TickingClock()
        self.lives: list[Life] = []  # newest first
        self.is_restless = False
        self.is_prompt = False
        """Answers come in the order in which they were asked for."""
        self.new_each_time = 0
        self.requests = 0
        self.bytes_sent = 0
        self._count = 0
        self._happened = 0
        for _ in range(uploads):
            self.begin()
            for _ in range(self.chance.randrange(4)):
                self.go_on(self.lives[0])
            self.clock.seconds += 1

    def begin(self) -> None:
        self._count += 1
        self.clock.seconds += 0.01
        is_tied = bool(self.lives) and self.chance.random() < self.ties
        seconds = self.lives[0].began if is_tied else self.clock.seconds
        self.lives.insert(0, Life(f"u{self._count}", seconds, {Stage.INITIATED: seconds}))

    def go_on(self, life: Life) -> None:
        seconds = self.clock.seconds
        if life.stage is Stage.INITIATED:
            life.reached[Stage.COMPLETED] = seconds
        elif life.stage is Stage.COMPLETED:
            life.reached[self.chance.choice(FINAL)] = seconds
        elif life.stage is Stage.VERIFIED and life.purged is None and self.design is StatusShape.DEPLOYED:
            life.purged = seconds

    def happen(self) -> None:
        """Something, or nothing; the more is asked the more happens, but there is an end to it."""
        if self._happened >= EVENTS_AT_MOST:
            return
        self._happened += 1
        what = self.chance.random()
        self.clock.seconds += 0.05
        if what < 0.3:
            self.begin()
        elif what < 0.8 and self.lives:
            self.go_on(self.chance.choice(self.lives))
        elif what < 0.9 and self.lives:
            self.lives.remove(self.chance.choice(self.lives))

    def resource(self, life: Life) -> dict[str, Any]:
        ago = {str(stage): -at for stage, at in life.reached.items()}
        return an_upload(
            life.name,
            **ago,  # type: ignore[arg-type]
            purged=None if life.purged is None else -life.purged,
            message=f"{life.name} is not whole" if life.stage is Stage.ERROR else None,
            size_bytes=4 * (1000 + round(life.began * 100)),
            chunks=(1, 2, 3, 4) if Stage.COMPLETED in life.reached else (1, 2, 3)[: 1 + round(life.began) % 3],
            status_shape=self.design,
            now=NOW,
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        self.before_answer(request)
        for _ in range(self.new_each_time):
            self.begin()
        if self.is_restless:
            for _ in range(self.chance.randrange(3)):
                self.happen()
            if self.chance.random() < self.trouble:
                return httpx.Response(self.chance.choice(TROUBLES), json={"error": "trouble"})
        response = self._answer(request)
        self.bytes_sent += len(response.content)
        return response

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/p-1/uploads"):
            return self._page(int(request.url.params["page"]), int(request.url.params["per_page"]))
        wanted = request.url.path.rpartition("/")[2]
        if wanted in self.broken:
            return self.refusal()
        for life in self.lives:
            if life.id == wanted:
                return httpx.Response(200, json=self.resource(life))
        return httpx.Response(404, json={"error": 404, "code": "not_provided", "reason": "Upload Not Found"})

    def _page(self, page: int, asked: int) -> httpx.Response:
        size = min(asked, self.largest_page)
        rows = self.lives[(page - 1) * size : page * size]
        if self.broken & {life.id for life in rows}:
            return self.refusal()
        pages = -(-len(self.lives) // size)
        headers = {
            "X-Total": str(len(self.lives)),
            "X-Per-Page": str(size),
            "X-Next-Page": str(page + 1) if page < pages else "",
        }
        headers = {name: value for name, value in headers.items() if name in self.headers}
        return httpx.Response(200, headers=headers, content=json.dumps({"results": [*map(self.resource, rows)]}))

    @contextmanager
    def restless(self) -> Iterator[None]:
        self.is_restless = True
        yield
        self.is_restless = False

    def client(self) -> ServiceClient:
        return ServiceClient(
            "https://example.org",
            Credentials(token="t"),
            transport=httpx.MockTransport(self.answer) if self.is_prompt else _Yielding(self.answer, self.chance),
            clock=self.clock,
            attempts=1,
        )
