"""The stages of a source's line: only a time that can be read, or the name of a stage, shows that it was reached.

`stage`, else `current`, is the stage; other fields add the stages before it.
"""

import json
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.sources.lines import LATER, ON, line_of, objects, upload_line

from upload_tui.sources import Inspection, parse_line_summaries, parse_raw, parse_source_upload, source_reading
from upload_tui.status import FINAL_STAGES, AnomalyName, Certainty, Stage
from upload_tui.testing import NOW
from upload_tui.wire import EPOCH, MILLISECOND, Upload, format_time, parse_time

NO_TIMES: list[Any] = [
    "-", "n/a", "pending", "no", "yes", 1795980000, 1795980000.5, True, [ON], {"on": ON}, "0000-00-00", "0001-01-01T00:00:00Z",
    "1970-01-01T00:00:00Z", "1970-01-01T02:00:00.000+02:00",
    "9999-12-31T23:59:59Z", "null",
]  # fmt: skip


def upload_of(**fields: Any) -> Upload:
    return parse_source_upload(upload_line(**fields).fields, read_on=NOW, default_project="default")


def read(before: Upload | None, **fields: Any) -> Upload:
    """The upload of the next line; stored and parsed again it is the same."""
    reading = source_reading(upload_line(**fields), before, read_on=NOW, default_project="default")
    assert parse_raw(json.loads(reading.raw), read_on=NOW) == reading.upload
    return reading.upload


@pytest.mark.parametrize("value", NO_TIMES, ids=repr)
@pytest.mark.parametrize("stage", Stage)
def test_a_time_that_cannot_be_read_reaches_no_stage(stage: Stage, value: object) -> None:
    for others in ({}, {"initiated_on": ON}, {"initiated_on": ON, "completed_on": LATER}):
        fields = {**others, f"{stage}_on": value}
        named = [one for one in Stage if fields.get(f"{one}_on") in (ON, LATER)]
        upload = upload_of(**fields)
        assert upload.stage is (named or [Stage.INITIATED])[-1]
        assert AnomalyName.UNREADABLE_FIELD in {anomaly.name for anomaly in upload.anomalies}
        (summary,) = parse_line_summaries([line_of(**fields)], NOW, "default")
        assert summary is None


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("field", ["on", "stage_since", "flat", "state_on", "timeline"])
def test_a_stage_that_is_named_is_reached_at_an_unknown_time(field: str, stage: Stage) -> None:
    for value in NO_TIMES:
        fields: dict[str, dict[str, Any]] = {
            "on": {"stage": stage, "on": value},
            "flat": {"stage": stage, f"{stage}_on": value},
            "state_on": {"current": {"state": stage, "state_on": value}},
            "stage_since": {"stage": stage, "stage_since": value},
            "timeline": {"timeline": [{"stage": stage, "on": value}]},
        }
        assert [*parse_line_summaries([line_of(**fields[field])], NOW, "default")] == [None]
        upload = upload_of(**fields[field])
        event = upload.timeline.event(stage)
        assert upload.stage is stage
        if field == "flat" or value != NO_TIMES[-2]:
            assert event is not None
            assert event.on is None
            assert AnomalyName.UNREADABLE_FIELD in {anomaly.name for anomaly in upload.anomalies}


Field = Callable[[Stage, str | None], dict[str, Any]]
EARLIER = "2026-03-14T07:00:00.000Z"
STAGE_FIELDS: dict[str, Field] = {
    "on": lambda stage, on: {"stage": stage, "on": on},
    "stage_since": lambda stage, on: {"stage": stage.upper(), "stage_since": on},
    "current": lambda stage, on: {"current": {"state": stage, "state_on": on}},
    "flat": lambda stage, on: {"stage": stage, f"{stage}_on": on},
}
OTHER_FIELDS: dict[str, Field] = {
    "flat": lambda stage, on: {f"{stage}_on": on},
    "timeline": lambda stage, on: {"timeline": [{"stage": stage, "on": on}]},
    "current": lambda stage, on: {"current": {"state": stage, "state_on": on}},
    "prior": lambda stage, on: {"prior": [{"state": stage, "state_on": on}]},
}


