"""Known times of an upload are kept when the service reports less later."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from upload_tui.monitor.changes import AnomalyNoticed, Change, StageReached, UploadPurged
from upload_tui.monitor.queries.query import Query
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.ingest import compare, ingest, parse_stored
from upload_tui.sources import source_reading
from upload_tui.sources.contract import UploadLine, upload_line
from upload_tui.status import Anomaly, Certainty, Event, Stage, Timeline
from upload_tui.testing import NOW, FrozenClock, InMemorySession, an_upload
from upload_tui.wire import StatusShape, Upload, format_time, parse_upload

DAY = 86_400
VERIFIED_ON = NOW - timedelta(days=30)


def old_upload(name: str = "old.bam", *, touched: datetime | None = None, **more: Any) -> dict[str, Any]:
    """An upload verified a month ago in ten seconds; last updated then, or at `touched`."""
    ages: dict[str, Any] = {"initiated": 30 * DAY + 60, "completed": 30 * DAY + 10, "verified": 30 * DAY}
    upload = an_upload(name, **ages, status_shape=StatusShape.DEPLOYED, **more)
    if touched is not None:
        upload["audit"]["last_updated_on"] = format_time(touched)
    return upload


def verified_event(session: InMemorySession, upload: dict[str, Any]) -> Event:
    detail = session.picture.detail(upload["id"])
    assert detail is not None
    event = detail.upload.timeline.event(Stage.VERIFIED)
    assert event is not None
    return event


def test_a_purge_does_not_change_the_verification_time() -> None:
    session = InMemorySession([old_upload()])
    session.clock.advance(60)
    session.publish(old_upload(purged=1, touched=NOW))
    event = verified_event(session, old_upload())
    assert (event.on, event.certainty) == (VERIFIED_ON, Certainty.ESTIMATED)
    row = session.picture.window(Query(), 0, 1).rows[0]
    assert (row.stage_since, row.since_certainty, row.is_purged) == (VERIFIED_ON, Certainty.ESTIMATED, True)
    assert [type(change) for change in session.changes.history(9)] == [UploadPurged]
    assert session.picture.funnel()[Stage.VERIFIED].recent == (0,) * 10
    session.close()


def test_the_first_estimate_is_kept_after_a_later_update() -> None:
    session = InMemorySession([old_upload()])
    session.clock.advance(60)
    session.publish(old_upload(touched=NOW + timedelta(seconds=30)))
    assert verified_event(session, old_upload()).on == VERIFIED_ON
    session.publish(old_upload(purged=1, touched=NOW + timedelta(seconds=31)))
    assert verified_event(session, old_upload()).on == VERIFIED_ON
    session.close()


def test_an_unknown_verification_time_is_bounded_by_the_purge() -> None:
    session = InMemorySession([old_upload(purged=3 * DAY, touched=NOW - timedelta(days=3))])
    event = verified_event(session, old_upload())
    assert (event.on, event.certainty) == (None, Certainty.OBSERVED)
    assert (event.earliest, event.latest) == (NOW - timedelta(days=30, seconds=10), NOW - timedelta(days=3))
    assert session.picture.window(Query(), 0, 1).rows[0].stage_since == NOW - timedelta(days=3)
    session.close()


def test_an_observed_time_keeps_its_bounds_when_it_is_read_again() -> None:
    """The service's clock is ahead, so its times are no estimate: only our readings bound the stage."""
    ahead = format_time(NOW + timedelta(minutes=5))
    clock = FrozenClock()
    session = InMemorySession([an_upload("a", completed=60, status_shape=StatusShape.DEPLOYED)], clock=clock)
    clock.advance(5)
    done = an_upload("a", completed=60, verified=0, status_shape=StatusShape.DEPLOYED)
    done["audit"]["last_updated_on"] = ahead
    session.publish(done)
    clock.advance(3600)
    session.publish({**done, "name": "renamed"})
    event = verified_event(session, done)
    assert (event.earliest, event.latest) == (NOW, NOW + timedelta(seconds=5))
    session.close()


