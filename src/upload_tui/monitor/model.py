"""What screens and commands read of a picture: windows of rows, the funnel, details, the connection.

All of it is frozen. Times are aware and in UTC, sizes in bytes, durations in seconds.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct, field

from upload_tui.errors import Cause
from upload_tui.monitor.notices import Notice
from upload_tui.status import Anomaly, Certainty, Stage

if TYPE_CHECKING:  # showing uploads must not import the JSON parsers
    from upload_tui.wire import Upload

__all__ = [
    "Acknowledgement",
    "CauseGroup",
    "Connection",
    "ConnectionState",
    "Detail",
    "Funnel",
    "Lateness",
    "Playback",
    "ProjectRef",
    "Row",
    "StageSummary",
    "Trouble",
    "UploadKey",
    "WaitsFor",
    "Window",
    "project_key",
]


class ConnectionState(StrEnum):
    """The state of the connection to a service; values are data fields."""

    CONNECTING = "connecting"
    """Nothing was read yet in this session."""
    CATCHING_UP = "catching up"
    """The service responds, but the picture is incomplete: a full scan is running, or an outage has just ended."""
    LIVE = "live"
    """The picture is complete and current."""
    SLOW = "slow"
    """Live, but responses take long."""
    RETRYING = "retrying"
    """The last request failed; the next attempt is at `next_try_on`."""
    OFFLINE = "offline"
    """Several attempts have failed since `since`; attempts continue."""
    DELETED = "deleted"
    """The service no longer has the project, or the account may no longer see it; there are no further attempts."""
    DENIED = "access denied"
    """The account may not see the project."""
    NOT_ALLOWED = "not allowed"
    """The service rejects the credentials."""
    PAUSED = "paused"
    """The user paused refreshing."""
    REPLAYING = "replay"
    """A recording is shown; there is no connection."""


class Playback(Struct, frozen=True):
    """The position in a recording.

    Attributes:
        position_seconds, length_seconds: the recording is over when they are equal.
        state: the recorded state of the connection at that position.
    """

    position_seconds: float
    length_seconds: float
    state: ConnectionState


FAILING_STATES = frozenset(
    {
        ConnectionState.RETRYING,
        ConnectionState.OFFLINE,
        ConnectionState.DELETED,
        ConnectionState.DENIED,
        ConnectionState.NOT_ALLOWED,
    }
)


class Connection(Struct, frozen=True, kw_only=True):
    """The state of the connection to one service, or for one of its projects; of several, that of the worst.

    Attributes:
        name: the project, or the service of a combined view, that is in this state; empty if everything watched is.
        others: the number of other projects or services that fail too.
        names: of all that fail, if several do, all of them are in this state, and others are not.
        watched: the number of all that are watched, if there are `names`.
        is_partly_live, is_partial: some of what is watched is live; the last listing of a source may not have everything.
        since: when this state began; if it fails, when it first did so in this outage, also before a pause.
        read_on: when the oldest part of the picture was last current; None if none ever was.
        has_unread: whether some of several projects or services was never read.
        next_try_on: when the next request is due while retrying or offline; None otherwise.
        reason: why it is not live, in one sentence; empty if it is live and nothing is missing.
        cause: the reason in parts; None if it is short enough.
        hint: what to do about it; empty if that is not known.
        known, total: while catching up, the uploads known so far and in all; total is None if unknown.
        requests_last_minute, requests_per_minute: to the service, None if not counted; allowed by the budget, None without a limit.
        playback: the position of a replay; None if this is no replay.
    """

    state: ConnectionState
    since: datetime
    name: str = ""
    others: int = 0
    names: tuple[str, ...] = ()
    watched: int = 0
    is_partly_live: bool = False
    read_on: datetime | None = None
    has_unread: bool = False
    next_try_on: datetime | None = None
    reason: str = ""
    cause: Cause | None = None
    is_partial: bool = False
    hint: str = ""
    known: int = 0
    total: int | None = None
    requests_last_minute: int | None = None
    requests_per_minute: int | None = None
    playback: Playback | None = None

    @property
    def is_live(self) -> bool:
        """True if the picture is current."""
        return self.state in {ConnectionState.LIVE, ConnectionState.SLOW}

    @property
    def is_failing(self) -> bool:
        """True if the last attempt failed."""
        return self.state in FAILING_STATES

    def as_of(self, now: datetime) -> datetime:
        """When the picture was last current: `now` if it is live or was never read."""
        return now if self.is_live or self.read_on is None else min(self.read_on, now)


def project_key(project_id: str, service: str) -> str:
    """A unique id, in a combined view, for a project whose own id occurs at several services."""
    return f"{service} {project_id}"


class ProjectRef(Struct, frozen=True):
    """A project; `name` is empty until the service has given it."""

    id: str
    name: str = ""


class UploadKey(NamedTuple):
    """Names one upload among those of several services, which may have uploads with the same id, for example after a restore.

    `service` is that of `Row.service`; empty means that of any service, where a picture is asked.
    """

    id: str
    service: str = ""


class Trouble(StrEnum):
    """What is wrong with an upload, the most serious first; values are data fields. See `analysis.trouble`."""

    CONTRADICTORY = "contradictory"
    """Verified, but its chunks do not agree."""
    STUCK = "stuck"
    FAILED = "failed"
    OVERDUE = "overdue"


class WaitsFor(StrEnum):
    """What a pending upload waits for, in words."""

    DATA = "waiting for data"
    """The upload is not chunked."""
    CHUNKS = "waiting for chunks"
    COMPLETION = "waiting for the client to complete it"
    """All chunks were received."""
    VERIFICATION = "waiting for verification"
    WORKER = "waiting for verification: no worker has picked it up"
    """The service's verification queue has no running worker."""


