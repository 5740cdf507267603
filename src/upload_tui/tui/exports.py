"""The texts of exports: uploads as JSON or CSV, changes as JSON lines. Opens no file."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum

from upload_tui.monitor import Change, Detail, Query, Session, change_record, flat_upload, upload_record

__all__ = ["ExportKind", "changes_text", "file_name", "upload_texts"]

_ROWS_AT_ONCE = 250


class ExportKind(StrEnum):
    """What can be exported."""

    JSON = "json"
    CSV = "csv"
    JSONL = "jsonl"
    SVG = "svg"


_STEMS = {ExportKind.JSONL: "changes", ExportKind.SVG: "upload-tui"}


def file_name(kind: ExportKind, now: datetime) -> str:
    """A file name with the time in microseconds, valid on every file system."""
    return f"{_STEMS.get(kind, 'uploads')}-{now:%Y%m%dT%H%M%S.%f}Z.{kind}"


def upload_texts(session: Session, query: Query, kind: ExportKind) -> Iterator[str]:
    """Yield the export of a query in parts, so that the caller can pause between them.

    No upload is exported twice, even if rows move meanwhile.
    """
    return _csv_texts(_details(session, query)) if kind is ExportKind.CSV else _json_texts(_details(session, query))


def changes_text(changes: Iterable[Change]) -> str:
    """Format changes as JSON lines."""
    return "".join(f"{json.dumps(change_record(change))}\n" for change in changes)


def _details(session: Session, query: Query) -> Iterator[Sequence[Detail]]:
    exported: set[str] = set()
    offset = 0
    while True:
        rows = session.window(query, offset, _ROWS_AT_ONCE).rows
        new_ids = [row.id for row in rows if row.id not in exported]
        exported.update(new_ids)
        yield [detail for upload_id in new_ids if (detail := session.detail(upload_id)) is not None]
        if len(rows) < _ROWS_AT_ONCE:
            return
        offset += len(rows)


def _json_texts(batches: Iterable[Sequence[Detail]]) -> Iterator[str]:
    separator = "[\n"
    for details in batches:
        text = ",\n".join(json.dumps(upload_record(detail), indent=2) for detail in details)
        yield f"{separator}{text}" if text else ""
        separator = ",\n" if text else separator
    yield "[]\n" if separator == "[\n" else "\n]\n"


def _csv_texts(batches: Iterable[Sequence[Detail]]) -> Iterator[str]:
    text = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for details in batches:
        for detail in details:
            flat = flat_upload(upload_record(detail))
            if writer is None:
                writer = csv.DictWriter(text, list(flat), lineterminator="\n")
                writer.writeheader()
            writer.writerow(flat)
        yield text.getvalue()
        text.seek(0)
        text.truncate()
