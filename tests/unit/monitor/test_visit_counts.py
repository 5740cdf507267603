"""What happened between two visits to the dashboard."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from upload_tui.monitor import LastVisit
from upload_tui.monitor.since import counts_since, visit_of_picture
from upload_tui.testing import NOW, FrozenClock, InMemorySession, an_upload
from upload_tui.wire import StatusShape, format_time

TROUBLE = [
    *(an_upload(f"stuck-{n}", initiated=9000, completed=8000) for n in range(8)),
    *(an_upload(f"failed-{n}", initiated=900, completed=800, error=700) for n in range(5)),
    *(an_upload(f"odd-{n}", initiated=900, completed=800, verified=700, chunks=(1, 3)) for n in range(2)),
]


def in_own_state(name: str, state: str, since: datetime) -> dict[str, Any]:
    """An upload in a state of the service's own, whose start is not known."""
    upload = an_upload(name, status_shape=StatusShape.B)
    upload["status"] = {"current": {"state": state, "state_on": format_time(since)}, "prior": []}
    upload["audit"] = {}
    return upload


def summary_of(session: InMemorySession, visit: LastVisit) -> str:
    now = session.picture.clock.now()
    return counts_since(session.picture, visit).text(now).partition(": ")[2]


def visit(session: InMemorySession, before: LastVisit | None = None) -> LastVisit:
    return visit_of_picture(session.picture, session.picture.clock.now(), before)


@pytest.mark.parametrize("count", [1, 10, 600])
def test_new_uploads_count_whatever_their_state_and_gone_ones_are_named(count: int) -> None:
    clock = FrozenClock()
    session = InMemorySession(TROUBLE, clock=clock)
    first = visit(session)
    assert summary_of(session, first) == "nothing new"
    ids = [str(upload["id"]) for upload in TROUBLE]
    for upload_id in ids:
        session.picture.mark(upload_id, gone=True)
    clock.advance(60)
    session.publish(*(in_own_state(f"own-{n}", "on-tape", clock.now()) for n in range(count)))
    assert summary_of(session, first) == f"{count} new, 15 gone"
    second = visit(session, first)
    assert summary_of(session, second) == "nothing new"
    clock.advance(60)
    session.publish(*(in_own_state(f"own-{n}", "archived", clock.now()) for n in range(count)))
    assert summary_of(session, second) == "nothing new"
    third = visit(session, second)
    clock.advance(60)
    for upload_id in ids:
        session.picture.mark(upload_id, gone=False)
    assert summary_of(session, third) == "nothing new"
    session.close()


def test_what_is_stuck_is_not_called_overdue() -> None:
    session = InMemorySession(TROUBLE)
    assert summary_of(session, LastVisit(NOW - timedelta(days=1))) == "5 failed, 8 newly stuck, 15 new, 2 verified"
    session.close()


def test_too_many_to_be_remembered_are_not_called_new() -> None:
    clock = FrozenClock()
    session = InMemorySession([], clock=clock)
    clock.advance(60)
    first = visit(session)
    session.publish(*(in_own_state(f"own-{n}", "on-tape", clock.now()) for n in range(2001)))
    clock.advance(60)
    second = visit(session, first)
    assert second.own_state_ids is None
    session.publish(*(in_own_state(f"own-{n}", "archived", clock.now()) for n in range(2001)))
    assert summary_of(session, second) == "nothing new"
    session.close()
