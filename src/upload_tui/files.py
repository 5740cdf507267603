"""Folders and files of this program: where they are, how their text is read, and access for their owner alone.

Without a home directory (a container may have none) the folders lie below the null device: no file exists there, and
none can be created.
"""

import errno
import json
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_cache_path, user_config_path, user_log_path, user_state_path

__all__ = [
    "cache_folder",
    "config_file",
    "config_folder",
    "create_private_file",
    "expand_home",
    "failure_reason",
    "home_folder",
    "is_readable_by_others",
    "is_utf8",
    "log_folder",
    "make_private_folder",
    "parse_json",
    "parse_toml",
    "private_opener",
    "read_interruptibly",
    "read_text",
    "restrict_to_owner",
    "state_folder",
    "working_folder",
    "write_hint",
    "write_private_file",
]

Content = TypeVar("Content")

APP_NAME = "upload-tui"
_NO_FOLDER = Path(os.devnull)


def home_folder() -> Path:
    """The user's home directory."""
    try:
        return Path.home()
    except RuntimeError:  # neither HOME nor the user's entry in the password file
        return _NO_FOLDER


def expand_home(path: Path) -> Path:
    """Replace a leading `~` or `~user` with that user's home directory."""
    try:
        return path.expanduser()
    except RuntimeError:  # no home directory, or no such user
        return _NO_FOLDER / path


def working_folder() -> Path:
    """The current directory; a relative path if it was deleted."""
    try:
        return Path.cwd()
    except OSError:
        return Path()


def _folder(folder_of: Callable[..., Path]) -> Path:
    try:
        folder = folder_of(APP_NAME, appauthor=False)
    except RuntimeError:  # no home directory
        return _NO_FOLDER / APP_NAME
    return _NO_FOLDER / APP_NAME if folder.parts[:1] == ("~",) else folder  # an older platformdirs keeps the `~`


def config_folder() -> Path:
    """The folder of `config.toml` and of the user's own style sheets and themes."""
    return _folder(user_config_path)


def config_file() -> Path:
    """The settings file."""
    return config_folder() / "config.toml"


def cache_folder() -> Path:
    """The folder of the stores, whose content can be fetched again."""
    return _folder(user_cache_path)


def state_folder() -> Path:
    """The folder of what is remembered from one run to the next."""
    return _folder(user_state_path)


def log_folder() -> Path:
    """The folder of the log file that `--debug` writes."""
    return _folder(user_log_path)


_MAX_BYTES = 4_000_000
"""More than any file of settings, certificates or choices has."""


def read_text(file: Path) -> str:
    """Read a file of UTF-8 text, with or without a byte order mark. A pipe is read to its end.

    Raises:
        OSError: it cannot be read, or is too large.
        UnicodeDecodeError: it is not UTF-8.
    """
    if "\0" in str(file):
        raise OSError(errno.EINVAL, "the path contains a null character", str(file))
    content = read_interruptibly(file, _read_start)
    if len(content) > _MAX_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(file))
    return content.decode("utf-8-sig")


def _read_start(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(_MAX_BYTES + 1)


def read_interruptibly(file: Path, read: Callable[[Path], Content]) -> Content:
    """Read a file so that a signal ends the reading, also if nothing comes from a pipe or a terminal.

    Args:
        file: the file.
        read: opens it, reads it and returns what it has read; raises its errors.
    """
    if not _can_wait(file):
        return read(file)
    from upload_tui.threads import call_in_thread  # here, because most commands read no pipe

    return call_in_thread(read, file)


def _can_wait(file: Path) -> bool:
    try:
        mode = file.stat().st_mode
    except (OSError, ValueError):  # which `read` raises again
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def is_utf8(text: str) -> bool:
    """False if Python found bytes that are not UTF-8 in an argument or a variable."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def parse_json(text: str) -> Any:
    """Parse JSON from a file.

    Raises:
        ValueError: it is no JSON, or is nested too deeply.
    """
    return _parse(json.loads, text)


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML from a file.

    Raises:
        ValueError: it is no TOML, or is nested too deeply.
    """
    import tomllib  # here, because few commands need it

    parsed: dict[str, Any] = _parse(tomllib.loads, text)
    return parsed


def _parse(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def failure_reason(error: OSError | ValueError) -> str:
    """Why a file cannot be read, as a part of a sentence."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)


def write_hint(error: OSError) -> str:
    """What to do when a file cannot be written."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "Free some space."
    if error.errno == errno.EFBIG:
        return "Raise the limit of a file's size (ulimit -f)."
    return "Check the folder." if error.errno in {errno.ENOENT, errno.ENOTDIR} else "Check its permissions."


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
    """Remove the permissions of others from files of an earlier version; missing and other users' files are skipped."""
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
    import tempfile  # here, because `--version` needs this module as well

    descriptor, part = tempfile.mkstemp(".part", f"{file.name}.", file.parent)  # of this writer alone, and private
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)
        Path(part).replace(file)
    except BaseException:
        with suppress(OSError):
            Path(part).unlink()
        raise


def make_private_folder(folder: Path, *, parents: bool = True) -> None:
    """Make a folder, and its parents if asked to, all for their owner alone.

    A folder that is there already is left as it is: it may not be ours.

    Raises:
        OSError: it cannot be made.
    """
    if parents and not folder.parent.exists():  # `mkdir` would give parents other permissions
        make_private_folder(folder.parent)
    folder.mkdir(exist_ok=True, mode=_FOLDER_MODE)


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
