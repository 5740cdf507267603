"""Which changes the tail shows."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upload_tui.monitor import StageReached
from upload_tui.monitor.changes import UploadRef
from upload_tui.status import Stage
from upload_tui.testing import NOW
from upload_tui.tui.widgets.activity.change_filter import ChangeFilter


def reached(stage: Stage, name: str = "scan.tiff", message: str | None = None) -> StageReached:
    return StageReached(
        at=NOW,
        upload=UploadRef("5f6a", name, "p-1", "Genome"),
        before=None,
        after=stage,
        on=NOW - timedelta(seconds=1),
        certainty="reported",  # type: ignore[arg-type]
        error_message=message,
    )


@pytest.mark.parametrize(
    ("search", "is_seen"),
    [
        ("", True),
        ("SCAN", True),
        ("5f6a genome", True),
        ("error hash", True),
        ("verified", False),
        ("-verified", True),
        ("-error", False),
        ("scan -hash", False),
        ("-", False),
    ],
)
def test_words_must_be_there_or_must_not(search: str, is_seen: bool) -> None:
    change = reached(Stage.ERROR, message="reported hash differs")
    assert ChangeFilter(search).matches(change) is is_seen


@given(search=st.text(max_size=30), stage=st.none() | st.sampled_from(Stage), name=st.text(max_size=30))
def test_nothing_is_left_out_unless_the_filter_says_so(search: str, stage: Stage | None, name: str) -> None:
    wanted = ChangeFilter(search, stage)
    seen = [wanted.matches(reached(one, name)) for one in Stage]
    assert all(seen) or wanted
    assert stage is None or not any(ok for ok, one in zip(seen, Stage, strict=True) if one is not stage)
