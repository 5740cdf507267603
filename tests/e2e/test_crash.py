"""Kill the service at random moments under run_clients, on one database and one storage: nothing acknowledged may be lost.

`PYTEST_CRASH_KILLS` sets the number of kills; the default keeps the suite quick.
"""

import asyncio
import json
import os
import sqlite3
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.contract.calls import FILE, md5

pytestmark = pytest.mark.e2e

KILLS = int(os.environ.get("PYTEST_CRASH_KILLS", "10"))
CLIENTS = 6
FINAL = ("verified_on", "error_on")


@dataclass
class Acknowledged:
    """What the service acknowledged: chunks, completions, and the outcomes that clients saw."""

    chunks: dict[str, set[int]] = field(default_factory=dict)
    completed: dict[str, str] = field(default_factory=dict)
    corrupt: set[str] = field(default_factory=set)
    outcomes: dict[str, tuple[str, str]] = field(default_factory=dict)
    contradictions: list[str] = field(default_factory=list)

    def compare(self, upload: dict[str, Any]) -> None:
        """Compare an upload with everything acknowledged before."""
        upload_id, status = upload["id"], upload["status"]
        if status["completed_on"] != self.completed.get(upload_id, status["completed_on"]):
            self.contradictions.append(f"{upload_id}: completed anew")
        if not self.chunks.get(upload_id, set()) <= {chunk["number"] for chunk in upload["chunks"]}:
            self.contradictions.append(f"{upload_id}: chunks lost")
        outcome = next(((name, status[name]) for name in FINAL if status[name]), None)
        if outcome is not None and self.outcomes.setdefault(upload_id, outcome) != outcome:
            self.contradictions.append(f"{upload_id}: ended twice")
        if upload_id in self.outcomes and outcome is None:
            self.contradictions.append(f"{upload_id}: its outcome is lost")


async def start(folder: Path) -> tuple[asyncio.subprocess.Process, dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "upload_tui", "serve", "--port", "0", "--json",
        "--db", str(folder / "records.db"), "--storage", str(folder / "bytes"),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    return process, json.loads(await process.stdout.readline())


def client(served: dict[str, Any]) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"{served['url']}/api/v1", headers={"Authorization": served["token"]}, timeout=20)


async def upload_forever(
    http: httpx.AsyncClient, project_id: str, acknowledged: Acknowledged, *, is_corrupt: bool
) -> None:
    while True:
        fields = {"name": "file.bin", "content_type": "text/plain", "size": 15}
        upload = (await http.post(f"/projects/{project_id}/uploads", json=fields)).raise_for_status().json()
        path = f"/uploads/{upload['id']}"
        acknowledged.chunks[upload["id"]] = set()
        for number, content in enumerate(FILE, 1):
            report = {"number": number, "size": len(content), "hash": {"value": md5(content), "algorithm": "md5"}}
            target = (await http.put(f"{path}/chunks", json=report)).raise_for_status().json()
            sent = b"0000" if is_corrupt and number == 2 else content
            (await http.put(target["host"] + target["url"], content=sent)).raise_for_status()
            acknowledged.chunks[upload["id"]].add(number)
        if is_corrupt:
            acknowledged.corrupt.add(upload["id"])
        report = {"hash": {"value": md5(b"".join(FILE)), "algorithm": "md5"}}
        completed = (await http.put(f"{path}/complete", json=report)).raise_for_status().json()
        acknowledged.completed[upload["id"]] = completed["status"]["completed_on"]
        acknowledged.compare((await http.get(path)).raise_for_status().json())


async def run_clients(
    served: dict[str, Any], acknowledged: Acknowledged, seconds: float, process: asyncio.subprocess.Process
) -> None:
    """Run clients until the process is killed."""
    async with client(served) as http:
        work = [
            asyncio.create_task(upload_forever(http, served["project"]["id"], acknowledged, is_corrupt=number == 0))
            for number in range(CLIENTS)
        ]
        await asyncio.wait(work, timeout=seconds)
        process.kill()
        await process.wait()
        ended, _ = await asyncio.wait(work, timeout=30)
        assert len(ended) == CLIENTS
        for task in ended:
            assert isinstance(task.exception(), httpx.TransportError), task.exception()


async def wait_for_ends(served: dict[str, Any], acknowledged: Acknowledged) -> None:
    """Fetch every acknowledged upload until all have ended; one that never outcomes fails the test."""
    async with client(served) as http:
        for upload_id in acknowledged.chunks:
            acknowledged.compare((await http.get(f"/uploads/{upload_id}")).raise_for_status().json())
        async with asyncio.timeout(60):
            while set(acknowledged.completed) - set(acknowledged.outcomes):
                for upload_id in set(acknowledged.completed) - set(acknowledged.outcomes):
                    acknowledged.compare((await http.get(f"/uploads/{upload_id}")).raise_for_status().json())
        assert (await http.get("/queue")).json()["dead"] == 0


async def test_nothing_acknowledged_is_lost_when_the_service_is_killed(tmp_path: Path) -> None:
    rng, acknowledged = Random(902), Acknowledged()
    for _ in range(KILLS):
        process, served = await start(tmp_path)
        await run_clients(served, acknowledged, rng.uniform(0.05, 0.9), process)
    process, served = await start(tmp_path)
    try:
        await wait_for_ends(served, acknowledged)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    assert acknowledged.contradictions == []
    wrong = {
        upload_id
        for upload_id, (outcome, _) in acknowledged.outcomes.items()
        if (outcome == "error_on") != (upload_id in acknowledged.corrupt)
    }
    assert wrong == set()
    with sqlite3.connect(tmp_path / "records.db") as records:
        assert records.execute("SELECT count(*) FROM jobs").fetchone() == (0,)
        assert records.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    records.close()
    counts = f"{KILLS} kills, {len(acknowledged.chunks)} uploads, {len(acknowledged.completed)} completed"
    print(f"{counts}, none lost, none stuck")  # noqa: T201
