"""A service in another process, the wheel, and the signals that end a program."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.programs import serving
from tests.e2e.shared import made_once

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel."""

    def build(folder: Path) -> None:
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)]
        subprocess.run(command, check=True)

    return next(made_once(tmp_path_factory, "wheel", build).glob("*.whl"))


@pytest.fixture
def served() -> Iterator[dict[str, Any]]:
    """What `serve --json` prints."""
    with serving() as served:
        yield dict(served.facts)


_FIND_ENDING = """
import os, resource, signal
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
for number in sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}):
    if (child := os.fork()) == 0:
        if number not in {signal.SIGPIPE, signal.SIGXFSZ}:  # Python ignores these two
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        os._exit(0)
    _, status = os.waitpid(child, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    elif os.WIFSIGNALED(status):
        print(number)
"""
_FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
"""A program cannot go on after these, not even to restore the terminal."""


@pytest.fixture(scope="session")
def ending() -> frozenset[int]:
    """The signals that end a program on this system, found out by sending each to a process."""
    found = subprocess.run([sys.executable, "-c", _FIND_ENDING], capture_output=True, text=True, check=True)
    return frozenset(map(int, found.stdout.split())) - _FAULTS
