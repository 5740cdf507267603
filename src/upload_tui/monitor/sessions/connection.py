"""The state of a connection, when to poll, and the wait before the next attempt."""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus

from msgspec import Struct
from msgspec.structs import replace

from upload_tui.clock import Clock
from upload_tui.errors import AuthError, BusyStorageError, ServiceError, ThrottledError
from upload_tui.monitor.model import Connection, ConnectionState
from upload_tui.text import age_text

__all__ = ["ConnectionTracker", "Demand", "Schedule", "WakeableTimer", "budgeted_seconds", "worst_connection"]

_FIRST_WAIT_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 60.0
_LONGEST_WAIT_BESIDE_LIVE_SECONDS = 5.0
"""While the service answers for other projects, it bears the requests, and the project may be back at any time."""
_TRIES_UNTIL_OFFLINE = 3
_SLOW_SECONDS = 2.0
_LONG_ROUND_SECONDS = 5.0
"""A service is slow when an answer takes longer than the one, or a round of several answers longer than the other."""
_STALE_AFTER_SECONDS = 15.0
_STALE_AFTER_INTERVALS = 3
"""Without a successful round for this many intervals and seconds, the picture is as of its last reading."""
_QUICK_SECONDS = 1.0
"""A slow service stays slow until it answers within this time, so that the state does not flicker."""


_STATES_BY_SEVERITY = (
    ConnectionState.LIVE,
    ConnectionState.SLOW,
    ConnectionState.REPLAYING,
    ConnectionState.PAUSED,
    ConnectionState.CATCHING_UP,
    ConnectionState.CONNECTING,
    ConnectionState.RETRYING,
    ConnectionState.DELETED,
    ConnectionState.OFFLINE,
    ConnectionState.DENIED,
    ConnectionState.NOT_ALLOWED,
)


def worst_connection(connections: Sequence[tuple[str, Connection]]) -> Connection:
    """The worst of the connections of several projects or services, each with a name.

    It has its name if it fails or has a reason, unless all the others are in the same state. While all are live it is as old as the
    oldest of them.
    """
    if len(connections) == 1:
        return connections[0][1]
    name, worst = max(connections, key=lambda one: (_STATES_BY_SEVERITY.index(one[1].state), bool(one[1].reason)))
    if worst.is_live:
        times = [connection.read_on for _, connection in connections]
        worst = replace(worst, read_on=min((on for on in times if on is not None), default=None))
    failing = [connection for _, connection in connections if connection.is_failing]
    is_that_of_all = all(
        not connection.name
        and connection.state is worst.state
        and (worst.is_failing or connection.reason == worst.reason)
        for _, connection in connections
    )
    if is_that_of_all or not (worst.is_failing or worst.reason):
        return worst
    return replace(
        worst,
        name=f"{name}/{worst.name}" if worst.name else name,
        others=sum(1 + connection.others for connection in failing) - worst.is_failing,
        is_partly_live=any(connection.is_live or connection.is_partly_live for _, connection in connections),
    )


