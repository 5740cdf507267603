"""The monitor: keeps a picture of projects' uploads current, and publishes what changed.

It owns the store (`store`), synchronisation with a service or a source (`sync`), queries (`queries`), what is derived from the data
(`analysis`), the sessions that screens and commands use (`sessions`), and recordings (`recording`). `tui`, `cli` and the testing kit
call it through the names below; importing this package is fast. It calls `client`, `sources`, `wire` and `status`, and must know
nothing of screens, commands or settings.
"""

from typing import TYPE_CHECKING

from upload_tui.lazy import lazy_names

if TYPE_CHECKING:
    from upload_tui.monitor.ages import StageAge, age_of
    from upload_tui.monitor.analysis.statistics import LatencyHistogram, statistics_of
    from upload_tui.monitor.analysis.trouble import (
        DEFAULT_TROUBLE_LIMITS,
        MAX_RETRIES,
        TROUBLE_WORDS,
        TroubleLimits,
        estimate_retries,
        has_failed,
    )
    from upload_tui.monitor.changes import (
        CHANGE_FIELDS,
        CHANGE_PATHS,
        UPLOAD_FIELDS,
        UPLOAD_PATHS,
        AnomalyNoticed,
        Change,
        CommandEnded,
        ConnectionChanged,
        OwnStateReached,
        PictureChanged,
        Rewound,
        StageReached,
        SyncProgressed,
        UploadChange,
        UploadGone,
        UploadPurged,
        UploadRef,
        UploadSeen,
        change_record,
        flat_change,
        flat_upload,
        full_upload_record,
        upload_record,
    )
    from upload_tui.monitor.in_memory_picture import InMemoryPicture
    from upload_tui.monitor.metrics import (
        METRICS,
        ProjectFigures,
        ServiceFigures,
        figures_of_uploads,
        project_figures,
        write_metrics,
    )
    from upload_tui.monitor.model import (
        Acknowledgement,
        CauseGroup,
        Connection,
        ConnectionState,
        Detail,
        Funnel,
        Playback,
        ProjectRef,
        Row,
        StageSummary,
        Trouble,
        UploadKey,
        WaitsFor,
        Window,
        project_key,
    )
    from upload_tui.monitor.notices import Notice, NoticeKind
    from upload_tui.monitor.picture import (
        CachedFreshness,
        ConnectionFreshness,
        EmptyPicture,
        Freshness,
        PartlyCachedFreshness,
        Picture,
    )
    from upload_tui.monitor.queries.completion import Completion, ValueCounts, complete_query, field_values
    from upload_tui.monitor.queries.matching import matches_change, matches_row
    from upload_tui.monitor.queries.parser import parse_query, parse_query_as_typed
    from upload_tui.monitor.queries.query import (
        EVERYTHING,
        FIELDS,
        Expression,
        Not,
        Query,
        SortKey,
        State,
        StateTerm,
        TextTerm,
        TimeTerm,
        Where,
        all_of,
        includes_gone,
        needs_marks,
        needs_upload,
        text_terms,
    )
    from upload_tui.monitor.recording.file_format import (
        RecordingHeader,
        RecordingLine,
        RecordingStore,
        RecordingWriter,
        read_recording,
    )
    from upload_tui.monitor.recording.masking import RecordingMask
    from upload_tui.monitor.recording.replay import ReplaySession
    from upload_tui.monitor.sessions.combined import CombinedSession
    from upload_tui.monitor.sessions.connection import ConnectionTracker, connection_of
    from upload_tui.monitor.sessions.deferred import DeferredSession
    from upload_tui.monitor.sessions.live import LiveSession
    from upload_tui.monitor.sessions.schedule import Schedule
    from upload_tui.monitor.sessions.session import ChangeBroadcaster, ServiceSession, Session
    from upload_tui.monitor.sessions.source import SourceSession, source_schedule
    from upload_tui.monitor.sessions.waiter import Outcome, SourceWaiter, UploadWaiter, Waiter
    from upload_tui.monitor.since import (
        LastVisit,
        counts_since,
        overdue_ids,
        read_last_visit,
        save_last_visit,
        stages_since,
        uploads_since,
        visit_of_picture,
        visit_of_uploads,
    )
    from upload_tui.monitor.store.store import Store
    from upload_tui.monitor.store_picture import StorePicture
    from upload_tui.monitor.sync.ingest import ingest
    from upload_tui.monitor.sync.source_recorder import WatchedSource
    from upload_tui.monitor.sync.source_synchroniser import SourceSynchroniser
    from upload_tui.monitor.sync.synchroniser import Synchroniser

