"""Rows of the table `uploads`, to and from `StoredUpload`, and the raw JSON of each upload."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from upload_tui.errors import InvalidResponseError
from upload_tui.monitor.analysis.statistics import bucket_of, normalize_cause
from upload_tui.monitor.model import Acknowledgement
from upload_tui.monitor.store.partitions import READ_MS
from upload_tui.monitor.store.schema import UNKNOWN, decompress_page, folded_text
from upload_tui.status import (
    Ability,
    Anomaly,
    AnomalyName,
    Certainty,
    Stage,
    Timeline,
    contradicts_itself,
    is_contradictory,
    most_serious,
)
from upload_tui.wire import EPOCH, MILLISECOND

if TYPE_CHECKING:
    from upload_tui.monitor.store.database import Database
    from upload_tui.wire import Upload

__all__ = [
    "BULK_COLUMNS",
    "BULK_CONSTANTS",
    "BULK_VALUES",
    "READ_COLUMNS",
    "RawJsonStore",
    "StoredUpload",
    "UNKNOWN_STATE_RANK",
    "WRITE_COLUMNS",
    "from_ms",
    "parse_row",
    "row_values",
    "stage_rank",
    "to_ms",
]

_STAGES = tuple(Stage)
_FAST_RANGE_MS = range(4_000_000_000_000)
_READABLE_MS = range(*((datetime(year, 1, 1, tzinfo=UTC) - EPOCH) // MILLISECOND for year in (1900, 3000)))

WRITE_COLUMNS = (
    "id", "project", "partition", "name", "size_bytes", "stage", "since_ms", "certainty", "initiated_ms", "completed_ms", "ended_ms",
    "activity_ms", "chunk_count", "chunk_bytes", "error_message", "cause", "storage_provider", "uploader", "anomaly_count",
    "noticed_anomalies", "is_purged", "is_gone", "is_stale", "read_ms", "earliest_ms", "upload_bucket", "verify_bucket",
    "is_contradictory", "folded", "content_type", "anomaly", "first_known_ms", "page", "place",
)  # fmt: skip
"""The columns that are written, in the order of `row_values`."""

BULK_CONSTANTS = {
    "anomaly": "''", "anomaly_count": "0", "noticed_anomalies": "''", "is_gone": "0", "is_stale": "0", "earliest_ms": "NULL",
    "is_contradictory": "0", "first_known_ms": "NULL",
}  # fmt: skip
"""The values, in SQL, of columns that are the same in all rows that are inserted in bulk: each value that is bound takes time."""
BULK_COLUMNS = tuple(
    column
    for column in WRITE_COLUMNS
    if column not in {"project", "partition", "page"} and column not in BULK_CONSTANTS
)
"""The columns of a row in a page snapshot; the others are the same for many rows."""
_BULK_NULLABLE = frozenset(
    {"completed_ms", "ended_ms", "activity_ms", "chunk_count", "chunk_bytes", "upload_bucket", "verify_bucket"}
)
BULK_VALUES = ", ".join(f"nullif(?, {UNKNOWN})" if column in _BULK_NULLABLE else "?" for column in BULK_COLUMNS)
"""The parameters of `BULK_COLUMNS`: those that may be NULL are then bound as `UNKNOWN`, as None and bools take many times as long."""

READ_COLUMNS = (
    "number", "uploads.id", "projects.id", "projects.name", "uploads.name", "size_bytes", "stage", "since_ms", "certainty",
    "initiated_ms", "completed_ms", "ended_ms", "activity_ms", "chunk_count", "chunk_bytes", "error_message", "anomaly_count",
    "noticed_anomalies", "is_purged", "is_gone", "is_stale", READ_MS, "earliest_ms", "is_contradictory", "acknowledged_stage",
    "acknowledged_until_ms", "acknowledgement", "uploader", "storage_provider", "content_type",
    "anomaly", "first_event_ms",
)  # fmt: skip
"""The columns of `uploads JOIN projects USING (project)` that are read, in the order of `parse_row`."""


UNKNOWN_STATE_RANK = len(Stage)
"""The rank, in the column `stage` and in partitions, of uploads in a state that is not in the design: they are in no stage.

