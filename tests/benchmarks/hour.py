"""Whether the dashboard grows while it is left open: an hour of a service's life, replayed at sixty times its pace."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.figures import Figure
from tests.benchmarks.painted import PaintedProgram, python
from tests.benchmarks.streaming import Stream
from tests.benchmarks.uploads import NEWEST, PROJECT
from upload_tui.client import Credentials, ServiceClient
from upload_tui.monitor import RecordingHeader, RecordingStore, RecordingWriter, Synchroniser
from upload_tui.testing import FrozenClock

__all__ = ["BENCHMARKS"]

_SPEED = 60
_SETTLING_SECONDS = 900.0
"""Of the replay; what is loaded at the first change, and the kept past, which is bounded, are there then."""
_ROUND_SECONDS = 4.0
_UPLOADS_PER_SECOND = 0.1
_STAGE_SECONDS = 60.0
_PAST_SECONDS = 20_000.0
"""So that two thousand uploads are known from the start."""


def hour(*, quick: bool) -> Sequence[Figure]:
    """How much memory the dashboard holds after an hour in which 360 uploads began and were verified, beyond what it held before."""
    seconds = 600.0 if quick else 3600.0
    with TemporaryDirectory() as folder:
        file = Path(folder) / "hour.jsonl"
        asyncio.run(_record(file, _SETTLING_SECONDS + seconds))
        words = python("-m", "upload_tui", "replay", str(file), "--speed", str(_SPEED))
        with PaintedProgram(words, {"HOME": folder, "XDG_CONFIG_HOME": folder}) as program:
            program.seconds_until("Uploads")
            program.wait(_SETTLING_SECONDS / _SPEED)
            before = program.resident_bytes
            program.wait(seconds / _SPEED)
            grown = program.resident_bytes - before
    return [Figure(f"memory after {seconds / 60:.0f} minutes of replay", grown / 2**20, None, "MiB", 1.0)]


async def _record(file: Path, seconds: float) -> None:
    """What `record` writes, without waiting for it."""
    clock = FrozenClock(NEWEST)
    stream = Stream(_UPLOADS_PER_SECOND, _PAST_SECONDS, _STAGE_SECONDS, clock.now)
    header = RecordingHeader(clock.now(), "https://example.org", "hour", (PROJECT,), 900.0)
    with RecordingWriter(file, header) as journal:
        store = RecordingStore(journal)
        async with ServiceClient(
            "https://example.org", Credentials(token="t"), transport=stream.transport, clock=clock
        ) as client:
            client.on_request(journal.write_request)
            watch = Synchroniser(client, store, PROJECT, journal.write_change, lambda *_: None)
            while clock.monotonic() < seconds:
                await watch.sync()
                clock.advance(_ROUND_SECONDS)
        store.close()


BENCHMARKS = (hour,)
