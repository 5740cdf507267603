"""The stages reached between two readings, and the anomalies of the comparison."""

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.status.timelines import COMPLETED, VERIFIED, at, names, timeline

from upload_tui.status import (
    AnomalyName,
    Certainty,
    Event,
    Stage,
    Timeline,
    UnknownState,
    inspect_timeline,
    transitions_between,
)


def test_stages_passed_between_two_readings_are_reported_in_order() -> None:
    steps, anomalies = transitions_between(timeline(Stage.INITIATED), VERIFIED)
    assert [(step.previous, step.event.stage) for step in steps] == [
        (Stage.INITIATED, Stage.COMPLETED),
        (Stage.COMPLETED, Stage.VERIFIED),
    ]
    assert anomalies == ()


def test_every_stage_is_new_in_the_first_reading() -> None:
    steps, _ = transitions_between(None, COMPLETED)
    assert [(step.previous, step.event.stage) for step in steps] == [
        (None, Stage.INITIATED),
        (Stage.INITIATED, Stage.COMPLETED),
    ]


def test_equal_readings_have_no_transitions() -> None:
    assert transitions_between(VERIFIED, VERIFIED) == ((), ())


def test_a_stage_that_is_no_longer_reported_is_an_anomaly() -> None:
    assert names(transitions_between(VERIFIED, COMPLETED)[1]) == {AnomalyName.STAGE_WENT_BACKWARDS}


def test_an_earlier_stage_is_reached_again_only_at_another_time() -> None:
    assert transitions_between(VERIFIED, COMPLETED)[0] == ()  # an older answer
    again = _later(COMPLETED, 90)
    assert [(step.previous, step.event) for step in transitions_between(VERIFIED, again)[0]] == [
        (Stage.VERIFIED, again.events[-1])
    ]


@pytest.mark.parametrize("is_later", [True, False])
@pytest.mark.parametrize("may_end_again", [True, False])
@pytest.mark.parametrize("stage", [*Stage])
def test_a_later_time_of_a_final_stage_is_an_anomaly_unless_it_can_be_reached_again(
    stage: Stage, *, may_end_again: bool, is_later: bool
) -> None:
    before = timeline(*(one for one in Stage if not one.is_final and one.rank < stage.rank), stage)
    after = _later(before, 90 if is_later else -90)
    steps, anomalies = transitions_between(before, after, may_end_again=may_end_again)
    if may_end_again and is_later and stage.is_final:
        assert ([(step.previous, step.event) for step in steps], anomalies) == ([(stage, after.events[-1])], ())
    else:
        assert (steps, names(anomalies)) == ((), {AnomalyName.TIME_CHANGED})


def _later(reading: Timeline, seconds: float) -> Timeline:
    """The reading with all its times so much later."""
    events = (replace(event, on=event.on and event.on + timedelta(seconds=seconds)) for event in reading.events)
    return Timeline(tuple(events))


@given(st.lists(st.sets(st.sampled_from([*Stage]), min_size=1), min_size=1, max_size=6))
def test_the_transitions_of_some_readings_lead_from_each_stage_to_the_next(readings: list[set[Stage]]) -> None:
    """Also to one that the upload was in before; each begins where the last one ended, and the last one ends in the stage."""
    before, stage = None, None
    for number, stages in enumerate(readings):
        after = _later(timeline(*sorted(stages, key=lambda one: one.rank)), 90 * number)
        steps, _ = transitions_between(before, after)
        if before is None or after.stage is not before.stage:
            assert [step.previous for step in steps] == [stage, *(step.event.stage for step in steps[:-1])]
            stage = steps[-1].event.stage
            assert stage is after.stage
        before = after


def test_a_middle_stage_that_is_no_longer_reported_is_an_anomaly() -> None:
    without_completed = Timeline((VERIFIED.events[0], VERIFIED.events[2]))
    steps, (anomaly,) = transitions_between(VERIFIED, without_completed)
    assert steps == ()
    assert anomaly.name is AnomalyName.STAGE_WENT_BACKWARDS
    assert re.fullmatch("completed at [-0-9T:.]+Z was reported before and no longer is", anomaly.detail)


def test_a_middle_stage_that_is_reported_later_is_reached() -> None:
    without_completed = Timeline((VERIFIED.events[0], VERIFIED.events[2]))
    (step,), anomalies = transitions_between(without_completed, VERIFIED)
    assert (step.event, anomalies) == (VERIFIED.events[1], ())


def test_an_unknown_state_after_a_final_stage_is_no_step_backwards() -> None:
    archived = Timeline(VERIFIED.events, unknown_state=UnknownState("archived", at(30)))
    assert transitions_between(VERIFIED, archived) == ((), ())


def test_a_changed_time_is_an_anomaly_if_both_were_reported() -> None:
    changed = Timeline((COMPLETED.events[0], Event(Stage.COMPLETED, at(11))))
    assert names(transitions_between(COMPLETED, changed)[1]) == {AnomalyName.TIME_CHANGED}
    estimated = Timeline((COMPLETED.events[0], Event(Stage.COMPLETED, at(11), Certainty.ESTIMATED)))
    assert transitions_between(COMPLETED, estimated)[1] == ()


def test_a_purge_that_is_no_longer_reported_is_an_anomaly() -> None:
    purged = Timeline(VERIFIED.events, purged_on=at(60))
    assert names(transitions_between(purged, VERIFIED)[1]) == {AnomalyName.STAGE_WENT_BACKWARDS}


def test_a_purge_whose_time_is_no_longer_readable_is_still_a_purge() -> None:
    purged = Timeline(VERIFIED.events, purged_on=at(60))
    assert transitions_between(purged, Timeline(VERIFIED.events, has_unknown_purge_time=True)) == ((), ())


def test_times_in_an_anomaly_end_with_z() -> None:
    changed = Timeline((COMPLETED.events[0], Event(Stage.COMPLETED, at(11))))
    future = inspect_timeline(COMPLETED, at(-60))
    details = [anomaly.detail for anomaly in (*transitions_between(COMPLETED, changed)[1], *future)]
    times = [time for detail in details for time in re.findall(r"\d{4}-\d\d-\d\dT[^ ,]*", detail)]
    assert len(times) == 4
    assert all(re.fullmatch(r"[-0-9]+T[:0-9]+\.\d{3}Z", time) for time in times)