Their column `error_message` holds the service's own name for the state, so that a search finds it.
"""


NEAR_BOUNDS = timedelta(seconds=60)
"""A stage that was first observed at most so long after a reading without it has a known time."""


class StoredUpload(Struct, frozen=True, kw_only=True):
    """An upload as the store knows it; times are aware.

    Attributes:
        number: the row number, which never changes.
        activity_on: when the service last changed the upload.
        anomaly: the most serious anomaly; None if there is none, or if an earlier version stored the upload.
        noticed: the anomalies that a comparison of readings found.
        earliest: the earliest possible time of the last event, if the service does not report its time.
        acknowledgement: the user has acknowledged what is wrong with it in its present stage; it may be over.
        unknown_state: the service's own name for a state that is not in the design; empty if the state is a stage.
        first_event_on: as in `Row`.
    """

    number: int
    id: str
    project_id: str
    project_name: str
    name: str
    size_bytes: int | None
    stage: Stage
    since: datetime | None
    certainty: Certainty
    initiated_on: datetime | None
    completed_on: datetime | None
    ended_on: datetime | None
    activity_on: datetime | None
    chunk_count: int | None
    chunk_bytes: int | None
    error_message: str
    anomaly_count: int
    noticed: tuple[Anomaly, ...]
    is_purged: bool
    is_gone: bool
    is_stale: bool
    read_on: datetime
    earliest: datetime | None
    is_contradictory: bool
    acknowledgement: Acknowledgement | None = None
    uploader: str = ""
    storage_provider: str = ""
    content_type: str = ""
    unknown_state: str = ""
    anomaly: Anomaly | None = None
    first_event_on: datetime | None = None

    @property
    def is_least_age(self) -> bool:
        """Whether the stage may have begun long before `since`, when it was first observed."""
        if self.since is None or self.certainty is not Certainty.OBSERVED:
            return False
        return self.earliest is None or self.since - self.earliest > NEAR_BOUNDS

    @property
    def idle_since(self) -> datetime | None:
        """When anything last happened to the upload in its stage; None if unknown.

        A stage that was only observed may have begun long before the last activity.
        """
        is_bound = self.certainty is Certainty.OBSERVED and self.activity_on is not None
        began = self.earliest if is_bound else self.since
        return max((on for on in (began, self.activity_on) if on is not None), default=None)


def stage_rank(upload: "Upload") -> int:
    """The rank of an upload's stage, as stored."""
    return upload.stage.rank if upload.timeline.unknown_state is None else UNKNOWN_STATE_RANK


def to_ms(on: datetime | None) -> int | None:
    """A time as stored: milliseconds since 1970; None stays None."""
    return None if on is None else (on - EPOCH) // MILLISECOND


def from_ms(value_ms: int | None) -> datetime | None:
    """The time of a stored value; None for None, for `UNKNOWN`, and for a time that `parse_time` does not read."""
    if value_ms is None:
        return None
    # `fromtimestamp` is faster, and a window has hundreds of times. But some platforms do not support it before 1970, and in the far
    # future a float cannot hold milliseconds.
    if value_ms in _FAST_RANGE_MS:
        return datetime.fromtimestamp(value_ms / 1000, UTC)
    # An earlier version stored any time. The sum of one outside this range and a duration may be beyond the calendar.
    return EPOCH + timedelta(milliseconds=value_ms) if value_ms in _READABLE_MS else None


def _or_unknown(value: int | None) -> int:
    return UNKNOWN if value is None else value


