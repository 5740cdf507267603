"""`upload-tui wait`: waits until uploads are verified or in error, for scripts and CI. Never hangs on what cannot come."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import click
from msgspec import Struct, field

from upload_tui.cli.connecting import client_for, find_projects, service_options, settings_in_force
from upload_tui.cli.output import Printer, output_option, say
from upload_tui.cli.tables import flat_upload, upload_columns
from upload_tui.cli.times import duration
from upload_tui.errors import (
    EXIT_DONE,
    EXIT_FAILED_UPLOAD,
    EXIT_NOT_FOUND,
    EXIT_TIMED_OUT,
    UsageError,
)
from upload_tui.settings import Flags, ServiceSettings
from upload_tui.status import Stage

if TYPE_CHECKING:
    from upload_tui.client.service_client import ServiceClient
    from upload_tui.monitor.schedule import Schedule
    from upload_tui.monitor.store import Store
    from upload_tui.monitor.stored_picture import StoredPicture
    from upload_tui.monitor.waiting import Waiting

__all__ = ["command"]


class _Wish(Struct, frozen=True):
    """What is waited for, and how patiently; times in seconds, None for "not at all" or "as the settings say"."""

    upload_ids: Sequence[str]
    goal: Stage
    timeout_seconds: float | None
    interval_seconds: float | None
    heartbeat_seconds: float | None
    fail_fast: bool
    timeout_exit_code: int


@click.command(
    help="Wait until each upload is verified or in error; without an ID, for all that is pending in the projects now. "
    "Exits with 0 if all reached the stage, 1 if one failed, 5 if one does not exist, 124 if the time was up."
)
@click.argument("upload_ids", nargs=-1, metavar="[ID]...")
@service_options
@click.option("--timeout", type=duration, help="Give up after this: 90s, 15m, 2h. Without it: never.")
@click.option(
    "--timeout-exit-code",
    default=EXIT_TIMED_OUT,
    show_default=True,
    type=click.IntRange(0, 255),
    help="The exit code if the time was up.",
)
@click.option("--interval", type=duration, help="Ask this often; without it, quickly at first, then more slowly.")
@click.option("--heartbeat", type=duration, help="Say this often on standard error what is still pending.")
@click.option("--fail-fast", is_flag=True, help="End with the first upload that fails.")
@click.option(
    "--for",
    "goal",
    default="verified",
    show_default=True,
    type=click.Choice([*map(str, Stage)]),
    help="The stage to reach.",
)
@output_option
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
    """Wait."""
    if not upload_ids and not flags.projects:
        raise UsageError("Nothing is named to wait for", "Name uploads by id, or projects with --project")
    wish = _Wish(upload_ids, Stage(goal), timeout, interval, heartbeat, fail_fast, timeout_exit_code)
    settings = settings_in_force(flags)
    return asyncio.run(_wait(settings, wish, Printer(output, upload_columns(settings.zone), flat_upload)))


async def _wait(settings: ServiceSettings, wish: _Wish, printer: Printer) -> int:
    from upload_tui.clock import SystemClock
    from upload_tui.monitor.store import Store
    from upload_tui.monitor.stored_picture import StoredPicture
    from upload_tui.monitor.waiting import Waiting

    store, clock = Store(), SystemClock()
    try:
        async with client_for(settings) as client:
            upload_ids = wish.upload_ids or await _pending_now(client, store, settings)
            waiting = Waiting(client, store, upload_ids, goal=wish.goal, clock=clock, schedule=_schedule(wish))
            picture = StoredPicture(store, client.clock_of_service(clock), client.root, settings.stuck_after_seconds)
            with _progress(len(waiting.fates)) as bar:
                return await _Vigil(waiting, wish, printer, picture, bar).keep()
    finally:
        store.close()


def _schedule(wish: _Wish) -> "Schedule":
    from upload_tui.monitor.schedule import Schedule

    if wish.interval_seconds is None:
        return Schedule()
    return Schedule(wish.interval_seconds, wish.interval_seconds, wish.interval_seconds, growth=1.0)


async def _pending_now(client: "ServiceClient", store: "Store", settings: ServiceSettings) -> Sequence[str]:
    from upload_tui.monitor.synchroniser import Synchroniser

    found: list[str] = []
    for project in await find_projects(client, settings.projects):
        await Synchroniser(client, store, project, lambda _: None, lambda *_: None).round()
        found.extend(upload.id for upload in store.pending(frozenset({project.id})))
    return found


class _Bar:
    """A progress bar on a terminal's standard error; nothing elsewhere."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._is_shown = sys.stderr.isatty() and total > 0

    def advance(self, count: int) -> None:
        self._done += count
        self.draw()

    def draw(self) -> None:
        if self._is_shown:
            filled = 30 * self._done // self._total
            click.echo(f"\r[{'#' * filled}{'.' * (30 - filled)}] {self._done} of {self._total}", nl=False, err=True)

    def clear(self) -> None:
        if self._is_shown:
            click.echo("\r\033[K", nl=False, err=True)


