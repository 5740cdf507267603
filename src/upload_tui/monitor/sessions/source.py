"""The session over a source: one synchroniser that lists everything in each round."""

import asyncio
import math
from collections import Counter, deque
from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from statistics import median

from upload_tui.clock import Clock
from upload_tui.errors import AuthError, BusyStorageError, Cause, ServiceError, SourceConfigError
from upload_tui.monitor.analysis.trouble import DEFAULT_LIMITS, TroubleLimits
from upload_tui.monitor.changes import ConnectionChanged, PictureChanged, SyncProgressed
from upload_tui.monitor.model import Connection, ProjectRef
from upload_tui.monitor.sessions.connection import ConnectionTracker
from upload_tui.monitor.sessions.schedule import Schedule, WakeableTimer
from upload_tui.monitor.sessions.session import ChangeBroadcaster
from upload_tui.monitor.sessions.waiter import MAX_UNREADABLE, Outcome, outcome_of
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.store_picture import StorePicture
from upload_tui.monitor.sync.source_recorder import WatchedSource
from upload_tui.monitor.sync.source_synchroniser import SourceSynchroniser
from upload_tui.status import PENDING_STAGES, Stage
from upload_tui.text import overrun_text, span_text

__all__ = ["SourceSession", "SourceWaiter", "source_schedule"]

_PROGRESS_SECONDS = 1.0
"""The first listing shows what it has read this often: there are no indexes yet, so that each picture scans all uploads."""
_USUAL_LISTINGS = 5
"""The last listings whose median is the usual time of one."""
_MIN_STALL_SECONDS = 5.0
_STALL_FACTOR = 4.0
"""A listing is missed after the longer of this many usual times and `_MIN_STALL_SECONDS` without a line."""


def source_schedule(refresh_seconds: float) -> Schedule:
    """A schedule for a source: each listing costs the same, so the interval does not shrink after a change."""
    return Schedule(refresh_seconds, refresh_seconds, refresh_seconds, growth=1.0)


