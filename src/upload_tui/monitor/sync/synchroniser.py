"""Keeps the store's picture of one project equal to the service's, for the price of what changed.

The service lists uploads newest first and cannot filter. So all pages are read once (`first_fetch`); each round after that, also in
later visits, reads new ones from the first page until it meets a known one (`news`), looks after the pending ones by id or by page
(whichever costs less), and checks one old page in turn for purges and surprises (`rolling_check`): a small one, or a large one as
long as the service counts otherwise than we do. One broken upload or page never hides the rest (`enquiries`).
"""

from collections.abc import Callable

from upload_tui.client import ServiceClient
from upload_tui.monitor.changes import Change
from upload_tui.monitor.model import ProjectRef
from upload_tui.monitor.store.project_order import ProjectOrder
from upload_tui.monitor.store.rows import to_ms
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.fetcher import PageFetcher
from upload_tui.monitor.sync.full_scan import FullScan, scanned_until_fact
from upload_tui.monitor.sync.new_uploads import NewUploads
from upload_tui.monitor.sync.page_plan import plan_pages
from upload_tui.monitor.sync.reconciler import Reconciler
from upload_tui.monitor.sync.recorder import ChangeRecorder

__all__ = ["Synchroniser"]

_NEW_UPLOADS_PER_PAGE = 20
_MAX_PAGES = 50
"""Read in a round for the sake of pending uploads; where they stand is reckoned anew after each."""


class Synchroniser:
    """One project of one service.

    Args:
        client: the service.
        store: where the picture is kept.
        project: which project.
        publish: called with each change of an upload at the end of the round that found it, in the order of events.
        on_progress: called with the uploads known so far and the service's total while fetching for the first time.
    """

    def __init__(
        self,
        client: ServiceClient,
        store: Store,
        project: ProjectRef,
        publish: Callable[[Change], None],
        on_progress: Callable[[int, int | None], None],
    ) -> None:
        self._store = store
        self._order = ProjectOrder(store, project.id)
        self._project = project
        self._on_progress = on_progress
        self._fact_name = f"whole {project.id}"
        self._is_fully_scanned = store.fact(self._fact_name) is True
        self._fetcher = PageFetcher(client, store, project.id)
        self._recorder = ChangeRecorder(store, self._order, self._fetcher, project.id, publish)
        self._new_uploads = NewUploads(store, self._order, self._fetcher, self._recorder, project.id)
        self._reconciler = Reconciler(store, self._order, self._fetcher, self._recorder, project.id)

    @property
    def is_fully_scanned(self) -> bool:
        """True once all pages have been read, in this visit or in an earlier one."""
        return self._is_fully_scanned

    @property
    def notice(self) -> str:
        """What is known to be missing, in a few words; empty if nothing is."""
        total, known = self._fetcher.total, self._order.count()
        broken = max(self._reconciler.difference, self._fetcher.unreadable.count)
        missing = 0 if total is None else min(total - known, broken)
        return f"{missing:,} of {total:,} uploads cannot be read" if missing > 0 else ""

    async def sync(self) -> bool:
        """Make the picture true once; True if anything changed.

        Raises:
            ServiceError: the service could not be asked; what was learned before that is kept.
            BusyStorageError: another process is busy with the store, or another store took its place.
        """
        try:
            return await self._sync()
        finally:  # what was kept is known to the next round, and must be told by this one
            self._recorder.publish_changes()

    async def _sync(self) -> bool:
        await self._store.bulk.wait_until_idle()
        self._fetcher.begin_round()
        self._recorder.begin_round()
        self._is_fully_scanned = self._store.fact(self._fact_name) is True  # another dashboard may have been quicker
        if not self._is_fully_scanned:
            await self._scan_all()
            return True
        covered, changed = await self._new_uploads.read(self._first_page_size())
        changed |= await self._refresh_pending(covered)
        changed |= await self._reconciler.step(self._new_uploads.total, is_idle=not changed)
        changed |= await self._retry_unreadable()
        return changed | self._recorder.collect_changes_of_others()

    async def _scan_all(self) -> None:
        fetch = FullScan(self._fetcher, self._recorder, self._store, self._project, self._on_progress)
        await fetch.run()
        if fetch.total is not None:
            self._reconciler.accept_difference(fetch.total)
        with self._recorder.transaction():
            if self._store.fact(self._fact_name) is not True:
                self._store.set_fact(scanned_until_fact(self._project.id), to_ms(self._order.newest_on()) or 0)
            self._store.set_fact(self._fact_name, True)
        self._is_fully_scanned = True

    # Every time after

    def _first_page_size(self) -> int:
        """Pending uploads among the newest are seen with the news, if that is cheaper than asking for them again."""
        pending = self._store.pending(frozenset({self._project.id}))
        places = [0, *self._order.positions([upload.id for upload in pending])]
        plan = plan_pages(places, self._fetcher.largest_page)
        return plan.per_page if 1 in plan.pages else _NEW_UPLOADS_PER_PAGE

    async def _refresh_pending(self, already_read: frozenset[str]) -> bool:
        pending = self._store.pending(frozenset({self._project.id}))
        wanted = {upload.id for upload in pending} - already_read
        if not wanted:
            return False
        changed = False
        for _ in range(_MAX_PAGES):
            places = [place + self._arrived_since() for place in self._order.positions(sorted(wanted))]
            plan = plan_pages(places, self._fetcher.largest_page)
            if not plan.pages:
                break
            page = await self._fetcher.fetch_page(plan.pages[0], plan.per_page)
            changed |= await self._recorder.record_page(page)
            found = wanted & {reading.upload.id for reading in page.readings}
            wanted -= found
            if not found:
                break
        # Whoever stands alone, or not where it should, is asked for alone.
        return changed | await self._recorder.refetch(sorted(wanted))

    def _arrived_since(self) -> int:
        """How many came since the news were read: so many places further down all others stand by now."""
        total = self._fetcher.total
        return 0 if total is None else max(0, total - self._order.count() - self._reconciler.difference)

    async def _retry_unreadable(self) -> bool:
        """Try some of what could not be read once more."""
        total = self._fetcher.total
        rows = None if total is None else self._fetcher.unreadable.next_to_retry(total)
        return rows is not None and await self._recorder.record_page(await self._fetcher.fetch_in_pieces(*rows))
