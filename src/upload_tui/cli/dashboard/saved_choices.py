"""Choices made in the dashboard, saved for the next session: columns and theme. Settings override them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from upload_tui.errors import SettingsError, StorageError
from upload_tui.locations import state_folder
from upload_tui.settings import ServiceSettings

if TYPE_CHECKING:
    from upload_tui.tui import ColumnSpec

__all__ = ["effective_columns", "save_columns", "save_theme", "saved_theme"]

_COLUMNS = "columns"
_THEME = "theme"


def effective_columns(settings: ServiceSettings) -> "tuple[ColumnSpec, ...]":
    """The columns of the settings, otherwise the saved ones; empty for the table's defaults.

    Raises:
        SettingsError: the settings name an unknown column.
    """
    from upload_tui.tui import parse_columns

    if settings.columns:
        try:
            return parse_columns(settings.columns)
        except SettingsError as error:
            raise SettingsError(f"{settings.sources['columns']}: {error.title}", error.hint) from error
    try:
        return parse_columns(_read_choice(_COLUMNS).split())
    except SettingsError:  # a damaged file costs no more than a choice
        return ()


def saved_theme(known: Sequence[str]) -> str:
    """The saved theme; empty if there is none, or if it is not in `known`."""
    name = _read_choice(_THEME)
    return name if name in known else ""


def save_columns(columns: "Sequence[ColumnSpec]") -> None:
    """Save the columns.

    Raises:
        StorageError: the file cannot be written.
    """
    _write_choice(_COLUMNS, " ".join(map(str, columns)))


def save_theme(name: str) -> None:
    """Save the theme's name.

    Raises:
        StorageError: the file cannot be written.
    """
    _write_choice(_THEME, name)


def _read_choice(name: str) -> str:
    """Read a saved choice; empty if there is none, or if it cannot be read."""
    try:
        return (state_folder() / name).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _write_choice(name: str, text: str) -> None:
    """Write a choice by replacing the whole file."""
    file = state_folder() / name
    part = file.with_suffix(".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.write_text(text, encoding="utf-8")
        part.replace(file)
    except OSError as error:
        raise StorageError(
            f"The {name} cannot be saved in {file}: {error.strerror}", "Check its permissions."
        ) from error
