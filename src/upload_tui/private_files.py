"""Files and folders of this program, which only their owner can read and write: they hold tokens, names of uploads, or chunks."""

import os
from contextlib import suppress
from pathlib import Path

__all__ = [
    "create_private_file",
    "is_readable_by_others",
    "make_private_folder",
    "private_opener",
    "restrict_to_owner",
    "write_private_file",
]

_FILE_MODE = 0o600
_FOLDER_MODE = 0o700
_OTHERS = 0o077


def private_opener(path: str, flags: int) -> int:
    """The `opener` of `open` for such a file. A file that is there already loses the permissions of others."""
    descriptor = os.open(path, flags, _FILE_MODE)
    _restrict(descriptor)
    return descriptor


def create_private_file(file: Path) -> None:
    """Create an empty file, for a library that opens files by their path; one that is there already is left as it is.

    Raises:
        OSError: it cannot be created.
    """
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE))


def restrict_to_owner(*files: Path) -> None:
    """Take the permissions of others from files of an earlier version; those that are not there or not ours stay as they are."""
    for file in files:
        if os.name == "posix" and is_readable_by_others(file):
            with suppress(OSError):
                file.chmod(_FILE_MODE)


def write_private_file(file: Path, text: str) -> None:
    """Write a file atomically, in a folder that is made if there is none.

    Raises:
        OSError: it cannot be written. The file is as it was.
    """
    make_private_folder(file.parent)
    part = file.with_suffix(".part")
    try:
        with open(part, "w", encoding="utf-8", opener=private_opener) as opened:  # a Path has no opener
            opened.write(text)
        part.replace(file)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise


def make_private_folder(folder: Path, *, parents: bool = True) -> None:
    """Make a folder, and its parents if asked to. A folder that is there already is left as it is: it may not be ours.

    Raises:
        OSError: it cannot be made.
    """
    folder.mkdir(parents=parents, exist_ok=True, mode=_FOLDER_MODE)


def is_readable_by_others(file: Path) -> bool:
    """True for a regular file with permissions for others; False if there is none."""
    try:
        return file.is_file() and bool(file.stat().st_mode & _OTHERS)
    except OSError:
        return False


def _restrict(descriptor: int) -> None:
    if os.name == "posix" and os.fstat(descriptor).st_mode & _OTHERS:
        with suppress(OSError):  # another user's file, or a file system without permissions
            os.fchmod(descriptor, _FILE_MODE)
