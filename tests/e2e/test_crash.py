"""Kill the service at random moments while clients upload, on one database and storage: nothing acknowledged is lost.

Meanwhile the storage comes and goes. Another service runs on a small disk that is full now and then.

`PYTEST_CRASH_KILLS` sets the number of kills; the default keeps the suite quick.
"""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from shutil import which
from typing import Any

import httpx
import pytest

from tests.contract.calls import FILE, md5

pytestmark = pytest.mark.e2e

KILLS = int(os.environ.get("PYTEST_CRASH_KILLS", "10"))
CLIENTS = 6
LARGE = bytes(16 * 1024 * 1024)
LARGE_DIGEST = md5(LARGE)
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
        if not self.chunks.get(upload_id, set()) <= {chunk["number"] for chunk in upload.get("chunks", ())}:
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
    return httpx.AsyncClient(
        base_url=f"{served['url']}/api/v1", headers={"Authorization": served["token"]}, timeout=None
    )


async def send(http: httpx.AsyncClient, url: str, content: bytes) -> None:
    """Send the bytes of a chunk, again while the storage is unavailable; any other refusal is an error."""
    while (response := await http.put(url, content=content)).status_code == 500:
        assert response.json()["reason"] == "The storage provider is unavailable"
    response.raise_for_status()


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
            await send(http, target["host"] + target["url"], sent)
            acknowledged.chunks[upload["id"]].add(number)
        if is_corrupt:
            acknowledged.corrupt.add(upload["id"])
        report = {"hash": {"value": md5(b"".join(FILE)), "algorithm": "md5"}}
        completed = (await http.put(f"{path}/complete", json=report)).raise_for_status().json()
        acknowledged.completed[upload["id"]] = completed["status"]["completed_on"]
        acknowledged.compare((await http.get(path)).raise_for_status().json())


async def upload_large_files_forever(http: httpx.AsyncClient, project_id: str, acknowledged: Acknowledged) -> None:
    """Upload files whose verification takes long enough to be killed in the middle of it."""
    while True:
        fields = {"name": "large.bin", "content_type": "text/plain", "size": len(LARGE), "chunked": False}
        upload = (await http.post(f"/projects/{project_id}/uploads", json=fields)).raise_for_status().json()
        await send(http, upload["signed_url"]["host"] + upload["signed_url"]["url"], LARGE)
        acknowledged.chunks[upload["id"]] = set()
        report = {"hash": {"value": LARGE_DIGEST, "algorithm": "md5"}}
        path = f"/uploads/{upload['id']}"
        completed = (await http.put(f"{path}/complete", json=report)).raise_for_status().json()
        acknowledged.completed[upload["id"]] = completed["status"]["completed_on"]
        while not any(acknowledged.outcomes.get(upload["id"], ())):
            acknowledged.compare((await http.get(path)).raise_for_status().json())


async def take_the_storage_away_forever(folder: Path, rng: Random) -> None:
    """Move the folder of the bytes away and back, again and again."""
    while True:
        await asyncio.sleep(rng.uniform(0.05, 0.2))
        (folder / "bytes").rename(folder / "away")
        try:
            await asyncio.sleep(rng.uniform(0.0, 0.03))
        finally:
            (folder / "away").rename(folder / "bytes")


async def run_clients(
    served: dict[str, Any],
    acknowledged: Acknowledged,
    seconds: float,
    process: asyncio.subprocess.Process,
    folder: Path,
) -> None:
    """Run clients until the process is killed; the storage comes and goes meanwhile."""
    async with client(served) as http:
        project_id = served["project"]["id"]
        work = [
            asyncio.create_task(upload_forever(http, project_id, acknowledged, is_corrupt=number == 0))
            for number in range(CLIENTS)
        ]
        work.append(asyncio.create_task(upload_large_files_forever(http, project_id, acknowledged)))
        absences = asyncio.create_task(take_the_storage_away_forever(folder, Random(seconds)))
        await asyncio.wait(work, timeout=seconds)
        process.kill()
        await process.wait()
        absences.cancel()
        await asyncio.gather(absences, return_exceptions=True)
        ended, _ = await asyncio.wait(work)
        for task in ended:
            assert isinstance(task.exception(), httpx.TransportError), task.exception()


async def wait_for_ends(served: dict[str, Any], acknowledged: Acknowledged) -> None:
    """Fetch every acknowledged upload until all have ended; one that never ends fails the test."""
    async with client(served) as http:
        for upload_id in acknowledged.chunks:
            acknowledged.compare((await http.get(f"/uploads/{upload_id}")).raise_for_status().json())
        while set(acknowledged.completed) - set(acknowledged.outcomes):
            for upload_id in set(acknowledged.completed) - set(acknowledged.outcomes):
                acknowledged.compare((await http.get(f"/uploads/{upload_id}")).raise_for_status().json())
        assert (await http.get("/queue")).json()["dead"] == 0


async def test_nothing_acknowledged_is_lost_when_the_service_is_killed(tmp_path: Path) -> None:
    rng, acknowledged = Random(902), Acknowledged()
    for _ in range(KILLS):
        process, served = await start(tmp_path)
        await run_clients(served, acknowledged, rng.uniform(0.05, 0.9), process, tmp_path)
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


async def test_nothing_acknowledged_is_lost_when_the_disk_is_full(small_disk: Path) -> None:
    process, served = await start(small_disk)
    filler = small_disk / "filler"
    acknowledged: list[str] = []
    try:
        async with client(served) as http:
            for number in range(40):
                if number % 10 == 5:
                    _fill(filler)
                elif number % 10 == 9:
                    filler.unlink()
                with suppress(httpx.TransportError):
                    upload_id = await _upload_once(http, served["project"]["id"])
                    acknowledged += [upload_id] if upload_id is not None else []
            while (await http.get("/queue")).json()["depth"] + (await http.get("/queue")).json()["running"]:
                await asyncio.sleep(0.1)  # the next attempt begins after a second
            outcomes = [(await http.get(f"/uploads/{upload_id}")).json()["status"] for upload_id in acknowledged]
            assert (await http.get("/queue")).json()["dead"] == 0
    finally:
        process.kill()
        await process.wait()
    assert 0 < len(acknowledged) < 40
    assert all(status["verified_on"] for status in outcomes)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB in memory; only root on Linux can mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(file: Path) -> None:
    with suppress(OSError), file.open("wb", buffering=0) as filler:
        while filler.write(bytes(4096)):
            pass


async def _upload_once(http: httpx.AsyncClient, project_id: str) -> str | None:
    """Upload a file. Returns its id once its completion is acknowledged; None if the service refused any of it."""
    fields = {"name": "file.bin", "content_type": "text/plain", "size": 15}
    created = await http.post(f"/projects/{project_id}/uploads", json=fields)
    if created.status_code != 201:
        return None
    upload_id = str(created.json()["id"])
    for number, content in enumerate(FILE, 1):
        report = {"number": number, "size": len(content), "hash": {"value": md5(content), "algorithm": "md5"}}
        target = await http.put(f"/uploads/{upload_id}/chunks", json=report)
        if target.status_code != 200:
            return None
        if (await http.put(target.json()["host"] + target.json()["url"], content=content)).status_code != 201:
            return None
    report = {"hash": {"value": md5(b"".join(FILE)), "algorithm": "md5"}}
    completed = await http.put(f"/uploads/{upload_id}/complete", json=report)
    return upload_id if completed.status_code == 202 else None
