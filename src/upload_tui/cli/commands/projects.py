"""`upload-tui projects`: the projects that the account can see."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from upload_tui.cli.access.access import open_access
from upload_tui.cli.exit_codes import exit_code
from upload_tui.cli.support.options import effective_settings, service_options
from upload_tui.cli.support.output import Column, Printer, echo_message, output_option
from upload_tui.cli.support.signals import run_async
from upload_tui.cli.support.streams import continues_without_output
from upload_tui.settings import Flags, ServiceSettings

if TYPE_CHECKING:
    from upload_tui.monitor import ProjectRef
    from upload_tui.wire import Project

    _Project = Project | ProjectRef

__all__ = ["command"]

_COLUMNS = (Column("ID", lambda record: record["id"]), Column("NAME", lambda record: record["name"], min_width=12))


@click.command(help="List the projects that the account can see.")
@service_options
@output_option
@continues_without_output
def command(output: str | None, *, flags: Flags) -> int:
    """List projects; with `--project`, those with these ids or names."""
    settings = effective_settings(flags)
    printer = Printer(output, _COLUMNS, fields=("id", "name"))
    projects, notice, code = run_async(_projects(settings))
    found = {name: _named(projects, name) for name in flags.values.get("projects", ())}
    shown = dict.fromkeys(itertools.chain.from_iterable(found.values())) if found else projects
    printer.print_records({"id": project.id, "name": project.name} for project in shown)
    if notice:
        echo_message(f"{notice}.")
    # A source has already reported those that it lacks.
    missing = [] if settings.command else [name for name, ones in found.items() if not ones]
    for name in missing:
        echo_message(f"no project with the id or name {name} at {settings.url}.")
    return exit_code(is_missing=bool(missing)) or code


def _named(projects: "Sequence[_Project]", name: str) -> "Sequence[_Project]":
    """The projects with this id or name, or else with this id in another case."""
    exact = [project for project in projects if name in {project.id, project.name}]
    return exact or [project for project in projects if project.id.casefold() == name.casefold()]


async def _projects(settings: ServiceSettings) -> "tuple[Sequence[_Project], str, int]":
    async with open_access(settings) as access:
        return await access.list_projects()
