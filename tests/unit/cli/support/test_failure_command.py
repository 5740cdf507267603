"""The command that runs when uploads fail."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from upload_tui.cli.support.failure_command import FailureCommand
from upload_tui.monitor import StageReached
from upload_tui.testing import InMemorySession, an_upload


async def test_command_gets_failures_on_standard_input_and_never_as_arguments(tmp_path: Path) -> None:
    received = tmp_path / "received.json"
    script = tmp_path / "command.py"
    script.write_text(
        "import json, os, sys\n"
        f"open({str(received)!r}, 'w').write(json.dumps([sys.argv[1:], sys.stdin.read(), os.environ['UPLOAD_TUI_NAME']]))"
    )
    session = InMemorySession()
    session.publish(an_upload("--help; rm -rf $HOME\0", completed=60, error=20, message="size differs"))
    failures = [one for one in session.changes.history(9) if isinstance(one, StageReached) and one.after == "error"]
    result = await FailureCommand(f"{sys.executable} {script} 'a b'")(failures)
    arguments, lines, name = json.loads(received.read_text())
    assert arguments == ["a b"]
    assert json.loads(lines)["error_message"] == "size differs"
    assert name == "--help; rm -rf $HOME\ufffd"
    assert result.is_ok
    assert result.text == f"on_error: {sys.executable}: exit code 0."
    session.close()


@pytest.mark.parametrize(
    ("command", "end"),
    [
        ("cat >> x", r"exit code 1: cat: .*>>.*: No such file.*\. It runs without a shell.*sh -c"),
        ("/nowhere/at/all", r"not started: No such file or directory\."),
        ("sh -c 'echo first >&2; echo second >&2; exit 7'", r"exit code 7: first\."),
        ("sh -c 'printf fi >&2; sleep 0.1; printf rst >&2; exit 7'", r"exit code 7: first\."),
        ("sh -c 'exit 3'", r"exit code 3\."),
        ("sh -c 'kill -9 $$'", r"ended by signal 9\."),
    ],
    ids=["shell syntax", "missing", "message", "pieces", "silent", "signal"],
)
async def test_result_says_what_ran_and_how_it_ended(command: str, end: str) -> None:
    session = InMemorySession()
    session.publish(an_upload("scan.tiff", completed=60, error=20))
    failures = [one for one in session.changes.history(9) if isinstance(one, StageReached) and one.after == "error"]
    session.close()
    result = await FailureCommand(command)(failures)
    assert not result.is_ok
    assert re.fullmatch(f"on_error: {re.escape(shlex.split(command)[0])}: {end}.*", result.text), result.text
