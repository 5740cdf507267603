"""What must hold, each in a component of its own: at every step, and when the faults are over."""

import json
from base64 import b64decode
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import Struct

from tests.simulation.services import Host, SimulatedUpload, SourceHost
from tests.simulation.watchers import MAX_ROWS, Recorded, Watcher, shown_uploads
from tests.simulation.world import World
from tests.unit.cli.virtual_program import VirtualClock
from upload_tui.monitor import (
    Change,
    ConnectionChanged,
    ConnectionState,
    LiveSession,
    Query,
    ReplaySession,
    Row,
    Session,
    SortKey,
    SourceSession,
    StageReached,
    SyncProgressed,
    UploadChange,
    UploadGone,
    UploadSeen,
    change_record,
    read_recording,
)
from upload_tui.monitor.recording.file_format import RecordingLine
from upload_tui.monitor.store.schema.pages import decompress_page
from upload_tui.status import Stage
from upload_tui.wire import Project, Upload, page_entries, parse_upload, parse_upload_entries

__all__ = ["Checker", "all_checkers", "check_command_recording", "check_recovery", "check_whole", "is_whole"]

_LIVE_SECONDS = 75.0
"""How much older than the present a picture may be that claims to be live: the longest interval, thrice, and a round."""


_SETTLED_SECONDS = 10.0
"""The embedded service goes on while it recovers."""
_DIFFERENT_SECONDS = 1.0
"""Two watchers that agree on the clock of a service measure it as precisely as this."""
_READ_AGAIN = 3
"""After so many times of the project that was read least recently, both projects of a service were read."""


class Checker:
    """Checks one property, of changes or of the state after each step; a subclass overrides what it needs."""

    def handle_change(self, watcher: Watcher, change: Change) -> None:
        """Check a change that a watcher has published."""

    def check(self, world: World) -> None:
        """Check the state after a step."""


def all_checkers(world: World) -> Sequence[Checker]:
    return [
        Committed(),
        TrueStages(world),
        PublishedOnce(world),
        PublishedGone(),
        InOrder(),
        Scanned(world),
        Progress(world),
        LiveIsCurrent(),
        OneTrouble(),
        Counted(world),
        Recordings(),
        Acknowledged(),
    ]


def _rows(session: Session) -> Sequence[Row]:
    return session.picture.window(Query(), 0, MAX_ROWS).rows


def _sessions(world: World) -> Iterator[tuple[Watcher, Host | SourceHost, Session]]:
    """Each session of each watcher that runs, and what it watches."""
    for watcher in world.watchers:
        if watcher.runs:
            for place, session in zip(world.places(), watcher.sessions.values(), strict=True):
                yield watcher, place, session


def _known(world: World) -> dict[str, SimulatedUpload]:
    return {upload.id: upload for place in world.places() for upload in place.all_uploads()}


class Committed(Checker):
    """No transaction is open while nothing is written: what follows would be lost with it."""

    def check(self, world: World) -> None:
        connections = [connection for watcher in world.watchers for connection in watcher.connections()]
        for connection in [*connections, *(world.embedded.connections() if world.embedded is not None else ())]:
            assert not connection.in_transaction, "a transaction is never committed"


class TrueStages(Checker):
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


