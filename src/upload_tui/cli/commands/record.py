"""`upload-tui record`: keeps every change seen, and what became of every request, in a journal."""

import asyncio
from pathlib import Path

import click

from upload_tui.cli.support.output import echo_err
from upload_tui.cli.support.service import client_for, effective_settings, find_projects, service_options
from upload_tui.errors import EXIT_OK
from upload_tui.settings import Flags, ServiceSettings

__all__ = ["command"]


@click.command(help="Keep every change seen in FILE, as JSON lines, until interrupted.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@service_options
def command(file: Path, *, flags: Flags) -> int:
    """Record until interrupted."""
    asyncio.run(_record(effective_settings(flags), file))
    return EXIT_OK


async def _record(settings: ServiceSettings, file: Path) -> None:
    from upload_tui.clock import SystemClock
    from upload_tui.monitor import LiveSession, RecordingHeader, RecordingStore, RecordingWriter, Schedule

    clock = SystemClock()
    async with client_for(settings) as client:
        projects = tuple(await find_projects(client, settings.projects))
        title = settings.profile or client.root
        header = RecordingHeader(clock.now(), client.root, title, projects, settings.stuck_after_seconds)
        with RecordingWriter(file, header) as journal:
            client.on_request(journal.write_request)
            store = RecordingStore(journal)
            session = LiveSession(
                client,
                projects,
                store,
                clock=clock,
                title=title,
                schedule=Schedule(shortest_seconds=settings.refresh_seconds),
                stuck_after_seconds=settings.stuck_after_seconds,
                on_change=journal.write_change,
            )
            echo_err(f"upload-tui: recording to {file}; Ctrl+C ends it.")
            try:
                await session.run()
            finally:
                store.close()
                echo_err(f"upload-tui: {journal.line_count} lines in {file}; `upload-tui replay {file}` shows them.")
