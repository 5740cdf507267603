"""`upload-tui demo`: the dashboard over the embedded service, in one process."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from upload_tui.backend import DEFAULT_HISTORY_UPLOADS, DEFAULT_SCENARIO, MAX_HISTORY_UPLOADS, SCENARIO_DESCRIPTIONS
from upload_tui.cli.dashboard.preferences import dashboard_preferences
from upload_tui.cli.dashboard.terminal import require_terminal, run_dashboard
from upload_tui.cli.support.scenario_options import FaultChoice, fault_option, past_upload_count, start_faults
from upload_tui.cli.support.service import effective_display_settings
from upload_tui.clock import PacedClock, SystemClock
from upload_tui.errors import EXIT_OK

if TYPE_CHECKING:
    from upload_tui.backend import EmbeddedService, Scenario, ScenarioRunner
    from upload_tui.monitor import Session
    from upload_tui.tui import Fault

__all__ = ["DemoService", "command"]

_SPEEDS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_CONCURRENT_VERIFICATIONS = 3


class DemoOptions(Struct, frozen=True):
    """What was asked for."""

    scenario: str
    seed: int
    speed: float
    design: str
    database: Path | None
    past_uploads: int
    faults: Sequence[FaultChoice]


@click.command(help="Watch the dashboard over an embedded service: no port, no network, no account.")
@click.option(
    "--scenario",
    default=DEFAULT_SCENARIO,
    show_default=True,
    type=click.Choice(list(SCENARIO_DESCRIPTIONS)),
    help="Which story is told.",
)
@click.option("--seed", default=902, show_default=True, type=int, help="The same seed tells the same story.")
@click.option(
    "--speed", default=1.0, show_default=True, type=click.FloatRange(0, 16), help="Seconds of the story in a second."
)
@click.option(
    "--design",
    default="a",
    show_default=True,
    type=click.Choice(["a", "b", "deployed"]),
    help="The shape of the status.",
)
@click.option(
    "--db", "database", type=click.Path(path_type=Path, dir_okay=False), help="Keep the service's records in this file."
)
@click.option("--web", is_flag=True, help="Show it to a browser on this machine (needs the extra `web`).")
@click.option(
    "--port",
    default=8903,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Where, with --web; 0 picks a free one.",
)
@click.option(
    "--uploads",
    type=click.IntRange(0, MAX_HISTORY_UPLOADS),
    help=f"How many finished uploads the scenario history begins with.  [default: {DEFAULT_HISTORY_UPLOADS}]",
)
@fault_option()
def command(uploads: int | None, web: bool, port: int, **chosen: Any) -> int:
    """Run the demo."""
    options = DemoOptions(past_uploads=past_upload_count(chosen["scenario"], uploads), **chosen)
    if web:
        from upload_tui.cli.dashboard.browser import serve_in_browser

        serve_in_browser([sys.executable, "-m", "upload_tui", "demo", *_command_line(options)], port)
        return EXIT_OK
    require_terminal()
    return asyncio.run(_run(options))


def _command_line(options: DemoOptions) -> Iterator[str]:
    """The options as a command line has them."""
    yield f"--scenario={options.scenario}"
    yield f"--seed={options.seed}"
    yield f"--speed={options.speed}"
    yield f"--design={options.design}"
    if options.scenario == "history":
        yield f"--uploads={options.past_uploads}"
    for name, value in options.faults:
        yield f"--fault={name}" if value is None else f"--fault={name}={value}"
    if options.database is not None:
        yield f"--db={options.database.absolute()}"


async def _run(options: DemoOptions) -> int:
    from upload_tui.monitor import DeferredSession
    from upload_tui.tui import UploadApp

    story = DemoService(options)
    session = DeferredSession("demo", SystemClock(), story.open)
    return await run_dashboard(
        UploadApp(session, controls=story, preferences=dashboard_preferences(effective_display_settings()))
    )


class DemoClock:
    """The story's time of day, but the machine's own seconds for waiting: the picture is refreshed also while the story is held."""

    def __init__(self, clock: PacedClock) -> None:
        self._clock = clock
        self._machine = SystemClock()

    def now(self) -> datetime:
        """The story's present."""
        return self._clock.now()

    def monotonic(self) -> float:
        """The machine's seconds."""
        return self._machine.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait so many of the machine's seconds."""
        await self._machine.sleep(seconds)


