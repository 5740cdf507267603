"""Stages and timelines."""

from datetime import timedelta

from tests.unit.status.timelines import COMPLETED, NOON, VERIFIED, at

from upload_tui.status import FINAL_STAGES, PENDING_STAGES, Certainty, Event, Stage, Timeline, UnknownState


def test_every_stage_is_either_pending_or_final() -> None:
    assert frozenset(Stage) == FINAL_STAGES | PENDING_STAGES
    assert not FINAL_STAGES & PENDING_STAGES


def test_time_in_stage_grows_with_time() -> None:
    assert COMPLETED.time_in_stage(at(70)) == timedelta(seconds=60)
    assert COMPLETED.time_in_stage(at(-100)) == timedelta(0)
    assert Timeline().time_in_stage(NOON) is None


def test_an_unknown_state_is_neither_pending_nor_final() -> None:
    archived = Timeline(VERIFIED.events, unknown_state=UnknownState("archived", at(30)))
    assert not archived.is_pending
    assert archived.stage is Stage.COMPLETED
    assert archived.time_in_stage(at(40)) == timedelta(seconds=10)


def test_spans_are_exact_only_if_both_times_were_reported() -> None:
    estimated = Timeline((*COMPLETED.events, Event(Stage.VERIFIED, at(14), Certainty.ESTIMATED)))
    assert [(span.seconds, span.is_exact) for span in estimated.spans()] == [(10, True), (4, False)]
    unknown = Timeline((Event(Stage.INITIATED, None), Event(Stage.COMPLETED, NOON)))
    assert unknown.spans()[0].seconds is None


def test_error_takes_precedence_over_verified() -> None:
    both = Timeline((*VERIFIED.events, Event(Stage.ERROR, at(30), message="size")))
    assert both.stage is Stage.ERROR
    assert both.error_message == "size"
