"""What the monitor tells: frozen facts in the past tense.

A change is said once, in the order in which it happened to its upload, and never says what the service did not.
`at` is when the monitor learned it (aware, UTC), not when it happened.
"""

from dataclasses import dataclass
from datetime import datetime

from upload_tui.monitor.picture import Connection
from upload_tui.status import Anomaly, Certainty, Stage

__all__ = [
    "AnomalyNoticed",
    "Change",
    "ConnectionChanged",
    "PictureChanged",
    "StageReached",
    "SyncProgressed",
    "UploadChange",
    "UploadGone",
    "UploadPurged",
    "UploadRef",
    "UploadSeen",
]


@dataclass(frozen=True, slots=True)
class UploadRef:
    """Which upload a change is about. `service` is the URL it lives at, without `/api/v1`."""

    id: str
    name: str
    project_id: str
    project_name: str
    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Anything that the monitor tells."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadChange(Change):
    """Something about one upload."""

    upload: UploadRef


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSeen(UploadChange):
    """An upload appeared that was not known before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageReached(UploadChange):
    """An upload reached a stage; one that was passed between two readings is told as well, in order.

    `before` is None for the very first stage; `on`, `earliest` and `latest` are as in `status.Event`.
    """

    before: Stage | None
    after: Stage
    on: datetime | None
    certainty: Certainty
    earliest: datetime | None = None
    latest: datetime | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyNoticed(UploadChange):
    """The service contradicted the design or itself."""

    anomaly: Anomaly


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPurged(UploadChange):
    """The stored bytes were thrown away."""

    on: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadGone(UploadChange):
    """The service no longer knows the upload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionChanged(Change):
    """The connection to a service is in another state."""

    connection: Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncProgressed(Change):
    """The first fetch went on: uploads known so far, and how many the service says there are (None if unknown)."""

    done: int
    total: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureChanged(Change):
    """Windows, counts or ages asked for before this may differ now; the newest one replaces the older ones."""

    revision: int
