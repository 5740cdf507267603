"""The command that runs when uploads fail."""

import json
import sys
from pathlib import Path

from upload_tui.cli.dashboard.failure_command import FailureCommand
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
    failures = [one for one in session.history(9) if isinstance(one, StageReached) and one.after == "error"]
    await FailureCommand(f"{sys.executable} {script} 'a b'")(failures)
    arguments, lines, name = json.loads(received.read_text())
    assert arguments == ["a b"]
    assert json.loads(lines)["error_message"] == "size differs"
    assert name == "--help; rm -rf $HOME\ufffd"
    await FailureCommand("/nowhere/at/all")(failures)
    session.close()
