"""Purges bytes and deletes records that nothing needs any more, so that a service in memory can be left on.

Only uploads that have ended are touched, oldest first. Bytes are purged while the storage holds more than its budget, unless a
file refers to them, and when a project is deleted. Records are deleted only from a database in memory.
"""

import logging

from upload_tui.backend.storage import Storage, StorageUnavailableError
from upload_tui.backend.store.database import Database
from upload_tui.clock import Clock

__all__ = ["Retention"]

_BATCH_UPLOADS = 100
"""How many records are deleted at a time. The limit can be exceeded by this number."""

_logger = logging.getLogger(__name__)


class Retention:
    """Applies the limits of a storage and of a database.

    Args:
        database: the records.
        storage: the bytes.
        clock: for `purged_on`.
    """

    def __init__(self, database: Database, storage: Storage, clock: Clock) -> None:
        self._database = database
        self._storage = storage
        self._clock = clock

    def apply(self, project_id: str) -> None:
        """Apply all limits, after an upload of a project has ended."""
        self.purge_project(project_id)
        self._purge_to_budget()
        self._delete_records()

    def purge_project(self, project_id: str) -> None:
        """Purge the uploads of a project that have ended, if the project is deleted."""
        for upload_id in self._database.uploads.of_deleted_project(project_id):
            self._purge(upload_id)

    def _purge_to_budget(self) -> None:
        budget_bytes = self._storage.budget_bytes
        if budget_bytes is None:
            return
        sizes = dict(self._storage.held_uploads())
        surplus_bytes = sum(sizes.values()) - budget_bytes
        if surplus_bytes <= 0:
            return
        for upload_id in self._database.uploads.unused(list(sizes)):
            if surplus_bytes <= 0:
                return
            self._purge(upload_id)
            surplus_bytes -= sizes[upload_id]

    def _purge(self, upload_id: str) -> None:
        """Delete the bytes of an upload. It is marked first: bytes that are left over are better than a record without them."""
        self._database.uploads.set_purged(upload_id, self._clock.now())
        try:
            self._storage.purge(upload_id)
        except StorageUnavailableError as error:
            _logger.warning("The bytes of upload %s could not be deleted: %s", upload_id, error)

    def _delete_records(self) -> None:
        limit = self._database.upload_limit
        if limit is not None and self._database.uploads.count() >= limit + _BATCH_UPLOADS:
            deleted = self._database.uploads.oldest_ended(_BATCH_UPLOADS)
            for upload_id in deleted:
                self._storage.purge(upload_id)
            self._database.uploads.delete(deleted)
