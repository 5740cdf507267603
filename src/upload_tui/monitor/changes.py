"""Changes: what became different, as frozen facts in the past tense; changes and uploads as JSON values for scripts.

Each change is published once, and those of one upload in the order in which they happened. None states anything that the service did
not report. The names of classes and fields are stored in the change log of a store, so they must not be renamed.

Fields are added over time, never renamed. Times are ISO 8601 in UTC with milliseconds, sizes in bytes, durations in seconds.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from msgspec import Struct

from upload_tui.monitor.ages import age_of
from upload_tui.monitor.model import Connection, Detail, ProjectRef, UploadKey
from upload_tui.status import Anomaly, Certainty, Event, Stage
from upload_tui.wire import Upload, format_time

__all__ = [
    "AnomalyNoticed",
    "CHANGE_FIELDS",
    "CHANGE_PATHS",
    "Change",
    "CommandEnded",
    "ConnectionChanged",
    "OwnStateReached",
    "PictureChanged",
    "Record",
    "Rewound",
    "StageReached",
    "SyncProgressed",
    "UPLOAD_FIELDS",
    "UPLOAD_PATHS",
    "UploadChange",
    "UploadGone",
    "UploadPurged",
    "UploadRef",
    "UploadSeen",
    "change_record",
    "change_word",
    "flat_change",
    "flat_upload",
    "format_optional_time",
    "full_upload_record",
    "upload_record",
]


class UploadRef(Struct, frozen=True):
    """The upload of a change; `service` is the service's URL without `/api/v1`."""

    id: str
    name: str
    project_id: str
    project_name: str
    service: str = ""

    @property
    def key(self) -> UploadKey:
        """The upload's key."""
        return UploadKey(self.id, self.service)

    @classmethod
    def of(cls, detail: Detail) -> "UploadRef":
        """An upload of which everything is known."""
        upload = detail.upload
        return cls(upload.id, upload.name, upload.project_id, upload.project_name, detail.row.service)


class Change(Struct, frozen=True, kw_only=True):
    """Base of all changes; `at` is when the monitor learned of it (aware, UTC), not when it happened."""

    at: datetime


class UploadChange(Change, frozen=True, kw_only=True):
    """A change of one upload."""

    upload: UploadRef

    @property
    def happened_on(self) -> datetime:
        """When it happened, as far as known; otherwise when the monitor learned of it."""
        return self.at


class UploadSeen(UploadChange, frozen=True, kw_only=True):
    """An unknown upload appeared, or one that was gone is listed again."""


class StageReached(UploadChange, frozen=True, kw_only=True):
    """An upload reached a stage, also an earlier one again; one that it passed between two readings has a change of its own.

    `before` is None for the first stage; `on`, `earliest` and `latest` are as in `status.Event`.
    """

    before: Stage | None
    after: Stage
    on: datetime | None
    certainty: Certainty
    earliest: datetime | None = None
    latest: datetime | None = None
    error_message: str | None = None

    @classmethod
    def of(cls, event: Event, *, at: datetime, upload: UploadRef, before: Stage | None) -> Self:
        """The change that an event of a timeline is."""
        return cls(
            at=at,
            upload=upload,
            before=before,
            after=event.stage,
            on=event.on,
            certainty=event.certainty,
            earliest=event.earliest,
            latest=event.latest,
            error_message=event.message,
        )

    @property
    def is_again(self) -> bool:
        """Whether the upload was in this stage or a later one before, as one that failed and is tried again."""
        return self.before is not None and self.before.rank >= self.after.rank

    @property
    def happened_on(self) -> datetime:
        """When the stage was reached: its time, else the last or first possible one, else when the monitor learned of it."""
        return self.on or self.latest or self.earliest or self.at


class OwnStateReached(UploadChange, frozen=True, kw_only=True):
    """An upload of a source reached a state of the source's own, or ended in a stage that is not final (`ENDED_STATE`).

    `on` and `certainty` are as in `UnknownState`; when an upload ended is not known.
    """

    state: str
    on: datetime | None
    certainty: Certainty

    @property
    def happened_on(self) -> datetime:
        """When the state began, as far as known; otherwise when the monitor learned of it."""
        return self.on or self.at


class AnomalyNoticed(UploadChange, frozen=True, kw_only=True):
    """The service contradicted its specification or itself."""

    anomaly: Anomaly


