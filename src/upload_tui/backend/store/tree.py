"""The tables of projects and of their trees: folders, files and versions. A deleted row is kept but never returned."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from upload_tui.backend.store.records import (
    AncestorRecord,
    NodeKind,
    NodeRecord,
    ProjectRecord,
    VersionRecord,
    from_milliseconds,
    placeholders,
    to_milliseconds,
    transaction,
)

__all__ = ["Projects", "Tree"]

_SELECT = "SELECT id, name, description, created_ms, updated_ms FROM projects WHERE deleted_ms IS NULL"


class Projects:
    """Projects, over a database's connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add(self, project: ProjectRecord) -> None:
        """Insert a project."""
        values = (project.id, project.name, project.description, to_milliseconds(project.created_on))
        self._db.execute("INSERT INTO projects (id, name, description, created_ms) VALUES (?, ?, ?, ?)", values)

    def get(self, project_id: str) -> ProjectRecord | None:
        """Return a project; None if it does not exist."""
        row = self._db.execute(f"{_SELECT} AND id = ?", (project_id,)).fetchone()
        return None if row is None else _project(row)

    def page(self, offset: int, limit: int) -> tuple[Sequence[ProjectRecord], int]:
        """Return a page of projects in order of creation, and how many there are."""
        rows = self._db.execute(f"{_SELECT} ORDER BY created_ms, id LIMIT ? OFFSET ?", (limit, offset))
        found = [_project(row) for row in rows]
        return found, int(self._db.execute("SELECT count(*) FROM projects WHERE deleted_ms IS NULL").fetchone()[0])

    def change(self, project_id: str, name: str | None, description: str | None, on: datetime) -> None:
        """Change a project's name, description, or both; None leaves it as it is."""
        self._db.execute(
            "UPDATE projects SET name = ifnull(?, name), description = ifnull(?, description), updated_ms = ? "
            "WHERE id = ? AND deleted_ms IS NULL",
            (name, description, to_milliseconds(on), project_id),
        )

    def delete(self, project_id: str, on: datetime) -> None:
        """Mark a project and its tree as deleted. Its uploads are not affected."""
        with transaction(self._db):
            for table, column in (("nodes", "project_id"), ("projects", "id")):
                self._db.execute(
                    f"UPDATE {table} SET deleted_ms = ? WHERE {column} = ? AND deleted_ms IS NULL",
                    (to_milliseconds(on), project_id),
                )


def _project(row: Sequence[Any]) -> ProjectRecord:
    project_id, name, description, created_ms, updated_ms = row
    updated_on = None if updated_ms is None else from_milliseconds(updated_ms)
    return ProjectRecord(project_id, name, description, from_milliseconds(created_ms), updated_on)


_NODE_COLUMNS = "nodes.id, kind, project_id, parent_id, name, created_ms, updated_ms"
_NOT_DELETED = "deleted_ms IS NULL"
_VERSION_COLUMNS = "id, file_id, number, upload_id, label, created_ms"
_SUBTREE = (
    "WITH RECURSIVE below (id) AS (SELECT id FROM nodes WHERE id = ?1 UNION "
    "SELECT nodes.id FROM nodes JOIN below ON nodes.parent_id = below.id) "
)
"""A node and everything below it."""


