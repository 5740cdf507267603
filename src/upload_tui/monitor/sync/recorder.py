"""Keeps what was read of one project's uploads, and notes what changed, once, whoever learned it first. Used by the synchroniser."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from upload_tui.client import batches, gather_all
from upload_tui.errors import NotConsistentError, NotFoundError, StorageResetError
from upload_tui.monitor.changes import Change, UploadChange, UploadGone, UploadRef
from upload_tui.monitor.store.project_order import ProjectOrder
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.event_order import sort_by_event_time
from upload_tui.monitor.sync.fetcher import PageFetcher
from upload_tui.monitor.sync.ingest import ingest
from upload_tui.status import Stage
from upload_tui.wire import Upload, UploadPage, UploadReading

__all__ = ["ChangeRecorder", "initiated_on"]


class ChangeRecorder:
    """One project's.

    Args:
        store: where the picture is kept.
        order: its uploads in the store.
        fetcher: for those that are asked for one by one.
        project_id: the project.
        publish: called with each change of an upload at the end of a round, in the order of events.
    """

    def __init__(
        self,
        store: Store,
        order: ProjectOrder,
        fetcher: PageFetcher,
        project_id: str,
        publish: Callable[[Change], None],
    ) -> None:
        self._store = store
        self._order = order
        self._fetcher = fetcher
        self._project_id = project_id
        self._publish = publish
        self._changes: list[UploadChange] = []
        self._generation = store.generation
        self._last_seen_number = store.change_log.last_number()

    def begin_round(self) -> None:
        """What is kept until the next is kept in the store as it is now, not in one that takes its place."""
        self._generation = self._store.generation

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction; not in a store that took the place of the one in which the round began, and knows nothing of it."""
        with self._store.transaction():
            if self._store.generation != self._generation:
                raise StorageResetError(self._store.notice)
            yield

    def publish_changes(self) -> None:
        """Tell what was noted."""
        found, self._changes = sort_by_event_time(self._changes), []
        for change in found:
            self._publish(change)

    async def record_page(self, page: UploadPage) -> bool:
        """Keep a page that was read for its known uploads; True if anything changed. Those that came since are left for the news."""
        newest = self._order.newest_on()
        known = self._store.known([reading.upload.id for reading in page.readings])
        return await self.record_readings(
            [one for one in page.readings if one.upload.id in known or not _is_after(one.upload, newest)]
        )

    async def record_readings(self, readings: Sequence[UploadReading]) -> bool:
        """Keep readings and note what changed; True if anything did."""
        changed, doubtful = False, list[str]()
        async for batch in batches(readings):
            has_changed, some_doubtful = self.record(batch)
            changed |= has_changed
            doubtful.extend(some_doubtful)
        return changed | await self.refetch(doubtful)

    def record(self, readings: Sequence[UploadReading]) -> tuple[bool, Sequence[str]]:
        """Keep readings and note what changed; True if anything did, and whoever is to be asked for again."""
        client = self._fetcher.client
        with self.transaction():
            others = self._changes_of_others()
            intake = ingest(self._store, readings, client.root, now=client.now())
        self._changes.extend((*others, *intake.changes))
        return bool(others) or intake.changed_count > 0, intake.possibly_outdated

    def collect_changes_of_others(self) -> bool:
        """Note what other dashboards over the same store learned first; True if there was anything."""
        others = self._changes_of_others()
        self._changes.extend(others)
        return bool(others)

    def _changes_of_others(self) -> Sequence[UploadChange]:
        """What others learned comes before what we find beyond that."""
        changes, self._last_seen_number = self._store.change_log.by_others(self._last_seen_number, self._project_id)
        return changes

    # One by one

    async def refetch(self, upload_ids: Sequence[str]) -> bool:
        """Ask for uploads one by one, several at a time; True if anything changed."""
        results = await gather_all(self._refetch_one(upload_id) for upload_id in upload_ids)
        return any(results)

    async def _refetch_one(self, upload_id: str) -> bool:
        try:
            reading = await self._fetcher.fetch_upload(upload_id)
        except NotFoundError:
            return self._mark_gone(upload_id)
        except NotConsistentError:
            return self._mark_stale(upload_id)
        return self._mark_stale(upload_id) if reading is None else self.record([reading])[0]

    def _mark_stale(self, upload_id: str) -> bool:
        """The service does not say, or is not sure, what became of it; True if that is new."""
        stored = self._store.get(upload_id)
        if stored is None or stored.is_stale:
            return False
        self._store.mark([upload_id], stale=True)
        return True

    def _mark_gone(self, upload_id: str) -> bool:
        with self.transaction():
            stored = self._store.get(upload_id)
            if stored is None or stored.is_gone:
                return False
            self._store.mark([upload_id], gone=True)
            service = self._fetcher.client
            ref = UploadRef(stored.id, stored.name, stored.project_id, stored.project_name, service.root)
            gone = UploadGone(at=service.now(), upload=ref)
            self._store.change_log.append([gone])
        self._changes.append(gone)
        return True


def initiated_on(upload: Upload) -> datetime | None:
    """When an upload was initiated, as far as the service says."""
    began = upload.timeline.event(Stage.INITIATED)
    return None if began is None else began.best_time


def _is_after(upload: Upload, on: datetime | None) -> bool:
    began = initiated_on(upload)
    return on is not None and began is not None and began > on
