"""`upload-tui tail`: one line for each change until interrupted; the pipe's form of the dashboard's tail."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from upload_tui.cli.support.option_types import parse_since
from upload_tui.cli.support.output import Printer, echo_err, output_option
from upload_tui.cli.support.service import client_for, effective_settings, find_projects, run_alongside, service_options
from upload_tui.cli.support.tables import change_columns, flat_change
from upload_tui.errors import EXIT_OK
from upload_tui.settings import Flags, ServiceSettings
from upload_tui.status import Stage

if TYPE_CHECKING:
    from upload_tui.monitor import Change, ConnectionChanged, LiveSession, StageReached

__all__ = ["command", "live_session"]


class _Options(Struct, frozen=True):
    """Which changes, and how many; None for no end."""

    stages: frozenset[Stage]
    since: datetime | None
    count: int | None


@click.command(help="Print a line for each change of a stage until interrupted; what exists already is silent.")
@service_options
@click.option(
    "--stage", "stages", multiple=True, type=click.Choice([*map(str, Stage)]), help="Only this stage; may be repeated."
)
@click.option("--since", type=parse_since, help="Begin with what happened since then: 2h, 3d, or a time.")
@click.option("--count", type=click.IntRange(1), help="End after so many lines.")
@output_option
def command(
    stages: tuple[str, ...], since: datetime | None, count: int | None, output: str | None, *, flags: Flags
) -> int:
    """Print until interrupted."""
    wish = _Options(frozenset(map(Stage, stages)), since, count)
    settings = effective_settings(flags)
    asyncio.run(_tail(settings, wish, Printer(output, change_columns(settings.zone), flat_change)))
    return EXIT_OK


@asynccontextmanager
async def live_session(settings: ServiceSettings) -> "AsyncIterator[LiveSession]":
    """A session over the service of the settings, kept in memory."""
    from upload_tui.clock import SystemClock
    from upload_tui.monitor import LiveSession, Schedule, Store

    store = Store()
    try:
        async with client_for(settings) as client:
            projects = await find_projects(client, settings.projects)
            schedule = Schedule(shortest_seconds=settings.refresh_seconds)
            yield LiveSession(
                client,
                projects,
                store,
                clock=SystemClock(),
                title=settings.profile,
                schedule=schedule,
                stuck_after_seconds=settings.stuck_after_seconds,
            )
    finally:
        store.close()


async def _tail(settings: ServiceSettings, options: _Options, printer: Printer) -> None:
    async with live_session(settings) as session:
        await run_alongside(session, _print(session, options, printer))


async def _print(session: "LiveSession", options: _Options, printer: Printer) -> None:
    from upload_tui.monitor import change_record

    left = options.count
    async for change in _selected_changes(session, options):
        printer.print_record(change_record(change))
        left = None if left is None else left - 1
        if left == 0:
            return


async def _selected_changes(session: "LiveSession", options: _Options) -> "AsyncIterator[Change]":
    """The past if it is asked for, then every change that fits; the connection's troubles are said, not told."""
    from upload_tui.monitor import ConnectionChanged, StageReached

    told: set[tuple[str, Stage]] = set()  # what is of the past and of the present is told once
    is_past_due = options.since is not None
    say_troubles = _ConnectionReporter()
    async for change in session.changes():
        if is_past_due and session.connection().is_live:
            is_past_due = False
            for past in _past_changes(session, options):
                if (past.upload.id, past.after) not in told:
                    told.add((past.upload.id, past.after))
                    yield past
        if isinstance(change, ConnectionChanged):
            say_troubles(change)
        elif isinstance(change, StageReached) and (change.upload.id, change.after) in told:
            continue
        elif _matches(change, options):
            if is_past_due and isinstance(change, StageReached):
                told.add((change.upload.id, change.after))
            yield change


class _ConnectionReporter:
    """Says the connection's troubles, and when they are over, to standard error."""

    def __init__(self) -> None:
        self._is_failing = False

    def __call__(self, change: "ConnectionChanged") -> None:
        connection = change.connection
        if connection.reason:
            echo_err(f"upload-tui: {connection.state}: {connection.reason}.")
            self._is_failing = True
        elif self._is_failing and connection.is_live:
            echo_err("upload-tui: live again.")
            self._is_failing = False


def _matches(change: "Change", options: _Options) -> bool:
    from upload_tui.monitor import StageReached, UploadChange

    if options.stages:
        return isinstance(change, StageReached) and change.after in options.stages
    return isinstance(change, UploadChange)


def _past_changes(session: "LiveSession", options: _Options) -> "Iterator[StageReached]":
    """The stages that the picture says were reached since then, in the order of their times."""
    from upload_tui.monitor import stages_since

    assert options.since is not None  # noqa: S101  # asked for only then
    for change in stages_since(session, options.since):
        if not options.stages or change.after in options.stages:
            yield change
