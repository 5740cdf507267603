"""Fetch pages and uploads of one project, and distinguish an unreadable upload from a failing service.

An upload that the service cannot render breaks every page that lists it. Such a page is fetched again in smaller pages, until only
the broken rows are left out; those are retried in later rounds.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct, field
from msgspec.structs import replace

from upload_tui.client import ServiceClient
from upload_tui.errors import (
    AuthError,
    BadRequestError,
    NotConsistentError,
    NotFoundError,
    ServiceError,
    ThrottledError,
    UnreachableError,
)
from upload_tui.monitor.store.rows import to_ms
from upload_tui.monitor.sync.state import RemainingRows, Rows, SyncState, UnreadableRows
from upload_tui.wire import RawPage, UploadPage, UploadReading

__all__ = ["MAX_CONCURRENT_REQUESTS", "MAX_PER_PAGE", "JoinedPage", "PageFetcher"]

MAX_PER_PAGE = 1000
"""The largest page that services return."""
MAX_CONCURRENT_REQUESTS = 6
_SPLIT_SIZES = (100, 20, 5, 1)
"""Page sizes tried, one after the other, for the rows of a broken page."""
_FAILURE_BUDGET = 40
"""Failed requests allowed for one broken page; the rows not read by then are left for later rounds."""
_TIMEOUT_COST = 8
"""How many failed requests a timeout counts as, because it takes much longer."""
_PROBED_UPLOADS = (1, 2, 4, 8)
"""Places in the list of uploads that are requested to find out whether the service fails, or only some uploads."""
_MAX_REPEATS = 3
"""How often rows that move are fetched again; more would let a busy service get many times the requests."""
_CLOCK_TOLERANCE_MS = 5000
"""A reading dated further in the future was made before the local clock was set back."""
_UNREADABLE = "An upload that the service fails to return"


class _Pieces(Struct):
    """The parts of a broken page that were fetched so far, by first row and row count, and the rows given up on."""

    pages: dict[Rows, UploadPage] = field(default_factory=dict)
    unread: list[Rows] = field(default_factory=list)
    failure_budget: int = _FAILURE_BUDGET


class JoinedPage(UploadPage, frozen=True):
    """A page whose rows were fetched in smaller pages."""


class PageFetcher:
    """Requests for one project.

    Args:
        client: the service.
        state: the project's stored facts; it holds the unreadable rows.
    """

    def __init__(self, client: ServiceClient, state: SyncState) -> None:
        self.client = client
        self._state = state
        self._project_id = state.project_id
        self._semaphore = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)
        self._probe_lock = asyncio.Lock()
        self.unreadable = UnreadableRows(state)
        self.largest_page = MAX_PER_PAGE
        """The largest page that this service returns."""
        self.total: int | None = None
        """Total uploads as last reported by the service; None if it does not report it."""
        self._first_ids = frozenset[str]()
        self.agreeing_total: int | None = None
        """Total uploads as reported with the last page that did not contradict it; None after one that did."""
        self.answer_count = 0
        """Successful responses in this round."""

    def begin_round(self) -> None:
        """Start a round: the service may have gone down since the last one."""
        self.answer_count = 0
        self.unreadable.reload()

    @property
    def has_wrong_total(self) -> bool:
        """Whether the service's total contradicts its pages."""
        return self._state.has_wrong_total

    def checked_total(self, page: RawPage | UploadPage) -> int | None:
        """The service's total as of a page; None if it reports none, or once it has contradicted its pages."""
        is_contradicted = not self.repeats_first_page(page) and page.contradicts_total
        self.agreeing_total = None if is_contradicted else page.total
        if is_contradicted and not self._state.has_wrong_total:
            self.mark_wrong_total()
        return None if self._state.has_wrong_total else page.total

    def mark_wrong_total(self) -> None:
        """Ignore the service's total from now on: it has contradicted the pages."""
        self._state.has_wrong_total = True

    def repeats_first_page(self, page: RawPage | UploadPage) -> bool:
        """Whether a later page begins with an upload of the first: a service that ignores the page number lists no more than that."""
        ids = [reading.upload.id for reading in page.readings] if isinstance(page, UploadPage) else []
        if page.page == 1 and ids:
            self._first_ids = frozenset(ids)
        return page.page > 1 and bool(self._first_ids & set(ids[:1]))

    def local_ms(self) -> int:
        """The present by the local clock, in milliseconds since 1970.

        Readings are dated by the service's clock, whose offset becomes known only while responses arrive.
        """
        return (to_ms(self.client.clock.now()) or 0) - self.clock_offset_ms

    @property
    def clock_offset_ms(self) -> int:
        """How far the service's clock is ahead of the local one, as known now."""
        return round(self.client.clock_offset.used_seconds * 1000)

    def service_time_range(self, local_ms: int, clock_offset_ms: int | None = None) -> tuple[int, int]:
        """The range of service times (milliseconds) of all readings made since a local time.

        Args:
            local_ms: the local time.
            clock_offset_ms: the offset as known at that time; None uses the present one.
        """
        present_ms = self.clock_offset_ms
        offset_ms = present_ms if clock_offset_ms is None else min(clock_offset_ms, present_ms)
        return local_ms + offset_ms, self.local_ms() + present_ms + _CLOCK_TOLERANCE_MS

    async def fetch_page(self, number: int, per_page: int) -> UploadPage:
        """Fetch a page (from 1); rows that cannot be read are among its `unreadable`.

        Raises:
            ServiceError: the service is down or refuses access.
        """
        per_page = min(per_page, self.largest_page)  # with a larger one, the number would be that of other rows
        page = await self._try_request_page(number, per_page)
        if page is None:
            return await self.fetch_in_pieces((number - 1) * per_page, per_page)
        self._mark_read(page.total, number, min(per_page, page.per_page))
        return page

    async def fetch_following_page(self, number: int, per_page: int) -> UploadPage:
        """Like `fetch_page`, but empty if there is no such page: some services refuse pages after the last."""
        try:
            return await self.fetch_page(number, per_page)
        except NotFoundError:
            return UploadPage((), (), number, None, None, per_page)

    async def fetch_page_after_last(self, number: int, per_page: int) -> UploadPage:
        """Fetch the page after the one that should be the last; empty also if the service refuses such a page.

        Raises:
            ServiceError: it is not known whether there is such a page.
        """
        empty = UploadPage((), (), number, None, self.total, per_page)
        try:
            return await self._request_page(number, per_page)
        except (NotFoundError, BadRequestError):
            return empty
        except ServiceError:  # of a service with smaller pages than requested, this may be one of earlier rows
            if per_page > 1 and not (await self.fetch_page_after_last((number - 1) * per_page + 1, 1)).row_count:
                return empty
            raise

    def record_answer(self, total: int | None, number: int, per_page: int) -> None:
        """Note that a page was received and parsed; the list has `total` uploads."""
        self.answer_count += 1
        self.total = total
        self._mark_read(total, number, per_page)

    def _mark_read(self, total: int | None, number: int, per_page: int) -> None:
        if total is not None:
            self.unreadable.mark_read(total, (number - 1) * per_page, per_page)

    async def fetch_upload(self, upload_id: str) -> UploadReading | None:
        """Fetch one upload; None if this upload alone cannot be read.

        Raises:
            NotFoundError: the upload is gone.
            NotConsistentError: the upload is not visible yet.
            ServiceError: the service is down or refuses access.
        """
        before = self.answer_count
        try:
            async with self._semaphore:
                reading = await self.client.upload(upload_id, self._project_id)
        except (NotFoundError, NotConsistentError):
            self.answer_count += 1
            raise
        except ServiceError as error:
            await self.raise_if_service_down(error, before)
            return None
        self.answer_count += 1
        return reading

    async def raise_if_service_down(self, error: ServiceError, answers_before: int) -> None:
        """Return if only the requested item fails: the service has answered other requests since, or answers a probe.

        Args:
            error: what the request raised.
            answers_before: `answer_count` when the request was sent.

        Raises:
            ServiceError: the service itself fails; this is `error`.
        """
        is_general = isinstance(error, UnreachableError | AuthError)
        has_retry_after = isinstance(error, ThrottledError) and error.retry_after_seconds is not None
        if self.answer_count == 0 and (is_general or has_retry_after):
            raise error
        async with self._probe_lock:
            if self.answer_count == answers_before and not await self._is_service_up():
                raise error

    async def _is_service_up(self) -> bool:
        """Whether the service returns any upload; a few are tried, as the newest may be the broken ones."""
        for number in _PROBED_UPLOADS:
            with suppress(ServiceError):
                await self._request_page(number, 1)
                return True
        return False

    # Pages

    async def _request_page(self, number: int, per_page: int) -> UploadPage:
        async with self._semaphore:
            page = await self.client.upload_page(self._project_id, number, per_page)
            if not page.row_count and (self._first_ids if number == 1 else (number - 1) * per_page < (self.total or 0)):
                # Not believed at once: each upload that it lacks would be requested alone.
                page = await self.client.upload_page(self._project_id, number, per_page)
                self._first_ids = self._first_ids if page.row_count else frozenset()
        self.answer_count += 1
        self.total = self.checked_total(page)
        if page.per_page < per_page:
            self.largest_page = max(1, page.per_page)
        return replace(page, total=self.total)

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

    async def fetch_in_pieces(self, first: int, rows: int) -> JoinedPage:
        """Fetch rows in smaller pages and return them as one page; rows that fail are stored as unreadable.

        Without a total, rows may have moved from piece to piece unseen: they are fetched again until they stay the same, or until too
        many requests fail.
        """
        page, may_have_moved = await self._fetch_all_pieces(first, rows)
        for _ in range(_MAX_REPEATS):
            if not may_have_moved:
                break
            before = page
            page, may_have_moved = await self._fetch_all_pieces(first, rows)
            may_have_moved &= _row_ids(page) != _row_ids(before)
        return page

    async def _fetch_all_pieces(self, first: int, rows: int) -> tuple[JoinedPage, bool]:
        """The rows as one page, and whether to fetch them again because they may have moved."""
        existing = rows if self.total is None else max(1, min(rows, self.total - first))
        pieces, todo = _Pieces(), deque([(first, existing)])
        while todo:
            todo.extend(await self._fetch_pieces(pieces, *todo.popleft()))
        page = self._join_pieces(pieces, first, rows)
        return page, page.total is None and pieces.failure_budget > 0

    async def _fetch_pieces(self, pieces: _Pieces, first: int, rows: int) -> Sequence[Rows]:
        """Fetch rows in pages of the next smaller size; return the parts that need still smaller pages."""
        size = min(next((size for size in _SPLIT_SIZES if size < rows), 1), self.largest_page)
        smaller: list[Rows] = []
        for number in range(first // size + 1, (first + rows - 1) // size + 2):
            start = max(first, (number - 1) * size)
            part = (start, min(first + rows, number * size) - start)
            page = await self._try_request_page(number, size, pieces) if pieces.failure_budget > 0 else None
            is_answered = page is not None
            if page is not None and size > 1 and _may_be_of_other_rows(page, number, size):
                page = None
            if page is not None:
                pieces.pages[((number - 1) * size, size)] = page
            elif size > 1 and (is_answered or pieces.failure_budget > 0):
                smaller.append(part)
            else:
                pieces.unread.append(part)
            if page is not None and page.next_page is None:
                break
        return smaller

    def _join_pieces(self, pieces: _Pieces, first: int, rows: int) -> JoinedPage:
        pages = [page for _, page in sorted(pieces.pages.items())]
        total = min((page.total for page in pages if page.total is not None), default=self.total)
        unread: Sequence[Rows] = pieces.unread
        if total is not None:
            unread = _unread_rows(pieces, total, first, rows)
            self.unreadable.mark_read(total, first, rows, unread)
        is_last = any(page.next_page is None for page in pages) if total is None else first + rows >= total
        number = first // rows + 1
        return JoinedPage(
            tuple(reading for page in pages for reading in page.readings),
            (
                *(reason for page in pages for reason in page.unreadable),
                *(_UNREADABLE,) * sum(count for _, count in unread),
            ),
            number,
            None if is_last else number + 1,
            total,
            rows,
        )


def _row_ids(page: UploadPage) -> tuple[Sequence[str], int]:
    """What a page has: the ids of its uploads, and how many cannot be read."""
    return [reading.upload.id for reading in page.readings], len(page.unreadable)


def _unread_rows(pieces: _Pieces, total: int, first: int, rows: int) -> Sequence[Rows]:
    """The rows that were not read, of those in a list of `total` uploads.

    Besides those that failed, these are rows that arriving uploads moved behind pieces which had been answered already.
    """
    remaining = RemainingRows([(max(0, total - first - rows), total - first)])
    for (start, size), page in pieces.pages.items():
        remaining.mark_read(page.total or total, start, size)
    for start, count in pieces.unread:
        remaining.mark_read(total, start, count, [(start, count)])
    return [(total - high, high - low) for low, high in remaining.spans]


def _may_be_of_other_rows(page: UploadPage, number: int, size: int) -> bool:
    """Whether a page has not the rows requested, because the service returns none so large: its number is then that of other rows.

    Without a total, the last page looks the same.
    """
    if page.total is None:
        return page.per_page < size or 0 < page.row_count < size
    return page.per_page < size or page.row_count != max(0, min(size, page.total - (number - 1) * size))
