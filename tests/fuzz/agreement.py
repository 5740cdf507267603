"""The fast and the full reader of pages agree on every body."""

from contextlib import suppress

from upload_tui.errors import InvalidResponseError
from upload_tui.monitor.store.rows import to_ms
from upload_tui.testing import NOW
from upload_tui.wire import page_entries, parse_upload_entries, redact_value
from upload_tui.wire.page_summaries import UploadSummary, parse_summaries
from upload_tui.wire.upload import Upload, parse_upload


def assert_readers_agree(body: bytes) -> None:
    """Check that each upload with a summary can be parsed in full, also from its stored JSON, with the same result."""
    summaries = parse_summaries(body, NOW)
    if summaries is None:
        with suppress(InvalidResponseError):
            parse_upload_entries(page_entries(body), read_on=NOW)
        return
    entries = page_entries(body)
    readings = parse_upload_entries(entries, read_on=NOW)
    for index, (summary, reading) in enumerate(zip(summaries, readings, strict=True)):
        if summary is not None:
            assert not isinstance(reading, str), reading
            assert_same_upload(summary, reading.upload)
            assert parse_upload(redact_value(entries[index]), read_on=NOW) == reading.upload


def assert_same_upload(summary: UploadSummary, upload: Upload) -> None:
    """Check that a summary equals what the full reader reads."""
    timeline, current = upload.timeline, upload.timeline.current
    assert current is not None
    has_chunks = upload.chunks is not None
    assert upload.anomalies == ()
    assert summary == UploadSummary(
        id=upload.id,
        project_id=upload.project_id,
        project_name=upload.project_name,
        name=upload.name,
        size_bytes=upload.size_bytes,
        stage=upload.stage,
        since_ms=to_ms(timeline.since) or 0,
        certainty=str(current.certainty),
        initiated_ms=to_ms(timeline.events[0].best_time) or 0,
        completed_ms=next((to_ms(event.best_time) for event in timeline.events if event.stage == "completed"), None),
        ended_ms=to_ms(current.best_time) if upload.stage.is_final else None,
        activity_ms=to_ms(upload.last_updated_on),
        chunk_count=len(upload.chunks or ()) if has_chunks else None,
        chunk_bytes=upload.chunk_bytes if has_chunks else None,
        error_message=timeline.error_message or "",
        storage_provider=upload.storage_provider,
        uploader=upload.uploader,
        is_purged=timeline.is_purged,
        content_type=upload.content_type,
    )
