"""Platform folders for settings, stores, state and logs. These functions create nothing."""

from pathlib import Path

from platformdirs import user_cache_path, user_config_path, user_log_path, user_state_path

__all__ = ["cache_folder", "config_file", "config_folder", "log_folder", "state_folder"]

APP_NAME = "upload-tui"


def config_folder() -> Path:
    """The folder of `config.toml` and of the user's own style sheets and themes."""
    return user_config_path(APP_NAME, appauthor=False)


def config_file() -> Path:
    """The settings file."""
    return config_folder() / "config.toml"


def cache_folder() -> Path:
    """The folder of the stores, whose content can be fetched again."""
    return user_cache_path(APP_NAME, appauthor=False)


def state_folder() -> Path:
    """The folder of what is remembered from one run to the next."""
    return user_state_path(APP_NAME, appauthor=False)


def log_folder() -> Path:
    """The folder of the log file that `--debug` writes."""
    return user_log_path(APP_NAME, appauthor=False)
