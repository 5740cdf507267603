"""`upload-tui watch`: the dashboard over a service."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click
from msgspec.structs import replace

from upload_tui.cli.connecting import client_for, open_store, service_options, settings_in_force
from upload_tui.cli.failure_command import FailureCommand
from upload_tui.cli.looks import looks
from upload_tui.cli.preferences import preferences
from upload_tui.cli.screen import need_terminal, show
from upload_tui.cli.visits import projects_to_watch
from upload_tui.client.addresses import service_root
from upload_tui.settings import Flags, ServiceSettings

if TYPE_CHECKING:
    from upload_tui.clock import Clock
    from upload_tui.monitor.session import Session
    from upload_tui.monitor.store import Store

__all__ = ["command"]


@click.command(help="Watch the uploads of projects in the dashboard; PROJECT is an id or a name.")
@click.argument("projects", nargs=-1, metavar="[PROJECT]...")
@service_options
def command(projects: Sequence[str] = (), *, flags: Flags) -> int:
    """Run the dashboard."""
    settings = settings_in_force(replace(flags, projects=(*projects, *flags.projects)))
    need_terminal()
    return asyncio.run(_watch(settings))


async def _watch(settings: ServiceSettings) -> int:
    """What an earlier visit left is on the first frame; whatever has to do with the network comes after it."""
    from upload_tui.clock import SystemClock
    from upload_tui.monitor.opening_session import OpeningSession
    from upload_tui.monitor.stored_picture import StoredPicture
    from upload_tui.tui.app import UploadApp

    wishes = preferences(settings)
    on_failures = FailureCommand(settings.on_error) if settings.on_error else None
    root = service_root(settings.url)
    clock = SystemClock()
    store = open_store(settings)
    try:
        known = StoredPicture(store, clock, root, settings.stuck_after_seconds, read_since=clock.now())
        title = settings.profile or urlsplit(root).netloc.rpartition("@")[2]
        session = OpeningSession(title, clock, lambda: _opened(settings, store, clock, title), known)
        async with looks(settings, session) as last_look:
            return await show(UploadApp(session, preferences=wishes, on_failures=on_failures, last_look=last_look))
    finally:
        store.close()


@asynccontextmanager
async def _opened(settings: ServiceSettings, store: "Store", clock: "Clock", title: str) -> "AsyncIterator[Session]":
    """The service's projects, watched."""
    await asyncio.to_thread(import_module, "upload_tui.client.service_client")
    from upload_tui.monitor.live_session import LiveSession
    from upload_tui.monitor.schedule import Schedule

    async with client_for(settings) as client:
        yield LiveSession(
            client,
            await projects_to_watch(client, store, settings),
            store,
            clock=clock,
            title=title,
            schedule=Schedule(shortest_seconds=settings.refresh_seconds),
            stuck_after_seconds=settings.stuck_after_seconds,
        )
