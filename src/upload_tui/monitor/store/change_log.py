"""The change log: recent changes in a store's file, so that every dashboard with that file publishes each change once.

The process that reads a change first stores it; for the next one, the service has nothing new. Entries are appended in the
transaction that stores the changed upload.
"""

from collections.abc import Sequence
from secrets import randbits

from msgspec.json import Decoder, encode

from upload_tui.monitor.changes import (
    AnomalyNoticed,
    StageReached,
    UploadChange,
    UploadGone,
    UploadPurged,
    UploadSeen,
)
from upload_tui.monitor.store.database import Database

__all__ = ["ChangeLog"]

_MAX_CHANGES = 10_000
_DECODERS = {
    kind.__name__: Decoder(kind) for kind in (AnomalyNoticed, StageReached, UploadGone, UploadPurged, UploadSeen)
}


class ChangeLog:
    """The change log of one store.

    Args:
        db: the store's database; a log in memory stays empty, since no other process can read it.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._writer = randbits(62)

    def last_number(self) -> int:
        """The number of the last entry; 0 if there is none."""
        number: int = self._db.execute("SELECT coalesce(max(number), 0) FROM told").fetchone()[0]
        return number

    def append(self, changes: Sequence[UploadChange]) -> None:
        """Append changes that this process publishes; within a transaction of the store."""
        if self._db.file is None or not changes:
            return
        self._db.executemany(
            "INSERT INTO told (teller, project_id, kind, change) VALUES (?, ?, ?, ?)",
            [
                (self._writer, change.upload.project_id, type(change).__name__, encode(change).decode())
                for change in changes
            ],
        )
        self._db.execute("DELETE FROM told WHERE number <= ?", (self.last_number() - _MAX_CHANGES,))

    def by_others(self, since: int, project_id: str) -> tuple[Sequence[UploadChange], int]:
        """A project's changes by other processes after entry number `since`, in order; and the number of the last entry."""
        if self._db.file is None or (last := self.last_number()) == since:
            return (), since
        rows = self._db.execute(
            "SELECT kind, change FROM told WHERE number > ? AND teller <> ? AND project_id = ? ORDER BY number",
            (since, self._writer, project_id),
        )
        return [_DECODERS[kind].decode(change) for kind, change in rows if kind in _DECODERS], last
