"""Projects that appear, get another name or come back while a session of all projects runs."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.contract.calls import Caller, serving
from tests.contract.test_live_session import run_pending, running, until, upload_changes
from upload_tui.client import Credentials, ServiceClient
from upload_tui.monitor import LiveSession, ProjectRef, Query, Schedule, StageReached, Store

FIELDS = {"content_type": "application/octet-stream", "size": 15}


class Hiding(httpx.AsyncBaseTransport):
    """Answers as the service does, but with 404 for paths that contain `hidden`."""

    def __init__(self, service: httpx.AsyncBaseTransport) -> None:
        self._service = service
        self.hidden: str | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.hidden is not None and self.hidden in request.url.path:
            return httpx.Response(404, json={"error": 404, "code": "not_provided", "reason": "no such project"})
        return await self._service.handle_async_request(request)


@asynccontextmanager
async def watching(
    caller: Caller, transport: httpx.AsyncBaseTransport | None = None, *, finds_projects: bool = True
) -> AsyncIterator[LiveSession]:
    """A session whose clock is the service's, which the tests move."""
    account = caller.service.account
    credentials = Credentials(agent_key=account.agent_key, user_key=account.user_key)
    store = Store()
    async with ServiceClient(
        caller.service.base_url, credentials, transport=transport or caller.transport, clock=caller.clock, attempts=1
    ) as client:
        project = ProjectRef(caller.project_id, caller.project_name)
        schedule = Schedule(jitter=lambda: 0.5)
        session = LiveSession(client, [project], store, schedule=schedule)
        session.finds_projects = finds_projects
        async with running(session):
            await until(session, lambda: session.connection().is_live)
            yield session
        store.close()


async def new_project(caller: Caller, name: str) -> str:
    response = await caller.call("POST", "/projects", json={"name": name, "description": "new"})
    return str(response.raise_for_status().json()["id"])


async def new_upload(caller: Caller, project_id: str, name: str) -> None:
    response = await caller.call("POST", f"/projects/{project_id}/uploads", json={"name": name, **FIELDS})
    response.raise_for_status()


def names(session: LiveSession) -> list[str]:
    return [project.name for project in session.projects]


def rows(session: LiveSession, project_ids: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
    found = session.picture.window(Query(project_ids=project_ids), 0, 10).rows
    return sorted((row.project_name, row.name) for row in found)


WAYS: Mapping[str, Callable[[Caller, LiveSession], None]] = {
    "a minute": lambda caller, _: caller.clock.advance(60),
    "refresh": lambda _, session: session.refresh(),
}


@pytest.mark.parametrize("state", ["running", "paused", "unwatched"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_new_project_is_watched_after(way: str, state: str) -> None:
    async with serving() as caller, watching(caller) as session:
        new = await new_project(caller, "New")
        await new_upload(caller, new, "one.bin")
        session.set_paused(is_paused=state == "paused")
        session.set_watched(is_watched=state != "unwatched")
        WAYS[way](caller, session)
        if (way, state) == ("a minute", "paused"):
            await run_pending()
            assert names(session) == [caller.project_name]
            session.set_paused(is_paused=False)
            session.refresh()
        await until(session, lambda: rows(session) == [("New", "one.bin")])
        assert names(session) == [caller.project_name, "New"]
        assert rows(session, frozenset({new})) == [("New", "one.bin")]
        is_paused = way == "refresh" and state == "paused"
        await until(session, lambda: session.connection().state == ("paused" if is_paused else "live"))
        if is_paused:  # each was read once
            caller.clock.advance(600)
            await run_pending()
            session.set_paused(is_paused=False)
        await new_upload(caller, new, "two.bin")
        session.refresh()
        await until(session, lambda: rows(session) == [("New", "one.bin"), ("New", "two.bin")])


async def test_what_happened_in_a_new_project_since_the_session_began_is_published() -> None:
    """What happened before is no change, as in the projects that were known at the start."""
    async with serving() as caller:
        old = await new_project(caller, "Old")
        await new_upload(caller, old, "before.bin")
        caller.clock.advance(5)
        async with watching(caller) as session:
            caller.clock.advance(1)
            await new_upload(caller, old, "in-old.bin")
            await new_upload(caller, await new_project(caller, "New"), "in-new.bin")
            caller.clock.advance(60)
            await until(session, lambda: len(rows(session)) == 3)
            await until(session, lambda: session.connection().is_live)
            changes = upload_changes(session)
            reached = [one for one in changes if isinstance(one, StageReached)]
            assert len(reached) == 2, changes
            assert {one.upload.name for one in reached} == {"in-old.bin", "in-new.bin"}
            session.refresh()
            await until(session, lambda: session.connection().is_live)
            assert upload_changes(session) == changes


async def test_a_project_gets_its_new_name_everywhere_at_once() -> None:
    async with serving() as caller, watching(caller) as session:
        await new_upload(caller, caller.project_id, "a.bin")
        session.refresh()
        await until(session, lambda: bool(rows(session)))
        response = await caller.call(
            "PUT", f"/projects/{caller.project_id}", json={"name": "Renamed", "description": "d"}
        )
        response.raise_for_status()
        session.refresh()
        await until(session, lambda: names(session) == ["Renamed"])
        await until(session, lambda: rows(session) == [("Renamed", "a.bin")])


async def test_a_project_that_is_there_again_is_read_again() -> None:
    async with serving() as caller:
        transport = Hiding(caller.transport)
        async with watching(caller, transport) as session:
            new = await new_project(caller, "New")
            await new_upload(caller, new, "one.bin")
            session.refresh()
            await until(session, lambda: bool(rows(session)))
            transport.hidden = f"/projects/{new}/"
            while not session.lost_projects:
                caller.clock.advance(5)
                await run_pending()
            transport.hidden = None
            await new_upload(caller, new, "two.bin")
            caller.clock.advance(60)
            await until(session, lambda: rows(session) == [("New", "one.bin"), ("New", "two.bin")])
            await until(session, lambda: not session.lost_projects)


async def test_only_named_projects_are_watched_when_some_are_named() -> None:
    async with serving() as caller, watching(caller, finds_projects=False) as session:
        await new_upload(caller, await new_project(caller, "New"), "one.bin")
        session.refresh()
        caller.clock.advance(600)
        await run_pending()
        assert names(session) == [caller.project_name]
        assert rows(session) == []
