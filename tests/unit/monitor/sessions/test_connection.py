"""The states of a connection, and the waits between attempts."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import permutations, product

import pytest

from upload_tui.errors import (
    AuthError,
    Cause,
    NotFoundError,
    ServerError,
    SourceAuthError,
    SourceConfigError,
    SourceError,
    ThrottledError,
    UnreachableError,
)
from upload_tui.monitor.model import FAILING_STATES, Connection, ConnectionState
from upload_tui.monitor.sessions.connection import ConnectionTracker, worst_connection
from upload_tui.testing import NOW, FrozenClock


def test_waits_grow_when_rounds_fail_unless_the_service_sends_retry_after() -> None:
    clock, published = FrozenClock(), list[Connection]()
    tracker = ConnectionTracker(clock, published.append, jitter=lambda: 1.0)
    assert [tracker.failed(UnreachableError("no")) for _ in range(8)] == [2, 4, 8, 16, 32, 60, 60, 60]
    assert tracker.failed(ThrottledError("busy", retry_after_seconds=120)) == pytest.approx(132)
    assert [connection.state for connection in published[:3]] == [
        ConnectionState.RETRYING,
        ConnectionState.RETRYING,
        ConnectionState.OFFLINE,
    ]
    tracker.synced(clock.now())
    assert tracker.current.is_live
    assert tracker.failed(UnreachableError("no")) == 2


def test_a_throttled_connection_is_not_offline_when_no_request_was_sent() -> None:
    """The request gate raises the error again for all later requests, without sending them."""
    tracker = ConnectionTracker(FrozenClock(), lambda _: None)
    for _ in range(5):
        tracker.failed(ThrottledError("busy", retry_after_seconds=30))
    assert tracker.current.state is ConnectionState.RETRYING


def test_a_connection_is_slow_until_the_service_answers_quickly_again() -> None:
    tracker, states = ConnectionTracker(FrozenClock(), lambda _: None), []
    for seconds in (None, 1.9, 2.1, 1.5, 0.9, 1.5):
        tracker.synced(NOW, seconds)
        states.append(tracker.current.state.value)
    assert states == ["live", "live", "slow", "slow", "live", "live"]
    assert tracker.current.is_live


def test_a_live_connection_is_slow_as_soon_as_an_answer_or_a_round_takes_long() -> None:
    clock = FrozenClock()
    tracker = ConnectionTracker(clock, lambda _: None)
    for answer_seconds in (7.0, 0.9):
        tracker.synced(clock.now())
        tracker.synced(clock.now(), 0.1)
        began_on, states = clock.now(), list[str]()
        for second in range(7):
            answered_on = began_on + timedelta(seconds=second // answer_seconds * answer_seconds)
            tracker.note_stall(began_on, answered_on, 10)
            states.append(tracker.current.state.value)
            clock.advance(1)
        slow_after = 2 if answer_seconds > 2 else 5
        assert states == ["live"] * slow_after + ["slow"] * (7 - slow_after)
        tracker.synced(clock.now(), 0.1)
        assert tracker.current.state is ConnectionState.SLOW
    tracker.synced(clock.now(), 0.1)
    assert tracker.current.state is ConnectionState.LIVE


FAILURES: dict[ConnectionState, Callable[[ConnectionTracker], object]] = {
    ConnectionState.OFFLINE: lambda tracker: [tracker.failed(UnreachableError("no")) for _ in range(3)],
    ConnectionState.DENIED: lambda tracker: tracker.failed(SourceAuthError("denied")),
    ConnectionState.NOT_ALLOWED: lambda tracker: tracker.failed(AuthError("rejected")),
    ConnectionState.DELETED: lambda tracker: tracker.deleted(NotFoundError("gone")),
}


@pytest.mark.parametrize("state", FAILURES, ids=str)
@pytest.mark.parametrize(
    "between",
    product([None, "pause", "refresh while paused", *FAILURES], repeat=2),
    ids=lambda pair: ", ".join(map(str, pair)),
)
def test_an_outage_began_when_its_state_was_first_seen(
    state: ConnectionState, between: Sequence[ConnectionState | str | None]
) -> None:
    """Whatever happens between two failures, except an answer."""
    clock = FrozenClock()
    tracker = ConnectionTracker(clock, lambda _: None)
    tracker.synced(clock.now())
    FAILURES[state](tracker)
    for what in between:
        clock.advance(60)
        tracker.set_paused(is_paused=isinstance(what, str) and what not in FAILURES)
        if what in FAILURES:
            FAILURES[ConnectionState(what)](tracker)
        elif what == "refresh while paused":
            FAILURES[state](tracker)
            assert tracker.current.state is ConnectionState.PAUSED
    clock.advance(60)
    tracker.set_paused(is_paused=False)
    FAILURES[state](tracker)
    assert (tracker.current.state, tracker.current.since) == (state, NOW)
    tracker.synced(clock.now())
    FAILURES[state](tracker)
    assert tracker.current.since == clock.now()


def test_offline_begins_at_the_first_failure() -> None:
    clock = FrozenClock()
    tracker = ConnectionTracker(clock, lambda _: None)
    for _ in range(4):
        tracker.failed(UnreachableError("no"))
        clock.advance(10)
    assert tracker.current.since == NOW


@pytest.mark.parametrize("stalled_seconds", [12, 40])
def test_a_round_without_an_answer_that_fails_goes_on_where_it_was(stalled_seconds: int) -> None:
    clock = FrozenClock()
    tracker = ConnectionTracker(clock, lambda _: None)
    tracker.synced(NOW)
    states = []
    for _ in range(3):
        began_on = clock.now()
        for _ in range(stalled_seconds):
            clock.advance(1)
            tracker.note_stall(began_on, began_on, 10)
            states.append(tracker.current)
        tracker.failed(UnreachableError("no"))
        states.append(tracker.current)
    order = ["live", "slow", "retrying", "offline"]
    ranks = [order.index(connection.state.value) for connection in states]
    assert ranks == sorted(ranks)
    assert {connection.since for connection in states if connection.state is ConnectionState.OFFLINE} == {NOW}
    tracker.synced(clock.now())
    tracker.failed(UnreachableError("no"))
    assert tracker.current.state is ConnectionState.RETRYING


@pytest.mark.parametrize(
    ("error", "status", "state"),
    [
        (AuthError("rejected"), 401, ConnectionState.NOT_ALLOWED),
        (AuthError("denied"), 403, ConnectionState.DENIED),
        (AuthError("there is no other token"), None, ConnectionState.NOT_ALLOWED),
        (SourceAuthError("a source has no token of ours"), None, ConnectionState.DENIED),
    ],
    ids=["401", "403", "no token", "source"],
)
def test_rejected_credentials_are_a_state_at_once(error: AuthError, status: int | None, state: ConnectionState) -> None:
    error.status = status
    tracker = ConnectionTracker(FrozenClock(), lambda _: None)
    tracker.failed(error)
    assert tracker.current.state is state


def test_the_notice_is_the_reason_while_the_connection_is_live() -> None:
    tracker = ConnectionTracker(FrozenClock(), lambda connection: None)
    tracker.notice = "1 of 50 uploads cannot be read"
    tracker.synced(NOW)
    assert (tracker.current.state, tracker.current.reason) == (ConnectionState.LIVE, tracker.notice)
    tracker.failed(ServerError("failed"))
    assert tracker.current.reason == "failed"
    tracker.notice = ""
    tracker.synced(NOW)
    assert tracker.current.reason == ""


def test_a_connection_has_the_cause_of_its_error_and_whether_a_listing_was_partial() -> None:
    tracker = ConnectionTracker(FrozenClock(), lambda connection: None)

    def cause() -> tuple[Cause | None, bool]:
        return tracker.current.cause, tracker.current.is_partial

    for kind, is_partial in ((ServerError, False), (SourceError, True), (SourceConfigError, False)):
        failed = Cause("exit code 7", details="no such bucket")
        tracker.failed(kind("a whole sentence", cause=failed))
        assert cause() == (failed, is_partial)
    tracker.notice, tracker.partial_problem = "partial: line 3 cannot be read", "line 3 cannot be read"
    tracker.synced(NOW)
    assert cause() == (Cause("line 3 cannot be read"), True)
    tracker.notice = tracker.partial_problem = ""
    tracker.synced(NOW)
    assert cause() == (None, False)


@pytest.mark.parametrize(
    "states", product([ConnectionState.LIVE, ConnectionState.OFFLINE, ConnectionState.DENIED], repeat=4)
)
def test_all_that_fail_are_named_if_they_fail_alike_and_others_do_not(states: Sequence[ConnectionState]) -> None:
    connections = [(f"service-{n}", Connection(state=state, since=NOW, reason="why")) for n, state in enumerate(states)]
    worst = worst_connection(connections)
    failing = [(name, one) for name, one in connections if one.is_failing]
    is_common = 1 < len(failing) < len(states) and len({one.state for _, one in failing}) == 1
    assert (worst.names, worst.watched) == ((tuple(name for name, _ in failing), len(states)) if is_common else ((), 0))


BEGAN_SECONDS_AGO = (300.0, 1000.0, 20.0)


@pytest.mark.parametrize("state", sorted(FAILING_STATES), ids=str)
@pytest.mark.parametrize("order", permutations(BEGAN_SECONDS_AGO), ids=str)
@pytest.mark.parametrize("has_live", [True, False])
def test_of_equally_bad_outages_the_one_that_began_first_counts(
    state: ConnectionState, order: Sequence[float], has_live: bool
) -> None:
    """In any order of projects and services, and also where several services have several projects."""
    live = [("live", Connection(state=ConnectionState.LIVE, since=NOW))] * has_live
    outages = [
        (f"{seconds:g}", Connection(state=state, since=NOW - timedelta(seconds=seconds), reason="why"))
        for seconds in order
    ]
    for connections in (
        [*live, *outages],
        [*outages, *live],
        [("first", worst_connection(outages[:2])), *outages[2:], *live],
    ):
        worst = worst_connection(connections)
        assert (NOW - worst.since).total_seconds() == max(BEGAN_SECONDS_AGO)
        assert not has_live or "1000" in worst.name or "first" in worst.name


def test_the_time_of_an_outage_never_runs_backwards() -> None:
    """One after the other fails; those that are offline already go on."""
    clock = FrozenClock()
    trackers = {f"project-{n}": ConnectionTracker(clock, lambda _: None) for n in range(4)}
    for tracker in trackers.values():
        tracker.synced(clock.now())
    failing, ages = list[ConnectionTracker](), list[float]()
    for tracker in reversed(trackers.values()):
        failing.append(tracker)
        for _ in range(4):
            clock.advance(10)
            for one in failing:
                one.failed(UnreachableError("no"))
            worst = worst_connection([(name, one.current) for name, one in trackers.items()])
            if worst.state is ConnectionState.OFFLINE:
                assert worst.name in {"project-3", ""}
                ages.append((clock.now() - worst.since).total_seconds())
    assert len(ages) > 10
    assert ages == sorted(set(ages))
