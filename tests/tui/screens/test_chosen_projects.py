"""What the dashboard says of the chosen projects depends on their own connections alone."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from datetime import timedelta
from itertools import combinations, combinations_with_replacement, product

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from tests.tui.dashboards import NEWEST_FIRST, until
from upload_tui.monitor import CombinedSession, Connection, ConnectionState, DeferredSession, Query, Session
from upload_tui.testing import NOW, FrozenClock, InMemorySession, an_upload, dashboard, settled
from upload_tui.tui import Preferences, ScreenState
from upload_tui.tui.widgets.funnel import StageCell
from upload_tui.tui.widgets.pending_list import PendingList
from upload_tui.tui.widgets.table.upload_table import TitledTable

AGES: Mapping[ConnectionState, int] = {
    ConnectionState.LIVE: 0,
    ConnectionState.OFFLINE: 42,
    ConnectionState.DENIED: 180,
    ConnectionState.DELETED: 3600,
}
"""How old the picture of a project is, in seconds, by the state of its connection."""
IDS = ("p-1", "p-2", "p-3")
CHOICES = [frozenset(ids) for count in range(4) for ids in combinations(IDS, count)]


def connection(state: ConnectionState) -> Connection:
    on = NOW - timedelta(seconds=AGES[state])
    return Connection(state=state, since=on, read_on=on, reason="" if state is ConnectionState.LIVE else "why")


@contextmanager
def one_service(*, has_uploads: bool = True) -> Iterator[tuple[Session, Sequence[InMemorySession]]]:
    """Three projects of one service, each with an upload or none."""
    uploads = [an_upload(one, project=(one, one)) for one in IDS if has_uploads]
    session = InMemorySession(uploads, projects=[(one, one) for one in IDS])
    yield session, [session] * 3
    session.close()


@contextmanager
def two_services(*, has_uploads: bool = True) -> Iterator[tuple[Session, Sequence[InMemorySession]]]:
    """The same of two services."""
    clock = FrozenClock()
    parts = [
        InMemorySession(
            [an_upload(one, project=(one, one)) for one in ids if has_uploads],
            clock=clock,
            projects=[(one, one) for one in ids],
            title=ids[0],
            service=f"https://{ids[0]}.example",
        )
        for ids in (IDS[:1], IDS[1:])
    ]
    yield CombinedSession(parts), [parts[0], parts[1], parts[1]]
    for part in parts:
        part.close()


SERVICES = {"one service": one_service, "two services": two_services}


@asynccontextmanager
async def opened(session: Session) -> AsyncIterator[tuple[Pilot[int], TitledTable]]:
    app = dashboard(session, preferences=Preferences(state=ScreenState(NEWEST_FIRST)))
    async with app.run_test(size=(140, 40)) as pilot:
        await pilot.pause()
        yield pilot, app.screen.query_one(TitledTable)


def expected_age(states: Sequence[ConnectionState]) -> str:
    """What the title says of projects in these states."""
    old = [one for one in states if one is not ConnectionState.LIVE]
    counted = [one for one in old if one is not ConnectionState.DELETED] or old
    is_only_deleted = {*counted} == {ConnectionState.DELETED}
    if not old or (is_only_deleted and len(old) < len(states)):
        return ""
    age = {42: "42s", 180: "3m 00s", 3600: "1h 00m"}[max(AGES[one] for one in counted)]
    return f"updated {age} ago" if len(old) == len(states) else f"some {age} old"


@pytest.mark.parametrize("is_deferred", [False, True], ids=["open", "opened in the background"])
@pytest.mark.parametrize("services", SERVICES)
async def test_the_title_has_the_age_of_the_rows_that_are_shown(services: str, is_deferred: bool) -> None:
    with SERVICES[services]() as (session, parts):
        shown_session = DeferredSession("", FrozenClock(), lambda _: nullcontext(session)) if is_deferred else session
        async with opened(shown_session) as (pilot, table):
            for states in combinations_with_replacement(AGES, 3):
                for part, project_id, state in zip(parts, IDS, states, strict=True):
                    part.set_connection(connection(state), project_id)
                for chosen in CHOICES:
                    table.screen.rows_query = Query(project_ids=chosen)  # type: ignore[attr-defined]
                    pilot.app.refresh_picture()  # type: ignore[attr-defined]
                    shown = [one for own, one in zip(IDS, states, strict=True) if own in (chosen or IDS)]
                    found = re.search(r"(updated|some) .*", table._title().plain)
                    assert (found[0] if found else "") == expected_age(shown), (states, chosen)


async def test_the_age_is_that_of_the_project_as_soon_as_it_is_chosen() -> None:
    with two_services() as (session, parts):
        parts[1].set_connection(connection(ConnectionState.OFFLINE), "p-2")
        async with opened(session) as (pilot, table):
            assert "some 42s old" in str(table.border_title)
            for count, is_old in ((1, False), (2, True), (3, False)):
                await pilot.press("p", "home", *"j" * count, "enter")
                await until(pilot, lambda count=count: f"in p-{count}" in str(table.border_title))  # type: ignore[misc]
                assert ("updated 42s ago" in str(table.border_title)) is is_old


@pytest.mark.parametrize("services", SERVICES)
def test_the_connection_of_projects_is_that_of_no_other(services: str) -> None:
    with SERVICES[services]() as (session, parts):
        for states in product(AGES, repeat=3):
            for part, project_id, state in zip(parts, IDS, states, strict=True):
                part.set_connection(connection(state), project_id)
            for own_id, state in zip(IDS, states, strict=True):
                own = session.connection(frozenset({own_id}))
                assert (own.state, own.name, own.read_on) == (state, "", connection(state).read_on)
            assert session.connection(frozenset({"unknown"})) == session.connection()
            assert session.connection(frozenset(IDS)) == session.connection()


STATES = (
    ConnectionState.LIVE,
    ConnectionState.OFFLINE,
    ConnectionState.DENIED,
    ConnectionState.DELETED,
    ConnectionState.PAUSED,
)
CONNECTIONS = [
    (state, is_read)
    for state, is_read in product(STATES, (True, False))
    if is_read or state is not ConnectionState.LIVE
]


@pytest.mark.parametrize("services", SERVICES)
async def test_whether_there_are_data_of_projects_is_a_fact_of_their_own(services: str) -> None:
    """None has uploads: where data are known they are 0, also while this or another project fails or is paused."""
    with SERVICES[services](has_uploads=False) as (session, parts):
        async with opened(session) as (pilot, table):
            waiting = table.screen.query_one(PendingList)
            for choice, own, other in product(CHOICES, CONNECTIONS, CONNECTIONS):
                chosen, all_known = [one for one in IDS if one in (choice or IDS)], dict[str, bool]()
                for part, project_id in zip(parts, IDS, strict=True):
                    state, all_known[project_id] = own if project_id == chosen[0] else other
                    read_on = NOW if all_known[project_id] else None
                    part.set_connection(Connection(state=state, since=NOW, read_on=read_on, reason="why"), project_id)
                table.screen.rows_query = Query(project_ids=choice)  # type: ignore[attr-defined]
                pilot.app.refresh_picture()  # type: ignore[attr-defined]
                is_known, where = all(all_known[one] for one in chosen), (choice, own, other)
                assert table.is_known is waiting.is_known is is_known, where
                text = "No uploads in this project." if is_known else "No data of this project yet."
                assert not choice or table.empty_text.startswith(text), where
                assert all(
                    ("-" in str(cell.text()).split()) is not is_known for cell in table.screen.query(StageCell)
                ), where


@pytest.mark.parametrize("services", SERVICES)
async def test_the_menu_counts_the_uploads_of_each_project_that_was_read(services: str) -> None:
    with SERVICES[services](has_uploads=False) as (session, parts):
        for index, (failing, is_read) in enumerate(CONNECTIONS):
            for part, project_id in zip(parts, IDS, strict=True):
                connection_ = Connection(state=ConnectionState.LIVE, since=NOW, read_on=NOW)
                if project_id == IDS[index % 3]:
                    connection_ = Connection(state=failing, since=NOW, read_on=NOW if is_read else None, reason="why")
                part.set_connection(connection_, project_id)
            async with opened(session) as (pilot, _):
                await pilot.press("p")
                await settled(pilot)
                lines = [str(one.prompt) for one in pilot.app.screen.query_one(OptionList).options][1:]
                assert ["0 uploads" in line for line in lines] == [is_read or n != index % 3 for n in range(3)]
