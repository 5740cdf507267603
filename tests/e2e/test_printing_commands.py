"""`list`, `show`, `projects` and `report`: fields, formats, filters and exit codes that scripts rely on."""

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.programs import Said, Served, run, scripted, serving
from tests.e2e.terminal import Terminal
from upload_tui.testing import an_upload

pytestmark = pytest.mark.e2e

UPLOAD_FIELDS = [
    "id", "name", "size_bytes", "content_type", "project", "service", "stage", "stage_since", "error_message", "timeline",
    "chunks", "overdue", "stuck", "anomalies", "as_of",
]  # fmt: skip
STAGES = {"initiated", "completed", "verified", "error"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(scope="module")
def morning() -> Iterator[Served]:
    """A service with a morning's uploads behind it, on a clock that stands still."""
    with serving("--scenario", "stuck", "--speed", "0") as served:
        yield served


@pytest.fixture(scope="module")
def uploads(morning: Served) -> list[dict[str, Any]]:
    return morning.run("list").records


def test_every_field_is_there_and_of_its_type_when_uploads_are_listed(uploads: list[dict[str, Any]]) -> None:
    assert {upload["stage"] for upload in uploads} == STAGES
    for upload in uploads:
        assert list(upload) == UPLOAD_FIELDS
        assert isinstance(upload["size_bytes"], int)
        assert set(upload["project"]) == {"id", "name"}
        assert TIME.fullmatch(upload["stage_since"])
        assert TIME.fullmatch(upload["as_of"])
        assert (upload["error_message"] is not None) == (upload["stage"] == "error")
        assert upload["timeline"][-1]["stage"] == upload["stage"]
        for event in upload["timeline"]:
            assert set(event) == {"stage", "on", "certainty", "earliest", "latest"}
            assert event["certainty"] in {"reported", "estimated", "observed"}
        assert set(upload["chunks"]) == {"count", "size_bytes"}
        assert (upload["overdue"], upload["stuck"]) in {(False, False), (True, False), (True, True), (False, True)}


def test_the_same_uploads_are_told_when_the_format_is_another(morning: Served, uploads: list[dict[str, Any]]) -> None:
    ids = [upload["id"] for upload in uploads]
    as_json = json.loads(morning.run("list", "-o", "json").out)
    rows = list(csv.DictReader(io.StringIO(morning.run("list", "-o", "csv").out)))
    table = morning.run("list", "-o", "table").out.splitlines()
    assert [upload["id"] for upload in as_json] == ids
    assert [row["id"] for row in rows] == ids
    assert {row["stuck"] for row in rows} == {"true", "false"}
    assert all(row["verified_on"] for row in rows if row["stage"] == "verified")
    assert table[0].split() == ["STAGE", "SINCE", "AGE", "SIZE", "PROJECT", "ID", "NAME", "NOTE"]
    assert all(upload_id in line for upload_id, line in zip(ids, table[1:], strict=True))


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_only_a_stage_is_listed_when_it_is_asked_for(
    morning: Served, uploads: list[dict[str, Any]], stage: str
) -> None:
    found = morning.run("list", "--stage", stage).records
    assert found
    assert [upload["id"] for upload in found] == [upload["id"] for upload in uploads if upload["stage"] == stage]


def test_order_search_and_limit_hold_when_they_are_asked_for(morning: Served, uploads: list[dict[str, Any]]) -> None:
    by_name = [upload["name"] for upload in morning.run("list", "--sort", "name").records]
    assert by_name == sorted(by_name, key=str.casefold)
    reverse = [upload["name"] for upload in morning.run("list", "--sort", "name", "--reverse").records]
    assert reverse == by_name[::-1]
    sizes = [upload["size_bytes"] for upload in morning.run("list", "--sort", "size", "--limit", "3").records]
    assert sizes == sorted((upload["size_bytes"] for upload in uploads), reverse=True)[:3]
    some = uploads[3]
    assert [upload["id"] for upload in morning.run("list", "--search", some["name"][1:].upper()).records] == [
        some["id"]
    ]


def test_only_what_is_asked_for_is_listed_when_it_is_stuck_or_recent(
    morning: Served, uploads: list[dict[str, Any]]
) -> None:
    stuck = morning.run("list", "--stuck").records
    assert {upload["id"] for upload in stuck} == {upload["id"] for upload in uploads if upload["stuck"]}
    assert {upload["stage"] for upload in stuck} == {"initiated", "completed"}
    since = datetime.now(UTC) - timedelta(minutes=50)
    expected = [upload["id"] for upload in uploads if _initiated(upload) >= since]
    assert [upload["id"] for upload in morning.run("list", "--since", "50m").records] == expected
    assert [upload["id"] for upload in morning.run("list", "--since", since.isoformat()).records] == expected


def _initiated(upload: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(upload["timeline"][0]["on"])


def test_the_exit_code_tells_of_errors_only_when_it_is_asked_to(morning: Served) -> None:
    assert morning.run("list").code == 0
    assert morning.run("list", "--fail-on-error").code == 1
    assert morning.run("list", "--fail-on-error", "--stage", "verified").code == 0
    assert morning.run("report", "--fail-on-error").code == 1


@pytest.mark.parametrize(
    ("command", "code"),
    [
        pytest.param(["list", "--project", "Nowhere"], 5, id="no-such-project"),
        pytest.param(["show", "no-such-upload"], 5, id="no-such-upload"),
        pytest.param(["list", "--url", "http://127.0.0.1:9"], 3, id="unreachable"),
        pytest.param(["show", "x", "--url", "http://127.0.0.1:9"], 3, id="show-unreachable"),
        pytest.param(["projects", "--url", "http://127.0.0.1:9"], 3, id="projects-unreachable"),
        pytest.param(["list", "--stage", "done"], 2, id="no-such-stage"),
        pytest.param(["list", "--since", "yesterday"], 2, id="no-such-time"),
        pytest.param(["list", "--limit", "0"], 2, id="no-limit"),
        pytest.param(["show"], 2, id="nothing-to-show"),
        pytest.param(["list", "-o", "xml"], 2, id="no-such-format"),
        pytest.param(["list", "--profile", "nowhere"], 2, id="no-such-profile"),
    ],
)
def test_the_exit_code_is_the_documented_one_when_it_goes_wrong(morning: Served, command: list[str], code: int) -> None:
    ended = morning.run(*command)
    assert ended.code == code
    assert ended.out == ""
    assert 0 < len(ended.err.splitlines()) <= 4


def test_not_allowed_is_told_when_the_token_is_wrong(morning: Served) -> None:
    ended = morning.run("list", environment={"UPLOAD_TUI_TOKEN": "s3cret"})
    assert (ended.code, ended.out) == (4, "")
    assert "s3cret" not in ended.err


def test_everything_is_told_when_one_upload_is_shown(morning: Served, uploads: list[dict[str, Any]]) -> None:
    failed = next(upload for upload in uploads if upload["stage"] == "error")
    (record,) = morning.run("show", failed["id"]).records
    assert list(record) == [*UPLOAD_FIELDS, "chunk_list", "hashes", "raw"]
    assert [chunk["number"] for chunk in record["chunk_list"]] == list(range(1, record["chunks"]["count"] + 1))
    assert record["raw"]["id"] == failed["id"]
    page = morning.run("show", failed["id"], "-o", "table").out
    assert failed["error_message"] in page
    assert all(chunk["digest"] in page for chunk in record["chunk_list"])


def test_each_is_shown_once_when_several_are_named(morning: Served, uploads: list[dict[str, Any]]) -> None:
    ids = [uploads[0]["id"], uploads[4]["id"], uploads[0]["id"]]
    assert [record["id"] for record in morning.run("show", *ids).records] == ids[:2]


def test_a_signed_url_stays_secret_when_an_upload_is_shown() -> None:
    signed = {"http_verb": "PUT", "host": "https://s.test", "url": "/x?signature=h1dden", "http_headers": []}
    with scripted({"/uploads/u-1": [Said(an_upload("a", id="u-1", chunks=None, signed_url=signed))]}) as service:
        for output in ("json", "jsonl", "csv", "table"):
            ended = run("show", "u-1", "-o", output, environment=service.environment)
            assert ended.code == 0
            assert "h1dden" not in ended.out + ended.err


def test_projects_are_listed_when_the_account_sees_some(morning: Served) -> None:
    assert morning.run("projects").records == [morning.facts["project"]]


def test_figures_add_up_when_a_report_is_printed(morning: Served, uploads: list[dict[str, Any]]) -> None:
    (record,) = morning.run("report").records
    assert record["total"] == sum(record["stages"].values()) == len(uploads)
    assert set(record["stages"]) == STAGES
    assert set(record["stuck"]) == {upload["id"] for upload in uploads if upload["stuck"]}
    assert sum(cause["count"] for cause in record["causes"]) == record["stages"]["error"]
    for latency in record["latencies"]:
        assert latency["p50_seconds"] <= latency["p95_seconds"] <= latency["p99_seconds"]
    assert record["news"] is None


def test_only_what_is_new_is_told_when_it_is_asked_since_the_last_look(morning: Served) -> None:
    (first,) = morning.run("report", "--since", "last").records
    (second,) = morning.run("report", "--since", "last").records
    assert first["news"]["since"] is None
    assert len(first["news"]["new"]) == first["total"]
    assert second["news"]["since"] == first["as_of"]
    assert [second["news"][key] for key in ("new", "verified", "failed", "newly_overdue")] == [[], [], [], []]


def test_what_is_new_since_a_time_is_told_without_a_last_look(morning: Served, uploads: list[dict[str, Any]]) -> None:
    (record,) = morning.run("report", "--since", "50m").records
    since = datetime.now(UTC) - timedelta(minutes=50)
    assert record["news"]["new"] == [upload["id"] for upload in uploads if _initiated(upload) >= since]
    assert set(record["news"]["failed"]) < {upload["id"] for upload in uploads if upload["stage"] == "error"}


def test_metrics_are_in_a_collectors_format_when_they_are_asked_for(morning: Served) -> None:
    lines = morning.run("report", "--prometheus").out.splitlines()
    sample = re.compile(r'upload_tui_\w+\{(\w+="[^"]*",?)+\} \d+(\.\d+)?')
    assert lines
    assert all(line.startswith(("# HELP ", "# TYPE ")) or sample.fullmatch(line) for line in lines)


def test_the_last_visit_is_listed_when_the_service_is_gone() -> None:
    with serving() as served:
        upload_id = served.begin("kept.bin")
        assert [upload["id"] for upload in served.run("list").records] == [upload_id]
        environment = served.environment
    ended = run("list", environment=environment)
    assert ended.code == 0
    assert [upload["id"] for upload in ended.records] == [upload_id]
    assert "offline" in ended.err
    assert "last visit" in ended.err


def test_text_from_outside_is_harmless_when_people_read_it() -> None:
    hostile = "a\x1b]0;owned\x07\x1b[31m\u202egnp.exe\r\nb"
    upload = an_upload(hostile, id="u-1", completed=60, error=30, message=f"bad {hostile}")
    answers = {"/uploads/u-1": [Said(upload)]}
    with scripted(answers) as service:
        page = run("show", "u-1", "-o", "table", environment=service.environment).out
        (record,) = run("show", "u-1", environment=service.environment).records
    assert not set(page) & set("\x1b\x07\u202e\r")
    assert record["name"] == hostile


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_lines_fit_when_the_terminal_has_room_for_the_ids(morning: Served, columns: int) -> None:
    with Terminal("list", columns=columns, lines=60, environment=morning.environment) as terminal:
        assert terminal.wait_for_end() == 0
        text = terminal.text
        painted = terminal.painted.decode()
    ids = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", text)
    if columns >= 80:
        assert len(ids) == 14
        assert all(len(line.rstrip("\r")) <= columns for line in painted.splitlines())
    assert ("upload-tui: the terminal is too narrow" in text.replace("\n", "")) == (columns < 200)
    assert "\x1b[3" not in painted