class PublishedOnce(Checker):
    """Changes of an upload are in order, and none is repeated: not by one process, nor by the next one over its store.

    Nor is an upload published as new that existed before the process was started and was shown, also if its store is lost
    meanwhile. After that, one that was listed again is new.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._ranks: dict[tuple[object, ...], Stage] = {}
        self._present: dict[tuple[int, int, str], bool] = {}

    def handle_change(self, watcher: Watcher, change: Change) -> None:
        if isinstance(change, StageReached):
            upload_id, file = change.upload.id, watcher.file_of(change.upload.service)
            keys = [(watcher.number, watcher.starts, upload_id), (watcher.number, file, upload_id)]
            for key in keys if file else keys[:1]:
                before = self._ranks.get(key)
                is_later = before is None or before.rank < change.after.rank
                assert is_later or self._may_be_new(watcher, change), (
                    f"{change.upload.name}: {change.after} is published after {before}"
                )
                self._ranks[key] = change.after
        elif isinstance(change, UploadSeen | UploadGone):
            present, is_seen = (watcher.number, watcher.starts, change.upload.id), isinstance(change, UploadSeen)
            is_repeated = is_seen and self._present.get(present, change.upload.id in watcher.known_before)
            assert not is_repeated or self._may_be_new(watcher, change), f"{change.upload.name} is seen again"
            self._present[present] = is_seen

    def _may_be_new(self, watcher: Watcher, change: UploadChange) -> bool:
        """Whether it is new for a store that was lost.

        It was listed again since, its source has printed nothing by accident, or another process has filled the new store before it.
        """
        upload, source = _known(self._world)[change.upload.id], self._world.source
        lost_at = watcher.lost_at.get(change.upload.service, float("inf"))
        emptied_at = source.emptied_at if source is not None and upload in source.uploads else -1.0
        is_shared = watcher.file_of(change.upload.service) in {
            one.file_of(change.upload.service) for one in self._world.watchers if one.runs and one is not watcher
        } - {None}
        return max(upload.listed_again, emptied_at) >= lost_at or (is_shared and lost_at < float("inf"))


class PublishedGone(Checker):
    """An upload that a session knew as present and knows as gone now was published as gone, at the latest once all is read again."""

    def __init__(self) -> None:
        self._unpublished: dict[tuple[int, int, str], dict[str, set[object]]] = {}
        """When sessions were read since an upload was gone that was not published as gone, by watcher and session."""

    def handle_change(self, watcher: Watcher, change: Change) -> None:
        if isinstance(change, UploadGone):
            watcher.present[change.upload.service].discard(change.upload.id)
        elif isinstance(change, UploadSeen | SyncProgressed | ConnectionChanged):
            self._check(watcher)

    def check(self, world: World) -> None:
        for watcher in world.watchers:
            if watcher.runs:
                watcher.note_losses()
                self._check(watcher)

    def _check(self, watcher: Watcher) -> None:
        gone = watcher.note_present()
        for service, session in watcher.sessions.items():
            key, connection = (watcher.number, watcher.starts, service), session.connection()
            before = self._unpublished.get(key, {})
            self._unpublished[key] = {one: before.get(one, set()) for one in gone[service] & watcher.present[service]}
            for upload_id, times in self._unpublished[key].items():
                if connection.is_live:
                    times.add(connection.read_on)
                assert len(times) <= _READ_AGAIN, f"watcher {watcher.number} has not published that {upload_id} is gone"


class LiveIsCurrent(Checker):
    """What is shown as live is not older than a few rounds, and what is not shown is counted as missing."""

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
            if picture.clock.now() - picture.as_of(project_id) > timedelta(seconds=1):
                continue
            for upload in uploads:
                stage, row = upload.stage_at(since), rows.get(upload.id)
                if stage is None:
                    continue
                is_current = row is not None and row.stage.rank >= stage.rank and not row.is_gone
                is_marked = row is not None and row.is_stale
                assert is_current or is_marked or not session.is_complete, f"{upload} is shown as live: {row}"


class OneTrouble(Checker):
    """The rows in trouble are the same in the table, in the filter, in the funnel and in the order of trouble.

    The rows of all sessions together are those of each.
    """

    def check(self, world: World) -> None:
        for watcher in world.watchers:
            for store in watcher.stores:
                store.detect_other_writers()  # what another process has written since the last round is found by both
            if watcher.runs:
                self._check(watcher.combined)

    def _check(self, session: Session) -> None:
        picture, rows = session.picture, _rows(session)
        marked = {row.id for row in rows if row.trouble is not None}
        filtered = {row.id for row in picture.window(Query(trouble_only=True), 0, MAX_ROWS).rows}
        ordered = picture.window(Query(sort=SortKey.TROUBLE), 0, MAX_ROWS)
        counted = sum(picture.funnel().troubles.values())
        assert marked == filtered, [row for row in rows if row.id in marked ^ filtered]
        assert len(marked) == counted == ordered.total_in_trouble, (len(marked), counted, ordered.total_in_trouble)
        assert {row.id for row in ordered.rows[: ordered.in_trouble]} == marked


class Counted(Checker):
    """The counts that a store keeps are those of its rows, also during a bulk load, and the stages show them."""

    def __init__(self, world: World) -> None:
        self._world = world

    def handle_change(self, watcher: Watcher, change: Change) -> None:
        if isinstance(change, SyncProgressed) and not self._world.disk.is_failing:
            self._check_stores(watcher)

    def _check_stores(self, watcher: Watcher) -> None:
        for store in watcher.stores:
            counts = dict(
                store.db.execute("SELECT partition, upload_count FROM partitions WHERE upload_count <> 0").fetchall()
            )
            counted = dict(store.db.execute("SELECT partition, count(*) FROM uploads GROUP BY partition").fetchall())
            assert counts == counted, f"a store counts {counts} instead of {counted}"

    def check(self, world: World) -> None:
        for watcher in world.watchers:
            self._check_stores(watcher)
        for _, _, session in _sessions(world):
            shown, funnel = shown_uploads(session).values(), session.picture.funnel()
            counted = Counter(stage for stage, is_gone in shown if not is_gone)
            counts = {one.stage: one.count for one in funnel.stages if one.count}
            assert counts == counted, f"the stages show {counts} instead of {counted}"
            assert funnel.gone == sum(is_gone for _, is_gone in shown), funnel.gone


class _Round(Struct):
    """What one project's round has published: when, the latest time so far, and that of each upload."""

    at: float
    last: datetime
    of_upload: dict[str, datetime]


