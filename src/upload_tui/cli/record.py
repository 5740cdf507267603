"""`upload-tui record`: keeps every change seen, and what became of every request, in a journal."""

import asyncio
from pathlib import Path

import click

from upload_tui.cli.connecting import client_for, find_projects, service_options, settings_in_force
from upload_tui.cli.output import say
from upload_tui.errors import EXIT_DONE
from upload_tui.settings import Flags, ServiceSettings

__all__ = ["command"]


@click.command(help="Keep every change seen in FILE, as JSON lines, until interrupted.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@service_options
def command(file: Path, *, flags: Flags) -> int:
    """Record until interrupted."""
    asyncio.run(_record(settings_in_force(flags), file))
    return EXIT_DONE


async def _record(settings: ServiceSettings, file: Path) -> None:
    from upload_tui.clock import SystemClock
    from upload_tui.monitor.journal import Journal, JournaledStore, JournalHeader
    from upload_tui.monitor.live_session import LiveSession
    from upload_tui.monitor.schedule import Schedule

    clock = SystemClock()
    async with client_for(settings) as client:
        projects = tuple(await find_projects(client, settings.projects))
        title = settings.profile or client.root
        header = JournalHeader(clock.now(), client.root, title, projects, settings.stuck_after_seconds)
        with Journal(file, header) as journal:
            client.note_with(journal.note_request)
            store = JournaledStore(journal)
            session = LiveSession(
                client,
                projects,
                store,
                clock=clock,
                title=title,
                schedule=Schedule(shortest_seconds=settings.refresh_seconds),
                stuck_after_seconds=settings.stuck_after_seconds,
                tell=journal.note_change,
            )
            say(f"upload-tui: recording to {file}; Ctrl+C ends it.")
            try:
                await session.run()
            finally:
                store.close()
                say(f"upload-tui: {journal.lines} lines in {file}; `upload-tui replay {file}` shows them.")
