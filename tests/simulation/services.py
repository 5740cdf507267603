"""Simulated services and a source: their uploads change, and their network fails."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from email.utils import format_datetime
from random import Random
from typing import Any, TypeAlias

import httpx
from msgspec import Struct

from tests.simulation.options import Options, Trace
from tests.unit.cli.virtual_program import VirtualClock
from upload_tui.client import Credentials, ServiceClient
from upload_tui.monitor import (
    ProjectRef,
)
from upload_tui.sources import LineBatch, LineReceiver, Listing, ListingVerdict
from upload_tui.status import Stage
from upload_tui.testing import NOW, an_upload
from upload_tui.wire import StatusShape

__all__ = ["Host", "SimulatedUpload", "SourceHost"]

_CLOCK = VirtualClock()
_TOKEN_SECONDS = 600
_MAX_UPLOADS = 150


class SimulatedUpload(Struct):
    """One upload: when it reached which stage, in seconds of virtual time.

    Attributes:
        purged: when its data were deleted; None if they were not.
        listed_until: when it was deleted last; None if it never was.
        listed_again: when it was listed again after that.
        project_id: empty if it does not matter.
    """

    name: str
    id: str
    reached: dict[Stage, float]
    purged: float | None = None
    listed_until: float | None = None
    listed_again: float = -1e9
    project_id: str = ""

    @property
    def stage(self) -> Stage:
        return next(reversed(self.reached))

    def stage_at(self, seconds: float) -> Stage | None:
        """Its stage at a time; None before it began, or was listed again."""
        if seconds < self.listed_again:
            return None
        return next((stage for stage, at in reversed(self.reached.items()) if at <= seconds), None)

    def advance(self, rng: Random) -> None:
        """Let it reach its next stage."""
        if self.stage is Stage.INITIATED:
            self.reached[Stage.COMPLETED] = _CLOCK.monotonic()
        elif self.stage is Stage.COMPLETED:
            self.reached[rng.choice((Stage.VERIFIED, Stage.VERIFIED, Stage.ERROR))] = _CLOCK.monotonic()


class Host:
    """A service with two projects.

    Attributes:
        mode: how it answers: `ok`, `down`, `500`, `503`, `429`, `garbage`, `frozen`, `lost` or `slow`; the last two are drawn
            for each request.
        unreadable: ids of uploads that it cannot render.
        was_unreadable: those that it could not at any time.
        skew_seconds: how far its clock is ahead.
        restless: how many of the next requests have something happen before their answer.
        is_exchanging: whether that is an arrival and a deletion in turn, so that totals hardly show it.
    """

    def __init__(self, number: int, options: Options, trace: Trace, rng: Random) -> None:
        self.number = number
        self.url = f"https://{number}.example.org"
        self.shape = options.shapes[number]
        self.mode = "ok"
        self.unreadable: set[str] = set()
        self.was_unreadable: set[str] = set()
        self.skew_seconds = 0.0
        self.restless = 0
        self.is_exchanging = False
        self.tokens = 0
        self.valid_token = ""
        self._options = options
        self._trace = trace
        self._rng = rng
        self._count = 0
        self.slow_until = -1e9
        """Until when its answers have been slow."""
        self.is_broken = False
        self.projects = {f"p-{number}{index}": list[SimulatedUpload]() for index in range(2)}
        self.deleted: list[SimulatedUpload] = []
        self._resources: dict[str, tuple[object, str]] = {}

    @property
    def refs(self) -> Sequence[ProjectRef]:
        return [ProjectRef(project_id, project_id.upper()) for project_id in self.projects]

    @property
    def uploads(self) -> Sequence[SimulatedUpload]:
        """All that are listed."""
        return [upload for uploads in self.projects.values() for upload in uploads]

    def all_uploads(self) -> Sequence[SimulatedUpload]:
        """Also those that were deleted."""
        return [*self.uploads, *self.deleted]

    def groups(self) -> Sequence[tuple[str, Sequence[SimulatedUpload]]]:
        """The uploads that are listed, by project."""
        return [*self.projects.items()]

    @property
    def is_quiet(self) -> bool:
        """Whether nothing happens by itself."""
        return True

    # What happens to uploads

    def insert(self, rng: Random, age_seconds: float = 0.0) -> None:
        if self._count >= _MAX_UPLOADS:
            return
        self._count += 1
        project_id = rng.choice([*self.projects])
        name = f"s{self.number}-{self._count}"
        upload_id = str(an_upload(name)["id"])
        began = _CLOCK.monotonic() - age_seconds
        upload = SimulatedUpload(name, upload_id, {Stage.INITIATED: began}, project_id=project_id)
        self.projects[project_id].insert(0, upload)

    def advance(self, rng: Random) -> None:
        pending = [upload for upload in self.uploads if not upload.stage.is_final]
        if pending:
            rng.choice(pending).advance(rng)

    def delete(self, rng: Random) -> None:
        if self.uploads:
            upload = rng.choice(self.uploads)
            for uploads in self.projects.values():
                if upload in uploads:
                    uploads.remove(upload)
            upload.listed_until = _CLOCK.monotonic()
            self.deleted.append(upload)

    def list_again(self, rng: Random) -> None:
        """List an upload again that was deleted, at its place: the newest one is the first."""
        if self.deleted:
            upload = self.deleted.pop(rng.randrange(len(self.deleted)))
            upload.listed_again = _CLOCK.monotonic()
            uploads = self.projects[upload.project_id]
            uploads.append(upload)
            uploads.sort(key=lambda one: one.reached[Stage.INITIATED], reverse=True)

    def purge(self, rng: Random) -> None:
        verified = [one for one in self.uploads if one.stage is Stage.VERIFIED and one.purged is None]
        if verified and self.shape is StatusShape.DEPLOYED:
            rng.choice(verified).purged = _CLOCK.monotonic()

    def happen(self, rng: Random) -> None:
        """One of these, at random; or in turn."""
        if self.is_exchanging:
            (self.delete if self.restless % 2 else self.insert)(rng)
            return
        rng.choice((self.insert, self.insert, self.advance, self.advance, self.delete))(rng)

    # Answers

    async def answer(self, request: httpx.Request) -> httpx.Response:
        limit = request.extensions.get("timeout", {}).get("read") or 30.0
        path = request.url.raw_path.decode().removeprefix("/api/v1")
        await asyncio.sleep(self._rng.uniform(0.005, 0.2))
        mode = self.mode
        if mode in {"lost", "slow"} and self._rng.random() < 0.6:
            mode = "ok"
        if mode == "frozen":
            waited = 0.0
            while self.mode == "frozen" and waited < limit:
                await asyncio.sleep(1.0)
                waited += 1.0
            if waited >= limit:
                self._trace.add(f"{self.number} {path} timeout")
                raise httpx.ReadTimeout("", request=request)
            mode = self.mode
        if mode == "slow":
            await asyncio.sleep(self._rng.uniform(1, 8))
        if self.restless:
            self.restless -= 1
            self.happen(self._rng)
            self.is_exchanging &= self.restless > 0
        response = await self._failure(mode, request) or await self._respond(request)
        await asyncio.sleep(self._rng.uniform(0.005, 0.2))
        on = _CLOCK.now() + timedelta(seconds=self.skew_seconds)
        response.headers["Date"] = format_datetime(on, usegmt=True)
        self._trace.add(f"{self.number} {request.method} {path} {response.status_code} {len(response.content)}")
        return response

    async def _failure(self, mode: str, request: httpx.Request) -> httpx.Response | None:
        if mode == "down":
            raise httpx.ConnectError("refused", request=request)
        if mode == "lost":
            await self._respond(request)  # it was processed
            raise httpx.ReadError("reset", request=request)
        if mode == "garbage":
            return httpx.Response(200, content=b"<html>proxy</html>")
        if mode in {"503", "429"}:
            return httpx.Response(int(mode), headers={"Retry-After": "3"}, json={"error": int(mode), "reason": "wait"})
        if mode == "500":
            return httpx.Response(500, json={"error": 500, "reason": "failed"})
        return None

    async def _respond(self, request: httpx.Request) -> httpx.Response:
        parts = request.url.path.removeprefix("/api/v1/").split("/")
        if parts == ["software_agents", "api_token"]:
            self.tokens += 1
            self.valid_token = f"token-{self.number}-{self.tokens}" if not self.valid_token else self.valid_token
            return httpx.Response(200, json={"api_token": self.valid_token, "time_to_live": _TOKEN_SECONDS})
        if request.headers.get("Authorization") != self.valid_token:
            return httpx.Response(401, json={"error": 401, "reason": "expired api_token"})
        if parts == ["projects"]:
            return httpx.Response(200, json={"results": [{"id": one.id, "name": one.name} for one in self.refs]})
        if parts[0] == "projects" and parts[1] in self.projects:
            params = request.url.params
            return self._page(parts[1], int(params["page"]), int(params["per_page"]))
        found = [(one, project) for project, uploads in self.projects.items() for one in uploads if one.id == parts[-1]]
        if parts[0] == "uploads" and found:
            if parts[1] in self.unreadable:
                return httpx.Response(500, json={"error": 500, "reason": "x"})
            return httpx.Response(200, content=self.resource(*found[0]))
        return httpx.Response(404, json={"error": 404, "code": "not_provided", "reason": "Not Found"})

    def _page(self, project_id: str, number: int, requested: int) -> httpx.Response:
        size, uploads = min(requested, self._options.largest_page), self.projects[project_id]
        rows = uploads[(number - 1) * size : number * size]
        if self.unreadable & {upload.id for upload in rows}:
            return httpx.Response(500, json={"error": 500, "reason": "x"})
        headers = {
            "X-Total": str(len(uploads)),
            "X-Per-Page": str(size),
            "X-Next-Page": str(number + 1) if number * size < len(uploads) else "",
        }
        if self._options.hides_total:
            del headers["X-Total"]
        content = '{"results": [' + ", ".join(self.resource(upload, project_id) for upload in rows) + "]}"
        return httpx.Response(200, headers=headers, content=content)

    def resource(self, upload: SimulatedUpload, project_id: str) -> str:
        """An upload as JSON, made once for each of its states."""
        state = (len(upload.reached), upload.purged, self.skew_seconds)
        known = self._resources.get(upload.id)
        if known is None or known[0] != state:
            known = self._resources[upload.id] = state, json.dumps(self._resource(upload, project_id))
        return known[1]

    def _resource(self, upload: SimulatedUpload, project_id: str) -> dict[str, Any]:
        # Times of one answer are by the service's clock.
        ago = {str(stage): -(at + self.skew_seconds) for stage, at in upload.reached.items()}
        return an_upload(
            upload.name,
            **ago,  # type: ignore[arg-type]
            purged=None if upload.purged is None else -(upload.purged + self.skew_seconds),
            message="it is damaged" if upload.stage is Stage.ERROR else None,
            status_shape=self.shape,
            project=(project_id, project_id.upper()),
            now=NOW,
        )

    @property
    def credentials(self) -> Credentials:
        return Credentials(agent_key="agent", user_key="user")

    def client(self, answer: "Answer | None" = None) -> ServiceClient:
        """A client; `answer` in place of the service's own."""
        return ServiceClient(self.url, self.credentials, transport=_Network(answer or self.answer), clock=_CLOCK)

    @property
    def _network(self) -> httpx.AsyncBaseTransport:
        return _Network(self.answer)


