"""`tail`: one line per change, in order and without duplicates."""

import csv
import json
import select
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.programs import Response, Served, run, scripted_service, serving, started
from upload_tui.testing import an_upload

pytestmark = pytest.mark.e2e

CHANGE_FIELDS = ["at", "kind", "upload", "from", "to", "on", "certainty", "error_message", "detail"]
QUICK = {"UPLOAD_TUI_REFRESH": "0.1", "UPLOAD_TUI_REQUESTS_PER_MINUTE": "100000"}


@pytest.fixture(scope="module")
def service() -> Iterator[Served]:
    with serving() as served:
        yield served


def start_until_printed(service: Served, process: "subprocess.Popen[str]") -> dict[str, Any]:
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
        "/projects/p-1/uploads": [page, page, *[Response({"error": 503, "reason": "maintenance"}, 503)] * 3, page],
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
