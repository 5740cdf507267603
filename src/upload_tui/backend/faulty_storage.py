"""A storage that loses, alters or withholds bytes while a fault says so."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Hashable, Iterator

from upload_tui.backend.faults import FaultName, Faults
from upload_tui.backend.storage import ChunkKey, Storage, StorageTroubleError

__all__ = ["FaultyStorage"]


class FaultyStorage:
    """Another storage, seen through faults.

    `withheld` are uploads whose bytes can never be read: their verification is tried again and again, then given up.
    """

    def __init__(self, storage: Storage, faults: Faults) -> None:
        self._storage = storage
        self._faults = faults
        self.withheld: set[str] = set()

    async def put(
        self, key: ChunkKey, blocks: AsyncIterable[bytes], is_wanted: Callable[[], bool] = lambda: True
    ) -> int:
        """Store a chunk, or acknowledge and lose it, or store it with a byte flipped."""
        if self._faults.hits(FaultName.LOST_CHUNK):
            return sum([len(block) async for block in blocks])
        if self._faults.hits(FaultName.ALTERED_CHUNK):
            return await self._storage.put(key, _flipped(blocks), is_wanted)
        return await self._storage.put(key, blocks, is_wanted)

    def blocks(self, key: ChunkKey) -> Iterator[bytes]:
        """The bytes of a chunk.

        Raises:
            StorageTroubleError: a fault withholds them.
        """
        if key[0] in self.withheld or self._faults.is_on(FaultName.BROKEN_STORAGE):
            raise StorageTroubleError("The storage provider is unavailable")
        yield from self._storage.blocks(key)

    def has(self, key: ChunkKey) -> bool:
        """True if the chunk is stored."""
        return self._storage.has(key)

    def revision(self, key: ChunkKey) -> Hashable | None:
        """Another thing once the chunk was put again; None if it is not stored."""
        return self._storage.revision(key)


async def _flipped(blocks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The same bytes, the first one flipped."""
    is_first = True
    async for block in blocks:
        if is_first and block:
            is_first = False
            yield bytes([block[0] ^ 0xFF]) + block[1:]
        else:
            yield block
