"""Write readings to the store: equal ones refresh the reading time, different ones are compared and stored."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from upload_tui.monitor.changes import UploadChange, UploadRef, UploadSeen
from upload_tui.monitor.store.store import Store, StoredUpload
from upload_tui.monitor.sync.comparison import compare, reread
from upload_tui.wire import UploadReading

__all__ = ["IngestResult", "ingest"]


class IngestResult(Struct, frozen=True):
    """The result of `ingest`.

    Attributes:
        changed_count: how many readings differ from what the store had.
        changes: the changes to publish, in order.
        possibly_outdated: ids that were skipped: another process read them after these readings were requested.
    """

    changed_count: int
    changes: tuple[UploadChange, ...]
    possibly_outdated: tuple[str, ...] = ()


def ingest(
    store: Store,
    readings: Sequence[UploadReading],
    service: str,
    *,
    is_logged: bool = True,
    now: datetime | None = None,
) -> IngestResult:
    """Write readings to a store in one transaction, so that several processes can share the store.

    Args:
        store: where to write.
        readings: what the service returned, in the order in which changes are to be published.
        service: the service's URL.
        is_logged: whether the changes go to the change log; False in a full scan, where what exists is no change.
        now: the present by the clock of the readings. A stored reading with a later time was made before the clock was set back and
            does not count as newer. None trusts the clock.
    """
    with store.transaction():
        result = _ingest(store, readings, service, now)
        if is_logged:
            store.change_log.append(result.changes)
    return result


def _ingest(store: Store, readings: Sequence[UploadReading], service: str, now: datetime | None) -> IngestResult:
    unchanged: list[str] = []
    entries = []
    changes: list[UploadChange] = []
    possibly_outdated: list[str] = []
    by_id = {reading.upload.id: reading for reading in readings}
    for reading in by_id.values():
        stored = store.get(reading.upload.id)
        raw = "" if stored is None else store.raw(stored.id)
        is_unchanged = stored is not None and raw == reading.raw
        if stored is not None and not is_unchanged and _may_be_newer(stored, reading, now):
            possibly_outdated.append(stored.id)
            continue
        if stored is not None and stored.is_gone:  # the service lists it again
            ref = UploadRef(stored.id, stored.name, stored.project_id, stored.project_name, service)
            changes.append(UploadSeen(at=reading.upload.read_on, upload=ref))
        if stored is not None and is_unchanged:
            unchanged.append(stored.id)
            continue
        before = None if stored is None else reread(raw, stored)
        noticed = stored.noticed if stored else ()
        result = compare(before, stored.earliest if stored else None, noticed, reading.upload, service)
        entries.append((result.upload, reading.raw, result.noticed, result.earliest))
        changes.extend(result.changes)
    if unchanged:
        store.touch(unchanged, readings[0].upload.read_on)
    if entries:
        store.put(entries)
    return IngestResult(len(entries), tuple(changes), tuple(possibly_outdated))


def _may_be_newer(stored: StoredUpload, reading: UploadReading, now: datetime | None) -> bool:
    is_read_since = reading.requested_on is not None and stored.read_on > reading.requested_on
    return is_read_since and (now is None or stored.read_on <= now)
