"""`upload-tui metrics`: keeps a picture current and serves it to Prometheus."""

import asyncio
import socket
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING

import click

from upload_tui.cli.access.access import deferred_session
from upload_tui.cli.access.outages import ConnectionReporter
from upload_tui.cli.access.service import service_of
from upload_tui.cli.support.listener import open_listener
from upload_tui.cli.support.options import multi_service_options, settings_for_profiles
from upload_tui.cli.support.signals import run_async
from upload_tui.errors import EXIT_OK
from upload_tui.settings import Flags, ServiceSettings

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from upload_tui.client import RequestOutcome
    from upload_tui.clock import Clock
    from upload_tui.monitor import ProjectFigures, ServiceFigures

__all__ = ["command"]

_ADDRESS = "127.0.0.1:9187"


def _parse_address(_: click.Context, __: click.Parameter, text: str) -> tuple[str, int]:
    """Split an address such as `127.0.0.1:9187`, `[::1]:9187` or `:9187`, which is of this machine only."""
    host, colon, port = text.rpartition(":")
    host = host or _ADDRESS.partition(":")[0]
    if not (colon and port.isascii() and port.isdecimal() and int(port) < 1 << 16):
        raise click.BadParameter(f"{text!r} is not an address and a port, such as {_ADDRESS}.")
    return host.removeprefix("[").removesuffix("]"), int(port)


@click.command(
    help="Keep reading the uploads and serve their metrics: /metrics for Prometheus; /healthz answers 200 while they are current, "
    "else 503. A service that cannot be reached is retried until it answers."
)
@click.option(
    "--listen",
    default=_ADDRESS,
    show_default=True,
    metavar="HOST:PORT",
    callback=_parse_address,
    help="Address to listen on; :PORT is 127.0.0.1:PORT, and port 0 picks a free one.",
)
@multi_service_options
def command(listen: tuple[str, int], *, flags: Sequence[Flags]) -> int:
    """Serve metrics until a signal stops it."""
    all_settings = settings_for_profiles(flags)
    with open_listener(*listen, option="--listen") as listener:
        host = f"[{listen[0]}]" if ":" in listen[0] else listen[0]
        click.echo(f"http://{host}:{listener.getsockname()[1]}/metrics")
        run_async(_serve(all_settings, listener))
        return EXIT_OK


async def _serve(all_settings: Sequence[ServiceSettings], listener: socket.socket) -> None:
    from upload_tui.backend import http_server
    from upload_tui.clock import SystemClock

    clock = SystemClock()
    with ExitStack() as stores:
        exporters = [_Exporter(settings, stores, clock) for settings in all_settings]
        async with asyncio.TaskGroup() as group:
            for exporter in exporters:
                group.create_task(exporter.run())
            group.create_task(http_server(_application(exporters)).serve(sockets=[listener]))


class _Exporter:
    """Keeps the picture of one service current, and knows its figures.

    Args:
        settings: the service, or the source.
        stores: closes the store.
        clock: the clock of this machine.
    """

    def __init__(self, settings: ServiceSettings, stores: ExitStack, clock: "Clock") -> None:
        self.service = service_of(settings)
        self._responses: Counter[str] | None = None if settings.command else Counter()
        self._errors = 0
        self._read_on: dict[str, datetime] = {}
        self._figures: dict[str, ProjectFigures] = {}
        self.session = deferred_session(settings, stores, clock, can_retry=True, on_request=self._count)

    async def run(self) -> None:
        """Keep the picture current until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self.session.run())

    async def _follow(self) -> None:
        """Remember when each project was read, all of a source at once; report what cannot be read."""
        from upload_tui.monitor import ConnectionChanged

        reporter = ConnectionReporter(self.session, service=self.service)
        with self.session.changes.subscribe() as changes:
            async for change in changes:
                if not isinstance(change, ConnectionChanged):
                    continue
                connection, project_id = change.connection, change.project.id if change.project else ""
                if connection.read_on is not None:
                    self._read_on[project_id] = connection.read_on
                reporter.report(change.project, connection)

    def _count(self, outcome: "RequestOutcome") -> None:
        if self._responses is not None:
            self._responses[str(outcome.status or "none")] += 1
        self._errors += bool(outcome.error)

    def service_figures(self) -> "ServiceFigures":
        """The figures of the service."""
        from upload_tui.monitor import ServiceFigures

        return ServiceFigures(self.service, self.session.connection().is_live, self._responses, self._errors)

    def project_figures(self) -> "Sequence[ProjectFigures]":
        """The figures of the projects that were read completely, now or in an earlier session."""
        from upload_tui.monitor import project_figures

        times = [(project, self._read_on.get(project.id, self._read_on.get(""))) for project in self.session.projects]
        self._figures = {
            project.id: project_figures(self.session.picture, self.service, project, on, self._figures.get(project.id))
            for project, on in times
            if on is not None
        }
        return [*self._figures.values()]

    def problem(self) -> str:
        """Why the picture is not current; empty if it is."""
        connection = self.session.connection()
        return "" if connection.is_live else f"{self.service}: {connection.reason or connection.state}"


def _application(exporters: Sequence[_Exporter]) -> "Starlette":
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    from upload_tui.monitor import write_metrics
    from upload_tui.text import sanitize

    async def metrics(request: Request) -> Response:
        services = [exporter.service_figures() for exporter in exporters]
        projects = [figures for exporter in exporters for figures in exporter.project_figures()]
        text = write_metrics(services, projects, request.headers.get("accept", ""))
        return Response(text.body, media_type=text.content_type)

    async def health(_: Request) -> Response:
        problems = [sanitize(problem) for exporter in exporters if (problem := exporter.problem())]
        return PlainTextResponse("\n".join(problems or ["ok"]) + "\n", status_code=503 if problems else 200)

    return Starlette(routes=[Route("/metrics", metrics), Route("/healthz", health)])
