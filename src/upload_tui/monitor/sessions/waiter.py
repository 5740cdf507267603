"""Poll single uploads of a service or a source until each reaches a stage, or never will."""

import asyncio
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from upload_tui.errors import (
    InvalidResponseError,
    NotConsistentError,
    NotFoundError,
    ServerError,
    ServiceError,
    UnreachableError,
)
from upload_tui.monitor.changes import Change
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.ingest import ingest
from upload_tui.status import PENDING_STAGES, Stage, is_contradictory
from upload_tui.wire import Upload

if TYPE_CHECKING:
    from upload_tui.client import ServiceClient
    from upload_tui.monitor.store_picture import StorePicture
    from upload_tui.monitor.sync.source_synchroniser import SourceSynchroniser

__all__ = ["Outcome", "SourceWaiter", "UploadWaiter", "Waiter", "outcome_of"]

_MAX_CONCURRENT_REQUESTS = 6
_PASSING_ERRORS = (ServerError, UnreachableError, InvalidResponseError)
"""Errors after which the next round tries again, once the service has answered."""
_MAX_UNREADABLE = 3
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


class Waiter(Protocol):
    """Waits for single uploads, in rounds."""

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """The outcome of each upload, in the order given."""
        ...

    @property
    def pending(self) -> Sequence[str]:
        """The uploads still waited for."""
        ...

    @property
    def last_error(self) -> ServiceError | None:
        """Why the last round failed; None if it did not."""
        ...

    @property
    def problem(self) -> str:
        """Why the last round failed, or what of it cannot be read; empty if there is nothing."""
        ...

    @property
    def notices(self) -> Sequence[str]:
        """What the user must know about the uploads that are waited for."""
        ...

    def known_id(self, upload_id: str) -> str:
        """The upload's own id, whose case may differ from the requested one."""
        ...

    def unknown_state(self, upload_id: str) -> str:
        """The name of a state that is not in the design, in which the upload may remain; empty for any other."""
        ...

    def reason(self, upload_id: str) -> str:
        """Why an unreadable upload cannot be read."""
        ...

    async def poll(self) -> Sequence[str]:
        """Run a round; return the uploads whose outcome is known now. An error that may pass is stored in `last_error`.

        Raises:
            ServiceError: the error will not pass.
        """
        ...


class UploadWaiter:
    """Waits for uploads of a service; implements `Waiter`. Each round fetches the pending ones.

    Args:
        client: the service.
        store: where readings are written; nothing else writes to it.
        upload_ids: the uploads; each pending one is fetched once a round, unless the store knows that it has ended.
        goal: the stage to reach.
        publish: called with each change of an upload. What it was when first read is no change, unless it did not exist before.
    """

    def __init__(
        self,
        client: "ServiceClient",
        store: Store,
        upload_ids: Sequence[str],
        *,
        goal: Stage,
        publish: Callable[[Change], None] = lambda _: None,
    ) -> None:
        self._publish = publish
        self._awaited = set[str]()
        self._client = client
        self._store = store
        self._goal = goal
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
        answered. An upload is unreadable after `_MAX_UNREADABLE` responses in a row that cannot be read.

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

    def _count_unreadable(self, upload_id: str, error: ServiceError) -> None:
        if isinstance(error, InvalidResponseError) and not error.is_transient:
            self._unreadable_counts[upload_id] += 1
            self._reasons[upload_id] = error.title
            if self._unreadable_counts[upload_id] >= _MAX_UNREADABLE:
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


