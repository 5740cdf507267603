"""Times in a store that an earlier version wrote, which this one does not read: they are unknown, and nothing fails."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.unit.sources.scripted_source import SourceHarness

from upload_tui.monitor.changes import upload_record
from upload_tui.monitor.queries.parser import parse_query
from upload_tui.monitor.queries.query import Query, SortKey
from upload_tui.monitor.store.rows import from_ms, to_ms
from upload_tui.testing import NOW
from upload_tui.wire import format_time, parse_time

COLUMNS = (
    "since_ms", "initiated_ms", "completed_ms", "ended_ms", "activity_ms", "read_ms", "earliest_ms", "acknowledged_until_ms",
)  # fmt: skip
FIRST, LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
VALUES_MS = [
    -(2**63) + 1, -(2**53), to_ms(datetime.min.replace(tzinfo=UTC)), to_ms(FIRST - MILLISECOND), to_ms(FIRST), -1, 0,
    to_ms(LAST), to_ms(LAST + MILLISECOND), to_ms(datetime.max.replace(tzinfo=UTC)), 2**53, 2**63 - 1,
]  # fmt: skip
FILTERS = ["age>1h", "age<1h", "took>1s", "since:2h", "until:2h", "stuck", "overdue", "trouble"]
UPLOADS: dict[str, dict[str, Any]] = {
    "a": {"initiated_on": format_time(NOW - timedelta(hours=2))},
    "b": {"stage": "completed", "on": format_time(NOW - timedelta(hours=1)), "received_bytes": 5},
    "c": {"completed_on": format_time(NOW - timedelta(hours=1)), "verified_on": format_time(NOW)},
    "d": {"completed_on": format_time(NOW - timedelta(hours=1)), "error_on": format_time(NOW)},
    "e": {"stage": "odd"},
}


def test_a_time_is_read_from_a_store_if_it_is_read_from_a_service() -> None:
    for value_ms in VALUES_MS:
        assert (from_ms(value_ms) is not None) == (value_ms in (to_ms(FIRST), -1, 0, to_ms(LAST)))
    for on in (FIRST, LAST, NOW):
        assert from_ms(to_ms(on)) == on == parse_time(format_time(on))


@pytest.mark.parametrize("value_ms", VALUES_MS)
@pytest.mark.parametrize("column", [*COLUMNS, ", ".join(COLUMNS)])
async def test_no_stored_time_breaks_a_picture_or_a_round(column: str, value_ms: int) -> None:
    harness = SourceHarness()
    await harness.print(UPLOADS)
    assignments = ", ".join(f"{one} = {value_ms}" for one in column.split(", "))
    with harness.store.transaction():
        harness.store.db.execute(f"UPDATE uploads SET acknowledged_stage = stage, {assignments}")
    picture = harness.picture
    for query in (*(Query(sort=key) for key in SortKey), *(Query(where=parse_query(text)) for text in FILTERS)):
        for detail in picture.details(query):
            upload_record(detail)
        picture.window(query, 0, 9)
        picture.position(query, "c")
    picture.pending(9)
    picture.causes()
    picture.latencies()
    picture.funnel()
    assert {row.id for row in picture.window(Query(), 0, 9).rows} == {*UPLOADS}
    await harness.print({**UPLOADS, "a": {"stage": "error"}, "f": {}})
    assert len(harness.shown()) == len(UPLOADS) + 1
    harness.store.close()
