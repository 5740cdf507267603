"""Checks the old pages of a project in turn: purges, and uploads that are no longer where they were. Used by the synchroniser."""

from typing import Any

from upload_tui.monitor.store.project_order import ProjectOrder
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.fetcher import PageFetcher
from upload_tui.monitor.sync.recorder import ChangeRecorder
from upload_tui.wire import UploadPage

__all__ = ["Reconciler"]

_PER_PAGE = 20
_IDLE_PER_PAGE = (20, 50, 100, 200, 500)
_IDLE_STEPS = 2000
"""So many steps take some hours when nothing happens; a project is gone through in as many, if pages are large enough for it."""
_MAX_SINGLE_REQUESTS = 500
"""At most, in a step; where more are missing, the service counts otherwise than we do, and they are looked for again."""


class Reconciler:
    """One project's; where it stands is a fact of the store, so that the next visit goes on from there.

    Args:
        store: where the picture is kept.
        order: its uploads in the store.
        fetcher: for pages.
        recorder: where what is read is kept.
        project_id: the project.
    """

    def __init__(
        self, store: Store, order: ProjectOrder, fetcher: PageFetcher, recorder: ChangeRecorder, project_id: str
    ) -> None:
        self._store = store
        self._order = order
        self._fetcher = fetcher
        self._recorder = recorder
        self._fact_name = f"check {project_id}"
        kept: dict[str, Any] = store.fact(self._fact_name) or {}
        self._row: int = kept.get("row", 0)
        self._edge_ms: int | None = kept.get("edge_ms")
        self._began_ms: int = kept.get("began_ms", 0)
        self.difference: int = kept.get("difference", 0)
        """So many more the service counts than are known, and that has its reasons; less than 0 if it lists not all that it gives."""
        self._has_mismatch_throughout = False
        self._unlisted_count = 0

    async def step(self, total: int | None, *, is_idle: bool) -> bool:
        """Check the next page; True if anything changed.

        Args:
            total: uploads as the service counted them when all that are known now were.
            is_idle: nothing happens otherwise, so that a larger page hurts nobody.
        """
        is_odd = total is not None and total - self._order.count() != self.difference
        if self._row == 0 or self._began_ms > self._fetcher.local_ms():  # our clock was set back
            self._row = 0
            self._edge_ms, self._unlisted_count, self._has_mismatch_throughout = None, 0, True
            self._began_ms = self._fetcher.local_ms()
        self._has_mismatch_throughout &= is_odd
        per_page = self._per_page(has_mismatch=is_odd, is_idle=is_idle)
        page = await self._fetcher.fetch_page(self._row // per_page + 1, per_page)
        changed = await self._recorder.record_page(page)
        changed |= await self._check_missing(page)
        if page.next_page is None and total is not None and self._has_mismatch_throughout:
            self.accept_difference(total)
        self._row = 0 if page.next_page is None else (page.next_page - 1) * page.per_page
        self._save()
        return changed

    def accept_difference(self, total: int) -> None:
        """All has been looked at: what differs still cannot be read, or is not listed; it is not looked for again."""
        self.difference = max(total - self._order.count(), -self._unlisted_count)
        self._save()

    def _per_page(self, *, has_mismatch: bool, is_idle: bool) -> int:
        known = self._order.count()
        idle = next((size for size in _IDLE_PER_PAGE if size * _IDLE_STEPS >= known), _IDLE_PER_PAGE[-1])
        wanted = self._fetcher.largest_page if has_mismatch else idle if is_idle else _PER_PAGE
        return min(wanted, self._fetcher.largest_page)

    async def _check_missing(self, page: UploadPage) -> bool:
        """Those that should stand between the page before and the end of this one, and were not read since the check began."""
        is_last = page.next_page is None
        low_ms = None if is_last else self._order.oldest_ms([reading.upload.id for reading in page.readings])
        if low_ms is None and not is_last:
            return False
        read_ms = self._fetcher.service_time_range(self._began_ms)
        missing = self._order.unread(read_ms, low_ms, self._edge_ms)[:_MAX_SINGLE_REQUESTS]
        self._edge_ms = low_ms
        changed = await self._recorder.refetch(missing)
        self._unlisted_count += sum(1 for one in missing if (stored := self._store.get(one)) and not stored.is_gone)
        return changed

    def _save(self) -> None:
        place = {"row": self._row, "edge_ms": self._edge_ms, "began_ms": self._began_ms, "difference": self.difference}
        self._store.set_fact(self._fact_name, place)
