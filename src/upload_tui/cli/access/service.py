"""What the settings say about a service or a source: client, projects, store, limits, and what to say when it cannot be read."""

import asyncio
import shlex
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from upload_tui.addresses import is_loopback_url
from upload_tui.cli.support.output import command_text, echo_message
from upload_tui.errors import (
    ForeignPageError,
    InvalidResponseError,
    NotFoundError,
    ServerError,
    SettingsError,
    ThrottledError,
    UnreachableError,
)
from upload_tui.files import cache_folder, expand_home, read_text, state_folder
from upload_tui.settings import COMMAND_LINE, ServiceSettings

if TYPE_CHECKING:
    import ssl

    from upload_tui.client import ServiceClient
    from upload_tui.clock import Clock
    from upload_tui.monitor import Freshness, ProjectRef, Session, Store, StorePicture, TroubleLimits

__all__ = [
    "FoundProjects",
    "cached_projects",
    "client_for",
    "echo_failure_hint",
    "OFFLINE_ERRORS",
    "find_projects",
    "open_store",
    "report_replacement",
    "run_alongside",
    "service_of",
    "store_picture",
    "trouble_limits",
    "trusted_certificates",
]

Result = TypeVar("Result")


_MAX_HINTED = 3


def echo_failure_hint(settings: ServiceSettings, upload_ids: Sequence[str]) -> None:
    """Print the command that shows why uploads failed, with the first of their ids; nothing if there are none."""
    if not upload_ids:
        return
    words = ["show", *_service_words(settings)]
    echo_message(f"to see why: {command_text(words, upload_ids[:_MAX_HINTED])}")


def _service_words(settings: ServiceSettings) -> Sequence[str]:
    """The options that name the same service again."""
    words = ["--profile", settings.profile] if settings.profile else []
    for key, flag, value in (("url", "--url", settings.url), ("token_file", "--token-file", settings.token_file)):
        if settings.sources.get(key) == COMMAND_LINE:
            words += [flag, str(value)]
    if settings.sources.get("command") == COMMAND_LINE:
        has_arguments = len(settings.command) > 1  # they may be secrets
        words += ["--command", "…" if has_arguments else shlex.join(settings.command)]
    if settings.url.startswith("http:") and not is_loopback_url(settings.url):
        words.append("--insecure-http")
    return words


@asynccontextmanager
async def client_for(settings: ServiceSettings) -> "AsyncIterator[ServiceClient]":
    """Open a client of the service that the settings name."""
    import logging

    from upload_tui.cli.access.credentials import credentials_of

    await asyncio.to_thread(import_module, "upload_tui.client.service_client")  # a dashboard is painted meanwhile
    from upload_tui.client import ServiceClient

    # Without a handler of its own, the logger of retries would write each of them over the dashboard.
    logging.getLogger("stamina").addHandler(logging.NullHandler())
    credentials = await credentials_of(settings)
    async with ServiceClient(settings.url, credentials, verify=trusted_certificates(settings)) as client:
        yield client


def trusted_certificates(settings: ServiceSettings) -> "ssl.SSLContext | bool":
    """The certificate authorities to trust; True for the default ones.

    Raises:
        SettingsError: the file of `ca_bundle` cannot be read or has no certificates.
    """
    if settings.ca_bundle is None:
        return True
    import ssl

    try:
        # Without any certificate, the default ones would be trusted.
        return ssl.create_default_context(cadata=read_text(expand_home(settings.ca_bundle)).strip() or "none")
    except (OSError, ValueError) as error:  # unreadable, or not certificates
        from upload_tui.client import key_log_error

        if isinstance(error, OSError) and (key_log := key_log_error(error)):
            raise key_log from error
        raise SettingsError(
            f"The certificates {settings.ca_bundle} cannot be read", "Check ca_bundle, or leave it out."
        ) from error


class FoundProjects(NamedTuple):
    """Projects that were asked for, and how many others of the account cannot be read (empty: none)."""

    projects: "Sequence[ProjectRef]"
    notice: str = ""