class Lateness(Struct, frozen=True):
    """Whether a pending upload takes unusually long, compared with verified uploads of its project and size class.

    Attributes:
        is_overdue: pending beyond the 95th percentile; without enough samples, beyond the threshold.
        is_stuck: pending beyond the threshold, or far longer than any similar upload.
        p50_seconds, p95_seconds, p99_seconds: quantiles of the duration of verification; None without enough samples.
        expected_on: when it is likely to be verified, given how long it has waited; None if unknown.
        waits_for: what it waits for; None if its stage is final.
        queue_depth: the number of uploads in the service's verification queue, if it waits there; None if unknown.
    """

    is_overdue: bool = False
    is_stuck: bool = False
    p50_seconds: float | None = None
    p95_seconds: float | None = None
    expected_on: datetime | None = None
    waits_for: WaitsFor | None = None
    p99_seconds: float | None = None
    queue_depth: int | None = None


class Acknowledgement(Struct, frozen=True):
    """A user has acknowledged what is wrong with an upload: it is not in trouble until its stage changes.

    Attributes:
        note: why; may be empty.
        until: when it ends even if the stage does not change; None if only a change ends it.
    """

    note: str = ""
    until: datetime | None = None


class Row(Struct, frozen=True, kw_only=True):
    """One upload in a table.

    Attributes:
        service, service_title: the URL of the service, or the identity of the source; its name on screen, empty if it has none.
        unknown_state: its own name for a state that is not in the design, neither pending nor final; empty if `stage` is the state.
        stage_since, since_certainty: when the present stage began, and how that is known.
        is_least_age: the stage may have begun long before `stage_since`, when it was first observed.
        initiated_on, completed_on, ended_on: times of the stages, None if unknown; `ended_on` is that of verified or error.
        first_event_on: when it was initiated; if unknown, the first time known of it: it was initiated before. None without any.
        chunk_count, chunk_bytes, active_on: the chunks received so far, None if it has none; when the service last changed it.
        anomaly: the most serious one of `anomaly_count`; None if there is none, or if it is not known.
        lateness: of a pending upload that is not gone; one that is acknowledged is neither overdue nor stuck.
        trouble, acknowledged_trouble: what is wrong and not acknowledged, or acknowledged; None if nothing is, or if it is gone.
        is_contradictory: it is verified, but its chunks do not agree.
        acknowledgement: the user has acknowledged what is wrong with it in its present stage; None if not, or no longer.
        is_purged, is_gone, is_stale: its data were deleted; the service no longer lists it; it may have changed since it was read.
        is_current, read_on: its project was current when the row was made, so that estimates hold; when the upload was last read.
        uploader, storage_provider, content_type: as the service names them; empty if unknown.
    """

    id: str
    name: str
    project_id: str
    project_name: str
    service: str
    service_title: str = ""
    size_bytes: int | None = None
    stage: Stage
    stage_since: datetime | None = None
    since_certainty: Certainty = Certainty.OBSERVED
    is_least_age: bool = False
    initiated_on: datetime | None = None
    completed_on: datetime | None = None
    ended_on: datetime | None = None
    first_event_on: datetime | None = None
    active_on: datetime | None = None
    chunk_count: int | None = None
    chunk_bytes: int | None = None
    error_message: str = ""
    lateness: Lateness = Lateness()
    unknown_state: str = ""
    anomaly_count: int = 0
    anomaly: Anomaly | None = None
    trouble: Trouble | None = None
    is_contradictory: bool = False
    acknowledgement: Acknowledgement | None = None
    acknowledged_trouble: Trouble | None = None
    is_purged: bool = False
    is_gone: bool = False
    is_stale: bool = False
    is_current: bool = True
    read_on: datetime
    uploader: str = ""
    storage_provider: str = ""
    content_type: str = ""

    @property
    def key(self) -> UploadKey:
        """The upload's key."""
        return UploadKey(self.id, self.service)

    @property
    def is_acknowledged(self) -> bool:
        """True if what is wrong with it is acknowledged."""
        return self.acknowledgement is not None


