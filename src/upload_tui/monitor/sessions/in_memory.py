"""A picture of uploads that is handed the service's answers by whoever has them; asks no service.

Used by widgets in other people's apps (through `upload_tui.widgets`) and by the testing kit. The answers go through the same
reading, comparing and judging as those of a service that is watched.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from upload_tui.clock import Clock, SystemClock
from upload_tui.monitor.changes import Change
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.store_picture import STUCK_AFTER_SECONDS, StorePicture
from upload_tui.monitor.sync.ingest import ingest
from upload_tui.wire import read_upload_reading

__all__ = ["InMemoryPicture"]


class InMemoryPicture(StorePicture):
    """What is known of some uploads: rows, the funnel, details, judgements. Kept in memory.

    Args:
        uploads: upload resources as the service says them (`GET /uploads/{id}`, or the results of a list), in any shape of status.
        clock: for ages.
        service: the URL where the uploads live.
        stuck_after_seconds: from which age a pending upload looks stuck.

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
        stuck_after_seconds: float = STUCK_AFTER_SECONDS,
    ) -> None:
        self._store = Store()
        super().__init__(self._store, clock or SystemClock(), service, stuck_after_seconds)
        self.update(*uploads)

    def close(self) -> None:
        """Forget everything."""
        self._store.close()

    def update(self, *uploads: Mapping[str, Any]) -> Sequence[Change]:
        """The service says this of uploads now; gives what changed, in order.

        Raises:
            InvalidResponseError: it is no upload resource.
        """
        read_on = self.now()
        readings = [read_upload_reading(upload, read_on=read_on) for upload in uploads]
        return ingest(self._store, readings, self._service).changes
