"""A picture of uploads in memory, updated by its caller with the service's JSON."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from upload_tui.clock import Clock, SystemClock
from upload_tui.monitor.analysis.trouble import (
    DEFAULT_TROUBLE_LIMITS,
    TroubleLimits,
)
from upload_tui.monitor.changes import Change
from upload_tui.monitor.picture import Freshness
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.store_picture import StorePicture

__all__ = ["InMemoryPicture"]


class InMemoryPicture(StorePicture):
    """A picture in memory, updated by its caller with the service's JSON: for widgets in other apps, and for tests.

    The JSON is parsed, compared and analysed as in a live session.

    Args:
        uploads: upload resources as the service returns them (`GET /uploads/{id}`, or the results of a list), in any status shape.
        clock: for ages.
        service: the service's URL.
        stuck_after_seconds: the age from which a pending upload is stuck, unless similar uploads are much faster or take longer.
        freshness: how current the uploads are; None if they always are.
        store: where to keep them; a new one if None.

    >>> from upload_tui.testing import FrozenClock, an_upload
    >>> picture = InMemoryPicture([an_upload("scan.tiff", initiated=90, completed=30)], clock=FrozenClock())
    >>> [(summary.stage.value, summary.count) for summary in picture.funnel().stages]
    [('initiated', 0), ('completed', 1), ('verified', 0), ('error', 0)]
    >>> picture.close()
    """

    def __init__(
        self,
        uploads: Iterable[Mapping[str, Any]] = (),
        *,
        clock: Clock | None = None,
        service: str = "",
        stuck_after_seconds: float = DEFAULT_TROUBLE_LIMITS.stuck_after_seconds,
        freshness: Freshness | None = None,
        store: Store | None = None,
    ) -> None:
        limits = TroubleLimits(stuck_after_seconds)
        super().__init__(store or Store(), clock or SystemClock(), service, limits, freshness=freshness)
        self.update(*uploads)

    def close(self) -> None:
        """Discard all uploads."""
        self._store.close()

    def update(self, *uploads: Mapping[str, Any]) -> Sequence[Change]:
        """Update the picture with upload resources; return what changed, in order.

        Raises:
            InvalidResponseError: one of them is not an upload resource.
        """
        from upload_tui.monitor.sync.ingest import ingest
        from upload_tui.wire import parse_upload_reading

        read_on = self.clock.now()
        readings = [parse_upload_reading(upload, read_on=read_on) for upload in uploads]
        return ingest(self._store, readings, self.service).changes

    def mark(self, upload_id: str, *, stale: bool | None = None, gone: bool | None = None) -> None:
        """Mark an upload as stale (it could not be refreshed) or gone; None changes nothing."""
        self._store.mark([upload_id], stale=stale, gone=gone)
