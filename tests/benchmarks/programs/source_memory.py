"""Prints by how many MiB memory grows: `python -m tests.benchmarks.programs.source_memory list|decode FILE`.

`list` lists FILE for the first time, as the output of a command; `decode` decodes its lines and keeps them.
"""

import asyncio
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec.json import decode

from upload_tui.clock import SystemClock
from upload_tui.monitor import SourceSynchroniser, Store, WatchedSource
from upload_tui.sources import CommandSource


async def _list(file: str) -> None:
    with TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store.db")
        watched = WatchedSource(CommandSource(["cat", file], timeout_seconds=600), "source:benchmark", "benchmark")
        await SourceSynchroniser(watched, store, SystemClock(), lambda _: None, lambda *_: None).sync()
        store.close()


def _decode(file: str) -> list[object]:
    with Path(file).open("rb") as lines:
        return [decode(line) for line in lines]


def _peak_mebibytes() -> float:
    # That of `resource.getrusage` includes the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.findall(r"VmHWM:\s*(\d+) kB", status)[0]) / 2**10


if __name__ == "__main__":
    before = _peak_mebibytes()
    if sys.argv[1] == "list":
        asyncio.run(_list(sys.argv[2]))
    else:
        kept = _decode(sys.argv[2])
    sys.stdout.write(f"{_peak_mebibytes() - before}\n")