class DemoService:
    """The story that the demo tells; implements the controls of the dashboard's keys.

    Nothing of the service is imported before `open`, which runs after the first frame.
    """

    def __init__(self, options: DemoOptions) -> None:
        self._options = options
        self._speed = options.speed
        self._clock: PacedClock | None = None
        self._runner: ScenarioRunner | None = None

    @property
    def speed(self) -> float:
        """Seconds of the story in a second."""
        return self._speed

    @property
    def faults(self) -> "Sequence[Fault]":
        """What can be broken."""
        from upload_tui.backend import FAULT_DESCRIPTIONS
        from upload_tui.tui import Fault

        return [Fault(name, description) for name, description in FAULT_DESCRIPTIONS.items()]

    @property
    def active_faults(self) -> Mapping[str, float]:
        """The faults in force, with the seconds that are left."""
        if self._runner is None:
            return {}
        faults = self._runner.service.faults
        return {str(name): faults.seconds_left(name) for name in faults.active}

    def start_upload(self) -> None:
        """Begin one more upload."""
        if self._runner is not None:
            self._runner.start(self._runner.planner.plan())

    def start_fault(self, fault_name: str) -> None:
        """Let a fault happen."""
        from upload_tui.backend import FaultName

        if self._runner is not None:
            self._runner.service.faults.start(FaultName(fault_name))

    def slower(self) -> None:
        """The next slower pace."""
        self._set_speed(max((pace for pace in _SPEEDS if pace < self._speed), default=0.0))

    def faster(self) -> None:
        """The next faster pace."""
        self._set_speed(min((pace for pace in _SPEEDS if pace > self._speed), default=_SPEEDS[-1]))

    def step(self) -> None:
        """Let a second of the story pass."""
        if self._clock is not None:
            self._clock.step(1.0)

    def _set_speed(self, speed: float) -> None:
        self._speed = speed
        if self._clock is not None:
            self._clock.set_rate(speed)

    @asynccontextmanager
    async def open(self) -> "AsyncIterator[Session]":
        """Start the service, tell the past, then go on telling while the session is open."""
        await asyncio.to_thread(_import_packages)
        from upload_tui.backend import SCENARIOS, EmbeddedService
        from upload_tui.wire import StatusShape

        options = self._options
        scenario = SCENARIOS[options.scenario]
        clock = PacedClock(0.0, start_on=datetime.now(UTC) - timedelta(seconds=scenario.history_seconds))
        service = EmbeddedService(
            clock=clock,
            status_shape=StatusShape(options.design),
            database=options.database,
            seed=options.seed,
            verifications_at_once=_CONCURRENT_VERIFICATIONS,
        )
        async with service:
            self._clock = clock
            self._runner = scenario.create_runner(service, clock, options.seed, options.past_uploads)
            async with self._run_scenario(scenario, clock), _open_session(service, clock) as session:
                yield session

    @asynccontextmanager
    async def _run_scenario(self, scenario: "Scenario", clock: PacedClock) -> AsyncIterator[None]:
        assert self._runner is not None  # noqa: S101  # made just before
        await scenario.history_script(self._runner)
        start_faults(self._runner.service.faults, self._options.faults)
        clock.set_rate(self._speed)
        telling = asyncio.create_task(scenario.live_script(self._runner), name="story")
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            await self._runner.close()


def _import_packages() -> None:
    """What takes long to import, in a thread, while the first frame is on the screen."""
    from upload_tui.backend import SCENARIOS  # noqa: F401
    from upload_tui.client import ServiceClient  # noqa: F401
    from upload_tui.monitor import LiveSession  # noqa: F401


@asynccontextmanager
async def _open_session(service: "EmbeddedService", clock: PacedClock) -> "AsyncIterator[Session]":
    import httpx

    from upload_tui.client import Credentials, ServiceClient
    from upload_tui.monitor import LiveSession, ProjectRef, Schedule, Store

    account, time = service.account, DemoClock(clock)
    credentials = Credentials(agent_key=account.agent_key, user_key=account.user_key)
    store = Store()
    try:
        transport = httpx.ASGITransport(app=service.app)
        async with ServiceClient(service.base_url, credentials, transport=transport, clock=time) as client:
            project = ProjectRef(service.project.id, service.project.name)
            schedule = Schedule(shortest_seconds=0.4, longest_pending_seconds=1.0, longest_idle_seconds=2.0)
            yield LiveSession(client, [project], store, clock=time, title="demo", schedule=schedule)
    finally:
        store.close()
