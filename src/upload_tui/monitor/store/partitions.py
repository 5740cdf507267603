"""Partitions of the uploads: each project and stage is one, with a stored count, so that no total scans the rows."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from upload_tui.monitor.model import ProjectRef
from upload_tui.monitor.store.database import Database
from upload_tui.monitor.store.schema import read_lease
from upload_tui.status import Stage

__all__ = ["READ_MS", "Partition", "PartitionTable", "partition_list"]

READ_MS = "iif(is_stale, read_ms, max(read_ms, (SELECT listed_ms FROM partitions WHERE partitions.partition = uploads.partition)))"
"""When an upload was last read, alone or in a listing of its whole partition; a stale one was listed, but could not be read."""


class Partition(Struct, frozen=True):
    """The uploads of one project in one stage, a row of the table `partitions`; those that are gone have partitions of their own."""

    number: int
    project_number: int
    stage_rank: int
    is_gone: bool
    upload_count: int


def partition_list(partitions: Sequence[Partition]) -> str:
    """The partitions' numbers for an SQL `IN (…)`."""
    return ", ".join(str(partition.number) for partition in partitions) or "NULL"


class PartitionTable:
    """The projects and partitions of one store, with a cache of their row numbers.

    Args:
        db: the store's database.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._numbers: dict[object, int] = {}
        self._names: dict[str, str] = {}

    def clear_cache(self) -> None:
        """Forget the row numbers and names, after a rollback or when the database was replaced."""
        self._numbers.clear()
        self._names.clear()

    def select(
        self,
        project_ids: frozenset[str] = frozenset(),
        stages: frozenset[Stage] = frozenset(),
        *,
        with_gone: bool = True,
    ) -> tuple[Partition, ...]:
        """The partitions of these projects and stages (empty sets mean all) that hold any uploads."""
        ranks = {stage.rank for stage in stages}
        rows = self._db.execute(
            "SELECT partition, project, stage, is_gone, upload_count, id FROM partitions JOIN projects USING (project) "
            "WHERE upload_count > 0"
        )
        return tuple(
            Partition(number, project, stage, bool(is_gone), upload_count)
            for number, project, stage, is_gone, upload_count, project_id in rows
            if (not project_ids or project_id in project_ids)
            and (not ranks or stage in ranks)
            and (with_gone or not is_gone)
        )

    def ids(self, stages: frozenset[Stage]) -> frozenset[str]:
        """The ids of the uploads in these stages that are not gone."""
        partitions = self.select(stages=stages, with_gone=False) if stages else ()
        rows = self._db.execute(f"SELECT id FROM uploads WHERE partition IN ({partition_list(partitions)})")
        return frozenset(row[0] for row in rows)

    def projects(self) -> Mapping[int, ProjectRef]:
        """All projects by row number."""
        return {
            number: ProjectRef(*rest) for number, *rest in self._db.execute("SELECT project, id, name FROM projects")
        }

    def numbers(self, project_id: str, project_name: str, stage_rank: int) -> tuple[int, int]:
        """The row numbers of a project and of its partition for a stage; both are created if missing."""
        project = self.name_project(project_id, project_name)
        return project, self.number(project, stage_rank, is_gone=False)

    def number(self, project: int, stage_rank: int, *, is_gone: bool) -> int:
        """The row number of a partition, which is created if missing."""
        key = (project, stage_rank, is_gone)
        if key not in self._numbers:
            self._db.execute("INSERT OR IGNORE INTO partitions (project, stage, is_gone) VALUES (?, ?, ?)", key)
            where = "project = ? AND stage = ? AND is_gone = ?"
            self._numbers[key] = self._db.execute(f"SELECT partition FROM partitions WHERE {where}", key).fetchone()[0]
        return self._numbers[key]

    def is_named(self, project_id: str, name: str) -> bool:
        """Whether the project has this name, or had it in this process: an upload may have another one."""
        sql = "SELECT 1 FROM projects WHERE id = ? AND name = ?"
        return (project_id, name) in self._numbers or self._db.execute(sql, (project_id, name)).fetchone() is not None

    def name_project(self, project_id: str, name: str) -> int:
        """The row number of a project, which is created if missing. Its name is the latest one that is neither empty nor its id."""
        key = (project_id, name)
        if key not in self._numbers or self._names.get(project_id, name) != name:
            sql = (
                "INSERT INTO projects (id, name) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET name = "
                "iif(excluded.name = '' OR (excluded.name = id AND name <> ''), name, excluded.name) RETURNING project"
            )
            self._numbers[key] = self._db.execute(sql, key).fetchone()[0]
            if name not in {"", project_id}:
                self._names[project_id] = name
        return self._numbers[key]

    def set_gone(self, upload_id: str, *, is_gone: bool) -> None:
        """Mark an upload as gone or not, which moves it to another partition; unknown ids are ignored."""
        row = self._db.execute("SELECT project, stage FROM uploads WHERE id = ?", (upload_id,)).fetchone()
        if row is not None:
            partition = self.number(*row, is_gone=is_gone)
            if read_lease(self._db) is not None:
                self.move_count(upload_id, partition)
            moved = f"UPDATE uploads SET read_ms = {READ_MS}, is_gone = ?, partition = ? WHERE id = ?"
            self._db.execute(moved, (is_gone, partition, upload_id))

    def delete_oldest_gone(self, project_id: str) -> None:
        """Delete a project's gone uploads beyond `Limits.gone_uploads_kept`, first those that the service listed longest ago.

        Nothing is deleted during a bulk load. The row with the highest number stays, because later uploads must get higher ones.
        """
        gone = [one for one in self.select(frozenset({project_id})) if one.is_gone]
        surplus = sum(partition.upload_count for partition in gone) - self._db.limits.gone_uploads_kept
        if surplus < self._db.limits.gone_uploads_surplus or read_lease(self._db) is not None:
            return
        self._db.execute(
            "DELETE FROM uploads WHERE number IN ("
            f"SELECT number FROM uploads WHERE partition IN ({partition_list(gone)}) "
            "AND number < (SELECT max(number) FROM uploads) ORDER BY read_ms, number LIMIT ?)",
            (surplus,),
        )

    def delete(self, upload_ids: Iterable[str]) -> None:
        """Delete uploads of a source, as if they had never been read; not during a bulk load."""
        self._db.executemany("DELETE FROM uploads WHERE id = ?", [(upload_id,) for upload_id in upload_ids])

    def move_count(self, upload_id: str, partition: int) -> None:
        """Update the counts for an upload that enters a partition; only during a bulk load, while the triggers are dropped."""
        leave = "UPDATE partitions SET upload_count = upload_count - 1 WHERE partition = (SELECT partition FROM uploads WHERE id = ?)"
        self._db.execute(leave, (upload_id,))
        self._db.execute("UPDATE partitions SET upload_count = upload_count + 1 WHERE partition = ?", (partition,))
