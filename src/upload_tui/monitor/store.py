"""What is known of uploads, in SQLite: written by the synchroniser, asked by the session. Knows no service and no screen."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from upload_tui.errors import StorageError
from upload_tui.monitor.histogram import bucket_of
from upload_tui.monitor.picture import CauseGroup, ProjectRef, Query, SortKey
from upload_tui.monitor.schema import MIGRATIONS, migrate
from upload_tui.monitor.statistics import normal_cause
from upload_tui.status import Anomaly, AnomalyName, Certainty, Stage
from upload_tui.wire.upload import Upload

__all__ = ["Store", "StoredUpload", "StuckBefore"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = (
    "id", "project_id", "project_name", "name", "size_bytes", "stage", "since_ms", "certainty", "initiated_ms", "completed_ms",
    "ended_ms", "activity_ms", "chunk_count", "chunk_bytes", "error_message", "anomaly_count", "noticed", "is_purged", "is_gone",
    "is_stale", "read_ms", "earliest_ms",
)  # fmt: skip
_SELECTED = ", ".join(_COLUMNS)
_ORDERS = {
    SortKey.INITIATED: "initiated_ms",
    SortKey.STAGE: "stage",
    SortKey.SINCE: "since_ms",
    SortKey.NAME: "name COLLATE NOCASE",
    SortKey.SIZE: "size_bytes",
    SortKey.PROJECT: "project_id",
}
_STAGES = tuple(Stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredUpload:
    """One row of the store; times are aware, `noticed` are the anomalies that only a comparison of readings showed.

    `earliest` bounds the last event from below where its time is only observed; `activity_on` is the service's last change of it.
    """

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


@dataclass(frozen=True, slots=True)
class StuckBefore:
    """From which times on pending uploads look stuck: an initiated one whose last activity, a completed one whose stage, is older."""

    initiated: datetime
    completed: datetime


class Store:
    """The uploads of one service and account.

    Args:
        file: where to keep them; None keeps them in memory for this visit.

    Raises:
        StorageError: the file cannot be used.
    """

    def __init__(self, file: Path | None = None) -> None:
        try:
            self._db = sqlite3.connect(file or ":memory:", isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            if self._db.execute("PRAGMA user_version").fetchone()[0] > len(MIGRATIONS):
                raise StorageError(f"{file} was written by a newer upload-tui", "Upgrade, or move the file away.")
            migrate(self._db)
        except sqlite3.Error as error:
            raise StorageError(f"{file} cannot be used as a store: {error}", "Move the file away.") from error
        self.revision = 0
        self._totals: dict[tuple[str, tuple[object, ...]], int] = {}

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    # Writing

    def put(self, uploads: Iterable[tuple[Upload, str, Sequence[Anomaly], datetime | None]]) -> None:
        """Keep readings, each with the service's words, what a comparison noticed, and the bound from below of its last event."""
        rows = [_values(*entry) for entry in uploads]
        places = ", ".join("?" * (len(_COLUMNS) + 1))
        with self._transaction():
            self._db.executemany(f"INSERT OR REPLACE INTO uploads ({_SELECTED}, raw) VALUES ({places})", rows)

    def mark(self, upload_ids: Iterable[str], *, gone: bool | None = None, stale: bool | None = None) -> None:
        """Mark uploads as gone or not, as stale or not; None leaves a mark as it is."""
        values = [(gone, stale, upload_id) for upload_id in upload_ids]
        with self._transaction():
            self._db.executemany(
                "UPDATE uploads SET is_gone = ifnull(?, is_gone), is_stale = ifnull(?, is_stale) WHERE id = ?", values
            )

    def touch(self, upload_ids: Iterable[str], read_on: datetime) -> None:
        """The service said the same of these uploads again."""
        with self._transaction():
            self._db.executemany(
                "UPDATE uploads SET read_ms = ?, is_stale = 0, is_gone = 0 WHERE id = ?",
                [(_ms(read_on), upload_id) for upload_id in upload_ids],
            )

    def _transaction(self) -> sqlite3.Connection:
        self.revision += 1
        self._totals.clear()
        self._db.execute("BEGIN")
        return self._db

    # Asking

    def get(self, upload_id: str) -> StoredUpload | None:
        """One upload; None if it is not known."""
        row = self._db.execute(f"SELECT {_SELECTED} FROM uploads WHERE id = ?", (upload_id,)).fetchone()
        return None if row is None else _stored(row)

    def raw(self, upload_id: str) -> str:
        """The service's last words about an upload; empty if it is not known."""
        row = self._db.execute("SELECT raw FROM uploads WHERE id = ?", (upload_id,)).fetchone()
        return "" if row is None else str(row[0])

    def window(self, query: Query, stuck: StuckBefore, offset: int, limit: int) -> Sequence[StoredUpload]:
        """At most `limit` uploads of a query's answer from `offset`; from the nearer end, so that both ends cost the same."""
        total = self.total(query, stuck)
        offset, limit = max(0, offset), max(0, min(limit, total - offset))
        where, values = _condition(query, stuck)
        from_end = total - offset - limit
        backwards = from_end < offset
        order = _order(query, backwards=backwards)
        rows = self._db.execute(
            f"SELECT {_SELECTED} FROM uploads WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?",
            (*values, limit, from_end if backwards else offset),
        ).fetchall()
        found = [_stored(row) for row in rows]
        return found[::-1] if backwards else found

    def total(self, query: Query, stuck: StuckBefore) -> int:
        """How many uploads a query has."""
        where, values = _condition(query, stuck)
        key = (where, values)
        if key not in self._totals:
            counted = self._db.execute(f"SELECT count(*) FROM uploads WHERE {where}", values).fetchone()
            self._totals[key] = int(counted[0])
        return self._totals[key]

    def position(self, query: Query, stuck: StuckBefore, upload_id: str) -> int | None:
        """The place (from 0) of an upload in a query's answer; None if it is not in it."""
        where, values = _condition(query, stuck)
        key = _ORDERS[query.sort]
        here = self._db.execute(
            f"SELECT {key.split()[0]} FROM uploads WHERE id = ? AND {where}",
            (upload_id, *values),
        ).fetchone()
        if here is None:
            return None
        before, compared = _before(key, here[0], query.descending)
        counted = self._db.execute(
            f"SELECT count(*) FROM uploads WHERE {where} AND ({before} OR ({key} IS ? AND id {'>' if query.descending else '<'} ?))",
            (*values, *compared, here[0], upload_id),
        ).fetchone()
        return int(counted[0])

    def stage_counts(self) -> dict[Stage, tuple[int, datetime | None, datetime | None]]:
        """For each stage that has any: how many, the oldest and the newest time at which one came in."""
        rows = self._db.execute(
            "SELECT stage, count(*), min(since_ms), max(since_ms) FROM uploads WHERE is_gone = 0 GROUP BY stage"
        )
        return {_STAGES[stage]: (count, _time(oldest), _time(newest)) for stage, count, oldest, newest in rows}

    def arrivals(self, stage: Stage, since: datetime, minutes: int) -> tuple[int, ...]:
        """Uploads that came into a stage in each of the `minutes` minutes after `since`."""
        column = {Stage.INITIATED: "initiated_ms", Stage.COMPLETED: "completed_ms"}.get(stage, "since_ms")
        restriction = f"stage = {stage.rank} AND " if stage.is_final else ""
        rows = self._db.execute(
            f"SELECT ({column} - ?1) / 60000 AS minute, count(*) FROM uploads "
            f"WHERE {restriction}{column} >= ?1 AND {column} < ?2 GROUP BY minute",
            (_ms(since), _ms(since + timedelta(minutes=minutes))),
        )
        counts = dict(rows.fetchall())
        return tuple(counts.get(minute, 0) for minute in range(minutes))

    def pending(self, project_id: str | None = None, limit: int = -1) -> Sequence[StoredUpload]:
        """Uploads whose fate is open, the longest waiting first; those that are gone are left out."""
        where = "stage <= 1 AND is_gone = 0" + ("" if project_id is None else " AND project_id = ?")
        values = () if project_id is None else (project_id,)
        rows = self._db.execute(
            f"SELECT {_SELECTED} FROM uploads WHERE {where} ORDER BY stage DESC, since_ms, id LIMIT {int(limit)}",
            values,
        )
        return [_stored(row) for row in rows]

    def known(self, upload_ids: Sequence[str]) -> frozenset[str]:
        """Those of the ids that are known."""
        found: set[str] = set()
        for start in range(0, len(upload_ids), 500):
            some = upload_ids[start : start + 500]
            places = ", ".join("?" * len(some))
            found.update(row[0] for row in self._db.execute(f"SELECT id FROM uploads WHERE id IN ({places})", some))
        return frozenset(found)

    def ids(self, project_id: str) -> frozenset[str]:
        """All ids of a project that are not gone."""
        rows = self._db.execute("SELECT id FROM uploads WHERE project_id = ? AND is_gone = 0", (project_id,))
        return frozenset(row[0] for row in rows)

    def places(self, project_id: str, upload_ids: Sequence[str]) -> Sequence[int]:
        """Where (from 0) uploads stand in the service's own order, newest first, as far as the picture is whole."""
        return [
            int(
                self._db.execute(
                    "SELECT count(*) FROM uploads WHERE project_id = ?1 AND is_gone = 0 "
                    "AND initiated_ms > (SELECT initiated_ms FROM uploads WHERE id = ?2)",
                    (project_id, upload_id),
                ).fetchone()[0]
            )
            for upload_id in upload_ids
        ]

    def between(self, project_id: str, upload_ids: Sequence[str]) -> frozenset[str]:
        """The uploads of a project, not gone, that were initiated strictly between the oldest and the newest of these."""
        places = ", ".join("?" * len(upload_ids))
        rows = self._db.execute(
            f"WITH edge AS (SELECT min(initiated_ms) AS low, max(initiated_ms) AS high FROM uploads WHERE id IN ({places})) "
            "SELECT id FROM uploads, edge WHERE project_id = ? AND is_gone = 0 AND initiated_ms > low AND initiated_ms < high",
            (*upload_ids, project_id),
        )
        return frozenset(row[0] for row in rows)

    def projects(self) -> Sequence[ProjectRef]:
        """The projects of which any upload is known."""
        rows = self._db.execute(
            "SELECT DISTINCT project_id, project_name FROM uploads ORDER BY project_name, project_id"
        )
        return [ProjectRef(*row) for row in rows]

    def count(self, project_id: str) -> int:
        """How many uploads of a project are known and not gone."""
        counted = self._db.execute("SELECT count(*) FROM uploads WHERE project_id = ? AND is_gone = 0", (project_id,))
        return int(counted.fetchone()[0])

    def older_than(self, stage: Stage, on: datetime) -> int:
        """How many uploads have been in a stage since before that time; for initiated ones the last activity counts."""
        since = "ifnull(activity_ms, since_ms)" if stage is Stage.INITIATED else "since_ms"
        counted = self._db.execute(
            f"SELECT count(*) FROM uploads WHERE stage = ? AND {since} < ? AND is_gone = 0",
            (stage.rank, _ms(on)),
        )
        return int(counted.fetchone()[0])

    def causes(self) -> Sequence[CauseGroup]:
        """The failed by cause, the largest group first."""
        rows = self._db.execute(
            "SELECT error_message, since_ms, id, raw FROM uploads WHERE stage = 3 AND is_gone = 0 ORDER BY since_ms, id"
        ).fetchall()
        groups: dict[tuple[str, str, str], list[tuple[int | None, str]]] = {}
        for message, since, upload_id, raw in rows:
            words = json.loads(raw)
            provider = (words.get("storage_provider") or {}).get("name") or ""
            user = (words.get("audit") or {}).get("created_by") or {}
            groups.setdefault((normal_cause(message), provider, user.get("full_name") or ""), []).append(
                (since, upload_id)
            )
        found = [
            CauseGroup(
                cause=key[0], storage_provider=key[1], uploader=key[2], count=len(some),
                first_on=_time(some[0][0]), last_on=_time(some[-1][0]), last_id=some[-1][1],
            )
            for key, some in groups.items()
        ]  # fmt: skip
        return sorted(found, key=lambda group: -group.count)

    def latency_buckets(self, after: Stage, before: Stage) -> Mapping[int, int]:
        """How many uploads took how long from one stage to another, by `histogram.bucket_of`."""
        first, second = ("initiated_ms", "completed_ms") if after is Stage.INITIATED else ("completed_ms", "ended_ms")
        stage = "1" if after is Stage.INITIATED else f"stage = {before.rank}"
        rows = self._db.execute(
            f"SELECT {second} - {first} FROM uploads WHERE {stage} AND {second} >= {first} AND is_gone = 0"
        )
        return Counter(bucket_of(row[0]) for row in rows)

    def durations_seconds(self, limit: int) -> Sequence[float]:
        """How long the last verified uploads waited for verification, newest first."""
        rows = self._db.execute(
            "SELECT since_ms - completed_ms FROM uploads WHERE stage = 2 AND completed_ms IS NOT NULL "
            "AND since_ms >= completed_ms ORDER BY since_ms DESC LIMIT ?",
            (limit,),
        )
        return [row[0] / 1000 for row in rows]


