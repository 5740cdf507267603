"""Parse pages in worker processes when a full scan is large enough to pay for starting them.

A process is `python -m upload_tui.monitor.sync.page_workers`. It writes a byte when it is ready, then answers each page with its
snapshot until its input is closed, which also happens when the parent is killed. A page is preceded by `_REQUEST_HEADER`, a snapshot
by `_RESPONSE_HEADER`; a page that needs a full parse has an empty snapshot.
"""

import asyncio
import gc
import os
import signal
import struct
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, cast

from upload_tui.monitor.store.bulk import page_snapshot

__all__ = ["PageWorkers"]

_MAX_WORKERS = 4
"""More workers parse faster than one event loop can fetch and store."""
_COMMAND = (sys.executable, "-m", "upload_tui.monitor.sync.page_workers")
_LIMIT_BYTES = 1 << 20
_READY = b"\x06"
_REQUEST_HEADER = struct.Struct("!QdI")
"""Precedes a project's id and a page: bytes of the page, when it was read (seconds since 1970), bytes of the id."""
_RESPONSE_HEADER = struct.Struct("!Q")
"""Precedes a snapshot: its size in bytes."""


class PageWorkers:
    """Processes that parse pages; an asynchronous context manager that stops them.

    Pages are parsed in this process if there are few uploads, one core, no permission to start a process, or no worker ready yet.

    Args:
        uploads: about how many uploads are going to be parsed.
        threshold: from this many on, processes are started.
    """

    def __init__(self, uploads: int, threshold: int) -> None:
        cores = _cores()
        self._count = min(_MAX_WORKERS, cores) if uploads >= threshold and cores > 1 else 0
        self._start_tasks: Sequence[asyncio.Task[None]] = ()
        self._workers: list[_Worker] = []
        self._idle: asyncio.LifoQueue[_Worker] = asyncio.LifoQueue()
        self._is_any_ready = False

    async def __aenter__(self) -> Self:
        self._start_tasks = [asyncio.create_task(self._start_worker()) for _ in range(self._count)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._start_tasks:
            task.cancel()
        await asyncio.gather(*self._start_tasks, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in self._workers))

    async def _start_worker(self) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                *_COMMAND, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=_LIMIT_BYTES
            )
        except OSError:
            return
        worker = _Worker(process, cast("StreamWriter", process.stdin), cast("StreamReader", process.stdout))
        self._workers.append(worker)
        if await worker.is_ready():
            self._is_any_ready = True
            self._idle.put_nowait(worker)

    async def parse(self, body: bytes, read_on: datetime, project_id: str) -> bytes:
        """Make a page's snapshot, as `page_snapshot` does."""
        if not self._is_any_ready:
            return page_snapshot(body, read_on, project_id)
        worker = await self._idle.get()
        try:
            return await worker.parse(body, read_on, project_id)
        finally:
            self._idle.put_nowait(worker)


class _Worker:
    """One process and this side of its pipes."""

    def __init__(self, process: Process, requests: StreamWriter, responses: StreamReader) -> None:
        self._process = process
        self._requests = requests
        self._responses = responses
        self._is_usable = False

    async def is_ready(self) -> bool:
        """Wait until the process has started; False if it ended instead."""
        with suppress(OSError, EOFError):
            self._is_usable = await self._responses.readexactly(len(_READY)) == _READY
        return self._is_usable

    async def parse(self, body: bytes, read_on: datetime, project_id: str) -> bytes:
        """Make a page's snapshot in the process, or here if the process has ended.

        A request that is cancelled or fails half-way leaves the pipe unusable: the worker is not used again.
        """
        if self._is_usable:
            self._is_usable = False
            with suppress(OSError, EOFError):
                snapshot = await self._request(body, read_on, project_id)
                self._is_usable = True
                return snapshot
        return page_snapshot(body, read_on, project_id)

    async def _request(self, body: bytes, read_on: datetime, project_id: str) -> bytes:
        encoded_id = project_id.encode()
        header = _REQUEST_HEADER.pack(len(body), read_on.timestamp(), len(encoded_id))
        self._requests.writelines((header, encoded_id, body))
        (size_bytes,) = _RESPONSE_HEADER.unpack(await self._responses.readexactly(_RESPONSE_HEADER.size))
        return await self._responses.readexactly(size_bytes)

    async def stop(self) -> None:
        """Kill the process and wait for its end."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


def _cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _answer_pages() -> None:
    """Read pages from standard input and write snapshots to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the parent
    gc.disable()  # parsed pages hold no reference cycles
    requests, responses = sys.stdin.buffer, sys.stdout.buffer
    responses.write(_READY)
    responses.flush()
    while len(head := requests.read(_REQUEST_HEADER.size)) == _REQUEST_HEADER.size:
        size_bytes, read_at, id_bytes = _REQUEST_HEADER.unpack(head)
        project_id = requests.read(id_bytes).decode()
        snapshot = page_snapshot(requests.read(size_bytes), datetime.fromtimestamp(read_at, UTC), project_id)
        responses.write(_RESPONSE_HEADER.pack(len(snapshot)))
        responses.write(snapshot)
        responses.flush()


if __name__ == "__main__":
    _answer_pages()
