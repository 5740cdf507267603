"""Keep the store equal to the service for one project, at a cost that depends on what changed.

The service lists uploads newest first and has no filter. All pages are read once (`full_scan`). Each later round, also in later
sessions, reads new uploads down to the first known one (`new_uploads`), refreshes pending uploads by id or by page (whichever costs
less), and compares one old page in turn (`reconciler`): a small page, or a large one while the service's total differs from ours.
One broken upload or page never hides the rest (`fetcher`).
"""

from collections.abc import Callable

from upload_tui.client import ServiceClient
from upload_tui.monitor.changes import Change
from upload_tui.monitor.model import ProjectRef
from upload_tui.monitor.store.project_order import ProjectOrder
from upload_tui.monitor.store.rows import to_ms
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.fetcher import PageFetcher
from upload_tui.monitor.sync.full_scan import FullScan
from upload_tui.monitor.sync.new_uploads import NewUploads
from upload_tui.monitor.sync.page_plan import plan_pages
from upload_tui.monitor.sync.reconciler import Reconciler
from upload_tui.monitor.sync.recorder import ChangeRecorder
from upload_tui.monitor.sync.scan_recorder import scanned_until_fact

__all__ = ["Synchroniser"]

_NEW_UPLOADS_PER_PAGE = 20
_MAX_PAGES = 50
"""The most pages read for pending uploads in a round; their positions are computed again after each page."""


class Synchroniser:
    """Synchronises one project of one service.

    Args:
        client: the service.
        store: where readings are written.
        project: the project.
        publish: called with each change of an upload at the end of the round that found it, in the order of events.
        on_progress: called in a full scan with the number of uploads read and the service's total (None if it reports none).
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
        self._fetcher = PageFetcher(client, store, project.id)
        self._recorder = ChangeRecorder(store, self._order, self._fetcher, project.id, publish)
        self._new_uploads = NewUploads(store, self._order, self._fetcher, self._recorder, project.id)
        self._reconciler = Reconciler(store, self._order, self._fetcher, self._recorder, project.id)

    @property
    def notice(self) -> str:
        """A note on uploads that cannot be read; empty if there are none."""
        total, known = self._fetcher.total, self._order.count()
        unreadable = max(self._reconciler.difference, self._fetcher.unreadable.count)
        missing = 0 if total is None else min(total - known, unreadable)
        return f"{missing:,} of {total:,} uploads cannot be read" if missing > 0 else ""

    async def sync(self) -> bool:
        """Run one round; True if anything changed.

        Raises:
            ServiceError: the service failed; what was read before that is recorded.
            BusyStorageError: another process is writing to the store, or the store was replaced.
        """
        try:
            return await self._sync()
        finally:  # recorded uploads are no longer new in the next round
            self._recorder.publish_changes()

    async def _sync(self) -> bool:
        await self._store.bulk.wait_until_idle()
        self._fetcher.begin_round()
        self._recorder.begin_round()
        # Read each round, as another process may have finished the scan.
        if self._store.fact(self._fact_name) is not True:
            await self._scan_all()
            return True
        already_read, changed = await self._new_uploads.read(self._first_page_size())
        changed |= await self._refresh_pending(already_read)
        changed |= await self._reconciler.step(self._new_uploads.total, is_idle=not changed)
        changed |= await self._retry_unreadable()
        return changed | self._recorder.collect_changes_of_others()

    async def _scan_all(self) -> None:
        scan = FullScan(self._fetcher, self._recorder, self._store, self._project, self._on_progress)
        await scan.run()
        if scan.total is not None:
            self._reconciler.accept_difference(scan.total)
        with self._recorder.transaction():
            if self._store.fact(self._fact_name) is not True:
                self._store.set_fact(scanned_until_fact(self._project.id), to_ms(self._order.newest_on()) or 0)
            self._store.set_fact(self._fact_name, True)

    def _first_page_size(self) -> int:
        """The size of the first page: large enough for pending uploads among the newest, if that is cheaper than single requests."""
        pending = self._store.pending(frozenset({self._project.id}))
        positions = [0, *self._order.positions([upload.id for upload in pending])]
        plan = plan_pages(positions, self._fetcher.largest_page)
        return plan.per_page if 1 in plan.pages else _NEW_UPLOADS_PER_PAGE

    async def _refresh_pending(self, already_read: frozenset[str]) -> bool:
        """Read the pending uploads that this round has not read yet; True if anything changed."""
        pending = self._store.pending(frozenset({self._project.id}))
        wanted = {upload.id for upload in pending} - already_read
        if not wanted:
            return False
        changed = False
        for _ in range(_MAX_PAGES):
            positions = [position + self._arrived_since() for position in self._order.positions(sorted(wanted))]
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

    def _arrived_since(self) -> int:
        """Uploads that arrived since the new ones were read; all others have moved down by as many positions."""
        total = self._fetcher.total
        return 0 if total is None else max(0, total - self._order.count() - self._reconciler.difference)

    async def _retry_unreadable(self) -> bool:
        """Retry one range of unreadable rows; True if anything changed."""
        total = self._fetcher.total
        rows = None if total is None else self._fetcher.unreadable.next_to_retry(total)
        return rows is not None and await self._recorder.record_page(await self._fetcher.fetch_in_pieces(*rows))
