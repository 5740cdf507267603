"""A signal ends a program that waits for a file, a name server or a keyring that never answers."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.programs import TIMEOUT_SECONDS, Process, Served, serving, started
from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.e2e

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
FILES = {
    "settings": "xdg_config_home/upload-tui/config.toml",
    "theme": "xdg_config_home/upload-tui/themes/a.toml",
    "saved theme": "xdg_state_home/upload-tui/theme",
}


def _pipe(home: Path, name: str) -> Path:
    pipe = home / FILES[name]
    pipe.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(pipe)
    return pipe


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("command", ["demo", "watch"])
def test_a_dashboard_that_reads_a_silent_pipe(command: str, file: str, number: signal.Signals, home: Path) -> None:
    environment = {"UPLOAD_TUI_URL": "http://127.0.0.1:9", "UPLOAD_TUI_TOKEN": "t"}
    pipe = _pipe(home, file)
    with Terminal(command, environment=environment) as terminal, pipe.open("wb"):
        terminal.send_signal(number)
        assert terminal.wait_for_end() == 128 + number
        assert "Traceback" not in terminal.final_output


def test_a_stylesheet_that_is_a_pipe_is_an_error(home: Path) -> None:
    """The dashboard reads it twice."""
    sheet = home / "xdg_config_home/upload-tui/styles/a.tcss"
    sheet.parent.mkdir(parents=True)
    os.mkfifo(sheet)
    with Terminal("demo") as terminal:
        assert terminal.wait_for_end() == 2
        assert "a.tcss cannot be read" in terminal.final_output


@pytest.fixture
def service() -> Iterator[Served]:
    with serving() as served:
        yield served


@pytest.mark.parametrize("signals", [[one] for one in SIGNALS] + [[signal.SIGTERM, signal.SIGHUP]], ids=str)
@pytest.mark.parametrize("read_before", [0, 1], ids=["first-token", "after-a-rejected-one"])
@pytest.mark.parametrize("command", ["list", "tail", "wait u-1", "metrics --listen 127.0.0.1:0"])
def test_a_command_that_waits_for_its_token(
    command: str, read_before: int, signals: list[signal.Signals], service: Served, tmp_path: Path
) -> None:
    pipe = tmp_path / "token"
    os.mkfifo(pipe)
    words = [*command.split(), "--token-file", str(pipe)]
    with started(*words, environment={"UPLOAD_TUI_URL": service.url}) as process:
        for _ in range(read_before):
            with pipe.open("w") as writer:
                writer.write("rejected")
        with pipe.open("w"):  # once it is read
            for number in signals:
                process.send_signal(number)
            _check_end(process, signals)


def _check_end(process: Process, signals: Sequence[signal.Signals]) -> None:
    out, err = process.communicate(timeout=TIMEOUT_SECONDS)
    # The system itself ends a program that gets the last of several signals at its very end.
    assert process.returncode in {*(128 + number for number in signals), -signals[-1]}, out + err
    assert "Traceback" not in err
    assert "Internal error" not in err


WAITS: Mapping[str, Mapping[str, str]] = {
    "name server": {"UPLOAD_TUI_URL": "https://uploads.invalid", "UPLOAD_TUI_TOKEN": "t"},
    "keyring": {"UPLOAD_TUI_URL": "https://uploads.invalid", "UPLOAD_TUI_TOKEN_KEYRING": "ada", "UPLOAD_TUI_TOKEN": ""},
}


@contextmanager
def _waiting(line: str, wait: str, folder: Path) -> Iterator[Process]:
    """A program once it waits."""
    program = (sys.executable, "-c", "from tests.e2e.waiting_program import main; main()")
    waiting = folder / "waiting"
    process = subprocess.Popen(
        [*program, *line.split()],
        env={**os.environ, **WAITS[wait], "WAITING": str(waiting), "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        os.mkfifo(waiting)
        with waiting.open("rb") as opened:
            opened.read()
        yield process
        process.kill()


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("line", ["list", "tail", "wait u-1", "doctor"])
def test_a_command_that_waits_for(wait: str, line: str, number: signal.Signals, tmp_path: Path) -> None:
    with _waiting(line, wait, tmp_path) as process:
        process.send_signal(number)
        _check_end(process, [number])


@pytest.mark.parametrize("wait", WAITS)
def test_a_limit_of_time_ends_the_waiting_for(wait: str, tmp_path: Path) -> None:
    with _waiting("wait u-1 --timeout 1s", wait, tmp_path) as process:
        _, err = process.communicate(timeout=TIMEOUT_SECONDS)
        assert process.returncode == 124
        assert "timed out" in err