@pytest.mark.parametrize("other_field", OTHER_FIELDS)
@pytest.mark.parametrize("field", STAGE_FIELDS)
def test_another_field_never_gives_a_verdict(field: str, other_field: str) -> None:
    for on, other_on, stage, other in product((ON, None), (EARLIER, ON, LATER, None), Stage, Stage):
        if field == other_field == "current" or (other_field == "flat" and other_on is None):
            continue
        fields = {**STAGE_FIELDS[field](stage, on), **OTHER_FIELDS[other_field](other, other_on)}
        upload = upload_of(**fields)
        names = {anomaly.name for anomaly in upload.anomalies}
        is_both = {stage, other} == FINAL_STAGES
        assert upload.stage is stage
        if other.rank > stage.rank or (is_both and other_field != "timeline"):
            assert upload.timeline.event(other) is None
            is_earlier_try = None not in (on, other_on) and other_on != LATER
            assert names == set() if is_earlier_try else names == {AnomalyName.STAGE_WENT_BACKWARDS}
        elif other is not stage:
            assert upload.timeline.event(other) is not None
            assert (AnomalyName.VERIFIED_AND_ERROR in names) == is_both
        checked = Inspection()
        checked.add_line(1, line_of(**fields))
        assert bool(checked.problem_count) == bool(names)


@pytest.mark.parametrize("field", ["flat", "timeline", "current"])
def test_the_time_of_a_stage_that_began_again_is_the_later_one(field: str) -> None:
    for stage in Stage:
        again = upload_of(stage=stage, on=LATER, **OTHER_FIELDS[field](stage, ON))
        assert again.timeline.since is not None
        assert (format_time(again.timeline.since), again.anomalies) == (LATER, ())
        differing = upload_of(stage=stage, on=ON, **OTHER_FIELDS[field](stage, LATER))
        assert [anomaly.detail for anomaly in differing.anomalies] == [f"on and another time of {stage} differ"]


@given(objects(), st.sampled_from([*map(str, Stage), "VERIFIED", " completed ", "odd", "s" * 99]))
def test_a_line_with_a_stage_is_in_that_stage(fields: dict[str, Any], stage: str) -> None:
    upload = upload_of(**{**fields, "type": None, "id": "a", "name": "a", "stage": stage})
    own = upload.timeline.own_state
    name = stage.strip().lower()
    assert (own.name if own else str(upload.stage)) == (name if len(name) <= 60 else f"{name[:59]}…")


@pytest.mark.parametrize("certainty", [*Certainty, None, "odd", 1])
def test_a_listed_state_of_its_own_is_as_certain_as_it_was(certainty: object) -> None:
    upload = upload_of(stage="held", stage_since=ON, stage_since_certainty=certainty)
    assert upload.timeline.own_state is not None
    assert (upload.timeline.own_state.certainty is Certainty.OBSERVED) == (certainty == "observed")


@pytest.mark.parametrize("value", NO_TIMES, ids=repr)
def test_bytes_arrived_at_an_unknown_time_if_it_cannot_be_read(value: object) -> None:
    assert upload_of(updated_on=value).last_updated_on is None
    assert [*parse_line_summaries([line_of(updated_on=value)], NOW, "default")] == [None]


@pytest.mark.parametrize("updated_on", [None, ON, LATER, "2999-01-01T00:00:00Z"])
@pytest.mark.parametrize("stage", [None, *map(str, Stage)])
def test_an_upload_began_before_it_was_updated(stage: str | None, updated_on: str | None) -> None:
    """A later stage may be newer than the last bytes."""
    fields = {name: value for name, value in (("stage", stage), ("updated_on", updated_on)) if value is not None}
    upload = upload_of(**fields)
    is_bound = upload.stage is Stage.INITIATED and updated_on in {ON, LATER}
    assert upload.timeline.since == (parse_time(updated_on) if is_bound else NOW)
    assert upload.timeline.since_certainty is Certainty.OBSERVED
    for one in parse_line_summaries([line_of(**fields)], NOW, "default"):
        assert one is None or EPOCH + one.summary.since_ms * MILLISECOND == upload.timeline.since


TIMED_LINES: list[dict[str, Any]] = [
    *({"stage": stage, "on": ON} for stage in (*map(str, Stage), "quarantined")),
    *({f"{stage}_on": ON} for stage in Stage),
    {"current": {"state": "completed", "state_on": ON}},
    {"timeline": [{"stage": "completed", "on": ON, "certainty": "reported"}]},
]
UNTIMED: list[dict[str, Any]] = [
    {}, {"on": None}, {"on": "soon"}, {"on": ON, "stage_since": LATER}, {"ended": True},
]  # fmt: skip


@pytest.mark.parametrize("left_out", UNTIMED, ids=str)
@pytest.mark.parametrize("timed", TIMED_LINES, ids=str)
def test_a_reported_time_stays_while_the_stage_is_the_same(timed: dict[str, Any], left_out: dict[str, Any]) -> None:
    first = read(None, **timed)
    stage = str(first.stage if first.timeline.own_state is None else first.timeline.own_state.name)
    upload = read(first, **left_out, stage=stage)
    again = read(upload, **left_out, stage=stage, size=5)
    for one in (upload, again):
        assert (one.timeline.since, one.timeline.since_certainty) == (first.timeline.since, Certainty.REPORTED)
        assert one.timeline.events == first.timeline.events


