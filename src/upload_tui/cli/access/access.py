"""Decides once whether the settings name a service or a source: commands read either through `Access`."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from functools import partial
from typing import TYPE_CHECKING, Protocol

from upload_tui.cli.access.service import (
    OFFLINE_ERRORS,
    FoundProjects,
    cached_projects,
    open_store,
    report_replacement,
    store_picture,
)
from upload_tui.cli.support.output import echo_message
from upload_tui.settings import ServiceSettings

if TYPE_CHECKING:
    from datetime import datetime

    from upload_tui.cli.access.readings import FetchedUploads, ProjectUploads
    from upload_tui.client import RequestOutcome
    from upload_tui.clock import Clock
    from upload_tui.monitor import (
        Change,
        ChangeBroadcaster,
        DeferredSession,
        ProjectRef,
        Schedule,
        ServiceSession,
        Session,
        StageReached,
        Store,
        Waiter,
    )
    from upload_tui.status import Stage
    from upload_tui.wire import Project

__all__ = ["Access", "deferred_session", "open_access", "read_uploads"]


class Access(Protocol):
    """The open service or source that the settings name."""

    @property
    def service(self) -> str:
        """What identifies it in rows and data: its URL, or the name of the source."""
        ...

    @property
    def title(self) -> str:
        """Its name for people: the profile, else the URL or the program of the source."""
        ...

    @property
    def clock(self) -> "Clock":
        """The clock that its times are read by."""
        ...

    @property
    def request_listeners(self) -> "list[Callable[[RequestOutcome], None]]":
        """Functions that are called with the outcome of each request; a source has no requests."""
        ...

    def limit_requests(self) -> None:
        """Keep to the requests per minute of the settings from now on."""
        ...

    async def find_projects(self) -> FoundProjects:
        """Find the projects of the settings, or all; of a source none are known before it is listed.

        Raises:
            ServiceError: the service fails, or lacks one of them.
        """
        ...

    def session(
        self,
        store: "Store",
        found: FoundProjects,
        *,
        changes: "ChangeBroadcaster | None" = None,
        ends_on_refusal: bool = False,
    ) -> "ServiceSession":
        """Make a session over the projects that were found, with the intervals and the limits of the settings.

        Args:
            store: where readings are written.
            found: what `find_projects` has returned.
            changes: where changes are published; None makes a new one.
            ends_on_refusal: whether a source that refuses to list ends the session; a service has refused before.
        """
        ...

    async def read(self, store: "Store", *, accepts_cached: bool) -> "ProjectUploads":
        """Read the projects of the settings once, see `read_uploads`."""
        ...

    async def fetch(self, upload_ids: Sequence[str]) -> "FetchedUploads":
        """Read single uploads.

        Raises:
            ServiceError: none can be read.
        """
        ...

    async def list_projects(self) -> "tuple[Sequence[Project | ProjectRef], str, int]":
        """The projects that can be seen, a note on those that cannot be read (empty: none), and the exit code."""
        ...

    async def read_unfinished(self, store: "Store") -> tuple[Sequence[str], int]:
        """Read the projects of the settings, riding out what may pass; report what cannot be read.

        Returns the ids of the uploads that are not over, and the exit code of what cannot be read.

        Raises:
            ServiceError: no project can be read.
        """
        ...

    def waiter(
        self,
        store: "Store",
        upload_ids: Sequence[str],
        goal: "Stage",
        publish: "Callable[[Change], None]" = lambda _: None,
    ) -> "Waiter":
        """Make a waiter for uploads; those that `read_unfinished` did not return are looked for in all projects."""
        ...

    def wait_schedule(self, shortest_seconds: float = 1.0) -> "Schedule":
        """The interval between two rounds of a waiter, after a change; a source has always that of the settings."""
        ...

    def logged_stages(self, since: "datetime") -> "Sequence[StageReached]":
        """The changes of watched projects since then that earlier sessions have recorded and that cannot be read any more."""
        ...


@asynccontextmanager
async def open_access(settings: ServiceSettings) -> AsyncIterator[Access]:
    """Open the service or the source that the settings name."""
    if settings.command:
        from upload_tui.cli.access.source_access import SourceAccess

        yield SourceAccess(settings)
        return
    from upload_tui.cli.access.service import client_for
    from upload_tui.cli.access.service_access import ServiceAccess

    async with client_for(settings) as client:
        yield ServiceAccess(settings, client)


@asynccontextmanager
async def read_uploads(settings: ServiceSettings, *, accepts_cached: bool = True) -> "AsyncIterator[ProjectUploads]":
    """Read the projects of the settings once; report each one that cannot be read.

    Args:
        settings: the service and the projects.
        accepts_cached: whether the exit code is 0 if there are only uploads from the cache of an earlier session.

    Raises:
        ServiceError: nothing can be shown of any project.
        StorageResetError: the store lost its data while they were used.
    """
    from upload_tui.cli.access.readings import keeping_data

    store = open_store(settings)
    try:
        async with open_access(settings) as access:
            uploads = await access.read(store, accepts_cached=accepts_cached)
            with keeping_data(store):
                yield uploads
    finally:
        report_replacement(store)
        store.close()


_NO_PROJECT = ""
"""An id that no project has: shows nothing while none of the wanted projects is cached."""


def deferred_session(
    settings: ServiceSettings,
    stores: ExitStack,
    clock: "Clock",
    *,
    can_retry: bool,
    on_request: "Callable[[RequestOutcome], None]" = lambda _: None,
) -> "Session":
    """Make the session of one service, which shows what is cached until it is connected.

    Args:
        settings: the service, or the source.
        stores: closes the store.
        clock: the clock of this machine.
        can_retry: whether to retry until the service can be reached; otherwise it fails.
        on_request: called with the outcome of each request.
    """
    from upload_tui.monitor import CachedFreshness, DeferredSession

    store = stores.enter_context(closing(open_store(settings)))
    wanted = frozenset(project.id for project in cached_projects(store, settings.projects))
    freshness = CachedFreshness(clock.now())
    cached = store_picture(settings, store, clock, project_ids=wanted or frozenset({_NO_PROJECT}), freshness=freshness)
    opener = partial(_open_session, settings, store, on_request)
    return DeferredSession(settings.title, clock, opener, cached, can_retry=can_retry)


@asynccontextmanager
async def _open_session(
    settings: ServiceSettings,
    store: "Store",
    on_request: "Callable[[RequestOutcome], None]",
    deferred: "DeferredSession",
) -> "AsyncIterator[Session]":
    async with open_access(settings) as access:
        access.request_listeners.append(on_request)
        found = await _projects_or_cached(access, store, settings)
        yield access.session(store, found, changes=deferred.changes)


async def _projects_or_cached(access: Access, store: "Store", settings: ServiceSettings) -> FoundProjects:
    """Find the projects of the settings; offline, those of them that are cached.

    Raises:
        ServiceError: the service cannot be used, and none of them is cached.
    """
    try:
        return await access.find_projects()
    except OFFLINE_ERRORS as error:
        cached = cached_projects(store, settings.projects)
        if not cached:
            raise
        echo_message(f"offline: {error.title}. Showing the cache of the last session; `as_of` has its time.")
        return FoundProjects(cached)
