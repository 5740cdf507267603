"""Reads what is new in a project, from the first page down to what was known before. Used by the synchroniser."""

from collections.abc import Sequence

from upload_tui.monitor.store.project_order import ProjectOrder
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.fetcher import PageFetcher
from upload_tui.monitor.sync.recorder import ChangeRecorder
from upload_tui.wire import UploadPage

__all__ = ["NewUploads"]

_MAX_BUFFERED = 5000
"""Uploads that are held before they are kept."""


class NewUploads:
    """One project's.

    A known upload above unknown ones would hide them from the next round. So all are read before any is kept; where there are too
    many for that, the store keeps in mind which were known before, until the last has been read, in this visit or another.

    Args:
        store: where the picture is kept.
        order: its uploads in the store.
        fetcher: for pages.
        recorder: where news are kept.
        project_id: the project.
    """

    def __init__(
        self, store: Store, order: ProjectOrder, fetcher: PageFetcher, recorder: ChangeRecorder, project_id: str
    ) -> None:
        self._store = store
        self._order = order
        self._fetcher = fetcher
        self._recorder = recorder
        self._fact_name = f"news {project_id}"
        self.total: int | None = None
        """Uploads in all when the first page was read: those that are known now, and those that cannot be read."""

    async def read(self, per_page: int) -> tuple[frozenset[str], bool]:
        """Keep all and tell them from the oldest; gives the ids that were read on the way, and whether anything changed.

        Args:
            per_page: of the first page; if all on it are new, there may be very many, and larger ones are read.
        """
        last_known = self._store.fact(self._fact_name)
        if last_known is None:
            last_known = self._order.last_number()
        covered: set[str] = set()
        pages: list[UploadPage] = []
        changed = False
        number = 1
        while True:
            page = await self._fetcher.fetch_page(number, per_page)
            ids = [reading.upload.id for reading in page.readings]
            covered.update(ids)
            pages.append(page)
            if number == 1:  # what comes while further pages are read is counted next time
                self.total = page.total
            if page.next_page is None or self._order.was_known(ids, last_known):
                break
            if number == 1 and per_page < self._fetcher.largest_page:
                pages.clear()
                per_page = self._fetcher.largest_page
                continue
            number = page.next_page
            if sum(len(held.readings) for held in pages) >= _MAX_BUFFERED:
                with self._recorder.transaction():
                    self._store.set_fact(self._fact_name, last_known)
                changed |= await self._record(pages)
                pages.clear()
        changed |= await self._record(pages)
        if self._store.fact(self._fact_name) is not None:
            self._store.set_fact(self._fact_name, None)
        return frozenset(covered), changed

    async def _record(self, pages: Sequence[UploadPage]) -> bool:
        changed = False
        for page in reversed(pages):
            changed |= await self._recorder.record_readings(page.readings[::-1])
        return changed
