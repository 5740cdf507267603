"""Reads all pages of a project, several at a time, until what was read is whole. Used by the synchroniser, for the first time.

Uploads that come or go meanwhile shift the pages. One that comes moves others onto later pages: they are read twice, and kept once.
One that goes moves others onto earlier pages, which may have been read already: they are missed. So the totals and the newest
upload are compared before and after; if any went, all pages are read again.
"""

import gc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from msgspec import Struct

from upload_tui.client.service_client import ServiceClient
from upload_tui.client.turns import all_of, portions
from upload_tui.monitor.intake import take_in
from upload_tui.monitor.page_readers import PageReaders
from upload_tui.monitor.picture import ProjectRef
from upload_tui.monitor.store import Store
from upload_tui.monitor.stored_order import StoredOrder
from upload_tui.wire.answers import PageWords, UploadPage, UploadReading

__all__ = ["FirstFetch"]

PER_PAGE = 1000
"""The most that services give."""
REQUESTS_AT_ONCE = 6
_PER_PAGE_CATCH_UP = 20
_PASSES_AT_MOST = 5
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
        client: the service.
        store: where the picture is kept.
        project: which project.
        take: takes readings of uploads that were known before, and tells what changed.
        progress: called with the uploads read so far and the service's total.
    """

    def __init__(
        self,
        client: ServiceClient,
        store: Store,
        project: ProjectRef,
        take: Callable[[Sequence[UploadReading]], object],
        progress: Callable[[int, int | None], None],
    ) -> None:
        self._client = client
        self._store = store
        self._order = StoredOrder(store, project.id)
        self._project = project
        self._take_known = take
        self._progress = progress
        self._done = 0

    async def run(self) -> Sequence[str]:
        """Read all; gives the ids that were known before and are on no page any more."""
        began_on = self._client.now()
        for _ in range(_PASSES_AT_MOST):
            began_on = self._client.now()
            if await self._pass():
                break
        return self._order.unread_since(began_on)

    async def _pass(self) -> bool:
        """Read all pages once; True if nothing can have been missed."""
        self._done = 0
        first = await self._words(1)
        per_page, total = self._shape(first)
        is_many = total is not None and total >= _MANY
        is_bulk = is_many and self._store.takes_bulk
        async with self._pouring(total or 0) if is_bulk else _reading_in_full() as readers:
            newest = await self._keep(first, readers)
            if total is None:
                await self._follow(first)
                return True
            numbers = _PageNumbers(per_page, total)
            while numbers.is_left:
                await all_of(self._work(numbers, readers) for _ in range(REQUESTS_AT_ONCE))
        return await self._catch_up(newest, total)

    def _shape(self, first: PageWords) -> tuple[int, int | None]:
        page = self._client.read_page(first) if first.total is None else None
        said = first.headers.get("x-per-page", "")
        per_page = int(said) if said.isascii() and said.isdigit() and 0 < len(said) < 6 else first.per_page
        return max(1, page.per_page if page else per_page), first.total

    async def _work(self, numbers: _PageNumbers, readers: PageReaders | None) -> None:
        while numbers.is_left:
            words = await self._words(numbers.take())
            numbers.total = max(numbers.total, words.total or 0)
            await self._keep(words, readers)

    async def _follow(self, words: PageWords) -> None:
        """Page by page, for a service that does not count."""
        page = await self._read(words)
        while page.next_page is not None:
            page = await self._read(await self._words(page.next_page))
            await self._take(page)

    async def _catch_up(self, newest: str | None, total: int) -> bool:
        """What came during the pass; True if as many are there as were, and came."""
        caught: set[str] = set()
        number, per_page = 1, _PER_PAGE_CATCH_UP
        while True:
            page = await self._client.upload_page(self._project.id, number, per_page)
            ids = [reading.upload.id for reading in page.readings]
            # What comes while we catch up moves what is caught already onto the page that is read next.
            has_known = bool(self._store.known(ids) - caught)
            await self._take(page)
            if newest in ids:
                return page.total == total + (number - 1) * page.per_page + ids.index(newest)
            if has_known or page.next_page is None:
                return newest is None and not ids  # the newest itself has gone
            caught.update(ids)
            number, per_page = (1, PER_PAGE) if per_page < PER_PAGE else (page.next_page, per_page)

    async def _read(self, words: PageWords) -> UploadPage:
        return await self._client.read_page_in_portions(words)

    async def _words(self, number: int) -> PageWords:
        return await self._client.page_words(self._project.id, number, PER_PAGE)

    # What was read

    async def _keep(self, words: PageWords, readers: PageReaders | None) -> str | None:
        """Keep a page; gives the id of its first upload."""
        image = await readers.read(words.body, words.read_on) if readers else b""
        if image:
            return self._pour(words, image)
        page = await self._read(words)
        await self._take(page)
        return page.readings[0].upload.id if page.readings else None

    async def _take(self, page: UploadPage) -> None:
        async for readings in portions(page.readings):
            self._keep_readings(readings)
        self._tell(len(page.readings), page.total)

    def _keep_readings(self, readings: Sequence[UploadReading]) -> None:
        """What exists at the first fetch is no news, but what another visit left behind may have changed since."""
        known = self._store.known([reading.upload.id for reading in readings])
        self._take_known([reading for reading in readings if reading.upload.id in known])
        take_in(self._store, [one for one in readings if one.upload.id not in known], self._client.root, is_news=False)

    def _pour(self, words: PageWords, image: bytes) -> str | None:
        page = self._store.bulk.pour(image)
        others = self._client.read_page(words, page.others).readings if page.others else ()
        self._keep_readings(others)
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
