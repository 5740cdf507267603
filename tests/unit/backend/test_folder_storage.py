"""A storage folder that is away for a moment."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from upload_tui.backend.storage import FolderStorage, StorageUnavailableError


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