class SourceWaiter:
    """Waits for uploads of a source; implements `Waiter`. Each round is one listing.

    An upload that a whole listing does not have is gone, never verified. One whose line cannot be read in
    `_MAX_UNREADABLE` listings in a row is unreadable. One that ended in another stage never reaches the goal.

    Args:
        synchroniser: lists the source into a store.
        picture: what the store holds.
        upload_ids: the uploads.
        goal: the stage to reach.
        projects: ids or names of the projects in which the uploads are expected; empty for any.
    """

    def __init__(
        self,
        synchroniser: "SourceSynchroniser",
        picture: "StorePicture",
        upload_ids: Sequence[str],
        *,
        goal: Stage,
        projects: Sequence[str] = (),
    ) -> None:
        self._projects = frozenset(projects)
        self._synchroniser = synchroniser
        self._store, self._picture = synchroniser.scope.store, picture
        self._goal = goal
        self.outcomes = dict.fromkeys(upload_ids, Outcome.PENDING)
        self.last_error: ServiceError | None = None
        self._unreadable_counts = Counter[str]()

    @property
    def pending(self) -> Sequence[str]:
        """The uploads still waited for."""
        return [upload_id for upload_id, outcome in self.outcomes.items() if outcome is Outcome.PENDING]

    def known_id(self, upload_id: str) -> str:
        """The id itself."""
        return upload_id

    def unknown_state(self, upload_id: str) -> str:
        """The source's name of a state that is not in the design; empty for any other."""
        stored = self._store.get(upload_id)
        return "" if stored is None else stored.unknown_state

    @property
    def notices(self) -> Sequence[str]:
        """A note on each upload that is in another project than expected."""
        known = map(self._store.get, self.outcomes) if self._projects else ()
        found = [stored for stored in known if stored is not None and not stored.is_gone]
        return [
            f"{one.id!a} is in project {one.project_name or one.project_id!a}, not in {', '.join(sorted(self._projects))}"
            for one in found
            if self._projects.isdisjoint((one.project_id, one.project_name))
        ]

    @property
    def problem(self) -> str:
        """Why the last listing failed, or what of it cannot be read; empty if there is nothing."""
        return self.last_error.title if self.last_error else self._synchroniser.unreadable_notice

    def reason(self, upload_id: str) -> str:  # noqa: ARG002
        """Why an upload cannot be read."""
        return self._synchroniser.unreadable_notice

    async def poll(self) -> Sequence[str]:
        """List once; return the uploads whose outcome is known now.

        A listing that fails is stored in `last_error`, and decides only on the uploads that it has.

        Raises:
            ServiceError: the source is misconfigured or not allowed to list.
        """
        self.last_error, is_whole = None, True
        try:
            await self._synchroniser.sync()
            is_whole = not self._synchroniser.partial_problem
        except ServiceError as error:
            if not error.is_transient:
                raise
            self.last_error, is_whole = error, False
        pending = self.pending
        before_goal = self._store.partitions.ids(frozenset(one for one in PENDING_STAGES if one.rank < self._goal.rank))
        for upload_id in pending:
            self.outcomes[upload_id] = self._outcome(upload_id, before_goal, is_whole=is_whole)
        return [upload_id for upload_id in pending if self.outcomes[upload_id] is not Outcome.PENDING]

    def _outcome(self, upload_id: str, before_goal: Container[str], *, is_whole: bool) -> Outcome:
        if upload_id in self._synchroniser.unreadable_ids:
            self._unreadable_counts[upload_id] += not self._synchroniser.last_listing.failure
            return Outcome.UNREADABLE if self._unreadable_counts[upload_id] >= _MAX_UNREADABLE else Outcome.PENDING
        del self._unreadable_counts[upload_id]
        if upload_id in before_goal:  # nearly always: of thousands, reading the details would take seconds
            return Outcome.PENDING
        detail = self._picture.detail(upload_id)
        has_ended = detail is not None and detail.upload.timeline.has_ended  # also of the many that are shown as gone
        if detail is None or (detail.row.is_gone and not has_ended):
            return Outcome.GONE if is_whole or detail is not None else Outcome.PENDING
        outcome = outcome_of(detail.upload, self._goal)
        return Outcome.MISSED if outcome is Outcome.PENDING and has_ended else outcome


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
