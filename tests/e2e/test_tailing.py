"""`tail`: one line a change, in order, nothing twice, nothing that was never said."""

import csv
import json
import select
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.programs import Said, Served, run, scripted, serving, started
from upload_tui.testing import an_upload

pytestmark = pytest.mark.e2e

CHANGE_FIELDS = ["at", "kind", "upload", "from", "to", "on", "certainty", "error_message", "detail"]
QUICK = {"UPLOAD_TUI_REFRESH": "0.1"}


@pytest.fixture(scope="module")
def service() -> Iterator[Served]:
    with serving() as served:
        yield served


def begin_until_heard(service: Served, process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Begin uploads until one is told: whatever was there before the first look is silent, and nobody says when that was."""
    assert process.stdout is not None
    while not select.select([process.stdout], [], [], 0.5)[0]:
        assert process.poll() is None
        service.begin("marker.bin")
    heard: dict[str, Any] = json.loads(process.stdout.readline())
    return heard


def test_each_stage_is_told_once_and_in_order_when_an_upload_goes_through_them(service: Served) -> None:
    old = service.begin("old.bin")
    with started("tail", environment={**service.environment, **QUICK}) as process:
        assert process.stdout is not None
        records = [begin_until_heard(service, process)]
        new = service.finish(service.begin("new.bin"))
        service.finish(old)
        ended: set[str] = set()
        while ended != {old, new}:
            records.append(json.loads(process.stdout.readline()))
            if records[-1]["to"] == "verified":
                ended.add(records[-1]["upload"]["id"])
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out, err) == (130, "", "")
    assert all(list(record) == CHANGE_FIELDS for record in records)
    story = [
        ("seen", None, None),
        ("stage", None, "initiated"),
        ("stage", "initiated", "completed"),
        ("stage", "completed", "verified"),
    ]
    assert told_of(new, records) == story
    assert told_of(old, records) == story[2:]


def told_of(upload_id: str, records: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(record["kind"], record["from"], record["to"]) for record in records if record["upload"]["id"] == upload_id]


def test_only_a_stage_and_so_many_lines_are_told_when_they_are_asked_for(service: Served) -> None:
    options = ("--stage", "initiated", "--count", "2")
    with started("tail", *options, environment={**service.environment, **QUICK}) as process:
        begin_until_heard(service, process)
        service.begin()
        out, _ = process.communicate()
    assert process.returncode == 0
    assert [json.loads(line)["to"] for line in out.splitlines()] == ["initiated"]


def test_the_past_is_told_in_order_when_it_is_asked_for() -> None:
    with serving("--scenario", "stuck", "--speed", "0") as service:
        ended = service.run("tail", "--since", "3h", "--count", "30", environment=QUICK)
        failed = service.run("tail", "--since", "3h", "--stage", "error", "--count", "2", "-o", "csv")
    times = [record["on"] for record in ended.records]
    assert ended.code == 0
    assert len(times) == 30
    assert times == sorted(times)
    rows = list(csv.DictReader(failed.out.splitlines()))
    assert [row["to"] for row in rows] == ["error", "error"]
    assert all(row["error_message"] and row["upload_id"] for row in rows)


def test_trouble_is_said_beside_the_data_when_the_connection_breaks() -> None:
    page = {"results": [an_upload("a", id="u-1", project=("p-1", "Genome"))]}
    refusal = Said({"error": 401, "code": "not_provided", "reason": "expired api_token", "suggestion": "login"}, 401)
    answers = {
        "/projects": [Said({"results": [{"id": "p-1", "name": "Genome"}]})],
        "/projects/p-1/uploads": [Said(page), Said(page), refusal],
    }
    with scripted(answers) as service, started("tail", environment={**service.environment, **QUICK}) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert "not allowed" in line
    assert "expired api_token" in line
    assert out == ""


def test_the_end_of_the_trouble_is_said_too() -> None:
    page = Said({"results": [an_upload("a", id="u-1", project=("p-1", "Genome"))]})
    answers = {
        "/projects": [Said({"results": [{"id": "p-1", "name": "Genome"}]})],
        "/projects/p-1/uploads": [page, page, *[Said({"error": 503, "reason": "maintenance"}, 503)] * 3, page],
    }
    with scripted(answers) as service, started("tail", environment={**service.environment, **QUICK}) as process:
        assert process.stderr is not None
        said = [process.stderr.readline() for _ in range(2)]
    assert "maintenance" in said[0]
    assert said[1] == "upload-tui: live again.\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["--url", "http://127.0.0.1:9"], 3, id="unreachable"),
        pytest.param(["--project", "Nowhere"], 5, id="no-such-project"),
        pytest.param(["--count", "none"], 2, id="no-count"),
    ],
)
def test_the_exit_code_is_the_documented_one_when_it_goes_wrong(
    service: Served, arguments: list[str], code: int
) -> None:
    ended = service.run("tail", *arguments)
    assert (ended.code, ended.out) == (code, "")


def test_people_read_lines_when_they_ask_for_a_table() -> None:
    with serving("--scenario", "stuck", "--speed", "0") as service:
        ended = service.run("tail", "--since", "3h", "--stage", "error", "--count", "1", "-o", "table")
    assert "completed → error" in ended.out
    assert "reported chunk hash does not match" in ended.out
    assert run("tail", "--help").code == 0
