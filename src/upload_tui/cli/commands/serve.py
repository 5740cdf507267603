"""`upload-tui serve`: the embedded service over HTTP."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upload_tui.backend import DEFAULT_HISTORY_UPLOADS, MAX_HISTORY_UPLOADS, SCENARIO_DESCRIPTIONS
from upload_tui.cli.support.scenario_options import FaultChoice, fault_option, past_upload_count, start_faults
from upload_tui.errors import UsageError

if TYPE_CHECKING:
    from upload_tui.backend import EmbeddedService, Scenario, ScenarioRunner

__all__ = ["command", "open_listener"]

_SCENARIO_VERIFICATIONS = 3
"""A story goes the same way on every machine; without one, every core verifies."""


@click.command(help="Serve the embedded service over HTTP, on this machine alone unless --host says otherwise.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", default=8902, show_default=True, type=click.IntRange(0, 65535), help="The port; 0 picks a free one."
)
@click.option(
    "--db", "database", type=click.Path(path_type=Path, dir_okay=False), help="Keep the records in this file."
)
@click.option("--storage", type=click.Path(path_type=Path, file_okay=False), help="Keep the bytes in this folder.")
@click.option(
    "--design",
    default="a",
    show_default=True,
    type=click.Choice(["a", "b", "deployed"]),
    help="The shape of the status.",
)
@click.option(
    "--scenario",
    type=click.Choice(list(SCENARIO_DESCRIPTIONS)),
    help="Tell this story; without it the service waits for clients.",
)
@click.option("--seed", default=902, show_default=True, type=int, help="The same seed tells the same story.")
@click.option(
    "--speed", default=1.0, show_default=True, type=click.FloatRange(0, 16), help="Seconds of the story in a second."
)
@click.option(
    "--uploads",
    type=click.IntRange(0, MAX_HISTORY_UPLOADS),
    help=f"How many finished uploads the scenario history begins with.  [default: {DEFAULT_HISTORY_UPLOADS}]",
)
@fault_option()
@click.option("--control", is_flag=True, help="Let faults be started and ended at /api/v1/control/faults.")
@click.option("--json", "as_json", is_flag=True, help="Say where the service is as one line of JSON.")
def command(
    host: str,
    port: int,
    database: Path | None,
    storage: Path | None,
    design: str,
    scenario: str | None,
    seed: int,
    speed: float,
    uploads: int | None,
    faults: "Sequence[FaultChoice]",
    control: bool,
    as_json: bool,
) -> int:
    """Run the service until interrupted."""
    from upload_tui.backend import EmbeddedService
    from upload_tui.clock import PacedClock, SystemClock
    from upload_tui.wire import StatusShape

    past_uploads = past_upload_count(scenario, uploads)
    story = None if scenario is None else _scenario(scenario)
    clock = SystemClock() if story is None else PacedClock(0.0, start_on=_start_time(story))
    listener = open_listener(host, port)
    base_url = f"http://{_url_host(host)}:{listener.getsockname()[1]}"
    service = EmbeddedService(
        clock=clock,
        status_shape=StatusShape(design),
        database=database,
        storage=storage,
        seed=seed if story else None,
        verifications_at_once=_SCENARIO_VERIFICATIONS if story else os.cpu_count() or 1,
        has_control=control,
        base_url=base_url,
    )
    teller = (
        story.create_runner(service, clock, seed, past_uploads) if story and isinstance(clock, PacedClock) else None
    )
    begin = partial(_start, service, faults, partial(_print_access, service, design, scenario, as_json=as_json))
    asyncio.run(_serve(service, listener, begin, _run_scenario(story, teller, speed)))
    return 0


def _scenario(name: str) -> "Scenario":
    from upload_tui.backend import SCENARIOS

    return SCENARIOS[name]


def _start_time(scenario: "Scenario") -> datetime:
    return datetime.now(UTC) - timedelta(seconds=scenario.history_seconds)


def open_listener(host: str, port: int) -> socket.socket:
    """An open port, so that its number can be told before the first request; 0 picks a free one.

    Raises:
        UsageError: it cannot be opened.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # told so, asyncio sends at once
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()  # whoever reads the URL may knock at once: they wait, rather than being turned away
    except OSError as error:
        raise UsageError(
            f"Port {port} of {host} cannot be opened: {error.strerror}", "Choose another --port, or 0."
        ) from error
    return listener


def _url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _start(service: "EmbeddedService", faults: "Sequence[FaultChoice]", print_access: Callable[[], None]) -> None:
    """The past has been told: from now on things go wrong, and clients may come."""
    start_faults(service.faults, faults)
    print_access()


def _print_access(service: "EmbeddedService", design: str, scenario: str | None, *, as_json: bool) -> None:
    """Where the service is and how to be let in: the URL first, then the keys."""
    from upload_tui import __version__

    account, token = service.account, service.new_token()
    if as_json:
        facts = {
            "url": service.base_url,
            "agent_key": account.agent_key,
            "user_key": account.user_key,
            "token": token,
            "project": {"id": service.project.id, "name": service.project.name},
            "design": design,
            "scenario": scenario,
            "version": __version__,
        }
        click.echo(json.dumps(facts))
        return
    click.echo(service.base_url)
    for label, value in (
        ("agent_key", account.agent_key),
        ("user_key", account.user_key),
        ("token", token),
        ("project", f"{service.project.id}  {service.project.name}"),
    ):
        click.echo(f"{label:<10} {value}")


async def _serve(
    service: "EmbeddedService",
    listener: socket.socket,
    start: Callable[[], None],
    running_scenario: AbstractAsyncContextManager[None],
) -> None:
    from upload_tui.backend import http_server

    async with service, running_scenario:
        start()
        await http_server(service.app).serve(sockets=[listener])


@asynccontextmanager
async def _run_scenario(
    scenario: "Scenario | None", runner: "ScenarioRunner | None", speed: float
) -> AsyncIterator[None]:
    """Inside this the story goes on; its past has been told, so that a token given now lasts from now."""
    if scenario is None or runner is None:
        yield
        return
    await scenario.history_script(runner)
    runner.clock.set_rate(speed)
    telling = asyncio.create_task(scenario.live_script(runner), name="story")
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        await runner.close()
