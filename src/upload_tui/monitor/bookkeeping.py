"""Keeps what was read of one project's uploads, and notes what changed, once, whoever learned it first. Used by the synchroniser."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from upload_tui.client.turns import all_of, portions
from upload_tui.errors import NotConsistentError, NotFoundError, ReplacedStorageError
from upload_tui.monitor.changes import Change, UploadChange, UploadGone, UploadRef
from upload_tui.monitor.enquiries import Enquiries
from upload_tui.monitor.event_order import in_order_of_events
from upload_tui.monitor.intake import take_in
from upload_tui.monitor.store import Store
from upload_tui.monitor.stored_order import StoredOrder
from upload_tui.status import Stage
from upload_tui.wire.answers import UploadPage, UploadReading
from upload_tui.wire.upload import Upload

__all__ = ["Bookkeeping", "initiated_on"]


class Bookkeeping:
    """One project's.

    Args:
        store: where the picture is kept.
        order: its uploads in the store.
        enquiries: for those that are asked for one by one.
        project_id: the project.
        tell: called with each change of an upload at the end of a round, in the order of events.
    """

    def __init__(
        self,
        store: Store,
        order: StoredOrder,
        enquiries: Enquiries,
        project_id: str,
        tell: Callable[[Change], None],
    ) -> None:
        self._store = store
        self._order = order
        self._enquiries = enquiries
        self._project_id = project_id
        self._tell = tell
        self._found: list[UploadChange] = []
        self._generation = store.generation
        self._heard = store.told.last()

    def begin_round(self) -> None:
        """What is kept until the next is kept in the store as it is now, not in one that takes its place."""
        self._generation = self._store.generation

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """A transaction; not in a store that took the place of the one in which the round began, and knows nothing of it."""
        with self._store.transaction():
            if self._store.generation != self._generation:
                raise ReplacedStorageError(self._store.remark)
            yield

    def tell(self) -> None:
        """Tell what was noted."""
        found, self._found = in_order_of_events(self._found), []
        for change in found:
            self._tell(change)

    async def take_page(self, page: UploadPage) -> bool:
        """Keep a page that was read for its known uploads; True if anything changed. Those that came since are left for the news."""
        newest = self._order.newest_on()
        known = self._store.known([reading.upload.id for reading in page.readings])
        return await self.take_readings(
            [one for one in page.readings if one.upload.id in known or not _is_after(one.upload, newest)]
        )

    async def take_readings(self, found: Sequence[UploadReading]) -> bool:
        """Keep readings and note what changed; True if anything did."""
        changed, doubtful = False, list[str]()
        async for readings in portions(found):
            has_changed, some_doubtful = self.take(readings)
            changed |= has_changed
            doubtful.extend(some_doubtful)
        return changed | await self.look_after(doubtful)

    def take(self, readings: Sequence[UploadReading]) -> tuple[bool, Sequence[str]]:
        """Keep readings and note what changed; True if anything did, and whoever is to be asked for again."""
        client = self._enquiries.client
        with self.keeping():
            others = self._of_others()
            intake = take_in(self._store, readings, client.root, now=client.now())
        self._found.extend((*others, *intake.changes))
        return bool(others) or intake.kept > 0, intake.doubtful

    def hear_others(self) -> bool:
        """Note what other dashboards over the same store learned first; True if there was anything."""
        others = self._of_others()
        self._found.extend(others)
        return bool(others)

    def _of_others(self) -> Sequence[UploadChange]:
        """What others learned comes before what we find beyond that."""
        changes, self._heard = self._store.told.by_others(self._heard, self._project_id)
        return changes

    # One by one

    async def look_after(self, upload_ids: Sequence[str]) -> bool:
        """Ask for uploads one by one, several at a time; True if anything changed."""
        results = await all_of(self._look_at(upload_id) for upload_id in upload_ids)
        return any(results)

    async def _look_at(self, upload_id: str) -> bool:
        try:
            reading = await self._enquiries.upload(upload_id)
        except NotFoundError:
            return self._lose(upload_id)
        except NotConsistentError:
            return self._doubt(upload_id)
        return self._doubt(upload_id) if reading is None else self.take([reading])[0]

    def _doubt(self, upload_id: str) -> bool:
        """The service does not say, or is not sure, what became of it; True if that is new."""
        stored = self._store.get(upload_id)
        if stored is None or stored.is_stale:
            return False
        self._store.mark([upload_id], stale=True)
        return True

    def _lose(self, upload_id: str) -> bool:
        with self.keeping():
            stored = self._store.get(upload_id)
            if stored is None or stored.is_gone:
                return False
            self._store.mark([upload_id], gone=True)
            service = self._enquiries.client
            ref = UploadRef(stored.id, stored.name, stored.project_id, stored.project_name, service.root)
            gone = UploadGone(at=service.now(), upload=ref)
            self._store.told.remember([gone])
        self._found.append(gone)
        return True


def initiated_on(upload: Upload) -> datetime | None:
    """When an upload was initiated, as far as the service says."""
    began = upload.timeline.event(Stage.INITIATED)
    return None if began is None else began.best


def _is_after(upload: Upload, on: datetime | None) -> bool:
    began = initiated_on(upload)
    return on is not None and began is not None and began > on
