"""Poll single uploads by id until each reaches a stage, or never will. For callers that need no picture of a whole project."""

import asyncio
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from upload_tui.client import ServiceClient
from upload_tui.clock import Clock
from upload_tui.errors import (
    AuthError,
    InvalidResponseError,
    NotConsistentError,
    NotFoundError,
    ServerError,
    ServiceError,
    SourceConfigError,
    ThrottledError,
    UnreachableError,
)
from upload_tui.monitor.sessions.connection import Schedule
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.store_picture import StorePicture
from upload_tui.monitor.sync.ingest import ingest
from upload_tui.monitor.sync.snapshot import SnapshotSynchroniser
from upload_tui.status import Stage, Timeline

__all__ = ["Outcome", "SourceWaiter", "UploadWaiter", "Waiter"]

_MAX_CONCURRENT_REQUESTS = 6
_TRANSIENT_ERRORS = (ThrottledError, ServerError, UnreachableError, InvalidResponseError)
"""Errors after which the next round tries again."""


class Outcome(StrEnum):
    """What became of an upload that is waited for."""

    PENDING = "pending"
    REACHED = "reached"
    """It reached the goal."""
    MISSED = "missed"
    """It ended without reaching the goal, and never will."""
    GONE = "gone"
    """The service does not have it."""


class Waiter(Protocol):
    """Waits until each of some uploads reaches a stage, or never will."""

    last_error: ServiceError | None

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """The outcome of each upload, in the order given."""
        ...

    @property
    def pending(self) -> Sequence[str]:
        """The uploads still waited for."""
        ...

    def known_id(self, upload_id: str) -> str:
        """The upload's own id."""
        ...

    async def poll(self) -> Sequence[str]:
        """Read all pending uploads; return those whose outcome is known now."""
        ...

    async def wait(self, interval_seconds: float, *, has_changed: bool) -> float:
        """Sleep until the next round is due; return the interval to pass in next time."""
        ...


class UploadWaiter:
    """Waits for uploads of a service; implements `Waiter`.

    Args:
        client: the service.
        store: where readings are written.
        upload_ids: the uploads; each pending one is fetched once a round.
        goal: the stage to reach.
        clock: for sleeping.
        schedule: the interval between rounds.
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
        self._known_ids: dict[str, str] = {}
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

    async def poll(self) -> Sequence[str]:
        """Fetch all pending uploads; return those whose outcome is known now.

        A transient error is stored in `last_error`, unless the service has never answered yet.

        Raises:
            ServiceError: the error is not transient, or the first round failed.
        """
        self.last_error = None
        pending = self.pending
        errors = await asyncio.gather(*map(self._poll_one, pending), return_exceptions=True)
        for error in errors:
            if isinstance(error, _TRANSIENT_ERRORS) and self._has_answered:
                self.last_error = error
            elif isinstance(error, BaseException):
                raise error
        return [upload_id for upload_id in pending if self._outcomes[upload_id] is not Outcome.PENDING]

    async def wait(self, interval_seconds: float, *, has_changed: bool) -> float:
        """Sleep until the next round is due; return the interval to pass in next time."""
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
            pass  # it exists but is not visible yet
        else:
            self._known_ids[upload_id] = reading.upload.id
            ingest(self._store, [reading], self._client.root, now=self._client.now())
            self._outcomes[upload_id] = _outcome_of(reading.upload.timeline, self._goal)
        self._has_answered = True


def _outcome_of(timeline: Timeline, goal: Stage) -> Outcome:
    """The outcome of an upload. An error counts as having passed `initiated`, but no later goal."""
    stage = timeline.stage
    is_past = not goal.is_final and stage.rank >= goal.rank
    if stage is goal or (is_past and (stage is not Stage.ERROR or goal is Stage.INITIATED)):
        return Outcome.REACHED
    return Outcome.MISSED if stage.is_final else Outcome.PENDING


class SourceWaiter:
    """Waits for uploads of a source; implements `Waiter`. Each round is one listing.

    An upload that a whole listing does not have is gone, never verified. One that ended in another stage never reaches the goal.

    Args:
        synchroniser: lists the source into a store.
        picture: what the store holds.
        upload_ids: the uploads.
        goal: the stage to reach.
        clock: for sleeping.
        schedule: the interval between listings.
    """

    def __init__(
        self,
        synchroniser: SnapshotSynchroniser,
        picture: StorePicture,
        upload_ids: Sequence[str],
        *,
        goal: Stage,
        clock: Clock,
        schedule: Schedule,
    ) -> None:
        self._synchroniser = synchroniser
        self._picture = picture
        self._goal = goal
        self._clock = clock
        self._schedule = schedule
        self.outcomes = dict.fromkeys(upload_ids, Outcome.PENDING)
        self._has_answered = synchroniser.previous_read_on is not None
        self.last_error: ServiceError | None = None

    @property
    def pending(self) -> Sequence[str]:
        """The uploads still waited for."""
        return [upload_id for upload_id, outcome in self.outcomes.items() if outcome is Outcome.PENDING]

    def known_id(self, upload_id: str) -> str:
        """The id itself."""
        return upload_id

    async def poll(self) -> Sequence[str]:
        """List once; return the uploads whose outcome is known now.

        A listing that fails is stored in `last_error`, and decides only on the uploads that it has.

        Raises:
            ServiceError: the source is misconfigured or not allowed to list, or the first listing failed.
        """
        self.last_error, is_whole = None, True
        try:
            await self._synchroniser.sync()
            is_whole = not self._synchroniser.is_partial
            self._has_answered = True
        except (SourceConfigError, AuthError):
            raise
        except ServiceError as error:
            if not self._has_answered:
                raise
            self.last_error, is_whole = error, False
        pending = self.pending
        for upload_id in pending:
            self.outcomes[upload_id] = self._outcome(upload_id, is_whole=is_whole)
        return [upload_id for upload_id in pending if self.outcomes[upload_id] is not Outcome.PENDING]

    def _outcome(self, upload_id: str, *, is_whole: bool) -> Outcome:
        detail = self._picture.detail(upload_id)
        if detail is None or detail.row.is_gone:
            return Outcome.GONE if is_whole or detail is not None else Outcome.PENDING
        outcome = _outcome_of(detail.upload.timeline, self._goal)
        has_ended = outcome is Outcome.PENDING and detail.upload.timeline.has_ended
        return Outcome.MISSED if has_ended else outcome

    async def wait(self, interval_seconds: float, *, has_changed: bool) -> float:
        """Sleep until the next listing is due; return the interval to pass in next time."""
        seconds = self._schedule.next_seconds(interval_seconds, has_changed=has_changed, has_pending=True)
        await self._clock.sleep(self._schedule.with_jitter(seconds))
        return seconds
