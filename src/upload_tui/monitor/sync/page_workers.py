"""Reads pages at a glance, beside the event loop where there are pages enough to pay for it. Used by the first fetch alone."""

import asyncio
import os
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Self, cast

from upload_tui.monitor.store.page_snapshot import page_snapshot
from upload_tui.monitor.sync.page_worker import READY, REQUEST_HEADER, RESPONSE_HEADER

__all__ = ["PageWorkers"]

_MIN_UPLOADS = 20_000
"""So many uploads take longer to read than a process takes to start."""
_MAX_WORKERS = 4
"""So many read as fast as one event loop can fetch and keep."""
_COMMAND = (sys.executable, "-m", "upload_tui.monitor.sync.page_worker")
_LIMIT_BYTES = 1 << 20


class PageWorkers:
    """Processes that read pages; an asynchronous context manager that ends them.

    Where pages are few, or there is a single core, or the system lets no process be begun, and until one is ready, pages are
    read on the spot.

    Args:
        uploads: about how many are going to be read.
    """

    def __init__(self, uploads: int) -> None:
        cores = _cores()
        self._count = min(_MAX_WORKERS, cores) if uploads >= _MIN_UPLOADS and cores > 1 else 0
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
        await asyncio.gather(*(reader.stop() for reader in self._workers))

    async def _start_worker(self) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                *_COMMAND, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=_LIMIT_BYTES
            )
        except OSError:
            return
        reader = _Worker(process, cast("StreamWriter", process.stdin), cast("StreamReader", process.stdout))
        self._workers.append(reader)
        if await reader.is_ready():
            self._is_any_ready = True
            self._idle.put_nowait(reader)

    async def wait_until_ready(self) -> None:
        """Wait until all processes are ready, or will never be."""
        await asyncio.gather(*self._start_tasks)

    async def parse(self, body: bytes, read_on: datetime) -> bytes:
        """As `page_image`."""
        if not self._is_any_ready:
            return page_snapshot(body, read_on)
        reader = await self._idle.get()
        try:
            return await reader.parse(body, read_on)
        finally:
            self._idle.put_nowait(reader)


class _Worker:
    """One process, and its ends of the pipes."""

    def __init__(self, process: Process, requests: StreamWriter, responses: StreamReader) -> None:
        self._process = process
        self._requests = requests
        self._responses = responses
        self._is_usable = False

    async def is_ready(self) -> bool:
        """Wait until it has said hello; False if it never will."""
        with suppress(OSError, EOFError):
            self._is_usable = await self._receive(len(READY)) == READY
        return self._is_usable

    async def parse(self, body: bytes, read_on: datetime) -> bytes:
        """The image of a page, by the process unless that has ended; a page that is cut off in between is its last."""
        if self._is_usable:
            self._is_usable = False
            with suppress(OSError, EOFError):
                image = await self._request(body, read_on)
                self._is_usable = True
                return image
        return page_snapshot(body, read_on)

    async def _request(self, body: bytes, read_on: datetime) -> bytes:
        self._requests.writelines((REQUEST_HEADER.pack(len(body), read_on.timestamp()), body))
        (size_bytes,) = RESPONSE_HEADER.unpack(await self._receive(RESPONSE_HEADER.size))
        return await self._receive(size_bytes)

    async def _receive(self, size_bytes: int) -> bytes:
        return await self._responses.readexactly(size_bytes)

    async def stop(self) -> None:
        """End the process, and wait until it has."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


def _cores() -> int:
    """Those that this process may use, where the system says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
