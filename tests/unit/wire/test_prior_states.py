"""Option B: `current` is the stage. A prior state that contradicts it never gives a verdict, and never goes unnoticed."""

from itertools import product
from typing import Any

import pytest

from upload_tui.sources import parse_source_upload
from upload_tui.status import FINAL_STAGES, AnomalyName, Origin, Stage
from upload_tui.testing import NOW
from upload_tui.wire import Upload, format_time, parse_upload

ON, EARLIER, LATER = "2026-03-14T08:00:00Z", "2026-03-14T07:00:00Z", "2026-03-14T08:30:00Z"
CURRENT = [*map(str, Stage), "quarantined", None]


def upload_of(origin: Origin, current: str | None, prior: list[dict[str, Any]], *, with_stage: bool = False) -> Upload:
    state = None if current is None else {"state": current, "state_on": ON}
    if origin is Origin.SERVICE:
        return parse_upload({"id": "u", "status": {"current": state, "prior": prior}}, read_on=NOW)
    fields = {"stage": current, "on": ON} if with_stage else {"current": state}
    return parse_source_upload({"id": "u", "name": "n", **fields, "prior": prior}, read_on=NOW, default_project="p")


def contradicts(current: str | None, prior: Stage) -> bool:
    """Whether a prior state comes after the current one, or excludes it."""
    if current is None:
        return prior.is_final
    return current in set(Stage) and (prior.rank > Stage(current).rank or {prior, current} == FINAL_STAGES)


@pytest.mark.parametrize("current", CURRENT)
def test_the_current_state_of_a_source_is_its_stage(current: str | None) -> None:
    for prior, on, with_stage in product(Stage, (EARLIER, LATER, None), (False, True)):
        upload = upload_of(Origin.SOURCE, current, [{"state": prior, "state_on": on}], with_stage=with_stage)
        if current in set(Stage):
            assert upload.stage == current
            assert upload.timeline.since is not None
            assert format_time(upload.timeline.since) == ON.replace("Z", ".000Z")
        assert upload.stage not in FINAL_STAGES or upload.stage == current
        is_earlier_try = on == EARLIER and current is not None
        assert bool(upload.anomalies) == (
            (contradicts(current, prior) and not is_earlier_try)
            or (current == prior and not is_earlier_try)
            or (current in set(Stage) and not contradicts(current, prior) and current != prior and on == LATER)
        )


@pytest.mark.parametrize("current", CURRENT)
def test_of_a_service_any_error_counts_and_no_other_prior_state(current: str | None) -> None:
    for prior, on in product(Stage, (EARLIER, LATER, None)):
        upload = upload_of(Origin.SERVICE, current, [{"state": prior, "state_on": on}])
        if Stage.ERROR in (current, prior):
            assert upload.stage is Stage.ERROR
        elif current in set(Stage):
            assert upload.stage == current
        else:
            assert upload.stage not in FINAL_STAGES
        names = {anomaly.name for anomaly in upload.anomalies}
        if contradicts(current, prior):
            assert names & {AnomalyName.STAGE_WENT_BACKWARDS, AnomalyName.VERIFIED_AND_ERROR}


@pytest.mark.parametrize("origin", Origin)
def test_the_message_of_an_earlier_try_is_not_that_of_the_last(origin: Origin) -> None:
    prior = [{"state": "error", "state_on": EARLIER, "error_message": "old"}]
    assert upload_of(origin, "error", prior).timeline.error_message == (None if origin is Origin.SOURCE else "old")
    verified = upload_of(origin, "verified", prior)
    assert verified.stage is (Stage.VERIFIED if origin is Origin.SOURCE else Stage.ERROR)


def test_a_history_of_several_tries_is_no_anomaly_of_a_source() -> None:
    states = ["initiated", "completed", "error", "initiated", "completed"]
    prior = [{"state": one, "state_on": f"2026-03-14T07:0{hour}:00Z"} for hour, one in enumerate(states)]
    upload = upload_of(Origin.SOURCE, "verified", [*reversed(prior)])
    assert [event.stage for event in upload.timeline] == ["initiated", "completed", "verified"]
    assert upload.timeline.events[0].on is not None
    assert upload.timeline.events[0].on.minute == 3
    assert upload.anomalies == ()
