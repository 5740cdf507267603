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

from upload_tui.client.turns import all_of, portions
from upload_tui.errors import NotFoundError, ServiceError, TroubleError, UnreadableError
from upload_tui.monitor.bookkeeping import Bookkeeping, initiated_on
from upload_tui.monitor.enquiries import PER_PAGE, REQUESTS_AT_ONCE, Enquiries
from upload_tui.monitor.intake import take_in
from upload_tui.monitor.owed_rows import UnreadRows
from upload_tui.monitor.page_readers import PageReaders
from upload_tui.monitor.picture import ProjectRef
from upload_tui.monitor.store import Store
from upload_tui.monitor.stored_order import StoredOrder
from upload_tui.monitor.stored_rows import milliseconds
from upload_tui.wire.answers import PageWords, UploadPage, UploadReading

__all__ = ["FirstFetch", "whole_until"]

_PER_PAGE_CATCH_UP = 20
_PASSES_AT_MOST = 5
_PER_PAGE_GAP = 100
_GAPS_AT_MOST = 20
_MANY = 3000
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
    def is_left(self) -> bool:
        return (self._next - 1) * self.per_page < self.total

    def take(self) -> int:
        self._next += 1
        return self._next - 1


class FirstFetch:
    """The first reading of one project.

    Args:
        enquiries: for pages.
        books: where changes of uploads are kept that were known before, and those that are news to others.
        store: where the picture is kept.
        project: which project.
        progress: called with the uploads read so far and the service's total.
    """

    def __init__(
        self,
        enquiries: Enquiries,
        books: Bookkeeping,
        store: Store,
        project: ProjectRef,
        progress: Callable[[int, int | None], None],
    ) -> None:
        self._enquiries = enquiries
        self._client = enquiries.client
        self._store = store
        self._order = StoredOrder(store, project.id)
        self._project = project
        self._books = books
        self._progress = progress
        self._done = 0
        self._broken = 0
        self._doubtful: list[str] = []
        self._lead_ms = 0
        self._unread = UnreadRows()
        self._is_each_row_read = False
        self.total: int | None = None
        """Uploads in all when those were counted that are known now; None if the service does not say."""

    async def run(self) -> None:
        """Read all.

        Raises:
            ServiceError: the service could not be asked, or does not hold still enough; what was read is kept.
        """
        lacking_before: int | None = None
        for number in range(_PASSES_AT_MOST):
            began_ms = self._enquiries.own_ms()
            is_quiet = await self._pass()
            # What was known before, and is on no page any more.
            unread = self._order.unread(self._enquiries.read_since(began_ms, self._lead_ms))
            await self._books.look_after(sorted({*unread, *self._doubtful}))
            lacking = self._lacking()
            # After a single pass, one that went after it was read may stand for one that was missed.
            if (lacking == 0 and (is_quiet or number)) or (is_quiet and lacking in {None, lacking_before}):
                return
            lacking_before = lacking if is_quiet else None
        raise TroubleError(
            f"Uploads go while they are read: not all could be, at {self._client.root}", "They are read again."
        )

    def _lacking(self) -> int | None:
        """How many are not known of those that the service counts, those aside that cannot be read; None if it does not count."""
        if self._is_each_row_read:
            return 0
        return None if self.total is None else max(0, self.total - self._order.count() - self._broken)

    async def _pass(self) -> bool:
        """Read all pages once; True if nothing can have been missed."""
        self._done = self._broken = 0
        self._is_each_row_read = False
        self._doubtful.clear()
        first = await self._first_page()
        self._lead_ms = self._enquiries.lead_ms
        self.total = first.total
        size, total = first.per_page if isinstance(first, UploadPage) else first.said_per_page or PER_PAGE, first.total
        self._enquiries.largest_page = min(size, self._enquiries.largest_page)
        is_many = total is not None and total >= _MANY
        is_bulk = is_many and self._store.takes_bulk
        async with self._pouring(total or 0) if is_bulk else _reading_in_full() as readers:
            newest = await self._keep(first, readers)
            if total is None:
                return not isinstance(first, UploadPage) or await self._follow(first)
            self._unread = UnreadRows([(0, total - size)])
            self._is_each_row_read = isinstance(first, PageWords)
            numbers = _PageNumbers(size, total)
            while numbers.is_left:
                await all_of(self._work(numbers, readers) for _ in range(REQUESTS_AT_ONCE))
            await self._read_gaps()
            self._is_each_row_read &= not self._unread.spans and self._done + self._broken >= total
            await self._read_beyond(numbers)
        return await self._catch_up(newest, total)

    async def _first_page(self) -> PageWords | UploadPage:
        """As it came if that tells how many there are, else what it says."""
        words = await self._words(1, PER_PAGE)
        if isinstance(words, UploadPage) or (words.total is not None and words.said_per_page):
            return words
        return await self._read(words)

    async def _work(self, numbers: _PageNumbers, readers: PageReaders | None) -> None:
        while numbers.is_left:
            number = numbers.take()
            words = await self._words(number, numbers.per_page)
            total = words.total or numbers.total
            numbers.total = max(numbers.total, total)
            self._is_each_row_read &= isinstance(words, PageWords)
            await self._keep(words, readers)
            self._unread.read(total, (number - 1) * numbers.per_page, numbers.per_page)

    async def _read_gaps(self) -> None:
        """What came moved rows onto pages that had been answered already, before the ones above them were."""
        for _ in range(len(self._unread.spans) + _GAPS_AT_MOST):
            total = self._enquiries.total
            if not self._unread.spans or total is None:
                break
            per_page = min(_PER_PAGE_GAP, self._enquiries.largest_page)
            number = max(0, total - self._unread.spans[-1][1]) // per_page + 1
            page = await self._enquiries.page(number, per_page)
            await self._take(page)
            self._unread.read(page.total or total, (page.page - 1) * page.per_page, page.per_page)

    async def _read_beyond(self, numbers: _PageNumbers) -> None:
        """The service may list more than it counts, or fewer on a page than it says: what is after the last page."""
        while self._done < numbers.total:
            page = await self._enquiries.page(numbers.take(), numbers.per_page)
            is_new = len(self._store.known(_ids(page))) < len(page.readings)
            await self._take(page)
            if not is_new:
                break

    async def _follow(self, page: UploadPage) -> bool:
        """Page by page, for a service that does not count; True if each joins the one before it."""
        is_joined = True
        while page.next_page is not None:
            following = await self._enquiries.page(page.next_page, self._enquiries.largest_page)
            if _ids(following) == _ids(page):  # it gives the same whatever is asked for, or nothing any more
                break
            if page.page == 1 and page.readings and following.readings:  # so many are on a full page
                self._enquiries.largest_page = len(page.readings) + len(page.broken)
            is_joined &= await self._join(page, following)
            await self._take(following)
            page = following
        return is_joined

    async def _join(self, page: UploadPage, following: UploadPage) -> bool:
        """True if nothing is missing between two pages: what goes moves others onto the first of them, which is read again then."""
        for _ in range(_PASSES_AT_MOST):
            seen = {*_ids(page), *_ids(following)}
            if not following.readings or set(_ids(page)[-1:]) & set(_ids(following)):
                return True
            edge = await self._enquiries.page((following.page - 1) * self._enquiries.largest_page, 1)
            if seen.issuperset(_ids(edge)):
                return True
            page = await self._enquiries.page(page.page, self._enquiries.largest_page)
            await self._take(page)
        return False

    async def _catch_up(self, newest: str | None, total: int) -> bool:
        """What came during the pass; True if as many are there as were, and came."""
        caught: set[str] = set()
        number, per_page, broken = 1, min(_PER_PAGE_CATCH_UP, self._enquiries.largest_page), 0
        while True:
            page = await self._enquiries.page(number, per_page)
            ids = _ids(page)
            if number == 1:  # what comes while further pages are read is left for the news
                self.total = page.total
            # What comes while we catch up moves what is caught already onto the page that is read next.
            has_known = bool(self._store.known(ids) - caught)
            await self._take(page)
            broken += len(page.broken)
            if newest in ids:
                # Those that came stand above the newest of before; some of them may be broken.
                came = (page.total or 0) - total
                return 0 <= came - (number - 1) * page.per_page - ids.index(newest) <= broken
            if has_known or page.next_page is None:
                return newest is None and not ids  # the newest itself has gone
            caught.update(ids)
            largest = self._enquiries.largest_page
            number, per_page = (1, largest) if per_page < largest else (page.next_page, per_page)

    async def _read(self, words: PageWords) -> UploadPage:
        """What a page says; in pieces if it cannot be read."""
        before = self._enquiries.answers
        try:
            page = await self._client.read_page_in_portions(words)
        except UnreadableError as error:
            await self._enquiries.set_aside(error, before)
            return await self._enquiries.in_pieces((words.page - 1) * words.per_page, words.per_page)
        self._enquiries.answered(page.total, words.page, min(words.per_page, page.per_page))
        return page

    async def _words(self, number: int, per_page: int) -> PageWords | UploadPage:
        """A page as it comes; what its pieces say if it does not."""
        before = self._enquiries.answers
        try:
            return await self._client.page_words(self._project.id, number, per_page)
        except NotFoundError:
            raise
        except ServiceError as error:
            await self._enquiries.set_aside(error, before)
        return await self._enquiries.in_pieces((number - 1) * per_page, per_page)

    # What was read

    async def _keep(self, words: PageWords | UploadPage, readers: PageReaders | None) -> str | None:
        """Keep a page; gives the id of its first upload."""
        if isinstance(words, PageWords):
            image = await readers.read(words.body, words.read_on) if readers else b""
            if image:
                self._enquiries.answered(words.total, words.page, words.per_page)
                return self._pour(words, image)
        page = await self._read(words) if isinstance(words, PageWords) else words
        await self._take(page)
        return page.readings[0].upload.id if page.readings else None

    async def _take(self, page: UploadPage) -> None:
        async for readings in portions(page.readings):
            self._take_some(readings)
        self._broken += len(page.broken)
        self._tell(len(page.readings), page.total)

    def _take_some(self, readings: Sequence[UploadReading]) -> None:
        """What exists at the first fetch is no news, but what another visit left behind may have changed since.

        Where another dashboard has read all meanwhile, what came after that is news, and it is told by whoever reads it.
        """
        known = self._store.known([reading.upload.id for reading in readings])
        read_until_ms = self._store.fact(whole_until(self._project.id))
        told = [one for one in readings if one.upload.id in known or _is_after(one, read_until_ms)]
        self._doubtful.extend(self._books.take(told)[1])
        take_in(self._store, [one for one in readings if one not in told], self._client.root, is_news=False)

    def _pour(self, words: PageWords, image: bytes) -> str | None:
        page = self._store.bulk.pour(image)
        others: Sequence[UploadReading] = ()
        if page.others:
            read = self._client.read_page(words, page.others)
            others = read.readings
            self._broken += len(read.broken)
            self._take_some(others)
        self._tell(page.uploads, words.total)
        return page.first_id or self._first_id(words, others if len(others) == len(page.others) else ())

    def _first_id(self, words: PageWords, others: Sequence[UploadReading]) -> str | None:
        """The first upload's; it is the first of the others unless some of those cannot be read."""
        readings = others or self._client.read_page(words).readings
        return readings[0].upload.id if readings else None

    def _tell(self, count: int, total: int | None) -> None:
        self._done += count
        self._progress(self._done if total is None else min(self._done, total), total)

    @asynccontextmanager
    async def _pouring(self, uploads: int) -> AsyncIterator[PageReaders]:
        """While very many come: nothing is sorted in one by one, and no garbage is looked for among what is all kept."""
        self._store.bulk.begin()
        try:
            async with PageReaders(uploads) as readers:
                with _without_collections():
                    yield readers
        except Exception:  # what came is kept, and shown as all else is; whoever leaves does not wait for it
            await self._store.bulk.finish()
            raise
        await self._store.bulk.finish()


@asynccontextmanager
async def _reading_in_full() -> AsyncIterator[None]:
    yield None


@contextmanager
def _without_collections() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def whole_until(project_id: str) -> str:
    """The name of a fact: when the newest upload was initiated (in milliseconds) that was known when somebody first had read all."""
    return f"whole until {project_id}"


def _ids(page: UploadPage) -> list[str]:
    return [reading.upload.id for reading in page.readings]


def _is_after(reading: UploadReading, on_ms: int | None) -> bool:
    began_ms = milliseconds(initiated_on(reading.upload))
    return on_ms is not None and began_ms is not None and began_ms > on_ms
