"""Verification and requests of the embedded service and their memory, compared with bare references."""

import asyncio
import hashlib
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.benchmarks.figures import Figure
from upload_tui.backend import EmbeddedService
from upload_tui.backend.scenarios.uploads import finished_uploads
from upload_tui.backend.storage import FolderStorage
from upload_tui.backend.store.records import ChunkRecord
from upload_tui.backend.verification import verify

__all__ = ["BENCHMARKS", "measure_memory", "measure_requests", "measure_verification"]

_MIB = 1024 * 1024
_CORES = min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
_SHARE_OF_CORES = 2.5 / 4
"""The minimum efficiency on several cores."""
_REPETITIONS = 3

File = Sequence[bytes]


def measure_verification(quick: bool) -> list[Figure]:
    """Verification, compared with md5 of the same bytes in memory: of each chunk and of the whole file."""
    size = (32 if quick else 64) * _MIB
    content = Random(902).randbytes(size)
    figures = []
    for name, count in (("files of 1 chunk", 1), ("files of 8 chunks", 8)):
        files = [[content[start : start + size // count] for start in range(0, size, size // count)]] * _CORES
        one = _verification(files, 1, time.process_time), _bare(files, 1, time.process_time)
        alone = _verification(files, 1, time.perf_counter)
        all_cores = _verification(files, _CORES, time.perf_counter), _bare(files, _CORES, time.perf_counter)
        figures += [
            Figure(f"verification, {name}, 1 core / bare md5", *one, "MiB/s", 0.85, False),
            Figure(f"verification, {name}, {_CORES} cores / bare md5", *all_cores, "MiB/s", 0.85, False),
            Figure(
                f"verification, {name}, {_CORES} cores / 1 core",
                all_cores[0],
                alone,
                "MiB/s",
                _SHARE_OF_CORES * _CORES,
                False,
            ),
        ]
    return figures


def _verification(files: Sequence[File], threads: int, seconds: Callable[[], float]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        storage = FolderStorage(Path(folder))
        jobs = [(str(uuid.uuid4()), file, *_reported(file)) for file in files]
        for upload_id, file, *_ in jobs:
            asyncio.run(_store(storage, upload_id, file))

        def work(job: Any) -> None:
            upload_id, file, chunks, digest = job
            assert verify(upload_id, sum(map(len, file)), chunks, [("md5", digest)], storage) is None

        return _throughput(work, jobs, files, threads, seconds)


def _bare(files: Sequence[File], threads: int, seconds: Callable[[], float]) -> float:
    def work(file: File) -> None:
        whole = hashlib.md5(usedforsecurity=False)
        for chunk in file:
            whole.update(chunk)
            if len(file) > 1:
                hashlib.md5(chunk, usedforsecurity=False).hexdigest()
        whole.hexdigest()

    return _throughput(work, files, files, threads, seconds)


def _throughput(
    work: Callable[[Any], None], jobs: Sequence[Any], files: Sequence[File], threads: int, seconds: Callable[[], float]
) -> float:
    """MiB a second, by wall-clock or processor time; the best of several runs."""
    best = float("inf")
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(_REPETITIONS):
            began = seconds()
            list(pool.map(work, jobs))
            best = min(best, seconds() - began)
    return sum(len(chunk) for file in files for chunk in file) / _MIB / best


def _reported(file: File) -> tuple[list[ChunkRecord], str]:
    digests = [hashlib.md5(chunk, usedforsecurity=False).hexdigest() for chunk in file]
    pairs = zip(file, digests, strict=True)
    chunks = [ChunkRecord(number, len(chunk), "md5", digest) for number, (chunk, digest) in enumerate(pairs, 1)]
    return chunks, hashlib.md5(b"".join(file), usedforsecurity=False).hexdigest()


async def _store(storage: FolderStorage, upload_id: str, file: File) -> None:
    for number, chunk in enumerate(file, 1):
        await storage.put((upload_id, number), _blocks(chunk))


async def _blocks(chunk: bytes) -> AsyncIterator[bytes]:
    yield chunk


def measure_requests(quick: bool) -> list[Figure]:
    """Requests a second for one upload and for a page of 1,000, compared with a bare "hello" of the framework, without sockets."""
    return asyncio.run(_requests(200 if quick else 2000))


async def _requests(count: int) -> list[Figure]:
    async def hello(_: Request) -> Response:
        return PlainTextResponse("hello")

    bare = Starlette(routes=[Route("/hello", hello)])
    async with EmbeddedService(seed=1) as service:
        uploads = list(finished_uploads(1, 1000, service.project.id, service.clock.now()))
        service.import_uploads(uploads)
        token = service.new_token()
        hellos = await _rate(bare, "/hello", token, count)
        ones = await _rate(service.app, f"/api/v1/uploads/{uploads[0].id}", token, count)
        path = f"/api/v1/projects/{service.project.id}/uploads"
        pages = await _rate(service.app, path, token, max(3, count // 100), b"per_page=1000")
    return [
        Figure("GET /uploads/{id} / hello", ones, hellos, "1/s", 0.03, False),
        Figure("a page of 1,000 / hello", pages, hellos, "1/s", 0.0001, False),
        Figure("an upload on a page of 1,000 / GET /uploads/{id}", pages * 1000, ones, "1/s", 1.0, False),
    ]


async def _rate(app: Any, path: str, token: str, count: int, query: bytes = b"") -> float:
    statuses = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    call: Callable[[], Awaitable[None]] = lambda: app(_scope(path, token, query), receive, send)  # noqa: E731
    await call()
    began = time.perf_counter()
    for _ in range(count):
        await call()
    seconds = time.perf_counter() - began
    assert set(statuses) == {200}
    return count / seconds


def _scope(path: str, token: str, query: bytes) -> dict[str, Any]:
    headers = [(b"host", b"localhost"), (b"authorization", token.encode())]
    kind = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": "GET"}
    place = {"path": path, "raw_path": path.encode(), "query_string": query, "root_path": "", "headers": headers}
    return {**kind, **place, "client": ("127.0.0.1", 1), "server": ("localhost", 80)}


_PEAK = """
import resource, sys
from pathlib import Path
from upload_tui.backend.store.records import ChunkRecord
from upload_tui.backend.storage import FolderStorage
from upload_tui.backend.verification import verify

folder, upload_id, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
storage = FolderStorage(folder)
(folder / upload_id).mkdir()
with (folder / upload_id / "1").open("wb") as file:
    file.truncate(size)
message = verify(upload_id, size, [ChunkRecord(1, size, "md5", "?")], [("md5", "?")], storage)
assert message and "size does not match size computed by StorageProvider: reported" not in message, message
status = Path("/proc/self/status")
if status.exists():  # there ru_maxrss includes the peak of the parent process
    print(int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 / 1024)
"""


def measure_memory(quick: bool) -> list[Figure]:
    """Peak memory of a process that verifies a large file: at most 32 MiB more than for 16 MiB."""
    large_mib = 128 if quick else 1024
    large, small = _peak_mib(large_mib), _peak_mib(16)
    goal = (small + 32) / small
    return [Figure(f"peak memory, {large_mib} MiB file / 16 MiB file", large, small, "MiB", goal, True)]


def _peak_mib(size_mib: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", _PEAK, folder, str(uuid.uuid4()), str(size_mib * _MIB)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


BENCHMARKS = (measure_verification, measure_requests, measure_memory)
