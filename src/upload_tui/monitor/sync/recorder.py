"""Write one project's readings to the store, and publish each change once."""

from collections.abc import Callable, Sequence
from datetime import datetime

from upload_tui.client import batches, gather_all
from upload_tui.errors import NotConsistentError, NotFoundError
from upload_tui.monitor.changes import Change, UploadGone, UploadRef
from upload_tui.monitor.store.rows import to_ms
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.fetcher import PageFetcher
from upload_tui.monitor.sync.ingest import CLOCKS_DIFFER, ingest
from upload_tui.monitor.sync.round_changes import RoundChanges
from upload_tui.monitor.sync.state import ClockCheck, KnownUploads, SyncState
from upload_tui.status import Stage
from upload_tui.wire import Upload, UploadPage, UploadReading

__all__ = ["ChangeRecorder", "initiated_on"]


class ChangeRecorder:
    """Records the readings of one project.

    Args:
        store: where readings are written.
        known: the project's uploads in the store.
        fetcher: fetches single uploads.
        project_id: the project.
        publish: called with each change of an upload at the end of a round, in the order of events.

    Attributes:
        changes: what this round has found.
    """

    def __init__(
        self,
        store: Store,
        known: KnownUploads,
        fetcher: PageFetcher,
        project_id: str,
        publish: Callable[[Change], None],
    ) -> None:
        self._store = store
        self._known = known
        self._fetcher = fetcher
        self._project_id = project_id
        self._state = SyncState(store, project_id)
        self.changes = RoundChanges(store, fetcher.client.root, lambda: [project_id], publish)
        self.clock_check = ClockCheck()
        self._round_ms = set[int | None]()
        """The times, in milliseconds, of the readings that this round has stored."""
        self._earlier_ms = set[int | None]()
        """Those of earlier rounds, as far as the clocks of two processes may differ."""

    def begin_round(self) -> None:
        """Start a round, as `RoundChanges` does.

        What earlier rounds stored is known to be older than what this one requests; see `earlier_ms` of `ingest`.
        """
        self.changes.begin_round()
        since_ms = to_ms(self._fetcher.client.clock.now() - CLOCKS_DIFFER) or 0
        self._earlier_ms = {one for one in self._earlier_ms | self._round_ms if one is not None and one >= since_ms}
        self._round_ms.clear()

    def note_read(self, *times: datetime) -> None:
        """Remember when this round has read what it stores."""
        self._round_ms.update(map(to_ms, times))

    def publish_changes(self) -> None:
        """Publish the changes recorded since the last call, and compare their times with this machine's clock."""
        self.clock_check.observe(self.changes.publish())

    async def record_page(self, page: UploadPage) -> bool:
        """Record the known uploads of a page; True if anything changed. New uploads are left to `NewUploads`."""
        newest = self._known.newest_on()
        known = self._store.known([reading.upload.id for reading in page.readings])
        unknown = [one for one in page.readings if one.upload.id not in known]
        new = [one for one in unknown if _is_after(one.upload, newest)]
        # What is as old as the newest may be new, and what is between them not known: `NewUploads` has to read on below it.
        may_be_new = any(one not in new and not _is_before(one.upload, newest) for one in unknown)
        if may_be_new and self._state.last_known_number is None:
            with self.changes.transaction():
                self._state.last_known_number = self._known.last_number()
        return await self.record_readings([one for one in page.readings if one not in new])

    async def record_readings(self, readings: Sequence[UploadReading]) -> bool:
        """Record readings in batches; True if anything changed."""
        changed, outdated = False, list[str]()
        async for batch in batches(readings):
            has_changed, possibly_outdated = self.record(batch)
            changed |= has_changed
            outdated.extend(possibly_outdated)
        return changed | await self.refetch(outdated)

    def record(self, readings: Sequence[UploadReading]) -> tuple[bool, Sequence[str]]:
        """Record readings; return whether anything changed, and the ids to fetch again."""
        client = self._fetcher.client
        with self.changes.transaction():
            has_others = self.changes.collect_others()
            result = ingest(self._store, readings, client.root, now=client.clock.now(), earlier_ms=self._earlier_ms)
            self.changes.copies.note(result.changes, readings)
        self.note_read(*(reading.upload.read_on for reading in readings))
        self.changes.found.extend(result.changes)
        return has_others or result.changed_count > 0, result.possibly_outdated

    def record_silently(self, readings: Sequence[UploadReading]) -> None:
        """Record readings of uploads whose existence is no change."""
        with self.changes.transaction():
            ingest(self._store, readings, self._fetcher.client.root, is_logged=False)
            self.changes.copies.note((), readings)
        self.note_read(*(reading.upload.read_on for reading in readings))

    async def refetch(self, upload_ids: Sequence[str]) -> bool:
        """Fetch uploads one by one, several at a time; True if anything changed."""
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
        """Mark an upload whose state the service does not return; True if it was not marked before."""
        stored = self._store.get(upload_id)
        if stored is None or stored.is_stale:
            return False
        self._store.mark([upload_id], stale=True)
        return True

    def _mark_gone(self, upload_id: str) -> bool:
        """Mark an upload that the service no longer has; True if it was not marked before."""
        with self.changes.transaction():
            stored = self._store.get(upload_id)
            if stored is None or stored.is_gone:
                return False
            self._store.mark([upload_id], gone=True)
            self._store.partitions.delete_oldest_gone(self._project_id)
            client = self._fetcher.client
            ref = UploadRef(stored.id, stored.name, stored.project_id, stored.project_name, client.root)
            gone = UploadGone(at=client.clock.now(), upload=ref)
            self.changes.collect_others()
            self._store.change_log.append([gone])
            self.changes.copies.note([gone])
        self.changes.found.append(gone)
        return True


def initiated_on(upload: Upload) -> datetime | None:
    """When an upload was initiated; None if the service does not report it."""
    event = upload.timeline.event(Stage.INITIATED)
    return None if event is None else event.best_time


def _is_after(upload: Upload, on: datetime | None) -> bool:
    started_on = initiated_on(upload)
    return on is not None and started_on is not None and started_on > on


def _is_before(upload: Upload, on: datetime | None) -> bool:
    started_on = initiated_on(upload)
    return on is not None and started_on is not None and started_on < on
