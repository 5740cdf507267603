"""The dashboard on a real terminal: resizing, pasting, the mouse, suspension, hang-ups."""

import base64
import itertools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.forked_program import HANG_UPS
from tests.e2e.programs import handled_signals
from tests.e2e.terminal import NEW_PROCESS, Terminal

pytestmark = pytest.mark.e2e

_COPIED = re.compile(rb"\x1b\]52;c;([A-Za-z0-9+/=]+)")
_LEAVES = b"\x1b[?1049l"
_THIRD_ROW = 10
"""The line (from 1) of the table's third row on a terminal of 120 columns and 40 lines."""

_SHELL = ("bash", "--norc", "--noprofile", "-i")


def test_layout_is_complete_after_many_resizes() -> None:
    sizes = random.Random(902)
    with Terminal("demo") as terminal:
        terminal.wait_until(lambda text: "live" in text)
        for _ in range(60):
            terminal.resize(sizes.randint(5, 500), sizes.randint(2, 200))
        terminal.resize(120, 40)
        text = terminal.wait_until(lambda text: "Timeline" in text and "Activity" in text and "Quit" in text)
        assert all(len(line.rstrip()) <= 120 for line in text.splitlines())
        terminal.press("q")
        assert terminal.wait_for_end() == 0
    assert b"Traceback" not in terminal.painted


@pytest.mark.parametrize("hang_up", HANG_UPS)
def test_dashboard_ends_when_its_terminal_is_closed(hang_up: str) -> None:
    with Terminal("demo", hang_up=hang_up) as terminal:
        terminal.wait_until(lambda text: "live" in text)
        assert terminal.hang_up() == 128 + signal.SIGHUP


@pytest.mark.parametrize("hang_up", HANG_UPS)
def test_dashboard_ends_when_a_terminal_that_was_not_read_is_closed(hang_up: str) -> None:
    """The terminal's buffer is full, so that the writer and then the program wait for space in it."""
    with Terminal("demo", "--speed", "16", columns=250, lines=100, hang_up=hang_up) as terminal:
        terminal.wait_until(lambda text: "live" in text)
        for columns in range(100, 250):
            terminal.resize_without_reading(columns, 100)
        assert terminal.hang_up() == 128 + signal.SIGHUP


@pytest.mark.parametrize("end", [signal.SIGTERM, "q"], ids=["term", "key"])
def test_dashboard_ends_while_its_terminal_is_not_read(end: signal.Signals | str) -> None:
    """What waits for the reader is dropped; what restores the terminal is there when it is read again."""
    with Terminal("demo", "--speed", "16") as terminal:
        before = terminal.modes
        terminal.wait_until(lambda text: "live" in text)
        for columns in range(80, 230):
            terminal.resize_without_reading(columns, 40)
        if isinstance(end, str):
            terminal.press(end)
        else:
            terminal.send_signal(end)
        assert terminal.wait_without_reading() == (0 if isinstance(end, str) else 128 + end)
        assert terminal.modes == before
        terminal.wait_for_end()
        assert _changed_modes(terminal.painted) == set()


def test_store_is_closed_when_the_terminal_is_closed(served: dict[str, Any], home: Path) -> None:
    environment = {"UPLOAD_TUI_URL": served["url"], "UPLOAD_TUI_TOKEN": served["token"]}
    with Terminal("watch", environment=environment, hang_up="no-signal") as terminal:
        terminal.wait_until(lambda text: "live" in text)
        (store,) = home.rglob("*.db")
        write_ahead_log = store.with_name(f"{store.name}-wal")
        assert write_ahead_log.exists()
        terminal.hang_up()
    assert not write_ahead_log.exists()


def test_terminal_is_restored_after_sigterm() -> None:
    with Terminal("demo") as terminal:
        terminal.wait_until(lambda text: "live" in text)
        terminal.send_signal(signal.SIGTERM)
        assert terminal.wait_for_end() == 128 + signal.SIGTERM
        assert _LEAVES in terminal.painted


@pytest.mark.skipif(shutil.which("bash") is None, reason="job control needs bash")
def test_dashboard_resumes_after_suspension() -> None:
    with Terminal(program=_SHELL, environment={"PS1": "prompt> "}) as terminal:
        terminal.press(f"{sys.executable} -m upload_tui demo\n")
        terminal.wait_until(lambda text: "live" in text)
        terminal.press("\x1a")
        terminal.wait_until(lambda text: "Stopped" in text)
        terminal.press("fg\n")
        terminal.press("?")
        terminal.wait_until(lambda text: "Esc close" in text)
        terminal.press("qq")
        # What is typed before the shell has the terminal again is lost with the keys that the dashboard did not read.
        terminal.wait_until(lambda _: terminal.painted.count(_LEAVES) == 2)
        terminal.wait_until(lambda _: b"prompt> " in terminal.painted.rpartition(_LEAVES)[2])
        terminal.press("exit 7\n")
        assert terminal.wait_for_end() == 7


