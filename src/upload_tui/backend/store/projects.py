"""The table of projects. A deleted row is kept but never returned."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from upload_tui.backend.store.records import ProjectRecord
from upload_tui.backend.store.statements import from_milliseconds, to_milliseconds, transaction

__all__ = ["Projects"]

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
