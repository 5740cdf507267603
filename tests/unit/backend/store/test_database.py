"""Databases of earlier and later versions, and of services that were killed."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from upload_tui.backend.store.database import MIGRATIONS, Database, migrate
from upload_tui.errors import UsageError
from upload_tui.status import Stage

ON = datetime(2026, 3, 14, tzinfo=UTC)


def test_a_database_of_the_first_version_is_migrated_with_its_data(tmp_path: Path) -> None:
    file = tmp_path / "records.db"
    with sqlite3.connect(file) as first:  # the first version stored no version number
        first.executescript(MIGRATIONS[0])
        first.execute("INSERT INTO projects VALUES ('p', 'old', '-', 0)")
        first.execute(
            "INSERT INTO uploads (id, project_id, name, content_type, size_bytes, initiated_ms, completed_ms, updated_ms) "
            "VALUES ('u', 'p', 'a.bin', 'text/plain', 3, 1, 2, 2)"
        )
        first.execute("INSERT INTO jobs VALUES ('u', 2, 2, 1, 'running', '')")
    first.close()
    for _ in range(2):  # the second opening has nothing to migrate
        database = Database(file)
        upload = database.uploads.get("u")
        assert upload is not None
        assert (upload.is_chunked, upload.project_name, upload.timeline.stage) == (True, "old", Stage.COMPLETED)
        assert database.queue.summary().depth == 1
        database.close()


def test_a_database_of_a_newer_version_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "records.db"
    Database(file).close()
    with sqlite3.connect(file) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(UsageError, match="newer version"):
        Database(file)


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "records.db"
    unmigrated = sqlite3.connect(file, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError):
        migrate(unmigrated, (MIGRATIONS[0], "CREATE TABLE half (a); CREATE TABLE half (a);"))
    unmigrated.close()
    database = Database(file)
    assert database.projects.page(0, 10) == ([], 0)
    database.close()


def test_a_database_is_locked_by_one_service(tmp_path: Path) -> None:
    file = tmp_path / "records.db"
    first = Database(file)
    with pytest.raises(UsageError, match="in use by another service"):
        Database(file)
    first.close()
    Database(file).close()
