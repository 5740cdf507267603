"""Storage of blobs: the bytes of a chunk, or of the whole file of an upload that is not chunked.

A blob counts as missing only if the storage is available and does not have it. Everything else that keeps bytes from
being read is `StorageUnavailableError`: retrying later may help.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterable, Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import BinaryIO, Protocol
from uuid import UUID

from msgspec import Struct

from upload_tui.errors import UsageError
from upload_tui.files import create_private_file, make_private_folder, private_opener, restrict_to_owner

__all__ = [
    "BlobKey",
    "BlobStat",
    "ChunkRejectedError",
    "FolderStorage",
    "MEMORY_LIMIT_BYTES",
    "MemoryStorage",
    "Storage",
    "StorageFullError",
    "StorageUnavailableError",
]

_BLOCK_BYTES = 256 * 1024
_MEMORY_BUDGET_BYTES = 16 * 1024 * 1024
MEMORY_LIMIT_BYTES = 24 * 1024 * 1024
_MARK = ".upload-tui-storage"

BlobKey = tuple[str, int]
"""An upload's id, which the service made, and a chunk's number (0 for a whole file)."""


class StorageUnavailableError(Exception):
    """The storage cannot be used just now; retrying later may help."""


class StorageFullError(StorageUnavailableError):
    """There is no room for more bytes until others are purged."""


class ChunkRejectedError(Exception):
    """The upload was completed or purged while a blob was being received; the blob was discarded."""


class BlobStat(Struct, frozen=True):
    """A stored blob: its size, and a value that changes whenever it is written or modified."""

    size_bytes: int
    revision: Hashable


def _accept() -> bool:
    return True


class Storage(Protocol):
    """Stores blobs atomically: completely or not at all."""

    @property
    def memory(self) -> "MemoryStorage | None":
        """The storage that holds the blobs if it is limited, in memory; None if they are in files."""
        ...

    async def put(self, key: BlobKey, blocks: AsyncIterable[bytes], is_accepted: Callable[[], bool] = _accept) -> int:
        """Store a blob, replacing an older one. Returns its size in bytes.

        Args:
            key: the blob.
            blocks: its bytes.
            is_accepted: called when all bytes are received, in the same turn of the event loop in which the blob is stored.

        Raises:
            ChunkRejectedError: `is_accepted` returned False.
            StorageFullError: the blob exceeds the limit, together with all others.
            StorageUnavailableError: the blob cannot be written.
        """
        ...

    def blocks(self, key: BlobKey) -> Iterator[bytes]:
        """Read a blob block by block.

        Raises:
            StorageUnavailableError: the blob cannot be read.
        """
        ...

    def stat(self, key: BlobKey) -> BlobStat | None:
        """Describe a blob; None if it is known to be missing.

        Raises:
            StorageUnavailableError: it is unknown whether the blob exists.
        """
        ...

    def purge(self, upload_id: str) -> None:
        """Delete all blobs of an upload.

        Raises:
            StorageUnavailableError: they cannot be deleted.
        """
        ...


class MemoryStorage:
    """Keeps blobs in memory.

    Args:
        budget_bytes: how many bytes it may hold before those that nothing needs are purged.
        limit_bytes: how many bytes it holds at most, those that are being received included.
    """

    def __init__(self, budget_bytes: int = _MEMORY_BUDGET_BYTES, limit_bytes: int = MEMORY_LIMIT_BYTES) -> None:
        self.memory = self
        self.budget_bytes = budget_bytes
        self.limit_bytes = limit_bytes
        self._uploads: dict[str, dict[int, tuple[int, bytearray]]] = {}
        self._incoming: dict[int, tuple[str, bytearray]] = {}
        self._stored_bytes = 0
        self._serials = count()

    async def put(self, key: BlobKey, blocks: AsyncIterable[bytes], is_accepted: Callable[[], bool] = _accept) -> int:
        """Store a blob."""
        upload_id, number = key
        serial, received = next(self._serials), bytearray()
        self._incoming[serial] = upload_id, received
        try:
            async for block in blocks:
                self._check_room(len(block))
                received += block
            if not is_accepted():
                raise ChunkRejectedError
            self._insert(upload_id, number, received)
            return len(received)
        finally:
            del self._incoming[serial]

    def _insert(self, upload_id: str, number: int, blob: bytearray) -> None:
        blobs = self._uploads.pop(upload_id, {})  # inserted again below, as the last
        replaced_bytes = len(blobs[number][1]) if number in blobs else 0
        self._uploads[upload_id] = {**blobs, number: (next(self._serials), blob)}
        self._stored_bytes += len(blob) - replaced_bytes

    def _check_room(self, added_bytes: int) -> None:
        if self.held_bytes + added_bytes > self.limit_bytes:
            raise StorageFullError(f"The memory for uploaded bytes is full ({self.limit_bytes // 2**20} MiB)")

    def blocks(self, key: BlobKey) -> Iterator[bytes]:
        """Read a blob."""
        found = self._find(key)
        if found is None:
            raise StorageUnavailableError("The bytes were purged meanwhile")
        view = memoryview(found[1])
        for start in range(0, len(view), _BLOCK_BYTES):
            yield bytes(view[start : start + _BLOCK_BYTES])

    def stat(self, key: BlobKey) -> BlobStat | None:
        """Describe a blob. Its revision is the serial number of the write."""
        found = self._find(key)
        return None if found is None else BlobStat(len(found[1]), found[0])

    def purge(self, upload_id: str) -> None:
        """Delete all blobs of an upload."""
        self._stored_bytes -= _size_bytes(self._uploads.pop(upload_id, {}))

    @property
    def held_bytes(self) -> int:
        """How many bytes are in memory, those that are being received included."""
        return self._stored_bytes + sum(len(received) for _, received in self._incoming.values())

    def held_uploads(self) -> Sequence[tuple[str, int]]:
        """The uploads and their sizes in bytes, the one whose last bytes are oldest first; not those that are being received."""
        receiving = {upload_id for upload_id, _ in self._incoming.values()}
        held = self._uploads.items()
        return [(upload_id, _size_bytes(blobs)) for upload_id, blobs in held if upload_id not in receiving]

    def _find(self, key: BlobKey) -> tuple[int, bytearray] | None:
        upload_id, number = key
        return self._uploads.get(upload_id, {}).get(number)


def _size_bytes(blobs: Mapping[int, tuple[int, bytearray]]) -> int:
    return sum(len(blob) for _, blob in blobs.values())


class FolderStorage:
    """Keeps blobs in files `FOLDER/<upload id>/<number>`; an incomplete file never has such a name.

    A file in the folder marks it as the storage: without that mark the folder may be the mount point of a disk
    that is not mounted.

    Args:
        folder: created if missing. Incomplete files of an earlier process are removed.
        must_exist: whether it has the bytes of an earlier process, so that it is only used with its mark.

    Raises:
        UsageError: the folder is not there, or cannot be created.
    """

    memory = None

    def __init__(self, folder: Path, *, must_exist: bool = False) -> None:
        self._folder = folder
        self._incoming = folder / ".incoming"
        self._names = count()
        if must_exist:
            _check_mark(folder)
        shutil.rmtree(self._incoming, ignore_errors=True)
        try:
            make_private_folder(folder)
            make_private_folder(self._incoming)
            create_private_file(folder / _MARK)
        except OSError as error:
            raise UsageError(f"{folder} cannot be created: {error.strerror}", "Choose another --storage.") from error
        restrict_to_owner(folder / _MARK)

    async def put(self, key: BlobKey, blocks: AsyncIterable[bytes], is_accepted: Callable[[], bool] = _accept) -> int:
        """Write to a temporary file, flush it, rename it, then flush the folder."""
        path = self._path(key)
        incoming = self._incoming / f"{os.getpid()}-{next(self._names)}"
        size = 0
        try:
            with self._create(incoming) as file:  # blocking writes: blocks are small and go to the page cache
                async for block in blocks:
                    size += file.write(block)
                await asyncio.to_thread(_flush, file)
            if not path.parent.is_dir():
                make_private_folder(path.parent, parents=False)  # never where a disk is not mounted
                await asyncio.to_thread(_flush_folder, self._folder)
            if not is_accepted():
                raise ChunkRejectedError
            incoming.replace(path)
            await asyncio.to_thread(_flush_folder, path.parent)
        except OSError as error:
            raise StorageUnavailableError(str(error)) from error
        finally:
            _discard(incoming)
        return size

    def _create(self, incoming: Path) -> BinaryIO:
        """Open a temporary file; its folder is created again if it was deleted, the storage itself is not."""
        try:
            return _create_file(incoming)
        except FileNotFoundError:
            with _open_folder(self._folder):
                make_private_folder(self._incoming, parents=False)
            return _create_file(incoming)

    def blocks(self, key: BlobKey) -> Iterator[bytes]:
        """Read a blob."""
        try:
            with self._path(key).open("rb", buffering=0) as file:
                while block := file.read(_BLOCK_BYTES):
                    yield block
        except OSError as error:
            raise StorageUnavailableError(str(error)) from error

    def stat(self, key: BlobKey) -> BlobStat | None:
        """Describe a blob. Its revision is the file's inode, size and modification time."""
        try:
            found = self._stat(key)
        except OSError as error:
            raise StorageUnavailableError(str(error)) from error
        return None if found is None else BlobStat(found.st_size, (found.st_ino, found.st_size, found.st_mtime_ns))

    def _stat(self, key: BlobKey) -> os.stat_result | None:
        path = self._path(key)
        try:
            return path.stat()
        except FileNotFoundError:
            with _open_folder(self._folder) as (folder, descriptor):
                inside = path.relative_to(self._folder)
                try:
                    # Relative to the open folder that has the mark, even if the path leads to another folder by now.
                    return os.stat(inside if descriptor is not None else folder / inside, dir_fd=descriptor)
                except FileNotFoundError:
                    return None

    def purge(self, upload_id: str) -> None:
        """Delete the folder of an upload."""
        try:
            shutil.rmtree(self._path((upload_id, 0)).parent)
        except FileNotFoundError:
            self.stat((upload_id, 0))  # raises if the storage is not there
        except OSError as error:
            raise StorageUnavailableError(str(error)) from error

    def _path(self, key: BlobKey) -> Path:
        upload_id, number = key
        return self._folder / str(UUID(upload_id)) / str(int(number))


