"""One round of reading for commands that print and exit; offline they get what the last visit cached."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from upload_tui.cli.support.output import echo_err
from upload_tui.cli.support.service import client_for, find_projects, open_store, trouble_limits
from upload_tui.errors import (
    EXIT_FAILED_UPLOAD,
    EXIT_OK,
    EXIT_UNREACHABLE,
    ServerError,
    ServiceError,
    StorageResetError,
    ThrottledError,
    UnreachableError,
)
from upload_tui.settings import ServiceSettings

if TYPE_CHECKING:
    from upload_tui.client import ServiceClient
    from upload_tui.monitor import Detail, ProjectRef, Query, Store, StorePicture, Synchroniser

__all__ = [
    "Snapshot",
    "cached_projects",
    "exit_code_of",
    "new_synchroniser",
    "open_snapshot",
    "print_notices",
    "projects_or_cached",
]

_PAGE_ROWS = 500
_OFFLINE_ERRORS = (UnreachableError, ThrottledError, ServerError)


class Snapshot(Struct, frozen=True):
    """The state of some projects' uploads at one moment.

    Attributes:
        picture: the uploads, to be queried.
        projects: the projects that were asked for.
        is_complete: False if an upload that the service lists cannot be read; it was reported.
    """

    picture: "StorePicture"
    projects: "Sequence[ProjectRef]"
    is_complete: bool

    def details(self, query: "Query") -> "Iterator[Detail]":
        """Yield the uploads that match a query, in its order, without those that are gone."""
        offset = 0
        while rows := self.picture.window(query, offset, _PAGE_ROWS).rows:
            offset += len(rows)
            for row in rows:
                detail = None if row.is_gone else self.picture.detail(row.id)
                if detail is not None:
                    yield detail


@asynccontextmanager
async def open_snapshot(settings: ServiceSettings) -> AsyncIterator[Snapshot]:
    """Read the projects of the settings once.

    Raises:
        ServiceError: the service cannot be used, and nothing of these projects is cached.
    """
    from upload_tui.clock import SystemClock
    from upload_tui.monitor import StorePicture

    store = open_store(settings)
    store.on_replaced(lambda: echo_err(f"upload-tui: {store.notice}."))
    try:
        async with client_for(settings) as client:
            clock = client.service_clock(SystemClock())
            read_since: datetime | None = None
            try:
                projects = await find_projects(client, settings.projects)
                synchronisers = [new_synchroniser(client, store, project) for project in projects]
                for synchroniser in synchronisers:
                    await _run_round(synchroniser)
            except _OFFLINE_ERRORS as error:
                projects = _cached_projects(store, settings.projects, error)
                read_since = clock.now()  # so that uploads are judged by the time of the cache
                synchronisers = [new_synchroniser(client, store, project) for project in projects]
            picture = StorePicture(store, clock, client.root, trouble_limits(settings), read_since=read_since)
            yield Snapshot(picture, projects, print_notices(synchronisers))
    finally:
        store.close()


async def projects_or_cached(
    client: "ServiceClient", store: "Store", settings: ServiceSettings
) -> "Sequence[ProjectRef]":
    """Find the projects of the settings; offline, those of them that are cached.

    Raises:
        ServiceError: the service cannot be used, and none of them is cached.
    """
    try:
        return await find_projects(client, settings.projects)
    except _OFFLINE_ERRORS as error:
        return _cached_projects(store, settings.projects, error)


def new_synchroniser(client: "ServiceClient", store: "Store", project: "ProjectRef") -> "Synchroniser":
    """A synchroniser whose changes and progress are not published."""
    from upload_tui.monitor import Synchroniser

    return Synchroniser(client, store, project, lambda _: None, lambda *_: None)


def print_notices(synchronisers: "Sequence[Synchroniser]") -> bool:
    """Report the uploads that cannot be read on standard error; True if there are none."""
    notices = [(one.project, one.unreadable_notice) for one in synchronisers if one.unreadable_notice]
    for project, notice in notices:
        echo_err(f"upload-tui: {project.name or project.id}: {notice}.")
    return not notices


def exit_code_of(*, is_complete: bool, has_failed: bool = False) -> int:
    """The exit code of a command that read projects. A failed upload that was found comes before one that cannot be read."""
    if has_failed:
        return EXIT_FAILED_UPLOAD
    return EXIT_OK if is_complete else EXIT_UNREACHABLE


async def _run_round(synchroniser: "Synchroniser") -> None:
    """Run one round; start again if the store was replaced. That happens twice at most: by a new file, then by memory."""
    for _ in range(2):
        with suppress(StorageResetError):
            await synchroniser.sync()
            return
    await synchroniser.sync()


def cached_projects(store: "Store", names: Sequence[str]) -> "Sequence[ProjectRef]":
    """The cached ones of the named projects (ids or names), or all if none is named."""
    return [project for project in store.projects() if not names or {project.id, project.name} & set(names)]


def _cached_projects(store: "Store", names: Sequence[str], error: ServiceError) -> "Sequence[ProjectRef]":
    """The cached ones of the named projects, or all; report that the service is offline. Raise the error if there are none."""
    cached = cached_projects(store, names)
    if not cached:
        raise error
    echo_err(f"upload-tui: offline: {error.title}. Showing the cache of the last visit; `as_of` has its time.")
    return cached