def row_values(
    upload: "Upload", project: int, partition: int, noticed: Sequence[Anomaly], earliest: datetime | None
) -> tuple[object, ...]:
    """The values of `WRITE_COLUMNS` for an upload; `project` and `partition` are row numbers."""
    timeline, current = upload.timeline, upload.timeline.current
    times_ms = {stage: to_ms(event.best_time) if (event := timeline.event(stage)) else None for stage in Stage}
    stage, unknown = upload.stage, timeline.unknown_state
    message = timeline.error_message or "" if unknown is None else unknown.name
    ended_ms, since_ms = times_ms[stage] if stage.is_final else None, to_ms(timeline.since)
    first_ms = _first_known_ms(upload, times_ms[Stage.INITIATED], times_ms[Stage.COMPLETED], ended_ms, since_ms)
    certainty = current.certainty if current else Certainty.OBSERVED
    if timeline.own_state is not None:
        certainty = timeline.own_state.certainty
    # An observed time is only a bound (an observed end may be a purge years later): the duration is unknown.
    known_ms = {one: ms for one, ms in times_ms.items() if _certainty(timeline, one) is not Certainty.OBSERVED}
    verify_bucket = _latency_bucket(known_ms.get(Stage.COMPLETED), known_ms.get(stage) if stage.is_final else None)
    upload_bucket = _latency_bucket(known_ms.get(Stage.INITIATED), known_ms.get(Stage.COMPLETED))
    anomalies = (*upload.anomalies, *noticed)
    if contradicts_itself(stage, anomalies):
        upload_bucket = verify_bucket = None
    return (
        upload.id, project, partition, upload.name, _or_unknown(upload.size_bytes), stage_rank(upload),
        _or_unknown(since_ms), str(certainty), _or_unknown(times_ms[Stage.INITIATED]), times_ms[Stage.COMPLETED],
        ended_ms, to_ms(upload.last_updated_on), upload.chunk_count,
        upload.chunk_bytes if upload.has_received_bytes else None, message, normalize_cause(message) if stage is Stage.ERROR else "",
        upload.storage_provider, upload.uploader, len(anomalies), _encode_anomalies(noticed),
        timeline.is_purged, False, False, to_ms(upload.read_on), to_ms(earliest),
        upload_bucket, verify_bucket, is_contradictory(stage, anomalies), folded_text(upload.name, upload.id, message),
        upload.content_type, _encode_anomaly(most_serious(anomalies)), first_ms, None, None,
    )  # fmt: skip


def _first_known_ms(upload: "Upload", *times_ms: int | None) -> int | None:
    """The first time known of an upload of a source, if that is before all times that are stored and it reports no initiation."""
    event, first_ms = upload.timeline.event(Stage.INITIATED), to_ms(upload.first_known_on)
    is_reported = upload.origin.has(Ability.STAGE_HISTORY) or (event is not None and event.on is not None)
    if is_reported or first_ms is None or any(ms is not None and ms <= first_ms for ms in times_ms):
        return None
    return first_ms


def _certainty(timeline: Timeline, stage: Stage) -> Certainty:
    event = timeline.event(stage)
    return Certainty.OBSERVED if event is None else event.certainty


def _encode_anomalies(noticed: Sequence[Anomaly]) -> str:
    return json.dumps([[anomaly.name, anomaly.detail] for anomaly in noticed]) if noticed else ""


def _encode_anomaly(anomaly: Anomaly | None) -> str:
    return json.dumps([anomaly.name, anomaly.detail]) if anomaly else ""


def _decode_anomaly(text: str) -> Anomaly | None:
    name, detail = json.loads(text) if text else ("", "")
    return Anomaly(AnomalyName(name), detail) if name else None


def _latency_bucket(start_ms: int | None, end_ms: int | None) -> int | None:
    return None if start_ms is None or end_ms is None or end_ms < start_ms else bucket_of(end_ms - start_ms)


def parse_row(row: Sequence[Any]) -> StoredUpload:
    """The upload of a row of `READ_COLUMNS`."""
    (
        number, upload_id, project_id, project_name, name, size_bytes, stage, since, certainty, initiated, completed, ended, activity,
        chunk_count, chunk_bytes, error_message, anomaly_count, noticed, is_purged, is_gone, is_stale, read, earliest, contradictory,
        acknowledged_stage, acknowledged_until, note, uploader, storage_provider, content_type,
        anomaly, first_event,
    ) = row  # fmt: skip
    return StoredUpload(
        number=number, id=upload_id, project_id=project_id, project_name=project_name, name=name,
        size_bytes=None if size_bytes == UNKNOWN else size_bytes, stage=_stage_of_rank(stage, completed), since=from_ms(since),
        certainty=Certainty(certainty), initiated_on=from_ms(initiated), completed_on=from_ms(completed),
        ended_on=from_ms(ended), activity_on=from_ms(activity), chunk_count=chunk_count, chunk_bytes=chunk_bytes,
        error_message="" if stage == UNKNOWN_STATE_RANK else error_message, anomaly_count=anomaly_count,
        noticed=tuple(Anomaly(AnomalyName(one), detail) for one, detail in json.loads(noticed)) if noticed else (),
        is_purged=bool(is_purged), is_gone=bool(is_gone), is_stale=bool(is_stale), read_on=from_ms(read) or EPOCH,
        earliest=from_ms(earliest), is_contradictory=bool(contradictory), uploader=uploader,
        acknowledgement=Acknowledgement(note, from_ms(acknowledged_until)) if acknowledged_stage == stage else None,
        storage_provider=storage_provider, content_type=content_type,
        unknown_state=error_message if stage == UNKNOWN_STATE_RANK else "", anomaly=_decode_anomaly(anomaly),
        first_event_on=from_ms(first_event),
    )  # fmt: skip


