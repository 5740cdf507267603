"""Whether the service can be believed just now, and when it is asked again; a small state machine that says its changes."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec.structs import replace

from upload_tui.clock import Clock
from upload_tui.errors import AuthError, BusyStorageError, ServiceError, ThrottledError
from upload_tui.monitor.model import Connection, ConnectionState

__all__ = ["ConnectionTracker"]

_FIRST_WAIT_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 60.0
_TRIES_UNTIL_OFFLINE = 3
_SLOW_SECONDS = 2.0
_QUICK_SECONDS = 1.0
"""A slow service is called so until it answers within this: the word does not flicker."""


class ConnectionTracker:
    """The connection of one session, told of what went well and what did not.

    Args:
        clock: for the times of its states.
        publish: called with each new state.
        jitter: a number from 0 to 1, for the jitter of waits.
    """

    def __init__(
        self, clock: Clock, publish: Callable[[Connection], None], jitter: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._publish = publish
        self._jitter = jitter
        self._failures = 0
        self._failing_since: datetime | None = None
        self._is_paused = False
        self._is_slow = False
        self.notice = ""
        """What is missing of the picture though it is whole; it is told as the reason while nothing worse is."""
        self._current = Connection(state=ConnectionState.CONNECTING, since=clock.now())

    @property
    def current(self) -> Connection:
        """The state now."""
        return self._current

    @property
    def is_paused(self) -> bool:
        """True while the person wants no requests."""
        return self._is_paused

    def catching_up(self, known: int, total: int | None) -> None:
        """Answers come, but the picture is not whole yet."""
        self._reset_failures()
        state = ConnectionState.PAUSED if self._is_paused else ConnectionState.CATCHING_UP
        self._enter(state, known=known, total=total, reason="")

    def synced(self, read_on: datetime, answer_seconds: float | None = None) -> None:
        """The picture is what the service says, as of `read_on`; its answers take so long (None if nobody knows)."""
        self._reset_failures()
        bearable = _QUICK_SECONDS if self._is_slow else _SLOW_SECONDS
        self._is_slow = answer_seconds is not None and answer_seconds > bearable
        if self._is_paused:
            self._enter(ConnectionState.PAUSED, read_on=read_on, reason="")
        else:
            state = ConnectionState.SLOW if self._is_slow else ConnectionState.LIVE
            self._enter(state, read_on=read_on, reason="")

    def failed(self, error: ServiceError | BusyStorageError) -> float:
        """A round failed; gives the seconds to wait before the next."""
        if not (isinstance(error, ThrottledError) and error.status is None):  # else nobody was asked
            self._failures += 1
        now = self._clock.now()
        self._failing_since = self._failing_since or now
        wait = self._wait_seconds(error)
        due = now + timedelta(seconds=wait)
        if self._is_paused:  # a single look, asked for meanwhile
            self._enter(ConnectionState.PAUSED, reason=error.title)
        elif isinstance(error, AuthError):
            self._enter(ConnectionState.NOT_ALLOWED, next_try_on=due, reason=error.title)
        elif self._failures < _TRIES_UNTIL_OFFLINE:
            self._enter(ConnectionState.RETRYING, next_try_on=due, reason=error.title)
        else:
            self._enter(ConnectionState.OFFLINE, next_try_on=due, reason=error.title, since=self._failing_since)
        return wait

    def pause(self) -> None:
        """No requests any more."""
        self._is_paused = True
        self._enter(ConnectionState.PAUSED, reason="", known=self._current.known, total=self._current.total)

    def resume(self) -> None:
        """Requests again; what is shown is old until a round has gone well."""
        self._is_paused = False
        before = self._current
        was_read = before.read_on is not None or before.known > 0
        state = ConnectionState.CATCHING_UP if was_read else ConnectionState.CONNECTING
        self._enter(state, reason="", known=before.known, total=before.total)

    def _wait_seconds(self, error: ServiceError | BusyStorageError) -> float:
        if isinstance(error, ThrottledError) and error.retry_after_seconds is not None:
            # Rather later than sooner: at the very moment all others come back as well.
            return max(error.retry_after_seconds, _FIRST_WAIT_SECONDS) * (1 + self._jitter() / 10)
        longest: float = min(_FIRST_WAIT_SECONDS * 2 ** min(self._failures, 10), _LONGEST_WAIT_SECONDS)
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
        began = since or (before.since if before.state is state else self._clock.now())
        self._current = replace(
            before,
            state=state,
            since=began,
            read_on=read_on or before.read_on,
            next_try_on=next_try_on,
            reason=reason,
            known=known,
            total=total,
        )
        if self._current != before:
            self._publish(self._current)
