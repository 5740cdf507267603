"""`wait`: what scripts and CI lean on. It never hangs, and says apart what failed, what is gone and what took too long."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.programs import PROGRAM, Ended, Said, Served, run, scripted, serving, started
from tests.e2e.terminal import Terminal
from upload_tui.testing import an_upload

pytestmark = pytest.mark.e2e

QUICK = ("--interval", "0.05")
NOT_YET = Said(
    {"error": 404, "code": "resource_not_consistent", "reason": "still being processed", "suggestion": "retry"}, 404
)


@pytest.fixture(scope="module")
def service() -> Iterator[Served]:
    with serving() as served:
        yield served


def stages(ended: Ended) -> dict[str, str]:
    return {record["id"]: record["stage"] for record in ended.records}


def answer(upload_id: str, **facts: Any) -> Said:
    return Said(an_upload(upload_id, id=upload_id, **facts))


def test_it_ends_well_when_all_are_verified(service: Served) -> None:
    ids = [service.finish(service.begin(f"good-{number}.bin")) for number in range(3)]
    ended = service.run("wait", *ids, *QUICK)
    assert (ended.code, ended.err) == (0, "")
    assert stages(ended) == dict.fromkeys(ids, "verified")


def test_it_ends_with_1_when_one_failed(service: Served) -> None:
    good, bad = service.finish(service.begin()), service.finish(service.begin(), wrongly=True)
    ended = service.run("wait", good, bad, *QUICK)
    assert ended.code == 1
    assert stages(ended) == {good: "verified", bad: "error"}


def test_it_ends_with_5_when_one_does_not_exist(service: Served) -> None:
    good = service.finish(service.begin())
    ended = service.run("wait", good, "no-such-upload", *QUICK)
    assert ended.code == 5
    assert "no-such-upload" in ended.err
    assert stages(ended) == {good: "verified"}


def test_a_failure_counts_for_more_than_a_stranger(service: Served) -> None:
    bad = service.finish(service.begin(), wrongly=True)
    assert service.run("wait", "no-such-upload", bad, *QUICK).code == 1


@pytest.mark.parametrize(("options", "code"), [([], 124), (["--timeout-exit-code", "75"], 75)], ids=["usual", "own"])
def test_it_gives_up_when_the_time_is_up(service: Served, options: list[str], code: int) -> None:
    upload_id = service.begin("slow.bin")
    ended = service.run("wait", upload_id, "--timeout", "0.3", *QUICK, *options)
    assert (ended.code, ended.out) == (code, "")
    assert "the time is up" in ended.err
    assert upload_id in ended.err


def test_a_failure_counts_for_more_than_the_time(service: Served) -> None:
    slow, bad = service.begin(), service.finish(service.begin(), wrongly=True)
    assert service.run("wait", bad, *QUICK).code == 1
    assert service.run("wait", slow, bad, "--timeout", "2", *QUICK).code == 1


def test_it_gives_up_also_when_the_service_hangs() -> None:
    """The time is up even if the answer to a request never comes."""
    with scripted({}) as service:
        service.answers["/uploads/u-1"] = [Said(b"", headers={"Content-Length": "100"})]
        ended = run("wait", "u-1", "--timeout", "0.5", environment=service.environment)
    assert ended.code == 124


def test_it_ends_with_the_first_failure_when_it_is_to_fail_fast(service: Served) -> None:
    slow, bad = service.begin(), service.finish(service.begin(), wrongly=True)
    ended = service.run("wait", slow, bad, "--fail-fast", *QUICK)
    assert ended.code == 1
    assert stages(ended) == {bad: "error"}


@pytest.mark.parametrize(
    ("goal", "code"),
    [("initiated", 0), ("completed", 0), ("verified", 0), ("error", 1)],
)
def test_another_stage_is_waited_for_when_it_is_named(goal: str, code: int) -> None:
    with scripted({"/uploads/u-1": [answer("u-1", completed=60, verified=30)]}) as service:
        assert run("wait", "u-1", "--for", goal, *QUICK, environment=service.environment).code == code


@pytest.mark.parametrize(("goal", "code"), [("initiated", 0), ("completed", 1), ("verified", 1), ("error", 0)])
def test_an_error_misses_what_comes_after_it_was_begun(goal: str, code: int) -> None:
    with scripted({"/uploads/u-1": [answer("u-1", completed=60, error=30)]}) as service:
        assert run("wait", "u-1", "--for", goal, *QUICK, environment=service.environment).code == code


def test_everything_pending_is_waited_for_when_a_project_is_named() -> None:
    with serving() as service:
        service.run("wait", service.finish(service.begin("old.bin")), *QUICK)
        pending = [service.begin(f"{number}.bin") for number in range(2)]
        with started(
            "wait", "--project", "Demo project", "--heartbeat", "0.05", *QUICK, environment=service.environment
        ) as process:
            assert process.stderr is not None
            assert "2 of 2 still pending" in process.stderr.readline()
            for upload_id in pending:
                service.finish(upload_id)
            out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert {json.loads(line)["id"] for line in out.splitlines()} == set(pending)


def test_there_is_nothing_to_wait_for_when_nothing_is_pending(service: Served) -> None:
    with serving() as empty:
        assert empty.run("wait", "--project", "Demo project").code == 0
    assert service.run("wait", "--project", "Nowhere").code == 5


def test_nothing_named_is_wrong_use() -> None:
    assert run("wait", "--url", "http://127.0.0.1:9").code == 2


def test_what_cannot_be_seen_yet_is_waited_for() -> None:
    answers = [NOT_YET, NOT_YET, answer("u-1"), answer("u-1", completed=9, verified=5)]
    with scripted({"/uploads/u-1": answers}) as service:
        ended = run("wait", "u-1", *QUICK, environment=service.environment)
    assert ended.code == 0
    assert len(service.asked) == 4


def test_what_is_never_to_be_seen_ends_with_the_time() -> None:
    with scripted({"/uploads/u-1": [NOT_YET]}) as service:
        assert run("wait", "u-1", "--timeout", "0.3", *QUICK, environment=service.environment).code == 124


def test_trouble_is_waited_out_when_the_service_has_answered_before() -> None:
    trouble = Said({"error": 503, "reason": "maintenance"}, 503)
    answers = [answer("u-1"), trouble, trouble, answer("u-1", completed=9, verified=5)]
    with scripted({"/uploads/u-1": answers}) as service:
        assert run("wait", "u-1", *QUICK, environment=service.environment).code == 0


def test_it_says_that_it_cannot_be_reached_when_the_service_never_answered() -> None:
    assert run("wait", "u-1", environment={"UPLOAD_TUI_URL": "http://127.0.0.1:9", "UPLOAD_TUI_TOKEN": "t"}).code == 3


def test_it_ends_with_4_when_the_token_ends_on_the_way() -> None:
    refusal = Said({"error": 401, "code": "not_provided", "reason": "expired api_token", "suggestion": "login"}, 401)
    with scripted({"/uploads/u-1": [answer("u-1"), refusal]}) as service:
        ended = run("wait", "u-1", *QUICK, environment=service.environment)
    assert ended.code == 4
    assert "expired" in ended.err
    assert "t0ken" not in ended.err


def test_a_command_is_asked_for_another_token_when_the_first_is_refused(tmp_path: Path) -> None:
    refusal = Said({"error": 401, "code": "not_provided", "reason": "expired api_token", "suggestion": "login"}, 401)
    counter = tmp_path / "count"
    script = f"echo x >> {counter}; echo token-$(wc -l < {counter} | tr -d ' ')"
    with scripted({"/uploads/u-1": [answer("u-1"), refusal, answer("u-1", completed=9, verified=5)]}) as service:
        environment = {"UPLOAD_TUI_URL": service.url, "UPLOAD_TUI_TOKEN_COMMAND": f'sh -c "{script}"'}
        assert run("wait", "u-1", *QUICK, environment=environment).code == 0
    assert [token for _, _, token in service.asked] == ["token-1", "token-1", "token-2"]


def test_interrupted_is_the_exit_code_when_it_is_interrupted(service: Served) -> None:
    with started("wait", service.begin(), "--heartbeat", "0.1", *QUICK, environment=service.environment) as process:
        assert process.stderr is not None
        assert "still pending" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err


def test_a_bar_is_drawn_on_a_terminal_only(service: Served) -> None:
    upload_id = service.begin()
    with Terminal("wait", upload_id, *QUICK, environment=service.environment) as terminal:
        terminal.wait_until(lambda text: "0 of 1" in text)
        service.finish(upload_id)
        assert terminal.wait_for_end() == 0
        assert "of 1" not in terminal.text
        assert "verified" in terminal.text
    assert "[" not in service.run("wait", upload_id).err


def test_a_script_fails_when_verification_fails(service: Served) -> None:
    """The recipe that people want: `set -e` and one line."""
    bad = service.finish(service.begin(), wrongly=True)
    script = f"set -e; {' '.join(['upload-tui', 'wait', bad, *QUICK])} >/dev/null; echo never"
    done = subprocess.run(
        ["bash", "-c", script.replace("upload-tui", PROGRAM, 1)],
        env={**service.environment, "HOME": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
