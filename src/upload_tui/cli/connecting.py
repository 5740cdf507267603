"""What commands that talk to a service share: their options, the settings in force, the client, and one look at the projects."""

import asyncio
import os
import shlex
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import wraps
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from upload_tui.cli.output import say
from upload_tui.errors import NotFoundError, SettingsError, StorageError
from upload_tui.settings import Flags, Places, ServiceSettings, read_settings

if TYPE_CHECKING:
    from upload_tui.client.service_client import ServiceClient
    from upload_tui.monitor.picture import ProjectRef
    from upload_tui.monitor.session import Session
    from upload_tui.monitor.store import Store

__all__ = [
    "client_for",
    "find_projects",
    "open_store",
    "places",
    "service_options",
    "settings_in_force",
    "while_it_runs",
]

Result = TypeVar("Result")

_TOKEN_COMMAND_SECONDS = 60


def service_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that name a service; the command gets them as one `flags` argument."""

    @wraps(command)
    def with_flags(
        *arguments: Any,
        url: str | None = None,
        project: Sequence[str] = (),
        profile: str | None = None,
        token_file: Path | None = None,
        insecure_http: bool = False,
        **others: Any,
    ) -> Any:
        return command(*arguments, flags=Flags(url, project, profile, token_file, insecure_http), **others)

    for option in (
        click.option("--debug", is_flag=True, expose_value=False, help="Keep a log; show an error's traceback."),
        click.option("--insecure-http", is_flag=True, help="Allow plain http:// to other machines."),
        click.option(
            "--token-file", type=click.Path(path_type=Path), help="A file with the token (or UPLOAD_TUI_TOKEN)."
        ),
        click.option("--profile", metavar="NAME", help="A profile of the settings file."),
        click.option("--project", metavar="PROJECT", multiple=True, help="A project's id or name; may be repeated."),
        click.option("--url", metavar="URL", help="The service, with or without /api/v1 (or UPLOAD_TUI_URL)."),
    ):
        with_flags = option(with_flags)
    return with_flags


def places() -> Places:
    """The files of settings on this machine."""
    from upload_tui.locations import config_file

    return Places(config_file(), Path.home() / ".ddsclient")


def settings_in_force(flags: Flags) -> ServiceSettings:
    """The settings; whatever should be mended is said."""
    settings = read_settings(os.environ, flags, places())
    for warning in settings.warnings:
        say(f"upload-tui: {warning}")
    return settings


@asynccontextmanager
async def client_for(settings: ServiceSettings) -> "AsyncIterator[ServiceClient]":
    """A client of the service that the settings name."""
    import logging
    import ssl

    from upload_tui.client.credentials import Credentials
    from upload_tui.client.service_client import ServiceClient

    # Retries are said where they matter; without a handler of its own each would be written over the screen.
    logging.getLogger("stamina").addHandler(logging.NullHandler())
    token = settings.token or (_token_of(settings.token_command) if settings.token_command else "")
    verify: ssl.SSLContext | bool = True
    if settings.ca_bundle is not None:
        try:
            verify = ssl.create_default_context(cafile=settings.ca_bundle.expanduser())
        except OSError as error:
            raise SettingsError(
                f"The certificates {settings.ca_bundle} cannot be read", "Check ca_bundle, or leave it out."
            ) from error
    credentials = Credentials(token, settings.agent_key, settings.user_key)
    async with ServiceClient(settings.url, credentials, verify=verify) as client:
        yield client


def _token_of(command: str) -> str:
    """What the token command prints. Its own words to standard error reach the person; its output never does."""
    mend = "Run the token_command of the profile by hand."
    try:
        done = subprocess.run(  # noqa: S603  # the person's own command, from their own settings
            shlex.split(command), stdout=subprocess.PIPE, timeout=_TOKEN_COMMAND_SECONDS, check=True, text=True
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise SettingsError("The token command failed", mend) from error
    words = done.stdout.split()
    if not words:
        raise SettingsError("The token command printed nothing", mend)
    return words[0]


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


def open_store(settings: ServiceSettings) -> "Store":
    """What was known of this service and account at the last visit; in memory where no file can be kept."""
    from upload_tui.client.service_client import service_root
    from upload_tui.locations import cache_folder
    from upload_tui.monitor.store import Store

    whose = f"{service_root(settings.url)} {settings.agent_key} {settings.user_key}"
    folder = cache_folder() / "stores"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Store(folder / f"{sha256(whose.encode()).hexdigest()[:24]}.db")
    except (OSError, StorageError) as error:
        say(f"upload-tui: nothing is kept for the next visit ({error}).")
        return Store()


async def while_it_runs(session: "Session", work: Coroutine[Any, Any, Result]) -> Result:
    """Do some work while a session keeps its picture true; whatever ends the session ends the work."""
    keeping = asyncio.ensure_future(session.run())
    working = asyncio.ensure_future(work)
    try:
        await asyncio.wait({keeping, working}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else await _end_of(keeping)
    finally:
        keeping.cancel()
        working.cancel()
        await asyncio.gather(keeping, working, return_exceptions=True)


async def _end_of(keeping: "asyncio.Future[None]") -> Any:
    await keeping
    raise AssertionError("a session runs until it is cancelled or fails")