class Window(Struct, frozen=True):
    """Rows from `offset` of a query's result, which has `total` rows.

    Until it `is_settled`, a search is still running: a later window may have more rows. In the order `trouble`, the first
    `in_trouble` rows of the result are those in trouble, of `total_in_trouble`; both are 0 in other orders.
    """

    rows: tuple[Row, ...]
    offset: int
    total: int
    revision: int
    is_settled: bool = True
    in_trouble: int = 0
    total_in_trouble: int = 0


class StageSummary(Struct, frozen=True):
    """One stage of the funnel.

    Attributes:
        count: the number of uploads in this stage.
        oldest_since, newest_since: when the one with the greatest known age and the last one entered it; None if there is none.
        is_oldest_least, is_newest_least: whether it may have been long before, see `Row.is_least_age`.
        oldest_read_on: when that oldest one of a pending stage was last read, if it may have left the stage since; else None.
        overdue, stuck: how many of them are; stuck ones are overdue as well. Acknowledged ones do not count.
        recent: the number of uploads that entered it in each of the last minutes, oldest first.
    """

    stage: Stage
    count: int = 0
    oldest_since: datetime | None = None
    newest_since: datetime | None = None
    overdue: int = 0
    stuck: int = 0
    recent: tuple[int, ...] = ()
    is_oldest_least: bool = False
    is_newest_least: bool = False
    oldest_read_on: datetime | None = None


class Funnel(Struct, frozen=True):
    """The four stages in order, the uploads in trouble, and notices about the picture as a whole.

    `troubles` are the numbers of uploads with each trouble; those without any are absent. `failures` are the failed ones among them
    by cause, the most frequent first. `others` are in a state that is not in the design; they and `gone` uploads are in no stage.
    """

    stages: tuple[StageSummary, ...] = field(default_factory=lambda: tuple(StageSummary(stage) for stage in Stage))
    notices: tuple[Notice, ...] = ()
    troubles: Mapping[Trouble, int] = field(default_factory=dict)
    gone: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    others: int = 0

    def __getitem__(self, stage: Stage) -> StageSummary:
        return self.stages[stage.rank]

    @property
    def total(self) -> int:
        """The number of all uploads that are not gone."""
        return sum(summary.count for summary in self.stages) + self.others

    @property
    def pending(self) -> int:
        """The number of pending uploads."""
        return sum(summary.count for summary in self.stages if not summary.stage.is_final)

    @property
    def stuck(self) -> int:
        """The number of stuck uploads."""
        return sum(summary.stuck for summary in self.stages)


class CauseGroup(Struct, frozen=True, kw_only=True):
    """Failed uploads with the same cause, storage provider and uploader.

    Attributes:
        cause: the error message without its variable parts (see `normalize_cause`).
        storage_provider, uploader, count: their names, empty if unknown, and the number of uploads.
        first_on, last_on: when the first and the last of them failed; None if unknown.
        last_id, last_service: the key of the one that failed last.
    """

    cause: str
    storage_provider: str = ""
    uploader: str = ""
    count: int
    first_on: datetime | None = None
    last_on: datetime | None = None
    last_id: str = ""
    last_service: str = ""


class Detail(Struct, frozen=True, kw_only=True):
    """Everything that is known of one upload.

    Attributes:
        anomalies: those of the last reading, and those that a comparison of readings found.
        raw: the service's last response as JSON, in its order, with secrets hidden.
        gone_on: when it was first not listed; None if it is not gone, or if that is not known.
    """

    upload: "Upload"
    row: Row
    anomalies: tuple[Anomaly, ...]
    raw: str = ""
    gone_on: datetime | None = None
