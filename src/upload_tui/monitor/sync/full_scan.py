"""Read all pages of a project, several at a time, until no upload is missing.

Uploads that arrive or are deleted during the scan shift the pages. An arriving upload moves others to later pages: they are read
twice, or missed if the later page was answered first; such gaps are read at the end. A deleted upload moves others to earlier pages
that may have been read already: they are missed. So the totals and the newest upload are compared before and after a pass; if any
upload was deleted, or fewer are known than the service counts, all pages are read again. If that happens again, or if the service
reports no total or one that contradicts its pages, pages are read in turn: each must follow the previous one without a gap. After a
last page that is full one more is read: only that proves it.
"""

import asyncio
from collections.abc import Set as AbstractSet
from contextlib import nullcontext
from itertools import pairwise

from msgspec import Struct

from upload_tui.client import gather_all
from upload_tui.errors import Cause, ServerError
from upload_tui.monitor.sync.fetcher import MAX_CONCURRENT_REQUESTS, MAX_PER_PAGE, JoinedPage
from upload_tui.monitor.sync.scan_recorder import ScanRecorder
from upload_tui.monitor.sync.state import KnownUploads, RemainingRows
from upload_tui.wire import RawPage, UploadPage

__all__ = ["FullScan"]

_DELETED = Cause("Uploads were deleted during the scan", details="some may be missing")
_CATCH_UP_PER_PAGE = 20
_GAP_PER_PAGE = 100
_MAX_NEW_GAPS = 20
_PASSES_AT_ONCE = 2
"""Passes that read several pages at a time. If uploads were deleted during each of them, pages are read in turn."""
_MAX_PAGES_IN_TURN = 100
"""A longer list is read several pages at a time in each pass: in turn, each request would wait for the one before."""
_YIELD_SECONDS = 0.001
"""A pause before each page, one after the other: a service in this process answers without waiting, so nothing else would run until
the last page."""


class _PageNumbers(Struct):
    """The pages after the first that are still to be read; there are more when uploads arrive.

    Attributes:
        per_page: the page size.
        total: the largest total that the service has reported.
        next: the next page to read.
    """

    per_page: int
    total: int
    next: int = 2

    @property
    def has_next(self) -> bool:
        """Whether a page is left."""
        return (self.next - 1) * self.per_page < self.total

    def take_next(self) -> int:
        """Take the next number."""
        self.next += 1
        return self.next - 1


