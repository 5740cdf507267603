"""Reads all pages of a project, several at a time, until what was read is whole. Used by the synchroniser, for the first time.

Uploads that come or go meanwhile shift the pages. One that comes moves others onto later pages: they are read twice, and kept once,
unless the later page was answered first: what is between is read then. One that goes moves others onto earlier pages, which may
have been read already: they are missed. So the totals and the newest upload are compared before and after; if any went, or fewer
are known than the service counts, all pages are read again. Where the service does not count, each page must join the one before.
"""

import gc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from msgspec import Struct

from upload_tui.client import batches, gather_all
from upload_tui.errors import InvalidResponseError, NotFoundError, ServerError, ServiceError
from upload_tui.monitor.model import ProjectRef
from upload_tui.monitor.store.project_order import ProjectOrder
from upload_tui.monitor.store.rows import to_ms
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.fetcher import MAX_CONCURRENT_REQUESTS, MAX_PER_PAGE, PageFetcher
from upload_tui.monitor.sync.ingest import ingest
from upload_tui.monitor.sync.page_workers import PageWorkers
from upload_tui.monitor.sync.recorder import ChangeRecorder, initiated_on
from upload_tui.monitor.sync.unreadable_rows import UnreadRows
from upload_tui.wire import RawPage, UploadPage, UploadReading

__all__ = ["FullScan", "scanned_until_fact"]

_CATCH_UP_PER_PAGE = 20
_MAX_PASSES = 5
_GAP_PER_PAGE = 100
_MAX_NEW_GAPS = 20
_BULK_THRESHOLD = 3000
"""From so many uploads on, the store is filled in bulk."""


class _PageNumbers(Struct):
    """The pages after the first that are still to be read. What comes moves the oldest uploads onto pages that were not there before.

    Attributes:
        per_page: uploads on a page.
        total: the most that the service has counted.
    """

    per_page: int
    total: int
    _next: int = 2

    @property
    def has_next(self) -> bool:
        return (self._next - 1) * self.per_page < self.total

    def take_next(self) -> int:
        self._next += 1
        return self._next - 1