Answer: TypeAlias = Callable[[httpx.Request], Awaitable[httpx.Response]]


class _Network(httpx.AsyncBaseTransport):
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._answer(request)


class SourceHost:
    """A source: prints what is there now; a run may fail or be cut."""

    name = "source"

    def __init__(self, trace: Trace, rng: Random) -> None:
        self.mode = "ok"
        self.slow_until = -1e9
        self.is_broken = False
        self.present: dict[str, SimulatedUpload] = {}
        self.gone: list[SimulatedUpload] = []
        self._trace = trace
        self._rng = rng
        self._count = 0
        self._was_empty = False
        self._damaged_id = ""
        self.emptied_at = -1e9
        """When it has last printed nothing by accident."""

    @property
    def uploads(self) -> Sequence[SimulatedUpload]:
        return [*self.present.values()]

    def groups(self) -> Sequence[tuple[str, Sequence[SimulatedUpload]]]:
        """All belong to one project."""
        return [("", self.uploads)]

    def all_uploads(self) -> Sequence[SimulatedUpload]:
        return [*self.present.values(), *self.gone]

    def insert(self, rng: Random, age_seconds: float = 0.0) -> None:
        self._count += 1
        name = f"source-{self._count}"
        self.present[name] = SimulatedUpload(name, name, {Stage.INITIATED: _CLOCK.monotonic() - age_seconds})

    def advance(self, rng: Random) -> None:
        pending = [upload for upload in self.uploads if not upload.stage.is_final]
        if pending:
            rng.choice(pending).advance(rng)

    def delete(self, rng: Random) -> None:
        if self.present:
            upload_id = rng.choice([*self.present])
            # Before it is listed again, rather the one whose line could not be read.
            upload = self.present.pop(self._damaged_id if self._damaged_id in self.present else upload_id)
            upload.listed_until = _CLOCK.monotonic()
            self.gone.append(upload)

    def list_again(self, rng: Random) -> None:
        if self.gone:
            upload = self.gone.pop(rng.randrange(len(self.gone)))
            upload.listed_again = _CLOCK.monotonic()
            self.present[upload.id] = upload
            if rng.random() < 0.5:  # in the stage of before, or in another one
                upload.advance(rng)

    async def read(self, receive: LineReceiver, is_whole: ListingVerdict) -> Listing:
        await asyncio.sleep(self._rng.uniform(0.1, 1.0))
        mode = self.mode  # `ok`, `cut`, `failed`, `damaged` (a line, of an upload that it names or not) or `empty`
        lines = [json.dumps(self._line(upload)).encode() for upload in self.uploads]
        if mode == "empty":  # by accident, and never twice in a row: that would be the truth
            self.mode = "ok"
            if lines and not self._was_empty:
                lines, self.emptied_at = [], _CLOCK.monotonic()
        self._was_empty, self._damaged_id = not lines, ""
        if mode == "damaged" and lines:
            number = self._rng.randrange(len(lines))
            self._damaged_id = self.uploads[number].id
            lines[number] = b"\xff" if number % 2 else json.dumps({"id": self.uploads[number].id, "stage": 7}).encode()
        cut = self._rng.randrange(len(lines) + 1) if mode in {"cut", "failed"} else len(lines)
        for start in range(0, cut, 3):
            await receive(LineBatch(start + 1, lines[start : min(start + 3, cut)]))
            await asyncio.sleep(self._rng.uniform(0, 0.05))
        if mode != "failed":  # cut in the middle, the end line contradicts the others
            await receive(LineBatch(cut + 1, [json.dumps({"type": "end", "uploads": len(lines)}).encode()]))
        self._trace.add(f"source {mode} {cut}")
        return Listing(failure="it exited with 1" if mode == "failed" else "")

    def _line(self, upload: SimulatedUpload) -> dict[str, Any]:
        on = (NOW + timedelta(seconds=upload.reached[upload.stage])).isoformat()
        return {"id": upload.id, "name": upload.name, "stage": upload.stage, "on": on}
