"""An upload in a state that is not in the design is neither pending nor final, and is shown by the state's own name."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from upload_tui.monitor import Query, Store, StorePicture, ingest, statistics_of, upload_record
from upload_tui.monitor.model import Trouble
from upload_tui.monitor.queries.parser import parse_query
from upload_tui.status import Certainty, Stage
from upload_tui.testing import NOW, FrozenClock, an_upload
from upload_tui.wire import StatusShape, format_time, parse_upload_reading


def in_state(name: str, reached: str, **times: float) -> dict[str, Any]:
    """An upload in a state of its own, after it had reached a stage."""
    upload = an_upload(f"{name} after {reached}", status_shape=StatusShape.B, initiated=90_000, **times)  # type: ignore[arg-type]
    status = upload["status"]
    on = format_time(NOW - timedelta(hours=20))
    upload["status"] = {
        "current": {"state": name, "state_on": on},
        "prior": [status["current"], *status["prior"]],
    }
    return upload


UPLOADS = [
    in_state("quarantined", "initiated"),
    in_state("quarantined", "completed", completed=80_000),
    in_state("archived", "verified", completed=80_000, verified=79_000),
    an_upload("known.bin", initiated=90_000, completed=80_000, verified=79_000),
]


@pytest.fixture
def picture() -> StorePicture:
    store = Store()
    ingest(store, [parse_upload_reading(upload, read_on=NOW) for upload in UPLOADS], "https://example.org")
    return StorePicture(store, FrozenClock(), "https://example.org")


def test_an_upload_in_an_unknown_state_is_in_no_stage_of_the_funnel(picture: StorePicture) -> None:
    assert (picture.funnel().others, picture.funnel().total) == (3, 4)
    assert {summary.stage: summary.count for summary in picture.funnel().stages if summary.count} == {Stage.VERIFIED: 1}
    assert picture.window(Query(), 0, 10).total == 4
    assert picture.window(Query(stages=frozenset({Stage.INITIATED, Stage.COMPLETED})), 0, 10).total == 0


def test_an_upload_in_an_unknown_state_is_never_late(picture: StorePicture) -> None:
    rows = picture.window(Query(), 0, 10).rows
    assert not any(row.is_least_age for row in rows)
    assert not any(row.lateness.is_stuck or row.lateness.is_overdue for row in rows)
    assert picture.window(Query(trouble_only=True), 0, 10).total == 0
    assert list(picture.pending(10)) == []


def test_rows_and_records_have_its_own_name(picture: StorePicture) -> None:
    names = {"quarantined after initiated": "quarantined", "quarantined after completed": "quarantined"}
    names |= {"archived after verified": "archived", "known.bin": ""}
    rows = picture.window(Query(), 0, 10).rows
    assert {row.name: row.unknown_state for row in rows} == names
    details = [detail for row in rows if (detail := picture.detail(row.id))]
    assert sorted(upload_record(detail)["stage"] for detail in details) == [
        "archived", "quarantined", "quarantined", "verified",
    ]  # fmt: skip
    statistics = statistics_of(details)
    assert statistics.unknown_states == {"quarantined": 2, "archived": 1}
    assert statistics.total == 4
    assert {stage: count for stage, count in statistics.counts.items() if count} == {Stage.VERIFIED: 1}
    assert picture.window(Query(where=parse_query("quarantin")), 0, 10).total == 2
    assert picture.window(Query(where=parse_query("stage:unknown age>19h")), 0, 10).total == 3
    assert picture.window(Query(where=parse_query("stage:unknown age>21h")), 0, 10).total == 0


def test_an_upload_in_an_unknown_state_is_read_again_until_it_is_final() -> None:
    store = Store()
    ingest(store, [parse_upload_reading(upload, read_on=NOW) for upload in UPLOADS], "https://example.org")
    assert len(store.unfinished()) == 3
    released = an_upload("archived after verified", initiated=90_000, completed=80_000, verified=79_000)
    ingest(store, [parse_upload_reading(released, read_on=NOW)], "https://example.org")
    assert len(store.unfinished()) == 2
    assert store.pending() == []


# A stage that was reached at an unknown time

BEGAN = {"state": "initiated", "state_on": format_time(NOW - timedelta(minutes=5))}
TIMELESS: Mapping[str, Mapping[str, Any]] = {
    "B: null": {"current": {"state": "completed", "state_on": None}, "prior": [BEGAN]},
    "B: no time": {"current": {"state": "completed"}, "prior": [BEGAN]},
    "B: unreadable": {"current": {"state": "completed", "state_on": "soon"}, "prior": [BEGAN]},
    "B: a bare name": {"current": "completed", "prior": [BEGAN]},
    "B: all null": {"current": {"state": "completed", "state_on": None}, "prior": [{**BEGAN, "state_on": None}]},
    "B: the first": {"current": {"state": "initiated", "state_on": None}, "prior": []},
    "B: nothing": {"current": None, "prior": []},
    "A: nothing": {"initiated_on": None, "completed_on": None, "verified_on": None, "error_on": None},
    "A: unreadable": {"initiated_on": BEGAN["state_on"], "completed_on": "soon", "verified_on": None, "error_on": None},
    "A: the first": {"initiated_on": "soon", "completed_on": None, "verified_on": None, "error_on": None},
    "deployed: unreadable": {"initiated_on": BEGAN["state_on"], "completed_on": 5, "is_consistent": False},
    "deployed: the first": {"initiated_on": {}, "ready_for_chunks": True, "is_consistent": False},
}


@pytest.mark.parametrize("has_audit", [True, False], ids=["audit", "no audit"])
@pytest.mark.parametrize("status", TIMELESS.values(), ids=TIMELESS.keys())
def test_a_stage_at_an_unknown_time_is_stuck_after_it_was_first_seen(
    status: Mapping[str, Any], *, has_audit: bool
) -> None:
    """Judged by the audit times if there are any; later readings, also of other sessions, do not restart the time."""
    store, clock = Store(), FrozenClock()
    upload = an_upload("timeless.bin", initiated=300)
    upload["status"] = dict(status)
    if not has_audit:
        del upload["audit"]
    stuck, total = [], []
    for number, seconds in enumerate((0, 600, 280, 40)):
        clock.advance(seconds)
        upload["hashes"] = [{"algorithm": "md5", "value": f"{number:032}"}]  # what is stored differs from this reading
        ingest(store, [parse_upload_reading(upload, read_on=clock.now())], "https://example.org")
        picture = StorePicture(store, clock, "https://example.org")
        (row,) = picture.window(Query(), 0, 10).rows
        stuck.append(row.trouble is Trouble.STUCK)
        total.append(picture.funnel().stuck + picture.window(Query(trouble_only=True), 0, 10).total)
        assert row.stage_since is not None
        assert row.since_certainty is not Certainty.REPORTED
    first = 3 if not has_audit else stuck.index(True)
    assert stuck == [False] * first + [True] * (4 - first)
    assert total == [2 * is_stuck for is_stuck in stuck]
