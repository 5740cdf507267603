"""Programs of the user: on failures, on changes and on uploads."""

import asyncio
import json
import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from upload_tui.cli.support.user_commands import HookCommand, change_hooks, run_program
from upload_tui.errors import SettingsError
from upload_tui.monitor import StageReached
from upload_tui.settings import ServiceSettings
from upload_tui.testing import InMemorySession, an_upload
from upload_tui.tui import ProgramRun


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
    result = await HookCommand("on_error", f"{sys.executable} {script} 'a b'")(failures)
    arguments, lines, name = json.loads(received.read_text())
    assert arguments == ["a b"]
    assert json.loads(lines)["error_message"] == "size differs"
    assert name == "--help; rm -rf $HOME\ufffd"
    assert result.is_ok
    assert result.text == f"exit code 0 · {Path(sys.executable).name} · on_error"
    session.close()


@pytest.mark.parametrize(
    ("command", "end"),
    [
        ("cat >> x", r"exit code 1: cat: .*>>.*: No such file.*"),
        ("/nowhere/at/all", r"not started: No such file or directory"),
        ("sh -c 'echo first >&2; echo second >&2; exit 7'", r"exit code 7: first"),
        ("sh -c 'printf fi >&2; sleep 0.1; printf rst >&2; exit 7'", r"exit code 7: first"),
        ("sh -c 'exit 3'", r"exit code 3"),
        ("sh -c 'kill -9 $$'", r"ended by signal 9"),
    ],
    ids=["shell syntax", "missing", "message", "pieces", "silent", "signal"],
)
async def test_result_says_what_ran_and_how_it_ended(command: str, end: str) -> None:
    session = InMemorySession()
    session.publish(an_upload("scan.tiff", completed=60, error=20))
    failures = [one for one in session.changes.history(9) if isinstance(one, StageReached) and one.after == "error"]
    session.close()
    result = await HookCommand("on_error", command)(failures)
    assert not result.is_ok
    hint = r"\. There is no shell: >> is an argument.*sh -c.*" if ">>" in command else ""
    assert re.fullmatch(f"{end} · {Path(shlex.split(command)[0]).name} · on_error{hint}", result.text), result.text


@pytest.mark.parametrize("command", ["{name}", "./{stage} x", "'{id}' y"])
def test_the_program_of_a_hook_has_no_field(command: str) -> None:
    with pytest.raises(SettingsError, match="the program has a field"):
        HookCommand("on_change", command)


@pytest.mark.parametrize("query", ["is:marked", "stage:error -(is:stuck,marked)"])
def test_a_hook_on_marked_uploads_is_refused(query: str) -> None:
    settings = ServiceSettings(url="https://dds.test", on_change={query: "true"})
    with pytest.raises(SettingsError, match="is:marked matches no changes"):
        list(change_hooks(settings))


async def test_a_program_has_no_terminal_and_its_output_is_kept_if_asked_for() -> None:
    script = "cat; echo why >&2; (: < /dev/tty) 2> /dev/null && echo terminal; test -t 0 || echo none"
    run = ProgramRun(("sh", "-c", script), "input\n", keeps_output=True, timeout_seconds=60.0)
    result = await run_program("page", run)
    assert (result.text, result.is_ok) == ("exit code 0 · sh · page", True)
    assert (result.output, result.errors) == ("input\nnone\n", "why\n")


@pytest.mark.parametrize("end", ["exit 0", "echo why >&2; exit 3"])
async def test_a_program_without_a_timeout_outlives_the_dashboard(tmp_path: Path, end: str) -> None:
    noted, gate = tmp_path / "noted", tmp_path / "gate"
    os.mkfifo(gate)
    script = (
        f"(: < /dev/tty) 2> /dev/null && echo terminal; cat > {noted}.part; mv {noted}.part {noted}; cat {gate}; {end}"
    )
    running = asyncio.ensure_future(run_program("open", ProgramRun(("sh", "-c", script), "input")))
    while not _exists(noted):
        await asyncio.sleep(0.001)
    if end == "exit 0":
        running.cancel()
        await asyncio.wait([running])
        _open(gate)  # blocks until the program reads it: it still runs
        return
    _open(gate)
    result = await running
    assert (result.text, result.is_ok, noted.read_text()) == ("exit code 3: why · sh · open", False, "input")


async def test_a_program_that_runs_too_long_is_killed_with_what_it_started() -> None:
    run = ProgramRun(("sh", "-c", "sleep 1000 & echo $!; wait"), "", keeps_output=True, timeout_seconds=0.05)
    result = await run_program("page", run)
    assert result.text == "killed after 0s · sh · page"
    while _is_running(int(result.output)):
        await asyncio.sleep(0)


def _is_running(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def _exists(file: Path) -> bool:
    return file.exists()


def _open(pipe: Path) -> None:
    pipe.write_text("")
