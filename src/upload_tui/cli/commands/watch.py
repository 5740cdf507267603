"""`upload-tui watch`: the dashboard over a service, or over several."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click
from msgspec.structs import replace

from upload_tui.cli.dashboard.failure_command import FailureCommand
from upload_tui.cli.dashboard.last_visit import record_visit
from upload_tui.cli.dashboard.preferences import dashboard_preferences
from upload_tui.cli.dashboard.terminal import require_terminal, run_dashboard
from upload_tui.cli.support.service import client_for, multi_service_options, open_store, settings_for_profiles
from upload_tui.cli.support.snapshot import projects_or_cached
from upload_tui.settings import Flags, ServiceSettings
from upload_tui.wire import service_root

if TYPE_CHECKING:
    from upload_tui.clock import Clock
    from upload_tui.monitor import Session, Store

__all__ = ["command"]


@click.command(help="Watch the uploads of projects in the dashboard; PROJECT is an id or a name.")
@click.argument("projects", nargs=-1, metavar="[PROJECT]...")
@multi_service_options
def command(projects: Sequence[str] = (), *, flags: Sequence[Flags]) -> int:
    """Run the dashboard."""
    each = settings_for_profiles([replace(some, projects=(*projects, *some.projects)) for some in flags])
    require_terminal()
    return asyncio.run(_watch(each))


async def _watch(all_settings: Sequence[ServiceSettings]) -> int:
    """What an earlier visit left is on the first frame; whatever has to do with the network comes after it."""
    from upload_tui.clock import SystemClock
    from upload_tui.tui import UploadApp

    first = all_settings[0]
    services = [(service_root(settings.url), _title(settings)) for settings in all_settings]
    wishes = dashboard_preferences(first, services if len(all_settings) > 1 else ())
    on_failures = FailureCommand(first.on_error) if first.on_error else None
    clock = SystemClock()
    with ExitStack() as stores:
        sessions = [
            _session(settings, stores, clock, is_only_service=len(all_settings) == 1) for settings in all_settings
        ]
        session = sessions[0] if len(sessions) == 1 else _combine(sessions)
        async with record_visit(_combined_settings(all_settings), session) as last_look:
            return await run_dashboard(
                UploadApp(session, preferences=wishes, on_failures=on_failures, last_visit=last_look)
            )


def _session(settings: ServiceSettings, stores: ExitStack, clock: "Clock", *, is_only_service: bool) -> "Session":
    """One service's; among others it waits for its service rather than give up."""
    from upload_tui.monitor import DeferredSession, StorePicture

    root = service_root(settings.url)
    store = stores.enter_context(closing(open_store(settings)))
    known = StorePicture(store, clock, root, settings.stuck_after_seconds, read_since=clock.now())
    title = _title(settings)
    return DeferredSession(
        title, clock, lambda: _open_live_session(settings, store, clock, title), known, can_retry=not is_only_service
    )


def _title(settings: ServiceSettings) -> str:
    """What a person calls the service."""
    return settings.profile or urlsplit(service_root(settings.url)).netloc.rpartition("@")[2]


def _combine(sessions: "Sequence[Session]") -> "Session":
    from upload_tui.monitor import CombinedSession

    return CombinedSession(sessions)


def _combined_settings(all_settings: Sequence[ServiceSettings]) -> ServiceSettings:
    """What tells a view of several services from others: all their names."""
    if len(all_settings) == 1:
        return all_settings[0]
    names = [f"{settings.url} {project}" for settings in all_settings for project in settings.projects or ("*",)]
    return dataclasses.replace(
        all_settings[0], url=" ".join(settings.url for settings in all_settings), projects=tuple(names)
    )


@asynccontextmanager
async def _open_live_session(
    settings: ServiceSettings, store: "Store", clock: "Clock", title: str
) -> "AsyncIterator[Session]":
    """The service's projects, watched."""
    await asyncio.to_thread(import_module, "upload_tui.client.service_client")
    from upload_tui.monitor import LiveSession, Schedule

    async with client_for(settings) as client:
        yield LiveSession(
            client,
            await projects_or_cached(client, store, settings),
            store,
            clock=clock,
            title=title,
            schedule=Schedule(shortest_seconds=settings.refresh_seconds),
            stuck_after_seconds=settings.stuck_after_seconds,
        )
