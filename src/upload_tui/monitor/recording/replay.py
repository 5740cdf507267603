"""The session over a recording: its readings and changes are repeated, at any speed, from any position."""

import asyncio
import json
from base64 import b64decode
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import takewhile
from math import floor
from typing import Any

from msgspec.structs import replace

from upload_tui.clock import Clock, PacedClock, SystemClock
from upload_tui.errors import InvalidResponseError
from upload_tui.monitor.analysis.trouble import TroubleLimits
from upload_tui.monitor.changes import (
    AnomalyNoticed,
    Change,
    ConnectionChanged,
    OwnStateReached,
    PictureChanged,
    Rewound,
    StageReached,
    UploadGone,
    UploadPurged,
    UploadRef,
    UploadSeen,
)
from upload_tui.monitor.model import Connection, ConnectionState, Playback, ProjectRef
from upload_tui.monitor.picture import ConnectionFreshness
from upload_tui.monitor.recording.file_format import RecordingHeader, RecordingLine
from upload_tui.monitor.sessions.connection import connection_of
from upload_tui.monitor.sessions.session import ChangeBroadcaster
from upload_tui.monitor.store.bulk import can_snapshot, page_snapshot
from upload_tui.monitor.store.schema import decompress_page
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.store_picture import StorePicture
from upload_tui.monitor.sync.ingest import restore_known_event
from upload_tui.sources import parse_raw
from upload_tui.status import Ability, Anomaly, AnomalyName, Certainty, Origin, Stage
from upload_tui.wire import Project, page_entries, parse_time

__all__ = ["ReplaySession"]

_SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 60.0, 600.0)


