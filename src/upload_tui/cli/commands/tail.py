"""`upload-tui tail`: one line per change until interrupted, like the activity pane."""

from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import click
from msgspec import Struct, field
from msgspec.structs import replace

from upload_tui.cli.access.access import Access, open_access
from upload_tui.cli.access.outages import ConnectionReporter, lost_error, retrying
from upload_tui.cli.access.service import echo_failure_hint, run_alongside, store_picture
from upload_tui.cli.access.waits import ended_detail, missed_ids, rounds
from upload_tui.cli.exit_codes import exit_code, exit_code_of_outcomes
from upload_tui.cli.support.options import COUNT, Since, effective_settings, parse_since, service_options, where_option
from upload_tui.cli.support.output import Printer, echo_message, output_option
from upload_tui.cli.support.signals import run_async
from upload_tui.cli.support.streams import ignore_lost_output
from upload_tui.cli.support.tables import change_columns
from upload_tui.errors import ServiceError
from upload_tui.settings import Flags, ServiceSettings
from upload_tui.status import Stage
from upload_tui.text import sanitize

if TYPE_CHECKING:
    from upload_tui.monitor import (
        Change,
        Picture,
        ProjectRef,
        Schedule,
        ServiceSession,
        StageReached,
        Store,
        StorePicture,
        Waiter,
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
    "until each is verified or in error, and exit with 0 if all are verified, 1 if one failed or is not whole, 3 if one cannot be "
    "read, 5 if one does not exist."
)
@click.argument("upload_ids", nargs=-1, metavar="[ID]...")
@service_options
@click.option(
    "--stage", "stages", multiple=True, type=click.Choice([*map(str, Stage)]), help="Only this stage; may be repeated."
)
@click.option("--since", type=parse_since, metavar="TIME", help="Start with changes since then: 2h, 3d, or a time.")
@where_option
@click.option("--count", type=COUNT, help="Exit after this many lines.")
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
    from upload_tui.clock import SystemClock
    from upload_tui.monitor import Store

    async with open_access(settings) as access:
        if options.since is not None:
            options = replace(options, logged=access.logged_stages(options.since.at(SystemClock().now())))
        with closing(Store()) as store:
            if options.upload_ids:
                return await _follow(access, settings, store, options, printer)
            return await _tail(access, store, options, printer)


async def _tail(access: Access, store: "Store", options: _Options, printer: Printer) -> int:
    """Print changes; return the exit code."""
    found = await retrying(access.find_projects)
    session = access.session(store, found, ends_on_refusal=True)
    await run_alongside(session, _print(session, options, printer))
    return exit_code(is_missing=bool(session.lost_projects), is_incomplete=not session.is_complete)


async def _print(session: "ServiceSession", options: _Options, printer: Printer) -> None:
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
    session: "ServiceSession", changes: "AsyncIterator[Change]", options: _Options
) -> "AsyncIterator[Change]":
    """Yield past changes if `--since` asks for them, then new ones that match. Connection changes go to standard error."""
    from upload_tui.monitor import ConnectionChanged, StageReached

    printed: set[tuple[str, Stage]] = set()  # a change may be both past and new
    connections: set[ProjectRef | None] = {*session.projects}
    # A source has one connection for all its projects, which are not known before it is listed.
    without_past = set() if options.since is None else connections or {None}
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
    return matches_change(tree, change, row, picture.clock.now().replace(microsecond=0))


def _past_changes(picture: "Picture", options: _Options) -> "Iterator[StageReached]":
    """Yield the stages that uploads have reached since `--since`, also those only logged, in the order of their times."""
    from upload_tui.monitor import stages_since

    assert options.since is not None  # noqa: S101  # the caller checks
    changes = stages_since(picture, options.since.at(picture.clock.now()))
    known = {(one.upload.id, one.after) for one in changes}
    logged = [one for one in options.logged if (one.upload.id, one.after) not in known]
    for change in sorted([*changes, *logged], key=lambda one: one.happened_on):
        if _matches(change, picture, options):
            yield change


async def _follow(
    access: Access, settings: ServiceSettings, store: "Store", options: _Options, printer: Printer
) -> int:
    """Print the changes of single uploads until each has ended; return the exit code, which is a verdict on them."""
    ignore_lost_output()
    changes: list[Change] = []
    printer.print_header()
    access.limit_requests()
    waiter = access.waiter(store, options.upload_ids, Stage.VERIFIED, changes.append)
    follower = _Follower(waiter, store_picture(settings, store, access.clock), options, printer, changes)
    await follower.run(access.wait_schedule(settings.refresh_seconds))
    echo_failure_hint(settings, missed_ids(waiter))
    return exit_code_of_outcomes(waiter.outcomes.values())


class _Follower(Struct):
    """Prints the changes of uploads, and why one can be followed no longer."""

    waiter: "Waiter"
    picture: "StorePicture"
    options: _Options
    printer: Printer
    changes: "list[Change]"
    _printed: set[tuple[str, Stage]] = field(default_factory=set)
    _known: set[str] = field(default_factory=set)
    _line_count: int = 0

    async def run(self, schedule: "Schedule") -> None:
        """Follow the uploads until each has ended, or until enough lines are printed."""
        try:
            async for ended in rounds(self.waiter, schedule, self.changes):
                known = self._known
                self._print_changes()
                self._report(ended, known)
                if self._line_count == self.options.count:
                    return
        except ServiceError:
            self._print_changes()  # what was read before
            raise

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

    def _report(self, ended: Sequence[str], known: Collection[str]) -> None:
        """Report uploads that do not exist, that cannot be read, or that had ended when they were read for the first time.

        Also those, of the uploads `known` before, that ended without a change of their stage.
        """
        for upload_id in ended:
            detail = ended_detail(self.waiter, self.picture, upload_id)
            if detail is not None and (detail.upload.id, detail.row.stage) not in self._printed:
                state = detail.upload.timeline.own_state
                word = sanitize(state.name) if state else detail.row.stage
                verb = "has ended" if detail.upload.id in known else "had already ended"
                echo_message(f"{detail.upload.id} {verb}: {word}.")