def _stage_of_rank(rank: int, completed_ms: int | None) -> Stage:
    """The stage of a stored rank; in an unknown state the last pending one, as `Timeline.stage`."""
    if rank != UNKNOWN_STATE_RANK:
        return _STAGES[rank]
    return Stage.INITIATED if completed_ms is None else Stage.COMPLETED


_SELECT_RAW = "SELECT number, id, raw, page, place FROM uploads LEFT JOIN raw_json USING (number)"
_MAX_CACHED_PAGES = 16
"""More pages than any caller alternates between."""


class RawJsonStore:
    """Raw JSON by upload.

    Args:
        db: the store's database.
    """

    def __init__(self, db: "Database") -> None:
        self._db = db
        self._page_cache: dict[int, _Page] = {}

    def raw(self, upload_id: str) -> str:
        """The raw JSON of an upload; empty if the upload is not known or its page is damaged."""
        row = self._db.execute(f"{_SELECT_RAW} WHERE id = ?", (upload_id,)).fetchone()
        if row is None:
            return ""
        _, _, raw, page, place = row
        if raw is not None:
            return str(raw)
        try:
            return json.dumps(self._page(page).entry(place), ensure_ascii=False)
        except (IndexError, InvalidResponseError):
            return ""

    def entries(self, numbers: Sequence[int]) -> Mapping[int, Any]:
        """The JSON values of uploads, at most some hundreds, by row number; without those whose JSON is damaged."""
        found: dict[int, Any] = {}
        rows = self._db.execute(f"{_SELECT_RAW} WHERE number IN ({', '.join(map(str, numbers))})")
        for number, _, raw, page, place in rows:
            with suppress(ValueError, IndexError, InvalidResponseError):
                found[number] = json.loads(raw) if raw is not None else self._page(page).entry(place)
        return found

    def current_entries(self, upload_ids: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """The ids and JSON values of those uploads, at most some hundreds, that are neither gone nor stale."""
        rows = self._db.execute(
            f"{_SELECT_RAW} WHERE NOT is_gone AND NOT is_stale AND id IN ({', '.join('?' * len(upload_ids))})",
            upload_ids,
        )
        for _, upload_id, raw, page, place in rows:
            with suppress(ValueError, IndexError, InvalidResponseError):
                yield upload_id, json.loads(raw) if raw is not None else self._page(page).entries[place]

    def page_body(self, page: int) -> bytes:
        """The JSON of a page; empty if it is damaged."""
        row = self._db.execute("SELECT body FROM pages WHERE page = ?", (page,)).fetchone()
        return b"" if row is None else decompress_page(row[0])

    def ids_outside_pages(self, upload_ids: Sequence[str]) -> Sequence[str]:
        """Those of the ids whose raw JSON is not part of a page that was stored in bulk, at most some hundreds."""
        ids = f"SELECT id FROM uploads WHERE page IS NULL AND id IN ({', '.join('?' * len(upload_ids))})"
        return [row[0] for row in self._db.execute(ids, upload_ids)]

    def _page(self, page: int) -> "_Page":
        """A page; the last ones are cached, because neighbours are often read together."""
        found = self._page_cache.pop(page, None)
        if found is None:
            from upload_tui.redaction import may_contain_secret
            from upload_tui.wire import page_entries

            body = self.page_body(page)
            found = _Page(page_entries(body) if body else (), may_contain_secret(body))
            while len(self._page_cache) >= _MAX_CACHED_PAGES:
                del self._page_cache[next(iter(self._page_cache))]
        self._page_cache[page] = found
        return found


class _Page(Struct, frozen=True):
    """The entries of a page, and whether one of them may contain a secret."""

    entries: Sequence[Any]
    may_contain_secret: bool

    def entry(self, place: int) -> Any:
        """An entry with every secret hidden."""
        if not self.may_contain_secret:
            return self.entries[place]
        from upload_tui.wire import redact_value

        return redact_value(self.entries[place])
