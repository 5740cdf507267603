"""Access to the service that the settings name: its client, projects, store and live session."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

from upload_tui.cli.support.output import echo_err
from upload_tui.errors import NotFoundError, SettingsError
from upload_tui.settings import ServiceSettings
from upload_tui.text_files import read_text

if TYPE_CHECKING:
    import ssl

    from upload_tui.client import ServiceClient
    from upload_tui.monitor import Change, LiveSession, ProjectRef, Session, Store, TroubleLimits

__all__ = [
    "client_for",
    "find_projects",
    "live_session",
    "open_store",
    "run_alongside",
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

    from upload_tui.locations import expand_home

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


def open_store(settings: ServiceSettings) -> "Store":
    """Open the cached state of this service and account; in memory if there can be no file."""
    from upload_tui.locations import cache_folder
    from upload_tui.monitor import Store
    from upload_tui.wire import service_root

    # Tokens change, so an account is identified by its keys, or by the profile with its credentials.
    account = f"{service_root(settings.url)} {settings.profile} {settings.agent_key} {settings.user_key}"
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
    on_change: "Callable[[Change], None] | None" = None,
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
        on_change=on_change,
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
