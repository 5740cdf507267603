"""The session over a real service: one synchroniser per project, each polling on its own schedule."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from msgspec.structs import replace

from upload_tui.client import ServiceClient
from upload_tui.errors import ServiceError
from upload_tui.monitor.analysis.trouble import DEFAULT_TROUBLE_LIMITS, TroubleLimits
from upload_tui.monitor.model import Connection, ProjectRef
from upload_tui.monitor.sessions.connection import worst_connection
from upload_tui.monitor.sessions.project_poller import ProjectPoller
from upload_tui.monitor.sessions.schedule import Schedule, budgeted_seconds
from upload_tui.monitor.sessions.session import ChangeBroadcaster
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.store_picture import StorePicture

__all__ = ["LiveSession"]

_QUEUE_SECONDS = 15.0
"""Time between two requests for the verification queue when requests are short."""


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
            ProjectPoller(
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
        return budgeted_seconds(own, [one.demand(visible) for one in self._pollers if not one.is_lost], limit)

    def _is_live_beside(self, failing: ProjectPoller) -> bool:
        return any(poller is not failing and poller.tracker.current.is_live for poller in self._pollers)

    def _retry_others(self, recovered: ProjectPoller) -> None:
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

    def __init__(self, client: ServiceClient, pollers: "Sequence[ProjectPoller]") -> None:
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
