"""Several sessions as one: the projects of several services in one table.

Each session runs on its own schedule, so a slow service does not block the others.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

from msgspec.structs import replace

from upload_tui.monitor.changes import Change, ConnectionChanged
from upload_tui.monitor.model import Connection, ProjectRef, project_key
from upload_tui.monitor.sessions.combined_picture import CombinedPicture, own_ids
from upload_tui.monitor.sessions.connection import worst_connection
from upload_tui.monitor.sessions.session import ChangeBroadcaster, Session

__all__ = ["CombinedSession"]


class CombinedSession:
    """Combines sessions; implements `Session`.

    Args:
        sessions: at least one, in the order in which their projects are shown.
        title: the title; empty joins the titles of the sessions.
    """

    def __init__(self, sessions: Sequence[Session], title: str = "") -> None:
        self._sessions = sessions
        self._title = title
        self.changes = ChangeBroadcaster()
        self.picture = CombinedPicture(sessions)

    @property
    def title(self) -> str:
        """The session's name."""
        return self._title or " + ".join(session.title for session in self._sessions)

    @property
    def projects(self) -> Sequence[ProjectRef]:
        """The projects of all sessions.

        Names that several sessions have begin with the session's title; an id that several services have is a `project_key`.
        """
        projects = [(session, project) for session in self._sessions for project in session.projects]
        names = Counter(name for name, _ in {(project.name, session.title) for session, project in projects})
        ids = Counter(own_id for own_id, _ in {(project.id, session.picture.service) for session, project in projects})
        return [
            ProjectRef(
                project_key(project.id, session.picture.service) if ids[project.id] > 1 else project.id,
                f"{session.title}/{project.name}" if project.name and names[project.name] > 1 else project.name,
            )
            for session, project in projects
        ]

    def connection(self, project_ids: frozenset[str] = frozenset()) -> Connection:
        """The worst connection of the sessions that have the projects, with the title of its session if it is not that of all."""
        ids = [(session, own_ids(session, project_ids)) for session in self._sessions]
        chosen = [(session, own) for session, own in ids if "" not in own] or ids
        connections = [(session.title, session.connection(own)) for session, own in chosen]
        requests = [one.requests_last_minute for _, one in connections if one.requests_last_minute is not None]
        limits = [one.requests_per_minute for _, one in connections if one.requests_last_minute is not None]
        return replace(
            worst_connection(connections),
            requests_last_minute=sum(requests) if requests else None,
            requests_per_minute=None if None in limits or not limits else sum(limit or 0 for limit in limits),
        )

    async def run(self) -> None:
        """Run all sessions until cancelled."""
        async with AsyncExitStack() as stack:
            subscriptions = [stack.enter_context(session.changes.subscribe()) for session in self._sessions]
            group = await stack.enter_async_context(asyncio.TaskGroup())
            for session, changes in zip(self._sessions, subscriptions, strict=True):
                group.create_task(self._forward(changes))
                group.create_task(session.run())

    async def _forward(self, changes: AsyncIterator[Change]) -> None:
        async for change in changes:
            if isinstance(change, ConnectionChanged):
                self.changes.publish(replace(change, connection=self.connection()))
            else:
                self.changes.publish(change)

    def refresh(self) -> None:
        """Poll all services now."""
        for session in self._sessions:
            session.refresh()

    def set_paused(self, *, is_paused: bool) -> None:
        """Send no requests to any service while paused."""
        for session in self._sessions:
            session.set_paused(is_paused=is_paused)

    def set_watched(self, *, is_watched: bool) -> None:
        """Set whether the dashboard is watched, for all sessions."""
        for session in self._sessions:
            session.set_watched(is_watched=is_watched)
