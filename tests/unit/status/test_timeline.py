"""The state model: stages, timelines, transitions and anomalies."""

from datetime import UTC, datetime, timedelta

import pytest

from upload_tui.status import (
    FINAL_STAGES,
    PENDING_STAGES,
    AnomalyName,
    Certainty,
    Event,
    Stage,
    Timeline,
    inspect_chunks,
    inspect_timeline,
    is_legal_step,
    transitions_between,
)

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
LEGAL = {
    (None, Stage.INITIATED),
    (Stage.INITIATED, Stage.COMPLETED),
    (Stage.COMPLETED, Stage.VERIFIED),
    (Stage.COMPLETED, Stage.ERROR),
}


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def timeline(*stages: Stage, step: float = 10) -> Timeline:
    return Timeline(tuple(Event(stage, at(index * step)) for index, stage in enumerate(stages)))


WAITING = timeline(Stage.INITIATED, Stage.COMPLETED)
VERIFIED = timeline(Stage.INITIATED, Stage.COMPLETED, Stage.VERIFIED)


@pytest.mark.parametrize("before", [None, *Stage], ids=str)
@pytest.mark.parametrize("after", Stage)
def test_only_the_designs_steps_are_legal(before: Stage | None, after: Stage) -> None:
    assert is_legal_step(before, after) is ((before, after) in LEGAL)


def test_every_stage_is_either_pending_or_final() -> None:
    assert frozenset(Stage) == FINAL_STAGES | PENDING_STAGES
    assert not FINAL_STAGES & PENDING_STAGES


def test_time_in_stage_grows_when_time_passes() -> None:
    assert WAITING.time_in_stage(at(70)) == timedelta(seconds=60)
    assert WAITING.time_in_stage(at(-100)) == timedelta(0)
    assert Timeline().time_in_stage(NOON) is None


def test_spans_are_exact_only_when_both_times_were_reported() -> None:
    estimated = Timeline((*WAITING.events, Event(Stage.VERIFIED, at(14), Certainty.ESTIMATED)))
    assert [(span.seconds, span.is_exact) for span in estimated.spans()] == [(10, True), (4, False)]
    unknown = Timeline((Event(Stage.INITIATED, None), Event(Stage.COMPLETED, NOON)))
    assert unknown.spans()[0].seconds is None


def test_error_is_believed_when_verified_is_said_as_well() -> None:
    both = Timeline((*VERIFIED.events, Event(Stage.ERROR, at(30), message="size")))
    assert both.stage is Stage.ERROR
    assert both.error_message == "size"
    assert names(inspect_timeline(both)) == {AnomalyName.VERIFIED_AND_ERROR}


def names(anomalies: tuple[object, ...]) -> set[str]:
    return {anomaly.name for anomaly in anomalies}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        pytest.param(WAITING, set(), id="nothing-odd"),
        pytest.param(Timeline(), {"initiated_missing"}, id="empty"),
        pytest.param(timeline(Stage.COMPLETED), {"initiated_missing"}, id="initiated-missing"),
        pytest.param(timeline(Stage.INITIATED, Stage.VERIFIED), {"completed_missing"}, id="completed-missing"),
        pytest.param(timeline(Stage.INITIATED, Stage.COMPLETED, step=-5), {"times_out_of_order"}, id="out-of-order"),
        pytest.param(timeline(Stage.INITIATED, Stage.COMPLETED, step=100), {"time_in_future"}, id="future"),
        pytest.param(timeline(Stage.INITIATED, Stage.COMPLETED, step=24), set(), id="clocks-differ-a-little"),
    ],
)
def test_oddities_are_named_when_a_timeline_is_inspected(odd: Timeline, expected: set[str]) -> None:
    assert names(inspect_timeline(odd, now=at(20))) == expected


def test_stages_passed_between_two_readings_are_told_in_order() -> None:
    steps, anomalies = transitions_between(timeline(Stage.INITIATED), VERIFIED)
    assert [(step.previous, step.event.stage) for step in steps] == [
        (Stage.INITIATED, Stage.COMPLETED),
        (Stage.COMPLETED, Stage.VERIFIED),
    ]
    assert all(step.is_legal for step in steps)
    assert anomalies == ()


def test_every_stage_is_news_when_an_upload_was_never_read() -> None:
    steps, _ = transitions_between(None, WAITING)
    assert [(step.previous, step.event.stage) for step in steps] == [
        (None, Stage.INITIATED),
        (Stage.INITIATED, Stage.COMPLETED),
    ]


def test_nothing_is_told_when_nothing_changed() -> None:
    assert transitions_between(VERIFIED, VERIFIED) == ((), ())


def test_going_backwards_is_an_anomaly_when_a_stage_is_no_longer_said() -> None:
    steps, anomalies = transitions_between(VERIFIED, WAITING)
    assert steps == ()
    assert names(anomalies) == {AnomalyName.STAGE_WENT_BACKWARDS}


def test_a_changed_time_is_an_anomaly_when_both_were_reported() -> None:
    moved = Timeline((WAITING.events[0], Event(Stage.COMPLETED, at(11))))
    assert names(transitions_between(WAITING, moved)[1]) == {AnomalyName.TIME_CHANGED}
    guessed = Timeline((WAITING.events[0], Event(Stage.COMPLETED, at(11), Certainty.ESTIMATED)))
    assert transitions_between(WAITING, guessed)[1] == ()


def test_a_purge_that_is_taken_back_is_an_anomaly() -> None:
    purged = Timeline(VERIFIED.events, purged_on=at(60))
    assert names(transitions_between(purged, VERIFIED)[1]) == {AnomalyName.STAGE_WENT_BACKWARDS}


@pytest.mark.parametrize(
    ("chunks", "state", "expected"),
    [
        pytest.param([(1, 5), (2, 10)], WAITING, set(), id="all-there"),
        pytest.param([(2, 10)], WAITING, {"chunks_missing", "chunk_sizes_differ"}, id="first-missing"),
        pytest.param([(1, 5), (3, 10)], VERIFIED, {"chunks_missing"}, id="gap-although-verified"),
        pytest.param([(1, 5), (1, 5), (2, 5)], WAITING, {"chunks_repeated"}, id="repeated"),
        pytest.param([], WAITING, {"chunk_sizes_differ"}, id="none"),
        pytest.param([(3, 5)], timeline(Stage.INITIATED), set(), id="still-uploading"),
        pytest.param([], Timeline(VERIFIED.events, purged_on=NOON), set(), id="purged"),
    ],
)
def test_chunks_that_contradict_the_stage_are_named(
    chunks: list[tuple[int, int]], state: Timeline, expected: set[str]
) -> None:
    assert names(inspect_chunks(chunks, 15, state)) == expected


def test_one_huge_chunk_number_costs_little_when_chunks_are_inspected() -> None:
    (missing, _) = inspect_chunks([(2**62, 1)], 15, WAITING)
    assert missing.detail == "completed without chunk 1, 2, 3, 4, 5, 6, 7, 8 and more"
