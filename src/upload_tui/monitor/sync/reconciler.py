"""Compare the old pages of a project in turn, to find purged and deleted uploads."""

from zlib import crc32

from msgspec.structs import replace

from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.fetcher import PageFetcher
from upload_tui.monitor.sync.recorder import ChangeRecorder
from upload_tui.monitor.sync.state import KnownUploads, SyncState
from upload_tui.wire import UploadPage

__all__ = ["Reconciler"]

_PER_PAGE = 20
_IDLE_PER_PAGE = (20, 50, 100, 200, 500)
_FRUGAL_ROUNDS_PER_STEP = 8


class Reconciler:
    """The comparison of one project's old pages, one in a round; its position is stored, so that the next session continues there.

    Args:
        store: what is known.
        state: the project's stored facts.
        known: the project's uploads in the store.
        fetcher: fetches pages.
        recorder: writes readings to the store.
    """

    def __init__(
        self, store: Store, state: SyncState, known: KnownUploads, fetcher: PageFetcher, recorder: ChangeRecorder
    ) -> None:
        self._store = store
        self._known = known
        self._fetcher = fetcher
        self._recorder = recorder
        self._state = state
        self._position = state.reconciler
        self._has_mismatch_throughout = False
        self._unlisted_count = 0
        # The steps of many projects do not fall into the same minute.
        self._skipped = crc32(state.project_id.encode()) % _FRUGAL_ROUNDS_PER_STEP

    @property
    def difference(self) -> int:
        """The accepted difference of the service's total and ours."""
        return self._position.difference

    async def step(self, total: int | None, *, is_idle: bool, is_frugal: bool = False) -> bool:
        """Check the next page; True if anything changed.

        Args:
            total: the service's total when the new uploads were read; None if it reports none.
            is_idle: nothing else changed in this round, so a larger page may be fetched.
            is_frugal: skip most of the steps while the service's total agrees with ours.
        """
        has_mismatch = total is not None and total - self._known.count() != self.difference
        self._skipped += 1
        if is_frugal and not has_mismatch and self._skipped < _FRUGAL_ROUNDS_PER_STEP:
            return False
        self._skipped = 0
        position, now_ms = self._position, self._fetcher.local_ms()
        is_clock_set_back = position.began_ms > now_ms
        if position.row == 0 or is_clock_set_back:
            position.row, position.edge_ms, position.began_ms, position.unreadable = 0, None, now_ms, 0
            self._unlisted_count, self._has_mismatch_throughout = 0, True
        self._has_mismatch_throughout &= has_mismatch
        per_page = self._per_page(has_mismatch=has_mismatch, is_idle=is_idle)
        page = await self._fetch_page(position.row // per_page + 1, per_page, has_total=total is not None)
        changed = await self._recorder.record_page(page)
        changed |= await self._check_missing(page)
        if page.next_page is None and total is not None and self._has_mismatch_throughout:
            self.accept_difference(total)
        position.unreadable += len(page.unreadable)
        if page.next_page is None and total is None:
            self._state.unreadable_count = position.unreadable
        position.row = 0 if page.next_page is None else (page.next_page - 1) * page.per_page
        self._state.reconciler = position
        return changed

    async def _fetch_page(self, number: int, per_page: int, *, has_total: bool) -> UploadPage:
        """Fetch a page; without a total, a full one is not the last, as only the next one proves that."""
        may_be_after_last = number > 1 and not has_total
        fetch = self._fetcher.fetch_following_page if may_be_after_last else self._fetcher.fetch_page
        page = await fetch(number, per_page)
        is_full = page.row_count >= page.per_page
        if has_total or page.next_page or not is_full or self._fetcher.repeats_first_page(page):
            return page
        return replace(page, next_page=number + 1)

    def accept_difference(self, total: int) -> None:
        """Accept what still differs after all pages were checked: it cannot be read or is not listed, and is not searched again."""
        self._position.difference = max(total - self._known.count(), -self._unlisted_count)
        self._state.reconciler = self._position

    def _per_page(self, *, has_mismatch: bool, is_idle: bool) -> int:
        known, steps = self._known.count(), self._store.limits.idle_steps
        idle_size = next((size for size in _IDLE_PER_PAGE if size * steps >= known), _IDLE_PER_PAGE[-1])
        wanted = self._fetcher.largest_page if has_mismatch else idle_size if is_idle else _PER_PAGE
        return min(wanted, self._fetcher.largest_page)

    async def _check_missing(self, page: UploadPage) -> bool:
        """Fetch known uploads that belong on this page and were not read since the comparison began; True if anything changed."""
        is_last = page.next_page is None
        low_ms = None if is_last else self._known.oldest_ms([reading.upload.id for reading in page.readings])
        if low_ms is None and not is_last:
            return False
        read_ms = self._fetcher.service_time_range(self._position.began_ms)
        missing = self._known.unread(read_ms, low_ms, self._position.edge_ms)[: self._store.limits.single_requests]
        self._position.edge_ms = low_ms
        changed = await self._recorder.refetch(missing)
        self._unlisted_count += sum(1 for one in missing if (stored := self._store.get(one)) and not stored.is_gone)
        return changed
