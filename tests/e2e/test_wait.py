"""`wait`: exit codes for failed, unknown and overdue uploads, timeouts and errors."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.programs import PROGRAM, Response, Result, Served, run, scripted_service, serving, started
from tests.e2e.terminal import Terminal
from upload_tui.testing import an_upload

pytestmark = pytest.mark.e2e

QUICK = ("--interval", "0.05")
NOT_YET = Response(
    {"error": 404, "code": "resource_not_consistent", "reason": "still being processed", "suggestion": "retry"}, 404
)


@pytest.fixture(scope="module")
def service() -> Iterator[Served]:
    with serving() as served:
        yield served


def stages(result: Result) -> dict[str, str]:
    return {record["id"]: record["stage"] for record in result.records}


def answer(upload_id: str, **facts: Any) -> Response:
    return Response(an_upload(upload_id, id=upload_id, **facts))


def test_all_verified_is_exit_code_0(service: Served) -> None:
    ids = [service.finish(service.begin(f"good-{number}.bin")) for number in range(3)]
    result = service.run("wait", *ids, *QUICK)
    assert (result.code, result.err) == (0, "")
    assert stages(result) == dict.fromkeys(ids, "verified")


def test_timeout_ends_a_request_without_a_response() -> None:
    """Also if the body of a response never arrives."""
    with scripted_service({}) as service:
        service.responses["/uploads/u-1"] = [Response(b"", headers={"Content-Length": "100"})]
        result = run("wait", "u-1", "--timeout", "0.5", environment=service.environment)
    assert result.code == 124


def test_project_waits_for_its_pending_uploads() -> None:
    with serving() as service:
        service.run("wait", service.finish(service.begin("old.bin")), *QUICK)
        pending = [service.begin(f"{number}.bin") for number in range(2)]
        with started(
            "wait", "--project", "Demo project", "--heartbeat", "0.05", *QUICK, environment=service.environment
        ) as process:
            assert process.stderr is not None
            beats = iter(process.stderr.readline, "")
            assert "2 of 2 still pending" in next(line for line in beats if "still reading" not in line)
            for upload_id in pending:
                service.finish(upload_id)
            out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert {json.loads(line)["id"] for line in out.splitlines()} == set(pending)


def test_missing_ids_are_a_usage_error() -> None:
    assert run("wait", "--url", "http://127.0.0.1:9").code == 2


def test_service_that_never_responds_is_exit_code_3() -> None:
    assert run("wait", "u-1", environment={"UPLOAD_TUI_URL": "http://127.0.0.1:9", "UPLOAD_TUI_TOKEN": "t"}).code == 3


def test_expired_token_is_exit_code_4() -> None:
    refusal = Response(
        {"error": 401, "code": "not_provided", "reason": "expired api_token", "suggestion": "login"}, 401
    )
    with scripted_service({"/uploads/u-1": [answer("u-1"), refusal]}) as service:
        result = run("wait", "u-1", *QUICK, environment=service.environment)
    assert result.code == 4
    assert "expired" in result.err
    assert "t0ken" not in result.err


def test_token_command_runs_again_when_the_token_is_rejected(tmp_path: Path) -> None:
    refusal = Response(
        {"error": 401, "code": "not_provided", "reason": "expired api_token", "suggestion": "login"}, 401
    )
    counter = tmp_path / "count"
    script = f"echo x >> {counter}; echo token-$(wc -l < {counter} | tr -d ' ')"
    with scripted_service(
        {"/uploads/u-1": [answer("u-1"), refusal, answer("u-1", completed=9, verified=5)]}
    ) as service:
        environment = {"UPLOAD_TUI_URL": service.url, "UPLOAD_TUI_TOKEN_COMMAND": f'sh -c "{script}"'}
        assert run("wait", "u-1", *QUICK, environment=environment).code == 0
    assert [token for _, _, token in service.requests] == ["token-1", "token-1", "token-2"]


def test_interrupt_is_exit_code_130(service: Served) -> None:
    with started("wait", service.begin(), "--heartbeat", "0.1", *QUICK, environment=service.environment) as process:
        assert process.stderr is not None
        assert any("still pending" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err


def test_progress_bar_is_drawn_on_a_terminal_only(service: Served) -> None:
    upload_id = service.begin()
    with Terminal("wait", upload_id, *QUICK, environment=service.environment) as terminal:
        terminal.wait_until(lambda text: "0 of 1" in text)
        service.finish(upload_id)
        assert terminal.wait_for_end() == 0
        assert "of 1" not in terminal.text
        assert "verified" in terminal.text
    assert "[" not in service.run("wait", upload_id).err


def test_shell_script_fails_when_verification_fails(service: Served) -> None:
    """With `set -e`."""
    bad = service.finish(service.begin(), is_corrupt=True)
    script = f"set -e; {' '.join(['upload-tui', 'wait', bad, *QUICK])} >/dev/null; echo never"
    done = subprocess.run(
        ["bash", "-c", script.replace("upload-tui", PROGRAM, 1)],
        env={**service.environment, "HOME": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
