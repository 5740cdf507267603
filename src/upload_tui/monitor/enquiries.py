"""Asks a service about one project, several things at a time, and tells what is wrong with one of them from what is wrong with all.

One upload that the service cannot render breaks every page it would stand on. Such a page is read in smaller ones until only what
is broken is left out, and that is owed. Used by the synchroniser and its parts.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from msgspec import Struct, field

from upload_tui.client.service_client import ServiceClient
from upload_tui.errors import (
    BusyError,
    NotAllowedError,
    NotConsistentError,
    NotFoundError,
    ServiceError,
    UnreachableError,
)
from upload_tui.monitor.owed_rows import OwedRows, Rows
from upload_tui.monitor.store import Store
from upload_tui.monitor.stored_rows import milliseconds
from upload_tui.wire.answers import UploadPage, UploadReading

__all__ = ["PER_PAGE", "REQUESTS_AT_ONCE", "Enquiries"]

PER_PAGE = 1000
"""The most that services give."""
REQUESTS_AT_ONCE = 6
_SIZES = (100, 20, 5, 1)
"""Of the pages that a broken one is read in."""
_PATIENCE = 40
"""So much failing is put up with for one page; what is not read by then is left for later."""
_SILENCE = 8
"""What an answer that does not come takes of it: it has been waited for."""
_NEARLY_NOW_MS = 5000
"""What is dated later was read before our clock was set back."""
_BROKEN = "An upload that the service does not give"


class _Pieces(Struct):
    pages: dict[Rows, UploadPage] = field(default_factory=dict)
    unread: list[Rows] = field(default_factory=list)
    patience: int = _PATIENCE


class Enquiries:
    """What is asked about one project.

    Args:
        client: the service.
        store: where it is kept what could not be read.
        project_id: the project.
    """

    def __init__(self, client: ServiceClient, store: Store, project_id: str) -> None:
        self.client = client
        self._project_id = project_id
        self._gate = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._doubt = asyncio.Lock()
        self.owed = OwedRows(store, project_id)
        self.largest_page = PER_PAGE
        """The most uploads that the service gives at once."""
        self.total: int | None = None
        """Uploads in all as the service counted them last."""
        self.answers = 0
        """How many good answers came in this round."""

    def begin_round(self) -> None:
        """The service may have gone since it was asked last."""
        self.answers = 0
        self.owed.recall()

    def own_ms(self) -> int:
        """The present by our own clock: that of the service, which readings are dated with, is known the better the more it says."""
        return (milliseconds(self.client.now()) or 0) - self.lead_ms

    @property
    def lead_ms(self) -> int:
        """By how much the service's clock is ahead of ours, as is known by now."""
        return round((self.client.clock_lead_seconds or 0) * 1000)

    def read_since(self, own_ms: int, lead_ms: int | None = None) -> tuple[int, int]:
        """Between which times all is dated that was read since a moment by our own clock.

        Args:
            own_ms: the moment.
            lead_ms: as it was known then; None if it matters little.
        """
        lead_ms = self.lead_ms if lead_ms is None else min(lead_ms, self.lead_ms)
        return own_ms + lead_ms, self.own_ms() + self.lead_ms + _NEARLY_NOW_MS

    async def page(self, number: int, per_page: int) -> UploadPage:
        """A page (from 1); what cannot be read of it, however small the pages, stands among its broken ones.

        Raises:
            ServiceError: the service could not be asked.
        """
        page = await self._try_page(number, per_page)
        if page is None:
            return await self.in_pieces((number - 1) * per_page, per_page)
        self._settle(page.total, number, min(per_page, page.per_page))
        return page

    def answered(self, total: int | None, number: int, per_page: int) -> None:
        """A page has come and could be read, of a list of `total`."""
        self.answers += 1
        self.total = total
        self._settle(total, number, per_page)

    def _settle(self, total: int | None, number: int, per_page: int) -> None:
        if total is not None:
            self.owed.read(total, (number - 1) * per_page, per_page)

    async def upload(self, upload_id: str) -> UploadReading | None:
        """One upload; None if it alone cannot be read.

        Raises:
            NotFoundError, NotConsistentError: the service says so of this upload.
            ServiceError: the service could not be asked.
        """
        before = self.answers
        try:
            async with self._gate:
                reading = await self.client.upload(upload_id)
        except (NotFoundError, NotConsistentError):
            self.answers += 1
            raise
        except ServiceError as error:
            await self.set_aside(error, before)
            return None
        self.answers += 1
        return reading

    async def set_aside(self, error: ServiceError, before: int) -> None:
        """Return if what was asked for alone is in trouble: the service gives other answers than those `before` it was asked.

        Raises:
            ServiceError: the service is.
        """
        is_plain = isinstance(error, UnreachableError | NotAllowedError)
        is_told_to_wait = isinstance(error, BusyError) and error.retry_after_seconds is not None
        if self.answers == 0 and (is_plain or is_told_to_wait):
            raise error
        async with self._doubt:
            if self.answers == before and not await self._is_there():
                raise error

    async def _is_there(self) -> bool:
        """Whether the service gives any upload; the newest may be what is broken."""
        for number in (1, 2):
            try:
                await self._page(number, 1)
            except ServiceError:
                continue
            return True
        return False

    # Pages

    async def _page(self, number: int, per_page: int) -> UploadPage:
        async with self._gate:
            page = await self.client.upload_page(self._project_id, number, per_page)
        self.answers += 1
        self.total = page.total
        if page.per_page < per_page:
            self.largest_page = max(1, page.per_page)
        return page

    async def _try_page(self, number: int, per_page: int, pieces: _Pieces | None = None) -> UploadPage | None:
        before = self.answers
        try:
            return await self._page(number, per_page)
        except NotFoundError:
            raise
        except ServiceError as error:
            if pieces is not None:
                pieces.patience -= _SILENCE if isinstance(error, UnreachableError) else 1
            await self.set_aside(error, before)
            return None

    async def in_pieces(self, first: int, rows: int) -> UploadPage:
        """Some rows in smaller pages, as one page; what they do not give is owed."""
        there = rows if self.total is None else max(1, min(rows, self.total - first))
        pieces, todo = _Pieces(), deque([(first, there)])
        while todo:
            todo.extend(await self._read_pieces(pieces, *todo.popleft()))
        return self._together(pieces, first, rows)

    async def _read_pieces(self, pieces: _Pieces, first: int, rows: int) -> Sequence[Rows]:
        """Read some rows in pages of the next size; gives what is to be read in still smaller ones."""
        size = min(next((size for size in _SIZES if size < rows), 1), self.largest_page)
        smaller: list[Rows] = []
        for number in range(first // size + 1, (first + rows - 1) // size + 2):
            start = max(first, (number - 1) * size)
            part = (start, min(first + rows, number * size) - start)
            page = await self._try_page(number, size, pieces) if pieces.patience > 0 else None
            if page is not None:
                pieces.pages[((number - 1) * size, size)] = page
            elif size > 1 and pieces.patience > 0:
                smaller.append(part)
            else:
                pieces.unread.append(part)
            if page is not None and page.next_page is None:
                break
        return smaller

    def _together(self, pieces: _Pieces, first: int, rows: int) -> UploadPage:
        pages = [page for _, page in sorted(pieces.pages.items())]
        total = pages[-1].total if pages else self.total
        unread = sum(count for _, count in pieces.unread)
        if total is not None:
            self.owed.read(total, first, rows, pieces.unread)
        is_last = any(page.next_page is None for page in pages) if total is None else first + rows >= total
        number = first // rows + 1
        return UploadPage(
            tuple(reading for page in pages for reading in page.readings),
            (*(word for page in pages for word in page.broken), *(_BROKEN,) * unread),
            number,
            None if is_last else number + 1,
            total,
            rows,
        )