@pytest.mark.parametrize("on", [{}, {"on": LATER}], ids=str)
@pytest.mark.parametrize("stage", [*map(str, Stage), "quarantined"])
@pytest.mark.parametrize("before", TIMED_LINES, ids=str)
def test_an_upload_that_ended_has_the_stages_that_it_had_while_it_went_on(
    before: dict[str, Any], stage: str, on: dict[str, str]
) -> None:
    """Not those of an earlier try, which would be later than the one that it ended in."""
    first = read(None, **before)
    ended, goes_on = (read(first, stage=stage, **on, **more) for more in ({"ended": True}, {}))
    assert ended.timeline.events == goes_on.timeline.events
    assert read(ended, stage=stage, **on, ended=True, size=5).timeline.events == goes_on.timeline.events


@pytest.mark.parametrize("stage", [*map(str, Stage), "quarantined"])
def test_a_reported_time_in_the_future_does_not_stay(stage: str) -> None:
    upload = read(read(None, stage=stage, on="2999-01-01T00:00:00Z"), stage=stage)
    assert (upload.timeline.since, upload.timeline.since_certainty) == (NOW, Certainty.OBSERVED)


@pytest.mark.parametrize("stage", [*map(str, Stage), "quarantined"])
@pytest.mark.parametrize("other", [*map(str, Stage), "quarantined"])
def test_a_stage_that_began_again_has_not_the_time_of_its_first_try(stage: str, other: str) -> None:
    first = read(None, initiated_on=ON, completed_on=ON, stage=stage, on=LATER)
    upload = read(read(first, stage=other, on=LATER), stage=stage)
    if other != stage:
        assert upload.timeline.since_certainty is Certainty.OBSERVED


def test_a_message_without_a_time_is_that_of_the_line() -> None:
    upload = read(read(None, stage="error", on=ON, error_message="bad hash"), stage="error", error_message="disk full")
    assert (upload.timeline.error_message, upload.timeline.since_certainty) == ("disk full", Certainty.REPORTED)


@pytest.mark.parametrize("key", ["updated_on", "on", *(f"{stage}_on" for stage in Stage)])
def test_a_time_in_the_future_is_an_anomaly(key: str) -> None:
    fields = {"stage": "initiated"} if key in {"updated_on", "on"} else {}
    upload = upload_of(**fields, **{key: "2999-01-01T00:00:00Z"})
    (anomaly,) = upload.anomalies
    assert anomaly.name is AnomalyName.TIME_IN_FUTURE
    assert anomaly.detail.endswith("2999-01-01T00:00:00.000Z, which is in the future")
    assert parse_line_summaries([line_of(**fields, **{key: "2999-01-01T00:00:00Z"})], NOW, "default") == [None]


def test_bytes_did_not_arrive_in_the_future() -> None:
    first = read(None, stage="initiated", on=ON, updated_on="2999-01-01T00:00:00Z", received_bytes=5)
    second = read(first, stage="initiated", on=ON, updated_on="2999-01-02T00:00:00Z", received_bytes=9)
    assert (first.last_updated_on, second.last_updated_on) == (None, NOW)


@pytest.mark.parametrize(
    "fields",
    [
        {"stage": "held"}, {"stage": "held", "on": ON}, {"current": {"state": "held", "state_on": ON}},
        {"stage": "held", "prior": [{"state": "queued", "state_on": ON}]},
        {"stage": "held", "timeline": [], "anomalies": [{"name": "unknown_state", "detail": "'held'"}]},
    ],
    ids=str,
)  # fmt: skip
def test_a_state_of_a_source_is_no_anomaly(fields: dict[str, Any]) -> None:
    upload = upload_of(**fields)
    assert (upload.timeline.own_state and upload.timeline.own_state.name, upload.anomalies) == ("held", ())


@pytest.mark.parametrize(
    "fields",
    [
        {"stage": "held"}, {"stage": "held", "on": ON}, {"current": {"state": "held"}},
        {"current": {"sate": "held"}, "prior": [{"state": "initiated", "state_on": ON}]},
    ],
    ids=str,
)  # fmt: skip
def test_a_state_that_is_printed_again_is_stored_as_before(fields: dict[str, Any]) -> None:
    line, before, stored = upload_line(**fields), None, set()
    for _ in range(3):
        reading = source_reading(line, before, read_on=NOW, default_project="default")
        before = reading.upload
        stored.add(reading.raw)
    assert len(stored) == 1


@given(objects())
def test_no_state_with_a_name_is_an_anomaly(fields: dict[str, Any]) -> None:
    fields = {key: value for key, value in fields.items() if key not in {"type", "id", "name"}}
    details = [one.detail for one in upload_of(**fields).anomalies if one.name is AnomalyName.UNKNOWN_STATE]
    assert not any(detail.startswith(("'", '"')) for detail in details)
