"""The first frame of the dashboard, the latency of keys, and processor time while idle."""

import json
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.figures import Figure
from tests.benchmarks.sampling import interleaved_medians, percentile
from tests.benchmarks.terminal import TerminalProgram, cpu_shares, python
from tests.benchmarks.uploads import fill, source_lines

__all__ = ["BENCHMARKS"]

_DEMO = python("-m", "upload_tui", "demo")
_WATCH = python("-m", "upload_tui", "watch")
_BARE_REGION = python("-m", "tests.benchmarks.programs.bare_region")
_KEYS = {"down": "\x1b[B", "page down": "\x1b[6~", "end": "\x1b[F", "home": "\x1b[H"}
_BARE_TABLE = python("-m", "tests.benchmarks.programs.bare_table")


def first_frame(*, quick: bool) -> Sequence[Figure]:
    """From the command to the first painted frame, compared with a bare Textual app with an empty table."""
    with TemporaryDirectory() as home, served() as service:
        environment = {**service, "HOME": home, "XDG_CACHE_HOME": home}
        with TerminalProgram(_WATCH, environment) as program:  # fills the cache
            program.seconds_until("live")
        programs = {
            "demo": (_DEMO, "Uploads"),
            "watch": (_WATCH, "Uploads 1"),  # more digits follow: rows are on the screen
            "reference": (_BARE_TABLE, "BareTable"),
        }
        seconds = interleaved_medians(
            {name: partial(_seconds_until, command, text, environment) for name, (command, text) in programs.items()},
            3 if quick else 15,
        )
    bare = seconds.pop("reference") * 1000
    return [Figure(f"first frame of {name}", value * 1000, bare, "ms", 1.15) for name, value in seconds.items()]


def _seconds_until(command: Sequence[str], text: str, environment: Mapping[str, str]) -> float:
    with TerminalProgram(command, environment) as program:
        return program.seconds_until(text)


