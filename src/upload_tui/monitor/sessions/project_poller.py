"""The polling of one project: a round of its synchroniser, then the time until the next one."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from upload_tui.client import ServiceClient
from upload_tui.errors import BusyStorageError, NotFoundError, ServiceError
from upload_tui.monitor.changes import ConnectionChanged, PictureChanged, SyncProgressed
from upload_tui.monitor.model import Connection, ProjectRef
from upload_tui.monitor.sessions.connection import ConnectionTracker
from upload_tui.monitor.sessions.schedule import Demand, Schedule, WakeableTimer
from upload_tui.monitor.sessions.session import ChangeBroadcaster
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.synchroniser import Synchroniser

__all__ = ["ProjectPoller"]

_MIN_STALL_SECONDS = 5.0
_MISSED_ROUNDS = 3
_STALL_FACTOR = 4.0
"""A round is missed after the longest of this many usual response times, `_MISSED_ROUNDS` intervals, `_MIN_STALL_SECONDS`."""
_LOST_AFTER_TRIES = 2
_FAILING_SECONDS = 5.0
"""Time between two tries of a project that fails while others are live."""
_COST_WEIGHT = 0.2
"""The weight of the last round in the number of requests that a round is expected to take."""
_STALE_ROUNDS = 0.5
"""A project whose rounds the budget delays is stale after one and a half of its intervals, not after three."""


class ProjectPoller:
    """Runs the rounds of one project's synchroniser, on the schedule or as the connection's state requires.

    Attributes:
        has_pending: whether any of its uploads was pending after the last round.
        is_refreshing: a round was requested and has not ended, also while paused.
        is_frugal: whether the budget delays its rounds.
        new_since: uploads that began since then are new in its first round; None if none is.
    """

    new_since: datetime | None = None

    def __init__(
        self,
        client: ServiceClient,
        store: Store,
        project: ProjectRef,
        changes: ChangeBroadcaster,
        schedule: Schedule,
        fetch_queue_stats: Callable[[], Awaitable[None]],
        budgeted_seconds: "Callable[[ProjectPoller], float]",
    ) -> None:
        self._client = client
        self._fetch_queue_stats = fetch_queue_stats
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

    @property
    def project(self) -> ProjectRef:
        """The project; its name may change."""
        return self._synchroniser.project

    @project.setter
    def project(self, project: ProjectRef) -> None:
        """Give the project another name."""
        self._synchroniser.project = project

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

    async def poll(self, is_live_beside: "Callable[[ProjectPoller], bool]") -> float | None:
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
        round_ = self._synchroniser.sync(is_frugal=self.is_frugal, new_since=self.new_since)
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
