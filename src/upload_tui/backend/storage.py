"""Where the bytes of chunks are: in memory, or in files that only ever bear names of our own making."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterable, Callable, Hashable, Iterator
from itertools import count
from pathlib import Path
from typing import BinaryIO, Protocol
from uuid import UUID

__all__ = ["BlobKey", "FolderStorage", "MemoryStorage", "ChunkRejectedError", "Storage", "StorageUnavailableError"]

_BLOCK_BYTES = 256 * 1024

BlobKey = tuple[str, int]
"""An upload's id (of our own making) and a chunk's number."""


class StorageUnavailableError(Exception):
    """The storage cannot be used just now; trying again later may help."""


class ChunkRejectedError(Exception):
    """When all bytes of a chunk had come, nobody wanted them any more; they were not kept."""


def _accept() -> bool:
    return True


class Storage(Protocol):
    """Stores chunks whole or not at all."""

    async def put(self, key: BlobKey, blocks: AsyncIterable[bytes], is_accepted: Callable[[], bool] = _accept) -> int:
        """Store a chunk in place of an older one; gives its size in bytes.

        Args:
            key: which chunk.
            blocks: its bytes.
            is_accepted: asked once all bytes are there, in the same turn of the event loop as they begin to count.

        Raises:
            ChunkRejectedError: the chunk was not wanted any more.
            StorageUnavailableError: it cannot be kept just now.
        """
        ...

    def blocks(self, key: BlobKey) -> Iterator[bytes]:
        """The bytes of a chunk, block by block; nothing at all if there is no such chunk.

        Raises:
            StorageUnavailableError: they cannot be read just now.
        """
        ...

    def has(self, key: BlobKey) -> bool:
        """True if the chunk is stored."""
        ...

    def revision(self, key: BlobKey) -> Hashable | None:
        """Something that is another thing once the chunk has been put again or touched; None if it is not stored."""
        ...


class MemoryStorage:
    """Chunks in memory; gone with the process."""

    def __init__(self) -> None:
        self._blobs: dict[BlobKey, tuple[int, bytes]] = {}
        self._revisions = count()

    async def put(self, key: BlobKey, blocks: AsyncIterable[bytes], is_accepted: Callable[[], bool] = _accept) -> int:
        """Store a chunk once all of it is there."""
        chunk = b"".join([block async for block in blocks])
        if not is_accepted():
            raise ChunkRejectedError
        self._blobs[key] = next(self._revisions), chunk
        return len(chunk)

    def blocks(self, key: BlobKey) -> Iterator[bytes]:
        """The bytes of a chunk."""
        view = memoryview(self._blobs.get(key, (0, b""))[1])
        for start in range(0, len(view), _BLOCK_BYTES):
            yield bytes(view[start : start + _BLOCK_BYTES])

    def has(self, key: BlobKey) -> bool:
        """True if the chunk is stored."""
        return key in self._blobs

    def revision(self, key: BlobKey) -> Hashable | None:
        """Which of all chunks ever put this one is."""
        return self._blobs[key][0] if key in self._blobs else None


class FolderStorage:
    """Chunks as files `FOLDER/<upload id>/<number>`; a half-written one is never a chunk.

    Args:
        folder: where to keep them; made if it is not there. What a process that died had half written is removed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / ".incoming"
        self._names = count()
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir(parents=True, exist_ok=True)

    async def put(self, key: BlobKey, blocks: AsyncIterable[bytes], is_accepted: Callable[[], bool] = _accept) -> int:
        """Write elsewhere, flush to the disk, then rename and flush the name: whole or not at all."""
        path = self._path(key)
        incoming = self._incoming / f"{os.getpid()}-{next(self._names)}"
        size = 0
        try:
            with incoming.open("wb") as file:  # blocks are small, and the page cache takes them at once
                async for block in blocks:
                    size += file.write(block)
                await asyncio.to_thread(_flush, file)
            if not path.parent.is_dir():
                path.parent.mkdir(exist_ok=True)
                await asyncio.to_thread(_flush_folder, self._folder)
            if not is_accepted():
                raise ChunkRejectedError
            incoming.replace(path)
            await asyncio.to_thread(_flush_folder, path.parent)
        except OSError as error:
            raise StorageUnavailableError(str(error)) from error
        finally:
            incoming.unlink(missing_ok=True)
        return size

    def blocks(self, key: BlobKey) -> Iterator[bytes]:
        """The bytes of a chunk."""
        try:
            with self._path(key).open("rb", buffering=0) as file:
                while block := file.read(_BLOCK_BYTES):
                    yield block
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageUnavailableError(str(error)) from error

    def has(self, key: BlobKey) -> bool:
        """True if the chunk is stored."""
        return self._path(key).is_file()

    def revision(self, key: BlobKey) -> Hashable | None:
        """Which file it is, how large, and when it was last written."""
        try:
            found = self._path(key).stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageUnavailableError(str(error)) from error
        return found.st_ino, found.st_size, found.st_mtime_ns

    def _path(self, key: BlobKey) -> Path:
        upload_id, number = key
        return self._folder / str(UUID(upload_id)) / str(int(number))


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make a rename last; where folders cannot be opened (Windows) the file system sees to it itself."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
