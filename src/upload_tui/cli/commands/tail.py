"""`upload-tui tail`: one line per change until interrupted, like the activity pane."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import click
from msgspec import Struct, field
from msgspec.structs import replace

from upload_tui.cli.access.outages import ConnectionReporter, Retries, lost_error, retrying
from upload_tui.cli.access.service import (
    client_for,
    echo_failure_hint,
    find_projects,
    live_session,
    open_store,
    run_alongside,
    service_of,
    trouble_limits,
)
from upload_tui.cli.exit_codes import exit_code, exit_code_of_outcomes
from upload_tui.cli.support.error_reporting import run_async
from upload_tui.cli.support.options import Since, effective_settings, parse_since, service_options, where_option
from upload_tui.cli.support.output import Printer, echo_message, ended_detail, output_option
from upload_tui.cli.support.tables import change_columns
from upload_tui.errors import ServiceError
from upload_tui.settings import Flags, ServiceSettings
from upload_tui.status import Stage
from upload_tui.text import sanitize

if TYPE_CHECKING:
    from upload_tui.monitor import (
        Change,
        LiveSession,
        Picture,
        SourceSession,
        SourceWaiter,
        StageReached,
        Store,
        StorePicture,
        UploadWaiter,
        Where,
    )

__all__ = ["command"]


class _Options(Struct, frozen=True):
    """Which changes to print, and how many; None for no limit. With `upload_ids` only those of these uploads, to their ends.

    `logged` are those since `since` that earlier sessions over a source have recorded: the source need not report their times.
    """

    upload_ids: Sequence[str]
    stages: frozenset[Stage]
    since: Since | None
    count: int | None
    where: "Where"
    logged: "Sequence[StageReached]" = ()


@click.command(
    help="Print one line per stage change until interrupted; changes of the past only with --since. With IDs, follow these uploads "
    "until each is verified or in error, and exit with 0 if all are verified, 1 if one failed, 5 if one does not exist."
)
@click.argument("upload_ids", nargs=-1, metavar="[ID]...")
@service_options
@click.option(
    "--stage", "stages", multiple=True, type=click.Choice([*map(str, Stage)]), help="Only this stage; may be repeated."
)
@click.option("--since", type=parse_since, metavar="TIME", help="Start with changes since then: 2h, 3d, or a time.")
@where_option
@click.option("--count", type=click.IntRange(1), help="Exit after this many lines.")
@output_option
def command(
    upload_ids: Sequence[str],
    stages: tuple[str, ...],
    since: Since | None,
    where: "Where",
    count: int | None,
    output: str | None,
    *,
    flags: Flags,
) -> int:
    """Print changes until interrupted."""
    options = _Options(upload_ids, frozenset(map(Stage, stages)), since, count, where)
    settings = effective_settings(flags)
    from upload_tui.monitor import CHANGE_FIELDS, CHANGE_PATHS, flat_change

    printer = Printer(output, change_columns(settings.zone), flat_change, CHANGE_FIELDS, CHANGE_PATHS)
    return run_async(_run(settings, options, printer))


async def _run(settings: ServiceSettings, options: _Options, printer: Printer) -> int:
    if settings.command and options.since is not None:
        options = replace(options, logged=_logged_changes(settings, options.since))
    return await (_follow if options.upload_ids else _tail)(settings, options, printer)


def _logged_changes(settings: ServiceSettings, since: Since) -> "Sequence[StageReached]":
    """The changes in the change log of the source's store, of its watched projects."""
    from upload_tui.clock import SystemClock

    watched = frozenset(settings.projects)
    with closing(open_store(settings)) as store:
        changes = store.change_log.stages_since(since.at(SystemClock().now()))
    return [one for one in changes if not watched or watched & {one.upload.project_id, one.upload.project_name}]


