"""`record` and `replay`: record a service over HTTP and play the recording on a real terminal."""

import json
import os
import re
import signal
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.programs import PROGRAM, run, serving, started
from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.e2e
_LEAST_DURATION = timedelta(seconds=2)
"""Long enough for a key press during a slow replay."""


def _duration(file: Path) -> timedelta:
    """The time from a recording's beginning to its latest failure; zero without a failure."""
    complete, _, _ = file.read_text().rpartition("\n") if file.exists() else ("", "", "")
    records = [json.loads(line) for line in complete.splitlines()]
    failures = [record["at"] for record in records if record.get("to") == "error"]
    if not failures:
        return timedelta()
    return datetime.fromisoformat(failures[-1]) - datetime.fromisoformat(records[0]["at"])


def _shows_failure_at_end(text: str) -> bool:
    return "replay ended" in text and re.search(r"✗ +broken\.bin .*bad file hash", text) is not None


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of failing uploads, ended by an interrupt; they start until one fails late enough."""
    file = tmp_path_factory.mktemp("recording") / "corrupt.jsonl"
    with serving() as service, started("record", str(file), environment=service.environment) as process:
        assert process.stderr is not None
        file.with_name("token").write_text(service.environment["UPLOAD_TUI_TOKEN"])
        assert "Ctrl+C" in process.stderr.readline()
        while _duration(file) < _LEAST_DURATION:
            failed = service.finish(service.begin("broken.bin"), is_corrupt=True)
            assert service.run("wait", failed, "--interval", "0.05").code == 1
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    return file


def test_recording_is_json_lines_without_the_token(recording: Path) -> None:
    text = recording.read_text()
    assert len([json.loads(line) for line in text.splitlines()]) > 5
    assert recording.with_name("token").read_text() not in text


def test_replay_speed_can_be_changed(recording: Path) -> None:
    with Terminal("replay", str(recording), "--speed", "0.25") as terminal:
        text = terminal.wait_until(lambda text: "0.25×" in text)
        assert "replay ended" not in text
        terminal.press("]")
        terminal.wait_until(lambda text: "0.5×" in text)
        terminal.press("]]]]]]")
        terminal.wait_until(_shows_failure_at_end)
        assert "New" not in terminal.text.splitlines()[-1]
        assert "Break" not in terminal.text.splitlines()[-1]
        terminal.press("q")
        assert terminal.wait_for_end() == 0
    assert b"Traceback" not in terminal.painted


@pytest.mark.parametrize("start", ["3600", "2099-01-01"])
def test_replay_starts_later(recording: Path, start: str) -> None:
    with Terminal("replay", str(recording), "--from", start) as terminal:
        terminal.wait_until(_shows_failure_at_end)
        terminal.press("q")
        assert terminal.wait_for_end() == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "nowhere.jsonl"),
        ("", "nowhere.jsonl"),
        ('{"not": "a recording"}\n', "nowhere.jsonl"),
        ("\x00\xff", "nowhere.jsonl"),
    ],
    ids=["missing", "empty", "something-else", "no-text"],
)
def test_invalid_recording_is_an_error(tmp_path: Path, text: str | None, words: str) -> None:
    file = tmp_path / "nowhere.jsonl"
    if text is not None:
        file.write_bytes(text.encode("latin-1"))
    with Terminal("replay", str(file), columns=200) as terminal:
        assert terminal.wait_for_end() == 2
        assert words in terminal.final_output
        assert len(terminal.final_output) < 400


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_replay_whose_pipe_has_not_ended(tmp_path: Path, number: signal.Signals) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with Terminal("replay", str(pipe)) as terminal, pipe.open("wb"):  # once the program reads it
        terminal.send_signal(number)
        assert terminal.wait_for_end() == 128 + number


def test_existing_recording_is_not_overwritten(recording: Path) -> None:
    with serving() as service:
        before = recording.read_bytes()
        result = run("record", str(recording), environment=service.environment)
        assert result.code == 2
        assert str(recording) in result.err
        assert recording.read_bytes() == before


def test_replay_needs_a_terminal(recording: Path) -> None:
    result = run("replay", str(recording), program=(PROGRAM,))
    assert result.code == 2
    assert "terminal" in result.err
