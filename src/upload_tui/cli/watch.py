"""`upload-tui watch`: the dashboard over a service."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import click

from upload_tui.cli.connecting import client_for, open_store, service_options, settings_in_force
from upload_tui.cli.failure_command import FailureCommand
from upload_tui.cli.looks import looks
from upload_tui.cli.preferences import preferences
from upload_tui.cli.screen import need_terminal, show
from upload_tui.cli.visits import projects_to_watch
from upload_tui.settings import Flags, ServiceSettings

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
    from upload_tui.clock import SystemClock
    from upload_tui.monitor.live_session import LiveSession
    from upload_tui.monitor.schedule import Schedule
    from upload_tui.tui.app import UploadApp

    wishes = preferences(settings)
    store = open_store(settings)
    try:
        async with client_for(settings) as client:
            session = LiveSession(
                client,
                await projects_to_watch(client, store, settings),
                store,
                clock=SystemClock(),
                title=settings.profile or urlsplit(client.root).netloc.rpartition("@")[2],
                schedule=Schedule(shortest_seconds=settings.refresh_seconds),
                stuck_after_seconds=settings.stuck_after_seconds,
            )
            async with looks(settings, session) as last_look:
                return await show(
                    UploadApp(
                        session,
                        preferences=wishes,
                        on_failures=FailureCommand(settings.on_error) if settings.on_error else None,
                        last_look=last_look,
                    )
                )
    finally:
        store.close()