class SourceSession:
    """Lists a source again and again; implements `Session`. A listing that fails is tried again, also the first one.

    Args:
        watched: the source.
        store: where readings are written; the caller closes it. It holds uploads of this source only.
        clock: for the times of readings and for sleeping.
        schedule: how often to list.
        limits: the settings that decide on trouble.
        changes: where changes are published; None makes a new one.
        ends_on_refusal: whether `run` raises the `SourceConfigError` or `AuthError` of a listing, which no retry can help.
    """

    lost_projects: Sequence[ProjectRef] = ()
    """Always empty: a project without uploads looks the same as one that does not exist, and may get some."""
    notice = ""
    """Always empty: what cannot be read of the listing is the connection's reason."""

    def __init__(
        self,
        watched: WatchedSource,
        store: Store,
        clock: Clock,
        *,
        schedule: Schedule,
        limits: TroubleLimits = DEFAULT_LIMITS,
        changes: ChangeBroadcaster | None = None,
        ends_on_refusal: bool = False,
    ) -> None:
        self._ends_on_refusal = ends_on_refusal
        self.title = watched.title
        self.changes = changes or ChangeBroadcaster()
        self._store = store
        self._clock = clock
        self._schedule = schedule
        self._is_watched = True
        self._timer = WakeableTimer(clock, lambda: self._tracker.is_paused)
        self._synchroniser = SourceSynchroniser(watched, store, clock, self.changes.publish, self._publish_progress)
        self._tracker = ConnectionTracker(
            clock,
            self._publish_connection,
            schedule.jitter,
            read_on=self._synchroniser.previous_read_on,
            stall_cause=_stall_cause(watched, lambda: self._synchroniser.answer_count > 0),
        )
        self._listing_seconds: deque[float] = deque(maxlen=_USUAL_LISTINGS)
        self._progress_at = -math.inf
        freshness = _SourceFreshness(self._tracker, clock, lambda: self._seconds_between_listings)
        self._open_picture = partial(StorePicture, store, clock, watched.service, limits, freshness=freshness)
        self._project_ids = self._synchroniser.scope.ids
        self.picture = self._open_picture(self._project_ids)

    @property
    def projects(self) -> Sequence[ProjectRef]:
        """The projects with known uploads."""
        return tuple(self._synchroniser.scope.projects)

    @property
    def is_complete(self) -> bool:
        """False if the source lists uploads that cannot be read, or has never listed everything."""
        return not self._synchroniser.unreadable_notice

    async def run(self) -> None:
        """List until cancelled."""
        watching = asyncio.create_task(self._relist_when_replaced(), name="watch the store")
        try:
            await self._poll_forever()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _poll_forever(self) -> None:
        while True:
            await self._timer.wait(await self._poll())

    async def _relist_when_replaced(self) -> None:
        while True:
            await self._store.replaced.wait()
            self._store.replaced.clear()
            if not self._tracker.is_paused:
                self._timer.woken.set()

    async def _poll(self) -> float:
        """List once; return the seconds until the next listing."""
        try:
            await self._list()
            self._store.detect_other_writers()
            missing = [error.title for error in self._synchroniser.missing_projects().values()]
        except (ServiceError, BusyStorageError) as error:
            is_refused = isinstance(error, SourceConfigError | AuthError)
            if is_refused and self._ends_on_refusal:
                raise
            self._publish_picture()  # what was read before it failed is shown
            return self._tracker.failed(error)
        overrun = overrun_text(self._listing_seconds[-1], self._schedule.shortest_seconds)
        self._tracker.notice = self._synchroniser.unreadable_notice or "; ".join(filter(None, [*missing, overrun]))
        self._tracker.partial_problem = self._synchroniser.partial_problem
        self._tracker.synced(self._clock.now())
        self._publish_picture()
        return self._schedule.with_jitter(self._seconds_between_listings)

    async def _list(self) -> None:
        began_at, self._progress_at = self._clock.monotonic(), -math.inf
        await self._tracker.run_round(
            self._synchroniser.sync(),
            lambda: self._synchroniser.answer_count,
            lambda: self._stall_seconds,
            self._store.limits.stall_check_seconds,
        )
        self._listing_seconds.append(self._clock.monotonic() - began_at)
        self._tracker.usual_seconds = median(self._listing_seconds)

    @property
    def _stall_seconds(self) -> float:
        """How long the source may print nothing before a listing counts as missed; the first ends by its timeout alone."""
        usual = self._tracker.usual_seconds
        return max(_MIN_STALL_SECONDS, _STALL_FACTOR * usual) if self._listing_seconds else math.inf

    @property
    def _seconds_between_listings(self) -> float:
        """The present interval between two listings."""
        seconds = self._schedule.shortest_seconds
        return seconds if self._is_watched else self._schedule.unwatched_seconds(seconds)

    def connection(self) -> Connection:
        """The state of the source."""
        return self._tracker.current

    def refresh(self) -> None:
        """List now, also while paused (once)."""
        self._timer.woken.set()

    def set_paused(self, *, is_paused: bool) -> None:
        """List no more while paused (a listing that is running ends); list now at the end of a pause."""
        self._tracker.set_paused(is_paused=is_paused)
        if not is_paused:
            self._timer.woken.set()

    def set_watched(self, *, is_watched: bool) -> None:
        """Set whether the dashboard is watched: list now when it is again and not paused, less often while it is not."""
        is_back = is_watched and not self._is_watched
        self._is_watched = is_watched
        if is_back and not self._tracker.is_paused:
            self._timer.woken.set()

    def _publish_picture(self) -> None:
        with suppress(BusyStorageError):  # the next listing reads them again
            if (project_ids := self._synchroniser.scope.ids) != self._project_ids:
                self._project_ids, self.picture = project_ids, self._open_picture(project_ids)
        self.changes.publish(PictureChanged(at=self._clock.now()))

    def _publish_connection(self, connection: Connection) -> None:
        self.changes.publish(ConnectionChanged(at=self._clock.now(), connection=connection))

    def _publish_progress(self, known: int, total: int | None) -> None:
        if self._clock.monotonic() - self._progress_at < _PROGRESS_SECONDS:
            return
        self._progress_at = self._clock.monotonic()
        self._tracker.catching_up(known, total)
        self.changes.publish(SyncProgressed(at=self._clock.now(), done=known, total=total))
        self._publish_picture()


def _stall_cause(watched: WatchedSource, has_lines: Callable[[], bool]) -> Callable[[str], Cause]:
    """Why a listing that does not end counts as missed: `no more lines for 5s`, and `timeout after 30s`."""
    limit = "" if watched.timeout_seconds is None else f"timeout after {span_text(watched.timeout_seconds)}"
    return lambda duration: Cause(f"no {'more ' if has_lines() else ''}lines{duration}", details=limit)


class _SourceFreshness:
    """The picture is as current as the last whole listing."""

    def __init__(self, tracker: ConnectionTracker, clock: Clock, interval_seconds: Callable[[], float]) -> None:
        self._tracker = tracker
        self._clock = clock
        self._interval_seconds = interval_seconds
        self.read_since = clock.now()

    def as_of(self, project_id: str = "") -> datetime | None:  # noqa: ARG002
        """When the source last listed everything; None before the first listing of the session."""
        return self._tracker.current_on(self._clock.now(), self._interval_seconds())


