"""The monitor against the embedded service: the picture equals the service, and every change is published once and in order."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, timedelta
from email.utils import format_datetime
from itertools import groupby
from pathlib import Path

import httpx
import pytest

from tests.contract.calls import FILE, Caller, serving
from upload_tui.backend import FaultName
from upload_tui.client import Credentials, ServiceClient
from upload_tui.monitor import (
    CachedFreshness,
    Change,
    ConnectionState,
    LiveSession,
    ProjectRef,
    Query,
    Schedule,
    SortKey,
    StageReached,
    Store,
    StorePicture,
    Trouble,
    TroubleLimits,
    UploadChange,
    UploadSeen,
    parse_query,
    parse_query_as_typed,
)
from upload_tui.monitor.store.store import Limits
from upload_tui.status import Certainty, Stage
from upload_tui.testing import NOW, FrozenClock, an_upload
from upload_tui.wire import StatusShape

ROOT = "https://dds.test"
CHUNKS = tuple(enumerate(FILE, 1))


@asynccontextmanager
async def watching(
    caller: Caller, file: Path | None = None, *, is_answering: bool = True, clock: FrozenClock | None = None
) -> AsyncIterator[LiveSession]:
    """A session on the service's clock, or its own; it runs a round on `refresh`, or when the test moves the clock."""
    clock = clock or caller.clock
    account = caller.service.account
    credentials = Credentials(agent_key=account.agent_key, user_key=account.user_key)
    store = Store(file)
    async with ServiceClient(
        caller.service.base_url, credentials, transport=caller.transport, clock=clock, attempts=1
    ) as client:
        project = ProjectRef(caller.service.project.id, caller.service.project.name)
        session = LiveSession(client, [project], store, schedule=Schedule(jitter=lambda: 0.5))
        running = asyncio.create_task(session.run())
        try:
            await until(
                session, lambda: session.connection().is_live if is_answering else bool(session.connection().reason)
            )
            yield session
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            store.close()


