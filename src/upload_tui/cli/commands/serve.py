"""`upload-tui serve`: the embedded service over HTTP."""

import asyncio
import json
import os
import shlex
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upload_tui.cli.support.listener import open_listener
from upload_tui.cli.support.scenarios import (
    SCENARIO_VERIFICATIONS,
    FaultChoice,
    past_upload_count,
    running_scenario,
    scenario_clock,
    scenario_options,
    start_faults,
)
from upload_tui.errors import EXIT_OK

if TYPE_CHECKING:
    from upload_tui.backend import EmbeddedService

__all__ = ["command"]


@click.command(help="Serve the embedded service over HTTP, on this machine only unless --host is given.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8902, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 picks a free one."
)
@click.option("--db", "database", type=click.Path(path_type=Path, dir_okay=False), help="Keep records in this file.")
@click.option("--storage", type=click.Path(path_type=Path, file_okay=False), help="Keep uploaded bytes in this folder.")
@scenario_options(None, "Scenario to run; by default the service waits for clients.")
@click.option("--control", is_flag=True, help="Let clients start and stop faults at /api/v1/control/faults.")
@click.option("--json", "as_json", is_flag=True, help="Print the URL and the credentials as one line of JSON.")
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
    faults: Sequence[FaultChoice],
    control: bool,
    as_json: bool,
) -> int:
    """Run the service until interrupted."""
    from upload_tui.backend import SCENARIOS, EmbeddedService
    from upload_tui.clock import SystemClock
    from upload_tui.wire import StatusShape

    past_uploads = past_upload_count(scenario, uploads)
    chosen = None if scenario is None else SCENARIOS[scenario]
    scenario_time = None if chosen is None else scenario_clock(chosen)
    listener = open_listener(host, port)
    service = EmbeddedService(
        clock=scenario_time or SystemClock(),
        status_shape=StatusShape(design),
        database=database,
        storage=storage,
        seed=seed if chosen else None,
        verifications_at_once=SCENARIO_VERIFICATIONS if chosen else os.cpu_count() or 1,
        has_control=control,
        base_url=f"http://{_url_host(host)}:{listener.getsockname()[1]}",
    )
    running: AbstractAsyncContextManager[None] = nullcontext()
    if chosen and scenario_time:
        running = running_scenario(chosen, chosen.create_runner(service, scenario_time, seed, past_uploads), speed)
    start = partial(_start, service, faults, _access_json(design, scenario) if as_json else _access_text)
    asyncio.run(_serve(service, listener, running, start))
    return EXIT_OK


def _url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _start(
    service: "EmbeddedService", faults: Sequence[FaultChoice], format_access: "Callable[[EmbeddedService, str], str]"
) -> None:
    """Start the faults and print how to reach the service; the history is over, so a new token's lifetime starts now."""
    start_faults(service.faults, faults)
    click.echo(format_access(service, service.new_token()))


def _access_json(design: str, scenario: str | None) -> "Callable[[EmbeddedService, str], str]":
    from upload_tui import __version__

    def format_access(service: "EmbeddedService", token: str) -> str:
        record = {
            "url": service.base_url,
            "agent_key": service.account.agent_key,
            "user_key": service.account.user_key,
            "token": token,
            "project": {"id": service.project.id, "name": service.project.name},
            "design": design,
            "scenario": scenario,
            "version": __version__,
        }
        return json.dumps(record)

    return format_access


def _access_text(service: "EmbeddedService", token: str) -> str:
    """The URL and the credentials, then the variables with which other commands use this service, ready to paste."""
    variables = {
        "UPLOAD_TUI_URL": service.base_url,
        "UPLOAD_TUI_TOKEN": token,
        "UPLOAD_TUI_PROJECT": service.project.id,
    }
    return "\n".join(
        (
            service.base_url,
            f"agent_key  {service.account.agent_key}",
            f"user_key   {service.account.user_key}",
            f"token      {token}",
            f"project    {service.project.id}  {service.project.name}",
            *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        )
    )


async def _serve(
    service: "EmbeddedService",
    listener: socket.socket,
    running: AbstractAsyncContextManager[None],
    start: Callable[[], None],
) -> None:
    from upload_tui.backend import http_server

    async with service, running:
        start()
        await http_server(service.app).serve(sockets=[listener])