def _before(key: str, value: object, descending: bool) -> tuple[str, tuple[object, ...]]:
    """The condition "stands before this value"; SQLite sorts unknown values as the smallest."""
    if value is None:
        return (f"{key} IS NOT NULL", ()) if descending else ("0", ())
    if descending:
        return f"{key} > ?", (value,)
    return f"({key} < ? OR {key} IS NULL)", (value,)


def _order(query: Query, *, backwards: bool) -> str:
    direction = "DESC" if query.descending is not backwards else "ASC"
    return f"{_ORDERS[query.sort]} {direction}, id {direction}"


def _condition(query: Query, stuck: StuckBefore) -> tuple[str, tuple[object, ...]]:
    parts: list[str] = []
    values: list[object] = []
    if query.stages:
        parts.append(
            f"stage IN ({', '.join(str(stage.rank) for stage in sorted(query.stages, key=lambda stage: stage.rank))})"
        )
    if query.project_ids:
        parts.append(f"project_id IN ({', '.join('?' * len(query.project_ids))})")
        values.extend(sorted(query.project_ids))
    if query.attention_only:
        parts.append("(stage = 3 OR (stage = 1 AND since_ms < ?) OR (stage = 0 AND ifnull(activity_ms, since_ms) < ?))")
        values.extend((_ms(stuck.completed), _ms(stuck.initiated)))
    if query.search:
        pattern = "%" + query.search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        parts.append("(name LIKE ? ESCAPE '\\' OR id LIKE ? ESCAPE '\\' OR error_message LIKE ? ESCAPE '\\')")
        values.extend((pattern, pattern, pattern))
    return " AND ".join(parts) or "1", tuple(values)


