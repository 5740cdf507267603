"""Summaries of a page agree with a full parse, or leave the upload to it."""

import json
import re
from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.agreement import assert_readers_agree, assert_same_upload

from upload_tui.status import Stage
from upload_tui.testing import NOW, an_upload
from upload_tui.wire.bodies import parse_body
from upload_tui.wire.page_summaries import parse_summaries
from upload_tui.wire.responses import page_entries, parse_upload_entries
from upload_tui.wire.status_shapes import StatusShape
from upload_tui.wire.upload import parse_upload

REPLACEMENTS = st.none() | st.booleans() | st.integers(-3, 2**64) | st.sampled_from(
    ["", "x", "5", "null", "é\u202e", "2026-03-14T09:00:00.000Z", "2026-03-14t09:00:00.123z", "2999-01-01T00:00:00.000Z",
     "2026-03-14T08:59:59.9999999Z", "2026-03-14T09:00:00+0200", "2026-03-14T09:00Z", "0001-01-01T00:00:00+1000",
     1.5, [], [1], {}, {"id": 3}, [{"number": 1}], [{"number": 1, "size": 5, "hash": {"value": 3}}]]
)  # fmt: skip
"""Values that replace other values."""


def uploads() -> st.SearchStrategy[dict[str, Any]]:
    ends = st.sampled_from([{}, {"completed": 60}, {"completed": 60, "verified": 30}, {"completed": 60, "error": 30}])
    shapes = st.sampled_from(list(StatusShape))
    return st.builds(lambda end, shape: an_upload(initiated=90, status_shape=shape, **end), ends, shapes)


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, entry in inner for found in paths_in(entry, (*path, key)))]


@st.composite
def changed_uploads(draw: st.DrawFn) -> dict[str, Any]:
    """Uploads of any shape and stage, with up to three values replaced or removed."""
    upload = draw(uploads())
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from([found for found in paths_in(upload) if found]))
        parent: Any = upload
        for key in path[:-1]:
            parent = parent[key]
        if draw(st.booleans()):
            parent[path[-1]] = deepcopy(draw(REPLACEMENTS))  # a later replacement may change it
        else:
            del parent[path[-1]]
    return upload


@given(st.lists(changed_uploads(), min_size=1, max_size=3))
def test_a_summary_agrees_with_a_full_parse(entries: list[dict[str, Any]]) -> None:
    assert_readers_agree(json.dumps({"results": entries}).encode())


UNUSED = {
    "not UTF-8": b'"\xff"',
    "not UTF-8 in a key": b'{"\xff":1}',
    "out of range": b"1e999",
    "long integer": b"1" * 5000,
    "deep": b"[" * 70 + b"]" * 70,
    "brackets in texts": b'["]",' * 70 + b"0" + b',"["]' * 70,
    "escaped quotes": b'["\\"]\\\\",' * 70 + b"0" + b',"\\\\\\"["]' * 70,
}
"""Values of a key that no reader uses."""


@pytest.mark.parametrize("value", UNUSED.values(), ids=UNUSED)
def test_both_readers_agree_on_what_is_readable(value: bytes) -> None:
    body = json.dumps({"results": [{**an_upload(initiated=90, completed=60, verified=30), "more": "@"}]}).encode()
    assert_readers_agree(body.replace(b'"@"', value))


OTHER_VALUES = (
    None,
    True,
    "2026-03-14T09:26:00.000Z",
    "error",
    {"state": "error", "state_on": None},
    [{"state": "error"}],
)
STAGE_KEYS = {
    StatusShape.A: "status initiated_on completed_on verified_on error_on error_message",
    StatusShape.B: "status current prior state state_on",
    StatusShape.DEPLOYED: "status initiated_on ready_for_chunks completed_on is_consistent purged_on error_on error_message",
}


