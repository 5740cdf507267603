"""The simulated world: services and a source whose uploads change, a network that fails, and watchers over stores on disk.

All of it runs on one event loop in virtual time, so that a seed decides everything.
"""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx
from msgspec import Struct, field

from tests.simulation.faults import Failure, Injector, Killed, exempt, sqlite_error
from tests.unit.cli.virtual_program import VirtualClock
from upload_tui.client import Credentials, ServiceClient
from upload_tui.errors import BusyStorageError
from upload_tui.monitor import (
    Change,
    ChangeBroadcaster,
    CombinedSession,
    ConnectionChanged,
    LiveSession,
    PictureChanged,
    ProjectRef,
    Query,
    RecordingHeader,
    RecordingStore,
    RecordingWriter,
    Schedule,
    Session,
    SourceSession,
    Store,
    SyncProgressed,
    UploadChange,
    WatchedSource,
)
from upload_tui.monitor.store.store import Limits
from upload_tui.sources import LineBatch, LineReceiver, Listing, ListingVerdict
from upload_tui.status import Stage
from upload_tui.testing import NOW, an_upload
from upload_tui.wire import StatusShape

if TYPE_CHECKING:
    from tests.simulation.embedded import EmbeddedHost

__all__ = [
    "CHUNK_FOLDER",
    "MAX_ROWS",
    "Disk",
    "Host",
    "Options",
    "Recorded",
    "SimulatedUpload",
    "SourceHost",
    "Trace",
    "Victim",
    "Watcher",
    "World",
    "shown_uploads",
]

_CLOCK = VirtualClock()
CHUNK_FOLDER = "chunks"
"""Where the embedded service keeps the chunks."""
_TOKEN_SECONDS = 600
_MAX_UPLOADS = 150


class Options(Struct, frozen=True):
    """What a seed draws for a whole run.

    Attributes:
        shapes: the shape of the status of each service.
        has_source: whether there is a source too.
        has_embedded: whether the last service is the embedded one, with clients that upload to it.
        largest_page: the largest page of a service.
        uploads: how many uploads each has at the start.
        watchers: how many watch at the same time; all share their stores.
        minutes: how long events happen.
        broken: the service that never works again, by its number; None for none.
        weights: how often each kind of event happens in relation to others; 0 for never.
        event_count: how many happen.
        hides_total: whether services leave out the total of pages.
        has_bulk: whether the first scan loads in bulk.
    """

    shapes: tuple[StatusShape, ...]
    has_source: bool
    has_embedded: bool
    largest_page: int
    uploads: int
    watchers: int
    minutes: int
    broken: int | None
    hides_total: bool
    has_bulk: bool
    event_count: int
    weights: dict[str, int]

    def __str__(self) -> str:
        shapes = ",".join(self.shapes)
        off = ", ".join(name for name, weight in self.weights.items() if not weight) or "none"
        return (
            f"services {shapes}{' (embedded)' if self.has_embedded else ''}"
            f"{' and a source' if self.has_source else ''}; pages of {self.largest_page}"
            f"{' without totals' if self.hides_total else ''}; {self.uploads} uploads; {self.watchers} watchers; "
            f"{self.event_count} events in {self.minutes} minutes; broken for good: {self.broken}; off: {off}"
        )

    @property
    def limits(self) -> Limits:
        """The limits of the stores. A wait for a lock would last in real time, in which nothing releases it."""
        bulk_threshold = 10 if self.has_bulk else Limits().bulk_threshold
        return Limits(bulk_threshold=bulk_threshold, busy_seconds=0.0)


class Trace:
    """What happened, as a hash: equal for two runs of one seed."""

    def __init__(self) -> None:
        self._hash = sha256()
        self.lines: list[str] = []

    def add(self, text: str) -> None:
        line = f"{_CLOCK.monotonic():.6f} {text}"
        self._hash.update(line.encode())
        self.lines.append(line)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()[:16]


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
            upload = self.present.pop(rng.choice([*self.present]))
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
        mode = self.mode  # `ok`, `cut`, `failed`, `damaged` or `empty`
        lines = [json.dumps(self._line(upload)).encode() for upload in self.uploads]
        if mode == "empty":  # by accident, and never twice in a row: that would be the truth
            self.mode = "ok"
            if lines and not self._was_empty:
                lines, self.emptied_at = [], _CLOCK.monotonic()
        self._was_empty = not lines
        if mode == "damaged" and lines:
            lines[self._rng.randrange(len(lines))] = b"\xff"
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


