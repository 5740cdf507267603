"""The process is killed at random moments under load, on one database and one storage: nothing acknowledged may be lost.

`PYTEST_CRASH_KILLS` says how often; the suite's few kills keep it quick.
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
class Word:
    """What the service has acknowledged of uploads: the chunks it took, the completions, the ends that were seen."""

    chunks: dict[str, set[int]] = field(default_factory=dict)
    completed: dict[str, str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    ends: dict[str, tuple[str, str]] = field(default_factory=dict)
    contradictions: list[str] = field(default_factory=list)

    def hear(self, upload: dict[str, Any]) -> None:
        """Compare what the service says now with what it said before."""
        upload_id, status = upload["id"], upload["status"]
        if status["completed_on"] != self.completed.get(upload_id, status["completed_on"]):
            self.contradictions.append(f"{upload_id}: completed anew")
        if not self.chunks.get(upload_id, set()) <= {chunk["number"] for chunk in upload["chunks"]}:
            self.contradictions.append(f"{upload_id}: chunks lost")
        end = next(((name, status[name]) for name in FINAL if status[name]), None)
        if end is not None and self.ends.setdefault(upload_id, end) != end:
            self.contradictions.append(f"{upload_id}: ended twice")
        if upload_id in self.ends and end is None:
            self.contradictions.append(f"{upload_id}: its end is lost")


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


async def upload_for_ever(http: httpx.AsyncClient, project_id: str, word: Word, *, is_broken: bool) -> None:
    while True:
        fields = {"name": "file.bin", "content_type": "text/plain", "size": 15}
        upload = (await http.post(f"/projects/{project_id}/uploads", json=fields)).raise_for_status().json()
        path = f"/uploads/{upload['id']}"
        word.chunks[upload["id"]] = set()
        for number, content in enumerate(FILE, 1):
            report = {"number": number, "size": len(content), "hash": {"value": md5(content), "algorithm": "md5"}}
            target = (await http.put(f"{path}/chunks", json=report)).raise_for_status().json()
            sent = b"0000" if is_broken and number == 2 else content
            (await http.put(target["host"] + target["url"], content=sent)).raise_for_status()
            word.chunks[upload["id"]].add(number)
        if is_broken:
            word.broken.add(upload["id"])
        whole = {"hash": {"value": md5(b"".join(FILE)), "algorithm": "md5"}}
        done = (await http.put(f"{path}/complete", json=whole)).raise_for_status().json()
        word.completed[upload["id"]] = done["status"]["completed_on"]
        word.hear((await http.get(path)).raise_for_status().json())


async def load(served: dict[str, Any], word: Word, seconds: float, process: asyncio.subprocess.Process) -> None:
    """Clients at work until the process is killed under their hands."""
    async with client(served) as http:
        work = [
            asyncio.create_task(upload_for_ever(http, served["project"]["id"], word, is_broken=number == 0))
            for number in range(CLIENTS)
        ]
        await asyncio.wait(work, timeout=seconds)
        process.kill()
        await process.wait()
        ended, _ = await asyncio.wait(work, timeout=30)
        assert len(ended) == CLIENTS
        for task in ended:
            assert isinstance(task.exception(), httpx.TransportError), task.exception()


async def listen(served: dict[str, Any], word: Word) -> None:
    """Ask for all that was acknowledged until all of it has ended; what never does is stuck."""
    async with client(served) as http:
        for upload_id in word.chunks:
            word.hear((await http.get(f"/uploads/{upload_id}")).raise_for_status().json())
        async with asyncio.timeout(60):
            while set(word.completed) - set(word.ends):
                for upload_id in set(word.completed) - set(word.ends):
                    word.hear((await http.get(f"/uploads/{upload_id}")).raise_for_status().json())
        assert (await http.get("/queue")).json()["dead"] == 0


async def test_nothing_acknowledged_is_lost_when_the_service_is_killed(tmp_path: Path) -> None:
    chance, word = Random(902), Word()
    for _ in range(KILLS):
        process, served = await start(tmp_path)
        await load(served, word, chance.uniform(0.05, 0.9), process)
    process, served = await start(tmp_path)
    try:
        await listen(served, word)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    assert word.contradictions == []
    wrong = {
        upload_id for upload_id, (end, _) in word.ends.items() if (end == "error_on") != (upload_id in word.broken)
    }
    assert wrong == set()
    with sqlite3.connect(tmp_path / "records.db") as records:
        assert records.execute("SELECT count(*) FROM jobs").fetchone() == (0,)
        assert records.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    records.close()
    print(f"{KILLS} kills, {len(word.chunks)} uploads begun, {len(word.completed)} completed, none lost, none stuck")  # noqa: T201