class ReplaySession:
    """Replays a recording; implements `Session`. It starts at the beginning and stays at the end.

    Args:
        header: the recording's first line.
        lines: its other lines, in order.
        speed: seconds of the recording per second.
        base: the clock that drives the playback.
    """

    def __init__(
        self, header: RecordingHeader, lines: Sequence[RecordingLine], *, speed: float = 1.0, base: Clock | None = None
    ) -> None:
        self.title = f"replay {header.title}".strip()
        self._first_projects = header.projects
        self._has_requests = Origin.of(header.service).has(Ability.REQUESTS)
        self.changes = ChangeBroadcaster()
        self.began_on = header.began_on
        self.ends_on = lines[-1].at if lines else header.began_on
        self._lines = lines
        self._next = 0
        self._speed = speed
        self._is_paused = False
        self._position_changed = asyncio.Event()
        self._clock = PacedClock(speed, base or SystemClock(), header.began_on, self.ends_on)
        self._store = Store()
        self._store_lines = _StoreLines(self._store)
        self._recorded = ConnectionFreshness(self._clock, self._first_connection())
        limits = TroubleLimits(header.stuck_after_seconds)
        self.picture = StorePicture(self._store, self._clock, header.service, limits, freshness=self._recorded)

    @property
    def projects(self) -> Sequence[ProjectRef]:
        """The projects that were known when the recording began, and those of uploads that have appeared since."""
        known = {project.id for project in self._first_projects}
        return [*self._first_projects, *(one for one in self._store.projects() if one.id not in known)]

    def _first_connection(self) -> Connection:
        return Connection(state=ConnectionState.CONNECTING, since=self.began_on)

    def close(self) -> None:
        """Discard the picture."""
        self._store.close()

    @property
    def speed(self) -> float:
        """Seconds of the recording per second; 0 while paused."""
        return self._clock.rate

    def set_speed(self, speed: float) -> None:
        """Set the playback speed, in seconds of the recording per second."""
        self._speed = speed
        self._clock.set_rate(0.0 if self._is_paused else speed)

    def slower(self) -> None:
        """Set the next lower speed; the lowest does not stop."""
        self.set_speed(max((speed for speed in _SPEEDS if speed < self._speed), default=self._speed))

    def faster(self) -> None:
        """Set the next higher speed."""
        self.set_speed(min((speed for speed in _SPEEDS if speed > self._speed), default=self._speed))

    def set_paused(self, *, is_paused: bool) -> None:
        """Pause or resume the playback."""
        self._is_paused = is_paused
        self.set_speed(self._speed)
        self._publish_connection()

    def set_watched(self, *, is_watched: bool) -> None:
        """Do nothing: a replay sends no requests."""

    def step(self) -> None:
        """Go to the time of the next line, also while paused, and apply all lines of that time."""
        if self._next < len(self._lines):
            self.seek(self._lines[self._next].at)

    def step_back(self) -> None:
        """Go back to the time of the last line before the present position, also while paused."""
        now = self._clock.now()
        before = bisect_left(self._lines, now, key=lambda line: line.at)
        self.seek(self._lines[before - 1].at if before else self.began_on)

    def refresh(self) -> None:
        """Do the same as `step`."""
        self.step()

    def seek(self, on: datetime) -> None:
        """Go to a time, forwards or back, within the recording."""
        on = min(max(on, self.began_on), self.ends_on)
        if on < self._clock.now():
            self._rewind()
        self._clock.set_time(on)
        self._apply_due_lines(on)
        self.changes.publish(PictureChanged(at=on))  # also without a line: ages and the position differ
        self._position_changed.set()

    def _rewind(self) -> None:
        """Go back to the beginning: undo all lines that were applied."""
        self._next = 0
        self._recorded.connection = self._first_connection()
        self._recorded.of_projects.clear()
        self.changes.clear_history()
        self._store_lines.clear()
        self.changes.publish(Rewound(at=self.began_on))

    async def run(self) -> None:
        """Apply each line when its time comes, until cancelled."""
        while True:
            self._position_changed.clear()
            self._apply_due_lines(self._clock.now())
            waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._position_changed.wait())]
            if self._next < len(self._lines):
                left = (self._lines[self._next].at - self._clock.now()).total_seconds()
                waits.append(asyncio.ensure_future(self._clock.sleep(left)))
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    @property
    def recorded_connection(self) -> Connection:
        """The connection as recorded."""
        return replace(self._recorded.connection, requests_last_minute=self._requests_last_minute())

    def connection(self, project_ids: frozenset[str] = frozenset()) -> Connection:
        """The position of the replay and the state that the connection had then."""
        recorded = self.recorded_connection if not project_ids else self._recorded_of(project_ids)
        length_seconds = (self.ends_on - self.began_on).total_seconds()
        position_seconds = (self._clock.now() - self.began_on).total_seconds()
        if position_seconds < length_seconds:  # whole seconds, so that it changes once a second
            position_seconds = floor(position_seconds)
        return replace(
            recorded,
            state=ConnectionState.PAUSED if self._is_paused else ConnectionState.REPLAYING,
            since=self.began_on,
            next_try_on=None,
            playback=Playback(position_seconds, length_seconds, recorded.state),
        )

    def _requests_last_minute(self) -> int | None:
        """None for a source: it has no requests."""
        if not self._has_requests:
            return None
        since = self._clock.now() - timedelta(minutes=1)
        past = (self._lines[index] for index in range(self._next - 1, -1, -1))
        return sum(line.kind == "request" for line in takewhile(lambda line: line.at > since, past))

    def _apply_due_lines(self, on: datetime) -> None:
        first = self._next
        while self._next < len(self._lines) and self._lines[self._next].at <= on:
            line = self._lines[self._next]
            self._next += 1
            with suppress(KeyError, TypeError, ValueError, InvalidResponseError):  # skip a damaged line
                self._apply_line(line)
        if self._next == len(self._lines):  # the recording may have been interrupted during a bulk load
            self._store_lines.end_bulk()
        if self._next > first:
            self.changes.publish(PictureChanged(at=self._clock.now()))

    def _apply_line(self, line: RecordingLine) -> None:
        if line.kind == "connection":
            self._apply_connection(line.fields)
            self._publish_connection()
        elif line.kind != "request" and not self._store_lines.apply(line):
            self.changes.publish(_parse_change(line.at, line.kind, line.fields))

    def _apply_connection(self, fields: Mapping[str, Any]) -> None:
        """Set the connection: that of a project, or that of all."""
        connection, project_id = _parse_connection(fields), fields["replay"].get("project_id", "")
        if project_id:
            self._recorded.of_projects[project_id] = connection
            connection = self._recorded_of(frozenset())
        self._recorded.connection = connection

    def _recorded_of(self, project_ids: frozenset[str]) -> Connection:
        """The connection of these projects as recorded; that of all if there are no ids."""
        if not (of_projects := self._recorded.of_projects):
            return self._recorded.connection
        names = {project.id: project.name for project in self.projects}
        return connection_of(
            [(ProjectRef(one, names.get(one, "")), own) for one, own in of_projects.items()], project_ids
        )

    def _publish_connection(self) -> None:
        self.changes.publish(ConnectionChanged(at=self._clock.now(), connection=self.connection()))