class Disk(Injector):
    """The disk of all stores, or that of the chunks: calls fail while it is full or fails.

    Attributes:
        only: how calls begin that fail; empty for all.
        every: of these, each n-th fails.
        failed: how many calls have failed, by their word and the failure.
    """

    def __init__(self, trace: Trace) -> None:
        super().__init__(Failure("FULL", writes_only=True, rolls_back=True), 0)
        self._trace = trace
        self.is_failing = False
        self._begun = 0
        self.only = ""
        self.every = 1
        self.failed = Counter[str]()
        self.victim: Victim | None = None

    def check_alive(self, connection: sqlite3.Connection, sql: str) -> None:
        if self.victim is not None:
            self.victim.check_alive(connection, sql)

    def end_later(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """Begin to fail, and end it then, unless another failure has begun since."""
        self.is_failing = True
        self._begun += 1
        begun = self._begun

        def end() -> None:
            self.is_failing &= self._begun != begun

        loop.call_later(seconds, end)

    def fails(self, what: str, inode: int = 0) -> bool:
        word = what.partition(" ")[0]  # the rest names a temporary file
        if not self.is_failing or not what.startswith(self.only):
            return False
        self.count += 1
        if self.count % self.every:
            return False
        self.failed[f"{word.lower()} {self.failure.name}"] += 1
        self._trace.add(f"disk {self.failure.name}: {word}")
        return True


class Victim:
    """A process that is killed before one of its next statements that write: what it has committed stays, and nothing follows.

    Args:
        connections: those of the process, now.
        only: how the statements begin that count.
        statements: which one of them that is, from 1.
        kill: ends it, at the next step of the event loop; None to damage the file of that connection instead.
        is_after: whether the transaction of that statement is still committed, and the next statement that writes is not executed.
    """

    def __init__(
        self,
        connections: Callable[[], Sequence[sqlite3.Connection]],
        only: str,
        statements: int,
        kill: Callable[[], Coroutine[Any, Any, None]] | None,
        *,
        is_after: bool = False,
    ) -> None:
        self._connections = connections
        self._only = only
        self._left = statements
        self._kill = kill
        self._is_after = is_after
        self._dead: Sequence[sqlite3.Connection] = ()
        self._killing: asyncio.Task[None] | None = None

    def check_alive(self, connection: sqlite3.Connection, sql: str) -> None:
        """Count a statement that writes, but none of the checkers, outside the event loop; raise `Killed` once it is killed."""
        if sql and sql.startswith(self._only) and self._left and asyncio._get_running_loop() is not None:
            connections = self._connections()
            self._left -= any(one is connection for one in connections)
            if not self._left and self._is_after:
                is_committed = self._only == "COMMIT"
                self._only, self._left, self._is_after = "" if is_committed else "COMMIT", 1, not is_committed
            elif not self._left:
                self._dead = [connection] if self._kill is None else connections
                self._killing = self._kill and asyncio.get_running_loop().create_task(self._kill())
        if any(one is connection for one in self._dead):
            raise sqlite_error("CORRUPT") if self._kill is None else Killed

    async def wait_until_killed(self) -> None:
        """Wait until it has ended, if it is being killed."""
        if self._killing is not None:
            await self._killing


MAX_ROWS = 10_000


def shown_uploads(session: Session) -> dict[str, tuple[Stage, bool]]:
    """The stage of each upload that a session shows, and whether it is gone, by id."""
    rows = session.picture.window(Query(), 0, MAX_ROWS).rows
    return {row.id: (row.stage, row.is_gone) for row in rows}


class Recorded(Struct):
    """A recording, and what the session that made it has published and shown.

    Attributes:
        published: all changes that a recording has.
        live_at: when its session has ended a round of a project, by project id, in seconds of virtual time.
        shown: the stage of each upload at the end, and whether it was gone, by id.
    """

    file: Path
    host: Host
    published: list[Change] = field(default_factory=list)
    live_at: dict[str, list[float]] = field(default_factory=dict)
    shown: dict[str, tuple[Stage, bool]] = field(default_factory=dict)
    _read_on: dict[str, datetime | None] = field(default_factory=dict)

    def add(self, change: Change) -> None:
        if not isinstance(change, PictureChanged | SyncProgressed):
            self.published.append(change)
        if isinstance(change, ConnectionChanged) and change.project is not None and change.connection.is_live:
            project_id, read_on = change.project.id, change.connection.read_on
            if self._read_on.get(project_id) != read_on:
                self._read_on[project_id] = read_on
                self.live_at.setdefault(project_id, []).append(_CLOCK.monotonic())


class Watcher:
    """One program that watches everything, as a dashboard does; it can be killed and started again.

    Args:
        world: what it watches.
        number: the first one also records what it sees.
        folder: where its stores are.
    """

    def __init__(self, world: "World", number: int, folder: Path) -> None:
        self._world = world
        self._folder = folder
        self.number = number
        self.starts = 0
        self.began = 0.0
        self.lost_at: dict[str, float] = {}
        """When the store of a session was last replaced by an empty one since it was started, in seconds of virtual time."""
        self.changes: list[UploadChange] = []
        """What each session has published since then."""
        self.first_shown: dict[str, dict[str, tuple[Stage, bool]]] = {}
        """What each session showed as it was whole and live for the first time since then."""
        self.present: dict[str, set[str]] = {}
        """The ids of the uploads that each session has had as present since then, and has not published as gone after that."""
        self.known_before: set[str] = set()
        """The ids of the uploads among that which were listed before the start."""
        self.answered_rows = Counter[str]()
        """How many rows of each project it was answered since then."""
        self.was_killed = False
        self.clients: dict[str, ServiceClient] = {}
        self.sessions: dict[str, Session] = {}
        self._task: asyncio.Task[None] | None = None
        self.stores: list[Store] = []
        self.tasks: list[asyncio.Task[None]] = []
        """Its recordings."""

    @property
    def runs(self) -> bool:
        return self._task is not None

    def connections(self) -> Sequence[sqlite3.Connection]:
        """Those of its stores."""
        return [store.db.connection for store in self.stores]

    def start(self) -> None:
        """Start it unless it runs. A store that is locked ends it with a sentence; the user starts it again then."""
        if self.runs:
            return
        try:
            self._start()
        except BusyStorageError:
            self.sessions = {}
            for store in self.stores:
                store.db.connection.close()
            self.stores.clear()
            asyncio.get_event_loop().call_later(1.0, self.start)

    def _start(self) -> None:
        self.starts += 1
        self.began = _CLOCK.monotonic()
        self.lost_at, self.changes, self.first_shown = {}, [], {}
        self._databases: dict[str, object] = {}
        self.known_before.clear()
        self.answered_rows.clear()
        self._world.trace.add(f"watcher {self.number} starts")
        self.sessions = {host.url: self._live(host) for host in self._world.hosts}
        if self._world.source is not None:
            store = self._store("source")
            watched = WatchedSource(self._world.source, "source:it", "it", frozenset())
            schedule = Schedule(5.0, 5.0, 5.0)
            self.sessions[watched.service] = SourceSession(watched, store, _CLOCK, schedule=schedule)
        self.combined = CombinedSession([*self.sessions.values()])
        self.combined.changes = ChangeBroadcaster(self._publish)
        self.present = {service: set() for service in self.sessions}
        self.note_present()
        self._task = asyncio.get_event_loop().create_task(self.combined.run())

    def _publish(self, change: Change) -> None:
        self.note_losses()
        # What was published before a loss may arrive after it.
        if isinstance(change, UploadChange) and _CLOCK.monotonic() > self.lost_at.get(change.upload.service, -1.0):
            self.changes.append(change)
        self._world.handle_change(self, change)

    def note_losses(self) -> None:
        """Forget what sessions have shown and published whose stores were replaced by empty ones."""
        for service, store in zip(self.sessions, self.stores, strict=True):
            current = store.db._current
            if self._databases.setdefault(service, current) is current:
                continue
            self._databases[service] = current
            if not current.is_copy:
                self.lost_at[service] = _CLOCK.monotonic()
                self.first_shown.pop(service, None)
                self.present[service].clear()
                self.changes = [change for change in self.changes if change.upload.service != service]

    def note_present(self) -> Mapping[str, set[str]]:
        """Note which uploads sessions have as present now; return which ones they have as gone."""
        gone: dict[str, set[str]] = {}
        for service, store in zip(self.sessions, self.stores, strict=True):
            with exempt(store.db.connection):
                rows = store.db.connection.execute("SELECT id, is_gone FROM uploads").fetchall()
            gone[service] = {upload_id for upload_id, is_gone in rows if is_gone}
            self.present[service] |= {upload_id for upload_id, is_gone in rows if not is_gone}
        return gone

    def file_of(self, service: str) -> object:
        """What identifies the file that a session stores in; None if it is in memory."""
        current = self.stores[[*self.sessions].index(service)].db._current
        return current.file and (self._world.deletions, current.identity)

    def _store(self, name: str) -> Store:
        store = Store(self._folder / f"{name}.db", _CLOCK.monotonic, self._world.options.limits)
        self.stores.append(store)
        return store

    def _live(self, host: Host) -> LiveSession:
        async def answer(request: httpx.Request) -> httpx.Response:
            response = await host.answer(request)
            with suppress(ValueError):  # a proxy's page
                self.answered_rows[request.url.path] += len(json.loads(response.content).get("results", ()))
            return response

        client = self.clients[host.url] = host.client(answer)
        return LiveSession(client, host.refs, self._store(str(host.number)), title=f"s{host.number}")

    async def record(self) -> None:
        """Record what a further session sees for a minute, which may end in the middle."""
        host = self._world.hosts[0]
        file = self._folder / f"recording-{self.starts}-{_CLOCK.monotonic():.0f}.jsonl"
        if file.exists():
            return
        header, recorded = RecordingHeader(_CLOCK.now(), host.url, "it", tuple(host.refs), 900), Recorded(file, host)
        with RecordingWriter(file, header) as writer:
            store = RecordingStore(writer, self._world.options.limits)

            def publish(change: Change) -> None:
                recorded.add(change)
                writer.write_change(change)

            session = LiveSession(host.client(), host.refs, store, title="it", changes=ChangeBroadcaster(publish))
            try:
                async with asyncio.timeout(60):
                    await session.run()
            except TimeoutError:
                pass
            finally:
                recorded.shown = shown_uploads(session)
                store.close()
                self._world.recordings.append(recorded)

    async def kill(self) -> None:
        """End it as SIGKILL does: what is not committed is lost, and nothing is tidied."""
        task, self._task = self._task, None
        if task is None and not self.stores:
            return
        self.was_killed = True
        self._world.trace.add(f"watcher {self.number} is killed")
        for store in self.stores:
            store.db.connection.close()
        self.stores.clear()
        tasks = [*self.tasks, *([] if task is None else [task])]  # it may be killed while it starts
        self.tasks = []
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def check_runs(self) -> None:
        """Raise what ended it, if it has ended by itself."""
        if self._task is not None and self._task.done():
            self._task.result()
            raise AssertionError("the session has ended")


class World:
    """Everything of one run."""

    def __init__(self, options: Options, seed: int, folder: Path) -> None:
        self.options = options
        self.trace = Trace()
        self.folder = folder
        self.disk = Disk(self.trace)
        self.chunk_disk = Disk(self.trace)
        rng = Random(f"{seed} world")
        self.hosts: list[Host] = [
            Host(number, options, self.trace, Random(f"{seed} {number}")) for number in range(len(options.shapes))
        ]
        self.embedded: EmbeddedHost | None = None
        self.source = SourceHost(self.trace, Random(f"{seed} source")) if options.has_source else None
        self.watchers = [Watcher(self, number, folder) for number in range(options.watchers)]
        self.recordings: list[Recorded] = []
        self.deletions = 0
        """How often the user has deleted the stores."""
        self.on_change: list[Callable[[Watcher, Change], None]] = []
        if options.has_embedded:
            from tests.simulation import embedded

            number = len(self.hosts) - 1
            rng_of_host, mistakes = Random(f"{seed} {number}"), Random(f"{seed} mistakes")
            self.embedded = embedded.EmbeddedHost(number, options, self.trace, rng_of_host, folder, mistakes)
            self.hosts[-1] = self.embedded
        for index in range(options.uploads):
            for place in self.places():
                if place is self.embedded:
                    continue
                place.insert(rng, 3.0 * (options.uploads - index))
                for _ in range(rng.randrange(3)):
                    place.advance(rng)

    def places(self) -> "Iterator[Host | SourceHost]":
        """The services and the source."""
        yield from self.hosts
        if self.source is not None:
            yield self.source

    def handle_change(self, watcher: Watcher, change: Change) -> None:
        self.trace.add(f"watcher {watcher.number} {type(change).__name__} {getattr(change, 'upload', '')}")
        for call in self.on_change:
            call(watcher, change)
