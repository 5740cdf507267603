"""What the list of pending uploads shows next to a name."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from upload_tui.monitor import Query, Row
from upload_tui.monitor.model import Lateness, WaitsFor
from upload_tui.status import Stage
from upload_tui.testing import NOW, InMemorySession, an_upload
from upload_tui.tui.widgets.pending_list import PendingList

ON_TIME = Lateness(
    waits_for=WaitsFor.VERIFICATION, queue_depth=1, p50_seconds=2.3, expected_on=NOW + timedelta(seconds=90)
)
STUCK = Lateness(is_stuck=True, is_overdue=True)
NO_WORKER = Lateness(is_stuck=True, is_overdue=True, waits_for=WaitsFor.WORKER)


def row_with(lateness: Lateness, stage: Stage, received: float | None) -> Row:
    """A pending row; `received` is the share of the declared size, None if the upload is not chunked."""
    session = InMemorySession([an_upload("scan.tiff", completed=5 if stage is Stage.COMPLETED else None)])
    (row,) = session.picture.window(Query(), 0, 1).rows
    session.close()
    values = {name: getattr(row, name) for name in Row.__struct_fields__}
    chunk_count = None if received is None else 3 if received else 0
    chunks = {"chunk_count": chunk_count, "chunk_bytes": int(1000 * received) if received else 0}
    return Row(**{**values, **chunks, "size_bytes": 1000, "lateness": lateness})


@pytest.mark.parametrize(
    ("stage", "lateness", "received", "text"),
    [
        (Stage.INITIATED, Lateness(), 0.29, "29% received, 5m left"),
        (Stage.INITIATED, Lateness(), 0.0, "no chunks received"),
        (Stage.INITIATED, Lateness(), None, "waiting for client"),
        (Stage.INITIATED, Lateness(), 1.0, "100% received, waiting for client"),
        (Stage.INITIATED, STUCK, 1.5, "stuck: 150% received, more than its size"),
        (Stage.INITIATED, STUCK, 1.0, "stuck: all chunks received, client never completed it"),
        (Stage.INITIATED, STUCK, 0.5, "stuck: 50% received"),
        (Stage.INITIATED, Lateness(is_overdue=True), 0.5, "overdue: 50% received"),
        (Stage.COMPLETED, NO_WORKER, 1.0, "stuck: no worker has picked it up"),
        (Stage.COMPLETED, Lateness(), 1.0, "verifying"),
    ],
)
def test_a_line_shows_why_the_upload_is_pending(
    stage: Stage, lateness: Lateness, received: float | None, text: str
) -> None:
    assert PendingList()._wait_text(row_with(lateness, stage, received), NOW, 80) == text


@pytest.mark.parametrize(
    ("count", "size_bytes", "text"),
    [(0, None, "no chunks received"), (1, None, "1 chunk received"), (5, 0, "5 chunks received")],
)
@pytest.mark.parametrize("declared_bytes", [None, 1000])
def test_chunks_are_counted_where_their_bytes_are_not_known(
    count: int, size_bytes: int | None, declared_bytes: int | None, text: str
) -> None:
    row = row_with(Lateness(), Stage.INITIATED, None)
    row = replace(row, chunk_count=count, chunk_bytes=size_bytes, size_bytes=declared_bytes)
    assert PendingList()._wait_text(row, NOW, 80) == text


@pytest.mark.parametrize(("width", "count"), [(10, 1), (30, 2), (48, 3), (80, 4)])
def test_a_line_shows_as_many_details_as_fit(width: int, count: int) -> None:
    phrases = PendingList()._wait_text(row_with(ON_TIME, Stage.COMPLETED, 1.0), NOW, width).split(", ")
    assert [phrase.split()[0] for phrase in phrases] == ["verifying", "typically", "about", "1"][:count]


@pytest.mark.parametrize(
    ("width", "text"),
    [(60, "stuck: no worker has picked it up"), (20, "stuck: no worker"), (12, "stuck"), (3, "st…")],
)
def test_a_reason_is_shortened_to_fit(width: int, text: str) -> None:
    assert PendingList()._wait_text(row_with(NO_WORKER, Stage.COMPLETED, 1.0), NOW, width) == text
