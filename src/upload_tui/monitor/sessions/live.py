"""The session over a real service: one synchroniser per project, each polling on its own schedule."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from msgspec.structs import replace

from upload_tui.client import ServiceClient
from upload_tui.errors import BusyStorageError, NotFoundError, ServiceError
from upload_tui.monitor.analysis.trouble import DEFAULT_TROUBLE_LIMITS, TroubleLimits
from upload_tui.monitor.changes import ConnectionChanged, PictureChanged, SyncProgressed
from upload_tui.monitor.model import Connection, ProjectRef
from upload_tui.monitor.sessions.connection import ConnectionTracker, worst_connection
from upload_tui.monitor.sessions.schedule import Demand, Schedule, WakeableTimer, budgeted_seconds
from upload_tui.monitor.sessions.session import ChangeBroadcaster
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.store_picture import StorePicture
from upload_tui.monitor.sync.synchroniser import Synchroniser

__all__ = ["LiveSession"]

_MIN_STALL_SECONDS = 5.0
_MISSED_ROUNDS = 3
_STALL_FACTOR = 4.0
"""A round is missed after the longest of this many usual response times, `_MISSED_ROUNDS` intervals, `_MIN_STALL_SECONDS`."""
_LOST_AFTER_TRIES = 2
_FAILING_SECONDS = 5.0
"""Time between two tries of a project that fails while others are live."""
_QUEUE_SECONDS = 15.0
"""Time between two requests for the verification queue when requests are short."""
_COST_WEIGHT = 0.2
"""The weight of the last round in the number of requests that a round is expected to take."""
_STALE_ROUNDS = 0.5
"""A project whose rounds the budget delays is stale after one and a half of its intervals, not after three."""


class LiveSession:
    """Polls projects of one service, by the client's clock; implements `ServiceSession`.

    Args:
        client: the service; the caller opens and closes it.
        projects: the projects.
        store: where readings are written; the caller closes it.
        title: the session's name.
        schedule: how often to poll.
        limits: the settings that decide on trouble.
        changes: where changes are published; None makes a new one.

    Attributes:
        notice: what is missing besides the projects; it is the connection's reason while that is live. Empty if nothing is.
    """

    notice = ""

    def __init__(
        self,
        client: ServiceClient,
        projects: Sequence[ProjectRef],
        store: Store,
        *,
        title: str = "",
        schedule: Schedule | None = None,
        limits: TroubleLimits = DEFAULT_TROUBLE_LIMITS,
        changes: ChangeBroadcaster | None = None,
    ) -> None:
        self.title = title
        self.projects = tuple(projects)
        self.changes = changes or ChangeBroadcaster()
        self._client = client
        self._store = store
        self._has_queue_endpoint = True
        self._queue_due = 0.0
        schedule = schedule or Schedule()
        self._pollers = [
            _ProjectPoller(
                client, store, project, self.changes, schedule, self._fetch_queue_stats, self._budgeted_seconds
            )
            for project in self.projects
        ]
        self.picture = StorePicture(
            store,
            client.clock,
            client.root,
            limits,
            frozenset(project.id for project in self.projects),
            _LiveFreshness(client, self._pollers),
            title,
        )

    async def run(self) -> None:
        """Poll all projects until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._resync_when_replaced(), name="watch the store")
            for poller in sorted(self._pollers, key=lambda poller: not poller.has_pending):
                group.create_task(self._run(poller), name=f"poll {poller.project.id}")

    async def _run(self, poller: "_ProjectPoller") -> None:
        while True:
            was_failing = poller.tracker.current.is_failing
            seconds = await poller.poll(self._is_live_beside)
            poller.is_refreshing = False
            self._end_refresh()
            if was_failing and poller.tracker.current.is_live:
                self._retry_others(poller)
            await poller.timer.wait(seconds)

    def _budgeted_seconds(self, poller: "_ProjectPoller") -> float:
        """The interval between two rounds of a project that the budget allows."""
        limit, visible = self._client.gate.requests_per_minute, self.picture.visible_projects
        own = poller.demand(visible)
        if limit is None:
            return own.interval_seconds
        return budgeted_seconds(own, [one.demand(visible) for one in self._pollers if not one.is_lost], limit)

    def _is_live_beside(self, failing: "_ProjectPoller") -> bool:
        return any(poller is not failing and poller.tracker.current.is_live for poller in self._pollers)

    def _retry_others(self, recovered: "_ProjectPoller") -> None:
        """Poll the other projects that fail: what ended the failure of one may have ended theirs."""
        for poller in self._pollers:
            if poller is not recovered and poller.tracker.current.is_failing and not poller.is_lost:
                poller.timer.woken.set()

    async def _resync_when_replaced(self) -> None:
        """Poll all projects whenever the store was replaced by another, which may be empty."""
        while True:
            await self._store.replaced.wait()
            self._store.replaced.clear()
            for poller in self._pollers:
                if not poller.tracker.is_paused:
                    poller.wake()

    def refresh(self) -> None:
        """Poll the service now, also while paused (once)."""
        self._client.gate.set_paused(is_paused=False)
        for poller in self._pollers:
            poller.wake()

    def set_paused(self, *, is_paused: bool) -> None:
        """Send no requests while paused (a round that is running waits at its next one); poll now at the end of a pause."""
        self._client.gate.set_paused(is_paused=is_paused)
        for poller in self._pollers:
            poller.tracker.set_paused(is_paused=is_paused)
            if not is_paused:
                poller.wake()

    def set_watched(self, *, is_watched: bool) -> None:
        """Set whether the dashboard is watched: poll now when it is again and not paused, poll less often while it is not."""
        for poller in self._pollers:
            poller.set_watched(is_watched=is_watched)

    def _end_refresh(self) -> None:
        """Stop requests again when a refresh during a pause has polled all projects."""
        if all(poller.tracker.is_paused and not poller.is_refreshing for poller in self._pollers):
            self._client.gate.set_paused(is_paused=True)

    async def _fetch_queue_stats(self) -> None:
        """Fetch the verification queue's figures; not again if the service has no such endpoint."""
        now = self._client.clock.monotonic()
        if self._has_queue_endpoint and now >= self._queue_due:
            is_short = any(poller.is_frugal for poller in self._pollers)
            self._queue_due = now + _QUEUE_SECONDS * is_short
            with suppress(ServiceError):  # the figures are optional
                stats = await self._client.queue()
                self._has_queue_endpoint = stats is not None
                self.picture.queue.update(stats)

    @property
    def lost_projects(self) -> Sequence[ProjectRef]:
        """The projects that the service no longer has, or that the account may no longer see."""
        return [poller.project for poller in self._pollers if poller.is_lost]

    @property
    def is_complete(self) -> bool:
        """False if the service lists projects or uploads that cannot be read."""
        return not self.notice and all(poller.is_complete for poller in self._pollers)

    def connection(self) -> Connection:
        """The worst connection of all projects; it names its project if that project has a problem that the others do not have."""
        worst = worst_connection(
            [(poller.project.name or poller.project.id, poller.tracker.current) for poller in self._pollers]
        )
        if self.notice and worst.is_live:
            reason = f"{worst.name}: {worst.reason}" if worst.name else worst.reason
            worst = replace(worst, name="", reason="; ".join(filter(None, (self.notice, reason))))
        return replace(
            worst,
            requests_last_minute=self._client.requests_last_minute,
            requests_per_minute=self._client.gate.requests_per_minute,
        )


