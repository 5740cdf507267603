"""One look at a service for commands that print and end; where it cannot be reached, what the last visit left."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from msgspec import Struct

from upload_tui.cli.support.output import echo_err
from upload_tui.cli.support.service import client_for, find_projects, open_store
from upload_tui.errors import ServerError, ServiceError, StorageResetError, ThrottledError, UnreachableError
from upload_tui.settings import ServiceSettings

if TYPE_CHECKING:
    from upload_tui.client import ServiceClient
    from upload_tui.monitor import Detail, ProjectRef, Query, Store, StorePicture, Synchroniser

__all__ = ["Snapshot", "projects_or_cached", "open_snapshot"]

_PAGE_ROWS = 500
_OFFLINE_ERRORS = (UnreachableError, ThrottledError, ServerError)


class Snapshot(Struct, frozen=True):
    """What was found.

    Attributes:
        picture: answers questions.
        projects: those that were asked for.
        is_fresh: False if it is only what an earlier visit left.
    """

    picture: "StorePicture"
    projects: "Sequence[ProjectRef]"
    is_fresh: bool

    def details(self, query: "Query", limit: int | None = None) -> "Iterator[Detail]":
        """The uploads of a query's answer, in its order; those that are gone are left out."""
        offset = found = 0
        while rows := self.picture.window(query, offset, _PAGE_ROWS).rows:
            offset += len(rows)
            for row in rows:
                detail = None if row.is_gone else self.picture.detail(row.id)
                if detail is not None:
                    if found == limit:
                        return
                    found += 1
                    yield detail


@asynccontextmanager
async def open_snapshot(settings: ServiceSettings) -> AsyncIterator[Snapshot]:
    """Look at the projects of the settings once.

    Raises:
        ServiceError: the service cannot be used, and no earlier visit left anything of these projects.
    """
    from upload_tui.clock import SystemClock
    from upload_tui.monitor import StorePicture

    store = open_store(settings)
    store.on_replaced(lambda: echo_err(f"upload-tui: {store.notice}."))
    try:
        async with client_for(settings) as client:
            clock = client.service_clock(SystemClock())
            picture = StorePicture(store, clock, client.root, settings.stuck_after_seconds)
            try:
                projects = await find_projects(client, settings.projects)
                await _refresh(client, store, projects)
            except _OFFLINE_ERRORS as error:
                yield Snapshot(picture, _cached_projects(store, settings.projects, error), is_fresh=False)
            else:
                yield Snapshot(picture, projects, is_fresh=True)
    finally:
        store.close()


async def projects_or_cached(
    client: "ServiceClient", store: "Store", settings: ServiceSettings
) -> "Sequence[ProjectRef]":
    """The projects of the settings; where the service cannot be asked, those that an earlier visit left.

    Raises:
        ServiceError: neither the service nor an earlier visit tells.
    """
    try:
        return await find_projects(client, settings.projects)
    except _OFFLINE_ERRORS as error:
        return _cached_projects(store, settings.projects, error)


async def _refresh(client: "ServiceClient", store: "Store", projects: "Sequence[ProjectRef]") -> None:
    from upload_tui.monitor import Synchroniser

    for project in projects:
        synchroniser = Synchroniser(client, store, project, lambda _: None, lambda *_: None)
        await _run_round(synchroniser)


async def _run_round(synchroniser: "Synchroniser") -> None:
    """One round, begun again in a store that takes the place of a failing one: a file does so once, and then memory."""
    for _ in range(2):
        with suppress(StorageResetError):
            await synchroniser.sync()
            return
    await synchroniser.sync()


def _cached_projects(store: "Store", names: Sequence[str], error: ServiceError) -> "Sequence[ProjectRef]":
    """What an earlier visit left of the wanted projects, and a word that this is all; without it the error comes out."""
    known = [project for project in store.projects() if not names or {project.id, project.name} & set(names)]
    if not known:
        raise error
    echo_err(f"upload-tui: offline: {error.title}. This is what the last visit knew; `as_of` tells since when.")
    return known