def test_uploads_with_only_a_purge_time_are_not_in_the_baseline() -> None:
    timely = [
        an_upload(f"v{n}", initiated=600, completed=500 + n, verified=490 + n, status_shape=StatusShape.DEPLOYED)
        for n in range(40)
    ]
    purged = [old_upload(f"p{n}", purged=n, touched=NOW - timedelta(seconds=n)) for n in range(20)]
    waiting = an_upload("waits", initiated=90, completed=60, status_shape=StatusShape.DEPLOYED)
    session = InMemorySession([*timely, *purged, waiting])
    lateness = session.picture.pending(1)[0].lateness
    assert (lateness.is_overdue, lateness.p95_seconds) == (True, pytest.approx(10))
    assert session.picture.latencies()[1].count == 40
    assert sum(session.picture.funnel()[Stage.VERIFIED].recent) == 40
    session.close()


def test_a_verification_observed_within_a_minute_counts_as_an_arrival() -> None:
    session = InMemorySession([an_upload("a", completed=60, status_shape=StatusShape.DEPLOYED)])
    session.clock.advance(5)
    done = an_upload("a", completed=60, verified=0, status_shape=StatusShape.DEPLOYED)
    done["audit"]["last_updated_on"] = None
    session.publish(done)
    session.clock.advance(1)
    assert sum(session.picture.funnel()[Stage.VERIFIED].recent) == 1
    session.close()


def test_a_reading_from_before_the_clock_was_set_back_is_no_bound() -> None:
    waiting, done = (an_upload("a", completed=60, verified=ago, status_shape=StatusShape.DEPLOYED) for ago in (None, 1))
    before = parse_upload(waiting, read_on=NOW + timedelta(hours=1))
    (event,) = compare(before, None, (), parse_upload(done, read_on=NOW), "").upload.timeline.events[2:]
    assert (event.on, event.latest) == (NOW - timedelta(seconds=1), NOW)


def test_a_time_in_the_future_is_published_once() -> None:
    session = InMemorySession()
    for chunks in ((1,), (1, 2), (1, 2, 3)):
        session.publish(an_upload("a", initiated=-600, chunks=chunks))
        session.clock.advance(7)
    published: list[Change] = [change for change in session.changes.history(99) if isinstance(change, AnomalyNoticed)]
    assert len(published) == 1
    session.close()


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def reading(*events: Event, read_at: float = 0, purged_at: float | None = None) -> Upload:
    """A reading with these events."""
    purged_on = None if purged_at is None else at(purged_at)
    return Upload(id="u", project_id="p", timeline=Timeline(events, purged_on), read_on=at(read_at))


COMPLETED = Event(Stage.COMPLETED, at(-60))


def verified(
    on: float | None, certainty: Certainty, earliest: float | None = None, latest: float | None = None
) -> Event:
    return Event(
        Stage.VERIFIED,
        None if on is None else at(on),
        certainty,
        None if earliest is None else at(earliest),
        None if latest is None else at(latest),
    )


OBSERVED, ESTIMATED, REPORTED = Certainty.OBSERVED, Certainty.ESTIMATED, Certainty.REPORTED


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (verified(None, OBSERVED, None, 0), verified(None, OBSERVED, -30, 0)),
        (verified(None, OBSERVED, -10, 0), verified(None, OBSERVED, -10, 0)),
        (verified(None, OBSERVED, -50, 0), verified(None, OBSERVED, -30, 0)),
        (verified(None, OBSERVED, -50, -40), verified(None, OBSERVED, -30, -30)),
        (verified(-20, ESTIMATED, -50, 0), verified(-20, ESTIMATED, -30, 0)),
        (verified(-40, ESTIMATED, -50, 0), verified(None, OBSERVED, -30, 0)),
        (verified(-40, REPORTED), verified(-40, REPORTED)),
    ],
    ids=["no bound", "later bound", "earlier bound", "before the bound", "estimate", "wrong estimate", "reported"],
)
def test_a_stage_is_not_reached_before_the_last_reading_without_it(event: Event, expected: Event) -> None:
    before = reading(COMPLETED, read_at=-30)
    result = compare(before, None, (), reading(COMPLETED, event), "")
    assert result.upload.timeline.current == expected
    assert result.earliest == at(-30)
    stored = compare(result.upload, result.earliest, (), reading(COMPLETED, event, read_at=5), "")
    assert stored.earliest == at(-30)


