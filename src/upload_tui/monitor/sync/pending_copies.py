"""Copies of pending uploads in memory, for the store that replaces one that was lost.

What exists in a new store is no change, so what a pending upload has reached since the last reading would never be published.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from msgspec import Struct

from upload_tui.monitor.changes import UploadChange, UploadGone, UploadRef
from upload_tui.monitor.store.rows import StoredUpload
from upload_tui.monitor.store.store import Entry, Store
from upload_tui.monitor.sync.ingest import compare, parse_stored
from upload_tui.wire import Upload, UploadReading

__all__ = ["Copies", "PendingCopies"]


_BATCH_IDS = 100


class _Copy(Struct, frozen=True):
    """An upload as it was stored, and its raw JSON."""

    stored: StoredUpload
    raw: str

    def parse(self) -> Upload | None:
        return parse_stored(self.raw, self.stored)


Copies = Mapping[str, _Copy | None]
"""Copies of uploads by their ids; None for one that is not pending, or gone."""


class PendingCopies:
    """The pending uploads of one project or source that this process has read, as it has last stored or published them.

    Args:
        store: the store.
        service: the URL of the service, or the identity of the source.
    """

    def __init__(self, store: Store, service: str) -> None:
        self._store = store
        self._service = service
        self._copies: dict[str, _Copy] = {}
        self._noted: set[str] = set()

    def note(self, changes: Iterable[UploadChange], readings: Iterable[UploadReading] = ()) -> None:
        """Copy uploads when the present transaction ends, or else the next one.

        Args:
            changes: what has happened to uploads, whose copies are old.
            readings: of uploads that may have no copy; those that are pending get one, while there is room.
        """
        self._noted.update(change.upload.id for change in changes)
        self._noted.update(reading.upload.id for reading in readings if self._lacks(reading.upload))

    def _lacks(self, upload: Upload) -> bool:
        """Whether an upload is pending and has no copy, though there is room for one."""
        has_room = len(self._copies) + len(self._noted) < self._store.limits.pending_copies
        return has_room and upload.id not in self._copies and not upload.stage.is_final

    def drop(self, upload_ids: Iterable[str]) -> None:
        """Discard the copies of uploads that were deleted from the store."""
        for upload_id in upload_ids:
            self._copies.pop(upload_id, None)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Open a transaction of the store; what it commits is copied."""
        with self._store.transaction():
            yield
            copies = self.read(self._noted)
        self._noted.clear()
        self.replace(copies)

    def replace(self, copies: Copies) -> None:
        """Take these in place of the copies that there are of these uploads."""
        for upload_id, copy in copies.items():
            self._copies.pop(upload_id, None)
            if copy is not None:
                self._copies[upload_id] = copy
        for upload_id in [*self._copies][: -self._store.limits.pending_copies]:
            del self._copies[upload_id]

    async def copy_stored(self, project_ids: frozenset[str]) -> None:
        """Copy pending uploads of the store, also those that another process wrote; those that wait longest first."""
        limit = self._store.limits.pending_copies
        upload_ids = [stored.id for stored in self._store.pending(project_ids, limit)][:limit]
        for start in range(0, len(upload_ids), _BATCH_IDS):
            with self.transaction():
                self._noted.update(upload_ids[start : start + _BATCH_IDS])
            await asyncio.sleep(0)

    def read(self, upload_ids: Iterable[str]) -> Copies:
        """Copies of uploads as they are stored."""
        return {upload_id: self._read(upload_id) for upload_id in upload_ids}

    def _read(self, upload_id: str) -> _Copy | None:
        stored = self._store.get(upload_id)
        if stored is None or stored.is_gone or stored.stage.is_final:
            return None
        return _Copy(stored, self._store.raw_json.raw(upload_id))

    def restore(self) -> tuple[Sequence[UploadChange], int]:
        """Put the copies into the store that has replaced theirs.

        Returns what has happened to those that another process has stored there, and the number of the last entry of its change log.
        """
        with self._store.transaction():
            known = self._store.known([*self._copies])
            self._store.put(self._entries(known))
            changes = [change for upload_id in sorted(known) for change in self._changes_of(upload_id)]
            last_number = self._store.change_log.last_number()
        self._noted.update(known)
        return changes, last_number

    def _entries(self, known: frozenset[str]) -> Iterator[Entry]:
        for upload_id, copy in self._copies.items():
            if upload_id not in known and (upload := copy.parse()) is not None:
                yield upload, copy.raw, copy.stored.noticed, copy.stored.earliest

    def _changes_of(self, upload_id: str) -> Iterator[UploadChange]:
        """What an upload has reached since it was copied."""
        copy, stored = self._copies[upload_id], self._store.get(upload_id)
        if stored is None:
            return
        before, after = copy.parse(), parse_stored(self._store.raw_json.raw(upload_id), stored)
        if before is not None and after is not None and after.stage.rank > before.stage.rank:
            yield from compare(before, copy.stored.earliest, copy.stored.noticed, after, self._service).changes
        if stored.is_gone:
            ref = UploadRef(stored.id, stored.name, stored.project_id, stored.project_name, self._service)
            yield UploadGone(at=stored.read_on, upload=ref)
