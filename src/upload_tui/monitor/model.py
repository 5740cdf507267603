"""The monitor's picture as a screen asks for it: windows of rows, the funnel, one upload in detail, the connection.

All of it is frozen. Times are aware and in UTC, sizes in bytes, durations in seconds.
"""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct, field

from upload_tui.status import Anomaly, Certainty, Stage

if TYPE_CHECKING:  # what was read is shown without the room that reads
    from upload_tui.wire import Upload

__all__ = [
    "CauseGroup",
    "Connection",
    "ConnectionState",
    "Detail",
    "Funnel",
    "Lateness",
    "LatencyBucket",
    "LatencyHistogram",
    "Playback",
    "ProjectRef",
    "Query",
    "Row",
    "SortKey",
    "StageSummary",
    "Window",
]


class ConnectionState(StrEnum):
    """Whether what is shown can be believed just now."""

    CONNECTING = "connecting"
    """Nothing was read yet in this visit."""
    CATCHING_UP = "catching up"
    """Answers come, but the picture is not whole yet (first fetch, or after an outage)."""
    LIVE = "live"
    """The picture is whole and fresh."""
    SLOW = "slow"
    """Live, but answers take long."""
    RETRYING = "retrying"
    """The last request failed; another try is due at `next_try_on`."""
    OFFLINE = "offline"
    """Several tries failed since `since`; tries go on."""
    NOT_ALLOWED = "not allowed"
    """The service refuses the credentials."""
    PAUSED = "paused"
    """Refreshing was paused by the person."""
    REPLAYING = "replay"
    """What is shown was recorded; the service is not asked."""


class Playback(Struct, frozen=True):
    """How far a recording has been played.

    Attributes:
        position_seconds, length_seconds: from its beginning; it has ended where they are equal.
        state: what the connection was then.
    """

    position_seconds: float
    length_seconds: float
    state: ConnectionState


class Connection(Struct, frozen=True, kw_only=True):
    """The state of the connection to one service.

    Attributes:
        since: when this state began.
        read_on: when the whole picture was last known to be true; None if never.
        next_try_on: when the next request is due while retrying or offline; None otherwise.
        reason: why it is not live, in one sentence; empty while live.
        known, total: uploads known so far and promised while catching up; total None if unknown.
        requests_last_minute: what keeping the picture true costs the service; None if nobody counts them.
        playback: where a replay is; None if what is shown is not a recording.
    """

    state: ConnectionState
    since: datetime
    read_on: datetime | None = None
    next_try_on: datetime | None = None
    reason: str = ""
    known: int = 0
    total: int | None = None
    requests_last_minute: int | None = None
    playback: Playback | None = None

    @property
    def is_live(self) -> bool:
        """True if what is shown is what the service says now."""
        return self.state in {ConnectionState.LIVE, ConnectionState.SLOW}

    def as_of(self, now: datetime) -> datetime:
        """When what is shown was last known to be true: now while it is live, or while nothing else is known."""
        return now if self.is_live or self.read_on is None else min(self.read_on, now)


class ProjectRef(Struct, frozen=True):
    """A project; `name` may be empty if the service did not say it yet."""

    id: str
    name: str = ""


class SortKey(StrEnum):
    """By what the table can be ordered."""

    INITIATED = "initiated"
    """When it began: the service's own order."""
    STAGE = "stage"
    SINCE = "since"
    """When the present stage began."""
    NAME = "name"
    SIZE = "size"
    PROJECT = "project"


class Query(Struct, frozen=True):
    """Which uploads, and in what order. Empty sets and texts mean "all".

    `search` is a part of a name, id or error message, in any case of letters. `attention_only` leaves only the stuck and the failed.
    """

    stages: frozenset[Stage] = frozenset()
    search: str = ""
    attention_only: bool = False
    project_ids: frozenset[str] = frozenset()
    sort: SortKey = SortKey.INITIATED
    descending: bool = True

    @property
    def is_filtered(self) -> bool:
        """True if the search or a filter may leave uploads out."""
        return self != Query(sort=self.sort, descending=self.descending)


class Lateness(Struct, frozen=True):
    """What the picture makes of one pending upload; all times in seconds.

    Attributes:
        is_overdue: pending longer than is usual (beyond the 95th percentile of what was seen, or the threshold).
        is_stuck: pending beyond the threshold, or beyond all that was ever seen.
        p50_seconds, p95_seconds, p99_seconds: how long this stage lasts for uploads of this project and size: half of them, 95 and
            99 of a hundred at most so long; None while too few were seen.
        expected_on: when it will probably be done, seeing how long it has waited; None if nothing like it is known.
        waits_for: in a few words what it waits for; empty if it is final.
    """

    is_overdue: bool = False
    is_stuck: bool = False
    p50_seconds: float | None = None
    p95_seconds: float | None = None
    expected_on: datetime | None = None
    waits_for: str = ""
    p99_seconds: float | None = None


