"""Keeps the store's picture of one project equal to the service's, for the price of what changed.

The service lists uploads newest first and cannot filter. So all pages are read once (`first_fetch`); each round after that, also in
later visits, reads new ones from the first page until it meets a known one (`news`), looks after the pending ones by id or by page
(whichever costs less), and checks one old page in turn for purges and surprises (`rolling_check`): a small one, or a large one as
long as the service counts otherwise than we do. One broken upload or page never hides the rest (`enquiries`).
"""

from collections.abc import Callable

from upload_tui.client.service_client import ServiceClient
from upload_tui.monitor.bookkeeping import Bookkeeping
from upload_tui.monitor.changes import Change
from upload_tui.monitor.enquiries import Enquiries
from upload_tui.monitor.first_fetch import FirstFetch, whole_until
from upload_tui.monitor.news import News
from upload_tui.monitor.page_plan import plan_pages
from upload_tui.monitor.picture import ProjectRef
from upload_tui.monitor.rolling_check import RollingCheck
from upload_tui.monitor.store import Store
from upload_tui.monitor.stored_order import StoredOrder
from upload_tui.monitor.stored_rows import milliseconds

__all__ = ["Synchroniser"]

_PER_PAGE_NEWS = 20
_PAGES_AT_MOST = 50
"""Read in a round for the sake of pending uploads; where they stand is reckoned anew after each."""


class Synchroniser:
    """One project of one service.

    Args:
        client: the service.
        store: where the picture is kept.
        project: which project.
        tell: called with each change of an upload at the end of the round that found it, in the order of events.
        progress: called with the uploads known so far and the service's total while fetching for the first time.
    """

    def __init__(
        self,
        client: ServiceClient,
        store: Store,
        project: ProjectRef,
        tell: Callable[[Change], None],
        progress: Callable[[int, int | None], None],
    ) -> None:
        self._store = store
        self._order = StoredOrder(store, project.id)
        self._project = project
        self._progress = progress
        self._fact = f"whole {project.id}"
        self._is_whole = store.fact(self._fact) is True
        self._enquiries = Enquiries(client, store, project.id)
        self._books = Bookkeeping(store, self._order, self._enquiries, project.id, tell)
        self._news = News(store, self._order, self._enquiries, self._books, project.id)
        self._check = RollingCheck(store, self._order, self._enquiries, self._books, project.id)

    @property
    def is_whole(self) -> bool:
        """True once all pages have been read, in this visit or in an earlier one."""
        return self._is_whole

    @property
    def remark(self) -> str:
        """What is known to be missing, in a few words; empty if nothing is."""
        total, known = self._enquiries.total, self._order.count()
        broken = max(self._check.difference, self._enquiries.owed.count)
        missing = 0 if total is None else min(total - known, broken)
        return f"{missing:,} of {total:,} uploads cannot be read" if missing > 0 else ""

    async def round(self) -> bool:
        """Make the picture true once; True if anything changed.

        Raises:
            ServiceError: the service could not be asked; what was learned before that is kept.
            BusyStorageError: another process is busy with the store, or another store took its place.
        """
        try:
            return await self._round()
        finally:  # what was kept is known to the next round, and must be told by this one
            self._books.tell()

    async def _round(self) -> bool:
        await self._store.bulk.at_rest()
        self._enquiries.begin_round()
        self._books.begin_round()
        self._is_whole = self._store.fact(self._fact) is True  # another dashboard may have been quicker
        if not self._is_whole:
            await self._fetch_all()
            return True
        covered, changed = await self._news.read(self._news_per_page())
        changed |= await self._refresh_pending(covered)
        changed |= await self._check.step(self._news.total, is_idle=not changed)
        changed |= await self._read_owed()
        return changed | self._books.hear_others()

    async def _fetch_all(self) -> None:
        fetch = FirstFetch(self._enquiries, self._books, self._store, self._project, self._progress)
        await fetch.run()
        if fetch.total is not None:
            self._check.accept(fetch.total)
        with self._books.keeping():
            if self._store.fact(self._fact) is not True:
                self._store.keep_fact(whole_until(self._project.id), milliseconds(self._order.newest_on()) or 0)
            self._store.keep_fact(self._fact, True)
        self._is_whole = True

    # Every time after

    def _news_per_page(self) -> int:
        """Pending uploads among the newest are seen with the news, if that is cheaper than asking for them again."""
        pending = self._store.pending(frozenset({self._project.id}))
        places = [0, *self._order.places([upload.id for upload in pending])]
        plan = plan_pages(places, self._enquiries.largest_page)
        return plan.per_page if 1 in plan.pages else _PER_PAGE_NEWS

    async def _refresh_pending(self, covered: frozenset[str]) -> bool:
        pending = self._store.pending(frozenset({self._project.id}))
        wanted = {upload.id for upload in pending} - covered
        if not wanted:
            return False
        changed = False
        for _ in range(_PAGES_AT_MOST):
            places = [place + self._unknown() for place in self._order.places(sorted(wanted))]
            plan = plan_pages(places, self._enquiries.largest_page)
            if not plan.pages:
                break
            page = await self._enquiries.page(plan.pages[0], plan.per_page)
            changed |= await self._books.take_page(page)
            found = wanted & {reading.upload.id for reading in page.readings}
            wanted -= found
            if not found:
                break
        # Whoever stands alone, or not where it should, is asked for alone.
        return changed | await self._books.look_after(sorted(wanted))

    def _unknown(self) -> int:
        """How many came since the news were read: so many places further down all others stand by now."""
        total = self._enquiries.total
        return 0 if total is None else max(0, total - self._order.count() - self._check.difference)

    async def _read_owed(self) -> bool:
        """Try some of what could not be read once more."""
        total = self._enquiries.total
        rows = None if total is None else self._enquiries.owed.in_turn(total)
        return rows is not None and await self._books.take_page(await self._enquiries.in_pieces(*rows))