def test_pasted_text_is_searched_for() -> None:
    with Terminal("demo") as terminal:
        terminal.wait_until(lambda text: "live" in text)
        terminal.press("/")
        terminal.wait_until(lambda text: "is:stuck, size>1GB" in text)
        terminal.press("\x1b[200~zzq\nq\x1b[201~")
        terminal.wait_until(lambda text: 'matching "zzq' in text and "No matches" in text)
        terminal.press("\x1b")
        terminal.wait_until(lambda text: "No matches" not in text)
        terminal.press("q")
        assert terminal.wait_for_end() == 0


def _name_of_third_row(text: str) -> re.Match[str] | None:
    lines = text.splitlines()
    return re.match(r"│.\S+ +([^ …]+)", lines[_THIRD_ROW - 1]) if len(lines) >= _THIRD_ROW else None


def test_click_selects_a_row_and_the_wheel_scrolls() -> None:
    with Terminal("demo", "--scenario", "stuck", "--speed", "0") as terminal:
        text = terminal.wait_until(lambda text: "live" in text and _name_of_third_row(text) is not None)
        name = _name_of_third_row(text)
        assert name is not None
        assert f"││ {name[1]}" not in text
        terminal.press(f"\x1b[<0;30;{_THIRD_ROW}M\x1b[<0;30;{_THIRD_ROW}m")
        terminal.wait_until(lambda text: f"││ {name[1]}" in text)
        terminal.press("\x1b[<65;30;12M" * 3)
        terminal.press("q")
        assert terminal.wait_for_end() == 0


def test_copied_id_reaches_the_clipboard() -> None:
    with Terminal("demo", "--speed", "0") as terminal:
        terminal.wait_until(lambda text: "live" in text and re.search(r"Uploads [1-9]", text) is not None)
        terminal.press("y")
        terminal.wait_until(lambda _: _COPIED.search(terminal.painted) is not None)
        copied = _COPIED.search(terminal.painted)
        assert copied is not None
        assert re.fullmatch(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", base64.b64decode(copied[1]))
        terminal.press("q")
        assert terminal.wait_for_end() == 0


_MODE = re.compile(rb"\x1b\[\?([0-9;]+)([hl])")
_CURSOR, _WRAPPING = b"25", b"7"
_KEYBOARD_PUSHED, _KEYBOARD_POPPED = re.compile(rb"\x1b\[>[0-9]+u"), re.compile(rb"\x1b\[<u")


def _changed_modes(painted: bytes) -> set[bytes]:
    """The modes that the last sequence for each leaves changed, the other screen among them."""
    states = {mode: switch for modes, switch in _MODE.findall(painted) for mode in modes.split(b";")}
    return {mode for mode, switch in states.items() if (switch == b"h") != (mode in {_CURSOR, _WRAPPING})}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_dashboard_handles_every_ending_signal(ending: frozenset[int]) -> None:
    assert {signal.SIGTERM, signal.SIGALRM, signal.SIGRTMIN} <= ending
    with Terminal("demo") as terminal:
        terminal.wait_until(lambda text: "live" in text)
        assert handled_signals(terminal.process_id) >= ending
        terminal.press("q")
        assert terminal.wait_for_end() == 0


_SAMPLE = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGXCPU, signal.SIGALRM, signal.SIGRTMIN)


def test_signals_restore_the_terminal(ending: frozenset[int], served: dict[str, Any], home: Path) -> None:
    """The terminal is as before, the store is closed, and the exit code is 128 + n; with `PYTEST_LONG=1` after each signal."""
    environment = {"UPLOAD_TUI_URL": served["url"], "UPLOAD_TUI_TOKEN": served["token"]}
    for number in sorted(ending) if os.environ.get("PYTEST_LONG") else _SAMPLE:
        with Terminal("watch", program=NEW_PROCESS, environment=environment) as terminal:
            before = terminal.modes
            terminal.wait_until(lambda text: "live" in text)
            assert terminal.modes != before
            assert _changed_modes(terminal.painted) >= {b"1049", b"2004", b"1004", b"1000", _CURSOR}
            terminal.send_signal(number)
            assert (number, terminal.wait_for_end()) == (number, 128 + number)
            assert terminal.modes == before
            assert (number, _changed_modes(terminal.painted)) == (number, set())
            pushed, popped = (pattern.findall(terminal.painted) for pattern in (_KEYBOARD_PUSHED, _KEYBOARD_POPPED))
            assert len(pushed) == len(popped) == 1
        (store,) = home.rglob("*.db")
        assert not store.with_name(f"{store.name}-wal").exists()


