"""Poll single uploads by id until each reaches a stage, or never will. For callers that need no picture of a whole project."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from msgspec.structs import replace

from upload_tui.client import ServiceClient
from upload_tui.clock import Clock
from upload_tui.errors import (
    InvalidResponseError,
    NotConsistentError,
    NotFoundError,
    ServerError,
    ServiceError,
    UnreachableError,
)
from upload_tui.monitor.changes import Change
from upload_tui.monitor.sessions.schedule import Schedule
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.ingest import ingest
from upload_tui.status import Stage, is_contradictory
from upload_tui.wire import Upload

__all__ = ["MAX_UNREADABLE", "Outcome", "UploadWaiter", "outcome_of"]

_MAX_CONCURRENT_REQUESTS = 6
_PASSING_ERRORS = (ServerError, UnreachableError, InvalidResponseError)
"""Errors after which the next round tries again, once the service has answered."""
MAX_UNREADABLE = 3
"""Unreadable responses in a row after which an upload is no longer waited for."""


class Outcome(StrEnum):
    """What became of an upload that is waited for."""

    PENDING = "pending"
    REACHED = "reached"
    """It reached the goal."""
    MISSED = "missed"
    """It ended without reaching the goal, and never will."""
    GONE = "gone"
    """The service does not have it."""
    UNREADABLE = "unreadable"
    """Its responses cannot be read."""


class UploadWaiter:
    """Waits for uploads.

    Args:
        client: the service.
        store: where readings are written; nothing else writes to it.
        upload_ids: the uploads; each pending one is fetched once a round, unless the store knows that it has ended.
        goal: the stage to reach.
        clock: for sleeping.
        schedule: the interval between rounds.
        publish: called with each change of an upload. What it was when first read is no change, unless it did not exist before.
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
        publish: Callable[[Change], None] = lambda _: None,
    ) -> None:
        self._publish = publish
        self._awaited = set[str]()
        self._client = client
        self._store = store
        self._goal = goal
        self._clock = clock
        self._schedule = schedule
        self._semaphore = asyncio.Semaphore(_MAX_CONCURRENT_REQUESTS)
        self._outcomes = dict.fromkeys(upload_ids, Outcome.PENDING)
        self._known_ids: dict[str, str] = {}
        self._unknown_states: dict[str, str] = {}
        self._unreadable_counts = Counter[str]()
        self._reasons: dict[str, str] = {}
        self._has_answered = False
        self.last_error: ServiceError | None = None

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """The outcome of each upload, in the order given."""
        return self._outcomes

    @property
    def pending(self) -> Sequence[str]:
        """The uploads still waited for."""
        return [upload_id for upload_id, outcome in self._outcomes.items() if outcome is Outcome.PENDING]

    def known_id(self, upload_id: str) -> str:
        """The upload's own id, whose case may differ from the requested one; before the first response, that one."""
        return self._known_ids.get(upload_id, upload_id)

    def unknown_state(self, upload_id: str) -> str:
        """The service's name of a state that is not in the design, in which the upload may remain; empty for any other."""
        return self._unknown_states.get(upload_id, "")

    @property
    def notices(self) -> Sequence[str]:
        """A note if the service's clock and the local one disagree: the ages of what is printed depend on it."""
        return [notice] if (notice := self._client.clock_offset.notice) else []

    @property
    def problem(self) -> str:
        """Why the last round failed; empty if it did not."""
        return self.last_error.title if self.last_error else ""

    def reason(self, upload_id: str) -> str:
        """Why the last response for an unreadable upload cannot be read."""
        return self._reasons[upload_id]

    async def poll(self) -> Sequence[str]:
        """Fetch all pending uploads; return those whose outcome is known now.

        An error that may pass is stored in `last_error`. A transient one may always pass, the others only once the service has
        answered. An upload is unreadable after `MAX_UNREADABLE` responses in a row that cannot be read.

        Raises:
            ServiceError: the error will not pass.
        """
        self.last_error = None
        pending = self.pending
        errors = await asyncio.gather(*map(self._poll_one, pending), return_exceptions=True)
        for upload_id, error in zip(pending, errors, strict=True):
            is_passing = isinstance(error, _PASSING_ERRORS) and self._has_answered
            if isinstance(error, ServiceError) and (error.is_transient or is_passing):
                self.last_error = error
                self._count_unreadable(upload_id, error)
            elif isinstance(error, BaseException):
                raise error
        return [upload_id for upload_id in pending if self._outcomes[upload_id] is not Outcome.PENDING]

    async def wait(self, interval_seconds: float, *, has_changed: bool) -> float:
        """Sleep until the next round is due; return the interval to pass in next time."""
        seconds = self._schedule.next_seconds(interval_seconds, has_changed=has_changed, has_pending=True)
        await self._clock.sleep(self._schedule.with_jitter(seconds))
        return seconds

    def _count_unreadable(self, upload_id: str, error: ServiceError) -> None:
        if isinstance(error, InvalidResponseError) and not error.is_transient:
            self._unreadable_counts[upload_id] += 1
            self._reasons[upload_id] = error.title
            if self._unreadable_counts[upload_id] >= MAX_UNREADABLE:
                self._outcomes[upload_id] = Outcome.UNREADABLE

    async def _poll_one(self, upload_id: str) -> None:
        stored = self._store.get(upload_id)
        if stored is not None and stored.stage.is_final and not stored.unknown_state:
            self._outcomes[upload_id] = _outcome(stored.stage, self._goal, is_contradictory=stored.is_contradictory)
            return
        try:
            async with self._semaphore:
                reading = await self._client.upload(upload_id)
        except NotConsistentError:
            self._awaited.add(upload_id)
            raise
        except NotFoundError:
            self._outcomes[upload_id] = Outcome.GONE
        else:
            is_followed = upload_id in self._known_ids or upload_id in self._awaited
            self._known_ids[upload_id] = reading.upload.id
            self._unreadable_counts[upload_id] = 0
            state = reading.upload.timeline.unknown_state
            self._unknown_states[upload_id] = state.name if state else ""
            newest = replace(reading, requested_on=None)  # nothing else reads the upload: no reading is late
            result = ingest(self._store, [newest], self._client.root)
            for change in result.changes if is_followed else ():
                self._publish(change)
            self._outcomes[upload_id] = outcome_of(reading.upload, self._goal)
        self._has_answered = True


def outcome_of(upload: Upload, goal: Stage) -> Outcome:
    """The outcome of an upload. An error counts as having passed `initiated`, but no later goal.

    An upload that is verified but not whole has not reached `verified`: who waits for that trusts the file.
    """
    return _outcome(upload.stage, goal, is_contradictory=is_contradictory(upload.stage, upload.anomalies))


def _outcome(stage: Stage, goal: Stage, *, is_contradictory: bool) -> Outcome:
    if goal is Stage.VERIFIED and is_contradictory:
        return Outcome.MISSED
    is_past = not goal.is_final and stage.rank >= goal.rank
    if stage is goal or (is_past and (stage is not Stage.ERROR or goal is Stage.INITIATED)):
        return Outcome.REACHED
    return Outcome.MISSED if stage.is_final else Outcome.PENDING
