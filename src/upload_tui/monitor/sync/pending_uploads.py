"""Refresh the pending uploads of a project with the cheapest requests.

A request has a fixed cost, measured in rows: a page with many unwanted rows may still be cheaper than many single requests.
"""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.fetcher import PageFetcher
from upload_tui.monitor.sync.recorder import ChangeRecorder
from upload_tui.monitor.sync.state import KnownUploads

__all__ = ["PagePlan", "PendingUploads", "plan_pages"]

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
        known: the project's uploads in the store.
        fetcher: fetches pages.
        recorder: writes readings to the store.
        project_id: the project.
    """

    def __init__(
        self, store: Store, known: KnownUploads, fetcher: PageFetcher, recorder: ChangeRecorder, project_id: str
    ) -> None:
        self._store = store
        self._known = known
        self._fetcher = fetcher
        self._recorder = recorder
        self._project_ids = frozenset({project_id})

    def first_page_size(self) -> int:
        """The size of the first page: large enough for pending uploads among the newest, if that is cheaper than single requests."""
        positions = [0, *self._known.positions([upload.id for upload in self._store.unfinished(self._project_ids)])]
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
            positions = [position + arrived for position in self._known.positions(sorted(wanted))]
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
        return 0 if total is None else max(0, total - self._known.count() - difference)


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
