"""A storage that loses, alters or withholds bytes while a fault is active."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Sequence

from upload_tui.backend.faults.model import FaultName, Faults
from upload_tui.backend.storage import BlobKey, BlobStat, Storage, StorageUnavailableError

__all__ = ["FaultyStorage"]


class FaultyStorage:
    """Wraps a storage with faults.

    The bytes of `unreadable_uploads` can never be read: their verification is retried, then given up.
    """

    def __init__(self, storage: Storage, faults: Faults) -> None:
        self._storage = storage
        self._faults = faults
        self.unreadable_uploads: set[str] = set()

    @property
    def budget_bytes(self) -> int | None:
        """How many bytes it may hold before those of finished uploads are purged; None for no limit."""
        return self._storage.budget_bytes

    async def put(
        self, key: BlobKey, blocks: AsyncIterable[bytes], is_accepted: Callable[[], bool] = lambda: True
    ) -> int:
        """Store a blob, acknowledge and lose it, or store it with one byte flipped."""
        if self._faults.consume(FaultName.LOST_CHUNK):
            return sum([len(block) async for block in blocks])
        if self._faults.consume(FaultName.ALTERED_CHUNK):
            return await self._storage.put(key, _flip_first_byte(blocks), is_accepted)
        return await self._storage.put(key, blocks, is_accepted)

    def blocks(self, key: BlobKey) -> Iterator[bytes]:
        """Read a blob.

        Raises:
            StorageUnavailableError: a fault withholds it.
        """
        if key[0] in self.unreadable_uploads or self._faults.is_active(FaultName.BROKEN_STORAGE):
            raise StorageUnavailableError("The storage provider is unavailable")
        yield from self._storage.blocks(key)

    def stat(self, key: BlobKey) -> BlobStat | None:
        """Describe a blob; None if it is known to be missing."""
        return self._storage.stat(key)

    def purge(self, upload_id: str) -> None:
        """Delete all blobs of an upload."""
        self.unreadable_uploads.discard(upload_id)
        self._storage.purge(upload_id)

    def held_uploads(self) -> Sequence[tuple[str, int]]:
        """The uploads with blobs in memory and their sizes in bytes, oldest first."""
        return self._storage.held_uploads()


async def _flip_first_byte(blocks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Flip the first byte."""
    is_first = True
    async for block in blocks:
        if is_first and block:
            is_first = False
            yield bytes([block[0] ^ 0xFF]) + block[1:]
        else:
            yield block
