"""The file format of a recording: the readings, requests and changes of a session, as JSON lines.

The first line describes the session. Each other line has a time (`at`) and a `kind`:

- `stored`, `unchanged`, `marked`: writes to the store (`put`, `touch`, `mark`);
- `page`: a page inserted in bulk during a large full scan (`body` is its JSON, compressed and in base64); `last_page` ends the load;
- `request`: the outcome of a request;
- any other: a change as scripts get it (`changes.change_record`); `replay` has the fields that `change_record` leaves out.

Secrets are hidden before anything is recorded, and a page that may hold any is not inserted in bulk.
"""

import json
import os
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from msgspec import Struct

from upload_tui.client import RequestOutcome
from upload_tui.errors import StorageError
from upload_tui.files import failure_reason, parse_json, private_opener, read_interruptibly, write_hint
from upload_tui.monitor.changes import (
    Change,
    ConnectionChanged,
    PictureChanged,
    StageReached,
    SyncProgressed,
    UploadChange,
    change_record,
    format_optional_time,
)
from upload_tui.monitor.model import ProjectRef
from upload_tui.monitor.recording.masking import RecordingMask
from upload_tui.monitor.store.bulk import BulkLoad, SnapshotInfo
from upload_tui.monitor.store.database import DEFAULT_LIMITS, Limits
from upload_tui.monitor.store.rows import from_ms
from upload_tui.monitor.store.store import Entry, Store
from upload_tui.status import Certainty
from upload_tui.wire import Upload, format_time, parse_time

__all__ = ["RecordingHeader", "RecordingLine", "RecordingStore", "RecordingWriter", "read_recording"]

_VERSION = 3
"""Version 1 has no pages. Versions 1 and 2 have other names, `_EARLIER_KINDS` and `_EARLIER_HEADER`."""
_HEADER, _EARLIER_HEADER = "recording", "journal"
"""The field of the first line that has the version."""
_EARLIER_KINDS = {"kept": "stored", "same": "unchanged", "poured": "page", "settled": "last_page"}
_MAX_LINE_BYTES = 64 * 1024 * 1024
"""More than a page of uploads has, compressed."""
_RECORD_HINT = "Give a file written by `upload-tui record`."


class RecordingHeader(Struct, frozen=True):
    """The first line: what was watched, and when the recording begins (`began_on`)."""

    began_on: datetime
    service: str
    title: str
    projects: tuple[ProjectRef, ...]
    stuck_after_seconds: float


class RecordingLine(Struct, frozen=True):
    """Any other line: its time, its kind, and all its fields."""

    at: datetime
    kind: str
    fields: Mapping[str, Any]


