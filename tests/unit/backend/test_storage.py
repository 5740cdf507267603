"""The storages: a folder that is away for a moment, errors while reading, and what is flushed to the disk."""

import errno
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import pytest

from upload_tui.backend.storage import FolderStorage, MemoryStorage, StorageUnavailableError


async def content() -> AsyncIterator[bytes]:
    yield b"bytes"


async def test_a_chunk_is_refused_while_the_folder_is_away_and_no_other_folder_takes_its_place(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path / "bytes")
    key = (str(uuid4()), 1)
    (tmp_path / "bytes").rename(tmp_path / "away")
    with pytest.raises(StorageUnavailableError):
        await storage.put(key, content())
    assert not (tmp_path / "bytes").exists()
    (tmp_path / "away").rename(tmp_path / "bytes")
    assert await storage.put(key, content()) == 5


async def test_no_other_folder_takes_its_place_when_it_goes_away_between_two_steps(tmp_path: Path) -> None:
    async def content_during_which_the_folder_goes_away() -> AsyncIterator[bytes]:
        yield b"bytes"
        (tmp_path / "bytes").rename(tmp_path / "away")

    storage = FolderStorage(tmp_path / "bytes")
    with pytest.raises(StorageUnavailableError):
        await storage.put((str(uuid4()), 1), content_during_which_the_folder_goes_away())
    assert not (tmp_path / "bytes").exists()


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.ENOENT], ids=errno.errorcode.get)
@pytest.mark.parametrize("readable", [0, 1], ids=["at-once", "in-the-middle"])
async def test_bytes_that_cannot_be_read_are_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, readable: int
) -> None:
    storage, key = FolderStorage(tmp_path), (str(uuid4()), 1)
    await storage.put(key, content())
    opened = Path.open

    class FailingFile:
        def __init__(self, path: Path, *arguments: Any, **options: Any) -> None:
            self._file, self._left = opened(path, *arguments, **options), readable

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

        def read(self, _: int) -> bytes:
            self._left -= 1
            if self._left < 0:
                raise OSError(number, os.strerror(number))
            return bytes(self._file.read(1))

    monkeypatch.setattr(Path, "open", lambda *arguments, **options: FailingFile(*arguments, **options))  # noqa: PLW0108  # a class is no method
    reading = storage.blocks(key)
    assert [next(reading) for _ in range(readable)] == [b"b"] * readable
    with pytest.raises(StorageUnavailableError, match=f"Errno {number}"):
        next(reading)


@pytest.mark.parametrize("is_new", [True, False], ids=["first-chunk", "later-chunk"])
async def test_bytes_and_folders_are_flushed_before_a_chunk_is_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    storage, upload_id = FolderStorage(tmp_path), str(uuid4())
    if not is_new:
        await storage.put((upload_id, 1), content())
    steps: list[str] = []
    flush, replace = os.fsync, Path.replace

    def record_flush(descriptor: int) -> None:
        found = os.fstat(descriptor)
        kind = "storage" if found.st_ino == tmp_path.stat().st_ino else "upload"
        steps.append(f"{found.st_size} bytes" if stat.S_ISREG(found.st_mode) else kind)
        flush(descriptor)

    def record_replace(path: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", record_replace)
    monkeypatch.setattr(os, "fsync", record_flush)
    await storage.put((upload_id, 2), content())
    assert steps == ["5 bytes", *(["storage"] if is_new else []), "rename", "upload"]


async def test_a_purge_deletes_all_bytes_and_reports_a_storage_that_is_away(tmp_path: Path) -> None:
    storage, key = FolderStorage(tmp_path / "bytes"), (str(uuid4()), 1)
    await storage.put(key, content())
    (tmp_path / "bytes").rename(tmp_path / "away")
    with pytest.raises(StorageUnavailableError):
        storage.purge(key[0])
    (tmp_path / "away").rename(tmp_path / "bytes")
    for _ in range(2):  # a second time there is nothing to delete
        storage.purge(key[0])
        assert storage.stat(key) is None


async def test_bytes_in_memory_that_were_purged_are_unavailable_and_not_empty() -> None:
    storage, key = MemoryStorage(), (str(uuid4()), 1)
    await storage.put(key, content())
    reading = storage.blocks(key)
    storage.purge(key[0])
    with pytest.raises(StorageUnavailableError):
        list(reading)
