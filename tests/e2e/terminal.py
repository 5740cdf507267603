"""A terminal for the program: a pseudo-terminal, and an emulator that keeps the screen."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pyte

from tests.e2e.forked_program import HANG_UPS, ForkedProcess, can_be_forked, start_forked

__all__ = ["NEW_PROCESS", "TIMEOUT_SECONDS", "Terminal"]

TIMEOUT_SECONDS = 180.0
"""How long to wait for a condition; long, for busy machines."""


NEW_PROCESS = (sys.executable, "-m", "upload_tui")
"""The program in a new process, for tests of its start."""
_PRINTING_SECONDS = 10
_LEAVES = b"\x1b[?1049l"
_ESCAPE = re.compile(r"\x1b\[[0-9;?<>=]*[a-zA-Z]|\x1b[()][A-Z0-9]|\x1b\].*?(?:\x07|\x1b\\)")


def _start(
    program: Sequence[str], arguments: Sequence[str], environment: Mapping[str, str], terminal: int, hang_up: str
) -> "subprocess.Popen[bytes] | ForkedProcess":
    if not program and can_be_forked(environment):
        return start_forked(["upload-tui", *arguments], environment, [terminal] * 3, hang_up=hang_up)
    return subprocess.Popen(
        [*(program or NEW_PROCESS), *arguments],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment,
        start_new_session=True,
        preexec_fn=HANG_UPS[hang_up],  # noqa: PLW1509  # no other thread holds a lock that the child needs
    )


class Terminal:
    """Runs `upload-tui` on a pseudo-terminal of a given size.

    Args:
        arguments: of the command line.
        columns: the terminal's width.
        lines: its height.
        environment: variables that are added to those of the test.
        program: the program to run with the arguments in a new process; by default `upload-tui`, in a forked one.
        hang_up: what the program learns when the terminal is closed; a key of `HANG_UPS`.
    """

    def __init__(
        self,
        *arguments: str,
        columns: int = 120,
        lines: int = 40,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = (),
        hang_up: str = "signal",
    ) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._master, slave = pty.openpty()
        self._set_size(columns, lines)
        variables = {**os.environ, **(environment or {})}
        self._process = _start(program, arguments, variables, slave, hang_up)
        os.close(slave)
        self.painted = b""
        self._text: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._master >= 0:
            os.close(self._master)

    @property
    def text(self) -> str:
        """The text on the screen."""
        if self._text is None:  # the emulator's own text of a large screen takes long: it measures every character
            columns, lines = range(self._screen.columns), range(self._screen.lines)
            rows = ((self._screen.buffer[line][column].data for column in columns) for line in lines)
            self._text = "\n".join(map("".join, rows))
        return self._text

    @property
    def final_output(self) -> str:
        """The output after the full screen was left, in one line; the emulator has no alternate screen."""
        output = self.painted.rpartition(_LEAVES)[2].decode(errors="replace")
        return " ".join(_ESCAPE.sub(" ", output).split())

    @property
    def process_id(self) -> int:
        """The id of the program's process."""
        return self._process.pid

    @property
    def has_event_loop(self) -> bool:
        """True once the program runs its event loop; on Linux only."""
        files = Path(f"/proc/{self.process_id}/fd")
        return any("eventpoll" in str(file.readlink()) for file in files.iterdir() if file.is_symlink())

    @property
    def modes(self) -> list[object]:
        """The terminal's modes: echo, line editing, signals of keys, and so on."""
        return list(termios.tcgetattr(self._master))

    def press(self, keys: str) -> None:
        """Send key presses."""
        os.write(self._master, keys.encode())

    def hang_up(self) -> int:
        """Close the terminal, as closing its window does; return the program's exit code."""
        os.close(self._master)
        self._master = -1
        return self._process.wait(TIMEOUT_SECONDS)

    def send_signal(self, number: int) -> None:
        """Send the program a signal."""
        self._process.send_signal(number)

    def resize(self, columns: int, lines: int) -> None:
        """Read all output, then change the size; the kernel signals the program."""
        while self._read(0):
            pass
        self._screen.resize(lines, columns)
        self._text = None
        self._set_size(columns, lines)

    def resize_without_reading(self, columns: int, lines: int) -> None:
        """Change the size and read nothing, so that the terminal's buffer fills."""
        self._set_size(columns, lines)

    def wait_until(self, condition: Callable[[str], bool]) -> str:
        """Read until a condition on the screen's text is true; return the text."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not condition(self.text):
            if time.monotonic() > deadline:
                raise AssertionError(f"not seen in {TIMEOUT_SECONDS:.0f} s; the screen was\n{self.text}")
            if not self._read(0.1) and self._process.poll() is not None and not condition(self.text):
                raise AssertionError(f"the program ended with {self._process.returncode}; the screen was\n{self.text}")
        return self.text

    def wait_without_reading(self) -> int:
        """Wait until the program ends, and read nothing; return its exit code."""
        return self._process.wait(TIMEOUT_SECONDS)

    def wait_for_end(self) -> int:
        """Read until the program ends; return its exit code."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while self._process.poll() is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"it did not end; the screen was\n{self.text}\n{self._stacks()}")
            self._read(0.1)
        while self._read(0):
            pass
        return self._process.wait()

    def _stacks(self) -> str:
        """Where the program is, as it prints itself in a forked process; a new one ignores the signal."""
        read = len(self.painted)
        self._process.send_signal(signal.SIGURG)
        deadline = time.monotonic() + _PRINTING_SECONDS
        while self._read(1) and time.monotonic() < deadline:
            pass
        return _ESCAPE.sub("", self.painted[read:].decode(errors="replace"))

    def _read(self, timeout_seconds: float) -> bool:
        readable, _, _ = select.select([self._master], [], [], timeout_seconds)
        if not readable:
            return False
        try:
            painted = os.read(self._master, 65536)
        except OSError:  # the other end is closed
            return False
        self.painted += painted
        self._stream.feed(painted)
        self._text = None
        return bool(painted)

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
