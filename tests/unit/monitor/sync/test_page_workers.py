"""Page workers return the same snapshots as a parse in this process, also when they are killed."""

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

from upload_tui.monitor.store.bulk import page_snapshot
from upload_tui.monitor.sync import page_workers
from upload_tui.monitor.sync.page_workers import PageWorkers
from upload_tui.testing import an_upload

pytestmark = pytest.mark.slow

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
BODIES = [
    json.dumps({"results": [an_upload(f"{page}-{n}.bin", verified=5, now=NOON) for n in range(20)]}).encode()
    for page in range(8)
]
TIMEOUT_SECONDS = 20.0


@pytest.fixture(autouse=True)
def several_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_workers, "_cores", lambda: 4)


def worker_processes() -> list[psutil.Process]:
    """The worker processes of this one."""
    return [child for child in psutil.Process().children() if "page_worker" in _command(child)]


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # a process of another test, which has ended
        return ""


async def test_pages_are_parsed_in_workers_when_there_are_very_many() -> None:
    async with PageWorkers(100_000, 20_000) as workers:
        await asyncio.gather(*workers._start_tasks)
        found = await asyncio.gather(*(workers.parse(body, NOON, "p-1") for body in BODIES))
        started = worker_processes()
    assert found == [page_snapshot(body, NOON, "p-1") for body in BODIES]
    assert len(started) == 4
    assert psutil.wait_procs(started, TIMEOUT_SECONDS)[1] == []


async def test_no_worker_is_started_when_there_are_few() -> None:
    async with PageWorkers(5000, 20_000) as workers:
        assert await workers.parse(BODIES[0], NOON, "p-1") == page_snapshot(BODIES[0], NOON, "p-1")
        assert worker_processes() == []


async def test_a_worker_returns_an_empty_snapshot_for_a_page_that_needs_a_full_parse() -> None:
    async with PageWorkers(100_000, 20_000) as workers:
        await asyncio.gather(*workers._start_tasks)
        assert await workers.parse(b"no JSON", NOON, "p-1") == b""


async def test_all_pages_are_parsed_when_the_workers_are_killed() -> None:
    async with PageWorkers(100_000, 20_000) as workers:
        await asyncio.gather(*workers._start_tasks)
        for process in worker_processes():
            process.kill()
        found = await asyncio.gather(*(workers.parse(body, NOON, "p-1") for body in BODIES))
    assert found == [page_snapshot(body, NOON, "p-1") for body in BODIES]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_the_workers_end_when_the_program_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        "import asyncio, sys, psutil\n"
        "from datetime import UTC, datetime\n"
        "from upload_tui.monitor.sync import page_workers\n"
        "page_workers._cores = lambda: 4\n"
        "async def main():\n"
        "    async with page_workers.PageWorkers(100_000, 20_000) as workers:\n"
        "        await asyncio.gather(*workers._start_tasks)\n"
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
    assert psutil.wait_procs(children, TIMEOUT_SECONDS)[1] == []
