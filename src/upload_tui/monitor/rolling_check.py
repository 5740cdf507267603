"""Checks the old pages of a project in turn: purges, and uploads that are no longer where they were. Used by the synchroniser."""

from typing import Any

from upload_tui.monitor.bookkeeping import Bookkeeping
from upload_tui.monitor.enquiries import Enquiries
from upload_tui.monitor.store import Store
from upload_tui.monitor.stored_order import StoredOrder
from upload_tui.wire.answers import UploadPage

__all__ = ["RollingCheck"]

_PER_PAGE = 20
_PER_PAGE_IDLE = (20, 50, 100, 200, 500)
_STEPS_IDLE = 2000
"""So many steps take some hours when nothing happens; a project is gone through in as many, if pages are large enough for it."""
_ASKED_ALONE = 500
"""At most, in a step; where more are missing, the service counts otherwise than we do, and they are looked for again."""


class RollingCheck:
    """One project's; where it stands is a fact of the store, so that the next visit goes on from there.

    Args:
        store: where the picture is kept.
        order: its uploads in the store.
        enquiries: for pages.
        books: where what is read is kept.
        project_id: the project.
    """

    def __init__(
        self, store: Store, order: StoredOrder, enquiries: Enquiries, books: Bookkeeping, project_id: str
    ) -> None:
        self._store = store
        self._order = order
        self._enquiries = enquiries
        self._books = books
        self._fact = f"check {project_id}"
        kept: dict[str, Any] = store.fact(self._fact) or {}
        self._row: int = kept.get("row", 0)
        self._edge_ms: int | None = kept.get("edge_ms")
        self._began_ms: int = kept.get("began_ms", 0)
        self.difference: int = kept.get("difference", 0)
        """So many more the service counts than are known, and that has its reasons; less than 0 if it lists not all that it gives."""
        self._is_odd_throughout = False
        self._unlisted = 0

    async def step(self, total: int | None, *, is_idle: bool) -> bool:
        """Check the next page; True if anything changed.

        Args:
            total: uploads as the service counted them when all that are known now were.
            is_idle: nothing happens otherwise, so that a larger page hurts nobody.
        """
        is_odd = total is not None and total - self._order.count() != self.difference
        if self._row == 0 or self._began_ms > self._enquiries.own_ms():  # our clock was set back
            self._row = 0
            self._edge_ms, self._unlisted, self._is_odd_throughout = None, 0, True
            self._began_ms = self._enquiries.own_ms()
        self._is_odd_throughout &= is_odd
        per_page = self._per_page(is_odd=is_odd, is_idle=is_idle)
        page = await self._enquiries.page(self._row // per_page + 1, per_page)
        changed = await self._books.take_page(page)
        changed |= await self._look_after_missing(page)
        if page.next_page is None and total is not None and self._is_odd_throughout:
            self.accept(total)
        self._row = 0 if page.next_page is None else (page.next_page - 1) * page.per_page
        self._keep()
        return changed

    def accept(self, total: int) -> None:
        """All has been looked at: what differs still cannot be read, or is not listed; it is not looked for again."""
        self.difference = max(total - self._order.count(), -self._unlisted)
        self._keep()

    def _per_page(self, *, is_odd: bool, is_idle: bool) -> int:
        known = self._order.count()
        idle = next((size for size in _PER_PAGE_IDLE if size * _STEPS_IDLE >= known), _PER_PAGE_IDLE[-1])
        wanted = self._enquiries.largest_page if is_odd else idle if is_idle else _PER_PAGE
        return min(wanted, self._enquiries.largest_page)

    async def _look_after_missing(self, page: UploadPage) -> bool:
        """Those that should stand between the page before and the end of this one, and were not read since the check began."""
        is_last = page.next_page is None
        low_ms = None if is_last else self._order.oldest_ms([reading.upload.id for reading in page.readings])
        if low_ms is None and not is_last:
            return False
        read_ms = self._enquiries.read_since(self._began_ms)
        missing = self._order.unread(read_ms, low_ms, self._edge_ms)[:_ASKED_ALONE]
        self._edge_ms = low_ms
        changed = await self._books.look_after(missing)
        self._unlisted += sum(1 for one in missing if (stored := self._store.get(one)) and not stored.is_gone)
        return changed

    def _keep(self) -> None:
        place = {"row": self._row, "edge_ms": self._edge_ms, "began_ms": self._began_ms, "difference": self.difference}
        self._store.keep_fact(self._fact, place)
