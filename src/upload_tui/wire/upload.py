"""Reading an upload: from the service's resource to a frozen fact."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, ValidationError, convert, field
from msgspec.structs import replace

from upload_tui.errors import InvalidResponseError
from upload_tui.status import (
    Anomaly,
    AnomalyName,
    Certainty,
    Event,
    Stage,
    Timeline,
    inspect_chunks,
    inspect_timeline,
)
from upload_tui.wire.designs import StatusShape
from upload_tui.wire.resources import DigestResource, UploadResource, UserResource
from upload_tui.wire.status_shapes import read_status
from upload_tui.wire.times import read_time

__all__ = ["Chunk", "FileHash", "Upload", "read_upload"]


class Chunk(Struct, frozen=True):
    """A chunk as the client reported it: number from 1, size in bytes, digest as hexadecimal text."""

    number: int
    size_bytes: int
    algorithm: str | None = None
    digest: str | None = None


class FileHash(Struct, frozen=True):
    """A whole file's digest, as reported."""

    algorithm: str
    value: str


class Upload(Struct, frozen=True, kw_only=True):
    """One upload as one answer of the service describes it. Texts are as they came: harmless only once formatted.

    Attributes:
        size_bytes: the size the client promised; None if the service does not say.
        chunks: None for an upload that is not chunked.
        design: the shape its status came in; None if it had none that is known.
        anomalies: what is wrong with this answer in itself.
        read_on: when it was read, by the reader's clock.
    """

    id: str
    project_id: str = ""
    project_name: str = ""
    name: str = ""
    content_type: str = ""
    size_bytes: int | None = None
    storage_provider: str = ""
    uploader: str = ""
    chunks: tuple[Chunk, ...] | None = None
    hashes: tuple[FileHash, ...] = ()
    created_on: datetime | None = None
    last_updated_on: datetime | None = None
    timeline: Timeline = field(default_factory=Timeline)
    status_shape: StatusShape | None = None
    anomalies: tuple[Anomaly, ...] = ()
    read_on: datetime

    @property
    def stage(self) -> Stage:
        """The present stage."""
        return self.timeline.stage

    @property
    def chunk_bytes(self) -> int:
        """What the chunks reported so far add up to, in bytes."""
        return sum(chunk.size_bytes for chunk in self.chunks or ())


def read_upload(payload: object, *, read_on: datetime) -> Upload:
    """Read an upload resource of any of the three designs.

    A field that cannot be read is left at its default and becomes an anomaly; unknown fields are ignored.

    Args:
        payload: the decoded JSON of one upload.
        read_on: the reader's clock when the answer came.

    Raises:
        InvalidResponseError: it is not an object with an id, so that nothing can be said of any upload.
    """
    fields, anomalies = _valid_fields(payload)
    reading = read_status(fields.status)
    audit, project, provider = fields.audit, fields.project, fields.storage_provider
    created_on, updated_on = (read_time(audit.created_on), read_time(audit.last_updated_on)) if audit else (None, None)
    timeline = _estimate_missing_times(reading.timeline, created_on, updated_on, read_on)
    chunks = _read_chunks(fields)
    return Upload(
        id=fields.id,
        project_id=project.id if project else "",
        project_name=(project and project.name) or "",
        name=fields.name or "",
        content_type=fields.content_type or "",
        size_bytes=fields.size,
        storage_provider=(provider and provider.name) or "",
        uploader=_uploader_name(audit.created_by if audit else None),
        chunks=chunks,
        hashes=tuple(FileHash(known.algorithm or "", known.value or "") for known in fields.hashes or ()),
        created_on=created_on,
        last_updated_on=updated_on,
        timeline=timeline,
        status_shape=reading.shape,
        anomalies=(*anomalies, *reading.anomalies, *_find_anomalies(timeline, chunks, fields.size, read_on)),
        read_on=read_on,
    )