_ENTERS = b"\x1b[?1049h"
_MOMENTS: Mapping[str, Callable[[Terminal], bool]] = {
    "handlers-set": lambda terminal: signal.SIGTERM in handled_signals(terminal.process_id),
    "event-loop-running": lambda terminal: terminal.has_event_loop,
    "screen-entered": lambda terminal: _ENTERS in terminal.painted,
    "painted": lambda terminal: "Quit" in terminal.text,
    "live": lambda terminal: "live" in terminal.text,
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("moment", "number"),
    [("handlers-set", signal.SIGINT), *zip(_MOMENTS, itertools.cycle((signal.SIGTERM, signal.SIGINT)))],
)
def test_a_signal_during_the_start_decides_on_the_exit_code(moment: str, number: signal.Signals) -> None:
    with Terminal("demo", program=NEW_PROCESS) as terminal:
        before = terminal.modes
        terminal.wait_until(lambda _: _MOMENTS[moment](terminal))
        terminal.send_signal(number)
        assert terminal.wait_for_end() == 128 + number
        assert terminal.modes == before
        assert terminal.painted.count(_ENTERS) == terminal.painted.count(_LEAVES)
    assert b"Traceback" not in terminal.painted


_INTERRUPTED_TEXT = """
import sys
from upload_tui.cli.support.signals import TerminationSignals
signals = TerminationSignals()
try:
    exec("signals.handle(15, None)")  # as in the middle of the definition of a named tuple
except KeyboardInterrupt:
    pass
sys.exit(signals.exit_code(0))
"""


def test_a_signal_in_a_text_that_is_executed_decides_on_the_exit_code(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(_INTERRUPTED_TEXT, encoding="utf-8")
    assert subprocess.run([sys.executable, "-m", "interrupted"], cwd=tmp_path, check=False).returncode == 143


_BUSY = "while True: pass"
_REFERENCE = "import time\nwhile time.process_time() < 2: pass"
"""Computes for two seconds, which takes longer on a busy machine."""


@contextmanager
def _busy_machine() -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(2)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@pytest.mark.parametrize("hang_up", HANG_UPS)
def test_dashboard_ends_soon_after_its_terminal_is_closed_on_a_busy_machine(hang_up: str) -> None:
    """Sooner than another program has computed for two seconds."""
    with Terminal("demo", hang_up=hang_up) as terminal, ExitStack() as stack:
        terminal.wait_until(lambda text: "live" in text)
        stack.enter_context(_busy_machine())
        reference = subprocess.Popen([sys.executable, "-c", _REFERENCE])
        try:
            assert terminal.hang_up() == 128 + signal.SIGHUP
            assert reference.poll() is None
        finally:
            reference.kill()
            reference.wait()


def test_suspension_where_no_shell_could_continue_is_ignored() -> None:
    with Terminal("demo") as terminal:
        terminal.wait_until(lambda text: "live" in text)
        terminal.press("\x1a")
        terminal.send_signal(signal.SIGTSTP)
        terminal.press("?")
        terminal.wait_until(lambda text: "Esc close" in text)
        terminal.press("qq")
        assert terminal.wait_for_end() == 0


def test_picture_is_on_the_terminal_when_standard_error_is_a_file(tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = ("bash", "-c", f'exec {sys.executable} -m upload_tui "$@" 2>{log}', "bash")
    with Terminal("demo", program=program) as terminal:
        terminal.wait_until(lambda text: "live" in text)
        terminal.press("q")
        assert terminal.wait_for_end() == 0
    assert log.read_bytes() == b""


def test_size_of_the_terminal_counts_more_than_variables() -> None:
    variables = {"COLUMNS": "20", "LINES": "5", "NO_COLOR": ""}
    with Terminal("demo", environment=variables) as terminal:
        terminal.wait_until(lambda text: "live" in text and "Timeline" in text and "Activity" in text)
        assert re.search(rb"\x1b\[[0-9;]*38;2;", terminal.painted)
        terminal.press("q")
        assert terminal.wait_for_end() == 0


def test_token_command_has_no_terminal_and_does_not_delay_the_end(tmp_path: Path) -> None:
    """It is ended while it runs, in the middle of the dashboard's first connection."""
    script = tmp_path / "command"
    script.write_text("#!/bin/sh\necho noise >&2\necho noise > /dev/tty\nread line\ntouch started\nexec sleep 1000\n")
    script.chmod(0o755)
    program = ("bash", "-c", f'cd {tmp_path}; exec {sys.executable} -m upload_tui "$@"', "bash")
    environment = {"UPLOAD_TUI_URL": "http://127.0.0.1:9", "UPLOAD_TUI_TOKEN_COMMAND": str(script)}
    with Terminal("watch", program=program, environment=environment) as terminal:
        terminal.wait_until(lambda _: (tmp_path / "started").exists())
        terminal.press("q")
        assert terminal.wait_for_end() == 0
    assert b"noise" not in terminal.painted
