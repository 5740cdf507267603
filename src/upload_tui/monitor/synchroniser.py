"""Keeps the store's picture of one project equal to the service's, for the price of what changed.

The service lists uploads newest first and cannot filter. So the first fetch reads all pages until two counts agree; each
round after that reads new ones from the first page until it meets a known one, looks after the pending ones by id or by page
(whichever needs fewer requests), and checks one old page in turn for purges and surprises. One broken upload never hides the rest.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import timedelta
from typing import Any, TypeVar, cast

from upload_tui.client.service_client import ServiceClient
from upload_tui.errors import NotConsistentError, NotFoundError, ServiceError, TroubleError, UnreadableError
from upload_tui.monitor.changes import Change, UploadGone, UploadRef
from upload_tui.monitor.intake import take_in
from upload_tui.monitor.picture import ProjectRef
from upload_tui.monitor.store import Store, StoredUpload
from upload_tui.monitor.stored_order import StoredOrder
from upload_tui.wire.answers import UploadPage, UploadReading

__all__ = ["Synchroniser"]

Result = TypeVar("Result")

_PER_PAGE_FIRST = 500
_PER_PAGE_NEWS = 50
_REQUESTS_AT_ONCE = 6
_PASSES_AT_MOST = 5


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
        self._is_whole = False
        self._gate = asyncio.Semaphore(_REQUESTS_AT_ONCE)
        self._old_page = 1

    async def round(self) -> bool:
        """Make the picture true once; True if anything changed.

        Raises:
            ServiceError: the service could not be asked; what was learned before that is kept.
        """
        if not self._is_whole:
            await self._fetch_all()
            self._is_whole = True
            return True
        covered, changed = await self._fetch_news()
        changed |= await self._refresh_pending(covered)
        return changed | await self._check_old_page()

    # The first time

    async def _fetch_all(self) -> None:
        """Read all pages until as many are known as the service counts: rows that shift between pages are caught by the next pass."""
        seen: set[str] = set()
        for _ in range(_PASSES_AT_MOST):
            first = await self._page(1, _PER_PAGE_FIRST)
            self._take_first(first, seen)
            await self._fetch_other_pages(first, seen)
            last = await self._page(1, _PER_PAGE_NEWS)
            self._take_first(last, seen)
            if last.total is None or len(seen) >= last.total == first.total:
                break
        known = set(self._order.unread_since(self._client.now() + timedelta(days=1)))
        await self._look_after(sorted(known - seen))

    async def _fetch_other_pages(self, first: UploadPage, seen: set[str]) -> None:
        if first.total is None:
            page = first
            while page.next_page is not None:
                page = await self._page(page.next_page, _PER_PAGE_FIRST)
                self._take_first(page, seen)
            return
        numbers = iter(range(2, -(-first.total // first.per_page) + 1))

        async def work() -> None:
            for number in numbers:
                self._take_first(await self._page(number, _PER_PAGE_FIRST), seen)

        await _all_of(work() for _ in range(_REQUESTS_AT_ONCE))

    def _take_first(self, page: UploadPage, seen: set[str]) -> None:
        """What exists at the first fetch is no news, but what another visit left behind may have changed since."""
        known = self._store.known([reading.upload.id for reading in page.readings])
        self._take([reading for reading in page.readings if reading.upload.id in known])
        self._take([reading for reading in page.readings if reading.upload.id not in known], silently=True)
        seen.update(reading.upload.id for reading in page.readings)
        self._progress(len(seen), page.total)

    # Every time after

    async def _fetch_news(self) -> tuple[frozenset[str], bool]:
        """New uploads from the first page until a known one; gives the ids that were read on the way."""
        covered: set[str] = set()
        changed = False
        number: int | None = 1
        while number is not None:
            page = await self._page(number, _PER_PAGE_NEWS)
            ids = [reading.upload.id for reading in page.readings]
            has_known = bool(self._store.known(ids))
            changed |= self._take(page.readings[::-1])
            covered.update(ids)
            number = None if has_known else page.next_page
        return frozenset(covered), changed

    async def _refresh_pending(self, covered: frozenset[str]) -> bool:
        pending = [upload for upload in self._store.pending(frozenset({self._project.id})) if upload.id not in covered]
        if not pending:
            return False
        pages = self._pages_of(pending)
        if len(pages) < len(pending):
            return await self._refresh_by_page(pages, {upload.id for upload in pending})
        return await self._look_after([upload.id for upload in pending])

    def _pages_of(self, pending: Sequence[StoredUpload]) -> Sequence[int]:
        """The pages on which pending uploads probably stand, in the service's order."""
        places = self._order.places([upload.id for upload in pending])
        return sorted({place // _PER_PAGE_FIRST + 1 for place in places})

    async def _refresh_by_page(self, pages: Sequence[int], wanted: set[str]) -> bool:
        changed = False
        for number in pages:
            page = await self._page(number, _PER_PAGE_FIRST)
            changed |= self._take(page.readings)
            wanted -= {reading.upload.id for reading in page.readings}
        # Whoever was shifted to another page is asked for alone.
        return changed | await self._look_after(sorted(wanted))

    async def _check_old_page(self) -> bool:
        """One page in turn: purges, and uploads that are no longer where they were."""
        page = await self._page(self._old_page, _PER_PAGE_NEWS)
        changed = self._take(page.readings)
        known = self._order.between([reading.upload.id for reading in page.readings])
        missing = known - {reading.upload.id for reading in page.readings}
        self._old_page = page.next_page or 1
        return changed | await self._look_after(sorted(missing))

    async def _look_after(self, upload_ids: Sequence[str]) -> bool:
        """Ask for uploads one by one, several at a time."""
        results = await _all_of(self._look_at(upload_id) for upload_id in upload_ids)
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
        return self._take([reading])

    async def _page(self, number: int, per_page: int) -> UploadPage:
        async with self._gate:
            return await self._client.upload_page(self._project.id, number, per_page)

    # What was read

    def _take(self, readings: Sequence[UploadReading], *, silently: bool = False) -> bool:
        """Keep readings and tell what changed; True if anything did."""
        intake = take_in(self._store, readings, self._client.root)
        if not silently:
            for change in intake.changes:
                self._tell(change)
        return intake.kept > 0

    def _lose(self, upload_id: str) -> bool:
        stored = self._store.get(upload_id)
        if stored is None or stored.is_gone:
            return False
        self._store.mark([upload_id], gone=True)
        ref = UploadRef(stored.id, stored.name, stored.project_id, stored.project_name, self._client.root)
        self._tell(UploadGone(at=self._client.now(), upload=ref))
        return True


async def _all_of(works: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Do all of it at once; the first error stops the others and comes out as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except* ServiceError as errors:
        raise _first(errors) from None
    return [task.result() for task in tasks]


def _first(errors: BaseExceptionGroup[ServiceError]) -> ServiceError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return cast("ServiceError", error)
