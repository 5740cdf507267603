"""The three shapes of status: detection, reading, writing."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.fuzz.agreement import assert_readers_agree

from upload_tui.status import Certainty, Event, Stage, Timeline
from upload_tui.testing import an_upload
from upload_tui.wire.status_shapes import (
    UNSUPPORTED_DETAILS,
    StatusDetail,
    StatusShape,
    detect_shape,
    parse_status,
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
TIMES = st.datetimes(datetime(1970, 1, 2), datetime(2999, 1, 1), timezones=st.just(UTC)).map(
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
        message = draw(st.none() | st.text(min_size=1).filter(str.strip)) if stage is Stage.ERROR else None
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
    reading = parse_status(write_status(timeline, shape))
    assert reading.shape is shape
    assert reading.anomalies == ()
    assert reading.timeline == without_unsupported_details(timeline, shape)


@pytest.mark.parametrize("message", ["", " ", "\r", "\n\t\u2003"], ids=repr)
def test_a_blank_error_message_is_none(message: str) -> None:
    error = Event(Stage.ERROR, datetime(2026, 3, 14, tzinfo=UTC), message=message)
    for shape in (StatusShape.A, StatusShape.DEPLOYED):
        reading = parse_status(write_status(Timeline((error,)), shape))
        assert (reading.timeline.stage, reading.timeline.error_message) == (Stage.ERROR, None)


@given(legal_timelines())
def test_all_shapes_have_the_same_stage(timeline: Timeline) -> None:
    assert {parse_status(write_status(timeline, shape)).timeline.stage for shape in StatusShape} == {timeline.stage}


@given(JSON | st.dictionaries(KEYS | st.text(max_size=8), JSON, max_size=8))
def test_any_json_can_be_read_as_a_status(status: Any) -> None:
    reading = parse_status(status)
    assert reading.timeline.stage in Stage
    assert (reading.shape is None) == (detect_shape(status) is None)


INITIATED = "2019-05-08T15:52:23.386Z"
COMPLETED = "2019-05-08T15:53:00Z"

READABLE_TIMES = [
    "2019-05-08T15:53:00Z", "2019-05-08T15:53:00.386Z", "2019-05-08t15:53:00.386z", "2019-05-08T15:53:00z", "2019-05-08 15:53:00Z",
    "2019-05-08T17:53:00+02:00", "2019-05-08T15:53:00.123456789Z", f"2019-05-08T15:53:00.{'1' * 60}Z", "2019-05-08T15:53:00",
    "2019-05-08T15:53Z",
]  # fmt: skip
UNREADABLE_TIMES = [
    "2019-05-08 15:52:33 UTC", "Wed, 08 May 2019 15:52:33 GMT", "08.05.2019 15:52", "05/08/2019", "2019-05-08T15:52:60Z",
    "2019-05-08", "20190508",
    "2019-W19-3", "2019W193T155233Z", "2019-13-08T15:52:33Z", "0001-01-01T00:00:00+10:00", "yesterday", "1557330753", "1511122512000",
    1557330753, 1557330753.386, 1557330753000, -1, 2**70, float("inf"), True, {"seconds": 1557330753}, [2019, 5, 8], "\x00",
    "2" * 999,
]  # fmt: skip
NULLS_ELSEWHERE: list[object] = [
    "0000-00-00T00:00:00Z", "0000-00-00 00:00:00", "0000-00-00", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z", "null", "NULL",
    "None", "0", 0, 0.0, False, "", " ",
]  # fmt: skip
NO_TIMES: list[object] = [None, "", " ", False, [], {}]
STAGES = [
    [Stage.INITIATED],
    [Stage.INITIATED, Stage.COMPLETED],
    [Stage.INITIATED, Stage.COMPLETED, Stage.VERIFIED],
    [Stage.INITIATED, Stage.COMPLETED, Stage.ERROR],
]


def status_of(shape: StatusShape, times: Mapping[Stage, object]) -> dict[str, Any]:
    """The status of an upload that reached some stages at some times, in any form."""
    if shape is StatusShape.B:
        states = [{"state": str(stage), "state_on": on} for stage, on in times.items()]
        return {"current": states[-1], "prior": states[-2::-1]}
    flat = {f"{stage}_on": times.get(stage) for stage in Stage}
    if shape is StatusShape.A:
        return {**flat, "error_message": None}
    del flat["verified_on"]
    is_over = Stage.VERIFIED in times or Stage.ERROR in times
    return {
        **flat,
        "error_message": None,
        "is_consistent": is_over or None,
        "ready_for_chunks": True,
        "purged_on": None,
    }


@pytest.mark.parametrize("shape", StatusShape)
@pytest.mark.parametrize("stages", STAGES, ids=lambda stages: stages[-1])
def test_the_form_of_a_time_never_changes_the_stage(shape: StatusShape, stages: list[Stage]) -> None:
    for form, odd in product([*READABLE_TIMES, *UNREADABLE_TIMES], [*([stage] for stage in stages), stages]):
        times = {stage: form if stage in odd else COMPLETED for stage in stages}
        reading = parse_status(status_of(shape, times))
        assert [event.stage for event in reading.timeline.events] == stages
        for event in reading.timeline.events:
            is_known = event.stage not in odd or form in READABLE_TIMES
            has_time = event.stage is not Stage.VERIFIED or shape is not StatusShape.DEPLOYED
            assert (event.on is not None) == (is_known and has_time)
            assert (event.certainty is Certainty.REPORTED) == (event.on is not None)
        names_of_anomalies = {anomaly.name for anomaly in reading.anomalies}
        is_said = form in READABLE_TIMES or (odd == [Stage.VERIFIED] and shape is StatusShape.DEPLOYED)
        assert names_of_anomalies == (set() if is_said else {"unreadable_field"})


@pytest.mark.parametrize("shape", [StatusShape.A, StatusShape.DEPLOYED])
@pytest.mark.parametrize("absent", NO_TIMES, ids=repr)
def test_an_empty_time_means_that_the_stage_was_not_reached(shape: StatusShape, absent: object) -> None:
    status = {**status_of(shape, {Stage.INITIATED: INITIATED, Stage.COMPLETED: COMPLETED}), "error_on": absent}
    assert parse_status(status).timeline.stage is Stage.COMPLETED


@pytest.mark.parametrize("shape", [StatusShape.A, StatusShape.DEPLOYED])
@pytest.mark.parametrize("stage", [Stage.COMPLETED, Stage.VERIFIED])
@pytest.mark.parametrize("null", [None, *NULLS_ELSEWHERE], ids=repr)
def test_what_other_systems_write_for_null_is_no_stage(shape: StatusShape, stage: Stage, null: object) -> None:
    """In the deployed shape, nothing is verified before it is completed."""
    stages = [Stage.INITIATED, Stage.COMPLETED, Stage.VERIFIED]
    status = status_of(shape, dict.fromkeys(stages, INITIATED) | {stage: null})
    if shape is StatusShape.DEPLOYED and stage is Stage.VERIFIED:
        status = {**status, "is_consistent": True, "purged_on": null}
        assert not parse_status(status).timeline.is_purged
        return
    reading = parse_status(status)
    is_verified = shape is StatusShape.A and stage is Stage.COMPLETED
    assert reading.timeline.event(stage) is None
    assert (reading.timeline.stage is Stage.VERIFIED) is is_verified
    assert parse_status({**status, "error_message": "size"}).timeline.stage is Stage.ERROR
    assert_readers_agree(json.dumps({"results": [{**an_upload(), "status": status}]}).encode())


@pytest.mark.parametrize("shape", StatusShape)
@pytest.mark.parametrize("message", ["size", 5, {"reason": "size"}, ["size"], True], ids=repr)
def test_a_message_alone_is_an_error(shape: StatusShape, message: object) -> None:
    verified = dict.fromkeys([Stage.INITIATED, Stage.COMPLETED, Stage.VERIFIED], COMPLETED)
    reading = parse_status({**status_of(shape, verified), "error_message": message})
    assert reading.timeline.stage is Stage.ERROR
    assert reading.timeline.error_message
    assert "message_without_error" in {anomaly.name for anomaly in reading.anomalies}


@pytest.mark.parametrize("message", NO_TIMES, ids=repr)
def test_an_empty_message_is_no_error(message: object) -> None:
    verified = dict.fromkeys([Stage.INITIATED, Stage.COMPLETED, Stage.VERIFIED], COMPLETED)
    assert (
        parse_status({**status_of(StatusShape.DEPLOYED, verified), "error_message": message}).timeline.stage
        is Stage.VERIFIED
    )


@pytest.mark.parametrize("form", UNREADABLE_TIMES, ids=lambda form: repr(form)[:40])
def test_a_purge_at_an_unreadable_time_is_a_purge(form: object) -> None:
    reading = parse_status({**DEPLOYED, "is_consistent": True, "purged_on": form})
    assert reading.timeline.is_purged
    assert reading.timeline.purged_on is None


@pytest.mark.parametrize(
    ("current", "name"),
    [
        ({"state": "quarantined", "state_on": COMPLETED}, "quarantined"),
        ({"state": "quarantined"}, "quarantined"),
        ("quarantined", "quarantined"),
        ({"state": "q" * 500}, "q" * 59 + "…"),
        ({"state": None}, "unknown"),
        ({}, "unknown"),
        (7, "unknown"),
    ],
)
@pytest.mark.parametrize(
    "prior", [[], ["initiated"], ["completed", "initiated"], ["verified", "completed", "initiated"]]
)
def test_an_unknown_state_is_neither_pending_nor_final(current: object, name: str, prior: list[str]) -> None:
    timeline = parse_status(
        {"current": current, "prior": [{"state": state, "state_on": COMPLETED} for state in prior]}
    ).timeline
    assert timeline.unknown_state is not None
    assert timeline.unknown_state.name == name
    assert not timeline.is_pending
    assert not timeline.stage.is_final
    assert timeline.since == timeline.unknown_state.on
    assert [event.stage for event in reversed(timeline.events)] == prior


def test_an_error_comes_before_an_unknown_state() -> None:
    timeline = parse_status({"current": {"state": "archived"}, "prior": [{"state": "error"}]}).timeline
    assert timeline.stage is Stage.ERROR
    assert timeline.unknown_state is None


def test_an_unknown_state_is_written_back() -> None:
    status = {
        "current": {"state": "archived", "state_on": INITIATED},
        "prior": [{"state": "initiated", "state_on": INITIATED}],
    }
    timeline = parse_status(status).timeline
    assert parse_status(write_status(timeline, StatusShape.B)).timeline == timeline


@pytest.mark.parametrize("shape", [StatusShape.A, StatusShape.DEPLOYED])
def test_a_stage_at_an_unknown_time_is_written_as_reached(shape: StatusShape) -> None:
    on = datetime(2019, 5, 8, 15, 53, tzinfo=UTC)
    events = (Event(Stage.INITIATED, on), Event(Stage.ERROR, None, Certainty.OBSERVED, latest=on))
    assert parse_status(write_status(Timeline(events), shape)).timeline.stage is Stage.ERROR


_SPELLINGS: tuple[Callable[[str], str], ...] = (
    str,
    str.upper,
    str.title,
    "{} ".format,
    "\t{}\n".format,
    "{}\u200b".format,
)
_PLACES: Mapping[str, Callable[[str], object]] = {
    "current": lambda name: {"current": {"state": name, "state_on": None}, "prior": []},
    "current as text": lambda name: {"current": name},
    "current as list": lambda name: {"current": [{"state": name}]},
    "status as text": lambda name: name,
    "status as state": lambda name: {"state": name},
    "status as list": lambda name: [{"state": name}],
}


@pytest.mark.parametrize("place", _PLACES.values(), ids=_PLACES)
def test_the_name_of_a_stage_is_that_stage_wherever_it_stands(place: Callable[[str], object]) -> None:
    for spelling, stage in product(_SPELLINGS, Stage):
        timeline = parse_status(place(spelling(stage))).timeline
        assert timeline.stage is stage
        assert timeline.unknown_state is None


@given(status=st.dictionaries(KEYS, JSON | st.sampled_from(["error", "Verified ", "completed"]), max_size=4) | JSON)
def test_an_unknown_state_never_has_the_name_of_a_stage(status: Any) -> None:
    unknown = parse_status(status).timeline.unknown_state
    assert unknown is None or unknown.name.strip().lower() not in {*Stage}


@pytest.mark.parametrize("sign", [{"error_message": "bad"}, {"error_on": "2019-05-08T15:52:33Z"}], ids=str)
@pytest.mark.parametrize("state", [*map(str, Stage), "odd"])
@pytest.mark.parametrize("is_current", [True, False], ids=["current", "prior"])
def test_an_error_in_any_state_is_an_error(is_current: bool, state: str, sign: dict[str, str]) -> None:
    entry = {"state": state, "state_on": "2019-05-08T15:52:33Z", **sign}
    status = {"current": entry, "prior": []} if is_current else {"current": {"state": "verified"}, "prior": [entry]}
    timeline = parse_status(status).timeline
    assert timeline.stage is Stage.ERROR
    assert timeline.error_message == sign.get("error_message")


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


DEPLOYED = {"initiated_on": INITIATED, "completed_on": COMPLETED, "error_on": None, "error_message": None}


def test_error_takes_precedence_over_consistent_in_the_deployed_shape() -> None:
    status = {**DEPLOYED, "is_consistent": True, "error_on": COMPLETED, "error_message": "size"}
    reading = parse_status(status)
    assert reading.timeline.stage is Stage.ERROR
    assert reading.timeline.event(Stage.VERIFIED) is None


@pytest.mark.parametrize("consistent", [None, False])
def test_the_deployed_shape_is_completed_until_it_is_consistent(consistent: bool | None) -> None:
    assert parse_status({**DEPLOYED, "is_consistent": consistent}).timeline.stage is Stage.COMPLETED


def test_verified_has_no_time_in_the_deployed_shape() -> None:
    verified = parse_status({**DEPLOYED, "is_consistent": True}).timeline.event(Stage.VERIFIED)
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
        ({"current": "verified", "prior": []}, Stage.VERIFIED, "unreadable_field"),
        ({"initiated_on": "yesterday"}, Stage.INITIATED, "unreadable_field"),
        ({"initiated_on": INITIATED, "error_message": "size"}, Stage.ERROR, "message_without_error"),
        ({**DEPLOYED, "is_consistent": "yes"}, Stage.COMPLETED, "unreadable_field"),
        ("broken", Stage.INITIATED, "unknown_shape"),
    ],
    ids=["unknown", "repeated", "number-as-time", "prior-text", "current-text", "no-time", "message", "flag", "text"],
)
def test_an_invalid_status_is_an_anomaly(status: object, stage: Stage, anomaly: str) -> None:
    reading = parse_status(status)
    assert reading.timeline.stage is stage
    assert [found.name for found in reading.anomalies] == [anomaly]