@asynccontextmanager
async def _open_session(settings: ServiceSettings) -> "AsyncIterator[LiveSession | SourceSession]":
    """Open a session over the service or the source of the settings, with its store in memory."""
    from upload_tui.monitor import Store

    store = Store()
    try:
        if settings.command:
            from upload_tui.cli.access.source import source_session
            from upload_tui.clock import SystemClock

            yield source_session(settings, store, SystemClock(), ends_on_refusal=True)
            return
        async with client_for(settings) as client:
            projects = await retrying(lambda: find_projects(client, settings.projects))
            yield live_session(settings, client, projects, store, title=settings.profile)
    finally:
        store.close()


async def _tail(settings: ServiceSettings, options: _Options, printer: Printer) -> int:
    """Print changes; return the exit code."""
    async with _open_session(settings) as session:
        await run_alongside(session, _print(session, options, printer))
        return exit_code(is_missing=bool(session.lost_projects), is_incomplete=not session.is_complete)


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
    from upload_tui.monitor import ConnectionChanged, SourceSession, StageReached

    printed: set[tuple[str, Stage]] = set()  # a change may be both past and new
    # A source has one connection, which is that of all its projects.
    connections = {None} if isinstance(session, SourceSession) else {*session.projects}
    without_past = set() if options.since is None else connections
    reporter = ConnectionReporter(session, notice=session.notice)
    async for change in changes:
        if session.lost_projects and len(session.lost_projects) == len(session.projects):
            raise lost_error(session.lost_projects)
        if isinstance(change, ConnectionChanged):
            reporter.report(change.project, change.connection)
            if change.connection.is_live and change.project in without_past:
                without_past.discard(change.project)
                for past in _past_changes(session.picture, options):
                    is_read = change.project is None or past.upload.project_id == change.project.id
                    if is_read and (past.upload.id, past.after) not in printed:
                        printed.add((past.upload.id, past.after))
                        yield past
        elif isinstance(change, StageReached) and _is_printed(change, printed):
            continue
        elif _matches(change, session.picture, options):
            if without_past and isinstance(change, StageReached):
                printed.add((change.upload.id, change.after))
            yield change


def _is_printed(change: "StageReached", printed: set[tuple[str, Stage]]) -> bool:
    """Whether a change was printed as one of the past; forget those of stages that may be reached again."""
    if change.is_again:
        printed -= {(change.upload.id, stage) for stage in Stage if stage.rank >= change.after.rank}
    return (change.upload.id, change.after) in printed


def _matches(change: "Change", picture: "Picture", options: _Options) -> bool:
    from upload_tui.monitor import StageReached, UploadChange, matches_change, needs_upload

    if not isinstance(change, UploadChange):
        return False
    if options.stages and not (isinstance(change, StageReached) and change.after in options.stages):
        return False
    tree = options.where.tree
    row = picture.row(change.upload.id) if needs_upload(tree) else None
    return matches_change(tree, change, row, picture.now().replace(microsecond=0))


def _past_changes(picture: "Picture", options: _Options) -> "Iterator[StageReached]":
    """Yield the stages that uploads have reached since `--since`, also those only logged, in the order of their times."""
    from upload_tui.monitor import stages_since

    assert options.since is not None  # noqa: S101  # the caller checks
    changes = stages_since(picture, options.since.at(picture.now()))
    known = {(one.upload.id, one.after) for one in changes}
    logged = [one for one in options.logged if (one.upload.id, one.after) not in known]
    for change in sorted([*changes, *logged], key=lambda one: one.happened_on):
        if _matches(change, picture, options):
            yield change


async def _follow(settings: ServiceSettings, options: _Options, printer: Printer) -> int:
    """Print the changes of single uploads until each has ended; return the exit code."""
    from upload_tui.monitor import Outcome, Store

    changes: list[Change] = []
    store = Store()
    printer.print_header()
    try:
        async with _open_waiter(settings, options, store, changes.append) as (waiter, picture):
            await _Follower(waiter, picture, options, printer, changes).run()
            echo_failure_hint(settings, [one for one, end in waiter.outcomes.items() if end is Outcome.MISSED])
            return exit_code_of_outcomes(waiter.outcomes.values())
    finally:
        store.close()


