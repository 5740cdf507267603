"""Pages read beside the event loop say what they say on it, and are read whatever becomes of the processes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from upload_tui.monitor.store.page_snapshot import page_snapshot
from upload_tui.monitor.sync import page_workers
from upload_tui.monitor.sync.page_workers import PageWorkers
from upload_tui.testing import an_upload

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
BODIES = [
    json.dumps({"results": [an_upload(f"{page}-{n}.bin", verified=5, now=NOON) for n in range(20)]}).encode()
    for page in range(8)
]
LONG_ENOUGH = 20.0


@pytest.fixture(autouse=True)
def several_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_workers, "_cores", lambda: 4)


def helpers() -> list[psutil.Process]:
    """The processes that read pages for this one."""
    return [child for child in psutil.Process().children() if "page_worker" in " ".join(child.cmdline())]


async def test_pages_are_read_in_other_processes_when_there_are_very_many() -> None:
    async with PageWorkers(100_000) as readers:
        await readers.wait_until_ready()
        found = await asyncio.gather(*(readers.parse(body, NOON) for body in BODIES))
        begun = helpers()
    assert found == [page_snapshot(body, NOON) for body in BODIES]
    assert len(begun) == 4
    assert psutil.wait_procs(begun, LONG_ENOUGH)[1] == []


async def test_no_process_is_begun_when_there_are_few() -> None:
    async with PageWorkers(5000) as readers:
        assert await readers.parse(BODIES[0], NOON) == page_snapshot(BODIES[0], NOON)
        assert helpers() == []


async def test_a_page_that_wants_a_closer_look_says_so_from_there_too() -> None:
    async with PageWorkers(100_000) as readers:
        await readers.wait_until_ready()
        assert await readers.parse(b"no JSON", NOON) == b""


async def test_all_pages_are_read_when_the_processes_are_killed() -> None:
    async with PageWorkers(100_000) as readers:
        await readers.wait_until_ready()
        for helper in helpers():
            helper.kill()
        found = await asyncio.gather(*(readers.parse(body, NOON) for body in BODIES))
    assert found == [page_snapshot(body, NOON) for body in BODIES]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_the_processes_end_when_the_program_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "reads.py"
    script.write_text(
        "import asyncio, sys, psutil\n"
        "from datetime import UTC, datetime\n"
        "from upload_tui.monitor.sync import page_workers\n"
        "page_workers._cores = lambda: 4\n"
        "async def main():\n"
        "    async with page_workers.PageWorkers(100_000) as readers:\n"
        "        await readers.ready()\n"
        "        print(*[child.pid for child in psutil.Process().children()], flush=True)\n"
        "        sys.stdin.read()\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        children = [psutil.Process(int(pid)) for pid in program.stdout.readline().split()]
        os.kill(program.pid, signal.SIGKILL)
    assert children
    assert psutil.wait_procs(children, LONG_ENOUGH)[1] == []
