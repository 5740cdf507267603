"""Where the bytes of chunks are: in memory, or in files that only ever bear names of our own making."""

import os
from collections.abc import AsyncIterable, Iterator
from pathlib import Path
from typing import Protocol
from uuid import UUID

__all__ = ["ChunkKey", "FolderStorage", "MemoryStorage", "Storage", "StorageTroubleError"]

_BLOCK_BYTES = 1024 * 1024

ChunkKey = tuple[str, int]
"""An upload's id (of our own making) and a chunk's number."""


class StorageTroubleError(Exception):
    """The storage cannot be used just now; trying again later may help."""


class Storage(Protocol):
    """Stores chunks whole or not at all."""

    async def put(self, key: ChunkKey, blocks: AsyncIterable[bytes]) -> int:
        """Store a chunk in place of an older one; gives its size in bytes."""
        ...

    def blocks(self, key: ChunkKey) -> Iterator[bytes]:
        """The bytes of a chunk, block by block; nothing at all if there is no such chunk.

        Raises:
            StorageTroubleError: they cannot be read just now.
        """
        ...

    def has(self, key: ChunkKey) -> bool:
        """True if the chunk is stored."""
        ...


class MemoryStorage:
    """Chunks in memory; gone with the process."""

    def __init__(self) -> None:
        self._chunks: dict[ChunkKey, bytes] = {}

    async def put(self, key: ChunkKey, blocks: AsyncIterable[bytes]) -> int:
        """Store a chunk once all of it is there."""
        chunk = b"".join([block async for block in blocks])
        self._chunks[key] = chunk
        return len(chunk)

    def blocks(self, key: ChunkKey) -> Iterator[bytes]:
        """The bytes of a chunk."""
        view = memoryview(self._chunks.get(key, b""))
        for start in range(0, len(view), _BLOCK_BYTES):
            yield bytes(view[start : start + _BLOCK_BYTES])

    def has(self, key: ChunkKey) -> bool:
        """True if the chunk is stored."""
        return key in self._chunks


class FolderStorage:
    """Chunks as files `FOLDER/<upload id>/<number>`; a half-written one is never a chunk.

    Args:
        folder: where to keep them; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    async def put(self, key: ChunkKey, blocks: AsyncIterable[bytes]) -> int:
        """Write beside, flush to the disk, then rename: whole or not at all."""
        path = self._path(key)
        path.parent.mkdir(exist_ok=True)
        beside = path.with_name(f".{path.name}.{id(blocks):x}")
        size = 0
        try:
            with beside.open("wb") as file:  # blocks are small, and the page cache takes them at once
                async for block in blocks:
                    size += file.write(block)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        return size

    def blocks(self, key: ChunkKey) -> Iterator[bytes]:
        """The bytes of a chunk."""
        try:
            with self._path(key).open("rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    yield block
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageTroubleError(str(error)) from error

    def has(self, key: ChunkKey) -> bool:
        """True if the chunk is stored."""
        return self._path(key).is_file()

    def _path(self, key: ChunkKey) -> Path:
        upload_id, number = key
        return self._folder / str(UUID(upload_id)) / str(int(number))
