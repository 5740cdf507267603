"""What a person chose in the dashboard, kept for the next time: columns, a theme. What the settings say comes first."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from upload_tui.errors import SettingsError, StorageError
from upload_tui.locations import state_folder
from upload_tui.settings import ServiceSettings

if TYPE_CHECKING:
    from upload_tui.tui import ColumnSpec

__all__ = ["effective_columns", "saved_theme", "save_columns", "save_theme"]

_COLUMNS = "columns"
_THEME = "theme"


def effective_columns(settings: ServiceSettings) -> "tuple[ColumnSpec, ...]":
    """The columns of the settings, or else those that were chosen last; none leaves the choice to the table.

    Raises:
        SettingsError: the settings name a column that there is not.
    """
    from upload_tui.tui import parse_columns

    if settings.columns:
        try:
            return parse_columns(settings.columns)
        except SettingsError as error:
            raise SettingsError(f"{settings.sources['columns']}: {error.title}", error.hint) from error
    try:
        return parse_columns(_read_choice(_COLUMNS).split())
    except SettingsError:  # not as we write it: nothing is lost but a choice
        return ()


def saved_theme(known: Sequence[str]) -> str:
    """The theme that was chosen last; empty if none was, or if it is no longer `known`."""
    name = _read_choice(_THEME)
    return name if name in known else ""


def save_columns(columns: "Sequence[ColumnSpec]") -> None:
    """Keep a choice of columns for the next time.

    Raises:
        StorageError: it cannot be written.
    """
    _write_choice(_COLUMNS, " ".join(map(str, columns)))


def save_theme(name: str) -> None:
    """Keep a choice of a theme for the next time.

    Raises:
        StorageError: it cannot be written.
    """
    _write_choice(_THEME, name)


def _read_choice(name: str) -> str:
    """Empty if nothing was chosen, or nothing that can be read."""
    try:
        return (state_folder() / name).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _write_choice(name: str, text: str) -> None:
    """The file is replaced as a whole."""
    file = state_folder() / name
    part = file.with_suffix(".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.write_text(text, encoding="utf-8")
        part.replace(file)
    except OSError as error:
        raise StorageError(
            f"The {name} cannot be kept in {file}: {error.strerror}", "Check its permissions."
        ) from error
