"""Memory of what stays open: a recorded hour, replayed at sixty times its speed; the demo and the embedded service at theirs."""

import asyncio
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.figures import Figure
from tests.benchmarks.stream_service import Stream
from tests.benchmarks.terminal import TerminalProgram, python
from tests.benchmarks.uploads import NEWEST, PROJECT
from upload_tui.client import Credentials, ServiceClient
from upload_tui.monitor import RecordingHeader, RecordingStore, RecordingWriter, Synchroniser
from upload_tui.testing import FrozenClock

__all__ = ["BENCHMARKS"]

_SPEED = 60
_SETTLING_SECONDS = 900.0
"""Of the replay; then everything that is loaded once, and the bounded history, are in memory."""
_ROUND_SECONDS = 4.0
_UPLOADS_PER_SECOND = 0.1
_STAGE_SECONDS = 60.0
_PAST_SECONDS = 20_000.0
"""Two thousand uploads are known at the start."""


def replayed_hour(*, quick: bool) -> Sequence[Figure]:
    """Memory added in an hour in which 360 uploads were initiated and verified."""
    seconds = 600.0 if quick else 3600.0
    with TemporaryDirectory() as folder:
        file = Path(folder) / "hour.jsonl"
        asyncio.run(_record(file, _SETTLING_SECONDS + seconds))
        command = python("-m", "upload_tui", "replay", str(file), "--speed", str(_SPEED))
        with TerminalProgram(command, {"HOME": folder, "XDG_CONFIG_HOME": folder}) as program:
            program.seconds_until("Uploads")
            program.wait(_SETTLING_SECONDS / _SPEED)
            before = program.resident_bytes
            program.wait(seconds / _SPEED)
            added = program.resident_bytes - before
    return [Figure(f"memory after {seconds / 60:.0f} minutes of replay", added / 2**20, None, "MiB", 1.0)]


async def _record(file: Path, seconds: float) -> None:
    """Write what `record` would write, in virtual time."""
    clock = FrozenClock(NEWEST)
    stream = Stream(_UPLOADS_PER_SECOND, _PAST_SECONDS, _STAGE_SECONDS, clock.now)
    header = RecordingHeader(clock.now(), "https://example.org", "hour", (PROJECT,), 900.0)
    with RecordingWriter(file, header) as writer:
        store = RecordingStore(writer)
        async with ServiceClient(
            "https://example.org", Credentials(token="t"), transport=stream.transport, clock=clock
        ) as client:
            client.request_listeners.append(writer.write_request)
            synchroniser = Synchroniser(client, store, PROJECT, writer.write_change, lambda *_: None)
            while clock.monotonic() < seconds:
                await synchroniser.sync()
                clock.advance(_ROUND_SECONDS)
        store.close()


_SCENARIOS = ("tour", "steady", "stuck", "rush")
_SERVICE_SPEED = 64
_DEMO_SPEED = 16
_WARM_UP_SECONDS = 60.0
"""Until the budget of the stored bytes is used up."""
_MEASURED_SECONDS = 120.0
_GOAL_MIB = 25.0


def open_for_hours(*, quick: bool) -> Sequence[Figure]:
    """Memory added, after a warm-up, to a service and a demo in memory for hours of their scenario. Not if quick."""
    return [] if quick else [figure for name in _SCENARIOS for figure in _open_for_hours(name)]


def _open_for_hours(scenario: str) -> Sequence[Figure]:
    service_command = python("-m", "tests.benchmarks.programs.embedded_service", scenario, str(_SERVICE_SPEED))
    demo_command = python("-m", "upload_tui", "demo", "--scenario", scenario, "--speed", str(_DEMO_SPEED))
    with (
        TemporaryDirectory() as folder,
        _started(service_command) as service,
        TerminalProgram(demo_command, {"HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_STATE_HOME": folder}) as demo,
    ):
        demo.seconds_until("Uploads")
        demo.wait(_WARM_UP_SECONDS)
        service_before, demo_before, began = _resident_bytes(service), demo.resident_bytes, time.monotonic()
        demo.wait(_MEASURED_SECONDS)
        service_added, demo_added = _resident_bytes(service) - service_before, demo.resident_bytes - demo_before
        hours = (time.monotonic() - began) / 3600
    return [
        Figure(f"memory after {hours * _SERVICE_SPEED:.1f} h of {scenario}, service", service_added / 2**20, None, "MiB", _GOAL_MIB),
        Figure(f"memory after {hours * _DEMO_SPEED:.1f} h of {scenario}, demo", demo_added / 2**20, None, "MiB", _GOAL_MIB),
    ]  # fmt: skip


def _started(command: Sequence[str]) -> "subprocess.Popen[str]":
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nothing, text=True)


def _resident_bytes(service: "subprocess.Popen[str]") -> int:
    assert service.stdin is not None
    assert service.stdout is not None
    service.stdin.write("\n")
    service.stdin.flush()
    return int(service.stdout.readline())


BENCHMARKS = (replayed_hour, open_for_hours)