async def find_projects(client: "ServiceClient", names: Sequence[str]) -> FoundProjects:
    """Find projects by id or name, each once; without names, all that the account can see.

    Raises:
        NotFoundError: a project does not exist, or the account sees none.
        InvalidResponseError: it sees some, and none can be read.
    """
    from upload_tui.monitor import ProjectRef

    listed = await client.projects()
    found = [client.select_project(listed, name) for name in names] if names else listed.projects
    if not found and listed.notice:
        raise InvalidResponseError(listed.notice, "The service lists them without an id, or only counts them.")
    if not found:
        raise NotFoundError(f"This account can see no projects of {client.root}", "Ask for access to one.")
    unique = dict.fromkeys(ProjectRef(project.id, project.name) for project in found)
    return FoundProjects([*unique], listed.notice)


def service_of(settings: ServiceSettings) -> str:
    """What identifies the service in rows and data: its URL, or the name of the source."""
    from upload_tui.status import SOURCE_PREFIX
    from upload_tui.wire import service_root

    return f"{SOURCE_PREFIX}{settings.title}" if settings.command else service_root(settings.url)


def open_store(settings: ServiceSettings) -> "Store":
    """Open the cached state of this service and account; in memory if there can be no file."""
    from upload_tui.monitor import Store

    # Tokens change, so an account is identified by its keys, or by the profile with its credentials.
    account = f"{service_of(settings)} {settings.profile} {settings.agent_key} {settings.user_key}"
    if settings.command:
        account = "\0".join(["source", settings.profile, *settings.command])
    name = sha256(account.encode()).hexdigest()[:24]
    acknowledgements = state_folder() / "acknowledgements" / f"{name}.json"
    store = Store(cache_folder() / "stores" / f"{name}.db", acknowledgements=acknowledgements)
    for notice in filter(None, (store.notice, store.acknowledgements.damage)):
        echo_message(f"{notice}.")
    return store


async def run_alongside(session: "Session", work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine while a session keeps its picture current; an error that ends the session ends the coroutine."""
    running = asyncio.ensure_future(session.run())
    working = asyncio.ensure_future(work)
    try:
        await asyncio.wait({running, working}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else await _await_session(running)
    finally:
        running.cancel()
        working.cancel()
        await asyncio.gather(running, working, return_exceptions=True)


async def _await_session(running: "asyncio.Future[None]") -> Any:
    await running
    raise AssertionError("a session runs until it is cancelled or fails")


def trouble_limits(settings: ServiceSettings) -> "TroubleLimits":
    """The limits that decide on trouble."""
    from upload_tui.monitor import TroubleLimits

    return TroubleLimits(settings.stuck_after_seconds, settings.failures_for_seconds)


def store_picture(
    settings: ServiceSettings,
    store: "Store",
    clock: "Clock",
    *,
    project_ids: frozenset[str] = frozenset(),
    freshness: "Freshness | None" = None,
) -> "StorePicture":
    """What a store holds of the service or the source of the settings; see `StorePicture`."""
    from upload_tui.monitor import StorePicture

    limits, title = trouble_limits(settings), settings.title
    return StorePicture(store, clock, service_of(settings), limits, project_ids, freshness, title)


OFFLINE_ERRORS = (UnreachableError, ThrottledError, ServerError, ForeignPageError)
"""Errors after which the cache of the last session is shown."""


def report_replacement(store: "Store") -> None:
    """Report on standard error that the store failed and was replaced, if that happened since the last call."""
    if store.replaced.is_set():
        store.replaced.clear()
        echo_message(f"{store.notice}.")


def cached_projects(store: "Store", names: Sequence[str]) -> "Sequence[ProjectRef]":
    """The cached ones of the named projects (ids or names), or all if none is named."""
    ids = {name.casefold() for name in names}
    return [one for one in store.projects() if not names or one.name in names or one.id.casefold() in ids]
