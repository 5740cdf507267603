"""`upload-tui serve`: the embedded service over HTTP."""

import json
import os
import re
import shlex
import socket
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
from msgspec import Struct

from upload_tui.cli.support.listener import open_listener
from upload_tui.cli.support.options import FilePath, NumberRange
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
from upload_tui.cli.support.signals import run_until_signal

if TYPE_CHECKING:
    from upload_tui.backend import EmbeddedService
    from upload_tui.clock import Clock

__all__ = ["command"]


class ServeOptions(Struct, frozen=True):
    """The options of the command."""

    host: str
    port: int
    database: Path | None
    storage: Path | None
    memory_mib: int
    design: str
    scenario: str | None
    seed: int
    speed: float
    past_uploads: int
    faults: Sequence[FaultChoice]
    control: bool
    grace_seconds: float
    cors_origins: Sequence[str]
    as_json: bool


_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?|[0-9a-f:.]*:[0-9a-f:.]*")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def _check_origins(_: click.Context, __: click.Parameter, origins: Sequence[str]) -> Sequence[str]:
    """Check origins; return them in the form in which browsers send them."""
    return [_browser_origin(origin) for origin in origins]


def _browser_origin(origin: str) -> str:
    """Write an origin as browsers do: in lower case, in ASCII, without the scheme's own port."""
    if origin == "*":
        return origin
    try:
        parts = urlsplit(origin)
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except ValueError:  # also of the host's encoding
        raise _not_an_origin(origin) from None
    if parts.scheme not in _DEFAULT_PORTS or "@" in parts.netloc or any(parts[2:]) or not _HOST.fullmatch(host):
        raise _not_an_origin(origin)
    suffix = "" if port in {None, _DEFAULT_PORTS[parts.scheme]} else f":{port}"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{suffix}"


def _not_an_origin(origin: str) -> click.BadParameter:
    return click.BadParameter(f"{origin!r} is not an origin such as https://example.org or http://localhost:3000.")


@click.command(help="Serve the embedded service over HTTP, on this machine only unless --host is given.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8902, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 picks a free one."
)
@database_option
@click.option("--storage", type=FilePath(is_folder=True), help="Keep uploaded bytes in this folder.")
@click.option(
    "--memory",
    "memory_mib",
    metavar="MIB",
    default=24,
    show_default=True,
    type=click.IntRange(1, 1_000_000),
    help="How many MiB of uploaded bytes are kept without --storage; more are refused until others are purged.",
)
@scenario_options(None, "Scenario to run; by default the service waits for clients.")
@click.option("--control", is_flag=True, help="Let clients start and stop faults at /api/v1/control/faults.")
@click.option(
    "--grace",
    "grace_seconds",
    metavar="SECONDS",
    default=5.0,
    show_default=True,
    type=NumberRange(0, 3600),
    help="How long requests in progress may take to end when the service is stopped.",
)
@click.option(
    "--cors",
    "cors_origins",
    metavar="ORIGIN",
    multiple=True,
    callback=_check_origins,
    help="Let web pages of this origin call the service; * for all. May be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the URL and the credentials as one line of JSON.")
def command(uploads: int | None, **chosen: Any) -> int:
    """Run the service until a signal stops it."""
    options = ServeOptions(past_uploads=past_upload_count(chosen["scenario"], uploads), **chosen)
    with open_listener(options.host, options.port) as listener:
        return run_until_signal(_serve(options, listener))


async def _serve(options: ServeOptions, listener: socket.socket) -> None:
    from upload_tui.backend import SCENARIOS, http_server
    from upload_tui.clock import SystemClock

    running: AbstractAsyncContextManager[None] = nullcontext()
    base_url = f"http://{_url_host(options.host)}:{listener.getsockname()[1]}"
    if options.scenario is None:
        service = _create_service(options, base_url, SystemClock())
    else:
        scenario = SCENARIOS[options.scenario]
        clock = scenario_clock(scenario)
        service = _create_service(options, base_url, clock)
        progress = partial(_print_progress, options.past_uploads)
        runner = scenario.create_runner(service, clock, options.seed, options.past_uploads, progress)
        running = running_scenario(scenario, runner, options.speed, has_real_time=True)
    async with service, running:
        start_faults(service.faults, options.faults)
        token = service.new_token()  # the history is over, so its lifetime starts now
        click.echo(_access_json(options, service, token) if options.as_json else _access_text(service, token))
        await http_server(service.app, grace_seconds=options.grace_seconds).serve(sockets=[listener])


def _create_service(options: ServeOptions, base_url: str, clock: "Clock") -> "EmbeddedService":
    from upload_tui.backend import EmbeddedService
    from upload_tui.wire import StatusShape

    has_scenario = options.scenario is not None
    return EmbeddedService(
        clock=clock,
        status_shape=StatusShape(options.design),
        database=options.database,
        storage=options.storage,
        memory_bytes=options.memory_mib * 1024 * 1024,
        seed=options.seed if has_scenario else None,
        verifications_at_once=SCENARIO_VERIFICATIONS if has_scenario else os.cpu_count() or 1,
        has_control=options.control,
        cors_origins=options.cors_origins,
        base_url=base_url,
    )


def _print_progress(total: int, imported: int) -> None:
    """Show on a terminal how far the past uploads are built, in one line that is erased at the end."""
    if sys.stderr.isatty():
        line = history_progress(imported, total)
        click.echo(f"\r{line if imported < total else ' ' * len(line) + chr(13)}", err=True, nl=False)


_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104  # what is printed for it
"""The address on this machine of a service that listens on all addresses."""


def _url_host(host: str) -> str:
    host = _LOOPBACK_OF.get(host, host)
    return f"[{host}]" if ":" in host else host


def _access_json(options: ServeOptions, service: "EmbeddedService", token: str) -> str:
    """The URL and the credentials as one line of JSON."""
    from upload_tui import __version__

    record = {
        "url": service.base_url,
        "agent_key": service.account.agent_key,
        "user_key": service.account.user_key,
        "token": token,
        "project": {"id": service.project.id, "name": service.project.name},
        "design": options.design,
        "scenario": options.scenario,
        "version": __version__,
    }
    return json.dumps(record)


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
