"""No command succeeds silently while the service lists uploads that cannot be read."""

from typing import Any

import pytest

from tests.e2e.programs import Response, run, scripted_service
from upload_tui.testing import an_upload

pytestmark = pytest.mark.e2e

PROJECTS = Response({"results": [{"id": "p-1", "name": "Genome"}]}, headers={"X-Next-Page": ""})
COMMANDS = [
    ["list"],
    ["list", "--fail-on-error", "--stage", "verified"],
    ["report", "--fail-on-error"],
    ["wait", "--project", "Genome"],
    ["tail", "--since", "9999d", "--count", "1"],
]


def a_page(entries: list[Any], total: int) -> Response:
    headers = {"X-Total": str(total), "X-Per-Page": "5", "X-Next-Page": "2" if total > 5 else ""}
    return Response({"results": entries}, headers=headers)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_unreadable_upload_is_reported_and_exit_code_3(command: list[str]) -> None:
    page = a_page([an_upload("good", completed=60, verified=30), {"name": "bad"}], 2)
    with scripted_service({"/projects": [PROJECTS], "/projects/p-1/uploads": [page]}) as service:
        result = run(*command, environment=service.environment)
    assert result.code == 3
    assert "1 of 2 uploads cannot be read" in result.err
    assert result.err.count("\n") == 1
    assert bool(result.out) == (command[0] != "wait")


@pytest.mark.parametrize("command", [COMMANDS[0], COMMANDS[-1]], ids=" ".join)
def test_a_service_that_repeats_its_first_page_is_reported_and_exit_code_3(command: list[str]) -> None:
    page = a_page([an_upload(f"{number}", completed=60, verified=30) for number in range(5)], 26)
    with scripted_service({"/projects": [PROJECTS], "/projects/p-1/uploads": [page]}) as service:
        result = run(*command, environment=service.environment)
    assert result.code == 3
    assert "21 of 26 uploads cannot be read" in result.err


def test_a_failed_upload_comes_before_an_unreadable_one() -> None:
    page = a_page([an_upload("bad", completed=60, error=30), {"name": "worse"}], 2)
    with scripted_service({"/projects": [PROJECTS], "/projects/p-1/uploads": [page]}) as service:
        result = run("list", "--fail-on-error", environment=service.environment)
    assert result.code == 1
    assert "1 of 2 uploads cannot be read" in result.err


def test_an_upload_without_its_project_is_listed() -> None:
    pages = [a_page([{**an_upload("good", completed=60, error=30), "project": project}], 1) for project in (None, 7)]
    with scripted_service({"/projects": [PROJECTS], "/projects/p-1/uploads": pages}) as service:
        result = run("list", "--fail-on-error", "-o", "json", environment=service.environment)
    assert result.code == 1
    assert "cannot be read" not in result.err


def test_show_prints_what_can_be_read() -> None:
    responses = {"/uploads/good": [Response(an_upload("good", id="good"))], "/uploads/bad": [Response({"name": "bad"})]}
    with scripted_service(responses) as service:
        both = run("show", "bad", "good", "-o", "jsonl", environment=service.environment)
    assert [record["id"] for record in both.records] == ["good"]
    assert both.code == 3
    assert "not an upload" in both.err


def test_wait_finds_an_upload_by_an_id_in_upper_case() -> None:
    with scripted_service(
        {"/uploads/ABC": [Response(an_upload("good", id="abc", completed=60, verified=30))]}
    ) as service:
        result = run("wait", "ABC", environment=service.environment)
    assert (result.code, result.err) == (0, "")
    assert [record["id"] for record in result.records] == ["abc"]
