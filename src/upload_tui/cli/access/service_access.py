"""Access to a service over HTTP."""

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from upload_tui.cli.access.outages import retrying
from upload_tui.cli.access.readings import (
    FetchedUploads,
    ProjectUploads,
    combined_error,
    fetch_readings,
    print_results,
    read_or_cached,
    read_until_kept,
    read_when_ready,
    resolve_projects,
)
from upload_tui.cli.access.service import (
    FoundProjects,
    find_projects,
    open_store,
    report_replacement,
    store_picture,
    trouble_limits,
)
from upload_tui.cli.exit_codes import exit_code
from upload_tui.cli.support.output import echo_message
from upload_tui.errors import EXIT_OK
from upload_tui.settings import ServiceSettings

if TYPE_CHECKING:
    from datetime import datetime

    from upload_tui.client import ServiceClient
    from upload_tui.monitor import (
        Change,
        ChangeBroadcaster,
        Freshness,
        LiveSession,
        Schedule,
        StageReached,
        Store,
        UploadWaiter,
    )
    from upload_tui.status import Stage
    from upload_tui.wire import Project

__all__ = ["ServiceAccess"]


class ServiceAccess:
    """Access to a service; implements `Access`.

    Args:
        settings: name the service.
        client: the service; the caller closes it.
    """

    def __init__(self, settings: ServiceSettings, client: "ServiceClient") -> None:
        self._settings = settings
        self._client = client
        self.service = client.root
        self.title = settings.profile_of_service or client.root
        self.clock = client.clock
        self.request_listeners = client.request_listeners

    def limit_requests(self) -> None:
        """Keep to the requests per minute of the settings from now on."""
        self._client.gate.requests_per_minute = self._settings.requests_per_minute

    async def find_projects(self) -> FoundProjects:
        """Find the projects of the settings, or all, see `service.find_projects`."""
        return await find_projects(self._client, self._settings.projects)

    def session(
        self,
        store: "Store",
        found: FoundProjects,
        *,
        changes: "ChangeBroadcaster | None" = None,
        ends_on_refusal: bool = False,
    ) -> "LiveSession":
        """Make a live session."""
        from upload_tui.monitor import LiveSession, Schedule

        self.limit_requests()
        session = LiveSession(
            self._client,
            found.projects,
            store,
            title=self.title,
            schedule=Schedule(shortest_seconds=self._settings.refresh_seconds),
            limits=trouble_limits(self._settings),
            changes=changes,
        )
        if not self._settings.projects:  # otherwise all that are watched were found
            session.notice, session.finds_projects = found.notice, True
        return session

    async def read(self, store: "Store", *, accepts_cached: bool) -> ProjectUploads:
        """Run one round of each project; offline, show those that are cached."""
        from upload_tui.monitor import CachedFreshness, PartlyCachedFreshness

        readings = await read_until_kept(store, lambda: read_or_cached(self._client, store, self._settings))
        # The ages of cached uploads end at the time of the cache.
        freshness: Freshness = CachedFreshness(self.clock.now())
        if not all(reading.error for reading in readings):
            cached_ids = frozenset(reading.project.id for reading in readings if reading.error) - {""}
            freshness = PartlyCachedFreshness(self.clock, cached_ids)
        report_replacement(store)
        picture = store_picture(self._settings, store, self.clock, freshness=freshness)
        code = print_results(readings)
        is_accepted = accepts_cached and all(reading.is_cached for reading in readings)
        of_projects = [reading for reading in readings if reading.project.id]
        return ProjectUploads(picture, of_projects, EXIT_OK if is_accepted else code)

    async def fetch(self, upload_ids: Sequence[str]) -> FetchedUploads:
        """Request each upload; what is usual, and what is acknowledged, is known from the cache."""
        from upload_tui.monitor import ingest

        readings, errors = await fetch_readings(self._client, upload_ids)
        if notice := self._client.clock_offset.notice:
            echo_message(f"{notice}.")
        with closing(open_store(self._settings)) as store:
            ingest(store, readings, self.service)
            picture = store_picture(self._settings, store, self.clock)
            ids = dict.fromkeys(reading.upload.id for reading in readings)
            found = [detail for upload_id in ids if (detail := picture.detail(upload_id)) is not None]
        return FetchedUploads(found, errors, EXIT_OK)

    async def list_projects(self) -> "tuple[Sequence[Project], str, int]":
        """Request the projects."""
        listed = await self._client.projects()
        return listed.projects, listed.notice, exit_code(is_incomplete=bool(listed.notice))

    async def read_unfinished(self, store: "Store") -> tuple[Sequence[str], int]:
        """Run one round of each project; again of those that fail for a time."""
        projects, unknown = await retrying(lambda: resolve_projects(self._client, self._settings.projects))
        readings = [*await read_when_ready(self._client, store, projects), *unknown]
        if not any(reading.is_shown for reading in readings):
            raise combined_error(readings)
        shown = frozenset(reading.project.id for reading in readings if reading.is_shown)
        return [upload.id for upload in store.unfinished(shown)], print_results(readings)

    def waiter(
        self,
        store: "Store",
        upload_ids: Sequence[str],
        goal: "Stage",
        publish: "Callable[[Change], None]" = lambda _: None,
    ) -> "UploadWaiter":
        """Make a waiter that fetches each upload."""
        from upload_tui.monitor import UploadWaiter

        return UploadWaiter(self._client, store, upload_ids, goal=goal, publish=publish)

    def wait_schedule(self, shortest_seconds: float = 1.0) -> "Schedule":
        """An interval that grows while nothing changes."""
        from upload_tui.monitor import Schedule

        return Schedule(shortest_seconds)

    def logged_stages(self, since: "datetime") -> "Sequence[StageReached]":
        """None: a service reports when stages were reached."""
        return ()
