"""The texts of exports: uploads as JSON or CSV, changes as JSON lines. Opens no file."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum

from upload_tui.monitor import (
    UPLOAD_FIELDS,
    Change,
    Detail,
    Picture,
    Query,
    UploadKey,
    change_record,
    flat_upload,
    upload_record,
)
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
    picture: Picture, query: Query, kind: ExportKind, marked: frozenset[UploadKey] = frozenset()
) -> Iterator[str]:
    """Yield the export of a query in parts, so that the caller can pause between them.

    No upload is exported twice, even if rows move meanwhile.

    Args:
        picture: the picture that has the uploads.
        query: which uploads to export, and in what order.
        kind: JSON or CSV.
        marked: the uploads to export instead, in the order of the query, whether it selects them or not; empty if none is marked.
    """
    batches = _marked_details(picture, query, marked) if marked else _details(picture, query)
    return _csv_texts(batches) if kind is ExportKind.CSV else _json_texts(batches)


def changes_text(changes: Iterable[Change]) -> str:
    """Format changes as JSON lines."""
    return "".join(f"{json.dumps(change_record(change))}\n" for change in changes)


def _details(picture: Picture, query: Query) -> Iterator[Sequence[Detail]]:
    exported: set[UploadKey] = set()
    offset = 0
    while True:
        rows = picture.window(query, offset, _ROWS_AT_ONCE).rows
        new = [row.key for row in rows if row.key not in exported]
        exported.update(new)
        yield [detail for key in new if (detail := picture.detail(*key)) is not None]
        if len(rows) < _ROWS_AT_ONCE:
            return
        offset += len(rows)


def _marked_details(picture: Picture, query: Query, marked: frozenset[UploadKey]) -> Iterator[Sequence[Detail]]:
    query = Query(sort=query.sort, descending=query.descending)
    positions = {key: picture.position(query, *key) for key in marked}
    in_order = sorted(marked, key=lambda key: (positions[key] is None, positions[key] or 0))
    yield [detail for key in in_order if (detail := picture.detail(*key)) is not None]


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
