"""Files of the program are for their owner alone, whatever the umask is and whether they are new."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from upload_tui.backend import EmbeddedService
from upload_tui.cli.support.error_reporting import open_log
from upload_tui.cli.support.preferences import save_theme
from upload_tui.clock import SystemClock
from upload_tui.files import write_private_file
from upload_tui.monitor import LastVisit, RecordingHeader, RecordingWriter, Store, save_last_visit
from upload_tui.testing import NOW

pytestmark = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")


def _make_store(folder: Path) -> None:
    Store(folder / "new" / "store.db").close()


def _make_choice(_: Path) -> None:
    save_theme("upload-dark")


def _make_visit(folder: Path) -> None:
    save_last_visit(folder / "new" / "visit.json", LastVisit(NOW, frozenset({"u-1"})))


def _make_recording(folder: Path) -> None:
    RecordingWriter(folder / "recording.jsonl", RecordingHeader(NOW, "https://dds.test", "", (), 900.0)).close()


def _make_service(folder: Path) -> None:
    EmbeddedService(clock=SystemClock(), database=folder / "service.db", storage=folder / "blobs").database.close()


def _make_log(folder: Path) -> None:
    import logging

    open_log(folder / "new" / "upload-tui.log")
    handler = logging.getLogger().handlers[-1]
    logging.getLogger().removeHandler(handler)
    handler.close()


MAKERS = (_make_store, _make_choice, _make_visit, _make_recording, _make_service, _make_log)


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def _open_to_others(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.stat().st_mode & 0o077 and not path.name.startswith("xdg_")]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_a_new_file_and_its_folder_are_private(make: Callable[[Path], None], home: Path) -> None:
    make(home)
    files = [path for path in home.rglob("*") if path.is_file()]
    assert files
    assert _open_to_others(home) == []


@pytest.mark.parametrize("make", [one for one in MAKERS if one is not _make_recording], ids=lambda make: make.__name__)
def test_a_file_of_an_earlier_version_becomes_private(make: Callable[[Path], None], home: Path) -> None:
    make(home)
    for path in home.rglob("*"):
        if path.is_file():
            path.chmod(0o644)
    make(home)
    assert _open_to_others(home) == []


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "choice"
    write_private_file(file, "before")
    with pytest.raises(UnicodeEncodeError):
        write_private_file(file, "after\udcff")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_private_file(tmp_path / "folder", "after")
    assert file.read_text() == "before"
    assert {one.name for one in tmp_path.iterdir()} == {"choice", "folder"}


def test_two_writers_of_a_file_do_not_mix(tmp_path: Path) -> None:
    file = tmp_path / "choice.json"
    texts = ["a" * 100_000, "b" * 200_000]
    write_private_file(file, texts[0])
    with ThreadPoolExecutor() as pool:
        writes = [pool.submit(write_private_file, file, text) for text in texts * 20]
        while not all(write.done() for write in writes):
            assert file.read_text() in texts
    assert [write.exception() for write in writes] == [None] * 40
    assert [one.name for one in tmp_path.iterdir()] == ["choice.json"]
