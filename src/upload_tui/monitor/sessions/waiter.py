"""Follows single uploads until their fate is known: asks for each by its id, and for nothing else.

Used where a whole project would be too much to ask for. Knows no screen and prints nothing.
"""

import asyncio
from collections.abc import Mapping, Sequence
from enum import StrEnum

from upload_tui.client import ServiceClient
from upload_tui.clock import Clock
from upload_tui.errors import (
    InvalidResponseError,
    NotConsistentError,
    NotFoundError,
    ServerError,
    ServiceError,
    ThrottledError,
    UnreachableError,
)
from upload_tui.monitor.sessions.polling import Schedule
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.ingest import ingest
from upload_tui.status import Stage

__all__ = ["Outcome", "UploadWaiter"]

_MAX_CONCURRENT_REQUESTS = 6
_TRANSIENT_ERRORS = (ThrottledError, ServerError, UnreachableError, InvalidResponseError)
"""Trouble that may pass: the next round asks again."""


class Outcome(StrEnum):
    """What became of an upload that was waited for."""

    PENDING = "pending"
    REACHED = "reached"
    """The goal."""
    MISSED = "missed"
    """It ended without reaching the goal: it can no longer."""
    GONE = "gone"
    """The service does not know it."""


class UploadWaiter:
    """Some uploads, waited for.

    Args:
        client: their service.
        store: where readings are kept; `StorePicture` answers questions about them.
        upload_ids: which; each is asked for once a round while it is pending.
        goal: the stage to reach.
        clock: for waiting.
        schedule: how often to ask.
    """

    def __init__(
        self,
        client: ServiceClient,
        store: Store,
        upload_ids: Sequence[str],
        *,
        goal: Stage,
        clock: Clock,
        schedule: Schedule,
    ) -> None:
        self._client = client
        self._store = store
        self._goal = goal
        self._clock = clock
        self._schedule = schedule
        self._semaphore = asyncio.Semaphore(_MAX_CONCURRENT_REQUESTS)
        self._outcomes = dict.fromkeys(upload_ids, Outcome.PENDING)
        self._has_answered = False
        self.last_error: ServiceError | None = None

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """What is known of each upload, in the order in which they were named."""
        return self._outcomes

    @property
    def pending(self) -> Sequence[str]:
        """Those whose fate is open."""
        return [upload_id for upload_id, fate in self._outcomes.items() if fate is Outcome.PENDING]

    async def poll(self) -> Sequence[str]:
        """Ask for all that are pending; gives those whose fate is known now.

        Trouble that may pass is kept in `trouble` and asked again, unless the service has never answered yet.

        Raises:
            ServiceError: the service cannot be used, or lets nobody in.
        """
        self.last_error = None
        asked = self.pending
        outcomes = await asyncio.gather(*map(self._poll_one, asked), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, _TRANSIENT_ERRORS) and self._has_answered:
                self.last_error = outcome
            elif isinstance(outcome, BaseException):
                raise outcome
        return [upload_id for upload_id in asked if self._outcomes[upload_id] is not Outcome.PENDING]

    async def wait(self, interval_seconds: float, *, has_changed: bool) -> float:
        """Wait until the next round is due; gives the interval to hand in the next time."""
        seconds = self._schedule.next_seconds(interval_seconds, has_changed=has_changed, has_pending=True)
        await self._clock.sleep(self._schedule.with_jitter(seconds))
        return seconds

    async def _poll_one(self, upload_id: str) -> None:
        try:
            async with self._semaphore:
                reading = await self._client.upload(upload_id)
        except NotFoundError:
            self._outcomes[upload_id] = Outcome.GONE
        except NotConsistentError:
            pass  # it is there, but not to be seen yet
        else:
            ingest(self._store, [reading], self._client.root, now=self._client.now())
            self._outcomes[upload_id] = self._outcome_at(reading.upload.timeline.stage)
        self._has_answered = True

    def _outcome_at(self, stage: Stage) -> Outcome:
        """An error is past `initiated`, but has not gone well for anybody who waits for more."""
        is_past = not self._goal.is_final and stage.rank >= self._goal.rank
        if stage is self._goal or (is_past and (stage is not Stage.ERROR or self._goal is Stage.INITIATED)):
            return Outcome.REACHED
        return Outcome.MISSED if stage.is_final else Outcome.PENDING
