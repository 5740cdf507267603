"""The session over a real service: one synchroniser a project, each on its own schedule, and the answers a screen asks for."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from upload_tui.client.service_client import ServiceClient
from upload_tui.clock import Clock
from upload_tui.errors import ServiceError
from upload_tui.monitor.announcer import Announcer
from upload_tui.monitor.changes import Change, ConnectionChanged, PictureChanged, SyncProgressed
from upload_tui.monitor.comparison import recall
from upload_tui.monitor.connection_keeper import ConnectionKeeper
from upload_tui.monitor.judge import Usual, judge, stuck_seconds, usual_of
from upload_tui.monitor.picture import (
    Connection,
    ConnectionState,
    Detail,
    Funnel,
    ProjectRef,
    Query,
    Row,
    StageSummary,
    Window,
)
from upload_tui.monitor.schedule import Schedule
from upload_tui.monitor.store import Store, StoredUpload, StuckBefore
from upload_tui.monitor.synchroniser import Synchroniser
from upload_tui.status import Stage

__all__ = ["LiveSession"]

_SAMPLES = 500
_RECENT_MINUTES = 10
_WAITING_AT_LEAST = 3
_WORST_LAST = (
    ConnectionState.LIVE,
    ConnectionState.SLOW,
    ConnectionState.PAUSED,
    ConnectionState.CATCHING_UP,
    ConnectionState.CONNECTING,
    ConnectionState.RETRYING,
    ConnectionState.OFFLINE,
    ConnectionState.NOT_ALLOWED,
)


class LiveSession:
    """Projects of one service, kept true; implements `Session`.

    Args:
        client: the service; opened and closed by whoever made it.
        projects: which projects.
        store: where the picture is kept; closed by whoever made it.
        clock: for ages (`now`) and for waiting (`sleep`).
        title: a few words for the header.
        schedule: how often to look.
        stuck_after_seconds: from which age a pending upload looks stuck.
    """

    def __init__(
        self,
        client: ServiceClient,
        projects: Sequence[ProjectRef],
        store: Store,
        *,
        clock: Clock,
        title: str = "",
        schedule: Schedule | None = None,
        stuck_after_seconds: float = 900.0,
    ) -> None:
        self._client = client
        self._store = store
        self._clock = clock
        self._title = title
        self._stuck_after_seconds = stuck_after_seconds
        self._announcer = Announcer()
        self._usual: tuple[int, Usual | None] = (-1, None)
        self._watches = [
            _ProjectWatch(client, store, project, clock, self._announcer, schedule or Schedule())
            for project in projects
        ]

    @property
    def title(self) -> str:
        """What tells this session from another."""
        return self._title

    @property
    def projects(self) -> Sequence[ProjectRef]:
        """The projects that are watched."""
        return tuple(watch.project for watch in self._watches)

    def now(self) -> datetime:
        """The present by the clock that ages are reckoned with."""
        return self._clock.now()

    async def run(self) -> None:
        """Keep the picture true until cancelled."""
        async with asyncio.TaskGroup() as group:
            for watch in self._watches:
                group.create_task(watch.run(), name=f"watch {watch.project.id}")

    def changes(self) -> AsyncIterator[Change]:
        """Every change from now on."""
        return self._announcer.listen()

    def history(self, limit: int) -> Sequence[Change]:
        """The last changes that were told, oldest first."""
        return self._announcer.past(limit)

    def refresh(self) -> None:
        """Look at the service now, also while paused (once)."""
        for watch in self._watches:
            watch.wake()

    def pause(self) -> None:
        """Ask the service nothing more until `resume`."""
        for watch in self._watches:
            watch.keeper.pause()

    def resume(self) -> None:
        """Go on, and look at once."""
        for watch in self._watches:
            watch.keeper.resume()
            watch.wake()

    def connection(self) -> Connection:
        """The connection that is worst off."""
        return max((watch.keeper.current for watch in self._watches), key=lambda one: _WORST_LAST.index(one.state))

    # Windows

    def window(self, query: Query, offset: int, limit: int) -> Window:
        """At most `limit` rows of a query's answer from row `offset`."""
        stuck = self._stuck_before()
        rows = tuple(self._row(stored) for stored in self._store.window(query, stuck, offset, limit))
        return Window(rows, offset, self._store.total(query, stuck), self._store.revision)

    def position(self, query: Query, upload_id: str) -> int | None:
        """The row (from 0) of an upload in a query's answer."""
        return self._store.position(query, self._stuck_before(), upload_id)

    def pending(self, limit: int) -> Sequence[Row]:
        """The pending uploads: the stuck, then the overdue, then those that have waited longest for the service."""
        rows = [self._row(stored) for stored in self._store.pending(limit=max(limit * 8, 64))]
        rows.sort(key=lambda row: (not row.judgement.is_stuck, not row.judgement.is_overdue, -row.stage.rank))
        return rows[:limit]

    def detail(self, upload_id: str) -> Detail | None:
        """One upload with its timeline and the service's words."""
        stored = self._store.get(upload_id)
        if stored is None:
            return None
        raw = self._store.raw(upload_id)
        upload = recall(raw, stored.read_on, stored.earliest)
        if upload is None:
            return None
        pretty = json.dumps(json.loads(raw), indent=2, ensure_ascii=False)
        return Detail(upload=upload, row=self._row(stored), anomalies=(*upload.anomalies, *stored.noticed), raw=pretty)

    def funnel(self) -> Funnel:
        """The stages with counts, ages and the last minutes."""
        counts = self._store.stage_counts()
        summaries = tuple(self._summary(stage, *counts.get(stage, (0, None, None))) for stage in Stage)
        return Funnel(summaries, self._remark(summaries))

    def _summary(self, stage: Stage, count: int, oldest: datetime | None, newest: datetime | None) -> StageSummary:
        now, usual = self.now(), self._usual_now()
        overdue = stuck = 0
        if stage is Stage.INITIATED and count:
            overdue = stuck = self._store.older_than(stage, self._stuck_before().initiated)
        elif stage is Stage.COMPLETED and count:
            stuck = self._store.older_than(stage, self._stuck_before().completed)
            overdue = (
                stuck
                if usual is None
                else self._store.older_than(stage, now - timedelta(seconds=usual.p95_seconds + 2))
            )
        recent = self._store.arrivals(stage, now - timedelta(minutes=_RECENT_MINUTES), _RECENT_MINUTES)
        return StageSummary(stage, count, oldest, newest, overdue, stuck, recent)

    def _remark(self, summaries: Sequence[StageSummary]) -> str:
        """Whether it is one upload or all of them, from outcomes alone."""
        waiting = summaries[Stage.COMPLETED.rank]
        if waiting.overdue < _WAITING_AT_LEAST or waiting.oldest_since is None:
            return ""
        ended = [summaries[stage.rank].newest_since for stage in (Stage.VERIFIED, Stage.ERROR)]
        last_end = max((on for on in ended if on is not None), default=waiting.oldest_since)
        quiet = self.now() - max(last_end, waiting.oldest_since)
        usual = self._usual_now()
        patience_seconds = self._stuck_after_seconds if usual is None else max(30.0, 3 * usual.p95_seconds)
        if quiet.total_seconds() < patience_seconds:
            return ""
        minutes = max(1, round(quiet.total_seconds() / 60))
        unit = "minute" if minutes == 1 else "minutes"
        return f"0 verified in {minutes} {unit} while {waiting.count} wait: the verification worker looks stopped"

    # Judgement

    def _usual_now(self) -> Usual | None:
        if self._usual[0] != self._store.revision:
            self._usual = (self._store.revision, usual_of(self._store.durations_seconds(_SAMPLES)))
        return self._usual[1]

    def _stuck_before(self) -> StuckBefore:
        now = self.now()
        completed = stuck_seconds(self._usual_now(), self._stuck_after_seconds)
        return StuckBefore(now - timedelta(seconds=self._stuck_after_seconds), now - timedelta(seconds=completed))

    def _row(self, stored: StoredUpload) -> Row:
        judgement = judge(
            stored.stage, stored.since, stored.activity_on, self.now(), self._usual_now(), self._stuck_after_seconds
        )
        return Row(
            id=stored.id,
            name=stored.name,
            project_id=stored.project_id,
            project_name=stored.project_name,
            service=self._client.root,
            size_bytes=stored.size_bytes,
            stage=stored.stage,
            stage_since=stored.since,
            since_certainty=stored.certainty,
            initiated_on=stored.initiated_on,
            completed_on=stored.completed_on,
            ended_on=stored.ended_on,
            chunk_count=stored.chunk_count,
            chunk_bytes=stored.chunk_bytes,
            error_message=stored.error_message,
            judgement=judgement,
            anomaly_count=stored.anomaly_count,
            is_purged=stored.is_purged,
            is_gone=stored.is_gone,
            is_stale=stored.is_stale,
            read_on=stored.read_on,
        )


