"""What commands that talk to a service share: their options, the settings in force, the client, and one look at the projects."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import wraps
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from msgspec.structs import replace

from upload_tui.cli.output import say
from upload_tui.errors import NotFoundError, SettingsError
from upload_tui.settings import COMMAND_LINE, OF_ONE_SERVICE, Flags, Places, ServiceSettings, read_looks, read_settings

if TYPE_CHECKING:
    import ssl

    from upload_tui.client.service_client import ServiceClient
    from upload_tui.monitor.picture import ProjectRef
    from upload_tui.monitor.session import Session
    from upload_tui.monitor.store import Store

__all__ = [
    "client_for",
    "find_projects",
    "looks_in_force",
    "open_store",
    "places",
    "service_options",
    "settings_for_all",
    "settings_from",
    "settings_in_force",
    "several_services_options",
    "trusted_by",
    "while_it_runs",
]

Result = TypeVar("Result")


def service_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that name a service; the command gets them as one `flags` argument."""

    @wraps(command)
    def with_flags(*arguments: Any, profile: str | None = None, **others: Any) -> Any:
        flags, others = _flags(others)
        return command(*arguments, flags=replace(flags, profile=profile), **others)

    return _with_options(with_flags, click.option("--profile", metavar="NAME", help="A profile of the settings file."))


def several_services_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """As `service_options`; `--profile` may be repeated, and the command gets the flags of each profile, at least one."""

    @wraps(command)
    def with_flags(*arguments: Any, profile: Sequence[str] = (), **others: Any) -> Any:
        flags, others = _flags(others)
        each = tuple(replace(flags, profile=name) for name in dict.fromkeys(profile)) or (flags,)
        return command(*arguments, flags=each, **others)

    profiles = click.option(
        "--profile", metavar="NAME", multiple=True, help="A profile of the settings file; several in one view."
    )
    return _with_options(with_flags, profiles)


def _flags(options: dict[str, Any]) -> tuple[Flags, dict[str, Any]]:
    """What names a service, but for the profile, and the options that are left."""
    flags = Flags(
        options.pop("url", None),
        options.pop("project", ()),
        token_file=options.pop("token_file", None),
        insecure_http=options.pop("insecure_http", False),
    )
    return flags, options


def _with_options(command: Callable[..., Any], profile: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--debug", is_flag=True, expose_value=False, help="Keep a log; show an error's traceback."),
        click.option("--insecure-http", is_flag=True, help="Allow plain http:// to other machines."),
        click.option(
            "--token-file", type=click.Path(path_type=Path), help="A file with the token (or UPLOAD_TUI_TOKEN)."
        ),
        profile,
        click.option("--project", metavar="PROJECT", multiple=True, help="A project's id or name; may be repeated."),
        click.option("--url", metavar="URL", help="The service, with or without /api/v1 (or UPLOAD_TUI_URL)."),
    ):
        command = option(command)
    return command


def places() -> Places:
    """The files of settings on this machine."""
    from upload_tui.locations import config_file

    return Places(config_file(), Path.home() / ".ddsclient")


def settings_from(flags: Flags, *, needs_service: bool = True) -> ServiceSettings:
    """The settings of this process."""
    return read_settings(os.environ, flags, places(), needs_service=needs_service)


def settings_in_force(flags: Flags, *, needs_service: bool = True) -> ServiceSettings:
    """The settings; whatever should be mended is said. Without a need for a service its URL may be empty."""
    return _with_warnings(settings_from(flags, needs_service=needs_service))


def looks_in_force() -> ServiceSettings:
    """The settings of a dashboard over no service of the person's; whatever should be mended is said."""
    return _with_warnings(read_looks(os.environ, places()))


def _with_warnings(settings: ServiceSettings) -> ServiceSettings:
    for warning in settings.warnings:
        say(f"upload-tui: {warning}")
    return settings


def settings_for_all(flags: Sequence[Flags]) -> Sequence[ServiceSettings]:
    """The settings of each profile.

    Raises:
        SettingsError: as for one; or what belongs to one service is said for several, or two are the same.
    """
    each = [settings_in_force(some) for some in flags]
    if len(each) > 1:
        _check_apart(each)
    return each


def _check_apart(each: Sequence[ServiceSettings]) -> None:
    """Nobody's token is sent to another service, and no upload is shown twice."""
    from upload_tui.client.addresses import service_root

    for settings in each:
        for key in sorted(OF_ONE_SERVICE & settings.sources.keys()):
            source = settings.sources[key]
            if source == COMMAND_LINE or source.startswith("UPLOAD_TUI_"):
                raise SettingsError(
                    f"{source}: {key} belongs to one service, and {len(each)} profiles are named",
                    "Leave it out: each profile names its own.",
                )
    whose: dict[str, str] = {}
    for settings in each:
        other = whose.setdefault(service_root(settings.url), settings.profile)
        if other != settings.profile:
            raise SettingsError(
                f"The profiles {other} and {settings.profile} name the same service", "Put their projects into one."
            )


@asynccontextmanager
async def client_for(settings: ServiceSettings) -> "AsyncIterator[ServiceClient]":
    """A client of the service that the settings name."""
    import logging

    from upload_tui.cli.tokens import credentials_of
    from upload_tui.client.service_client import ServiceClient

    # Retries are said where they matter; without a handler of its own each would be written over the screen.
    logging.getLogger("stamina").addHandler(logging.NullHandler())
    async with ServiceClient(settings.url, credentials_of(settings), verify=trusted_by(settings)) as client:
        yield client


def trusted_by(settings: ServiceSettings) -> "ssl.SSLContext | bool":
    """The certificates that are trusted; True for the usual ones.

    Raises:
        SettingsError: the file of certificates is none.
    """
    if settings.ca_bundle is None:
        return True
    import ssl

    try:
        return ssl.create_default_context(cafile=settings.ca_bundle.expanduser())
    except OSError as error:
        raise SettingsError(
            f"The certificates {settings.ca_bundle} cannot be read", "Check ca_bundle, or leave it out."
        ) from error


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
    from upload_tui.client.addresses import service_root
    from upload_tui.locations import cache_folder
    from upload_tui.monitor.store import Store

    # Tokens come and go, so an account is known by its keys, or by the profile that lets it in.
    whose = f"{service_root(settings.url)} {settings.profile} {settings.agent_key} {settings.user_key}"
    store = Store(cache_folder() / "stores" / f"{sha256(whose.encode()).hexdigest()[:24]}.db")
    if store.remark:
        say(f"upload-tui: {store.remark}.")
    return store


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
