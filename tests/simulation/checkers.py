"""What must hold, each in a component of its own: at every step, and when the faults are over."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from tests.simulation.world import Host, SimulatedUpload, SourceHost, Watcher, World
from tests.unit.cli.virtual_program import VirtualClock
from upload_tui.monitor import (
    Change,
    LiveSession,
    Query,
    Row,
    Session,
    SortKey,
    SourceSession,
    StageReached,
    UploadGone,
    UploadSeen,
    read_recording,
)
from upload_tui.status import Stage

__all__ = ["Checker", "all_checkers", "check_recovery", "check_whole", "is_whole"]

_MAX_ROWS = 10_000
_LIVE_SECONDS = 75.0
"""How much older than the present a picture may be that claims to be live: the longest interval, thrice, and a round."""


_SETTLED_SECONDS = 10.0
"""The embedded service goes on while it recovers."""
_DIFFERENT_SECONDS = 1.0
"""Two watchers that agree on the clock of a service measure it as precisely as this."""


class Checker(Protocol):
    """Checks one property."""

    def handle_change(self, watcher: Watcher, change: Change) -> None:
        """Check a change that a watcher has published."""

    def check(self, world: World) -> None:
        """Check the present state."""


def all_checkers(world: World) -> Sequence[Checker]:
    return [TrueStages(world), PublishedOnce(world), LiveIsCurrent(), OneTrouble(), Recordings(), Acknowledged()]


def _rows(session: Session) -> Sequence[Row]:
    return session.picture.window(Query(), 0, _MAX_ROWS).rows


def _sessions(world: World) -> Iterator[tuple[Watcher, Host | SourceHost, Session]]:
    """Each session of each watcher that runs, and what it watches."""
    for watcher in world.watchers:
        if watcher.runs:
            for place, session in zip(world.places(), watcher.sessions.values(), strict=True):
                yield watcher, place, session


def _known(world: World) -> dict[str, SimulatedUpload]:
    return {upload.id: upload for place in world.places() for upload in place.all_uploads()}


class TrueStages:
    """No row and no change has a stage that the upload has never reached."""

    def __init__(self, world: World) -> None:
        self._world = world

    def handle_change(self, watcher: Watcher, change: Change) -> None:
        if isinstance(change, StageReached):
            upload = _known(self._world)[change.upload.id]
            assert change.after in upload.reached, f"{upload} was published as {change.after}"
        if isinstance(change, UploadGone):
            upload = _known(self._world)[change.upload.id]
            assert upload.listed_until is not None, f"{upload} was published as gone"

    def check(self, world: World) -> None:
        known = _known(world)
        for _, _, session in _sessions(world):
            for row in _rows(session):
                assert row.stage in known[row.id].reached, f"{known[row.id]} is shown as {row.stage}"
                assert not row.is_gone or known[row.id].listed_until is not None, f"{known[row.id]} is shown as gone"


class PublishedOnce:
    """Changes of an upload are in order, and none is repeated: not by one process, nor by the next one over its store."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ranks: dict[tuple[int, str], Stage] = {}
        self._present: set[tuple[int, int, str]] = set()

    def handle_change(self, watcher: Watcher, change: Change) -> None:
        self._world.has_lost_store |= any(store.notice for store in watcher.stores)
        if isinstance(change, StageReached):
            key = (watcher.number, change.upload.id)
            before = self._ranks.get(key)
            is_later = before is None or before.rank < change.after.rank
            assert is_later or self._world.has_lost_store, (
                f"{change.upload.name}: {change.after} is published after {before}"
            )
            self._ranks[key] = change.after
        elif isinstance(change, UploadSeen | UploadGone):
            present = (watcher.number, watcher.starts, change.upload.id)
            is_seen = isinstance(change, UploadSeen)
            is_repeated = is_seen == (present in self._present) and (is_seen or present in self._present)
            assert not is_repeated or self._world.has_lost_store, f"{change.upload.name} is published as seen twice"
            if is_seen:
                self._present.add(present)
            else:
                self._present.discard(present)

    def check(self, world: World) -> None:
        pass


class LiveIsCurrent:
    """What is shown as live is not older than a few rounds, and what is not shown is counted as missing."""

    def handle_change(self, watcher: Watcher, change: Change) -> None:
        pass

    def check(self, world: World) -> None:
        now = VirtualClock().monotonic()
        for watcher, place, session in _sessions(world):
            if now - watcher.began > _LIVE_SECONDS and now - place.slow_until > _LIVE_SECONDS:
                self._check(place, session, now)

    def _check(self, place: Host | SourceHost, session: Session, now: float) -> None:
        assert isinstance(session, LiveSession | SourceSession)
        picture, since = session.picture, now - _LIVE_SECONDS
        rows = {row.id: row for row in _rows(session)}
        for project_id, uploads in place.groups():
            if picture.now() - picture.as_of(project_id) > timedelta(seconds=1):
                continue
            for upload in uploads:
                stage, row = upload.stage_at(since), rows.get(upload.id)
                if stage is None:
                    continue
                is_current = row is not None and row.stage.rank >= stage.rank and not row.is_gone
                is_marked = row is not None and row.is_stale
                assert is_current or is_marked or not session.is_complete, f"{upload} is shown as live: {row}"


