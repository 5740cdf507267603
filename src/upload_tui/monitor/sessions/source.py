"""The session over a source: one synchroniser that lists everything in each round."""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from statistics import median

from upload_tui.clock import Clock
from upload_tui.errors import AuthError, BusyStorageError, Cause, ServiceError, SourceConfigError
from upload_tui.monitor.analysis.trouble import DEFAULT_TROUBLE_LIMITS, TroubleLimits
from upload_tui.monitor.changes import ConnectionChanged, PictureChanged, SyncProgressed
from upload_tui.monitor.model import Connection, ProjectRef
from upload_tui.monitor.sessions.connection import ConnectionTracker
from upload_tui.monitor.sessions.schedule import Schedule, WakeableTimer
from upload_tui.monitor.sessions.session import ChangeBroadcaster
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.store_picture import StorePicture
from upload_tui.monitor.sync.source_recorder import WatchedSource
from upload_tui.monitor.sync.source_synchroniser import SourceSynchroniser
from upload_tui.text import overrun_text, span_text

__all__ = ["SourceSession", "source_schedule"]

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
    """Lists a source again and again; implements `ServiceSession`. A listing that fails is tried again, also the first one.

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
        limits: TroubleLimits = DEFAULT_TROUBLE_LIMITS,
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
        self._open_picture = partial(
            StorePicture, store, clock, watched.service, limits, freshness=freshness, title=watched.title
        )
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

    def connection(self, project_ids: frozenset[str] = frozenset()) -> Connection:  # noqa: ARG002
        """The state of the source, which lists all projects at once."""
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
    """Why a listing that does not end counts as missed: `no more lines in 5s`, and `timeout after 30s`."""
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