def _ms(on: datetime | None) -> int | None:
    return None if on is None else (on - _EPOCH) // timedelta(milliseconds=1)


def _time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else _EPOCH + timedelta(milliseconds=milliseconds)


def _values(upload: Upload, raw: str, noticed: Sequence[Anomaly], earliest: datetime | None) -> tuple[object, ...]:
    timeline, current = upload.timeline, upload.timeline.current
    times = {stage: event.best if (event := timeline.event(stage)) else None for stage in Stage}
    ended = times[upload.stage] if upload.stage.is_final else None
    return (
        upload.id, upload.project_id, upload.project_name, upload.name, upload.size_bytes, upload.stage.rank,
        _ms(timeline.since), str(current.certainty if current else Certainty.OBSERVED),
        _ms(times[Stage.INITIATED]), _ms(times[Stage.COMPLETED]), _ms(ended), _ms(upload.last_updated_on),
        None if upload.chunks is None else len(upload.chunks), None if upload.chunks is None else upload.chunk_bytes,
        timeline.error_message or "", len(upload.anomalies) + len(noticed),
        json.dumps([[anomaly.name, anomaly.detail] for anomaly in noticed]),
        timeline.purged_on is not None, False, False, _ms(upload.read_on), _ms(earliest), raw,
    )  # fmt: skip


def _stored(row: Sequence[Any]) -> StoredUpload:
    fields: dict[str, Any] = dict(zip(_COLUMNS, row, strict=True))
    times = {name.removesuffix("_ms"): _time(fields.pop(name)) for name in _COLUMNS if name.endswith("_ms")}
    fields["stage"] = _STAGES[fields["stage"]]
    fields["certainty"] = Certainty(fields["certainty"])
    fields["noticed"] = tuple(Anomaly(AnomalyName(name), detail) for name, detail in json.loads(fields["noticed"]))
    for flag in ("is_purged", "is_gone", "is_stale"):
        fields[flag] = bool(fields[flag])
    return StoredUpload(
        **fields,
        since=times["since"],
        initiated_on=times["initiated"],
        completed_on=times["completed"],
        ended_on=times["ended"],
        activity_on=times["activity"],
        read_on=times["read"] or _EPOCH,  # never NULL
        earliest=times["earliest"],
    )
