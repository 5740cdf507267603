"""Finds the style sheets: in the installed package, or in the checkout it is run from."""

from collections.abc import Sequence
from pathlib import Path

from upload_tui.errors import StyleError

__all__ = ["SHEETS", "WIDGET_SHEETS", "sheet_paths"]

SHEETS = ("app.tcss", "widgets.tcss", "dashboard.tcss", "dialogs.tcss")
"""The dashboard's: what it says of a widget goes before what the widget says of itself."""

WIDGET_SHEETS = ("widgets.tcss",)
"""What the widgets need in another app."""


def sheet_paths(sheets: Sequence[str] = SHEETS) -> list[Path]:
    """The absolute paths of sheets, in the order in which they apply.

    Raises:
        StyleError: the installation is incomplete.
    """
    package = Path(__file__).resolve().parent.parent
    folders = (package / "styles", package.parent.parent / "styles")
    for folder in folders:
        paths = [folder / sheet for sheet in sheets]
        if all(path.is_file() for path in paths):
            return paths
    raise StyleError(f"The style sheets are missing below {package}", "Install upload-tui again.")