class Row(Struct, frozen=True, kw_only=True):
    """One upload in a table.

    Attributes:
        stage_since, since_certainty: when the present stage began and how that is known.
        initiated_on, completed_on, ended_on: the times of the stages, as well as they are known; `ended_on` is verified or error.
        chunk_count, chunk_bytes: chunks reported so far; None if the upload is not chunked.
        read_on: when the service last said this; older than the picture if its refresh failed.
        is_gone: the service no longer knows it.
    """

    id: str
    name: str
    project_id: str
    project_name: str
    service: str
    size_bytes: int | None
    stage: Stage
    stage_since: datetime | None
    since_certainty: Certainty
    initiated_on: datetime | None
    completed_on: datetime | None
    ended_on: datetime | None
    chunk_count: int | None
    chunk_bytes: int | None
    error_message: str
    lateness: Lateness
    anomaly_count: int = 0
    is_purged: bool = False
    is_gone: bool = False
    is_stale: bool = False
    read_on: datetime


class Window(Struct, frozen=True):
    """Rows `offset` to `offset + len(rows)` of the answer to a query that has `total` rows in all.

    While it is not `is_settled`, more rows are still to be looked for: whoever asks again is told more.
    """

    rows: tuple[Row, ...]
    offset: int
    total: int
    revision: int
    is_settled: bool = True


class StageSummary(Struct, frozen=True):
    """One stage of the funnel.

    Attributes:
        count: uploads in this stage now.
        oldest_since: when the one that is in it longest came in; None if there is none.
        newest_since: when the last one came in; None if there is none.
        overdue, stuck: how many of them are.
        recent: uploads that reached the stage in each of the last minutes, oldest first (any number of minutes; by the minute).
    """

    stage: Stage
    count: int = 0
    oldest_since: datetime | None = None
    newest_since: datetime | None = None
    overdue: int = 0
    stuck: int = 0
    recent: tuple[int, ...] = ()


class Funnel(Struct, frozen=True):
    """All four stages, in order, and the remarks that only the whole allows."""

    stages: tuple[StageSummary, ...] = field(default_factory=lambda: tuple(StageSummary(stage) for stage in Stage))
    notice: str = ""
    """Such as "the verification worker looks stopped: 0 verified in 8 min, 14 wait"; empty if all is well."""

    def __getitem__(self, stage: Stage) -> StageSummary:
        return self.stages[stage.rank]

    @property
    def total(self) -> int:
        """All uploads."""
        return sum(summary.count for summary in self.stages)

    @property
    def pending(self) -> int:
        """Uploads whose fate is open."""
        return sum(summary.count for summary in self.stages if not summary.stage.is_final)

    @property
    def stuck(self) -> int:
        """Uploads that look stuck."""
        return sum(summary.stuck for summary in self.stages)


class CauseGroup(Struct, frozen=True, kw_only=True):
    """Failed uploads that failed for one cause, in one place, in one person's hands.

    Attributes:
        cause: the message without its particulars (`statistics.normalise_cause`).
        storage_provider, uploader: as the service names them; empty if it does not.
        count: how many failed.
        first_on, last_on: when the first and the last of them failed; None if the service did not say.
        last_id: the id of the one that failed last.
    """

    cause: str
    storage_provider: str = ""
    uploader: str = ""
    count: int
    first_on: datetime | None = None
    last_on: datetime | None = None
    last_id: str = ""


class LatencyBucket(Struct, frozen=True):
    """How many uploads took at least `from_seconds` and less than `to_seconds`."""

    from_seconds: float
    to_seconds: float
    count: int


class LatencyHistogram(Struct, frozen=True, kw_only=True):
    """How long uploads took from one stage to the next, in buckets of which each is twice as wide as the one before.

    Attributes:
        after, before: the stages: the time after the one and before the other.
        count: uploads of which both times are known.
        p50_seconds, p95_seconds, p99_seconds: half of them, 95 and 99 of a hundred took at most this; within a bucket they are
            taken to lie evenly.
        buckets: without gaps from the quickest to the slowest; empty if nothing was seen.
    """

    after: Stage
    before: Stage
    count: int = 0
    p50_seconds: float | None = None
    p95_seconds: float | None = None
    p99_seconds: float | None = None
    buckets: tuple[LatencyBucket, ...] = ()


class Detail(Struct, frozen=True, kw_only=True):
    """Everything known of one upload.

    Attributes:
        anomalies: those of the last answer and those that only a comparison of readings showed.
        raw: the service's last answer as JSON text, secrets masked, in the service's order.
    """

    upload: "Upload"
    row: Row
    anomalies: tuple[Anomaly, ...]
    raw: str = ""
