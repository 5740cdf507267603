"""What a person chose in the dashboard, kept for the next time: columns, a theme. What the settings say comes first."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from upload_tui.errors import SettingsError, StorageError
from upload_tui.locations import state_folder
from upload_tui.settings import ServiceSettings

if TYPE_CHECKING:
    from upload_tui.tui.columns import ColumnWish

__all__ = ["chosen_columns", "chosen_theme", "keep_columns", "keep_theme"]

_COLUMNS = "columns"
_THEME = "theme"


def chosen_columns(settings: ServiceSettings) -> "tuple[ColumnWish, ...]":
    """The columns of the settings, or else those that were chosen last; none leaves the choice to the table.

    Raises:
        SettingsError: the settings name a column that there is not.
    """
    from upload_tui.tui.columns import read_wishes

    if settings.columns:
        try:
            return read_wishes(settings.columns)
        except SettingsError as error:
            raise SettingsError(f"{settings.sources['columns']}: {error.title}", error.mend) from error
    try:
        return read_wishes(_kept(_COLUMNS).split())
    except SettingsError:  # not as we write it: nothing is lost but a choice
        return ()


def chosen_theme(known: Sequence[str]) -> str:
    """The theme that was chosen last; empty if none was, or if it is no longer `known`."""
    name = _kept(_THEME)
    return name if name in known else ""


def keep_columns(wishes: "Sequence[ColumnWish]") -> None:
    """Keep a choice of columns for the next time.

    Raises:
        StorageError: it cannot be written.
    """
    _keep(_COLUMNS, " ".join(map(str, wishes)))


def keep_theme(name: str) -> None:
    """Keep a choice of a theme for the next time.

    Raises:
        StorageError: it cannot be written.
    """
    _keep(_THEME, name)


def _kept(what: str) -> str:
    """Empty if nothing was chosen, or nothing that can be read."""
    try:
        return (state_folder() / what).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _keep(what: str, text: str) -> None:
    """The file is replaced as a whole."""
    file = state_folder() / what
    part = file.with_suffix(".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.write_text(text, encoding="utf-8")
        part.replace(file)
    except OSError as error:
        raise StorageError(
            f"The {what} cannot be kept in {file}: {error.strerror}", "Check its permissions."
        ) from error
