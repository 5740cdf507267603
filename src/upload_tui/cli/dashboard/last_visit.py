"""Records when the user last visited the dashboard, so that the next visit can summarise what changed since."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from upload_tui.errors import StorageError
from upload_tui.locations import state_folder
from upload_tui.settings import ServiceSettings

if TYPE_CHECKING:
    from upload_tui.monitor import LastVisit, Session

__all__ = ["last_visit_file", "record_visit"]


def last_visit_file(settings: ServiceSettings, projects: Iterable[str], reader: str) -> Path:
    """The file that records the last visit to some projects.

    Args:
        settings: the service and the account.
        projects: ids or names of the projects; empty for all.
        reader: `dashboard` or `report`; each has visits of its own.
    """
    key = " ".join([settings.url, settings.user_key, *sorted(projects), reader])
    return state_folder() / "looks" / f"{sha256(key.encode()).hexdigest()[:24]}.json"


@asynccontextmanager
async def record_visit(settings: ServiceSettings, session: "Session") -> "AsyncIterator[LastVisit | None]":
    """Yield the last visit to the session's projects, None if there was none, and record this one at the end.

    A visit that cannot be recorded, in a read-only home for example, is not an error.
    """
    from upload_tui.monitor import LastVisit, read_last_visit, save_last_visit
    from upload_tui.tui import overdue_ids

    file = last_visit_file(settings, settings.projects, "dashboard")
    yield read_last_visit(file)
    read_on = session.connection().as_of(session.now()) if session.connection().read_on else None
    if read_on is not None:  # what happened after that was not shown
        with suppress(StorageError):
            save_last_visit(file, LastVisit(read_on, overdue_ids(session)))
