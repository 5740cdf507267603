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
    from upload_tui.monitor.last_look import Look
    from upload_tui.monitor.session import Session

__all__ = ["look_file", "looks"]


def look_file(settings: ServiceSettings, projects: Iterable[str], who: str) -> Path:
    """Where the last look at these projects is kept.

    Args:
        settings: which service and whose account.
        projects: which projects, by ids or names; none means all.
        who: `dashboard` and `report` look each for themselves.
    """
    what = " ".join([settings.url, settings.user_key, *sorted(projects), who])
    return state_folder() / "looks" / f"{sha256(what.encode()).hexdigest()[:24]}.json"


@asynccontextmanager
async def looks(settings: ServiceSettings, session: "Session") -> "AsyncIterator[Look | None]":
    """Gives the last look at the session's projects, None if there was none, and keeps this one when it is over.

    That it cannot be kept (a home that is read-only, say) is no reason to fail.
    """
    from upload_tui.monitor.last_look import keep_look, read_look
    from upload_tui.tui.news import overdue_ids

    file = look_file(settings, settings.projects, "dashboard")
    yield read_look(file)
    if session.connection().read_on is not None:
        try:
            keep_look(file, session.now(), sorted(overdue_ids(session)))
        except StorageError:
            return
