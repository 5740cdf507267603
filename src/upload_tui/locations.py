"""Platform folders for settings, stores, state and logs. These functions create nothing.

Without a home directory (a container may have none) the folders lie below the null device: nothing is there, and nothing can be made.
"""

import os
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_cache_path, user_config_path, user_log_path, user_state_path

__all__ = [
    "cache_folder",
    "config_file",
    "config_folder",
    "expand_home",
    "home_folder",
    "log_folder",
    "state_folder",
    "working_folder",
]

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
