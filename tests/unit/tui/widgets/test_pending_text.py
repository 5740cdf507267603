"""Speed, time left and badge of pending uploads."""

from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from upload_tui.monitor import Acknowledgement, Query, Row
from upload_tui.monitor.model import Lateness
from upload_tui.testing import NOW, InMemorySession, an_upload
from upload_tui.tui.widgets.pending_text import bytes_per_second, pending_details, stuck_badge, time_left_text
from upload_tui.wire import format_time

MIB = 1 << 20


def row_of(**facts: Any) -> Row:
    session = InMemorySession([an_upload("scan.tiff", **facts)])
    (row,) = session.picture.window(Query(), 0, 1).rows
    session.close()
    return row


@pytest.mark.parametrize(
    ("initiated", "size_bytes", "left"),
    [(10, 2_000_000, "10s left"), (10, 13_000_000, "2m left"), (10, 1_000_000_000, "2h 46m left"), (3, 1_000_000, "")],
)
def test_the_time_left_follows_from_the_speed_so_far(initiated: float, size_bytes: int, left: str) -> None:
    row = row_of(initiated=initiated, size_bytes=size_bytes, chunks=[{"number": 1, "size": 1_000_000}])
    assert time_left_text(row) == left
    assert bytes_per_second(row) == pytest.approx(1_000_000 / initiated)


def test_no_time_is_left_to_show_without_chunks_or_for_a_stuck_upload() -> None:
    assert time_left_text(row_of(initiated=10, chunks=())) == ""
    assert time_left_text(row_of(initiated=90_000, chunks=(1,), size_bytes=900 * MIB)) == ""
    assert time_left_text(row_of(initiated=10, completed=5)) == ""
    assert time_left_text(row_of(initiated=60, chunks=[{"number": 1, "size": 1}], size_bytes=1 << 30)) == ""


@pytest.mark.parametrize("chunks", [1, 2, 10, 40])
@pytest.mark.parametrize("interval_seconds", [0.2, 1, 15, 60])
def test_the_time_left_does_not_grow_while_no_chunk_arrives(interval_seconds: float, chunks: int) -> None:
    """It is shown while the next chunk may be on its way, and then no more."""
    sizes = [{"number": number + 1, "size": MIB} for number in range(chunks)]
    active_seconds = interval_seconds * chunks
    for idle_seconds in (0, interval_seconds, 2 * interval_seconds, 11 + 3 * interval_seconds, 480, 840):
        upload = an_upload("scan.tiff", initiated=active_seconds + idle_seconds, chunks=sizes, size_bytes=50 * MIB)
        upload["audit"]["last_updated_on"] = format_time(NOW - timedelta(seconds=idle_seconds))
        with closing(InMemorySession([upload], stuck_after_seconds=86_400)) as session:
            (row,) = session.picture.window(Query(), 0, 1).rows
        has_left = idle_seconds <= max(10, 3 * interval_seconds) and active_seconds + idle_seconds >= 1
        assert bool(time_left_text(row)) is has_left


def test_a_stuck_upload_has_no_time_left_also_if_that_is_acknowledged() -> None:
    """Also if the service does not report when its chunks arrived."""
    with closing(
        InMemorySession([an_upload("scan.tiff", initiated=5000, chunks=(1,), size_bytes=50 * MIB)])
    ) as session:
        for acknowledgement in (None, Acknowledgement("known")):
            (row,) = session.picture.window(Query(), 0, 1).rows
            session.picture.acknowledge([row.id], acknowledgement)
            (row,) = session.picture.window(Query(), 0, 1).rows
            assert row.lateness.is_stuck is (acknowledgement is None)
            assert time_left_text(row) == ""


def test_nothing_is_estimated_from_a_picture_that_is_not_current() -> None:
    uploading = row_of(initiated=10, size_bytes=2_000_000, chunks=[{"number": 1, "size": 1_000_000}])
    verifying = row_of(initiated=20, completed=5)
    verifying = replace(verifying, lateness=Lateness(p50_seconds=9.0, expected_on=NOW + timedelta(seconds=4)))
    assert "about 4s left" in [*pending_details(verifying, NOW)]
    for row in uploading, verifying:
        assert not any("left" in text for text in pending_details(replace(row, is_current=False), NOW))


def test_a_badge_has_the_age_of_the_stage() -> None:
    assert stuck_badge(row_of(initiated=4000, completed=2580), NOW) == " STUCK 43m "
