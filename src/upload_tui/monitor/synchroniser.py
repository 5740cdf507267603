"""Keeps the store's picture of one project equal to the service's, for the price of what changed.

The service lists uploads newest first and cannot filter. So all pages are read once (`first_fetch`); each round after that, also in
later visits, reads new ones from the first page until it meets a known one, looks after the pending ones by id or by page
(whichever costs less), and checks one old page in turn for purges and surprises: a small one, or a large one as long as the
service counts otherwise than we do. One broken upload never hides the rest.
"""

import asyncio
from collections.abc import Callable, Sequence

from upload_tui.client.service_client import ServiceClient
from upload_tui.errors import NotConsistentError, NotFoundError, TroubleError, UnreadableError
from upload_tui.monitor.changes import Change, UploadGone, UploadRef
from upload_tui.monitor.first_fetch import PER_PAGE, REQUESTS_AT_ONCE, FirstFetch, all_of
from upload_tui.monitor.intake import take_in
from upload_tui.monitor.page_plan import plan_pages
from upload_tui.monitor.picture import ProjectRef
from upload_tui.monitor.store import Store
from upload_tui.monitor.stored_order import StoredOrder
from upload_tui.wire.answers import UploadPage, UploadReading

__all__ = ["Synchroniser"]

_PER_PAGE_NEWS = 20
_PER_PAGE_OLD = 20


class Synchroniser:
    """One project of one service.

    Args:
        client: the service.
        store: where the picture is kept.
        project: which project.
        tell: called with each change of an upload, in order.
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
        self._client = client
        self._store = store
        self._order = StoredOrder(store, project.id)
        self._project = project
        self._tell = tell
        self._progress = progress
        self._fact = f"whole {project.id}"
        self._is_whole = store.fact(self._fact) is True
        self._gate = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._old_row = 0
        self._old_edge: str | None = None
        self._total: int | None = None
        self._difference = 0
        self._largest_page = PER_PAGE

    @property
    def is_whole(self) -> bool:
        """True once all pages have been read, in this visit or in an earlier one."""
        return self._is_whole

    async def round(self) -> bool:
        """Make the picture true once; True if anything changed.

        Raises:
            ServiceError: the service could not be asked; what was learned before that is kept.
        """
        if not self._is_whole:
            await self._fetch_all()
            return True
        covered, changed = await self._fetch_news()
        changed |= await self._refresh_pending(covered)
        return changed | await self._check_old_page()

    async def _fetch_all(self) -> None:
        doubtful: list[str] = []

        def take(readings: Sequence[UploadReading]) -> None:
            doubtful.extend(self._take(readings)[1])

        fetch = FirstFetch(self._client, self._store, self._project, take, self._progress)
        missing = await fetch.run()
        await self._look_after(sorted({*missing, *doubtful}))
        self._is_whole = True
        self._store.keep_fact(self._fact, True)

    # Every time after

    async def _fetch_news(self) -> tuple[frozenset[str], bool]:
        """New uploads from the first page until a known one; gives the ids that were read on the way."""
        covered: set[str] = set()
        changed = False
        number: int | None = 1
        per_page = self._news_per_page()
        while number is not None:
            page = await self._page(number, per_page)
            ids = [reading.upload.id for reading in page.readings]
            has_known = bool(self._store.known(ids))
            changed |= await self._take_page(page, newest_first=True)
            covered.update(ids)
            self._total = page.total
            number = None if has_known else page.next_page
        return frozenset(covered), changed

    def _news_per_page(self) -> int:
        """Pending uploads among the newest are seen with the news, if that is cheaper than asking for them again."""
        pending = self._store.pending(frozenset({self._project.id}))
        plan = plan_pages([0, *self._order.places([upload.id for upload in pending])], self._largest_page)
        return plan.per_page if 1 in plan.pages else _PER_PAGE_NEWS

    async def _refresh_pending(self, covered: frozenset[str]) -> bool:
        pending = self._store.pending(frozenset({self._project.id}))
        wanted = {upload.id for upload in pending} - covered
        if not wanted:
            return False
        plan, changed = plan_pages(self._order.places(sorted(wanted)), self._largest_page), False
        for number in plan.pages:
            page = await self._page(number, plan.per_page)
            changed |= await self._take_page(page)
            wanted -= {reading.upload.id for reading in page.readings}
        # Whoever stands alone, or was shifted to another page, is asked for alone.
        return changed | await self._look_after(sorted(wanted))

    async def _check_old_page(self) -> bool:
        """One page in turn: purges, and uploads that are no longer where they were."""
        is_odd = self._total is not None and self._total - self._order.count() != self._difference
        per_page = min(PER_PAGE if is_odd else _PER_PAGE_OLD, self._largest_page)
        page = await self._page(self._old_row // per_page + 1, per_page)
        changed = await self._take_page(page)
        ids = [reading.upload.id for reading in page.readings]
        missing = self._order.between(self._old_edge, ids) - set(ids)
        self._old_edge = ids[-1] if ids and page.next_page is not None else None
        self._old_row = 0 if page.next_page is None else (page.next_page - 1) * page.per_page
        changed |= await self._look_after(sorted(missing))
        if is_odd and page.next_page is None:
            changed |= await self._look_after(self._beyond(page))
            if page.total is not None:  # what differs still cannot be read, and is not looked for again
                self._difference = page.total - self._order.count()
        return changed

    def _beyond(self, last: UploadPage) -> Sequence[str]:
        """What we know that is older than all that the service lists."""
        oldest = last.readings[-1].upload.id if last.readings else None
        return self._order.older_than(oldest) if oldest is not None else self._order.all_ids() if last.page == 1 else ()

    async def _look_after(self, upload_ids: Sequence[str]) -> bool:
        """Ask for uploads one by one, several at a time."""
        results = await all_of(self._look_at(upload_id) for upload_id in upload_ids)
        return any(results)

    async def _look_at(self, upload_id: str) -> bool:
        try:
            async with self._gate:
                reading = await self._client.upload(upload_id)
        except NotFoundError:
            return self._lose(upload_id)
        except NotConsistentError:
            return False
        except (TroubleError, UnreadableError):
            self._store.mark([upload_id], stale=True)
            return True
        return self._take([reading])[0]

    async def _page(self, number: int, per_page: int) -> UploadPage:
        async with self._gate:
            page = await self._client.upload_page(self._project.id, number, per_page)
        if page.per_page < per_page:
            self._largest_page = max(1, page.per_page)
        return page

    # What was read

    async def _take_page(self, page: UploadPage, *, newest_first: bool = False) -> bool:
        """Keep a page's uploads, told from the oldest if it is of news; True if anything changed."""
        changed, doubtful = self._take(page.readings[::-1] if newest_first else page.readings)
        return changed | await self._look_after(doubtful)

    def _take(self, readings: Sequence[UploadReading]) -> tuple[bool, Sequence[str]]:
        """Keep readings and tell what changed; True if anything did, and whoever is to be asked for again."""
        intake = take_in(self._store, readings, self._client.root)
        for change in intake.changes:
            self._tell(change)
        return intake.kept > 0, intake.doubtful

    def _lose(self, upload_id: str) -> bool:
        stored = self._store.get(upload_id)
        if stored is None or stored.is_gone:
            return False
        self._store.mark([upload_id], gone=True)
        ref = UploadRef(stored.id, stored.name, stored.project_id, stored.project_name, self._client.root)
        self._tell(UploadGone(at=self._client.now(), upload=ref))
        return True