@given(
    shape_and_key=st.sampled_from([(shape, key) for shape, keys in STAGE_KEYS.items() for key in keys.split()]),
    other=st.sampled_from(OTHER_VALUES),
    is_first=st.booleans(),
    is_escaped=st.booleans(),
    is_missing_elsewhere=st.booleans(),
    data=st.data(),
)
def test_a_status_with_a_key_that_is_there_twice_has_no_stage(
    shape_and_key: tuple[StatusShape, str],
    other: object,
    is_first: bool,
    is_escaped: bool,
    is_missing_elsewhere: bool,
    data: st.DataObject,
) -> None:
    """For both readers, wherever the other value stands, and whatever else is on the page."""
    shape, key = shape_and_key
    upload = an_upload("twice", id="twice", completed=60, verified=30, status_shape=shape)
    entry, plain = json.dumps(upload), an_upload("plain", id="plain", completed=60, verified=30, status_shape=shape)
    if is_missing_elsewhere:
        plain.pop("status", None) if key == "status" else plain["status"].pop(key, None)
    places = [match.start() for match in re.finditer(f'"{key}": ', entry)]
    at = data.draw(st.sampled_from(places))
    name = json.dumps(key).replace(key[0], f"\\u{ord(key[0]):04x}", 1) if is_escaped else json.dumps(key)
    second = f"{name}: {json.dumps(other)}"
    value_at = at + len(key) + 4
    _, end = json.JSONDecoder().raw_decode(entry, value_at)
    doubled = f"{entry[:at]}{second}, {entry[at:]}" if is_first else f"{entry[:end]}, {second}{entry[end:]}"
    body = f'{{"results": [{doubled}, {json.dumps(plain)}]}}'.encode()
    assert not any(summary and summary.id == "twice" for summary in parse_summaries(body, NOW) or ())
    (reading, _) = parse_upload_entries(page_entries(body), read_on=NOW)
    assert not isinstance(reading, str)
    assert reading.upload.timeline.unknown_state is not None
    assert key in reading.upload.timeline.unknown_state.name
    assert parse_upload(parse_body(doubled.encode()), read_on=NOW).timeline == reading.upload.timeline


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize(
    ("key", "other", "anomaly"),
    [
        ("id", "other", ""),
        ("size", 5, "unreadable_field"),
        ("chunks", [], "chunks_invalid"),
        ("chunks", None, "chunks_invalid"),
    ],
)
def test_a_key_of_an_upload_that_is_there_twice_is_unreadable(
    key: str, other: object, anomaly: str, is_first: bool
) -> None:
    entry = json.dumps(an_upload("twice", completed=60, verified=30))
    second = f"{json.dumps(key)}: {json.dumps(other)}"
    doubled = f"{{{second}, {entry[1:]}" if is_first else f"{entry[:-1]}, {second}}}"
    body = f'{{"results": [{doubled}, {json.dumps(an_upload("id", completed=60, verified=30))}]}}'.encode()
    assert parse_summaries(body, NOW) is None
    (reading, plain) = parse_upload_entries(page_entries(body), read_on=NOW)
    assert not isinstance(plain, str)
    assert plain.upload.anomalies == ()
    if isinstance(reading, str):
        assert not anomaly
    else:
        assert anomaly in {found.name for found in reading.upload.anomalies}


@pytest.mark.parametrize("key", ["number", "size"])
def test_a_chunk_that_has_a_key_twice_is_unreadable(key: str) -> None:
    """Decoders would take the last value silently."""
    entry = json.dumps(an_upload("twice", completed=60, verified=30))
    doubled = entry.replace('{"number": ', f'{{"{key}": 7, "number": ', 1)
    body = f'{{"results": [{doubled}, {json.dumps(an_upload("number", completed=60, verified=30))}]}}'.encode()
    assert doubled != entry
    assert parse_summaries(body, NOW) is None
    (reading, plain) = parse_upload_entries(page_entries(body), read_on=NOW)
    assert not isinstance(reading, str)
    assert not isinstance(plain, str)
    assert "chunks_invalid" in {found.name for found in reading.upload.anomalies}
    assert parse_upload(parse_body(doubled.encode()), read_on=NOW).chunks == reading.upload.chunks
    assert plain.upload.anomalies == ()


