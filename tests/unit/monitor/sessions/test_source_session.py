"""The session over a source: it lists again and again, and a listing that fails is tried again, also the first one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.unit.sources.scripted_source import SERVICE, ScriptedSource, lines_of

from upload_tui.clock import SystemClock
from upload_tui.monitor import ConnectionState, Query, Schedule, SourceSession, Store, WatchedSource
from upload_tui.sources import Listing
from upload_tui.status import Stage

FAST = Schedule(0.001, 0.001, 0.001, growth=1.0)


@asynccontextmanager
async def running(source: ScriptedSource) -> AsyncIterator[SourceSession]:
    store = Store()
    session = SourceSession(WatchedSource(source, SERVICE, "scripted"), store, SystemClock(), schedule=FAST)
    task = asyncio.create_task(session.run())
    try:
        yield session
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        store.close()


async def until(session: SourceSession, condition: Callable[[], bool]) -> None:
    with session.changes.subscribe() as changes:
        while not condition():
            await anext(changes)


def names(session: SourceSession) -> set[str]:
    return {row.id for row in session.picture.window(Query(), 0, 100).rows}


async def test_a_first_listing_that_fails_is_tried_again() -> None:
    source = ScriptedSource()
    source.print_next([], Listing(failure="exit code 1", stderr="no network"))
    source.print_next(lines_of({"a": {}}))
    async with running(source) as session:
        await until(session, lambda: session.connection().state is ConnectionState.RETRYING)
        assert session.connection().reason == "partial: exit code 1: no network"
        assert not session.is_complete
        session.refresh()
        await until(session, lambda: session.connection().is_live)
        assert (names(session), session.is_complete) == ({"a"}, True)
        assert [project.name for project in session.projects] == ["scripted"]


async def test_a_failed_listing_keeps_the_age_of_the_last_whole_one() -> None:
    source = ScriptedSource()
    source.print_next(lines_of({"a": {}, "b": {}}))
    async with running(source) as session:
        await until(session, lambda: session.connection().is_live)
        source.outputs = [(lines_of({"c": {}}), Listing(failure="exit code 1"))]
        await until(session, lambda: session.connection().state is ConnectionState.RETRYING)
        assert names(session) == {"a", "b", "c"}
        assert session.picture.as_of() == session.connection().read_on


async def test_a_paused_session_lists_only_when_it_is_asked() -> None:
    source = ScriptedSource()
    source.print_next(lines_of({"a": {}}))
    async with running(source) as session:
        await until(session, lambda: session.connection().is_live)
        session.pause()
        source.outputs = [(lines_of({"a": {}, "b": {}}), Listing())]
        session.refresh()
        await until(session, lambda: names(session) == {"a", "b"})
        assert session.connection().state is ConnectionState.PAUSED
        session.resume()
        await until(session, lambda: session.connection().is_live)


async def test_a_source_that_never_verifies_has_no_worker_to_be_down() -> None:
    source = ScriptedSource()
    source.print_next(lines_of({one: {"stage": "completed", "on": "2026-03-14T08:00:00Z"} for one in "abcdef"}))
    async with running(source) as session:
        await until(session, lambda: session.connection().is_live)
        funnel = session.picture.funnel()
        assert (funnel[Stage.COMPLETED].count, funnel.stuck, funnel.notice) == (6, 6, "")