class OneTrouble:
    """The rows in trouble are the same in the table, in the filter, in the funnel and in the order of trouble."""

    def handle_change(self, watcher: Watcher, change: Change) -> None:
        pass

    def check(self, world: World) -> None:
        for watcher in world.watchers:
            for store in watcher.stores:
                store.detect_other_writers()  # what another process has written since the last round is found by both
            for session in [*watcher.sessions.values(), watcher.combined] if watcher.runs else ():
                self._check(session)

    def _check(self, session: Session) -> None:
        picture, rows = session.picture, _rows(session)
        marked = {row.id for row in rows if row.trouble is not None}
        filtered = {row.id for row in picture.window(Query(attention_only=True), 0, _MAX_ROWS).rows}
        ordered = picture.window(Query(sort=SortKey.TROUBLE), 0, _MAX_ROWS)
        counted = sum(picture.funnel().troubles.values())
        assert marked == filtered, [row for row in rows if row.id in marked ^ filtered]
        assert len(marked) == counted == ordered.total_in_trouble, (len(marked), counted, ordered.total_in_trouble)
        assert {row.id for row in ordered.rows[: ordered.in_trouble]} == marked


class Recordings:
    """Each change in a recording is one of the service's history; the lines of one upload are in order."""

    def __init__(self) -> None:
        self._checked: set[Path] = set()

    def handle_change(self, watcher: Watcher, change: Change) -> None:
        pass

    def check(self, world: World) -> None:
        known = _known(world)
        for file in world.recordings:
            if file not in self._checked:
                self._checked.add(file)
                self._check(file, known)

    def _check(self, file: Path, known: dict[str, SimulatedUpload]) -> None:
        _, lines = read_recording(file)
        ranks: dict[str, int] = {}
        for line in lines:
            if line.kind != "stage_reached":
                continue
            upload, stage = known[line.fields["upload"]["id"]], Stage(line.fields["to"])
            assert stage in upload.reached, f"{upload} is recorded as {stage}"
            assert ranks.get(upload.id, -1) < stage.rank, f"{upload}: {stage} is recorded out of order"
            ranks[upload.id] = stage.rank


class Acknowledged:
    """The embedded service loses nothing that it has acknowledged, also when it was killed."""

    def handle_change(self, watcher: Watcher, change: Change) -> None:
        pass

    def check(self, world: World) -> None:
        if world.embedded is not None:
            world.embedded.check_acknowledged(is_over=False)


# When the faults are over


def check_recovery(world: World, watcher: Watcher) -> None:
    """Check that all sessions but that of the broken service are live, and that what is pending or new is right."""
    for place, session in zip(world.places(), watcher.sessions.values(), strict=True):
        if place.is_broken:
            assert not session.connection().is_live, "a broken service is shown as live"
            continue
        assert session.connection().is_live, f"not live after three rounds: {session.connection()}"
        rows = {row.id: row for row in _rows(session)}
        for upload in place.uploads:
            row = rows.get(upload.id)
            if VirtualClock().monotonic() - upload.reached[upload.stage] < _SETTLED_SECONDS:
                continue
            assert row is not None, f"{upload} is missing after three rounds"
            assert row.stage is upload.stage, f"{upload} is shown as {row.stage} after three rounds"
            assert not row.is_stale or _is_doubted(world, place), f"{upload} is stale after three rounds"


def _is_doubted(world: World, place: Host | SourceHost) -> bool:
    """Whether the watchers read different times from the clock of a service.

    Until the service names new times, an older session doubts a clock that jumped, and a new one does not: each then takes what
    the other has read for older or newer than it is.
    """
    if not isinstance(place, Host):
        return False
    offsets = [watcher.clients[place.url].clock_offset_seconds or 0.0 for watcher in world.watchers]
    return max(offsets) - min(offsets) > _DIFFERENT_SECONDS


def is_whole(world: World, watcher: Watcher) -> bool:
    """Whether the picture equals the services."""
    places = zip(world.places(), watcher.sessions.values(), strict=True)
    return all(place.is_broken or _shown(session) == _listed(place) for place, session in places)


def _shown(session: Session) -> Mapping[str, Stage]:
    return {row.id: row.stage for row in _rows(session) if not row.is_gone}


def _listed(place: Host | SourceHost) -> Mapping[str, Stage]:
    return {upload.id: upload.stage for upload in place.uploads}


def check_whole(world: World, watcher: Watcher) -> None:
    """Check that the picture equals the services, and that the last stage of each upload was published if an earlier one was."""
    published = {change.upload.id: change.after for change in watcher.changes if isinstance(change, StageReached)}
    world.has_lost_store |= any(store.notice for store in watcher.stores)
    for place, session in zip(world.places(), watcher.sessions.values(), strict=True):
        if not place.is_broken:
            shown, listed = _shown(session), _listed(place)
            assert shown == listed, {key: (shown.get(key), listed.get(key)) for key in shown.keys() ^ listed.keys()}
            assert isinstance(session, LiveSession | SourceSession)
            assert session.is_complete, "uploads are counted as missing, but none is"
            for upload in () if world.has_lost_store else place.uploads:
                last = published.get(upload.id, upload.stage)
                assert last is upload.stage, f"{upload} was last published by watcher {watcher.number} as {last}"
