"""Asks a service about one project, several things at a time, and tells what is wrong with one of them from what is wrong with all.

One upload that the service cannot render breaks every page it would stand on. Such a page is read in smaller ones until only what
is broken is left out, and that is owed. Used by the synchroniser and its parts.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from msgspec import Struct, field

from upload_tui.client import ServiceClient
from upload_tui.errors import (
    AuthError,
    NotConsistentError,
    NotFoundError,
    ServiceError,
    ThrottledError,
    UnreachableError,
)
from upload_tui.monitor.store.rows import to_ms
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.unreadable_rows import Rows, UnreadableRows
from upload_tui.wire import UploadPage, UploadReading

__all__ = ["MAX_PER_PAGE", "MAX_CONCURRENT_REQUESTS", "PageFetcher"]

MAX_PER_PAGE = 1000
"""The most that services give."""
MAX_CONCURRENT_REQUESTS = 6
_SPLIT_SIZES = (100, 20, 5, 1)
"""Of the pages that a broken one is read in."""
_FAILURE_BUDGET = 40
"""So much failing is put up with for one page; what is not read by then is left for later."""
_TIMEOUT_COST = 8
"""What an answer that does not come takes of it: it has been waited for."""
_CLOCK_TOLERANCE_MS = 5000
"""What is dated later was read before our clock was set back."""
_UNREADABLE = "An upload that the service does not give"


class _Pieces(Struct):
    pages: dict[Rows, UploadPage] = field(default_factory=dict)
    unread: list[Rows] = field(default_factory=list)
    failure_budget: int = _FAILURE_BUDGET


class PageFetcher:
    """What is asked about one project.

    Args:
        client: the service.
        store: where it is kept what could not be read.
        project_id: the project.
    """

    def __init__(self, client: ServiceClient, store: Store, project_id: str) -> None:
        self.client = client
        self._project_id = project_id
        self._semaphore = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)
        self._probe_lock = asyncio.Lock()
        self.unreadable = UnreadableRows(store, project_id)
        self.largest_page = MAX_PER_PAGE
        """The most uploads that the service gives at once."""
        self.total: int | None = None
        """Uploads in all as the service counted them last."""
        self.answer_count = 0
        """How many good answers came in this round."""

    def begin_round(self) -> None:
        """The service may have gone since it was asked last."""
        self.answer_count = 0
        self.unreadable.reload()

    def local_ms(self) -> int:
        """The present by our own clock: that of the service, which readings are dated with, is known the better the more it says."""
        return (to_ms(self.client.now()) or 0) - self.clock_offset_ms

    @property
    def clock_offset_ms(self) -> int:
        """By how much the service's clock is ahead of ours, as is known by now."""
        return round((self.client.clock_offset_seconds or 0) * 1000)

    def service_time_range(self, local_ms: int, clock_offset_ms: int | None = None) -> tuple[int, int]:
        """Between which times all is dated that was read since a moment by our own clock.

        Args:
            local_ms: the moment.
            clock_offset_ms: as it was known then; None if it matters little.
        """
        clock_offset_ms = (
            self.clock_offset_ms if clock_offset_ms is None else min(clock_offset_ms, self.clock_offset_ms)
        )
        return local_ms + clock_offset_ms, self.local_ms() + self.clock_offset_ms + _CLOCK_TOLERANCE_MS

    async def fetch_page(self, number: int, per_page: int) -> UploadPage:
        """A page (from 1); what cannot be read of it, however small the pages, stands among its broken ones.

        Raises:
            ServiceError: the service could not be asked.
        """
        page = await self._try_request_page(number, per_page)
        if page is None:
            return await self.fetch_in_pieces((number - 1) * per_page, per_page)
        self._mark_read(page.total, number, min(per_page, page.per_page))
        return page

    def record_answer(self, total: int | None, number: int, per_page: int) -> None:
        """A page has come and could be read, of a list of `total`."""
        self.answer_count += 1
        self.total = total
        self._mark_read(total, number, per_page)

    def _mark_read(self, total: int | None, number: int, per_page: int) -> None:
        if total is not None:
            self.unreadable.mark_read(total, (number - 1) * per_page, per_page)

    async def fetch_upload(self, upload_id: str) -> UploadReading | None:
        """One upload; None if it alone cannot be read.

        Raises:
            NotFoundError, NotConsistentError: the service says so of this upload.
            ServiceError: the service could not be asked.
        """
        before = self.answer_count
        try:
            async with self._semaphore:
                reading = await self.client.upload(upload_id)
        except (NotFoundError, NotConsistentError):
            self.answer_count += 1
            raise
        except ServiceError as error:
            await self.raise_if_service_down(error, before)
            return None
        self.answer_count += 1
        return reading

    async def raise_if_service_down(self, error: ServiceError, answers_before: int) -> None:
        """Return if what was asked for alone is in trouble: the service gives other answers than those `answers_before` it was asked.

        Raises:
            ServiceError: the service is.
        """
        is_plain = isinstance(error, UnreachableError | AuthError)
        is_told_to_wait = isinstance(error, ThrottledError) and error.retry_after_seconds is not None
        if self.answer_count == 0 and (is_plain or is_told_to_wait):
            raise error
        async with self._probe_lock:
            if self.answer_count == answers_before and not await self._is_service_up():
                raise error

    async def _is_service_up(self) -> bool:
        """Whether the service gives any upload; the newest may be what is broken."""
        for number in (1, 2):
            try:
                await self._request_page(number, 1)
            except ServiceError:
                continue
            return True
        return False

    # Pages

    async def _request_page(self, number: int, per_page: int) -> UploadPage:
        async with self._semaphore:
            page = await self.client.upload_page(self._project_id, number, per_page)
        self.answer_count += 1
        self.total = page.total
        if page.per_page < per_page:
            self.largest_page = max(1, page.per_page)
        return page

    async def _try_request_page(self, number: int, per_page: int, pieces: _Pieces | None = None) -> UploadPage | None:
        before = self.answer_count
        try:
            return await self._request_page(number, per_page)
        except NotFoundError:
            raise
        except ServiceError as error:
            if pieces is not None:
                pieces.failure_budget -= _TIMEOUT_COST if isinstance(error, UnreachableError) else 1
            await self.raise_if_service_down(error, before)
            return None

    async def fetch_in_pieces(self, first: int, rows: int) -> UploadPage:
        """Some rows in smaller pages, as one page; what they do not give is owed."""
        there = rows if self.total is None else max(1, min(rows, self.total - first))
        pieces, todo = _Pieces(), deque([(first, there)])
        while todo:
            todo.extend(await self._fetch_pieces(pieces, *todo.popleft()))
        return self._join_pieces(pieces, first, rows)

    async def _fetch_pieces(self, pieces: _Pieces, first: int, rows: int) -> Sequence[Rows]:
        """Read some rows in pages of the next size; gives what is to be read in still smaller ones."""
        size = min(next((size for size in _SPLIT_SIZES if size < rows), 1), self.largest_page)
        smaller: list[Rows] = []
        for number in range(first // size + 1, (first + rows - 1) // size + 2):
            start = max(first, (number - 1) * size)
            part = (start, min(first + rows, number * size) - start)
            page = await self._try_request_page(number, size, pieces) if pieces.failure_budget > 0 else None
            if page is not None:
                pieces.pages[((number - 1) * size, size)] = page
            elif size > 1 and pieces.failure_budget > 0:
                smaller.append(part)
            else:
                pieces.unread.append(part)
            if page is not None and page.next_page is None:
                break
        return smaller

    def _join_pieces(self, pieces: _Pieces, first: int, rows: int) -> UploadPage:
        pages = [page for _, page in sorted(pieces.pages.items())]
        total = pages[-1].total if pages else self.total
        unread = sum(count for _, count in pieces.unread)
        if total is not None:
            self.unreadable.mark_read(total, first, rows, pieces.unread)
        is_last = any(page.next_page is None for page in pages) if total is None else first + rows >= total
        number = first // rows + 1
        return UploadPage(
            tuple(reading for page in pages for reading in page.readings),
            (*(word for page in pages for word in page.unreadable), *(_UNREADABLE,) * unread),
            number,
            None if is_last else number + 1,
            total,
            rows,
        )
