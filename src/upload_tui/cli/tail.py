"""`upload-tui tail`: one line for each change until interrupted; the pipe's form of the dashboard's tail."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from upload_tui.cli.connecting import client_for, find_projects, service_options, settings_in_force, while_it_runs
from upload_tui.cli.output import Printer, output_option, say
from upload_tui.cli.tables import change_columns, flat_change
from upload_tui.cli.times import moment
from upload_tui.errors import EXIT_DONE
from upload_tui.settings import Flags, ServiceSettings
from upload_tui.status import Stage

if TYPE_CHECKING:
    from upload_tui.monitor.changes import Change, ConnectionChanged, StageReached
    from upload_tui.monitor.live_session import LiveSession

__all__ = ["command", "live_session"]


class _Wish(Struct, frozen=True):
    """Which changes, and how many; None for no end."""

    stages: frozenset[Stage]
    since: datetime | None
    count: int | None


@click.command(help="Print a line for each change of a stage until interrupted; what exists already is silent.")
@service_options
@click.option(
    "--stage", "stages", multiple=True, type=click.Choice([*map(str, Stage)]), help="Only this stage; may be repeated."
)
@click.option("--since", type=moment, help="Begin with what happened since then: 2h, 3d, or a time.")
@click.option("--count", type=click.IntRange(1), help="End after so many lines.")
@output_option
def command(
    stages: tuple[str, ...], since: datetime | None, count: int | None, output: str | None, *, flags: Flags
) -> int:
    """Print until interrupted."""
    wish = _Wish(frozenset(map(Stage, stages)), since, count)
    settings = settings_in_force(flags)
    asyncio.run(_tail(settings, wish, Printer(output, change_columns(settings.zone), flat_change)))
    return EXIT_DONE


@asynccontextmanager
async def live_session(settings: ServiceSettings) -> "AsyncIterator[LiveSession]":
    """A session over the service of the settings, kept in memory."""
    from upload_tui.clock import SystemClock
    from upload_tui.monitor.live_session import LiveSession
    from upload_tui.monitor.schedule import Schedule
    from upload_tui.monitor.store import Store

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


async def _tail(settings: ServiceSettings, wish: _Wish, printer: Printer) -> None:
    async with live_session(settings) as session:
        await while_it_runs(session, _print(session, wish, printer))


async def _print(session: "LiveSession", wish: _Wish, printer: Printer) -> None:
    from upload_tui.monitor.records import change_record

    left = wish.count
    async for change in _told(session, wish):
        printer.print_one(change_record(change))
        left = None if left is None else left - 1
        if left == 0:
            return


async def _told(session: "LiveSession", wish: _Wish) -> "AsyncIterator[Change]":
    """The past if it is asked for, then every change that fits; the connection's troubles are said, not told."""
    from upload_tui.monitor.changes import ConnectionChanged, StageReached

    told: set[tuple[str, Stage]] = set()  # what is of the past and of the present is told once
    is_past_due = wish.since is not None
    say_troubles = _Troubles()
    async for change in session.changes():
        if is_past_due and session.connection().is_live:
            is_past_due = False
            for past in _past(session, wish):
                if (past.upload.id, past.after) not in told:
                    told.add((past.upload.id, past.after))
                    yield past
        if isinstance(change, ConnectionChanged):
            say_troubles(change)
        elif isinstance(change, StageReached) and (change.upload.id, change.after) in told:
            continue
        elif _fits(change, wish):
            if is_past_due and isinstance(change, StageReached):
                told.add((change.upload.id, change.after))
            yield change


class _Troubles:
    """Says the connection's troubles, and when they are over, to standard error."""

    def __init__(self) -> None:
        self._is_troubled = False

    def __call__(self, change: "ConnectionChanged") -> None:
        connection = change.connection
        if connection.reason:
            say(f"upload-tui: {connection.state}: {connection.reason}.")
            self._is_troubled = True
        elif self._is_troubled and connection.is_live:
            say("upload-tui: live again.")
            self._is_troubled = False


def _fits(change: "Change", wish: _Wish) -> bool:
    from upload_tui.monitor.changes import StageReached, UploadChange

    if wish.stages:
        return isinstance(change, StageReached) and change.after in wish.stages
    return isinstance(change, UploadChange)


def _past(session: "LiveSession", wish: _Wish) -> "Iterator[StageReached]":
    """The stages that the picture says were reached since then, in the order of their times."""
    from upload_tui.monitor.history import stages_since

    assert wish.since is not None  # noqa: S101  # asked for only then
    for change in stages_since(session, wish.since):
        if not wish.stages or change.after in wish.stages:
            yield change
