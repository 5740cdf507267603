"""The three shapes of status: detection, reading, writing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from upload_tui.status import Certainty, Event, Stage, Timeline
from upload_tui.wire.status_shapes import (
    UNSUPPORTED_DETAILS,
    StatusDetail,
    StatusShape,
    detect_shape,
    read_status,
    write_status,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ["current", "prior", "state", "state_on", "is_consistent", "ready_for_chunks", "purged_on", "error_message"]
    + [f"{stage}_on" for stage in Stage]
)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)).map(
    lambda on: on.replace(microsecond=on.microsecond // 1000 * 1000)
)


@st.composite
def legal_timelines(draw: st.DrawFn) -> Timeline:
    """All timelines that the design allows."""
    reach = draw(st.integers(1, 3))
    end = draw(st.sampled_from([Stage.VERIFIED, Stage.ERROR]))
    on = draw(TIMES)
    events = []
    for stage in (Stage.INITIATED, Stage.COMPLETED, end)[:reach]:
        message = draw(st.none() | st.text(min_size=1)) if stage is Stage.ERROR else None
        events.append(Event(stage, on, message=message))
        on += timedelta(milliseconds=draw(st.integers(0, 10**9)))
    purged_on = draw(st.none() | TIMES) if reach == 3 else None
    return Timeline(tuple(events), purged_on=purged_on, ready_for_chunks=draw(st.none() | st.booleans()))


def without_unsupported_details(timeline: Timeline, shape: StatusShape) -> Timeline:
    unsupported = UNSUPPORTED_DETAILS[shape]
    completed = timeline.event(Stage.COMPLETED)
    events = []
    for event in timeline.events:
        if event.stage is Stage.ERROR and StatusDetail.ERROR_MESSAGE in unsupported:
            events.append(replace(event, message=None))
        elif event.stage is Stage.VERIFIED and StatusDetail.VERIFIED_TIME in unsupported:
            earliest = completed.on if completed else None
            events.append(Event(Stage.VERIFIED, None, Certainty.OBSERVED, earliest=earliest))
        else:
            events.append(event)
    return Timeline(
        tuple(events),
        purged_on=None if StatusDetail.PURGED in unsupported else timeline.purged_on,
        ready_for_chunks=None if StatusDetail.READY_FOR_CHUNKS in unsupported else timeline.ready_for_chunks,
    )


@given(legal_timelines(), st.sampled_from(StatusShape))
def test_a_written_timeline_is_read_back_unchanged(timeline: Timeline, shape: StatusShape) -> None:
    reading = read_status(write_status(timeline, shape))
    assert reading.shape is shape
    assert reading.anomalies == ()
    assert reading.timeline == without_unsupported_details(timeline, shape)


@given(legal_timelines())
def test_all_shapes_have_the_same_stage(timeline: Timeline) -> None:
    assert {read_status(write_status(timeline, shape)).timeline.stage for shape in StatusShape} == {timeline.stage}


@given(JSON | st.dictionaries(KEYS | st.text(max_size=8), JSON, max_size=8))
def test_any_json_can_be_read_as_a_status(status: Any) -> None:
    reading = read_status(status)
    assert reading.timeline.stage in Stage
    assert (reading.shape is None) == (detect_shape(status) is None)


def test_unsupported_details_are_listed_for_every_shape() -> None:
    assert set(UNSUPPORTED_DETAILS) == set(StatusShape)
    assert StatusDetail.ERROR_MESSAGE in UNSUPPORTED_DETAILS[StatusShape.B]
    assert UNSUPPORTED_DETAILS[StatusShape.DEPLOYED] == {StatusDetail.VERIFIED_TIME}


@pytest.mark.parametrize(
    ("status", "shape"),
    [
        ({"initiated_on": None}, StatusShape.A),
        ({"current": None, "prior": []}, StatusShape.B),
        ({"initiated_on": None, "is_consistent": None}, StatusShape.DEPLOYED),
        ({"initiated_on": None, "purged_on": None}, StatusShape.DEPLOYED),
        ({"colour": "blue"}, None),
        (None, None),
        ([], None),
    ],
    ids=["a", "b", "deployed", "deployed-by-purge", "unknown", "absent", "list"],
)
def test_the_shape_is_detected_from_the_payload(status: object, shape: StatusShape | None) -> None:
    assert detect_shape(status) is shape


INITIATED = "2019-05-08T15:52:23.386Z"
COMPLETED = "2019-05-08T15:53:00Z"
DEPLOYED = {"initiated_on": INITIATED, "completed_on": COMPLETED, "error_on": None, "error_message": None}


def test_error_takes_precedence_over_consistent_in_the_deployed_shape() -> None:
    status = {**DEPLOYED, "is_consistent": True, "error_on": COMPLETED, "error_message": "size"}
    reading = read_status(status)
    assert reading.timeline.stage is Stage.ERROR
    assert reading.timeline.event(Stage.VERIFIED) is None


@pytest.mark.parametrize("consistent", [None, False])
def test_the_deployed_shape_is_completed_until_it_is_consistent(consistent: bool | None) -> None:
    assert read_status({**DEPLOYED, "is_consistent": consistent}).timeline.stage is Stage.COMPLETED


def test_verified_has_no_time_in_the_deployed_shape() -> None:
    verified = read_status({**DEPLOYED, "is_consistent": True}).timeline.event(Stage.VERIFIED)
    assert verified is not None
    assert (verified.on, verified.certainty) == (None, Certainty.OBSERVED)
    assert verified.earliest == datetime(2019, 5, 8, 15, 53, tzinfo=UTC)


def state(name: object, on: object = COMPLETED) -> dict[str, object]:
    return {"state": name, "state_on": on}


@pytest.mark.parametrize(
    ("status", "stage", "anomaly"),
    [
        ({"current": state("quarantined"), "prior": [state("completed")]}, Stage.COMPLETED, "unknown_state"),
        ({"current": state("completed"), "prior": [state("completed")]}, Stage.COMPLETED, "repeated_state"),
        ({"current": state("completed", 7), "prior": []}, Stage.COMPLETED, "unreadable_field"),
        ({"current": state("completed"), "prior": "none"}, Stage.COMPLETED, "unreadable_field"),
        ({"current": "verified", "prior": []}, Stage.INITIATED, "unreadable_field"),
        ({"initiated_on": "yesterday"}, Stage.INITIATED, "unreadable_field"),
        ({"initiated_on": INITIATED, "error_message": "size"}, Stage.INITIATED, "message_without_error"),
        ({**DEPLOYED, "is_consistent": "yes"}, Stage.COMPLETED, "unreadable_field"),
        ("broken", Stage.INITIATED, "unknown_shape"),
    ],
    ids=["unknown", "repeated", "number-as-time", "prior-text", "current-text", "no-time", "message", "flag", "text"],
)
def test_an_invalid_status_is_an_anomaly(status: object, stage: Stage, anomaly: str) -> None:
    reading = read_status(status)
    assert reading.timeline.stage is stage
    assert [found.name for found in reading.anomalies] == [anomaly]
