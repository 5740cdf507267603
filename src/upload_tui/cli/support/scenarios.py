"""What `serve` and `demo` share: the options of the embedded service, its port, and running its scenario."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from upload_tui.backend import DEFAULT_HISTORY_UPLOADS, MAX_HISTORY_UPLOADS, SCENARIO_DESCRIPTIONS
from upload_tui.cli.support.options import FilePath, NumberRange
from upload_tui.clock import PacedClock, SystemClock
from upload_tui.errors import UsageError

if TYPE_CHECKING:
    from upload_tui.backend import Faults, Scenario, ScenarioRunner

__all__ = [
    "FaultChoice",
    "SCENARIO_VERIFICATIONS",
    "database_option",
    "history_progress",
    "past_upload_count",
    "running_scenario",
    "scenario_clock",
    "scenario_options",
    "start_faults",
]

FaultChoice = tuple[str, float | None]
"""A fault's name and value."""
SCENARIO_VERIFICATIONS = 3
"""How many uploads are verified at once in a scenario: the same on every machine, so that it always runs the same way."""


def _parse_faults(_: click.Context, __: click.Parameter, texts: Sequence[str]) -> Sequence[FaultChoice]:
    return [_parse_fault(text) for text in texts]


def _parse_fault(text: str) -> FaultChoice:
    from upload_tui.backend import LARGEST_VALUE, FaultName

    name, separator, value = text.partition("=")
    try:
        fault = FaultName(name)
    except ValueError:
        raise click.BadParameter(f"there is no fault {name!r}; the faults are {', '.join(FaultName)}") from None
    if not separator:
        return fault, None
    try:
        number = float(value)
    except ValueError:
        raise click.BadParameter(f"the value of {fault} must be a number, not {value!r}") from None
    if not abs(number) <= LARGEST_VALUE:
        raise click.BadParameter(f"the value of {fault} must lie between -{LARGEST_VALUE} and {LARGEST_VALUE}")
    return fault, number


_COMMON_OPTIONS = (
    click.option(
        "--seed", default=902, show_default=True, type=int, help="Random seed; the same seed gives the same uploads."
    ),
    click.option(
        "--speed",
        default=1.0,
        show_default=True,
        type=NumberRange(0, 16),
        help="Playback speed of the scenario; 0 pauses it.",
    ),
    click.option(
        "--design",
        default="a",
        show_default=True,
        type=click.Choice(["a", "b", "deployed"]),
        help="Status format of responses: Option A, Option B or deployed.",
    ),
    click.option(
        "--uploads",
        type=click.IntRange(0, MAX_HISTORY_UPLOADS),
        help=f"Number of finished uploads that the scenario history starts with.  [default: {DEFAULT_HISTORY_UPLOADS}]",
    ),
    click.option(
        "--fault",
        "faults",
        multiple=True,
        metavar="NAME[=VALUE]",
        callback=_parse_faults,
        help="Inject a fault from the start; may be repeated. An unknown name lists them all.",
    ),
)


_IN_MEMORY = ":memory:"


def _database_path(_: click.Context, __: click.Parameter, file: Path | None) -> Path | None:
    return None if file == Path(_IN_MEMORY) else file


def database_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--db`; the command gets None for a database in memory."""
    return click.option(
        "--db",
        "database",
        type=FilePath(),
        callback=_database_path,
        help="Keep the records in this file; by default, and with :memory:, in memory.",
    )(command)


def scenario_options(default: str | None, scenario_help: str) -> Callable[[Any], Any]:
    """Make a decorator that adds `--scenario`, `--seed`, `--speed`, `--design`, `--uploads` and `--fault`.

    Args:
        default: the scenario that runs if none is named; None runs none.
        scenario_help: the help of `--scenario`.
    """
    scenario = click.option(
        "--scenario",
        default=default,
        show_default=default is not None,
        type=click.Choice(list(SCENARIO_DESCRIPTIONS)),
        help=scenario_help,
    )

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed((scenario, *_COMMON_OPTIONS)):
            command = option(command)
        return command

    return add


def past_upload_count(scenario: str | None, uploads: int | None) -> int:
    """The number of uploads that the scenario `history` starts with; `uploads` is the option's value, None if it is not given.

    Raises:
        UsageError: the option is given for another scenario.
    """
    if uploads is not None and scenario != "history":
        raise UsageError("--uploads belongs to the scenario history", "Add --scenario history.")
    return DEFAULT_HISTORY_UPLOADS if uploads is None else uploads


def scenario_clock(scenario: "Scenario") -> PacedClock:
    """Make a paused clock that starts where the scenario's history starts, so that the history ends now."""
    return PacedClock(0.0, start_on=SystemClock().now() - timedelta(seconds=scenario.history_seconds))


@asynccontextmanager
async def running_scenario(
    scenario: "Scenario", runner: "ScenarioRunner", speed: float, *, has_real_time: bool = False
) -> AsyncIterator[None]:
    """Run the history at once; then run the scenario at a speed until the context is left.

    With `has_real_time` the service's time of day is that of this machine at any speed: clients cannot follow a faster one.
    """
    await scenario.history_script(runner)
    if has_real_time:
        runner.clock.use_time_of_base()
    runner.clock.set_rate(speed)
    task = asyncio.create_task(scenario.live_script(runner), name="scenario")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await runner.close()


def start_faults(faults: "Faults", choices: Sequence[FaultChoice]) -> None:
    """Start faults, each until it is stopped or its value ends it."""
    from upload_tui.backend import FaultName

    for name, value in choices:
        faults.start_until_stopped(FaultName(name), value)


def history_progress(imported: int, total: int) -> str:
    """Describe how far the past uploads of a scenario are built: `building past uploads: 40,000 of 100,000`."""
    return f"building past uploads: {imported:,} of {total:,}"
