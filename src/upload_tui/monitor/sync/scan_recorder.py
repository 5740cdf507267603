"""Fetch and record the pages of one project's full scan, in bulk if there are many."""

import gc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime

from msgspec.structs import replace

from upload_tui.client import batches
from upload_tui.errors import InvalidResponseError, NotFoundError, ServiceError
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.fetcher import PageFetcher
from upload_tui.monitor.sync.page_workers import PageWorkers
from upload_tui.monitor.sync.recorder import ChangeRecorder, initiated_on
from upload_tui.monitor.sync.state import SyncState
from upload_tui.wire import RawPage, Upload, UploadPage, UploadReading

__all__ = ["ScanRecorder"]


class ScanRecorder:
    """Fetches and records the pages of one project's full scan.

    Args:
        fetcher: fetches pages.
        recorder: records changes of uploads that were known before.
        store: where readings are written.
        state: the project's stored facts.
        on_progress: called with the number of uploads read and the service's total (None if it reports none).
        new_since: uploads that began since then are new; None if none is.
    """

    def __init__(
        self,
        fetcher: PageFetcher,
        recorder: ChangeRecorder,
        store: Store,
        state: SyncState,
        on_progress: Callable[[int, int | None], None],
        *,
        new_since: datetime | None = None,
    ) -> None:
        self.fetcher = fetcher
        self._client = fetcher.client
        self.recorder = recorder
        self.store = store
        self.state = state
        self._on_progress = on_progress
        self._new_since = new_since
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
            page = await self._client.parse_page_in_batches(raw_page)
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

    async def record_again(self, page: UploadPage, before: UploadPage) -> None:
        """Record a page that was read again; what it had before counts no more."""
        self.read_count -= len(before.readings)
        self.unreadable_count -= len(before.unreadable)
        await self.record_parsed(page)

    def _record_readings(self, readings: Sequence[UploadReading]) -> None:
        """Record readings; publish changes of uploads known before, and of new ones.

        What exists during a full scan is no change. But if another process has finished its scan meanwhile, what it has not found is
        new.
        """
        known = self.store.known([reading.upload.id for reading in readings])
        published_ids = {one.upload.id for one in readings} if self.state.is_scanned else known
        published_ids = {*published_ids, *(one.upload.id for one in readings if self._is_new(one.upload))}
        published = [one for one in readings if one.upload.id in published_ids]
        self.possibly_outdated.extend(self.recorder.record(published)[1])
        self.recorder.record_silently([one for one in readings if one.upload.id not in published_ids])

    def _is_new(self, upload: Upload) -> bool:
        began_on = initiated_on(upload)
        return self._new_since is not None and began_on is not None and began_on >= self._new_since

    def _bulk_insert(self, raw_page: RawPage, snapshot: bytes) -> str | None:
        inserted = self.store.bulk.insert_page(snapshot)
        self.recorder.note_read(raw_page.read_on)
        others: Sequence[UploadReading] = ()
        if inserted.unparsed_places:
            page = self._client.parse_page(raw_page, inserted.unparsed_places)
            others = page.readings
            self.unreadable_count += len(page.unreadable)
            self._record_readings(others)
        self._report_progress(inserted.upload_count, raw_page.total)
        return inserted.first_id or self._first_id(
            raw_page, others if len(others) == len(inserted.unparsed_places) else ()
        )

    def _first_id(self, raw_page: RawPage, readings: Sequence[UploadReading]) -> str | None:
        """The id of the page's first upload, which is the first of these readings if none of them was unreadable."""
        readings = readings or self._client.parse_page(raw_page).readings
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
