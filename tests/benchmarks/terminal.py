"""A pseudo-terminal for benchmarks: runs a program, types keys and measures the time until a frame is painted."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

__all__ = ["COLUMNS", "LINES", "TerminalProgram", "cpu_shares", "python"]

COLUMNS, LINES = 120, 40
_FRAME_END = b"\x1b[?2026l"
"""Textual ends each frame with this on terminals that support synchronised updates; this one does."""
_SYNC_QUERY = b"\x1b[?2026$p"
_SYNC_SUPPORTED = b"\x1b[?2026;1$y"
_TIMEOUT_SECONDS = 120.0


class TerminalProgram:
    """A program on a terminal of 120 columns and 40 lines.

    Args:
        command: the command line.
        environment: variables added to those of this process.
        folder: the working folder; None for that of this process.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self._began = time.perf_counter()
        variables = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "TEXTUAL_ANIMATIONS": "none"}
        self._process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, **variables, **(environment or {})},
            cwd=folder,
        )
        os.close(slave)
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def seconds_until(self, text: str) -> float:
        """Seconds from the start until a text is painted."""
        self._read_until(text.encode())
        return time.perf_counter() - self._began

    def seconds_to_frame(self, keys: str, least_bytes: int = 0, quiet_seconds: float = 0.02) -> float:
        """Type keys and return the seconds until the next frame of at least `least_bytes` is complete.

        Types when the program has painted nothing for `quiet_seconds`.
        """
        self.drain(quiet_seconds)
        self._unread = b""
        began = time.perf_counter()
        os.write(self._master, keys.encode())
        while len(self._read_until(_FRAME_END)) < least_bytes:
            pass
        return time.perf_counter() - began

    def drain(self, quiet_seconds: float = 0.02) -> None:
        """Read output until there is none for `quiet_seconds`."""
        while self._read(quiet_seconds):
            pass

    def repaint(self) -> None:
        """Make the program paint everything again, as after a change of the terminal's size."""
        self._unread = b""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", LINES + 1, COLUMNS, 0, 0))
        self._process.send_signal(signal.SIGWINCH)

    def wait(self, seconds: float) -> None:
        """Read output for this many seconds, and forget it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.drain()
            self._unread = b""

    @property
    def cpu_seconds(self) -> float:
        """Processor time of the program until now."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    @property
    def resident_bytes(self) -> int:
        """Resident memory of the program."""
        return int(psutil.Process(self._process.pid).memory_info().rss)

    def _read_until(self, wanted: bytes) -> bytes:
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while wanted not in self._unread:
            self._read(1.0)
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"{wanted!r} was never painted; the last was {self._unread[-2000:]!r}")
        read, _, self._unread = self._unread.partition(wanted)
        return read

    def _read(self, timeout_seconds: float) -> bool:
        readable, _, _ = select.select([self._master], [], [], timeout_seconds)
        if not readable:
            return False
        try:
            painted = os.read(self._master, 1 << 16)
        except OSError:
            return False
        if _SYNC_QUERY in painted:
            os.write(self._master, _SYNC_SUPPORTED)
        self._unread += painted
        return True


def cpu_shares(programs: Sequence[TerminalProgram], seconds: float, *, after_seconds: float = 0) -> Sequence[float]:
    """The part of a core that each of some programs that run at the same time needs, after they have begun."""
    _read_all(programs, after_seconds)
    used = [program.cpu_seconds for program in programs]
    _read_all(programs, seconds)
    return [(program.cpu_seconds - before) / seconds for program, before in zip(programs, used, strict=True)]


def _read_all(programs: Sequence[TerminalProgram], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for program in programs:
            program.drain(0.05)


def python(*arguments: str) -> list[str]:
    """A command line of this Python interpreter."""
    return [sys.executable, *arguments]
