"""Read the new uploads of a project, from the first page down to the first known upload."""

from collections.abc import Sequence

from upload_tui.monitor.store.project_order import ProjectOrder
from upload_tui.monitor.sync.fetcher import PageFetcher
from upload_tui.monitor.sync.recorder import ChangeRecorder
from upload_tui.monitor.sync.state import SyncState
from upload_tui.wire import UploadPage

__all__ = ["NewUploads"]

_MAX_BUFFERED = 5000
"""Uploads held in memory before they are recorded."""


class NewUploads:
    """The new uploads of one project.

    A known upload above unknown ones would hide those from the next round. So all new uploads are read before any is recorded. If
    there are too many, the store remembers which uploads were known before, until the last new one is recorded, perhaps in a later
    session.

    Args:
        state: the project's stored facts.
        order: the project's uploads in the store.
        fetcher: fetches pages.
        recorder: writes readings to the store.
    """

    def __init__(self, state: SyncState, order: ProjectOrder, fetcher: PageFetcher, recorder: ChangeRecorder) -> None:
        self._state = state
        self._order = order
        self._fetcher = fetcher
        self._recorder = recorder
        self.total: int | None = None
        """The service's total when the first page was read; None if it reports none."""
        self.unreadable_count = 0
        """Uploads that could not be read on the pages of the last round."""

    async def read(self, per_page: int) -> tuple[frozenset[str], bool]:
        """Record all new uploads, oldest first; return the ids that were read, known ones included, and whether anything changed.

        Args:
            per_page: the size of the first page; if all its uploads are new, the largest page is read instead.
        """
        last_known = self._state.last_known_number
        if last_known is None:
            last_known = self._order.last_number()
        read_ids, pages, changed = set[str](), list[UploadPage](), False
        number, previous_ids = 1, list[str]()
        while True:
            page = await self._fetcher.fetch_page(number, per_page)
            ids = [reading.upload.id for reading in page.readings]
            read_ids.update(ids)
            pages.append(page)
            if number == 1:  # uploads that arrive during the next pages are counted in the next round
                self.total, self.unreadable_count = page.total, 0
            self.unreadable_count += len(page.unreadable)
            # A service that ignores the page number repeats the first page without end.
            if page.next_page is None or self._order.was_known(ids, last_known) or ids == previous_ids != []:
                break
            if number == 1 and per_page < self._fetcher.largest_page:
                pages.clear()
                per_page = self._fetcher.largest_page
                continue
            number, previous_ids = page.next_page, ids
            if sum(len(buffered.readings) for buffered in pages) >= _MAX_BUFFERED:
                with self._recorder.transaction():
                    self._state.last_known_number = last_known
                changed |= await self._record(pages)
                pages.clear()
        changed |= await self._record(pages)
        if self._state.last_known_number is not None:
            self._state.last_known_number = None
        return frozenset(read_ids), changed

    async def _record(self, pages: Sequence[UploadPage]) -> bool:
        changed = False
        for page in reversed(pages):
            changed |= await self._recorder.record_readings(page.readings[::-1])
        return changed
