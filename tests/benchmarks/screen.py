"""How soon the dashboard is there, and how soon it answers keys; what it costs while nothing happens."""

import time
from collections.abc import Sequence

from tests.benchmarks.figures import Figure
from tests.benchmarks.painted import PaintedProgram, python
from tests.benchmarks.turns import medians_in_turn

__all__ = ["BENCHMARKS"]

_BARE_TABLE = python("-m", "tests.benchmarks.programs.bare_table")


def first_frame(*, quick: bool) -> Sequence[Figure]:
    """From the command to the first painted frame, against a bare Textual app with an empty table."""
    programs = {
        "demo": (python("-m", "upload_tui", "demo"), "Uploads"),
        "reference": (_BARE_TABLE, "BareTable"),
    }
    seconds = medians_in_turn(
        {name: lambda words=words, text=text: _seconds_until(words, text) for name, (words, text) in programs.items()},
        3 if quick else 15,
    )
    return [Figure("first frame of demo", seconds["demo"] * 1000, seconds["reference"] * 1000, "ms", 1.15)]


def _seconds_until(words: Sequence[str], text: str) -> float:
    with PaintedProgram(words) as program:
        return program.seconds_until(text)


def idle(*, quick: bool) -> Sequence[Figure]:
    """Processor time while nothing happens, as a share of one core, beside a bare app's."""
    seconds = 5.0 if quick else 30.0
    ours = _cpu_share(python("-m", "upload_tui", "demo", "--scenario", "quiet"), "live", seconds)
    bare = _cpu_share(_BARE_TABLE, "BareTable", seconds)
    return [Figure("processor while idle, points above a bare app", 100 * (ours - bare), 1.0, "points", 1.5)]


def _cpu_share(words: Sequence[str], text: str, seconds: float) -> float:
    with PaintedProgram(words) as program:
        program.seconds_until(text)
        settled = time.monotonic() + 3.0
        while time.monotonic() < settled:
            program.drain(0.1)
        used, end = program.cpu_seconds, time.monotonic() + seconds
        while time.monotonic() < end:
            program.drain(0.1)
        return (program.cpu_seconds - used) / seconds


BENCHMARKS = (first_frame, idle)