@pytest.mark.parametrize(
    ("known", "now", "expected"),
    [
        (verified(None, OBSERVED, -30, 0), verified(-10, ESTIMATED), verified(-10, ESTIMATED, -30)),
        (verified(None, OBSERVED, -30, 0), verified(5, ESTIMATED), verified(None, OBSERVED, -30, 0)),
        (verified(None, OBSERVED, -30, 0), verified(None, OBSERVED, None, 9), verified(None, OBSERVED, -30, 0)),
        (verified(-10, ESTIMATED), verified(-5, ESTIMATED), verified(-10, ESTIMATED)),
        (verified(-10, ESTIMATED), verified(-5, REPORTED), verified(-5, REPORTED)),
    ],
    ids=["narrower", "after it was seen", "observed again", "second estimate", "reported"],
)
def test_a_known_time_is_kept_unless_the_new_one_is_better(known: Event, now: Event, expected: Event) -> None:
    result = compare(reading(COMPLETED, known), at(-30), (), reading(COMPLETED, now, read_at=9), "")
    assert result.upload.timeline.current == expected


def test_an_anomaly_and_a_purge_are_published_once() -> None:
    first = compare(None, None, (), reading(COMPLETED, purged_at=-1), "")
    assert [type(change) for change in first.changes][-1] is UploadPurged
    again = compare(first.upload, None, (), reading(COMPLETED, purged_at=-1, read_at=5), "")
    assert again.changes == ()
    back = compare(reading(COMPLETED, verified(-9, REPORTED)), None, (), reading(COMPLETED, read_at=5), "")
    assert [change.anomaly for change in back.changes if isinstance(change, AnomalyNoticed)] == [*back.noticed]
    assert len(back.noticed) == 1
    third = compare(reading(COMPLETED, verified(-9, REPORTED)), None, back.noticed, reading(COMPLETED, read_at=9), "")
    assert (third.noticed, third.changes) == (back.noticed, ())


@pytest.mark.parametrize("stage", [Stage.VERIFIED, Stage.ERROR])
def test_nothing_is_reported_twice_when_older_and_newer_answers_alternate(stage: Stage) -> None:
    older, newer = reading(COMPLETED), reading(COMPLETED, Event(stage, NOW - timedelta(seconds=5)))
    retried = reading(Event(Stage.COMPLETED, NOW - timedelta(seconds=3)), Event(stage, NOW - timedelta(seconds=2)))
    known: Upload | None = None
    noticed: tuple[Anomaly, ...] = ()
    published = list[object]()
    for after in (*(older, newer) * 3, older, retried, newer, retried):
        result = compare(known, None, noticed, after, "")
        known, noticed = result.upload, result.noticed
        published += [
            (change.after, change.on) if isinstance(change, StageReached) else change.anomaly
            for change in result.changes
            if isinstance(change, StageReached | AnomalyNoticed)
        ]
    assert len(published) == len({*published})
    assert [one[0] for one in published if isinstance(one, tuple)].count(stage) == 2  # it has been retried once


@pytest.mark.parametrize(
    "last",
    [{"timeline": [{"stage": "initiated"}, {"stage": "error"}]}, {"timeline": [{"stage": str(one)} for one in Stage]}],
)
@pytest.mark.parametrize("first", [None, {}, {"stage": "completed"}, {"timeline": [{"stage": "initiated"}]}])
def test_bounds_of_passed_stages_never_become_looser(first: dict[str, Any] | None, last: dict[str, Any]) -> None:
    """Neither by later readings nor in the store; none is after that of the next stage."""
    lines = [line for line in (first, first) if line is not None] + [{**last, "by": by} for by in "aabb"]
    store, before, known = Store(), None, dict[Stage, datetime]()
    try:
        for second, fields in enumerate(lines):
            line = upload_line({"id": "u", "name": "u", **fields})
            assert isinstance(line, UploadLine)
            read = source_reading(line, before, read_on=at(second), default_project="p")
            ingest(store, [read], "", is_logged=False)
            stored = store.get("u")
            before = None if stored is None else parse_stored(read.raw, stored)
            assert before is not None
            bounds = {event.stage: event.latest for event in before.timeline}
            found = {stage: latest for stage, latest in bounds.items() if latest is not None}
            assert [*found.values()] == sorted(found.values())
            assert all(latest <= known.get(stage, latest) for stage, latest in found.items())
            known.update(found)
    finally:
        store.close()
    assert {Stage.INITIATED, Stage.ERROR} & {*known} == {Stage.INITIATED, Stage.ERROR}