class RecordingWriter:
    """Writes a recording. A context manager that closes the file.

    Args:
        file: the path; must not exist yet.
        header: the first line.
        mask: replaces names, ids and texts; None keeps them.

    Raises:
        StorageError: the file exists or cannot be written.
    """

    def __init__(self, file: Path, header: RecordingHeader, mask: RecordingMask | None = None) -> None:
        self._path = file
        self._mask = mask
        try:
            descriptor = private_opener(str(file), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            raise StorageError(
                f"{file} already exists", "Choose another name; recordings are never overwritten."
            ) from None
        except OSError as error:
            raise StorageError(f"{file} cannot be written: {error.strerror}", write_hint(error)) from error
        self._file: TextIO = os.fdopen(descriptor, "w", encoding="utf-8", buffering=1)
        self.line_count = 0
        self.is_discarded = False
        try:
            self._write_header(header)
        except StorageError:
            self.discard()
            raise

    def _write_header(self, header: RecordingHeader) -> None:
        projects = [{"id": project.id, "name": project.name} for project in header.projects]
        self._write(
            {
                _HEADER: _VERSION,
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

    def discard(self) -> None:
        """Delete the file, which has nothing to replay: it would stop the next try. On a disk that fails it may stay."""
        self.is_discarded = True
        self.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file. On a full disk the end of the last line is lost, which readers tolerate."""
        with suppress(OSError):
            self._file.close()

    def write_line(self, at: datetime, kind: str, **fields: Any) -> None:
        """Write a line."""
        self._write({"at": format_time(at), "kind": kind, **fields})

    def write_request(self, outcome: RequestOutcome) -> None:
        """Write the outcome of a request."""
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
        """Write a change; `PictureChanged` and `SyncProgressed` are skipped, as a replay makes its own."""
        if not isinstance(change, PictureChanged | SyncProgressed):
            self._write({**change_record(change), "replay": _replay_fields(change)})

    @property
    def is_masked(self) -> bool:
        """Whether names, ids and texts are replaced."""
        return self._mask is not None

    def _write(self, fields: Mapping[str, Any]) -> None:
        if self._mask is not None:
            fields = self._mask.mask(fields)
        try:
            self._file.write(json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n")
        except OSError as error:
            raise StorageError(f"{self._path} cannot be written: {error.strerror}", write_hint(error)) from error
        self.line_count += 1


def _replay_fields(change: Change) -> Mapping[str, Any]:
    """The fields that `change_record` leaves out."""
    match change:
        case StageReached():
            return {
                "earliest": format_optional_time(change.earliest),
                "latest": format_optional_time(change.latest),
                "service": change.upload.service,
            }
        case ConnectionChanged(connection=connection, project=project):
            own = {} if project is None else {"project_id": project.id}
            return {
                **own,
                "read_on": format_optional_time(connection.read_on),
                "next_try_on": format_optional_time(connection.next_try_on),
                "known": connection.known,
                "total": connection.total,
            }
        case UploadChange():
            return {"service": change.upload.service}
        case _:
            return {}


class _RecordingBulkLoad(BulkLoad):
    """A bulk load that also writes its pages to a recording.

    Args:
        writer: the recording.
        store_parts: the arguments of `BulkLoad`.
    """

    can_insert_summaries = False
    """A recording holds the uploads of a source one by one, for replays by earlier versions too."""

    def __init__(self, writer: RecordingWriter, *store_parts: Any) -> None:
        super().__init__(*store_parts)
        self._writer = writer
        self._last_insert_on: datetime | None = None

    def insert_page(self, snapshot: bytes) -> SnapshotInfo:
        """Insert a page; its uploads that need a full parse are written one by one afterwards."""
        page = super().insert_page(snapshot)
        (body,) = self._db.execute("SELECT body FROM image.page").fetchone()
        read_ms = self._db.execute("SELECT max(read_ms) FROM image.rows").fetchone()[0]
        read_on = from_ms(read_ms)
        if body is not None and read_on is not None:
            self._last_insert_on = read_on
            self._writer.write_line(read_on, "page", body=b64encode(body).decode())
        return page

    async def finish(self) -> None:
        """End the load."""
        await super().finish()
        if self._last_insert_on is not None:
            self._writer.write_line(self._last_insert_on, "last_page")


class RecordingStore(Store):
    """A store in memory that also writes its readings to a recording.

    Args:
        writer: the recording.
        limits: see `Store`.
    """

    def __init__(self, writer: RecordingWriter, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits=limits)
        self._writer = writer
        if writer.is_masked:  # each upload has a line of its own, which can be masked
            self.can_bulk_load = False
        self.bulk = _RecordingBulkLoad(writer, self._db, self.transaction, self.partitions)

    def put(self, uploads: Iterable[Entry]) -> None:
        """Store readings."""
        entries = list(uploads)
        super().put(entries)
        for upload, raw, noticed, earliest in entries:
            self._writer.write_line(
                upload.read_on,
                "stored",
                raw=json.loads(raw),
                project=[upload.project_id, upload.project_name],
                noticed=[[anomaly.name, anomaly.detail] for anomaly in noticed],
                earliest=format_optional_time(earliest),
                **_last_event_fields(upload),
            )

    def mark(self, upload_ids: Iterable[str], *, gone: bool | None = None, stale: bool | None = None) -> None:
        """Mark uploads as gone or stale."""
        ids = list(upload_ids)
        super().mark(ids, gone=gone, stale=stale)
        stored = [upload for upload_id in ids if (upload := self.get(upload_id)) is not None]
        if stored:
            self._writer.write_line(max(upload.read_on for upload in stored), "marked", ids=ids, gone=gone, stale=stale)

    def touch(self, upload_ids: Sequence[str], read_on: datetime) -> None:
        """Update the reading time of uploads that did not change."""
        super().touch(upload_ids, read_on)
        self._writer.write_line(read_on, "unchanged", ids=list(upload_ids))


def _last_event_fields(upload: Upload) -> Mapping[str, Any]:
    """When the present stage or state began, if the service does not report it: earlier readings may be more exact."""
    since, certainty = upload.timeline.since, upload.timeline.since_certainty
    if since is None or certainty is Certainty.REPORTED:
        return {}
    return {"since": format_optional_time(since), "certainty": certainty}


def read_recording(file: Path) -> tuple[RecordingHeader, Sequence[RecordingLine]]:
    """Read a recording; an incomplete last line is skipped.

    Raises:
        StorageError: the file cannot be read, or is not a recording.
    """
    try:
        lines = read_interruptibly(file, _parse_lines)
    except (OSError, ValueError) as error:
        reason = failure_reason(error)
        raise StorageError(f"{file} cannot be read as a recording: {reason}", _RECORD_HINT) from error
    version = lines[0].get(_HEADER, lines[0].get(_EARLIER_HEADER)) if lines else None
    if not isinstance(version, int):
        raise StorageError(f"{file} is not a recording", _RECORD_HINT)
    if version > _VERSION:
        raise StorageError(f"{file} was written by a newer upload-tui", "Upgrade to replay it.")
    try:
        header = _parse_header(lines[0])
        return header, list(_ordered_lines(header.began_on, lines[1:]))
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{file} is a damaged recording", "Its first line is incomplete.") from error


def _parse_lines(file: Path) -> Sequence[Mapping[str, Any]]:
    parsed = list[Mapping[str, Any]]()
    for line in _read_lines(file):
        try:
            fields = parse_json(line)
        except ValueError:
            continue  # the writer was interrupted
        if isinstance(fields, dict):
            parsed.append(fields)
    return parsed


def _read_lines(file: Path) -> Iterator[str]:
    """The lines of a file of UTF-8 text, with or without a byte order mark."""
    with file.open("rb") as opened:
        encoding = "utf-8-sig"
        while line := opened.readline(_MAX_LINE_BYTES + 1):
            if len(line) > _MAX_LINE_BYTES:
                raise ValueError("a line is too long")
            yield line.decode(encoding)
            encoding = "utf-8"


def _parse_header(fields: Mapping[str, Any]) -> RecordingHeader:
    began_on = parse_time(fields["at"])
    if began_on is None:
        raise ValueError(fields["at"])
    projects = tuple(ProjectRef(str(project["id"]), str(project["name"])) for project in fields["projects"])
    return RecordingHeader(
        began_on, str(fields["service"]), str(fields["title"]), projects, float(fields["stuck_after_seconds"])
    )


def _ordered_lines(began_on: datetime, lines: Sequence[Mapping[str, Any]]) -> Iterator[RecordingLine]:
    """Lines with times that never go back: a line is at least as late as the one before it."""
    at = began_on
    for fields in lines:
        line_at = parse_time(fields.get("at"))
        at = at if line_at is None else max(at, line_at)
        kind = str(fields.get("kind"))
        yield RecordingLine(at, _EARLIER_KINDS.get(kind, kind), fields)