class SourceWaiter:
    """Waits for uploads of a source; the counterpart of `UploadWaiter`. Each round is one listing.

    An upload that a whole listing does not have is gone, never verified. One whose line cannot be read in
    `MAX_UNREADABLE` listings in a row is unreadable. One that ended in another stage never reaches the goal.

    Args:
        synchroniser: lists the source into a store.
        picture: what the store holds.
        upload_ids: the uploads.
        goal: the stage to reach.
        clock: for sleeping.
        schedule: the interval between listings.
        projects: ids or names of the projects in which the uploads are expected; empty for any.
    """

    def __init__(
        self,
        synchroniser: SourceSynchroniser,
        picture: StorePicture,
        upload_ids: Sequence[str],
        *,
        goal: Stage,
        clock: Clock,
        schedule: Schedule,
        projects: Sequence[str] = (),
    ) -> None:
        self._projects = frozenset(projects)
        self._synchroniser = synchroniser
        self._store, self._picture = synchroniser.scope.store, picture
        self._goal = goal
        self._clock = clock
        self._schedule = schedule
        self.outcomes = dict.fromkeys(upload_ids, Outcome.PENDING)
        self.last_error: ServiceError | None = None
        self._unreadable_counts = Counter[str]()

    @property
    def pending(self) -> Sequence[str]:
        """The uploads still waited for."""
        return [upload_id for upload_id, outcome in self.outcomes.items() if outcome is Outcome.PENDING]

    def known_id(self, upload_id: str) -> str:
        """The id itself."""
        return upload_id

    def unknown_state(self, upload_id: str) -> str:
        """The source's name of a state that is not in the design; empty for any other."""
        stored = self._store.get(upload_id)
        return "" if stored is None else stored.unknown_state

    @property
    def notices(self) -> Sequence[str]:
        """A note on each upload that is in another project than expected."""
        known = map(self._store.get, self.outcomes) if self._projects else ()
        found = [stored for stored in known if stored is not None and not stored.is_gone]
        return [
            f"{one.id!a} is in project {one.project_name or one.project_id!a}, not in {', '.join(sorted(self._projects))}"
            for one in found
            if self._projects.isdisjoint((one.project_id, one.project_name))
        ]

    @property
    def problem(self) -> str:
        """Why the last listing failed, or what of it cannot be read; empty if there is nothing."""
        return self.last_error.title if self.last_error else self._synchroniser.unreadable_notice

    def reason(self, upload_id: str) -> str:  # noqa: ARG002
        """Why an upload cannot be read."""
        return self._synchroniser.unreadable_notice

    async def poll(self) -> Sequence[str]:
        """List once; return the uploads whose outcome is known now.

        A listing that fails is stored in `last_error`, and decides only on the uploads that it has.

        Raises:
            ServiceError: the source is misconfigured or not allowed to list.
        """
        self.last_error, is_whole = None, True
        try:
            await self._synchroniser.sync()
            is_whole = not self._synchroniser.partial_problem
        except ServiceError as error:
            if not error.is_transient:
                raise
            self.last_error, is_whole = error, False
        pending = self.pending
        before_goal = self._store.partitions.ids(frozenset(one for one in PENDING_STAGES if one.rank < self._goal.rank))
        for upload_id in pending:
            self.outcomes[upload_id] = self._outcome(upload_id, before_goal, is_whole=is_whole)
        return [upload_id for upload_id in pending if self.outcomes[upload_id] is not Outcome.PENDING]

    def _outcome(self, upload_id: str, before_goal: Container[str], *, is_whole: bool) -> Outcome:
        if upload_id in self._synchroniser.unreadable_ids:
            self._unreadable_counts[upload_id] += not self._synchroniser.last_listing.failure
            return Outcome.UNREADABLE if self._unreadable_counts[upload_id] >= MAX_UNREADABLE else Outcome.PENDING
        del self._unreadable_counts[upload_id]
        if upload_id in before_goal:  # nearly always: of thousands, reading the details would take seconds
            return Outcome.PENDING
        detail = self._picture.detail(upload_id)
        has_ended = detail is not None and detail.upload.timeline.has_ended  # also of the many that are shown as gone
        if detail is None or (detail.row.is_gone and not has_ended):
            return Outcome.GONE if is_whole or detail is not None else Outcome.PENDING
        outcome = outcome_of(detail.upload, self._goal)
        return Outcome.MISSED if outcome is Outcome.PENDING and has_ended else outcome

    async def wait(self, interval_seconds: float, *, has_changed: bool) -> float:
        """Sleep until the next listing is due; return the interval to pass in next time."""
        seconds = self._schedule.next_seconds(interval_seconds, has_changed=has_changed, has_pending=True)
        await self._clock.sleep(self._schedule.with_jitter(seconds))
        return seconds
