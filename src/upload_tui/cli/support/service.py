"""Access to the service that the settings name: client, projects, store, live session.

Commands that print and exit read one round; offline they get what the last visit cached.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

from upload_tui.cli.support.output import echo_err
from upload_tui.errors import (
    EXIT_FAILED_UPLOAD,
    EXIT_OK,
    EXIT_UNREACHABLE,
    NotFoundError,
    ServerError,
    ServiceError,
    SettingsError,
    StorageResetError,
    ThrottledError,
    UnreachableError,
)
from upload_tui.files import read_text
from upload_tui.settings import ServiceSettings

if TYPE_CHECKING:
    import ssl

    from upload_tui.client import ServiceClient
    from upload_tui.monitor import (
        ChangeBroadcaster,
        Detail,
        Freshness,
        LiveSession,
        ProjectRef,
        Query,
        Session,
        SnapshotSynchroniser,
        Store,
        StorePicture,
        Synchroniser,
        TroubleLimits,
    )

__all__ = [
    "Snapshot",
    "cached_projects",
    "client_for",
    "exit_code_of",
    "find_projects",
    "live_session",
    "new_synchroniser",
    "open_snapshot",
    "open_store",
    "print_notices",
    "projects_or_cached",
    "run_alongside",
    "run_round",
    "service_of",
    "trouble_limits",
    "trusted_certificates",
]

Result = TypeVar("Result")


@asynccontextmanager
async def client_for(settings: ServiceSettings) -> "AsyncIterator[ServiceClient]":
    """Open a client of the service that the settings name."""
    import logging

    from upload_tui.cli.support.credential_sources import TokenCommands, credentials_of
    from upload_tui.client import ServiceClient

    # Without a handler of its own, the logger of retries would write each of them over the dashboard.
    logging.getLogger("stamina").addHandler(logging.NullHandler())
    commands = TokenCommands()
    try:
        credentials = await asyncio.to_thread(credentials_of, settings, commands)
        async with ServiceClient(settings.url, credentials, verify=trusted_certificates(settings)) as client:
            yield client
    finally:
        commands.stop()  # the program ends when its threads do, and one may wait for a command


def trusted_certificates(settings: ServiceSettings) -> "ssl.SSLContext | bool":
    """The certificate authorities to trust; True for the default ones.

    Raises:
        SettingsError: the file of `ca_bundle` cannot be read or has no certificates.
    """
    if settings.ca_bundle is None:
        return True
    import ssl

    from upload_tui.files import expand_home

    try:
        return ssl.create_default_context(cadata=read_text(expand_home(settings.ca_bundle)))
    except (OSError, ValueError) as error:  # unreadable, or not certificates
        if isinstance(error, OSError) and error.filename == os.environ.get("SSLKEYLOGFILE"):
            raise SettingsError(f"SSLKEYLOGFILE cannot be written: {error.strerror}", "Correct or unset it.") from error
        raise SettingsError(
            f"The certificates {settings.ca_bundle} cannot be read", "Check ca_bundle, or leave it out."
        ) from error


async def find_projects(client: "ServiceClient", names: Sequence[str]) -> "Sequence[ProjectRef]":
    """Find projects by id or name, each once; without names, all that the account can see.

    Raises:
        NotFoundError: a project does not exist, or the account sees none.
    """
    from upload_tui.monitor import ProjectRef

    found = [await client.find_project(name) for name in names] if names else await client.projects()
    if not found:
        raise NotFoundError(f"This account can see no projects of {client.root}", "Ask for access to one.")
    return list(dict.fromkeys(ProjectRef(project.id, project.name) for project in found))


def service_of(settings: ServiceSettings) -> str:
    """What identifies the service in rows and data: its URL, or the name of the source."""
    from upload_tui.status import SOURCE_PREFIX
    from upload_tui.wire import service_root

    return f"{SOURCE_PREFIX}{settings.title}" if settings.command else service_root(settings.url)


def open_store(settings: ServiceSettings) -> "Store":
    """Open the cached state of this service and account; in memory if there can be no file."""
    from upload_tui.files import cache_folder
    from upload_tui.monitor import Store
    from upload_tui.wire import service_root

    # Tokens change, so an account is identified by its keys, or by the profile with its credentials. The store of a source holds only
    # the projects that are watched.
    account = f"{service_root(settings.url)} {settings.profile} {settings.agent_key} {settings.user_key}"
    if settings.command:
        account = "\0".join(["source", settings.profile, *settings.command, "", *sorted(settings.projects)])
    store = Store(cache_folder() / "stores" / f"{sha256(account.encode()).hexdigest()[:24]}.db")
    if store.notice:
        echo_err(f"upload-tui: {store.notice}.")
    return store


def live_session(
    settings: ServiceSettings,
    client: "ServiceClient",
    projects: "Sequence[ProjectRef]",
    store: "Store",
    *,
    title: str,
    changes: "ChangeBroadcaster | None" = None,
) -> "LiveSession":
    """Make a live session over some projects, with the refresh interval and the limits of the settings."""
    from upload_tui.monitor import LiveSession, Schedule

    return LiveSession(
        client,
        projects,
        store,
        title=title,
        schedule=Schedule(shortest_seconds=settings.refresh_seconds),
        limits=trouble_limits(settings),
        changes=changes,
    )


async def run_alongside(session: "Session", work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine while a session keeps its picture current; an error that ends the session ends the coroutine."""
    running = asyncio.ensure_future(session.run())
    working = asyncio.ensure_future(work)
    try:
        await asyncio.wait({running, working}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else await _await_session(running)
    finally:
        running.cancel()
        working.cancel()
        await asyncio.gather(running, working, return_exceptions=True)


async def _await_session(running: "asyncio.Future[None]") -> Any:
    await running
    raise AssertionError("a session runs until it is cancelled or fails")


def trouble_limits(settings: ServiceSettings) -> "TroubleLimits":
    """The limits that decide on trouble."""
    from upload_tui.monitor import TroubleLimits

    return TroubleLimits(settings.stuck_after_seconds, settings.failures_for_seconds)


_PAGE_ROWS = 500
_OFFLINE_ERRORS = (UnreachableError, ThrottledError, ServerError)


class Snapshot(Struct, frozen=True):
    """The state of some projects' uploads at one moment.

    Attributes:
        picture: the uploads, to be queried.
        projects: the projects that were asked for.
        is_complete: False if an upload that the service lists cannot be read; it was reported.
    """

    picture: "StorePicture"
    projects: "Sequence[ProjectRef]"
    is_complete: bool

    def details(self, query: "Query") -> "Iterator[Detail]":
        """Yield the uploads that match a query, in its order, without those that are gone."""
        offset = 0
        while rows := self.picture.window(query, offset, _PAGE_ROWS).rows:
            offset += len(rows)
            for row in rows:
                detail = None if row.is_gone else self.picture.detail(row.id)
                if detail is not None:
                    yield detail


@asynccontextmanager
async def open_snapshot(settings: ServiceSettings) -> AsyncIterator[Snapshot]:
    """Read the projects of the settings once.

    Raises:
        ServiceError: the service cannot be used, and nothing of these projects is cached.
    """
    from upload_tui.clock import SystemClock
    from upload_tui.monitor import CachedFreshness, StorePicture

    store = open_store(settings)
    try:
        if settings.command:
            from upload_tui.cli.support.sources import read_source

            snapshot = await read_source(settings, store, SystemClock())
            _report_replacement(store)
            yield snapshot
            return
        async with client_for(settings) as client:
            clock = client.service_clock(SystemClock())
            freshness: Freshness | None = None
            try:
                projects = await find_projects(client, settings.projects)
                synchronisers = [new_synchroniser(client, store, project) for project in projects]
                for synchroniser in synchronisers:
                    await run_round(synchroniser)
            except _OFFLINE_ERRORS as error:
                projects = _cached_projects(store, settings.projects, error)
                freshness = CachedFreshness(clock.now())  # so that uploads are judged by the time of the cache
                synchronisers = [new_synchroniser(client, store, project) for project in projects]
            _report_replacement(store)
            picture = StorePicture(store, clock, client.root, trouble_limits(settings), freshness=freshness)
            yield Snapshot(picture, projects, print_notices(synchronisers))
    finally:
        _report_replacement(store)
        store.close()


def _report_replacement(store: "Store") -> None:
    """Report on standard error that the store failed and was replaced, if that happened since the last call."""
    if store.replaced.is_set():
        store.replaced.clear()
        echo_err(f"upload-tui: {store.notice}.")


async def projects_or_cached(
    client: "ServiceClient", store: "Store", settings: ServiceSettings
) -> "Sequence[ProjectRef]":
    """Find the projects of the settings; offline, those of them that are cached.

    Raises:
        ServiceError: the service cannot be used, and none of them is cached.
    """
    try:
        return await find_projects(client, settings.projects)
    except _OFFLINE_ERRORS as error:
        return _cached_projects(store, settings.projects, error)


def new_synchroniser(client: "ServiceClient", store: "Store", project: "ProjectRef") -> "Synchroniser":
    """A synchroniser whose changes and progress are not published."""
    from upload_tui.monitor import Synchroniser

    return Synchroniser(client, store, project, lambda _: None, lambda *_: None)


def print_notices(synchronisers: "Sequence[Synchroniser | SnapshotSynchroniser]") -> bool:
    """Report the uploads that cannot be read on standard error; True if there are none."""
    notices = [(one.project, one.unreadable_notice) for one in synchronisers if one.unreadable_notice]
    for project, notice in notices:
        echo_err(f"upload-tui: {project.name or project.id}: {notice}.")
    return not notices


def exit_code_of(*, is_complete: bool, has_failed: bool = False) -> int:
    """The exit code of a command that read projects. A failed upload that was found comes before one that cannot be read."""
    if has_failed:
        return EXIT_FAILED_UPLOAD
    return EXIT_OK if is_complete else EXIT_UNREACHABLE


async def run_round(synchroniser: "Synchroniser | SnapshotSynchroniser") -> None:
    """Run one round; start again if the store was replaced. That happens twice at most: by a new file, then by memory."""
    for _ in range(2):
        with suppress(StorageResetError):
            await synchroniser.sync()
            return
    await synchroniser.sync()


def cached_projects(store: "Store", names: Sequence[str]) -> "Sequence[ProjectRef]":
    """The cached ones of the named projects (ids or names), or all if none is named."""
    return [project for project in store.projects() if not names or {project.id, project.name} & set(names)]


def _cached_projects(store: "Store", names: Sequence[str], error: ServiceError) -> "Sequence[ProjectRef]":
    """The cached ones of the named projects, or all; report that the service is offline. Raise the error if there are none."""
    cached = cached_projects(store, names)
    if not cached:
        raise error
    echo_err(f"upload-tui: offline: {error.title}. Showing the cache of the last visit; `as_of` has its time.")
    return cached
