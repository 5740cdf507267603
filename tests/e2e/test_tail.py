"""`tail`: one line per change, in order and without duplicates."""

import csv
import json
import select
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.in_process import run_here
from tests.e2e.programs import Process, Response, Served, run, scripted_service, serving, started
from upload_tui.testing import an_upload

pytestmark = pytest.mark.e2e

CHANGE_FIELDS = [
    "at",
    "kind",
    "upload",
    "from",
    "to",
    "on",
    "certainty",
    "error_message",
    "detail",
    "earliest",
    "latest",
]
QUICK = {"UPLOAD_TUI_REFRESH": "0.1", "UPLOAD_TUI_REQUESTS_PER_MINUTE": "100000"}


@pytest.fixture(scope="module")
def service() -> Iterator[Served]:
    with serving() as served:
        yield served


def start_until_printed(service: Served, process: Process) -> dict[str, Any]:
    """Start uploads until one is printed: those that exist at the first poll are not, and its time is unknown."""
    assert process.stdout is not None
    while not select.select([process.stdout], [], [], 0.5)[0]:
        assert process.poll() is None
        service.begin("marker.bin")
    record: dict[str, Any] = json.loads(process.stdout.readline())
    return record


def test_each_stage_is_printed_once_and_in_order(service: Served) -> None:
    old = service.begin("old.bin")
    with started("tail", environment={**service.environment, **QUICK}) as process:
        assert process.stdout is not None
        records = [start_until_printed(service, process)]
        new = service.finish(service.begin("new.bin"))
        service.finish(old)
        verified: set[str] = set()
        while verified != {old, new}:
            records.append(json.loads(process.stdout.readline()))
            if records[-1]["to"] == "verified":
                verified.add(records[-1]["upload"]["id"])
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out, err) == (130, "", "")
    assert all(list(record) == CHANGE_FIELDS for record in records)
    stages = [
        ("seen", None, None),
        ("stage", None, "initiated"),
        ("stage", "initiated", "completed"),
        ("stage", "completed", "verified"),
    ]
    assert stages_of(new, records) == stages
    assert stages_of(old, records) == stages[2:]


def stages_of(upload_id: str, records: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(record["kind"], record["from"], record["to"]) for record in records if record["upload"]["id"] == upload_id]


def test_tail_filters_by_stage_and_limits_lines(service: Served) -> None:
    options = ("--stage", "initiated", "--count", "2")
    with started("tail", *options, environment={**service.environment, **QUICK}) as process:
        start_until_printed(service, process)
        service.begin()
        out, _ = process.communicate()
    assert process.returncode == 0
    assert [json.loads(line)["to"] for line in out.splitlines()] == ["initiated"]


def test_since_prints_past_changes_in_order() -> None:
    with serving("--scenario", "stuck", "--speed", "0") as service:
        result = service.run("tail", "--since", "3h", "--count", "30", environment=QUICK)
        failed = service.run("tail", "--since", "3h", "--stage", "error", "--count", "2", "-o", "csv")
    times = [record["on"] for record in result.records]
    assert result.code == 0
    assert len(times) == 30
    assert times == sorted(times)
    rows = list(csv.DictReader(failed.out.splitlines()))
    assert [row["to"] for row in rows] == ["error", "error"]
    assert all(row["error_message"] and row["upload_id"] for row in rows)


def test_connection_error_goes_to_standard_error() -> None:
    page = {"results": [an_upload("a", id="u-1", project=("p-1", "Genome"))]}
    refusal = Response(
        {"error": 401, "code": "not_provided", "reason": "expired api_token", "suggestion": "login"}, 401
    )
    answers = {
        "/projects": [Response({"results": [{"id": "p-1", "name": "Genome"}]})],
        "/projects/p-1/uploads": [Response(page), Response(page), refusal],
    }
    with scripted_service(answers) as service, started("tail", environment={**service.environment, **QUICK}) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert "not allowed" in line
    assert "expired api_token" in line
    assert out == ""


def test_recovered_connection_goes_to_standard_error() -> None:
    page = Response({"results": [an_upload("a", id="u-1", project=("p-1", "Genome"))]})
    answers = {
        "/projects": [Response({"results": [{"id": "p-1", "name": "Genome"}]})],
        "/projects/p-1/uploads": [page, page, *[Response({"error": 503, "reason": "maintenance"}, 503)] * 5, page],
    }
    with scripted_service(answers) as service, started("tail", environment={**service.environment, **QUICK}) as process:
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in range(2)]
    assert "maintenance" in lines[0]
    assert lines[1] == "upload-tui: live again.\n"


def test_a_deleted_project_is_reported_once_and_the_others_go_on() -> None:
    gone = Response({"error": 404, "code": "not_provided", "reason": "Project Not Found"}, 404)
    pages = [
        Response({"results": [an_upload(f"{n}", project=("p-1", "Genome")) for n in range(k)]}) for k in range(150)
    ]
    answers = {
        "/projects": [Response({"results": [{"id": "p-1", "name": "Genome"}, {"id": "p-2", "name": "Proteome"}]})],
        "/projects/p-1/uploads": pages,
        "/projects/p-2/uploads": [Response({"results": []}), gone],
    }
    with scripted_service(answers) as service:
        result = run("tail", "--count", "200", environment={**service.environment, **QUICK})
    assert result.code == 5
    assert len(result.records) == 200
    assert result.err.count("The service no longer has Proteome") == 1
    assert "live again" not in result.err


