"""Fast summaries of lines agree with the full parse in every stored value, and leave everything unusual to it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.sources.lines import LATER, ON, VALUES, line_of, objects

from upload_tui.monitor import Store, ingest
from upload_tui.monitor.store.rows import WRITE_COLUMNS
from upload_tui.sources import (
    SummarizedLine,
    UploadLine,
    can_store_as_printed,
    is_same_line,
    parse_line,
    parse_line_summaries,
    parse_raw,
    printed_lines,
    source_reading,
    stored_page,
)
from upload_tui.sources.records import CONTRACT_VERSION

NOW = datetime(2026, 3, 14, 9, 0, 0, 123456, UTC)
TITLE = "Drop folder"
COLUMNS = ", ".join(
    f"uploads.{column}" for column in WRITE_COLUMNS if column not in {"project", "cell", "page", "place"}
)

TIMES = st.sampled_from(
    [None, ON, LATER, "2026-03-14T08:10:00.123456+00:00", "1969-12-31T23:59:59.9996Z", "2026-03-14T09:00:05.123Z"]
)
COUNTS = st.none() | st.integers(0, 2**63 - 1)
CHUNKS = st.lists(st.fixed_dictionaries({"number": st.integers(0, 3), "size": st.integers(0, 9)}), max_size=3)
USUAL = st.fixed_dictionaries(
    {"id": st.text(min_size=1, max_size=5), "name": st.text(max_size=9)},
    optional={
        "project": st.sampled_from([None, "", "incoming", "ä"]),
        "size": COUNTS,
        "stage": st.sampled_from([None, "initiated", "completed", "verified", "error"]),
        **{f"{one}on": TIMES for one in ("", "initiated_", "completed_", "verified_", "error_", "updated_")},
        "chunks": st.none() | CHUNKS,
        "received_bytes": COUNTS,
        "by": st.none() | st.text(max_size=5),
        "content_type": st.sampled_from([None, "image/tiff"]),
        "extra": VALUES,
        "error_message": st.none(),
    },
)
ABSURD = objects().map(lambda fields: {"id": "u1", "name": "scan.tiff", **fields})


def stored(store: Store) -> tuple[object, ...]:
    """The row of the only upload, its project and its raw JSON."""
    rows = store.db.execute(f"SELECT {COLUMNS}, projects.id, projects.name FROM uploads JOIN projects USING (project)")
    values = rows.fetchone()
    return (*values, store.raw_json.raw(values[0]))


def read_fast(line: bytes) -> SummarizedLine | None:
    """What one line says; None if it needs a full parse."""
    (found,) = parse_line_summaries([line], NOW, TITLE)
    return found


@given(USUAL | ABSURD, st.booleans())
def test_a_summary_and_a_full_parse_store_the_same(fields: dict[str, Any], is_compact: bool) -> None:
    separators = (",", ":") if is_compact else None
    line = json.dumps(fields, separators=separators, ensure_ascii=not is_compact).encode("utf-8", "replace")
    found = read_fast(line)
    if found is None or not can_store_as_printed([found]):
        return
    fast, full = Store(), Store()
    fast.bulk.insert_summaries([found.summary], NOW, stored_page([line], TITLE))
    parsed = parse_line(line)
    assert isinstance(parsed, UploadLine)
    ingest(full, [source_reading(parsed, None, read_on=NOW, default_project=TITLE)], "source:x")
    assert stored(fast) == stored(full)
    fast.close()
    full.close()


@pytest.mark.parametrize(
    "fields",
    [
        {"initiated_on": ON},
        {"initiated_on": ON, "completed_on": LATER, "verified_on": LATER, "chunks": [{"number": 1, "size": 5}]},
        {"stage": "completed", "on": ON, "size": 52428800},
        {"stage": "initiated", "on": None, "updated_on": ON, "received_bytes": 7, "error_message": None},
        {
            "initiated_on": "2026-03-14T08:00:00+00:00",
            "by": None,
            "project": "bucket",
            "updated_on": None,
            "chunks": [],
        },
        {"stage": "completed", "expires": LATER, "tags": {"cage": [1, 2.5, None]}, "ended": None},
    ],
    ids=["times", "all times", "stage", "folder", "bucket", "further fields"],
)
def test_usual_lines_are_summarized(fields: dict[str, Any]) -> None:
    found = read_fast(line_of(**fields))
    assert found is not None
    assert can_store_as_printed([found])


@pytest.mark.parametrize(
    "fields",
    [
        {"id": 7},
        {"id": ""},
        {"name": None},
        {"size_bytes": 1},
        {"current": {"state": "completed"}},
        {"timeline": []},
        {"anomalies": [{"name": "chunks_missing", "detail": "x"}]},
        {"ended": True},
        {"type": "end"},
        {"size": -1},
        {"chunks": [{"number": 0, "size": 7}]},
        {"error_message": "lost"},
        {"size": 6, "received_bytes": 7},
        {"size": 0, "chunks": [{"number": 1, "size": 7}]},
        {"on": ON},
        {"stage": "quarantined"},
        {"stage": "completed", "completed_on": ON},
        {"verified_on": ON, "error_on": ON},
        {"initiated_on": LATER, "completed_on": ON},
        {"initiated_on": "2999-01-01T00:00:00Z"},
        {"initiated_on": "yesterday"},
        {"stage": "completed", "on": "2999-01-01T00:00:00Z"},
        {"chunks": [{"number": 1, "size": 2**63 - 1}, {"number": 2, "size": 1}]},
        {"chunks": {"count": 1}},
    ],
    ids=repr,
)
def test_anything_unusual_is_left_to_the_full_parse(fields: dict[str, Any]) -> None:
    assert read_fast(line_of(**fields)) is None


USUAL_LINE = line_of(initiated_on=ON)


@pytest.mark.parametrize(
    "lines",
    [
        [b'{"id": "u2", "name": "a"} {"id": "u3", "name": "b"}', b"{}"],
        [b'{"id": "u2", "name": "a"}{"id": "u3", "name": "b"}', b"", USUAL_LINE],
        [b'{"id": "u2",', b'"name": "a"}', b'{"id": "u3", "name": "b"}{"id": "u4", "name": "c"}'],
        [b'{"id": "u2", "name": "a", "chunks": [{"number": 1, "size": 2}', b'{"number": 2, "size": 2}]}', USUAL_LINE],
        [USUAL_LINE, b'{"type": "end", "uploads": 2}', b"\xff", b"[]", USUAL_LINE + b"\r"],
    ],
)
def test_lines_that_are_read_together_are_read_as_each_one_alone(lines: list[bytes]) -> None:
    assert [*parse_line_summaries(lines, NOW, TITLE)] == [read_fast(line) for line in lines]


@pytest.mark.parametrize(
    "line",
    [
        line_of(by="https://ada:hunter22@example.org"),
        line_of(project="token=abc123456"),
        line_of(content_type="bearer abc123456"),
        line_of(api_token="hunter22"),
        line_of(tags={"note": "password=hunter22"}),
        line_of(url="https://example.org/a?sig=1"),
        b'{"id": "u1", "name": "a", "tags": "\xff"}',
        b'{"id": "u1", "name": "a", "tags": %b}' % (b"[" * 500 + b"]" * 500),
        b'{"id": "u1", "name": "a", "tags": 1, "tags": 2}',
        b'{"id": "u1", "name": "a", "initiated_on": "2026-03-14T08:00:00Z", "initiated_on": null}',
        b'{"id": "u1", "name": "a", "by": "password=hunter22", "by": "Ada"}',
        b'{"id": "u1", "name": "a", "updated_on": "password=hunter22", "updated_on": null}',
        b'{"id": "u1", "name": "\\u0022\\u0022\\u0022\\u0022", "by": "password=hunter22", "by": "Ada"}',
    ],
)
def test_a_line_with_a_secret_or_that_cannot_be_read_is_not_stored_as_printed(line: bytes) -> None:
    usual, found = read_fast(USUAL_LINE), read_fast(line)
    assert usual is not None
    assert found is not None
    assert can_store_as_printed([usual])
    assert not can_store_as_printed([usual, found])


@pytest.mark.parametrize(("version", "is_known"), [(CONTRACT_VERSION, True), (CONTRACT_VERSION - 1, False)])
def test_lines_that_an_earlier_version_stored_are_read_again(version: int, *, is_known: bool) -> None:
    lines = [b'{"id": "a", "name": "a"}', b'{"id":"b","name":"b","stage":"error"}']
    page = stored_page(lines, TITLE).replace(b'"source":%d' % CONTRACT_VERSION, b'"source":%d' % version)
    assert [*printed_lines(page, TITLE)] == ([("a", lines[0]), ("b", lines[1])] if is_known else [])
    for line, payload in zip(lines, json.loads(page)["results"], strict=True):
        parsed = parse_line(line)
        assert isinstance(parsed, UploadLine)
        assert is_same_line(parsed, payload, TITLE) is is_known
        assert parse_raw(payload, read_on=NOW).id == parsed.id
