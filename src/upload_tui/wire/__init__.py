"""The JSON of the service on one side, immutable facts on the other.

Owns how uploads, pages, projects, errors and times are encoded. The client, the monitor and the embedded service import it. It does
no I/O and knows neither HTTP clients nor stores.
"""

from typing import TYPE_CHECKING

from upload_tui.lazy import lazy_names

if TYPE_CHECKING:
    from upload_tui.wire.bodies import MAX_DEPTH, is_fully_readable, parse_body
    from upload_tui.wire.page_summaries import UploadSummary, parse_summaries
    from upload_tui.wire.redaction import redact_name, redact_value
    from upload_tui.wire.resources import API_PATH, MAX_NUMBER, QueueStats, curl_command, parse_queue, service_root
    from upload_tui.wire.responses import (
        CODE_NOT_CONSISTENT,
        CODE_NOT_PROVIDED,
        STATUS_SHAPE_HEADER,
        ErrorEnvelope,
        RawPage,
        UploadPage,
        UploadReading,
        build_upload_page,
        page_entries,
        parse_error_envelope,
        parse_project_page,
        parse_upload_entries,
        parse_upload_reading,
    )
    from upload_tui.wire.status_shapes import UNSUPPORTED_DETAILS, StatusShape, parse_status, write_status
    from upload_tui.wire.times import EPOCH, MILLISECOND, format_time, parse_ms, parse_nonzero_time, parse_time
    from upload_tui.wire.upload import (
        CHUNK_HASH_DIFFERS,
        CHUNKS_TOO_LARGE,
        FILE_HASH_DIFFERS,
        INTEGRITY_MESSAGES,
        OBJECT_MISSING,
        SIZE_DIFFERS,
        Chunk,
        Project,
        Upload,
        parse_upload,
        sort_chunks,
    )

__all__ = [
    "API_PATH",
    "CHUNKS_TOO_LARGE",
    "CHUNK_HASH_DIFFERS",
    "CODE_NOT_CONSISTENT",
    "CODE_NOT_PROVIDED",
    "Chunk",
    "EPOCH",
    "FILE_HASH_DIFFERS",
    "INTEGRITY_MESSAGES",
    "MAX_DEPTH",
    "MAX_NUMBER",
    "MILLISECOND",
    "OBJECT_MISSING",
    "SIZE_DIFFERS",
    "STATUS_SHAPE_HEADER",
    "UNSUPPORTED_DETAILS",
    "ErrorEnvelope",
    "Project",
    "QueueStats",
    "RawPage",
    "StatusShape",
    "Upload",
    "UploadPage",
    "UploadReading",
    "UploadSummary",
    "build_upload_page",
    "curl_command",
    "format_time",
    "is_fully_readable",
    "redact_name",
    "redact_value",
    "page_entries",
    "parse_body",
    "parse_error_envelope",
    "parse_ms",
    "parse_nonzero_time",
    "parse_project_page",
    "parse_queue",
    "parse_status",
    "parse_summaries",
    "parse_time",
    "parse_upload",
    "parse_upload_entries",
    "parse_upload_reading",
    "service_root",
    "sort_chunks",
    "write_status",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "page_summaries": "parse_summaries UploadSummary",
        "resources": "API_PATH curl_command MAX_NUMBER QueueStats parse_queue service_root",
        "redaction": "redact_name redact_value",
        "bodies": "is_fully_readable MAX_DEPTH parse_body",
        "responses": (
            "build_upload_page CODE_NOT_CONSISTENT CODE_NOT_PROVIDED ErrorEnvelope page_entries "
            "RawPage parse_error_envelope parse_project_page parse_upload_entries parse_upload_reading "
            "STATUS_SHAPE_HEADER UploadPage UploadReading"
        ),
        "status_shapes": "parse_status StatusShape UNSUPPORTED_DETAILS write_status",
        "times": "EPOCH MILLISECOND format_time parse_ms parse_nonzero_time parse_time",
        "upload": (
            "Chunk CHUNK_HASH_DIFFERS CHUNKS_TOO_LARGE FILE_HASH_DIFFERS INTEGRITY_MESSAGES OBJECT_MISSING Project parse_upload "
            "SIZE_DIFFERS sort_chunks Upload"
        ),
    },
)
