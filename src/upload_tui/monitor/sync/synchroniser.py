"""Keep the store equal to the service for one project, at a cost that depends on what changed.

The service lists uploads newest first and has no filter. All pages are read once (`full_scan`). Each later round, also in later
sessions, reads new uploads down to the first known one (`NewUploads`), refreshes pending uploads by id or by page, whichever costs
less (`PendingUploads`), and compares one old page in turn (`reconciler`): a small page, or a large one while the service's total
differs from ours. One broken upload or page never hides the rest (`fetcher`).
"""

from collections.abc import Callable
from datetime import datetime

from upload_tui.client import ServiceClient, unlimited_requests
from upload_tui.monitor.changes import Change
from upload_tui.monitor.model import ProjectRef
from upload_tui.monitor.store.rows import from_ms, to_ms
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.fetcher import PageFetcher
from upload_tui.monitor.sync.full_scan import FullScan
from upload_tui.monitor.sync.new_uploads import NewUploads
from upload_tui.monitor.sync.pending_uploads import PendingUploads
from upload_tui.monitor.sync.reconciler import Reconciler
from upload_tui.monitor.sync.recorder import ChangeRecorder
from upload_tui.monitor.sync.scan_recorder import ScanRecorder
from upload_tui.monitor.sync.state import KnownUploads, SyncState
from upload_tui.text import plural

__all__ = ["Synchroniser"]


class Synchroniser:
    """Synchronises one project of one service.

    Args:
        client: the service.
        store: where readings are written.
        project: the project.
        publish: called with each change of an upload at the end of the round that found it, in the order of events.
        on_progress: called in a full scan with the number of uploads read and the service's total (None if it reports none).

    Attributes:
        known: the known uploads of the project in the service's order.
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
        self.known = KnownUploads(store, project.id)
        self.project = project
        self._on_progress = on_progress
        self._listed_total: int | None = None
        self._state = SyncState(store, project.id)
        self._fetcher = PageFetcher(client, self._state)
        self._recorder = ChangeRecorder(store, self.known, self._fetcher, project.id, publish)
        self._new_uploads = NewUploads(self._state, self.known, self._fetcher, self._recorder)
        self._pending_uploads = PendingUploads(store, self.known, self._fetcher, self._recorder, project.id)
        self._reconciler = Reconciler(store, self._state, self.known, self._fetcher, self._recorder)

    @property
    def notice(self) -> str:
        """A note on uploads that cannot be read, on a wrong total and on clocks that disagree; empty if all is well."""
        total = "the service's total contradicts its pages" if self._state.has_wrong_total else ""
        clock = self._fetcher.client.clock_offset.notice or self._recorder.clock_check.notice
        return "; ".join(note for note in (self.unreadable_notice, total, clock) if note)

    @property
    def answer_count(self) -> int:
        """Successful responses in the present round."""
        return self._fetcher.answer_count

    @property
    def previous_read_on(self) -> datetime | None:
        """When a round last ended, of this session or an earlier one, by the service's clock; None if none ever did."""
        return from_ms(self._state.synced_ms)

    @property
    def unreadable_notice(self) -> str:
        """A note on uploads that the service lists but that cannot be read now; empty if there are none.

        Before the first round it is what earlier sessions left.
        """
        count = self._state.missing_count
        if count and self._listed_total is not None:
            return f"{count:,} of {max(count, self._listed_total):,} uploads cannot be read"
        if count:
            return f"at least {plural(count, 'upload')} cannot be read"
        if not self._state.is_scanned:
            return "not all uploads have been read yet"
        return (
            "the service returns the same uploads for every page; others may be missing"
            if self._state.repeats_pages
            else ""
        )

    def _save_missing_count(self) -> None:
        """Store how many uploads are listed but not known, or have a present state that cannot be read."""
        count = self._missing_count()
        if count != self._state.missing_count:
            with self._recorder.changes.transaction():
                self._state.missing_count = count

    def _missing_count(self) -> int:
        stale = sum(upload.is_stale for upload in self._store.unfinished(frozenset({self.project.id})))
        unreadable = max(self._fetcher.unreadable.count, self._new_uploads.unreadable_count)
        if self._listed_total is None:
            unlisted = self._state.unreadable_count
        else:
            # Uploads that arrive or are deleted later in the round are left to the next one.
            latest = self._listed_total if self._fetcher.total is None else self._fetcher.total
            unlisted = min(self._listed_total, latest) - self.known.count()
        return max(max(unlisted, 0) + stale, unreadable)

    async def sync(self, *, is_frugal: bool = False, new_since: datetime | None = None) -> bool:
        """Run one round; True if anything changed.

        Args:
            is_frugal: requests are short: compare old pages in few of the rounds. The full scan does not count against the budget.
            new_since: uploads that began since then are new in a full scan, so they are published; None if none is.

        Raises:
            ServiceError: the service failed; what was read before that is recorded.
            BusyStorageError: another process is writing to the store, or the store was replaced.
        """
        try:
            has_changed = await self._sync(new_since, is_frugal=is_frugal)
        finally:  # recorded uploads are no longer new in the next round
            self._recorder.publish_changes()
        self._recorder.clock_check.end_round(self._fetcher.client.clock.now())
        return has_changed

    async def _sync(self, new_since: datetime | None, *, is_frugal: bool) -> bool:
        await self._store.bulk.wait_until_idle()
        self._store.name_project(self.project)
        self._fetcher.begin_round()
        self._recorder.begin_round()
        # Read each round, as another process may have finished the scan.
        if not self._state.is_scanned:
            with unlimited_requests():
                await self._scan_all(new_since)
            self._state.synced_ms = to_ms(self._fetcher.client.clock.now())
            self._save_missing_count()
            return True
        changed = await self._refresh(is_frugal=is_frugal)
        self._save_missing_count()
        return changed

    async def _refresh(self, *, is_frugal: bool) -> bool:
        already_read, changed = await self._new_uploads.read(self._pending_uploads.first_page_size())
        self._listed_total = self._new_uploads.total
        seen_count = self.known.count() + self._state.unreadable_count
        if self._state.has_wrong_total and self._fetcher.agreeing_total == seen_count:
            self._state.has_wrong_total = False
        changed |= await self._pending_uploads.refresh(already_read, self._reconciler.difference)
        changed |= await self._reconciler.step(self._new_uploads.total, is_idle=not changed, is_frugal=is_frugal)
        changed |= await self._retry_unreadable()
        self._state.synced_ms = to_ms(self._fetcher.client.clock.now())
        return changed | self._recorder.changes.collect_others()

    async def _scan_all(self, new_since: datetime | None) -> None:
        recorder = ScanRecorder(
            self._fetcher, self._recorder, self._store, self._state, self._on_progress, new_since=new_since
        )
        scan = FullScan(recorder)
        await scan.run()
        self._listed_total = scan.total
        if scan.total is not None:
            self._reconciler.accept_difference(scan.total)
        else:
            self._state.unreadable_count = scan.unreadable_count
            self._state.repeats_pages = scan.repeats_pages
        with self._recorder.changes.transaction():
            self._state.is_scanned = True

    async def _retry_unreadable(self) -> bool:
        """Retry one range of unreadable rows; True if anything changed."""
        total = self._fetcher.total
        rows = None if total is None else self._fetcher.unreadable.next_to_retry(total)
        return rows is not None and await self._recorder.record_page(await self._fetcher.fetch_in_pieces(*rows))