class Tree:
    """Folders and files, over a database's connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    # Nodes

    def add(self, node: NodeRecord) -> None:
        """Insert a folder. A file is inserted together with its first version."""
        self._db.execute(
            "INSERT INTO nodes (id, kind, project_id, parent_id, name, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                node.id,
                str(node.kind),
                node.project_id,
                node.parent_id,
                node.name,
                to_milliseconds(node.created_on),
                to_milliseconds(node.updated_on),
            ),
        )

    def get(self, kind: NodeKind, node_id: str) -> NodeRecord | None:
        """Return a folder or a file; None if it does not exist."""
        row = self._db.execute(
            f"SELECT {_NODE_COLUMNS} FROM nodes WHERE id = ? AND kind = ? AND {_NOT_DELETED}", (node_id, str(kind))
        ).fetchone()
        return None if row is None else _node(row)

    def children(
        self, project_id: str, parent_id: str | None, offset: int, limit: int
    ) -> tuple[Sequence[NodeRecord], int]:
        """Return a page of the direct children of a project (`parent_id` None) or a folder, and how many there are."""
        return self._page(
            f"nodes WHERE project_id = ? AND parent_id IS ? AND {_NOT_DELETED}", (project_id, parent_id), offset, limit
        )

    def search(
        self, project_id: str, parent_id: str | None, text: str, offset: int, limit: int
    ) -> tuple[Sequence[NodeRecord], int]:
        """Return a page of everything below a project or a folder whose name contains a text, and how many there are."""
        has_text = "(?2 = '' OR instr(lower(name), lower(?2)) > 0)"
        if parent_id is None:
            return self._page(
                f"nodes WHERE project_id = ?1 AND {has_text} AND {_NOT_DELETED}", (project_id, text), offset, limit
            )
        below = "nodes JOIN below USING (id) WHERE id <> ?1"
        return self._page(
            f"{below} AND {has_text} AND {_NOT_DELETED}", (parent_id, text), offset, limit, before=_SUBTREE
        )

    def files(self, project_id: str, offset: int, limit: int) -> tuple[Sequence[NodeRecord], int]:
        """Return a page of all files of a project, and how many there are."""
        return self._page(
            f"nodes WHERE project_id = ? AND kind = 'file' AND {_NOT_DELETED}", (project_id,), offset, limit
        )

    def _page(
        self, source: str, values: tuple[str | None, ...], offset: int, limit: int, before: str = ""
    ) -> tuple[Sequence[NodeRecord], int]:
        rows = self._db.execute(
            f"{before}SELECT {_NODE_COLUMNS} FROM {source} ORDER BY serial LIMIT {int(limit)} OFFSET {int(offset)}",
            values,
        ).fetchall()
        total = self._db.execute(f"{before}SELECT count(*) FROM {source}", values).fetchone()
        return [_node(row) for row in rows], int(total[0])

    def ancestors_of(self, node_ids: Sequence[str]) -> Mapping[str, Sequence[AncestorRecord]]:
        """The folders above each node, outermost first."""
        found: dict[str, list[AncestorRecord]] = {node_id: [] for node_id in node_ids}
        for node_id, *folder in self._db.execute(
            "WITH RECURSIVE above (node, folder, height) AS ("
            f"SELECT id, parent_id, 1 FROM nodes WHERE id IN ({placeholders(node_ids)}) UNION ALL "
            "SELECT above.node, nodes.parent_id, height + 1 FROM above JOIN nodes ON nodes.id = above.folder) "
            "SELECT node, id, name FROM above JOIN nodes ON nodes.id = folder ORDER BY height DESC",
            node_ids,
        ):
            found[node_id].append(AncestorRecord(*folder))
        return found

    def rename(self, node_id: str, name: str, on: datetime) -> None:
        """Rename a node."""
        self._db.execute("UPDATE nodes SET name = ?, updated_ms = ? WHERE id = ?", (name, to_milliseconds(on), node_id))

    def move(self, node_id: str, parent_id: str | None, on: datetime) -> bool:
        """Move a node within its project. Returns False if the target is the node itself or below it."""
        moved = self._db.execute(
            "UPDATE nodes SET parent_id = ?2, updated_ms = ?3 WHERE id = ?1 "
            f"AND NOT EXISTS ({_SUBTREE} SELECT 1 FROM below WHERE id = ?2)",
            (node_id, parent_id, to_milliseconds(on)),
        )
        return moved.rowcount == 1

    def delete(self, node_id: str, on: datetime) -> None:
        """Mark a node and everything below it as deleted."""
        self._db.execute(
            f"UPDATE nodes SET deleted_ms = ?2 WHERE id IN ({_SUBTREE} SELECT id FROM below) AND {_NOT_DELETED}",
            (node_id, to_milliseconds(on)),
        )

    # Versions

    def add_file(self, node: NodeRecord, version: VersionRecord) -> None:
        """Insert a file and its first version in one transaction."""
        with transaction(self._db):
            self.add(node)
            self._insert_version(version)

    def add_version(self, version: VersionRecord) -> None:
        """Insert the next version of a file; the record's number is ignored."""
        on = to_milliseconds(version.created_on)
        with transaction(self._db):
            self._insert_version(version)
            self._db.execute("UPDATE nodes SET updated_ms = ? WHERE id = ?", (on, version.file_id))

    def _insert_version(self, version: VersionRecord) -> None:
        self._db.execute(
            f"INSERT INTO versions ({_VERSION_COLUMNS}) SELECT ?1, ?2, 1 + ifnull(max(number), 0), ?3, ?4, ?5 "
            "FROM versions WHERE file_id = ?2",
            (version.id, version.file_id, version.upload_id, version.label, to_milliseconds(version.created_on)),
        )

    def version(self, version_id: str) -> VersionRecord | None:
        """Return a version of a file; None if it does not exist."""
        row = self._db.execute(
            f"SELECT {_VERSION_COLUMNS} FROM versions WHERE id = ? AND file_id IN (SELECT id FROM nodes WHERE {_NOT_DELETED})",
            (version_id,),
        ).fetchone()
        return None if row is None else _version(row)

    def versions(self, file_id: str, offset: int, limit: int) -> tuple[Sequence[VersionRecord], int]:
        """Return a page of a file's versions, newest first, and how many there are."""
        rows = self._db.execute(
            f"SELECT {_VERSION_COLUMNS} FROM versions WHERE file_id = ? ORDER BY number DESC LIMIT ? OFFSET ?",
            (file_id, limit, offset),
        )
        found = [_version(row) for row in rows]
        counted = self._db.execute("SELECT count(*) FROM versions WHERE file_id = ?", (file_id,)).fetchone()
        return found, int(counted[0])

    def current_versions(self, file_ids: Sequence[str]) -> Mapping[str, VersionRecord]:
        """The newest version of each file."""
        rows = self._db.execute(
            f"SELECT {_VERSION_COLUMNS}, max(number) FROM versions WHERE file_id IN ({placeholders(file_ids)}) GROUP BY file_id",
            file_ids,
        )
        return {row[1]: _version(row[:-1]) for row in rows}


def _node(row: Sequence[Any]) -> NodeRecord:
    node_id, kind, project_id, parent_id, name, created_ms, updated_ms = row
    return NodeRecord(
        node_id,
        NodeKind(kind),
        project_id,
        parent_id,
        name,
        from_milliseconds(created_ms),
        from_milliseconds(updated_ms),
    )


def _version(row: Sequence[Any]) -> VersionRecord:
    version_id, file_id, number, upload_id, label, created_ms = row
    return VersionRecord(version_id, file_id, number, upload_id, label, from_milliseconds(created_ms))
