"""A pseudo-terminal for benchmarks: runs a program, types, and tells when what was typed has been painted."""

import fcntl
import os
import pty
import select
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

__all__ = ["COLUMNS", "LINES", "PaintedProgram"]

COLUMNS, LINES = 120, 40
_FRAME_ENDS = b"\x1b[?2026l"
"""Textual wraps each frame into a synchronised update on terminals that say that they have them; this one does."""
_ASKS = b"\x1b[?2026$p"
_HAS = b"\x1b[?2026;1$y"
_PATIENCE_SECONDS = 120.0


class PaintedProgram:
    """A program on a terminal of 120 columns and 40 lines.

    Args:
        words: of its command line.
        environment: added to this process's own.
        folder: where it runs; None where this process does.
    """

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self._began = time.perf_counter()
        surroundings = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "TEXTUAL_ANIMATIONS": "none"}
        self._process = subprocess.Popen(
            words,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, **surroundings, **(environment or {})},
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
        """Seconds from the start until a text was painted."""
        self._read_until(text.encode())
        return time.perf_counter() - self._began

    def seconds_to_frame(self, keys: str, least_bytes: int = 0, quiet_seconds: float = 0.02) -> float:
        """Type once it was quiet for so long; the seconds until the next frame, of so many bytes at least, is painted whole."""
        self.drain(quiet_seconds)
        self._unread = b""
        began = time.perf_counter()
        os.write(self._master, keys.encode())
        while len(self._read_until(_FRAME_ENDS)) < least_bytes:
            pass
        return time.perf_counter() - began

    def drain(self, quiet_seconds: float = 0.02) -> None:
        """Read what still comes, until it is quiet."""
        while self._read(quiet_seconds):
            pass

    def wait(self, seconds: float) -> None:
        """Let time pass, and read what is painted meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.drain()

    @property
    def cpu_seconds(self) -> float:
        """Processor time that the program has used."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    @property
    def resident_bytes(self) -> int:
        """Memory that the program holds."""
        return int(psutil.Process(self._process.pid).memory_info().rss)

    def _read_until(self, wanted: bytes) -> bytes:
        deadline = time.monotonic() + _PATIENCE_SECONDS
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
        if _ASKS in painted:
            os.write(self._master, _HAS)
        self._unread += painted
        return True


def python(*words: str) -> list[str]:
    """A command line for this Python."""
    return [sys.executable, *words]
