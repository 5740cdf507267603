"""The exit codes of `wait`, in virtual time: what an upload does, and when, decides alone."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.test_lost_output import broken
from tests.unit.cli.virtual_program import Project, Result, VirtualService, advance_virtually, run_virtually

from upload_tui.testing import an_upload

NOT_YET = json.dumps({"error": 404, "code": "resource_not_consistent", "reason": "still being processed"}).encode()
MAINTENANCE = json.dumps({"error": 503, "reason": "maintenance"}).encode()
GOOD = an_upload("good", id="good", completed=60, verified=30)
BAD = an_upload("bad", id="bad", completed=60, error=30)
SLOW = an_upload("slow", id="slow")

Wait = Callable[..., Result]


@pytest.fixture
def wait(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Wait:
    """Run `wait` against a service with some uploads."""

    def run(*words: str, uploads: tuple[dict[str, Any], ...] = (GOOD, BAD, SLOW), **facts: Any) -> Result:
        service = VirtualService([Project("p-1", "Genome", list(uploads))], **facts)
        return run_virtually(capfd, tmp_path, service, "wait", *words)

    return run


def stages(result: Result) -> dict[str, str]:
    return {record["id"]: record["stage"] for record in result.records}


@pytest.mark.parametrize(
    ("ids", "code", "ended"),
    [
        ("bad good", 1, {"bad": "error", "good": "verified"}),
        ("good nowhere", 5, {"good": "verified"}),
        ("nowhere bad", 1, {"bad": "error"}),
        ("slow good --timeout 90s", 124, {"good": "verified"}),
        ("slow --timeout 90s --timeout-exit-code 75", 75, {}),
        ("slow bad --timeout 90s", 1, {"bad": "error"}),
        ("slow nowhere --timeout 90s", 5, {}),
        ("slow bad --fail-fast", 1, {"bad": "error"}),
    ],
)
def test_the_worst_outcome_decides(wait: Wait, ids: str, code: int, ended: dict[str, str]) -> None:
    result = wait(*ids.split())
    assert (result.code, stages(result)) == (code, ended)
    assert ("timed out after 1m 30s; 1 of " in result.err) == ("--timeout" in ids)
    assert ("still pending (slow)" in result.err) == ("--timeout" in ids)
    assert ("to see why: upload-tui show bad" in result.err) == ("bad" in ids)
    assert ("nowhere" in result.err) == ("nowhere" in ids)


def test_the_heartbeat_begins_before_the_uploads_are_known(wait: Wait) -> None:
    def restore(service: VirtualService) -> None:
        service.outage = None

    words = ("--project", "Genome", "--heartbeat", "2s", "--timeout", "30s")
    result = wait(*words, uploads=(SLOW,), outage=(503, MAINTENANCE), changes={5: restore})
    beats = [line for line in result.err.splitlines() if " after " in line]
    assert beats[0] == "upload-tui: still reading the uploads after 2s."
    assert beats[-2].startswith("upload-tui: 1 of 1 still pending (slow) after ")
    assert beats[-1].startswith("upload-tui: timed out after 30s; ")


@pytest.mark.parametrize("has_ended", [True, False])
def test_a_wait_that_was_stopped_over_its_deadline_looks_once_more(wait: Wait, has_ended: bool) -> None:
    """As by SIGSTOP and SIGCONT. One more look is bounded, so a timeout stays one."""

    def verify(service: VirtualService) -> None:
        if has_ended:
            service.projects[0].uploads[:] = [an_upload("slow", id="slow", completed=60, verified=30)]

    def stop(_: VirtualService) -> None:
        advance_virtually(100)

    words = ("slow", "--timeout", "90s", "--interval", "60s")
    result = wait(*words, uploads=(SLOW,), changes={2: stop, 3: verify})
    assert result.code == (0 if has_ended else 124)
    assert ("timed out" in result.err) == (not has_ended)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
def test_a_timeout_has_priority_over_lost_output(wait: Wait, monkeypatch: pytest.MonkeyPatch) -> None:
    with broken("device-full") as full:
        monkeypatch.setattr(sys, "stdout", full)
        result = wait("good", "slow", "--timeout", "90s")
        monkeypatch.undo()
    assert result.code == 124
    assert "Standard output cannot be written: " in result.err
    assert "timed out after 1m 30s" in result.err


@pytest.mark.parametrize(
    ("stage", "codes"),
    [("initiated", (0, 0)), ("completed", (0, 1)), ("verified", (0, 1)), ("error", (1, 0))],
)
def test_the_stage_to_wait_for_can_be_chosen(wait: Wait, stage: str, codes: tuple[int, int]) -> None:
    """A failed upload never reaches a later stage."""
    assert tuple(wait(upload_id, "--for", stage).code for upload_id in ("good", "bad")) == codes


def test_an_upload_that_is_given_twice_is_printed_once(wait: Wait) -> None:
    result = wait("good", "GOOD")
    assert (result.code, [record["id"] for record in result.records]) == (0, ["good"])


def begin_outage(status: int, body: bytes) -> Callable[[VirtualService], None]:
    def begin(service: VirtualService) -> None:
        service.outage = (status, body)

    return begin


def end_outage(service: VirtualService) -> None:
    service.outage = None


def verify(service: VirtualService) -> None:
    service.projects[0].uploads = [an_upload("slow", id="slow", completed=9, verified=5)]


@pytest.mark.parametrize(("first", "status", "body"), [(1, 404, NOT_YET), (2, 503, MAINTENANCE)])
def test_what_may_pass_is_waited_for(wait: Wait, first: int, status: int, body: bytes) -> None:
    changes = {first: begin_outage(status, body), first + 2: end_outage, first + 3: verify}
    result = wait("slow", changes=changes)
    assert (result.code, stages(result)) == (0, {"slow": "verified"})


def test_an_upload_that_never_becomes_consistent_times_out(wait: Wait) -> None:
    assert wait("slow", "--timeout", "5m", outage=(404, NOT_YET)).code == 124


def test_a_project_without_pending_uploads_ends_at_once(wait: Wait) -> None:
    assert wait("--project", "Genome", uploads=(GOOD, BAD)).code == 0
    assert wait("--project", "Nowhere").code == 5


def test_an_upload_that_is_deleted_while_it_is_waited_for_is_no_longer_listed(wait: Wait) -> None:
    result = wait("slow", "nowhere", changes={3: lambda service: service.projects[0].uploads.clear()})
    assert (result.code, "'slow' is no longer listed." in result.err) == (5, True), result
    assert "no such upload: 'nowhere'." in result.err
