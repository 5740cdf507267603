"""`upload-tui projects`: the projects that the account can see."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from upload_tui.cli.access.access import open_access
from upload_tui.cli.support.error_reporting import run_async
from upload_tui.cli.support.options import effective_settings, service_options
from upload_tui.cli.support.output import Column, Printer, echo_message, output_option
from upload_tui.settings import Flags, ServiceSettings

if TYPE_CHECKING:
    from upload_tui.monitor import ProjectRef
    from upload_tui.wire import Project

__all__ = ["command"]

_COLUMNS = (Column("ID", lambda record: record["id"]), Column("NAME", lambda record: record["name"], min_width=12))


@click.command(help="List the projects that the account can see.")
@service_options
@output_option
def command(output: str | None, *, flags: Flags) -> int:
    """List projects."""
    settings = effective_settings(flags)
    printer = Printer(output, _COLUMNS, fields=("id", "name"))
    projects, notice, code = run_async(_projects(settings))
    names = set(flags.values.get("projects", ()))
    printer.print_records(
        {"id": project.id, "name": project.name}
        for project in projects
        if not names or names & {project.id, project.name}
    )
    if notice:
        echo_message(f"{notice}.")
    return code


async def _projects(settings: ServiceSettings) -> "tuple[Sequence[Project | ProjectRef], str, int]":
    async with open_access(settings) as access:
        return await access.list_projects()
