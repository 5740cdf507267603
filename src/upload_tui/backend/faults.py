"""The faults by name, which of them are active, and a storage that obeys them."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from math import inf, isfinite
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from upload_tui.backend.storage import BlobKey, BlobStat, MemoryStorage, Storage, StorageUnavailableError
from upload_tui.clock import Clock

__all__ = ["ActiveFault", "FAULT_DESCRIPTIONS", "FAULT_VALUES", "FaultName", "Faults", "FaultyStorage", "LARGEST_VALUE"]


class FaultName(StrEnum):
    """Names of the faults, as users type them."""

    OUTAGE = "outage"
    TOO_MANY_REQUESTS = "too-many-requests"
    SERVER_ERROR = "server-error"
    SLOW_ANSWERS = "slow-answers"
    DROPPED_ANSWERS = "dropped-answers"
    DOUBLED_REQUESTS = "doubled-requests"
    GARBAGE = "garbage"
    CUT_ANSWERS = "cut-answers"
    MALFORMED_JSON = "malformed-json"
    SKEWED_CLOCK = "skewed-clock"
    EXPIRED_TOKENS = "expired-tokens"
    EXPIRED_URLS = "expired-urls"
    DEAD_WORKER = "dead-worker"
    ALTERED_CHUNK = "altered-chunk"
    LOST_CHUNK = "lost-chunk"
    BROKEN_STORAGE = "broken-storage"
    YOUNG_PROJECTS = "young-projects"


FAULT_DESCRIPTIONS: Mapping[FaultName, str] = MappingProxyType(
    {
        FaultName.OUTAGE: "every request gets 503, for 15s",
        FaultName.TOO_MANY_REQUESTS: "every request gets 429 with Retry-After, for 10s",
        FaultName.SERVER_ERROR: "every request gets 500, for 10s",
        FaultName.SLOW_ANSWERS: "every response takes 3s, for 20s",
        FaultName.DROPPED_ANSWERS: "requests are processed but their responses are lost, for 10s",
        FaultName.DOUBLED_REQUESTS: "every request arrives twice, for 20s",
        FaultName.GARBAGE: "every response is HTML instead of JSON, for 10s",
        FaultName.CUT_ANSWERS: "every response is cut in half, for 10s",
        FaultName.MALFORMED_JSON: "every response is malformed JSON, for 10s",
        FaultName.SKEWED_CLOCK: "the Date header is 300s ahead, for 60s",
        FaultName.EXPIRED_TOKENS: "every token is rejected as expired, for 10s",
        FaultName.EXPIRED_URLS: "every signed URL is rejected, for 10s",
        FaultName.DEAD_WORKER: "the verification worker is dead, for 60s",
        FaultName.ALTERED_CHUNK: "one byte of the next chunk is stored wrong",
        FaultName.LOST_CHUNK: "the next chunk is acknowledged but not stored",
        FaultName.BROKEN_STORAGE: "stored bytes cannot be read, for 30s",
        FaultName.YOUNG_PROJECTS: "a project rejects uploads in its first 4s, for 60s",
    }
)

FAULT_VALUES: Mapping[FaultName, tuple[float, str]] = MappingProxyType(
    {
        FaultName.SLOW_ANSWERS: (3, "delay of each response in seconds"),
        FaultName.DROPPED_ANSWERS: (30, "seconds until a proxy responds 504"),
        FaultName.SKEWED_CLOCK: (300, "seconds that the Date header is ahead; negative for behind"),
        FaultName.ALTERED_CHUNK: (1, "number of chunks"),
        FaultName.LOST_CHUNK: (1, "number of chunks"),
        FaultName.YOUNG_PROJECTS: (4, "seconds in which a new project rejects uploads"),
    }
)
"""The default and the meaning of a fault's value. For faults not listed the value is a duration in seconds."""

LARGEST_VALUE = 10**8
"""About three years in seconds."""

_DEFAULT_SECONDS: Mapping[FaultName, float] = MappingProxyType(
    {
        FaultName.OUTAGE: 15,
        FaultName.SLOW_ANSWERS: 20,
        FaultName.DOUBLED_REQUESTS: 20,
        FaultName.SKEWED_CLOCK: 60,
        FaultName.DEAD_WORKER: 60,
        FaultName.ALTERED_CHUNK: 600,
        FaultName.LOST_CHUNK: 600,
        FaultName.BROKEN_STORAGE: 30,
        FaultName.YOUNG_PROJECTS: 60,
    }
)
_COUNTED_FAULTS = frozenset({FaultName.ALTERED_CHUNK, FaultName.LOST_CHUNK})


class ActiveFault(Struct, frozen=True):
    """A fault that was started.

    Attributes:
        ends_at: the reading of the service's monotonic clock at which it ends; None means when it is stopped.
    """

    value: float
    ends_at: float | None


