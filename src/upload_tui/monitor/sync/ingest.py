"""Takes readings into the store: what is the same is touched, what differs is compared and kept, what changed is given back."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from upload_tui.monitor.changes import UploadChange, UploadRef, UploadSeen
from upload_tui.monitor.store.store import Store, StoredUpload
from upload_tui.monitor.sync.comparison import compare, reread
from upload_tui.wire import UploadReading

__all__ = ["IngestResult", "ingest"]


class IngestResult(Struct, frozen=True):
    """What came of it.

    Attributes:
        kept: how many uploads differ from what was known.
        changes: to be told, in order.
        doubtful: ids of which something newer may be known already: they were read elsewhere after this was asked for.
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
    """Take readings into a store, so that of several who do so each finds what the one before it left.

    Args:
        store: what is known.
        readings: what the service says now, in the order in which it is to be told.
        service: the URL where the uploads live.
        is_logged: False if nobody is told of it: what exists when one first looks is no change.
        now: the present by the clock of the readings. What was read later than that was read before the clock was set back, and is
            not newer; None trusts the clock.
    """
    with store.transaction():
        intake = _ingest(store, readings, service, now)
        if is_logged:
            store.change_log.append(intake.changes)
    return intake


def _ingest(store: Store, readings: Sequence[UploadReading], service: str, now: datetime | None) -> IngestResult:
    same: list[str] = []
    kept = []
    changes: list[UploadChange] = []
    doubtful: list[str] = []
    once = {reading.upload.id: reading for reading in readings}
    for reading in once.values():
        stored = store.get(reading.upload.id)
        words = "" if stored is None else store.raw(stored.id)
        is_same = stored is not None and words == reading.raw
        if stored is not None and not is_same and _may_be_newer(stored, reading, now):
            doubtful.append(stored.id)
            continue
        if stored is not None and stored.is_gone:  # it is back
            ref = UploadRef(stored.id, stored.name, stored.project_id, stored.project_name, service)
            changes.append(UploadSeen(at=reading.upload.read_on, upload=ref))
        if stored is not None and is_same:
            same.append(stored.id)
            continue
        before = None if stored is None else reread(words, stored)
        noticed = stored.noticed if stored else ()
        result = compare(before, stored.earliest if stored else None, noticed, reading.upload, service)
        kept.append((result.upload, reading.raw, result.noticed, result.earliest))
        changes.extend(result.changes)
    if same:
        store.touch(same, readings[0].upload.read_on)
    if kept:
        store.put(kept)
    return IngestResult(len(kept), tuple(changes), tuple(doubtful))


def _may_be_newer(stored: StoredUpload, reading: UploadReading, now: datetime | None) -> bool:
    was_read_since = reading.requested_on is not None and stored.read_on > reading.requested_on
    return was_read_since and (now is None or stored.read_on <= now)