def test_a_service_that_is_busy_at_first_is_followed() -> None:
    busy = Response({"error": 503, "reason": "maintenance"}, 503, {"Retry-After": "0"})
    answers = {
        "/projects": [*[busy] * 4, Response({"results": [{"id": "p-1", "name": "Genome"}]})],
        "/projects/p-1/uploads": [busy, Response({"results": [an_upload("a", project=("p-1", "Genome"))]})],
    }
    with scripted_service(answers) as service:
        result = run("tail", "--since", "9999d", "--count", "1", environment={**service.environment, **QUICK})
    assert (result.code, len(result.records)) == (0, 1)
    assert "maintenance" in result.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["--url", "http://127.0.0.1:9"], 3, id="unreachable"),
        pytest.param(["--project", "Nowhere"], 5, id="no-such-project"),
        pytest.param(["--count", "none"], 2, id="no-count"),
    ],
)
def test_errors_have_the_documented_exit_code(service: Served, arguments: list[str], code: int) -> None:
    result = service.run("tail", *arguments)
    assert (result.code, result.out) == (code, "")


def test_table_has_one_line_per_change() -> None:
    with serving("--scenario", "stuck", "--speed", "0") as service:
        result = service.run("tail", "--since", "3h", "--stage", "error", "--count", "1", "-o", "table")
    assert "completed → error" in result.out
    assert "reported chunk hash does not match" in result.out
    assert run("tail", "--help").code == 0


# Single uploads, to their end


def lives(upload_id: str, *lives: dict[str, Any]) -> list[Response]:
    """What the service answers, one after the other; the last answer is repeated."""
    return [Response(an_upload(upload_id, id=upload_id, **facts)) for facts in lives]


GOOD = lives("good", {}, {"completed": 60}, {"completed": 60, "verified": 30})
BAD = lives("bad", {"completed": 50}, {"completed": 50, "error": 20, "message": "reported hash differs"})
NEW = [
    Response({"error": 404, "code": "resource_not_consistent", "reason": "wait", "suggestion": "retry"}, 404),
    *lives("new", {}, {"completed": 60, "verified": 30}),
]
OVER = lives("over", {"completed": 60, "verified": 30})


@pytest.mark.parametrize(
    ("arguments", "code", "printed", "reported"),
    [
        (["good"], 0, ["good completed", "good verified"], ""),
        (["good", "bad"], 1, ["bad error", "good completed", "good verified"], "to see why: upload-tui show bad\n"),
        (["new"], 0, ["new initiated", "new completed", "new verified"], ""),
        (["over"], 0, [], "over had already ended: verified"),
        (["over", "--since", "9999d"], 0, ["over initiated", "over completed", "over verified"], ""),
        (["good", "none"], 5, ["good completed", "good verified"], "no such upload: 'none'"),
        (["none", "bad"], 1, ["bad error"], "no such upload: 'none'"),
        (["good", "bad", "--stage", "error"], 1, ["bad error"], "to see why: upload-tui show bad\n"),
        (["good", "--count", "1"], 0, ["good completed"], ""),
        (
            ["good", "bad", "--where", "-bad"],
            1,
            ["good completed", "good verified"],
            "to see why: upload-tui show bad\n",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_uploads_are_followed_to_their_end(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    printed: list[str],
    reported: str,
) -> None:
    answers = {"/uploads/good": GOOD, "/uploads/bad": BAD, "/uploads/new": NEW, "/uploads/over": OVER}
    with scripted_service(answers) as service:
        for name, value in {**service.environment, **QUICK, "UPLOAD_TUI_REFRESH": "0.01"}.items():
            monkeypatch.setenv(name, value)
        result = run_here(capsys, "tail", *arguments)
    found = [record for record in result.records if record["kind"] == "stage"]
    found.sort(
        key=lambda record: str(record["upload"]["id"])
    )  # the order of two uploads in one round is that of the answers
    assert (result.code, [f"{record['upload']['id']} {record['to']}" for record in found]) == (code, printed)
    assert reported in result.err
    assert bool(result.err) is bool(reported or "new" in arguments)


def test_an_upload_of_a_source_is_followed_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each run of the source lists the upload in its next stage."""
    program = (
        "import json, pathlib, sys; file = pathlib.Path(sys.argv[1]); file.touch(); runs = file.stat().st_size; "
        "file.write_text('x' * (runs + 1)); stage = ['initiated', 'completed', 'verified'][min(runs, 2)]; "
        "print(json.dumps({'id': '1', 'name': 'a', 'stage': stage})); print(json.dumps({'id': '2', 'name': 'b', 'stage': stage}))"
    )
    monkeypatch.setenv("UPLOAD_TUI_REFRESH", "0.01")
    command = shlex.join([sys.executable, "-c", program, str(tmp_path / "runs")])
    result = run_here(capsys, "tail", "1", "--command", command)
    stages = [(record["upload"]["id"], record["to"]) for record in result.records]
    assert (result.code, stages, result.err) == (0, [("1", "completed"), ("1", "verified")], "")
