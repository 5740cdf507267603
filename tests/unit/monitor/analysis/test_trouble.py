"""The one definition of trouble: rows, filters, the funnel and the list of pending uploads agree about generated pictures."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upload_tui.monitor.analysis.trouble import (
    TroubleLimits,
    baseline_of,
    has_failed,
    overdue_seconds,
    stuck_seconds,
    trouble_of,
)
from upload_tui.monitor.model import Acknowledgement, Lateness, Trouble
from upload_tui.monitor.queries.query import Query
from upload_tui.monitor.sessions.combined import CombinedSession
from upload_tui.status import PENDING_STAGES, Anomaly, AnomalyName, Stage, contradicts_itself, is_contradictory
from upload_tui.testing import NOW, InMemorySession, an_upload

LIMITS = TroubleLimits()
DAY = 24 * 3600
UNSAFE = {
    AnomalyName.CHUNKS_MISSING,
    AnomalyName.CHUNKS_REPEATED,
    AnomalyName.CHUNK_SIZES_DIFFER,
    AnomalyName.CHUNKS_INVALID,
}
HARMLESS = {
    AnomalyName.INITIATED_MISSING,
    AnomalyName.UNKNOWN_STATE,
    AnomalyName.REPEATED_STATE,
    AnomalyName.MESSAGE_WITHOUT_ERROR,
    AnomalyName.UNKNOWN_SHAPE,
    AnomalyName.UNREADABLE_FIELD,
    AnomalyName.OTHER_PROJECT,
    AnomalyName.RECEIVED_TOO_MUCH,
}


@pytest.mark.parametrize("name", AnomalyName)
@pytest.mark.parametrize("stage", Stage)
def test_only_verified_uploads_with_wrong_chunks_are_contradictory(stage: Stage, name: AnomalyName) -> None:
    anomalies = [Anomaly(name, "")]
    assert is_contradictory(stage, anomalies) is (stage is Stage.VERIFIED and name in UNSAFE)
    if name in HARMLESS:
        assert not contradicts_itself(stage, anomalies)
    elif stage is Stage.VERIFIED:
        assert contradicts_itself(stage, anomalies)


@pytest.mark.parametrize(
    ("stage", "age", "lateness", "has_contradiction", "trouble"),
    [
        (Stage.VERIFIED, 5, Lateness(), True, Trouble.CONTRADICTORY),
        (Stage.VERIFIED, 90 * DAY, Lateness(), True, Trouble.CONTRADICTORY),
        (Stage.VERIFIED, 5, Lateness(is_overdue=True, is_stuck=True), True, Trouble.CONTRADICTORY),
        (Stage.VERIFIED, 5, Lateness(), False, None),
        (Stage.ERROR, DAY, Lateness(), False, Trouble.FAILED),
        (Stage.ERROR, DAY + 1, Lateness(), False, None),
        (Stage.ERROR, None, Lateness(), False, Trouble.FAILED),
        (Stage.COMPLETED, 5, Lateness(is_overdue=True, is_stuck=True), False, Trouble.STUCK),
        (Stage.COMPLETED, 5, Lateness(is_overdue=True), False, Trouble.OVERDUE),
        (Stage.COMPLETED, 5, Lateness(), False, None),
    ],
)
def test_an_upload_has_its_most_serious_trouble(
    stage: Stage, age: float | None, lateness: Lateness, has_contradiction: bool, trouble: Trouble | None
) -> None:
    since = None if age is None else NOW - timedelta(seconds=age)
    failed_since = LIMITS.failed_since(NOW)
    assert trouble_of(stage, since, lateness, failed_since, has_contradiction=has_contradiction) is trouble


def test_an_upload_that_is_gone_has_not_failed() -> None:
    failed = an_upload("a", completed=100, error=50)
    session = InMemorySession([failed])
    found = []
    for is_gone in (False, True):
        session.picture.mark(failed["id"], gone=is_gone)
        row = session.picture.row(failed["id"])
        found.append(row is not None and has_failed(row))
    session.close()
    assert found == [True, False]


AGES = st.sampled_from([5, 40, 200, 1000, DAY - 5, DAY + 5])


@st.composite
def resources(draw: st.DrawFn) -> Mapping[str, Any]:
    """An upload in any stage, at most two days old, with chunks that agree or not."""
    name, age = f"{draw(st.integers(0, 400))}.bin", draw(AGES)
    stage = draw(st.sampled_from(Stage))
    ages: dict[str, Any] = {"initiated": age + 20}
    if stage is not Stage.INITIATED:
        ages["completed"] = age + 10 if stage.is_final else age
    if stage.is_final:
        ages["verified" if stage is Stage.VERIFIED else "error"] = age
    chunks = draw(st.sampled_from([None, (1, 2, 3, 4), (1, 2, 4, 5)]))
    return an_upload(name, chunks=chunks, project=(draw(st.sampled_from(["p-1", "p-2"])), "P"), **ages)


def in_trouble(session: InMemorySession | CombinedSession, query: Query | None = None) -> dict[str, Trouble | None]:
    return {row.id: row.trouble for row in session.picture.window(query or Query(), 0, 1000).rows}


@settings(max_examples=40, deadline=None)
@given(st.lists(resources(), max_size=25), st.data())
def test_rows_filter_funnel_and_pending_uploads_agree(uploads: list[Mapping[str, Any]], data: st.DataObject) -> None:
    session = InMemorySession(uploads)
    ids = sorted({upload["id"] for upload in uploads})
    session.picture._store.acknowledge(
        data.draw(st.lists(st.sampled_from(ids), max_size=3)) if ids else [], Acknowledgement()
    )
    session.picture._store.mark(data.draw(st.lists(st.sampled_from(ids), max_size=3)) if ids else [], gone=True)
    expected = {upload_id: trouble for upload_id, trouble in in_trouble(session).items() if trouble}
    assert in_trouble(session, Query(trouble_only=True)) == expected
    assert session.picture.funnel().troubles == Counter(expected.values())
    listed = [session.picture.window(Query(stages=frozenset({stage})), 0, 0).total for stage in Stage]
    assert listed == [summary.count for summary in session.picture.funnel().stages]
    assert session.picture.funnel().total + session.picture.funnel().gone == session.picture.window(Query(), 0, 0).total
    for stages in (PENDING_STAGES, frozenset({Stage.ERROR}), frozenset({Stage.VERIFIED})):
        found = in_trouble(session, Query(trouble_only=True, stages=stages))
        assert found == {
            row.id: row.trouble for row in session.picture.window(Query(stages=stages), 0, 99).rows if row.trouble
        }
    pending = {row.id: row.trouble for row in session.picture.pending(99) if row.trouble}
    assert pending == {key: value for key, value in expected.items() if value in {Trouble.STUCK, Trouble.OVERDUE}}
    assert CombinedSession([session, session]).picture.funnel().troubles == {
        trouble: 2 * count for trouble, count in session.picture.funnel().troubles.items()
    }
    session.close()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 60_000), min_size=8, max_size=12),
    st.sampled_from([900.0, 40.0005, 40.0004]),
)
def test_rows_and_filter_agree_to_the_millisecond(durations_ms: list[int], stuck_after_seconds: float) -> None:
    """Quantiles are interpolated, and settings may be finer: a threshold may be between two milliseconds."""
    baseline = baseline_of([milliseconds / 1000 for milliseconds in durations_ms])
    limits = [stuck_seconds(None, stuck_after_seconds)]
    limits += [limit(baseline, stuck_after_seconds) for limit in (overdue_seconds, stuck_seconds)]
    ages = {round(limit, 3) + milliseconds / 1000 for limit in limits for milliseconds in (-1, 0, 1)}
    ended = [
        an_upload(f"e{number}", initiated=9000, completed=100 + milliseconds / 1000, verified=100)
        for number, milliseconds in enumerate(durations_ms)
    ]
    waiting = [an_upload(f"w{age:.3f}", initiated=age, completed=age) for age in ages]
    idle = [an_upload(f"i{age:.3f}", initiated=age) for age in ages]
    session = InMemorySession([*ended, *waiting, *idle], stuck_after_seconds=stuck_after_seconds)
    expected = {upload_id: trouble for upload_id, trouble in in_trouble(session).items() if trouble}
    assert in_trouble(session, Query(trouble_only=True)) == expected
    assert in_trouble(session, Query(late_only=True)) == expected
    assert session.picture.funnel().troubles == Counter(expected.values())
    session.close()


@pytest.mark.parametrize("seconds", [3600.0, 0.0004, 7.0005])
def test_failures_are_recent_since_a_whole_millisecond(seconds: float) -> None:
    assert not TroubleLimits(failures_for_seconds=seconds).failed_since(NOW).microsecond % 1000


def test_an_acknowledgement_ends_with_the_stage() -> None:
    session = InMemorySession([an_upload("a", initiated=2000, completed=1000)])
    (upload_id,) = in_trouble(session)
    session.picture._store.acknowledge([upload_id], Acknowledgement())
    assert in_trouble(session) == {upload_id: None}
    assert session.picture.funnel().stuck == 0
    session.publish(an_upload("a", initiated=2000, completed=1000, error=1))
    assert in_trouble(session) == {upload_id: Trouble.FAILED}
    session.picture._store.acknowledge([upload_id], Acknowledgement())
    session.picture._store.acknowledge([upload_id], None)
    assert in_trouble(session) == {upload_id: Trouble.FAILED}
    session.close()


def test_an_acknowledgement_ends_when_its_time_is_over() -> None:
    session = InMemorySession([an_upload("a", completed=100, error=50)])
    (upload_id,) = in_trouble(session)
    until = session.picture.clock.now() + timedelta(seconds=60)
    session.picture.acknowledge([upload_id], Acknowledgement("known", until))
    assert in_trouble(session) == {upload_id: None}
    session.clock.advance(59)
    assert session.picture.funnel().troubles == {}
    session.clock.advance(1)
    assert in_trouble(session) == {upload_id: Trouble.FAILED}
    assert session.picture.funnel().troubles == {Trouble.FAILED: 1}
    session.close()


def test_an_upload_that_returns_to_its_stage_is_not_acknowledged_any_more() -> None:
    session = InMemorySession([an_upload("a", completed=100, error=50)])
    (upload_id,) = in_trouble(session)
    session.picture.acknowledge([upload_id], Acknowledgement())
    session.publish(an_upload("a", completed=40))
    session.publish(an_upload("a", completed=40, error=1))
    assert in_trouble(session) == {upload_id: Trouble.FAILED}
    session.close()


def test_contradictory_uploads_are_counted_first() -> None:
    gap = an_upload("gap", initiated=400, completed=300, verified=290, chunks=(1, 3))
    waiting = [an_upload(f"waits{n}", initiated=9000, completed=5000 - n) for n in range(9)]
    session = InMemorySession([gap, *waiting])
    assert next(iter(session.picture.funnel().troubles.items())) == (Trouble.CONTRADICTORY, 1)
    combined = CombinedSession([session, InMemorySession(waiting, title="b")])
    assert next(iter(combined.picture.funnel().troubles.items())) == (Trouble.CONTRADICTORY, 1)
    session.close()


def test_latencies_leave_out_uploads_that_contradict_themselves() -> None:
    good = [an_upload(f"g{n}", initiated=400, completed=300, verified=290) for n in range(9)]
    gap = an_upload("gap", initiated=90_000, completed=80_000, verified=290, chunks=(1, 3))
    backwards = an_upload("back", initiated=100, completed=300, verified=290)
    session = InMemorySession([*good, gap, backwards])
    assert [histogram.count for histogram in session.picture.latencies()] == [9, 9, 0]
    assert not session.picture.pending(9)
    session.close()
