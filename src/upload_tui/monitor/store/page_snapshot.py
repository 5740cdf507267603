"""Page snapshots: a page of uploads as a serialized SQLite database, for bulk insertion.

A snapshot holds the rows that could be parsed fast, and the page's JSON. It is made in the event loop or in a worker process, and is
sent between processes as bytes. Copying rows from a snapshot takes a third of the time of inserting them one by one.
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

__all__ = ["PartitionName", "SnapshotInfo", "build_snapshot", "can_snapshot", "page_snapshot"]

can_snapshot = hasattr(sqlite3.Connection, "serialize")
"""Whether this system's SQLite can serialize databases."""

PartitionName = tuple[str, str, int]
"""The project's id and name, and the rank of the stage."""

_TABLES = f"""
    CREATE TABLE page (words BLOB, uploads INTEGER, first_id TEXT, others TEXT);
    CREATE TABLE cells (part INTEGER PRIMARY KEY, project_id TEXT, project_name TEXT, stage INTEGER);
    CREATE TABLE rows (part, {", ".join(BULK_COLUMNS)});
"""


class SnapshotInfo(Struct, frozen=True):
    """What is known of a page, apart from its rows.

    Attributes:
        upload_count: the number of uploads on the page.
        first_id: the id of the first upload; None if that one was not parsed.
        unparsed_places: the places (from 0) on the page of uploads without a row, which have to be parsed in full: pending ones and
            those with anything unusual.
    """

    upload_count: int
    first_id: str | None
    unparsed_places: Sequence[int]


def page_snapshot(body: bytes, read_on: datetime, project_id: str | None = None) -> bytes:
    """Make the snapshot of a page of a project (None: of any); empty if the whole page has to be parsed in full."""
    summaries = read_summaries(body, read_on, project_id)
    if summaries is None:
        return b""
    read_ms = to_ms(read_on) or 0
    partitions: dict[PartitionName, list[tuple[Any, ...]]] = {}
    unparsed: list[int] = []
    for place, summary in enumerate(summaries):
        if summary is None or not summary.stage.is_final:
            unparsed.append(place)
        else:
            name = (summary.project_id, summary.project_name, summary.stage.rank)
            partitions.setdefault(name, []).append(_row(summary, read_ms, place))
    first_id = summaries[0].id if summaries and summaries[0] else None
    return build_snapshot(partitions, SnapshotInfo(len(summaries), first_id, unparsed), body)


def build_snapshot(
    partitions: Mapping[PartitionName, Sequence[Sequence[Any]]], page: SnapshotInfo, body: bytes
) -> bytes:
    """Serialize a page; `partitions` holds its rows (values of `BULK_COLUMNS`) by partition."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.executescript(_TABLES)
        db.execute("BEGIN")
        values = (
            compress_page(body) if partitions else None,
            page.upload_count,
            page.first_id,
            json.dumps(page.unparsed_places),
        )
        db.execute("INSERT INTO page VALUES (?, ?, ?, ?)", values)
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
        False, read_ms, None, uploading, verifying, False, place,
    )  # fmt: skip