class FullScan:
    """The first reading of one project.

    Args:
        fetcher: for pages.
        recorder: where changes of uploads are kept that were known before, and those that are news to others.
        store: where the picture is kept.
        project: which project.
        on_progress: called with the uploads read so far and the service's total.
    """

    def __init__(
        self,
        fetcher: PageFetcher,
        recorder: ChangeRecorder,
        store: Store,
        project: ProjectRef,
        on_progress: Callable[[int, int | None], None],
    ) -> None:
        self._fetcher = fetcher
        self._client = fetcher.client
        self._store = store
        self._order = ProjectOrder(store, project.id)
        self._project = project
        self._recorder = recorder
        self._on_progress = on_progress
        self._read_count = 0
        self._unreadable_count = 0
        self._possibly_outdated: list[str] = []
        self._clock_offset_ms = 0
        self._unread = UnreadRows()
        self._has_read_every_row = False
        self.total: int | None = None
        """Uploads in all when those were counted that are known now; None if the service does not say."""

    async def run(self) -> None:
        """Read all.

        Raises:
            ServiceError: the service could not be asked, or does not hold still enough; what was read is kept.
        """
        lacking_before: int | None = None
        for number in range(_MAX_PASSES):
            began_ms = self._fetcher.local_ms()
            is_quiet = await self._run_pass()
            # What was known before, and is on no page any more.
            unread = self._order.unread(self._fetcher.service_time_range(began_ms, self._clock_offset_ms))
            await self._recorder.refetch(sorted({*unread, *self._possibly_outdated}))
            lacking = self._missing_count()
            # After a single pass, one that went after it was read may stand for one that was missed.
            if (lacking == 0 and (is_quiet or number)) or (is_quiet and lacking in {None, lacking_before}):
                return
            lacking_before = lacking if is_quiet else None
        raise ServerError(
            f"Uploads go while they are read: not all could be, at {self._client.root}", "They are read again."
        )

    def _missing_count(self) -> int | None:
        """How many are not known of those that the service counts, those aside that cannot be read; None if it does not count."""
        if self._has_read_every_row:
            return 0
        return None if self.total is None else max(0, self.total - self._order.count() - self._unreadable_count)

    async def _run_pass(self) -> bool:
        """Read all pages once; True if nothing can have been missed."""
        self._read_count = self._unreadable_count = 0
        self._has_read_every_row = False
        self._possibly_outdated.clear()
        first = await self._first_page()
        self._clock_offset_ms = self._fetcher.clock_offset_ms
        self.total = first.total
        size, total = (
            first.per_page if isinstance(first, UploadPage) else first.reported_per_page or MAX_PER_PAGE,
            first.total,
        )
        self._fetcher.largest_page = min(size, self._fetcher.largest_page)
        is_many = total is not None and total >= _BULK_THRESHOLD
        is_bulk = is_many and self._store.can_bulk_load
        async with self._bulk_mode(total or 0) if is_bulk else _single_mode() as readers:
            newest = await self._record_page(first, readers)
            if total is None:
                return not isinstance(first, UploadPage) or await self._follow_pages(first)
            self._unread = UnreadRows([(0, total - size)])
            self._has_read_every_row = isinstance(first, RawPage)
            numbers = _PageNumbers(size, total)
            while numbers.has_next:
                await gather_all(self._read_pages(numbers, readers) for _ in range(MAX_CONCURRENT_REQUESTS))
            await self._read_gaps()
            self._has_read_every_row &= not self._unread.spans and self._read_count + self._unreadable_count >= total
            await self._read_past_end(numbers)
        return await self._catch_up(newest, total)

    async def _first_page(self) -> RawPage | UploadPage:
        """As it came if that tells how many there are, else what it says."""
        words = await self._fetch_page(1, MAX_PER_PAGE)
        if isinstance(words, UploadPage) or (words.total is not None and words.reported_per_page):
            return words
        return await self._parse_page(words)

    async def _read_pages(self, numbers: _PageNumbers, workers: PageWorkers | None) -> None:
        while numbers.has_next:
            number = numbers.take_next()
            words = await self._fetch_page(number, numbers.per_page)
            total = words.total or numbers.total
            numbers.total = max(numbers.total, total)
            self._has_read_every_row &= isinstance(words, RawPage)
            await self._record_page(words, workers)
            self._unread.mark_read(total, (number - 1) * numbers.per_page, numbers.per_page)

    async def _read_gaps(self) -> None:
        """What came moved rows onto pages that had been answered already, before the ones above them were."""
        for _ in range(len(self._unread.spans) + _MAX_NEW_GAPS):
            total = self._fetcher.total
            if not self._unread.spans or total is None:
                break
            per_page = min(_GAP_PER_PAGE, self._fetcher.largest_page)
            number = max(0, total - self._unread.spans[-1][1]) // per_page + 1
            page = await self._fetcher.fetch_page(number, per_page)
            await self._record_parsed(page)
            self._unread.mark_read(page.total or total, (page.page - 1) * page.per_page, page.per_page)

    async def _read_past_end(self, numbers: _PageNumbers) -> None:
        """The service may list more than it counts, or fewer on a page than it says: what is after the last page."""
        while self._read_count < numbers.total:
            page = await self._fetcher.fetch_page(numbers.take_next(), numbers.per_page)
            is_new = len(self._store.known(_ids(page))) < len(page.readings)
            await self._record_parsed(page)
            if not is_new:
                break

    async def _follow_pages(self, page: UploadPage) -> bool:
        """Page by page, for a service that does not count; True if each joins the one before it."""
        is_joined = True
        while page.next_page is not None:
            following = await self._fetcher.fetch_page(page.next_page, self._fetcher.largest_page)
            if _ids(following) == _ids(page):  # it gives the same whatever is asked for, or nothing any more
                break
            if page.page == 1 and page.readings and following.readings:  # so many are on a full page
                self._fetcher.largest_page = len(page.readings) + len(page.unreadable)
            is_joined &= await self._close_gap(page, following)
            await self._record_parsed(following)
            page = following
        return is_joined

    async def _close_gap(self, page: UploadPage, following: UploadPage) -> bool:
        """True if nothing is missing between two pages: what goes moves others onto the first of them, which is read again then."""
        for _ in range(_MAX_PASSES):
            seen = {*_ids(page), *_ids(following)}
            if not following.readings or set(_ids(page)[-1:]) & set(_ids(following)):
                return True
            edge = await self._fetcher.fetch_page((following.page - 1) * self._fetcher.largest_page, 1)
            if seen.issuperset(_ids(edge)):
                return True
            page = await self._fetcher.fetch_page(page.page, self._fetcher.largest_page)
            await self._record_parsed(page)
        return False

    async def _catch_up(self, newest: str | None, total: int) -> bool:
        """What came during the pass; True if as many are there as were, and came."""
        caught: set[str] = set()
        number, per_page, broken = 1, min(_CATCH_UP_PER_PAGE, self._fetcher.largest_page), 0
        while True:
            page = await self._fetcher.fetch_page(number, per_page)
            ids = _ids(page)
            if number == 1:  # what comes while further pages are read is left for the news
                self.total = page.total
            # What comes while we catch up moves what is caught already onto the page that is read next.
            has_known = bool(self._store.known(ids) - caught)
            await self._record_parsed(page)
            broken += len(page.unreadable)
            if newest in ids:
                # Those that came stand above the newest of before; some of them may be broken.
                came = (page.total or 0) - total
                return 0 <= came - (number - 1) * page.per_page - ids.index(newest) <= broken
            if has_known or page.next_page is None:
                return newest is None and not ids  # the newest itself has gone
            caught.update(ids)
            largest = self._fetcher.largest_page
            number, per_page = (1, largest) if per_page < largest else (page.next_page, per_page)

    async def _parse_page(self, raw_page: RawPage) -> UploadPage:
        """What a page says; in pieces if it cannot be read."""
        before = self._fetcher.answer_count
        try:
            page = await self._client.read_page_in_batches(raw_page)
        except InvalidResponseError as error:
            await self._fetcher.raise_if_service_down(error, before)
            return await self._fetcher.fetch_in_pieces((raw_page.page - 1) * raw_page.per_page, raw_page.per_page)
        self._fetcher.record_answer(page.total, raw_page.page, min(raw_page.per_page, page.per_page))
        return page

    async def _fetch_page(self, number: int, per_page: int) -> RawPage | UploadPage:
        """A page as it comes; what its pieces say if it does not."""
        before = self._fetcher.answer_count
        try:
            return await self._client.raw_page(self._project.id, number, per_page)
        except NotFoundError:
            raise
        except ServiceError as error:
            await self._fetcher.raise_if_service_down(error, before)
        return await self._fetcher.fetch_in_pieces((number - 1) * per_page, per_page)

    # What was read

    async def _record_page(self, page: RawPage | UploadPage, workers: PageWorkers | None) -> str | None:
        """Keep a page; gives the id of its first upload."""
        if isinstance(page, RawPage):
            image = await workers.parse(page.body, page.read_on) if workers else b""
            if image:
                self._fetcher.record_answer(page.total, page.page, page.per_page)
                return self._bulk_insert(page, image)
        page = await self._parse_page(page) if isinstance(page, RawPage) else page
        await self._record_parsed(page)
        return page.readings[0].upload.id if page.readings else None

    async def _record_parsed(self, page: UploadPage) -> None:
        async for readings in batches(page.readings):
            self._record_readings(readings)
        self._unreadable_count += len(page.unreadable)
        self._report_progress(len(page.readings), page.total)

    def _record_readings(self, readings: Sequence[UploadReading]) -> None:
        """What exists at the first fetch is no news, but what another visit left behind may have changed since.

        Where another dashboard has read all meanwhile, what came after that is news, and it is told by whoever reads it.
        """
        known = self._store.known([reading.upload.id for reading in readings])
        read_until_ms = self._store.fact(scanned_until_fact(self._project.id))
        told = [one for one in readings if one.upload.id in known or _is_after(one, read_until_ms)]
        self._possibly_outdated.extend(self._recorder.record(told)[1])
        ingest(self._store, [one for one in readings if one not in told], self._client.root, is_logged=False)

    def _bulk_insert(self, raw_page: RawPage, snapshot: bytes) -> str | None:
        page = self._store.bulk.insert_page(snapshot)
        others: Sequence[UploadReading] = ()
        if page.unparsed_places:
            read = self._client.read_page(raw_page, page.unparsed_places)
            others = read.readings
            self._unreadable_count += len(read.unreadable)
            self._record_readings(others)
        self._report_progress(page.upload_count, raw_page.total)
        return page.first_id or self._first_id(raw_page, others if len(others) == len(page.unparsed_places) else ())

    def _first_id(self, raw_page: RawPage, readings: Sequence[UploadReading]) -> str | None:
        """The first upload's; it is the first of the others unless some of those cannot be read."""
        readings = readings or self._client.read_page(raw_page).readings
        return readings[0].upload.id if readings else None

    def _report_progress(self, count: int, total: int | None) -> None:
        self._read_count += count
        self._on_progress(self._read_count if total is None else min(self._read_count, total), total)

    @asynccontextmanager
    async def _bulk_mode(self, uploads: int) -> AsyncIterator[PageWorkers]:
        """While very many come: nothing is sorted in one by one, and no garbage is looked for among what is all kept."""
        self._store.bulk.begin()
        try:
            async with PageWorkers(uploads) as readers:
                with _gc_disabled():
                    yield readers
        except Exception:  # what came is kept, and shown as all else is; whoever leaves does not wait for it
            await self._store.bulk.finish()
            raise
        await self._store.bulk.finish()


@asynccontextmanager
async def _single_mode() -> AsyncIterator[None]:
    yield None


@contextmanager
def _gc_disabled() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def scanned_until_fact(project_id: str) -> str:
    """The name of a fact: when the newest upload was initiated (in milliseconds) that was known when somebody first had read all."""
    return f"whole until {project_id}"


def _ids(page: UploadPage) -> list[str]:
    return [reading.upload.id for reading in page.readings]


def _is_after(reading: UploadReading, on_ms: int | None) -> bool:
    began_ms = to_ms(initiated_on(reading.upload))
    return on_ms is not None and began_ms is not None and began_ms > on_ms
