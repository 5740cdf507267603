"""Choices made in the dashboard, saved for the next session: columns and theme. Settings override them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from upload_tui.errors import SettingsError, StorageError
from upload_tui.locations import state_folder
from upload_tui.private_files import write_private_file
from upload_tui.settings import ServiceSettings
from upload_tui.text_files import read_text

if TYPE_CHECKING:
    from upload_tui.tui import ColumnSpec, ViewKind

__all__ = ["configured_columns", "save_columns", "save_theme", "saved_columns", "saved_theme"]

_THEME = "theme"


def configured_columns(settings: ServiceSettings) -> "tuple[ColumnSpec, ...]":
    """The columns of the settings, for every kind of view; empty if the settings name none.

    Raises:
        SettingsError: the settings name an unknown column.
    """
    from upload_tui.tui import parse_columns

    try:
        return parse_columns(settings.columns)
    except SettingsError as error:
        raise SettingsError(f"{settings.sources['columns']}: {error.title}", error.hint) from error


def saved_columns() -> "tuple[tuple[ViewKind, tuple[ColumnSpec, ...]], ...]":
    """The saved columns of each kind of view that has any."""
    from upload_tui.tui import ViewKind, parse_columns

    saved = []
    for view in ViewKind:
        try:
            columns = parse_columns(_read_choice(_columns_file(view)).split())
        except SettingsError:  # a damaged file costs no more than a choice
            continue
        if columns:
            saved.append((view, columns))
    return tuple(saved)


def saved_theme(known: Sequence[str]) -> str:
    """The saved theme; empty if there is none, or if it is not in `known`."""
    name = _read_choice(_THEME)
    return name if name in known else ""


def save_columns(view: "ViewKind", columns: "Sequence[ColumnSpec]") -> None:
    """Save the columns of a kind of view.

    Raises:
        StorageError: the file cannot be written.
    """
    _write_choice(_columns_file(view), " ".join(map(str, columns)))


def _columns_file(view: "ViewKind") -> str:
    from upload_tui.tui import ViewKind

    return "columns" if view is ViewKind.PROJECT else f"columns-{view}"


def save_theme(name: str) -> None:
    """Save the theme's name.

    Raises:
        StorageError: the file cannot be written.
    """
    _write_choice(_THEME, name)


def _read_choice(name: str) -> str:
    """Read a saved choice; empty if there is none, or if it cannot be read."""
    try:
        return read_text(state_folder() / name)
    except (OSError, ValueError):
        return ""


def _write_choice(name: str, text: str) -> None:
    """Write a choice by replacing the whole file."""
    file = state_folder() / name
    try:
        write_private_file(file, text)
    except OSError as error:
        raise StorageError(
            f"The {name} cannot be saved in {file}: {error.strerror}", "Check its permissions."
        ) from error
