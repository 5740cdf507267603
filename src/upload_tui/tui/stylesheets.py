"""Finds the style sheets: in the installed package, or in the checkout it is run from."""

from pathlib import Path

from upload_tui.errors import StyleError

__all__ = ["SHEETS", "sheet_paths"]

SHEETS = ("app.tcss", "dashboard.tcss", "widgets.tcss", "dialogs.tcss")


def sheet_paths() -> list[Path]:
    """The absolute paths of all sheets, in the order in which they apply.

    Raises:
        StyleError: the installation is incomplete.
    """
    package = Path(__file__).resolve().parent.parent
    folders = (package / "styles", package.parent.parent / "styles")
    for folder in folders:
        paths = [folder / sheet for sheet in SHEETS]
        if all(path.is_file() for path in paths):
            return paths
    raise StyleError(f"The style sheets are missing below {package}", "Install upload-tui again.")
