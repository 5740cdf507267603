"""Keeps the store's picture of one project equal to the service's, for the price of what changed.

The service lists uploads newest first and cannot filter. So all pages are read once (`first_fetch`); each round after that, also in
later visits, reads new ones from the first page until it meets a known one, looks after the pending ones by id or by page
(whichever costs less), and checks one old page in turn for purges and surprises: a small one, or a large one as long as the
service counts otherwise than we do. One broken upload never hides the rest.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from upload_tui.client.service_client import ServiceClient
from upload_tui.client.turns import all_of, portions
from upload_tui.errors import NotConsistentError, NotFoundError, ReplacedStorageError, TroubleError, UnreadableError
from upload_tui.monitor.changes import Change, UploadChange, UploadGone, UploadRef
from upload_tui.monitor.event_order import in_order_of_events
from upload_tui.monitor.first_fetch import PER_PAGE, REQUESTS_AT_ONCE, FirstFetch
from upload_tui.monitor.intake import take_in
from upload_tui.monitor.page_plan import plan_pages
from upload_tui.monitor.picture import ProjectRef
from upload_tui.monitor.store import Store
from upload_tui.monitor.stored_order import StoredOrder
from upload_tui.status import Stage
from upload_tui.wire.answers import UploadPage, UploadReading
from upload_tui.wire.upload import Upload

__all__ = ["Synchroniser"]

_PER_PAGE_NEWS = 20
_PER_PAGE_OLD = 20
_NEWS_HELD = 5000
"""Uploads that are held before they are kept."""
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
        self._client = client
        self._store = store
        self._order = StoredOrder(store, project.id)
        self._project = project
        self._tell = tell
        self._found: list[UploadChange] = []
        self._progress = progress
        self._fact = f"whole {project.id}"
        self._is_whole = store.fact(self._fact) is True
        self._generation = store.generation
        self._gate = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._heard = store.told.last()
        self._old_row = 0
        self._old_edge: str | None = None
        self._total: int | None = None
        self._last_total: int | None = None
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
            BusyStorageError: another process is busy with the store, or another store took its place.
        """
        try:
            return await self._round()
        finally:  # what was kept is known to the next round, and must be told by this one
            found, self._found = in_order_of_events(self._found), []
            for change in found:
                self._tell(change)

    async def _round(self) -> bool:
        await self._store.bulk.at_rest()
        self._generation = self._store.generation
        self._is_whole = self._store.fact(self._fact) is True
        if not self._is_whole:
            await self._fetch_all()
            return True
        covered, changed = await self._fetch_news()
        changed |= await self._refresh_pending(covered)
        changed |= await self._check_old_page()
        others = self._told_by_others()
        self._found.extend(others)
        return changed or bool(others)

    async def _fetch_all(self) -> None:
        doubtful: list[str] = []

        def take(readings: Sequence[UploadReading]) -> None:
            doubtful.extend(self._take(readings)[1])

        fetch = FirstFetch(self._client, self._store, self._project, take, self._progress)
        missing = await fetch.run()
        await self._look_after(sorted({*missing, *doubtful}))
        with self._keeping():
            self._store.keep_fact(self._fact, True)
        self._is_whole = True

    # Every time after

    async def _fetch_news(self) -> tuple[frozenset[str], bool]:
        """New uploads from the first page until a known one, kept from the oldest; gives the ids that were read on the way.

        They are kept once all are read: a known upload above unknown ones would hide them from the next round.
        """
        covered: set[str] = set()
        pages: list[UploadPage] = []
        changed = False
        number, per_page = 1, self._news_per_page()
        while True:
            page = await self._page(number, per_page)
            ids = [reading.upload.id for reading in page.readings]
            # What comes meanwhile moves what was new on one page onto the next.
            has_known = bool(self._store.known(ids) - covered)
            covered.update(ids)
            pages.append(page)
            if number == 1:  # what comes while further pages are read is counted next time
                self._total = page.total
            if has_known or page.next_page is None:
                break
            if number == 1 and per_page < self._largest_page:  # there may be very many
                pages.clear()
                per_page = self._largest_page
                continue
            number = page.next_page
            if sum(len(held.readings) for held in pages) >= _NEWS_HELD:
                changed |= await self._take_news(pages)
                pages.clear()
        return frozenset(covered), changed | await self._take_news(pages)

    async def _take_news(self, pages: Sequence[UploadPage]) -> bool:
        changed = False
        for page in reversed(pages):
            changed |= await self._take_readings(page.readings[::-1])
        return changed

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
        changed = False
        for _ in range(_PAGES_AT_MOST):
            shift = self._unknown()
            plan = plan_pages([place + shift for place in self._order.places(sorted(wanted))], self._largest_page)
            if not plan.pages:
                break
            page = await self._page(plan.pages[0], plan.per_page)
            changed |= await self._take_page(page)
            found = wanted & {reading.upload.id for reading in page.readings}
            wanted -= found
            if not found:
                break
        # Whoever stands alone, or not where it should, is asked for alone.
        return changed | await self._look_after(sorted(wanted))

    def _unknown(self) -> int:
        """How many came since the news were read: so many places further down all others stand by now."""
        return 0 if self._last_total is None else max(0, self._last_total - self._order.count() - self._difference)

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
        if page.next_page is None:
            changed |= await self._look_after(self._beyond(page))
            if is_odd and page.total is not None:  # what differs still cannot be read, and is not looked for again
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
            return self._doubt(upload_id)
        except (TroubleError, UnreadableError):
            self._store.mark([upload_id], stale=True)
            return True
        return self._take([reading])[0]

    def _doubt(self, upload_id: str) -> bool:
        """The service is not sure of it just now; True if that is new."""
        stored = self._store.get(upload_id)
        if stored is None or stored.is_stale:
            return False
        self._store.mark([upload_id], stale=True)
        return True

    async def _page(self, number: int, per_page: int) -> UploadPage:
        async with self._gate:
            page = await self._client.upload_page(self._project.id, number, per_page)
        self._last_total = page.total
        if page.per_page < per_page:
            self._largest_page = max(1, page.per_page)
        return page

    # What was read

    async def _take_page(self, page: UploadPage) -> bool:
        """Keep a page that was read for its known uploads; True if anything changed. Those that came since are left for the news."""
        newest = self._order.newest_on()
        known = self._store.known([reading.upload.id for reading in page.readings])
        return await self._take_readings(
            [one for one in page.readings if one.upload.id in known or not _is_after(one.upload, newest)]
        )

    async def _take_readings(self, found: Sequence[UploadReading]) -> bool:
        """Keep readings and note what changed; True if anything did."""
        changed, doubtful = False, list[str]()
        async for readings in portions(found):
            has_changed, some_doubtful = self._take(readings)
            changed |= has_changed
            doubtful.extend(some_doubtful)
        return changed | await self._look_after(doubtful)

    def _take(self, readings: Sequence[UploadReading]) -> tuple[bool, Sequence[str]]:
        """Keep readings and note what changed; True if anything did, and whoever is to be asked for again."""
        with self._keeping():
            others = self._told_by_others()
            intake = take_in(self._store, readings, self._client.root, now=self._client.now())
        self._found.extend((*others, *intake.changes))
        return bool(others) or intake.kept > 0, intake.doubtful

    def _told_by_others(self) -> Sequence[UploadChange]:
        """What other processes over the same store learned first; it comes before what we find beyond that."""
        changes, self._heard = self._store.told.by_others(self._heard, self._project.id)
        return changes

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        """A transaction; not in a store that took the place of the one in which the round began, and knows nothing of it."""
        with self._store.transaction():
            if self._store.generation != self._generation:
                raise ReplacedStorageError(self._store.remark)
            yield

    def _lose(self, upload_id: str) -> bool:
        with self._keeping():
            stored = self._store.get(upload_id)
            if stored is None or stored.is_gone:
                return False
            self._store.mark([upload_id], gone=True)
            ref = UploadRef(stored.id, stored.name, stored.project_id, stored.project_name, self._client.root)
            gone = UploadGone(at=self._client.now(), upload=ref)
            self._store.told.remember([gone])
        self._found.append(gone)
        return True


def _is_after(upload: Upload, on: datetime | None) -> bool:
    began = upload.timeline.event(Stage.INITIATED)
    return on is not None and began is not None and began.best is not None and began.best > on
