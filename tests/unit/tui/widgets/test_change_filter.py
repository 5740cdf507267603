"""Which changes the filter of the change log matches."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upload_tui.monitor import StageReached, UploadKey, parse_query, read_query
from upload_tui.monitor.changes import UploadRef
from upload_tui.status import Stage
from upload_tui.testing import NOW
from upload_tui.tui.widgets.change_text import ChangeFilter


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


@given(search=st.text(max_size=30), stage=st.none() | st.sampled_from(Stage), name=st.text(max_size=30))
def test_an_empty_filter_matches_every_change(search: str, stage: Stage | None, name: str) -> None:
    change_filter = ChangeFilter(read_query(search), stage)
    matched = [change_filter.matches(stage_reached(each, name), NOW, no_row) for each in Stage]
    assert all(matched) or change_filter
    assert stage is None or not any(ok for ok, each in zip(matched, Stage, strict=True) if each is not stage)