class UploadPurged(UploadChange, frozen=True, kw_only=True):
    """The stored data of an upload were deleted; `on` is None if the time is unknown."""

    on: datetime | None

    @property
    def happened_on(self) -> datetime:
        """When the service says that they were deleted; otherwise when the monitor learned of it."""
        return self.on or self.at


class UploadGone(UploadChange, frozen=True, kw_only=True):
    """The service no longer lists the upload."""


class CommandEnded(UploadChange, frozen=True, kw_only=True):
    """A command of the user has ended: `text` has its name and its result. Of several uploads, `upload` is the last."""

    text: str
    is_ok: bool


class Rewound(Change, frozen=True, kw_only=True):
    """A replay went back: all changes before this one are void, and follow again up to its time."""


class ConnectionChanged(Change, frozen=True, kw_only=True):
    """The connection to a service changed its state; `project` is the one whose connection it is, None if it is that of all."""

    connection: Connection
    project: ProjectRef | None = None


class SyncProgressed(Change, frozen=True, kw_only=True):
    """A full scan progressed to `done` of `total` uploads (None: unknown)."""

    done: int
    total: int | None


class PictureChanged(Change, frozen=True, kw_only=True):
    """Windows, counts or ages may have changed; a newer one replaces an older one."""


Record = Mapping[str, Any]

UPLOAD_FIELDS = (
    "id", "name", "size_bytes", "content_type", "service", "stage", "stage_since", "error_message", "overdue", "stuck",
    "as_of", "project_id", "project_name", "initiated_on", "completed_on", "verified_on", "error_on", "chunk_count",
    "chunk_size_bytes", "anomalies", "stage_since_certainty", "trouble", "acknowledged", "acknowledgement",
    "ended", "updated_on", "stale", "least_age", "gone", "purged", "purged_on",
)  # fmt: skip
"""The keys of `flat_upload`: the header of a CSV of uploads."""

UPLOAD_PATHS = ("project", "project.id", "project.name", "timeline", "chunks", "chunks.count", "chunks.size_bytes")
"""The other names of values in `upload_record`."""

CHANGE_FIELDS = (
    "at", "kind", "from", "to", "on", "certainty", "error_message", "detail", "earliest", "latest", "upload_id", "upload_name",
    "project_id", "project_name",
)  # fmt: skip
"""The keys of `flat_change`: the header of a CSV of changes."""

CHANGE_PATHS = ("upload", "upload.id", "upload.name", "upload.project", "upload.project.id", "upload.project.name")
"""The other names of values in `change_record`."""


def upload_record(detail: Detail) -> Record:
    """An upload, as `list` prints it."""
    upload, row = detail.upload, detail.row
    age = age_of(row)
    return {
        "id": upload.id,
        "name": upload.name,
        "size_bytes": upload.size_bytes,
        "content_type": upload.content_type or None,
        "project": {"id": upload.project_id, "name": upload.project_name},
        "service": row.service,
        "stage": upload.timeline.unknown_state.name if upload.timeline.unknown_state else upload.stage,
        "stage_since": format_optional_time(upload.timeline.since),
        "stage_since_certainty": upload.timeline.since_certainty,
        "error_message": upload.timeline.error_message,
        "timeline": [_event_record(event) for event in upload.timeline],
        "chunks": _chunks_record(upload),
        "overdue": row.lateness.is_overdue,
        "stuck": row.lateness.is_stuck,
        "acknowledged": row.is_acknowledged,
        "acknowledgement": row.acknowledgement.note if row.acknowledgement else None,
        "trouble": row.trouble,
        "anomalies": [{"name": anomaly.name, "detail": anomaly.detail} for anomaly in detail.anomalies],
        "as_of": format_optional_time(row.read_on),
        "ended": upload.timeline.has_ended or None,  # null unless a source reports it
        "updated_on": format_optional_time(upload.last_updated_on),
        "stale": age is not None and age.read_on is not None,  # it may have left its stage since `as_of`
        "least_age": age is not None and age.is_least,
        "gone": row.is_gone,
        "purged": upload.timeline.is_purged,
        "purged_on": format_optional_time(upload.timeline.purged_on),
    }


def _chunks_record(upload: Upload) -> Record | None:
    if upload.chunk_count is None and not upload.has_received_bytes:
        return None
    return {"count": upload.chunk_count, "size_bytes": upload.chunk_bytes if upload.has_received_bytes else None}