class ConnectionTracker:
    """A state machine for the connection of one project, driven by the results of its rounds.

    Args:
        clock: for the times of the states.
        publish: called with each new state.
        jitter: returns a random number from 0 to 1, to spread retries.
        read_on: when an earlier session last read the picture; None if none did.
    """

    def __init__(
        self,
        clock: Clock,
        publish: Callable[[Connection], None],
        jitter: Callable[[], float] = random.random,
        *,
        read_on: datetime | None = None,
    ) -> None:
        self._clock = clock
        self._publish = publish
        self._jitter = jitter
        self._failures = 0
        self._failing_since: datetime | None = None
        self._is_paused = False
        self._is_slow = False
        self._was_slow = False
        """Whether the present round takes long."""
        self.notice = ""
        """A note on uploads that cannot be read; it is the state's reason while the connection is live."""
        self._current = Connection(state=ConnectionState.CONNECTING, since=clock.now(), read_on=read_on)
        self._has_synced = False

    @property
    def current(self) -> Connection:
        """The present state."""
        return self._current

    read_since = None
    """No uploads of earlier sessions; for a picture that is as current as this connection."""

    def as_of(self, project_id: str = "") -> datetime:  # noqa: ARG002
        """When the picture was last current."""
        return self._current.as_of(self._clock.now())

    def current_on(self, now: datetime, interval_seconds: float) -> datetime | None:
        """The time as of which the picture is correct; None before the first answer of the session.

        A live connection counts as old when no round has ended for several intervals: it hangs, or the machine was suspended.
        """
        connection = self._current
        if connection.read_on is None and connection.state is not ConnectionState.CATCHING_UP:
            return None
        stale_seconds = max(_STALE_AFTER_SECONDS, _STALE_AFTER_INTERVALS * interval_seconds)
        if connection.read_on is not None and (now - connection.read_on).total_seconds() > stale_seconds:
            return connection.read_on
        return connection.as_of(now)

    @property
    def is_paused(self) -> bool:
        """True while refreshing is paused."""
        return self._is_paused

    def catching_up(self, known: int, total: int | None) -> None:
        """Note the progress of a full scan: uploads known, and the service's total."""
        self._reset_failures()
        state = ConnectionState.PAUSED if self._is_paused else ConnectionState.CATCHING_UP
        self._enter(state, known=known, total=total, reason="")

    def synced(self, read_on: datetime, answer_seconds: float | None = None) -> None:
        """Note a successful round.

        Args:
            read_on: the time as of which the picture is correct.
            answer_seconds: the median response time; None if unknown.
        """
        self._reset_failures()
        self._has_synced = True
        limit_seconds = _QUICK_SECONDS if self._is_slow else _SLOW_SECONDS
        self._is_slow = self._was_slow or (answer_seconds is not None and answer_seconds > limit_seconds)
        self._was_slow = False
        if self._is_paused:
            self._enter(ConnectionState.PAUSED, read_on=read_on, reason="")
        else:
            state = ConnectionState.SLOW if self._is_slow else ConnectionState.LIVE
            self._enter(state, read_on=read_on, reason="")

    def failed(
        self, error: ServiceError | BusyStorageError, *, is_partly_live: bool = False, budgeted_seconds: float = 0.0
    ) -> float:
        """Note a failed round; return the seconds to wait before the next.

        Args:
            error: why it failed.
            is_partly_live: whether other projects of the service are live.
            budgeted_seconds: the shortest wait that the budget allows.
        """
        if not (isinstance(error, ThrottledError) and error.status is None):  # otherwise no request was sent
            self._failures += 1
        now = self._clock.now()
        self._failing_since = self._failing_since or now
        longest = _LONGEST_WAIT_BESIDE_LIVE_SECONDS if is_partly_live else _LONGEST_WAIT_SECONDS
        wait = self._wait_seconds(error, longest, budgeted_seconds)
        due = now + timedelta(seconds=wait)
        if self._is_paused:  # the single round of a refresh during a pause
            self._enter(ConnectionState.PAUSED, reason=error.title)
        elif isinstance(error, AuthError):
            state = ConnectionState.DENIED if error.status == HTTPStatus.FORBIDDEN else ConnectionState.NOT_ALLOWED
            self._enter(state, next_try_on=due, reason=error.title)
        elif self._failures < _TRIES_UNTIL_OFFLINE:
            self._enter(ConnectionState.RETRYING, next_try_on=due, reason=error.title)
        else:
            self._enter(ConnectionState.OFFLINE, next_try_on=due, reason=error.title, since=self._failing_since)
        return wait

    def deleted(self, error: ServiceError | BusyStorageError) -> None:
        """Note that the service no longer has the project."""
        self._enter(ConnectionState.PAUSED if self._is_paused else ConnectionState.DELETED, reason=error.title)

    def stalled(self, began_on: datetime, answered_on: datetime, limit_seconds: float) -> None:
        """Note that a round does not end; call this again and again while it lasts.

        Args:
            began_on: when the round began.
            answered_on: when the service last answered a request of it; `began_on` before the first answer.
            limit_seconds: without an answer for this long, the round counts as missed; for three times as long, as offline.
        """
        now = self._clock.now()
        seconds = (now - answered_on).total_seconds()
        if self._is_paused:
            return
        if seconds < limit_seconds:
            is_long = (now - began_on).total_seconds() >= _LONG_ROUND_SECONDS
            if self._current.is_live and (is_long or seconds >= _SLOW_SECONDS):
                self._is_slow = self._was_slow = True
                self._enter(ConnectionState.SLOW, reason="")
            return
        reason = f"No answer for {age_text(limit_seconds)}"
        if seconds < limit_seconds * _TRIES_UNTIL_OFFLINE and self._failures < _TRIES_UNTIL_OFFLINE:
            self._enter(ConnectionState.RETRYING, reason=reason)
        else:
            self._enter(ConnectionState.OFFLINE, reason=reason, since=self._failing_since or answered_on)

    def pause(self) -> None:
        """Enter the paused state."""
        self._is_paused = True
        self._enter(ConnectionState.PAUSED, reason="", known=self._current.known, total=self._current.total)

    def resume(self) -> None:
        """Leave the paused state; the picture is old until a round succeeds."""
        self._is_paused = False
        before = self._current
        has_picture = self._has_synced or before.known > 0
        state = ConnectionState.CATCHING_UP if has_picture else ConnectionState.CONNECTING
        self._enter(state, reason="", known=before.known, total=before.total)

    def _wait_seconds(
        self, error: ServiceError | BusyStorageError, longest_seconds: float, budgeted_seconds: float
    ) -> float:
        if isinstance(error, ThrottledError) and error.retry_after_seconds is not None:
            # A little later, because all other clients retry at exactly that moment.
            return max(error.retry_after_seconds, _FIRST_WAIT_SECONDS) * (1 + self._jitter() / 10)
        longest: float = min(_FIRST_WAIT_SECONDS * 2 ** min(self._failures, 10), longest_seconds)
        longest = max(longest, min(budgeted_seconds, _LONGEST_WAIT_SECONDS))
        return longest * (0.5 + self._jitter() / 2)

    def _reset_failures(self) -> None:
        self._failures = 0
        self._failing_since = None

    def _enter(
        self,
        state: ConnectionState,
        *,
        reason: str,
        since: datetime | None = None,
        read_on: datetime | None = None,
        next_try_on: datetime | None = None,
        known: int = 0,
        total: int | None = None,
    ) -> None:
        before = self._current
        if state in {ConnectionState.LIVE, ConnectionState.SLOW}:
            reason = reason or self.notice
        since = since or (before.since if before.state is state else self._clock.now())
        self._current = replace(
            before,
            state=state,
            since=since,
            read_on=read_on or before.read_on,
            next_try_on=next_try_on,
            reason=reason,
            known=known,
            total=total,
        )
        if self._current != before:
            self._publish(self._current)


