"""A page of uploads as a little database that the store takes in whole: each row read at a glance, and the page's words.

Made on the event loop or in a process of its own (`page_readers`). To sort a thousand rows into the store one by one costs three
times what copying them from such an image does, and an image crosses from process to process as it is.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any

from msgspec import Struct

from upload_tui.monitor.analysis.latency import bucket_of
from upload_tui.monitor.analysis.statistics import normalise_cause
from upload_tui.monitor.store.raw_json import compress_page
from upload_tui.monitor.store.rows import BULK_COLUMNS, to_ms
from upload_tui.monitor.store.schema import UNKNOWN
from upload_tui.status import Stage
from upload_tui.wire import UploadSummary, read_summaries

__all__ = ["PartitionName", "SnapshotInfo", "can_snapshot", "build_snapshot", "page_snapshot"]

can_snapshot = hasattr(sqlite3.Connection, "serialize")
"""Whether this system's SQLite can make and read them."""

PartitionName = tuple[str, str, int]
"""What the uploads of a cell have in common: their project's id and name, and the rank of their stage."""

_TABLES = f"""
    CREATE TABLE page (words BLOB, uploads INTEGER, first_id TEXT, others TEXT);
    CREATE TABLE cells (part INTEGER PRIMARY KEY, project_id TEXT, project_name TEXT, stage INTEGER);
    CREATE TABLE rows (part, {", ".join(BULK_COLUMNS)});
"""


class SnapshotInfo(Struct, frozen=True):
    """What is known of a page beside its rows.

    Attributes:
        uploads: how many are on the page.
        first_id: the id of its first upload; None if that is not to be had at a glance.
        others: the places (from 0) of those that have no row, and are to be read in full: the pending, and whatever is remarkable.
    """

    upload_count: int
    first_id: str | None
    unparsed_places: Sequence[int]


def page_snapshot(body: bytes, read_on: datetime) -> bytes:
    """The image of a page; empty if the whole page wants a closer look."""
    glances = read_summaries(body, read_on)
    if glances is None:
        return b""
    read_ms = to_ms(read_on) or 0
    cells: dict[PartitionName, list[tuple[Any, ...]]] = {}
    others: list[int] = []
    for place, glance in enumerate(glances):
        if glance is None or not glance.stage.is_final:
            others.append(place)
        else:
            name = (glance.project_id, glance.project_name, glance.stage.rank)
            cells.setdefault(name, []).append(_row(glance, read_ms, place))
    first_id = glances[0].id if glances and glances[0] else None
    return build_snapshot(cells, SnapshotInfo(len(glances), first_id, others), body)


def build_snapshot(
    partitions: Mapping[PartitionName, Sequence[Sequence[Any]]], page: SnapshotInfo, body: bytes
) -> bytes:
    """The image of a page with these rows (values of `stored_rows.BULK_COLUMNS`), by cell."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.executescript(_TABLES)
        db.execute("BEGIN")
        facts = (
            compress_page(body) if partitions else None,
            page.upload_count,
            page.first_id,
            json.dumps(page.unparsed_places),
        )
        db.execute("INSERT INTO page VALUES (?, ?, ?, ?)", facts)
        for part, (name, rows) in enumerate(partitions.items()):
            db.execute("INSERT INTO cells VALUES (?, ?, ?, ?)", (part, *name))
            db.executemany(f"INSERT INTO rows VALUES ({part}{', ?' * len(BULK_COLUMNS)})", rows)
        db.execute("COMMIT")
        return db.serialize()


def _row(summary: UploadSummary, read_ms: int, place: int) -> tuple[Any, ...]:
    (
        upload_id, _, _, name, size, stage, since, certainty, initiated, completed, ended, activity, count, total, message, provider,
        uploader, is_purged,
    ) = summary  # fmt: skip
    uploading = None if completed is None else bucket_of(completed - initiated)
    verifying = None if completed is None or ended is None else bucket_of(ended - completed)
    return (
        upload_id, name, UNKNOWN if size is None else size, stage.rank, since, certainty, initiated, completed, ended, activity,
        count, total, message, normalise_cause(message) if stage is Stage.ERROR else "", provider, uploader, 0, "", is_purged, False,
        False, read_ms, None, uploading, verifying, place,
    )  # fmt: skip
