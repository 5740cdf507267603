"""The texts of exports: uploads as JSON or CSV, changes as JSON lines. Opens no file."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum

from upload_tui.monitor import UPLOAD_FIELDS, Change, Detail, Picture, Query, change_record, flat_upload, upload_record
from upload_tui.text import csv_cell

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


def upload_texts(
    picture: Picture, query: Query, kind: ExportKind, marked_ids: frozenset[str] = frozenset()
) -> Iterator[str]:
    """Yield the export of a query in parts, so that the caller can pause between them.

    No upload is exported twice, even if rows move meanwhile.

    Args:
        picture: the picture that has the uploads.
        query: which uploads to export, and in what order.
        kind: JSON or CSV.
        marked_ids: the uploads to export instead, in the order of the query, whether it selects them or not; empty if none is marked.
    """
    batches = _marked_details(picture, query, marked_ids) if marked_ids else _details(picture, query)
    return _csv_texts(batches) if kind is ExportKind.CSV else _json_texts(batches)


def changes_text(changes: Iterable[Change]) -> str:
    """Format changes as JSON lines."""
    return "".join(f"{json.dumps(change_record(change))}\n" for change in changes)


def _details(picture: Picture, query: Query) -> Iterator[Sequence[Detail]]:
    exported: set[str] = set()
    offset = 0
    while True:
        rows = picture.window(query, offset, _ROWS_AT_ONCE).rows
        new_ids = [row.id for row in rows if row.id not in exported]
        exported.update(new_ids)
        yield [detail for upload_id in new_ids if (detail := picture.detail(upload_id)) is not None]
        if len(rows) < _ROWS_AT_ONCE:
            return
        offset += len(rows)


def _marked_details(picture: Picture, query: Query, marked_ids: frozenset[str]) -> Iterator[Sequence[Detail]]:
    query = Query(sort=query.sort, descending=query.descending)
    positions = {upload_id: picture.position(query, upload_id) for upload_id in marked_ids}
    in_order = sorted(marked_ids, key=lambda upload_id: (positions[upload_id] is None, positions[upload_id] or 0))
    yield [detail for upload_id in in_order if (detail := picture.detail(upload_id)) is not None]


def _json_texts(batches: Iterable[Sequence[Detail]]) -> Iterator[str]:
    separator = "[\n"
    for details in batches:
        text = ",\n".join(json.dumps(upload_record(detail), indent=2) for detail in details)
        yield f"{separator}{text}" if text else ""
        separator = ",\n" if text else separator
    yield "[]\n" if separator == "[\n" else "\n]\n"


def _csv_texts(batches: Iterable[Sequence[Detail]]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.DictWriter(text, UPLOAD_FIELDS, lineterminator="\n")
    writer.writeheader()
    for details in batches:
        for detail in details:
            flat = flat_upload(upload_record(detail))
            writer.writerow({name: csv_cell(value) for name, value in flat.items()})
        yield text.getvalue()
        text.seek(0)
        text.truncate()