@contextmanager
def _progress(total: int) -> Iterator[_Bar]:
    bar = _Bar(total)
    bar.draw()
    try:
        yield bar
    finally:
        bar.clear()


class _Vigil(Struct):
    """Rounds until nothing is pending, something fails, or the time is up; prints each upload whose fate is known."""

    waiting: "Waiting"
    wish: _Wish
    printer: Printer
    picture: "StoredPicture"
    bar: _Bar
    _started: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    async def keep(self) -> int:
        try:
            async with asyncio.timeout(self.wish.timeout_seconds), _heart(self):
                await self._rounds()
        except TimeoutError:
            self._talk(f"the time is up after {self._elapsed()}; {self._still_pending()}")
        return self._exit_code()

    async def _rounds(self) -> None:
        interval = self.wish.interval_seconds or 1.0
        while self.waiting.pending:
            ended = await self.waiting.round()
            self._tell(ended)
            if self.wish.fail_fast and self._exit_code(is_over=False) != EXIT_DONE:
                return
            if self.waiting.pending:
                interval = await self.waiting.rest(interval, changed=bool(ended))

    def _tell(self, ended: Sequence[str]) -> None:
        from upload_tui.monitor.records import upload_record
        from upload_tui.monitor.waiting import Fate

        self.bar.clear()
        for upload_id in ended:
            detail = self.picture.detail(upload_id)
            if self.waiting.fates[upload_id] is Fate.GONE or detail is None:
                say(f"upload-tui: the service knows no upload {upload_id!a}.")
            else:
                self.printer.print_one(upload_record(detail))
        self.bar.advance(len(ended))

    def beat(self) -> None:
        """Say that we are still here."""
        trouble = f"; {self.waiting.trouble.title}" if self.waiting.trouble else ""
        self._talk(f"{self._still_pending()} after {self._elapsed()}{trouble}")

    def _talk(self, text: str) -> None:
        self.bar.clear()
        say(f"upload-tui: {text}.")
        self.bar.draw()

    def _still_pending(self) -> str:
        pending = self.waiting.pending
        shown = ", ".join(pending[:3]) + (" …" if len(pending) > 3 else "")
        return f"{len(pending)} of {len(self.waiting.fates)} still pending ({shown})"

    def _elapsed(self) -> str:
        from upload_tui.tui.formatting import age_text

        return age_text(asyncio.get_running_loop().time() - self._started)

    def _exit_code(self, *, is_over: bool = True) -> int:
        """A failure counts for more than something that is not there, and that for more than time."""
        from upload_tui.monitor.waiting import Fate

        fates = set(self.waiting.fates.values())
        if Fate.MISSED in fates:
            return EXIT_FAILED_UPLOAD
        if Fate.GONE in fates:
            return EXIT_NOT_FOUND
        return self.wish.timeout_exit_code if is_over and Fate.PENDING in fates else EXIT_DONE


@asynccontextmanager
async def _heart(vigil: _Vigil) -> AsyncIterator[None]:
    """Inside this a word is said now and then, if one is wished."""
    seconds = vigil.wish.heartbeat_seconds
    beating = None if seconds is None else asyncio.create_task(_beat(vigil, seconds), name="heartbeat")
    try:
        yield
    finally:
        if beating is not None:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)


async def _beat(vigil: _Vigil, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        vigil.beat()
