"""A journal: all that a session learned and told, as JSON lines, so that it can be looked at again.

The first line says what was watched. Each other one has a time (`at`) and a `kind`: what the store was given (`kept`, `same`,
`marked`; in a large first fetch `poured`, whose `body` is a page's words, deflated and in base64, until it is `settled`), what became
of a request (`request`), or a change as scripts get it (`records.change_record`) with a `replay` of what that leaves out. Secrets are
masked before anything comes here, and a page that may hold any is not poured. Written by `record`, read by `replay`.
"""

import json
import os
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from msgspec import Struct

from upload_tui.client import RequestOutcome
from upload_tui.errors import StorageError
from upload_tui.monitor.changes import (
    Change,
    ConnectionChanged,
    PictureChanged,
    StageReached,
    SyncProgressed,
    UploadChange,
)
from upload_tui.monitor.model import ProjectRef
from upload_tui.monitor.records import change_record
from upload_tui.monitor.store.bulk import BulkLoad
from upload_tui.monitor.store.page_snapshot import SnapshotInfo
from upload_tui.monitor.store.rows import from_ms
from upload_tui.monitor.store.store import Entry, Store
from upload_tui.status import Certainty
from upload_tui.wire import Upload, format_time, read_time

__all__ = ["RecordingWriter", "RecordingStore", "RecordingHeader", "RecordingLine", "read_recording"]

_VERSION = 2
"""The first has no `poured` lines."""


class RecordingHeader(Struct, frozen=True):
    """What was watched; `began_on` is when the journal begins."""

    began_on: datetime
    service: str
    title: str
    projects: tuple[ProjectRef, ...]
    stuck_after_seconds: float


class RecordingLine(Struct, frozen=True):
    """A line: when, what kind, and everything that it says."""

    at: datetime
    kind: str
    fields: Mapping[str, Any]


