"""What is known of uploads, in SQLite: written by the synchroniser, asked by the session. Knows no service and no screen."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from upload_tui.monitor.asked import Asked, Cell, asked_for
from upload_tui.monitor.bulk_lease import lease_of
from upload_tui.monitor.bulk_load import BulkLoad
from upload_tui.monitor.database import Database
from upload_tui.monitor.page_image import has_images
from upload_tui.monitor.picture import ProjectRef, Query, SortKey
from upload_tui.monitor.searches import Searches
from upload_tui.monitor.store_conditions import StuckBefore
from upload_tui.monitor.stored_rows import KEPT, READ, StoredUpload, milliseconds, stored_upload, values_of
from upload_tui.monitor.stored_words import StoredWords
from upload_tui.monitor.told_changes import ToldChanges
from upload_tui.monitor.windows import Windows
from upload_tui.status import Anomaly, Stage

if TYPE_CHECKING:
    from upload_tui.wire.upload import Upload

__all__ = ["Entry", "Found", "Store", "StoredUpload", "StuckBefore"]

_SELECTED = f"SELECT {', '.join(READ)} FROM uploads JOIN projects USING (project)"
_UPSERT = (
    f"INSERT INTO uploads ({', '.join(KEPT)}) VALUES ({', '.join('?' * len(KEPT))}) ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{column} = excluded.{column}" for column in KEPT[1:])
    + " RETURNING number"
)
_AT_ONCE = 500

Entry: TypeAlias = "tuple[Upload, str, Sequence[Anomaly], datetime | None]"


class Found(Struct, frozen=True):
    """Some uploads of a query's answer; `total` is how many it has, and grows while it `is_settled` not."""

    uploads: Sequence[StoredUpload]
    total: int
    is_settled: bool = True


