"""The session over a real service: one synchroniser per project, each polling on its own schedule."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from msgspec.structs import replace

from upload_tui.client import ServiceClient
from upload_tui.errors import ServiceError
from upload_tui.monitor.analysis.trouble import DEFAULT_TROUBLE_LIMITS, TroubleLimits
from upload_tui.monitor.changes import PictureChanged
from upload_tui.monitor.model import Connection, ProjectRef
from upload_tui.monitor.sessions.connection import connection_of
from upload_tui.monitor.sessions.project_poller import ProjectPoller
from upload_tui.monitor.sessions.schedule import Schedule, WakeableTimer, budgeted_seconds
from upload_tui.monitor.sessions.session import ChangeBroadcaster
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.store_picture import StorePicture

__all__ = ["LiveSession"]

_QUEUE_SECONDS = 15.0
"""Time between two requests for the verification queue when requests are short."""
_PROJECTS_SECONDS = 60.0
_PROJECTS_SHARE = 0.05
"""Time between two requests for the list of projects, and the share of the budget of requests that they may take."""


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
        finds_projects: whether to list the projects from time to time, and to watch new ones and learn new names.
        picture: another one when there are new projects.
    """

    notice = ""
    finds_projects = False

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
        self.changes = changes or ChangeBroadcaster()
        self._client = client
        self._store = store
        self._has_queue_endpoint = True
        self._queue_due = 0.0
        self._schedule = schedule or Schedule()
        self._limits = limits
        self._is_watched = True
        self._projects_timer = WakeableTimer(client.clock, lambda: self._is_paused)
        self._pollers = {project.id: self._poller(project) for project in projects}
        self._freshness = _LiveFreshness(client, self._pollers)
        self.picture = self._new_picture()

    def _poller(self, project: ProjectRef) -> ProjectPoller:
        return ProjectPoller(
            self._client,
            self._store,
            project,
            self.changes,
            self._schedule,
            self._fetch_queue_stats,
            self._budgeted_seconds,
        )

    def _new_poller(self, project: ProjectRef) -> ProjectPoller:
        """The poller of a project that has been found while the session runs; it is read once, also while the others are paused.

        What began in it since the session began is new.
        """
        is_paused, poller = self._is_paused, self._poller(project)
        poller.new_since = self._freshness.read_since
        poller.set_watched(is_watched=self._is_watched)
        poller.is_refreshing = True
        if is_paused:
            poller.tracker.set_paused(is_paused=True)
        return poller

    def _new_picture(self) -> StorePicture:
        client, limits, project_ids = self._client, self._limits, frozenset(self._pollers)
        return StorePicture(self._store, client.clock, client.root, limits, project_ids, self._freshness, self.title)

    @property
    def projects(self) -> Sequence[ProjectRef]:
        """The projects that are watched."""
        return tuple(poller.project for poller in self._pollers.values())

    async def run(self) -> None:
        """Poll all projects until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._resync_when_replaced(), name="watch the store")
            if self.finds_projects:
                group.create_task(self._find_projects(group), name="find projects")
            for poller in sorted(self._pollers.values(), key=lambda poller: not poller.has_pending):
                group.create_task(self._run(poller), name=f"poll {poller.project.id}")

    async def _find_projects(self, group: asyncio.TaskGroup) -> None:
        """List the projects from time to time; if that fails, the rounds of the known ones say so."""
        while True:
            limit = self._client.gate.requests_per_minute
            await self._projects_timer.wait(max(_PROJECTS_SECONDS, 60 / (_PROJECTS_SHARE * limit) if limit else 0.0))
            with suppress(ServiceError):
                listed = await self._client.projects()
                self.notice = listed.notice
                self._watch([ProjectRef(project.id, project.name) for project in listed.projects], group)

    def _watch(self, listed: Sequence[ProjectRef], group: asyncio.TaskGroup) -> None:
        """Watch the projects that are not watched yet, poll those that are there again, and learn new names."""
        before = self.projects
        for project in listed:
            poller = self._pollers.get(project.id)
            if poller is None:
                self._pollers[project.id] = poller = self._new_poller(project)
                group.create_task(self._run(poller), name=f"poll {project.id}")
            elif project.name:
                poller.project = project
            if poller.is_lost:
                poller.wake()
        if len(self._pollers) > len(before):
            queue, visible = self.picture.queue, self.picture.visible_projects
            self.picture = self._new_picture()
            self.picture.queue, self.picture.visible_projects = queue, visible
        if self.projects != before:
            self.changes.publish(PictureChanged(at=self._client.clock.now()))

    async def _run(self, poller: ProjectPoller) -> None:
        while True:
            was_failing = poller.tracker.current.is_failing
            seconds = await poller.poll(self._is_live_beside)
            poller.is_refreshing = False
            self._end_refresh()
            if was_failing and poller.tracker.current.is_live:
                self._retry_others(poller)
            await poller.timer.wait(seconds)

    def _budgeted_seconds(self, poller: ProjectPoller) -> float:
        """The interval between two rounds of a project that the budget allows."""
        limit, visible = self._client.gate.requests_per_minute, self.picture.visible_projects
        own = poller.demand(visible)
        if limit is None:
            return own.interval_seconds
        return budgeted_seconds(own, [one.demand(visible) for one in self._pollers.values() if not one.is_lost], limit)

    def _is_live_beside(self, failing: ProjectPoller) -> bool:
        return any(poller is not failing and poller.tracker.current.is_live for poller in self._pollers.values())

    def _retry_others(self, recovered: ProjectPoller) -> None:
        """Poll the other projects that fail: what ended the failure of one may have ended theirs."""
        for poller in self._pollers.values():
            if poller is not recovered and poller.tracker.current.is_failing and not poller.is_lost:
                poller.timer.woken.set()

    async def _resync_when_replaced(self) -> None:
        """Poll all projects whenever the store was replaced by another, which may be empty."""
        while True:
            await self._store.replaced.wait()
            self._store.replaced.clear()
            for poller in self._pollers.values():
                if not poller.tracker.is_paused:
                    poller.wake()

    def refresh(self) -> None:
        """Poll the service now, also while paused (once)."""
        self._client.gate.set_paused(is_paused=False)
        self._projects_timer.woken.set()
        for poller in self._pollers.values():
            poller.wake()

    def set_paused(self, *, is_paused: bool) -> None:
        """Send no requests while paused (a round that is running waits at its next one); poll now at the end of a pause."""
        self._client.gate.set_paused(is_paused=is_paused)
        for poller in self._pollers.values():
            poller.tracker.set_paused(is_paused=is_paused)
            if not is_paused:
                poller.wake()

    def set_watched(self, *, is_watched: bool) -> None:
        """Set whether the dashboard is watched: poll now when it is again and not paused, poll less often while it is not."""
        self._is_watched = is_watched
        for poller in self._pollers.values():
            poller.set_watched(is_watched=is_watched)

    @property
    def _is_paused(self) -> bool:
        return any(poller.tracker.is_paused for poller in self._pollers.values())

    def _end_refresh(self) -> None:
        """Stop requests again when a refresh during a pause has polled all projects."""
        if all(poller.tracker.is_paused and not poller.is_refreshing for poller in self._pollers.values()):
            self._client.gate.set_paused(is_paused=True)

    async def _fetch_queue_stats(self) -> None:
        """Fetch the verification queue's figures; not again if the service has no such endpoint."""
        now = self._client.clock.monotonic()
        if self._has_queue_endpoint and now >= self._queue_due:
            is_short = any(poller.is_frugal for poller in self._pollers.values())
            self._queue_due = now + _QUEUE_SECONDS * is_short
            with suppress(ServiceError):  # the figures are optional
                stats = await self._client.queue()
                self._has_queue_endpoint = stats is not None
                self.picture.queue.update(stats)

    @property
    def lost_projects(self) -> Sequence[ProjectRef]:
        """The projects that the service no longer has, or that the account may no longer see."""
        return [poller.project for poller in self._pollers.values() if poller.is_lost]

    @property
    def is_complete(self) -> bool:
        """False if the service lists projects or uploads that cannot be read."""
        return not self.notice and all(poller.is_complete for poller in self._pollers.values())

    def connection(self, project_ids: frozenset[str] = frozenset()) -> Connection:
        """The worst connection of the projects; it names its project if that has a problem that the others do not have."""
        connections = [(poller.project, poller.tracker.current) for poller in self._pollers.values()]
        worst = connection_of(connections, project_ids)
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

    def __init__(self, client: ServiceClient, pollers: Mapping[str, ProjectPoller]) -> None:
        self._client = client
        self._pollers = pollers
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
            poller = self._pollers.get(project_id)
            return poller.as_of(now) if poller else None
        times = (poller.as_of(now) for poller in self._pollers.values())
        return max((on for on in times if on is not None), default=None)
