"""Write one project's readings to the store, in bulk during a large full scan, and publish each change once."""

import gc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime

from msgspec.structs import replace

from upload_tui.client import batches, gather_all
from upload_tui.errors import InvalidResponseError, NotConsistentError, NotFoundError, ServiceError, StorageResetError
from upload_tui.monitor.changes import Change, UploadChange, UploadGone, UploadRef, UploadSeen
from upload_tui.monitor.store.rows import to_ms
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.fetcher import PageFetcher
from upload_tui.monitor.sync.ingest import CLOCKS_DIFFER, ingest
from upload_tui.monitor.sync.page_workers import PageWorkers
from upload_tui.monitor.sync.pending_copies import PendingCopies
from upload_tui.monitor.sync.state import ClockCheck, ProjectUploads, SyncState
from upload_tui.status import Stage
from upload_tui.wire import RawPage, Upload, UploadPage, UploadReading

__all__ = ["ChangeRecorder", "ScanRecorder", "initiated_on", "sort_by_event_time"]


class ChangeRecorder:
    """Records the readings of one project.

    Args:
        store: where readings are written.
        order: the project's uploads in the store.
        fetcher: fetches single uploads.
        project_id: the project.
        publish: called with each change of an upload at the end of a round, in the order of events.
    """

    def __init__(
        self,
        store: Store,
        order: ProjectUploads,
        fetcher: PageFetcher,
        project_id: str,
        publish: Callable[[Change], None],
    ) -> None:
        self._store = store
        self._order = order
        self._fetcher = fetcher
        self._project_id = project_id
        self._state = SyncState(store, project_id)
        self._publish = publish
        self._changes: list[UploadChange] = []
        self.clock_check = ClockCheck()
        self._copies = PendingCopies(store, fetcher.client.root)
        self._generation = store.generation
        self._last_seen_number = store.change_log.last_number()
        self._round_ms = set[int | None]()
        """The times, in milliseconds, of the readings that this round has stored."""
        self._earlier_ms = set[int | None]()
        """Those of earlier rounds, as far as the clocks of two processes may differ."""

    def begin_round(self) -> None:
        """Start a round: its readings belong to the store as it is now, not to one that replaces it.

        What earlier rounds stored is known to be older than what this one requests; see `earlier_ms` of `ingest`. A store that was
        replaced gets the pending uploads that are known.
        """
        if (generation := self._store.generation) != self._generation:
            changes, self._last_seen_number = self._copies.restore()
            self._changes.extend(changes)
            self._generation = generation
        since_ms = to_ms(self._fetcher.client.clock.now() - CLOCKS_DIFFER) or 0
        self._earlier_ms = {one for one in self._earlier_ms | self._round_ms if one is not None and one >= since_ms}
        self._round_ms.clear()

    def note_read(self, *times: datetime) -> None:
        """Remember when this round has read what it stores."""
        self._round_ms.update(map(to_ms, times))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Open a transaction of the store.

        Raises:
            StorageResetError: the store was replaced since the round began.
        """
        with self._copies.transaction():
            if self._store.generation != self._generation:
                raise StorageResetError(self._store.notice)
            yield

    def publish_changes(self) -> None:
        """Publish the changes recorded since the last call."""
        changes, self._changes = sort_by_event_time(self._changes), []
        self.clock_check.observe(changes)
        for change in changes:
            self._publish(change)

    async def record_page(self, page: UploadPage) -> bool:
        """Record the known uploads of a page; True if anything changed. New uploads are left to `NewUploads`."""
        newest = self._order.newest_on()
        known = self._store.known([reading.upload.id for reading in page.readings])
        unknown = [one for one in page.readings if one.upload.id not in known]
        new = [one for one in unknown if _is_after(one.upload, newest)]
        # What is as old as the newest may be new, and what is between them not known: `NewUploads` has to read on below it.
        may_be_new = any(one not in new and not _is_before(one.upload, newest) for one in unknown)
        if may_be_new and self._state.last_known_number is None:
            with self.transaction():
                self._state.last_known_number = self._order.last_number()
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
        with self.transaction():
            has_others = self.collect_changes_of_others()
            result = ingest(self._store, readings, client.root, now=client.clock.now(), earlier_ms=self._earlier_ms)
            self._note(readings, result.changes)
        self.note_read(*(reading.upload.read_on for reading in readings))
        self._changes.extend(result.changes)
        return has_others or result.changed_count > 0, result.possibly_outdated

    def record_silently(self, readings: Sequence[UploadReading]) -> None:
        """Record readings of uploads whose existence is no change."""
        with self.transaction():
            ingest(self._store, readings, self._fetcher.client.root, is_logged=False)
            self._note(readings)
        self.note_read(*(reading.upload.read_on for reading in readings))

    def _note(self, readings: Sequence[UploadReading], changes: Sequence[UploadChange] = ()) -> None:
        """Copy what has changed, and what is pending and has no copy yet while there is room."""
        self._copies.note(change.upload.id for change in changes)
        self._copies.note(reading.upload.id for reading in readings if self._copies.lacks(reading.upload))

    def collect_changes_of_others(self) -> bool:
        """Collect new changes of other processes, which come before those found here; True if there are any.

        They are published also if the transaction in which they are read is rolled back.
        """
        others, self._last_seen_number = self._store.change_log.by_others(self._last_seen_number, self._project_id)
        self._changes.extend(others)
        self._copies.note(change.upload.id for change in others)
        return bool(others)

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
        with self.transaction():
            stored = self._store.get(upload_id)
            if stored is None or stored.is_gone:
                return False
            self._store.mark([upload_id], gone=True)
            self._store.partitions.delete_oldest_gone(self._project_id)
            client = self._fetcher.client
            ref = UploadRef(stored.id, stored.name, stored.project_id, stored.project_name, client.root)
            gone = UploadGone(at=client.clock.now(), upload=ref)
            self.collect_changes_of_others()
            self._store.change_log.append([gone])
            self._copies.note([upload_id])
        self._changes.append(gone)
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


class ScanRecorder:
    """Records the pages of one project's full scan.

    Args:
        fetcher: fetches pages.
        recorder: records changes of uploads that were known before.
        store: where readings are written.
        state: the project's stored facts.
        on_progress: called with the number of uploads read and the service's total (None if it reports none).
    """

    def __init__(
        self,
        fetcher: PageFetcher,
        recorder: ChangeRecorder,
        store: Store,
        state: SyncState,
        on_progress: Callable[[int, int | None], None],
    ) -> None:
        self.fetcher = fetcher
        self._client = fetcher.client
        self.recorder = recorder
        self.store = store
        self.state = state
        self._on_progress = on_progress
        self._workers: PageWorkers | None = None
        self.read_count = 0
        """Uploads read in this pass."""
        self.unreadable_count = 0
        """Uploads of this pass that cannot be read."""
        self.possibly_outdated: list[str] = []
        """Ids to fetch again: another process read them after their page was requested."""

    def begin_pass(self) -> None:
        """Reset the counts."""
        self.read_count = self.unreadable_count = 0
        self.possibly_outdated.clear()

    @asynccontextmanager
    async def bulk_mode(self, uploads: int) -> AsyncIterator[None]:
        """Within this, parse pages in worker processes, insert them in bulk, and do not collect garbage.

        Args:
            uploads: about how many uploads there are.
        """
        self.store.bulk.begin()
        try:
            async with PageWorkers(uploads, self.store.limits.worker_threshold) as self._workers:
                with _gc_disabled():
                    yield
        except Exception:  # what was inserted stays; a cancelled load is finished by the next session instead
            await self.store.bulk.finish()
            raise
        finally:
            self._workers = None
        await self.store.bulk.finish()

    async def fetch(self, number: int, per_page: int) -> RawPage | UploadPage:
        """Fetch a page without parsing it; a page that fails is fetched, and parsed, in pieces.

        A page whose total does not count is parsed as well.
        """
        before = self.fetcher.answer_count
        try:
            page = await self._client.raw_page(self.state.project_id, number, per_page)
            is_counted = page.total is None or self.fetcher.checked_total(page) is not None
            return page if is_counted else await self.parse(page)
        except NotFoundError:
            raise
        except ServiceError as error:
            await self.fetcher.raise_if_service_down(error, before)
        return await self.fetcher.fetch_in_pieces((number - 1) * per_page, per_page)

    async def parse(self, raw_page: RawPage) -> UploadPage:
        """Parse a page; a page that cannot be parsed is fetched in pieces."""
        before = self.fetcher.answer_count
        try:
            page = await self._client.read_page_in_batches(raw_page)
        except InvalidResponseError as error:
            await self.fetcher.raise_if_service_down(error, before)
            return await self.fetcher.fetch_in_pieces((raw_page.page - 1) * raw_page.per_page, raw_page.per_page)
        page = replace(page, total=self.fetcher.checked_total(page))
        self.fetcher.record_answer(page.total, raw_page.page, min(raw_page.per_page, page.per_page))
        return page

    async def record(self, page: RawPage | UploadPage) -> str | None:
        """Record a page, in bulk if possible; return the id of its first upload, None if it has none."""
        if isinstance(page, RawPage):
            snapshot = await self._workers.parse(page.body, page.read_on, page.project_id) if self._workers else b""
            if snapshot:
                self.fetcher.record_answer(page.total, page.page, page.per_page)
                return self._bulk_insert(page, snapshot)
            page = await self.parse(page)
        await self.record_parsed(page)
        return page.readings[0].upload.id if page.readings else None

    async def record_parsed(self, page: UploadPage) -> None:
        """Record a parsed page upload by upload."""
        async for readings in batches(page.readings):
            self._record_readings(readings)
        self.unreadable_count += len(page.unreadable)
        self._report_progress(len(page.readings), page.total)

    def _record_readings(self, readings: Sequence[UploadReading]) -> None:
        """Record readings; publish changes of uploads known before.

        What exists during a full scan is no change. But if another process has finished its scan meanwhile, what it has not found is
        new.
        """
        known = self.store.known([reading.upload.id for reading in readings])
        published_ids = {one.upload.id for one in readings} if self.state.is_scanned else known
        published = [one for one in readings if one.upload.id in published_ids]
        self.possibly_outdated.extend(self.recorder.record(published)[1])
        self.recorder.record_silently([one for one in readings if one.upload.id not in published_ids])

    def _bulk_insert(self, raw_page: RawPage, snapshot: bytes) -> str | None:
        inserted = self.store.bulk.insert_page(snapshot)
        self.recorder.note_read(raw_page.read_on)
        others: Sequence[UploadReading] = ()
        if inserted.unparsed_places:
            page = self._client.read_page(raw_page, inserted.unparsed_places)
            others = page.readings
            self.unreadable_count += len(page.unreadable)
            self._record_readings(others)
        self._report_progress(inserted.upload_count, raw_page.total)
        return inserted.first_id or self._first_id(
            raw_page, others if len(others) == len(inserted.unparsed_places) else ()
        )

    def _first_id(self, raw_page: RawPage, readings: Sequence[UploadReading]) -> str | None:
        """The id of the page's first upload, which is the first of these readings if none of them was unreadable."""
        readings = readings or self._client.read_page(raw_page).readings
        return readings[0].upload.id if readings else None

    def _report_progress(self, count: int, total: int | None) -> None:
        self.read_count += count
        self._on_progress(self.read_count if total is None else min(self.read_count, total), total)


@contextmanager
def _gc_disabled() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