def full_upload_record(detail: Detail, raw: Any) -> Record:
    """An upload in full, as `show` prints it; `raw` is the service's response with secrets hidden."""
    upload = detail.upload
    chunks = [
        {"number": chunk.number, "size_bytes": chunk.size_bytes, "algorithm": chunk.algorithm, "digest": chunk.digest}
        for chunk in upload.chunks or ()
    ]
    return {
        **upload_record(detail),
        "chunk_list": None if upload.chunks is None else chunks,
        "hashes": [{"algorithm": known.algorithm, "value": known.value} for known in upload.hashes],
        "raw": raw,
    }


def _event_record(event: Event) -> Record:
    return {
        "stage": event.stage,
        "on": format_optional_time(event.on),
        "certainty": event.certainty,
        "earliest": format_optional_time(event.earliest),
        "latest": format_optional_time(event.latest),
    }


def change_record(change: Change) -> Record:
    """A change; fields that do not apply to its kind are None."""
    upload = change.upload if isinstance(change, UploadChange) else None
    empty = dict.fromkeys(("from", "to", "on", "certainty", "error_message", "detail", "earliest", "latest"))
    return {
        "at": format_optional_time(change.at),
        "kind": None,
        "upload": upload
        and {
            "id": upload.id,
            "name": upload.name,
            "project": {"id": upload.project_id, "name": upload.project_name},
        },
        **empty,
        **_kind_fields(change),
    }


def change_word(change: UploadChange) -> str:
    """What happened in one word: the stage that was reached, else the kind of the change."""
    return str(change.after) if isinstance(change, StageReached) else str(_kind_fields(change)["kind"])


def _kind_fields(change: Change) -> Record:
    match change:
        case UploadSeen():
            return {"kind": "seen"}
        case StageReached():
            return {
                "kind": "stage",
                "from": change.before,
                "to": change.after,
                "on": format_optional_time(change.on),
                "certainty": change.certainty,
                "error_message": change.error_message,
                "earliest": format_optional_time(change.earliest),
                "latest": format_optional_time(change.latest),
            }
        case OwnStateReached():
            on = format_optional_time(change.on)
            return {"kind": "state", "to": change.state, "on": on, "certainty": change.certainty}
        case AnomalyNoticed():
            return {"kind": "anomaly", "detail": f"{change.anomaly.name}: {change.anomaly.detail}"}
        case UploadPurged():
            return {"kind": "purged", "on": format_optional_time(change.on)}
        case UploadGone():
            return {"kind": "gone"}
        case CommandEnded():
            return {"kind": "command", "detail": change.text}
        case ConnectionChanged(connection=one):
            since = format_optional_time(one.since)
            return {"kind": "connection", "to": one.state, "on": since, "detail": one.reason or None}
        case _:
            raise TypeError(f"{type(change).__name__} has no record")


def format_optional_time(on: datetime | None) -> str | None:
    """A time as in all records; None stays None."""
    return None if on is None else format_time(on)


def flat_upload(record: Record) -> Record:
    """Flatten an upload's record to one level, for CSV. The time of a stage is empty if only its bounds are known."""
    nested = {"project", "timeline", "chunks", "anomalies", "chunk_list", "hashes", "raw"}
    # At the end, as scripts may count columns.
    added = (
        "stage_since_certainty", "trouble", "acknowledged", "acknowledgement", "ended", "updated_on", "stale", "least_age", "gone",
        "purged", "purged_on",
    )  # fmt: skip
    plain = {key: value for key, value in record.items() if key not in {*nested, *added}}
    times = {event["stage"]: event["on"] for event in record["timeline"]}
    chunks = record["chunks"] or {}
    return {
        **plain,
        "project_id": record["project"]["id"],
        "project_name": record["project"]["name"],
        **{f"{stage}_on": times.get(stage) for stage in ("initiated", "completed", "verified", "error")},
        "chunk_count": chunks.get("count"),
        "chunk_size_bytes": chunks.get("size_bytes"),
        "anomalies": ";".join(anomaly["name"] for anomaly in record["anomalies"]),
        **{key: record[key] for key in added},
    }


def flat_change(record: Record) -> Record:
    """Flatten a change's record to one level, for CSV."""
    upload: dict[str, Any] = record["upload"] or {"id": None, "name": None, "project": {"id": None, "name": None}}
    plain = {key: value for key, value in record.items() if key != "upload"}
    return {
        **plain,
        "upload_id": upload["id"],
        "upload_name": upload["name"],
        "project_id": upload["project"]["id"],
        "project_name": upload["project"]["name"],
    }
