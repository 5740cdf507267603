"""Files of every earlier version, also during a bulk load: no data are lost, and what is derived from them is right."""

import hashlib
import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.json import encode
from msgspec.structs import replace

from upload_tui.monitor.changes import UploadGone, UploadRef
from upload_tui.monitor.model import Acknowledgement
from upload_tui.monitor.queries.parser import parse_query
from upload_tui.monitor.queries.query import Query
from upload_tui.monitor.store.rows import WRITE_COLUMNS, row_values
from upload_tui.monitor.store.schema import MIGRATIONS, compress_page, migrate, read_lease
from upload_tui.monitor.store.schema.indexes import INDEXES
from upload_tui.monitor.store.store import Store, TroubleThresholds, WaitThresholds
from upload_tui.status import Anomaly, AnomalyName, Event, Stage, Timeline
from upload_tui.testing import NOW
from upload_tui.wire import Upload

DIGESTS = (
    "e3b0c44298fc", "022fcbbf48e3", "b23c0fcf204f", "935abafdbede", "29b565df994e", "605f940b65c7", "8aefe225b2ff",
    "aa612b1565df", "8ec354169571", "5a0dab34e816", "dd919aab89bf", "f91e50928788", "d6dced7db5a6", "4046aa003a12",
    "87e49d896516",
)  # fmt: skip
"""Of each migration, whatever its white space."""

VERSIONS = range(2, len(MIGRATIONS))
"""Those with data; those of version 1 are fetched again."""
LAST_WITH_OLD_NAMES = 13
LEASES = [None, "1", "[5, 0.0]", "[5, now]"]
"""No bulk load; one of a version without leases; one that was given up; one that goes on."""
DROPPED_IN_BULK = (
    "sql NOT NULL AND type IN ('index', 'trigger') "
    "AND name NOT IN ('by_initiated', 'by_begun', 'by_first_event', 'by_trouble', 'by_acknowledged')"
)

NONE_STUCK = WaitThresholds(NOW, NOW)
THRESHOLDS = TroubleThresholds(NONE_STUCK, NOW, NONE_STUCK, NOW)
NOTICED = (Anomaly(AnomalyName.TIME_CHANGED, "the time of completed changed"),)
GONE_CHANGE = UploadGone(at=NOW, upload=UploadRef("u-1", "scan 01.tiff", "p-1", "Genome"))


def an_upload(number: int, **changes: Any) -> Upload:
    """Uploads of two projects in all stages; every third has a name that is not in ASCII."""
    stages = ((), (Stage.COMPLETED,), (Stage.COMPLETED, Stage.VERIFIED), (Stage.COMPLETED, Stage.ERROR))[number % 4]
    events = [
        Event(stage, NOW - timedelta(minutes=9 - stage.rank), message="checksum of Ä" if stage is Stage.ERROR else None)
        for stage in (Stage.INITIATED, *stages)
    ]
    upload = Upload(
        id=f"u-{number}", project_id=f"p-{number % 2}", project_name=("Proteome", "Genome")[number % 2],
        name=f"{'Größe' if number % 3 == 0 else 'scan'} {number:02}.tiff", size_bytes=number, read_on=NOW,
        timeline=Timeline(tuple(events)), content_type="image/tiff", uploader="Ana", storage_provider="ceph",
    )  # fmt: skip
    return replace(upload, **changes)


UPLOADS = [an_upload(number) for number in range(12)]
PAGE = {"results": [{"id": upload.id, "content_type": upload.content_type} for upload in UPLOADS[:6]]}
"""The first uploads have their JSON in a page, the others in rows of their own."""


def raw_json(number: int) -> dict[str, Any]:
    return {"id": f"u-{number}", "content_type": "image/tiff"}


def old_file(file: Path, version: int, lease: str | None) -> None:
    """Write a file as a program of this version did."""
    with closing(sqlite3.connect(file)) as old:
        migrate(old, MIGRATIONS[:version])
        if lease is not None:
            if (
                version > LAST_WITH_OLD_NAMES
            ):  # a program of such a version can go on with its load: this one was given up
                old.execute("INSERT INTO bulk_lease VALUES (5, 0)")
            else:
                old.execute("INSERT INTO facts VALUES ('bulk', ?)", (lease.replace("now", str(time.time())),))
            for kind, name in old.execute(f"SELECT type, name FROM sqlite_master WHERE {DROPPED_IN_BULK}").fetchall():
                old.execute(f"DROP {kind} {name}")
        body = json.dumps(PAGE).encode()
        old.execute("INSERT INTO pages VALUES (1, ?)", (compress_page(body) if version > 2 else body,))
        old.execute("INSERT INTO projects VALUES (1, 'p-1', 'Genome'), (2, 'p-0', 'Proteome')")
        for number, upload in enumerate(UPLOADS):
            insert_old_row(old, number, upload, old_names(version), has_triggers=lease is None)
        if version > 3:
            log = "told (teller" if version < 8 else "change_log (writer"
            change = (5, "p-1", "UploadGone", encode(GONE_CHANGE).decode())
            old.execute(f"INSERT INTO {log}, project_id, kind, change) VALUES (?, ?, ?, ?)", change)
        old.commit()