@asynccontextmanager
async def _open_waiter(
    settings: ServiceSettings, options: _Options, store: "Store", publish: "Callable[[Change], None]"
) -> "AsyncIterator[tuple[UploadWaiter | SourceWaiter, StorePicture]]":
    """Open a waiter for the uploads of the service or of the source, and the picture of its store."""
    from upload_tui.clock import SystemClock
    from upload_tui.monitor import Schedule, SourceWaiter, StorePicture, UploadWaiter, source_schedule

    clock, goal = SystemClock(), Stage.VERIFIED
    if settings.command:
        from upload_tui.cli.access.source import source_synchroniser

        picture = StorePicture(store, clock, service_of(settings), trouble_limits(settings))
        synchroniser = source_synchroniser(settings, store, clock, publish, has_all_projects=True)
        schedule = source_schedule(settings.refresh_seconds)
        yield (
            SourceWaiter(synchroniser, picture, options.upload_ids, goal=goal, clock=clock, schedule=schedule),
            picture,
        )
        return
    async with client_for(settings) as client:
        client.gate.requests_per_minute = settings.requests_per_minute
        schedule = Schedule(settings.refresh_seconds)
        picture = StorePicture(store, client.clock_offset.shifted(clock), client.root, trouble_limits(settings))
        yield (
            UploadWaiter(client, store, options.upload_ids, goal=goal, clock=clock, schedule=schedule, publish=publish),
            picture,
        )


class _Follower(Struct):
    """Prints the changes of uploads, and why one can be followed no longer."""

    waiter: "UploadWaiter | SourceWaiter"
    picture: "StorePicture"
    options: _Options
    printer: Printer
    changes: "list[Change]"
    _printed: set[tuple[str, Stage]] = field(default_factory=set)
    _known: set[str] = field(default_factory=set)
    _line_count: int = 0

    async def run(self) -> None:
        """Follow the uploads until each has ended, or until enough lines are printed."""
        interval, retries = 1.0, Retries()
        while True:
            try:
                ended = await self.waiter.poll()
            except ServiceError:
                self._print_changes()  # what was read before
                raise
            retries.report(self.waiter.last_error)
            has_changed = bool(self.changes)
            self._print_changes()
            self._report(ended)
            if not self.waiter.pending or self._line_count == self.options.count:
                return
            interval = await self.waiter.wait(interval, has_changed=has_changed)

    def _print_changes(self) -> None:
        """Print the new changes; with `--since`, first the past changes of uploads that were just read for the first time."""
        from upload_tui.monitor import StageReached, UploadChange, change_record

        ids = {self.waiter.known_id(upload_id) for upload_id in self.waiter.outcomes}
        known = {upload_id for upload_id in ids if self.picture.detail(upload_id) is not None}
        past: Sequence[StageReached] = ()
        if self.options.since is not None and known > self._known:
            past = [one for one in _past_changes(self.picture, self.options) if one.upload.id in known - self._known]
        self._known = known
        for change in [*past, *self.changes]:
            if not (isinstance(change, UploadChange) and change.upload.id in ids):
                continue
            key = (change.upload.id, change.after) if isinstance(change, StageReached) else None
            is_printed = isinstance(change, StageReached) and _is_printed(change, self._printed)
            if not is_printed and self._line_count != self.options.count:
                if _matches(change, self.picture, self.options):
                    self.printer.print_record(change_record(change))
                    self._line_count += 1
                if key is not None:
                    self._printed.add(key)
        self.changes.clear()

    def _report(self, ended: Sequence[str]) -> None:
        """Report uploads that do not exist, that cannot be read, or that ended without a change that was printed."""
        for upload_id in ended:
            detail = ended_detail(self.waiter, self.picture, upload_id)
            if detail is not None and (detail.upload.id, detail.row.stage) not in self._printed:
                state = detail.upload.timeline.own_state
                word = sanitize(state.name) if state else detail.row.stage
                echo_message(f"{detail.upload.id} had already ended: {word}.")
