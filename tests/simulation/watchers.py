"""Programs that watch the simulated services, and their recordings."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from msgspec import Struct, field

from tests.simulation.faults import exempt
from tests.simulation.services import Host
from tests.unit.cli.virtual_program import VirtualClock
from upload_tui.client import ServiceClient
from upload_tui.errors import BusyStorageError
from upload_tui.monitor import (
    Change,
    ChangeBroadcaster,
    CombinedSession,
    ConnectionChanged,
    LiveSession,
    PictureChanged,
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
from upload_tui.status import Stage

if TYPE_CHECKING:
    from tests.simulation.world import World

__all__ = ["MAX_ROWS", "Recorded", "Watcher", "shown_uploads"]

_CLOCK = VirtualClock()
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
