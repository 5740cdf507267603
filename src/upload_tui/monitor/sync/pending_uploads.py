"""Read the new uploads of a project and refresh the pending ones, with the cheapest requests.

A request has a fixed cost, measured in rows: a page with many unwanted rows may still be cheaper than many single requests.
"""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.fetcher import PageFetcher
from upload_tui.monitor.sync.recorder import ChangeRecorder
from upload_tui.monitor.sync.state import ProjectUploads, SyncState
from upload_tui.wire import UploadPage

__all__ = ["NewUploads", "PagePlan", "PendingUploads", "plan_pages"]

_PER_PAGE = 20
_MAX_PAGES = 50
"""The most pages read in a round; the positions of uploads are computed again after each page."""
_SIZES = (20, 50, 100, 200, 500, 1000)
_REQUEST_COST_ROWS = 25
"""The fixed cost of a request, in rows."""


class PendingUploads:
    """The pending uploads of one project.

    Args:
        store: what is known.
        order: the project's uploads in the store.
        fetcher: fetches pages.
        recorder: writes readings to the store.
        project_id: the project.
    """

    def __init__(
        self, store: Store, order: ProjectUploads, fetcher: PageFetcher, recorder: ChangeRecorder, project_id: str
    ) -> None:
        self._store = store
        self._order = order
        self._fetcher = fetcher
        self._recorder = recorder
        self._project_ids = frozenset({project_id})

    def first_page_size(self) -> int:
        """The size of the first page: large enough for pending uploads among the newest, if that is cheaper than single requests."""
        positions = [0, *self._order.positions([upload.id for upload in self._store.unfinished(self._project_ids)])]
        plan = plan_pages(positions, self._fetcher.largest_page)
        return plan.per_page if 1 in plan.pages else _PER_PAGE

    async def refresh(self, already_read: frozenset[str], difference: int) -> bool:
        """Read the pending uploads; True if anything changed.

        Args:
            already_read: ids that were read in this round.
            difference: the accepted difference of the service's total and ours.
        """
        wanted = {upload.id for upload in self._store.unfinished(self._project_ids)} - already_read
        if not wanted:
            return False
        changed = False
        for _ in range(_MAX_PAGES):
            arrived = self._arrived_count(difference)
            positions = [position + arrived for position in self._order.positions(sorted(wanted))]
            plan = plan_pages(positions, self._fetcher.largest_page)
            if not plan.pages:
                break
            page = await self._fetcher.fetch_page(plan.pages[0], plan.per_page)
            changed |= await self._recorder.record_page(page)
            found = wanted & {reading.upload.id for reading in page.readings}
            wanted -= found
            if not found:
                break
        return changed | await self._recorder.refetch(sorted(wanted))

    def _arrived_count(self, difference: int) -> int:
        """Uploads that arrived since the new ones were read; all others have moved down by as many positions."""
        total = self._fetcher.total
        return 0 if total is None else max(0, total - self._order.count() - difference)


class PagePlan(Struct, frozen=True):
    """Which pages (from 1) of one size to request; uploads that are on none of them are requested singly. `cost` is in rows."""

    per_page: int
    pages: tuple[int, ...]
    cost: float


def plan_pages(positions: Sequence[int], largest: int = _SIZES[-1]) -> PagePlan:
    """Find the cheapest plan for the uploads at these positions (from 0), with pages of at most `largest` rows."""
    sizes = {min(size, largest) for size in _SIZES}
    return min((_plan(positions, size) for size in sizes), key=lambda plan: (plan.cost, plan.per_page))


def _plan(positions: Sequence[int], size: int) -> PagePlan:
    page_cost = _REQUEST_COST_ROWS + size
    single_cost = _REQUEST_COST_ROWS + 1
    counts = Counter(position // size + 1 for position in positions)
    pages = tuple(sorted(page for page, count in counts.items() if count * single_cost > page_cost))
    single_count = sum(count for page, count in counts.items() if count * single_cost <= page_cost)
    return PagePlan(size, pages, len(pages) * page_cost + single_count * single_cost)


class NewUploads:
    """The new uploads of one project.

    A round reads pages, newest first, until one has a known upload. If only some new uploads were recorded, the next round would
    stop at them and miss the older ones. So all new uploads are read before any is recorded. If there are too many, the store
    remembers which uploads were known before, until the last new one is recorded, perhaps in a later session.

    Args:
        state: the project's stored facts.
        order: the project's uploads in the store.
        fetcher: fetches pages.
        recorder: writes readings to the store.
    """

    def __init__(self, state: SyncState, order: ProjectUploads, fetcher: PageFetcher, recorder: ChangeRecorder) -> None:
        self._state = state
        self._order = order
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
        last_known = self._order.last_number() if stored is None else stored
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
            if page.next_page is None or self._order.was_known(ids, last_known) or repeats.is_endless(ids, page.total):
                break
            if number == 1 and per_page < self._fetcher.largest_page:
                pages.clear()
                per_page = self._fetcher.largest_page
                continue
            per_page = _following_size(page, per_page)
            number, total = page.next_page, page.total
            if sum(len(buffered.readings) for buffered in pages) >= self._state.store.limits.buffered_uploads:
                with self._recorder.transaction():
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