__all__ = [
    "Acknowledgement",
    "CHANGE_FIELDS",
    "CHANGE_PATHS",
    "DEFAULT_TROUBLE_LIMITS",
    "EVERYTHING",
    "FIELDS",
    "Expression",
    "MAX_RETRIES",
    "METRICS",
    "TROUBLE_WORDS",
    "UPLOAD_FIELDS",
    "UPLOAD_PATHS",
    "AnomalyNoticed",
    "CachedFreshness",
    "CauseGroup",
    "Change",
    "ChangeBroadcaster",
    "CombinedSession",
    "CommandEnded",
    "Completion",
    "complete_query",
    "connection_of",
    "Connection",
    "ConnectionChanged",
    "ConnectionFreshness",
    "ConnectionState",
    "ConnectionTracker",
    "DeferredSession",
    "Detail",
    "EmptyPicture",
    "Freshness",
    "Funnel",
    "InMemoryPicture",
    "LastVisit",
    "LatencyHistogram",
    "LiveSession",
    "Not",
    "Notice",
    "NoticeKind",
    "Outcome",
    "OwnStateReached",
    "Picture",
    "PartlyCachedFreshness",
    "PictureChanged",
    "Playback",
    "ProjectFigures",
    "ProjectRef",
    "Query",
    "RecordingHeader",
    "RecordingLine",
    "RecordingMask",
    "RecordingStore",
    "RecordingWriter",
    "ReplaySession",
    "Rewound",
    "Row",
    "Schedule",
    "ServiceFigures",
    "ServiceSession",
    "Session",
    "SourceSynchroniser",
    "SortKey",
    "SourceSession",
    "SourceWaiter",
    "StageAge",
    "StageReached",
    "StageSummary",
    "State",
    "StateTerm",
    "Store",
    "StorePicture",
    "SyncProgressed",
    "Synchroniser",
    "TextTerm",
    "TimeTerm",
    "Trouble",
    "TroubleLimits",
    "UploadChange",
    "UploadGone",
    "UploadPurged",
    "UploadKey",
    "UploadRef",
    "UploadSeen",
    "UploadWaiter",
    "Waiter",
    "ValueCounts",
    "WaitsFor",
    "WatchedSource",
    "Where",
    "Window",
    "age_of",
    "all_of",
    "change_record",
    "counts_since",
    "estimate_retries",
    "field_values",
    "figures_of_uploads",
    "flat_change",
    "flat_upload",
    "full_upload_record",
    "has_failed",
    "ingest",
    "matches_change",
    "matches_row",
    "includes_gone",
    "needs_marks",
    "needs_upload",
    "overdue_ids",
    "parse_query",
    "project_figures",
    "read_last_visit",
    "project_key",
    "parse_query_as_typed",
    "read_recording",
    "save_last_visit",
    "source_schedule",
    "stages_since",
    "statistics_of",
    "text_terms",
    "upload_record",
    "uploads_since",
    "visit_of_picture",
    "visit_of_uploads",
    "write_metrics",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "ages": "age_of StageAge",
        "analysis.statistics": "LatencyHistogram statistics_of",
        "analysis.trouble": "DEFAULT_TROUBLE_LIMITS estimate_retries has_failed MAX_RETRIES TROUBLE_WORDS TroubleLimits",
        "changes": (
            "AnomalyNoticed Change CommandEnded CHANGE_FIELDS CHANGE_PATHS change_record ConnectionChanged flat_change flat_upload "
            "full_upload_record OwnStateReached PictureChanged Rewound StageReached SyncProgressed UPLOAD_FIELDS UPLOAD_PATHS "
            "upload_record UploadChange UploadGone UploadPurged UploadRef UploadSeen"
        ),
        "in_memory_picture": "InMemoryPicture",
        "recording.masking": "RecordingMask",
        "metrics": "figures_of_uploads METRICS project_figures ProjectFigures ServiceFigures write_metrics",
        "model": (
            "Acknowledgement CauseGroup Connection ConnectionState Detail Funnel Playback "
            "ProjectRef Row StageSummary Trouble UploadKey WaitsFor Window project_key"
        ),
        "notices": "Notice NoticeKind",
        "picture": "CachedFreshness ConnectionFreshness EmptyPicture Freshness PartlyCachedFreshness Picture",
        "queries.completion": "complete_query Completion field_values ValueCounts",
        "queries.matching": "matches_change matches_row",
        "queries.parser": "parse_query parse_query_as_typed",
        "queries.query": (
            "all_of includes_gone EVERYTHING Expression FIELDS needs_marks needs_upload Not Query SortKey State StateTerm "
            "text_terms TextTerm TimeTerm Where"
        ),
        "recording.file_format": "read_recording RecordingHeader RecordingLine RecordingStore RecordingWriter",
        "recording.replay": "ReplaySession",
        "sessions.combined": "CombinedSession",
        "sessions.connection": "ConnectionTracker connection_of",
        "sessions.deferred": "DeferredSession",
        "sessions.live": "LiveSession",
        "sessions.schedule": "Schedule",
        "sessions.session": "ChangeBroadcaster ServiceSession Session",
        "sessions.source": "source_schedule SourceSession",
        "sessions.waiter": "Outcome SourceWaiter UploadWaiter Waiter",
        "since": "counts_since LastVisit overdue_ids read_last_visit save_last_visit stages_since uploads_since "
        "visit_of_picture visit_of_uploads",
        "store.store": "Store",
        "store_picture": "StorePicture",
        "sync.ingest": "ingest",
        "sync.source_synchroniser": "SourceSynchroniser",
        "sync.source_recorder": "WatchedSource",
        "sync.synchroniser": "Synchroniser",
    },
)
