"""What the monitor tells: frozen facts in the past tense.

A change is said once, in the order in which it happened to its upload, and never says what the service did not.
`at` is when the monitor learned it (aware, UTC), not when it happened.
"""

from datetime import datetime

from msgspec import Struct

from upload_tui.monitor.model import Connection
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


class UploadRef(Struct, frozen=True):
    """Which upload a change is about. `service` is the URL it lives at, without `/api/v1`."""

    id: str
    name: str
    project_id: str
    project_name: str
    service: str = ""


class Change(Struct, frozen=True, kw_only=True):
    """Anything that the monitor tells."""

    at: datetime


class UploadChange(Change, frozen=True, kw_only=True):
    """Something about one upload."""

    upload: UploadRef


class UploadSeen(UploadChange, frozen=True, kw_only=True):
    """An upload appeared that was not known before, or that was gone."""


class StageReached(UploadChange, frozen=True, kw_only=True):
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


class AnomalyNoticed(UploadChange, frozen=True, kw_only=True):
    """The service contradicted the design or itself."""

    anomaly: Anomaly


class UploadPurged(UploadChange, frozen=True, kw_only=True):
    """The stored bytes were thrown away."""

    on: datetime | None


class UploadGone(UploadChange, frozen=True, kw_only=True):
    """The service no longer knows the upload."""


class ConnectionChanged(Change, frozen=True, kw_only=True):
    """The connection to a service is in another state."""

    connection: Connection


class SyncProgressed(Change, frozen=True, kw_only=True):
    """The first fetch went on: uploads known so far, and how many the service says there are (None if unknown)."""

    done: int
    total: int | None


class PictureChanged(Change, frozen=True, kw_only=True):
    """Windows, counts or ages asked for before this may differ now; the newest one replaces the older ones."""

    revision: int