def _check_mark(folder: Path) -> None:
    """Check that a folder has been the storage before.

    Raises:
        UsageError: it has not, or it cannot be read.
    """
    try:
        (folder / _MARK).stat()
    except OSError as error:
        raise UsageError(
            f"{folder} is not the storage that the database was used with: {_MARK} in it cannot be read: {error.strerror}",
            "Mount its disk, choose the right --storage, or begin with another --db.",
        ) from error


@contextmanager
def _open_folder(folder: Path) -> Iterator[tuple[Path, int | None]]:
    """Open the storage's folder; yield it and its descriptor (None on systems that cannot open folders).

    Raises:
        OSError: the folder is not there, or is not the storage.
    """
    if os.stat not in os.supports_dir_fd:
        (folder / _MARK).stat()
        yield folder, None
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.stat(_MARK, dir_fd=descriptor)
        yield folder, descriptor
    finally:
        os.close(descriptor)


def _create_file(path: Path) -> BinaryIO:
    return open(path, "wb", opener=private_opener)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _discard(incoming: Path) -> None:
    """Remove a temporary file. One that cannot be removed now is removed when the service starts again."""
    try:
        incoming.unlink(missing_ok=True)
    except OSError:
        return


def _flush_folder(folder: Path) -> None:
    """Make a rename durable. Windows cannot open folders; its file system does this itself."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