class _PageSequence:
    """The pages of a service that reports no total, or a wrong one, read one after the other.

    Args:
        pages: fetches and records the pages.
    """

    def __init__(self, pages: ScanRecorder) -> None:
        self._pages = pages
        self._fetcher = pages.fetcher
        self.repeats_pages = False
        """Whether the service returned the same uploads for two pages, so that others are hidden."""

    async def follow(self, page: UploadPage) -> bool:
        """Read page after page of a service that reports no total, or a wrong one; True if no page leaves a gap after the last."""
        is_joined, was_repeated = True, False
        while (number := page.next_page or self._number_after_last(page)) is not None:
            following = await self._fetch_following(page, number)
            is_repeated = _ids(following) == _ids(page)
            if is_repeated and (was_repeated or not page.readings):
                # The end, or a service that ignores the page number.
                is_same_throughout = page.page == 2 and bool(page.readings)
                self.repeats_pages = is_same_throughout and await self._has_smaller_pages(len(page.readings))
                break
            if is_repeated:  # if just as many uploads have arrived, the next page goes on
                page, was_repeated = following, True
                continue
            was_repeated = False
            await self._pages.record_parsed(following)
            joined = await self._close_gap(page, following)
            is_joined &= joined is not None
            page = joined or following
        return is_joined

    def _number_after_last(self, page: UploadPage) -> int | None:
        """The page after the one that the service names as the last, if only that proves it.

        It was full, the total is wrong, or neither a total nor another page says how many uploads a full page has.
        """
        has_unknown_size = page.page == 1 and page.total is None
        is_doubtful = self._fetcher.has_wrong_total or has_unknown_size or page.row_count >= page.per_page
        return page.page + 1 if page.row_count and is_doubtful else None

    async def _fetch_following(self, page: UploadPage, number: int) -> UploadPage:
        """Fetch the page after this one. If it has any rows, the first page was a full one, and its size is the service's limit."""
        largest, count = self._fetcher.largest_page, page.row_count
        if isinstance(page, JoinedPage) and count > largest:
            return await self._fetch_after_joined(page)
        if page.page == 1 and count:
            self._fetcher.largest_page = min(largest, count)  # also if the next page must be fetched in pieces
        is_after_last = page.next_page is None
        fetch = self._fetcher.fetch_page_after_last if is_after_last else self._fetcher.fetch_following_page
        following = await fetch(number, self._fetcher.largest_page)
        if not following.row_count:
            self._fetcher.largest_page = largest
        return following

    async def _fetch_after_joined(self, page: JoinedPage) -> UploadPage:
        """Fetch the rows after a page that was joined from several pages of the service."""
        end = (page.page - 1) * page.per_page + page.row_count
        if page.next_page is None:
            following = await self._fetcher.fetch_page_after_last(end + 1, 1)
            if not following.row_count:
                return following
        return await self._fetcher.fetch_following_page(
            end // self._fetcher.largest_page + 1, self._fetcher.largest_page
        )

    async def _has_smaller_pages(self, count: int) -> bool:
        """Whether the service returns fewer uploads when fewer are requested; otherwise each page lists all there are."""
        return count > 1 and len((await self._fetcher.fetch_page(1, count // 2)).readings) < count

    async def _close_gap(self, page: UploadPage, following: UploadPage) -> UploadPage | None:
        """Read two pages again until no row is between them; return the second one, None if a gap may remain.

        A deleted upload moves the first row of the following page to the end of this one, after this one was read.
        """
        row, largest = self._row_after(page, following), self._fetcher.largest_page
        # A page of this size has the rows on both sides. If the service has none so large, one row is weaker evidence: the following
        # page must then be the same before and after it.
        size = next((size for size in range(2, largest + 1) if row % size), 1)
        before, is_connected = {*_ids(page)}, True
        for _ in range(self._pages.store.limits.scan_passes):
            if before & {*_ids(following)} or (is_connected and _only_grows(page, following)):
                return following
            edge = await self._fetcher.fetch_following_page((row - 1) // size + 1, size)
            is_joined = _joins(edge, before, page, following)
            if is_joined and size > 1:
                return following
            if not is_joined:
                page, earlier = await self._fetch_again(page), page
                await self._pages.record_again(page, earlier)
                is_connected = bool(before & {*_ids(page)})  # otherwise rows may be missing above it
                full = earlier.row_count if page.page == 1 else largest
                if is_connected and not edge.row_count and page.row_count < full:  # the list ends before it now
                    return following
                before |= {*_ids(page)} if is_connected else set()
            following, earlier = await self._fetcher.fetch_following_page(following.page, largest), following
            await self._pages.record_again(following, earlier)
            if is_joined and _ids(following) == _ids(earlier):
                return following
        return None

    def _row_after(self, page: UploadPage, following: UploadPage) -> int:
        """The row (from 0) after this page, where the following one begins."""
        size = page.per_page if isinstance(page, JoinedPage) else self._fetcher.largest_page
        end = (page.page - 1) * size + page.row_count
        return (following.page - 1) * self._fetcher.largest_page if following.row_count else end

    async def _fetch_again(self, page: UploadPage) -> UploadPage:
        if isinstance(page, JoinedPage):
            return await self._fetcher.fetch_in_pieces((page.page - 1) * page.per_page, page.per_page)
        return await self._fetcher.fetch_page(page.page, self._fetcher.largest_page)


class FullScan:
    """The full scan of one project.

    Args:
        pages: fetches and records the pages.
    """

    def __init__(self, pages: ScanRecorder) -> None:
        self._pages = pages
        self._fetcher = pages.fetcher
        self._recorder = pages.recorder
        self._store = pages.store
        self._known = KnownUploads(pages.store, pages.state.project_id)
        self._clock_offset_ms = 0
        self._unread = RemainingRows()
        self._has_read_every_row = False
        self._has_read_in_turn = False
        self._turn = asyncio.Lock()
        self._sequence = _PageSequence(pages)
        self.total: int | None = None
        """The service's total that belongs to the known uploads; None if it reports none."""

    @property
    def repeats_pages(self) -> bool:
        """Whether the service, which reports no total, returned the same uploads for two pages, so that others are hidden."""
        return self._sequence.repeats_pages

    @property
    def unreadable_count(self) -> int:
        """Uploads of the last pass that cannot be read."""
        return self._pages.unreadable_count

    async def run(self) -> None:
        """Read all pages, as often as needed.

        Raises:
            ServiceError: the service failed, or uploads were deleted in every pass; what was read is recorded.
        """
        missing_before: int | None = None
        for number in range(self._store.limits.scan_passes):
            started_ms = self._fetcher.local_ms()
            had_total = not self._fetcher.has_wrong_total
            is_complete = await self._run_pass(in_turn=number >= _PASSES_AT_ONCE)
            # Uploads that were known before and are on no page any more.
            unread = self._known.unread(self._fetcher.service_time_range(started_ms, self._clock_offset_ms))
            await self._recorder.refetch(sorted({*unread, *self._pages.possibly_outdated}))
            if had_total and self._fetcher.has_wrong_total:
                continue  # read page after page instead
            missing = self._missing_count()
            if is_complete and (self._has_read_in_turn or missing in {0, None, missing_before}):
                return
            # An upload deleted after it was read may hide one that was missed, but in a long list hardly twice the same one.
            if number and missing == 0 and self._page_count > _MAX_PAGES_IN_TURN:
                return
            missing_before = missing if is_complete else None
        title = f"Uploads were deleted while {self._fetcher.client.root} was scanned; some may be missing"
        raise ServerError(title, "Try again later.", cause=_DELETED)

    def _missing_count(self) -> int | None:
        """How many readable uploads the service counts beyond the known ones; None if it reports no total."""
        if self._has_read_every_row:
            return 0
        return None if self.total is None else max(0, self.total - self._known.count() - self._pages.unreadable_count)

    @property
    def _page_count(self) -> int:
        return -(-(self.total or 0) // self._fetcher.largest_page)

    async def _run_pass(self, *, in_turn: bool) -> bool:
        """Read all pages once; True if no upload can have been missed.

        Args:
            in_turn: read page after page, unless there are too many.
        """
        self._pages.begin_pass()
        self._has_read_every_row = False
        first = await self._first_page()
        self._clock_offset_ms = self._fetcher.clock_offset_ms
        self.total = total = first.total
        size = first.per_page if isinstance(first, UploadPage) else first.reported_per_page or MAX_PER_PAGE
        self._fetcher.largest_page = min(size, self._fetcher.largest_page)
        self._has_read_in_turn = total is None or (in_turn and self._page_count <= _MAX_PAGES_IN_TURN)
        if self._has_read_in_turn and isinstance(first, RawPage):
            first = await self._pages.parse(first)
        is_bulk = (total or 0) >= self._store.limits.bulk_threshold and self._store.can_bulk_load
        async with self._pages.bulk_mode(total or 0) if is_bulk and not self._has_read_in_turn else nullcontext():
            newest = await self._pages.record(first)
            if self._has_read_in_turn and isinstance(first, UploadPage):
                is_joined = await self._sequence.follow(first)
                return is_joined and (total is None or await self._catch_up(newest, total))
            self._has_read_every_row = isinstance(first, RawPage)
            await self._read_numbered_pages(size, total or 0)
        return not self._fetcher.has_wrong_total and await self._catch_up(newest, total or 0)

    async def _first_page(self) -> RawPage | UploadPage:
        """The first page; unparsed if its headers have the total and the page size."""
        page = await self._pages.fetch(1, MAX_PER_PAGE)
        if isinstance(page, UploadPage) or (page.total is not None and page.reported_per_page):
            return page
        return await self._pages.parse(page)

    async def _read_numbered_pages(self, size: int, total: int) -> None:
        """Read the pages after the first."""
        self._unread = RemainingRows([(0, total - size)] if total > size else [])
        numbers = _PageNumbers(size, total)
        while numbers.has_next:
            await gather_all(self._read_pages(numbers) for _ in range(MAX_CONCURRENT_REQUESTS))
        await self._read_gaps()
        row_count = self._pages.read_count + self._pages.unreadable_count
        self._has_read_every_row &= not self._unread.spans and row_count >= total
        await self._read_past_end(numbers)

    async def _read_pages(self, numbers: _PageNumbers) -> None:
        while True:
            async with self._turn:
                await asyncio.sleep(_YIELD_SECONDS)
            if not numbers.has_next:
                return
            number = numbers.take_next()
            page = await self._pages.fetch(number, numbers.per_page)
            total = page.total or numbers.total
            numbers.total = max(numbers.total, total)
            self._has_read_every_row &= isinstance(page, RawPage)
            await self._pages.record(page)
            self._unread.mark_read(total, (number - 1) * numbers.per_page, numbers.per_page)

    async def _read_gaps(self) -> None:
        """Read rows that arriving uploads moved to pages which had been answered already."""
        for _ in range(len(self._unread.spans) + _MAX_NEW_GAPS):
            total = self._fetcher.total
            if not self._unread.spans or total is None:
                break
            per_page = min(_GAP_PER_PAGE, self._fetcher.largest_page)
            number = max(0, total - self._unread.spans[-1][1]) // per_page + 1
            page = await self._fetcher.fetch_page(number, per_page)
            await self._pages.record_parsed(page)
            self._unread.mark_read(page.total or total, (page.page - 1) * page.per_page, page.per_page)

    async def _read_past_end(self, numbers: _PageNumbers) -> None:
        """Read beyond the last page: the service may list more than it counts, or return smaller pages than it reports."""
        while self._pages.read_count < numbers.total or self._is_last_page_full(numbers):
            is_after_last = self._pages.read_count + self._pages.unreadable_count >= numbers.total
            fetch = self._fetcher.fetch_page_after_last if is_after_last else self._fetcher.fetch_page
            page = await fetch(numbers.take_next(), numbers.per_page)
            is_new = len(self._store.known(_ids(page))) < len({*_ids(page)})  # an upload may be listed twice
            await self._pages.record_parsed(page)
            last_row = (page.page - 1) * numbers.per_page + page.row_count
            if page.row_count and (is_new or not page.readings) and last_row > (page.total or last_row):
                self._fetcher.mark_wrong_total()  # it would hide as many unreadable uploads
            if not is_new:
                break

    def _is_last_page_full(self, numbers: _PageNumbers) -> bool:
        """Whether the last page read was a full one, so that only the next one proves that the service's total is right."""
        row_count = self._pages.read_count + self._pages.unreadable_count
        return row_count >= (numbers.next - 1) * numbers.per_page > 0

    async def _catch_up(self, newest: str | None, total: int) -> bool:
        """Read the uploads that arrived during the pass; True if no upload can have been missed.

        After a pass that was not in turn, the new total must also be the old one plus the arrivals.

        Args:
            newest: the id of the first upload when the pass began; None if there was none.
            total: the service's total when the pass began.
        """
        caught: set[str] = set()
        number, per_page, unreadable = 1, min(_CATCH_UP_PER_PAGE, self._fetcher.largest_page), 0
        before, only_grows = None, True
        while True:
            page = await self._fetcher.fetch_page(number, per_page)
            ids = _ids(page)
            if number == 1:  # what arrives during the next pages is left to the next round
                self.total = page.total
            only_grows = before is None or (only_grows and _only_grows(before, page))
            # Uploads that arrive during the catch-up move the ones just read to the next page.
            has_known = bool(self._store.known(ids) - caught)
            await self._pages.record_parsed(page)
            unreadable += len(page.unreadable)
            if newest in ids:
                # The arrivals are above the newest upload of before; some of them may be unreadable.
                others = (page.total or 0) - total - (number - 1) * page.per_page - ids.index(newest)
                return only_grows and (self._has_read_in_turn or 0 <= others <= unreadable)
            if has_known or page.next_page is None:
                # Without arrivals from the list's first upload on, the newest upload was deleted.
                return only_grows and (self._has_read_in_turn or (newest is None and not ids))
            caught.update(ids)
            largest = self._fetcher.largest_page
            number, per_page, before = (1, largest, None) if per_page < largest else (page.next_page, per_page, page)


def _ids(page: UploadPage) -> list[str]:
    return [reading.upload.id for reading in page.readings]


def _only_grows(page: UploadPage, following: UploadPage) -> bool:
    """Whether the total shows that no row moved to an earlier page between two: arriving uploads are the first of the list."""
    is_single = not isinstance(page, JoinedPage)  # the total of a joined one is that of one of its pieces
    return is_single and page.total is not None and following.total is not None and following.total >= page.total


def _joins(edge: UploadPage, before: AbstractSet[str], page: UploadPage, following: UploadPage) -> bool:
    """Whether rows read from both sides of two pages show that no row is between them.

    A row of one page alone is no proof: uploads may have arrived or been deleted before and after the pages were read.

    Args:
        edge: the rows.
        before: the ids of the first page, as often as it was read.
        page: the first page.
        following: the second page.
    """
    if edge.unreadable:  # such a row has no id: if neither page has one, it is of an upload that both lack
        return bool(page.unreadable or following.unreadable)
    ids, after = _ids(edge), {*_ids(following)}
    if edge.per_page == 1:
        return bool(ids) and ids == _ids(page)[-1:]
    if len(ids) < 2 or not after:
        # The list ends there, unless a full page was read since: that has a row after the end.
        is_end = bool(after) or edge.row_count < edge.per_page
        return is_end and bool(ids) and ids[-1] in before
    return any(first in before and second in after for first, second in pairwise(ids))
