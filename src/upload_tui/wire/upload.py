"""Parse an upload resource of the service into an immutable fact."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct, ValidationError, convert, field
from msgspec.structs import replace

from upload_tui.errors import InvalidResponseError
from upload_tui.status import (
    Ability,
    Anomaly,
    AnomalyName,
    Certainty,
    Event,
    Origin,
    Stage,
    Timeline,
    inspect_chunks,
    inspect_timeline,
    invalid_chunks,
)
from upload_tui.wire.resources import (
    MAX_NUMBER,
    AuditResource,
    DigestResource,
    ProjectResource,
    UploadResource,
    UserResource,
)
from upload_tui.wire.status_shapes import StatusShape, parse_status
from upload_tui.wire.times import parse_time

__all__ = [
    "Chunk",
    "FileHash",
    "Project",
    "Upload",
    "parse_upload",
    "sort_chunks",
    "CHUNKS_TOO_LARGE",
    "CHUNK_HASH_DIFFERS",
    "FILE_HASH_DIFFERS",
    "INTEGRITY_MESSAGES",
    "OBJECT_MISSING",
    "SIZE_DIFFERS",
]

CHUNK_HASH_DIFFERS = "reported chunk hash does not match that computed by StorageProvider"
SIZE_DIFFERS = "reported size does not match size computed by StorageProvider"
FILE_HASH_DIFFERS = "reported hash value does not match size computed by StorageProvider"
"""Sic ("size"): a published client matches this exact text."""
OBJECT_MISSING = "NonChunkedUpload not found in object store"

INTEGRITY_MESSAGES = (CHUNK_HASH_DIFFERS, SIZE_DIFFERS, FILE_HASH_DIFFERS, OBJECT_MISSING)
"""All messages of the deployed service for a failed integrity check; each may be followed by `: ` and details."""


CHUNKS_TOO_LARGE = f"the sizes of the chunks add up to more than {MAX_NUMBER}"


class Chunk(Struct, frozen=True):
    """A chunk as the client reported it: number from 1, size in bytes, digest in hexadecimal (None if there is none)."""

    number: int
    size_bytes: int
    algorithm: str | None = None
    digest: str | None = None


class FileHash(Struct, frozen=True):
    """The reported digest of a whole file."""

    algorithm: str
    value: str


class Project(Struct, frozen=True):
    """A project that the account can see."""

    id: str
    name: str


class Upload(Struct, frozen=True, kw_only=True):
    """One upload as one response describes it. Texts are not sanitized.

    Attributes:
        size_bytes: the size that the client declared; None if not reported.
        chunks: None for an upload without chunks, or without a list of them.
        listed_chunk_count, received_bytes: the reported number of chunks and of bytes received, for an upload without a list of
            chunks; None if not reported.
        status_shape: None if the status had no known shape.
        anomalies: of this response alone.
        read_on: when the response was read, by the reader's clock.
        origin: where it is listed.
        says_final_chunks: the line of its source has `final_chunks`; see `has_final_chunks`.
        earlier_on: the first time that earlier lines of its source had of it, if it is or was in a state of its own; None otherwise.
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
    listed_chunk_count: int | None = None
    received_bytes: int | None = None
    hashes: tuple[FileHash, ...] = ()
    created_on: datetime | None = None
    last_updated_on: datetime | None = None
    timeline: Timeline = field(default_factory=Timeline)
    status_shape: StatusShape | None = None
    anomalies: tuple[Anomaly, ...] = ()
    read_on: datetime
    origin: Origin = Origin.SERVICE
    says_final_chunks: bool = False
    earlier_on: datetime | None = None

    @property
    def stage(self) -> Stage:
        """The current stage."""
        return self.timeline.stage

    @property
    def first_known_on(self) -> datetime | None:
        """The first time known of it: of a stage, of a state of its own, or of earlier lines; None if there is none."""
        state_on = None if self.timeline.own_state is None else self.timeline.own_state.on
        times = (self.earlier_on, state_on, *(event.best_time for event in self.timeline))
        return min((on for on in times if on is not None), default=None)

    @property
    def chunk_bytes(self) -> int:
        """The total size of the chunks reported so far, in bytes; 0 if nothing is known of them."""
        if self.chunks is None:
            return self.received_bytes or 0
        return sum(chunk.size_bytes for chunk in self.chunks)

    @property
    def chunk_count(self) -> int | None:
        """The number of chunks reported so far; None if it is not chunked, or if that is unknown."""
        return self.listed_chunk_count if self.chunks is None else len(self.chunks)

    @property
    def has_received_bytes(self) -> bool:
        """Whether `chunk_bytes` is known."""
        return self.chunks is not None or self.received_bytes is not None

    @property
    def has_final_chunks(self) -> bool:
        """Whether gaps and missing bytes contradict a completed upload."""
        return self.says_final_chunks or self.origin.has(Ability.FINAL_CHUNKS)