@contextmanager
def served(scenario: str = "tour", speed: float = 1) -> Iterator[dict[str, str]]:
    """Serve a scenario on a real port; yields the environment variables to use it."""
    command = python(
        "-m", "upload_tui", "serve", "--port", "0", "--json", "--scenario", scenario, "--speed", str(speed)
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        try:
            yield {"UPLOAD_TUI_URL": facts["url"], "UPLOAD_TUI_TOKEN": facts["token"]}
        finally:
            process.terminate()


def idle(*, quick: bool) -> Sequence[Figure]:
    """Processor time while uploads wait and nothing changes, as a percentage of one core, compared with a bare app."""
    seconds = 5.0 if quick else 30.0
    with TemporaryDirectory() as home, served("stuck", speed=0) as service:
        environment = {**service, "HOME": home, "XDG_CACHE_HOME": home}
        with TerminalProgram(_WATCH, environment) as ours, TerminalProgram(_BARE_TABLE) as bare:
            ours.seconds_until("live")
            bare.seconds_until("BareTable")
            share, bare_share = cpu_shares((ours, bare), seconds, after_seconds=3.0)
    return [Figure("processor while idle, points above a bare app", 100 * (share - bare_share), None, "points", 1.5)]


def keys(*, quick: bool) -> Sequence[Figure]:
    """The time from a key to its frame, at both ends and in the middle of very many uploads."""
    count, presses = (50_000, 40) if quick else (1_000_000, 200)
    with (
        TemporaryDirectory() as folder,
        _stored(Path(folder) / "store.db", count) as dashboard,
        TerminalProgram(_BARE_REGION) as bare,
    ):
        bare.seconds_until("BareRegion")
        values = _seconds_to_frame(dashboard, bare, presses)
        resident = dashboard.resident_bytes - bare.resident_bytes
    figures = [
        Figure(
            f"{key} to frame, p{percent}, {count:,} uploads",
            1000 * percentile(values[key], percent),
            1000 * percentile(values["reference"], percent),
            "ms",
            1.25,
        )
        for key in _KEYS
        for percent in ((50,) if quick else (50, 99))  # p99 of forty presses is noise
    ]
    return [*figures, Figure("memory above a bare app after scrolling", resident / 2**20, 60.0, "MiB", 1.0)]


def _seconds_to_frame(dashboard: TerminalProgram, bare: TerminalProgram, presses: int) -> Mapping[str, list[float]]:
    values: dict[str, list[float]] = {name: [] for name in (*_KEYS, "reference")}
    for _ in range(presses):
        for name, key in _KEYS.items():
            values[name].append(dashboard.seconds_to_frame(key))
            values["reference"].append(bare.seconds_to_frame("x"))
    return values


def growth(*, quick: bool) -> Sequence[Figure]:
    """The same keys with more and more uploads, alternately; a thousand times as many make no difference."""
    counts, presses = ((1_000, 50_000), 40) if quick else ((1_000, 10_000, 100_000, 1_000_000), 100)
    with TemporaryDirectory() as folder, ExitStack() as stack:
        dashboards = {count: stack.enter_context(_stored(Path(folder) / f"{count}.db", count)) for count in counts}
        values: dict[tuple[str, int], list[float]] = {(key, count): [] for key in _KEYS for count in counts}
        for _ in range(presses):
            for key, typed in _KEYS.items():
                for count, dashboard in dashboards.items():
                    values[key, count].append(1000 * dashboard.seconds_to_frame(typed))
    fewest, *more = counts
    return [
        Figure(
            f"{key} to frame, p50, {count:,} / {fewest:,}",
            percentile(values[key, count], 50),
            percentile(values[key, fewest], 50),
            "ms",
            1.25,
        )
        for key in _KEYS
        for count in more
    ]


@contextmanager
def _stored(file: Path, count: int) -> Iterator[TerminalProgram]:
    """A dashboard over a store of `count` uploads, without a service."""
    fill(file, count)
    with TerminalProgram(python("-m", "tests.benchmarks.programs.stored_dashboard", str(file))) as dashboard:
        dashboard.seconds_until(f"{count:,}")
        yield dashboard


def keys_while_listing(*, quick: bool) -> Sequence[Figure]:
    """The time from a key to its frame while a source of very many lines is listed for the first time, and again and again.

    Compared with times that a person does not notice: the first listing has no indexes yet, and shares the processor.
    """
    count, presses = (20_000, 40) if quick else (100_000, 80)
    with TemporaryDirectory() as home:
        file = Path(home) / "lines"
        file.write_bytes(b"\n".join(source_lines(count)))
        environment = {"HOME": home, "XDG_CACHE_HOME": home, "UPLOAD_TUI_REFRESH": "0.2"}
        with TerminalProgram([*_WATCH, "--command", shlex.join(["cat", str(file)])], environment) as dashboard:
            dashboard.seconds_until("run-")
            first = _milliseconds_to_frame(dashboard, presses // 8)  # the listing takes longer than these
            dashboard.repaint()  # it may be live already, and would not paint that again
            dashboard.seconds_until("live")
            again = _milliseconds_to_frame(dashboard, presses)
    return [
        Figure(
            f"{key} to frame while {count:,} lines of {name} are listed, p50",
            percentile(values[key], 50),
            limit,
            "ms",
            1.0,
        )
        for name, values, limit in (("a new source", first, 100.0), ("a known source", again, 50.0))
        for key in _KEYS
    ]


def _milliseconds_to_frame(dashboard: TerminalProgram, presses: int) -> Mapping[str, list[float]]:
    values: dict[str, list[float]] = {name: [] for name in _KEYS}
    for _ in range(presses):
        for name, key in _KEYS.items():
            values[name].append(1000 * dashboard.seconds_to_frame(key))
    return values


BENCHMARKS = (first_frame, idle, keys, keys_while_listing, growth)
