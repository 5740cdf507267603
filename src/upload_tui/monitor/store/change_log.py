"""The last changes that anybody told from a store's file, so that every dashboard over it tells all of them, and none twice.

Whoever reads a change first keeps it: for the next one who asks, the service says nothing new. Made by the store; written by
`intake` and the synchroniser in the transaction in which they keep what changed.
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
    """What was told, by whom.

    Args:
        db: the store's; nothing is remembered in memory, where nobody else ever sees it.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._writer = randbits(62)

    def last_number(self) -> int:
        """The number of the last change that anybody told."""
        number: int = self._db.execute("SELECT coalesce(max(number), 0) FROM told").fetchone()[0]
        return number

    def append(self, changes: Sequence[UploadChange]) -> None:
        """We tell these; within a transaction of the store's."""
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
        """What others told of a project after the change of this number, in order; and the number of the last of all changes."""
        if self._db.file is None or (last := self.last_number()) == since:
            return (), since
        rows = self._db.execute(
            "SELECT kind, change FROM told WHERE number > ? AND teller <> ? AND project_id = ? ORDER BY number",
            (since, self._writer, project_id),
        )
        known = [(kind, change) for kind, change in rows if kind in _DECODERS]
        return [_DECODERS[kind].decode(change) for kind, change in known], last
