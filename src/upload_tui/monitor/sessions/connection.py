"""The state of a connection, and the wait before the next attempt."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from msgspec.structs import replace

from upload_tui.clock import Clock
from upload_tui.errors import AuthError, BusyStorageError, Cause, ServiceError, SourceAuthError, ThrottledError
from upload_tui.monitor.model import FAILING_STATES, Connection, ConnectionState, ProjectRef
from upload_tui.text import age_text

__all__ = ["ConnectionTracker", "connection_of", "worst_connection"]

Result = TypeVar("Result")

_FORBIDDEN = 403

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
_SLOW_ROUNDS = 2.0
"""A round is not slow before it takes this many times as long as usual."""


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


def connection_of(connections: Sequence[tuple[ProjectRef, Connection]], project_ids: frozenset[str]) -> Connection:
    """The worst of the connections of these projects; of all if there are no ids, or none of a known project."""
    chosen = [one for one in connections if one[0].id in project_ids] or connections
    return worst_connection([(project.name or project.id, connection) for project, connection in chosen])


def _severity(connection: Connection) -> int:
    return _STATES_BY_SEVERITY.index(connection.state)


def worst_connection(connections: Sequence[tuple[str, Connection]]) -> Connection:
    """The worst of the connections of several projects or services, each with a name.

    It has its name if it fails or has a reason, unless all the others are in the same state. Of several that are equally bad it is
    the one that began first, so that a younger outage hides no older one. It is as old as the oldest picture among them.
    """
    if len(connections) == 1:
        return connections[0][1]
    name, worst = min(connections, key=lambda one: (-_severity(one[1]), not one[1].reason, one[1].since))
    worst = replace(
        worst,
        read_on=_oldest_read_on([connection for _, connection in connections]),
        has_unread=any(connection.has_unread or connection.read_on is None for _, connection in connections),
    )
    failing = [connection for _, connection in connections if connection.is_failing]
    alike = [own for own, connection in connections if connection.state is worst.state and not connection.name]
    is_alike = 1 < len(alike) == len(failing)
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
        names=tuple(alike) if is_alike else (),
        watched=len(connections) if is_alike else 0,
        is_partly_live=any(connection.is_live or connection.is_partly_live for _, connection in connections),
    )


def _oldest_read_on(connections: Sequence[Connection]) -> datetime | None:
    """When the oldest picture of those that are not live was current. That of a deleted project gets no newer: it comes last."""
    old = [one for one in connections if not one.is_live] or connections
    old = [one for one in old if one.state is not ConnectionState.DELETED] or old
    return min((one.read_on for one in old if one.read_on is not None), default=None)


class ConnectionTracker:
    """A state machine for the connection of one project, driven by the results of its rounds.

    Args:
        clock: for the times of the states.
        publish: called with each new state.
        jitter: returns a random number from 0 to 1, to spread retries.
        read_on: when an earlier session last read the picture; None if none did.
        stall_cause: the cause of a round that does not end; called with ` in 5s`, or with an empty text while offline: the
            state has the duration then.
    """

    def __init__(
        self,
        clock: Clock,
        publish: Callable[[Connection], None],
        jitter: Callable[[], float] = random.random,
        *,
        read_on: datetime | None = None,
        stall_cause: Callable[[str], Cause] = lambda duration: Cause(f"No answer{duration}"),
    ) -> None:
        self._clock = clock
        self._publish = publish
        self._jitter = jitter
        self._stall_cause = stall_cause
        self._failures = 0
        self._began_on: dict[ConnectionState, datetime] = {}
        """When each state of the present outage began, also before a pause or another state; offline began at the first failure."""
        self._is_paused = False
        self.usual_seconds = 0.0
        """How long a round usually takes, if that alone decides on slow; otherwise 0."""
        self._is_slow = False
        """Whether the service has answered slowly since it last answered quickly."""
        self._is_round_slow = False
        """Whether the present round takes long."""
        self.notice = ""
        """A note on uploads that cannot be read; it is the state's reason while the connection is live."""
        self.partial_problem = ""
        """Why the last listing may not have everything; empty if it has."""
        self._current = Connection(state=ConnectionState.CONNECTING, since=clock.now(), read_on=read_on)
        self._has_synced = False

    @property
    def current(self) -> Connection:
        """The present state."""
        return self._current

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
        self._enter(state, known=known, total=total)

    def synced(self, read_on: datetime, answer_seconds: float | None = None) -> None:
        """Note a successful round.

        Args:
            read_on: the time as of which the picture is correct.
            answer_seconds: the median response time; None if unknown.
        """
        self._reset_failures()
        self._has_synced = True
        limit_seconds = _QUICK_SECONDS if self._is_slow else _SLOW_SECONDS
        self._is_slow = self._is_round_slow or (answer_seconds is not None and answer_seconds > limit_seconds)
        self._is_round_slow = False
        if self._is_paused:
            self._enter(ConnectionState.PAUSED, read_on=read_on)
        else:
            state = ConnectionState.SLOW if self._is_slow else ConnectionState.LIVE
            self._enter(state, read_on=read_on)

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
        self._began_on.setdefault(ConnectionState.OFFLINE, now)
        longest = _LONGEST_WAIT_BESIDE_LIVE_SECONDS if is_partly_live else _LONGEST_WAIT_SECONDS
        wait = self._wait_seconds(error, longest, budgeted_seconds)
        due: datetime | None = now + timedelta(seconds=wait)
        state = ConnectionState.RETRYING if self._failures < _TRIES_UNTIL_OFFLINE else ConnectionState.OFFLINE
        if isinstance(error, AuthError):
            is_denied = error.status == _FORBIDDEN or isinstance(error, SourceAuthError)  # it has no token of ours
            state = ConnectionState.DENIED if is_denied else ConnectionState.NOT_ALLOWED
        if self._is_paused:  # the single round of a refresh during a pause
            state, due = ConnectionState.PAUSED, None
        self._enter(state, error=error, next_try_on=due)
        return wait

    def deleted(self, error: ServiceError | BusyStorageError) -> None:
        """Note that the service no longer has the project."""
        self._enter(ConnectionState.PAUSED if self._is_paused else ConnectionState.DELETED, error=error)

    async def run_round(
        self,
        round_: Coroutine[Any, Any, Result],
        answer_count: Callable[[], int | None],
        limit_seconds: Callable[[], float],
        check_seconds: float,
    ) -> Result:
        """Run a round; while no answer arrives, it counts as missed though it has not failed yet.

        Args:
            round_: the round.
            answer_count: how many answers have arrived; None while none is expected.
            limit_seconds: see `note_stall`.
            check_seconds: how often to check, in real time.
        """
        task = asyncio.ensure_future(round_)
        began_on = answered_on = self._clock.now()
        answers: int | None = 0
        try:
            while not (await asyncio.wait({task}, timeout=check_seconds))[0]:
                before, answers = answers, answer_count()
                if answers is None or answers != before or self._is_paused:
                    answered_on = self._clock.now()
                self.note_stall(began_on, answered_on, limit_seconds())
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            elif not task.cancelled():
                task.exception()  # of a round that failed as this was cancelled: asyncio would log it

    def note_stall(self, began_on: datetime, answered_on: datetime, limit_seconds: float) -> None:
        """Update the state while a round has not ended; call this repeatedly until it ends.

        Args:
            began_on: when the round began.
            answered_on: when the service last answered a request of it; `began_on` before the first answer.
            limit_seconds: after this long without an answer the state is retrying; after three times as long it is offline.
        """
        now = self._clock.now()
        seconds = (now - answered_on).total_seconds()
        if self._is_paused:
            return
        if seconds < limit_seconds:
            usual = self.usual_seconds * _SLOW_ROUNDS
            is_long = (now - began_on).total_seconds() >= max(_LONG_ROUND_SECONDS, usual)
            if self._current.is_live and (is_long or seconds >= max(_SLOW_SECONDS, usual)):
                self._is_slow = self._is_round_slow = True
                self._enter(ConnectionState.SLOW)
            return
        self._began_on.setdefault(ConnectionState.OFFLINE, answered_on)
        if seconds < limit_seconds * _TRIES_UNTIL_OFFLINE and self._failures < _TRIES_UNTIL_OFFLINE:
            self._enter(ConnectionState.RETRYING, stall=self._stall_cause(f" in {age_text(limit_seconds)}"))
        else:
            self._failures = max(
                self._failures, _TRIES_UNTIL_OFFLINE
            )  # offline until it answers, also if the round fails
            self._enter(ConnectionState.OFFLINE, stall=self._stall_cause(""))

    def set_paused(self, *, is_paused: bool) -> None:
        """Enter the paused state, or leave it; the picture is old then until a round succeeds."""
        self._is_paused = is_paused
        before = self._current
        has_picture = self._has_synced or before.known > 0
        state = ConnectionState.CATCHING_UP if has_picture else ConnectionState.CONNECTING
        self._enter(ConnectionState.PAUSED if is_paused else state, known=before.known, total=before.total)

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
        self._began_on.clear()

    def _enter(
        self,
        state: ConnectionState,
        *,
        error: ServiceError | BusyStorageError | None = None,
        stall: Cause | None = None,
        read_on: datetime | None = None,
        next_try_on: datetime | None = None,
        known: int = 0,
        total: int | None = None,
    ) -> None:
        before, cause, is_partial = self._current, stall, False
        reason = ", ".join(filter(None, (stall.words, stall.details))) if stall else ""
        if error is not None:
            reason, cause, is_partial = error.title, error.cause, isinstance(error, ServiceError) and error.is_partial
        elif state in {ConnectionState.LIVE, ConnectionState.SLOW}:
            reason, is_partial = self.notice, bool(self.partial_problem)
            cause = Cause(self.partial_problem) if is_partial else None
        since = before.since if before.state is state else self._clock.now()
        if state in FAILING_STATES:
            since = self._began_on.setdefault(state, since)
        self._current = replace(
            before,
            state=state,
            since=since,
            read_on=read_on or before.read_on,
            next_try_on=next_try_on,
            reason=reason,
            cause=cause,
            is_partial=is_partial,
            hint=error.hint if error else "",
            known=known,
            total=total,
        )
        if self._current != before:
            self._publish(self._current)
