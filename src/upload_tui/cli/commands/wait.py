"""`upload-tui wait`: waits until uploads are verified or in error, for scripts and CI.

It stops waiting for a stage that an upload can no longer reach.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import click
from msgspec import Struct, field

from upload_tui.cli.support.options import effective_settings, parse_duration, service_options
from upload_tui.cli.support.output import Printer, continues_without_output, echo_err, output_option, terminal_columns
from upload_tui.cli.support.service import (
    client_for,
    exit_code_of,
    find_projects,
    new_synchroniser,
    print_notices,
    service_of,
    trouble_limits,
)
from upload_tui.cli.support.tables import upload_columns
from upload_tui.errors import (
    EXIT_FAILED_UPLOAD,
    EXIT_NOT_FOUND,
    EXIT_OK,
    EXIT_TIMED_OUT,
    UsageError,
)
from upload_tui.settings import Flags, ServiceSettings
from upload_tui.status import Stage

if TYPE_CHECKING:
    from upload_tui.client import ServiceClient
    from upload_tui.monitor import Schedule, Store, StorePicture, Waiter

__all__ = ["command"]


class _Options(Struct, frozen=True):
    """What to wait for. None means no timeout, an interval that grows, no heartbeat."""

    upload_ids: Sequence[str]
    goal: Stage
    timeout_seconds: float | None
    interval_seconds: float | None
    heartbeat_seconds: float | None
    fail_fast: bool
    timeout_exit_code: int


@click.command(
    help="Wait until each upload is verified or in error; without an ID, for all uploads of the projects that are pending now. "
    "Exits with 0 if all reached the stage, 1 if one failed, 5 if one does not exist, 124 on timeout."
)
@click.argument("upload_ids", nargs=-1, metavar="[ID]...")
@service_options
@click.option(
    "--timeout", type=parse_duration, metavar="DURATION", help="Timeout, such as 90s, 15m or 2h; by default none."
)
@click.option(
    "--timeout-exit-code",
    default=EXIT_TIMED_OUT,
    show_default=True,
    type=click.IntRange(0, 255),
    help="Exit code on timeout.",
)
@click.option(
    "--interval",
    type=parse_duration,
    metavar="DURATION",
    help="Polling interval; by default short at first, then longer.",
)
@click.option(
    "--heartbeat", type=parse_duration, metavar="DURATION", help="Interval of a progress line on standard error."
)
@click.option("--fail-fast", is_flag=True, help="Exit when the first upload fails.")
@click.option(
    "--for",
    "goal",
    default="verified",
    show_default=True,
    type=click.Choice([*map(str, Stage)]),
    help="Stage to wait for.",
)
@output_option
@continues_without_output
def command(
    upload_ids: Sequence[str],
    timeout: float | None,
    timeout_exit_code: int,
    interval: float | None,
    heartbeat: float | None,
    fail_fast: bool,
    goal: str,
    output: str | None,
    *,
    flags: Flags,
) -> int:
    """Wait for uploads."""
    if not upload_ids and not flags.projects and not flags.command:
        raise UsageError("Nothing to wait for", "Give the ids of uploads, or projects with --project")
    options = _Options(upload_ids, Stage(goal), timeout, interval, heartbeat, fail_fast, timeout_exit_code)
    settings = effective_settings(flags)
    from upload_tui.monitor import UPLOAD_FIELDS, flat_upload

    printer = Printer(output, upload_columns(settings.zone), flat_upload, UPLOAD_FIELDS)
    return asyncio.run(_wait(settings, options, printer))


async def _wait(settings: ServiceSettings, options: _Options, printer: Printer) -> int:
    from upload_tui.clock import SystemClock
    from upload_tui.monitor import Store, StorePicture, UploadWaiter

    store, clock = Store(), SystemClock()
    try:
        if settings.command:
            return await _wait_for_source(settings, options, printer, store)
        async with client_for(settings) as client:
            upload_ids, is_complete = options.upload_ids, True
            if not upload_ids:
                upload_ids, is_complete = await _pending_ids(client, store, settings)
            waiter = UploadWaiter(
                client, store, upload_ids, goal=options.goal, clock=clock, schedule=_schedule(options)
            )
            picture = StorePicture(store, client.service_clock(clock), client.root, trouble_limits(settings))
            with _progress_bar(len(waiter.outcomes)) as bar:
                code = await _WaitLoop(waiter, options, printer, picture, bar).run()
                return code if code != EXIT_OK else exit_code_of(is_complete=is_complete)
    finally:
        store.close()


async def _wait_for_source(settings: ServiceSettings, options: _Options, printer: Printer, store: "Store") -> int:
    from upload_tui.cli.support.sources import source_synchroniser
    from upload_tui.clock import SystemClock
    from upload_tui.monitor import SourceWaiter, StorePicture, source_schedule

    clock = SystemClock()
    synchroniser = source_synchroniser(settings, store, clock)
    upload_ids, is_complete = options.upload_ids, True
    if not upload_ids:
        await synchroniser.sync()
        is_complete = print_notices([synchroniser])
        upload_ids = [upload.id for upload in store.pending()]
    picture = StorePicture(store, clock, service_of(settings), trouble_limits(settings))
    seconds = options.interval_seconds or settings.refresh_seconds
    waiter = SourceWaiter(
        synchroniser, picture, upload_ids, goal=options.goal, clock=clock, schedule=source_schedule(seconds)
    )
    with _progress_bar(len(waiter.outcomes)) as bar:
        code = await _WaitLoop(waiter, options, printer, picture, bar).run()
        return code if code != EXIT_OK else exit_code_of(is_complete=is_complete)


def _schedule(options: _Options) -> "Schedule":
    from upload_tui.monitor import Schedule

    if options.interval_seconds is None:
        return Schedule()
    return Schedule(options.interval_seconds, options.interval_seconds, options.interval_seconds, growth=1.0)


async def _pending_ids(
    client: "ServiceClient", store: "Store", settings: ServiceSettings
) -> tuple[Sequence[str], bool]:
    """The ids of all pending uploads, and whether all uploads could be read: one that cannot may be pending."""
    projects = await find_projects(client, settings.projects)
    synchronisers = [new_synchroniser(client, store, project) for project in projects]
    for synchroniser in synchronisers:
        await synchroniser.sync()
    pending = store.unfinished(frozenset(project.id for project in projects)) if projects else ()
    return [upload.id for upload in pending], print_notices(synchronisers)


_BAR_CELLS = 30


class _ProgressBar:
    """A progress bar on standard error; draws nothing if that is no terminal that can redraw a line."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._is_shown = (
            total > 0 and sys.stderr.isatty() and os.environ.get("TERM") not in {None, "", "dumb", "unknown"}
        )

    def advance(self, count: int) -> None:
        """Count uploads that are done, and draw."""
        self._done += count
        self.draw()

    def draw(self) -> None:
        """Draw the bar on the current line."""
        if self._is_shown:
            count = f"{self._done} of {self._total}"
            # The last column stays empty: some terminals wrap there, and a wrapped line cannot be redrawn.
            width = min(_BAR_CELLS, terminal_columns(sys.stderr.fileno()) - len(count) - len("[] ") - 1)
            filled = width * self._done // self._total
            bar = f"[{'#' * filled}{'.' * (width - filled)}] " if width > 0 else ""
            click.echo(f"\r{bar}{count}", nl=False, err=True)

    def clear(self) -> None:
        """Clear the current line."""
        if self._is_shown:
            click.echo("\r\033[K", nl=False, err=True)


