"""The monitor: keeps a picture of projects' uploads current, and publishes what changed.

It owns the store (`store`), synchronisation with a service (`sync`), what is derived from the data (`analysis`), the sessions that
screens and commands use (`sessions`), and recordings (`recording`). `tui`, `cli` and the testing kit call it through the names below;
importing this package is free. It calls `client`, `wire` and `status`, and must know nothing of screens, commands or settings.
"""

from typing import TYPE_CHECKING

from upload_tui.lazy import lazy_names

if TYPE_CHECKING:
    from upload_tui.monitor.analysis.lateness import MAX_RETRIES, estimate_retries
    from upload_tui.monitor.analysis.statistics import statistics_of
    from upload_tui.monitor.changes import (
        AnomalyNoticed,
        Change,
        ConnectionChanged,
        PictureChanged,
        StageReached,
        SyncProgressed,
        UploadChange,
        UploadGone,
        UploadPurged,
        UploadSeen,
    )
    from upload_tui.monitor.model import (
        CauseGroup,
        Connection,
        ConnectionState,
        Detail,
        Funnel,
        LatencyHistogram,
        Playback,
        ProjectRef,
        Query,
        Row,
        SortKey,
        StageSummary,
        WaitsFor,
        Window,
    )
    from upload_tui.monitor.recording.recording_file import (
        RecordingHeader,
        RecordingStore,
        RecordingWriter,
        read_recording,
    )
    from upload_tui.monitor.recording.replay import ReplaySession
    from upload_tui.monitor.records import (
        CHANGE_FIELDS,
        UPLOAD_FIELDS,
        change_record,
        flat_upload,
        full_upload_record,
        upload_record,
    )
    from upload_tui.monitor.sessions.broadcast import ChangeBroadcaster
    from upload_tui.monitor.sessions.combined import CombinedSession
    from upload_tui.monitor.sessions.connection import ConnectionTracker
    from upload_tui.monitor.sessions.deferred import DeferredSession
    from upload_tui.monitor.sessions.in_memory import InMemoryPicture
    from upload_tui.monitor.sessions.live import LiveSession
    from upload_tui.monitor.sessions.polling import Schedule
    from upload_tui.monitor.sessions.session import Session
    from upload_tui.monitor.sessions.waiter import Outcome, UploadWaiter
    from upload_tui.monitor.since import LastVisit, read_last_visit, save_last_visit, stages_since, summarise_since
    from upload_tui.monitor.store.store import Store
    from upload_tui.monitor.store_picture import STUCK_AFTER_SECONDS, StorePicture
    from upload_tui.monitor.sync.ingest import ingest
    from upload_tui.monitor.sync.synchroniser import Synchroniser

__all__ = [
    "CHANGE_FIELDS",
    "MAX_RETRIES",
    "STUCK_AFTER_SECONDS",
    "UPLOAD_FIELDS",
    "AnomalyNoticed",
    "CauseGroup",
    "Change",
    "ChangeBroadcaster",
    "CombinedSession",
    "Connection",
    "ConnectionChanged",
    "ConnectionState",
    "ConnectionTracker",
    "DeferredSession",
    "Detail",
    "Funnel",
    "InMemoryPicture",
    "LastVisit",
    "LatencyHistogram",
    "LiveSession",
    "Outcome",
    "PictureChanged",
    "Playback",
    "ProjectRef",
    "Query",
    "RecordingHeader",
    "RecordingStore",
    "RecordingWriter",
    "ReplaySession",
    "Row",
    "Schedule",
    "Session",
    "SortKey",
    "StageReached",
    "StageSummary",
    "Store",
    "StorePicture",
    "SyncProgressed",
    "Synchroniser",
    "UploadChange",
    "UploadGone",
    "UploadPurged",
    "UploadSeen",
    "UploadWaiter",
    "WaitsFor",
    "Window",
    "change_record",
    "estimate_retries",
    "flat_upload",
    "full_upload_record",
    "ingest",
    "read_last_visit",
    "read_recording",
    "save_last_visit",
    "stages_since",
    "statistics_of",
    "summarise_since",
    "upload_record",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "analysis.lateness": (
            "MAX_RETRIES",
            "estimate_retries",
        ),
        "analysis.statistics": ("statistics_of",),
        "changes": (
            "AnomalyNoticed",
            "Change",
            "ConnectionChanged",
            "PictureChanged",
            "StageReached",
            "SyncProgressed",
            "UploadChange",
            "UploadGone",
            "UploadPurged",
            "UploadSeen",
        ),
        "model": (
            "CauseGroup",
            "Connection",
            "ConnectionState",
            "Detail",
            "Funnel",
            "LatencyHistogram",
            "Playback",
            "ProjectRef",
            "Query",
            "Row",
            "SortKey",
            "StageSummary",
            "WaitsFor",
            "Window",
        ),
        "recording.recording_file": (
            "RecordingHeader",
            "RecordingStore",
            "RecordingWriter",
            "read_recording",
        ),
        "recording.replay": ("ReplaySession",),
        "records": (
            "CHANGE_FIELDS",
            "UPLOAD_FIELDS",
            "change_record",
            "flat_upload",
            "full_upload_record",
            "upload_record",
        ),
        "sessions.broadcast": ("ChangeBroadcaster",),
        "sessions.combined": ("CombinedSession",),
        "sessions.connection": ("ConnectionTracker",),
        "sessions.deferred": ("DeferredSession",),
        "sessions.in_memory": ("InMemoryPicture",),
        "sessions.live": ("LiveSession",),
        "sessions.polling": ("Schedule",),
        "sessions.session": ("Session",),
        "sessions.waiter": (
            "Outcome",
            "UploadWaiter",
        ),
        "since": (
            "LastVisit",
            "read_last_visit",
            "save_last_visit",
            "stages_since",
            "summarise_since",
        ),
        "store.store": ("Store",),
        "store_picture": (
            "STUCK_AFTER_SECONDS",
            "StorePicture",
        ),
        "sync.ingest": ("ingest",),
        "sync.synchroniser": ("Synchroniser",),
    },
)