_UNWATCHED_FACTOR = 5.0
"""Times the shortest interval: a terminal without focus may still be visible, and alerts must arrive."""
_PAUSE_CHECK_SECONDS = 1.0


class Schedule(Struct, frozen=True):
    """The bounds of the interval between rounds: short after a change, longer when idle, with jitter.

    Attributes:
        shortest_seconds: the interval after a change.
        longest_pending_seconds: the longest interval while uploads are pending.
        longest_idle_seconds: the longest interval while none is.
        growth: the factor by which an interval grows when nothing changed.
        jitter: returns a random number from 0 to 1.
    """

    shortest_seconds: float = 1.0
    longest_pending_seconds: float = 4.0
    longest_idle_seconds: float = 15.0
    growth: float = 1.5
    jitter: Callable[[], float] = random.random

    def next_seconds(self, last_seconds: float, *, has_changed: bool, has_pending: bool) -> float:
        """The interval after one of `last_seconds`."""
        if has_changed:
            return self.shortest_seconds
        longest = self.longest_pending_seconds if has_pending else self.longest_idle_seconds
        return min(last_seconds * self.growth, max(longest, self.shortest_seconds))

    def unwatched_seconds(self, seconds: float) -> float:
        """The interval in place of one of `seconds` while the dashboard is not watched."""
        return max(seconds, self.shortest_seconds * _UNWATCHED_FACTOR)

    def with_jitter(self, seconds: float) -> float:
        """The interval, up to a tenth longer or shorter."""
        return seconds * (0.9 + 0.2 * self.jitter())


_PLANNED_SHARE = 0.9
"""The part of the budget that rounds on schedule may use; the rest is for a refresh, for retries and for chance."""
_QUIET_SHARE = 0.25
"""The part of it that quiet projects out of view get at least."""


class Demand(Struct, frozen=True):
    """The requests of one project if there were no budget.

    Attributes:
        requests: of one round.
        interval_seconds: between two rounds.
        is_first: it has pending uploads or is on screen, so that its rounds become rarer only after those of all others.
    """

    requests: float
    interval_seconds: float
    is_first: bool

    @property
    def per_minute(self) -> float:
        """The requests in a minute."""
        return 60 * self.requests / self.interval_seconds


def budgeted_seconds(own: Demand, all_demands: Sequence[Demand], budget: float) -> float:
    """The interval between two rounds of a project with which all projects together stay within the budget.

    Args:
        own: the project's demand.
        all_demands: those of all projects, this one included.
        budget: the requests in a minute.
    """
    budget *= _PLANNED_SHARE
    quiet = sum(demand.per_minute for demand in all_demands if not demand.is_first)
    first = sum(demand.per_minute for demand in all_demands if demand.is_first)
    for_quiet = min(quiet, max(budget - first, budget * _QUIET_SHARE))
    wanted, allowed = (first, budget - for_quiet) if own.is_first else (quiet, for_quiet)
    if wanted <= allowed:
        return own.interval_seconds
    # Projects that have just been busy want so much that the others, in proportion, would wait for them much too long.
    in_turn = 60 * sum(demand.requests for demand in all_demands if demand.is_first is own.is_first) / allowed
    return max(own.interval_seconds, min(own.interval_seconds * wanted / allowed, in_turn))


class WakeableTimer:
    """A timer that ends early when it is woken.

    Args:
        clock: for sleeping.
        is_paused: while it returns True, time does not end the wait; only `wake` does.
    """

    def __init__(self, clock: Clock, is_paused: Callable[[], bool]) -> None:
        self._clock = clock
        self._is_paused = is_paused
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Wake now; a later `wait` returns at once."""
        self._woken.set()

    async def wait(self, seconds: float | None) -> None:
        """Wait for that many seconds, or until woken; None waits until woken."""
        if seconds is None:
            await self._woken.wait()
            self._woken.clear()
            return
        woken = asyncio.ensure_future(self._woken.wait())
        due = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait({woken, due}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            due.cancel()
        self._woken.clear()

    async def _sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        while self._is_paused():
            await self._clock.sleep(_PAUSE_CHECK_SECONDS)
