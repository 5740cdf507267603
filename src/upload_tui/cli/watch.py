"""`upload-tui watch`: the dashboard over a service."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from upload_tui.cli.screen import need_terminal, show
from upload_tui.errors import NotFoundError
from upload_tui.settings import ServiceSettings, read_settings

if TYPE_CHECKING:
    from upload_tui.client.service_client import ServiceClient
    from upload_tui.monitor.picture import ProjectRef

__all__ = ["command"]


@click.command(help="Watch the uploads of projects in the dashboard; PROJECT is an id or a name.")
@click.argument("projects", nargs=-1, metavar="[PROJECT]...")
@click.option("--url", metavar="URL", help="The service, with or without /api/v1 (or UPLOAD_TUI_URL).")
@click.option(
    "--project", "more_projects", multiple=True, metavar="PROJECT", help="A project's id or name; may be repeated."
)
@click.option("--token-file", type=click.Path(path_type=Path), help="A file with the token (or UPLOAD_TUI_TOKEN).")
@click.option("--insecure-http", is_flag=True, help="Allow plain http:// to other machines.")
def command(
    projects: tuple[str, ...] = (),
    url: str | None = None,
    more_projects: tuple[str, ...] = (),
    token_file: Path | None = None,
    insecure_http: bool = False,
) -> int:
    """Run the dashboard."""
    settings = read_settings(
        os.environ, url=url, projects=(*projects, *more_projects), token_file=token_file, insecure_http=insecure_http
    )
    need_terminal()
    return asyncio.run(_watch(settings))


async def _watch(settings: ServiceSettings) -> int:
    from upload_tui.client.credentials import Credentials
    from upload_tui.client.service_client import ServiceClient
    from upload_tui.clock import SystemClock
    from upload_tui.monitor.live_session import LiveSession
    from upload_tui.monitor.store import Store
    from upload_tui.tui.app import UploadApp

    credentials = Credentials(settings.token, settings.agent_key, settings.user_key)
    store = Store()
    try:
        async with ServiceClient(settings.url, credentials) as client:
            projects = await find_projects(client, settings.projects)
            title = urlsplit(client.root).netloc.rpartition("@")[2]
            session = LiveSession(client, projects, store, clock=SystemClock(), title=title)
            return await show(UploadApp(session))
    finally:
        store.close()


async def find_projects(client: "ServiceClient", wanted: Sequence[str]) -> "Sequence[ProjectRef]":
    """The projects that were named, or all that the account sees; each once.

    Raises:
        NotFoundError: one is not there, or there is none at all.
    """
    from upload_tui.monitor.picture import ProjectRef

    found = [await client.find_project(name) for name in wanted] if wanted else await client.projects()
    if not found:
        raise NotFoundError(f"This account sees no project of {client.root}", "Ask for access to one.")
    return list(dict.fromkeys(ProjectRef(project.id, project.name) for project in found))
