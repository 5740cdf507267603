"""Keeps when a person last looked at the dashboard, so that the next visit can tell what happened since."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
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
    """Where the last look at these projects is kept.

    Args:
        settings: which service and whose account.
        projects: which projects, by ids or names; none means all.
        reader: `dashboard` and `report` look each for themselves.
    """
    what = " ".join([settings.url, settings.user_key, *sorted(projects), reader])
    return state_folder() / "looks" / f"{sha256(what.encode()).hexdigest()[:24]}.json"


@asynccontextmanager
async def record_visit(settings: ServiceSettings, session: "Session") -> "AsyncIterator[LastVisit | None]":
    """Gives the last look at the session's projects, None if there was none, and keeps this one when it is over.

    That it cannot be kept (a home that is read-only, say) is no reason to fail.
    """
    from upload_tui.monitor import read_last_visit, save_last_visit
    from upload_tui.tui import overdue_ids

    file = last_visit_file(settings, settings.projects, "dashboard")
    yield read_last_visit(file)
    if session.connection().read_on is not None:
        try:
            save_last_visit(file, session.now(), sorted(overdue_ids(session)))
        except StorageError:
            return
