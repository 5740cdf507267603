"""Opens the store that an earlier visit left; what cannot be used is set aside with a word, never overwritten."""

from pathlib import Path

from msgspec import Struct

from upload_tui.errors import BusyStorageError, StorageError
from upload_tui.monitor.schema import MIGRATIONS
from upload_tui.monitor.store import Store

__all__ = ["OpenedStore", "open_store_file"]

_BESIDE = ("-wal", "-shm")


class OpenedStore(Struct, frozen=True):
    """A store, and what the person should be told about it; empty for nothing."""

    store: Store
    remark: str = ""


def open_store_file(file: Path) -> OpenedStore:
    """The store in a file.

    A damaged file is renamed, and a new one begun. One that a newer program wrote stays as it is, for that program; ours is then
    kept beside it. Where nothing can be kept, the store is in memory.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return OpenedStore(Store(file))
    except BusyStorageError as error:
        return OpenedStore(Store(), f"{error.title}; nothing is kept of this visit")
    except StorageError as error:
        return _instead(file, error)
    except OSError as error:
        return OpenedStore(Store(), f"nothing is kept for the next visit ({error})")


def _instead(file: Path, error: StorageError) -> OpenedStore:
    try:
        if "newer" in error.title:
            own = file.with_name(f"{file.stem}-{len(MIGRATIONS)}{file.suffix}")
            return OpenedStore(Store(own), f"{error.title}; this visit is kept in {own.name} beside it")
        aside = _set_aside(file)
        return OpenedStore(Store(file), f"{error.title}; it was set aside as {aside.name}, and all is fetched again")
    except (OSError, StorageError) as trouble:
        return OpenedStore(Store(), f"nothing is kept for the next visit ({trouble})")


def _set_aside(file: Path) -> Path:
    number = 1
    while (aside := file.with_name(f"{file.name}.damaged-{number}")).exists():
        number += 1
    for ending in _BESIDE:  # they belong to the damaged file: a new one must not find them
        beside = file.with_name(file.name + ending)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + ending))
    return file.rename(aside)
