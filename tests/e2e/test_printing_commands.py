"""`list`, `show`, `projects` and `report`: fields, formats, filters and exit codes that scripts rely on."""

import csv
import io
import json
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.in_process import run_here
from tests.e2e.programs import Response, Served, run, scripted_service, serving
from tests.e2e.terminal import Terminal
from upload_tui.cli.access.service import open_store
from upload_tui.monitor import Acknowledgement
from upload_tui.settings import Flags, SettingsPaths, read_settings
from upload_tui.testing import an_upload

pytestmark = pytest.mark.e2e

UPLOAD_FIELDS = [
    "id", "name", "size_bytes", "content_type", "project", "service", "stage", "stage_since", "stage_since_certainty",
    "error_message", "timeline", "chunks", "overdue", "stuck", "acknowledged", "acknowledgement", "trouble", "anomalies", "as_of",
    "ended", "updated_on", "stale", "least_age", "gone", "purged", "purged_on",
]  # fmt: skip
STAGES = {"initiated", "completed", "verified", "error"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A service with a history of uploads and a paused clock."""
    with serving("--scenario", "stuck", "--speed", "0") as served:
        yield served


@pytest.fixture(scope="module")
def uploads(served: Served) -> list[dict[str, Any]]:
    return served.run("list").records


def test_list_has_all_fields_with_their_types(uploads: list[dict[str, Any]]) -> None:
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


def test_all_formats_have_the_same_uploads(served: Served, uploads: list[dict[str, Any]]) -> None:
    ids = [upload["id"] for upload in uploads]
    as_json = json.loads(served.run("list", "-o", "json").out)
    rows = list(csv.DictReader(io.StringIO(served.run("list", "-o", "csv").out)))
    table = served.run("list", "-o", "table").out.splitlines()
    assert [upload["id"] for upload in as_json] == ids
    assert [row["id"] for row in rows] == ids
    assert {row["stuck"] for row in rows} == {"true", "false"}
    assert all(row["verified_on"] for row in rows if row["stage"] == "verified")
    assert table[0].split() == ["STAGE", "SINCE", "AGE", "SIZE", "PROJECT", "ID", "NAME", "NOTE"]
    assert all(upload_id in line for upload_id, line in zip(ids, table[1:], strict=True))


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_list_filters_by_stage(served: Served, uploads: list[dict[str, Any]], stage: str) -> None:
    found = served.run("list", "--stage", stage).records
    assert found
    assert [upload["id"] for upload in found] == [upload["id"] for upload in uploads if upload["stage"] == stage]


def test_list_sorts_searches_and_limits(served: Served, uploads: list[dict[str, Any]]) -> None:
    by_name = [upload["name"] for upload in served.run("list", "--sort", "name").records]
    assert by_name == sorted(by_name, key=str.casefold)
    reverse = [upload["name"] for upload in served.run("list", "--sort", "name", "--reverse").records]
    assert reverse == by_name[::-1]
    sizes = [upload["size_bytes"] for upload in served.run("list", "--sort", "size", "--limit", "3").records]
    assert sizes == sorted((upload["size_bytes"] for upload in uploads), reverse=True)[:3]
    some = uploads[3]
    assert [upload["id"] for upload in served.run("list", "--search", some["name"][1:].upper()).records] == [some["id"]]


def test_list_and_report_select_by_a_query(served: Served, uploads: list[dict[str, Any]]) -> None:
    found = served.run("list", "--where", "stage:verified,error -is:stuck size>1KB").records
    expected = [one["id"] for one in uploads if one["stage"] in {"verified", "error"} and one["size_bytes"] > 1000]
    assert [upload["id"] for upload in found] == expected
    report = served.run("report", "--where", "is:failed", "-o", "jsonl").records[0]
    assert report["total"] == report["stages"]["error"] > 0


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("list --fields id,id", "--fields names id twice"),
        ("list --fields id,,name", "A name in --fields is empty"),
        ("list --where is:marked", "is:marked is only for the dashboard"),
        ("report --prometheus -o json", "Both --prometheus and --output are given"),
    ],
)
def test_options_that_contradict_are_refused(capsys: pytest.CaptureFixture[str], command: str, said: str) -> None:
    result = run_here(capsys, *command.split(), "--url", "http://127.0.0.1:9")
    assert (result.code, result.out, said in result.err) == (2, "", True)


def test_report_names_its_query(served: Served) -> None:
    assert " that match is:failed, as of " in served.run("report", "--where", "is:failed", "-o", "table").out


@pytest.mark.parametrize(
    ("query", "code", "stage", "said"),
    [
        ("stage:verified", 0, "verified", ""),
        ("stage:error", 1, "error", "to see why: upload-tui show"),
        ("name:zzz", 5, "", "no upload matches 'name:zzz'."),
    ],
    ids=["verified", "failed", "none"],
)
def test_wait_counts_matches_that_have_ended(
    served: Served, uploads: list[dict[str, Any]], query: str, code: int, stage: str, said: str
) -> None:
    result = served.run("wait", "--where", query)
    assert (result.code, said in result.err) == (code, True)
    assert {one["id"] for one in result.records} == {one["id"] for one in uploads if one["stage"] == stage}


@pytest.mark.parametrize(
    ("command", "query", "lines"),
    [
        ("list", "scan sise>1", ["There is no field sise.", "  scan sise>1", "       ^ Did you mean size?"]),
        (
            "report",
            "stage:verifed",
            ["verifed is no value of stage.", "  stage:verifed", "        ^ Did you mean verified?"],
        ),
        ("tail", 'É "a', ["A quotation mark is not closed.", '  É "a', '    ^ Write " at the end.']),
        ("wait", "a OR", ["Something is missing at the end.", "  a OR", "      ^ Write a word or a field."]),
    ],
)
def test_a_mistake_in_a_query_has_a_caret(served: Served, command: str, query: str, lines: list[str]) -> None:
    result = served.run(command, "--where", query)
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines() == [f"upload-tui: {lines[0]}", *lines[1:]]


def test_list_filters_by_trouble_and_since(served: Served, uploads: list[dict[str, Any]]) -> None:
    troubled = served.run("list", "--stuck").records
    assert {upload["id"] for upload in troubled} == {upload["id"] for upload in uploads if upload["trouble"]}
    assert {upload["trouble"] for upload in troubled} == {"stuck", "failed"}
    found = served.run("list", "--where", "is:trouble").records
    assert [upload["id"] for upload in found] == [upload["id"] for upload in troubled]
    assert {upload["trouble"] for upload in served.run("list", "--where", "is:stuck").records} == {"stuck"}
    since = datetime.now(UTC) - timedelta(minutes=50)
    expected = [upload["id"] for upload in uploads if _initiated(upload) >= since]
    assert [upload["id"] for upload in served.run("list", "--since", "50m").records] == expected
    assert [upload["id"] for upload in served.run("list", "--since", since.isoformat()).records] == expected


def _initiated(upload: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(upload["timeline"][0]["on"])


def test_fail_on_error_is_exit_code_1(served: Served) -> None:
    assert served.run("list").code == 0
    failed = served.run("list", "--fail-on-error", "--url", served.environment["UPLOAD_TUI_URL"])
    assert failed.code == 1
    command = failed.err.removeprefix("upload-tui: to see why: upload-tui ")
    assert f"show --url {served.environment['UPLOAD_TUI_URL']} " in command
    shown = served.run(*shlex.split(command))
    assert shown.code == 0
    assert all(record["stage"] == "error" for record in shown.records)
    assert served.run("list", "--fail-on-error", "--stage", "verified").code == 0
    assert served.run("report", "--fail-on-error").code == 1


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
def test_errors_have_the_documented_exit_code(served: Served, command: list[str], code: int) -> None:
    result = served.run(*command)
    assert result.code == code
    assert result.out == ""
    assert 0 < len(result.err.splitlines()) <= 4


def test_wrong_token_is_exit_code_4(served: Served) -> None:
    result = served.run("list", environment={"UPLOAD_TUI_TOKEN": "s3cret"})
    assert (result.code, result.out) == (4, "")
    assert "s3cret" not in result.err


def test_show_prints_everything(served: Served, uploads: list[dict[str, Any]]) -> None:
    failed = next(upload for upload in uploads if upload["stage"] == "error")
    (record,) = served.run("show", failed["id"]).records
    assert list(record) == [*UPLOAD_FIELDS, "chunk_list", "hashes", "raw"]
    assert [chunk["number"] for chunk in record["chunk_list"]] == list(range(1, record["chunks"]["count"] + 1))
    assert record["raw"]["id"] == failed["id"]
    page = served.run("show", failed["id"], "-o", "table").out
    assert failed["error_message"] in page
    assert all(chunk["digest"] in page for chunk in record["chunk_list"])


def test_show_and_list_agree_on_each_upload(
    served: Served, uploads: list[dict[str, Any]], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is usual, and what is acknowledged, is in the cache."""
    failed = next(upload["id"] for upload in uploads if upload["trouble"] == "failed")
    assert served.run("list").code == 0
    for name, value in served.environment.items():
        monkeypatch.setenv(name, value)
    settings = read_settings(os.environ, Flags(), SettingsPaths(home / "none", home / "none"))
    with closing(open_store(settings)) as store:
        store.acknowledge([failed], Acknowledgement("seen"))
    listed = {record["id"]: record for record in served.run("list").records}
    shown = {record["id"]: record for record in served.run("show", *listed).records}
    same = [name for name in UPLOAD_FIELDS if name != "as_of"]
    assert [[shown[one][name] for name in same] for one in listed] == [
        [record[name] for name in same] for record in listed.values()
    ]
    assert {record["trouble"] for record in shown.values()} >= {"stuck", None}
    assert shown[failed]["acknowledged"]


def test_show_prints_each_upload_once(served: Served, uploads: list[dict[str, Any]]) -> None:
    ids = [uploads[0]["id"], uploads[4]["id"], uploads[0]["id"]]
    assert [record["id"] for record in served.run("show", *ids).records] == ids[:2]


def test_show_masks_signed_urls() -> None:
    signed = {"http_verb": "PUT", "host": "https://s.test", "url": "/x?signature=h1dden", "http_headers": []}
    with scripted_service(
        {"/uploads/u-1": [Response(an_upload("a", id="u-1", chunks=None, signed_url=signed))]}
    ) as service:
        for output in ("json", "jsonl", "csv", "table"):
            result = run("show", "u-1", "-o", output, environment=service.environment)
            assert result.code == 0
            assert "h1dden" not in result.out + result.err


def test_projects_are_listed(served: Served) -> None:
    assert served.run("projects").records == [served.facts["project"]]


def test_report_is_consistent(served: Served, uploads: list[dict[str, Any]]) -> None:
    (record,) = served.run("report").records
    assert record["total"] == sum(record["stages"].values()) == len(uploads)
    assert set(record["stages"]) == STAGES
    assert set(record["stuck"]) == {upload["id"] for upload in uploads if upload["stuck"]}
    assert sum(cause["count"] for cause in record["causes"]) == record["stages"]["error"]
    for latency in record["latencies"]:
        assert latency["p50_seconds"] <= latency["p95_seconds"] <= latency["p99_seconds"]
    assert record["changes"] is None


def test_report_since_the_last_one(served: Served) -> None:
    (first,) = served.run("report", "--since", "last").records
    (second,) = served.run("report", "--since", "last").records
    assert first["changes"]["since"] is None
    assert len(first["changes"]["new"]) == first["total"]
    assert second["changes"]["since"] == first["as_of"]
    assert [second["changes"][key] for key in ("new", "verified", "failed", "newly_overdue")] == [[], [], [], []]


def test_report_since_a_time(served: Served, uploads: list[dict[str, Any]]) -> None:
    (record,) = served.run("report", "--since", "50m").records
    since = datetime.now(UTC) - timedelta(minutes=50)
    assert record["changes"]["new"] == [upload["id"] for upload in uploads if _initiated(upload) >= since]
    assert set(record["changes"]["failed"]) < {upload["id"] for upload in uploads if upload["stage"] == "error"}


def test_list_shows_the_cache_while_offline() -> None:
    with serving() as served:
        upload_id = served.begin("kept.bin")
        assert [upload["id"] for upload in served.run("list").records] == [upload_id]
        environment = served.environment
    result = run("list", environment=environment)
    assert result.code == 0
    assert [upload["id"] for upload in result.records] == [upload_id]
    assert "offline" in result.err
    assert "last session" in result.err


def test_untrusted_text_is_sanitized_in_tables() -> None:
    hostile = "a\x1b]0;owned\x07\x1b[31m\u202egnp.exe\r\nb"
    upload = an_upload(hostile, id="u-1", completed=60, error=30, message=f"bad {hostile}")
    answers = {"/uploads/u-1": [Response(upload)]}
    with scripted_service(answers) as service:
        page = run("show", "u-1", "-o", "table", environment=service.environment).out
        (record,) = run("show", "u-1", environment=service.environment).records
    assert not set(page) & set("\x1b\x07\u202e\r")
    assert record["name"] == hostile


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_table_fits_the_terminal(served: Served, columns: int) -> None:
    with Terminal("list", columns=columns, lines=60, environment=served.environment) as terminal:
        assert terminal.wait_for_end() == 0
        text = terminal.text
        painted = terminal.painted.decode()
    ids = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", text)
    if columns >= 80:
        assert len(ids) == 14
        assert all(len(line.rstrip("\r")) <= columns for line in painted.splitlines())
    assert ("upload-tui: the terminal is too narrow" in text.replace("\n", "")) == (columns < 200)
    assert "\x1b[3" not in painted


FORMS = ["json", "jsonl", "csv", "tsv", "table"]


@pytest.mark.parametrize("form", FORMS)
def test_fields_are_chosen_in_every_format(served: Served, uploads: list[dict[str, Any]], form: str) -> None:
    out = served.run("list", "--limit", "3", "--fields", "id,project.name,chunk_count", "-o", form).out
    expected = [[one["id"], one["project"]["name"], one["chunks"]["count"]] for one in uploads[:3]]
    lines = out.splitlines()
    match form:
        case "json":
            assert [list(record.values()) for record in json.loads(out)] == expected
        case "jsonl":
            assert [list(json.loads(line).values()) for line in lines] == expected
        case "csv" | "tsv":
            rows = [*csv.reader(lines, delimiter="\t" if form == "tsv" else ",")]
            assert rows == [["id", "project.name", "chunk_count"], *([*map(str, row)] for row in expected)]
        case _:
            assert lines[0].split() == ["ID", "PROJECT.NAME", "CHUNK_COUNT"]
            assert [line.split()[0] for line in lines[1:]] == [row[0] for row in expected]


@pytest.mark.parametrize(
    ("line", "name", "nearest"),
    [
        ("list --fields {}", "nam", "name"),
        ("show x --fields {}", "hases", "hashes"),
        ("wait x --fields {}", "project.nam", "project.name"),
        ("tail --fields {}", "upload.nam", "upload.name"),
        ("tail --fields {}", "id", "upload.id"),
        ("report --fields {}", "servise", "service"),
        ("projects --fields {}", "nme", "name"),
        ("doctor --fields {}", "chek", "check"),
        ("source check --fields {} -- touch run", "problem", "problems"),
        ("config show --fields {}", "valu", "value"),
    ],
)
def test_an_unknown_field_is_found_before_the_first_request(
    line: str,
    name: str,
    nearest: str,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UPLOAD_TUI_TOKEN", "t0ken")
    with scripted_service({}) as service:
        monkeypatch.setenv("UPLOAD_TUI_URL", service.url)
        result = run_here(capfd, *line.format(name).split())
    assert (result.code, service.requests, [*tmp_path.glob("run")]) == (2, [], [])
    assert f"There is no field {name}.\n  Did you mean {nearest}?\n" in result.err


def test_a_tsv_has_no_quotes(served: Served) -> None:
    lines = served.run("list", "-o", "tsv").out.splitlines()
    assert lines
    assert {line.count("\t") for line in lines} == {lines[0].count("\t")}
