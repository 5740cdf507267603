"""Acknowledgements outside the cache: what a user wrote is kept in a file, and restored when uploads are fetched again."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from msgspec import DecodeError, Meta, Struct, json

from upload_tui.files import failure_reason, read_text, write_private_file
from upload_tui.monitor.model import Acknowledgement
from upload_tui.monitor.store.database import Database
from upload_tui.monitor.store.rows import to_ms

__all__ = ["AcknowledgementBackup"]

_LAST_MS = 253_402_300_799_999
"""The end of the calendar."""
_ACKNOWLEDGED = (
    "SELECT id, stage, acknowledgement, acknowledged_until_ms FROM uploads "
    "WHERE acknowledged_stage IS NOT NULL AND acknowledged_stage = stage ORDER BY id"
)
_RESTORE = (
    "UPDATE uploads SET acknowledged_stage = stage, acknowledgement = ?, acknowledged_until_ms = ? "
    "WHERE id = ? AND stage = ? AND acknowledged_stage IS NULL"
)
_END = "UPDATE uploads SET acknowledged_stage = NULL WHERE id = ? AND acknowledged_stage IS NOT NULL AND stage <> ?"


class _Kept(Struct, frozen=True, omit_defaults=True):
    """An acknowledgement of an upload in one stage.

    Attributes:
        stage: the rank of the stage.
        until: when it ends, in milliseconds since 1970; None if only a change ends it.
    """

    id: str
    stage: Annotated[int, Meta(ge=0, le=9)]
    note: str = ""
    until: Annotated[int, Meta(ge=0, le=_LAST_MS)] | None = None


class AcknowledgementBackup:
    """Keeps the acknowledgements of a store in a file for their owner alone.

    All methods but the constructor are called within a transaction of the store, so that two dashboards write one after the other.

    Args:
        db: the store's database.
        file: where they are kept; None keeps them nowhere.

    Attributes:
        damage: why the file cannot be used, for the user; empty if all is well.
    """

    def __init__(self, db: Database, file: Path | None) -> None:
        self._db = db
        self._file = file
        self.damage = ""
        self._waiting: dict[str, _Kept] = {}
        self._has_ended = False
        self.reload()

    def reload(self) -> None:
        """Restore all that are in the file from now on, as their uploads are stored."""
        self._waiting = dict(self._read())

    def restore(self) -> None:
        """Restore those whose uploads are stored by now and in the same stage; remove those that have ended from the file."""
        for kept in [*self._waiting.values()]:
            stage = self._stored_stage(kept.id)
            if stage is not None:
                self._has_ended |= stage != kept.stage
                self._db.execute(_RESTORE, (kept.note, kept.until, kept.id, kept.stage))
                del self._waiting[kept.id]
        if self._has_ended and not self.damage:
            self._save()
        self._has_ended = False

    def end(self, upload_id: str, stage: int) -> None:
        """End that of an upload which is about to be stored with the rank of another stage: it may come back to this one."""
        self._has_ended |= self._db.execute(_END, (upload_id, stage)).rowcount > 0

    def set(self, upload_ids: Iterable[str], acknowledgement: Acknowledgement | None) -> None:
        """Acknowledge what is wrong with uploads in their present stage; None removes the acknowledgement."""
        stage, given = ("stage", acknowledgement) if acknowledgement else ("NULL", Acknowledgement())
        self._db.executemany(
            f"UPDATE uploads SET acknowledged_stage = {stage}, acknowledged_until_ms = ?, acknowledgement = ? WHERE id = ?",
            [(to_ms(given.until), given.note, upload_id) for upload_id in upload_ids],
        )
        self._save()

    def _save(self) -> None:
        """Write those of the stored uploads, and keep those of others. A folder that cannot be written is no error."""
        if self._file is None:
            return
        others = [kept for kept in self._read().values() if self._stored_stage(kept.id) is None]
        entries = [*others, *(_Kept(*row) for row in self._db.execute(_ACKNOWLEDGED))]
        with suppress(OSError, ValueError):  # a lone surrogate cannot be encoded
            if self.damage:
                self._file.replace(self._file.with_suffix(".damaged"))
            write_private_file(self._file, json.encode(entries).decode())
            self.damage = ""

    def _stored_stage(self, upload_id: str) -> int | None:
        """The rank of an upload's stage; None if the upload is not stored."""
        row = self._db.execute("SELECT stage FROM uploads WHERE id = ?", (upload_id,)).fetchone()
        return None if row is None else row[0]

    def _read(self) -> Mapping[str, _Kept]:
        """The acknowledgements in the file, by the id of the upload."""
        if self._file is None:
            return {}
        try:
            found = json.decode(read_text(self._file), type=list[_Kept])
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            reason = failure_reason(error)
        except (DecodeError, ValueError, RecursionError):
            reason = "it is damaged"
        else:
            return {kept.id: kept for kept in found}
        self.damage = (
            f"acknowledgements are not restored, {self._file} cannot be read: {reason}; the next one moves it aside"
        )
        return {}