def parse_upload(payload: object, *, read_on: datetime, project: Project | None = None) -> Upload:
    """Parse an upload resource whose status has any of the three shapes.

    A field that cannot be read keeps its default and becomes an anomaly; unknown fields are ignored.

    Args:
        payload: the decoded JSON of one upload.
        read_on: the reader's clock when the response was read.
        project: the project that lists the upload; it has priority over the project that the upload names. None if
            unknown.

    Raises:
        InvalidResponseError: it is not an object with an id.
    """
    fields, anomalies, unreadable_chunks = _valid_fields(payload)
    status = parse_status(fields.status)
    audit, provider = fields.audit or AuditResource(), fields.storage_provider
    created_on, updated_on = parse_time(audit.created_on), parse_time(audit.last_updated_on)
    timeline = _estimate_missing_times(status.timeline, created_on, updated_on, read_on)
    chunks = _parse_chunks(fields, unreadable_chunks)
    owner, project_anomalies = _parse_project(fields.project, project)
    return Upload(
        id=fields.id,
        project_id=owner.id,
        project_name=owner.name,
        name=fields.name or "",
        content_type=fields.content_type or "",
        size_bytes=fields.size,
        storage_provider=(provider and provider.name) or "",
        uploader=_uploader_name(audit.created_by),
        chunks=chunks,
        hashes=tuple(FileHash(known.algorithm or "", known.value or "") for known in fields.hashes or ()),
        created_on=created_on,
        last_updated_on=updated_on,
        timeline=timeline,
        status_shape=status.shape,
        anomalies=(
            *anomalies,
            *project_anomalies,
            *status.anomalies,
            *_find_anomalies(timeline, chunks, unreadable_chunks, fields.size, read_on),
        ),
        read_on=read_on,
    )


def _parse_project(named: ProjectResource | None, listing: Project | None) -> tuple[Project, tuple[Anomaly, ...]]:
    """The project of an upload: the one that lists it, else the one that it names."""
    project_id, name = (named.id, named.name or "") if named else ("", "")
    if listing is None:
        return Project(project_id, name), ()
    if project_id.casefold() == listing.id.casefold():
        return Project(listing.id, name or listing.name), ()
    if not project_id:
        return listing, ()
    detail = f"project {listing.id} listed the upload, which names project {project_id[:60]}"
    return listing, (Anomaly(AnomalyName.OTHER_PROJECT, detail),)


def _find_anomalies(
    timeline: Timeline,
    chunks: tuple[Chunk, ...] | None,
    unreadable_chunks: Sequence[str],
    size_bytes: int | None,
    read_on: datetime,
) -> tuple[Anomaly, ...]:
    found = inspect_timeline(timeline, read_on)
    if chunks is None:
        return (*found, invalid_chunks(unreadable_chunks)) if unreadable_chunks else found
    listed = [(chunk.number, chunk.size_bytes) for chunk in chunks]
    return found + inspect_chunks(listed, size_bytes, timeline, unreadable_chunks)


def _valid_fields(payload: object) -> tuple[UploadResource, tuple[Anomaly, ...], list[str]]:
    """The fields that match the contract, an anomaly for each of the others, and a sentence about each unreadable chunk."""
    if not isinstance(payload, Mapping) or not isinstance(payload.get("id"), str) or not payload["id"]:
        raise InvalidResponseError("The service listed an entry that is not an upload")
    known = {key: payload[key] for key in UploadResource.__struct_fields__ if key in payload}
    try:
        return convert(known, UploadResource, strict=False), (), []
    except ValidationError:
        known["chunks"], hashes, unreadable_chunks = _valid_chunks(known.get("chunks"))
        invalid = {key: reason for key, value in known.items() if (reason := _field_error(key, value))}
    anomalies = tuple(Anomaly(AnomalyName.UNREADABLE_FIELD, reason) for reason in (*invalid.values(), *hashes))
    valid = {key: value for key, value in known.items() if key not in invalid}
    return convert(valid, UploadResource, strict=False), anomalies, unreadable_chunks