class Store:
    """The uploads of one service and account.

    Args:
        file: where to keep them; None keeps them in memory for this visit. Where it cannot be used, or not any more, `remark`
            says what took its place.
        monotonic: seconds that never go backwards.
    """

    takes_bulk = has_images
    """Whether pages may be poured in."""

    def __init__(self, file: Path | None = None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._db = Database(file, self._was_replaced)
        self._monotonic = monotonic
        self._own_revision = 0
        self._seen_version = 0
        self._replaced: Callable[[], object] = lambda: None
        self._forget()
        self.bulk = BulkLoad(self._db, self.transaction, self._cell_of)
        """Pours whole pages in, past `put`."""
        self.told = ToldChanges(self._db)
        """The changes that are told from here."""

    def _forget(self) -> None:
        """Whatever was remembered of the database."""
        self._numbers: dict[object, int] = {}
        self._windows = Windows(self._db)
        self._searches = Searches(self._db, self._monotonic)
        self._words = StoredWords(self._db)

    def _was_replaced(self) -> None:
        self._own_revision += 1
        self._forget()
        self._replaced()

    def when_replaced(self, act: Callable[[], object]) -> None:
        """Do something when another database took the place of one that failed."""
        self._replaced = act

    def close(self) -> None:
        """Close the database."""
        self.bulk.leave()
        self._db.close()

    @property
    def remark(self) -> str:
        """What the person should be told of where it is kept; empty for nothing."""
        return self._db.remark

    @property
    def generation(self) -> int:
        """Grows when all that was known is gone, and is to be fetched again."""
        return self._db.generation

    @property
    def db(self) -> Database:
        """The database, for the figures that `StoredFigures` reckons."""
        return self._db

    @property
    def revision(self) -> int:
        """Grows whenever anything may differ, whoever wrote it."""
        version: int = self._db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._seen_version:
            self._seen_version = version
            self._own_revision += 1
        return self._own_revision

    # Writing

    def put(self, uploads: Iterable[Entry]) -> None:
        """Keep readings, each with the service's words, what a comparison noticed, and the bound from below of its last event."""
        with self.transaction():
            is_counted = lease_of(self._db) is None
            for upload, raw, noticed, earliest in uploads:
                project, cell = self._cell_of(upload.project_id, upload.project_name, upload.stage.rank)
                if not is_counted:
                    self._count(upload.id, cell)
                number = self._db.execute(_UPSERT, values_of(upload, project, cell, noticed, earliest)).fetchone()[0]
                self._db.execute("INSERT OR REPLACE INTO words VALUES (?, ?)", (number, raw))

    def mark(self, upload_ids: Iterable[str], *, gone: bool | None = None, stale: bool | None = None) -> None:
        """Mark uploads as gone or not, as stale or not; None leaves a mark as it is."""
        with self.transaction():
            for upload_id in upload_ids:
                if stale is not None:
                    self._db.execute("UPDATE uploads SET is_stale = ? WHERE id = ?", (stale, upload_id))
                if gone is not None:
                    self._move(upload_id, is_gone=gone)

    def touch(self, upload_ids: Sequence[str], read_on: datetime) -> None:
        """The service said the same of these uploads again."""
        with self.transaction():
            self._db.executemany(
                "UPDATE uploads SET read_ms = ?, is_stale = 0 WHERE id = ?",
                [(milliseconds(read_on), upload_id) for upload_id in upload_ids],
            )
            for start in range(0, len(upload_ids), _AT_ONCE):
                some = upload_ids[start : start + _AT_ONCE]
                places = ", ".join("?" * len(some))
                back = f"SELECT id FROM uploads WHERE is_gone AND id IN ({places})"
                for (upload_id,) in self._db.execute(back, some).fetchall():
                    self._move(upload_id, is_gone=False)

    def _move(self, upload_id: str, *, is_gone: bool) -> None:
        row = self._db.execute("SELECT project, stage FROM uploads WHERE id = ?", (upload_id,)).fetchone()
        if row is not None:
            cell = self._cell(*row, is_gone=is_gone)
            if lease_of(self._db) is not None:
                self._count(upload_id, cell)
            self._db.execute("UPDATE uploads SET is_gone = ?, cell = ? WHERE id = ?", (is_gone, cell, upload_id))

    def _count(self, upload_id: str, cell: int) -> None:
        """An upload comes into a cell, maybe from another, while no trigger counts it."""
        moves = "UPDATE cells SET uploads = uploads - 1 WHERE cell = (SELECT cell FROM uploads WHERE id = ?)"
        self._db.execute(moves, (upload_id,))
        self._db.execute("UPDATE cells SET uploads = uploads + 1 WHERE cell = ?", (cell,))

    def _project(self, project_id: str, name: str) -> int:
        key = (project_id, name)
        if key not in self._numbers:
            sql = (
                "INSERT INTO projects (id, name) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name "
                "RETURNING project"
            )
            self._numbers[key] = self._db.execute(sql, key).fetchone()[0]
        return self._numbers[key]

    def _cell_of(self, project_id: str, project_name: str, rank: int) -> tuple[int, int]:
        """The numbers of a project, and of its cell for a stage."""
        project = self._project(project_id, project_name)
        return project, self._cell(project, rank, is_gone=False)

    def _cell(self, project: int, stage: int, *, is_gone: bool) -> int:
        key = (project, stage, is_gone)
        if key not in self._numbers:
            self._db.execute("INSERT OR IGNORE INTO cells (project, stage, is_gone) VALUES (?, ?, ?)", key)
            where = "project = ? AND stage = ? AND is_gone = ?"
            self._numbers[key] = self._db.execute(f"SELECT cell FROM cells WHERE {where}", key).fetchone()[0]
        return self._numbers[key]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is read and written within is one, also for others; one within another belongs to it.

        Raises:
            BusyStorageError: another process writes, and does not come to an end; or (`ReplacedStorageError`) the database failed,
                and another took its place. Nothing of it is kept.
        """
        self._own_revision += 1
        try:
            with self._db.transaction():
                yield
        except BaseException:
            self._numbers.clear()
            raise

    # Asking

    def get(self, upload_id: str) -> StoredUpload | None:
        """One upload; None if it is not known."""
        row = self._db.execute(f"{_SELECTED} WHERE uploads.id = ?", (upload_id,)).fetchone()
        return None if row is None else stored_upload(row)

    def raw(self, upload_id: str) -> str:
        """The service's last words about an upload; empty if it is not known, or if they cannot be read any more."""
        return self._words.raw(upload_id)

    def look(
        self, query: Query, stuck: StuckBefore, offset: int, limit: int, patience_seconds: float | None = None
    ) -> Found:
        """At most `limit` uploads of a query's answer from `offset`; what stands deep in it costs little more than its ends.

        With `patience_seconds`, a search that finds many gives what it finds within them; ask again for more.
        """
        asked, offset, limit = asked_for(query, stuck, self.cells), max(0, offset), max(0, limit)
        if not asked.condition:
            numbers = self._windows.numbers(asked, offset, limit, self.revision)
            return Found(self._rows(numbers), asked.total)
        found = self._searches.found(asked, self.revision, offset + limit, patience_seconds)
        rows = self._rows(found.numbers[offset : offset + limit])
        return Found(rows, len(found.numbers), found.is_settled)

    def window(self, query: Query, stuck: StuckBefore, offset: int, limit: int) -> Sequence[StoredUpload]:
        """As `look` without hurry: the uploads alone."""
        return self.look(query, stuck, offset, limit).uploads

    def total(self, query: Query, stuck: StuckBefore) -> int:
        """How many uploads a query has."""
        return self.look(query, stuck, 0, 0).total

    def position(self, query: Query, stuck: StuckBefore, upload_id: str) -> int | None:
        """The place (from 0) of an upload in a query's answer, as it was looked at last; None if it is not in it."""
        row = self._db.execute("SELECT number, cell FROM uploads WHERE id = ?", (upload_id,)).fetchone()
        if row is None:
            return None
        asked = asked_for(query, stuck, self.cells)
        if asked.condition:
            return self._searches.position(asked, self.revision, row[0])
        return self._windows.position(asked, row[0], row[1], self.revision)

    def cells(
        self, project_ids: frozenset[str] = frozenset(), stages: frozenset[Stage] = frozenset(), *, gone: bool = True
    ) -> tuple[Cell, ...]:
        """The cells, none of them empty, of these projects and stages (empty: all); with or without what is gone."""
        ranks = {stage.rank for stage in stages}
        rows = self._db.execute(
            "SELECT cell, project, stage, is_gone, uploads, id FROM cells JOIN projects USING (project) WHERE uploads > 0"
        )
        return tuple(
            Cell(number, project, stage, bool(is_gone), uploads)
            for number, project, stage, is_gone, uploads, project_id in rows
            if (not project_ids or project_id in project_ids)
            and (not ranks or stage in ranks)
            and (gone or not is_gone)
        )

    def _rows(self, numbers: Sequence[int]) -> Sequence[StoredUpload]:
        found: dict[int, StoredUpload] = {}
        for start in range(0, len(numbers), _AT_ONCE):
            listing = ", ".join(map(str, numbers[start : start + _AT_ONCE]))
            rows = self._db.execute(f"{_SELECTED} WHERE number IN ({listing})")
            found.update((row[0], stored_upload(row)) for row in rows)
        return [found[number] for number in numbers if number in found]

    def pending(self, project_ids: frozenset[str] = frozenset(), limit: int = -1) -> Sequence[StoredUpload]:
        """Uploads whose fate is open, the completed first, the longest waiting first; those that are gone are left out."""
        found: list[StoredUpload] = []
        for stage in (Stage.COMPLETED, Stage.INITIATED):
            cells = self.cells(project_ids, frozenset({stage}), gone=False)
            asked = Asked(cells, False, "", (), SortKey.SINCE, False)
            wanted = asked.total if limit < 0 else limit - len(found)
            found.extend(self._rows(self._windows.numbers(asked, 0, wanted, self.revision)))
        return found

    def known(self, upload_ids: Sequence[str]) -> frozenset[str]:
        """Those of the ids that are known."""
        found: set[str] = set()
        for start in range(0, len(upload_ids), _AT_ONCE):
            some = upload_ids[start : start + _AT_ONCE]
            places = ", ".join("?" * len(some))
            found.update(row[0] for row in self._db.execute(f"SELECT id FROM uploads WHERE id IN ({places})", some))
        return frozenset(found)

    def place_among(self, cells: tuple[Cell, ...], upload_id: str) -> int | None:
        """The place (from 0) of an upload among those of some cells, newest first; None if it is not among them."""
        row = self._db.execute("SELECT number, cell FROM uploads WHERE id = ?", (upload_id,)).fetchone()
        asked = Asked(cells, False, "", (), SortKey.INITIATED, True)
        return row and self._windows.position(asked, row[0], row[1], self.revision)

    def projects(self) -> Sequence[ProjectRef]:
        """The projects of which any upload is known."""
        rows = self._db.execute(
            "SELECT id, name FROM projects WHERE project IN (SELECT project FROM cells WHERE uploads > 0) ORDER BY name, id"
        )
        return [ProjectRef(*row) for row in rows]

    # What a visit leaves for the next

    def keep_fact(self, name: str, value: Any) -> None:
        """Keep a JSON value under a name."""
        with self.transaction():
            self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    def fact(self, name: str) -> Any:
        """The value under a name; None if there is none."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])
