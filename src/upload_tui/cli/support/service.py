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

from upload_tui.cli.support.output import echo_err
from upload_tui.errors import NotFoundError, SettingsError
from upload_tui.settings import (
    COMMAND_LINE,
    PER_SERVICE_KEYS,
    Flags,
    ServiceSettings,
    SettingsPaths,
    read_display_settings,
    read_settings,
)

if TYPE_CHECKING:
    import ssl

    from upload_tui.client import ServiceClient
    from upload_tui.monitor import ProjectRef, Session, Store

__all__ = [
    "client_for",
    "find_projects",
    "effective_display_settings",
    "open_store",
    "settings_paths",
    "service_options",
    "settings_for_profiles",
    "settings_from",
    "effective_settings",
    "multi_service_options",
    "trusted_certificates",
    "run_alongside",
]

Result = TypeVar("Result")


def service_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that name a service; the command gets them as one `flags` argument."""

    @wraps(command)
    def with_flags(*arguments: Any, profile: str | None = None, **others: Any) -> Any:
        flags, others = _pop_flags(others)
        return command(*arguments, flags=replace(flags, profile=profile), **others)

    return _add_options(with_flags, click.option("--profile", metavar="NAME", help="A profile of the settings file."))


def multi_service_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """As `service_options`; `--profile` may be repeated, and the command gets the flags of each profile, at least one."""

    @wraps(command)
    def with_flags(*arguments: Any, profile: Sequence[str] = (), **others: Any) -> Any:
        flags, others = _pop_flags(others)
        each = tuple(replace(flags, profile=name) for name in dict.fromkeys(profile)) or (flags,)
        return command(*arguments, flags=each, **others)

    profiles = click.option(
        "--profile", metavar="NAME", multiple=True, help="A profile of the settings file; several in one view."
    )
    return _add_options(with_flags, profiles)


def _pop_flags(options: dict[str, Any]) -> tuple[Flags, dict[str, Any]]:
    """What names a service, but for the profile, and the options that are left."""
    flags = Flags(
        options.pop("url", None),
        options.pop("project", ()),
        token_file=options.pop("token_file", None),
        insecure_http=options.pop("insecure_http", False),
    )
    return flags, options


def _add_options(command: Callable[..., Any], profile: Callable[..., Any]) -> Callable[..., Any]:
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


def settings_paths() -> SettingsPaths:
    """The files of settings on this machine."""
    from upload_tui.locations import config_file

    return SettingsPaths(config_file(), Path.home() / ".ddsclient")


def settings_from(flags: Flags, *, needs_service: bool = True) -> ServiceSettings:
    """The settings of this process."""
    return read_settings(os.environ, flags, settings_paths(), needs_service=needs_service)


def effective_settings(flags: Flags, *, needs_service: bool = True) -> ServiceSettings:
    """The settings; whatever should be mended is said. Without a need for a service its URL may be empty."""
    return _report_warnings(settings_from(flags, needs_service=needs_service))


def effective_display_settings() -> ServiceSettings:
    """The settings of a dashboard over no service of the person's; whatever should be mended is said."""
    return _report_warnings(read_display_settings(os.environ, settings_paths()))


def _report_warnings(settings: ServiceSettings) -> ServiceSettings:
    for warning in settings.warnings:
        echo_err(f"upload-tui: {warning}")
    return settings


def settings_for_profiles(flags: Sequence[Flags]) -> Sequence[ServiceSettings]:
    """The settings of each profile.

    Raises:
        SettingsError: as for one; or what belongs to one service is said for several, or two are the same.
    """
    each = [effective_settings(some) for some in flags]
    if len(each) > 1:
        _check_distinct_services(each)
    return each


def _check_distinct_services(all_settings: Sequence[ServiceSettings]) -> None:
    """Nobody's token is sent to another service, and no upload is shown twice."""
    from upload_tui.wire import service_root

    for settings in all_settings:
        for key in sorted(PER_SERVICE_KEYS & settings.sources.keys()):
            source = settings.sources[key]
            if source == COMMAND_LINE or source.startswith("UPLOAD_TUI_"):
                raise SettingsError(
                    f"{source}: {key} belongs to one service, and {len(all_settings)} profiles are named",
                    "Leave it out: each profile names its own.",
                )
    whose: dict[str, str] = {}
    for settings in all_settings:
        other = whose.setdefault(service_root(settings.url), settings.profile)
        if other != settings.profile:
            raise SettingsError(
                f"The profiles {other} and {settings.profile} name the same service", "Put their projects into one."
            )


@asynccontextmanager
async def client_for(settings: ServiceSettings) -> "AsyncIterator[ServiceClient]":
    """A client of the service that the settings name."""
    import logging

    from upload_tui.cli.support.credential_sources import credentials_of
    from upload_tui.client import ServiceClient

    # Retries are said where they matter; without a handler of its own each would be written over the screen.
    logging.getLogger("stamina").addHandler(logging.NullHandler())
    async with ServiceClient(settings.url, credentials_of(settings), verify=trusted_certificates(settings)) as client:
        yield client


def trusted_certificates(settings: ServiceSettings) -> "ssl.SSLContext | bool":
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


async def find_projects(client: "ServiceClient", names: Sequence[str]) -> "Sequence[ProjectRef]":
    """The projects that were named, or all that the account sees; each once.

    Raises:
        NotFoundError: one is not there, or there is none at all.
    """
    from upload_tui.monitor import ProjectRef

    found = [await client.find_project(name) for name in names] if names else await client.projects()
    if not found:
        raise NotFoundError(f"This account sees no project of {client.root}", "Ask for access to one.")
    return list(dict.fromkeys(ProjectRef(project.id, project.name) for project in found))


def open_store(settings: ServiceSettings) -> "Store":
    """What was known of this service and account at the last visit; in memory where no file can be kept."""
    from upload_tui.locations import cache_folder
    from upload_tui.monitor import Store
    from upload_tui.wire import service_root

    # Tokens come and go, so an account is known by its keys, or by the profile that lets it in.
    whose = f"{service_root(settings.url)} {settings.profile} {settings.agent_key} {settings.user_key}"
    store = Store(cache_folder() / "stores" / f"{sha256(whose.encode()).hexdigest()[:24]}.db")
    if store.notice:
        echo_err(f"upload-tui: {store.notice}.")
    return store


async def run_alongside(session: "Session", work: Coroutine[Any, Any, Result]) -> Result:
    """Do some work while a session keeps its picture true; whatever ends the session ends the work."""
    keeping = asyncio.ensure_future(session.run())
    working = asyncio.ensure_future(work)
    try:
        await asyncio.wait({keeping, working}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else await _await_session(keeping)
    finally:
        keeping.cancel()
        working.cancel()
        await asyncio.gather(keeping, working, return_exceptions=True)


async def _await_session(running: "asyncio.Future[None]") -> Any:
    await running
    raise AssertionError("a session runs until it is cancelled or fails")