@contextmanager
def _progress_bar(total: int) -> Iterator[_ProgressBar]:
    bar = _ProgressBar(total)
    bar.draw()
    try:
        yield bar
    finally:
        bar.clear()


class _WaitLoop(Struct):
    """Polls until no upload is pending, one fails, or the timeout; prints each upload when its outcome is known."""

    waiter: "Waiter"
    options: _Options
    printer: Printer
    picture: "StorePicture"
    bar: _ProgressBar
    _started: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    async def run(self) -> int:
        """Poll to the end and return the exit code."""
        self.printer.print_header()
        try:
            async with asyncio.timeout(self.options.timeout_seconds), _heartbeat(self):
                await self._run_rounds()
        except TimeoutError:
            self._echo(f"timed out after {self._elapsed_text()}; {self._pending_text()}{self._error_text()}")
        return self._exit_code()

    async def _run_rounds(self) -> None:
        interval = self.options.interval_seconds or 1.0
        while self.waiter.pending:
            ended = await self.waiter.poll()
            self._print_ended(ended)
            if self.options.fail_fast and self._exit_code(is_over=False) != EXIT_OK:
                return
            if self.waiter.pending:
                interval = await self.waiter.wait(interval, has_changed=bool(ended))

    def _print_ended(self, ended: Sequence[str]) -> None:
        from upload_tui.monitor import Outcome, upload_record

        self.bar.clear()
        for upload_id in ended:
            detail = self.picture.detail(self.waiter.known_id(upload_id))
            if self.waiter.outcomes[upload_id] is Outcome.GONE or detail is None:
                echo_err(f"upload-tui: no such upload: {upload_id!a}.")
            else:
                self.printer.print_record(upload_record(detail))
        self.bar.advance(len(ended))

    def print_heartbeat(self) -> None:
        """Print what is still pending, for how long, and the current error."""
        self._echo(f"{self._pending_text()} after {self._elapsed_text()}{self._error_text()}")

    def _error_text(self) -> str:
        return f"; {self.waiter.last_error.title}" if self.waiter.last_error else ""

    def _echo(self, text: str) -> None:
        self.bar.clear()
        echo_err(f"upload-tui: {text}.")
        self.bar.draw()

    def _pending_text(self) -> str:
        pending = self.waiter.pending
        shown = ", ".join(pending[:3]) + (" …" if len(pending) > 3 else "")
        return f"{len(pending)} of {len(self.waiter.outcomes)} still pending ({shown})"

    def _elapsed_text(self) -> str:
        from upload_tui.text import age_text

        return age_text(asyncio.get_running_loop().time() - self._started)

    def _exit_code(self, *, is_over: bool = True) -> int:
        """A failed upload has priority over an unknown one, and that over a timeout."""
        from upload_tui.monitor import Outcome

        outcomes = set(self.waiter.outcomes.values())
        if Outcome.MISSED in outcomes:
            return EXIT_FAILED_UPLOAD
        if Outcome.GONE in outcomes:
            return EXIT_NOT_FOUND
        return self.options.timeout_exit_code if is_over and Outcome.PENDING in outcomes else EXIT_OK


@asynccontextmanager
async def _heartbeat(loop: _WaitLoop) -> AsyncIterator[None]:
    """Print a line at the interval of `--heartbeat` inside the context."""
    seconds = loop.options.heartbeat_seconds
    task = None if seconds is None else asyncio.create_task(_print_heartbeats(loop, seconds), name="heartbeat")
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _print_heartbeats(loop: _WaitLoop, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        loop.print_heartbeat()
