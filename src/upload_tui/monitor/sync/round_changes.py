"""The changes that a round finds, its own and those of other processes, until they are published."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from upload_tui.errors import StorageResetError
from upload_tui.monitor.changes import Change, UploadChange, UploadSeen
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.pending_copies import Copies, PendingCopies

__all__ = ["RoundChanges", "sort_by_event_time"]


class RoundChanges:
    """The changes of one project or source, and the transactions in which they are found.

    Args:
        store: where readings are written.
        service: the URL of the service, or the identity of the source.
        project_ids: returns the projects whose changes by other processes count.
        publish: called with each change of an upload at the end of a round, in the order of events.

    Attributes:
        found: the changes that are not published yet.
        copies: the pending uploads, for a store that replaces this one.
    """

    def __init__(
        self,
        store: Store,
        service: str,
        project_ids: Callable[[], Iterable[str]],
        publish: Callable[[Change], None],
    ) -> None:
        self._store = store
        self._project_ids = project_ids
        self._publish = publish
        self.copies = PendingCopies(store, service)
        self.found: list[UploadChange] = []
        self._generation = store.generation
        self._last_seen_number = store.change_log.last_number()

    def begin_round(self) -> bool:
        """Start a round: its readings belong to the store as it is now, not to one that replaces it.

        Returns whether the store was replaced since the last round; the new one gets the pending uploads that are known.
        """
        generation = self._store.generation
        if generation == self._generation:
            return False
        changes, self._last_seen_number = self.copies.restore()
        self.found.extend(changes)
        self._generation = generation
        return True

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Open a transaction of the store.

        Raises:
            StorageResetError: the store was replaced since the round began.
        """
        with self.copies.transaction():
            if self._store.generation != self._generation:
                raise StorageResetError(self._store.notice)
            yield

    def collect_others(self) -> bool:
        """Add new changes of other processes, which come before those found here; True if there are any.

        They are published also if the transaction in which they are read is rolled back; so their uploads are copied at once.
        """
        if self._store.change_log.last_number() == self._last_seen_number:
            return False
        changes, copies, self._last_seen_number = self._store.db.read_at_once(self._read_others)
        self.copies.replace(copies)
        self.found.extend(changes)
        return bool(changes)

    def _read_others(self) -> tuple[Sequence[UploadChange], Copies, int]:
        """The new changes of other processes, copies of their uploads, and the number of the log's last entry."""
        changes, last = list[UploadChange](), self._last_seen_number
        for project_id in self._project_ids():
            others, last = self._store.change_log.by_others(self._last_seen_number, project_id)
            changes.extend(others)
        return changes, self.copies.read(change.upload.id for change in changes), last

    def publish(self) -> Sequence[UploadChange]:
        """Publish the changes found since the last call, and return them."""
        changes, self.found = sort_by_event_time(self.found), []
        for change in changes:
            self._publish(change)
        return changes


def sort_by_event_time(changes: Sequence[UploadChange]) -> Sequence[UploadChange]:
    """Sort changes by the time of their events; changes of the same upload keep their order."""
    times: list[datetime] = []
    latest: dict[str, datetime] = {}
    for change, on in zip(changes, _event_times(changes), strict=True):
        known = latest.get(change.upload.id)
        latest[change.upload.id] = on if known is None else max(on, known)
        times.append(latest[change.upload.id])
    return [changes[index] for index in sorted(range(len(changes)), key=times.__getitem__)]


def _event_times(changes: Sequence[UploadChange]) -> Sequence[datetime]:
    """When each event happened, as far as known; `UploadSeen` gets the time of the next change of the same upload."""
    times: list[datetime] = []
    following: dict[str, datetime] = {}
    for change in reversed(changes):
        on = change.happened_on
        if isinstance(change, UploadSeen):
            on = following.get(change.upload.id, on)
        following[change.upload.id] = on
        times.append(on)
    return times[::-1]
