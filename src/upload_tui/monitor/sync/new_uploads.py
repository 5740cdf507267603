"""Read the new uploads of a project: the pages down to the first upload that is known."""

from collections.abc import Sequence

from upload_tui.monitor.sync.fetcher import PageFetcher
from upload_tui.monitor.sync.recorder import ChangeRecorder
from upload_tui.monitor.sync.state import KnownUploads, SyncState
from upload_tui.wire import UploadPage

__all__ = ["NewUploads"]


class NewUploads:
    """The new uploads of one project.

    A round reads pages, newest first, until one has a known upload. If only some new uploads were recorded, the next round would
    stop at them and miss the older ones. So all new uploads are read before any is recorded. If there are too many, the store
    remembers which uploads were known before, until the last new one is recorded, perhaps in a later session.

    Args:
        state: the project's stored facts.
        known: the project's uploads in the store.
        fetcher: fetches pages.
        recorder: writes readings to the store.
    """

    def __init__(self, state: SyncState, known: KnownUploads, fetcher: PageFetcher, recorder: ChangeRecorder) -> None:
        self._state = state
        self._known = known
        self._fetcher = fetcher
        self._recorder = recorder
        self.total: int | None = None
        """The service's total when the first page was read; None if it reports none."""
        self.unreadable_count = 0
        """Uploads that could not be read on the pages of the last round."""

    async def read(self, per_page: int) -> tuple[frozenset[str], bool]:
        """Record all new uploads, oldest first; return the ids that were read, known ones included, and whether anything changed.

        Args:
            per_page: the size of the first page; if all its uploads are new, the largest page is read instead.
        """
        stored = self._state.last_known_number
        last_known = self._known.last_number() if stored is None else stored
        read_ids, pages, changed = set[str](), list[UploadPage](), False
        number, total, repeats = 1, None, _RepeatedPages()
        while True:
            page = await self._fetch(number, per_page, total)
            ids = [reading.upload.id for reading in page.readings]
            read_ids.update(ids)
            pages.append(page)
            if number == 1:  # uploads that arrive during the next pages are counted in the next round
                self.total, self.unreadable_count = page.total, 0
            self.unreadable_count += len(page.unreadable)
            if page.next_page is None or self._known.was_known(ids, last_known) or repeats.is_endless(ids, page.total):
                break
            if number == 1 and per_page < self._fetcher.largest_page:
                pages.clear()
                per_page = self._fetcher.largest_page
                continue
            per_page = _following_size(page, per_page)
            number, total = page.next_page, page.total
            if sum(len(buffered.readings) for buffered in pages) >= self._state.store.limits.buffered_uploads:
                with self._recorder.changes.transaction():
                    self._state.last_known_number = last_known
                changed |= await self._record(pages)
                pages.clear()
        changed |= await self._record(pages)
        if self._state.last_known_number is not None:
            self._state.last_known_number = None
        return frozenset(read_ids), changed

    async def _fetch(self, number: int, per_page: int, total: int | None) -> UploadPage:
        """Fetch a page, or the one to which its rows have moved if uploads were deleted since the list had this total."""
        for _ in range(self._state.store.limits.scan_passes):
            page = await self._fetcher.fetch_page(number, per_page)
            deleted = 0 if total is None or page.total is None else total - page.total
            if number == 1 or deleted <= 0:
                break
            number, total = max(1, number - -(-deleted // per_page)), page.total
        return page

    async def _record(self, pages: Sequence[UploadPage]) -> bool:
        changed = False
        for page in reversed(pages):
            changed |= await self._recorder.record_readings(page.readings[::-1])
        return changed


class _RepeatedPages:
    """Recognises a service that ignores the page number: it returns the same page without end.

    If as many uploads as a page has arrive between two requests, the next page is the same too, and the total is larger. Without a
    total, only a second repetition proves it.
    """

    def __init__(self) -> None:
        self._previous: tuple[Sequence[str], int | None] = (), None
        self._count = 0

    def is_endless(self, ids: Sequence[str], total: int | None) -> bool:
        """Whether no later page will be different; called with the uploads of each page, and the service's total."""
        is_repeated = bool(ids) and self._previous == (ids, total)
        self._previous, self._count = (ids, total), self._count + 1 if is_repeated else 0
        return self._count > (total is None)


def _following_size(page: UploadPage, per_page: int) -> int:
    """The size to request the page after one with: without a total, a first page may be the largest that the service returns."""
    is_largest = page.page == 1 and page.total is None and page.row_count > 0
    return min(per_page, page.row_count) if is_largest else per_page
