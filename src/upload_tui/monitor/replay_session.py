"""The session over a journal: what was learned and told is learned and told again, at any pace, from any time on."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import takewhile
from math import floor
from typing import Any

from msgspec.structs import replace

from upload_tui.clock import Clock, PacedClock, SystemClock
from upload_tui.errors import UnreadableError
from upload_tui.monitor.announcer import Announcer
from upload_tui.monitor.changes import (
    AnomalyNoticed,
    Change,
    ConnectionChanged,
    PictureChanged,
    StageReached,
    UploadGone,
    UploadPurged,
    UploadRef,
    UploadSeen,
)
from upload_tui.monitor.comparison import as_known
from upload_tui.monitor.journal import JournalHeader, JournalLine
from upload_tui.monitor.page_image import has_images, page_image
from upload_tui.monitor.picture import Connection, ConnectionState, Playback, ProjectRef
from upload_tui.monitor.store import Store
from upload_tui.monitor.stored_picture import StoredPicture
from upload_tui.monitor.stored_words import inflated
from upload_tui.status import Anomaly, AnomalyName, Certainty, Stage
from upload_tui.wire.answers import page_entries
from upload_tui.wire.times import read_time
from upload_tui.wire.upload import read_upload

__all__ = ["ReplaySession"]

_PACES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 60.0, 600.0)


class ReplaySession(StoredPicture):
    """Implements `Session`. It begins at the journal's beginning, and stays at its end.

    Args:
        header: what was watched.
        lines: what happened, in order.
        pace: seconds of the journal in a second.
        base: the clock that seconds are counted by.
    """

    def __init__(
        self, header: JournalHeader, lines: Sequence[JournalLine], *, pace: float = 1.0, base: Clock | None = None
    ) -> None:
        self._header = header
        self._lines = lines
        self._base: Clock = base or SystemClock()
        self._pace = pace
        self._is_held = False
        self._moved = asyncio.Event()
        self._announcer = Announcer()
        self._begin(header.began_on)

    def _begin(self, on: datetime) -> None:
        """An empty picture at that time."""
        self._paced = PacedClock(0.0 if self._is_held else self._pace, self._base, on)
        header = self._header
        super().__init__(Store(), self._paced, header.service, header.stuck_after_seconds)
        self._next = 0
        self._is_pouring = False
        self._connection = Connection(state=ConnectionState.CONNECTING, since=header.began_on)

    def close(self) -> None:
        """Forget the picture."""
        self._store.close()

    @property
    def title(self) -> str:
        """What was watched, and that it is over."""
        return f"replay {self._header.title}".strip()

    @property
    def projects(self) -> Sequence[ProjectRef]:
        """The projects that were watched."""
        return self._header.projects

    @property
    def pace(self) -> float:
        """Seconds of the journal in a second; 0 while it is held."""
        return 0.0 if self._is_held else self._pace

    @property
    def ends_on(self) -> datetime:
        """When the journal ends."""
        return self._lines[-1].at if self._lines else self._header.began_on

    # The person's wishes

    def set_pace(self, pace: float) -> None:
        """So many seconds of the journal in a second."""
        self._pace = pace
        self._paced.set_rate(self.pace)

    def slower(self) -> None:
        """The next slower pace."""
        self.set_pace(max((pace for pace in _PACES if pace < self._pace), default=_PACES[0]))

    def faster(self) -> None:
        """The next faster pace."""
        self.set_pace(min((pace for pace in _PACES if pace > self._pace), default=_PACES[-1]))

    def pause(self) -> None:
        """Hold the time."""
        self._is_held = True
        self._paced.set_rate(0.0)
        self._tell_connection()

    def resume(self) -> None:
        """Let the time go on."""
        self._is_held = False
        self._paced.set_rate(self._pace)
        self._tell_connection()

    def attend(self, *, is_watched: bool) -> None:
        """What is over asks nobody anything, whoever looks."""

    def step(self) -> None:
        """Go to the time of the next line, also while the time is held, and take in all that happened then."""
        if self._next < len(self._lines):
            self.seek(self._lines[self._next].at)

    def refresh(self) -> None:
        """The same: the next thing that happened is what there is to be seen sooner."""
        self.step()

    def seek(self, on: datetime) -> None:
        """Go to a time, forwards or back; not before the beginning, not beyond the end."""
        on = min(max(on, self._header.began_on), self.ends_on)
        if on < self.now():
            self.close()
            self._announcer.forget()
            self._begin(self._header.began_on)
        self._paced.step(max(0.0, (on - self.now()).total_seconds()))
        self._take_due(on)
        self._moved.set()

    # The session

    async def run(self) -> None:
        """Let happen what happened, when its time comes, until cancelled."""
        while True:
            self._moved.clear()
            self._take_due(self.now())
            waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._moved.wait())]
            if self._next < len(self._lines):
                left = (self._lines[self._next].at - self.now()).total_seconds()
                waits.append(asyncio.ensure_future(self._paced.sleep(left)))
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    def now(self) -> datetime:
        """The present of the recording; it stays at its end."""
        return min(super().now(), self.ends_on)

    def judged_on(self) -> datetime:
        """When the picture was last true then."""
        return self._connection.true_on(self.now())

    @property
    def recorded(self) -> Connection:
        """The connection as it was."""
        return replace(self._connection, requests_last_minute=self._requests_last_minute())

    def connection(self) -> Connection:
        """Where the replay is, and what the connection was then; paused while the time is held."""
        recorded, began_on = self.recorded, self._header.began_on
        length_seconds = (self.ends_on - began_on).total_seconds()
        position_seconds = (self.now() - began_on).total_seconds()
        if position_seconds < length_seconds:  # by the second: more often nobody looks
            position_seconds = floor(position_seconds)
        return replace(
            recorded,
            state=ConnectionState.PAUSED if self._is_held else ConnectionState.REPLAYING,
            since=began_on,
            next_try_on=None,
            playback=Playback(position_seconds, length_seconds, recorded.state),
        )

    def _requests_last_minute(self) -> int:
        since = self.now() - timedelta(minutes=1)
        past = (self._lines[place] for place in range(self._next - 1, -1, -1))
        return sum(line.kind == "request" for line in takewhile(lambda line: line.at > since, past))

    def history(self, limit: int) -> Sequence[Change]:
        """The last changes that were told."""
        return self._announcer.past(limit)

    def changes(self) -> AsyncIterator[Change]:
        """Every change from now on."""
        return self._announcer.listen()

    # What happened

    def _take_due(self, on: datetime) -> None:
        first = self._next
        while self._next < len(self._lines) and self._lines[self._next].at <= on:
            line = self._lines[self._next]
            self._next += 1
            with suppress(KeyError, TypeError, ValueError, UnreadableError):  # a line that somebody mangled is no end
                self._take_line(line)
        if self._next == len(self._lines):  # whoever wrote it may have been interrupted
            self._settle()
        if self._next > first:
            self._announcer.say(PictureChanged(at=self.now(), revision=self._store.revision))

    def _take_line(self, line: JournalLine) -> None:
        fields = line.fields
        match line.kind:
            case "kept":
                self._keep(line.at, fields)
            case "poured":
                self._pour(read_time(fields["at"]) or line.at, inflated(b64decode(fields["body"])))
            case "settled":
                self._settle()
            case "same":
                self._store.touch(fields["ids"], line.at)
            case "marked":
                self._store.mark(fields["ids"], gone=fields["gone"], stale=fields["stale"])
            case "connection":
                self._connection = _connection(fields)
                self._tell_connection()
            case "request":
                pass
            case _:
                self._announcer.say(_change(line.at, line.kind, fields))

    def _keep(self, at: datetime, fields: Mapping[str, Any]) -> None:
        read_on, earliest = read_time(fields["at"]) or at, read_time(fields["earliest"])
        since, certainty = read_time(fields.get("since")), Certainty(fields.get("certainty", Certainty.REPORTED))
        upload = as_known(read_upload(fields["raw"], read_on=read_on), earliest, since, certainty)
        noticed = tuple(Anomaly(AnomalyName(name), detail) for name, detail in fields["noticed"])
        self._store.put([(upload, json.dumps(fields["raw"], ensure_ascii=False), noticed, earliest)])

    def _pour(self, read_on: datetime, body: bytes) -> None:
        """A page of a large first fetch; what cannot be poured in was kept one by one."""
        if not has_images:
            uploads = [(read_upload(entry, read_on=read_on), entry) for entry in page_entries(body)]
            ended = [
                (upload, json.dumps(entry, ensure_ascii=False))
                for upload, entry in uploads
                if not upload.timeline.is_pending
            ]
            self._store.put([(upload, raw, (), None) for upload, raw in ended])
            return
        image = page_image(body, read_on)
        if image and not self._is_pouring:
            self._store.bulk.begin()
            self._is_pouring = True
        if image:
            self._store.bulk.pour(image)

    def _settle(self) -> None:
        if self._is_pouring:
            self._is_pouring = False
            self._store.bulk.end()

    def _tell_connection(self) -> None:
        self._announcer.say(ConnectionChanged(at=self.now(), connection=self.connection()))


def _connection(fields: Mapping[str, Any]) -> Connection:
    more = fields["replay"]
    return Connection(
        state=ConnectionState(fields["to"]),
        since=read_time(fields["on"]) or read_time(fields["at"]) or _never(),
        read_on=read_time(more["read_on"]),
        next_try_on=read_time(more["next_try_on"]),
        reason=fields["detail"] or "",
        known=more["known"],
        total=more["total"],
    )


def _never() -> datetime:
    raise ValueError("a connection's state has no time")


def _change(at: datetime, kind: str, fields: Mapping[str, Any]) -> Change:
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
                on=read_time(fields["on"]),
                certainty=Certainty(fields["certainty"]),
                earliest=read_time(more["earliest"]),
                latest=read_time(more["latest"]),
                error_message=fields["error_message"],
            )
        case "anomaly":
            name, _, detail = fields["detail"].partition(": ")
            return AnomalyNoticed(at=at, upload=ref, anomaly=Anomaly(AnomalyName(name), detail))
        case "purged":
            return UploadPurged(at=at, upload=ref, on=read_time(fields["on"]))
        case "gone":
            return UploadGone(at=at, upload=ref)
    raise ValueError(kind)
