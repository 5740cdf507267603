"""Which changes the filter of the change log matches."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upload_tui.monitor import (
    AnomalyNoticed,
    CommandEnded,
    OwnStateReached,
    StageReached,
    UploadChange,
    UploadGone,
    UploadKey,
    UploadPurged,
    parse_query,
    parse_query_as_typed,
)
from upload_tui.monitor.changes import UploadRef
from upload_tui.status import Anomaly, AnomalyName, Certainty, Stage
from upload_tui.testing import NOW
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.widgets.change_text import ChangeFilter, change_pieces, fold_changes


def stage_reached(stage: Stage, name: str = "scan.tiff", message: str | None = None) -> StageReached:
    return StageReached(
        at=NOW,
        upload=UploadRef("5f6a", name, "p-1", "Genome"),
        before=None,
        after=stage,
        on=NOW - timedelta(seconds=1),
        certainty="reported",  # type: ignore[arg-type]
        error_message=message,
    )


def no_row(key: UploadKey) -> None:
    """No upload is known; none may be needed."""


@pytest.mark.parametrize(
    ("search", "is_matched"),
    [
        ("", True),
        ("SCAN", True),
        ("5f6a project:genome", True),
        ("stage:error hash", True),
        ("stage:verified", False),
        ("-stage:verified", True),
        ("-stage:error", False),
        ("scan -hash", False),
        ("error:hash", True),
        ("-", False),
    ],
)
def test_all_words_must_occur_and_excluded_words_must_not(search: str, is_matched: bool) -> None:
    change = stage_reached(Stage.ERROR, message="reported hash differs")
    assert ChangeFilter(parse_query(search)).matches(change, NOW, no_row) is is_matched


REF = UploadRef("5f6a", "scan.tiff", "p-1", "Genome")
MISSING = AnomalyNoticed(at=NOW, upload=REF, anomaly=Anomaly(AnomalyName.CHUNKS_MISSING, "3 chunks, without chunk 2"))
HELD = OwnStateReached(at=NOW, upload=REF, state="held back", on=NOW, certainty=Certainty.REPORTED)


@pytest.mark.parametrize(
    ("search", "is_matched"),
    [("stage:unknown", True), ("stage:completed", False), ("held", True), ("-held", False), ("state", True)],
)
def test_a_state_of_its_own_is_found_as_its_upload_is(search: str, is_matched: bool) -> None:
    assert ChangeFilter(parse_query(search)).matches(HELD, NOW, no_row) is is_matched


CHANGES = (
    *([stage_reached(stage)] for stage in Stage),
    [stage_reached(Stage.VERIFIED), MISSING],
    [MISSING],
    [stage_reached(Stage.COMPLETED), HELD],
    [stage_reached(Stage.COMPLETED), HELD, MISSING],
    [HELD],
    [UploadPurged(at=NOW, upload=REF, on=None)],
    [UploadGone(at=NOW, upload=REF)],
    [CommandEnded(at=NOW, upload=REF, text="backup: exit code 1", is_ok=False)],
)


@pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: "+".join(type(one).__name__ for one in changes))
def test_each_word_of_a_line_finds_it_and_is_excluded_by_a_hyphen(changes: Sequence[UploadChange]) -> None:
    """Also of a line into which an anomaly is folded; a word of one part does not hide that another one has it."""
    (line,) = fold_changes(changes)
    _, _, label, _, name, _, note = change_pieces(line, NOW, DisplayOptions(), 200)
    has_words = isinstance(changes[-1], AnomalyNoticed | CommandEnded | OwnStateReached)
    folded = note[0].replace("▲ ", "").replace("◇ ", "") if has_words else ""
    for word in f"{label[0]} {name[0]} {folded}".split():
        assert ChangeFilter(parse_query(f'"{word}"')).matches(line, NOW, no_row), word
        assert ChangeFilter(parse_query(f'scan "{word}"')).matches(line, NOW, no_row), word
        assert not ChangeFilter(parse_query(f'-"{word}"')).matches(line, NOW, no_row), word
    assert ChangeFilter(parse_query(label[0][:4])).matches(line, NOW, no_row)
    assert not ChangeFilter(parse_query(label[0][:3])).matches(line, NOW, no_row)
    assert ChangeFilter(parse_query("-another")).matches(line, NOW, no_row)


@given(search=st.text(max_size=30), stage=st.none() | st.sampled_from(Stage), name=st.text(max_size=30))
def test_an_empty_filter_matches_every_change(search: str, stage: Stage | None, name: str) -> None:
    change_filter = ChangeFilter(parse_query_as_typed(search), stage)
    matched = [change_filter.matches(stage_reached(each, name), NOW, no_row) for each in Stage]
    assert all(matched) or change_filter
    assert stage is None or not any(ok for ok, each in zip(matched, Stage, strict=True) if each is not stage)
