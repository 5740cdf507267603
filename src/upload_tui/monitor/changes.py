"""Changes: what became different, as frozen facts in the past tense.

Each change is published once, and those of one upload in the order in which they happened. None states anything that the service did
not report. The names of classes and fields are stored in the change log of a store, so they must not be renamed.
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
    """The upload of a change; `service` is the service's URL without `/api/v1`."""

    id: str
    name: str
    project_id: str
    project_name: str
    service: str = ""


class Change(Struct, frozen=True, kw_only=True):
    """Base of all changes; `at` is when the monitor learned of it (aware, UTC), not when it happened."""

    at: datetime


class UploadChange(Change, frozen=True, kw_only=True):
    """A change of one upload."""

    upload: UploadRef


class UploadSeen(UploadChange, frozen=True, kw_only=True):
    """An unknown upload appeared, or one that was gone is listed again."""


class StageReached(UploadChange, frozen=True, kw_only=True):
    """An upload reached a stage; a stage that it passed between two readings has a change of its own.

    `before` is None for the first stage; `on`, `earliest` and `latest` are as in `status.Event`.
    """

    before: Stage | None
    after: Stage
    on: datetime | None
    certainty: Certainty
    earliest: datetime | None = None
    latest: datetime | None = None
    error_message: str | None = None


class AnomalyNoticed(UploadChange, frozen=True, kw_only=True):
    """The service contradicted its specification or itself."""

    anomaly: Anomaly


class UploadPurged(UploadChange, frozen=True, kw_only=True):
    """The stored data of an upload were deleted; `on` is None if the time is unknown."""

    on: datetime | None


class UploadGone(UploadChange, frozen=True, kw_only=True):
    """The service no longer lists the upload."""


class ConnectionChanged(Change, frozen=True, kw_only=True):
    """The connection to a service changed its state."""

    connection: Connection


class SyncProgressed(Change, frozen=True, kw_only=True):
    """A full scan progressed to `done` of `total` uploads (None: unknown)."""

    done: int
    total: int | None


class PictureChanged(Change, frozen=True, kw_only=True):
    """Windows, counts or ages may have changed; a newer one replaces an older one."""

    revision: int