class _StoreLines:
    """Applies the lines that were writes to the store.

    Args:
        store: where to write.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._is_bulk_open = False

    def apply(self, line: RecordingLine) -> bool:
        """Apply a line; False if it was not a write to the store."""
        fields = line.fields
        match line.kind:
            case "stored":
                self._put(line.at, fields)
            case "page":
                self._insert_page(parse_time(fields["at"]) or line.at, decompress_page(b64decode(fields["body"])))
            case "last_page":
                self.end_bulk()
            case "unchanged":
                self._store.touch(fields["ids"], line.at)
            case "marked":
                self._store.mark(fields["ids"], gone=fields["gone"], stale=fields["stale"])
            case _:
                return False
        return True

    def _put(self, at: datetime, fields: Mapping[str, Any]) -> None:
        read_on, earliest = parse_time(fields["at"]) or at, parse_time(fields["earliest"])
        since, certainty = parse_time(fields.get("since")), Certainty(fields.get("certainty", Certainty.REPORTED))
        project_id, project_name = fields.get("project", ("", ""))
        project = Project(project_id, project_name) if project_id else None
        upload = parse_raw(fields["raw"], read_on=read_on, project=project)
        upload = restore_known_event(upload, earliest, since, certainty)
        noticed = tuple(Anomaly(AnomalyName(name), detail) for name, detail in fields["noticed"])
        self._store.put([(upload, json.dumps(fields["raw"], ensure_ascii=False), noticed, earliest)])

    def _insert_page(self, read_on: datetime, body: bytes) -> None:
        """Insert the final uploads of a page; the others have lines of their own."""
        if not can_snapshot:
            uploads = [(parse_raw(entry, read_on=read_on), entry) for entry in page_entries(body)]
            ended = [
                (upload, json.dumps(entry, ensure_ascii=False))
                for upload, entry in uploads
                if not upload.timeline.is_pending
            ]
            self._store.put([(upload, raw, (), None) for upload, raw in ended])
            return
        snapshot = page_snapshot(body, read_on)
        if snapshot and not self._is_bulk_open:
            self._store.bulk.begin()
            self._is_bulk_open = True
        if snapshot:
            self._store.bulk.insert_page(snapshot)

    def clear(self) -> None:
        """Undo all lines."""
        self.end_bulk()
        self._store.db.replace_with_empty()

    def end_bulk(self) -> None:
        """End the bulk load, if there is one."""
        if self._is_bulk_open:
            self._is_bulk_open = False
            self._store.bulk.end()


def _parse_connection(fields: Mapping[str, Any]) -> Connection:
    more = fields["replay"]
    return Connection(
        state=ConnectionState(fields["to"]),
        since=parse_time(fields["on"]) or parse_time(fields["at"]) or _raise_no_time(),
        read_on=parse_time(more["read_on"]),
        next_try_on=parse_time(more["next_try_on"]),
        reason=fields["detail"] or "",
        known=more["known"],
        total=more["total"],
    )


def _raise_no_time() -> datetime:
    raise ValueError("a connection's state has no time")


def _parse_anomaly(at: datetime, upload: UploadRef, text: str) -> Change:
    """An anomaly, or a state of a source's own: earlier versions recorded it as one, with its name in quotes."""
    name, _, detail = text.partition(": ")
    is_of_source = Origin.of(upload.service).has(Ability.OWN_STATES)
    if is_of_source and name == AnomalyName.UNKNOWN_STATE and detail[:1] in {"'", '"'}:
        return OwnStateReached(at=at, upload=upload, state=detail[1:-1], on=None, certainty=Certainty.OBSERVED)
    return AnomalyNoticed(at=at, upload=upload, anomaly=Anomaly(AnomalyName(name), detail))


def _parse_change(at: datetime, kind: str, fields: Mapping[str, Any]) -> Change:
    upload, more = fields["upload"], fields.get("replay") or {}
    project = upload["project"]
    ref = UploadRef(upload["id"], upload["name"], project["id"], project["name"], more.get("service") or "")
    match kind:
        case "seen":
            return UploadSeen(at=at, upload=ref)
        case "stage":
            return StageReached(
                at=at,
                upload=ref,
                before=None if fields["from"] is None else Stage(fields["from"]),
                after=Stage(fields["to"]),
                on=parse_time(fields["on"]),
                certainty=Certainty(fields["certainty"]),
                earliest=parse_time(more["earliest"]),
                latest=parse_time(more["latest"]),
                error_message=fields["error_message"],
            )
        case "state":
            on, certainty = parse_time(fields["on"]), Certainty(fields["certainty"])
            return OwnStateReached(at=at, upload=ref, state=fields["to"], on=on, certainty=certainty)
        case "anomaly":
            return _parse_anomaly(at, ref, fields["detail"])
        case "purged":
            return UploadPurged(at=at, upload=ref, on=parse_time(fields["on"]))
        case "gone":
            return UploadGone(at=at, upload=ref)
    raise ValueError(kind)
