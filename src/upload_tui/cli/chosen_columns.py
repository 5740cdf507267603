"""The columns that a person chose in the dashboard, kept for the next time. What the settings say comes first."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from upload_tui.errors import SettingsError, StorageError
from upload_tui.locations import state_folder
from upload_tui.settings import ServiceSettings

if TYPE_CHECKING:
    from upload_tui.tui.columns import ColumnWish

__all__ = ["chosen_columns", "keep_columns"]

_NAME = "columns"


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
        return read_wishes((state_folder() / _NAME).read_text(encoding="utf-8").split())
    except (OSError, ValueError, SettingsError):  # never chosen, or not as we write it: nothing is lost but a choice
        return ()


def keep_columns(wishes: "Sequence[ColumnWish]") -> None:
    """Keep a choice for the next time; the file is replaced as a whole.

    Raises:
        StorageError: it cannot be written.
    """
    file = state_folder() / _NAME
    part = file.with_suffix(".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.write_text(" ".join(map(str, wishes)), encoding="utf-8")
        part.replace(file)
    except OSError as error:
        raise StorageError(
            f"The columns cannot be kept in {file}: {error.strerror}", "Check its permissions."
        ) from error
