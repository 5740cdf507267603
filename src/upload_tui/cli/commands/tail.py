"""`upload-tui tail`: one line per change until interrupted, like the activity pane."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from upload_tui.cli.support.error_reporting import run_async
from upload_tui.cli.support.options import effective_settings, parse_since, service_options, where_option
from upload_tui.cli.support.output import Printer, output_option
from upload_tui.cli.support.service import (
    ConnectionReporter,
    client_for,
    find_projects,
    live_session,
    lost_error,
    ride_out,
    run_alongside,
)
from upload_tui.cli.support.tables import change_columns
from upload_tui.errors import EXIT_NOT_FOUND, EXIT_OK, EXIT_UNREACHABLE
from upload_tui.settings import Flags, ServiceSettings
from upload_tui.status import Stage

if TYPE_CHECKING:
    from upload_tui.monitor import Change, LiveSession, SourceSession, StageReached, Where

__all__ = ["command"]


class _Options(Struct, frozen=True):
    """Which changes to print, and how many; None for no limit."""

    stages: frozenset[Stage]
    since: datetime | None
    count: int | None
    where: "Where"


@click.command(help="Print one line per stage change until interrupted; changes of the past only with --since.")
@service_options
@click.option(
    "--stage", "stages", multiple=True, type=click.Choice([*map(str, Stage)]), help="Only this stage; may be repeated."
)
@click.option("--since", type=parse_since, metavar="TIME", help="Start with changes since then: 2h, 3d, or a time.")
@where_option
@click.option("--count", type=click.IntRange(1), help="Exit after this many lines.")
@output_option
def command(
    stages: tuple[str, ...],
    since: datetime | None,
    where: "Where",
    count: int | None,
    output: str | None,
    *,
    flags: Flags,
) -> int:
    """Print changes until interrupted."""
    options = _Options(frozenset(map(Stage, stages)), since, count, where)
    settings = effective_settings(flags)
    from upload_tui.monitor import CHANGE_FIELDS, CHANGE_PATHS, flat_change

    printer = Printer(output, change_columns(settings.zone), flat_change, CHANGE_FIELDS, CHANGE_PATHS)
    return run_async(_tail(settings, options, printer))


@asynccontextmanager
async def _open_session(settings: ServiceSettings) -> "AsyncIterator[LiveSession | SourceSession]":
    """Open a session over the service or the source of the settings, with its store in memory."""
    from upload_tui.monitor import Store

    store = Store()
    try:
        if settings.command:
            from upload_tui.cli.support.sources import source_session
            from upload_tui.clock import SystemClock

            yield source_session(settings, store, SystemClock(), ends_on_refusal=True)
            return
        async with client_for(settings) as client:
            projects = await ride_out(lambda: find_projects(client, settings.projects))
            yield live_session(settings, client, projects, store, title=settings.profile)
    finally:
        store.close()


async def _tail(settings: ServiceSettings, options: _Options, printer: Printer) -> int:
    """Print changes; return the exit code."""
    async with _open_session(settings) as session:
        await run_alongside(session, _print(session, options, printer))
        if session.lost_projects:
            return EXIT_NOT_FOUND
        return EXIT_OK if session.is_complete else EXIT_UNREACHABLE


async def _print(session: "LiveSession | SourceSession", options: _Options, printer: Printer) -> None:
    from upload_tui.monitor import change_record

    printer.print_header()
    left = options.count
    with session.changes.subscribe() as changes:
        async for change in _selected_changes(session, changes, options):
            printer.print_record(change_record(change))
            left = None if left is None else left - 1
            if left == 0:
                return


async def _selected_changes(
    session: "LiveSession | SourceSession", changes: "AsyncIterator[Change]", options: _Options
) -> "AsyncIterator[Change]":
    """Yield past changes if `--since` asks for them, then new ones that match. Connection changes go to standard error."""
    from upload_tui.monitor import ConnectionChanged, StageReached

    printed: set[tuple[str, Stage]] = set()  # a change may be both past and new
    without_past = set() if options.since is None else set(session.projects)
    reporter = ConnectionReporter(session)
    async for change in changes:
        if isinstance(change, ConnectionChanged):
            reporter.report(change.project, change.connection)
            if change.connection.is_live and change.project in without_past:
                without_past.discard(change.project)
                for past in _past_changes(session, options, change.project.id):
                    if (past.upload.id, past.after) not in printed:
                        printed.add((past.upload.id, past.after))
                        yield past
        elif isinstance(change, StageReached) and (change.upload.id, change.after) in printed:
            continue
        elif _matches(change, session, options):
            if without_past and isinstance(change, StageReached):
                printed.add((change.upload.id, change.after))
            yield change
        if session.lost_projects and len(session.lost_projects) == len(session.projects):
            raise lost_error(session.lost_projects)


def _matches(change: "Change", session: "LiveSession | SourceSession", options: _Options) -> bool:
    from upload_tui.monitor import StageReached, UploadChange, matches_change, needs_upload

    if not isinstance(change, UploadChange):
        return False
    if options.stages and not (isinstance(change, StageReached) and change.after in options.stages):
        return False
    tree = options.where.tree
    row = session.picture.row(change.upload.id) if needs_upload(tree) else None
    return matches_change(tree, change, row, session.picture.now().replace(microsecond=0))


def _past_changes(
    session: "LiveSession | SourceSession", options: _Options, project_id: str
) -> "Iterator[StageReached]":
    """Yield the stages that a project's uploads have reached since `--since`, in the order of their times."""
    from upload_tui.monitor import stages_since

    assert options.since is not None  # noqa: S101  # the caller checks
    for change in stages_since(session.picture, options.since):
        if change.upload.project_id == project_id and _matches(change, session, options):
            yield change
