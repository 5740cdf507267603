"""What a dashboard or a report shows, as the name of files between two runs, and the record of the user's visits."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from upload_tui.errors import StorageError
from upload_tui.files import state_folder
from upload_tui.settings import ServiceSettings
from upload_tui.wire import service_root

if TYPE_CHECKING:
    from upload_tui.monitor import LastVisit, Session

__all__ = ["VisitKey", "digest", "last_visit_file", "record_visit", "visit_key"]


class VisitKey(Struct, frozen=True):
    """What is visited: a visit with the same key has the same last visit.

    Attributes:
        services: the URLs of services and the commands of sources; empty for the demo and replays.
        projects: ids or names, each after its service if there are several services; empty for all.
        user: the user's key; empty if there is none.
    """

    services: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    user: str = ""


def visit_key(all_settings: Sequence[ServiceSettings]) -> VisitKey:
    """The key of a dashboard over the services of these settings; the user is that of the first."""
    first = all_settings[0]
    if len(all_settings) == 1:
        service = service_root(first.url) or "\0".join(first.command)
        return VisitKey((service,) if service else (), first.projects, first.user_key)
    from upload_tui.cli.access.service import service_of

    projects = (f"{service_of(one)} {name}" for one in all_settings for name in one.projects or ("*",))
    return VisitKey(tuple(map(service_of, all_settings)), tuple(projects), first.user_key)


def digest(parts: Sequence[str]) -> str:
    """A file name for some texts."""
    return sha256(" ".join(parts).encode()).hexdigest()[:24]


def last_visit_file(key: VisitKey, reader: str) -> Path:
    """The file that records the last visit; `reader` is `dashboard` or `report`, and each has visits of its own."""
    return state_folder() / "visits" / f"{digest([*key.services, key.user, *sorted(key.projects), reader])}.json"


@asynccontextmanager
async def record_visit(key: VisitKey, session: "Session") -> "AsyncIterator[LastVisit | None]":
    """Yield the last visit of the dashboard, None if there was none, and record this one at the end.

    A visit that cannot be recorded, in a read-only home for example, is not an error.
    """
    from upload_tui.monitor import read_last_visit, save_last_visit, visit_of_picture

    file = last_visit_file(key, "dashboard")
    previous = read_last_visit(file)
    yield previous
    read_on = session.connection().as_of(session.picture.clock.now()) if session.connection().read_on else None
    if read_on is not None:  # what happened after that was not shown
        with suppress(StorageError):
            save_last_visit(file, visit_of_picture(session.picture, read_on, previous))