def _valid_chunks(value: object) -> tuple[list[Any] | None, list[str], list[str]]:
    """The chunks that match the contract, at least without their hash; the first unreadable hash; why each other one does not."""
    if not isinstance(value, list):
        return None, [], [_field_error("chunks", value)] if value is not None else []
    valid: list[Any] = []
    hashes: list[str] = []
    reasons: list[str] = []
    for index, entry in enumerate(value):
        reason = _field_error("chunks", [entry]).replace("[0]", f"[{index}]", 1)
        plain = {**entry, "hash": None} if reason and isinstance(entry, Mapping) else entry
        if reason and (plain is entry or _field_error("chunks", [plain])):
            reasons.append(reason)
        else:
            valid.append(plain)
            hashes += [reason] if reason and not hashes else []
    return valid, hashes, reasons


def _field_error(key: str, value: object) -> str:
    """Why the value of a field is invalid, and where in it; empty if it is valid."""
    try:
        convert({key: value}, UploadResource, strict=False)
    except ValidationError as error:
        reason, _, path = str(error).partition(" - at `$.")
        return f"{path.removesuffix('`') or key}: {reason}"
    return ""


def _estimate_missing_times(
    timeline: Timeline, created_on: datetime | None, last_updated_on: datetime | None, read_on: datetime
) -> Timeline:
    """Estimate the times that the status leaves out from the audit times, and bound the others by their neighbours."""
    initiated = timeline.event(Stage.INITIATED)
    if created_on is not None and (initiated is None or initiated.on is None):
        estimate = Event(Stage.INITIATED, created_on, Certainty.ESTIMATED, latest=read_on)
        others = (event for event in timeline.events if event.stage is not Stage.INITIATED)
        timeline = replace(timeline, events=(estimate, *others))
    elif not timeline.events and timeline.unknown_state is None:  # it exists, so it was initiated
        timeline = replace(timeline, events=(Event(Stage.INITIATED, None, Certainty.OBSERVED),))
    events = (
        event
        if event.certainty is not Certainty.OBSERVED
        else _estimate_event_time(timeline, index, last_updated_on, read_on)
        for index, event in enumerate(timeline.events)
    )
    return replace(timeline, events=tuple(events))


def _estimate_event_time(timeline: Timeline, index: int, last_updated_on: datetime | None, read_on: datetime) -> Event:
    before, event, after = timeline.events[:index], timeline.events[index], timeline.events[index + 1 :]
    earliest = event.earliest or next((known.on for known in reversed(before) if known.on is not None), None)
    later = next((known.on for known in after if known.on is not None), None)
    event = replace(event, earliest=earliest)
    # The last update is usually the worker's own, unless a purge or a later state touched the upload.
    is_plausible = (
        last_updated_on is not None
        and not (after or timeline.is_purged or timeline.unknown_state or event.stage is Stage.INITIATED)
        and last_updated_on <= read_on
        and (earliest is None or earliest <= last_updated_on)
    )
    if is_plausible:
        return replace(event, on=last_updated_on, certainty=Certainty.ESTIMATED, latest=read_on)
    return replace(event, latest=_latest_possible(event, later or timeline.purged_on, read_on))


def _latest_possible(event: Event, next_on: datetime | None, read_on: datetime) -> datetime:
    """The next stage or a purge limits the time of an event; an implausible one does not."""
    if next_on is None or next_on > read_on or (event.earliest is not None and next_on < event.earliest):
        return read_on
    return next_on


def _parse_chunks(fields: UploadResource, unreadable: list[str]) -> tuple[Chunk, ...] | None:
    """The chunks in order; a sentence about each without a number or a size, or about their sum, is added to `unreadable`."""
    if fields.chunks is None:
        return None
    chunks = [
        _parse_chunk(chunk.number, chunk.size, chunk.hash)
        for chunk in fields.chunks
        if chunk.number is not None and chunk.size is not None
    ]
    unreadable += ["a chunk without a number or a size"] * (len(fields.chunks) - len(chunks))
    listed = sort_chunks(chunks)
    unreadable += [CHUNKS_TOO_LARGE] if listed is None else []
    return listed


def sort_chunks(chunks: Sequence[Chunk]) -> tuple[Chunk, ...] | None:
    """The chunks in the order of their numbers; None if their sizes add up to more than `MAX_NUMBER`."""
    if sum(chunk.size_bytes for chunk in chunks) > MAX_NUMBER:
        return None
    return tuple(sorted(chunks, key=lambda chunk: chunk.number))


def _parse_chunk(number: int, size: int, digest: DigestResource | None) -> Chunk:
    return Chunk(number, size) if digest is None else Chunk(number, size, digest.algorithm, digest.value)


def _uploader_name(user: UserResource | None) -> str:
    return "" if user is None else user.full_name or user.username or ""