class _ProjectWatch:
    """One project: rounds of its synchroniser, as the schedule and the connection's state say."""

    def __init__(
        self,
        client: ServiceClient,
        store: Store,
        project: ProjectRef,
        clock: Clock,
        announcer: Announcer,
        schedule: Schedule,
    ) -> None:
        self.project = project
        self.keeper = ConnectionKeeper(clock, self._tell_connection)
        self._store = store
        self._clock = clock
        self._announcer = announcer
        self._schedule = schedule
        self._woken = asyncio.Event()
        self._interval_seconds = schedule.shortest_seconds
        self._synchroniser = Synchroniser(client, store, project, announcer.say, self._tell_progress)

    def wake(self) -> None:
        """Do a round now."""
        self._woken.set()

    async def run(self) -> None:
        while True:
            await self._wait(await self._round())

    async def _round(self) -> float:
        """One round; gives the seconds until the next."""
        try:
            changed = await self._synchroniser.round()
        except ServiceError as error:
            return self.keeper.failed(error)
        self.keeper.whole(self._clock.now())
        self._announcer.say(PictureChanged(at=self._clock.now(), revision=self._store.revision))
        is_waiting = bool(self._store.pending(self.project.id, limit=1))
        self._interval_seconds = self._schedule.next_seconds(
            self._interval_seconds, changed=changed, is_waiting=is_waiting
        )
        return self._schedule.with_jitter(self._interval_seconds)

    async def _wait(self, seconds: float) -> None:
        """Until it is time, or somebody wakes us; while paused only the latter."""
        woken = asyncio.ensure_future(self._woken.wait())
        due = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait({woken, due}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            due.cancel()
        self._woken.clear()

    async def _sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        while self.keeper.is_paused:
            await self._clock.sleep(self._schedule.shortest_seconds)

    def _tell_connection(self, connection: Connection) -> None:
        self._announcer.say(ConnectionChanged(at=self._clock.now(), connection=connection))

    def _tell_progress(self, known: int, total: int | None) -> None:
        self.keeper.catching_up(known, total)
        self._announcer.say(SyncProgressed(at=self._clock.now(), done=known, total=total))
        self._announcer.say(PictureChanged(at=self._clock.now(), revision=self._store.revision))
