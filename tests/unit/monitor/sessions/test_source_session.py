"""The session over a source: it lists again and again, and a listing that fails is tried again, also the first one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
from tests.unit.cli.virtual_program import VirtualClock, virtual_time
from tests.unit.sources.scripted_source import SERVICE, ScriptedSource, SourceHarness, lines_of

from upload_tui.clock import Clock, SystemClock
from upload_tui.errors import Cause
from upload_tui.monitor import (
    ConnectionChanged,
    ConnectionState,
    Detail,
    Outcome,
    Query,
    Schedule,
    SourceSession,
    SourceWaiter,
    Store,
    StorePicture,
    WatchedSource,
    source_schedule,
)
from upload_tui.monitor.sessions.waiter import outcome_of
from upload_tui.monitor.store.store import Limits
from upload_tui.sources import LineBatch, LineReceiver, Listing, ListingVerdict
from upload_tui.status import PENDING_STAGES, Stage
from upload_tui.text import age_text, overrun_text

FAST = Schedule(0.001, 0.001, 0.001, growth=1.0)


@asynccontextmanager
async def running(
    source: ScriptedSource,
    clock: Clock | None = None,
    schedule: Schedule = FAST,
    projects: frozenset[str] = frozenset(),
) -> AsyncIterator[SourceSession]:
    store = Store()
    watched = WatchedSource(source, SERVICE, "scripted", projects, timeout_seconds=30)
    session = SourceSession(watched, store, clock or SystemClock(), schedule=schedule)
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
        connection = session.connection()
        assert connection.reason == "partial: exit code 1: no network"
        assert (connection.cause, connection.is_partial) == (Cause("exit code 1", details="no network"), True)
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


async def test_a_project_that_no_upload_has_is_named_until_one_has_it() -> None:
    source = ScriptedSource()
    source.print_next(lines_of({"a": {"project": "P"}, "b": {"project": "other"}}))
    async with running(source, projects=frozenset({"P", "Q"})) as session:
        await until(session, lambda: session.connection().is_live)
        assert session.connection().reason == "No project with the id or name Q is in the listing of scripted"
        source.outputs = [(lines_of({"a": {"project": "P"}, "c": {"project": {"id": 7, "name": "Q"}}}), Listing())]
        await until(session, lambda: session.connection().reason == "")
        assert (names(session), session.is_complete) == ({"a", "c"}, True)


async def test_a_paused_session_lists_only_when_it_is_asked() -> None:
    source = ScriptedSource()
    source.print_next(lines_of({"a": {}}))
    async with running(source) as session:
        await until(session, lambda: session.connection().is_live)
        session.set_paused(is_paused=True)
        source.outputs = [(lines_of({"a": {}, "b": {}}), Listing())]
        session.refresh()
        await until(session, lambda: names(session) == {"a", "b"})
        assert session.connection().state is ConnectionState.PAUSED
        session.set_paused(is_paused=False)
        await until(session, lambda: session.connection().is_live)


async def test_a_source_that_never_verifies_has_no_worker_to_be_down() -> None:
    source = ScriptedSource()
    source.print_next(lines_of({one: {"stage": "completed", "on": "2026-03-14T08:00:00Z"} for one in "abcdef"}))
    async with running(source) as session:
        await until(session, lambda: session.connection().is_live)
        funnel = session.picture.funnel()
        assert (funnel[Stage.COMPLETED].count, funnel.stuck, funnel.notices) == (6, 6, ())


class _SlowSource(ScriptedSource):
    """Takes some seconds for each listing; the last value again and again. `printed` is what it prints before that."""

    def __init__(self, *seconds: float, printed: Sequence[bytes] = ()) -> None:
        super().__init__()
        self.printed = printed
        self.seconds = [*seconds]
        self.began_at = 0.0
        self.print_next(lines_of({"a": {}}))

    async def read(self, receive: LineReceiver, is_whole: ListingVerdict) -> Listing:
        seconds = self.seconds.pop(0) if len(self.seconds) > 1 else self.seconds[0]
        self.began_at = VirtualClock().monotonic()
        if self.printed:
            await receive(LineBatch(1, self.printed))
        await asyncio.sleep(seconds)
        return await super().read(receive, is_whole)


def states_of(source: _SlowSource, seconds: float) -> list[tuple[str, int, str]]:
    """Each new state of a session, how many seconds the listing of that time had taken, and the reason."""
    states: list[tuple[str, int, str]] = []

    async def watch() -> None:
        async with running(source, VirtualClock(), source_schedule(15)) as session:
            with session.changes.subscribe() as changes, suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    async for change in changes:
                        if isinstance(change, ConnectionChanged):
                            taken = round(VirtualClock().monotonic() - source.began_at)
                            states.append((change.connection.state.value, taken, change.connection.reason))

    with virtual_time():
        asyncio.run(watch())
    return [one for before, one in zip([("", 0, ""), *states], states, strict=False) if before[0] != one[0]]


@pytest.mark.parametrize(("usual", "slow", "missed", "offline"), [(0.4, 2, 5, 15), (3, 6, 12, 36), (20, 40, 80, 240)])
def test_a_listing_that_hangs_is_slow_then_late_by_its_usual_time(
    usual: float, slow: int, missed: int, offline: int
) -> None:
    """However long the usual listings take, and the first, the state is live between and during them."""
    states = states_of(_SlowSource(10 * usual, *[usual] * 6, 100_000), 1000)
    assert [state for state, _, _ in states] == ["catching up", "live", "slow", "retrying", "offline"]
    assert [seconds for _, seconds, _ in states[2:]] == pytest.approx([slow, missed, offline], abs=1)
    lines = [f"no lines{text}, timeout after 30s" for text in (f" in {age_text(missed)}", "")]
    overruns = [overrun_text(seconds, 15) for seconds in (10 * usual, usual)]
    assert [reason for _, _, reason in states] == ["", *overruns, *lines]


@pytest.mark.parametrize(("printed", "what"), [((), "no lines"), (lines_of({"b": {}}), "no more lines")])
def test_the_reason_says_whether_a_listing_that_hangs_has_lines(printed: Sequence[bytes], what: str) -> None:
    reasons = [reason for _, _, reason in states_of(_SlowSource(1, 100_000, printed=printed), 300) if reason]
    assert reasons == [f"{what} in 5s, timeout after 30s", f"{what}, timeout after 30s"]


@pytest.mark.parametrize(("seconds", "reason"), [(14, ""), (41, "listing 41s, every 15s wanted")])
def test_listings_that_take_longer_than_the_interval_are_named(seconds: int, reason: str) -> None:
    assert states_of(_SlowSource(seconds), 100)[1][::2] == ("live", reason)


def test_a_listing_that_took_long_once_is_slow_and_live_again() -> None:
    states = states_of(_SlowSource(1, 1, 1, 4, 1), 200)
    assert [state for state, _, _ in states] == ["catching up", "live", "slow", "live"]


@pytest.mark.parametrize("kept", [0, 1])
@pytest.mark.parametrize("stage", [*Stage])
async def test_an_upload_that_ended_keeps_its_outcome_when_it_is_no_longer_listed(stage: Stage, kept: int) -> None:
    """Also if so many have ended that it is shown as gone."""
    harness = SourceHarness(store=Store(limits=Limits(ended_uploads_kept=kept)))
    await harness.print({"a": {"stage": stage, "ended": True}, "b": {}})
    harness.source.outputs = [(lines_of({"b": {}}), Listing())]
    waiter = SourceWaiter(harness.synchroniser, harness.picture, ["a"], goal=Stage.VERIFIED)
    assert await waiter.poll() == ["a"]
    assert harness.shown()["a"] == (kept == 0)
    assert waiter.outcomes == {"a": Outcome.REACHED if stage is Stage.VERIFIED else Outcome.MISSED}


class _CountingPicture(StorePicture):
    detail_count = 0

    def detail(self, upload_id: str, service: str = "") -> Detail | None:
        self.detail_count += 1
        return super().detail(upload_id, service)


@pytest.mark.parametrize("goal", Stage)
async def test_the_details_of_uploads_that_are_before_the_goal_are_not_read(goal: Stage) -> None:
    """Of thousands of pending uploads, that would take seconds in each round."""
    harness = SourceHarness()
    lines = {state: {"stage": state} for state in [*map(str, Stage), "held"]}
    await harness.print({**lines, "ended": {"stage": "initiated", "ended": True}})
    picture = _CountingPicture(harness.store, harness.clock, SERVICE)
    waiter = SourceWaiter(harness.synchroniser, picture, [*lines, "ended"], goal=goal)
    await waiter.poll()
    before = [stage for stage in PENDING_STAGES if stage.rank < goal.rank]
    assert picture.detail_count == len(waiter.outcomes) - len(before)
    for upload_id, outcome in waiter.outcomes.items():
        detail = picture.detail(upload_id)
        assert detail is not None
        expected = outcome_of(detail.upload, goal)
        has_ended = upload_id == "ended" and expected is Outcome.PENDING
        assert outcome is (Outcome.MISSED if has_ended else expected)
    assert [waiter.unknown_state(one) for one in ("initiated", "held", "ended", "?")] == ["", "held", "ended", ""]