class RecordingWriter:
    """A journal that is being written. A context manager that closes the file.

    Args:
        file: must not be there yet.
        header: the first line.

    Raises:
        StorageError: it is there already, or cannot be written.
    """

    def __init__(self, file: Path, header: RecordingHeader) -> None:
        self._path = file
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise StorageError(
                f"{file} is there already", "Give another name: a journal is never written over."
            ) from None
        except OSError as error:
            raise StorageError(f"{file} cannot be written: {error.strerror}", "Check the folder.") from error
        self._file: TextIO = os.fdopen(descriptor, "w", encoding="utf-8", buffering=1)
        self.line_count = 0
        projects = [{"id": project.id, "name": project.name} for project in header.projects]
        self._write(
            {
                "journal": _VERSION,
                "at": format_time(header.began_on),
                "service": header.service,
                "title": header.title,
                "projects": projects,
                "stuck_after_seconds": header.stuck_after_seconds,
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the journal."""
        self._file.close()

    def write_line(self, at: datetime, kind: str, **fields: Any) -> None:
        """Write a line."""
        self._write({"at": format_time(at), "kind": kind, **fields})

    def write_request(self, outcome: RequestOutcome) -> None:
        """Write what became of a request."""
        self.write_line(
            outcome.sent_on,
            "request",
            path=outcome.path,
            query=dict(outcome.query),
            status=outcome.status,
            seconds=round(outcome.seconds, 4),
            size_bytes=outcome.size_bytes,
            detail=outcome.error or None,
        )

    def write_change(self, change: Change) -> None:
        """Write a change; what merely invites to look again is left out."""
        if not isinstance(change, PictureChanged | SyncProgressed):
            self._write({**change_record(change), "replay": _replay_fields(change)})

    def _write(self, fields: Mapping[str, Any]) -> None:
        try:
            self._file.write(json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n")
        except OSError as error:
            raise StorageError(f"{self._path} cannot be written: {error.strerror}", "Check the disk.") from error
        self.line_count += 1


def _replay_fields(change: Change) -> Mapping[str, Any]:
    match change:
        case StageReached():
            return {
                "earliest": _format_time(change.earliest),
                "latest": _format_time(change.latest),
                "service": change.upload.service,
            }
        case ConnectionChanged(connection=connection):
            return {
                "read_on": _format_time(connection.read_on),
                "next_try_on": _format_time(connection.next_try_on),
                "known": connection.known,
                "total": connection.total,
            }
        case UploadChange():
            return {"service": change.upload.service}
        case _:
            return {}


def _format_time(on: datetime | None) -> str | None:
    return None if on is None else format_time(on)


class _RecordingBulkLoad(BulkLoad):
    """A bulk load that writes down the pages that are poured in.

    Args:
        writer: where to.
        store_parts: what the store gives its own.
    """

    def __init__(self, writer: RecordingWriter, *store_parts: Any) -> None:
        super().__init__(*store_parts)
        self._writer = writer
        self._last_insert_on: datetime | None = None

    def insert_page(self, snapshot: bytes) -> SnapshotInfo:
        """Keep a page; what is not poured of it is kept one by one afterwards."""
        page = super().insert_page(snapshot)
        (words,) = self._db.execute("SELECT words FROM image.page").fetchone()
        read_ms = self._db.execute("SELECT max(read_ms) FROM image.rows").fetchone()[0]
        read_on = from_ms(read_ms)
        if words is not None and read_on is not None:
            self._last_insert_on = read_on
            self._writer.write_line(read_on, "poured", body=b64encode(words).decode())
        return page

    async def finish(self) -> None:
        """End the load."""
        await super().finish()
        if self._last_insert_on is not None:
            self._writer.write_line(self._last_insert_on, "settled")


class RecordingStore(Store):
    """A store that writes down all it is given.

    Args:
        writer: where to.
    """

    def __init__(self, writer: RecordingWriter) -> None:
        super().__init__()
        self._writer = writer
        self.bulk = _RecordingBulkLoad(writer, self._db, self.transaction, self.partitions)

    def put(self, uploads: Iterable[Entry]) -> None:
        """Keep readings."""
        entries = list(uploads)
        super().put(entries)
        for upload, raw, noticed, earliest in entries:
            self._writer.write_line(
                upload.read_on,
                "kept",
                raw=json.loads(raw),
                noticed=[[anomaly.name, anomaly.detail] for anomaly in noticed],
                earliest=_format_time(earliest),
                **_last_event_fields(upload),
            )

    def mark(self, upload_ids: Iterable[str], *, gone: bool | None = None, stale: bool | None = None) -> None:
        """Mark uploads."""
        ids = list(upload_ids)
        super().mark(ids, gone=gone, stale=stale)
        stored = [upload for upload_id in ids if (upload := self.get(upload_id)) is not None]
        if stored:
            self._writer.write_line(max(upload.read_on for upload in stored), "marked", ids=ids, gone=gone, stale=stale)

    def touch(self, upload_ids: Sequence[str], read_on: datetime) -> None:
        """The service said the same again."""
        super().touch(upload_ids, read_on)
        self._writer.write_line(read_on, "same", ids=list(upload_ids))


def _last_event_fields(upload: Upload) -> Mapping[str, Any]:
    """When the present stage began, where earlier readings may know that better than the service's words."""
    last = upload.timeline.current
    if last is None or last.certainty is Certainty.REPORTED:
        return {}
    return {"since": _format_time(last.best_time), "certainty": last.certainty}


def read_recording(file: Path) -> tuple[RecordingHeader, Sequence[RecordingLine]]:
    """A journal as it was written, in order; a last line that was not finished is left out.

    Raises:
        StorageError: it cannot be read, or is none.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(
            f"{file} cannot be read as a journal", "Give a file that `upload-tui record` wrote."
        ) from error
    lines = list(_parse_lines(text))
    if not lines or not isinstance(lines[0].get("journal"), int):
        raise StorageError(f"{file} is not a journal", "Give a file that `upload-tui record` wrote.")
    if lines[0]["journal"] > _VERSION:
        raise StorageError(f"{file} was written by a newer upload-tui", "Upgrade to replay it.")
    try:
        header = _parse_header(lines[0])
        return header, list(_ordered_lines(header.began_on, lines[1:]))
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{file} is a damaged journal", "Its first line must be whole.") from error


def _parse_lines(text: str) -> Iterator[Mapping[str, Any]]:
    for line in text.splitlines():
        try:
            fields = json.loads(line)
        except ValueError:
            continue  # whoever wrote it was interrupted
        if isinstance(fields, dict):
            yield fields


def _parse_header(fields: Mapping[str, Any]) -> RecordingHeader:
    began_on = read_time(fields["at"])
    if began_on is None:
        raise ValueError(fields["at"])
    projects = tuple(ProjectRef(str(project["id"]), str(project["name"])) for project in fields["projects"])
    return RecordingHeader(
        began_on, str(fields["service"]), str(fields["title"]), projects, float(fields["stuck_after_seconds"])
    )


def _ordered_lines(began_on: datetime, lines: Sequence[Mapping[str, Any]]) -> Iterator[RecordingLine]:
    """Time does not go back in a journal: a line counts from when the one before it was written."""
    at = began_on
    for fields in lines:
        said = read_time(fields.get("at"))
        at = at if said is None else max(at, said)
        yield RecordingLine(at, str(fields.get("kind")), fields)
