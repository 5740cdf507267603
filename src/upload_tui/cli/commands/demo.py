"""`upload-tui demo`: the dashboard over the embedded service, in one process."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from upload_tui.backend import DEFAULT_SCENARIO
from upload_tui.cli.support.dashboard import require_terminal, run_dashboard
from upload_tui.cli.support.options import effective_display_settings
from upload_tui.cli.support.preferences import dashboard_preferences
from upload_tui.cli.support.scenarios import (
    SCENARIO_VERIFICATIONS,
    FaultChoice,
    database_option,
    history_progress,
    past_upload_count,
    running_scenario,
    scenario_clock,
    scenario_options,
    start_faults,
)
from upload_tui.cli.support.signals import run_async
from upload_tui.cli.support.visits import visit_key
from upload_tui.clock import PacedClock, ShiftedClock, SystemClock
from upload_tui.errors import EXIT_OK
from upload_tui.files import working_folder

if TYPE_CHECKING:
    from upload_tui.backend import EmbeddedService, ScenarioRunner
    from upload_tui.monitor import ChangeBroadcaster, DeferredSession, Session
    from upload_tui.tui import Fault

__all__ = ["command"]

_TITLE = "demo"
_SPEEDS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


class DemoOptions(Struct, frozen=True):
    """The options of the command."""

    scenario: str
    seed: int
    speed: float
    design: str
    database: Path | None
    past_uploads: int
    faults: Sequence[FaultChoice]


@click.command(help="Show the dashboard over an embedded service: no port, no network, no account.")
@scenario_options(DEFAULT_SCENARIO, "Scenario to run.")
@database_option
@click.option(
    "--web",
    is_flag=True,
    help="Show the demo in a browser on this machine (needs the extra `web`); `/?fontsize=28` after its URL enlarges the text.",
)
@click.option(
    "--port",
    default=8903,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port for --web; 0 picks a free one.",
)
def command(uploads: int | None, web: bool, port: int, **chosen: Any) -> int:
    """Run the demo."""
    options = DemoOptions(past_uploads=past_upload_count(chosen["scenario"], uploads), **chosen)
    if web:
        from upload_tui.cli.support.dashboard import serve_in_browser

        serve_in_browser([sys.executable, "-m", "upload_tui", "demo", *_command_line(options)], port)
        return EXIT_OK
    require_terminal()
    return run_async(_run(options))


def _command_line(options: DemoOptions) -> Iterator[str]:
    """The options as arguments of a command line."""
    yield f"--scenario={options.scenario}"
    yield f"--seed={options.seed}"
    yield f"--speed={options.speed}"
    yield f"--design={options.design}"
    if options.scenario == "history":
        yield f"--uploads={options.past_uploads}"
    for name, value in options.faults:
        yield f"--fault={name}" if value is None else f"--fault={name}={value}"
    if options.database is not None:
        yield f"--db={working_folder() / options.database}"


async def _run(options: DemoOptions) -> int:
    from upload_tui.monitor import DeferredSession
    from upload_tui.tui import UploadApp

    demo = _DemoService(options)
    session = DeferredSession(_TITLE, SystemClock(), demo.open)
    settings = effective_display_settings()
    app = UploadApp(session, controls=demo, preferences=dashboard_preferences(settings))
    return await run_dashboard(app, visit_key([settings]))


class _DemoService:
    """The embedded service of the demo with its scenario; implements the dashboard's demo controls.

    The dashboard has the controls from the first frame on; `open` starts the service after it. Until then keys do nothing.
    """

    def __init__(self, options: DemoOptions) -> None:
        self._options = options
        self._speed = options.speed
        self._runner: ScenarioRunner | None = None

    @property
    def speed(self) -> float:
        """Seconds of the scenario in a second; 0 is paused."""
        return self._speed

    @property
    def faults(self) -> "Sequence[Fault]":
        """The faults that can be started."""
        from upload_tui.backend import FAULT_DESCRIPTIONS
        from upload_tui.tui import Fault

        return [Fault(name, description) for name, description in FAULT_DESCRIPTIONS.items()]

    @property
    def active_faults(self) -> Mapping[str, float]:
        """The seconds that are left of each active fault, by its name."""
        if self._runner is None:
            return {}
        faults = self._runner.service.faults
        return {str(name): faults.seconds_left(name) for name in faults.active}

    def start_upload(self) -> None:
        """Start one more upload."""
        if self._runner is not None:
            self._runner.start(self._runner.planner.plan())

    def start_fault(self, fault_name: str) -> None:
        """Start a fault."""
        from upload_tui.backend import FaultName

        if self._runner is not None:
            self._runner.service.faults.start(FaultName(fault_name))

    def slower(self) -> None:
        """Set the next lower speed."""
        self._set_speed(max((speed for speed in _SPEEDS if speed < self._speed), default=0.0))

    def faster(self) -> None:
        """Set the next higher speed."""
        self._set_speed(min((speed for speed in _SPEEDS if speed > self._speed), default=_SPEEDS[-1]))

    def step(self) -> None:
        """Advance the scenario by a second."""
        if self._runner is not None:
            self._runner.clock.step(1.0)

    def _set_speed(self, speed: float) -> None:
        self._speed = speed
        if self._runner is not None:
            self._runner.clock.set_rate(speed)

    @asynccontextmanager
    async def open(self, deferred: "DeferredSession") -> "AsyncIterator[Session]":
        """Start the service and run the scenario while the session is open; meanwhile the title says what is built."""
        await asyncio.to_thread(_import_packages)
        from upload_tui.backend import SCENARIOS, EmbeddedService
        from upload_tui.wire import StatusShape

        options = self._options
        scenario = SCENARIOS[options.scenario]
        clock = scenario_clock(scenario)
        service = EmbeddedService(
            clock=clock,
            status_shape=StatusShape(options.design),
            database=options.database,
            seed=options.seed,
            verifications_at_once=SCENARIO_VERIFICATIONS,
        )

        def show_progress(count: int) -> None:
            deferred.title = f"{_TITLE}, {history_progress(count, options.past_uploads)}"

        async with service:
            self._runner = scenario.create_runner(service, clock, options.seed, options.past_uploads, show_progress)
            async with running_scenario(scenario, self._runner, self._speed):
                deferred.title = _TITLE
                start_faults(service.faults, options.faults)
                async with _open_session(service, clock, deferred.changes) as session:
                    yield session


def _import_packages() -> None:
    """Import slow packages in a thread, while the first frame is on screen."""
    from upload_tui.backend import SCENARIOS  # noqa: F401
    from upload_tui.client import ServiceClient  # noqa: F401
    from upload_tui.monitor import LiveSession  # noqa: F401


@asynccontextmanager
async def _open_session(
    service: "EmbeddedService", clock: PacedClock, changes: "ChangeBroadcaster"
) -> "AsyncIterator[Session]":
    import httpx

    from upload_tui.client import Credentials, ServiceClient
    from upload_tui.monitor import LiveSession, ProjectRef, Schedule, Store

    # It shows the scenario's time but waits in real time, so that a paused scenario is still refreshed.
    account, demo_clock = service.account, ShiftedClock(SystemClock(), clock.now)
    credentials = Credentials(agent_key=account.agent_key, user_key=account.user_key)
    store = Store()
    try:
        transport = httpx.ASGITransport(app=service.app)
        async with ServiceClient(service.base_url, credentials, transport=transport, clock=demo_clock) as client:
            client.gate.requests_per_minute = 60
            project = ProjectRef(service.project.id, service.project.name)
            schedule = Schedule(longest_pending_seconds=1.0, longest_idle_seconds=2.0)
            yield LiveSession(client, [project], store, title=_TITLE, schedule=schedule, changes=changes)
    finally:
        store.close()
