"""`upload-tui wait`: waits until uploads are verified or in error, for scripts and CI.

It stops waiting for a stage that an upload can no longer reach.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from functools import partial
from typing import TYPE_CHECKING

import click
from msgspec import Struct, field

from upload_tui.cli.access.access import Access, open_access
from upload_tui.cli.access.service import echo_failure_hint, store_picture
from upload_tui.cli.access.waits import ended_detail, missed_ids, rounds
from upload_tui.cli.exit_codes import exit_code, exit_code_of_outcomes
from upload_tui.cli.support.options import effective_settings, parse_seconds, service_options, where_option
from upload_tui.cli.support.output import (
    Printer,
    ProgressBar,
    echo_message,
    output_option,
    progress_bar,
)
from upload_tui.cli.support.signals import run_async
from upload_tui.cli.support.streams import continues_without_output, set_output_deadline
from upload_tui.cli.support.tables import upload_columns
from upload_tui.errors import (
    EXIT_OK,
    EXIT_TIMED_OUT,
    UsageError,
)
from upload_tui.settings import Flags, ServiceSettings
from upload_tui.status import Stage

if TYPE_CHECKING:
    from upload_tui.monitor import Detail, Schedule, Store, StorePicture, Waiter, Where

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
    where: "Where"


@click.command(
    help="Wait until each upload is verified or in error. Without an ID, wait for all uploads that are now pending in the "
    "projects; with --where, for all that match now, including those that have ended. "
    "Exits with 0 if all reached the stage, 1 if one failed or is verified but not whole, 3 if one cannot be read, "
    "5 if one does not exist or none matches, 124 on timeout."
)
@click.argument("upload_ids", nargs=-1, metavar="[ID]...")
@service_options
@where_option
@click.option(
    "--timeout", type=parse_seconds, metavar="DURATION", help="Timeout, such as 90s, 15m or 2h; by default none."
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
    type=parse_seconds,
    metavar="DURATION",
    help="Polling interval; by default short at first, then longer.",
)
@click.option(
    "--heartbeat", type=parse_seconds, metavar="DURATION", help="Interval of a progress line on standard error."
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
    where: "Where",
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
    if upload_ids and where.text:
        raise UsageError("Both ids and a query are given", "Give either the ids of uploads, or a query with --where")
    options = _Options(upload_ids, Stage(goal), timeout, interval, heartbeat, fail_fast, timeout_exit_code, where)
    settings = effective_settings(flags)
    if not (upload_ids or where.text or settings.projects or settings.command):
        raise UsageError(
            "Nothing to wait for", "Give the ids of uploads, projects with --project, or a query with --where"
        )
    from upload_tui.monitor import UPLOAD_FIELDS, UPLOAD_PATHS, flat_upload

    printer = Printer(output, (), flat_upload, UPLOAD_FIELDS, UPLOAD_PATHS)
    return run_async(_wait(settings, options, printer))


async def _wait(settings: ServiceSettings, options: _Options, printer: Printer) -> int:
    """Wait within the timeout, which includes finding out what to wait for; return the exit code."""
    from upload_tui.monitor import Store

    started = asyncio.get_running_loop().time()
    deadline = None if options.timeout_seconds is None else started + options.timeout_seconds
    set_output_deadline(deadline)  # or a reader that stalls would stop the clock of the timeout
    async with AsyncExitStack() as stack:
        store = stack.enter_context(closing(Store()))
        try:
            reading = partial(_echo_reading, started)
            async with asyncio.timeout_at(deadline), _heartbeat(options.heartbeat_seconds, reading):
                access = await stack.enter_async_context(open_access(settings))
                if options.interval_seconds is None:
                    access.limit_requests()
                upload_ids, code = await _wanted_ids(access, settings, options, store)
        except TimeoutError:
            echo_message(f"timed out after {_elapsed_text(started)}; not all uploads have been read yet.")
            return options.timeout_exit_code
        waiter, picture = access.waiter(store, upload_ids, options.goal), store_picture(settings, store, access.clock)
        printer.set_columns(upload_columns(settings.zone, picture.clock.now))
        with progress_bar(len(waiter.outcomes)) as bar:
            loop = _WaitLoop(waiter, options, printer, picture, bar, started, settings)
            return await loop.run(deadline, _schedule(access, options)) or code


def _echo_reading(started: float) -> None:
    echo_message(f"still reading the uploads after {_elapsed_text(started)}.")


def _elapsed_text(started: float) -> str:
    from upload_tui.text import age_text

    return age_text(asyncio.get_running_loop().time() - started)


def _schedule(access: Access, options: _Options) -> "Schedule":
    from upload_tui.monitor import source_schedule

    return access.wait_schedule() if options.interval_seconds is None else source_schedule(options.interval_seconds)


async def _wanted_ids(
    access: Access, settings: ServiceSettings, options: _Options, store: "Store"
) -> tuple[Sequence[str], int]:
    """The ids given, or of matches, else of all uploads that are not over; and the exit code of what cannot be read.

    Raises:
        ServiceError: no project can be read.
    """
    if options.upload_ids:
        return options.upload_ids, EXIT_OK
    unfinished, code = await access.read_unfinished(store)
    return _matching(store_picture(settings, store, access.clock), options, unfinished, code)


def _matching(
    picture: "StorePicture", options: _Options, unfinished: Sequence[str], code: int
) -> tuple[Sequence[str], int]:
    """The uploads that match `--where`, also those that have ended; without it the unfinished ones. And the exit code."""
    from upload_tui.monitor import Query

    if not options.where.text:
        return unfinished, code
    matching = [row.id for row in picture.window(Query(where=options.where), 0, sys.maxsize).rows]
    if not matching:
        echo_message(f"no upload matches {options.where.text!a}.")
    return matching, code or exit_code(is_missing=not matching)


_STOPPED_SECONDS = 0.05
"""A deadline that is noticed so late passed while the process was stopped, as by SIGSTOP."""
_LAST_POLL_SECONDS = 5.0
"""How long the poll after such a deadline may take."""


class _WaitLoop(Struct):
    """Polls until no upload is pending, one fails, or the timeout; prints each upload when its outcome is known."""

    waiter: "Waiter"
    options: _Options
    printer: Printer
    picture: "StorePicture"
    bar: ProgressBar
    started: float
    settings: ServiceSettings
    _printed_notices: set[str] = field(default_factory=set)
    _printed_ids: set[str] = field(default_factory=set)

    async def run(self, deadline: float | None, schedule: "Schedule") -> int:
        """Poll to the end, or until a time of the event loop; return the exit code."""
        self.printer.print_header()
        try:
            async with asyncio.timeout_at(deadline), _heartbeat(self.options.heartbeat_seconds, self.print_heartbeat):
                await self._run_rounds(schedule)
        except TimeoutError:
            await self._poll_if_stopped(deadline)
            if self.waiter.pending:
                text = f"timed out after {_elapsed_text(self.started)}; {self._pending_text()}{self._error_text()}"
                self._echo(text)
        echo_failure_hint(self.settings, missed_ids(self.waiter))
        return self._exit_code()

    async def _poll_if_stopped(self, deadline: float | None) -> None:
        """Poll once more if the process was stopped over its deadline: the uploads may have ended meanwhile."""
        if deadline is None or asyncio.get_running_loop().time() - deadline < _STOPPED_SECONDS:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_POLL_SECONDS):
                self._print_round(await self.waiter.poll())

    async def _run_rounds(self, schedule: "Schedule") -> None:
        async for ended in rounds(self.waiter, schedule):
            self._print_round(ended)
            if self.options.fail_fast and self._exit_code(is_over=False) != EXIT_OK:
                return

    def _print_round(self, ended: Sequence[str]) -> None:
        self.bar.clear()
        self._print_notices()
        self._print_ended(ended)
        self.bar.advance(len(ended))

    def _print_ended(self, ended: Sequence[str]) -> None:
        for upload_id in ended:
            detail = ended_detail(self.waiter, self.picture, upload_id)
            # The same id may be given in another case.
            if detail is not None and detail.upload.id not in self._printed_ids:
                self._printed_ids.add(detail.upload.id)
                self._print_detail(detail)

    def _print_detail(self, detail: "Detail") -> None:
        from upload_tui.monitor import TROUBLE_WORDS, Outcome, Trouble, upload_record

        self.printer.print_record(upload_record(detail))
        if detail.row.is_contradictory:
            details = "; ".join(anomaly.detail for anomaly in detail.anomalies)
            echo_message(f"{detail.upload.id}: {TROUBLE_WORDS[Trouble.CONTRADICTORY]}: {details}.")
        elif detail.upload.timeline.unknown_state and self.waiter.outcomes.get(detail.upload.id) is Outcome.MISSED:
            echo_message(f"{detail.upload.id!a} has ended without being {self.options.goal}.")

    def _print_notices(self) -> None:
        """Report each once. An upload in a state that is not in the design is still waited for: it may yet be verified."""
        states = [(one, state) for one in self.waiter.pending if (state := self.waiter.unknown_state(one))]
        unknown = [f"{one!a} is in an unknown state, {state!a}; waiting for it to change" for one, state in states]
        for notice in [*self.waiter.notices, *unknown]:
            if notice not in self._printed_notices:
                self._printed_notices.add(notice)
                echo_message(f"{notice}.")

    def print_heartbeat(self) -> None:
        """Print what is still pending, for how long, and the current error."""
        self._echo(f"{self._pending_text()} after {_elapsed_text(self.started)}{self._error_text()}")

    def _error_text(self) -> str:
        return f"; {self.waiter.problem}" if self.waiter.problem else ""

    def _echo(self, text: str) -> None:
        self.bar.clear()
        echo_message(f"{text}.")
        self.bar.draw()

    def _pending_text(self) -> str:
        pending = self.waiter.pending
        names = [
            f"{one} in state {state!a}" if (state := self.waiter.unknown_state(one)) else one for one in pending[:3]
        ]
        word = "not over" if any(map(self.waiter.unknown_state, pending)) else "pending"
        shown = ", ".join(names) + (" …" if len(pending) > 3 else "")
        return f"{len(pending)} of {len(self.waiter.outcomes)} still {word} ({shown})"

    def _exit_code(self, *, is_over: bool = True) -> int:
        """A failed upload has priority over an unknown one, that over an unreadable one, and that over a timeout."""
        from upload_tui.monitor import Outcome

        outcomes = self.waiter.outcomes.values()
        code = exit_code_of_outcomes(outcomes)
        return self.options.timeout_exit_code if is_over and not code and Outcome.PENDING in outcomes else code


@asynccontextmanager
async def _heartbeat(seconds: float | None, print_line: Callable[[], None]) -> AsyncIterator[None]:
    """Print a line at the interval of `--heartbeat` inside the context; None for no line."""
    task = None if seconds is None else asyncio.create_task(_print_heartbeats(seconds, print_line), name="heartbeat")
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _print_heartbeats(seconds: float, print_line: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        print_line()
