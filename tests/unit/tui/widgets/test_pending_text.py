"""Speed, time left and badge of pending uploads."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from upload_tui.monitor import Query, Row
from upload_tui.monitor.model import Lateness
from upload_tui.testing import NOW, InMemorySession, an_upload
from upload_tui.tui.widgets.pending_text import bytes_per_second, pending_details, stuck_badge, time_left_text

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


def test_nothing_is_estimated_from_a_picture_that_is_not_current() -> None:
    uploading = row_of(initiated=10, size_bytes=2_000_000, chunks=[{"number": 1, "size": 1_000_000}])
    verifying = row_of(initiated=20, completed=5)
    verifying = replace(verifying, lateness=Lateness(p50_seconds=9.0, expected_on=NOW + timedelta(seconds=4)))
    assert "about 4s left" in [*pending_details(verifying, NOW)]
    for row in uploading, verifying:
        assert not any("left" in text for text in pending_details(replace(row, is_current=False), NOW))


def test_a_badge_has_the_age_of_the_stage() -> None:
    assert stuck_badge(row_of(initiated=4000, completed=2580), NOW) == " STUCK 43m "