class InOrder(Checker):
    """The changes of one round are published in the order of their times; those of one upload keep their own order."""

    def __init__(self) -> None:
        self._rounds: dict[tuple[int, str, str], _Round] = {}

    def handle_change(self, watcher: Watcher, change: Change) -> None:
        if not isinstance(change, UploadChange) or isinstance(change, UploadSeen):
            return
        ref, now, on = change.upload, VirtualClock().monotonic(), change.happened_on
        key = (watcher.number, ref.service, ref.project_id)
        round_ = self._rounds.get(key)
        if round_ is None or round_.at != now:
            round_ = self._rounds[key] = _Round(now, on, {})
        on = round_.of_upload[ref.id] = max(on, round_.of_upload.get(ref.id, on))
        assert on >= round_.last, f"{change} is published after a change of {round_.last}"
        round_.last = on


class Scanned(Checker):
    """As soon as a session is live, it knows or counts as missing all that was listed since its watcher was started.

    So it does, once all is read again, after its store was lost.

    A source may have printed a whole listing of nothing by accident. One whose listings all had unreadable lines does not count as
    live yet: until a listing has none, nothing that is new in it is published.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def handle_change(self, watcher: Watcher, change: Change) -> None:
        if isinstance(change, ConnectionChanged) and not self._world.disk.is_failing:
            sessions = zip(self._world.places(), watcher.stores, watcher.sessions.items(), strict=True)
            for place, store, (url, session) in sessions:
                assert isinstance(session, LiveSession | SourceSession)
                is_known_whole = isinstance(session, LiveSession) and url not in watcher.lost_at
                is_first = url not in watcher.first_shown and session.connection().is_live
                if is_first and (is_known_whole or session.is_complete):
                    listed = [one.id for one in place.uploads if one.stage_at(watcher.began) is not None]
                    watcher.first_shown[url] = first = shown_uploads(session)
                    doubtful = {*(place.was_unreadable if isinstance(place, Host) else ()), *_unpublished(session)}
                    watcher.known_before |= {one for one in listed if one in first and not first[one][1]} - doubtful
                    missing = (
                        set(self._to_know(place, watcher)) - store.known(listed) if isinstance(place, Host) else None
                    )
                    assert not missing or not session.is_complete, f"live without {missing}"

    def _to_know(self, host: Host, watcher: Watcher) -> Iterator[str]:
        """What was listed; but what was listed again has an old place, where only a pass over all pages finds it."""
        for upload in host.uploads:
            if upload.stage_at(watcher.began) is not None and upload.listed_again < 0:
                yield upload.id


def _unpublished(session: LiveSession | SourceSession) -> Iterator[str]:
    """Uploads that a round has read whose changes are published at its end; a session of several projects may be live before."""
    for poller in session._pollers.values() if isinstance(session, LiveSession) else ():
        yield from (change.upload.id for change in poller._synchroniser._recorder.changes.found)


class Progress(Checker):
    """A full scan reports no more uploads read than the service has answered, nor more than it counts."""

    def __init__(self, world: World) -> None:
        self._source = world.source

    def handle_change(self, watcher: Watcher, change: Change) -> None:
        if isinstance(change, SyncProgressed):
            assert change.total is None or change.done <= change.total, change
            printed = len(self._source.all_uploads()) if self._source is not None else 0
            assert change.done <= max(printed, *watcher.answered_rows.values(), 0), change


_STORE_LINES = {"stored", "unchanged", "marked", "page", "last_page", "request"}


class Recordings(Checker):
    """A recording has each published change once and in order; what happened while its session was live is among them.

    What it shows at its end when it is replayed is what the session has shown, and each change in it is one of the service's history.
    """

    def __init__(self) -> None:
        self._checked: set[Path] = set()

    def check(self, world: World) -> None:
        known = _known(world)
        for recorded in world.recordings:
            if recorded.file not in self._checked:
                self._checked.add(recorded.file)
                self._check(recorded, known)

    def _check(self, recorded: Recorded, known: dict[str, SimulatedUpload]) -> None:
        header, lines = read_recording(recorded.file)
        changes = [line.fields for line in lines if line.kind not in _STORE_LINES]
        published = [json.loads(json.dumps(change_record(change))) for change in recorded.published]
        assert [{key: fields[key] for key in fields if key != "replay"} for fields in changes] == published
        reached = _check_stages(lines)
        for upload, stage in _due(recorded, known):
            assert stage in reached[upload.id], f"{upload}: {stage} is not recorded"
        replay = ReplaySession(header, lines)
        replay.seek(replay.ends_on)
        assert shown_uploads(replay) == recorded.shown
        replay.close()


def check_command_recording(file: Path) -> None:
    """Check what the command has recorded: the last stage of each upload that changed is the one that a replay shows."""
    header, lines = read_recording(file)
    recorded = _check_stages(lines)
    replay = ReplaySession(header, lines)
    replay.seek(replay.ends_on)
    shown = {upload_id: stage for upload_id, (stage, _) in shown_uploads(replay).items()}
    assert {upload_id: stages[-1] for upload_id, stages in recorded.items()}.items() <= shown.items()
    replay.close()


def _check_stages(lines: Sequence[RecordingLine]) -> Mapping[str, Sequence[Stage]]:
    """Check the stages in a recording against its own readings; return them by upload.

    Each stage was read before, and is there once. Whenever a project is live, all stages are there that were read of its uploads
    since the first time: what existed then is no change.
    """
    read, changed, silent = (
        defaultdict[str, set[Stage]](set),
        defaultdict[str, list[Stage]](list),
        dict[str, set[Stage]](),
    )
    projects, scanned = dict[str, str](), set[str]()
    for line in lines:
        for upload in _recorded_readings(line):
            projects[upload.id] = upload.project_id
            read[upload.id].update(event.stage for event in upload.timeline)
        if line.kind == "stage":  # as `change_record` calls it
            upload_id, stage = line.fields["upload"]["id"], Stage(line.fields["to"])
            assert stage in read[upload_id], f"{upload_id} is recorded as {stage}, and has not been read so"
            before = changed[upload_id][-1:]
            assert all(one.rank < stage.rank for one in before), f"{upload_id}: {stage} is recorded after {before}"
            changed[upload_id].append(stage)
        project_id = line.fields.get("replay", {}).get("project_id")
        if line.kind != "connection" or line.fields["to"] != ConnectionState.LIVE or project_id is None:
            continue
        for upload_id in (one for one, own in projects.items() if own == project_id):
            missing = read[upload_id] - {*changed.get(upload_id, ())} - silent.get(upload_id, set())
            assert not missing or project_id not in scanned, f"{upload_id} was read as {missing}, which is not recorded"
            silent[upload_id] = silent.get(upload_id, set()) | missing
        scanned.add(project_id)
    return changed


def _recorded_readings(line: RecordingLine) -> Iterator[Upload]:
    """The uploads of a line with readings."""
    if line.kind == "stored":
        yield parse_upload(line.fields["raw"], read_on=line.at, project=Project(*line.fields["project"]))
    elif line.kind == "page":
        for reading in parse_upload_entries(
            page_entries(decompress_page(b64decode(line.fields["body"]))), read_on=line.at
        ):
            assert not isinstance(reading, str), reading
            yield reading.upload


def _due(recorded: Recorded, known: Mapping[str, SimulatedUpload]) -> Iterator[tuple[SimulatedUpload, Stage]]:
    """What was reached after a project was live for the first time and before the last round began: that has read it."""
    for project_id, live_at in recorded.live_at.items():
        for upload in known.values():
            is_read = upload.listed_until is None and upload.id not in recorded.host.was_unreadable
            is_due = is_read and upload.project_id == project_id and len(live_at) > 2
            for stage, at in upload.reached.items() if is_due else ():
                if live_at[0] < at < live_at[-2]:
                    yield upload, stage


class Acknowledged(Checker):
    """The embedded service loses nothing that it has acknowledged, also when it was killed."""

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
        assert isinstance(session, LiveSession | SourceSession)
        assert session.connection().is_live, f"not live after three rounds: {session.connection()}"
        rows, uploads = {row.id: row for row in _rows(session)}, place.uploads
        # What is counted as missing is found when its page is compared, a page in each round.
        has_pages = len(uploads) > world.options.largest_page
        for upload in uploads:
            row = rows.get(upload.id)
            # So is what a service without totals lists again: it has an old place.
            is_hidden = isinstance(place, Host) and world.options.hides_total and upload.listed_again >= 0
            may_lack = has_pages and (is_hidden or not session.is_complete)
            is_new = VirtualClock().monotonic() - upload.reached[upload.stage] < _SETTLED_SECONDS
            if is_new or (row is None and may_lack):
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
    offsets = [watcher.clients[place.url].clock_offset.used_seconds for watcher in world.watchers]
    return max(offsets) - min(offsets) > _DIFFERENT_SECONDS


def is_whole(world: World, watcher: Watcher) -> bool:
    """Whether the picture equals the services, and counts no upload as missing any more."""
    places = zip(world.places(), watcher.sessions.values(), strict=True)
    return all(
        place.is_broken or (_shown(session) == _listed(place) and _is_complete(session)) for place, session in places
    )


def _is_complete(session: Session) -> bool:
    assert isinstance(session, LiveSession | SourceSession)
    return session.is_complete


def _shown(session: Session) -> Mapping[str, Stage]:
    return {row.id: row.stage for row in _rows(session) if not row.is_gone}


def _listed(place: Host | SourceHost) -> Mapping[str, Stage]:
    return {upload.id: upload.stage for upload in place.uploads}


def check_whole(world: World, watcher: Watcher) -> None:
    """Check that the picture equals the services, and that the last stage of each upload was published if an earlier one was."""
    watcher.note_losses()
    published = {change.upload.id: change.after for change in watcher.changes if isinstance(change, StageReached)}
    for place, session in zip(world.places(), watcher.sessions.values(), strict=True):
        if not place.is_broken:
            shown, listed = _shown(session), _listed(place)
            assert shown == listed, {key: (shown.get(key), listed.get(key)) for key in shown.keys() ^ listed.keys()}
            assert _is_complete(session), "uploads are counted as missing, but none is"
            for upload in place.uploads:
                last = published.get(upload.id, upload.stage)
                assert last is upload.stage, f"{upload} was last published by watcher {watcher.number} as {last}"
    for place, (url, session) in zip(world.places(), watcher.sessions.items(), strict=True):
        if url in watcher.first_shown and not place.is_broken:
            _check_published(watcher, watcher.first_shown[url], shown_uploads(session))


def _check_published(
    watcher: Watcher, first: Mapping[str, tuple[Stage, bool]], shown: Mapping[str, tuple[Stage, bool]]
) -> None:
    """Check that the difference to what a session showed first was published."""
    published = {
        (change.upload.id, change.after if isinstance(change, StageReached) else type(change))
        for change in watcher.changes
    }
    for upload_id, (stage, is_gone) in shown.items():
        before, was_gone = first.get(upload_id, (None, True))
        expected = [stage] * (stage is not before) + [UploadGone if is_gone else UploadSeen] * (is_gone != was_gone)
        missing = [one for one in expected if (upload_id, one) not in published]
        assert not missing, f"watcher {watcher.number} has not published {missing} of {upload_id}"
