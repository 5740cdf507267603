"""Storage of blobs: the bytes of a chunk, or of the whole file of an upload that is not chunked."""

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
"""An upload's id, which the service made, and a chunk's number (0 for a whole file)."""


class StorageUnavailableError(Exception):
    """The storage cannot be used just now; retrying later may help."""


class ChunkRejectedError(Exception):
    """The upload was completed while a blob was being received; the blob was discarded."""


def _accept() -> bool:
    return True


class Storage(Protocol):
    """Stores blobs atomically: completely or not at all."""

    async def put(self, key: BlobKey, blocks: AsyncIterable[bytes], is_accepted: Callable[[], bool] = _accept) -> int:
        """Store a blob, replacing an older one. Returns its size in bytes.

        Args:
            key: the blob.
            blocks: its bytes.
            is_accepted: called when all bytes are received, in the same turn of the event loop in which the blob is stored.

        Raises:
            ChunkRejectedError: `is_accepted` returned False.
            StorageUnavailableError: the blob cannot be written.
        """
        ...

    def blocks(self, key: BlobKey) -> Iterator[bytes]:
        """Read a blob block by block; nothing if it does not exist.

        Raises:
            StorageUnavailableError: the blob cannot be read.
        """
        ...

    def has(self, key: BlobKey) -> bool:
        """True if the blob exists."""
        ...

    def revision(self, key: BlobKey) -> Hashable | None:
        """A value that changes whenever the blob is written or modified; None if it does not exist."""
        ...


class MemoryStorage:
    """Keeps blobs in memory."""

    def __init__(self) -> None:
        self._blobs: dict[BlobKey, tuple[int, bytes]] = {}
        self._revisions = count()

    async def put(self, key: BlobKey, blocks: AsyncIterable[bytes], is_accepted: Callable[[], bool] = _accept) -> int:
        """Store a blob."""
        chunk = b"".join([block async for block in blocks])
        if not is_accepted():
            raise ChunkRejectedError
        self._blobs[key] = next(self._revisions), chunk
        return len(chunk)

    def blocks(self, key: BlobKey) -> Iterator[bytes]:
        """Read a blob."""
        view = memoryview(self._blobs.get(key, (0, b""))[1])
        for start in range(0, len(view), _BLOCK_BYTES):
            yield bytes(view[start : start + _BLOCK_BYTES])

    def has(self, key: BlobKey) -> bool:
        """True if the blob exists."""
        return key in self._blobs

    def revision(self, key: BlobKey) -> Hashable | None:
        """The serial number of the write."""
        return self._blobs[key][0] if key in self._blobs else None


class FolderStorage:
    """Keeps blobs in files `FOLDER/<upload id>/<number>`; an incomplete file never has such a name.

    Args:
        folder: created if missing. Incomplete files of an earlier process are removed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / ".incoming"
        self._names = count()
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir(parents=True, exist_ok=True)

    async def put(self, key: BlobKey, blocks: AsyncIterable[bytes], is_accepted: Callable[[], bool] = _accept) -> int:
        """Write to a temporary file, flush it, rename it, then flush the folder."""
        path = self._path(key)
        incoming = self._incoming / f"{os.getpid()}-{next(self._names)}"
        size = 0
        try:
            with incoming.open("wb") as file:  # blocking writes: blocks are small and go to the page cache
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
        """Read a blob."""
        try:
            with self._path(key).open("rb", buffering=0) as file:
                while block := file.read(_BLOCK_BYTES):
                    yield block
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageUnavailableError(str(error)) from error

    def has(self, key: BlobKey) -> bool:
        """True if the blob exists."""
        return self._path(key).is_file()

    def revision(self, key: BlobKey) -> Hashable | None:
        """The file's inode, size and modification time."""
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
    """Make a rename durable. Windows cannot open folders; its file system does this itself."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
