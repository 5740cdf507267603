"""Anomalies of timelines and chunks."""

import pytest
from tests.unit.status.timelines import COMPLETED, NOON, VERIFIED, at, names, timeline

from upload_tui.status import Event, Stage, Timeline, inspect_chunks, inspect_timeline


@pytest.mark.parametrize(
    ("inspected", "expected"),
    [
        pytest.param(COMPLETED, set(), id="none"),
        pytest.param(Timeline(), {"initiated_missing"}, id="empty"),
        pytest.param(timeline(Stage.COMPLETED), {"initiated_missing"}, id="initiated-missing"),
        pytest.param(timeline(Stage.INITIATED, Stage.VERIFIED), {"completed_missing"}, id="completed-missing"),
        pytest.param(timeline(Stage.INITIATED, Stage.ERROR), {"completed_missing"}, id="completed-missing-in-error"),
        pytest.param(
            Timeline((*VERIFIED.events, Event(Stage.ERROR, at(20)))), {"verified_and_error"}, id="verified-and-error"
        ),
        pytest.param(timeline(Stage.INITIATED, Stage.COMPLETED, step=-5), {"times_out_of_order"}, id="out-of-order"),
        pytest.param(timeline(Stage.INITIATED, Stage.COMPLETED, step=100), {"time_in_future"}, id="future"),
        pytest.param(timeline(Stage.INITIATED, Stage.COMPLETED, step=24), set(), id="within-the-tolerance"),
    ],
)
def test_the_anomalies_of_a_timeline_are_found(inspected: Timeline, expected: set[str]) -> None:
    assert names(inspect_timeline(inspected, now=at(20))) == expected


@pytest.mark.parametrize(
    ("chunks", "state", "expected"),
    [
        pytest.param([(1, 5), (2, 10)], COMPLETED, set(), id="complete"),
        pytest.param([(2, 10)], COMPLETED, {"chunks_missing", "chunk_sizes_differ"}, id="first-missing"),
        pytest.param([(1, 5), (2, 11)], COMPLETED, {"chunk_sizes_differ"}, id="one-byte-too-many"),
        pytest.param([(1, 5), (2, 9)], COMPLETED, {"chunk_sizes_differ"}, id="one-byte-too-few"),
        pytest.param([(1, 5), (3, 10)], VERIFIED, {"chunks_missing"}, id="gap-although-verified"),
        pytest.param([(1, 5), (1, 5), (2, 5)], COMPLETED, {"chunks_repeated"}, id="repeated"),
        pytest.param([], COMPLETED, {"chunk_sizes_differ"}, id="none"),
        pytest.param([(3, 5)], timeline(Stage.INITIATED), set(), id="still-uploading"),
        pytest.param([], Timeline(VERIFIED.events, purged_on=NOON), set(), id="purged"),
        pytest.param([], Timeline(VERIFIED.events, has_unknown_purge_time=True), set(), id="purged-at-an-unknown-time"),
    ],
)
def test_the_anomalies_of_chunks_are_found(chunks: list[tuple[int, int]], state: Timeline, expected: set[str]) -> None:
    assert names(inspect_chunks(chunks, 15, state)) == expected


def test_a_huge_chunk_number_lists_only_a_few_missing_ones() -> None:
    (missing, _) = inspect_chunks([(2**62, 1)], 15, COMPLETED)
    assert missing.detail == "completed without chunk 1, 2, 3, 4, 5, 6, 7, 8 and more"
