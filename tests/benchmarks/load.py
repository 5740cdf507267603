"""Processor time and key latency of the dashboard while many changes arrive."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from tests.benchmarks.figures import Figure
from tests.benchmarks.sampling import percentile
from tests.benchmarks.stream_service import CHANGES_PER_UPLOAD
from tests.benchmarks.terminal import TerminalProgram, cpu_shares, python

__all__ = ["BENCHMARKS"]

_WATCH = python("-m", "upload_tui", "watch")
_BARE_REGION = python("-m", "tests.benchmarks.programs.bare_region")
_SETTLING_SECONDS = 3.0
_KEY_PAUSE_SECONDS = 0.05


@contextmanager
def _watched(changes_per_second: float) -> Iterator[TerminalProgram]:
    """A dashboard that watches a service in another process."""
    command = python("-m", "tests.benchmarks.programs.stream", str(changes_per_second / CHANGES_PER_UPLOAD))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service, TemporaryDirectory() as home:
        assert service.stdout is not None
        environment: Mapping[str, str] = {
            "UPLOAD_TUI_URL": service.stdout.readline().strip(),
            "UPLOAD_TUI_TOKEN": "any",
            "HOME": home,
            "XDG_CACHE_HOME": home,
        }
        try:
            with TerminalProgram(_WATCH, environment) as program:
                program.seconds_until("live")
                program.wait(_SETTLING_SECONDS)
                yield program
        finally:
            service.terminate()


def processor(*, quick: bool) -> Sequence[Figure]:
    """Processor time with 100 changes a second, as a percentage of one core, compared with the same dashboard without changes."""
    seconds = 5.0 if quick else 30.0
    with _watched(100) as busy, _watched(0) as empty:
        share, share_empty = cpu_shares((busy, empty), seconds)
    points = 100 * (share - share_empty)
    return [Figure("processor at 100 changes a second, points above none", points, None, "points", 25.0)]


def keys(*, quick: bool) -> Sequence[Figure]:
    """The time from a key to its frame, with 1,000 changes a second."""
    presses = 60 if quick else 600
    ours: list[float] = []
    bare: list[float] = []
    with _watched(1000) as dashboard, TerminalProgram(_BARE_REGION) as reference:
        reference.seconds_until("BareRegion")
        for number in range(presses):
            ours.append(1000 * dashboard.seconds_to_frame("\x1b[B" if number % 8 < 4 else "\x1b[A"))
            bare.append(1000 * reference.seconds_to_frame("x"))
            dashboard.wait(_KEY_PAUSE_SECONDS)
    return [
        Figure(
            f"down at 1,000 changes a second, p{percent}",
            percentile(ours, percent),
            percentile(bare, percent),
            "ms",
            2.0,
        )
        for percent in ((50,) if quick else (50, 99))
    ]


BENCHMARKS = (processor, keys)