def _find_anomalies(
    timeline: Timeline, chunks: tuple[Chunk, ...] | None, size_bytes: int | None, read_on: datetime
) -> tuple[Anomaly, ...]:
    found = inspect_timeline(timeline, read_on)
    if chunks is None:
        return found
    return found + inspect_chunks([(chunk.number, chunk.size_bytes) for chunk in chunks], size_bytes, timeline)


def _valid_fields(payload: object) -> tuple[UploadResource, tuple[Anomaly, ...]]:
    """The fields that are as the contract says, and an anomaly for each that is not."""
    if not isinstance(payload, Mapping) or not isinstance(payload.get("id"), str) or not payload["id"]:
        raise InvalidResponseError("The service listed something that is not an upload")
    known = {key: payload[key] for key in UploadResource.__struct_fields__ if key in payload}
    try:
        return convert(known, UploadResource, strict=False), ()
    except ValidationError:
        wrong = {key: why for key, value in known.items() if (why := _field_error(key, value))}
    anomalies = tuple(Anomaly(AnomalyName.UNREADABLE_FIELD, why) for why in wrong.values())
    sound = {key: value for key, value in known.items() if key not in wrong}
    return convert(sound, UploadResource, strict=False), anomalies


def _field_error(key: str, value: object) -> str:
    """Where and why the value of a field cannot be one; empty if it can."""
    try:
        convert({key: value}, UploadResource, strict=False)
    except ValidationError as error:
        why, _, place = str(error).partition(" - at `$.")
        return f"{place.removesuffix('`') or key}: {why}"
    return ""


def _estimate_missing_times(
    timeline: Timeline, created_on: datetime | None, last_updated_on: datetime | None, read_on: datetime
) -> Timeline:
    """Fill in what the status leaves open from what stands near it; filled in times are marked as estimates."""
    events = tuple(_estimate_event_time(event, timeline, last_updated_on, read_on) for event in timeline.events)
    initiated = timeline.event(Stage.INITIATED)
    if created_on is not None and (initiated is None or initiated.on is None):
        estimate = Event(Stage.INITIATED, created_on, Certainty.ESTIMATED, latest=read_on)
        events = (estimate, *(event for event in events if event.stage is not Stage.INITIATED))
    return replace(timeline, events=events)


def _estimate_event_time(
    event: Event, timeline: Timeline, last_updated_on: datetime | None, read_on: datetime
) -> Event:
    if event.certainty is not Certainty.OBSERVED:
        return event
    # The audit's last update is usually the worker's own, unless a purge touched the upload later.
    plausible = (
        last_updated_on is not None
        and timeline.purged_on is None
        and last_updated_on <= read_on
        and (event.earliest is None or event.earliest <= last_updated_on)
    )
    if plausible:
        return replace(event, on=last_updated_on, certainty=Certainty.ESTIMATED, latest=read_on)
    return replace(event, latest=_latest_possible(event, timeline.purged_on, read_on))


def _latest_possible(event: Event, purged_on: datetime | None, read_on: datetime) -> datetime:
    """What was purged had ended before; a purge before the stage itself says nothing."""
    if purged_on is None or purged_on > read_on or (event.earliest is not None and purged_on < event.earliest):
        return read_on
    return purged_on


def _read_chunks(fields: UploadResource) -> tuple[Chunk, ...] | None:
    if fields.chunks is None:
        return None
    read = [
        _read_chunk(chunk.number, chunk.size, chunk.hash)
        for chunk in fields.chunks
        if chunk.number is not None and chunk.size is not None
    ]
    return tuple(sorted(read, key=lambda chunk: chunk.number))


def _read_chunk(number: int, size: int, digest: DigestResource | None) -> Chunk:
    return Chunk(number, size) if digest is None else Chunk(number, size, digest.algorithm, digest.value)


def _uploader_name(user: UserResource | None) -> str:
    return "" if user is None else user.full_name or user.username or ""
