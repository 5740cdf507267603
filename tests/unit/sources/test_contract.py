"""The contract of a line: what is an upload, what its fields mean, and that no line breaks the reader."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.source_lines import assert_line_is_stable
from tests.unit.sources.lines import LATER, ON, line_of, objects, upload_line

from upload_tui.sources import (
    MAX_LINE_BYTES,
    EndLine,
    ErrorKind,
    ErrorLine,
    IgnoredLine,
    Line,
    UnreadableLine,
    UploadLine,
    guess_id,
    parse_line,
    parse_line_summaries,
    parse_raw,
    parse_source_upload,
    source_reading,
)
from upload_tui.sources.records import CONTRACT_VERSION
from upload_tui.sources.schema import LINE_FIELDS
from upload_tui.status import AnomalyName, Certainty, Stage, is_contradictory
from upload_tui.testing import NOW
from upload_tui.wire import Chunk, Upload, format_time

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus" / "lines"
LINES_READ_OTHERWISE_BEFORE = [
    b'{"id": "d", "name": "x", "size": 5, "size_bytes": 7, "received_bytes": 1, "chunks": {"size_bytes": 2}}',
    b'{"id": "d", "name": "x", "stage": "completed", "on": "20260314T080000+0100", "stage_since": "2026-03-14 08:00"}',
    b'{"id": "d", "name": "x", "stage": "verified", "final_chunks": true, "size": 5000, "received_bytes": 7000}',
    b'{"id": "a", "name": "a", "stage": "verified", "error_message": "0 errors"}',  # a failure in version 1
    b'{"id": "b", "name": "b", "stage": "initiated", "size": 10, "received_bytes": 20}',  # without an anomaly in version 1
    b'{"id": "c", "name": "c", "stage": "verified", "size": 5, "chunks": [{"number": 1, "size": "5"}]}',  # 0 bytes in version 2
    b'{"id": "d", "name": "d", "chunks": [{"number": 0, "size": 5}]}',  # without an anomaly in version 2
    b'{"id": "e", "name": "e", "stage": "initiated", "prior": [{"state": "verified"}]}',  # verified in version 4
    b'{"id": "f", "name": "f", "completed_on": "2026-03-14T08:00:00Z", "verified_on": "-"}',  # verified in version 4
    b'{"id": "g", "name": "g", "stage": "initiated", "verified_on": "2026-03-14T08:00:00Z"}',  # verified in version 5
    b'{"id": "i", "name": "i", "stage": "initiated", "on": "1970-01-01T00:00:00Z"}',  # at that time in version 6
    b'{"id": "j", "name": "j", "stage": "initiated", "updated_on": "2999-01-01T00:00:00Z"}',  # without an anomaly in version 7
    b'{"id": "k", "name": "k", "stage": "initiated", "updated_on": "2026-03-14T07:00:00Z"}',  # since it was read in version 8
    # Reported in version 6:
    b'{"id": "h", "name": "h", "stage": "held", "stage_since": "20260314T080000Z", "stage_since_certainty": "observed"}',
]


def upload_of(**fields: Any) -> Upload:
    return parse_source_upload(upload_line(**fields).fields, read_on=NOW, default_project="default")


@given(objects() | st.text().map(str))
def test_any_json_value_is_read_and_stored_without_an_exception(value: object) -> None:
    assert_line_is_stable(json.dumps(value).encode())


def test_lines_are_read_as_before_or_the_version_of_stored_ones_is_raised() -> None:
    lines = [*map(Path.read_bytes, sorted(CORPUS.iterdir())), *LINES_READ_OTHERWISE_BEFORE]
    found = [parse_line(line.strip()) for line in lines]
    uploads = [
        parse_source_upload(one.fields, read_on=NOW, default_project="p")
        for one in found
        if isinstance(one, UploadLine)
    ]
    digest = sha256(b"\n".join(map(msgspec.json.encode, uploads))).hexdigest()[:16]
    assert {CONTRACT_VERSION: digest} == {10: "7f9788425fc80faf"}, (
        "raise CONTRACT_VERSION if a line is read differently"
    )


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_exception(line: bytes) -> None:
    assert_line_is_stable(line)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"", IgnoredLine()),
        (b"  \r", IgnoredLine()),
        (b'{"type": "end", "uploads": 3}', EndLine(3)),
        (b'{"type": "end"}', EndLine(None, "the end has no number of uploads")),
        (b'{"type": "end", "uploads": null}', EndLine(None, "the end has no number of uploads")),
        (b'{"type": "end", "uploads": 3.0}', EndLine(3)),
        (b'{"type": "end", "uploads": 3.5}', EndLine(None, "the end line's number of uploads is 3.5")),
        (b'{"type": "end", "uploads": true}', EndLine(None, "the end line's number of uploads is True")),
        (b'{"type": "end", "count": 3}', EndLine(None, "the end line has 'count' in place of `uploads`")),
        (b'{"type": "error", "kind": "auth", "message": "expired"}', ErrorLine(ErrorKind.AUTH, "expired")),
        (
            b'{"type": "error", "kind": "unheard-of"}',
            ErrorLine(ErrorKind.TRANSIENT, "", "in the error line, the kind 'unheard-of' is unknown, which counts as transient"),
        ),
        (b'{"type": "progress", "id": "a", "name": "b"}', IgnoredLine("'progress'")),
        (b"not json", UnreadableLine("not JSON")),
        (b'{"id": "\xff", "name": "x"}', UnreadableLine("not UTF-8")),
        (b'{"id": "a", "name": "\xed\xa0\x80"}', UnreadableLine("not UTF-8")),
        (b'{"id": "a", "name": "x", "extra": "\xed\xa0\x80"}', UnreadableLine("not UTF-8")),
        ('{"id": "a", "name": "x"}'.encode("utf-16"), UnreadableLine("not UTF-8")),
        ('{"id": "a", "name": "x"}'.encode("utf-16-le"), UnreadableLine("not JSON")),
        ('{"id": "a", "name": "x"}'.encode("utf-32-be"), UnreadableLine("not JSON")),
        ('{"id": "a", "name": "x"}'.encode("utf-8-sig"), UploadLine("a", {"id": "a", "name": "x"})),
        (b'{"id": 7.0, "name": "x"}', UploadLine("7", {"id": 7.0, "name": "x"})),
        (b'{"id": 7.5, "name": "x"}', UnreadableLine("id is no text")),
        (b"[1]", UnreadableLine("not a JSON object")),
        (b'{"name": "x"}', UnreadableLine("no id")),
        (b'{"id": [], "name": "x"}', UnreadableLine("id is no text")),
        (b'{"id": "a"}', UnreadableLine("no name", "a")),
        (b'{"id": "a", "name": 3}', UnreadableLine("name is no text", "a")),
        (b'{"id": "a", "name": "b", "error_on": "x", "error_on": null}', UnreadableLine("error_on is there twice", "a")),
        (b'{"id": "a", "name": "\\u0022", "stage": "error", "st\\u0061ge": 1}', UnreadableLine("stage is there twice", "a")),
        (b'{"id": "a", "name": "b", "current": {"state": 1, "state": 2}}', UnreadableLine("current.state is there twice", "a")),
        (b'{"id": "a", "name": "b", "timeline": [{"on": 1, "on": 2}]}', UnreadableLine("timeline.on is there twice", "a")),
        (b'{"id": "a", "name": "\\ud800", "on": 1, "on": 2}', UnreadableLine("on is there twice", "a")),
        (b'{"id": "a", "name": "\\ud800", "error_on": 1, "error_on": 2}', UnreadableLine("error_on is there twice")),
        (b'{"id": "a", "id": "b", "name": "b"}', UnreadableLine("id is there twice")),
        (b'{"id": "a", "name": "b", "project": {"id": 1, "id": 2}}', UnreadableLine("project.id is there twice", "a")),
        (b'{"id": "a", "name": "b", "chunks": [{"size": 1, "size": 2}]}', UnreadableLine("chunks.size is there twice", "a")),
        (b'{"type": "upload", "id": "a", "name": "b", "type": "note"}', UnreadableLine("type is there twice")),
        (b'{"type": "end", "uploads": 5, "uploads": 4}', EndLine(None, "in the end line, uploads is there twice")),
        (b'{"type": "end", "uploads": 4, "type": "note"}', UnreadableLine("type is there twice")),
        (b'{"type": "note", "id": 1, "id": 2}', IgnoredLine("'note'")),
        (b'{"type": "error", "kind": "auth", "message": "x"}', ErrorLine(ErrorKind.AUTH, "x")),
        (
            b'{"type": "error", "kind": "config", "kind": "auth"}',
            ErrorLine(ErrorKind.TRANSIENT, "", "in the error line, kind is there twice, which counts as transient"),
        ),
        (b"[" * 100_000, UnreadableLine("nested too deeply")),
        (b'{"id": "a", "name": "b", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}", UnreadableLine("nested too deeply")),
        (b'{"id": "%b", "name": "x"}' % (b"a" * 4097), UnreadableLine("id is longer than 4,096 characters")),
        (b" " * MAX_LINE_BYTES + b"{}", UnreadableLine("longer than 1,048,576 bytes")),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_line_is_what_its_type_says(line: bytes, found: Line) -> None:
    assert parse_line(line) == found


def test_a_number_is_an_id() -> None:
    found = parse_line(b'{"id": 7, "name": "x", "type": "upload"}')
    assert isinstance(found, UploadLine)
    assert found.id == "7"


@pytest.mark.parametrize("name", [field.name for field in LINE_FIELDS if field.meaning != "ignored: found out again"])
@pytest.mark.parametrize("value", ["1", '"x"'])
def test_a_line_that_has_a_field_of_the_contract_twice_is_unreadable(name: str, value: str) -> None:
    fields = {"id": '"a"', "name": '"b"', name: "null"}
    line = ", ".join(f'"{key}": {one}' for key, one in [*fields.items(), (name, value)])
    assert parse_line(f"{{{line}}}".encode()) == UnreadableLine(f"{name} is there twice", "" if name == "id" else "a")


def test_an_unknown_field_that_is_there_twice_has_its_last_value() -> None:
    found = parse_line(b'{"id": "a", "name": "b", "rack": "x", "rack": "y", "tags": {"on": 1, "on": 2}}')
    assert found == UploadLine("a", {"id": "a", "name": "b", "rack": "y", "tags": {"on": 2}})


def test_the_id_of_a_cut_line_is_guessed() -> None:
    assert guess_id(line_of()[:-5]) == "u1"
    assert guess_id(b"{") == ""


def test_what_a_line_leaves_out_is_unknown() -> None:
    upload = upload_of()
    assert (upload.size_bytes, upload.chunks, upload.chunk_count, upload.has_received_bytes) == (
        None,
        None,
        None,
        False,
    )
    event = upload.timeline.current
    assert event is not None
    assert (event.stage, event.on, event.certainty, event.latest) == (Stage.INITIATED, None, Certainty.OBSERVED, NOW)
    assert upload.anomalies == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"stage": "completed", "on": LATER, "initiated_on": ON},
        {"initiated_on": ON, "completed_on": LATER, "verified_on": None, "error_on": None, "error_message": None},
        {"current": {"state": "completed", "state_on": LATER}, "prior": [{"state": "initiated", "state_on": ON}]},
        {"timeline": [{"stage": "initiated", "on": ON}, {"stage": "completed", "on": LATER}], "stage": "completed"},
        {"stage": "Completed", "stage_since": LATER, "prior": [{"state": "initiated", "state_on": ON}]},
    ],
    ids=["stage", "option_a", "option_b", "timeline", "mixed"],
)
def test_all_forms_of_stages_mean_the_same(fields: dict[str, Any]) -> None:
    upload = upload_of(**fields)
    assert [(event.stage, event.on and format_time(event.on), event.certainty) for event in upload.timeline] == [
        (Stage.INITIATED, ON, Certainty.REPORTED),
        (Stage.COMPLETED, LATER, Certainty.REPORTED),
    ]
    assert upload.anomalies == ()


def test_a_stage_at_an_unknown_time_lies_between_its_neighbours() -> None:
    upload = upload_of(current={"state": "verified", "state_on": LATER}, prior=[
        {"state": "completed", "state_on": None}, {"state": "initiated", "state_on": ON},
    ])  # fmt: skip
    completed = upload.timeline.event(Stage.COMPLETED)
    assert completed is not None
    assert completed.on is None
    assert [
        completed.earliest and format_time(completed.earliest),
        completed.latest and format_time(completed.latest),
    ] == [
        ON,
        LATER,
    ]


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"chunks": [{"number": 2, "size": 5}, {"number": 7, "size": 5}]}, []),
        ({"chunks": [{"number": 1, "size": 50}], "final_chunks": False}, []),
        ({"chunks": [{"number": 1, "size": 50}], "final_chunks": True}, ["chunk_sizes_differ"]),
        ({"chunks": [{"number": 2, "size": 100}], "final_chunks": True}, ["chunks_missing"]),
        ({"received_bytes": 50, "final_chunks": True}, ["chunk_sizes_differ"]),
        ({"chunks": {"count": 2, "size_bytes": 50}, "final_chunks": True}, ["chunk_sizes_differ"]),
        ({"chunks": [{"number": 0, "size": 100}], "final_chunks": True}, ["unreadable_field", "chunks_invalid"]),
        ({"received_bytes": 100, "final_chunks": True}, []),
        ({"received_bytes": 50, "final_chunks": True, "stage": "initiated"}, []),
        ({"final_chunks": True}, []),
    ],
    ids=["not set", "false", "list", "gap", "bytes", "numbers", "number 0", "whole", "initiated", "unknown"],
)
def test_chunks_contradict_a_stage_only_if_the_source_says_that_they_are_final(
    fields: dict[str, Any], names: list[str]
) -> None:
    upload = upload_of(**{"stage": "verified", "size": 100, **fields})
    assert [anomaly.name for anomaly in upload.anomalies] == names
    assert is_contradictory(upload.stage, upload.anomalies) == (bool(names) and upload.stage is Stage.VERIFIED)


@pytest.mark.parametrize("is_final", [True, False])
@pytest.mark.parametrize("received", [None, 100])
@pytest.mark.parametrize(
    "chunk",
    [5, {}, {"number": 1}, {"size": 1}, *({"number": 1, "size": size} for size in (None, "9", -1, 1.5, True, 2**63))],
    ids=str,
)
def test_chunks_are_unknown_if_one_of_them_cannot_be_read(
    chunk: object, received: int | None, *, is_final: bool
) -> None:
    chunks = [{"number": 2, "size": 3}, chunk]
    upload = upload_of(stage="verified", size=100, chunks=chunks, received_bytes=received, final_chunks=is_final)
    assert (upload.chunks, upload.chunk_count, upload.received_bytes) == (None, None, received)
    assert {one.name for one in upload.anomalies} == {AnomalyName.UNREADABLE_FIELD}
    assert not is_contradictory(upload.stage, upload.anomalies)


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"received_bytes": 5, "chunks": [{"number": 1, "size": 10}]}, "chunks and received_bytes differ"),
        (
            {"received_bytes": 5, "chunks": {"count": 1, "size_bytes": 10}},
            "chunks.size_bytes and received_bytes differ",
        ),
        ({"received_bytes": 10, "chunks": []}, "chunks and received_bytes differ"),
        (
            {"received_bytes": 10, "chunks": {"count": 1, "size_bytes": 0}},
            "chunks.size_bytes and received_bytes differ",
        ),
        ({"received_bytes": 10, "size_bytes": 5}, "size and size_bytes differ"),
        ({"chunks": [{"number": 1, "size": 10}], "size_bytes": 0}, "size and size_bytes differ"),
    ],
    ids=str,
)
@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("is_final", [True, False])
def test_two_fields_that_differ_on_a_number_prove_nothing(
    fields: dict[str, Any], detail: str, stage: Stage, *, is_final: bool
) -> None:
    fields = {"size": 10, **fields}
    upload = upload_of(stage=stage, final_chunks=is_final, **fields)
    assert detail in {anomaly.detail for anomaly in upload.anomalies}
    assert is_contradictory(upload.stage, upload.anomalies) == (is_final and stage is Stage.VERIFIED)
    assert upload.size_bytes is None if detail.startswith("size") else not upload.has_received_bytes
    assert parse_line_summaries([line_of(stage=stage, **fields)], NOW, "default") == [None]
    alike = {"size": 10, "size_bytes": 10, "received_bytes": 10, "chunks": [{"number": 1, "size": 10}]}
    assert upload_of(stage=stage, final_chunks=True, **alike).anomalies == ()


def test_a_number_without_a_fraction_is_an_integer() -> None:
    fields = {"size": 10.0, "received_bytes": 1e1, "chunks": [{"number": 1.0, "size": 10.0}]}
    upload = upload_of(stage="verified", final_chunks=True, **fields)
    assert (upload.size_bytes, upload.chunks, upload.anomalies) == (10, (Chunk(1, 10),), ())
    assert upload_of(chunks={"count": 2.0, "size_bytes": 7.0}).chunk_count == 2
    assert upload_of(size=1.5).size_bytes is None


def test_numbers_of_chunks_without_a_list() -> None:
    assert (upload_of(chunks={"count": 3, "size_bytes": 9}).chunk_count, upload_of(received_bytes=4).chunk_bytes) == (
        3,
        4,
    )


FORMS_OF_STAGES: list[Callable[[str], dict[str, Any]]] = [
    lambda stage: {"stage": stage, "on": ON},
    lambda stage: {f"{stage}_on": ON},
    lambda stage: {"current": {"state": stage, "state_on": None}},
    lambda stage: {"timeline": [{"stage": stage, "on": ON}]},
]


@pytest.mark.parametrize("message", ["0 errors", "no space", " ", "", None])
@pytest.mark.parametrize("stage", [*map(str, Stage)])
@pytest.mark.parametrize("form", FORMS_OF_STAGES)
def test_an_upload_fails_only_by_its_stage(
    form: Callable[[str], dict[str, Any]], stage: str, message: str | None
) -> None:
    upload, is_text = upload_of(**form(stage), error_message=message), bool(message and message.strip())
    assert (upload.stage, upload.timeline.error_message) == (stage, message if is_text and stage == "error" else None)
    assert [one.name for one in upload.anomalies] == ["message_without_error"] * (is_text and stage != "error")


@pytest.mark.parametrize("size", [None, 0, 99, 100])
@pytest.mark.parametrize("stage", [*map(str, Stage)])
@pytest.mark.parametrize(
    "received",
    [{"received_bytes": 100}, {"chunks": [{"number": 1, "size": 100}]}, {"chunks": {"count": 1, "size_bytes": 100}}],
    ids=str,
)
def test_more_bytes_than_the_size_are_an_anomaly(received: dict[str, Any], stage: str, size: int | None) -> None:
    upload = upload_of(stage=stage, size=size, **received)
    is_more = size is not None and size < 100
    assert [one.name for one in upload.anomalies] == ["received_too_much"] * is_more
    assert not is_contradictory(upload.stage, upload.anomalies)


def test_an_upload_that_ended_in_a_pending_stage_waits_for_nothing() -> None:
    upload = upload_of(stage="initiated", on=ON, ended=True)
    assert upload.timeline.unknown_state is not None
    assert (upload.timeline.unknown_state.name, upload.timeline.is_pending) == ("ended", False)
    assert upload_of(stage="verified", on=ON, ended=True).timeline.unknown_state is None


def test_unreadable_fields_are_anomalies_and_leave_the_rest() -> None:
    upload = upload_of(size="5", by=3, chunks="many", stage="completed", on="yesterday")
    assert {anomaly.name for anomaly in upload.anomalies} == {AnomalyName.UNREADABLE_FIELD}
    assert sorted(anomaly.detail for anomaly in upload.anomalies) == [
        "by is 3", "chunks is 'many'", "on is 'yesterday'", "size is '5'",
    ]  # fmt: skip
    assert upload.stage is Stage.COMPLETED


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        ({"size": 5, "size_bytes": 7}, ("size", "size_bytes")),
        ({"stage": "completed", "on": ON, "stage_since": LATER}, ("on", "stage_since")),
        ({"received_bytes": 5, "chunks": {"count": 2, "size_bytes": 7}}, ("chunks.size_bytes", "received_bytes")),
        ({"chunks": [{"number": 1, "size": 5, "size_bytes": 7}]}, ("size", "size_bytes")),
        ({"size": 5, "size_bytes": 5}, None),
        ({"size": None, "size_bytes": 7}, None),
        ({"stage": "completed", "on": ON, "stage_since": ON.replace(".000Z", "+00:00")}, None),
        ({"received_bytes": 7, "chunks": {"count": 2, "size_bytes": 7}}, None),
        ({"received_bytes": 5, "chunks": [{"number": 1, "size": 7}]}, ("chunks", "received_bytes")),
        ({"received_bytes": 7, "chunks": [{"number": 1, "size": 7}]}, None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_two_fields_that_mean_the_same_and_differ_are_an_anomaly(
    fields: dict[str, Any], keys: tuple[str, str] | None
) -> None:
    upload = upload_of(**fields)
    expected = [] if keys is None else [f"{keys[0]} and {keys[1]} differ"]
    assert [anomaly.detail for anomaly in upload.anomalies if anomaly.name is AnomalyName.UNREADABLE_FIELD] == expected


def test_a_flood_of_unreadable_chunks_is_few_anomalies() -> None:
    assert len(upload_of(chunks=["x"] * 10_000).anomalies) == 20


def test_secrets_are_not_stored() -> None:
    reading = source_reading(upload_line(signed_url="https://x/?sig=1"), None, read_on=NOW, default_project="d")
    assert "sig=1" not in reading.raw


def test_earlier_stages_stay_where_a_line_names_only_the_present_one() -> None:
    first = source_reading(upload_line(stage="initiated", on=ON), None, read_on=NOW, default_project="d")
    second = source_reading(upload_line(stage="completed", on=LATER), first.upload, read_on=NOW, default_project="d")
    third = source_reading(upload_line(stage="verified"), second.upload, read_on=NOW, default_project="d")
    stored = parse_raw(json.loads(third.raw), read_on=NOW)
    assert stored == third.upload
    assert [event.stage for event in stored.timeline] == [Stage.INITIATED, Stage.COMPLETED, Stage.VERIFIED]


@pytest.mark.parametrize(
    "without", [{}, {"stage": None}, {"stage": 5}, {"stage": " "}, {"prior": []}, {"on": LATER}], ids=str
)
@pytest.mark.parametrize("on", [None, ON])
@pytest.mark.parametrize("stage", [*map(str, Stage), "quarantined"])
def test_a_line_without_a_stage_leaves_the_known_one(stage: str, on: str | None, without: dict[str, Any]) -> None:
    first = source_reading(upload_line(stage=stage, on=on), None, read_on=NOW, default_project="d")
    second = source_reading(upload_line(size=7, **without), first.upload, read_on=NOW, default_project="d")
    third = source_reading(upload_line(size=8, **without), second.upload, read_on=NOW, default_project="d")
    for reading in (second, third):
        assert reading.upload.timeline == first.upload.timeline
        assert parse_raw(json.loads(reading.raw), read_on=NOW) == reading.upload
        details = [one.detail for one in reading.upload.anomalies if one.name is AnomalyName.UNREADABLE_FIELD]
        is_plain = stage == "initiated" and on is None  # as without any stage
        assert (f"no stage, and it was {stage!r} before" in details) == (not is_plain)
    fourth = source_reading(upload_line(stage="initiated"), third.upload, read_on=NOW, default_project="d")
    assert (fourth.upload.stage, fourth.upload.timeline.own_state) == (Stage.INITIATED, None)


def test_an_upload_that_never_had_a_stage_is_initiated_without_an_anomaly() -> None:
    first = source_reading(upload_line(), None, read_on=NOW, default_project="d")
    second = source_reading(upload_line(size=7), first.upload, read_on=NOW, default_project="d")
    assert (second.upload.stage, second.upload.anomalies) == (Stage.INITIATED, ())


@pytest.mark.parametrize(
    ("before", "after", "is_arrival"),
    [
        ({"received_bytes": 5}, {"received_bytes": 9}, True),
        ({"chunks": {"count": 5}}, {"chunks": {"count": 9}}, True),
        ({"chunks": {"count": 5}}, {"chunks": {"count": 4}}, False),
        ({"chunks": {"count": 5, "size_bytes": 0}}, {"chunks": {"count": 9, "size_bytes": 0}}, True),
        ({"chunks": {"count": 5}, "received_bytes": 7}, {"chunks": {"count": 9}}, True),
        ({"chunks": [{"number": 1, "size": 0}]}, {"chunks": [{"number": n, "size": 0} for n in (1, 2)]}, True),
        ({"chunks": [{"number": 1, "size": 5}]}, {"chunks": {"count": 2}}, True),
        ({}, {"chunks": {"count": 5}}, False),
        ({"chunks": {"count": 5}}, {}, False),
        ({"chunks": {"count": 5}}, {"chunks": {"count": 5}, "size": 7}, False),
    ],
    ids=str,
)
def test_bytes_and_chunks_that_arrive_are_activity(
    before: dict[str, Any], after: dict[str, Any], *, is_arrival: bool
) -> None:
    first = source_reading(upload_line(**before), None, read_on=NOW, default_project="d")
    second = source_reading(upload_line(**after), first.upload, read_on=NOW, default_project="d")
    assert (first.upload.last_updated_on, second.upload.last_updated_on) == (None, NOW if is_arrival else None)


def test_the_time_of_the_last_bytes_is_that_of_the_line_if_it_has_one() -> None:
    first = source_reading(upload_line(received_bytes=5), None, read_on=NOW, default_project="d")
    said = source_reading(upload_line(received_bytes=9, updated_on=ON), first.upload, read_on=NOW, default_project="d")
    assert said.upload.last_updated_on is not None
    assert format_time(said.upload.last_updated_on) == ON
