"""The stages of a source's line: only a time that can be read, or the name of a stage, shows that it was reached."""

from typing import Any

import pytest
from tests.unit.sources.lines import LATER, ON, line_of, upload_line

from upload_tui.sources import parse_upload, read_line_summaries
from upload_tui.status import AnomalyName, Stage
from upload_tui.testing import NOW
from upload_tui.wire import Upload

NO_TIMES: list[Any] = [
    "-", "n/a", "pending", "no", "yes", 1795980000, 1795980000.5, True, [ON], {"on": ON}, "0000-00-00", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z", "null",
]  # fmt: skip


def upload_of(**fields: Any) -> Upload:
    return parse_upload(upload_line(**fields).fields, read_on=NOW, default_project="default")


@pytest.mark.parametrize("value", NO_TIMES, ids=repr)
@pytest.mark.parametrize("stage", Stage)
def test_a_time_that_cannot_be_read_reaches_no_stage(stage: Stage, value: object) -> None:
    for others in ({}, {"initiated_on": ON}, {"initiated_on": ON, "completed_on": LATER}):
        fields = {**others, f"{stage}_on": value}
        named = [one for one in Stage if fields.get(f"{one}_on") in (ON, LATER)]
        upload = upload_of(**fields)
        assert upload.stage is (named or [Stage.INITIATED])[-1]
        assert AnomalyName.UNREADABLE_FIELD in {anomaly.name for anomaly in upload.anomalies}
        (summary,) = read_line_summaries([line_of(**fields)], NOW, "default")
        assert summary is None


@pytest.mark.parametrize("value", NO_TIMES, ids=repr)
@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("field", ["on", "flat", "state_on"])
def test_a_stage_that_is_named_is_reached_at_an_unknown_time(field: str, stage: Stage, value: object) -> None:
    fields: dict[str, dict[str, Any]] = {
        "on": {"stage": stage, "on": value},
        "flat": {"stage": stage, f"{stage}_on": value},
        "state_on": {"current": {"state": stage, "state_on": value}},
    }
    upload = upload_of(**fields[field])
    event = upload.timeline.event(stage)
    assert upload.stage is stage
    if field == "flat" or value != NO_TIMES[-2]:
        assert event is not None
        assert event.on is None
        assert AnomalyName.UNREADABLE_FIELD in {anomaly.name for anomaly in upload.anomalies}