class Faults:
    """The active faults, by the service's clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._active: dict[FaultName, ActiveFault] = {}
        self._waiting: set[asyncio.Future[None]] = set()

    def start(self, name: FaultName, seconds: float | None = None, value: float | None = None) -> None:
        """Start a fault.

        Args:
            name: the fault.
            seconds: its duration; None uses the default, infinity lasts until stopped.
            value: see `FAULT_VALUES`. A fault with a count ends when the count is used up.
        """
        duration = _DEFAULT_SECONDS.get(name, 10.0) if seconds is None else seconds
        ends_at = self._clock.monotonic() + duration if isfinite(duration) else None
        self._active[name] = ActiveFault(FAULT_VALUES.get(name, (0, ""))[0] if value is None else value, ends_at)
        self._wake_sleepers()

    def start_until_stopped(self, name: FaultName, value: float | None = None) -> None:
        """Start a fault that lasts until stopped, or for `value` seconds if it has no other use for a value."""
        seconds = inf if value is None or name in FAULT_VALUES else value
        self.start(name, seconds, value if name in FAULT_VALUES else None)

    def stop(self, name: FaultName) -> None:
        """Stop a fault."""
        self._active.pop(name, None)
        self._wake_sleepers()

    async def sleep(self, name: FaultName, seconds: float) -> None:
        """Return after that many seconds, or as soon as the fault is stopped."""
        deadline = self._clock.monotonic() + seconds
        while name in self._active and (left := deadline - self._clock.monotonic()) > 0:
            await self._wait_for_change(left)

    async def wait_until_over(self, name: FaultName) -> None:
        """Return as soon as the fault is over, however it ends."""
        while (left := self.seconds_left(name)) > 0:
            await self._wait_for_change(left)

    async def _wait_for_change(self, seconds: float) -> None:
        """Return after that many seconds, or as soon as a fault is started or stopped."""
        change = asyncio.get_running_loop().create_future()
        self._waiting.add(change)
        waits: list[asyncio.Future[Any]] = [change]
        if isfinite(seconds):
            waits.append(asyncio.ensure_future(self._clock.sleep(seconds)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.discard(change)
            for wait in waits:
                wait.cancel()

    def _wake_sleepers(self) -> None:
        for change in self._waiting:
            if not change.done():
                change.set_result(None)

    @property
    def active(self) -> Mapping[FaultName, ActiveFault]:
        """The active faults."""
        return {name: fault for name, fault in self._active.items() if self.is_active(name)}

    def is_active(self, name: FaultName) -> bool:
        """True if the fault is active."""
        fault = self._active.get(name)
        return fault is not None and (fault.ends_at is None or self._clock.monotonic() < fault.ends_at)

    def value(self, name: FaultName) -> float:
        """The value of a fault; 0 if it is not active."""
        return self._active[name].value if self.is_active(name) else 0.0

    def consume(self, name: FaultName) -> bool:
        """True if the fault is active; counts down a fault that has a count."""
        if not self.is_active(name):
            return False
        fault = self._active[name]
        if name in _COUNTED_FAULTS:
            self._active[name] = ActiveFault(fault.value - 1, fault.ends_at)
            if fault.value <= 1:
                self.stop(name)
        return True

    def seconds_left(self, name: FaultName) -> float:
        """How much longer the fault lasts: 0 if it is not active, infinity if it lasts until stopped."""
        if not self.is_active(name):
            return 0.0
        ends_at = self._active[name].ends_at
        return inf if ends_at is None else ends_at - self._clock.monotonic()

    def ends_on(self, name: FaultName) -> datetime | None:
        """When the fault ends at normal speed; None if it is not active, or ends when it is stopped."""
        seconds = self.seconds_left(name)
        return self._clock.now() + timedelta(seconds=seconds) if 0 < seconds < inf else None


class FaultyStorage:
    """Wraps a storage with faults.

    The bytes of `unreadable_uploads` can never be read: their verification is retried, then given up.
    """

    def __init__(self, storage: Storage, faults: Faults) -> None:
        self.storage = storage
        self._faults = faults
        self.unreadable_uploads: set[str] = set()

    @property
    def memory(self) -> MemoryStorage | None:
        """The storage that holds the blobs if it is limited, in memory; None if they are in files."""
        return self.storage.memory

    async def put(
        self, key: BlobKey, blocks: AsyncIterable[bytes], is_accepted: Callable[[], bool] = lambda: True
    ) -> int:
        """Store a blob, acknowledge and lose it, or store it with one byte flipped."""
        if self._faults.consume(FaultName.LOST_CHUNK):
            return sum([len(block) async for block in blocks])
        if self._faults.consume(FaultName.ALTERED_CHUNK):
            return await self.storage.put(key, _flip_first_byte(blocks), is_accepted)
        return await self.storage.put(key, blocks, is_accepted)

    def blocks(self, key: BlobKey) -> Iterator[bytes]:
        """Read a blob.

        Raises:
            StorageUnavailableError: a fault withholds it.
        """
        self._check_available(key)
        yield from self.storage.blocks(key)

    def stat(self, key: BlobKey) -> BlobStat | None:
        """Describe a blob; None if it is known to be missing.

        Raises:
            StorageUnavailableError: a fault withholds it.
        """
        self._check_available(key)
        return self.storage.stat(key)

    def _check_available(self, key: BlobKey) -> None:
        if key[0] in self.unreadable_uploads or self._faults.is_active(FaultName.BROKEN_STORAGE):
            raise StorageUnavailableError("The storage provider is unavailable")

    def purge(self, upload_id: str) -> None:
        """Delete all blobs of an upload."""
        self.unreadable_uploads.discard(upload_id)
        self.storage.purge(upload_id)


async def _flip_first_byte(blocks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Flip the first byte."""
    is_first = True
    async for block in blocks:
        if is_first and block:
            is_first = False
            yield bytes([block[0] ^ 0xFF]) + block[1:]
        else:
            yield block