class _LiveFreshness:
    """The freshness of polled projects. A project that fails does not make the others old."""

    def __init__(self, client: ServiceClient, pollers: "Sequence[_ProjectPoller]") -> None:
        self._client = client
        self._pollers = pollers
        self._by_project = {poller.project.id: poller for poller in pollers}
        self._began_on = client.clock.now() - self._clock_offset

    @property
    def _clock_offset(self) -> timedelta:
        return timedelta(seconds=self._client.clock_offset.used_seconds)

    @property
    def read_since(self) -> datetime:
        """When the session began, by the service's clock, whose offset may become better known."""
        return self._began_on + self._clock_offset

    def as_of(self, project_id: str = "") -> datetime | None:
        """When a project (empty: any) was last current; None before its first answer."""
        now = self._client.clock.now()
        if project_id:
            poller = self._by_project.get(project_id)
            return poller.as_of(now) if poller else None
        times = (poller.as_of(now) for poller in self._pollers)
        return max((on for on in times if on is not None), default=None)


class _ProjectPoller:
    """Runs the rounds of one project's synchroniser, on the schedule or as the connection's state requires.

    Attributes:
        has_pending: whether any of its uploads was pending after the last round.
        is_refreshing: a round was requested and has not ended, also while paused.
        is_frugal: whether the budget delays its rounds.
    """

    def __init__(
        self,
        client: ServiceClient,
        store: Store,
        project: ProjectRef,
        changes: ChangeBroadcaster,
        schedule: Schedule,
        fetch_queue_stats: Callable[[], Awaitable[None]],
        budgeted_seconds: "Callable[[_ProjectPoller], float]",
    ) -> None:
        self._client = client
        self._fetch_queue_stats = fetch_queue_stats
        self.project = project
        self.is_refreshing = False
        self._is_watched = True
        self._store = store
        self._clock = client.clock
        self._changes = changes
        self._schedule = schedule
        self.timer = WakeableTimer(self._clock, lambda: self.tracker.is_paused)
        self._interval_seconds = schedule.shortest_seconds
        self._synchroniser = Synchroniser(client, store, project, changes.publish, self._publish_progress)
        self._not_found_count = 0
        self._budgeted_seconds = budgeted_seconds
        self._delayed_seconds = 0.0
        self._cost = 1.0
        self.has_pending = self._has_pending_now()
        self.is_frugal = False
        self.tracker = ConnectionTracker(
            self._clock, self._publish_connection, schedule.jitter, read_on=self._synchroniser.previous_read_on
        )

    def wake(self) -> None:
        """Run a round now."""
        self.is_refreshing = True
        self.timer.woken.set()

    def as_of(self, now: datetime) -> datetime | None:
        """The time as of which the project is correct; None before the first answer of the session.

        A live connection counts as old when no round has ended for a while: it hangs, or the machine was suspended.
        """
        return self.tracker.current_on(now, max(self._seconds_between_polls, self._delayed_seconds * _STALE_ROUNDS))

    def _has_pending_now(self) -> bool:
        """Whether any upload of the project is pending; reads the store, which may be busy."""
        return bool(self._store.unfinished(frozenset({self.project.id})))

    def demand(self, visible: frozenset[str]) -> Demand:
        """The requests of its rounds if there were no budget; `visible` are the projects on screen."""
        if self.tracker.current.is_failing:
            return Demand(1.0, _FAILING_SECONDS, is_first=False)
        return Demand(self._cost, self._seconds_between_polls, self.has_pending or self.project.id in visible)

    @property
    def is_complete(self) -> bool:
        """False if the service lists uploads of the project that cannot be read."""
        return not self._synchroniser.unreadable_notice

    def set_watched(self, *, is_watched: bool) -> None:
        """Set whether the dashboard is watched; run a round now if it is again and not paused."""
        is_back = is_watched and not self._is_watched
        self._is_watched = is_watched
        if is_back and not self.tracker.is_paused and not self.is_lost:
            self.wake()

    async def poll(self, is_live_beside: "Callable[[_ProjectPoller], bool]") -> float | None:
        """Run a round, which may fail; return the seconds until the next one, None if the project is lost: not before a refresh.

        Args:
            is_live_beside: whether another project than this one is live; asked when the round has failed.
        """
        try:
            return await self._run_round()
        except (ServiceError, BusyStorageError) as error:
            self._not_found_count = self._not_found_count + 1 if isinstance(error, NotFoundError) else 0
            if self.is_lost:
                self.tracker.deleted(error)
                return None
            is_partly_live = is_live_beside(self)
            return self.tracker.failed(
                error, is_partly_live=is_partly_live, budgeted_seconds=self._budgeted_seconds(self) * is_partly_live
            )

    async def _run_round(self) -> float:
        """Run a round, then publish what it found and read; return the seconds until the next one. The store may fail as well."""
        has_changed = await self._sync()
        self._not_found_count = 0
        self.tracker.notice = self._synchroniser.notice
        is_picture_new = self._store.detect_other_writers() or has_changed
        self.has_pending = self._has_pending_now()
        has_pending_of_its_own = bool(self._store.pending(frozenset({self.project.id}), limit=1))
        self.tracker.synced(self._clock.now(), self._client.median_response_seconds)
        if is_picture_new:
            self._changes.publish(PictureChanged(at=self._clock.now()))
        self._interval_seconds = self._schedule.next_seconds(
            max(self._interval_seconds, self._delayed_seconds), has_changed=has_changed, has_pending=self.has_pending
        )
        if has_pending_of_its_own:  # after all of the round is published at once
            await self._fetch_queue_stats()
        self._delayed_seconds = self._budgeted_seconds(self) if self._client.is_budget_short else 0.0
        return self._schedule.with_jitter(max(self._seconds_between_polls, self._delayed_seconds))

    async def _sync(self) -> bool:
        """Synchronise once, and learn how many requests a round takes; True if anything changed."""
        self.is_frugal = self._budgeted_seconds(self) > self._seconds_between_polls
        is_full_scan = self._synchroniser.previous_read_on is None
        round_ = self._synchroniser.sync(is_frugal=self.is_frugal)
        try:
            return await self.tracker.run_round(
                round_, self._answer_count, lambda: self._stall_seconds, self._store.limits.stall_check_seconds
            )
        finally:
            if not is_full_scan:
                self._cost += _COST_WEIGHT * (max(1, self._synchroniser.answer_count) - self._cost)

    def _answer_count(self) -> int | None:
        """The answers of this round; None while the request gate holds requests back."""
        return None if self._client.gate.is_holding else self._synchroniser.answer_count

    @property
    def _stall_seconds(self) -> float:
        """How long the service may take for one answer before rounds count as missed."""
        usual = _STALL_FACTOR * (self._client.median_response_seconds or 0.0)
        return max(_MIN_STALL_SECONDS, _MISSED_ROUNDS * self._schedule.shortest_seconds, usual)

    @property
    def is_lost(self) -> bool:
        """Whether the service has answered several times that it does not have the project."""
        return self._not_found_count >= _LOST_AFTER_TRIES

    @property
    def _seconds_between_polls(self) -> float:
        """The present interval between two rounds."""
        seconds = self._interval_seconds
        return seconds if self._is_watched else self._schedule.unwatched_seconds(seconds)

    def _publish_connection(self, connection: Connection) -> None:
        self._changes.publish(ConnectionChanged(at=self._clock.now(), connection=connection, project=self.project))

    def _publish_progress(self, known: int, total: int | None) -> None:
        self.tracker.catching_up(known, total)
        self._changes.publish(SyncProgressed(at=self._clock.now(), done=known, total=total))
        self._changes.publish(PictureChanged(at=self._clock.now()))
