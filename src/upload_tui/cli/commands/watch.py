"""`upload-tui watch`: the dashboard over one or more services."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from upload_tui.cli.support.dashboard import record_visit, require_terminal, run_dashboard
from upload_tui.cli.support.error_reporting import run_async
from upload_tui.cli.support.options import multi_service_options, settings_for_profiles
from upload_tui.cli.support.preferences import dashboard_preferences
from upload_tui.cli.support.service import (
    cached_projects,
    client_for,
    live_session,
    open_store,
    projects_or_cached,
    service_of,
    trouble_limits,
)
from upload_tui.cli.support.user_commands import HookCommand
from upload_tui.settings import Flags, ServiceSettings

if TYPE_CHECKING:
    from upload_tui.clock import Clock
    from upload_tui.monitor import ChangeBroadcaster, Session, Store

__all__ = ["command"]

_NO_PROJECT = ""
"""An id that no project has: shows nothing while none of the wanted projects is cached."""


@click.command(help="Watch uploads in the dashboard; PROJECT is an id or a name.")
@click.argument("projects", nargs=-1, metavar="[PROJECT]...")
@multi_service_options
def command(projects: Sequence[str] = (), *, flags: Sequence[Flags]) -> int:
    """Run the dashboard."""
    all_settings = settings_for_profiles([replace(each, projects=(*projects, *each.projects)) for each in flags])
    require_terminal()
    return run_async(_watch(all_settings))


async def _watch(all_settings: Sequence[ServiceSettings]) -> int:
    """Show cached state on the first frame; connect after it."""
    from upload_tui.clock import SystemClock
    from upload_tui.monitor import CombinedSession
    from upload_tui.tui import UploadApp

    first, is_only_service = all_settings[0], len(all_settings) == 1
    services = [(service_of(settings), settings.title) for settings in all_settings]
    preferences = dashboard_preferences(_combined_settings(all_settings), () if is_only_service else services)
    on_failures = HookCommand("on_error", first.on_error) if first.on_error else None
    clock = SystemClock()
    with ExitStack() as stores:
        sessions = [_session(settings, stores, clock, is_only_service=is_only_service) for settings in all_settings]
        session = sessions[0] if is_only_service else CombinedSession(sessions)
        async with record_visit(_combined_settings(all_settings), session) as last_visit:
            app = UploadApp(session, preferences=preferences, on_failures=on_failures, last_visit=last_visit)
            return await run_dashboard(app, _combined_settings(all_settings))


def _session(settings: ServiceSettings, stores: ExitStack, clock: "Clock", *, is_only_service: bool) -> "Session":
    """Make the session of one service. As one of several it retries until the service can be reached; alone it fails."""
    from upload_tui.monitor import CachedFreshness, DeferredSession, StorePicture

    root = service_of(settings)
    store = stores.enter_context(closing(open_store(settings)))
    names = (
        () if settings.command else settings.projects
    )  # the store of a source holds only the projects that are watched
    wanted = {project.id for project in cached_projects(store, names)}
    cached = StorePicture(
        store, clock, root, trouble_limits(settings), frozenset(wanted or {_NO_PROJECT}), CachedFreshness(clock.now())
    )
    opener = partial(_open_live_session, settings, store, settings.title)
    if settings.command:
        opener = partial(_open_source_session, settings, store, clock)
    return DeferredSession(settings.title, clock, opener, cached, can_retry=not is_only_service)


@asynccontextmanager
async def _open_source_session(
    settings: ServiceSettings, store: "Store", clock: "Clock", changes: "ChangeBroadcaster"
) -> "AsyncIterator[Session]":
    """Open a session over a source."""
    from upload_tui.cli.support.sources import source_session

    yield source_session(settings, store, clock, changes=changes)


def _combined_settings(all_settings: Sequence[ServiceSettings]) -> ServiceSettings:
    """Settings that identify the last visit to this set of services and projects."""
    if len(all_settings) == 1:
        return all_settings[0]
    names = [
        f"{service_of(settings)} {project}" for settings in all_settings for project in settings.projects or ("*",)
    ]
    return dataclasses.replace(
        all_settings[0], url=" ".join(service_of(settings) for settings in all_settings), projects=tuple(names)
    )


@asynccontextmanager
async def _open_live_session(
    settings: ServiceSettings, store: "Store", title: str, changes: "ChangeBroadcaster"
) -> "AsyncIterator[Session]":
    """Open a live session over the projects of one service."""
    await asyncio.to_thread(import_module, "upload_tui.client.service_client")
    async with client_for(settings) as client:
        projects = await projects_or_cached(client, store, settings)
        yield live_session(settings, client, projects, store, title=title, changes=changes)
