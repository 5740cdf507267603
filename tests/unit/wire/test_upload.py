"""Uploads, pages and errors as any server may send them."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.agreement import assert_readers_agree

from upload_tui.errors import InvalidResponseError
from upload_tui.status import Certainty, Stage, is_contradictory
from upload_tui.testing import NOW, an_upload
from upload_tui.wire import redact_value
from upload_tui.wire.bodies import parse_body
from upload_tui.wire.responses import (
    build_upload_page,
    parse_error_envelope,
    parse_upload_entries,
)
from upload_tui.wire.status_shapes import StatusShape
from upload_tui.wire.times import format_time, parse_time
from upload_tui.wire.upload import Project, parse_upload

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from([*an_upload(), "signed_url", "more"])


@given(st.dictionaries(FIELDS, JSON))
def test_an_upload_with_any_fields_can_be_read(fields: dict[str, Any]) -> None:
    upload = parse_upload({**fields, "id": "u-1"}, read_on=NOW)
    assert upload.id == "u-1"
    assert upload.stage in Stage


@given(JSON)
def test_any_json_is_an_upload_or_an_invalid_response(payload: Any) -> None:
    with suppress(InvalidResponseError):
        assert parse_upload(payload, read_on=NOW).id


def test_a_number_may_be_a_string() -> None:
    upload = parse_upload(an_upload(size="15"), read_on=NOW)
    assert upload.size_bytes == 15
    assert "unreadable_field" not in {anomaly.name for anomaly in upload.anomalies}


@pytest.mark.parametrize("size", [-1, 2**64, "much", [15], 1.5], ids=["negative", "huge", "word", "list", "fraction"])
def test_an_unreadable_field_does_not_affect_the_others(size: object) -> None:
    upload = parse_upload(an_upload("a.bin", size=size), read_on=NOW)
    assert upload.name == "a.bin"
    assert upload.size_bytes is None
    assert "unreadable_field" in {anomaly.name for anomaly in upload.anomalies}


def test_chunks_are_sorted_by_number() -> None:
    upload = parse_upload(an_upload(), read_on=NOW)
    assert upload.chunks is not None
    assert [chunk.number for chunk in upload.chunks] == [1, 2, 3, 4]
    assert upload.chunk_bytes == 4_000_000


ONE, TWO = {"number": 1, "size": 60}, {"number": 2, "size": 40}
UNREADABLE_CHUNKS: tuple[object, ...] = (
    None, 7, [], {}, {"number": 2}, {"size": 40}, {"number": 0, "size": 0}, {**TWO, "number": -1}, {**TWO, "size": -100},
    {**TWO, "size": "x"}, {**TWO, "size": None}, {**TWO, "number": None},
)  # fmt: skip


@pytest.mark.parametrize("chunk", UNREADABLE_CHUNKS, ids=repr)
@pytest.mark.parametrize("others", [[], [ONE, TWO], [ONE, {**TWO, "number": 3}], [TWO, TWO]], ids=len)
def test_an_unreadable_chunk_contradicts_a_verified_upload_and_hides_nothing(others: list[Any], chunk: object) -> None:
    def names(chunks: list[Any]) -> set[str]:
        payload = {**an_upload(completed=60, verified=20), "size": 100, "chunks": chunks}
        assert_readers_agree(json.dumps({"results": [payload]}).encode())
        upload = parse_upload(payload, read_on=NOW)
        assert is_contradictory(upload.stage, upload.anomalies) is bool(upload.anomalies)
        return {anomaly.name for anomaly in upload.anomalies}

    for chunks in ([chunk, *others], [*others, chunk]):
        assert names(chunks) == names(others) | {"chunks_invalid"}


@pytest.mark.parametrize("digest", [3, "abc", {"value": 3}], ids=repr)
def test_an_unreadable_hash_of_a_chunk_is_no_contradiction(digest: object) -> None:
    payload = {**an_upload(completed=60, verified=20), "size": 100, "chunks": [{**ONE, "hash": digest}, TWO]}
    upload = parse_upload(payload, read_on=NOW)
    assert ({anomaly.name for anomaly in upload.anomalies}, upload.chunk_bytes) == ({"unreadable_field"}, 100)


@pytest.mark.parametrize("chunks", ["x", 5, {}, True], ids=repr)
def test_an_unreadable_list_of_chunks_contradicts_a_verified_upload(chunks: object) -> None:
    upload = parse_upload({**an_upload(completed=60, verified=20), "chunks": chunks}, read_on=NOW)
    assert is_contradictory(upload.stage, upload.anomalies)


def test_the_time_of_verification_is_estimated_from_the_last_update() -> None:
    upload = parse_upload(an_upload(completed=60, verified=20, status_shape=StatusShape.DEPLOYED), read_on=NOW)
    event = upload.timeline.event(Stage.VERIFIED)
    assert event is not None
    assert (event.on, event.certainty) == (NOW - timedelta(seconds=20), Certainty.ESTIMATED)
    assert (event.earliest, event.latest) == (NOW - timedelta(seconds=60), NOW)


def test_the_time_of_verification_is_not_estimated_after_a_purge() -> None:
    upload = parse_upload(
        an_upload(completed=60, verified=20, purged=10, status_shape=StatusShape.DEPLOYED), read_on=NOW
    )
    event = upload.timeline.event(Stage.VERIFIED)
    assert event is not None
    assert (event.on, event.certainty) == (None, Certainty.OBSERVED)


def test_the_time_of_initiation_is_estimated_from_the_audit() -> None:
    upload = parse_upload(an_upload(initiated=90, status={"completed_on": None}), read_on=NOW)
    event = upload.timeline.event(Stage.INITIATED)
    assert event is not None
    assert (event.on, event.certainty) == (NOW - timedelta(seconds=90), Certainty.ESTIMATED)


PURGED = an_upload(completed=60, verified=20, purged=10, status_shape=StatusShape.DEPLOYED)


@pytest.mark.parametrize(
    ("purged_on", "latest"),
    [
        (format_time(NOW - timedelta(seconds=10)), NOW - timedelta(seconds=10)),
        (format_time(NOW + timedelta(seconds=10)), NOW),
        (format_time(NOW - timedelta(seconds=61)), NOW),
        ("yesterday", NOW),
    ],
    ids=["plausible", "future", "before completion", "unreadable"],
)
def test_only_a_plausible_purge_limits_the_time_of_verification(purged_on: str, latest: datetime) -> None:
    upload = parse_upload({**PURGED, "status": {**PURGED["status"], "purged_on": purged_on}}, read_on=NOW)
    event = upload.timeline.event(Stage.VERIFIED)
    assert event is not None
    assert (event.on, event.latest) == (None, latest)


@pytest.mark.parametrize("updated", [60.001, -0.001], ids=["before completed_on", "in the future"])
def test_an_implausible_update_is_no_estimate_of_the_verification(updated: float) -> None:
    payload = an_upload(completed=60, verified=20, status_shape=StatusShape.DEPLOYED)
    payload["audit"]["last_updated_on"] = format_time(NOW - timedelta(seconds=updated))
    event = parse_upload(payload, read_on=NOW).timeline.event(Stage.VERIFIED)
    assert event is not None
    assert (event.on, event.certainty, event.latest) == (None, Certainty.OBSERVED, NOW)


def test_an_update_at_the_moment_of_completion_is_an_estimate() -> None:
    payload = an_upload(completed=60, verified=60, status_shape=StatusShape.DEPLOYED)
    event = parse_upload(payload, read_on=NOW).timeline.event(Stage.VERIFIED)
    assert event is not None
    assert event.on == NOW - timedelta(seconds=60)


def test_an_unreadable_time_is_bounded_by_the_stages_around_it() -> None:
    payload = an_upload(initiated=90, completed=60, verified=20, status_shape=StatusShape.A)
    payload["status"]["completed_on"] = "yesterday"
    event = parse_upload(payload, read_on=NOW).timeline.event(Stage.COMPLETED)
    assert event is not None
    assert (event.on, event.certainty) == (None, Certainty.OBSERVED)
    assert (event.earliest, event.latest) == (NOW - timedelta(seconds=90), NOW - timedelta(seconds=20))


def test_the_unreadable_time_of_an_error_is_estimated_from_the_last_update() -> None:
    payload = an_upload(initiated=90, completed=60, error=20)
    payload["status"]["error_on"] = 1557330753
    upload = parse_upload(payload, read_on=NOW)
    event = upload.timeline.current
    assert event is not None
    assert (event.stage, event.on, event.certainty) == (Stage.ERROR, NOW - timedelta(seconds=20), Certainty.ESTIMATED)


@pytest.mark.parametrize(
    "project", [None, 7, "p", [], {}, {"id": 7}, {"name": "n"}, {"id": ""}, {"id": "P-1"}, {"id": "other"}], ids=repr
)
def test_an_upload_belongs_to_the_project_that_lists_it(project: object) -> None:
    upload = parse_upload({**an_upload(), "project": project}, read_on=NOW, project=Project("p-1", "listing"))
    assert (upload.project_id, upload.project_name) == ("p-1", "listing")
    is_other = project == {"id": "other"}
    assert ("other_project" in {anomaly.name for anomaly in upload.anomalies}) == is_other


def test_the_name_of_a_project_is_the_one_in_the_upload() -> None:
    upload = parse_upload(an_upload(project=("p-1", "new")), read_on=NOW, project=Project("p-1", "old"))
    assert (upload.project_name, upload.anomalies) == ("new", ())


def test_an_entry_that_is_nested_too_deeply_does_not_hide_the_others() -> None:
    monster = json.loads("[" * 500 + "]" * 500)
    first, second = parse_upload_entries([{**an_upload(), "status": monster}, an_upload("b")], read_on=NOW)
    assert isinstance(first, str)
    assert not isinstance(second, str)


@pytest.mark.parametrize(
    ("text", "on"),
    [
        ("2019-05-08T15:52:23.386Z", datetime(2019, 5, 8, 15, 52, 23, 386000, tzinfo=UTC)),
        ("2017-01-01T13:00:00Z", datetime(2017, 1, 1, 13, tzinfo=UTC)),
        ("2017-01-01T13:00:00", datetime(2017, 1, 1, 13, tzinfo=UTC)),
        ("2017-01-01T15:00:00+02:00", datetime(2017, 1, 1, 13, tzinfo=UTC)),
        ("2017-01-01T13:00:00.123456Z", datetime(2017, 1, 1, 13, 0, 0, 123000, tzinfo=UTC)),
        ("2017-01-01 13:00:00Z", datetime(2017, 1, 1, 13, tzinfo=UTC)),
        ("2017-01-01t13:00:00,5z", datetime(2017, 1, 1, 13, 0, 0, 500000, tzinfo=UTC)),
        ("2017-01-01T15:00:00+0200", datetime(2017, 1, 1, 13, tzinfo=UTC)),
        ("2017-01-01T15:00:00+02", datetime(2017, 1, 1, 13, tzinfo=UTC)),
        ("20170101T130000Z", datetime(2017, 1, 1, 13, tzinfo=UTC)),
        ("20170101T150000.123+0200", datetime(2017, 1, 1, 13, 0, 0, 123000, tzinfo=UTC)),
        ("20170101 130000", datetime(2017, 1, 1, 13, tzinfo=UTC)),
        ("0001-01-01T00:00:00+10:00", None),
        ("1900-01-01T00:00:00Z", datetime(1900, 1, 1, tzinfo=UTC)),
        ("1899-12-31T23:59:59Z", None),
        ("2999-12-31T00:00:00Z", datetime(2999, 12, 31, tzinfo=UTC)),
        ("3000-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59Z", None),
        ("20170101", None),
        ("1494258743", None),
        ("1494258743386", None),
        ("20170101.130000", None),
        ("2017-W01-1T13:00:00Z", None),
        ("2017W011T130000Z", None),
        ("2017-001T13:00:00Z", None),
        ("2017-13-01T13:00:00Z", None),
        ("", None),
        (1494258743, None),
        (None, None),
        ("2" * 10_000, None),
    ],
    ids=[
        "millis",
        "seconds",
        "no-zone",
        "offset",
        "micros",
        "blank",
        "comma",
        "offset-without-colon",
        "offset-of-hours",
        "basic",
        "basic-with-offset",
        "basic-with-blank",
        "before-time",
        "first-year",
        "before-first-year",
        "last-year",
        "after-last-year",
        "end-of-time",
        "digits-of-a-day",
        "digits-of-seconds",
        "digits-of-milliseconds",
        "number-with-decimals",
        "week",
        "week-of-the-basic-format",
        "day-of-the-year",
        "month-13",
        "empty",
        "number",
        "null",
        "long",
    ],
)
def test_times_are_parsed_or_none(text: object, on: datetime | None) -> None:
    assert parse_time(text) == on


@given(st.datetimes(datetime(1900, 1, 1), datetime(2999, 12, 31), timezones=st.just(UTC)))
def test_written_times_are_read_back_to_the_millisecond(on: datetime) -> None:
    assert parse_time(format_time(on)) == on.replace(microsecond=on.microsecond // 1000 * 1000)


def test_lone_surrogates_in_a_body_are_replaced() -> None:
    assert parse_body(b'{"name": "a\\ud800b"}') == {"name": "a?b"}


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b'{"a":',
        b"",
        b"[" * 100_000,
        b"\xff\xfe",
        b'"\xed\xa0\x80"',
        *map('{"a": 1}'.encode, ("utf-16", "utf-32")),
    ],
    ids=["html", "cut", "empty", "deep", "bytes", "surrogate", "utf-16", "utf-32"],
)
def test_a_body_that_is_not_json_is_an_invalid_response(body: bytes) -> None:
    with pytest.raises(InvalidResponseError):
        parse_body(body)


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_error_body_can_be_read(body: bytes) -> None:
    fault = parse_error_envelope(body)
    assert isinstance(fault.reason, str)


def test_an_unreadable_entry_does_not_hide_the_others() -> None:
    entries = parse_upload_entries([an_upload("a"), 7, {"name": "no id"}, an_upload("b")], read_on=NOW)
    page = build_upload_page(entries, {"x-per-page": "100"}, page=1, per_page=100)
    assert [reading.upload.name for reading in page.readings] == ["a", "b"]
    assert len(page.unreadable) == 2
    assert page.next_page is None


@pytest.mark.parametrize(
    ("headers", "next_page"),
    [
        ({}, 3),
        ({"x-next-page": ""}, None),
        ({"x-next-page": "3"}, 3),
        ({"x-next-page": "1"}, None),
        ({"x-next-page": "4"}, 3),
        ({"x-next-page": "999999999999", "x-total": "9"}, 3),
        ({"x-per-page": "25"}, None),
    ],
    ids=["no-headers", "last", "another", "backwards", "a-page-left-out", "a-page-far-away", "smaller-page-size"],
)
def test_the_next_page_follows_from_the_headers(headers: dict[str, str], next_page: int | None) -> None:
    page = build_upload_page(parse_upload_entries([an_upload("a")], read_on=NOW), headers, page=2, per_page=1)
    assert page.next_page == next_page


@pytest.mark.parametrize(
    ("headers", "page", "next_page", "size"),
    [
        ({}, 1, 2, 100),
        ({"x-total": "2"}, 1, None, 100),
        ({"x-total": "7"}, 1, 2, 2),
        ({"x-total": "202"}, 3, None, 100),
        ({"x-next-page": "3"}, 2, 3, 2),
        ({"x-per-page": "100"}, 2, None, 100),
        ({"x-per-page": "2", "x-total": "7"}, 2, 3, 2),
    ],
    ids=[
        "no-headers",
        "all",
        "fewer-than-total",
        "last",
        "fewer-with-next-page",
        "last-of-full-size",
        "reported-size",
    ],
)
def test_a_page_with_fewer_entries_than_requested_may_not_be_the_last(
    headers: dict[str, str], page: int, next_page: int | None, size: int
) -> None:
    entries = parse_upload_entries([an_upload("a"), an_upload("b")], read_on=NOW)
    read = build_upload_page(entries, headers, page=page, per_page=100)
    assert (read.next_page, read.per_page) == (next_page, size)
    assert build_upload_page([], headers, page=page, per_page=100).next_page is None


def test_secrets_are_masked_at_any_depth() -> None:
    signed = {"http_verb": "PUT", "host": "https://store", "url": "/x?signature=abc"}
    raw = json.dumps(redact_value({"uploads": [{"id": "1", "signed_url": signed, "api_token": "t0ken"}]}))
    assert "signature" not in raw
    assert "t0ken" not in raw
    assert '"id": "1"' in raw
