"""Text that a service controls reaches no output of a command with control characters, and is no formula in a CSV."""

import csv
import json
import shlex
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.in_process import interrupting_at_request, run_here
from tests.e2e.programs import Response, ScriptedService, scripted_service
from upload_tui.sources.schema import LINE_FIELDS
from upload_tui.testing import an_upload

pytestmark = pytest.mark.e2e

HOSTILE = "=1+1\x1b]0;owned\x07\x1b[31m\x9b2J\u202e\u2066\x7f\r\n2026-01-01 ERROR forged"
FAILURE = Response({"error": 500, "code": HOSTILE, "reason": HOSTILE, "suggestion": HOSTILE}, 500)
PROJECT = {"kind": "dds-project", "id": f"p-1{HOSTILE}", "name": HOSTILE}
UPLOAD: dict[str, Any] = {
    **an_upload(HOSTILE, id=f"u-1{HOSTILE}", completed=60, error=30, message=HOSTILE, project=(PROJECT["id"], HOSTILE)),
    "content_type": HOSTILE,
}


RESPONSES = {
    "/projects": [Response({"results": [PROJECT]})],
    "/uploads/u-1": [Response(UPLOAD)],
    "*": [Response({"results": [UPLOAD]})],
}


class AnyPath(dict[str, list[Response]]):
    """Responds to paths that are not listed with the responses of `*`: those of uploads have a quoted project id."""

    def get(self, path: str, default: Any = None) -> Any:
        return super().get(path) or super().get("*", default)


@pytest.fixture
def service() -> Iterator[ScriptedService]:
    with scripted_service({}) as scripted:
        scripted.responses = AnyPath(RESPONSES)
        yield scripted


@pytest.fixture(autouse=True)
def environment(service: ScriptedService, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        **service.environment,
        "UPLOAD_TUI_REFRESH": "0.1",
        "UPLOAD_TUI_REQUESTS_PER_MINUTE": "100000",
    }.items():
        monkeypatch.setenv(name, value)


def assert_safe(text: str) -> None:
    unsafe = {character for character in text if unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"}}
    assert unsafe <= {"\n"}
    assert not any(line.startswith("2026-01-01 ERROR forged") for line in text.splitlines())


@pytest.mark.parametrize(
    "command",
    ["list -o table", "list -o csv", "show u-1 -o table", "show u-1 -o csv", "projects -o table", "projects -o csv",
     "report -o table", "report -o csv", "report --prometheus", "wait u-1 -o table", "wait u-1 -o csv", "doctor -o table",
     "list --project nowhere"],
)  # fmt: skip
def test_a_command_writes_no_control_character(
    service: ScriptedService, command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    result = run_here(capfd, *command.split())
    assert result.code != 70
    assert result.out + result.err
    assert_safe(result.out + result.err)
    if command.endswith("csv"):
        cells = [cell for row in csv.reader(result.out.splitlines()) for cell in row]
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)


@pytest.mark.parametrize("command", ["show u-1", "show u-1 --debug", "list --debug"])
def test_an_error_quotes_the_service_without_control_characters(
    service: ScriptedService, command: str, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """On standard error, in the traceback and in the log."""
    service.responses = AnyPath({"*": [FAILURE]})
    result = run_here(capfd, *command.split())
    assert result.code == 3
    assert "owned" in result.err
    assert_safe(result.err)
    logs = [*home.rglob("upload-tui.log")]
    assert len(logs) == ("--debug" in command)
    for log in logs:
        assert "owned" in log.read_text()
        assert_safe(log.read_text())


COMMANDS = (
    "list -o table", "list -o csv", "show u-1 -o table", "show u-1 -o csv", "projects -o table", "report -o table",
    "report --prometheus", "wait u-1 -o table --timeout 9s", "doctor -o table", "source check -o table --",
)  # fmt: skip
FIELDS = [field.name for field in LINE_FIELDS if "string" in str(field.schema) and field.name not in {"id", "stage"}]


@pytest.mark.parametrize("failure", ["", "error line", "standard error"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_source_writes_no_control_character(
    command: str, failure: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither by a field of an upload, nor by an unknown one, nor by its errors."""
    line = {"id": "u-1", "stage": "error", **dict.fromkeys(FIELDS, HOSTILE), HOSTILE: HOSTILE}
    state = {"id": f"u-2{HOSTILE}", "stage": HOSTILE, "name": HOSTILE}
    error = {"type": "error", "kind": "transient", "message": HOSTILE}
    lines = [line, state, error] if failure == "error line" else [line, state]
    (tmp_path / "lines").write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    (tmp_path / "errors").write_text(HOSTILE if failure == "standard error" else "")
    script = f"cat {tmp_path}/lines; cat {tmp_path}/errors >&2; exit {3 if failure == 'standard error' else 0}"
    words = ["sh", "-c", script]
    is_check = command.startswith("source")
    result = run_here(capfd, *command.split(), *(words if is_check else ["--command", shlex.join(words)]))
    assert result.code != 70
    assert result.out + result.err
    if failure and not command.startswith("wait"):
        assert "forged" in result.out + result.err
    assert_safe(result.out + result.err)


def test_the_offline_line_of_list_has_no_control_character(
    service: ScriptedService, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_here(capfd, "list", "-o", "table").code == 0
    service.responses = AnyPath({"*": [FAILURE]})
    result = run_here(capfd, "list", "-o", "table")
    assert result.code == 0
    assert "offline" in result.err
    assert "owned" in result.err
    assert_safe(result.out + result.err)


@pytest.mark.parametrize("command", ["tail -o table", "tail -o csv", "wait u-1 --heartbeat 0.1s --interval 0.1s"])
def test_a_command_that_goes_on_reports_a_failure_without_control_characters(
    service: ScriptedService, command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    busy = Response(FAILURE.body, 503, {"Retry-After": "0"})
    pending = Response(an_upload(HOSTILE, id="u-1", completed=60))
    service.responses = AnyPath(
        {"/projects": [Response({"results": [PROJECT]})], "/uploads/u-1": [pending, busy], "*": [busy]}
    )
    with interrupting_at_request(service, 6):
        result = run_here(capfd, *command.split())
    assert result.code == 130
    assert "owned" in result.err
    assert_safe(result.out + result.err)