@asynccontextmanager
async def running(session: LiveSession) -> AsyncIterator[None]:
    task = asyncio.create_task(session.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def run_pending() -> None:
    """Run all tasks that are due at this time of the clock."""
    for _ in range(100):
        await asyncio.sleep(0)


async def until(session: LiveSession, condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)


async def poll(session: LiveSession) -> None:
    """Run a round."""
    session.refresh()
    await until(session, lambda: not any(poller.is_refreshing for poller in session._pollers.values()))


def upload_changes(session: LiveSession) -> list[Change]:
    return [change for change in session.changes.history(1000) if isinstance(change, UploadChange)]


async def test_existing_uploads_are_not_published_after_the_full_scan() -> None:
    async with serving() as caller:
        upload_id = await caller.upload(CHUNKS)
        async with watching(caller) as session:
            assert [row.id for row in session.picture.window(Query(), 0, 10).rows] == [upload_id]
            assert session.picture.funnel()[Stage.COMPLETED].count == 1
            assert upload_changes(session) == []


@pytest.mark.parametrize("design", StatusShape)
async def test_every_stage_is_published_once_and_in_order(design: StatusShape) -> None:
    async with serving(status_shape=design) as caller, watching(caller) as session:
        caller.clock.advance(1)
        upload_id = await caller.initiate()
        await poll(session)
        for number, content in CHUNKS:
            await caller.send_chunk(upload_id, number, content)
        await poll(session)
        await caller.complete(upload_id, "0" * 32)
        caller.clock.advance(3)
        await caller.service.worker.verify_next()
        await poll(session)
        await poll(session)
        stages = [
            (change.before, change.after) for change in upload_changes(session) if isinstance(change, StageReached)
        ]
        assert stages == [
            (None, Stage.INITIATED),
            (Stage.INITIATED, Stage.COMPLETED),
            (Stage.COMPLETED, Stage.ERROR),
        ]
        assert [type(change) for change in upload_changes(session)].count(UploadSeen) == 1
        detail = session.picture.detail(upload_id)
        assert detail is not None
        assert detail.upload.stage is Stage.ERROR
        assert detail.row.chunk_bytes == 15


@pytest.mark.parametrize("ahead", [300, -300], ids=["behind", "ahead"])
async def test_times_are_the_services_when_the_local_clock_is_wrong(ahead: int) -> None:
    async with serving(status_shape=StatusShape.DEPLOYED) as caller:
        ours = FrozenClock(NOW - timedelta(seconds=ahead))
        upload_id = await caller.upload(CHUNKS)
        caller.clock.advance(1)
        ours.advance(1)
        pending_id = await caller.upload(CHUNKS)

        def later(seconds: float) -> None:
            caller.clock.advance(seconds)
            ours.advance(seconds)

        later(20)
        async with watching(caller, clock=ours) as session:
            assert not any(row.is_stale or row.lateness.is_stuck for row in session.picture.window(Query(), 0, 10).rows)
            later(10)
            await poll(session)
            later(5)
            assert await caller.service.worker.verify_next() == upload_id
            verified_on = caller.clock.now()
            later(5)
            await poll(session)
            detail, pending = session.picture.detail(upload_id), session.picture.detail(pending_id)
            assert detail is not None
            assert pending is not None
            assert detail.anomalies == pending.anomalies == ()
            assert (detail.row.since_certainty, detail.row.stage_since) == (Certainty.ESTIMATED, verified_on)
            (change,) = [change for change in upload_changes(session) if isinstance(change, StageReached)]
            assert change.earliest is not None
            assert change.latest is not None
            assert change.earliest <= verified_on <= change.latest
            assert abs((session.picture.clock.now() - caller.clock.now()).total_seconds()) < 1
            assert pending.row.stage_since is not None
            assert (session.picture.clock.now() - pending.row.stage_since).total_seconds() == pytest.approx(40, abs=1)


async def test_pending_uploads_of_an_earlier_session_are_stale_until_they_are_read_again(tmp_path: Path) -> None:
    """A verified upload stays verified; a pending one may have changed."""
    async with serving() as caller:
        done, pending = await caller.upload(CHUNKS), await caller.initiate("pending.bin")
        await caller.verify_all()
        async with watching(caller, tmp_path / "store.db") as session:
            assert not any(row.is_stale for row in session.picture.window(Query(), 0, 10).rows)
        caller.clock.advance(3600)
        caller.service.faults.start(FaultName.OUTAGE, 1000)
        async with watching(caller, tmp_path / "store.db", is_answering=False) as session:
            stale = {row.id: row.is_stale for row in session.picture.window(Query(), 0, 10).rows}
            assert stale == {done: False, pending: True}
            caller.service.faults.stop(FaultName.OUTAGE)
            session.refresh()
            await until(session, lambda: session.connection().is_live)
            assert not any(row.is_stale for row in session.picture.window(Query(), 0, 10).rows)


async def test_an_upload_does_not_become_stuck_while_the_service_is_unreachable() -> None:
    async with serving() as caller, watching(caller) as session:
        await caller.upload(CHUNKS)
        await poll(session)
        caller.service.faults.start(FaultName.OUTAGE, 10_000)
        session.refresh()
        await until(session, lambda: session.connection().state is ConnectionState.RETRYING)
        caller.clock.advance(3600)
        await until(session, lambda: session.connection().state is ConnectionState.RETRYING)
        (row,) = session.picture.pending(9)
        assert (row.lateness.is_stuck, row.is_stale, session.picture.funnel().stuck) == (False, True, 0)
        caller.service.faults.stop(FaultName.OUTAGE)
        session.refresh()
        await until(session, lambda: session.connection().is_live)
        (row,) = session.picture.pending(9)
        assert (row.lateness.is_stuck, row.is_stale, session.picture.funnel().stuck) == (True, False, 1)


async def test_uploads_of_an_earlier_session_are_as_late_as_they_were_until_the_service_answers(tmp_path: Path) -> None:
    async with serving() as caller:
        await caller.upload(CHUNKS)
        async with watching(caller, tmp_path / "store.db") as session:
            assert session.picture.funnel().stuck == 0
        caller.clock.advance(3600)
        caller.service.faults.start(FaultName.OUTAGE, 10_000)
        async with watching(caller, tmp_path / "store.db", is_answering=False) as session:
            (row,) = session.picture.pending(9)
            assert (row.lateness.is_stuck, row.is_stale, session.picture.funnel().stuck) == (False, True, 0)
            caller.service.faults.stop(FaultName.OUTAGE)
            session.refresh()
            await until(session, lambda: session.connection().is_live)
            assert (session.picture.pending(9)[0].lateness.is_stuck, session.picture.funnel().stuck) == (True, 1)


async def test_the_connection_shows_when_the_service_is_down_and_when_it_is_back() -> None:
    async with serving() as caller, watching(caller) as session:
        caller.service.faults.start(FaultName.OUTAGE, 1000)
        session.refresh()
        await until(session, lambda: session.connection().state is ConnectionState.RETRYING)
        assert session.connection().next_try_on is not None
        assert "503" in session.connection().reason
        for _ in range(2):
            session.refresh()
            before = session.connection()
            await until(session, lambda before=before: session.connection().next_try_on != before.next_try_on)
        assert session.connection().state is ConnectionState.OFFLINE
        caller.service.faults.stop(FaultName.OUTAGE)
        session.refresh()
        await until(session, lambda: session.connection().is_live)


async def test_all_projects_wait_when_the_service_throttles_one() -> None:
    projects_polled: list[str] = []
    clock, store = FrozenClock(), Store()

    def answer(request: httpx.Request) -> httpx.Response:
        projects_polled.append(request.url.path.split("/")[-2])
        return httpx.Response(429, headers={"retry-after": "30"}, json={})

    transport = httpx.MockTransport(answer)
    async with ServiceClient(ROOT, Credentials("t"), transport=transport, clock=clock) as client:
        projects = [ProjectRef("p-1", "A"), ProjectRef("p-2", "B")]
        session = LiveSession(client, projects, store)
        async with running(session):
            await until(session, lambda: session.connection().state is ConnectionState.RETRYING)
            for _ in range(29):
                clock.advance(1)
                await run_pending()
            assert projects_polled == ["p-1"]
            clock.advance(5)
            await run_pending()
            assert len(projects_polled) > 1
    store.close()


async def test_a_service_with_long_response_times_is_slow_until_they_are_short_again() -> None:
    async with serving() as caller, watching(caller) as session:
        caller.service.faults.start(FaultName.SLOW_ANSWERS, 1000)
        await caller.clock.advance_until_done(poll(session))
        assert session.connection().state is ConnectionState.LIVE  # a single slow round is not enough
        await caller.clock.advance_until_done(poll(session))
        assert session.connection().state is ConnectionState.SLOW
        caller.service.faults.stop(FaultName.SLOW_ANSWERS)
        await poll(session)
        await poll(session)
        assert session.connection().state is ConnectionState.LIVE


async def test_rejected_credentials_are_a_state_when_the_token_expires_during_the_session() -> None:
    async with serving() as caller, watching(caller) as session:
        caller.service.faults.start(FaultName.EXPIRED_TOKENS, 1000)
        session.refresh()
        await until(session, lambda: session.connection().state is ConnectionState.NOT_ALLOWED)


@pytest.mark.parametrize("fault", [FaultName.GARBAGE, FaultName.CUT_ANSWERS, FaultName.SERVER_ERROR], ids=str)
async def test_no_wrong_stage_is_shown_when_answers_are_broken(fault: FaultName) -> None:
    async with serving() as caller:
        upload_id = await caller.upload(CHUNKS)
        async with watching(caller) as session:
            caller.service.faults.start(fault, 1000)
            session.refresh()
            await until(session, lambda: not session.connection().is_live)
            assert session.picture.window(Query(), 0, 10).rows[0].stage is Stage.COMPLETED
            caller.service.faults.stop(fault)
            await caller.service.worker.verify_next()
            session.refresh()
            await until(session, lambda: session.connection().is_live)
            assert session.picture.window(Query(), 0, 10).rows[0].stage is Stage.VERIFIED
            assert [change.upload.id for change in upload_changes(session)] == [upload_id]  # type: ignore[attr-defined]


async def test_a_paused_session_sends_no_requests_except_for_a_refresh() -> None:
    async with serving() as caller, watching(caller) as session:
        session.set_paused(is_paused=True)
        assert session.connection().state is ConnectionState.PAUSED
        await caller.initiate()
        caller.clock.advance(600)
        for _ in range(50):
            await asyncio.sleep(0)
        assert session.picture.window(Query(), 0, 10).total == 0
        await poll(session)
        assert session.picture.window(Query(), 0, 10).total == 1
        assert session.connection().state is ConnectionState.PAUSED
        session.set_paused(is_paused=False)
        await until(session, lambda: session.connection().is_live)


class LargeService:
    """A service with many uploads that waits with its answers while the test holds it."""

    def __init__(self, count: int) -> None:
        self.uploads = [an_upload(f"{n}", initiated=60 + n, completed=50 + n, verified=40 + n) for n in range(count)]
        self.requests: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(str(request.url.params.get("page", "")))
        await self.may_answer.wait()
        if not request.url.path.endswith("/uploads"):
            return httpx.Response(404, json={"reason": "Not Found"})
        page, size = int(request.url.params["page"]), 100
        rows = self.uploads[(page - 1) * size : page * size]
        is_last = page * size >= len(self.uploads)
        headers = {"x-total": str(len(self.uploads)), "x-per-page": str(size)}
        headers["x-next-page"] = "" if is_last else str(page + 1)
        return httpx.Response(200, headers=headers, json={"results": rows})


async def test_a_pause_during_the_full_scan_sends_no_requests_and_the_scan_continues_where_it_was() -> None:
    service, clock, store = LargeService(2000), FrozenClock(), Store()
    transport = httpx.MockTransport(service.answer)
    async with ServiceClient(ROOT, Credentials("t"), transport=transport, clock=clock) as client:
        session = LiveSession(client, [ProjectRef("p-1", "A"), ProjectRef("p-2", "B")], store)
        states: set[ConnectionState] = set()
        async with running(session):
            await until(session, lambda: session.connection().known >= 500)
            service.may_answer.clear()
            await run_pending()
            session.set_paused(is_paused=True)
            request_count = len(service.requests)
            service.may_answer.set()
            for _ in range(20):
                clock.advance(60)
                await run_pending()
                states.add(session.connection().state)
            assert len(service.requests) == request_count
            assert states == {ConnectionState.PAUSED}
            assert 500 <= session.picture.window(Query(), 0, 1).total < 2000
            session.set_paused(is_paused=False)
            assert session.connection().state is ConnectionState.CATCHING_UP
            await until(session, lambda: session.connection().is_live)
            assert session.picture.window(Query(), 0, 1).total == 2000
            assert len(service.requests) < 60  # no page is requested twice
    store.close()


@pytest.mark.parametrize("title", ["lab", "archive"])
async def test_a_search_finds_a_service_by_the_title_of_its_session(title: str) -> None:
    service, clock, store = LargeService(3), FrozenClock(), Store()
    async with ServiceClient(
        ROOT, Credentials("t"), transport=httpx.MockTransport(service.answer), clock=clock
    ) as client:
        session = LiveSession(client, [ProjectRef("p-1", "A")], store, title=title)
        async with running(session):
            await until(session, lambda: session.connection().is_live)
            searches = [Query(where=parse_query(f"service:{one}")) for one in ("lab", "archive", "dds.test")]
            found = [session.picture.window(query, 0, 1).total for query in searches]
    assert found == [3 * (title == "lab"), 3 * (title == "archive"), 3]
    store.close()


async def test_a_refresh_during_a_paused_full_scan_completes_it() -> None:
    service, clock, store = LargeService(2000), FrozenClock(), Store()
    transport = httpx.MockTransport(service.answer)
    async with ServiceClient(ROOT, Credentials("t"), transport=transport, clock=clock) as client:
        session = LiveSession(client, [ProjectRef("p-1", "A")], store)
        async with running(session):
            await until(session, lambda: session.connection().known >= 500)
            session.set_paused(is_paused=True)
            session.refresh()
            await until(session, lambda: session.connection().read_on is not None)
            assert session.picture.window(Query(), 0, 1).total == 2000
            request_count = len(service.requests)
            clock.advance(600)
            await run_pending()
            assert session.connection().state is ConnectionState.PAUSED
            assert len(service.requests) == request_count
    store.close()


async def test_rounds_are_rare_while_unwatched_and_one_runs_at_once_when_watched_again() -> None:
    service, clock, store = LargeService(1), FrozenClock(), Store()
    transport = httpx.MockTransport(service.answer)
    async with ServiceClient(ROOT, Credentials("t"), transport=transport, clock=clock) as client:
        steady = Schedule(growth=1.0, jitter=lambda: 0.5)
        session = LiveSession(client, [ProjectRef("p-1", "A")], store, schedule=steady)

        async def requests_within(seconds: int) -> int:
            before = len(service.requests)
            for _ in range(seconds):
                clock.advance(1)
                await run_pending()
            return len(service.requests) - before

        async with running(session):
            await until(session, lambda: session.connection().is_live)
            session.set_watched(is_watched=True)
            watched = await requests_within(20)
            session.set_watched(is_watched=False)
            unwatched = await requests_within(20)
            assert 0 < unwatched <= watched / 4
            before = len(service.requests)
            session.set_watched(is_watched=True)
            await run_pending()
            assert len(service.requests) > before
            session.set_watched(is_watched=False)
            session.set_paused(is_paused=True)
            session.set_watched(is_watched=True)
            assert await requests_within(20) == 0
    store.close()


async def test_many_pages_are_read_when_there_are_many_uploads() -> None:
    async with serving() as caller:
        for number in range(1203):
            if number % 100 == 0:
                caller.clock.advance(1)
            await caller.initiate(f"{number:04d}.bin")
        async with watching(caller) as session:
            assert session.picture.window(Query(), 0, 10).total == 1203
            names = [row.name for offset in (0, 600, 1200) for row in session.picture.window(Query(), offset, 3).rows]
            assert len(set(names)) == 9
            await caller.initiate("newest.bin")
            caller.clock.advance(1)
            await poll(session)
            assert session.picture.window(Query(), 0, 10).total == 1204


async def test_a_round_that_does_not_end_is_missed() -> None:
    """A frozen server accepts connections and never answers: the picture is not live, and as of its last reading."""
    service, clock, store = LargeService(1), FrozenClock(), Store(limits=Limits(stall_check_seconds=0.0))
    transport = httpx.MockTransport(service.answer)
    async with ServiceClient(ROOT, Credentials("t"), transport=transport, clock=clock) as client:
        session = LiveSession(client, [ProjectRef("p-1", "A")], store)
        async with running(session):
            await until(session, lambda: session.connection().is_live)
            read_on = session.connection().read_on
            service.may_answer.clear()
            session.refresh()
            states = []
            for _ in range(20):
                clock.advance(1)
                await run_pending()
                states.append(session.connection().state)
            counts = {state: len([*some]) for state, some in groupby(states)}
            expected = [ConnectionState.LIVE, ConnectionState.SLOW, ConnectionState.RETRYING, ConnectionState.OFFLINE]
            assert [*counts] == expected
            assert counts[ConnectionState.LIVE] <= 3
            assert counts[ConnectionState.LIVE] + counts[ConnectionState.SLOW] <= 6
            assert counts[ConnectionState.RETRYING] == 10
            assert (session.connection().read_on, session.picture.as_of()) == (read_on, read_on)
            assert session.connection().reason == "No answer"  # the state has the duration
            service.may_answer.set()
            await until(session, lambda: session.connection().is_live)
            assert session.connection().reason == ""
    store.close()


async def test_a_session_without_an_answer_yet_is_as_of_the_last_one(tmp_path: Path) -> None:
    service, clock = LargeService(3), FrozenClock()
    for is_first in (True, False):
        store = Store(tmp_path / "store.db")
        transport = httpx.MockTransport(service.answer)
        async with ServiceClient(ROOT, Credentials("t"), transport=transport, clock=clock) as client:
            session = LiveSession(client, [ProjectRef("p-1", "A")], store)
            async with running(session):
                if is_first:
                    assert session.connection().read_on is None
                    await until(session, lambda session=session: session.connection().is_live)
                    read_on = session.connection().read_on
                    assert read_on is not None
                else:
                    assert session.connection().state is ConnectionState.CONNECTING
                    assert session.connection().read_on == session.picture.as_of() == read_on
        cached = StorePicture(store, clock, ROOT, freshness=CachedFreshness(clock.now()))
        assert cached.previous_read_on == read_on
        store.close()
        service.may_answer.clear()
        clock.advance(86_400)


async def test_one_project_that_is_away_is_stale_alone_and_judged_by_its_own_time() -> None:
    clock, store = FrozenClock(), Store()
    away: set[str] = set()

    async def answer(request: httpx.Request) -> httpx.Response:
        project_id = request.url.path.split("/")[-2]
        if project_id in away:
            return httpx.Response(503, json={})
        uploads = [
            an_upload(f"{project_id}-idle.bin", project=(project_id, project_id), initiated=120),
            an_upload(f"{project_id}.bin", project=(project_id, project_id), initiated=100, completed=90),
        ]
        return httpx.Response(200, headers={"x-total": "2"}, json={"results": uploads})

    async with ServiceClient(
        ROOT, Credentials("t"), transport=httpx.MockTransport(answer), clock=clock, attempts=1
    ) as client:
        limits = TroubleLimits(stuck_after_seconds=130)
        session = LiveSession(client, [ProjectRef("p-1", "A"), ProjectRef("p-2", "B")], store, limits=limits)
        picture = session.picture
        async with running(session):
            await until(session, lambda: session.connection().is_live)
            away.add("p-2")
            for _ in range(60):
                clock.advance(1)
                await run_pending()
            stale = {row.project_id: row.is_stale for row in picture.window(Query(), 0, 9).rows}
            assert stale == {"p-1": False, "p-2": True}
            for query in (Query(), Query(sort=SortKey.TROUBLE), Query(trouble_only=True)):
                stuck = {row.name for row in picture.window(query, 0, 9).rows if row.trouble}
                assert stuck == {"p-1-idle.bin", "p-1.bin"}
            assert picture.funnel().troubles == {Trouble.STUCK: 2}
            assert picture.window(Query(where=parse_query_as_typed("is:stuck")), 0, 9).total == 2
            away.clear()
            session.refresh()
            await until(session, lambda: picture.funnel().stuck == 4)
    store.close()


class TwoProjects:
    """A service with the projects p-1 (Genome) and p-2 (Prot) that answers for one of them as the test says.

    Attributes:
        answers: for the projects that are away, their status; None holds the request until the project is back.
        requests: the number of requests by project.
    """

    def __init__(self, clock: FrozenClock) -> None:
        self._clock = clock
        self._is_back = asyncio.Event()
        self.answers: dict[str, int | None] = {}
        self.requests: Counter[str] = Counter()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        project_id = request.url.path.split("/")[-2]
        self.requests[project_id] += 1
        if self.answers.get(project_id, 200) is None:
            await self._is_back.wait()
        status = self.answers.get(project_id, 200)
        if status is not None and status != 200:
            return httpx.Response(status, json={"code": "no", "reason": "No"})
        upload = an_upload(f"{project_id}.bin", project=(project_id, project_id), now=self._clock.now())
        return httpx.Response(200, headers={"x-total": "1"}, json={"results": [upload]})

    def bring_back(self) -> None:
        self.answers.clear()
        self._is_back.set()

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[LiveSession]:
        store = Store(limits=Limits(stall_check_seconds=0.0))
        async with ServiceClient(
            ROOT, Credentials("t"), transport=httpx.MockTransport(self), clock=self._clock, attempts=1
        ) as client:
            projects = [ProjectRef("p-1", "Genome"), ProjectRef("p-2", "Prot")]
            session = LiveSession(client, projects, store, schedule=Schedule(jitter=lambda: 0.5))
            async with running(session):
                await until(session, lambda: session.connection().is_live)
                yield session
        store.close()


async def advance(clock: FrozenClock, seconds: int) -> None:
    for _ in range(seconds):
        clock.advance(1)
        await run_pending()


AWAY_STATES = {
    401: ConnectionState.NOT_ALLOWED,
    403: ConnectionState.DENIED,
    404: ConnectionState.DELETED,
    500: ConnectionState.OFFLINE,
    None: ConnectionState.OFFLINE,
}


@pytest.mark.parametrize("status", AWAY_STATES)
async def test_a_project_that_is_away_is_named_and_the_other_is_live(status: int | None) -> None:
    clock = FrozenClock()
    service = TwoProjects(clock)
    async with service.watched() as session:
        service.answers["p-2"] = status
        await advance(clock, 40)
        connection = session.connection()
        assert (connection.state, connection.name, connection.others) == (AWAY_STATES[status], "Prot", 0)
        assert connection.is_partly_live
        own = [session.connection(frozenset({one.id})) for one in session.projects]
        assert [(one.state, one.name) for one in own] == [(ConnectionState.LIVE, ""), (AWAY_STATES[status], "")]
        assert {row.project_id: row.is_stale for row in session.picture.window(Query(), 0, 9).rows} == {
            "p-1": False,
            "p-2": True,
        }
        before = service.requests.copy()
        await advance(clock, 60)
        assert service.requests["p-1"] > before["p-1"]
        assert (service.requests["p-2"] > before["p-2"]) is (status not in {404, None})
        service.bring_back()
        if status == 404:
            await advance(clock, 60)
            assert session.connection().state is ConnectionState.DELETED  # only a refresh tries again
            session.refresh()
        await advance(clock, 6)
        assert session.connection().is_live
        assert (session.connection().name, session.connection().reason) == ("", "")


async def test_the_worst_project_is_named_and_the_others_are_counted() -> None:
    clock = FrozenClock()
    service = TwoProjects(clock)
    async with service.watched() as session:
        service.answers |= {"p-1": 500, "p-2": 403}
        await advance(clock, 30)
        connection = session.connection()
        assert (connection.state, connection.name, connection.others) == (ConnectionState.DENIED, "Prot", 1)
        assert not connection.is_partly_live
        service.answers["p-2"] = 500
        await advance(clock, 90)
        connection = session.connection()
        assert (connection.state, connection.name, connection.others) == (ConnectionState.OFFLINE, "", 0)


async def test_the_first_project_that_is_back_lets_the_others_try_at_once() -> None:
    clock = FrozenClock()
    service = TwoProjects(clock)
    async with service.watched() as session:
        service.answers |= {"p-1": 500, "p-2": 500}
        await advance(clock, 300)
        service.bring_back()
        while not session.connection().is_partly_live and not session.connection().is_live:
            await advance(clock, 1)
        await run_pending()
        assert session.connection().is_live


async def test_a_deleted_project_is_lost_after_two_tries() -> None:
    clock, store = FrozenClock(), Store()
    is_deleted = False

    async def answer(_: httpx.Request) -> httpx.Response:
        if is_deleted:
            return httpx.Response(404, json={"code": "resource_not_found", "reason": "Not Found"})
        return httpx.Response(200, headers={"x-total": "0"}, json={"results": []})

    async with ServiceClient(ROOT, Credentials("t"), transport=httpx.MockTransport(answer), clock=clock) as client:
        session = LiveSession(client, [ProjectRef("p-1", "A")], store)
        async with running(session):
            await until(session, lambda: session.connection().is_live)
            is_deleted = True
            session.refresh()
            await until(session, lambda: session.connection().state is ConnectionState.RETRYING)
            assert session.lost_projects == []
            session.refresh()
            await until(session, lambda: bool(session.lost_projects))
            assert session.lost_projects == [ProjectRef("p-1", "A")]
    store.close()


@pytest.mark.parametrize(
    ("ahead_seconds", "reason"),
    [
        (0, ""),
        (20, ""),
        (600, "the service's clock is 10m ahead of ours, by which times are judged"),
        (-600, "the service's clock is 10m behind ours, by which times are judged"),
    ],
)
async def test_a_date_that_differs_from_the_times_of_uploads_is_reported(ahead_seconds: int, reason: str) -> None:
    clock, store, uploads = FrozenClock(), Store(), list[dict[str, object]]()

    async def answer(_: httpx.Request) -> httpx.Response:
        date = format_datetime((clock.now() + timedelta(seconds=ahead_seconds)).astimezone(UTC), usegmt=True)
        headers = {"x-total": str(len(uploads)), "date": date}
        return httpx.Response(200, headers=headers, json={"results": uploads[::-1]})

    async with ServiceClient(ROOT, Credentials("t"), transport=httpx.MockTransport(answer), clock=clock) as client:
        session = LiveSession(client, [ProjectRef("p-1", "A")], store)
        async with running(session):
            await until(session, lambda: session.connection().is_live)
            for number in range(12):
                uploads.append(an_upload(f"{number}.bin", initiated=0, now=clock.now()))
                clock.advance(5)
                await run_pending()
            assert session.connection().is_live
            assert session.connection().reason == reason
    store.close()