def old_names(version: int) -> Mapping[str, str]:
    """The names that a version had for tables and columns that have others now."""
    old = {"partitions": "cells", "partition": "cell", "raw_json": "words", "upload_count": "uploads"}
    return old if version <= LAST_WITH_OLD_NAMES else {name: name for name in old}


def insert_old_row(
    old: sqlite3.Connection, number: int, upload: Upload, names: Mapping[str, str], *, has_triggers: bool
) -> None:
    """Insert an upload, with those of its values that the table has columns for."""
    project, partition = 2 - number % 2, number % 4 + 1
    noticed = NOTICED if number == 7 else ()
    named = dict(zip(WRITE_COLUMNS, row_values(upload, project, partition, noticed, NOW), strict=True))
    place = (1, number) if number < len(PAGE["results"]) else (None, None)
    others = {"number": number + 1, "cell": partition, "noticed": named["noticed_anomalies"]}
    acknowledged = {"acknowledged_stage": named["stage"], "acknowledgement": "known"} if number == 3 else {}
    values = {**named, **others, **acknowledged, "page": place[0], "place": place[1]}
    columns = [row[1] for row in old.execute("PRAGMA table_info(uploads)") if row[1] in values]
    old.execute(
        f"INSERT OR IGNORE INTO {names['partitions']} ({names['partition']}, project, stage, is_gone) VALUES (?, ?, ?, 0)",
        (partition, project, named["stage"]),
    )
    marks = ", ".join("?" * len(columns))
    old.execute(f"INSERT INTO uploads ({', '.join(columns)}) VALUES ({marks})", [values[one] for one in columns])
    if not has_triggers:
        count = names["upload_count"]
        old.execute(
            f"UPDATE {names['partitions']} SET {count} = {count} + 1 WHERE {names['partition']} = ?", (partition,)
        )
    if place[0] is None:
        old.execute(f"INSERT INTO {names['raw_json']} VALUES (?, ?)", (number + 1, json.dumps(raw_json(number))))


def schema(store: Store) -> Mapping[str, Sequence[str]]:
    """The definitions by name, without quotes, which renaming adds."""
    rows = store.db.execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL")
    return {name: sql.replace('"', "").split() for name, sql in rows}


def indexes(store: Store) -> Sequence[str]:
    """Those that a bulk load builds, in the order in which they were created."""
    return [name for name in schema(store) if name in INDEXES]


def check(store: Store) -> None:
    """What the store derives from its rows is right: counts of partitions, trigrams, JSON."""
    partitions = store.db.execute("SELECT partition, upload_count FROM partitions WHERE upload_count").fetchall()
    counted = store.db.execute("SELECT partition, count(*) FROM uploads GROUP BY partition").fetchall()
    assert sorted(partitions) == sorted(counted)
    store.db.execute("INSERT INTO trigrams (trigrams, rank) VALUES ('integrity-check', 1)")
    assert not store.db.execute("SELECT 1 FROM raw_json WHERE number NOT IN (SELECT number FROM uploads)").fetchall()


def found(store: Store, text: str) -> set[str]:
    return {row.id for row in store.find(Query(where=parse_query(text)), THRESHOLDS, 0, 99).uploads}


def test_a_migration_that_files_have_seen_never_changes() -> None:
    digests = tuple(hashlib.sha256(" ".join(one.split()).encode()).hexdigest()[:12] for one in MIGRATIONS)
    assert digests == DIGESTS


@pytest.mark.parametrize("lease", LEASES)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_of_an_earlier_version_has_all_its_data(version: int, lease: str | None, tmp_path: Path) -> None:
    old_file(tmp_path / "store.db", version, lease)
    with closing(Store(tmp_path / "store.db")) as store, closing(Store()) as new:
        new.put((one, json.dumps(raw_json(n)), NOTICED if n == 7 else (), NOW) for n, one in enumerate(UPLOADS))
        if version > 5:
            new.acknowledge(["u-3"], Acknowledgement("known" if version > 6 else "", None))
        assert (store.notice, read_lease(store.db)) == ("", None)
        assert schema(store) == schema(new)
        assert lease is not None or indexes(store) == [*INDEXES]
        for number, upload in enumerate(UPLOADS):
            expected, stored = new.get(upload.id), store.get(upload.id)
            assert expected is not None
            anomaly = expected.anomaly if version > 10 else None
            assert stored == replace(expected, anomaly=anomaly)
            assert json.loads(store.raw_json.raw(upload.id)) == raw_json(number)
            assert found(store, upload.name) == {upload.id}
        assert store.change_log.gone_on("u-1", "p-1") == (NOW if version > 3 else None)
        check(store)
        changed = [an_upload(1, name="renamed Å.bin"), an_upload(2, timeline=UPLOADS[0].timeline), an_upload(99)]
        store.put((one, json.dumps(raw_json(5)), (), None) for one in changed)
        store.mark(["u-4"], gone=True)
        with store.transaction():
            store.partitions.delete(["u-6", "u-7"])
        check(store)
        assert found(store, "renamed") == {"u-1"}
        assert found(store, "scan 01.tiff") == set()


def test_what_a_bulk_load_builds_is_what_migrations_make(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "store.db")) as store:
        before = schema(store)
        store.bulk.begin()
        assert len(schema(store)) < len(before)
        store.bulk.end()
        assert schema(store) == before
        assert indexes(store) == [*INDEXES]