def test_an_absent_id_does_not_stand_for_one_that_is_there_twice() -> None:
    entry = an_upload("twice", completed=60, verified=30) | {"project": {"name": "Genome"}}
    body = f'{{"results": [{json.dumps(entry)[:-1]}, "id": "other"}}]}}'.encode()
    assert parse_summaries(body, NOW) is None


def test_a_key_of_a_status_may_stand_elsewhere() -> None:
    """Also as text; only what is there twice in one object is ambiguous."""
    upload = an_upload("error_on", id="status", completed=60, verified=30) | {
        "more": {"error_on": 1, "status": [{"state": 1}]}
    }
    (reading,) = parse_upload_entries(page_entries(json.dumps({"results": [upload]}).encode()), read_on=NOW)
    assert not isinstance(reading, str)
    assert reading.upload.stage is Stage.VERIFIED


def test_brackets_in_texts_do_not_need_a_full_parse() -> None:
    entry = an_upload('[{"]', initiated=90, completed=60, verified=30)
    (summary,) = parse_summaries(json.dumps({"results": [entry]}).encode(), NOW) or (None,)
    assert summary is not None


def test_an_upload_that_names_another_project_than_its_page_has_no_summary() -> None:
    entry = an_upload(initiated=90, completed=60, verified=30)
    body = json.dumps({"results": [entry, {**entry, "project": {"id": "other"}}, {**entry, "project": None}]}).encode()
    summaries = parse_summaries(body, NOW, entry["project"]["id"])
    assert summaries is not None
    assert [summary is not None for summary in summaries] == [True, False, False]


@pytest.mark.parametrize("shape", [StatusShape.A, StatusShape.DEPLOYED])
@pytest.mark.parametrize(
    "end", [{}, {"completed": 60}, {"completed": 60, "verified": 9}, {"completed": 60, "error": 9}]
)
def test_an_ordinary_upload_has_a_summary(shape: StatusShape, end: dict[str, float]) -> None:
    entry = an_upload(initiated=90, status_shape=shape, **end)  # type: ignore[arg-type]
    (summary,) = parse_summaries(json.dumps({"results": [entry]}).encode(), NOW) or (None,)
    assert summary is not None
    assert_same_upload(summary, parse_upload(entry, read_on=NOW))


@pytest.mark.parametrize(
    "change",
    [
        lambda upload: {**upload, "audit": {**upload["audit"], "signed_url": "s"}},
        lambda upload: {**upload, "size": "15"},
        lambda upload: {**upload, "name": 5},
    ],
    ids=["secret", "string for a number", "number for a string"],
)
def test_a_page_with_a_secret_or_an_invalid_field_has_no_summaries(change: Callable[[Any], Any]) -> None:
    assert parse_summaries(json.dumps({"results": [change(an_upload())]}).encode(), NOW) is None


@pytest.mark.parametrize(
    "key",
    [
        "signed_url",
        "api_token",
        "agent_key",
        "userKey",
        "X-Auth-Token",
        "secret",
        "password",
        "cookie",
        "Session",
        "jwt",
        "url",
    ],
)
def test_a_page_with_any_secret_key_has_no_summaries(key: str) -> None:
    assert parse_summaries(json.dumps({"results": [{**an_upload(), "more": [{key: "s"}]}]}).encode(), NOW) is None


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"results": 5}', b"[" * 100_000, b'{"results":["\xff"]}'])
def test_an_invalid_page_has_no_summaries(body: bytes) -> None:
    assert parse_summaries(body, NOW) is None


def test_an_upload_from_the_future_has_no_summary() -> None:
    entry = an_upload(initiated=90, completed=60)
    assert parse_summaries(json.dumps({"results": [entry]}).encode(), NOW - timedelta(hours=2)) == [None]
